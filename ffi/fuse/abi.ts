/**
 * libfuse3's binary interface as tables: what differs between its versions, and what of it is used here.
 *
 * Two sonames are in use: `libfuse3.so.3` (3.10 to 3.16) and `libfuse3.so.4` (3.17 and later). Layouts are those of x86_64 and aarch64
 * alike. The test beside this file compiles a C probe against the installed headers and compares every number and prototype.
 *
 * @module
 */
import { type Fields, type Struct, struct } from "../layout.ts";
import * as kernel from "./kernel.ts";

/** The members of `struct fuse_lowlevel_ops` in order; each is a function pointer of 8 bytes. The last two came with 3.17 and 3.18. */
export const LOWLEVEL_OP_NAMES = [
  "init",
  "destroy",
  "lookup",
  "forget",
  "getattr",
  "setattr",
  "readlink",
  "mknod",
  "mkdir",
  "unlink",
  "rmdir",
  "symlink",
  "rename",
  "link",
  "open",
  "read",
  "write",
  "flush",
  "release",
  "fsync",
  "opendir",
  "readdir",
  "releasedir",
  "fsyncdir",
  "statfs",
  "setxattr",
  "getxattr",
  "listxattr",
  "removexattr",
  "access",
  "create",
  "getlk",
  "setlk",
  "bmap",
  "ioctl",
  "poll",
  "write_buf",
  "retrieve_reply",
  "forget_multi",
  "flock",
  "fallocate",
  "readdirplus",
  "copy_file_range",
  "lseek",
  "tmpfile",
  "statx",
] as const;

/** A member of `struct fuse_lowlevel_ops`. */
export type LowlevelOpName = (typeof LOWLEVEL_OP_NAMES)[number];

/** The index of a member of `struct fuse_lowlevel_ops`; its offset is 8 times that. */
export function opsIndex(name: LowlevelOpName): number {
  return LOWLEVEL_OP_NAMES.indexOf(name);
}

/** An opcode, and the index of the function in `struct fuse_lowlevel_ops` that libfuse calls for it. */
export type LowlevelOp = readonly [opcode: number, index: number];

const called: readonly (readonly [opcode: number, name: LowlevelOpName])[] = [
  [kernel.FUSE_LOOKUP, "lookup"],
  [kernel.FUSE_FORGET, "forget"],
  [kernel.FUSE_BATCH_FORGET, "forget_multi"],
  [kernel.FUSE_GETATTR, "getattr"],
  [kernel.FUSE_SETATTR, "setattr"],
  [kernel.FUSE_READLINK, "readlink"],
  [kernel.FUSE_MKNOD, "mknod"],
  [kernel.FUSE_MKDIR, "mkdir"],
  [kernel.FUSE_UNLINK, "unlink"],
  [kernel.FUSE_RMDIR, "rmdir"],
  [kernel.FUSE_SYMLINK, "symlink"],
  [kernel.FUSE_RENAME, "rename"],
  [kernel.FUSE_RENAME2, "rename"],
  [kernel.FUSE_LINK, "link"],
  [kernel.FUSE_OPEN, "open"],
  [kernel.FUSE_READ, "read"],
  [kernel.FUSE_WRITE, "write"],
  [kernel.FUSE_FLUSH, "flush"],
  [kernel.FUSE_RELEASE, "release"],
  [kernel.FUSE_FSYNC, "fsync"],
  [kernel.FUSE_OPENDIR, "opendir"],
  [kernel.FUSE_READDIR, "readdir"],
  [kernel.FUSE_READDIRPLUS, "readdirplus"],
  [kernel.FUSE_RELEASEDIR, "releasedir"],
  [kernel.FUSE_FSYNCDIR, "fsyncdir"],
  [kernel.FUSE_STATFS, "statfs"],
  [kernel.FUSE_SETXATTR, "setxattr"],
  [kernel.FUSE_GETXATTR, "getxattr"],
  [kernel.FUSE_LISTXATTR, "listxattr"],
  [kernel.FUSE_REMOVEXATTR, "removexattr"],
  [kernel.FUSE_ACCESS, "access"],
  [kernel.FUSE_CREATE, "create"],
  [kernel.FUSE_GETLK, "getlk"],
  [kernel.FUSE_SETLK, "setlk"],
  [kernel.FUSE_SETLK, "flock"],
  [kernel.FUSE_SETLKW, "setlk"],
  [kernel.FUSE_SETLKW, "flock"],
  [kernel.FUSE_BMAP, "bmap"],
  [kernel.FUSE_IOCTL, "ioctl"],
  [kernel.FUSE_POLL, "poll"],
  [kernel.FUSE_FALLOCATE, "fallocate"],
  [kernel.FUSE_COPY_FILE_RANGE, "copy_file_range"],
  [kernel.FUSE_LSEEK, "lseek"],
  [kernel.FUSE_TMPFILE, "tmpfile"],
  [kernel.FUSE_STATX, "statx"],
];

/** The `op_size` that every version from 3.10 on takes: up to and with `lseek`. */
export const OP_SIZE = 352;

/**
 * What a libfuse whose `struct fuse_lowlevel_ops` has that size (see `LibfuseAbi`) calls for which opcode. Each of these functions has
 * the request as its first argument. An opcode can have two (SETLK calls `flock` for flock(2) locks), and two can share one (RENAME2
 * calls `rename`). `write_buf` is left out: with it, libfuse would hand data over in pipes.
 */
export function lowlevelOps(opSize: number): LowlevelOp[] {
  return called
    .map(([opcode, name]): LowlevelOp => [opcode, opsIndex(name)])
    .filter(([, index]) => (index + 1) * 8 <= opSize);
}

/** The structs of libfuse that its versions lay out the same: sizes and fields. */
export const libfuseLayouts = {
  fuse_args: { size: 24, fields: { argc: ["i32", 0], argv: ["u64", 8], allocated: ["i32", 16] } },
  fuse_ctx: { size: 16, fields: { uid: ["u32", 0], gid: ["u32", 4], pid: ["i32", 8], umask: ["u32", 12] } },
  fuse_forget_data: { size: 16, fields: { ino: ["u64", 0], nlookup: ["u64", 8] } },
  fuse_file_info: {
    size: 40,
    fields: { flags: ["i32", 0], fh: ["u64", 16], lock_owner: ["u64", 24], poll_events: ["u32", 32] },
  },
  fuse_buf: {
    size: 40,
    fields: { size: ["u64", 0], flags: ["u32", 8], mem: ["u64", 16], fd: ["i32", 24], pos: ["i64", 32] },
  },
  fuse_bufvec: { size: 64, fields: { count: ["u64", 0], idx: ["u64", 8], off: ["u64", 16] } },
  fuse_conn_info: {
    size: 128,
    fields: {
      proto_major: ["u32", 0],
      proto_minor: ["u32", 4],
      max_write: ["u32", 8],
      max_read: ["u32", 12],
      max_readahead: ["u32", 16],
      capable: ["u32", 20],
      want: ["u32", 24],
      max_background: ["u32", 28],
      congestion_threshold: ["u32", 32],
      time_gran: ["u32", 36],
    },
  },
} as const satisfies Record<string, { size: number; fields: Fields }>;

/** What 3.17 adds to these, and its new struct. Fields that are not named again are where they were. */
export const libfuse317Layouts = {
  fuse_file_info: { size: 64, fields: { backing_id: ["i32", 36], compat_flags: ["u64", 40] } },
  fuse_buf: { size: 48, fields: { mem_size: ["u64", 40] } },
  fuse_bufvec: { size: 72, fields: {} },
  fuse_conn_info: {
    size: 128,
    fields: { max_backing_stack_depth: ["u32", 40], capable_ext: ["u64", 48], want_ext: ["u64", 56] },
  },
  libfuse_version: { size: 16, fields: { major: ["u32", 0], minor: ["u32", 4], hotfix: ["u32", 8] } },
} as const satisfies Record<string, { size: number; fields: Fields }>;

/** `struct fuse_args`: the options that a session is made with. */
export const fuse_args: Struct<(typeof libfuseLayouts)["fuse_args"]["fields"]> = struct(
  libfuseLayouts.fuse_args.fields,
  libfuseLayouts.fuse_args.size,
);

/**
 * `struct fuse_buf` as large as the largest version has it, which suits all: where a request is received to. `mem_size` is only looked at
 * from 3.17 on.
 */
export const fuse_buf: Struct<
  (typeof libfuseLayouts)["fuse_buf"]["fields"] & (typeof libfuse317Layouts)["fuse_buf"]["fields"]
> = struct(
  { ...libfuseLayouts.fuse_buf.fields, ...libfuse317Layouts.fuse_buf.fields },
  libfuse317Layouts.fuse_buf.size,
);

/** `struct libfuse_version`: the version of the headers that a caller was made with; 3.17. */
export const libfuse_version: Struct<(typeof libfuse317Layouts)["libfuse_version"]["fields"]> = struct(
  libfuse317Layouts.libfuse_version.fields,
  libfuse317Layouts.libfuse_version.size,
);

/** What a version of libfuse3 has. */
export interface LibfuseAbi {
  /** The name of the shared library. */
  readonly soname: "libfuse3.so.3" | "libfuse3.so.4";
  /** How a session is made: with the version of the caller, or without. */
  readonly sessionNew: "fuse_session_new" | "fuse_session_new_versioned";
  /** The size of its `struct fuse_lowlevel_ops`; a larger one makes it warn. */
  readonly opSize: number;
  /** The size of its `struct fuse_buf`. */
  readonly bufSize: number;
}

/**
 * What a version of libfuse3 has.
 *
 * @throws {RangeError} before 3.10, and for another major version.
 */
export function chooseAbi(version: { readonly major: number; readonly minor: number }): LibfuseAbi {
  const { major, minor } = version;
  if (major !== 3 || minor < 10) {
    throw new RangeError(`libfuse ${major}.${minor}: 3.10 or a later 3.x is needed`);
  }
  if (minor < 17) {
    return {
      soname: "libfuse3.so.3",
      sessionNew: "fuse_session_new",
      opSize: OP_SIZE,
      bufSize: libfuseLayouts.fuse_buf.size,
    };
  }
  return {
    soname: "libfuse3.so.4",
    sessionNew: "fuse_session_new_versioned",
    opSize: minor < 18 ? OP_SIZE + 8 : OP_SIZE + 16,
    bufSize: libfuse317Layouts.fuse_buf.size,
  };
}

/**
 * The functions of libfuse that are bound: their FFI types. A `fuse_req_t` is passed as its address; a `fuse_session` as pointer.
 * Functions that may wait for the kernel's locks are bound nonblocking, under shorter names.
 */
export const libfuseSymbols = {
  fuse_pkgversion: { parameters: [], result: "pointer" },
  fuse_session_new: {
    parameters: ["buffer", "buffer", "usize", "pointer"],
    result: "pointer",
    optional: true,
  },
  fuse_session_new_versioned: {
    parameters: ["buffer", "buffer", "usize", "buffer", "pointer"],
    result: "pointer",
    optional: true,
  },
  fuse_session_mount: { parameters: ["pointer", "buffer"], result: "i32" },
  fuse_session_destroy: { parameters: ["pointer"], result: "void" },
  fuse_session_receive_buf: { parameters: ["pointer", "buffer"], result: "i32" },
  fuse_session_process_buf: { parameters: ["pointer", "buffer"], result: "void" },
  fuse_reply_err: { parameters: ["usize", "i32"], result: "i32" },
  fuse_reply_none: { parameters: ["usize"], result: "void" },
  fuse_reply_buf: { parameters: ["usize", "buffer", "usize"], result: "i32" },
  notify_inval_inode: {
    name: "fuse_lowlevel_notify_inval_inode",
    parameters: ["pointer", "u64", "i64", "i64"],
    result: "i32",
    nonblocking: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** Their prototypes in C, and the version that they came with. */
export const libfusePrototypes: Readonly<
  Record<keyof typeof libfuseSymbols, { since: string; prototype: string }>
> = {
  fuse_pkgversion: { since: "3.0", prototype: "const char *(void)" },
  fuse_session_new: {
    since: "3.0",
    prototype: "struct fuse_session *(struct fuse_args *, const struct fuse_lowlevel_ops *, size_t, void *)",
  },
  fuse_session_new_versioned: {
    since: "3.17",
    prototype:
      "struct fuse_session *(struct fuse_args *, const struct fuse_lowlevel_ops *, size_t, struct libfuse_version *, void *)",
  },
  fuse_session_mount: { since: "3.0", prototype: "int (struct fuse_session *, const char *)" },
  fuse_session_destroy: { since: "3.0", prototype: "void (struct fuse_session *)" },
  fuse_session_receive_buf: { since: "3.0", prototype: "int (struct fuse_session *, struct fuse_buf *)" },
  fuse_session_process_buf: {
    since: "3.0",
    prototype: "void (struct fuse_session *, const struct fuse_buf *)",
  },
  fuse_reply_err: { since: "3.0", prototype: "int (fuse_req_t, int)" },
  fuse_reply_none: { since: "3.0", prototype: "void (fuse_req_t)" },
  fuse_reply_buf: { since: "3.0", prototype: "int (fuse_req_t, const char *, size_t)" },
  notify_inval_inode: {
    since: "3.0",
    prototype: "int (struct fuse_session *, fuse_ino_t, off_t, off_t)",
  },
};
