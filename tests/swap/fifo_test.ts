import { countOpen } from "../support/descriptors.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Errno, isSysError, type SysError } from "../../ffi/errno.ts";
import {
  AT_FDCWD,
  F_GETFL,
  F_GETPIPE_SZ,
  F_SETPIPE_SZ,
  O_ACCMODE,
  O_APPEND,
  O_CLOEXEC,
  O_DIRECT,
  O_LARGEFILE,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  POLLHUP,
  POLLIN,
  S_IFIFO,
} from "../../ffi/sys/constants.ts";
import { mknodat } from "../../ffi/sys/dir.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { fcntlGet, fcntlSet, openat, pipe2, read, write } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { bytesQueued } from "../../ffi/sys/pipe.ts";
import { PollSet } from "../../ffi/sys/poll.ts";
import { copyFifoData, fifoEnd, openFifoEnds, openMoreEnds } from "../../swap/fifo.ts";
import { temporaryDirectory } from "../ffi/support/temporary.ts";

/** FIFOs by number, each made when it is first opened. */
class Fifos implements Disposable {
  readonly #directory = temporaryDirectory();
  readonly #made = new Set<number>();

  open(number: number, flags: number): Fd {
    const path = cstr(`${this.#directory.path}/fifo${number}`);
    if (!this.#made.has(number)) {
      check(mknodat(AT_FDCWD, path, S_IFIFO | 0o600, 0n), "mknod");
      this.#made.add(number);
    }
    return Fd.own(check(openat(AT_FDCWD, path, flags | O_CLOEXEC), "openat"));
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }
}

/** Reads until nothing is left: what each read(2) of that many bytes returned. */
function drain(fd: number, count = 1 << 20): Uint8Array[] {
  const buffer = new Uint8Array(count);
  const chunks: Uint8Array[] = [];
  for (;;) {
    const length = read(fd, buffer);
    if (length === -Errno.EAGAIN || length === 0) return chunks;
    chunks.push(buffer.slice(0, check(length, "read")));
  }
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 0xff);
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

const PAGE = 4096;

const fillings: Readonly<Record<string, readonly number[]>> = {
  "one byte": [1],
  "parts of pages": [10, 5000, 1, PAGE, 4095, 7],
  "exactly full": new Array(16).fill(PAGE),
};

for (const [name, sizes] of Object.entries(fillings)) {
  Deno.test(`fifo: what is queued is in both, in its order: ${name}`, () => {
    using fifos = new Fifos();
    using old = fifos.open(1, O_RDWR | O_NONBLOCK);
    using next = fifos.open(2, O_RDWR | O_NONBLOCK);
    const data = sizes.map(pattern);
    for (const chunk of data) assertEquals(write(old.raw, chunk), chunk.length);
    const all = concat(data);
    assertEquals(copyFifoData(old.raw, next.raw), all.length);
    assertEquals(bytesQueued(old.raw), all.length);
    assertEquals(concat(drain(next.raw)), all);
    assertEquals(concat(drain(old.raw)), all);
  });
}

Deno.test("fifo: more and fewer pages than usual are carried over, and how many it can be", () => {
  for (const pages of [1, 2, 256]) {
    using fifos = new Fifos();
    using old = fifos.open(1, O_RDWR | O_NONBLOCK);
    using next = fifos.open(2, O_RDWR | O_NONBLOCK);
    assertEquals(fcntlSet(old.raw, F_SETPIPE_SZ, pages * PAGE), pages * PAGE);
    const chunk = pattern(1 << 20, 3);
    assertEquals(write(old.raw, chunk), pages * PAGE);
    assertEquals(copyFifoData(old.raw, next.raw), pages * PAGE);
    assertEquals(fcntlGet(next.raw, F_GETPIPE_SZ), pages * PAGE);
    assertEquals(write(next.raw, chunk), -Errno.EAGAIN);
    assertEquals(concat(drain(next.raw)), chunk.subarray(0, pages * PAGE));
  }
});

Deno.test("fifo: messages stay messages, also when every buffer holds a small one", () => {
  using fifos = new Fifos();
  using old = fifos.open(1, O_RDWR | O_NONBLOCK);
  using next = fifos.open(2, O_RDWR | O_NONBLOCK);
  assertEquals(fcntlSet(old.raw, F_SETPIPE_SZ, 32 * PAGE), 32 * PAGE);
  fcntlSet(old.raw, 4, O_NONBLOCK | O_DIRECT);
  const messages = Array.from({ length: 32 }, (_, i) => pattern(i * 100 + 1, i));
  for (const message of messages) assertEquals(write(old.raw, message), message.length);
  assertEquals(write(old.raw, new Uint8Array(1)), -Errno.EAGAIN);
  copyFifoData(old.raw, next.raw);
  assertEquals(drain(next.raw), messages);
});

Deno.test("fifo: nothing queued is nothing copied, with and without the other end", () => {
  using fifos = new Fifos();
  using old = fifos.open(1, O_RDONLY | O_NONBLOCK);
  using next = fifos.open(2, O_RDWR | O_NONBLOCK);
  fcntlSet(old.raw, F_SETPIPE_SZ, 2 * PAGE);
  assertEquals(copyFifoData(old.raw, next.raw), 0);
  using _writer = fifos.open(1, O_WRONLY);
  assertEquals(copyFifoData(old.raw, next.raw), 0);
  assertEquals(fcntlGet(next.raw, F_GETPIPE_SZ), 2 * PAGE);
});

Deno.test("fifo: a writing end is enough to copy by, and is left as it was", () => {
  using fifos = new Fifos();
  using reader = fifos.open(1, O_RDONLY | O_NONBLOCK);
  using old = fifos.open(1, O_WRONLY);
  using next = fifos.open(2, O_RDWR | O_NONBLOCK);
  write(old.raw, pattern(500, 1));
  reader.close();
  assertEquals(copyFifoData(old.raw, next.raw), 500);
  assertEquals(concat(drain(next.raw)), pattern(500, 1));
  assertEquals(bytesQueued(old.raw), 500);
});

Deno.test("fifo: data is not mixed with what others have queued in the new one", () => {
  using fifos = new Fifos();
  using old = fifos.open(1, O_RDWR | O_NONBLOCK);
  using next = fifos.open(2, O_RDWR | O_NONBLOCK);
  write(old.raw, pattern(5, 1));
  write(next.raw, pattern(6, 1));
  const error = assertThrowsSys(() => copyFifoData(old.raw, next.raw));
  assertEquals(error.code, "EBUSY");
  assertEquals([bytesQueued(old.raw), bytesQueued(next.raw)], [5, 6]);
});

function assertThrowsSys(fn: () => unknown): SysError {
  let caught: unknown;
  assertThrows(() => {
    try {
      fn();
    } catch (error) {
      caught = error;
      throw error;
    }
  });
  assert(isSysError(caught));
  return caught;
}

const wanted = [
  O_RDONLY,
  O_RDONLY | O_NONBLOCK,
  O_WRONLY,
  O_WRONLY | O_NONBLOCK | O_APPEND,
  O_WRONLY | O_DIRECT,
  O_RDWR,
  O_RDWR | O_NONBLOCK | O_DIRECT,
];

for (const flags of wanted) {
  Deno.test(`fifo: an end is opened alone, without waiting, with flags 0${flags.toString(8)}`, () => {
    using fifos = new Fifos();
    using path = fifos.open(1, O_PATH);
    const [end] = openFifoEnds(path.raw, [{ flags, hungUp: false }], undefined);
    using opened = end!;
    assertEquals(fcntlGet(opened.raw, F_GETFL) & ~O_LARGEFILE, flags);
    assertEquals(fifoEnd(opened.raw), { flags: flags | O_LARGEFILE, hungUp: false });
  });
}

Deno.test("fifo: an O_PATH descriptor is made anew as one", () => {
  using fifos = new Fifos();
  using path = fifos.open(1, O_PATH);
  const [end] = openFifoEnds(path.raw, [fifoEnd(path.raw)], undefined);
  using opened = end!;
  assertEquals(fcntlGet(opened.raw, F_GETFL), O_PATH);
});

/** What a reader sees: whether poll(2) tells of hanging up, and what read(2) says. */
function seen(fd: Fd): [boolean, number] {
  const poll = new PollSet([{ fd: fd.raw, events: POLLIN }]);
  check(poll.wait(0), "poll");
  return [(poll.revents(0) & POLLHUP) !== 0, read(fd.raw, new Uint8Array(0x10000))];
}

/** Ways to come by ends of a FIFO; the last one decides what is queued. */
const histories: Readonly<Record<string, (open: (flags: number) => Fd) => Fd[]>> = {
  "a reader before any writer": (open) => [open(O_RDONLY | O_NONBLOCK)],
  "a reader whose writer is gone": (open) => {
    const reader = open(O_RDONLY | O_NONBLOCK);
    open(O_WRONLY).close();
    return [reader];
  },
  "a reader whose writer has left data": (open) => {
    const reader = open(O_RDONLY | O_NONBLOCK);
    const writer = open(O_WRONLY);
    write(writer.raw, pattern(100, 2));
    writer.close();
    return [reader];
  },
  "two readers with a writer in between": (open) => {
    const first = open(O_RDONLY | O_NONBLOCK);
    const writer = open(O_WRONLY);
    writer.close();
    return [open(O_RDONLY | O_NONBLOCK), first];
  },
  "a reader that came when writer and first reader had gone, with data": (open) => {
    const first = open(O_RDONLY | O_NONBLOCK);
    const writer = open(O_WRONLY);
    write(writer.raw, pattern(100, 2));
    writer.close();
    const second = open(O_RDONLY | O_NONBLOCK);
    first.close();
    return [second];
  },
  "a reader with a writer": (open) => [open(O_RDONLY | O_NONBLOCK), open(O_WRONLY)],
};

for (const [name, make] of Object.entries(histories)) {
  Deno.test(`fifo: new ends see of each other what the old ones saw: ${name}`, () => {
    using fifos = new Fifos();
    using stack = new DisposableStack();
    const old = make((flags) => stack.use(fifos.open(1, flags)));
    using path = fifos.open(2, O_PATH);
    const next = openFifoEnds(path.raw, old.map((end) => fifoEnd(end.raw)), old[0]!.raw);
    for (const end of next) stack.use(end);
    assertEquals(next.map((end) => fifoEnd(end.raw).flags), old.map((end) => fifoEnd(end.raw).flags));
    const readers = (ends: Fd[]) => ends.filter((end) => (fifoEnd(end.raw).flags & 3) === O_RDONLY).map(seen);
    assertEquals(readers(next), readers(old));
    // What is left when the writers go.
    for (const ends of [old, next]) {
      for (const end of ends) if ((fifoEnd(end.raw).flags & 3) !== O_RDONLY) end.close();
    }
    const open = (ends: Fd[]) => ends.filter((end) => !end.closed).map(seen);
    assertEquals(open(next), open(old));
  });
}

Deno.test("fifo: when it fails, no descriptor is left", () => {
  using fifos = new Fifos();
  using path = fifos.open(1, O_PATH);
  const ours = () => countOpen((link) => link.includes("/fifo") || link.startsWith("pipe:"));
  const before = ours();
  const ends = [{ flags: O_RDWR, hungUp: false }];
  assertEquals(assertThrowsSys(() => openFifoEnds(path.raw, ends, 1_000_000)).code, "EBADF");
  assertEquals(ours(), before);
});

Deno.test("fifo: an anonymous pipe can be a source as well", () => {
  const ends = new Int32Array(2);
  check(pipe2(ends, O_CLOEXEC), "pipe2");
  using reader = Fd.own(ends[0]!);
  using writer = Fd.own(ends[1]!);
  using fifos = new Fifos();
  using next = fifos.open(2, O_RDWR | O_NONBLOCK);
  write(writer.raw, pattern(77, 1));
  assertEquals(copyFifoData(reader.raw, next.raw), 77);
});

/** Flags of ends, opened in this order; what comes behind a minus is closed again. */
const oneFifo: Readonly<Record<string, readonly (number | `-${number}`)[]>> = {
  "a reader whom nobody has written to": [O_RDONLY],
  "a reader whose writer has gone": [O_RDONLY, `-${O_WRONLY}`],
  "a writer whose reader has gone": [`-${O_RDONLY}`, O_WRONLY],
  "both": [O_RDONLY, O_WRONLY],
  "one that is both": [O_RDWR],
};

function accessOf({ raw }: Fd): number {
  return check(fcntlGet(raw, F_GETFL), "fcntl") & O_ACCMODE;
}

for (const [name, opened] of Object.entries(oneFifo)) {
  Deno.test(`fifo: ends that are opened once more see what the others see, who see no difference: ${name}`, () => {
    using fifos = new Fifos();
    using stack = new DisposableStack();
    const path = stack.use(fifos.open(1, O_PATH));
    const all = opened.map((flags) => stack.use(fifos.open(1, Math.abs(Number(flags)) | O_NONBLOCK)));
    const olds = all.filter((fd, i) => {
      if (typeof opened[i] === "string") fd.close();
      return typeof opened[i] === "number";
    });
    const reader = olds.findIndex((fd) => accessOf(fd) !== O_WRONLY);
    const writer = reader < 0 ? undefined : olds.find((fd) => accessOf(fd) !== O_RDONLY);
    const data = pattern(100, 1);
    if (writer !== undefined) assertEquals(write(writer.raw, data), data.length);
    const before = olds.map(({ raw }) => fifoEnd(raw));
    const made = openMoreEnds(path.raw, before).map((fd) => stack.use(fd));
    assertEquals(olds.map(({ raw }) => fifoEnd(raw)), before, "the old ones");
    for (const old of olds) old.close();
    assertEquals(made.map(({ raw }) => fifoEnd(raw)), before, "the new ones");
    if (writer !== undefined) assertEquals(concat(drain(made[reader]!.raw)), data);
  });
}
