/**
 * The modes of a stub mount, and what each does with a request. Pure.
 *
 * - `restore`: requests are served from the placeholder, a private tmpfs that holds what CRIU must find.
 * - `stub`: requests wait; nobody sees a wrong answer.
 * - `proxy`: requests are served from the real file system.
 *
 * @module
 */
import * as kernel from "../ffi/fuse/kernel.ts";
import { FUSE_ROOT_ID } from "../ffi/fuse/kernel.ts";

/** What the mount does with requests now. */
export type Mode = "restore" | "stub" | "proxy";

/** Which file system requests would be served from: the placeholder until the real one has been adopted, which is for good. */
export type BackingKind = "placeholder" | "real";

/** What to do with one request. */
export type Verdict =
  /** Serve it from the backing. */
  | "serve"
  /** Let it wait. */
  | "park"
  /** Answer success at once: nothing that waits is to be lost by it. */
  | "acknowledge"
  /** Answer with what is last known of the root, attributes or extended ones, so that listing the mountpoint's parent never hangs. */
  | "root-attributes";

// Releasing must go on while everything else waits: an exiting task issues FLUSH and cannot be killed while it does, and the kernel
// sends RELEASE and FORGET without waiting for anybody.
const NEVER_PARKED: ReadonlySet<number> = new Set([
  kernel.FUSE_FORGET,
  kernel.FUSE_BATCH_FORGET,
  kernel.FUSE_RELEASE,
  kernel.FUSE_RELEASEDIR,
]);

/** What `ls -l` asks about a directory. */
const ATTRIBUTES: ReadonlySet<number> = new Set([
  kernel.FUSE_GETATTR,
  kernel.FUSE_STATX,
  kernel.FUSE_GETXATTR,
  kernel.FUSE_LISTXATTR,
]);

/**
 * Decides about a request.
 *
 * @param mode the mode in force.
 * @param opcode FUSE_LOOKUP and so on.
 * @param nodeid the inode it is about.
 * @param laundering whether this is a WRITE of cached pages: dropping the placeholder's pages waits for it, and so does the FLUSH of a
 * file whose pages have become dirty in proxy mode.
 */
export function verdict(mode: Mode, opcode: number, nodeid: bigint, laundering: boolean): Verdict {
  if (mode !== "stub" || laundering || NEVER_PARKED.has(opcode)) return "serve";
  if (opcode === kernel.FUSE_FLUSH) return "acknowledge";
  if (nodeid === FUSE_ROOT_ID && ATTRIBUTES.has(opcode)) return "root-attributes";
  return "park";
}

/** Why a mode cannot be entered; undefined when it can. */
export function refusal(to: Mode, backing: BackingKind): string | undefined {
  if (to === "proxy" && backing === "placeholder") return "there is no real file system yet";
  if (to === "restore" && backing === "real") {
    return "the placeholder is gone since the real file system was adopted";
  }
  return undefined;
}
