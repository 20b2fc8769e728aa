import { assert, assertEquals } from "@std/assert";
import { helperErrno } from "../../host/helper_errors.ts";
import { transientErrnos } from "../../host/retry_errnos.ts";

const said: [code: number, stderr: string, errno: string, transient: boolean][] = [
  [32, "mount.nfs: Connection refused for srv:/x on /mnt", "ECONNREFUSED", true],
  [32, "mount.nfs: Connection timed out", "ETIMEDOUT", true],
  [32, "mount.nfs: No route to host for srv:/x on /mnt", "EHOSTUNREACH", true],
  [32, "mount.nfs: Network is unreachable", "ENETUNREACH", true],
  [32, "mount.nfs: access denied by server while mounting srv:/x", "EACCES", false],
  [
    32,
    "mount.nfs: mounting srv:/x failed, reason given by server: No such file or directory",
    "ENOENT",
    true,
  ],
  [32, "mount.nfs: Failed to resolve server srv: Name or service not known", "EHOSTUNREACH", true],
  [32, "mount.nfs: Failed to resolve server srv: Temporary failure in name resolution", "EAGAIN", true],
  [32, "mount.nfs: requested NFS version or transport protocol is not supported", "EPROTONOSUPPORT", true],
  [32, "mount.nfs: an incorrect mount option was specified", "EINVAL", false],
  [32, "mount.nfs: Stale file handle", "ESTALE", true],
  [32, "mount.nfs: requested NFS version ... mount.nfs: Protocol not supported", "EPROTONOSUPPORT", true],
  [
    32,
    "mount error(111): could not connect to 10.0.0.1Unable to find suitable address.",
    "ECONNREFUSED",
    true,
  ],
  [32, "mount error(13): Permission denied\nRefer to the mount.cifs(8) manual page", "EACCES", false],
  [32, "mount error(126): Required key not available", "ENOKEY", true],
  [1, "read: Connection reset by peer", "ECONNRESET", true],
  [
    1,
    "ssh: connect to host h port 22: Connection refused\nread: Connection reset by peer",
    "ECONNREFUSED",
    true,
  ],
  [1, "u@h: Permission denied (publickey).", "EACCES", false],
  [32, "mount: /m: unknown filesystem type 'zzz'.", "ENODEV", false],
  [32, "mount: /m: special device /dev/vdz does not exist.", "ENOENT", true],
  [
    32,
    "mount: /m: wrong fs type, bad option, bad superblock on /dev/vdb, missing codepage or helper",
    "EINVAL",
    false,
  ],
  [32, "mount: /m: /dev/vdb already mounted or mount point busy.", "EBUSY", true],
  [1, "mount: /m: must be superuser to use mount.", "EPERM", false],
  [8, "", "EINTR", true],
  [32, "", "EIO", true],
  [32, "something that nobody has seen before", "EIO", true],
  [32, "mount error(999): what", "EIO", true],
];

Deno.test("helper errors: what helpers say is read as an errno", () => {
  for (const [code, stderr, errno] of said) assertEquals(helperErrno(code, stderr), errno, stderr);
});

Deno.test("helper errors: a server that is away is retried by default, a mistake is not", () => {
  for (const [code, stderr, errno, transient] of said) {
    assertEquals(transientErrnos.has(helperErrno(code, stderr)), transient, `${stderr} (${errno})`);
  }
  assert(!transientErrnos.has("EINVAL"));
});
