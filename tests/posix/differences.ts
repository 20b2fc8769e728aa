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
    steps: /^statfs#4 type$/,
    on: everywhere,
    spfs: /^65735546$/,
    reason: "The kernel says itself that it is FUSE.",
  },
  {
    steps: /^limits of names#55 pathconf\("\.", _PC_LINK_MAX\)$/,
    on: ["ext4", "xfs"],
    spfs: /^127$/,
    reason: "The C library has a table of limits by the type of file system, in which FUSE is missing.",
  },
  {
    steps: /^statx#14 attributes that can be told$/,
    on: ["ext4", "overlay"],
    spfs: /^0$/,
    reason: "FUSE_STATX has a field for inode flags that no kernel looks at.",
  },
  {
    steps: /^statx#16 O_DIRECT alignment told$/,
    on: disks,
    spfs: /^0$/,
    reason: "There is no field for it in FUSE_STATX.",
  },
  {
    steps: /^O_DIRECT#(6|7|9|10|32) p(read|write)\(/,
    on: ["fuse"],
    spfs: /^(100|512|1)$/,
    reason:
      "A FUSE behind cannot tell its alignment either, and what is read and written without O_DIRECT has none.",
  },
  {
    steps: /^ioctls#(1|16) ioctl\((fd|directory), FS_IOC_FIEMAP, &map\)$/,
    on: disks,
    spfs: /^EOPNOTSUPP$/,
    reason: "FUSE has no operation for it; who asks falls back to SEEK_HOLE, which works.",
  },
  {
    steps: /^ioctls#3 block size$/,
    on: ["ext4", "overlay"],
    spfs: /^4096$/,
    reason:
      "The kernel answers FIGETBSZ for all file systems by the block size of the superblock, 4096 for FUSE.",
  },
  {
    steps: /^ioctls#(2|14) ioctl\((fd|directory), FIGETBSZ, &number\)$/,
    on: ["overlay"],
    spfs: /^0$/,
    reason: "An overlay's superblock has no block size, with which the kernel refuses FIGETBSZ.",
  },
  {
    steps: /^ioctls#9 ioctl\(fd, FIBMAP, /,
    on: ["tmpfs", "overlay"],
    spfs: /^0$/,
    reason: "The kernel answers block 0, no block, for a FUSE without a device and does not ask.",
  },
  {
    steps: /^ioctls#10 ioctl\(fd, FICLONE, fd\)$/,
    on: ["xfs"],
    spfs: /^EOPNOTSUPP$/,
    reason:
      "FUSE has no operation for sharing blocks; copy_file_range does it where the file system behind can.",
  },
  {
    steps: /^ioctls#11 ioctl\(fd, FITRIM, /,
    on: ["ext4", "xfs"],
    spfs: /^ENOTTY$/,
    reason: "It is about the device, not about a file: whoever looks after that has the file system itself.",
  },
  {
    steps: /^fallocate#(41|45|49) fallocate\(fd_, 0x(08|20), (BLOCK|1), (2 \* )?BLOCK\)$/,
    on: disks,
    spfs: /^EOPNOTSUPP$/,
    reason:
      "The kernel refuses FALLOC_FL_COLLAPSE_RANGE and FALLOC_FL_INSERT_RANGE for FUSE and does not ask.",
  },
  {
    steps: /^fallocate#(42|43|44|50|51|52) (space|data|bytes)$/,
    on: disks,
    spfs: /^(size 32768, blocks 64|0 to 32768, then ENXIO|32768 d{16})$/,
    reason: "What was refused has left the file as it was.",
  },
  {
    steps: /^fallocate#53 fallocate\(fd_, 0x40, 0, BLOCK\)$/,
    on: ["xfs"],
    spfs: /^EOPNOTSUPP$/,
    reason: "The kernel refuses FALLOC_FL_UNSHARE_RANGE for FUSE and does not ask.",
  },
  {
    steps: /^leases#8 fcntl\(fd, F_GET_SEALS\)$/,
    on: ["tmpfs"],
    spfs: /^EINVAL$/,
    reason: "The kernel answers it for tmpfs only, where a file can have seals.",
  },
  {
    steps: /^flags of open#(13|14|16) (name_to|open_by)_handle_at\(/,
    on: ["overlay"],
    spfs: /^0$/,
    reason: "FUSE has file handles of its own, also where the file system behind has none.",
  },
];
