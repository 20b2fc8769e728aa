/**
 * The messages between the main thread and a mount worker. Types only: everything here is plain data that structured cloning
 * carries, and a worker that imports this module loads nothing.
 *
 * A worker serves a mount, or all the stand-ins of one restore. Of each mount it is given `check` and then `create` first, before
 * which it can be asked to read images, and it answers every request exactly once, in any order. Every message bears the number of the mount that it is
 * about, which the main thread has given it. Descriptor numbers are shared by all threads of the process: a number in a message
 * carries ownership of the descriptor to the receiver, at the moment it is posted.
 *
 * @module
 */

import type { FileEntry } from "../control/entries.ts";
import type { ErrorKind } from "../control/errors.ts";
import type { MountMode, ParkedRequest } from "../control/protocol.ts";
import type { PlaceholderEntry } from "../fs/placeholder.ts";
import type { NotedMounts, ReadNodesRequest, ReadNodesResult, ReadNotedRequest } from "./images_messages.ts";

/** What the mount looks like from outside. */
export interface MountOptions {
  /** Device nodes work. */
  readonly dev: boolean;
  /** Set-id bits work. */
  readonly suid: boolean;
  /** Files can be executed. */
  readonly exec: boolean;
  /** Nothing can be written through the mount. */
  readonly readOnly: boolean;
}

/**
 * Makes sure that a stub can be mounted on a path, before anything is done. May block for ever; the worker is then of no further use.
 */
export interface CheckRequest {
  readonly type: "check";
  /** An absolute path, without a NUL. */
  readonly mountpoint: Uint8Array;
}

/** A mountpoint that can be mounted on. */
export interface CheckResult {
  /** Its path without symlinks. */
  readonly path: Uint8Array;
}

/** The attributes of a placeholder's root directory. */
export interface RootAttributes {
  /** Permission bits. */
  readonly mode: number;
  /** The owner. */
  readonly uid: number;
  /** The group. */
  readonly gid: number;
}

/** Mounts the stub. Fails with nothing left mounted; the worker is of no further use then. */
export interface CreateRequest {
  readonly type: "create";
  /** Where to mount: an absolute path without symlinks, without a NUL. */
  readonly mountpoint: Uint8Array;
  /** The mode to begin in. */
  readonly mode: "restore" | "stub";
  /** The owner tag: becomes the mount's source, by which a dead mount is told from a living one. */
  readonly source: string;
  /** The root directory of the placeholder. */
  readonly root: RootAttributes;
  /**
   * What the placeholder holds before anybody can see the mount. "later": {@linkcode FillRequest} tells, and nobody who uses the mount is answered
   * before.
   */
  readonly entries?: readonly PlaceholderEntry[] | "later";
  /** The most bytes that the placeholder may hold; the tmpfs's own default (half of memory) when absent. */
  readonly size?: bigint;
  /** How long the kernel may keep attributes and names in proxy mode, in milliseconds; 0: ask every time. */
  readonly attrTimeoutMs: number;
  /** Flags of the mount. */
  readonly options: MountOptions;
  /** Which pending signals end a request's wait with EINTR: any that is deliverable, or only fatal ones. */
  readonly interrupts: "any" | "fatal";
}

/** What is known of a fresh mount. */
export interface CreateResult {
  /** The mount's id in mountinfo (statx STATX_MNT_ID). */
  readonly mountId: bigint;
  /** The major device number of its superblock. */
  readonly major: number;
  /** The minor device number: the connection's name below /sys/fs/fuse/connections. */
  readonly minor: number;
}

/** Makes what a mount's placeholder holds that was created without, upon which it is served. When it fails the mount is to be aborted. */
export interface FillRequest {
  readonly type: "fill";
  /** The root directory. */
  readonly root: RootAttributes;
  /** The nodes. */
  readonly entries: readonly PlaceholderEntry[];
}

/** Creates nodes in the placeholder, all or none. */
export interface PopulateRequest {
  readonly type: "populate";
  /** What to create, in order. */
  readonly entries: readonly FileEntry[];
  /** Create missing parent directories (0755, 0:0). */
  readonly parents: boolean;
}

/** How many nodes a populate made and found. */
export interface PopulateResult {
  /** Nodes made by this call, implied parents not counted. */
  readonly created: number;
  /** Identical nodes that were there already. */
  readonly existing: number;
}

/** Changes the mode. A failed change leaves the old mode in force. */
export interface SetModeRequest {
  readonly type: "setMode";
  /** The mode to go to. */
  readonly mode: MountMode;
  /**
   * A descriptor of the root of the real file system, for the first change to proxy. Its ownership passes to the worker, also when
   * the change fails. Absent when the worker has one already.
   */
  readonly backingFd?: number;
  /** Whether other file systems may be mounted on it. */
  readonly mayCross?: boolean;
  /** Open files that the real file system does not have: refuse the change (when absent), or leave them stale. */
  readonly missing?: "refuse" | "stale";
}

/** What a change of mode did. */
export interface SetModeResult {
  /** The mode before. */
  readonly previous: MountMode;
  /** How many parked requests were let go. */
  readonly waited: number;
}

/** Asks how the mount is. Answered in every mode, without touching a file system. */
export interface InspectRequest {
  readonly type: "inspect";
  /** List at most this many parked requests, the oldest first. */
  readonly requests: number;
}

/** How a mount is. */
export interface InspectResult {
  /** The mode in force. */
  readonly mode: MountMode;
  /** What is parked. */
  readonly parked: {
    /** How many requests. */
    readonly count: number;
    /** The age of the oldest, in milliseconds; 0 when none is parked. */
    readonly oldestMs: number;
    /** How many by operation (LOOKUP, READ, ...). */
    readonly byOp: Record<string, number>;
  };
  /** The oldest parked requests, as many as were asked for. */
  readonly requests: readonly ParkedRequest[];
  /** Nodes the kernel knows of. */
  readonly nodes: number;
  /** Open files and directories. */
  readonly handles: number;
  /** Requests handled so far. */
  readonly served: number;
}

/**
 * Ends the mount: answers every parked request with the errno, takes the mount off its mountpoint (MNT_DETACH; not after `detach`),
 * and ends the session, so that who still has files open gets ENOTCONN. Replied to as soon as the parked requests are answered;
 * {@linkcode GoneEvent} follows.
 */
export interface AbortRequest {
  readonly type: "abort";
  /** What parked requests are answered with. */
  readonly errno: number;
}

/** What an abort did. */
export interface AbortResult {
  /** How many parked requests were answered. */
  readonly answered: number;
}

/**
 * The mount has been taken off its mountpoint by a committed replacement. The worker goes on serving the handles that are open on
 * it; when the last user is gone the kernel ends the session and {@linkcode GoneEvent} follows. Unmounts nothing from now on.
 */
export interface DetachRequest {
  readonly type: "detach";
}

/** Asks for a file by its nodeid: one that has lost its name and that only this worker can reach. */
export interface OpenNodeRequest {
  readonly type: "openNode";
  /** The kernel's key of it. */
  readonly nodeid: bigint;
}

/** Such a file. */
export interface OpenNodeResult {
  /** A descriptor of the real file, not necessarily one to read by; or a negated error number. */
  readonly fd: number;
}

/** Says which process may zap files (fs/zap.ts) from now on, in restore mode. */
export interface ZapRequest {
  readonly type: "zap";
  /** The process, in our pid namespace; nobody when absent. */
  readonly by?: number;
}

/** Which of a worker's mounts a message is about. */
export type MountNumber = number & { readonly __mount: unique symbol };

/** Every request with its result. */
export interface WorkerCalls {
  check: { request: CheckRequest; result: CheckResult };
  readNodes: { request: ReadNodesRequest; result: ReadNodesResult };
  readNoted: { request: ReadNotedRequest; result: NotedMounts };
  create: { request: CreateRequest; result: CreateResult };
  fill: { request: FillRequest; result: Record<string, never> };
  populate: { request: PopulateRequest; result: PopulateResult };
  setMode: { request: SetModeRequest; result: SetModeResult };
  inspect: { request: InspectRequest; result: InspectResult };
  abort: { request: AbortRequest; result: AbortResult };
  openNode: { request: OpenNodeRequest; result: OpenNodeResult };
  zap: { request: ZapRequest; result: Record<string, never> };
  detach: { request: DetachRequest; result: Record<string, never> };
}

/** The name of a request. */
export type WorkerCall = keyof WorkerCalls;

/** A request as it is posted: what is asked, of which mount, and the number that the reply repeats. */
export type PostedRequest = {
  [C in WorkerCall]: WorkerCalls[C]["request"] & { readonly mount: MountNumber; readonly seq: number };
}[WorkerCall];

/** What a worker may be told before it has a mount, and does not answer: rehearsal.ts. */
export interface RehearsalOrder {
  readonly type: "rehearse";
}

/** A request for the mount worker itself; its entry (mount_entry.ts) answers the others. */
export type WorkerRequest = Exclude<PostedRequest, CheckRequest | ReadNodesRequest | ReadNotedRequest>;

/** Why a request failed: the fields of a control error. */
export interface WorkerError {
  /** What to branch on. */
  readonly kind: ErrorKind;
  /** One sentence that names the thing. */
  readonly message: string;
  /** The errno's name. */
  readonly errno?: string | undefined;
  /** The system call that failed. */
  readonly syscall?: string | undefined;
  /** The path that the error is about. */
  readonly path?: Uint8Array | undefined;
  /** The mode that stood in the way. */
  readonly mode?: MountMode | undefined;
  /** The entry of a populate that failed. */
  readonly index?: number | undefined;
  /** Where in the file `path` something is wrong. */
  readonly offset?: number | undefined;
  /** Whether what the request had already done was undone. */
  readonly rolledBack?: boolean | undefined;
  /** More text: kernel messages, a stack. */
  readonly detail?: string | undefined;
}

/** The answer to a request. */
export type WorkerReply =
  & { readonly mount: MountNumber; readonly seq: number }
  & (
    | { readonly ok: true; readonly result: WorkerCalls[WorkerCall]["result"] }
    | { readonly ok: false; readonly error: WorkerError }
  );

/** How many requests are parked now. At most ten a second; the last change is never left out. */
export interface ParkedEvent {
  readonly event: "parked";
  /** How many. */
  readonly count: number;
  /** How many by operation. */
  readonly byOp: Record<string, number>;
}

/**
 * The session is over, its device closed and everything freed. Posted once, last of a mount's messages, and only after a
 * successful `create`. "unmounted": the last user left; "aborted": by `abort`, or the connection was aborted from outside; "error":
 * serving failed, `text` says how, and the mount may still be on its mountpoint.
 */
export interface GoneEvent {
  readonly event: "gone";
  /** What ended it. */
  readonly reason: "unmounted" | "aborted" | "error";
  /** More about an error. */
  readonly text?: string;
}

/** A line for the log. */
export interface LogEvent {
  readonly event: "log";
  /** How serious it is. */
  readonly level: "error" | "warn" | "info" | "debug";
  /** What to say. */
  readonly text: string;
  /** The FUSE request it is about (its unique id). */
  readonly request?: bigint;
}

/** What a worker tells of a mount unasked. */
export type WorkerEvent = ParkedEvent | GoneEvent | LogEvent;

/** Everything a worker posts. */
export type WorkerMessage = WorkerReply | (WorkerEvent & { readonly mount: MountNumber });
