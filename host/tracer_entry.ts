/**
 * The tracer as a program of its own, for `deno run`. The executable has it as `spfs tracer`.
 *
 * @module
 */

import { runTracer } from "./tracer.ts";

Deno.exit(await runTracer());
