/**
 * What the kernel can do for a swap, asked of it directly.
 *
 * @module
 */

import { Errno } from "../ffi/errno.ts";
import {
  MOVE_MOUNT_BENEATH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
} from "../ffi/sys/constants.ts";
import { cstr } from "../ffi/sys/libc.ts";
import { moveMount } from "../ffi/sys/mount.ts";

/**
 * Whether the kernel knows MOVE_MOUNT_BENEATH (Linux 6.5). Changes nothing and does not block: the descriptors are invalid, and a kernel
 * that does not know a flag says EINVAL before it looks at them.
 */
export function supportsBeneath(): boolean {
  const flags = MOVE_MOUNT_BENEATH | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  return moveMount(-1, cstr(""), -1, cstr(""), flags) === -Errno.EBADF;
}
