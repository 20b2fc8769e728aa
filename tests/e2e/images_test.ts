/** A stand-in that is populated from CRIU's images alone: nothing else is said of the files that a restore needs. */
import { assert, assertEquals } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { damage } from "../criu/support/damage.ts";
import { e2e } from "./support/case.ts";
import { Images } from "./support/criu.ts";
import { fillForOpener, opener } from "./support/opener.ts";
import { patternBytes } from "./support/pattern.ts";
import { isAlive, mountsBelow, until } from "./support/proc.ts";
import { type MountNames, references } from "./support/references.ts";
import { Remote } from "./support/remote.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

/** A program on a file system that then goes away, and what is left of it: images. */
async function dumped(
  sandbox: Sandbox,
  program: string,
  fill: (mountpoint: string) => void,
  options: readonly string[] = [],
  hook?: Binary,
) {
  const mountpoint = sandbox.directory("mnt");
  const result = sandbox.at("result");
  Deno.writeFileSync(result, new Uint8Array());
  const lines = () => Deno.readTextFileSync(result).split("\n");
  const remote = await Remote.make(sandbox);
  await remote.attach();
  await remote.mount(mountpoint);
  fill(mountpoint);
  const process = sandbox.start(program, [mountpoint, result]);
  await until("the victim's set-up", () => lines().length > 1);
  assertEquals(lines(), ["set-up ok", ""]);
  const images = await Images.dump(sandbox, process.pid, options, hook);
  await remote.unmount(mountpoint);
  await remote.detach();
  return { mountpoint, remote, images, lines };
}

/** Restores onto a stand-in, lets the real file system come back, and waits for the victim's report; returns the daemon's. */
async function restored(
  { mountpoint, remote, images, lines }: Awaited<ReturnType<typeof dumped>>,
  { sandbox, binary, options = [], made: look, swapped }: {
    sandbox: Sandbox;
    binary: Binary;
    options?: readonly string[];
    /** Called when the stand-in is there, and nobody uses it yet. */
    made?: () => void;
    /** Called when the real file system has taken over, for a victim that then waits for another signal. */
    swapped?: (pid: number, processes: readonly number[], stub: MountNames) => void;
  },
) {
  const spfs = await Spfs.start(sandbox, binary);
  const made = await spfs.call("mount.create", {
    id: "net",
    mountpoint,
    images: { directory: images.directory },
  });
  look?.();
  await spfs.call("mount.replace", { mount: "net", ...remote.held });
  const pid = await images.restore(binary, spfs.socket, options);
  Deno.kill(pid, "SIGUSR1");
  await spfs.parked("net", 1);
  assertEquals(lines(), ["set-up ok", ""], "the process went on without its file system");
  await remote.attach();
  const { swap } = await spfs.event("replace.done", ({ ok }) => ok);
  if (swapped !== undefined) {
    await until("the victim's first word", () => lines().includes("first ok"));
    const stub = { id: Number(made.mountId), device: made.device };
    swapped(pid, swap?.processes.map((process) => process.pid) ?? [], stub);
    Deno.kill(pid, "SIGUSR1");
  }
  await until("the end of the victim's report", () => lines().includes("end ok") || !isAlive(pid));
  assertEquals(lines().filter((line) => !line.endsWith(" ok")), [""], lines().join("\n"));
  await until("the victim's end", () => !isAlive(pid));
  assertEquals(mountsBelow(mountpoint).map(({ fstype }) => fstype), ["ext4"]);
  spfs.closeInput();
  assertEquals((await spfs.ended()).code, 0);
  return made.images;
}

await e2e(
  "with what was noted at dump: directories, sizes, permissions, offsets, O_PATH, O_DIRECT and watches survive a restore",
  async (sandbox, binary) => {
    const scene = await dumped(sandbox, opener(), fillForOpener, [], binary);
    assert(/^spfs dump-hook: \d+ files of 1 mount namespace noted$/m.test(scene.images.log("dump")));
    const made = await restored(scene, {
      sandbox,
      binary,
      made() {
        // Of these the images say nothing.
        const deep = Deno.statSync(`${scene.mountpoint}/deep`);
        assertEquals([deep.mode, deep.uid, deep.gid], [0o40751, 12, 34]);
        assertEquals(Deno.statSync(`${scene.mountpoint}/path`).mtime?.getTime(), 1234567890_000);
      },
      swapped(pid, processes, stub) {
        assertEquals(processes, [pid]);
        assertEquals(references(pid, stub), [], "it refers to the stand-in");
      },
    });
    // work, deep, deep/er, long, direct, path, log, watched, watched/file
    assertEquals(made, { nodes: 9, noted: true });
    assertEquals(Deno.readTextFileSync(`${scene.mountpoint}/log`), "abcmore\n");
    await scene.remote.unmount(scene.mountpoint);
    await scene.remote.detach();
  },
  { criu: true, loop: true },
);

await e2e(
  "from the images alone: unlinked files, other names, FIFOs, sockets and locks survive a restore",
  async (sandbox, binary) => {
    const scene = await dumped(
      sandbox,
      victim("keeper"),
      (mountpoint) => Deno.writeFileSync(`${mountpoint}/plain`, patternBytes(4, 8192)),
      ["--file-locks", "--link-remap"],
    );
    const made = await restored(scene, { sandbox, binary, options: ["--file-locks"] });
    // fifo, link_remap.N, locked, plain
    assertEquals(made, { nodes: 4, noted: false });
    const names = [...Deno.readDirSync(scene.mountpoint)].map(({ name }) => name).sort();
    assertEquals(names, ["fifo", "locked", "lost+found", "other-name", "plain", "socket"]);
    await scene.remote.unmount(scene.mountpoint);
    await scene.remote.detach();
  },
  { criu: true, loop: true },
);

await e2e(
  "damaged images are refused by file and offset, and nothing is mounted",
  async (sandbox, binary) => {
    const scene = await dumped(sandbox, victim("keeper"), (mountpoint) => {
      Deno.writeFileSync(`${mountpoint}/plain`, patternBytes(4, 8192));
    }, ["--file-locks", "--link-remap"]);
    const { directory } = scene.images;
    const images = [...Deno.readDirSync(directory)].map(({ name }) => name)
      .filter((name) => /^(?:inventory|files|remap-fpath|fs-|mm-|pagemap-|ghost-file-).*img$/.test(name))
      .map((name): [string, Uint8Array] => [name, Deno.readFileSync(`${directory}/${name}`)]);
    const mountpoint = new TextEncoder().encode(scene.mountpoint);
    const outcome = damage(new Map(images), { seed: 1, rounds: 2000, choices: [{ mountpoint }] });
    assert(outcome.read > 0 && outcome.refused > 0, JSON.stringify(outcome));
    const path = `${directory}/files.img`;
    const { size } = Deno.statSync(path);
    Deno.truncateSync(path, size - 3);
    const spfs = await Spfs.start(sandbox, binary);
    const create = async (directory: string) => {
      const params = { id: "net", mountpoint: scene.mountpoint, images: { directory } };
      const error = await spfs.call("mount.create", params).then(() => undefined, (error) => error);
      assert(error instanceof ControlError, String(error));
      return error;
    };
    const cut = await create(directory);
    assertEquals([cut.kind, cut.data.path], ["bad_images", path]);
    assert(cut.data.offset! > 0 && cut.data.offset! < size, cut.message);
    const none = await create(sandbox.directory("empty"));
    assertEquals([none.kind, none.message.endsWith("inventory.img: missing: no images of CRIU")], [
      "bad_images",
      true,
    ]);
    assertEquals(mountsBelow(scene.mountpoint), []);
    // The name is free, and the daemon goes on.
    await spfs.call("mount.create", { id: "net", mountpoint: scene.mountpoint });
    const entries = [{ type: "directory" as const, path: "made" }];
    assertEquals(await spfs.call("file.create", { mount: "net", entries }), { created: 1, existing: 0 });
    await spfs.quit();
  },
  { criu: true, loop: true },
);
