import { main } from "./cli/main.ts";
import { processTerminal } from "./cli/terminal.ts";

if (import.meta.main) Deno.exit(await main(Deno.args, processTerminal()));
