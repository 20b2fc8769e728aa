/**
 * What a worker fails with, as a message can carry it.
 *
 * @module
 */

import { ControlError, errorKinds } from "../control/errors.ts";
import { decodePath } from "../control/values.ts";
import { SysError } from "../ffi/errno.ts";
import type { WorkerError } from "./worker_messages.ts";

/** A caught error as plain data. What is neither a ControlError nor a SysError is a defect of this program, kind `internal`. */
export function workerError(thrown: unknown): WorkerError {
  if (thrown instanceof ControlError) {
    const { errno, syscall, rolledBack, detail, offset, path } = thrown.data;
    return {
      kind: errorKinds.find((kind) => kind === thrown.kind) ?? "internal",
      message: thrown.message,
      errno,
      syscall,
      rolledBack,
      detail,
      offset,
      path: path === undefined ? undefined : decodePath(path),
    };
  }
  if (thrown instanceof SysError) {
    return { kind: "system", message: thrown.message, errno: thrown.code, syscall: thrown.syscall };
  }
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  return { kind: "internal", message: String(thrown), detail: stack };
}
