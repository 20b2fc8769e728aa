/** Whose files they are, and who may do what: as if the callers worked on the real file system themselves. */
import { assertEquals } from "@std/assert";
import { O_CREAT, O_RDONLY, O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY, S_IFIFO } from "../../ffi/sys/constants.ts";
import { type Agent, data } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { directory, file, type StubMount } from "../support/fuse/stub_mount.ts";

type Case = (
  mount: StubMount,
  root: Agent,
  become: (uid: number, gid: number, ...groups: number[]) => Promise<Agent>,
) => Promise<void>;

const owner = async (agent: Agent, path: string) => {
  const { uid, gid, mode } = await agent.stat("lstat", path);
  return [uid, gid, mode];
};

const cases: Record<string, Case> = {
  async "what a user makes is the user's, with the mode that the user's umask leaves"(mount, root, become) {
    await root.call("chmod", mount.mountpoint, 0o1777);
    const user = await become(1000, 1001);
    for (const [umask, left] of [[0, "666"], [0o027, "640"], [0o777, "0"]] as const) {
      await user.call("umask", umask);
      const path = mount.path(`f${umask}`);
      await user.call("open", path, O_WRONLY | O_CREAT, 0o666);
      assertEquals(await owner(root, path), [1000, 1001, `100${left.padStart(3, "0")}`]);
    }
    await user.call("umask", 0o022);
    await user.call("mkdir", mount.path("d"), 0o777);
    await user.call("mknod", mount.path("fifo"), S_IFIFO | 0o666, 0, 0);
    await user.call("symlink", "x", mount.path("l"));
    const temporary = await user.number("open", mount.mountpoint, O_RDWR | O_TMPFILE, 0o666);
    await user.call("linkfd", temporary, mount.path("t"));
    assertEquals(await owner(root, mount.path("d")), [1000, 1001, "40755"]);
    assertEquals(await owner(root, mount.path("fifo")), [1000, 1001, "10644"]);
    assertEquals(await owner(root, mount.path("l")), [1000, 1001, "120777"]);
    assertEquals(await owner(root, mount.path("t")), [1000, 1001, "100644"]);
    assertEquals(await user.errno("mknod", mount.path("null"), 0o020666, 1, 3), "EPERM");
    await root.call("umask", 0);
    await root.call("mkdir", mount.path("roots"), 0o777);
    assertEquals(await owner(root, mount.path("roots")), [0, 0, "40777"]);
  },

  async "in a set-group-ID directory the group is the directory's, and is passed on"(mount, root, become) {
    await root.call("mkdir", mount.path("shared"), 0);
    await root.call("chown", mount.path("shared"), 0, 500);
    await root.call("chmod", mount.path("shared"), 0o2775);
    const user = await become(1000, 1001, 500);
    await user.call("open", mount.path("shared/f"), O_WRONLY | O_CREAT, 0o664);
    await user.call("mkdir", mount.path("shared/d"), 0o775);
    assertEquals(await owner(root, mount.path("shared/f")), [1000, 500, "100644"]);
    assertEquals(await owner(root, mount.path("shared/d")), [1000, 500, "42755"]);
    await user.call("mkdir", mount.path("shared/d/e"), 0o700);
    assertEquals(await owner(root, mount.path("shared/d/e")), [1000, 500, "42700"]);
  },

  async "supplementary groups count, and only the caller's own"(mount, root, become) {
    await root.call("mkdir", mount.path("team"), 0);
    await root.call("chown", mount.path("team"), 0, 501);
    await root.call("chmod", mount.path("team"), 0o770);
    const member = await become(1000, 1000, 7, 501, 9);
    const stranger = await become(1001, 1001, 7);
    await member.call("open", mount.path("team/f"), O_WRONLY | O_CREAT, 0o600);
    await member.call("rename", mount.path("team/f"), mount.path("team/g"), 0);
    assertEquals(await stranger.errno("open", mount.path("team/h"), O_WRONLY | O_CREAT, 0o600), "EACCES");
    assertEquals(await stranger.errno("stat", mount.path("team/g")), "EACCES");
    await root.call("open", mount.path("team/roots"), O_WRONLY | O_CREAT, 0o640);
    await root.call("chown", mount.path("team/roots"), 0, 501);
    await member.call("open", mount.path("team/roots"), O_RDONLY);
    assertEquals(await member.errno("open", mount.path("team/roots"), O_WRONLY), "EACCES");
    await member.call("chown", mount.path("team/g"), -1, 501); // to a group that one is in
    assertEquals(await member.errno("chown", mount.path("team/g"), -1, 502), "EPERM");
  },

  async "what is not allowed is refused: others' files, sticky directories, changes of mode and owner"(
    mount,
    root,
    become,
  ) {
    await root.call("chmod", mount.mountpoint, 0o1777);
    const [alice, bob] = [await become(1000, 1000), await become(1001, 1001)];
    const path = mount.path("alices");
    const fd = await alice.number("open", path, O_RDWR | O_CREAT, 0o600);
    for (const [command, ...words] of [["unlink", path], ["rename", path, mount.path("bobs"), 0]] as const) {
      assertEquals(await bob.errno(command, ...words), "EPERM", command);
    }
    for (const [command, ...words] of [["open", path, O_RDONLY], ["truncate", path, 0]] as const) {
      assertEquals(await bob.errno(command, ...words), "EACCES", command);
    }
    for (
      const [command, ...words] of [["chmod", path, 0o666], ["chown", path, 1001, -1], [
        "utimens",
        path,
        1,
        1,
        1,
        1,
      ]] as const
    ) {
      assertEquals(await bob.errno(command, ...words), "EPERM", command);
    }
    assertEquals(await alice.errno("chown", path, 1001, -1), "EPERM", "giving away");
    await alice.call("write", fd, data("mine"));
    await alice.call("chmod", path, 0);
    await alice.call("write", fd, data("!")); // what is open stays open
    assertEquals(await alice.errno("open", path, O_RDONLY), "EACCES");
    await root.call("open", path, O_RDWR);
  },

  async "writing to or truncating another's set-user-ID file clears the bit"(mount, root, become) {
    await root.call("chmod", mount.mountpoint, 0o777);
    const user = await become(1000, 1000);
    const ways: Record<string, (path: string) => Promise<unknown>> = {
      write: async (path) => user.call("write", await user.number("open", path, O_WRONLY), data("x")),
      truncate: (path) => user.call("truncate", path, 1),
      "O_TRUNC": (path) => user.call("open", path, O_WRONLY | O_TRUNC),
      fallocate: async (path) => user.call("fallocate", await user.number("open", path, O_WRONLY), 0, 0, 100),
    };
    for (const [name, act] of Object.entries(ways)) {
      const path = mount.path(name);
      await root.call("open", path, O_WRONLY | O_CREAT, 0o600);
      await root.call("chmod", path, 0o6777);
      await act(path);
      assertEquals((await root.stat("stat", path)).mode, "100777", name);
    }
  },
};

for (const mode of ["restore", "proxy"] as const) {
  for (const [name, run] of Object.entries(cases)) {
    fuseTest(`callers: ${mode} mode: ${name}`, async (mount) => {
      if (mode === "proxy") await mount.proxy(mount.real);
      const become = async (uid: number, gid: number, ...groups: number[]) => {
        const agent = mount.agent();
        await agent.call("umask", 0o022);
        await agent.call("become", uid, gid, ...groups);
        return agent;
      };
      await run(mount, mount.agent(), become);
    }, { attrTimeoutMs: 0 });
  }
}

fuseTest("callers: users' open files are opened again as theirs", async (mount) => {
  await mount.populate({ ...file("f", 4), mode: 0o600, uid: 1000, gid: 1000 } as never);
  const user = mount.agent();
  await user.call("become", 1000, 1000);
  const fd = await user.number("open", mount.path("f"), O_RDWR);
  const byRoot = await mount.agent().number("open", mount.path("f"), O_RDWR);
  await mount.shell("echo real > $R/f; chown 1000:1000 $R/f; chmod 600 $R/f");
  await mount.stub();
  await mount.proxy(mount.real);
  assertEquals(await user.text("pread", fd, 10, 0), "real\n");
  await user.call("pwrite", fd, data("R"), 0);
  assertEquals(byRoot >= 0, true);
});

fuseTest(
  "callers: a parked request is served as the one who made it, also when others were served before",
  async (mount) => {
    await mount.shell("chmod 777 $R; mkdir -m 777 $R/a $R/b $R/c");
    await mount.proxy(mount.real);
    const users = [];
    for (const [index, name] of ["a", "b", "c"].entries()) {
      const agent = mount.agent();
      await agent.call("become", 2000 + index, 3000 + index);
      await agent.stat("stat", mount.path(name));
      users.push({ agent, path: mount.path(`${name}/f`) });
    }
    await mount.stub();
    const made = users.map(({ agent, path }) => agent.errno("open", path, O_WRONLY | O_CREAT, 0o600));
    await mount.parked(3);
    await mount.proxy();
    assertEquals(await Promise.all(made), ["0", "0", "0"]);
    for (const [index, { path }] of users.entries()) {
      assertEquals((await owner(mount.agent(), path)).slice(0, 2), [2000 + index, 3000 + index]);
    }
  },
  { attrTimeoutMs: 600_000 },
);

// A server that squashes root lets it not pass a user's directory; a root without these capabilities is such.
fuseTest(
  "callers: where root is refused, open files are found and carried over as their owners",
  async (mount) => {
    const mine = { uid: 1000, gid: 1000 };
    await mount.populate(
      directory("home", { ...mine, mode: 0o777 }),
      file("home/f", 4, { ...mine, mode: 0o600 }),
    );
    const user = mount.agent();
    await user.call("become", 1000, 1000);
    const fd = await user.number("open", mount.path("home/f"), O_RDWR);
    const ghost = await user.number("open", mount.path("home/ghost"), O_RDWR | O_CREAT, 0o600);
    await user.call("pwrite", ghost, data("boo"), 0);
    await user.call("unlink", mount.path("home/ghost"));
    await mount.shell(
      "mkdir -m 700 $R/home; echo real > $R/home/f; chown -R 1000:1000 $R/home; chmod 600 $R/home/f; chmod 755 $R",
    );
    await mount.stub();
    await mount.proxy(mount.real);
    assertEquals(await user.text("pread", fd, 10, 0), "real\n");
    assertEquals(await user.text("pread", ghost, 10, 0), "boo");
    assertEquals((await user.stat("fstat", ghost)).mode, "100600");
    assertEquals([...Deno.readDirSync(`${mount.real}/home`)].map(({ name }) => name), ["f"]);
  },
  { without: "-dac_override,-dac_read_search" },
);

// Why the kernel checks permissions itself, and asks for a directory's attributes after each change of it.
fuseTest(
  "callers: a name that the kernel knows is no way in for who may not search its directory",
  async (mount) => {
    await mount.shell("mkdir $R/d; echo secret > $R/d/f; chmod 644 $R/d/f; chmod 700 $R/d");
    await mount.proxy(mount.real);
    await mount.agent().stat("stat", mount.path("d/f"));
    const user = mount.agent();
    await user.call("become", 1000, 1000);
    assertEquals(await user.errno("open", mount.path("d/f"), O_RDONLY), "EACCES");
  },
  { attrTimeoutMs: 600_000 },
);

fuseTest("callers: who may not go there takes no mount away by trying", async (mount) => {
  await mount.shell("mkdir -p $R/d/sub; chmod 700 $R/d");
  await mount.proxy(mount.real);
  await mount.shell("mount -t tmpfs tmpfs $M/d/sub");
  try {
    const user = mount.agent();
    await user.call("become", 1000, 1000);
    assertEquals(await user.errno("stat", mount.path("d/sub")), "EACCES");
    assertEquals(await mount.shell("mountpoint -q $M/d/sub && echo there"), "there\n");
  } finally {
    await mount.shell("umount -l $M/d/sub || true");
  }
}, { attrTimeoutMs: 0 });
