/** What is noted beside images: everything that can be known, also while a file system does not answer. */
import { assert, assertEquals } from "@std/assert";
import { readSide } from "../../host/side_file.ts";
import { run } from "./support/child.ts";
import { e2e } from "./support/case.ts";
import { Images } from "./support/criu.ts";
import { until } from "./support/proc.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** What was noted of the namespace of this test, by path. */
function notedIn(directory: string) {
  const own = readSide(directory)!.namespaces.find((namespace) => namespace.own)!;
  return { mounts: own.mounts, files: new Map(own.files.map((file) => [text(file.path), file])) };
}

/** A process that has files open below a directory and writes down that it has. */
async function keeper(sandbox: Sandbox, directory: string) {
  const result = sandbox.at(`result-${directory.split("/").pop()}`);
  Deno.writeTextFileSync(result, "");
  Deno.writeFileSync(`${directory}/plain`, new Uint8Array(8192));
  const process = sandbox.start(victim("keeper"), [directory, result]);
  await until("the victim's set-up", () => Deno.readTextFileSync(result) === "set-up ok\n");
  return { pid: process.pid, result };
}

await e2e(
  "record notes the mounts and files of a running tree before there are images",
  async (sandbox, binary) => {
    const mnt = sandbox.directory("mnt");
    await run("mount", ["-t", "tmpfs", "-o", "mode=1731", "storage", mnt]);
    const { pid } = await keeper(sandbox, mnt);
    Deno.chownSync(`${mnt}/plain`, 12, 34);
    const images = sandbox.directory("images");
    const [command, ...args] = binary.command;
    const out = await run(command, [...args, "record", "--pid", String(pid), "--images", images]);
    assert(/^\d+ files of 1 mount namespace noted \(by \/proc: there are no images yet\)\n$/.test(out), out);
    const { mounts, files } = notedIn(images);
    const mount = mounts.find(({ mountpoint }) => text(mountpoint) === mnt);
    assertEquals([mount?.fstype, mount && text(mount.source)], ["tmpfs", "storage"]);
    assert(mount?.superOptions.includes("mode=1731"), mount?.superOptions);
    const plain = files.get(`${mnt}/plain`);
    assertEquals(plain?.mountId, mount?.id);
    assertEquals([plain?.stat?.type, plain?.stat?.uid, plain?.stat?.size], ["file", 12, 8192n]);
    assertEquals(files.get(mnt)?.stat?.mode, 0o1731);
    assertEquals(files.get(`${mnt}/fifo`)?.stat?.type, "fifo");
    assert(files.has(victim("keeper")), "the executable is not noted");
    assert(!files.has(`${mnt}/ghost`), "a name that is gone is noted");
    assertEquals([...Deno.readDirSync(images)].map(({ name }) => name), ["spfs.json"]);
  },
);

await e2e(
  "record does not hang on a file system that does not answer, and tells what it could not note",
  async (sandbox, binary) => {
    const [dead, alive] = [sandbox.directory("dead"), sandbox.directory("alive")];
    // A stand-in in stub mode is what a hard NFS mount without a server is: whoever asks waits.
    const spfs = await Spfs.start(sandbox, binary);
    await spfs.call("mount.create", { id: "dead", mountpoint: dead });
    await run("mount", ["-t", "tmpfs", "none", alive]);
    // A tree of three: a shell, and a process for each file system.
    const results = ["dead", "alive"].map((name) => {
      Deno.writeTextFileSync(sandbox.at(`result-${name}`), "");
      Deno.writeFileSync(`${sandbox.at(name)}/plain`, new Uint8Array(8192));
      return sandbox.at(`result-${name}`);
    });
    const program = victim("keeper");
    const shell = sandbox.start("sh", [
      "-c",
      `${program} ${dead} ${results[0]} & echo $!; ${program} ${alive} ${results[1]} & echo $!; wait`,
    ]);
    for (let child = 0; child < 2; child++) sandbox.adopt(Number(await shell.line()));
    for (const result of results) {
      await until("the set-up", () => Deno.readTextFileSync(result) === "set-up ok\n");
    }
    await spfs.call("mount.setMode", { mount: "dead", mode: "stub" });
    const images = sandbox.directory("images");
    const [command, ...args] = binary.command;
    const begun = performance.now();
    const order = ["record", "--pid", String(shell.pid), "--images", images, "--timeout", "300", "--json"];
    const told = JSON.parse(await run(command, [...args, ...order], { limitMs: 30_000 }));
    assert(performance.now() - begun < 15_000);
    const unknown: { path: string; error: string }[] = told.unknown;
    const below = unknown.filter(({ path }) => path.startsWith(`${dead}/`)).map((
      { path, error },
    ) => [path, error]);
    assertEquals(below.slice(0, 1), [[`${dead}/fifo`, "ETIMEDOUT"]]);
    assertEquals(below.length, unknown.filter(({ path }) => path !== dead).length, JSON.stringify(unknown));
    const { files } = notedIn(images);
    assertEquals(files.get(`${alive}/plain`)?.stat?.size, 8192n);
    assertEquals(files.get(`${dead}/plain`)?.error, "ETIMEDOUT");
    await spfs.quit();
  },
);

await e2e("a dump whose images cannot be noted fails, and the tree goes on", async (sandbox, binary) => {
  const mnt = sandbox.directory("mnt");
  const { pid, result } = await keeper(sandbox, mnt);
  const images = sandbox.directory("images");
  // A directory in the side file's place: it cannot be written.
  Deno.mkdirSync(`${images}/spfs.json`);
  Deno.writeTextFileSync(`${images}/spfs.json/full`, "");
  const options = ["--file-locks", "--link-remap"];
  const error = await Images.dump(sandbox, pid, options, binary).then(() => undefined, (error) => error);
  assert(error instanceof Error && error.message.includes("spfs dump-hook: failed: "), String(error));
  Deno.kill(pid, "SIGUSR1");
  await until("the victim's report", () => Deno.readTextFileSync(result).includes("end ok"));
}, { criu: true });

await e2e("what was noted at one dump is not taken for another", async (sandbox, binary) => {
  const mnt = sandbox.directory("mnt");
  const { pid } = await keeper(sandbox, mnt);
  const options = ["--file-locks", "--link-remap", "--leave-running"];
  const first = await Images.dump(sandbox, pid, options, binary, "first");
  const second = await Images.dump(sandbox, pid, options, binary, "second");
  const [command, ...args] = binary.command;
  const check = async () => {
    const child = sandbox.start(command, [...args, "check", "--images", second.directory]);
    await child.closeInput();
    return (await child.ended()).stderr;
  };
  assertEquals(await check(), "");
  Deno.copyFileSync(`${first.directory}/spfs.json`, `${second.directory}/spfs.json`);
  const told = await check();
  assert(told.includes(`${second.directory}: spfs.json: was noted at another dump (`), told);
}, { criu: true });
