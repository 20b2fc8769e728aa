/**
 * Access to the structs of the kernel's FUSE protocol, as of 7.45: what follows `fuse_in_header` in a request, `fuse_out_header` in an
 * answer.
 *
 * A struct inside another one is read and written as one of its own: `fuse_attr` is at 40 in `fuse_entry_out` and at 16 in
 * `fuse_attr_out`, `fuse_file_lock` at 16 in `fuse_lk_in`, `fuse_statx` at 32 in `fuse_statx_out`, `fuse_dirent` behind a
 * `fuse_entry_out` in `fuse_direntplus`.
 *
 * @module
 */
import { type Struct, struct } from "../layout.ts";
import { kernelLayouts } from "./kernel_layouts.ts";

export { kernelLayouts } from "./kernel_layouts.ts";

/** The name of a struct of `linux/fuse.h`. */
export type KernelStructName = keyof typeof kernelLayouts;

/** The accessors of one of them. */
export type KernelStruct<N extends KernelStructName> = Struct<(typeof kernelLayouts)[N]["fields"]>;

function of<N extends KernelStructName>(name: N): KernelStruct<N> {
  return struct(kernelLayouts[name].fields, kernelLayouts[name].size) as KernelStruct<N>;
}

/** What every request starts with; `total_extlen`, in units of 8 bytes, from 7.38. */
export const fuse_in_header: KernelStruct<"fuse_in_header"> = of("fuse_in_header");
/** What every answer and notification starts with; `error` is 0 or a negated error number, or the code of a notification. */
export const fuse_out_header: KernelStruct<"fuse_out_header"> = of("fuse_out_header");
/** The attributes of a node. Times are signed seconds in unsigned fields. */
export const fuse_attr: KernelStruct<"fuse_attr"> = of("fuse_attr");
/** The answer to LOOKUP and what makes names; a `fuse_attr` at 40. */
export const fuse_entry_out: KernelStruct<"fuse_entry_out"> = of("fuse_entry_out");
/** The answer to GETATTR and SETATTR; a `fuse_attr` at 16. */
export const fuse_attr_out: KernelStruct<"fuse_attr_out"> = of("fuse_attr_out");
/** FORGET. */
export const fuse_forget_in: KernelStruct<"fuse_forget_in"> = of("fuse_forget_in");
/** One node of BATCH_FORGET. */
export const fuse_forget_one: KernelStruct<"fuse_forget_one"> = of("fuse_forget_one");
/** BATCH_FORGET; `count` times `fuse_forget_one` follow. */
export const fuse_batch_forget_in: KernelStruct<"fuse_batch_forget_in"> = of("fuse_batch_forget_in");
/** GETATTR. */
export const fuse_getattr_in: KernelStruct<"fuse_getattr_in"> = of("fuse_getattr_in");
/** SETATTR. */
export const fuse_setattr_in: KernelStruct<"fuse_setattr_in"> = of("fuse_setattr_in");
/** MKNOD; the name follows. */
export const fuse_mknod_in: KernelStruct<"fuse_mknod_in"> = of("fuse_mknod_in");
/** MKDIR; the name follows. */
export const fuse_mkdir_in: KernelStruct<"fuse_mkdir_in"> = of("fuse_mkdir_in");
/** RENAME; both names follow. */
export const fuse_rename_in: KernelStruct<"fuse_rename_in"> = of("fuse_rename_in");
/** RENAME2; both names follow. */
export const fuse_rename2_in: KernelStruct<"fuse_rename2_in"> = of("fuse_rename2_in");
/** LINK; the name follows. */
export const fuse_link_in: KernelStruct<"fuse_link_in"> = of("fuse_link_in");
/** OPEN and OPENDIR. */
export const fuse_open_in: KernelStruct<"fuse_open_in"> = of("fuse_open_in");
/** CREATE and TMPFILE; the name follows. */
export const fuse_create_in: KernelStruct<"fuse_create_in"> = of("fuse_create_in");
/** The answer to OPEN and OPENDIR; behind a `fuse_entry_out` to CREATE and TMPFILE. `backing_id` from 7.40. */
export const fuse_open_out: KernelStruct<"fuse_open_out"> = of("fuse_open_out");
/** RELEASE and RELEASEDIR. */
export const fuse_release_in: KernelStruct<"fuse_release_in"> = of("fuse_release_in");
/** FLUSH. */
export const fuse_flush_in: KernelStruct<"fuse_flush_in"> = of("fuse_flush_in");
/** READ, READDIR and READDIRPLUS. */
export const fuse_read_in: KernelStruct<"fuse_read_in"> = of("fuse_read_in");
/** WRITE; the data follows. */
export const fuse_write_in: KernelStruct<"fuse_write_in"> = of("fuse_write_in");
/** The answer to WRITE and COPY_FILE_RANGE. */
export const fuse_write_out: KernelStruct<"fuse_write_out"> = of("fuse_write_out");
/** The answer to STATFS: a `fuse_kstatfs`. */
export const fuse_statfs_out: KernelStruct<"fuse_statfs_out"> = of("fuse_statfs_out");
/** FSYNC and FSYNCDIR. */
export const fuse_fsync_in: KernelStruct<"fuse_fsync_in"> = of("fuse_fsync_in");
/** SETXATTR; name and value follow. Only the first 8 bytes are there without FUSE_SETXATTR_EXT. */
export const fuse_setxattr_in: KernelStruct<"fuse_setxattr_in"> = of("fuse_setxattr_in");
/** GETXATTR, where the name follows, and LISTXATTR. */
export const fuse_getxattr_in: KernelStruct<"fuse_getxattr_in"> = of("fuse_getxattr_in");
/** The answer to GETXATTR and LISTXATTR of size 0. */
export const fuse_getxattr_out: KernelStruct<"fuse_getxattr_out"> = of("fuse_getxattr_out");
/** A lock; `end` is inclusive, `type` F_RDLCK and the like. */
export const fuse_file_lock: KernelStruct<"fuse_file_lock"> = of("fuse_file_lock");
/** GETLK, SETLK and SETLKW; a `fuse_file_lock` at 16. */
export const fuse_lk_in: KernelStruct<"fuse_lk_in"> = of("fuse_lk_in");
/** The answer to GETLK: a `fuse_file_lock`. */
export const fuse_lk_out: KernelStruct<"fuse_lk_out"> = of("fuse_lk_out");
/** ACCESS. */
export const fuse_access_in: KernelStruct<"fuse_access_in"> = of("fuse_access_in");
/** INIT. Only the first 16 bytes are there before 7.36. */
export const fuse_init_in: KernelStruct<"fuse_init_in"> = of("fuse_init_in");
/** The answer to INIT. */
export const fuse_init_out: KernelStruct<"fuse_init_out"> = of("fuse_init_out");
/** INTERRUPT. */
export const fuse_interrupt_in: KernelStruct<"fuse_interrupt_in"> = of("fuse_interrupt_in");
/** BMAP. */
export const fuse_bmap_in: KernelStruct<"fuse_bmap_in"> = of("fuse_bmap_in");
/** The answer to BMAP. */
export const fuse_bmap_out: KernelStruct<"fuse_bmap_out"> = of("fuse_bmap_out");
/** IOCTL; `in_size` bytes follow. */
export const fuse_ioctl_in: KernelStruct<"fuse_ioctl_in"> = of("fuse_ioctl_in");
/** Memory of the caller that an IOCTL answer asks for. */
export const fuse_ioctl_iovec: KernelStruct<"fuse_ioctl_iovec"> = of("fuse_ioctl_iovec");
/** The answer to IOCTL. */
export const fuse_ioctl_out: KernelStruct<"fuse_ioctl_out"> = of("fuse_ioctl_out");
/** POLL. */
export const fuse_poll_in: KernelStruct<"fuse_poll_in"> = of("fuse_poll_in");
/** The answer to POLL. */
export const fuse_poll_out: KernelStruct<"fuse_poll_out"> = of("fuse_poll_out");
/** FALLOCATE. */
export const fuse_fallocate_in: KernelStruct<"fuse_fallocate_in"> = of("fuse_fallocate_in");
/** LSEEK. */
export const fuse_lseek_in: KernelStruct<"fuse_lseek_in"> = of("fuse_lseek_in");
/** The answer to LSEEK. */
export const fuse_lseek_out: KernelStruct<"fuse_lseek_out"> = of("fuse_lseek_out");
/** COPY_FILE_RANGE and COPY_FILE_RANGE_64. */
export const fuse_copy_file_range_in: KernelStruct<"fuse_copy_file_range_in"> = of("fuse_copy_file_range_in");
/** The answer to COPY_FILE_RANGE_64; 7.45. */
export const fuse_copy_file_range_out: KernelStruct<"fuse_copy_file_range_out"> = of(
  "fuse_copy_file_range_out",
);
/** SYNCFS: nothing but padding. */
export const fuse_syncfs_in: KernelStruct<"fuse_syncfs_in"> = of("fuse_syncfs_in");
/** STATX; 7.39. */
export const fuse_statx_in: KernelStruct<"fuse_statx_in"> = of("fuse_statx_in");
/** The answer to STATX; a `fuse_statx` at 32; 7.39. */
export const fuse_statx_out: KernelStruct<"fuse_statx_out"> = of("fuse_statx_out");
/** The attributes of STATX: the layout of `struct statx`, whose times are {i64 seconds, u32 nanoseconds} at 64 (access), 80 (birth), 96 (change) and 112 (modification); 7.39. */
export const fuse_statx: KernelStruct<"fuse_statx"> = of("fuse_statx");
/** One entry of a READDIR answer; `namelen` bytes of name follow, then zeros to a multiple of 8. */
export const fuse_dirent: KernelStruct<"fuse_dirent"> = of("fuse_dirent");
/** One entry of a READDIRPLUS answer: a `fuse_entry_out` at 0 and a `fuse_dirent` at 128. */
export const fuse_direntplus: KernelStruct<"fuse_direntplus"> = of("fuse_direntplus");
/** FUSE_DEV_IOC_BACKING_OPEN; 7.40. */
export const fuse_backing_map: KernelStruct<"fuse_backing_map"> = of("fuse_backing_map");
/** An extension behind a request; `size` includes this header; 7.38. */
export const fuse_ext_header: KernelStruct<"fuse_ext_header"> = of("fuse_ext_header");
/** FUSE_NOTIFY_POLL. */
export const fuse_notify_poll_wakeup_out: KernelStruct<"fuse_notify_poll_wakeup_out"> = of(
  "fuse_notify_poll_wakeup_out",
);
/** FUSE_NOTIFY_INVAL_INODE. */
export const fuse_notify_inval_inode_out: KernelStruct<"fuse_notify_inval_inode_out"> = of(
  "fuse_notify_inval_inode_out",
);
/** FUSE_NOTIFY_INVAL_ENTRY; the name follows. */
export const fuse_notify_inval_entry_out: KernelStruct<"fuse_notify_inval_entry_out"> = of(
  "fuse_notify_inval_entry_out",
);
/** FUSE_NOTIFY_DELETE; the name follows. */
export const fuse_notify_delete_out: KernelStruct<"fuse_notify_delete_out"> = of("fuse_notify_delete_out");
/** FUSE_NOTIFY_STORE; the data follows. */
export const fuse_notify_store_out: KernelStruct<"fuse_notify_store_out"> = of("fuse_notify_store_out");
/** FUSE_NOTIFY_RETRIEVE. */
export const fuse_notify_retrieve_out: KernelStruct<"fuse_notify_retrieve_out"> = of(
  "fuse_notify_retrieve_out",
);
/** NOTIFY_REPLY; the data follows. */
export const fuse_notify_retrieve_in: KernelStruct<"fuse_notify_retrieve_in"> = of("fuse_notify_retrieve_in");
/** FUSE_NOTIFY_PRUNE; `count` nodeids follow; 7.45. */
export const fuse_notify_prune_out: KernelStruct<"fuse_notify_prune_out"> = of("fuse_notify_prune_out");
