/**
 * The daemon's side of the tracer process.
 *
 * @module
 */

import { ownProgram } from "./own_program.ts";
import type { SwapReply, Tracer, TracerEvents } from "./swap_messages.ts";
import { frame, FrameReader } from "./tracer_frames.ts";

/**
 * Starts a tracer, which is ready to take an order at once and begins with it when it has loaded. It ends with its input, at the latest
 * when this process does.
 *
 * @param command a program that runs {@linkcode runTracer}, with its arguments
 */
export function startTracer(
  events: TracerEvents,
  command: readonly string[] = ownProgram("tracer", import.meta.resolve("./tracer_entry.ts")),
): Tracer {
  const [program, ...args] = command as readonly [string, ...string[]];
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, { args, cwd: "/", stdin: "piped", stdout: "piped" }).spawn();
  } catch (error) {
    queueMicrotask(() => events.failed(`cannot start ${program}: ${(error as Error).message}`));
    return { send() {}, end() {} };
  }
  const input = child.stdin.getWriter();
  void receive(child, events);
  return {
    send: (request) => void input.write(frame(request)).catch(() => {}), // its end is told by its output
    end: () => void input.close().catch(() => {}),
  };
}

async function receive(child: Deno.ChildProcess, events: TracerEvents): Promise<void> {
  try {
    const frames = new FrameReader();
    for await (const chunk of child.stdout) {
      frames.push(chunk);
      for (let next = frames.next(); next !== undefined; next = frames.next()) {
        events.replied(next[0] as SwapReply);
      }
    }
  } catch (error) {
    // It is in no known state.
    child.kill("SIGKILL");
    return events.failed((error as Error).message);
  }
  const { code, signal } = await child.status;
  events.failed(signal === null ? `it ended with exit code ${code}` : `it ended by ${signal}`);
}
