/** `spfs check --images`: whether a restore can go ahead, and what hinders it, before anybody tries. */
import { assert, assertEquals } from "@std/assert";
import { e2e } from "./support/case.ts";
import { Child, run } from "./support/child.ts";
import { Images } from "./support/criu.ts";
import { until } from "./support/proc.ts";
import { type Binary, Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

/** Runs `check --images`. */
async function check(binary: Binary, images: string, ...options: string[]) {
  const [command, ...args] = binary.command;
  const child = Child.start(command, [...args, "check", "--images", images, ...options], { limitMs: 30_000 });
  await child.closeInput();
  const { code, stdout, stderr } = await child.ended();
  assertEquals(stderr, "");
  return { code, stdout };
}

await e2e("check tells whether a restore can go ahead, and of what hinders it", async (sandbox, binary) => {
  const mnt = sandbox.directory("mnt");
  const mountReal = (source: string) => run("mount", ["-t", "tmpfs", source, mnt]);
  await mountReal("storage");
  Deno.writeFileSync(`${mnt}/plain`, new Uint8Array(8192));
  const result = sandbox.at("result");
  Deno.writeTextFileSync(result, "");
  const keeper = sandbox.start(victim("keeper"), [mnt, result]);
  await until("the victim's set-up", () => Deno.readTextFileSync(result) === "set-up ok\n");
  const options = ["--file-locks", "--link-remap"];
  const { directory } = await Images.dump(sandbox, keeper.pid, options, binary);
  const ask = async () => {
    const { code, stdout } = await check(binary, directory, "--json");
    const { ready, mounts } = JSON.parse(stdout);
    assertEquals(code, ready ? 0 : 4);
    const { state, plan, findings } = mounts.find((mount: { path: string }) => mount.path === mnt);
    return { ready, state, plan, findings };
  };
  assertEquals(await ask(), { ready: true, state: "there", plan: "nothing", findings: [] });

  Deno.truncateSync(`${mnt}/plain`, 100);
  Deno.removeSync(`${mnt}/fifo`);
  const changed = await ask();
  assertEquals([changed.ready, changed.state], [false, "there"]);
  assertEquals(changed.findings, [
    { path: `${mnt}/fifo`, what: "missing", fatal: true },
    { path: `${mnt}/plain`, what: "size", wanted: "8192", now: "100", fatal: true },
  ]);
  const { code, stdout } = await check(binary, directory);
  assertEquals(code, 4);
  assert(stdout.replace(/\n\s+/g, " ").includes(`${mnt}/plain: another size: 100, was 8192`), stdout);
  assert(stdout.endsWith("The restore cannot go ahead: see 1 mount.\n"), stdout);

  await run("umount", [mnt]);
  assertEquals(await ask(), { ready: true, state: "away", plan: "stand in", findings: [] });
  const away = (await check(binary, directory, "--all")).stdout;
  assert(away.includes("\n  plain: file 0644, 8192 bytes\n"), away);
  // Words that are longer than a line apart, 80 columns are kept.
  for (const line of away.split("\n")) {
    assert(line.length <= 80 || line.trim().split(" ").length <= 2, line);
  }
  assert(away.replace(/\n\s+/g, " ").includes(`spfs mount ID ${mnt} --images ${directory}`), away);
  assert(away.endsWith("The restore can go ahead.\n"), away);

  const spfs = await Spfs.start(sandbox, binary);
  await spfs.call("mount.create", { id: "net", mountpoint: mnt, images: { directory } });
  // Nor does a stand-in that answers nobody hold the check up.
  await spfs.call("mount.setMode", { mount: "net", mode: "stub" });
  assertEquals(await ask(), { ready: true, state: "stand-in", plan: "nothing", findings: [] });
  await spfs.quit();
  await mountReal("another");
  assertEquals((await ask()).plan, "needs help");
}, { criu: true });
