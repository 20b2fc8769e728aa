/**
 * Constants of the Linux headers under their C names: those of files, descriptors, directories and processes here, those of mounts,
 * namespaces and capabilities, and those of sockets, in the modules that are re-exported. Values are those of asm-generic unless `arch.ts` says otherwise.
 *
 * @module
 */
import { arch, openFlags } from "./arch.ts";

export * from "./mount_constants.ts";
export * from "./socket_constants.ts";

/** As a directory: the current one. */
export const AT_FDCWD: number = -100;
/** Do not follow a symbolic link at the end of the path. */
export const AT_SYMLINK_NOFOLLOW = 0x100;
/** unlinkat(2): remove a directory. */
export const AT_REMOVEDIR = 0x200;
/** linkat(2): follow a symbolic link at the end of the old path. */
export const AT_SYMLINK_FOLLOW = 0x400;
/** Do not trigger an automount at the end of the path. */
export const AT_NO_AUTOMOUNT = 0x800;
/** An empty path means the descriptor itself. */
export const AT_EMPTY_PATH = 0x1000;
/** statx(2): ask the server for fresh attributes. */
export const AT_STATX_FORCE_SYNC = 0x2000;
/** statx(2): do not ask a server; take what is cached. */
export const AT_STATX_DONT_SYNC = 0x4000;
/** mount_setattr(2), open_tree(2): the mounts below as well. */
export const AT_RECURSIVE = 0x8000;

/** Open for reading. */
export const O_RDONLY = 0;
/** Open for writing. */
export const O_WRONLY = 1;
/** Open for both. */
export const O_RDWR = 2;
/** The bits that say which of the three. */
export const O_ACCMODE = 3;
/** Create it if it is not there. */
export const O_CREAT = 0o100;
/** With O_CREAT: fail with EEXIST if it is there. */
export const O_EXCL = 0o200;
/** Never make it the controlling terminal. */
export const O_NOCTTY = 0o400;
/** Cut it to nothing. */
export const O_TRUNC = 0o1000;
/** Every write goes to the end. */
export const O_APPEND = 0o2000;
/** Fail with EAGAIN instead of blocking. */
export const O_NONBLOCK = 0o4000;
/** Writes wait for the data to be stored. */
export const O_DSYNC = 0o10000;
/** Signal-driven I/O. */
export const O_ASYNC = 0o20000;
/** Reading leaves the access time alone. */
export const O_NOATIME = 0o1000000;
/** Close it on execve(2). */
export const O_CLOEXEC = 0o2000000;
/** Writes wait for data and metadata to be stored. */
export const O_SYNC = 0o4010000;
/** A descriptor that only says where the file is. */
export const O_PATH = 0o10000000;
/** Transfer past the page cache. */
export const O_DIRECT: number = openFlags(arch).O_DIRECT;
/** Fail with ENOTDIR if it is no directory. */
export const O_DIRECTORY: number = openFlags(arch).O_DIRECTORY;
/** Set by the kernel on 64-bit systems; seen in F_GETFL and FUSE requests. */
export const O_LARGEFILE: number = openFlags(arch).O_LARGEFILE;
/** Fail with ELOOP if the last component is a symbolic link. */
export const O_NOFOLLOW: number = openFlags(arch).O_NOFOLLOW;
/** An unnamed file in that directory. */
export const O_TMPFILE: number = 0o20000000 | openFlags(arch).O_DIRECTORY;

/** openat2(2): do not cross into another mount. */
export const RESOLVE_NO_XDEV = 0x01;
/** openat2(2): refuse the magic links of /proc. */
export const RESOLVE_NO_MAGICLINKS = 0x02;
/** openat2(2): refuse symbolic links. */
export const RESOLVE_NO_SYMLINKS = 0x04;
/** openat2(2): EXDEV when the path leaves the directory. */
export const RESOLVE_BENEATH = 0x08;
/** openat2(2): the directory is the root. */
export const RESOLVE_IN_ROOT = 0x10;
/** openat2(2): EAGAIN unless all is in the dentry cache; Linux 5.12. */
export const RESOLVE_CACHED = 0x20;

/** The bits of a mode that are the file type. */
export const S_IFMT = 0o170000;
/** A socket. */
export const S_IFSOCK = 0o140000;
/** A symbolic link. */
export const S_IFLNK = 0o120000;
/** A regular file. */
export const S_IFREG = 0o100000;
/** A block device. */
export const S_IFBLK = 0o60000;
/** A directory. */
export const S_IFDIR = 0o40000;
/** A character device. */
export const S_IFCHR = 0o20000;
/** A FIFO. */
export const S_IFIFO = 0o10000;
/** Set-user-ID. */
export const S_ISUID = 0o4000;
/** Set-group-ID. */
export const S_ISGID = 0o2000;
/** The sticky bit. */
export const S_ISVTX = 0o1000;

/** Directory entry: the type is not told. */
export const DT_UNKNOWN = 0;
/** Directory entry: a FIFO. */
export const DT_FIFO = 1;
/** Directory entry: a character device. */
export const DT_CHR = 2;
/** Directory entry: a directory. */
export const DT_DIR = 4;
/** Directory entry: a block device. */
export const DT_BLK = 6;
/** Directory entry: a regular file. */
export const DT_REG = 8;
/** Directory entry: a symbolic link. */
export const DT_LNK = 10;
/** Directory entry: a socket. */
export const DT_SOCK = 12;

/** renameat2(2): EEXIST if the new name is taken. */
export const RENAME_NOREPLACE = 1;
/** renameat2(2): swap the two. */
export const RENAME_EXCHANGE = 2;
/** renameat2(2): leave a whiteout behind. */
export const RENAME_WHITEOUT = 4;

/** fallocate(2): the size stays. */
export const FALLOC_FL_KEEP_SIZE = 0x01;
/** fallocate(2): make a hole; needs KEEP_SIZE. */
export const FALLOC_FL_PUNCH_HOLE = 0x02;
/** fallocate(2): remove a range. */
export const FALLOC_FL_COLLAPSE_RANGE = 0x08;
/** fallocate(2): make a range read as zeros. */
export const FALLOC_FL_ZERO_RANGE = 0x10;
/** fallocate(2): insert a hole. */
export const FALLOC_FL_INSERT_RANGE = 0x20;
/** fallocate(2): stop sharing blocks. */
export const FALLOC_FL_UNSHARE_RANGE = 0x40;

/** lseek(2): from the start. */
export const SEEK_SET = 0;
/** lseek(2): from the current offset. */
export const SEEK_CUR = 1;
/** lseek(2): from the end. */
export const SEEK_END = 2;
/** lseek(2): to the next data. */
export const SEEK_DATA = 3;
/** lseek(2): to the next hole. */
export const SEEK_HOLE = 4;

/** There is something to read. */
export const POLLIN = 0x01;
/** There is something exceptional. */
export const POLLPRI = 0x02;
/** Writing would not block. */
export const POLLOUT = 0x04;
/** An error; always reported. */
export const POLLERR = 0x08;
/** The other end is gone; always reported. */
export const POLLHUP = 0x10;
/** Not an open descriptor; always reported. */
export const POLLNVAL = 0x20;

/** fcntl(2): the lowest free descriptor from the argument up. */
export const F_DUPFD = 0;
/** fcntl(2): descriptor flags. */
export const F_GETFD = 1;
/** fcntl(2): set descriptor flags. */
export const F_SETFD = 2;
/** fcntl(2): status flags and access mode. */
export const F_GETFL = 3;
/** fcntl(2): set status flags. */
export const F_SETFL = 4;
/** fcntl(2): which signal tells of readiness; 0 for SIGIO. */
export const F_SETSIG = 10;
/** fcntl(2): what F_SETSIG has set. */
export const F_GETSIG = 11;
/** fcntl(2): who is told of readiness, as a struct f_owner_ex. */
export const F_SETOWN_EX = 15;
/** fcntl(2): what F_SETOWN_EX has set. */
export const F_GETOWN_EX = 16;
/** fcntl(2): take or give up a lease. */
export const F_SETLEASE = 1024;
/** fcntl(2): who holds a POSIX lock. */
export const F_GETLK = 5;
/** fcntl(2): take or drop a POSIX lock. */
export const F_SETLK = 6;
/** fcntl(2): the same, waiting. */
export const F_SETLKW = 7;
/** fcntl(2): who holds an open file description lock. */
export const F_OFD_GETLK = 36;
/** fcntl(2): take or drop an open file description lock. */
export const F_OFD_SETLK = 37;
/** fcntl(2): the same, waiting. */
export const F_OFD_SETLKW = 38;
/** fcntl(2): F_DUPFD with FD_CLOEXEC set. */
export const F_DUPFD_CLOEXEC = 1030;
/** struct flock: a shared lock. */
export const F_RDLCK = 0;
/** struct flock: an exclusive lock. */
export const F_WRLCK = 1;
/** struct flock: no lock. */
export const F_UNLCK = 2;
/** The descriptor flag. */
export const FD_CLOEXEC = 1;

/** flock(2): a shared lock. */
export const LOCK_SH = 1;
/** flock(2): an exclusive lock. */
export const LOCK_EX = 2;
/** flock(2): EAGAIN instead of waiting. */
export const LOCK_NB = 4;
/** flock(2): drop it. */
export const LOCK_UN = 8;

/** eventfd(2): each read takes one. */
export const EFD_SEMAPHORE = 1;
/** eventfd(2): as O_NONBLOCK. */
export const EFD_NONBLOCK = 0o4000;
/** eventfd(2): as O_CLOEXEC. */
export const EFD_CLOEXEC = 0o2000000;

/** statx(2): the type in the mode. */
export const STATX_TYPE = 0x0001;
/** statx(2): the permissions in the mode. */
export const STATX_MODE = 0x0002;
/** statx(2): the number of links. */
export const STATX_NLINK = 0x0004;
/** statx(2): the owner. */
export const STATX_UID = 0x0008;
/** statx(2): the group. */
export const STATX_GID = 0x0010;
/** statx(2): the access time. */
export const STATX_ATIME = 0x0020;
/** statx(2): the modification time. */
export const STATX_MTIME = 0x0040;
/** statx(2): the change time. */
export const STATX_CTIME = 0x0080;
/** statx(2): the inode number. */
export const STATX_INO = 0x0100;
/** statx(2): the size. */
export const STATX_SIZE = 0x0200;
/** statx(2): the blocks. */
export const STATX_BLOCKS = 0x0400;
/** statx(2): all that stat(2) tells. */
export const STATX_BASIC_STATS = 0x07ff;
/** statx(2): the time of birth. */
export const STATX_BTIME = 0x0800;
/** statx(2): the mount id as in mountinfo, reused after an unmount; Linux 5.8. */
export const STATX_MNT_ID = 0x1000;
/** statx(2): alignment for O_DIRECT; Linux 6.1. */
export const STATX_DIOALIGN = 0x2000;
/** For pwritev2(2): at the end of the file, wherever the offset is. */
export const RWF_APPEND = 0x10;
/** statx(2): a mount id that is never reused; Linux 6.8. */
export const STATX_MNT_ID_UNIQUE = 0x4000;
/** statx(2) attribute: cannot be changed. */
export const STATX_ATTR_IMMUTABLE = 0x10;
/** statx(2) attribute: append only. */
export const STATX_ATTR_APPEND = 0x20;
/** statx(2) attribute: an automount trigger. */
export const STATX_ATTR_AUTOMOUNT = 0x1000;
/** statx(2) attribute: the root of a mount; Linux 5.8. */
export const STATX_ATTR_MOUNT_ROOT = 0x2000;

/** utimensat(2), as nanoseconds: the present. */
export const UTIME_NOW = 0x3fffffff;
/** utimensat(2), as nanoseconds: leave it. */
export const UTIME_OMIT = 0x3ffffffe;

/** setxattr(2): EEXIST if it is there. */
export const XATTR_CREATE = 1;
/** setxattr(2): ENODATA if it is not there. */
export const XATTR_REPLACE = 2;

/** The largest core file. */
export const RLIMIT_CORE = 4;
/** One more than the highest descriptor. */
export const RLIMIT_NOFILE = 7;

/** kcmp(2): the open file descriptions of two descriptors. */
export const KCMP_FILE = 0;
/** kcmp(2): the address spaces. */
export const KCMP_VM = 1;
/** kcmp(2): the descriptor tables. */
export const KCMP_FILES = 2;
/** kcmp(2): root, current directory and umask. */
export const KCMP_FS = 3;
/** kcmp(2): the signal handlers. */
export const KCMP_SIGHAND = 4;
/** kcmp(2): the I/O contexts. */
export const KCMP_IO = 5;
/** kcmp(2): the lists of semaphore adjustments. */
export const KCMP_SYSVSEM = 6;
/** kcmp(2): a descriptor and what an epoll instance watches; Linux 4.13. */
export const KCMP_EPOLL_TFD = 7;

/** fcntl(2): how many bytes a pipe holds. */
export const F_SETPIPE_SZ = 1031;
/** See F_SETPIPE_SZ. */
export const F_GETPIPE_SZ = 1032;
/** tee(2), splice(2): do not wait. */
export const SPLICE_F_NONBLOCK = 2;
/** ioctl(2): how many bytes can be read: of pipes, sockets, inotify instances. */
export const FIONREAD = 0x541b;
/** ioctl(2): how much of what was sent through a socket has not been received yet, as the kernel accounts for it. */
export const TIOCOUTQ = 0x5411;

/** inotify_init1(2): as O_NONBLOCK. */
export const IN_NONBLOCK = 0o4000;
/** inotify_init1(2): as O_CLOEXEC. */
export const IN_CLOEXEC = 0o2000000;
/** inotify: it was read. */
export const IN_ACCESS = 0x01;
/** inotify: it was written or cut. */
export const IN_MODIFY = 0x02;
/** inotify: its attributes changed. */
export const IN_ATTRIB = 0x04;
/** inotify: what was open for writing was closed. */
export const IN_CLOSE_WRITE = 0x08;
/** inotify: it was opened. */
export const IN_OPEN = 0x20;
/** inotify: something was made in the directory. */
export const IN_CREATE = 0x100;
/** inotify: something was removed from the directory. */
export const IN_DELETE = 0x200;
/** inotify: it has lost its last name. */
export const IN_DELETE_SELF = 0x400;
/** inotify: every event that can be asked for. */
export const IN_ALL_EVENTS = 0xfff;
/** inotify: events were lost. */
export const IN_Q_OVERFLOW = 0x4000;
/** inotify: the watch is gone. */
export const IN_IGNORED = 0x8000;
/** inotify: only if it is a directory. */
export const IN_ONLYDIR = 0x01000000;
/** inotify: a symbolic link itself. */
export const IN_DONT_FOLLOW = 0x02000000;
/** inotify: no events of what has been unlinked. */
export const IN_EXCL_UNLINK = 0x04000000;
/** inotify: EEXIST if it is watched already; Linux 4.18. */
export const IN_MASK_CREATE = 0x10000000;
/** inotify: one event, then the watch is gone. */
export const IN_ONESHOT = 0x80000000;
