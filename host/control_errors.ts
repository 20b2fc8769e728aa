/**
 * From what workers and system calls fail with to control errors.
 *
 * @module
 */

import { ControlError, type ErrorData } from "../control/errors.ts";
import { encodePath } from "../control/values.ts";
import { SysError } from "../ffi/errno.ts";
import type { WorkerError } from "./worker_messages.ts";

/** The error of a worker's reply as a control error; `mount` names the mount that it is about. */
export function fromWorker(error: WorkerError, mount?: string): ControlError {
  const { kind, message, path, ...rest } = error;
  const data: Record<string, unknown> = { mount, ...rest };
  if (path !== undefined) data["path"] = encodePath(path);
  for (const key of Object.keys(data)) {
    if (data[key] === undefined) delete data[key];
  }
  return new ControlError(kind, message, data as ErrorData);
}

/** Anything caught, as a control error: what is none already and is no SysError is a defect of this program, kind `internal`. */
export function asControlError(thrown: unknown, data: ErrorData = {}): ControlError {
  if (thrown instanceof ControlError) {
    return new ControlError(thrown.kind, thrown.message, { ...data, ...thrown.data }, { cause: thrown });
  }
  if (thrown instanceof SysError) {
    const system = { errno: thrown.code, syscall: thrown.syscall };
    return new ControlError("system", thrown.message, { ...data, ...system }, { cause: thrown });
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ControlError("internal", message, data, { cause: thrown });
}
