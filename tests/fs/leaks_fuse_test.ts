/** Nothing is kept that nobody needs: nodes, handles, descriptors. */
import { assert, assertEquals } from "@std/assert";
import { O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_TMPFILE } from "../../ffi/sys/constants.ts";
import { data } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { file, type StubMount, within } from "../support/fuse/stub_mount.ts";
import { posixCases } from "./support/posix_cases.ts";

/** Descriptors by what they are, without the numbers that differ from run to run, and without sockets, which are the runtime's own. */
async function descriptors(mount: StubMount): Promise<string[]> {
  const links = [...(await mount.descriptors()).values()];
  return links.filter((link) => !link.startsWith("socket:")).map((link) =>
    link.replace(/\[\d+\]/, "[]").replace(mount.base, "")
  ).sort();
}

/** Makes the kernel forget every name of this mount: what remounting does, and nothing else short of all mounts of the machine. */
const forget = (mount: StubMount) => mount.shell("mount -i -o remount,rw $M");

for (const mode of ["restore", "proxy"] as const) {
  fuseTest(`leaks: after work in ${mode} mode nothing is left of it`, async (mount) => {
    if (mode === "proxy") await mount.proxy(mount.real);
    const before = await descriptors(mount);
    {
      await using agent = mount.agent();
      for (const [index, run] of Object.values(posixCases).entries()) {
        const at = mount.path(`case-${index}`);
        await agent.call("mkdir", at, 0o755);
        await run(agent, (name) => `${at}/${name}`);
      }
    }
    await forget(mount);
    const state = await mount.until(
      (state) => state.nodes === 1 && state.handles === 0,
      "all to be forgotten",
    );
    assertEquals(state.parked.count, 0);
    assertEquals(await descriptors(mount), before);
  });
}

fuseTest("leaks: after the change of backing nothing of the placeholder is open any more", async (mount) => {
  await mount.populate(...Array.from({ length: 100 }, (_, index) => file(`d${index % 10}/f${index}`, 10)));
  await mount.shell(
    "cd $R; for i in $(seq 0 99); do mkdir -p d$((i % 10)); echo $i > d$((i % 10))/f$i; done",
  );
  await using agent = mount.agent();
  await mount.proxy(mount.real);
  const before = await descriptors(mount);
  assertEquals(before.filter((link) => link.startsWith("/real")).length, 1, before.join());
  await agent.call("stat", mount.path("d1/f1"));
});

fuseTest("leaks: open files, ghosts and listings over a change of backing are closed once", async (mount) => {
  await mount.populate(file("f", 10), file("d/g", 10));
  await mount.shell("cd $R; echo f > f; mkdir d; echo g > d/g");
  const placeholders = (await descriptors(mount)).filter((link) => link === "/");
  {
    await using agent = mount.agent();
    for (const name of ["f", "d/g"]) await agent.call("open", mount.path(name), O_RDWR);
    await agent.call("getdents", await agent.number("open", mount.path("d"), O_RDONLY | O_DIRECTORY), 100);
    const ghost = await agent.number("open", mount.path("ghost"), O_RDWR | O_CREAT, 0o600);
    await agent.call("write", ghost, data("boo"));
    await agent.call("unlink", mount.path("ghost"));
    await agent.call("open", mount.mountpoint, O_RDWR | O_TMPFILE, 0o600);
    await mount.stub();
    await mount.proxy(mount.real);
    assertEquals((await mount.inspect()).handles, 5);
  }
  await forget(mount);
  await mount.until((state) => state.nodes === 1 && state.handles === 0, "all to be forgotten");
  const links = await descriptors(mount);
  assert(placeholders.length > 0);
  assertEquals(
    links.filter((link) => link === "/" || link.startsWith("/real")),
    ["/real"],
    "the real root only",
  );
});

fuseTest("leaks: who gives up waiting leaves nothing behind", async (mount) => {
  await mount.populate(file("f", 10));
  const before = await descriptors(mount);
  await mount.stub();
  for (let round = 0; round < 5; round++) {
    await using agent = mount.agent();
    agent.errno("open", mount.path("f"), O_RDONLY).catch(() => {});
    await mount.parked(1);
  }
  await mount.parked(0);
  await mount.restore();
  await forget(mount);
  await mount.until((state) => state.nodes === 1 && state.handles === 0, "all to be forgotten");
  assertEquals(await descriptors(mount), before);
});

fuseTest("leaks: unmounted from outside, the worker ends", async (mount) => {
  await mount.populate(file("f", 10));
  await mount.shell("cat $M/f > /dev/null");
  await mount.shell("umount $M");
  assertEquals(await within(mount.gone, "the end"), "unmounted");
});

fuseTest("leaks: unmounted lazily, it serves what is open, and ends with the last user", async (mount) => {
  await mount.populate(file("f", 4));
  {
    await using agent = mount.agent();
    const fd = await agent.number("open", mount.path("f"), O_RDWR);
    await mount.shell("umount -l $M");
    await agent.call("write", fd, data("data"));
    assertEquals(await agent.text("pread", fd, 10, 0), "data");
  }
  assertEquals(await within(mount.gone, "the end"), "unmounted");
});

fuseTest("leaks: aborted by the kernel's own means, it frees who waits, and ends", async (mount) => {
  await mount.populate(file("f", 4));
  await mount.stub();
  const agent = mount.agent();
  const waiting = agent.errno("stat", mount.path("f"));
  await mount.parked(1);
  await mount.abortConnection();
  assertEquals(await waiting, "ECONNABORTED");
  assertEquals(await within(mount.gone, "the end"), "aborted");
});

fuseTest(
  "leaks: however many files are known, the descriptors kept for them are bounded, and all go on working",
  async (mount) => {
    await mount.shell(
      "cd $R; for d in $(seq 40); do mkdir -p a$d/b; (cd a$d/b; touch $(seq -f f%g 100)); done",
    );
    await mount.proxy(mount.real);
    await using agent = mount.agent();
    await agent.call("chdir", mount.path("a1/b"));
    const fd = await agent.number("open", mount.path("a2/b/f1"), O_RDWR);
    await mount.shell(
      "find $M -type f | wc -l; for d in $(seq 40); do cat $M/a$d/b/*; done; chmod 640 $M/*/b/*",
    );
    const { nodes } = await mount.inspect();
    assert(nodes > 4000, `${nodes} nodes`);
    const kept = (await descriptors(mount)).filter((link) => link.startsWith("/real")).length;
    assert(kept < 2200, `${kept} descriptors`);
    await mount.shell("mv $M/a1 $M/moved; mv $M/moved/b/f2 $M/a3/g; rm $M/a4/b/f3");
    assertEquals((await agent.stat("stat", "f1")).mode, "100640");
    assertEquals(await agent.errno("stat", "f2"), "ENOENT");
    assertEquals((await agent.stat("stat", mount.path("a3/g"))).mode, "100640");
    await agent.call("write", fd, data("x"));
    assertEquals(
      (await mount.shell("find $M -type f | wc -l; ls $R/moved/b | wc -l")).split("\n").slice(0, 2),
      ["3999", "99"],
    );
  },
);
