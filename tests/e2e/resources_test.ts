/**
 * Everything that a process can have on a file system: dumped, restored onto a stand-in while the file system is away, waiting, released and
 * moved to the real file system, and looked at from inside. By each of the ways to restore.
 */
import { assertEquals } from "@std/assert";
import { connect } from "../../control/client.ts";
import { e2e } from "./support/case.ts";
import { Images } from "./support/criu.ts";
import { isAlive, mountsBelow, processState, until } from "./support/proc.ts";
import { Remote } from "./support/remote.ts";
import { ResourceTree, type TreeProgram } from "./support/resource_tree.ts";
import { ways } from "./support/ways.ts";

const programs: readonly TreeProgram[] = [
  {
    name: "files",
    program: "fds",
    cases: ["private", "beyond", "dup", "forked", "passed", "flags", "path-files", "cloexec"],
  },
  { name: "maps", program: "maps", cases: ["shared", "private", "inherited", "ghost"] },
  { name: "locked", program: "locked", cases: ["absent", "shared", "private"] },
  { name: "names", program: "names", cases: ["deleted", "links", "link-gone", "entries"] },
  { name: "fifos", program: "fifos", cases: ["both", "ends"] },
  { name: "locks", program: "locks", cases: ["posix", "ofd", "flock", "lease-write", "lease-read"] },
  { name: "watches", program: "events", cases: ["inotify-events"] },
  { name: "cwd", program: "places", cases: ["cwd"] },
  { name: "root", program: "places", cases: ["root"] },
  { name: "exe", program: "places", cases: ["exe"], placed: true },
  { name: "exe-locked", program: "places", cases: ["exe-locked"], placed: true },
];

// To look for a build id CRIU would open the file with the write lease, and wait until the kernel has broken that, after 45 s.
const dumpOptions = ["--file-locks", "--link-remap", "--file-validation", "filesize"];

for (const way of ways) {
  await e2e(
    `${way.name}: what processes have on a file system waits for it, and goes to it`,
    async (sandbox, binary) => {
      const mountpoint = sandbox.directory("mnt");
      const runtime = sandbox.directory("run", 0o700);
      const remote = await Remote.make(sandbox);
      await remote.attach();
      await remote.mount(mountpoint);
      const tree = await ResourceTree.start(sandbox, mountpoint, programs);
      tree.order("check");
      assertEquals(await tree.answers(), tree.right, "before the dump");
      const { pids } = tree;
      const images = await Images.dump(sandbox, tree.pid, dumpOptions, binary);
      await remote.unmount(mountpoint);
      await remote.detach();
      // Their numbers are needed, and whoever inherited them may take its time.
      await until("the end of what was dumped", () => pids.every((pid) => processState(pid) === undefined));

      const replace = { swap: "require", retry: { maxMs: 200, errnos: ["ENOENT"] } };
      const config = { mounts: [{ id: "net", mountpoint, replace: { ...replace, source: remote.source } }] };
      Deno.writeTextFileSync(`${images.directory}/spfs-restore.json`, JSON.stringify(config));
      await way.restore(images, { binary, runtime, options: ["--file-locks"] });
      tree.order("check");
      {
        const [socket] = [...Deno.readDirSync(runtime)].filter(({ name }) => name.endsWith(".sock"));
        using client = await connect(`${runtime}/${socket!.name}`, { name: "e2e" });
        await until("parked requests", async () => {
          const { mounts: [mount] } = await client.call("status", { mount: "net" });
          return mount!.parked.count > 0 && mount!.replace?.state === "waiting";
        });
      }
      await remote.attach();
      assertEquals(await tree.answers(), tree.right, "when the file system has come back");
      await until("the end of the daemon", () => [...Deno.readDirSync(runtime)].length === 0);
      assertEquals(mountsBelow(mountpoint).map(({ fstype }) => fstype), ["ext4"]);
      const last = tree.pids; // some are nobody's children when the others have ended
      tree.order("end");
      assertEquals(await tree.answers(), tree.right, "on the file system");
      await until("the end of the tree", () => !last.some(isAlive));
      await remote.unmount(mountpoint);
      await remote.detach();
    },
    { criu: true, loop: true, ...way.needs },
  );
}
