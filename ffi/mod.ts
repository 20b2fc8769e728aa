/**
 * deno-fuse-ffi: libfuse3's low-level API for Deno, and the Linux system calls that a file system server needs. No policy, usable
 * alone.
 *
 * A file system is a map from opcode to handler. Handlers read the kernel's own structs from the request and answer with them; the
 * tables of both are in `kernel.ts`. This one has a single file:
 *
 * ```ts
 * import { cstr, Errno, kernel, loadFuse, prepareFuseMount, type Request, Session } from "@spfs/spfs/ffi";
 *
 * const text = new TextEncoder().encode("hello, world\n");
 * const attributes = (out: DataView, at: number, ino: bigint) => {
 *   const { set } = kernel.fuse_attr;
 *   set.ino(out, ino, at);
 *   set.mode(out, ino === 1n ? 0o040755 : 0o100644, at);
 *   set.nlink(out, 1, at);
 *   set.size(out, ino === 1n ? 0n : BigInt(text.length), at);
 * };
 * const answer = (request: Request, size: number, fill: (out: DataView) => void) => {
 *   const bytes = new Uint8Array(size);
 *   fill(new DataView(bytes.buffer));
 *   request.replyData(bytes);
 * };
 *
 * export const hello = new Map<number, (request: Request) => void>([
 *   [kernel.FUSE_LOOKUP, (request) => {
 *     if (new TextDecoder().decode(request.name(40)) !== "hello") return void request.replyError(Errno.ENOENT);
 *     answer(request, kernel.fuse_entry_out.size, (out) => {
 *       kernel.fuse_entry_out.set.nodeid(out, 2n);
 *       attributes(out, 40, 2n);
 *     });
 *   }],
 *   [kernel.FUSE_FORGET, (request) => request.replyNone()],
 *   [kernel.FUSE_BATCH_FORGET, (request) => request.replyNone()],
 *   [kernel.FUSE_GETATTR, (request) => {
 *     answer(request, kernel.fuse_attr_out.size, (out) => attributes(out, 16, request.nodeid));
 *   }],
 *   [kernel.FUSE_READ, (request) => {
 *     const at = Number(kernel.fuse_read_in.get.offset(request.view, 40));
 *     request.replyData(text.subarray(at, at + kernel.fuse_read_in.get.size(request.view, 40)));
 *   }],
 * ]);
 *
 * export async function serve(mountpoint: string): Promise<void> {
 *   using library = loadFuse();
 *   using mount = prepareFuseMount(cstr(mountpoint), { source: "hello", subtype: "hello" });
 *   using session = new Session(mount.device.release(), { library, handlers: hello });
 *   mount.attach();
 *   await session.serve(); // until somebody unmounts it
 * }
 * ```
 *
 * @module
 */
export { Errno, errnoName, errnoText, isSysError, SysError } from "./errno.ts";
export type { ErrnoName } from "./errno.ts";
export { struct } from "./layout.ts";
export type { Field, Fields, FieldType, FieldValue, Getter, Setter, Struct, U64 } from "./layout.ts";
export * as kernel from "./fuse/kernel.ts";
export { chooseAbi, libfuseSymbols } from "./fuse/abi.ts";
export type { LibfuseAbi } from "./fuse/abi.ts";
export { FUSE_SONAMES, FuseLibraryError, loadFuse, parseFuseVersion } from "./fuse/library.ts";
export type { FuseLibrary, FuseSymbols, FuseVersion } from "./fuse/library.ts";
export { prepareFuseMount } from "./fuse/mount.ts";
export type { FuseMountOptions, MountApi, MountIdentity, PreparedFuseMount } from "./fuse/mount.ts";
export { opcodeName } from "./fuse/opcode_names.ts";
export { AnswerBuffer, IN_HEADER_SIZE, Request } from "./fuse/request.ts";
export type { ReplyChannel, RequestState } from "./fuse/request.ts";
export { ServeLoop } from "./fuse/loop.ts";
export type { Served, ServeEnd } from "./fuse/loop.ts";
export { Session } from "./fuse/session.ts";
export type { Handler, Handlers, SessionHooks, SessionOptions } from "./fuse/session.ts";
export type { NegotiatedInit, WantedInit } from "./fuse/init.ts";
export { Fd } from "./sys/fd.ts";
export { check, cstr, type CString, pathText } from "./sys/libc.ts";
