/** Handles that were opened on the stand-in: they are what they were when the real file system has come, and ending is never held up. */
import { assert, assertEquals } from "@std/assert";
import { e2e } from "./support/case.ts";
import { patternBytes } from "./support/pattern.ts";
import { mountsBelow } from "./support/proc.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

const SIGUSR1 = 10;

/** A stand-in with files for signalled.c. */
async function standIn(sandbox: Sandbox, binary: Binary, count: number) {
  const mountpoint = sandbox.directory("mnt");
  const real = sandbox.directory("real");
  const names = Array.from({ length: count }, (_, n) => `f${String(n).padStart(5, "0")}`);
  for (const name of names) Deno.writeTextFileSync(`${real}/${name}`, `${name}\n`);
  const spfs = await Spfs.start(sandbox, binary);
  await spfs.call("mount.create", { id: "net", mountpoint });
  const entries = names.map((path) => ({ path, type: "file" as const, size: "7" }));
  await spfs.call("file.create", { mount: "net", entries });
  return { mountpoint, real, spfs };
}

for (const swap of ["none", "require"] as const) {
  await e2e(
    `handles of every kind survive the change to the real file system, swap: ${swap}`,
    async (sandbox, binary) => {
      const mountpoint = sandbox.directory("mnt");
      const real = sandbox.directory("real");
      Deno.mkdirSync(`${real}/entries`);
      const names = Array.from({ length: 300 }, (_, n) => `entries/n${String(n).padStart(3, "0")}`);
      for (const name of names) Deno.writeTextFileSync(`${real}/${name}`, "");
      Deno.writeFileSync(`${real}/placeholder`, patternBytes(3, 8192));
      const spfs = await Spfs.start(sandbox, binary);
      await spfs.call("mount.create", { id: "net", mountpoint });
      await spfs.call("file.create", {
        mount: "net",
        entries: [
          { path: "placeholder", type: "file", size: "8192" },
          ...names.map((path) => ({ path, type: "file" as const })),
        ],
      });
      const handles = sandbox.start(victim("handles"), [mountpoint]);
      assertEquals(await handles.line(), "ready");
      // What a restore makes is there on the real file system, too: the process had it open when it was dumped.
      for (
        const [name, text] of Object.entries({
          truncated: "kept",
          exclusive: "mine",
          appended: "first",
          after: "moved",
          locked: "locked",
        })
      ) {
        Deno.writeTextFileSync(`${real}/${name}`, text);
      }
      await spfs.call("mount.setMode", { mount: "net", mode: "stub" });
      await spfs.call("mount.replace", { mount: "net", source: real, type: "bind", swap, wait: true });
      await handles.send("go");
      const { code, stdout, stderr } = await handles.ended();
      const lines = stdout.trimEnd().split("\n");
      assertEquals(lines.filter((line) => !line.endsWith(" ok")), ["end"], stdout + stderr);
      assertEquals(code, 0);
      assertEquals(Deno.readTextFileSync(`${real}/truncated`), "kept+");
      assertEquals(Deno.readTextFileSync(`${real}/exclusive`), "mine+");
      assertEquals(Deno.readTextFileSync(`${real}/appended`), "first+");
    },
  );
}

await e2e("closing a file is never held up in stub mode", async (sandbox, binary) => {
  const { mountpoint, spfs } = await standIn(sandbox, binary, 1);
  const clients = sandbox.start(victim("signalled"), ["hold", "1", mountpoint]);
  await clients.line();
  await clients.ask("go");
  await spfs.call("mount.setMode", { mount: "net", mode: "stub" });
  await clients.ask(`kill 0 ${SIGUSR1}`);
  const [, error, ns] = (await clients.ask("outcome 0")).split(" ");
  assertEquals(error, "ok");
  assert(Number(ns) < 1e9, `close took ${ns} ns`);
  await spfs.quit();
});

await e2e("a process with open files ends at once in stub mode", async (sandbox, binary) => {
  const { mountpoint, spfs } = await standIn(sandbox, binary, 5);
  const clients = sandbox.start(victim("signalled"), ["leave", "5", mountpoint]);
  await clients.line();
  await clients.ask("go");
  await spfs.call("mount.setMode", { mount: "net", mode: "stub" });
  for (let n = 0; n < 5; n++) {
    const [, ns, status] = (await clients.ask(`reap ${n} ${SIGUSR1}`)).split(" ");
    assertEquals(Number(status), 0);
    assert(Number(ns) < 1e9, `the end took ${ns} ns`);
  }
  await spfs.quit();
});

await e2e("stat of the mountpoint itself is answered in stub mode", async (sandbox, binary) => {
  const mountpoint = sandbox.directory("mnt");
  const spfs = await Spfs.start(sandbox, binary);
  const root = { mode: "1751", uid: 12, gid: 34 };
  const { device } = await spfs.call("mount.create", { id: "net", mountpoint, mode: "stub", root });
  const stat = sandbox.start("stat", ["--format", "%a %u %g %Hd:%Ld", mountpoint], { limitMs: 5000 });
  assertEquals(await stat.line(), `1751 12 34 ${device}`);
  await spfs.quit();
});

await e2e("the daemon ends when the last user of its last mount has gone", async (sandbox, binary) => {
  const { mountpoint, real, spfs } = await standIn(sandbox, binary, 1);
  const clients = sandbox.start(victim("signalled"), ["hold", "1", mountpoint]);
  await clients.line();
  await clients.ask("go");
  await spfs.call("mount.replace", { mount: "net", source: real, type: "bind", swap: "none", wait: true });
  spfs.closeInput();
  assertEquals(mountsBelow(mountpoint).filter(({ fstype }) => fstype === "fuse.spfs"), []);
  await clients.ask(`kill 0 ${SIGUSR1}`);
  assertEquals((await clients.ask("outcome 0")).split(" ")[1], "ok", "the handle did not outlive the mount");
  assertEquals((await spfs.ended()).code, 0);
});
