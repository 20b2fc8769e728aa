/**
 * Names of FUSE operations, for people.
 *
 * @module
 */

// In the order of enum fuse_opcode, linux/fuse.h; the numbers that were never given away are empty.
const NAMES =
  ("  LOOKUP FORGET GETATTR SETATTR READLINK SYMLINK  MKNOD MKDIR UNLINK RMDIR RENAME LINK OPEN READ WRITE STATFS " +
    "RELEASE  FSYNC SETXATTR GETXATTR LISTXATTR REMOVEXATTR FLUSH INIT OPENDIR READDIR RELEASEDIR FSYNCDIR GETLK SETLK SETLKW " +
    "ACCESS CREATE INTERRUPT BMAP DESTROY IOCTL POLL NOTIFY_REPLY BATCH_FORGET FALLOCATE READDIRPLUS RENAME2 LSEEK " +
    "COPY_FILE_RANGE SETUPMAPPING REMOVEMAPPING SYNCFS TMPFILE STATX").slice(1).split(" ");

/** The name of an operation as in linux/fuse.h without its FUSE_, such as "LOOKUP"; "OP99" for one that is not known. */
export function opcodeName(opcode: number): string {
  return NAMES[opcode] || `OP${opcode}`;
}
