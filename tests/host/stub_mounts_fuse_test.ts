/** `mount.replace` of a stub that is mounted elsewhere, too: by bind mounts, and in other mount namespaces. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { within } from "../e2e/support/proc.ts";
import { Place, type Running, TestDaemon } from "./support/daemon.ts";
import { refused } from "./support/scenes.ts";
import { requires } from "../support/requirements.ts";

const programs = ["unshare", "nsenter", "findmnt"];
const { ignore } = await requires({ fuse: true, programs });
const probe = new Deno.Command("unshare", { args: ["--user", "--map-root-user", "true"], stderr: "null" });
const users = await requires({
  fuse: true,
  programs,
  other: async () => (await probe.output()).success ? undefined : "no user namespaces",
});

function test(name: string, fn: () => Promise<void>, skip = ignore): void {
  Deno.test({ name: `stub's mounts: ${name}`, ignore: skip, fn });
}

/** Stands in $1 with $2 open, and writes what that holds when its input ends. */
const stay = 'cd "$1" && exec 3<"$2" && echo ready && cat >/dev/null; cat <&3';
const unshared = ["unshare", "--mount", "--propagation"];

/** A stub and who uses it. */
class Scene {
  readonly #victims: { running: Running; pid: number; cwd: string; file: string }[] = [];
  #device = "";

  private constructor(readonly place: Place, readonly daemon: TestDaemon, readonly mountpoint: string) {}

  /** With a stub on a directory of the place, and a real file system with the same files in its directory `real`. */
  static async make(place: Place, directory: string): Promise<Scene> {
    await Deno.mkdir(place.path("real/dir"), { recursive: true });
    await Deno.writeTextFile(place.path("real/data"), "real bytes\n");
    await Deno.writeTextFile(place.path("real/dir/inner"), "real inner\n");
    const scene = new Scene(place, await TestDaemon.start(place), place.path(directory));
    await scene.stub();
    return scene;
  }

  async stub(): Promise<void> {
    const { client } = this.daemon;
    const { device } = await client.call("mount.create", { id: "m", mountpoint: this.mountpoint });
    this.#device = device;
    const entries = [
      { path: "data", type: "file" as const, size: "11" },
      { path: "dir", type: "directory" as const },
      { path: "dir/inner", type: "file" as const, size: "11" },
    ];
    await client.call("file.create", { mount: "m", entries });
  }

  /** Runs a command in the place. */
  async run(...command: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.place.run(...command);
    assertEquals(code, 0, `${command.join(" ")}: ${stderr}`);
    return stdout;
  }

  /**
   * Starts a process that stands in a directory of the stub and has a file of it open, by way of other commands, and in the mount
   * namespace that these make.
   *
   * @param forks whether the commands start it as a child
   */
  async victim(cwd: string, file: string, by: string[] = [], forks = false): Promise<Running> {
    const running = this.place.start([...by, "sh", "-c", stay, "sh", cwd, file]);
    assertEquals(await running.line(), "ready");
    const children = `/proc/${running.pid}/task/${running.pid}/children`;
    const pid = forks ? Number(await Deno.readTextFile(children)) : running.pid;
    this.#victims.push({ running, pid, cwd, file });
    return running;
  }

  /** Orders the replacement, and returns what was left. */
  async replace(order: { swap?: "auto" | "require" } = {}): Promise<string[]> {
    const source = this.place.path("real");
    const call = this.daemon.client.call("mount.replace", {
      mount: "m",
      source,
      type: "bind",
      wait: true,
      ...order,
    });
    const { swap } = await within("the replacement", call);
    return swap!.left.map(({ reason }) => reason);
  }

  /** The lines of mountinfo that are of the stub, as a process sees them. */
  stubsOf(pid: number): string[] {
    return Deno.readTextFileSync(`/proc/${pid}/mountinfo`).split("\n")
      .filter((line) => line.split(" ")[2] === this.#device);
  }

  /** Nothing is left of the stub, its users are on the real file system below the same paths, and the daemon ends. */
  async checkReplaced(): Promise<void> {
    assertEquals(this.stubsOf(this.daemon.pid), [], "in the daemon's namespace");
    for (const { pid, cwd, file } of this.#victims) {
      assertEquals(this.stubsOf(pid), [], `as seen by the process that stands in ${cwd}`);
      assertEquals(Deno.readLinkSync(`/proc/${pid}/cwd`), cwd);
      assertEquals(Deno.readLinkSync(`/proc/${pid}/fd/3`), file);
      const id = /^mnt_id:\s*(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/fdinfo/3`))![1];
      const mounts = Deno.readTextFileSync(`/proc/${pid}/mountinfo`).split("\n");
      const mount = mounts.find((line) => line.startsWith(`${id} `));
      assert(mount !== undefined, `${file} is on a mount that the process does not see`);
      assertStringIncludes(mount.split(" ")[3]!, "/real", mount);
    }
    await within("the stub's end", this.daemon.event("mount.gone"));
    this.daemon.closeInput();
    const { code, log } = await within("the daemon's end", this.daemon.ended());
    assertEquals(code, 0, log);
    for (const { running, file } of this.#victims) {
      await running.closeInput();
      const expected = file.endsWith("inner") || file.endsWith("onfile") ? "real inner\n" : "real bytes\n";
      assertEquals((await running.ended).stdout, `ready\n${expected}`);
    }
  }
}

test("bind mounts of a directory and of a file in the same namespace", async () => {
  await using place = await Place.make("mnt", "real", "ondir");
  await Deno.writeTextFile(place.path("onfile"), "");
  const scene = await Scene.make(place, "mnt");
  await scene.run("mount", "--bind", place.path("mnt/dir"), place.path("ondir"));
  await scene.run("mount", "--bind", place.path("mnt/dir/inner"), place.path("onfile"));
  await scene.victim(place.path("mnt/dir"), place.path("mnt/data"));
  await scene.victim(place.path("ondir"), place.path("ondir/inner"));
  await scene.victim(place.path("ondir"), place.path("onfile"));
  assertEquals(await scene.replace({ swap: "require" }), []);
  await scene.checkReplaced();
});

test("a copy in a private mount namespace", async () => {
  await using place = await Place.make("mnt", "real");
  const scene = await Scene.make(place, "mnt");
  await scene.victim(place.path("mnt/dir"), place.path("mnt/data"), [...unshared, "private"]);
  await scene.victim(place.path("mnt"), place.path("mnt/dir/inner"));
  assertEquals(await scene.replace({ swap: "require" }), []);
  await scene.checkReplaced();
});

test("a namespace without /proc", async () => {
  await using place = await Place.make("mnt", "real");
  const scene = await Scene.make(place, "mnt");
  const without = ["sh", "-c", 'umount --recursive --lazy /proc && exec "$@"', "sh"];
  await scene.victim(place.path("mnt/dir"), place.path("mnt/data"), [...unshared, "private", ...without]);
  assertEquals(await scene.replace({ swap: "require" }), []);
  await scene.checkReplaced();
});

test("a pid namespace, with a /proc of its own", async () => {
  await using place = await Place.make("mnt", "real");
  const scene = await Scene.make(place, "mnt");
  const by = [...unshared, "private", "--pid", "--fork", "--kill-child", "--mount-proc"];
  await scene.victim(place.path("mnt/dir"), place.path("mnt/data"), by, true);
  assertEquals(await scene.replace({ swap: "require" }), []);
  await scene.checkReplaced();
});

/** A directory `shared` of a place, with a file system that is shared, and a directory in it. */
async function sharedParent(place: Place): Promise<void> {
  const shared = place.path("shared");
  const command = `mkdir ${shared} && mount -t tmpfs t ${shared} && mount --make-shared ${shared} && ` +
    `mkdir ${shared}/mnt ${shared}/ondir`;
  const { code, stderr } = await place.run("sh", "-c", command);
  assertEquals(code, 0, stderr);
}

/** Makes a mount namespace in the place, and returns a command that enters it. */
async function namespace(place: Place, ...command: string[]): Promise<string[]> {
  const holder = place.start([...command, "sh", "-c", "echo ready; exec sleep 60"]);
  assertEquals(await holder.line(), "ready");
  return ["nsenter", `--mount=/proc/${holder.pid}/ns/mnt`];
}

for (const propagation of ["slave", "shared"]) {
  test(`${propagation} copies of a stub on a shared mount, of namespaces older and younger than it`, async () => {
    await using place = await Place.make("real");
    await sharedParent(place);
    const older = await namespace(place, "unshare", "--mount", "--propagation", "unchanged");
    if (propagation === "slave") {
      await place.run(...older, "mount", "--make-slave", place.path("shared"));
    }
    const scene = await Scene.make(place, "shared/mnt");
    const mnt = scene.mountpoint;
    await scene.victim(`${mnt}/dir`, `${mnt}/data`, older);
    const younger = propagation === "slave" ? "slave" : "unchanged";
    await scene.victim(`${mnt}/dir`, `${mnt}/dir/inner`, [...unshared, younger]);
    await scene.victim(mnt, `${mnt}/dir/inner`);
    assertEquals(await scene.replace(), []);
    await scene.checkReplaced();
  });
}

test("a private copy of a stub on a shared mount", async () => {
  await using place = await Place.make("real");
  await sharedParent(place);
  const scene = await Scene.make(place, "shared/mnt");
  const mnt = scene.mountpoint;
  await scene.victim(`${mnt}/dir`, `${mnt}/data`, [...unshared, "private"]);
  assertEquals(await scene.replace({ swap: "require" }), []);
  await scene.checkReplaced();
});

test("a bind mount on the same shared mount as the stub, and its copy in a slave namespace", async () => {
  await using place = await Place.make("real");
  await sharedParent(place);
  const scene = await Scene.make(place, "shared/mnt");
  const ondir = place.path("shared/ondir");
  await scene.run("mount", "--bind", `${scene.mountpoint}/dir`, ondir);
  await scene.victim(ondir, `${ondir}/inner`);
  await scene.victim(ondir, `${ondir}/inner`, [...unshared, "slave"]);
  assertEquals(await scene.replace(), []);
  await scene.checkReplaced();
});

test("copies that follow a copy, not the stub's own mount", async () => {
  await using place = await Place.make("real", "mnt");
  const scene = await Scene.make(place, "mnt");
  const mnt = scene.mountpoint;
  const first = await namespace(place, ...unshared, "private");
  await place.run(...first, "mount", "--make-rshared", "/");
  await scene.victim(`${mnt}/dir`, `${mnt}/data`, [...first, ...unshared, "slave"]);
  await scene.victim(`${mnt}/dir`, `${mnt}/data`, first);
  assertEquals(await scene.replace(), []);
  await scene.checkReplaced();
});

test("slaves of slaves", async () => {
  await using place = await Place.make("real");
  await sharedParent(place);
  const scene = await Scene.make(place, "shared/mnt");
  const mnt = scene.mountpoint;
  const first = await namespace(place, ...unshared, "slave");
  await place.run(...first, "mount", "--make-shared", place.path("shared"));
  await scene.victim(`${mnt}/dir`, `${mnt}/data`, [...first, ...unshared, "slave"]);
  await scene.victim(`${mnt}/dir`, `${mnt}/data`, first);
  assertEquals(await scene.replace(), []);
  await scene.checkReplaced();
});

test("a slave copy in a user namespace", async () => {
  await using place = await Place.make("real");
  await sharedParent(place);
  const scene = await Scene.make(place, "shared/mnt");
  const mnt = scene.mountpoint;
  const by = [...unshared, "slave", "--user", "--map-root-user"];
  await scene.victim(`${mnt}/dir`, `${mnt}/data`, by);
  assertEquals(await scene.replace(), []);
  await scene.checkReplaced();
}, users.ignore);

const lockedCopy = [...unshared, "private", "--user", "--map-root-user"];

test(
  "a private copy in a user namespace, which the kernel keeps: refused, and nothing is changed",
  async () => {
    await using place = await Place.make("real", "mnt");
    const scene = await Scene.make(place, "mnt");
    const mnt = scene.mountpoint;
    const { pid } = await scene.victim(`${mnt}/dir`, `${mnt}/data`, lockedCopy);
    const refusal = await refused(scene.replace({ swap: "require" }), "swap_refused", "may not take it off");
    assertStringIncludes(refusal.message, `process ${pid}`);
    assertEquals([scene.stubsOf(scene.daemon.pid).length, scene.stubsOf(pid).length], [1, 1]);
  },
  users.ignore,
);

test("a private copy in a user namespace, which the kernel keeps: covered, and told", async () => {
  await using place = await Place.make("real", "mnt");
  const scene = await Scene.make(place, "mnt");
  const mnt = scene.mountpoint;
  const running = await scene.victim(`${mnt}/dir`, `${mnt}/data`, lockedCopy);
  const left = await scene.replace();
  assertEquals(left.length, 1, left.join("; "));
  assertStringIncludes(left[0]!, "may not take it off");
  assertEquals(scene.stubsOf(scene.daemon.pid), []);
  assertEquals(scene.stubsOf(running.pid).length, 1);
  assertEquals(Deno.readLinkSync(`/proc/${running.pid}/cwd`), `${mnt}/dir`);
  const seen = await scene.run("nsenter", `--mount=/proc/${running.pid}/ns/mnt`, "cat", `${mnt}/dir/inner`);
  assertEquals(seen, "real inner\n");
  scene.daemon.closeInput();
  await running.closeInput(); // with the namespace the last mount of the stub goes
  assertEquals((await running.ended).stdout, "ready\nreal bytes\n");
  assertEquals((await within("the daemon's end", scene.daemon.ended())).code, 0);
}, users.ignore);

test("what is forbidden on a bind mount stays so", async () => {
  await using place = await Place.make("mnt", "real", "ondir");
  const scene = await Scene.make(place, "mnt");
  const ondir = place.path("ondir");
  await scene.run("mount", "--bind", place.path("mnt/dir"), ondir);
  await scene.run("mount", "-o", "remount,bind,ro,noexec", ondir);
  await scene.victim(ondir, `${ondir}/inner`);
  assertEquals(await scene.replace({ swap: "require" }), []);
  const options = async (path: string) =>
    (await scene.run("findmnt", "-n", "-o", "VFS-OPTIONS", path)).trim().split(",");
  const [bound, own] = [await options(ondir), await options(scene.mountpoint)];
  assert(bound.includes("ro") && bound.includes("noexec"), bound.join());
  assert(!own.includes("ro") && !own.includes("noexec"), own.join());
  await scene.checkReplaced();
});

/** A scene with a bind mount of a directory that the real file system does not have. */
async function sceneWithoutCounterpart(place: Place): Promise<Scene> {
  const scene = await Scene.make(place, "mnt");
  const entries = [{ path: "only", type: "directory" as const }];
  await scene.daemon.client.call("file.create", { mount: "m", entries });
  await scene.run("mount", "--bind", place.path("mnt/only"), place.path("ondir"));
  return scene;
}

test("a bind mount of what the real file system does not have is a refusal", async () => {
  await using place = await Place.make("mnt", "real", "ondir");
  const scene = await sceneWithoutCounterpart(place);
  await refused(scene.replace({ swap: "require" }), "swap_refused", "ENOENT");
  assertEquals(scene.stubsOf(scene.daemon.pid).length, 2);
});

test("a bind mount of what the real file system does not have is left, and told", async () => {
  await using place = await Place.make("mnt", "real", "ondir");
  const scene = await sceneWithoutCounterpart(place);
  const left = await scene.replace();
  assertEquals(left.length, 1, left.join("; "));
  assertStringIncludes(left[0]!, `cannot be replaced at ${place.path("ondir")}: open_tree /only: ENOENT`);
  assertEquals(scene.stubsOf(scene.daemon.pid).length, 1);
  await scene.run("umount", place.path("ondir"));
  await scene.checkReplaced();
});
