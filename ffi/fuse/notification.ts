/**
 * Notifications that go to the kernel past libfuse, by one write(2) on the device.
 *
 * @module
 */
import { write } from "../sys/file.ts";
import { FUSE_NOTIFY_INVAL_INODE } from "./kernel.ts";
import { fuse_notify_inval_inode_out, fuse_out_header } from "./kernel_structs.ts";

const LENGTH = fuse_out_header.size + fuse_notify_inval_inode_out.size;
const message = new Uint8Array(LENGTH);
const view = new DataView(message.buffer);
fuse_out_header.set.len(view, LENGTH);
fuse_out_header.set.error(view, FUSE_NOTIFY_INVAL_INODE); // with unique 0: no answer, but a notification
fuse_notify_inval_inode_out.set.off(view, -1n, fuse_out_header.size); // no pages

/**
 * FUSE_NOTIFY_INVAL_INODE of attributes alone. Blocks while the kernel frees the inode, which does not take answers of ours as long as it
 * has no pages.
 *
 * @returns 0 or -errno; -ENOENT: the kernel does not know the inode.
 */
export function invalidateAttributes(device: number, nodeid: bigint): number {
  fuse_notify_inval_inode_out.set.ino(view, nodeid, fuse_out_header.size);
  const written = write(device, message, LENGTH);
  return written < 0 ? written : 0;
}
