/**
 * Error numbers of Linux by name, and the error that a failed system call becomes when it is thrown.
 *
 * @module
 */

/**
 * Error numbers by name: all of `asm-generic/errno-base.h` and `asm-generic/errno.h`, which x86_64 and aarch64 share. A positive number;
 * the wrappers of `ffi/sys` return it negated.
 */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENOMSG: 42,
  EIDRM: 43,
  ECHRNG: 44,
  EL2NSYNC: 45,
  EL3HLT: 46,
  EL3RST: 47,
  ELNRNG: 48,
  EUNATCH: 49,
  ENOCSI: 50,
  EL2HLT: 51,
  EBADE: 52,
  EBADR: 53,
  EXFULL: 54,
  ENOANO: 55,
  EBADRQC: 56,
  EBADSLT: 57,
  EBFONT: 59,
  ENOSTR: 60,
  ENODATA: 61,
  ETIME: 62,
  ENOSR: 63,
  ENONET: 64,
  ENOPKG: 65,
  EREMOTE: 66,
  ENOLINK: 67,
  EADV: 68,
  ESRMNT: 69,
  ECOMM: 70,
  EPROTO: 71,
  EMULTIHOP: 72,
  EDOTDOT: 73,
  EBADMSG: 74,
  EOVERFLOW: 75,
  ENOTUNIQ: 76,
  EBADFD: 77,
  EREMCHG: 78,
  ELIBACC: 79,
  ELIBBAD: 80,
  ELIBSCN: 81,
  ELIBMAX: 82,
  ELIBEXEC: 83,
  EILSEQ: 84,
  ERESTART: 85,
  ESTRPIPE: 86,
  EUSERS: 87,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  ESOCKTNOSUPPORT: 94,
  EOPNOTSUPP: 95,
  EPFNOSUPPORT: 96,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENETRESET: 102,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ESHUTDOWN: 108,
  ETOOMANYREFS: 109,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ESTALE: 116,
  EUCLEAN: 117,
  ENOTNAM: 118,
  ENAVAIL: 119,
  EISNAM: 120,
  EREMOTEIO: 121,
  EDQUOT: 122,
  ENOMEDIUM: 123,
  EMEDIUMTYPE: 124,
  ECANCELED: 125,
  ENOKEY: 126,
  EKEYEXPIRED: 127,
  EKEYREVOKED: 128,
  EKEYREJECTED: 129,
  EOWNERDEAD: 130,
  ENOTRECOVERABLE: 131,
  ERFKILL: 132,
  EHWPOISON: 133,
} as const;

/** The name of an error number, such as "ENOENT". */
export type ErrnoName = keyof typeof Errno;

const texts: Record<ErrnoName, string> = {
  EPERM: "operation not permitted",
  ENOENT: "no such file or directory",
  ESRCH: "no such process",
  EINTR: "interrupted by a signal",
  EIO: "input/output error",
  ENXIO: "no such device or address",
  E2BIG: "argument list too long",
  ENOEXEC: "not an executable format",
  EBADF: "bad file descriptor",
  ECHILD: "no child processes",
  EAGAIN: "try again",
  ENOMEM: "out of memory",
  EACCES: "permission denied",
  EFAULT: "bad address",
  ENOTBLK: "not a block device",
  EBUSY: "device or resource busy",
  EEXIST: "file exists",
  EXDEV: "crosses a file system boundary",
  ENODEV: "no such device",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  EINVAL: "invalid argument",
  ENFILE: "too many open files in the system",
  EMFILE: "too many open files in the process",
  ENOTTY: "not supported by this device",
  ETXTBSY: "executable is in use",
  EFBIG: "file too large",
  ENOSPC: "no space left",
  ESPIPE: "cannot seek",
  EROFS: "read-only file system",
  EMLINK: "too many links",
  EPIPE: "broken pipe",
  EDOM: "argument outside the domain",
  ERANGE: "result does not fit",
  EDEADLK: "would deadlock",
  ENAMETOOLONG: "name too long",
  ENOLCK: "no locks available",
  ENOSYS: "not implemented",
  ENOTEMPTY: "directory not empty",
  ELOOP: "too many symbolic links",
  ENOMSG: "no message of that type",
  EIDRM: "identifier removed",
  ECHRNG: "channel number out of range",
  EL2NSYNC: "level 2 not synchronised",
  EL3HLT: "level 3 halted",
  EL3RST: "level 3 reset",
  ELNRNG: "link number out of range",
  EUNATCH: "protocol driver not attached",
  ENOCSI: "no CSI structure available",
  EL2HLT: "level 2 halted",
  EBADE: "invalid exchange",
  EBADR: "invalid request descriptor",
  EXFULL: "exchange full",
  ENOANO: "no anode",
  EBADRQC: "invalid request code",
  EBADSLT: "invalid slot",
  EBFONT: "bad font file",
  ENOSTR: "not a stream device",
  ENODATA: "no data",
  ETIME: "timer expired",
  ENOSR: "out of stream resources",
  ENONET: "machine is not on the network",
  ENOPKG: "package not installed",
  EREMOTE: "object is remote",
  ENOLINK: "link severed",
  EADV: "advertise error",
  ESRMNT: "srmount error",
  ECOMM: "communication error on send",
  EPROTO: "protocol error",
  EMULTIHOP: "multihop attempted",
  EDOTDOT: "RFS error",
  EBADMSG: "not a data message",
  EOVERFLOW: "value too large",
  ENOTUNIQ: "name not unique on network",
  EBADFD: "file descriptor in bad state",
  EREMCHG: "remote address changed",
  ELIBACC: "cannot access a shared library",
  ELIBBAD: "corrupted shared library",
  ELIBSCN: "corrupted .lib section",
  ELIBMAX: "too many shared libraries",
  ELIBEXEC: "cannot execute a shared library",
  EILSEQ: "illegal byte sequence",
  ERESTART: "system call to be restarted",
  ESTRPIPE: "stream pipe error",
  EUSERS: "too many users",
  ENOTSOCK: "not a socket",
  EDESTADDRREQ: "destination address required",
  EMSGSIZE: "message too long",
  EPROTOTYPE: "wrong protocol type for socket",
  ENOPROTOOPT: "protocol option not available",
  EPROTONOSUPPORT: "protocol not supported",
  ESOCKTNOSUPPORT: "socket type not supported",
  EOPNOTSUPP: "operation not supported",
  EPFNOSUPPORT: "protocol family not supported",
  EAFNOSUPPORT: "address family not supported",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "address not available",
  ENETDOWN: "network is down",
  ENETUNREACH: "network is unreachable",
  ENETRESET: "connection dropped by network reset",
  ECONNABORTED: "connection aborted",
  ECONNRESET: "connection reset by peer",
  ENOBUFS: "no buffer space available",
  EISCONN: "already connected",
  ENOTCONN: "not connected",
  ESHUTDOWN: "endpoint was shut down",
  ETOOMANYREFS: "too many references",
  ETIMEDOUT: "timed out",
  ECONNREFUSED: "connection refused",
  EHOSTDOWN: "host is down",
  EHOSTUNREACH: "no route to host",
  EALREADY: "already in progress",
  EINPROGRESS: "in progress",
  ESTALE: "stale file handle",
  EUCLEAN: "structure needs cleaning",
  ENOTNAM: "not a XENIX named type file",
  ENAVAIL: "no XENIX semaphores available",
  EISNAM: "is a named type file",
  EREMOTEIO: "remote input/output error",
  EDQUOT: "disk quota exceeded",
  ENOMEDIUM: "no medium found",
  EMEDIUMTYPE: "wrong medium type",
  ECANCELED: "cancelled",
  ENOKEY: "required key not available",
  EKEYEXPIRED: "key has expired",
  EKEYREVOKED: "key has been revoked",
  EKEYREJECTED: "key was rejected",
  EOWNERDEAD: "owner died",
  ENOTRECOVERABLE: "state not recoverable",
  ERFKILL: "radio is switched off",
  EHWPOISON: "memory page has a hardware error",
};

const names: (ErrnoName | undefined)[] = [];
for (const [name, number] of Object.entries(Errno)) names[number] = name as ErrnoName;

/**
 * The name of an error number, for logs, protocols and `SysError.code`. A negated number is taken as well, and one that Linux does not
 * know becomes "E?" and the number.
 */
export function errnoName(errno: number): string {
  const number = Math.abs(errno);
  return names[number] ?? `E?${number}`;
}

/** A few English words on what an error number means, in lower case and without a full stop. */
export function errnoText(errno: number): string {
  const number = Math.abs(errno);
  const name = names[number];
  return name === undefined ? `unknown error ${number}` : texts[name];
}

/** What a system call that failed was about. */
export interface SysErrorContext {
  /** The path, name or option it was called with. */
  readonly path?: string;
  /** The process it was called on. */
  readonly pid?: number;
}

/**
 * A system call (or a function of a library that reports as one) failed. The message reads
 * `openat /x: ENOENT (no such file or directory)`.
 */
export class SysError extends Error {
  /** The name of the call, as in its man page. */
  readonly syscall: string;
  /** The positive error number. */
  readonly errno: number;
  /** The name of the error number, such as "ENOENT". */
  readonly code: string;
  /** The path, name or option the call was about, when it was about one. */
  readonly path: string | undefined;
  /** The process the call was about, when it was about one. */
  readonly pid: number | undefined;

  /** `errno` is positive; a negated one is taken as well. */
  constructor(syscall: string, errno: number, context: SysErrorContext = {}) {
    const code = errnoName(errno);
    const subject = (context.path === undefined ? "" : ` ${context.path}`) +
      (context.pid === undefined ? "" : ` [pid ${context.pid}]`);
    super(`${syscall}${subject}: ${code} (${errnoText(errno)})`);
    this.name = "SysError";
    this.syscall = syscall;
    this.errno = Math.abs(errno);
    this.code = code;
    this.path = context.path;
    this.pid = context.pid;
  }
}

/** Whether a caught value is a SysError, and, when codes are given, one of these. */
export function isSysError(error: unknown, ...codes: ErrnoName[]): error is SysError {
  return error instanceof SysError && (codes.length === 0 || codes.includes(error.code as ErrnoName));
}
