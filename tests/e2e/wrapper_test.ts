/** `spfs restore -- criu restore …` restores, shows how it goes, and waits; `spfs dump -- criu dump …` makes sure that it can. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { criuPath } from "../../tools/criu.ts";
import { type Child, run } from "./support/child.ts";
import { e2e } from "./support/case.ts";
import { isAlive, processState, until, within } from "./support/proc.ts";
import { RestoreScene } from "./support/restore_scene.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";
import { byWrapper } from "./support/ways.ts";

const needs = { criu: true, loop: true } as const;

/** What a program that spfs is run by puts before its command. */
interface Under {
  readonly program: string;
  readonly args: (command: string) => readonly string[];
}

/** A terminal of its own, of 80 columns. */
const terminal: Under = {
  program: "script",
  args: (
    command,
  ) => ["--quiet", "--return", "--flush", "--command", `stty cols 80 rows 24; ${command}`, "/dev/null"],
};

/** Begins `spfs restore`. */
function begin(
  scene: RestoreScene,
  options: readonly string[],
  { criu = [], under }: { criu?: readonly string[]; under?: Under } = {},
): Child {
  const given = ["restore", ...options, "--", ...scene.images.restoreCommand(["--file-locks", ...criu])];
  const command = [...scene.binary.command, ...given];
  const env = { SPFS_RUNTIME_DIR: scene.runtime, TERM: "xterm" };
  if (under === undefined) return scene.sandbox.start(command[0]!, command.slice(1), { env });
  const line = command.map((word) => `'${word}'`).join(" ");
  return scene.sandbox.start(under.program, under.args(line), { env });
}

/** Reads lines until one is like this; returns it. */
async function line(child: Child, like: RegExp): Promise<string> {
  for (;;) {
    const text = await within(`a line like ${like}`, child.line(), 30_000);
    if (like.test(text)) return text;
  }
}

/** The scene whose file system is away, and what makes spfs look for it again and again. */
async function away(scene: RestoreScene): Promise<void> {
  await scene.remote.detach();
  const replace = { source: scene.remote.source, type: "ext4", retry: { maxMs: 200, errnos: ["ENOENT"] } };
  scene.configure(replace);
}

await e2e(
  "restore --wait ends with 0 when the real file system is in place, and tells what happened",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byWrapper);
    await away(scene);
    const child = begin(scene, ["--wait"]);
    await line(child, /^net: attempt \d+ failed: .*; next in /);
    await until("the restored process", () => scene.images.isRestored, 30_000);
    Deno.kill(scene.images.pid, "SIGUSR1");
    await scene.remote.attach();
    const { code, stdout, stderr } = await within("the command's end", child.ended(), 30_000);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(
      stdout,
      /\nrestored; 1 of 1 mount replaced\n {2}.*\/mnt: replaced, \d+ process(es)? moved.*\n$/,
    );
    await scene.ends(scene.images.pid);
  },
  needs,
);

await e2e(
  "restore without --wait ends when CRIU does, and tells what is under way and how to follow it",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byWrapper);
    await away(scene);
    const { code, stdout, stderr } = await within("the command's end", begin(scene, []).ended(), 30_000);
    assertEquals(code, 0, stderr);
    const { socket } = scene;
    assert(stdout.endsWith(`\nthe rest goes on by itself: spfs status --socket ${socket}\n`), stdout);
    assertMatch(stdout, /\nrestored; 0 of 1 mount replaced\n {2}.*\/mnt: /);
    Deno.kill(scene.images.pid, "SIGUSR1");
    await scene.remote.attach();
    await scene.ends(scene.images.pid);
  },
  needs,
);

await e2e("a mount and its type said on the command line are enough", async (sandbox, binary) => {
  const scene = await RestoreScene.make(sandbox, binary, byWrapper);
  const child = begin(scene, [
    "--wait",
    "--json",
    "--mount",
    `${scene.mountpoint},type=ext4,options=noatime`,
  ]);
  const { code, stdout } = await within("the command's end", child.ended(), 30_000);
  assertEquals(code, 0, stdout);
  const lines = stdout.trim().split("\n").map((text) => JSON.parse(text));
  const last = lines.at(-1);
  assertEquals([last.event, last.params.replaced, last.params.mounts.length], ["restore.summary", true, 1]);
  assert(lines.some(({ event }) => event === "replace.done"));
  Deno.kill(scene.images.pid, "SIGUSR1");
  await scene.ends(scene.images.pid);
}, needs);

await e2e("Ctrl-C while restore waits leaves the processes and the daemon alone", async (sandbox, binary) => {
  const scene = await RestoreScene.make(sandbox, binary, byWrapper);
  await away(scene);
  const child = begin(scene, ["--wait"]);
  await line(child, /^net: waiting$/);
  await until("the restored process", () => scene.images.isRestored);
  child.kill("SIGINT");
  const { code, stdout } = await within("the command's end", child.ended(), 30_000);
  assertEquals(code, 1);
  assertMatch(stdout, /\nthe rest goes on by itself: spfs status --socket /);
  Deno.kill(scene.images.pid, "SIGUSR1");
  await scene.remote.attach();
  await scene.ends(scene.images.pid);
}, needs);

await e2e(
  "a SIGKILL of restore in the middle of it changes nothing for the tree",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byWrapper);
    await away(scene);
    const child = begin(scene, ["--wait"]);
    await line(child, /^net: ready at /);
    child.kill("SIGKILL");
    await until("CRIU's end", () => scene.images.isRestored, 30_000);
    Deno.kill(scene.images.pid, "SIGUSR1");
    await scene.remote.attach();
    for (const { name } of Deno.readDirSync(scene.runtime)) {
      if (name.startsWith("criu-hook-")) Deno.removeSync(`${scene.runtime}/${name}`);
    }
    await scene.ends(scene.images.pid);
  },
  needs,
);

await e2e(
  "when CRIU fails its exit code is passed on, with what its log says of it, and nothing is left",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byWrapper);
    await scene.remote.detach();
    const missing = sandbox.at("none");
    const child = begin(scene, ["--wait", "--mount", `${missing},source=/x,type=ext4`]);
    const { code, stderr } = await within("the command's end", child.ended(), 30_000);
    assertEquals(code, 1, stderr);
    assertMatch(stderr, /^spfs restore: criu ended with exit code 1\n/);
    assertMatch(stderr, /\n {2}.*spfs criu-hook: pre-restore: failed: .*none/);
    assertMatch(stderr, /\n {2}.*Error \(criu\//);
    await scene.gone();
    assertEquals(scene.mounted, []);
  },
  needs,
);

await e2e(
  "on a terminal the view is drawn in place, and no line is wider than it",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byWrapper);
    await away(scene);
    const child = begin(scene, ["--wait"], { under: terminal });
    await until("the restored process", () => scene.images.isRestored, 30_000);
    Deno.kill(scene.images.pid, "SIGUSR1");
    await line(child, /: not there yet; 1 request waits/);
    await scene.remote.attach();
    const { code, stdout } = await within("the command's end", child.ended(), 30_000);
    assertEquals(code, 0, stdout);
    const shown = stdout.replaceAll("\x1b", "^");
    assertMatch(shown, /\^\[\d+A/);
    for (const drawn of shown.split(/\r?\n/)) {
      const plain = drawn.replaceAll(/\^\[[?\d]*[A-Za-z]|\r/g, "");
      assert([...plain].length <= 80, drawn);
    }
    assertMatch(shown, /restored; 1 of 1 mount replaced\r\n[^^]*replaced, \d+ process(es)? moved[^^]*$/);
    await scene.ends(scene.images.pid);
  },
  needs,
);

/** A process with files open below a directory, and what `spfs dump` does with it. */
async function dumped(sandbox: Sandbox, binary: Binary, directory: string, criu: readonly string[]) {
  const result = sandbox.at("result");
  Deno.writeTextFileSync(result, "");
  Deno.writeFileSync(`${directory}/plain`, new Uint8Array(8192));
  const { pid } = sandbox.start(victim("keeper"), [directory, result]);
  await until("the victim's set-up", () => Deno.readTextFileSync(result) === "set-up ok\n");
  const images = sandbox.directory("images");
  const [command, ...first] = binary.command;
  const words = [await criuPath(), "dump", "-t", String(pid), "-D", images, "-o", "dump.log", ...criu];
  return {
    pid,
    images,
    run: async () => {
      const env = { SPFS_RUNTIME_DIR: sandbox.directory("run-dump", 0o700) };
      const child = sandbox.start(command, [...first, "dump", "--", ...words], { env });
      return await within("the command's end", child.ended(), 50_000);
    },
  };
}

await e2e(
  "when CRIU fails to dump, its exit code is passed on with what its log says of it, and the tree goes on",
  async (sandbox, binary) => {
    const scene = await dumped(sandbox, binary, sandbox.directory("mnt"), ["--file-locks"]);
    // Of the unlinked file that has another name nothing can be restored without --link-remap.
    const failed = await scene.run();
    assertEquals([failed.code, failed.stdout], [1, ""], failed.stderr);
    assertMatch(failed.stderr, /^spfs dump: criu ended with exit code 1\n(.*\n)* {2}.*Error \(criu\//);
    assert(isAlive(scene.pid));
  },
  { criu: true },
);

await e2e(
  "a tree that uses a stand-in is not dumped: CRIU, which would hang, is not started",
  async (sandbox, binary) => {
    const mnt = sandbox.directory("mnt");
    const spfs = await Spfs.start(sandbox, binary);
    await spfs.call("mount.create", { id: "net", mountpoint: mnt });
    const scene = await dumped(sandbox, binary, mnt, ["--file-locks", "--link-remap"]);
    await spfs.call("mount.setMode", { mount: "net", mode: "stub" });
    const { code, stdout, stderr } = await scene.run();
    assertEquals([code, stdout], [1, ""]);
    assertEquals(
      stderr,
      `spfs dump: process ${scene.pid} of the tree uses the stand-in at ${mnt}: CRIU would wait for it; ` +
        "dump when the real file system is in its place (spfs status)\n",
    );
    assertEquals([...Deno.readDirSync(scene.images)], []);
    await spfs.quit();
  },
  { criu: true },
);

await e2e(
  "dump notes beside the images what these lack, and tells what network file systems are used",
  async (sandbox, binary) => {
    const mnt = sandbox.directory("mnt");
    await run("mount", ["-t", "tmpfs", "none", mnt]);
    const scene = await dumped(sandbox, binary, mnt, ["--file-locks", "--link-remap"]);
    const { code, stdout, stderr } = await scene.run();
    assertEquals([code, stdout, stderr], [
      0,
      "dumped; no file of the tree is on a network file system\n",
      "",
    ]);
    assert([...Deno.readDirSync(scene.images)].some(({ name }) => name === "spfs.json"));
  },
  { criu: true },
);

await e2e(
  "restore --stopped: a process runs first when its file system is in place",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byWrapper);
    scene.configure({ source: scene.remote.source, type: "ext4", swap: "require" });
    const { code, stdout, stderr } = await within(
      "the command's end",
      begin(scene, ["--wait", "--stopped"]).ended(),
      50_000,
    );
    assertEquals([code, stderr], [0, ""]);
    // It was there to be moved, and nothing of it had begun to run.
    assertMatch(stdout, /: replaced, 1 process moved in /);
    await until("the process to run", () => processState(scene.images.pid) === "S");
    const log = Deno.readTextFileSync(`${scene.images.directory}/spfs.log`);
    assertMatch(log, /replacement: done(.*\n)+?.*the restored tree goes on: 1 process/);
    Deno.kill(scene.images.pid, "SIGUSR1");
    await scene.ends(scene.images.pid);
  },
  needs,
);

await e2e(
  "restore --stopped: when the file system is away the tree runs on the stub, and waits there",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byWrapper);
    await away(scene);
    const { code, stderr } = await within("the command's end", begin(scene, ["--stopped"]).ended(), 50_000);
    assertEquals(code, 0, stderr);
    await until("the process to run", () => processState(scene.images.pid) === "S");
    Deno.kill(scene.images.pid, "SIGUSR1");
    await scene.remote.attach();
    await scene.ends(scene.images.pid);
  },
  needs,
);
