/**
 * Who the calling thread is: user, groups, capabilities.
 *
 * The setters are made by raw system call and change this one thread, where glibc's functions of the same name would change all threads
 * of the process (setgroups) or do so by accident of version.
 *
 * @module
 */
import { Errno } from "../errno.ts";
import { NR } from "./arch.ts";
import { errno, symbol } from "./libc.ts";

const libc = {
  setfsid: symbol("syscall", { parameters: ["i32", "u32"], result: "i32" }),
  setgroups: symbol("syscall", { parameters: ["i32", "i32", "buffer"], result: "i32" }),
  getuid: symbol("getuid", { parameters: [], result: "u32" }),
  geteuid: symbol("geteuid", { parameters: [], result: "u32" }),
  getgid: symbol("getgid", { parameters: [], result: "u32" }),
  getegid: symbol("getegid", { parameters: [], result: "u32" }),
  getpid: symbol("getpid", { parameters: [], result: "i32" }),
  gettid: symbol("syscall", { parameters: ["i32"], result: "i32" }),
  capget: symbol("syscall", { parameters: ["i32", "buffer", "buffer"], result: "i32" }),
  capset: symbol("syscall", { parameters: ["i32", "buffer", "buffer"], result: "i32" }),
  prctl: symbol("prctl", { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" }),
  prctlBuffer: symbol("prctl", { parameters: ["i32", "buffer", "u64", "u64", "u64"], result: "i32" }),
};

const NO_ID = 0xffffffff;

/**
 * setfsuid(2): the user that this thread's file system calls are made as. Leaving user 0 takes CAP_DAC_OVERRIDE, CAP_FOWNER and their kin
 * out of the effective set, and coming back restores them.
 *
 * The call itself only returns the user before, whether it changed or not. So it is made a second time with an id that is never valid,
 * which changes nothing and tells who the user is now.
 *
 * @returns 0, or -EPERM when the user did not change (no CAP_SETUID), -EINVAL for 0xffffffff.
 */
export function setfsuid(uid: number): number {
  return setfsid(NR.setfsuid, uid);
}

/** setfsgid(2): the group that this thread's file system calls are made as; as `setfsuid`. */
export function setfsgid(gid: number): number {
  return setfsid(NR.setfsgid, gid);
}

function setfsid(call: number, id: number): number {
  if (id === NO_ID) return -Errno.EINVAL;
  libc.setfsid.call(call, id);
  return libc.setfsid.call(call, NO_ID) >>> 0 === id ? 0 : -Errno.EPERM;
}

/** setgroups(2): the supplementary groups of this thread. EPERM without CAP_SETGID. */
export function setgroups(groups: Uint32Array): number {
  const r = libc.setgroups.call(NR.setgroups, groups.length, groups as Uint32Array<ArrayBuffer>);
  return r < 0 ? -errno[0] : r;
}

/** getuid(2): the real user. */
export function getuid(): number {
  return libc.getuid.call();
}

/** geteuid(2): the effective user. */
export function geteuid(): number {
  return libc.geteuid.call();
}

/** getgid(2): the real group. */
export function getgid(): number {
  return libc.getgid.call();
}

/** getegid(2): the effective group. */
export function getegid(): number {
  return libc.getegid.call();
}

/** getpid(2): the process, as its own PID namespace numbers it. */
export function getpid(): number {
  return libc.getpid.call();
}

/** gettid(2): this thread. */
export function gettid(): number {
  return libc.gettid.call(NR.gettid);
}

/** The capability sets of a thread: bit N is capability N of CAP_*. */
export interface Capabilities {
  /** What counts now. */
  readonly effective: bigint;
  /** What may be made effective. */
  readonly permitted: bigint;
  /** What survives execve(2) of files that allow it. */
  readonly inheritable: bigint;
}

/** Whether a capability (CAP_*) is in a set, as `capget` and `/proc/PID/status` have it. */
export function hasCapability(set: bigint, capability: number): boolean {
  return (set >> BigInt(capability) & 1n) === 1n;
}

const CAPABILITY_VERSION = 0x20080522; // _LINUX_CAPABILITY_VERSION_3
// Of this thread; two of {effective, permitted, inheritable}, the low halves first.
const capabilityHeader = new Int32Array([CAPABILITY_VERSION, 0]);
const capabilityData = new Uint32Array(6);

/** capget(2) of a thread, 0 for this one. Returns the sets, or a negated error number: ESRCH when there is no such thread. */
export function capget(tid: number = 0): Capabilities | number {
  const header = new Int32Array([CAPABILITY_VERSION, tid]);
  const data = new Uint32Array(6);
  const r = libc.capget.call(NR.capget, header, data);
  if (r < 0) return -errno[0];
  const set = (index: number) => BigInt(data[index]!) | BigInt(data[index + 3]!) << 32n;
  return { effective: set(0), permitted: set(1), inheritable: set(2) };
}

/** capset(2) of this thread. EPERM when a set would hold more than the permitted one does. */
export function capset({ effective, permitted, inheritable }: Capabilities): number {
  [effective, permitted, inheritable].forEach((set, index) => {
    capabilityData[index] = Number(set & 0xffff_ffffn);
    capabilityData[index + 3] = Number(set >> 32n);
  });
  const r = libc.capset.call(NR.capset, capabilityHeader, capabilityData);
  return r < 0 ? -errno[0] : r;
}

/** prctl(2). `option` is PR_*; the second argument is a number, or a buffer as large as the option says. */
export function prctl(
  option: number,
  argument: bigint | Uint8Array,
  third = 0n,
  fourth = 0n,
  fifth = 0n,
): number {
  if (typeof argument === "bigint") {
    const r = libc.prctl.call(option, argument, third, fourth, fifth);
    return r < 0 ? -errno[0] : r;
  }
  const r = libc.prctlBuffer.call(option, argument as Uint8Array<ArrayBuffer>, third, fourth, fifth);
  return r < 0 ? -errno[0] : r;
}
