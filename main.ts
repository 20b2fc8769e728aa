import { isIdleStage } from "./cli/hook_stages.ts";
import { main } from "./cli/main.ts";
import { processTerminal } from "./cli/terminal.ts";
import { startAhead } from "./host/ahead.ts";

if (import.meta.main) {
  // As CRIU's action script, which it is without arguments. Most stages must cost nothing.
  const stage = Deno.args.length === 0 ? Deno.env.get("CRTOOLS_SCRIPT_ACTION") : undefined;
  if (stage && isIdleStage(stage, Boolean(Deno.env.get("SPFS_SOCKET")))) Deno.exit(0);
  // Before anything else is loaded: starting a worker takes longer than all that.
  if (Deno.args[0] === "serve") startAhead();
  if (Deno.args[0] === "tracer") {
    const { runTracer } = await import("./host/tracer.ts");
    Deno.exit(await runTracer());
  }
  if (Deno.args[0] === "look") {
    const { runLook } = await import("./host/look_child.ts");
    Deno.exit(await runLook(Deno.args.slice(1)));
  }
  if (Deno.args[0] === "zap") {
    const { runZap } = await import("./host/zap_child.ts");
    Deno.exit(await runZap());
  }
  Deno.exit(await main(Deno.args, processTerminal()));
}
