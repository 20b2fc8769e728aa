/**
 * What differs between the two architectures: system call numbers of what the C library lacks, and the values of some open(2) flags.
 * Sources: `asm/unistd_64.h` and `asm-generic/unistd.h`, `asm-generic/fcntl.h` and arm64's `asm/fcntl.h`.
 *
 * @module
 */

/** An architecture that is supported. */
export type Arch = "x86_64" | "aarch64";

/**
 * System calls that are made by number: the C library does not have them, adds something of its own to them, or they are made in or seen
 * of another process. One that an architecture lacks is -1, which is no system call's number: ENOSYS.
 */
export interface SyscallNumbers {
  /** accept(2). */
  readonly accept: number;
  /** accept4(2). */
  readonly accept4: number;
  /** bind(2). */
  readonly bind: number;
  /** brk(2). */
  readonly brk: number;
  /** capget(2). */
  readonly capget: number;
  /** capset(2). */
  readonly capset: number;
  /** chroot(2). */
  readonly chroot: number;
  /** clone(2). */
  readonly clone: number;
  /** close(2). */
  readonly close: number;
  /** connect(2). */
  readonly connect: number;
  /** copy_file_range(2). */
  readonly copy_file_range: number;
  /** dup3(2). */
  readonly dup3: number;
  /** epoll_ctl(2). */
  readonly epoll_ctl: number;
  /** epoll_pwait(2). */
  readonly epoll_pwait: number;
  /** epoll_pwait2(2), Linux 5.11. */
  readonly epoll_pwait2: number;
  /** epoll_wait(2); aarch64 has only epoll_pwait(2). */
  readonly epoll_wait: number;
  /** fchdir(2). */
  readonly fchdir: number;
  /** fchmodat(2): three arguments, no flags. */
  readonly fchmodat: number;
  /** fcntl(2). */
  readonly fcntl: number;
  /** flock(2). */
  readonly flock: number;
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
  /** getpid(2). */
  readonly getpid: number;
  /** gettid(2). */
  readonly gettid: number;
  /** io_getevents(2). */
  readonly io_getevents: number;
  /** io_uring_enter(2), Linux 5.1. */
  readonly io_uring_enter: number;
  /** io_uring_setup(2), Linux 5.1. */
  readonly io_uring_setup: number;
  /** ioctl(2). */
  readonly ioctl: number;
  /** kcmp(2), Linux 3.5. */
  readonly kcmp: number;
  /** listen(2). */
  readonly listen: number;
  /** lseek(2). */
  readonly lseek: number;
  /** madvise(2). */
  readonly madvise: number;
  /** mknodat(2). */
  readonly mknodat: number;
  /** mlock2(2), Linux 4.4. */
  readonly mlock2: number;
  /** mmap(2). */
  readonly mmap: number;
  /** mount_setattr(2), Linux 5.12. */
  readonly mount_setattr: number;
  /** move_mount(2), Linux 5.2. */
  readonly move_mount: number;
  /** mprotect(2). */
  readonly mprotect: number;
  /** mremap(2). */
  readonly mremap: number;
  /** munlock(2). */
  readonly munlock: number;
  /** munmap(2). */
  readonly munmap: number;
  /** name_to_handle_at(2). */
  readonly name_to_handle_at: number;
  /** open_by_handle_at(2). */
  readonly open_by_handle_at: number;
  /** open_tree(2), Linux 5.2. */
  readonly open_tree: number;
  /** openat(2). */
  readonly openat: number;
  /** openat2(2), Linux 5.6. */
  readonly openat2: number;
  /** pidfd_getfd(2), Linux 5.6. */
  readonly pidfd_getfd: number;
  /** pidfd_open(2), Linux 5.3. */
  readonly pidfd_open: number;
  /** pidfd_send_signal(2), Linux 5.1. */
  readonly pidfd_send_signal: number;
  /** pivot_root(2). */
  readonly pivot_root: number;
  /** pkey_mprotect(2), Linux 4.9. */
  readonly pkey_mprotect: number;
  /** prctl(2). */
  readonly prctl: number;
  /** prlimit(2). */
  readonly prlimit64: number;
  /** process_vm_readv(2). */
  readonly process_vm_readv: number;
  /** process_vm_writev(2). */
  readonly process_vm_writev: number;
  /** ptrace(2), whose PTRACE_PEEK* requests store the word and do not return it. */
  readonly ptrace: number;
  /** pwritev2(2). */
  readonly pwritev2: number;
  /** recvfrom(2). */
  readonly recvfrom: number;
  /** recvmmsg(2). */
  readonly recvmmsg: number;
  /** recvmsg(2). */
  readonly recvmsg: number;
  /** renameat2(2), Linux 3.15. */
  readonly renameat2: number;
  /** restart_syscall(2). */
  readonly restart_syscall: number;
  /** rt_sigaction(2). */
  readonly rt_sigaction: number;
  /** rt_sigprocmask(2). */
  readonly rt_sigprocmask: number;
  /** rt_sigtimedwait(2). */
  readonly rt_sigtimedwait: number;
  /** semop(2). */
  readonly semop: number;
  /** semtimedop(2). */
  readonly semtimedop: number;
  /** sendmsg(2). */
  readonly sendmsg: number;
  /** sendto(2). */
  readonly sendto: number;
  /** setfsgid(2). */
  readonly setfsgid: number;
  /** setfsuid(2). */
  readonly setfsuid: number;
  /** setgroups(2). */
  readonly setgroups: number;
  /** setsockopt(2). */
  readonly setsockopt: number;
  /** socket(2). */
  readonly socket: number;
  /** socketpair(2). */
  readonly socketpair: number;
  /** statx(2), Linux 4.11. */
  readonly statx: number;
  /** tgkill(2). */
  readonly tgkill: number;
  /** utimensat(2). */
  readonly utimensat: number;
  /** wait4(2). */
  readonly wait4: number;
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
    accept: 43,
    accept4: 288,
    bind: 49,
    brk: 12,
    capget: 125,
    capset: 126,
    chroot: 161,
    clone: 56,
    close: 3,
    connect: 42,
    copy_file_range: 326,
    dup3: 292,
    epoll_ctl: 233,
    epoll_pwait: 281,
    epoll_pwait2: 441,
    epoll_wait: 232,
    fchdir: 81,
    fchmodat: 268,
    fcntl: 72,
    flock: 73,
    fsconfig: 431,
    fsmount: 432,
    fsopen: 430,
    fspick: 433,
    getdents64: 217,
    getpid: 39,
    gettid: 186,
    io_getevents: 208,
    io_uring_enter: 426,
    io_uring_setup: 425,
    ioctl: 16,
    kcmp: 312,
    listen: 50,
    lseek: 8,
    madvise: 28,
    mknodat: 259,
    mlock2: 325,
    mmap: 9,
    mount_setattr: 442,
    move_mount: 429,
    mprotect: 10,
    mremap: 25,
    munlock: 150,
    munmap: 11,
    name_to_handle_at: 303,
    open_by_handle_at: 304,
    open_tree: 428,
    openat: 257,
    openat2: 437,
    pidfd_getfd: 438,
    pidfd_open: 434,
    pidfd_send_signal: 424,
    pivot_root: 155,
    pkey_mprotect: 329,
    prctl: 157,
    prlimit64: 302,
    process_vm_readv: 310,
    process_vm_writev: 311,
    ptrace: 101,
    pwritev2: 328,
    recvfrom: 45,
    recvmmsg: 299,
    recvmsg: 47,
    renameat2: 316,
    restart_syscall: 219,
    rt_sigaction: 13,
    rt_sigprocmask: 14,
    rt_sigtimedwait: 128,
    semop: 65,
    semtimedop: 220,
    sendmsg: 46,
    sendto: 44,
    setfsgid: 123,
    setfsuid: 122,
    setgroups: 116,
    setsockopt: 54,
    socket: 41,
    socketpair: 53,
    statx: 332,
    tgkill: 234,
    utimensat: 280,
    wait4: 61,
  },
  aarch64: {
    accept: 202,
    accept4: 242,
    bind: 200,
    brk: 214,
    capget: 90,
    capset: 91,
    chroot: 51,
    clone: 220,
    close: 57,
    connect: 203,
    copy_file_range: 285,
    dup3: 24,
    epoll_ctl: 21,
    epoll_pwait: 22,
    epoll_pwait2: 441,
    epoll_wait: -1,
    fchdir: 50,
    fchmodat: 53,
    fcntl: 25,
    flock: 32,
    fsconfig: 431,
    fsmount: 432,
    fsopen: 430,
    fspick: 433,
    getdents64: 61,
    getpid: 172,
    gettid: 178,
    io_getevents: 4,
    io_uring_enter: 426,
    io_uring_setup: 425,
    ioctl: 29,
    kcmp: 272,
    listen: 201,
    lseek: 62,
    madvise: 233,
    mknodat: 33,
    mlock2: 284,
    mmap: 222,
    mount_setattr: 442,
    move_mount: 429,
    mprotect: 226,
    mremap: 216,
    munlock: 229,
    munmap: 215,
    name_to_handle_at: 264,
    open_by_handle_at: 265,
    open_tree: 428,
    openat: 56,
    openat2: 437,
    pidfd_getfd: 438,
    pidfd_open: 434,
    pidfd_send_signal: 424,
    pivot_root: 41,
    pkey_mprotect: 288,
    prctl: 167,
    prlimit64: 261,
    process_vm_readv: 270,
    process_vm_writev: 271,
    ptrace: 117,
    pwritev2: 287,
    recvfrom: 207,
    recvmmsg: 243,
    recvmsg: 212,
    renameat2: 276,
    restart_syscall: 128,
    rt_sigaction: 134,
    rt_sigprocmask: 135,
    rt_sigtimedwait: 137,
    semop: 193,
    semtimedop: 192,
    sendmsg: 211,
    sendto: 206,
    setfsgid: 152,
    setfsuid: 151,
    setgroups: 159,
    setsockopt: 208,
    socket: 198,
    socketpair: 199,
    statx: 291,
    tgkill: 131,
    utimensat: 88,
    wait4: 260,
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
