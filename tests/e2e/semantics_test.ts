/** Operations through spfs have the same results as on the file system behind it. */
import { assertEquals } from "@std/assert";
import { e2e } from "./support/case.ts";
import { run } from "./support/child.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

/** What the cases print in a directory. The shell stands in the directory, so that a mount over it does not matter. */
async function printed(sandbox: Sandbox, program: string, directory: string): Promise<string[]> {
  const child = sandbox.start("sh", ["-c", 'cd "$1" && exec "$0" .', victim(program), directory], {
    limitMs: 50_000,
  });
  const { code, stdout, stderr } = await child.ended();
  assertEquals(code, 0, stderr);
  return stdout.split("\n");
}

for (const program of ["case_names", "case_data"]) {
  await e2e(`${program} in restore mode is as on tmpfs`, async (sandbox, binary) => {
    const mountpoint = sandbox.directory("mnt");
    const native = sandbox.directory("native");
    await run("mount", ["-t", "tmpfs", "tmpfs", native]);
    const expected = await printed(sandbox, program, native);
    const spfs = await Spfs.start(sandbox, binary);
    await spfs.call("mount.create", { id: "net", mountpoint });
    assertEquals(await printed(sandbox, program, mountpoint), expected);
    await spfs.quit();
  });

  await e2e(`${program} in proxy mode is as behind it`, async (sandbox, binary) => {
    const mountpoint = sandbox.directory("mnt");
    const expected = await printed(sandbox, program, sandbox.directory("native"));
    const spfs = await Spfs.start(sandbox, binary);
    await spfs.call("mount.create", { id: "net", mountpoint });
    // A shell that stands on the stand-in stays there when that is replaced and nobody is moved: it sees the real file system in proxy mode.
    const shell = sandbox.start("sh", [
      "-c",
      'cd "$1" && echo ready && read -r _ && exec "$0" .',
      victim(program),
      mountpoint,
    ]);
    await shell.line();
    await spfs.call("mount.replace", {
      mount: "net",
      source: sandbox.directory("real"),
      type: "bind",
      swap: "none",
      wait: true,
    });
    await shell.send("go");
    const { code, stdout, stderr } = await shell.ended();
    assertEquals(code, 0, stderr);
    assertEquals(stdout.split("\n"), expected);
  });
}
