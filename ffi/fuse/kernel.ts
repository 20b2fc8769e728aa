/**
 * The kernel's FUSE protocol, versions 7.31 to 7.45: opcodes, flags, notifications and ioctls here, structs in the module that is
 * re-exported. Names and values are those of `linux/fuse.h`; versions are named where something came after 7.31. INIT flags of bit 32 and
 * up are given as they stand in `flags2`, shifted down.
 *
 * @module
 */

export * from "./kernel_structs.ts";

/** The major version of the protocol. */
export const FUSE_KERNEL_VERSION = 7;
/** The nodeid of the root. */
export const FUSE_ROOT_ID = 1n;
/** The least a buffer for read(2) on the device must hold, in bytes. */
export const FUSE_MIN_READ_BUFFER = 8192;

/** Opcode: find a name. */
export const FUSE_LOOKUP = 1;
/** Opcode: drop lookups; no answer. */
export const FUSE_FORGET = 2;
/** Opcode: attributes. */
export const FUSE_GETATTR = 3;
/** Opcode: change attributes. */
export const FUSE_SETATTR = 4;
/** Opcode: the text of a symbolic link. */
export const FUSE_READLINK = 5;
/** Opcode: make a symbolic link. */
export const FUSE_SYMLINK = 6;
/** Opcode: make a file, device node, FIFO or socket. */
export const FUSE_MKNOD = 8;
/** Opcode: make a directory. */
export const FUSE_MKDIR = 9;
/** Opcode: remove a name. */
export const FUSE_UNLINK = 10;
/** Opcode: remove a directory. */
export const FUSE_RMDIR = 11;
/** Opcode: rename. */
export const FUSE_RENAME = 12;
/** Opcode: make a link. */
export const FUSE_LINK = 13;
/** Opcode: open a file. */
export const FUSE_OPEN = 14;
/** Opcode: read. */
export const FUSE_READ = 15;
/** Opcode: write. */
export const FUSE_WRITE = 16;
/** Opcode: what the file system has to say of itself. */
export const FUSE_STATFS = 17;
/** Opcode: the last reference to an open file is gone. */
export const FUSE_RELEASE = 18;
/** Opcode: store a file. */
export const FUSE_FSYNC = 20;
/** Opcode: set an extended attribute. */
export const FUSE_SETXATTR = 21;
/** Opcode: an extended attribute. */
export const FUSE_GETXATTR = 22;
/** Opcode: the names of extended attributes. */
export const FUSE_LISTXATTR = 23;
/** Opcode: remove an extended attribute. */
export const FUSE_REMOVEXATTR = 24;
/** Opcode: a descriptor was closed. */
export const FUSE_FLUSH = 25;
/** Opcode: the first request. */
export const FUSE_INIT = 26;
/** Opcode: open a directory. */
export const FUSE_OPENDIR = 27;
/** Opcode: list a directory. */
export const FUSE_READDIR = 28;
/** Opcode: the last reference to an open directory is gone. */
export const FUSE_RELEASEDIR = 29;
/** Opcode: store a directory. */
export const FUSE_FSYNCDIR = 30;
/** Opcode: who holds a POSIX lock. */
export const FUSE_GETLK = 31;
/** Opcode: take or drop a lock. */
export const FUSE_SETLK = 32;
/** Opcode: take a lock, waiting. */
export const FUSE_SETLKW = 33;
/** Opcode: check permissions; not sent with default_permissions. */
export const FUSE_ACCESS = 34;
/** Opcode: make and open a file. */
export const FUSE_CREATE = 35;
/** Opcode: a signal came for the waiter of another request; needs no answer. */
export const FUSE_INTERRUPT = 36;
/** Opcode: the block of a device. */
export const FUSE_BMAP = 37;
/** Opcode: the end, for block devices. */
export const FUSE_DESTROY = 38;
/** Opcode: ioctl(2). */
export const FUSE_IOCTL = 39;
/** Opcode: poll(2). */
export const FUSE_POLL = 40;
/** Opcode: data that a notification asked for. */
export const FUSE_NOTIFY_REPLY = 41;
/** Opcode: drop lookups of many nodes; no answer. */
export const FUSE_BATCH_FORGET = 42;
/** Opcode: allocate space or make holes. */
export const FUSE_FALLOCATE = 43;
/** Opcode: list a directory with attributes. */
export const FUSE_READDIRPLUS = 44;
/** Opcode: rename with flags. */
export const FUSE_RENAME2 = 45;
/** Opcode: find data or holes. */
export const FUSE_LSEEK = 46;
/** Opcode: copy between files. */
export const FUSE_COPY_FILE_RANGE = 47;
/** Opcode: DAX. */
export const FUSE_SETUPMAPPING = 48;
/** Opcode: DAX. */
export const FUSE_REMOVEMAPPING = 49;
/** Opcode: store the file system; 7.34. */
export const FUSE_SYNCFS = 50;
/** Opcode: make an unnamed file; 7.37. */
export const FUSE_TMPFILE = 51;
/** Opcode: extended attributes of a file; 7.39. */
export const FUSE_STATX = 52;
/** Opcode: copy between files, with a 64-bit answer; 7.45. */
export const FUSE_COPY_FILE_RANGE_64 = 53;

/** INIT flag: reads may overlap. */
export const FUSE_ASYNC_READ = 1 << 0;
/** INIT flag: POSIX locks are the server's; else the kernel keeps them. */
export const FUSE_POSIX_LOCKS = 1 << 1;
/** INIT flag: unused. */
export const FUSE_FILE_OPS = 1 << 2;
/** INIT flag: O_TRUNC comes with OPEN. */
export const FUSE_ATOMIC_O_TRUNC = 1 << 3;
/** INIT flag: LOOKUP of `.` and `..` is answered. */
export const FUSE_EXPORT_SUPPORT = 1 << 4;
/** INIT flag: writes of more than a page. */
export const FUSE_BIG_WRITES = 1 << 5;
/** INIT flag: the server applies the umask. */
export const FUSE_DONT_MASK = 1 << 6;
/** INIT flag: the device can be spliced to. */
export const FUSE_SPLICE_WRITE = 1 << 7;
/** INIT flag: splicing moves pages. */
export const FUSE_SPLICE_MOVE = 1 << 8;
/** INIT flag: the device can be spliced from. */
export const FUSE_SPLICE_READ = 1 << 9;
/** INIT flag: flock(2) locks are the server's; else the kernel keeps them. */
export const FUSE_FLOCK_LOCKS = 1 << 10;
/** INIT flag: ioctl on directories. */
export const FUSE_HAS_IOCTL_DIR = 1 << 11;
/** INIT flag: a changed size or mtime drops cached pages. */
export const FUSE_AUTO_INVAL_DATA = 1 << 12;
/** INIT flag: READDIRPLUS is there. */
export const FUSE_DO_READDIRPLUS = 1 << 13;
/** INIT flag: READDIRPLUS where it seems to pay. */
export const FUSE_READDIRPLUS_AUTO = 1 << 14;
/** INIT flag: asynchronous direct I/O. */
export const FUSE_ASYNC_DIO = 1 << 15;
/** INIT flag: writes are collected in the page cache. */
export const FUSE_WRITEBACK_CACHE = 1 << 16;
/** INIT flag: ENOSYS to OPEN means that none is needed. */
export const FUSE_NO_OPEN_SUPPORT = 1 << 17;
/** INIT flag: lookups and listings of one directory may overlap. */
export const FUSE_PARALLEL_DIROPS = 1 << 18;
/** INIT flag: the server drops set-ID bits and capabilities on writes. */
export const FUSE_HANDLE_KILLPRIV = 1 << 19;
/** INIT flag: POSIX ACLs, which imply default_permissions. */
export const FUSE_POSIX_ACL = 1 << 20;
/** INIT flag: after an abort the device says ECONNABORTED instead of ENODEV. */
export const FUSE_ABORT_ERROR = 1 << 21;
/** INIT flag: `max_pages` of the answer counts. */
export const FUSE_MAX_PAGES = 1 << 22;
/** INIT flag: the text of symbolic links is cached. */
export const FUSE_CACHE_SYMLINKS = 1 << 23;
/** INIT flag: ENOSYS to OPENDIR means that none is needed. */
export const FUSE_NO_OPENDIR_SUPPORT = 1 << 24;
/** INIT flag: cached pages are only dropped by notification. */
export const FUSE_EXPLICIT_INVAL_DATA = 1 << 25;
/** INIT flag: DAX; `map_alignment` of the answer counts. */
export const FUSE_MAP_ALIGNMENT = 1 << 26;
/** INIT flag: the kernel mounts submounts by itself. */
export const FUSE_SUBMOUNTS = 1 << 27;
/** INIT flag: set-ID bits are dropped as the requests say; 7.33. */
export const FUSE_HANDLE_KILLPRIV_V2 = 1 << 28;
/** INIT flag: SETXATTR has the longer struct; 7.33. */
export const FUSE_SETXATTR_EXT = 1 << 29;
/** INIT flag: `flags2` counts; 7.36. */
export const FUSE_INIT_EXT = 1 << 30;
/** INIT flag: not to be used. */
export const FUSE_INIT_RESERVED = 0x80000000;
/** Bit 32 of the INIT flags, in `flags2`: creating requests carry a security context; 7.36. */
export const FUSE_SECURITY_CTX = 1 << 0;
/** Bit 33 of the INIT flags, in `flags2`: DAX by inode; 7.36. */
export const FUSE_HAS_INODE_DAX = 1 << 1;
/** Bit 34 of the INIT flags, in `flags2`: creating requests carry a matching group; 7.38. */
export const FUSE_CREATE_SUPP_GROUP = 1 << 2;
/** Bit 35 of the INIT flags, in `flags2`: FUSE_EXPIRE_ONLY works; 7.38. */
export const FUSE_HAS_EXPIRE_ONLY = 1 << 3;
/** Bit 36 of the INIT flags, in `flags2`: shared mappings with FOPEN_DIRECT_IO; 7.39. */
export const FUSE_DIRECT_IO_ALLOW_MMAP = 1 << 4;
/** Bit 37 of the INIT flags, in `flags2`: data goes past the server; 7.40. */
export const FUSE_PASSTHROUGH = 1 << 5;
/** Bit 38 of the INIT flags, in `flags2`: not to be exported by NFS; 7.40. */
export const FUSE_NO_EXPORT_SUPPORT = 1 << 6;
/** Bit 39 of the INIT flags, in `flags2`: FUSE_NOTIFY_RESEND works; 7.40. */
export const FUSE_HAS_RESEND = 1 << 7;
/** Bit 40 of the INIT flags, in `flags2`: idmapped mounts; 7.41. */
export const FUSE_ALLOW_IDMAP = 1 << 8;
/** Bit 41 of the INIT flags, in `flags2`: requests by io_uring; 7.42. */
export const FUSE_OVER_IO_URING = 1 << 9;
/** Bit 42 of the INIT flags, in `flags2`: `request_timeout` of the answer counts; 7.43. */
export const FUSE_REQUEST_TIMEOUT = 1 << 10;

/** Open flag: past the page cache. */
export const FOPEN_DIRECT_IO = 1 << 0;
/** Open flag: cached pages stay. */
export const FOPEN_KEEP_CACHE = 1 << 1;
/** Open flag: lseek fails. */
export const FOPEN_NONSEEKABLE = 1 << 2;
/** Open flag: listings are cached. */
export const FOPEN_CACHE_DIR = 1 << 3;
/** Open flag: there is no offset. */
export const FOPEN_STREAM = 1 << 4;
/** Open flag: closing writes nothing back; 7.35. */
export const FOPEN_NOFLUSH = 1 << 5;
/** Open flag: direct writes may overlap; 7.38. */
export const FOPEN_PARALLEL_DIRECT_WRITES = 1 << 6;
/** Open flag: `backing_id` says which file serves the data; 7.40. */
export const FOPEN_PASSTHROUGH = 1 << 7;

/** GETATTR, STATX: `fh` counts. */
export const FUSE_GETATTR_FH = 1 << 0;
/** READ: `lock_owner` counts. */
export const FUSE_READ_LOCKOWNER = 1 << 1;
/** WRITE: from the page cache; writer and handle are guessed. */
export const FUSE_WRITE_CACHE = 1 << 0;
/** WRITE: `lock_owner` counts. */
export const FUSE_WRITE_LOCKOWNER = 1 << 1;
/** WRITE: drop set-ID bits. */
export const FUSE_WRITE_KILL_SUIDGID = 1 << 2;
/** OPEN, CREATE: drop set-ID bits; 7.33. */
export const FUSE_OPEN_KILL_SUIDGID = 1 << 0;
/** RELEASE: flush as well. */
export const FUSE_RELEASE_FLUSH = 1 << 0;
/** RELEASE: drop the flock(2) lock. */
export const FUSE_RELEASE_FLOCK_UNLOCK = 1 << 1;
/** SETLK, SETLKW: a flock(2) lock. */
export const FUSE_LK_FLOCK = 1 << 0;
/** FSYNC: data only. */
export const FUSE_FSYNC_FDATASYNC = 1 << 0;
/** SETXATTR: drop the set-group-ID bit; 7.33. */
export const FUSE_SETXATTR_ACL_KILL_SGID = 1 << 0;
/** POLL: a notification is wanted. */
export const FUSE_POLL_SCHEDULE_NOTIFY = 1 << 0;
/** IOCTL: from a 32-bit program. */
export const FUSE_IOCTL_COMPAT = 1 << 0;
/** IOCTL: may ask for more memory of the caller. */
export const FUSE_IOCTL_UNRESTRICTED = 1 << 1;
/** IOCTL: an answer that asks for it. */
export const FUSE_IOCTL_RETRY = 1 << 2;
/** IOCTL: 32 bits. */
export const FUSE_IOCTL_32BIT = 1 << 3;
/** IOCTL: on a directory. */
export const FUSE_IOCTL_DIR = 1 << 4;
/** IOCTL: from an x32 program. */
export const FUSE_IOCTL_COMPAT_X32 = 1 << 5;
/** Attribute flag: the root of a submount; 7.32. */
export const FUSE_ATTR_SUBMOUNT = 1 << 0;
/** Attribute flag: DAX; 7.36. */
export const FUSE_ATTR_DAX = 1 << 1;
/** The size of `struct fuse_setxattr_in` without FUSE_SETXATTR_EXT. */
export const FUSE_COMPAT_SETXATTR_IN_SIZE = 8;

/** SETATTR: `mode` is set. */
export const FATTR_MODE = 1 << 0;
/** SETATTR: `uid` is set. */
export const FATTR_UID = 1 << 1;
/** SETATTR: `gid` is set. */
export const FATTR_GID = 1 << 2;
/** SETATTR: `size` is set. */
export const FATTR_SIZE = 1 << 3;
/** SETATTR: `atime` is set. */
export const FATTR_ATIME = 1 << 4;
/** SETATTR: `mtime` is set. */
export const FATTR_MTIME = 1 << 5;
/** SETATTR: `fh` counts. */
export const FATTR_FH = 1 << 6;
/** SETATTR: the access time becomes the present. */
export const FATTR_ATIME_NOW = 1 << 7;
/** SETATTR: the modification time becomes the present. */
export const FATTR_MTIME_NOW = 1 << 8;
/** SETATTR: `lock_owner` counts. */
export const FATTR_LOCKOWNER = 1 << 9;
/** SETATTR: `ctime` is set. */
export const FATTR_CTIME = 1 << 10;
/** SETATTR: drop set-ID bits; 7.33. */
export const FATTR_KILL_SUIDGID = 1 << 11;

/** Notification: poll has news. */
export const FUSE_NOTIFY_POLL = 1;
/** Notification: drop the attributes and pages of a node. */
export const FUSE_NOTIFY_INVAL_INODE = 2;
/** Notification: drop a name. */
export const FUSE_NOTIFY_INVAL_ENTRY = 3;
/** Notification: put data into the page cache. */
export const FUSE_NOTIFY_STORE = 4;
/** Notification: send what the page cache has. */
export const FUSE_NOTIFY_RETRIEVE = 5;
/** Notification: a name was removed. */
export const FUSE_NOTIFY_DELETE = 6;
/** Notification: send unanswered requests again; 7.40. */
export const FUSE_NOTIFY_RESEND = 7;
/** Notification: all names are out of date; 7.44. */
export const FUSE_NOTIFY_INC_EPOCH = 8;
/** Notification: forget nodes that nobody uses; 7.45. */
export const FUSE_NOTIFY_PRUNE = 9;
/** In the flags of FUSE_NOTIFY_INVAL_ENTRY: only look it up again; 7.38. */
export const FUSE_EXPIRE_ONLY = 1 << 0;
/** In `unique`: the request was sent before; 7.40. */
export const FUSE_UNIQUE_RESEND: bigint = 1n << 63n;

/** ioctl on the device, u32 descriptor of another: a second channel to the same file system. */
export const FUSE_DEV_IOC_CLONE = 0x8004e500n;
/** ioctl on the device, `struct fuse_backing_map`: registers a file for passthrough and returns its id; 7.40. */
export const FUSE_DEV_IOC_BACKING_OPEN = 0x4010e501n;
/** ioctl on the device, u32 id: drops that registration; 7.40. */
export const FUSE_DEV_IOC_BACKING_CLOSE = 0x4004e502n;
