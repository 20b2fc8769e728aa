/**
 * The tracer: the process that stops others and moves them. It is a process of its own, and holds nothing of a FUSE connection, because of
 * what a SIGKILL does: while it moves processes it has copies of a stub's files, and whoever dies with such copies closes them, which waits
 * for the stub's server. The server must not be the one that waits.
 *
 * Everything but waiting for orders is synchronous: ptrace(2) and wait4(2) belong to the thread that seized a task, and nothing may come
 * between. A task that it traces is let go when it ends.
 *
 * @module
 */

import { Errno, SysError } from "../ffi/errno.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { check } from "../ffi/sys/libc.ts";
import { pidfdGetfd } from "../ffi/sys/pidfd.ts";
import { pidfdOpen } from "../ffi/sys/process.ts";
import { rehearse } from "../swap/rehearsal.ts";
import { releaseLate } from "../swap/stop.ts";
import { makeDescriptorRoom } from "./descriptor_room.ts";
import { exitCodes } from "./exit_codes.ts";
import type { SwapOrder, SwapReply, TracerRequest } from "./swap_messages.ts";
import { runStubOrder, runSwapOrder, type SwapSurroundings } from "./swap_order.ts";
import { frame, FrameError, FrameReader } from "./tracer_frames.ts";
import { workerError } from "./worker_error.ts";

/** How often those are looked at that did not stop in time and so could not be let go, in milliseconds. */
const lateEveryMs = 5;

/**
 * Runs the tracer: orders on stdin, replies on stdout, both in frames (tracer_frames.ts), until stdin ends. An order that it has taken is
 * carried out to its end even when nobody reads the replies any more. Orders come from the parent process.
 *
 * @returns the exit code
 */
export async function runTracer(): Promise<number> {
  if (Deno.stdin.isTerminal()) {
    console.error("spfs tracer: is started by spfs itself, and takes no orders from people");
    return exitCodes.usage;
  }
  // They are for the program that orders, also where they are sent to everybody (a terminal, a service manager). It ends stdin.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, () => {});
  try {
    await new Tracer().run();
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof FrameError) && !(error instanceof SysError)) throw error;
    console.error(`spfs tracer: ${error.message}`);
    return exitCodes.failed;
  }
}

class Tracer {
  readonly #input = new FrameReader();
  readonly #buffer = new Uint8Array(65_536);
  /** The process that orders. */
  readonly #parent: number = Deno.ppid;
  #hungUp = false;

  async run(): Promise<void> {
    using parent = Fd.own(check(pidfdOpen(this.#parent, 0), "pidfd_open", `process ${this.#parent}`));
    makeDescriptorRoom(); // for copies of everything that is moved
    rehearse();
    for (;;) {
      for (let next = this.#input.next(); next !== undefined; next = this.#input.next()) {
        const [message] = next as [TracerRequest];
        if ("order" in message) this.#carryOut(message.order, parent.raw);
        this.#releaseThoseLate();
      }
      const count = await Deno.stdin.read(this.#buffer);
      if (count === null) return;
      this.#input.push(this.#buffer.subarray(0, count));
    }
  }

  #carryOut(order: SwapOrder, parent: number): void {
    const surroundings: SwapSurroundings = {
      progress: (step, detail) => this.#reply({ progress: { step, detail } }),
      stay: [this.#parent],
      openNode: (nodeid) => {
        const fd = this.#openNode(nodeid);
        return fd < 0 ? fd : pidfdGetfd(parent, fd);
      },
    };
    let reply: SwapReply;
    try {
      if (order.kind === "stub") {
        // Closed before the outcome is told: while it is open the mount it is of cannot be taken off.
        using mount = Fd.own(check(pidfdGetfd(parent, order.swap.mountFd), "pidfd_getfd", "the real mount"));
        const swap = { ...order.swap, mountFd: mount.raw };
        reply = { outcome: runStubOrder({ ...order, swap }, surroundings) };
      } else {
        reply = { outcome: runSwapOrder(order, surroundings) };
      }
    } catch (error) {
      reply = { error: workerError(error) };
    }
    this.#reply(reply);
  }

  /** Asks the parent for a file, and waits for the answer. */
  #openNode(nodeid: bigint): number {
    this.#reply({ openNode: nodeid });
    for (;;) {
      if (this.#hungUp) return -Errno.EIO;
      const next = this.#input.next() as [TracerRequest] | undefined;
      if (next !== undefined && "node" in next[0]) return next[0].node;
      const count = Deno.stdin.readSync(this.#buffer);
      if (count === null) return -Errno.EIO;
      this.#input.push(this.#buffer.subarray(0, count));
    }
  }

  #reply(reply: SwapReply): void {
    if (this.#hungUp) return;
    try {
      const bytes = frame(reply);
      for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
    } catch (error) {
      // Whoever ordered is gone. What has begun is brought to its end all the same.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      this.#hungUp = true;
    }
  }

  #releaseThoseLate(): void {
    if (releaseLate()) setTimeout(() => this.#releaseThoseLate(), lateEveryMs);
  }
}
