/**
 * System calls that tasks are made to do, and how they fail.
 *
 * @module
 */
import { errnoName, SysError } from "../ffi/errno.ts";

/** A task ended while it was being worked on. */
export class TaskGone extends Error {
  override readonly name = "TaskGone";
  /** `tid` names it. */
  constructor(readonly tid: number) {
    super(`task ${tid} has ended`);
  }
}

/** A system call to be made in a task: its number and up to six arguments. */
export type Call = readonly [number: number, ...args: (number | bigint)[]];

/** A system call that failed in a task. */
export class RemoteError extends SysError {
  /** `index` is the call's place in its batch. */
  constructor(readonly tid: number, readonly index: number, call: Call, errno: number) {
    super(`system call ${call[0]}`, errno, { pid: tid });
    this.message = `task ${tid}: system call ${call[0]}(${call.slice(1).join(", ")}): ${errnoName(errno)}`;
  }
}
