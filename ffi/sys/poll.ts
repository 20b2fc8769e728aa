/**
 * Waiting for descriptors.
 *
 * @module
 */
import { errno, symbol } from "./libc.ts";

const libc = {
  poll: symbol("poll", { parameters: ["buffer", "u64", "i32"], result: "i32" }),
  pollAsync: symbol("poll", { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true }),
  ppoll: symbol("ppoll", { parameters: ["buffer", "u64", "buffer", "pointer"], result: "i32" }),
  eventfd: symbol("eventfd", { parameters: ["u32", "i32"], result: "i32" }),
};

const POLLFD_SIZE = 8;

function room(pfds: Uint8Array, count: number): bigint {
  if (count < 0 || count * POLLFD_SIZE > pfds.length) {
    throw new RangeError(`${count} pollfds in ${pfds.length} bytes`);
  }
  return BigInt(count);
}

/**
 * poll(2). Blocks the thread until a descriptor is ready or the time is over.
 *
 * @param pfds `struct pollfd` records {i32 fd, i16 events, i16 revents}.
 * @param timeoutMs -1 waits without end.
 * @returns how many are ready, 0 when the time is over, -EINTR after a signal.
 */
export function poll(pfds: Uint8Array, count: number, timeoutMs: number): number {
  const r = libc.poll.call(pfds as Uint8Array<ArrayBuffer>, room(pfds, count), timeoutMs);
  return r < 0 ? -errno[0] : r;
}

/** ppoll(2) without a signal mask: as `poll`, with nanoseconds. */
export function ppoll(pfds: Uint8Array, count: number, timeoutNs: bigint): number {
  if (timeoutNs !== timespecNs) {
    timespec[0] = timeoutNs / 1_000_000_000n;
    timespec[1] = timeoutNs % 1_000_000_000n;
    timespecNs = timeoutNs;
  }
  const r = libc.ppoll.call(pfds as Uint8Array<ArrayBuffer>, room(pfds, count), timespec, null);
  return r < 0 ? -errno[0] : r;
}

const timespec = new BigInt64Array(2);
let timespecNs = 0n; // what it says

/**
 * poll(2) on a thread of Deno's blocking pool: the calling thread goes on, and the promise is resolved as `poll` returns. The records must
 * not be touched meanwhile. The thread stays busy until then: with an endless timeout, poll an eventfd as well.
 *
 * An error is told by a second, synchronous poll with no timeout, since the error number stays on the other thread.
 */
export async function pollAsync(pfds: Uint8Array, count: number, timeoutMs: number): Promise<number> {
  const r = await libc.pollAsync.call(pfds as Uint8Array<ArrayBuffer>, room(pfds, count), timeoutMs);
  return r < 0 ? poll(pfds, count, 0) : r;
}

/** eventfd(2). Returns a descriptor; writing a u64 adds to the counter and makes it readable. */
export function eventfd(initial: number, flags: number): number {
  const r = libc.eventfd.call(initial, flags);
  return r < 0 ? -errno[0] : r;
}

/** A descriptor to wait for. */
export interface PollSlot {
  /** The descriptor; a negative one is skipped. */
  readonly fd: number;
  /** POLL* to wait for; POLLERR, POLLHUP and POLLNVAL always are. */
  readonly events: number;
}

/** A fixed number of descriptors to wait for, in one buffer that is made once. Slots are numbered as they were given. */
export class PollSet {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #count: number;
  #waiting = false;

  /** One slot for each, in that order. */
  constructor(slots: readonly PollSlot[]) {
    this.#count = slots.length;
    this.#bytes = new Uint8Array(new ArrayBuffer(slots.length * POLLFD_SIZE));
    this.#view = new DataView(this.#bytes.buffer);
    slots.forEach((slot, index) => this.set(index, slot));
  }

  /**
   * Replaces what a slot waits for.
   *
   * @throws {RangeError} for a slot that is not there. @throws {TypeError} while `waitAsync` is under way.
   */
  set(index: number, slot: PollSlot): void {
    this.#idle();
    this.#view.setInt32(index * POLLFD_SIZE, slot.fd, true);
    this.#view.setInt16(index * POLLFD_SIZE + 4, slot.events, true);
    this.#view.setInt16(index * POLLFD_SIZE + 6, 0, true);
  }

  /** What the last wait found for a slot: POLL*, 0 for nothing. */
  revents(index: number): number {
    return this.#view.getUint16(index * POLLFD_SIZE + 6, true);
  }

  /** Waits as `poll` does, milliseconds. @throws {TypeError} while `waitAsync` is under way. */
  wait(timeoutMs: number): number {
    this.#idle();
    return poll(this.#bytes, this.#count, timeoutMs);
  }

  /** Waits as `ppoll` does, nanoseconds. @throws {TypeError} while `waitAsync` is under way. */
  waitFor(timeoutNs: bigint): number {
    this.#idle();
    return ppoll(this.#bytes, this.#count, timeoutNs);
  }

  /** Waits as `pollAsync` does, milliseconds; one at a time. @throws {TypeError} (as rejection) while another is under way. */
  async waitAsync(timeoutMs: number): Promise<number> {
    this.#idle();
    this.#waiting = true;
    try {
      return await pollAsync(this.#bytes, this.#count, timeoutMs);
    } finally {
      this.#waiting = false;
    }
  }

  #idle(): void {
    if (this.#waiting) throw new TypeError("the poll set is in use by waitAsync");
  }
}
