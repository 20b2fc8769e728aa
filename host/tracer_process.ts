/**
 * The daemon's side of the tracer process.
 *
 * @module
 */

import { ownProgram } from "./own_program.ts";
import type { Obstacle } from "../swap/types.ts";
import { watchForStall } from "./stall_watch.ts";
import type { SwapOrder, SwapRefusal, SwapReply, Tracer, TracerEvents } from "./swap_messages.ts";
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
  const order = new RunningOrder(child);
  void receive(child, order, events);
  return {
    send: (request) => {
      if ("order" in request) order.begun(request.order);
      void input.write(frame(request)).catch(() => {}); // its end is told by its output
    },
    end: () => void input.close().catch(() => {}),
  };
}

/** Less may pass on a busy machine. */
const SHORTEST_STALL_MS = 1000;

/**
 * Sees to it that an order gets on as long as nothing has been changed. Opening files on a file system whose server has died may take for ever,
 * and whoever uses the source would stand still; a tracer that is killed lets them go on as they were. Where the change has begun, that would
 * leave it half done: it is waited for.
 */
class RunningOrder {
  readonly #tracer: Deno.ChildProcess;
  #stop: () => void = () => {};
  #refusal: SwapRefusal | undefined;

  constructor(tracer: Deno.ChildProcess) {
    this.#tracer = tracer;
  }

  /** How it ended, if this has ended it. */
  get refusal(): SwapRefusal | undefined {
    return this.#refusal;
  }

  begun({ deadlineMs }: SwapOrder): void {
    this.#stop();
    const limitMs = Math.max(deadlineMs, SHORTEST_STALL_MS);
    this.#stop = watchForStall(this.#tracer.pid, limitMs, () => {
      const reason = `did not answer for ${limitMs} ms while files were looked for on it`;
      const obstacle: Obstacle = {
        pid: 0,
        comm: "",
        kind: "process",
        reason: `the real file system ${reason}`,
      };
      this.#refusal = { ok: false, obstacles: [obstacle], message: obstacle.reason };
      this.#tracer.kill("SIGKILL");
    });
  }

  replied(reply: SwapReply): void {
    if ("openNode" in reply || "progress" in reply && reply.progress.step !== "moving") return;
    this.ended();
  }

  ended(): void {
    this.#stop();
  }
}

async function receive(child: Deno.ChildProcess, order: RunningOrder, events: TracerEvents): Promise<void> {
  try {
    const frames = new FrameReader();
    for await (const chunk of child.stdout) {
      frames.push(chunk);
      for (let next = frames.next(); next !== undefined; next = frames.next()) {
        const reply = next[0] as SwapReply;
        order.replied(reply);
        events.replied(reply);
      }
    }
  } catch (error) {
    // It is in no known state.
    order.ended();
    child.kill("SIGKILL");
    return events.failed((error as Error).message);
  }
  order.ended();
  const { code, signal } = await child.status;
  events.failed(signal === null ? `it ended with exit code ${code}` : `it ended by ${signal}`, order.refusal);
}
