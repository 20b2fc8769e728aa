/**
 * What differs between the two architectures: system call numbers of what the C library lacks, and the values of some open(2) flags.
 * Sources: `asm/unistd_64.h` and `asm-generic/unistd.h`, `asm-generic/fcntl.h` and arm64's `asm/fcntl.h`.
 *
 * @module
 */

/** An architecture that is supported. */
export type Arch = "x86_64" | "aarch64";

/** System calls that are made by number: the C library does not have them, or adds something of its own to them. */
export interface SyscallNumbers {
  /** capget(2). */
  readonly capget: number;
  /** copy_file_range(2). */
  readonly copy_file_range: number;
  /** fchmodat(2): three arguments, no flags. */
  readonly fchmodat: number;
  /** fsconfig(2), Linux 5.2. */
  readonly fsconfig: number;
  /** fsmount(2), Linux 5.2. */
  readonly fsmount: number;
  /** fsopen(2), Linux 5.2. */
  readonly fsopen: number;
  /** fspick(2), Linux 5.2. */
  readonly fspick: number;
  /** getdents64(2). */
  readonly getdents64: number;
  /** gettid(2). */
  readonly gettid: number;
  /** mknodat(2). */
  readonly mknodat: number;
  /** mount_setattr(2), Linux 5.12. */
  readonly mount_setattr: number;
  /** move_mount(2), Linux 5.2. */
  readonly move_mount: number;
  /** openat2(2), Linux 5.6. */
  readonly openat2: number;
  /** open_tree(2), Linux 5.2. */
  readonly open_tree: number;
  /** pidfd_open(2), Linux 5.3. */
  readonly pidfd_open: number;
  /** renameat2(2), Linux 3.15. */
  readonly renameat2: number;
  /** setfsgid(2). */
  readonly setfsgid: number;
  /** setfsuid(2). */
  readonly setfsuid: number;
  /** setgroups(2). */
  readonly setgroups: number;
  /** statx(2), Linux 4.11. */
  readonly statx: number;
  /** utimensat(2). */
  readonly utimensat: number;
}

/** Values of open(2) flags that are not the same everywhere. */
export interface OpenFlags {
  /** O_DIRECT. */
  readonly O_DIRECT: number;
  /** O_DIRECTORY. */
  readonly O_DIRECTORY: number;
  /** O_LARGEFILE: what the kernel itself adds, and shows in F_GETFL and FUSE requests. */
  readonly O_LARGEFILE: number;
  /** O_NOFOLLOW. */
  readonly O_NOFOLLOW: number;
}

const numbers: Record<Arch, SyscallNumbers> = {
  x86_64: {
    capget: 125,
    copy_file_range: 326,
    fchmodat: 268,
    fsconfig: 431,
    fsmount: 432,
    fsopen: 430,
    fspick: 433,
    getdents64: 217,
    gettid: 186,
    mknodat: 259,
    mount_setattr: 442,
    move_mount: 429,
    openat2: 437,
    open_tree: 428,
    pidfd_open: 434,
    renameat2: 316,
    setfsgid: 123,
    setfsuid: 122,
    setgroups: 116,
    statx: 332,
    utimensat: 280,
  },
  aarch64: {
    capget: 90,
    copy_file_range: 285,
    fchmodat: 53,
    fsconfig: 431,
    fsmount: 432,
    fsopen: 430,
    fspick: 433,
    getdents64: 61,
    gettid: 178,
    mknodat: 33,
    mount_setattr: 442,
    move_mount: 429,
    openat2: 437,
    open_tree: 428,
    pidfd_open: 434,
    renameat2: 276,
    setfsgid: 152,
    setfsuid: 151,
    setgroups: 159,
    statx: 291,
    utimensat: 88,
  },
};

const flags: Record<Arch, OpenFlags> = {
  x86_64: { O_DIRECT: 0o40000, O_LARGEFILE: 0o100000, O_DIRECTORY: 0o200000, O_NOFOLLOW: 0o400000 },
  aarch64: { O_DIRECTORY: 0o40000, O_NOFOLLOW: 0o100000, O_DIRECT: 0o200000, O_LARGEFILE: 0o400000 },
};

/** The system call numbers of an architecture. */
export function syscallNumbers(of: Arch): SyscallNumbers {
  return numbers[of];
}

/** The open(2) flags of an architecture that differ. */
export function openFlags(of: Arch): OpenFlags {
  return flags[of];
}

/**
 * Checks that a platform is one that the tables here describe.
 *
 * @throws {Error} naming the platform when it is not Linux on x86_64 or aarch64.
 */
export function requireArch(os: string, cpu: string): Arch {
  if (os === "linux" && (cpu === "x86_64" || cpu === "aarch64")) return cpu;
  throw new Error(`unsupported platform: ${os} on ${cpu} (Linux on x86_64 or aarch64 is needed)`);
}

/** The architecture of this process. */
export const arch: Arch = requireArch(Deno.build.os, Deno.build.arch);

/** The system call numbers of this process. */
export const NR: SyscallNumbers = syscallNumbers(arch);
