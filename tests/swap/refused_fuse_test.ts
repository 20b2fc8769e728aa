// What cannot be moved is refused by name before anything is changed.

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  AT_FDCWD,
  F_OFD_SETLK,
  F_WRLCK,
  LOCK_EX,
  LOCK_NB,
  O_CLOEXEC,
  O_RDWR,
} from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { fcntlLock, flock, openat } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import type { ResourceKind } from "../../swap/types.ts";
import { type ResourceCase, startVictim, swapTest } from "./support/case.ts";
import type { MountPair, PairKind } from "./support/mount_pair.ts";
import { assertUnchanged, snapshot } from "./support/snapshot.ts";
import { runSwap, type SwapOrder } from "./support/swap_run.ts";
import type { Victim } from "./support/victim.ts";

/** A victim with something that cannot be moved. */
interface RefusedCase extends Omit<ResourceCase, "pairs"> {
  /** The mounts; one tmpfs mounted twice by default. */
  readonly pair?: PairKind;
  /** What kind of thing is in the way. */
  readonly kind: ResourceKind;
  /** What the reason says. */
  readonly reason: RegExp;
  /** How it is pointed out besides by its process. */
  readonly by?: "fd" | "address" | "path";
  /** What is done between the victim's first look and the swap; what it returns is kept until the test ends. */
  readonly prepare?: (pair: MountPair) => Disposable | void;
  /** What is asked of the swap besides the mounts. */
  readonly order?: Partial<SwapOrder>;
}

const MSEAL = {
  other: () => {
    const [major, minor] = Deno.osRelease().split(".").map(Number);
    return major! > 6 || (major === 6 && minor! >= 10) ? undefined : "mseal(2) needs Linux 6.10";
  },
};
/** `struct flock` for writing, from the first byte on without end. */
function writeLockOfAll(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setInt16(0, F_WRLCK, true);
  return bytes;
}

const COMPAT = {
  other: () => Deno.build.arch === "x86_64" ? undefined : "no 32-bit programs on this machine",
};

const cases: RefusedCase[] = [
  {
    promise: "a mapping that a userfaultfd watches is refused",
    victim: "refused",
    cases: ["userfaultfd"],
    kind: "map",
    reason: /userfaultfd/,
    by: "address",
  },
  {
    promise: "a sealed shared mapping is refused",
    victim: "refused",
    cases: ["sealed-shared"],
    kind: "map",
    reason: /seal/,
    by: "address",
    needs: MSEAL,
  },
  {
    promise: "a mapping of which a page is sealed is refused",
    victim: "refused",
    cases: ["sealed-private"],
    kind: "map",
    reason: /seal/,
    by: "address",
    needs: MSEAL,
  },
  {
    promise: "a fixed file of an io_uring is refused",
    victim: "refused",
    cases: ["ring"],
    kind: "fd",
    reason: /io_uring/,
    by: "fd",
  },
  {
    promise: "a descriptor in a message nobody has received is refused",
    victim: "refused",
    cases: ["flight"],
    kind: "socket",
    reason: /SCM_RIGHTS/,
    by: "fd",
  },
  {
    promise: "a lease that opening the file on the target would break is refused, and not broken",
    victim: "locks",
    cases: ["lease-write"],
    kind: "fd",
    reason: /lease/,
    by: "fd",
  },
  ...([
    ["posix", "posix", (fd) => fcntlLock(fd, F_OFD_SETLK, writeLockOfAll())],
    ["ofd", "ofd", (fd) => fcntlLock(fd, F_OFD_SETLK, writeLockOfAll())],
    ["flock", "alone", (fd) => flock(fd, LOCK_EX | LOCK_NB)],
  ] satisfies [string, string, (fd: number) => number][]).map(([name, path, lock]): RefusedCase => ({
    promise: `a lock (${name}) on a file that somebody else has locked on the target is refused`,
    victim: "locks",
    cases: [name],
    pair: "twins",
    kind: "lock",
    reason: /somebody else/,
    by: "path",
    prepare: ({ sides: [, b] }) => {
      const file = Fd.own(check(openat(AT_FDCWD, cstr(`${b.path}/${path}`), O_RDWR | O_CLOEXEC), "openat"));
      check(lock(file.raw), `lock ${path}`);
      return file;
    },
    order: { deadlineMs: 500 },
  })),
  {
    promise: "an inotify instance with events that were not read yet is refused, and loses none",
    victim: "events",
    cases: ["inotify-queued"],
    pair: "twins",
    kind: "inotify",
    reason: /nobody has read/,
    by: "fd",
    order: { deadlineMs: 500 },
  },
  {
    promise: "a process that is traced already is refused",
    victim: "refused",
    cases: ["traced"],
    kind: "process",
    reason: /trace/,
  },
  {
    promise: "a task that cannot be stopped in time is refused",
    victim: "refused",
    cases: ["vfork"],
    kind: "process",
    reason: /stop/,
    order: { deadlineMs: 500 },
  },
  {
    promise: "the program of an unprivileged process is refused",
    victim: "places",
    cases: ["exe"],
    placed: true,
    uid: 54_321,
    kind: "exe",
    reason: /CAP_CHECKPOINT_RESTORE/,
    by: "path",
  },
  {
    promise: "the root of an unprivileged process is refused",
    victim: "places",
    cases: ["root-dropped"],
    kind: "root",
    reason: /CAP_SYS_CHROOT/,
    by: "path",
  },
  {
    promise: "a 32-bit process is refused",
    victim: "compat",
    cases: ["any"],
    kind: "process",
    reason: /32-bit|compat/,
    needs: COMPAT,
  },
  {
    promise: "an open directory that was removed is refused",
    victim: "names",
    cases: ["removed"],
    pair: "twins",
    kind: "fd",
    reason: /removed/,
    by: "fd",
  },
  {
    promise: "a working directory that was removed is refused",
    victim: "places",
    cases: ["cwd-removed"],
    pair: "twins",
    kind: "cwd",
    reason: /removed/,
  },
  {
    promise: "a file whose name is gone but that has another one is refused where it cannot be found",
    victim: "names",
    cases: ["link-gone"],
    pair: "twins",
    kind: "fd",
    reason: /name/,
    by: "fd",
  },
  {
    promise: "an open file that the target lacks is refused",
    victim: "fds",
    cases: ["private"],
    pair: "twins",
    kind: "fd",
    reason: /no such file|ENOENT/,
    by: "path",
    prepare: ({ sides: [, b] }) => Deno.removeSync(`${b.path}/both`),
  },
  {
    promise: "an open file that is a directory on the target is refused",
    victim: "fds",
    cases: ["private"],
    pair: "twins",
    kind: "fd",
    reason: /type of file/,
    by: "path",
    prepare: ({ sides: [, b] }) => {
      Deno.removeSync(`${b.path}/read`);
      Deno.mkdirSync(`${b.path}/read`);
    },
  },
  {
    promise: "a mapped file that the target lacks is refused",
    victim: "maps",
    cases: ["code"],
    pair: "twins",
    kind: "map",
    reason: /no such file|ENOENT/,
    by: "path",
    prepare: ({ sides: [, b] }) => Deno.removeSync(`${b.path}/code`),
  },
  {
    promise: "a working directory that the target lacks is refused",
    victim: "places",
    cases: ["cwd"],
    pair: "twins",
    kind: "cwd",
    reason: /no such file|ENOENT/,
    prepare: ({ sides: [, b] }) => Deno.removeSync(`${b.path}/work`, { recursive: true }),
  },
];

for (const one of cases) {
  await swapTest(one.promise, one.pair ?? "same", async (sandbox, pair) => {
    const [a, b] = pair.sides;
    const victim = await startVictim(sandbox, pair, one);
    await pair.mirror(a, b);
    using _untilTheEnd = one.prepare?.(pair) ?? null;
    const before = snapshot(victim.pids, pair);
    const [report] = await runSwap({ source: a.path, target: b.path, ...one.order });
    assert(report !== undefined && !report.ok, "it was moved");
    checkObstacle(one, victim, report.obstacles);
    const after = snapshot(victim.pids, pair);
    assertUnchanged(before, after);
    assertEquals(after.references, before.references, "what is on which mount");
    await victim.check("after the refusal");
    await victim.end();
  }, one.needs);
}

function checkObstacle(
  one: RefusedCase,
  victim: Victim,
  obstacles: Extract<Awaited<ReturnType<typeof runSwap>>[number], { ok: false }>["obstacles"],
): void {
  const found = obstacles.find(({ kind, reason }) => kind === one.kind && one.reason.test(reason));
  assert(found !== undefined, `nothing of kind ${one.kind}, ${one.reason}: ${JSON.stringify(obstacles)}`);
  assert(victim.pids.includes(found.pid), `process ${found.pid} is none of ${victim.pids}`);
  assertMatch(found.comm, /./);
  if (one.by !== undefined) assert(found[one.by] !== undefined, `no ${one.by}: ${JSON.stringify(found)}`);
}
