/** Threads that make calls: as whom, how many, and what they are given. */
import { assert, assertEquals } from "@std/assert";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  O_CLOEXEC,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  POLLIN,
  S_IFIFO,
  STATX_BASIC_STATS,
} from "../../ffi/sys/constants.ts";
import { mknodat } from "../../ffi/sys/dir.ts";
import { closeFd, openat, read } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { eventfd, PollSet } from "../../ffi/sys/poll.ts";
import { StatxBuffer } from "../../ffi/sys/statx_buffer.ts";
import { ROOT_ACTING } from "../../fs/caller.ts";
import { type Call, pending } from "../../fs/calls.ts";
import { WorkerThreads } from "../../host/call_threads.ts";
import { requires } from "../support/requirements.ts";

const root = await requires({ root: true });

/** Threads, and how to have a call made. */
function started() {
  const waker = check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
  const threads = new WorkerThreads(waker, (reason) => {
    throw new Error(reason);
  });
  const poll = new PollSet([{ fd: waker, events: POLLIN }]);
  let ended = false;
  const session = (async () => { // which is woken
    while (!ended) {
      if (await poll.waitAsync(20) > 0) read(waker, new Uint8Array(8));
      threads.collect();
    }
    closeFd(waker);
  })();
  const make = (one: Call, acting = ROOT_ACTING) =>
    new Promise<number>((resolve) => void threads.make(one, acting, resolve));
  const end = async () => {
    ended = true;
    await session;
    threads.end();
  };
  return { threads, make, [Symbol.asyncDispose]: end };
}

Deno.test({
  name:
    "call threads: a call is made as whom it is told, under the umask it is told, into the memory of whoever asked",
  ...root,
  async fn() {
    await using calls = started();
    const directory = await Deno.makeTempDir({ prefix: "spfs-calls-" });
    await Deno.chmod(directory, 0o777);
    const name = cstr(`${directory}/file`);
    const acting = { uid: 1001, gid: 1002, groups: [], effective: 0n };
    const flags = O_CREAT | O_RDWR | O_CLOEXEC;
    const fd = check(
      await calls.make(pending("create", 0o027, AT_FDCWD, name, flags, 0o666), acting),
      "openat",
    );
    const text = new TextEncoder().encode("written elsewhere");
    assertEquals(await calls.make(pending("pwrite", fd, text, text.length, 0n)), text.length);
    const back = new Uint8Array(20);
    assertEquals(await calls.make(pending("pread", fd, back.subarray(3), 17, 0n)), 17);
    assertEquals(new TextDecoder().decode(back), "\0\0\0written elsewhere");
    const told = new StatxBuffer();
    await calls.make(pending("statx", AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, told));
    assertEquals([told.uid, told.gid, told.mode & 0o777, told.size], [1001, 1002, 0o640, 17n]);
    assertEquals(await calls.make(pending("fsync", -1)), -9);
    closeFd(fd);
    await Deno.remove(directory, { recursive: true });
  },
});

Deno.test("call threads: calls that take their time hold up no other, up to the limit; what waits then can be taken back", async () => {
  await using calls = started();
  const directory = await Deno.makeTempDir({ prefix: "spfs-calls-" });
  const fifos = Array.from({ length: 17 }, (_, index) => cstr(`${directory}/${index}`));
  for (const fifo of fifos) check(mknodat(AT_FDCWD, fifo, S_IFIFO | 0o600, 0n), "mknodat");
  // Opening one waits until somebody opens its other end.
  const opened = fifos.slice(0, 15).map((fifo) => calls.make(pending("openat", AT_FDCWD, fifo, O_RDONLY, 0)));
  assertEquals(await calls.make(pending("fsync", -1)), -9);
  opened.push(calls.make(pending("openat", AT_FDCWD, fifos[15]!, O_RDONLY, 0)));
  let over = false;
  const late = calls.make(pending("fsync", -1)).finally(() => over = true);
  const takeBack = calls.threads.make(
    pending("openat", AT_FDCWD, fifos[16]!, O_RDONLY, 0),
    ROOT_ACTING,
    () => {
      throw new Error("a call that was taken back is over");
    },
  );
  assert(takeBack(), "it has not begun");
  assertEquals(over, false);
  const ends = fifos.slice(0, 16).map((fifo) => check(openat(AT_FDCWD, fifo, O_WRONLY), "openat"));
  assertEquals(await late, -9);
  for (const fd of [...ends, ...await Promise.all(opened)]) closeFd(fd);
  await Deno.remove(directory, { recursive: true });
});
