/**
 * A child of mount_swap_fuse_test.ts, in a mount namespace of its own: makes mounts below a directory, swaps them, and tells what it
 * found as one line of JSON. A tmpfs stands for the stub, since a swap never asks the file system itself.
 *
 * Usage: swap_child.ts DIRECTORY SCENARIO [WAY]
 */
import {
  AT_FDCWD,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOVE_MOUNT_BENEATH,
  MOVE_MOUNT_F_EMPTY_PATH,
  O_CLOEXEC,
  O_PATH,
  STATX_MNT_ID,
} from "../../../ffi/sys/constants.ts";
import { Fd } from "../../../ffi/sys/fd.ts";
import { fstat, openat, StatxBuffer } from "../../../ffi/sys/file.ts";
import { check, cstr, pathText } from "../../../ffi/sys/libc.ts";
import { fsconfigCreate, fsconfigString, fsmount, fsopen, moveMount } from "../../../ffi/sys/mount.ts";
import { readMountinfo } from "../../../ffi/sys/mountinfo.ts";
import {
  type Swap,
  swapAside,
  swapBeneath,
  swapDetached,
  swapMounts,
  undoBeneath,
} from "../../../host/mount_swap.ts";

const [directory, scenario, way = ""] = Deno.args as [string, string, string | undefined];
const mountpoint = `${directory}/mnt`;
const runtimeDirectory = `${directory}/run`;
const ways: Record<string, (swap: Swap) => unknown> = {
  beneath: swapBeneath,
  aside: swapAside,
  detached: swapDetached,
  best: swapMounts,
};

/** A detached tmpfs whose file `who` says its name. */
function tmpfs(name: string): Fd {
  using context = Fd.own(check(fsopen(cstr("tmpfs"), FSOPEN_CLOEXEC), "fsopen"));
  check(fsconfigString(context.raw, cstr("source"), cstr(name)), "fsconfig");
  check(fsconfigCreate(context.raw), "fsconfig");
  const mount = Fd.own(check(fsmount(context.raw, FSMOUNT_CLOEXEC, 0), "fsmount"));
  Deno.writeTextFileSync(`/proc/self/fd/${mount.raw}/who`, name);
  Deno.mkdirSync(`/proc/self/fd/${mount.raw}/inside`);
  return mount;
}

function attach(mount: Fd, path: string, flags: number = 0): void {
  flags |= MOVE_MOUNT_F_EMPTY_PATH;
  check(moveMount(mount.raw, cstr(""), AT_FDCWD, cstr(path), flags), "move_mount", path);
}

function deviceOf(mount: Fd): { major: number; minor: number } {
  const stat = new StatxBuffer();
  check(fstat(mount.raw, STATX_MNT_ID, stat), "statx");
  return { major: stat.devMajor, minor: stat.devMinor };
}

function swapOf(stub: Fd, real: Fd): Swap {
  return {
    mountFd: real.raw,
    mountpoint: new TextEncoder().encode(mountpoint),
    stub: deviceOf(stub),
    runtimeDirectory,
    ownerTag: "spfs:1:1:1",
  };
}

function state(): Record<string, unknown> {
  const mounts = readMountinfo().filter((entry) => pathText(entry.mountpoint).startsWith(directory));
  let who = "nothing";
  try {
    who = Deno.readTextFileSync(`${mountpoint}/who`);
  } catch {
    // The bare mountpoint.
  }
  const areas = [...Deno.readDirSync(runtimeDirectory)].map((entry) => entry.name);
  return { who, mounts: mounts.map((entry) => pathText(entry.source)).sort(), areas };
}

function attempt(run: () => unknown): Record<string, unknown> {
  try {
    return { returned: run() ?? null };
  } catch (error) {
    const { name, message, code, data } = error as Error & { code?: string; data?: Record<string, unknown> };
    return { name, message, errno: data?.["errno"] ?? code, rolledBack: data?.["rolledBack"] };
  }
}

/** Starts a process that looks at the mountpoint all the time; resolves when it has begun. */
async function observe(): Promise<() => Promise<unknown>> {
  const stop = `${directory}/stop`;
  const program = new URL("./observer.ts", import.meta.url).pathname;
  const args = ["run", "--no-check", "--allow-all", program, mountpoint, stop];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  const first = new TextDecoder().decode((await reader.read()).value);
  if (first !== "ready\n") throw new Error(`the observer said ${first}`);
  return async () => {
    Deno.writeTextFileSync(stop, "");
    let text = "";
    for (let got = await reader.read(); !got.done; got = await reader.read()) {
      text += new TextDecoder().decode(got.value);
    }
    await child.status;
    return JSON.parse(text);
  };
}

const scenarios: Record<string, () => unknown> = {
  /** One swap. */
  swap() {
    using stub = tmpfs("stub");
    using real = tmpfs("real");
    attach(stub, mountpoint);
    return { ...attempt(() => ways[way]!(swapOf(stub, real))), ...state() };
  },
  /** Something else is mounted on top of the stub. */
  covered() {
    using stub = tmpfs("stub");
    using real = tmpfs("real");
    using other = tmpfs("other");
    attach(stub, mountpoint);
    attach(other, mountpoint);
    return { ...attempt(() => ways[way]!(swapOf(stub, real))), ...state() };
  },
  /** Something else is mounted inside the stub. */
  inside() {
    using stub = tmpfs("stub");
    using real = tmpfs("real");
    using other = tmpfs("other");
    attach(stub, mountpoint);
    attach(other, `${mountpoint}/inside`);
    return { ...attempt(() => ways[way]!(swapOf(stub, real))), ...state() };
  },
  /** The real mount turns out to be none, after the stub was taken off. */
  broken() {
    using stub = tmpfs("stub");
    using real = Fd.own(check(openat(AT_FDCWD, cstr(directory), O_PATH | O_CLOEXEC), "openat"));
    attach(stub, mountpoint);
    return { ...attempt(() => ways[way]!(swapOf(stub, real))), ...state() };
  },
  /** The real mount is below the stub and is taken out again; then everything is repeated. */
  undo() {
    using stub = tmpfs("stub");
    using real = tmpfs("real");
    attach(stub, mountpoint);
    attach(real, mountpoint, MOVE_MOUNT_BENEATH);
    const swap = swapOf(stub, real);
    const between = state();
    using root = Fd.own(check(openat(AT_FDCWD, cstr(mountpoint), O_PATH | O_CLOEXEC), "openat"));
    const undone = { ...attempt(() => undoBeneath(swap, root.raw)), ...state() };
    return { between, undone, again: { ...attempt(() => swapBeneath(swap)), ...state() } };
  },
  /** 300 swaps while another process looks. */
  async observed() {
    let current = tmpfs("stub");
    attach(current, mountpoint);
    const finish = await observe();
    const errors: unknown[] = [];
    for (let count = 0; count < 300; count++) {
      const next = tmpfs(count % 2 === 0 ? "real" : "stub");
      const result = attempt(() => ways[way]!(swapOf(current, next)));
      if (!("returned" in result)) errors.push(result);
      current.close();
      current = next;
    }
    return { errors, seen: await finish(), ...state() };
  },
};

console.log(JSON.stringify(await scenarios[scenario]!()));
