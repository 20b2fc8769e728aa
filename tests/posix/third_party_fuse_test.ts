/** Other people's tests of file systems pass in proxy mode, also while the mode changes, and leave nothing open. */
import { assertEquals } from "@std/assert";
import { Sandbox } from "../e2e/support/sandbox.ts";
import { StubMount } from "../support/fuse/stub_mount.ts";
import { requires } from "../support/requirements.ts";
import { fileSystems } from "./support/file_systems.ts";

/** Each suite ends by itself in less than a minute. */
const LIMIT_MS = 120_000;
/** How long each mode lasts while a suite runs, in milliseconds. */
const MODE_MS = 500;

/** What stress-ng has in its class of file systems, less what is about something else and what the kernel does not pass to FUSE. */
const STRESSORS = [
  "access,chattr,chdir,chmod,chown,copy-file,dentry,dir,dirdeep,dirmany,fallocate,fcntl,file-ioctl,filename,flock,fpunch,fsize,fstat",
  "getdent,handle,hdd,inode-flags,inotify,lease,link,locka,lockf,lockofd,mknod,rename,symlink,sync-file,touch,utime,xattr",
].flatMap((names) => names.split(","));

/** By name: the command in an empty directory. */
const suites: Readonly<Record<string, (directory: string) => string[]>> = {
  "stress-ng": (directory) => [
    "stress-ng",
    ...STRESSORS.flatMap((name) => [`--${name}`, "1"]),
    ...["--sequential", "1", "--timeout", "1s", "--verify", "--temp-path", directory],
  ],
  "fio": (directory) => {
    const job = (name: string, ...options: string[]) => [`--name=${name}`, ...options];
    return [
      "fio",
      ...[
        `--directory=${directory}`,
        "--size=8m",
        "--bs=4k",
        "--rw=randrw",
        "--verify=crc32c",
        "--do_verify=1",
      ],
      ...["--verify_fatal=1", "--loops=3", "--thread", "--group_reporting", "--fallocate=none"],
      ...job("psync", "--ioengine=psync"),
      ...job("direct", "--ioengine=psync", "--direct=1"),
      ...job("mmap", "--ioengine=mmap"),
      ...job("append", "--ioengine=sync", "--rw=write", "--file_append=1"),
      ...job("large", "--ioengine=pvsync2", "--bs=1m", "--rw=write"),
    ];
  },
  "dbench": (directory) => ["dbench", "-t", "10", "-D", directory, "4"],
};

for (const [name, command] of Object.entries(suites)) {
  for (const switching of [false, true]) {
    Deno.test({
      name: `posix: ${name} passes in proxy mode${switching ? ", which is left again and again" : ""}`,
      ...await requires({ fuse: true, loop: true, programs: ["mkfs.xfs", name] }),
      async fn() {
        await using sandbox = new Sandbox("spfs-posix-");
        const backing = await fileSystems.xfs!(sandbox);
        // Who waits in stub mode is not to be woken by the timers of the suites.
        await using mount = await StubMount.start({ interrupts: "fatal" });
        await mount.proxy(backing);
        const before = await mount.inspect();
        await mount.shell("mkdir $M/suite");
        const [program, ...args] = command(mount.path("suite"));
        const child = sandbox.start(program!, args, { limitMs: LIMIT_MS });
        if (switching) await changeModes(mount, child.status);
        const { code, stdout, stderr } = await child.ended();
        assertEquals(code, 0, `${stdout}${stderr}`);
        await mount.shell("rm -r $M/suite");
        await mount.until(
          ({ handles, nodes }) => handles === before.handles && nodes === before.nodes,
          "everything to be closed and forgotten",
        );
        await mount.unmount();
      },
    });
  }
}

/** To stub mode and back for as long as a program runs. */
async function changeModes(mount: StubMount, ended: Promise<unknown>): Promise<void> {
  let over = false;
  const end = ended.finally(() => over = true);
  const wait = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, MODE_MS);
    return Promise.race([promise, end]).finally(() => clearTimeout(timer));
  };
  while (!over) {
    await mount.stub();
    await wait();
    await mount.proxy();
    await wait();
  }
}
