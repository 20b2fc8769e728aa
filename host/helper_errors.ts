/**
 * What a mount helper failed with. Helpers (mount(8), mount.nfs, mount.cifs, sshfs) tell people, not programs: their exit code says
 * little, and the errno has to be read out of what they wrote to stderr in the C locale. Pure.
 *
 * @module
 */

import { Errno, type ErrnoName, errnoName } from "../ffi/errno.ts";

/** Sentences of helpers that no strerror(3) text is in, or that say something else than the one that is. First match wins. */
const sentences: readonly (readonly [RegExp, ErrnoName])[] = [
  [/unknown filesystem type/i, "ENODEV"],
  [/access denied by server/i, "EACCES"],
  [/must be superuser|only root can/i, "EPERM"],
  [/wrong fs type, bad option, bad superblock/i, "EINVAL"],
  [/incorrect mount option|bad option|unknown option|unrecognized mount option|invalid option/i, "EINVAL"],
  [/special device .* does not exist|mount point does not exist|can't find/i, "ENOENT"],
  [/is not a block device/i, "ENOTBLK"],
  [/already mounted or mount point busy/i, "EBUSY"],
  [/no medium found/i, "ENOMEDIUM"],
  [/program not registered|program\/version mismatch|portmap query failed/i, "ECONNREFUSED"],
  [/requested NFS version or transport protocol is not supported/i, "EPROTONOSUPPORT"],
  // The resolver: a network that is locked looks like a name that does not exist, so neither is final.
  [/temporary failure in name resolution/i, "EAGAIN"],
  [
    /name or service not known|could not resolve|failed to resolve|unable to find suitable address/i,
    "EHOSTUNREACH",
  ],
  [/host key verification failed/i, "EACCES"],
  [/permission denied \(publickey/i, "EACCES"],
];

/** The C locale's strerror(3) texts that helpers pass on, glibc's and musl's where they differ. */
const texts: readonly (readonly [string, ErrnoName])[] = [
  ["connection refused", "ECONNREFUSED"],
  ["connection timed out", "ETIMEDOUT"],
  ["operation timed out", "ETIMEDOUT"],
  ["connection reset by peer", "ECONNRESET"],
  ["connection reset by network", "ENETRESET"],
  ["no route to host", "EHOSTUNREACH"],
  ["host is unreachable", "EHOSTUNREACH"],
  ["host is down", "EHOSTDOWN"],
  ["network is unreachable", "ENETUNREACH"],
  ["network is down", "ENETDOWN"],
  ["cannot assign requested address", "EADDRNOTAVAIL"],
  ["required key not available", "ENOKEY"],
  ["key has expired", "EKEYEXPIRED"],
  ["key has been revoked", "EKEYREVOKED"],
  ["permission denied", "EACCES"],
  ["operation not permitted", "EPERM"],
  ["no such file or directory", "ENOENT"],
  ["no such device or address", "ENXIO"],
  ["no such device", "ENODEV"],
  ["not a directory", "ENOTDIR"],
  ["block device required", "ENOTBLK"],
  ["stale file handle", "ESTALE"],
  ["stale nfs file handle", "ESTALE"],
  ["device or resource busy", "EBUSY"],
  ["resource busy", "EBUSY"],
  ["resource temporarily unavailable", "EAGAIN"],
  ["protocol not supported", "EPROTONOSUPPORT"],
  ["operation not supported", "EOPNOTSUPP"],
  ["function not implemented", "ENOSYS"],
  ["read-only file system", "EROFS"],
  ["cannot allocate memory", "ENOMEM"],
  ["out of memory", "ENOMEM"],
  ["remote i/o error", "EREMOTEIO"],
  ["input/output error", "EIO"],
  ["i/o error", "EIO"],
  ["invalid argument", "EINVAL"],
];

/**
 * The errno that best says what a helper failed with; EIO when nothing is known, which is retried by default.
 *
 * @param exitCode of mount(8): 8 is "interrupted"
 * @param stderr what the helper wrote, in the C locale
 */
export function helperErrno(exitCode: number, stderr: string): ErrnoName {
  const numbered = /mount error\(?\s*(\d{1,3})\)?/i.exec(stderr); // mount.cifs
  if (numbered !== null) {
    const name = errnoName(Number(numbered[1]));
    if (Object.hasOwn(Errno, name)) return name as ErrnoName;
  }
  const sentence = sentences.find(([pattern]) => pattern.test(stderr));
  if (sentence !== undefined) return sentence[1];
  const lower = stderr.toLowerCase();
  const text = texts.find(([part]) => lower.includes(part));
  if (text !== undefined) return text[1];
  return exitCode === 8 ? "EINTR" : "EIO";
}
