/**
 * The process that looks at files as a program of its own, for `deno run`. The executable has it as `spfs look`.
 *
 * @module
 */

import { runLook } from "./look_child.ts";

Deno.exit(await runLook(Deno.args));
