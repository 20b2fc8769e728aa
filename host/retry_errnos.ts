/**
 * Which failures to mount are worth another attempt. Pure.
 *
 * @module
 */

/** A shortage on this machine. */
export const shortages: ReadonlySet<string> = new Set(["ENOMEM", "ENFILE", "EMFILE"]);

/**
 * The errnos that are retried unless the caller names others: what goes away by itself when a server, a network, a device or a
 * service comes back. Everything else is taken as permanent, because repeating it only hides a mistake: EINVAL (an option the file
 * system does not have, no such file system on the device), ENODEV (file system type unknown to the kernel), EPERM (no
 * CAP_SYS_ADMIN), EACCES (refused by the server), ENOTDIR, ENOTBLK, ELOOP, ENAMETOOLONG.
 */
export const transientErrnos: ReadonlySet<string> = new Set([
  // The server or the way to it: connect(2), and the RPC layer of NFS and the socket of CIFS, which report the same.
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "ETIMEDOUT",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENETRESET",
  "ENOTCONN",
  "EPIPE",
  "ESHUTDOWN",
  "EADDRNOTAVAIL",
  "EREMOTEIO",
  "EPROTO",
  // What mount.nfs makes of an NFS 3 server whose portmapper is there before its NFS service, or after.
  "EPROTONOSUPPORT",
  // A server that is starting, a grace period, a signal.
  "EAGAIN",
  "EINTR",
  "EBUSY",
  "ESTALE",
  // A device or directory that appears later: removable media, a block device of the network, an automount.
  "ENOENT",
  "ENXIO",
  "ENOMEDIUM",
  "EIO",
  // Credentials that come later: keyrings(7), the upcall of NFS and CIFS.
  "ENOKEY",
  "EKEYEXPIRED",
  "EKEYREVOKED",
  ...shortages,
]);
