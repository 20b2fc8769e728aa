/**
 * Keeping processors from going to sleep while processes stand still. Tracer and tracees wait for each other thousands of times, for some
 * microseconds each time, and a processor that has gone to sleep meanwhile takes longer than that to wake up: on virtual machines, where
 * going to sleep is giving the processor back to the host, a swap takes nearly twice as long by it.
 *
 * @module
 */
import { AT_FDCWD, O_CLOEXEC, O_WRONLY } from "../ffi/sys/constants.ts";
import { closeFd, openat, write } from "../ffi/sys/file.ts";
import { cstr } from "../ffi/sys/libc.ts";

/** Whoever has it open tells how long waking up may take, in microseconds, as an int: Documentation/power/pm_qos_interface.rst. */
const DEVICE = "/dev/cpu_dma_latency";

/** All processors stay awake as long as this is not disposed of, and no longer than this process lives. Where they cannot be told to, nothing happens. */
export class Wakefulness implements Disposable {
  readonly #fd: number;

  constructor() {
    this.#fd = openat(AT_FDCWD, cstr(DEVICE), O_WRONLY | O_CLOEXEC);
    if (this.#fd >= 0) write(this.#fd, new Uint8Array(4));
  }

  /** Lets them sleep again. */
  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeFd(this.#fd);
  }
}
