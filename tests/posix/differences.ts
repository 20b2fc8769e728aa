/**
 * Where programs may see something else through spfs than on the file system behind it, and why. A difference that is not here fails
 * the test, and so does an entry here that is no difference any more.
 *
 * @module
 */
import type { Permitted } from "./support/results.ts";

const everywhere = ["ext4", "xfs", "tmpfs", "overlay"];
const disks = ["ext4", "xfs", "overlay"];

/** All of them. */
export const permitted: readonly Permitted[] = [
  {
    steps: /^statfs#\d+ type$/,
    on: everywhere,
    spfs: /^65735546$/,
    reason: "The kernel says itself that it is FUSE.",
  },
  {
    steps: /^limits of names#\d+ pathconf\("\.", _PC_LINK_MAX\)$/,
    on: ["ext4", "xfs"],
    spfs: /^127$/,
    reason: "The C library has a table of limits by the type of file system, in which FUSE is missing.",
  },
  {
    steps: /^statx#\d+ attributes that can be told$/,
    on: ["ext4", "overlay"],
    spfs: /^0$/,
    reason: "FUSE_STATX has a field for inode flags that no kernel looks at.",
  },
  {
    steps: /^statx#\d+ O_DIRECT alignment told$/,
    on: disks,
    spfs: /^0$/,
    reason: "There is no field for it in FUSE_STATX.",
  },
  {
    steps: /^ioctls#\d+ ioctl\((fd|directory), FS_IOC_FIEMAP/,
    on: disks,
    spfs: /^EOPNOTSUPP$/,
    reason: "FUSE has no operation for it; who asks falls back to SEEK_HOLE, which works.",
  },
  {
    steps: /^ioctls#\d+ (block size|ioctl\((fd|directory), FIGETBSZ, .*)$/,
    on: ["ext4", "overlay"],
    spfs: /^(4096|0)$/,
    reason:
      "The kernel answers it for all file systems, with the block size of the superblock, 4096 for FUSE.",
  },
  {
    steps: /^ioctls#\d+ ioctl\(fd, FIBMAP/,
    on: ["tmpfs", "overlay"],
    spfs: /^0$/,
    reason: "The kernel answers block 0, no block, for a FUSE without a device and does not ask.",
  },
  {
    steps: /^ioctls#\d+ ioctl\(fd, FICLONE, fd\)$/,
    on: ["xfs"],
    spfs: /^EOPNOTSUPP$/,
    reason:
      "FUSE has no operation for sharing blocks; copy_file_range does it where the file system behind can.",
  },
  {
    steps: /^ioctls#\d+ ioctl\(fd, FITRIM/,
    on: ["ext4", "xfs"],
    spfs: /^ENOTTY$/,
    reason: "It is about the device, not about a file: whoever looks after that has the file system itself.",
  },
  {
    steps: /^fallocate#\d+ /,
    on: disks,
    spfs: /./,
    reason:
      "The kernel refuses FALLOC_FL_COLLAPSE_RANGE, INSERT_RANGE and UNSHARE_RANGE for FUSE and does not ask.",
  },
  {
    steps: /^times that move#10 moved$/,
    on: ["xfs"],
    spfs: /^mtime 1, ctime 1$/,
    reason:
      "The kernel does not tell truncate(2) from ftruncate(2), which moves the times also when the size stays.",
  },
  {
    steps: /^leases#\d+ fcntl\(fd, F_GET_SEALS\)$/,
    on: ["tmpfs"],
    spfs: /^EINVAL$/,
    reason: "The kernel answers it for tmpfs only, where a file can have seals.",
  },
  {
    steps: /^flags of open#\d+ (name_to|open_by)_handle_at/,
    on: ["overlay"],
    spfs: /^0$/,
    reason: "FUSE has file handles of its own, also where the file system behind has none.",
  },
];
