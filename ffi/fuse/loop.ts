/**
 * The loop by which one thread serves sessions: one of them, or several whose mounts are to share a thread.
 *
 * The loop is hybrid: it awaits readiness of the devices (one pool thread, no event loop time), then drains them synchronously, and keeps
 * looking for a millisecond before it awaits again, because the await costs about four requests' time. A drain
 * is capped in count and time, so that messages to the thread are never starved by load.
 *
 * @module
 */
import { Errno, SysError } from "../errno.ts";
import { POLLIN } from "../sys/constants.ts";
import { write } from "../sys/file.ts";
import { PollSet } from "../sys/poll.ts";

/** Why serving ended: the file system was unmounted, its connection aborted, or `Session.stop` was called. */
export type ServeEnd = "unmounted" | "aborted" | "stopped";

/** What the loop serves. None of it may throw but `receive`. */
export interface Served {
  /** The `/dev/fuse` descriptor, nonblocking. */
  readonly device: number;
  /** An eventfd(2) that wakes the loop; -1 when it is closed. */
  readonly waker: number;
  /** Whether it is to be served no longer. */
  readonly stopped: boolean;
  /** Receives one request and handles it. Returns whether there was one, or why there will be no more. @throws {SysError} */
  receive(): boolean | ServeEnd;
  /** The waker was written to. */
  awake(): void;
  /** The loop is about to wait. */
  idle(): void;
}

interface Member {
  readonly served: Served;
  readonly end: PromiseWithResolvers<ServeEnd>;
}

const WINDOW_NS = 1_000_000n;
const DRAIN_REQUESTS = 64;
const DRAIN_MS = 5;
/** How many requests a wait within the window counts as: of so many waits one at most reads the clock. */
const WAIT_COST = 16;
const WAKE: Uint8Array = new Uint8Array(new BigUint64Array([1n]).buffer);

/** Serves any number of sessions. Belongs to the thread that made it, as they do. */
export class ServeLoop {
  #members: Member[] = [];
  /** The devices of the members, then their wakers. */
  #poll = new PollSet([]);
  #running = false;
  /** In this round a look for another request has found none. */
  #oneByOne = false;

  /** Serves one more until its end. @throws {SysError} through the promise: what `receive` throws, or poll(2) */
  serve(served: Served): Promise<ServeEnd> {
    const end = Promise.withResolvers<ServeEnd>();
    // The loop may be waiting for the others, by a set that lacks this one.
    const [other] = this.#members;
    if (other !== undefined) wake(other.served);
    this.#change([...this.#members, { served, end }]);
    if (!this.#running) void this.#run();
    return end.promise;
  }

  #change(members: Member[]): void {
    this.#members = members;
    const devices = members.map(({ served }) => ({ fd: served.device, events: POLLIN }));
    const wakers = members.map(({ served }) => ({ fd: served.waker, events: POLLIN }));
    this.#poll = new PollSet([...devices, ...wakers]);
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (;;) {
      this.#leaveStopped();
      this.#drain();
      if (this.#members.length === 0) break;
      for (const { served } of this.#members) served.idle();
      const poll = this.#poll;
      const ready = await poll.waitAsync(-1);
      if (ready < 0 && ready !== -Errno.EINTR) {
        this.#fail(new SysError("poll", -ready, { path: "/dev/fuse" }));
      } // One that came meanwhile has its place behind the others: these numbers hold.
      else if (poll === this.#poll) this.#wakeReady();
      else for (const { served } of this.#members) served.awake();
    }
    this.#running = false;
  }

  /**
   * One synchronous round: everything that is there, and what comes within the window. Where requests come one at a time each is waited
   * for at once, instead of being looked for first; every now and then it is found out whether they still do.
   */
  #drain(): void {
    const until = performance.now() + DRAIN_MS;
    let budget = DRAIN_REQUESTS;
    this.#oneByOne = false;
    while (this.#members.length > 0) {
      if (budget <= 0) {
        // Reading the clock costs too much to do it for each request.
        if (performance.now() >= until) return;
        budget = DRAIN_REQUESTS;
        this.#oneByOne = false;
      }
      if (this.#oneByOne) {
        if (this.#poll.waitFor(WINDOW_NS) <= 0) return;
        this.#wakeReady();
        if (this.#members.some(({ served }) => served.stopped)) return;
        budget -= WAIT_COST;
      }
      const received = this.#receiveRound();
      budget -= received;
      if (received > 0) continue;
      this.#oneByOne = true;
    }
  }

  /** One request of each member that may have one. Returns how many there were. */
  #receiveRound(): number {
    const members = this.#members;
    const asked = this.#oneByOne && members.length > 1;
    let received = 0;
    for (let at = 0; at < members.length; at++) {
      if (asked && this.#poll.revents(at) === 0) continue;
      const member = members[at]!;
      let result: boolean | ServeEnd;
      try {
        result = member.served.receive();
      } catch (error) {
        this.#leave(member, () => member.end.reject(error));
        return received; // the numbers of the others have changed
      }
      if (result === true) received++;
      else if (result !== false) {
        const end = result;
        this.#leave(member, () => member.end.resolve(end));
        return received + 1;
      }
    }
    return received;
  }

  #wakeReady(): void {
    const members = this.#members;
    for (let at = 0; at < members.length; at++) {
      if (this.#poll.revents(members.length + at) !== 0) members[at]!.served.awake();
    }
  }

  /** Lets those go that are to be served no longer, after what is there for them, as far as that is received within a drain's time. */
  #leaveStopped(): void {
    for (const member of this.#members.filter(({ served }) => served.stopped)) {
      const until = performance.now() + DRAIN_MS;
      try {
        while (member.served.receive() === true && performance.now() < until);
        this.#leave(member, () => member.end.resolve("stopped"));
      } catch (error) {
        this.#leave(member, () => member.end.reject(error));
      }
    }
  }

  #leave(member: Member, tell: () => void): void {
    this.#change(this.#members.filter((other) => other !== member));
    tell();
  }

  #fail(error: SysError): void {
    for (const member of this.#members) this.#leave(member, () => member.end.reject(error));
  }
}

/** Wakes the loop wherever it waits. */
export function wake({ waker }: Pick<Served, "waker">): void {
  if (waker >= 0) write(waker, WAKE, WAKE.length);
}
