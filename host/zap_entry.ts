/**
 * The process that zaps as a program of its own, for `deno run`. The executable has it as `spfs zap`.
 *
 * @module
 */

import { runZap } from "./zap_child.ts";

Deno.exit(await runZap());
