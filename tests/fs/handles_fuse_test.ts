/** Open files over a change from the placeholder to the real file system. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  RENAME_EXCHANGE,
  S_IFIFO,
} from "../../ffi/sys/constants.ts";
import { type Agent, data, entryNames } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { directory, file, type StubMount, WorkerFailure } from "../support/fuse/stub_mount.ts";

const text = (path: string) => Deno.readTextFileSync(path);

/** To stub mode and, as the real file system has come, on to proxy mode. */
async function arrive(mount: StubMount): Promise<void> {
  await mount.stub();
  await mount.proxy(mount.real);
}

fuseTest("handles: one opened with O_TRUNC does not truncate the real file", async (mount) => {
  await mount.populate(file("f", 8));
  const agent = mount.agent();
  const fd = await agent.number("open", mount.path("f"), O_RDWR | O_CREAT | O_TRUNC, 0o644);
  await agent.call("ftruncate", fd, 8);
  await Deno.writeTextFile(`${mount.real}/f`, "precious");
  await arrive(mount);
  assertEquals(await agent.text("pread", fd, 100, 0), "precious");
  assertEquals(text(`${mount.real}/f`), "precious");
});

fuseTest("handles: one opened with O_CREAT and O_EXCL finds the file that is there", async (mount) => {
  const agent = mount.agent();
  const fd = await agent.number("open", mount.path("f"), O_RDWR | O_CREAT | O_EXCL, 0o600);
  await Deno.writeTextFile(`${mount.real}/f`, "there");
  await arrive(mount);
  assertEquals(await agent.text("pread", fd, 100, 0), "there");
  await agent.call("pwrite", fd, data("THERE!"), 0);
  assertEquals(text(`${mount.real}/f`), "THERE!");
});

fuseTest("handles: positions, access and appending are kept", async (mount) => {
  await mount.populate(file("f", 10), file("log", 4));
  const agent = mount.agent();
  const reader = await agent.number("open", mount.path("f"), O_RDONLY);
  const writer = await agent.number("open", mount.path("f"), O_WRONLY);
  const both = await agent.number("dup", reader);
  const log = await agent.number("open", mount.path("log"), O_WRONLY | O_APPEND);
  assertEquals(await agent.bytes("read", reader, 4), new Uint8Array(4));
  await agent.call("lseek", writer, 8, 0);
  await Deno.writeTextFile(`${mount.real}/f`, "0123456789");
  await Deno.writeTextFile(`${mount.real}/log`, "old\n");
  await arrive(mount);
  assertEquals(await agent.text("read", both, 3), "456");
  assertEquals(await agent.text("read", reader, 10), "789");
  await agent.call("write", writer, data("EF"));
  assertEquals(await agent.errno("write", reader, data("x")), "EBADF");
  assertEquals(await agent.errno("read", writer, 1), "EBADF");
  await Deno.writeTextFile(`${mount.real}/log`, "by another\n", { append: true });
  await agent.call("write", log, data("new\n"));
  assertEquals([text(`${mount.real}/f`), text(`${mount.real}/log`)], [
    "01234567EF",
    "old\nby another\nnew\n",
  ]);
});

fuseTest(
  "handles: the real file is told: inode, size, owner, times; its node stays one and the same",
  async (mount) => {
    await mount.populate(
      file("d/f", 10),
      { ...file("d/g", 0), type: "link", target: bytesOf("d/f") } as never,
    );
    const agent = mount.agent();
    const fd = await agent.number("open", mount.path("d/f"), O_RDONLY);
    await Deno.mkdir(`${mount.real}/d`);
    await Deno.writeTextFile(`${mount.real}/d/f`, "0123456789abc");
    await Deno.link(`${mount.real}/d/f`, `${mount.real}/d/g`);
    await Deno.chown(`${mount.real}/d/f`, 5, 6);
    const { ino } = Deno.statSync(`${mount.real}/d/f`);
    await arrive(mount);
    const nodes = (await mount.inspect()).nodes;
    for (const at of ["d/f", "d/g"]) {
      const stat = await agent.stat("stat", mount.path(at));
      assertEquals([stat.ino, stat.size, stat.uid, stat.gid, stat.nlink], [ino, 13, 5, 6, 2], at);
    }
    assertEquals((await agent.stat("fstat", fd)).ino, ino);
    assertEquals((await mount.inspect()).nodes, nodes, "known nodes were found again");
  },
);

const bytesOf = (name: string) => new TextEncoder().encode(name);

fuseTest(
  "handles: a file that is not on the real file system: refused, nothing changed, all still wait",
  async (mount) => {
    await mount.populate(file("here", 4), file("d/missing", 4));
    const agent = mount.agent();
    const here = await agent.number("open", mount.path("here"), O_RDONLY);
    const missing = await agent.number("open", mount.path("d/missing"), O_RDONLY);
    await Deno.writeTextFile(`${mount.real}/here`, "here");
    await mount.stub();
    const before = await mount.descriptors();
    const waiting = agent.text("pread", here, 4, 0);
    await mount.parked(1);
    const { error } = await assertRejects(() => mount.proxy(mount.real), WorkerFailure);
    assertEquals([error.kind, error.errno, error.rolledBack], ["system", "ENOENT", true]);
    assertEquals(new TextDecoder().decode(error.path), "/d/missing");
    assert(error.message.includes("/d/missing"), error.message);
    const state = await mount.inspect();
    assertEquals([state.mode, state.parked.count, state.handles], ["stub", 1, 2]);
    assertEquals((await mount.descriptors()).size, before.size, "descriptors of the failed attempt");
    assertEquals([...Deno.readDirSync(mount.real)].length, 1);
    await Deno.mkdir(`${mount.real}/d`);
    await Deno.writeTextFile(`${mount.real}/d/missing`, "came");
    await mount.proxy(mount.real);
    assertEquals(await waiting, "here");
    assertEquals(await agent.text("pread", missing, 10, 0), "came");
  },
);

fuseTest("handles: a file of another type on the real file system is refused", async (mount) => {
  await mount.populate(file("f", 4), directory("d"));
  const agent = mount.agent();
  await agent.call("open", mount.path("f"), O_RDONLY);
  await mount.shell("mkfifo $R/f; mkdir $R/d");
  await mount.stub();
  const { error } = await assertRejects(() => mount.proxy(mount.real), WorkerFailure);
  assertEquals(error.errno, "ESTALE");
  assertEquals((await mount.inspect()).mode, "stub");
});

fuseTest("handles: a symbolic link on the way is not followed", async (mount) => {
  await mount.populate(file("d/f", 4));
  await mount.agent().call("open", mount.path("d/f"), O_RDONLY);
  await Deno.mkdir(`${mount.base}/elsewhere`);
  await Deno.writeTextFile(`${mount.base}/elsewhere/f`, "evil");
  await Deno.symlink(`${mount.base}/elsewhere`, `${mount.real}/d`);
  await mount.stub();
  const { error } = await assertRejects(() => mount.proxy(mount.real), WorkerFailure);
  assertEquals(error.errno, "ENOTDIR");
});

fuseTest("handles: files and directories that were renamed are found by their new names", async (mount) => {
  await mount.populate(file("a", 4), file("d/e/f", 4), file("x", 4), file("y", 4));
  const agent = mount.agent();
  const fds: number[] = [];
  for (const name of ["a", "d/e/f", "x", "y"]) {
    fds.push(await agent.number("open", mount.path(name), O_RDONLY));
  }
  await agent.call("rename", mount.path("a"), mount.path("b"), 0);
  await agent.call("rename", mount.path("d"), mount.path("moved"), 0);
  await agent.call("rename", mount.path("x"), mount.path("y"), RENAME_EXCHANGE);
  await mount.shell(
    "cd $R; mkdir -p moved/e; echo b > b; echo f > moved/e/f; echo was-x > y; echo was-y > x",
  );
  await arrive(mount);
  const contents = [];
  for (const fd of fds) contents.push(await agent.text("pread", fd, 100, 0));
  assertEquals(contents, ["b\n", "f\n", "was-x\n", "was-y\n"]);
});

fuseTest(
  "handles: unlinked files go along: data, holes, mode, owner and times; handles share one file",
  async (mount) => {
    const agent = mount.agent();
    const other = mount.agent();
    const path = mount.path("ghost");
    const fd = await agent.number("open", path, O_RDWR | O_CREAT, 0o600);
    const second = await other.number("open", path, O_RDONLY);
    await agent.call("pwrite", fd, data("head"), 0);
    await agent.call("pwrite", fd, data("tail"), 8 << 20);
    await agent.call("ftruncate", fd, 16 << 20);
    await agent.call("chown", path, 1234, 4321);
    await agent.call("chmod", path, 0o6751);
    await agent.call("utimens", path, 111, 222, 333, 444);
    await agent.call("unlink", path);
    const temporary = await agent.number("open", mount.mountpoint, O_RDWR | O_TMPFILE, 0o640);
    await agent.call("write", temporary, data("temporary"));
    await arrive(mount);
    assertEquals([...Deno.readDirSync(mount.real)], []);
    const stat = await agent.stat("fstat", fd);
    assertEquals(
      [stat.mode, stat.uid, stat.gid, stat.atime, stat.mtime, stat.nlink, stat.size],
      ["106751", 1234, 4321, "111.000000222", "333.000000444", 0, 16 << 20],
    );
    assert(stat.blocks > 0 && stat.blocks < 64, `${stat.blocks} blocks: holes must stay holes`);
    assertEquals(await agent.text("pread", fd, 5, 0), "head\0");
    assertEquals(await other.text("pread", second, 6, (8 << 20) - 1), "\0tail\0");
    await agent.call("pwrite", fd, data("HEAD"), 0);
    assertEquals(await other.text("pread", second, 4, 0), "HEAD");
    assertEquals(await agent.text("pread", temporary, 100, 0), "temporary");
    await agent.call("linkfd", temporary, mount.path("named"));
    await agent.call("write", temporary, data(" no more"));
    assertEquals(text(`${mount.real}/named`), "temporary no more");
    assertEquals(
      (await agent.stat("stat", mount.path("named"))).ino,
      (await agent.stat("fstat", temporary)).ino,
    );
    assertEquals(
      await other.text("pread", await other.number("open", mount.path("named"), O_RDONLY), 100, 0),
      "temporary no more",
    );
  },
);

fuseTest(
  "handles: a file that was replaced by rename goes along, its successor is the real one",
  async (mount) => {
    await mount.populate(file("f", 3));
    const agent = mount.agent();
    const ghost = await agent.number("open", mount.path("g"), O_RDWR | O_CREAT, 0o600);
    await agent.call("write", ghost, data("ghost"));
    const successor = await agent.number("open", mount.path("f"), O_RDWR);
    await agent.call("rename", mount.path("f"), mount.path("g"), 0);
    await Deno.writeTextFile(`${mount.real}/g`, "real");
    await arrive(mount);
    assertEquals(await agent.text("pread", ghost, 10, 0), "ghost");
    assertEquals(await agent.text("pread", successor, 10, 0), "real");
  },
);

fuseTest("handles: an unlinked directory goes along", async (mount) => {
  const agent = mount.agent();
  await agent.call("mkdir", mount.path("d"), 0o700);
  const fd = await agent.number("open", mount.path("d"), O_RDONLY | O_DIRECTORY);
  await agent.call("rmdir", mount.path("d"));
  await arrive(mount);
  assertEquals((await agent.stat("fstat", fd)).mode, "40700");
  assertEquals(await agent.errno("getdents", fd, 4096), "ENOENT"); // as of any directory that was removed
  assertEquals([...Deno.readDirSync(mount.real)], []);
});

fuseTest(
  "handles: of an unlinked file with another link, and of CRIU's link_remap files, the real one is found",
  async (mount) => {
    // What CRIU does for an open file whose name is gone while the inode has others: link, open, unlink, and later unlink the remap.
    await mount.populate({ ...file("link_remap.7", 9), mode: 0o600 } as never, file("a", 4), {
      type: "link",
      path: bytesOf("b"),
      target: bytesOf("a"),
    });
    const agent = mount.agent();
    await agent.call("link", mount.path("link_remap.7"), mount.path("gone"));
    const remap = await agent.number("open", mount.path("gone"), O_RDWR);
    await agent.call("unlink", mount.path("gone"));
    await agent.call("unlink", mount.path("link_remap.7"));
    const linked = await agent.number("open", mount.path("a"), O_RDONLY);
    await agent.call("unlink", mount.path("a"));
    await mount.shell("cd $R; echo the-remap > link_remap.7; ln link_remap.7 other; echo ab > a; ln a b");
    await arrive(mount);
    assertEquals(await agent.text("pread", remap, 100, 0), "the-remap\n");
    assertEquals(await agent.text("pread", linked, 100, 0), "ab\n");
    await agent.call("pwrite", remap, data("THE"), 0);
    assertEquals(text(`${mount.real}/other`), "THE-remap\n");
    // CRIU unlinked its remap, so it is unlinked here; "a" was unlinked by somebody else, who has no business here.
    assertEquals([...Deno.readDirSync(mount.real)].map(({ name }) => name).sort(), ["a", "b", "other"]);
  },
);

fuseTest("handles: an unlinked file that tells the real one's name is that one", async (mount) => {
  const agent = mount.agent();
  const open = async (name: string, real: string) => {
    const fd = await agent.number("open", mount.path(name), O_RDWR | O_CREAT, 0o600);
    await agent.call("setxattr", mount.path(name), bytesOf("security.spfs.link_remap"), data(real), 0);
    await agent.call("unlink", mount.path(name));
    return fd;
  };
  const remap = await open("one", "/d/link_remap.3");
  const other = await open("two", "d/kept-À");
  await mount.shell("mkdir $R/d; echo the-remap > $R/d/link_remap.3; echo the-other > $R/d/kept-À");
  await arrive(mount);
  assertEquals(await agent.text("pread", remap, 100, 0), "the-remap\n");
  assertEquals(await agent.text("pread", other, 100, 0), "the-other\n");
  assertEquals([...Deno.readDirSync(`${mount.real}/d`)].map(({ name }) => name), ["kept-À"]);
});

for (const [what, prepare] of [["ext4 or the like", ""], ["tmpfs", "mount -t tmpfs spfs-real $R"]] as const) {
  fuseTest(`handles: a listing under way ends with every name exactly once (on ${what})`, async (mount) => {
    const names = Array.from({ length: 200 }, (_, index) => `entry-number-${index}`);
    await mount.populate(...names.slice(0, 150).map((name) => file(`d/${name}`, 0)));
    const agent = mount.agent();
    const fd = await agent.number("open", mount.path("d"), O_RDONLY | O_DIRECTORY);
    const untouched = await agent.number("open", mount.path("d"), O_RDONLY | O_DIRECTORY);
    const seen = entryNames(await agent.call("getdents", fd, 1000));
    assert(seen.length > 5 && seen.length < 100);
    const first = entryNames(await agent.call("getdents", fd, 1000));
    seen.push(...first);
    if (prepare !== "") await mount.shell(prepare);
    try {
      await mount.shell(`mkdir $R/d; cd $R/d; touch ${names.join(" ")}`);
      await arrive(mount);
      seen.push(...await agent.list(fd));
      assertEquals(seen.filter((name) => !name.startsWith(".")).sort(), names.toSorted());
      assertEquals((await agent.list(untouched)).sort(), names.toSorted());
      await agent.call("lseek", fd, 0, 0);
      assertEquals((await agent.list(fd)).sort(), names.toSorted(), "after rewinddir");
    } finally {
      if (prepare !== "") await mount.shell("umount -l $R");
    }
  });
}

fuseTest("handles: between proxy and stub mode they go on, as does a listing", async (mount) => {
  await mount.shell("cd $R; mkdir d; touch d/file-{1..100}; echo content > f");
  await mount.proxy(mount.real);
  const agent = mount.agent();
  const fd = await agent.number("open", mount.path("f"), O_RDWR);
  const list = await agent.number("open", mount.path("d"), O_RDONLY | O_DIRECTORY);
  const seen = entryNames(await agent.call("getdents", list, 1000));
  const ghost = await agent.number("open", mount.path("ghost"), O_RDWR | O_CREAT, 0o600);
  await agent.call("write", ghost, data("boo"));
  await agent.call("unlink", mount.path("ghost"));
  for (let round = 0; round < 3; round++) {
    await mount.stub();
    const waiting = agent.errno("fsync", fd);
    await mount.parked(1);
    await mount.proxy();
    assertEquals(await waiting, "0");
    assertEquals(await agent.text("pread", fd, 100, 0), "content\n");
  }
  seen.push(...await agent.list(list));
  const names = seen.filter((name) => !name.startsWith("."));
  assertEquals([names.length, new Set(names).size], [100, 100]);
  assertEquals(await agent.text("pread", ghost, 100, 0), "boo");
  const { error } = await assertRejects(() => mount.restore(), WorkerFailure);
  assertEquals(error.kind, "wrong_mode");
});

fuseTest("handles: restore to stub and back keeps the placeholder", async (mount) => {
  await mount.populate(file("f", 4));
  const agent = mount.agent();
  const fd = await agent.number("open", mount.path("f"), O_RDWR);
  await agent.call("write", fd, data("data"));
  await mount.stub();
  const waiting = agent.text("pread", fd, 100, 0);
  await mount.parked(1);
  await mount.restore();
  assertEquals(await waiting, "data");
  const { error } = await assertRejects(() => mount.proxy(), WorkerFailure);
  assertEquals(error.kind, "wrong_mode");
  assertEquals((await mount.inspect()).mode, "restore");
});

fuseTest("handles: what the kernel keeps goes on: working directory, FIFO, locks", async (mount) => {
  await mount.populate(
    { ...file("fifo", 0), type: "fifo" } as never,
    directory("d/e"),
    file("locked", 4),
  );
  const [agent, other]: [Agent, Agent] = [mount.agent(), mount.agent()];
  await agent.call("chdir", mount.path("d/e"));
  const reader = await agent.number("open", mount.path("fifo"), O_RDWR);
  const locked = await agent.number("open", mount.path("locked"), O_RDWR);
  await agent.call("lock", locked, 1, 0, 0);
  await agent.call("mknod", mount.path("unlinked-fifo"), S_IFIFO | 0o600, 0, 0);
  const gone = await agent.number("open", mount.path("unlinked-fifo"), O_RDWR);
  await agent.call("unlink", mount.path("unlinked-fifo"));
  await mount.shell("cd $R; mkfifo fifo; mkdir -p d/e; echo here > d/e/f; echo lock > locked");
  await mount.shell(
    "python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' $R/sock",
  );
  await arrive(mount);
  assertEquals(await agent.text("pread", await agent.number("open", "f", O_RDONLY), 10, 0), "here\n");
  assertEquals(await agent.call("getcwd"), mount.path("d/e"));
  const writer = await other.number("open", mount.path("fifo"), O_RDWR);
  await other.call("write", writer, data("pipe"));
  assertEquals(await agent.text("read", reader, 10), "pipe");
  const again = await other.number("open", mount.path("locked"), O_RDWR);
  assertEquals(await other.errno("lock", again, 1, 0, 0), "EAGAIN");
  await agent.call("write", gone, data("x"));
  assertEquals((await agent.stat("fstat", gone)).mode, "10600");
});

fuseTest(
  "handles: what is open stays what it is when others rename it and put another in its place",
  async (mount) => {
    await mount.populate(file("log", 5), directory("d"));
    const agent = mount.agent();
    const log = await agent.number("open", mount.path("log"), O_RDWR);
    const d = await agent.number("open", mount.path("d"), O_RDONLY | O_DIRECTORY);
    await Deno.writeTextFile(`${mount.real}/log`, "first");
    await Deno.mkdir(`${mount.real}/d`);
    await Deno.writeTextFile(`${mount.real}/d/in`, "");
    await arrive(mount);
    await Deno.rename(`${mount.real}/log`, `${mount.real}/log.1`);
    await Deno.writeTextFile(`${mount.real}/log`, "the second", { mode: 0o644 });
    await Deno.rename(`${mount.real}/d`, `${mount.real}/d.1`);
    assertEquals((await agent.stat("fstat", log)).size, 5);
    await agent.call("ftruncate", log, 3);
    await agent.call("fchmod", log, 0o600);
    assertEquals(await agent.list(d), ["in"]);
    assertEquals([text(`${mount.real}/log.1`), text(`${mount.real}/log`)], ["fir", "the second"]);
    assertEquals(Deno.statSync(`${mount.real}/log`).mode! & 0o777, 0o644);
    assertEquals(Deno.statSync(`${mount.real}/log.1`).mode! & 0o777, 0o600);
  },
);
