/**
 * What this machine has of what spfs needs: `spfs check`.
 *
 * @module
 */

import { FuseLibraryError, loadFuse } from "../ffi/fuse/library.ts";
import { SysError } from "../ffi/errno.ts";
import {
  AT_FDCWD,
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_MKNOD,
  CAP_SETGID,
  CAP_SETUID,
  CAP_SYS_ADMIN,
  CAP_SYS_PTRACE,
  O_CLOEXEC,
  O_RDWR,
  RLIMIT_NOFILE,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { openat } from "../ffi/sys/file.ts";
import { capget } from "../ffi/sys/identity.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { readMountinfo } from "../ffi/sys/mountinfo.ts";
import { prlimit64 } from "../ffi/sys/process.ts";
import { findHelper } from "./mount_helper.ts";
import { supportsBeneath } from "./swap_support.ts";

/** How something stands: there; there, but with less than it could be; not there. */
export type ProbeState = "ok" | "degraded" | "missing";

/** One line of `spfs check`. */
export interface ProbeLine {
  /** What was looked at. */
  readonly name: string;
  /** How it stands. */
  readonly state: ProbeState;
  /** What was found. */
  readonly detail: string;
  /** What it costs that it is degraded or missing; absent when it is ok. */
  readonly costs?: string;
}

/** Looks at everything. Starts `criu` when there is one; takes a second at most then. Never rejects. */
export async function probe(): Promise<ProbeLine[]> {
  return [
    kernelLine(Deno.osRelease()),
    guarded("move_mount beneath", beneathLine),
    guarded("/dev/fuse", deviceLine),
    guarded("libfuse", libfuseLine),
    guarded("capabilities", capabilitiesLine),
    guarded("cgroups", cgroupsLine),
    guarded("FUSE timeouts", () => timeoutsLine(readTimeouts())),
    guarded("open files", filesLine),
    await mountHelpersLine(),
    await criuLine(),
  ];
}

function ok(name: string, detail: string): ProbeLine {
  return { name, state: "ok", detail };
}

function guarded(name: string, look: () => ProbeLine): ProbeLine {
  try {
    return look();
  } catch (error) {
    return { name, state: "missing", detail: (error as Error).message, costs: "it could not be looked at" };
  }
}

/** What a kernel's release means. Pure. */
export function kernelLine(release: string): ProbeLine {
  const [major = 0, minor = 0] = release.split(/[.-]/, 2).map(Number);
  const name = "kernel";
  if (major > 5 || (major === 5 && minor >= 8)) return ok(name, release);
  const costs = "5.8 is needed: the mount API, openat2, mount ids from statx";
  return { name, state: "missing", detail: release, costs };
}

function beneathLine(): ProbeLine {
  const name = "move_mount beneath";
  if (supportsBeneath()) return ok(name, "MOVE_MOUNT_BENEATH");
  const costs = "while a stub is replaced the bare mountpoint can be seen for a moment (Linux 6.5 has it)";
  return { name, state: "degraded", detail: "not known to the kernel", costs };
}

function deviceLine(): ProbeLine {
  const name = "/dev/fuse";
  try {
    using _ = Fd.own(check(openat(AT_FDCWD, cstr(name), O_RDWR | O_CLOEXEC), "open", name));
    return ok(name, "can be opened");
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { name, state: "missing", detail: error.message, costs: "nothing can be mounted" };
  }
}

function libfuseLine(): ProbeLine {
  const name = "libfuse";
  try {
    using library = loadFuse();
    const { major, minor, patch } = library.version;
    return ok(name, `${library.name}, version ${major}.${minor}.${patch}`);
  } catch (error) {
    if (!(error instanceof FuseLibraryError)) throw error;
    return { name, state: "missing", detail: error.message, costs: "nothing can be mounted" };
  }
}

/** What each capability is for. */
const capabilities: readonly (readonly [name: string, bit: number, costs: string])[] = [
  ["CAP_SYS_ADMIN", CAP_SYS_ADMIN, "nothing can be mounted"],
  ["CAP_DAC_OVERRIDE", CAP_DAC_OVERRIDE, "files of other users cannot be made or passed on"],
  ["CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH, "directories of other users cannot be searched"],
  ["CAP_CHOWN", CAP_CHOWN, "files cannot be given their owners"],
  ["CAP_FOWNER", CAP_FOWNER, "modes of other users' files cannot be set"],
  ["CAP_MKNOD", CAP_MKNOD, "device nodes cannot be made"],
  ["CAP_SETUID", CAP_SETUID, "requests cannot be performed as their callers"],
  ["CAP_SETGID", CAP_SETGID, "requests cannot be performed with their callers' groups"],
  ["CAP_SYS_PTRACE", CAP_SYS_PTRACE, "callers of other users cannot be looked at"],
];

function capabilitiesLine(): ProbeLine {
  const name = "capabilities";
  const sets = capget();
  if (typeof sets === "number") throw new SysError("capget", -sets);
  const missing = capabilities.filter(([, bit]) => (sets.effective & (1n << BigInt(bit))) === 0n);
  if (missing.length === 0) return ok(name, "all that are needed");
  const state = missing.some(([, bit]) => bit === CAP_SYS_ADMIN) ? "missing" : "degraded";
  const costs = missing.map(([, , cost]) => cost).join("; ");
  return { name, state, detail: `without ${missing.map(([capability]) => capability).join(", ")}`, costs };
}

function cgroupsLine(): ProbeLine {
  const name = "cgroups";
  const types = new Set(readMountinfo().map(({ fstype }) => fstype));
  const versions = [types.has("cgroup2") ? "v2" : "", types.has("cgroup") ? "v1" : ""].filter((v) =>
    v !== ""
  );
  if (types.has("cgroup2")) return ok(name, versions.join(" and "));
  const costs = "processes are stopped one by one when their files are moved, without a freezer as a guard";
  return { name, state: "degraded", detail: versions.join("") || "none is mounted", costs };
}

/** FUSE's own limits on how long a request may take, in seconds; 0: none; undefined: the kernel has no such limits (before 6.14). */
interface FuseTimeouts {
  readonly default?: number;
  readonly max?: number;
}

function readTimeouts(): FuseTimeouts {
  const read = (name: string) => {
    try {
      return Number(Deno.readTextFileSync(`/proc/sys/fs/fuse/${name}_request_timeout`));
    } catch {
      return undefined;
    }
  };
  const [def, max] = [read("default"), read("max")];
  return { ...(def !== undefined && { default: def }), ...(max !== undefined && { max }) };
}

/** What FUSE's timeouts mean. Pure. */
export function timeoutsLine(timeouts: FuseTimeouts): ProbeLine {
  const name = "FUSE timeouts";
  const limit = Math.max(timeouts.default ?? 0, timeouts.max ?? 0);
  if (limit === 0) return ok(name, timeouts.max === undefined ? "the kernel has none" : "off");
  const costs =
    "the kernel aborts a mount whose requests wait longer: set fs.fuse.default_request_timeout and " +
    "fs.fuse.max_request_timeout to 0";
  const detail = `default ${timeouts.default ?? 0} s, at most ${timeouts.max ?? 0} s`;
  return { name, state: "degraded", detail, costs };
}

function filesLine(): ProbeLine {
  const name = "open files";
  const limit = prlimit64(0, RLIMIT_NOFILE);
  if (typeof limit === "number") throw new SysError("prlimit", -limit);
  if (limit.hard >= 16_384n) return ok(name, `at most ${limit.hard}`);
  const costs = "descriptors may run out with many open files; raise the hard limit (ulimit -Hn)";
  return { name, state: "degraded", detail: `at most ${limit.hard}`, costs };
}

async function mountHelpersLine(): Promise<ProbeLine> {
  const types = ["nfs", "nfs4", "cifs", "fuse"];
  const found = await Promise.all(
    types.map(async (type) => await findHelper(type) === undefined ? "" : type),
  );
  const names = found.filter((type) => type !== "");
  return ok(
    "mount helpers",
    names.length === 0 ? "none for nfs, nfs4, cifs, fuse" : `for ${names.join(", ")}`,
  );
}

async function criuLine(): Promise<ProbeLine> {
  const name = "CRIU";
  const program = Deno.env.get("SPFS_CRIU") || "criu";
  const version = await output(program, ["--version"]);
  if (version === undefined) {
    return { name, state: "missing", detail: `${program} cannot be run`, costs: "nothing can be restored" };
  }
  const detail = /Version: *(\S+)/.exec(version.text)?.[1] ?? version.text.split("\n", 1)[0] ?? "";
  const checked = await output(program, ["check"]);
  if (checked?.code === 0) return ok(name, `${detail}, criu check passes`);
  const why = checked === undefined ? "does not end" : checked.text.trim().split("\n").at(-1) ?? "";
  return { name, state: "degraded", detail: `${detail}, criu check: ${why}`, costs: "restoring may fail" };
}

/** What a program says, and its exit code; undefined when it cannot be started or takes longer than ten seconds. */
async function output(program: string, args: string[]): Promise<{ code: number; text: string } | undefined> {
  try {
    const child = new Deno.Command(program, {
      args,
      cwd: "/",
      env: { LC_ALL: "C" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(10_000),
    });
    const { code, signal, stdout, stderr } = await child.output();
    if (signal !== null) return undefined;
    const decoder = new TextDecoder();
    return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
  } catch {
    return undefined;
  }
}
