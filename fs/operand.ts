/**
 * What a request is about, for people: an operation on a name is about that name, not about the directory that its nodeid stands for. Pure.
 *
 * @module
 */
import * as kernel from "../ffi/fuse/kernel.ts";
import { IN_HEADER_SIZE, type Request } from "../ffi/fuse/request.ts";

// Where the name stands in the message, behind the operation's own struct.
const NAME_OFFSETS: ReadonlyMap<number, number> = new Map([
  [kernel.FUSE_LOOKUP, 0],
  [kernel.FUSE_SYMLINK, 0],
  [kernel.FUSE_UNLINK, 0],
  [kernel.FUSE_RMDIR, 0],
  [kernel.FUSE_MKNOD, kernel.fuse_mknod_in.size],
  [kernel.FUSE_MKDIR, kernel.fuse_mkdir_in.size],
  [kernel.FUSE_CREATE, kernel.fuse_create_in.size],
  [kernel.FUSE_LINK, kernel.fuse_link_in.size],
  [kernel.FUSE_RENAME, kernel.fuse_rename_in.size],
  [kernel.FUSE_RENAME2, kernel.fuse_rename2_in.size],
]);

/** The path of what a request is about: `node`, the path of its nodeid, and the name in it, if the operation has one. */
export function operandPath(request: Request, node: Uint8Array): Uint8Array {
  const offset = NAME_OFFSETS.get(request.opcode);
  if (offset === undefined) return node;
  const name = request.name(IN_HEADER_SIZE + offset);
  const slash = node.at(-1) === 0x2f ? 0 : 1;
  const path = new Uint8Array(node.length + slash + name.length);
  path.set(node);
  if (slash === 1) path[node.length] = 0x2f;
  path.set(name, node.length + slash);
  return path;
}
