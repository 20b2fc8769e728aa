/** Stub mode: everything waits, nobody sees a wrong answer, and what must never wait does not. */
import { assert, assertEquals } from "@std/assert";
import {
  FALLOC_FL_KEEP_SIZE,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  RENAME_EXCHANGE,
  S_IFIFO,
  SEEK_DATA,
} from "../../ffi/sys/constants.ts";
import { type Agent, data } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { directory, file, type StubMount, within } from "../support/fuse/stub_mount.ts";

/**
 * A call that is made in stub mode: what is prepared before, the request that waits, and what the call gives in the end. Before some
 * operations the kernel asks for security.capability, or for attributes: which ones depends on its version.
 */
interface Waiting {
  readonly operation: string;
  readonly prepare?: (agent: Agent, at: (name: string) => string) => Promise<number>;
  readonly call: (agent: Agent, at: (name: string) => string, fd: number) => Promise<unknown>;
  readonly gives: unknown;
}

const openFile = (agent: Agent, at: (name: string) => string) => agent.number("open", at("f"), O_RDWR);
const openDirectory = (agent: Agent, at: (name: string) => string) =>
  agent.number("open", at("d"), O_RDONLY | O_DIRECTORY);
const FS_IOC_GETVERSION = 0x80087601;

/** In restore mode no names are cached: what has one is looked up first. */
const afterRestore: Record<string, Waiting> = {
  "stat": { operation: "LOOKUP", call: async (a, at) => (await a.stat("stat", at("f"))).size, gives: 8 },
  "fstat": {
    operation: "GETATTR",
    prepare: openFile,
    call: async (a, _, fd) => (await a.stat("fstat", fd)).size,
    gives: 8,
  },
  "read": {
    operation: "GETATTR|READ",
    prepare: openFile,
    call: (a, _, fd) => a.text("read", fd, 100),
    gives: "realdata",
  },
  "write": {
    operation: "GETXATTR|WRITE",
    prepare: openFile,
    call: (a, _, fd) => a.number("write", fd, data("RE")),
    gives: 2,
  },
  "ftruncate": {
    operation: "GETXATTR|SETATTR",
    prepare: openFile,
    call: (a, _, fd) => a.errno("ftruncate", fd, 2),
    gives: "0",
  },
  "fallocate": {
    operation: "GETXATTR|FALLOCATE",
    prepare: openFile,
    call: (a, _, fd) => a.errno("fallocate", fd, FALLOC_FL_KEEP_SIZE, 0, 4096),
    gives: "0",
  },
  "lseek": {
    operation: "LSEEK",
    prepare: openFile,
    call: (a, _, fd) => a.number("lseek", fd, 0, SEEK_DATA),
    gives: 0,
  },
  "fsync": { operation: "FSYNC", prepare: openFile, call: (a, _, fd) => a.errno("fsync", fd), gives: "0" },
  "fsync of a directory": {
    operation: "FSYNCDIR",
    prepare: openDirectory,
    call: (a, _, fd) => a.errno("fsync", fd),
    gives: "0",
  },
  "poll": { operation: "POLL", prepare: openFile, call: (a, _, fd) => a.number("poll", fd, 1), gives: 1 },
  "ioctl": {
    operation: "IOCTL",
    prepare: openFile,
    call: async (a, _, fd) =>
      ["0", "ENOTTY", "EOPNOTSUPP"].includes(await a.errno("ioctl", fd, FS_IOC_GETVERSION)),
    gives: true,
  },
  "copy_file_range": {
    operation: "GETXATTR|COPY_FILE_RANGE",
    prepare: openFile,
    call: (a, _, fd) => a.number("copy", fd, 0, fd, 8, 4),
    gives: 4,
  },
  "a page of a mapping": {
    operation: "READ",
    prepare: async (a, at) => await a.number("mmap", 4096, 1, 2, await openFile(a, at), 0),
    call: (a, _, address) => a.text("peek", address, 8),
    gives: "realdata",
  },
  "a listing": {
    operation: "READDIRPLUS|READDIR",
    prepare: openDirectory,
    call: async (a, _, fd) => (await a.list(fd)).join(),
    gives: "inside",
  },
  "statfs": { operation: "LOOKUP", call: (a, at) => a.errno("statfs", at("f")), gives: "0" },
  "chdir": { operation: "LOOKUP", call: (a, at) => a.errno("chdir", at("d")), gives: "0" },
};

/** After proxy mode with long caching names are known, and the operation itself waits. */
const afterProxy: Record<string, Waiting> = {
  "open": { operation: "OPEN", call: (a, at) => a.errno("open", at("f"), O_RDONLY), gives: "0" },
  "opendir": {
    operation: "OPENDIR",
    call: (a, at) => a.errno("open", at("d"), O_RDONLY | O_DIRECTORY),
    gives: "0",
  },
  "create": {
    operation: "LOOKUP",
    call: (a, at) => a.errno("open", at("new"), O_RDWR | O_CREAT, 0o600),
    gives: "0",
  },
  "O_TMPFILE": {
    operation: "TMPFILE",
    call: (a, at) => a.errno("open", at("d"), O_RDWR | O_TMPFILE, 0o600),
    gives: "0",
  },
  "readlink": { operation: "READLINK", call: (a, at) => a.text("readlink", at("l")), gives: "target" },
  "mkdir": { operation: "LOOKUP", call: (a, at) => a.errno("mkdir", at("made"), 0o755), gives: "0" },
  "mknod": {
    operation: "LOOKUP",
    call: (a, at) => a.errno("mknod", at("fifo"), S_IFIFO | 0o600, 0, 0),
    gives: "0",
  },
  "symlink": { operation: "LOOKUP", call: (a, at) => a.errno("symlink", "x", at("made")), gives: "0" },
  "link": { operation: "LOOKUP", call: (a, at) => a.errno("link", at("f"), at("made")), gives: "0" },
  "unlink": { operation: "UNLINK", call: (a, at) => a.errno("unlink", at("f")), gives: "0" },
  "rmdir": { operation: "RMDIR", call: (a, at) => a.errno("rmdir", at("empty")), gives: "0" },
  "rename": { operation: "LOOKUP", call: (a, at) => a.errno("rename", at("f"), at("made"), 0), gives: "0" },
  "exchange": {
    operation: "RENAME2",
    call: (a, at) => a.errno("rename", at("f"), at("empty"), RENAME_EXCHANGE),
    gives: "0",
  },
  "chmod": { operation: "SETATTR", call: (a, at) => a.errno("chmod", at("f"), 0o600), gives: "0" },
  "chown": { operation: "GETXATTR|SETATTR", call: (a, at) => a.errno("chown", at("f"), 1, 1), gives: "0" },
  "utimensat": { operation: "SETATTR", call: (a, at) => a.errno("utimens", at("f"), 1, 1, 1, 1), gives: "0" },
  "truncate": { operation: "GETXATTR|SETATTR", call: (a, at) => a.errno("truncate", at("f"), 1), gives: "0" },
  "setxattr": {
    operation: "SETXATTR",
    call: (a, at) => a.errno("setxattr", at("f"), "user.a", "00", 0),
    gives: "0",
  },
  "getxattr": {
    operation: "GETXATTR",
    call: (a, at) => a.errno("getxattr", at("f"), "user.b", 9),
    gives: "ENODATA",
  },
  "listxattr": { operation: "LISTXATTR", call: (a, at) => a.text("listxattr", at("f")), gives: "" },
  "removexattr": {
    operation: "REMOVEXATTR",
    call: (a, at) => a.errno("removexattr", at("f"), "user.b"),
    gives: "ENODATA",
  },
  "statfs": { operation: "STATFS", call: (a, at) => a.errno("statfs", at("f")), gives: "0" },
  "an unknown name": { operation: "LOOKUP", call: (a, at) => a.errno("stat", at("none")), gives: "ENOENT" },
};

/** Makes the calls of a table, one directory and one process each; all wait at once; then all are released. */
async function allWait(mount: StubMount, calls: Record<string, Waiting>, release: () => Promise<unknown>) {
  const names = Object.keys(calls);
  const made = new Map<string, { agent: Agent; at: (name: string) => string; prepared: number }>();
  for (const [index, name] of names.entries()) {
    const agent = mount.agent();
    const at = (file: string) => mount.path(`case-${index}/${file}`);
    if (calls === afterProxy) {
      for (const known of ["f", "d", "l", "empty"]) await agent.stat("lstat", at(known));
    }
    made.set(name, { agent, at, prepared: await calls[name]!.prepare?.(agent, at) ?? 0 });
  }
  await mount.stub();
  const results = new Map<string, Promise<unknown>>();
  const settled: string[] = [];
  const waitsAt: Record<string, string> = {};
  let before: Record<string, number> = {};
  for (const name of names) {
    const { agent, at, prepared } = made.get(name)!;
    results.set(name, calls[name]!.call(agent, at, prepared).finally(() => settled.push(name)));
    const { parked: { byOp } } = await mount.parked(results.size);
    waitsAt[name] = Object.keys(byOp).filter((operation) => byOp[operation] !== before[operation]).join();
    before = byOp;
  }
  const wrong = names.filter((name) => !calls[name]!.operation.split("|").includes(waitsAt[name]!));
  assertEquals(wrong.map((name) => `${name} waits at ${waitsAt[name]}`), []);
  assertEquals(settled, [], "answered in stub mode");
  await release();
  for (const name of names) assertEquals(await within(results.get(name)!, name), calls[name]!.gives, name);
  assertEquals((await mount.inspect()).parked.count, 0);
}

async function fill(base: string, cases: number): Promise<void> {
  for (let index = 0; index < cases; index++) {
    const at = `${base}/case-${index}`;
    await Deno.mkdir(`${at}/d`, { recursive: true });
    await Deno.mkdir(`${at}/empty`);
    await Deno.writeTextFile(`${at}/f`, "realdata");
    await Deno.writeTextFile(`${at}/d/inside`, "");
    await Deno.symlink("target", `${at}/l`);
  }
}

fuseTest(
  "stub: after restore mode every call waits, and then gives what the real file system has",
  async (mount) => {
    const cases = Object.keys(afterRestore).length;
    for (let index = 0; index < cases; index++) {
      await mount.populate(file(`case-${index}/f`, 8), directory(`case-${index}/d`));
    }
    await fill(mount.real, cases);
    await allWait(mount, afterRestore, () => mount.proxy(mount.real));
  },
);

fuseTest(
  "stub: after proxy mode every call waits, and then gives what the real file system has",
  async (mount) => {
    await fill(mount.real, Object.keys(afterProxy).length);
    await mount.proxy(mount.real);
    await allWait(mount, afterProxy, () => mount.proxy());
  },
  { attrTimeoutMs: 600_000 },
);

fuseTest("stub: looking at the mountpoint never waits and tells its last attributes", async (mount) => {
  const agent = mount.agent();
  await agent.call("chmod", mount.mountpoint, 0o711);
  await agent.call("chown", mount.mountpoint, 3, 4);
  await mount.stub();
  for (const command of ["stat", "birth"] as const) {
    const { mode, uid, gid } = await agent.stat(command, mount.mountpoint);
    assertEquals([mode, uid, gid], ["40711", 3, 4], command);
  }
  await mount.shell("ls -la $B; ls -ld $M; test -d $M; find $B -maxdepth 1 -ls; cd $M");
  assertEquals((await mount.inspect()).parked.count, 0);
}, { root: { mode: 0o755, uid: 1, gid: 2 } });

fuseTest("stub: a mount that begins in stub mode tells the root it was made with", async (mount) => {
  const { mode, uid, gid } = await mount.agent().stat("stat", mount.mountpoint);
  assertEquals([mode, uid, gid], ["41770", 7, 8]);
}, { mode: "stub", root: { mode: 0o1770, uid: 7, gid: 8 } });

fuseTest("stub: closing and exiting never wait", async (mount) => {
  await mount.populate(file("f", 4096), directory("d"));
  const closer = mount.agent();
  const exiter = mount.agent();
  const killed = mount.agent();
  let closing = 0;
  for (const agent of [closer, exiter, killed]) {
    const fd = await agent.number("open", mount.path("f"), O_RDWR);
    await agent.call("write", fd, data("x"));
    await agent.call("open", mount.path("d"), O_RDONLY | O_DIRECTORY);
    const address = await agent.number("mmap", 4096, 3, 1, fd, 0);
    await agent.call("poke", address, data("dirty"));
    closing = fd;
  }
  await mount.stub();
  await within(closer.call("close", closing), "close", 1000);
  await within(Promise.allSettled([exiter.call("exit", 0), exiter.status]), "exit", 1000);
  assertEquals((await exiter.status).code, 0);
  killed.kill("SIGKILL");
  await within(killed.status, "the end after SIGKILL", 1000);
  // The mapping and the directory of the first process are what is left.
  await mount.until((state) => state.handles === 2);
  assertEquals((await mount.inspect()).parked.count, 0);
});

fuseTest("stub: a parked lookup blocks no other lookup in the same directory", async (mount) => {
  await mount.stub();
  const waiters = Array.from({ length: 8 }, () => mount.agent());
  const found = waiters.map((agent, index) => agent.errno("stat", mount.path(`name-${index}`)));
  const { parked } = await mount.parked(8);
  assertEquals(parked.byOp, { LOOKUP: 8 });
  for (let index = 0; index < 4; index++) await Deno.writeTextFile(`${mount.real}/name-${index}`, "");
  await mount.proxy(mount.real);
  assertEquals(await Promise.all(found), ["0", "0", "0", "0", "ENOENT", "ENOENT", "ENOENT", "ENOENT"]);
});

for (const operation of ["stat", "open", "read"]) {
  fuseTest(`stub: of 6000 threads in ${operation}, all wait, none fails`, async (mount) => {
    await mount.populate(file("f", 4096 * 6000));
    await Deno.writeFile(`${mount.real}/f`, new Uint8Array(4096 * 6000));
    const agent = mount.agent();
    await agent.stat("stat", mount.path("f")); // known: else one of them looks it up, and the kernel lets the others wait for that
    await mount.stub();
    const size = await agent.number("crowd", 6000, operation, mount.path("f"));
    await mount.parked(size);
    assertEquals(await agent.number("done"), 0);
    const { waited } = await mount.proxy(mount.real);
    assert(waited >= size);
    assertEquals(await agent.call("joined"), `0=${size}`);
  });
}

fuseTest("stub: what is parked is told: operation, process, path and age", async (mount) => {
  await mount.populate(file("a/b", 10));
  const agent = mount.agent();
  const fd = await agent.number("open", mount.path("a/b"), O_RDONLY);
  await mount.stub();
  const waiting = agent.errno("fsync", fd);
  const { parked, requests, mode } = await mount.parked(1);
  assertEquals([mode, parked.byOp, parked.count], ["stub", { FSYNC: 1 }, 1]);
  const { op, pid, path, ageMs, interrupted } = requests[0]!;
  assertEquals([op, pid, new TextDecoder().decode(path), interrupted], ["FSYNC", agent.pid, "/a/b", false]);
  assert(ageMs >= 0 && ageMs < 20_000 && parked.oldestMs >= ageMs);
  await mount.call("abort", { type: "abort", errno: 5 });
  assertEquals(await waiting, "EIO");
});

fuseTest("stub: abort answers what waits with the errno and ends the mount", async (mount) => {
  await mount.populate(file("f", 10));
  await mount.stub();
  const agents = [mount.agent(), mount.agent()];
  const waiting = agents.map((agent, index) => agent.errno("stat", mount.path(`f${index}`)));
  await mount.parked(2);
  const { answered } = await mount.call("abort", { type: "abort", errno: 110 });
  assertEquals(answered, 2);
  assertEquals(await Promise.all(waiting), ["ETIMEDOUT", "ETIMEDOUT"]);
  assertEquals(await within(mount.gone, "the end"), "aborted");
  assertEquals(await agents[0]!.errno("stat", mount.path("f")), "ENOENT", "the bare mountpoint");
});

fuseTest(
  "stub: after proxy mode, too, closing and exiting never wait, and dirty pages are not lost",
  async (mount) => {
    await Deno.writeFile(`${mount.real}/f`, new Uint8Array(8192));
    await mount.proxy(mount.real);
    const [closer, exiter] = [mount.agent(), mount.agent()];
    const opened: number[] = [];
    for (const [index, agent] of [closer, exiter].entries()) {
      const fd = await agent.number("open", mount.path("f"), O_RDWR);
      const address = await agent.number("mmap", 8192, 3, 1, fd, 0);
      await agent.call("poke", address + index * 4096, data(`dirty${index}`));
      opened.push(fd);
    }
    await mount.stub();
    await within(closer.call("close", opened[0]!), "close", 2000);
    await within(Promise.allSettled([exiter.call("exit", 0), exiter.status]), "exit", 2000);
    await mount.proxy();
    await closer.call("exit", 0).catch(() => {});
    await mount.until((state) => state.handles === 0);
    const written = await Deno.readTextFile(`${mount.real}/f`);
    assertEquals([written.slice(0, 7), written.slice(4096, 4103)], ["dirty0\0", "dirty1\0"]);
  },
);
