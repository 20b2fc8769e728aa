/** Threads that make calls: as whom, how many, and what they are given. */
import { assert, assertEquals } from "@std/assert";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  S_IFIFO,
  STATX_BASIC_STATS,
} from "../../ffi/sys/constants.ts";
import { mknodat } from "../../ffi/sys/dir.ts";
import { closeFd, openat } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { StatxBuffer } from "../../ffi/sys/statx_buffer.ts";
import { ROOT_ACTING } from "../../fs/caller.ts";
import { type Call, call } from "../../fs/calls.ts";
import { WorkerThreads } from "../../host/call_threads.ts";
import { requires } from "../support/requirements.ts";

const root = await requires({ root: true });

/** Threads, and how to have a call made. */
function started() {
  const threads = new WorkerThreads((reason) => {
    throw new Error(reason);
  });
  const make = (one: Call, acting = ROOT_ACTING) =>
    new Promise<number>((resolve) => void threads.make(one, acting, resolve));
  return { threads, make, [Symbol.dispose]: () => threads.end() };
}

Deno.test({
  name:
    "call threads: a call is made as whom it is told, under the umask it is told, into the memory of whoever asked",
  ...root,
  async fn() {
    using calls = started();
    const directory = await Deno.makeTempDir({ prefix: "spfs-calls-" });
    await Deno.chmod(directory, 0o777);
    const name = cstr(`${directory}/file`);
    const acting = { uid: 1001, gid: 1002, groups: [], effective: 0n };
    const flags = O_CREAT | O_RDWR | O_CLOEXEC;
    const fd = check(await calls.make(call("create", 0o027, AT_FDCWD, name, flags, 0o666), acting), "openat");
    const text = new TextEncoder().encode("written elsewhere");
    assertEquals(await calls.make(call("pwrite", fd, text, text.length, 0n)), text.length);
    const back = new Uint8Array(20);
    assertEquals(await calls.make(call("pread", fd, back.subarray(3), 17, 0n)), 17);
    assertEquals(new TextDecoder().decode(back), "\0\0\0written elsewhere");
    const told = new StatxBuffer();
    await calls.make(call("statx", AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, told));
    assertEquals([told.uid, told.gid, told.mode & 0o777, told.size], [1001, 1002, 0o640, 17n]);
    assertEquals(await calls.make(call("fsync", -1)), -9);
    closeFd(fd);
    await Deno.remove(directory, { recursive: true });
  },
});

Deno.test("call threads: calls that take their time hold up no other, up to the limit; what waits then can be taken back", async () => {
  using calls = started();
  const directory = await Deno.makeTempDir({ prefix: "spfs-calls-" });
  const fifos = Array.from({ length: 17 }, (_, index) => cstr(`${directory}/${index}`));
  for (const fifo of fifos) check(mknodat(AT_FDCWD, fifo, S_IFIFO | 0o600, 0n), "mknodat");
  // Opening one waits until somebody opens its other end.
  const opened = fifos.slice(0, 15).map((fifo) => calls.make(call("openat", AT_FDCWD, fifo, O_RDONLY, 0)));
  assertEquals(await calls.make(call("fsync", -1)), -9);
  opened.push(calls.make(call("openat", AT_FDCWD, fifos[15]!, O_RDONLY, 0)));
  let over = false;
  const late = calls.make(call("fsync", -1)).finally(() => over = true);
  const takeBack = calls.threads.make(call("openat", AT_FDCWD, fifos[16]!, O_RDONLY, 0), ROOT_ACTING, () => {
    throw new Error("a call that was taken back is over");
  });
  assert(takeBack(), "it has not begun");
  assertEquals(over, false);
  const ends = fifos.slice(0, 16).map((fifo) => check(openat(AT_FDCWD, fifo, O_WRONLY), "openat"));
  assertEquals(await late, -9);
  for (const fd of [...ends, ...await Promise.all(opened)]) closeFd(fd);
  await Deno.remove(directory, { recursive: true });
});
