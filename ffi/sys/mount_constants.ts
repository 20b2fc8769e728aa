/**
 * Constants of mounts, namespaces, capabilities and prctl(2). Sources: `sys/mount.h`, `linux/mount.h`, `linux/sched.h`,
 * `linux/capability.h`, `linux/prctl.h`.
 *
 * @module
 */

/** mount(2): read-only. */
export const MS_RDONLY = 1;
/** mount(2): set-user-ID bits do not work. */
export const MS_NOSUID = 2;
/** mount(2): device nodes do not work. */
export const MS_NODEV = 4;
/** mount(2): nothing can be executed. */
export const MS_NOEXEC = 8;
/** mount(2): writes are stored at once. */
export const MS_SYNCHRONOUS = 16;
/** mount(2): change an existing mount. */
export const MS_REMOUNT = 32;
/** mount(2): directory changes are stored at once. */
export const MS_DIRSYNC = 128;
/** mount(2): symbolic links are not followed; Linux 5.10. */
export const MS_NOSYMFOLLOW = 256;
/** mount(2): access times stay. */
export const MS_NOATIME = 1024;
/** mount(2): access times of directories stay. */
export const MS_NODIRATIME = 2048;
/** mount(2): make a directory or file visible elsewhere. */
export const MS_BIND = 4096;
/** mount(2): move a mount. */
export const MS_MOVE = 8192;
/** mount(2): with what is below. */
export const MS_REC = 16384;
/** mount(2): fewer kernel messages. */
export const MS_SILENT = 32768;
/** mount(2): cannot be bound. */
export const MS_UNBINDABLE = 1 << 17;
/** mount(2): neither receives nor forwards mounts. */
export const MS_PRIVATE = 1 << 18;
/** mount(2): receives mounts but does not forward them. */
export const MS_SLAVE = 1 << 19;
/** mount(2): receives and forwards mounts. */
export const MS_SHARED = 1 << 20;
/** mount(2): access times are kept roughly. */
export const MS_RELATIME = 1 << 21;
/** mount(2): access times are kept exactly. */
export const MS_STRICTATIME = 1 << 24;
/** mount(2): times are stored lazily. */
export const MS_LAZYTIME = 1 << 25;

/** umount2(2): abort pending requests. */
export const MNT_FORCE = 1;
/** umount2(2): take it out of the tree now, unmount when it is unused. */
export const MNT_DETACH = 2;
/** umount2(2): unmount if unused since the last such call. */
export const MNT_EXPIRE = 4;
/** umount2(2): do not follow a symbolic link. */
export const UMOUNT_NOFOLLOW = 8;

/** Mount attribute: read-only. */
export const MOUNT_ATTR_RDONLY = 0x1;
/** Mount attribute: set-user-ID bits do not work. */
export const MOUNT_ATTR_NOSUID = 0x2;
/** Mount attribute: device nodes do not work. */
export const MOUNT_ATTR_NODEV = 0x4;
/** Mount attribute: nothing can be executed. */
export const MOUNT_ATTR_NOEXEC = 0x8;
/** Mount attribute: the bits on access times, all to be cleared when one of them is set. */
export const MOUNT_ATTR__ATIME = 0x70;
/** Mount attribute: access times are kept roughly. */
export const MOUNT_ATTR_RELATIME = 0x0;
/** Mount attribute: access times stay. */
export const MOUNT_ATTR_NOATIME = 0x10;
/** Mount attribute: access times are kept exactly. */
export const MOUNT_ATTR_STRICTATIME = 0x20;
/** Mount attribute: access times of directories stay. */
export const MOUNT_ATTR_NODIRATIME = 0x80;
/** Mount attribute: ids are mapped by a user namespace; Linux 5.12. */
export const MOUNT_ATTR_IDMAP = 0x100000;
/** Mount attribute: symbolic links are not followed; Linux 5.14. */
export const MOUNT_ATTR_NOSYMFOLLOW = 0x200000;

/** move_mount(2): follow a symbolic link at the source. */
export const MOVE_MOUNT_F_SYMLINKS = 0x01;
/** move_mount(2): trigger an automount at the source. */
export const MOVE_MOUNT_F_AUTOMOUNTS = 0x02;
/** move_mount(2): the source is the descriptor itself. */
export const MOVE_MOUNT_F_EMPTY_PATH = 0x04;
/** move_mount(2): follow a symbolic link at the target. */
export const MOVE_MOUNT_T_SYMLINKS = 0x10;
/** move_mount(2): trigger an automount at the target. */
export const MOVE_MOUNT_T_AUTOMOUNTS = 0x20;
/** move_mount(2): the target is the descriptor itself. */
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
/** move_mount(2): copy the propagation group; Linux 5.15. */
export const MOVE_MOUNT_SET_GROUP = 0x100;
/** move_mount(2): put it below the top mount of the target; Linux 6.5. */
export const MOVE_MOUNT_BENEATH = 0x200;

/** open_tree(2): a detached copy of the mount. */
export const OPEN_TREE_CLONE = 1;
/** open_tree(2): as O_CLOEXEC. */
export const OPEN_TREE_CLOEXEC = 0o2000000;

/** fsopen(2): as O_CLOEXEC. */
export const FSOPEN_CLOEXEC = 1;
/** fspick(2): as O_CLOEXEC. */
export const FSPICK_CLOEXEC = 0x1;
/** fspick(2): do not follow a symbolic link. */
export const FSPICK_SYMLINK_NOFOLLOW = 0x2;
/** fspick(2): do not trigger an automount. */
export const FSPICK_NO_AUTOMOUNT = 0x4;
/** fspick(2): an empty path means the descriptor itself. */
export const FSPICK_EMPTY_PATH = 0x8;
/** fsmount(2): as O_CLOEXEC. */
export const FSMOUNT_CLOEXEC = 1;
/** fsconfig(2): an option without value. */
export const FSCONFIG_SET_FLAG = 0;
/** fsconfig(2): an option with a string. */
export const FSCONFIG_SET_STRING = 1;
/** fsconfig(2): an option with bytes. */
export const FSCONFIG_SET_BINARY = 2;
/** fsconfig(2): an option with a path. */
export const FSCONFIG_SET_PATH = 3;
/** fsconfig(2): an option with a path that may be empty. */
export const FSCONFIG_SET_PATH_EMPTY = 4;
/** fsconfig(2): an option with a descriptor. */
export const FSCONFIG_SET_FD = 5;
/** fsconfig(2): create the superblock, or share one that fits. */
export const FSCONFIG_CMD_CREATE = 6;
/** fsconfig(2): apply the options to an existing superblock. */
export const FSCONFIG_CMD_RECONFIGURE = 7;
/** fsconfig(2): create a new superblock or fail with EBUSY; Linux 6.6. */
export const FSCONFIG_CMD_CREATE_EXCL = 8;

/** unshare(2): own root, current directory and umask for this thread. */
export const CLONE_FS = 0x200;
/** unshare(2): own descriptor table for this thread. */
export const CLONE_FILES = 0x400;
/** Time namespace. */
export const CLONE_NEWTIME = 0x80;
/** Mount namespace. */
export const CLONE_NEWNS = 0x20000;
/** Cgroup namespace. */
export const CLONE_NEWCGROUP = 0x2000000;
/** Host name namespace. */
export const CLONE_NEWUTS = 0x4000000;
/** IPC namespace. */
export const CLONE_NEWIPC = 0x8000000;
/** User namespace. */
export const CLONE_NEWUSER = 0x10000000;
/** PID namespace. */
export const CLONE_NEWPID = 0x20000000;
/** Network namespace. */
export const CLONE_NEWNET = 0x40000000;

/** Bit number: change owners at will. */
export const CAP_CHOWN = 0;
/** Bit number: past permission checks. */
export const CAP_DAC_OVERRIDE = 1;
/** Bit number: read and search past permission checks. */
export const CAP_DAC_READ_SEARCH = 2;
/** Bit number: past checks for the owner. */
export const CAP_FOWNER = 3;
/** Bit number: keep set-ID bits on writes. */
export const CAP_FSETID = 4;
/** Bit number: signal any process. */
export const CAP_KILL = 5;
/** Bit number: change group ids. */
export const CAP_SETGID = 6;
/** Bit number: change user ids. */
export const CAP_SETUID = 7;
/** Bit number: change capabilities. */
export const CAP_SETPCAP = 8;
/** Bit number: change the flags "immutable" and "append only". */
export const CAP_LINUX_IMMUTABLE = 9;
/** Bit number: chroot(2), and setns(2) into a mount namespace. */
export const CAP_SYS_CHROOT = 18;
/** Bit number: trace any process. */
export const CAP_SYS_PTRACE = 19;
/** Bit number: mount, among much else. */
export const CAP_SYS_ADMIN = 21;
/** Bit number: past resource limits. */
export const CAP_SYS_RESOURCE = 24;
/** Bit number: make device nodes. */
export const CAP_MKNOD = 27;
/** Bit number: checkpoint and restore; Linux 5.9. */
export const CAP_CHECKPOINT_RESTORE = 40;

/** prctl(2): the signal when the parent thread dies. */
export const PR_SET_PDEATHSIG = 1;
/** prctl(2): whether it may be traced and dumped. */
export const PR_SET_DUMPABLE = 4;
/** prctl(2): the name of the calling thread. */
export const PR_SET_NAME = 15;
/** prctl(2): the name of the calling thread, into 16 bytes. */
export const PR_GET_NAME = 16;
/** prctl(2): execve(2) grants nothing any more. */
export const PR_SET_NO_NEW_PRIVS = 38;
/** prctl(2): this thread serves storage; Linux 5.6. */
export const PR_SET_IO_FLUSHER = 57;
