/**
 * Room for descriptors before it is needed.
 *
 * The kernel lets a process's descriptor table grow to twice its size when it is full, and where the process has several threads whoever
 * needs the next descriptor waits until every processor has passed a quiescent state (fs/file.c, expand_fdtable): 10 to 30 ms, six times on
 * the way to a thousand files.
 *
 * @module
 */

import { RLIMIT_NOFILE } from "../ffi/sys/constants.ts";
import { growFileTable } from "../ffi/sys/file.ts";
import { prlimit64 } from "../ffi/sys/process.ts";

/** How many descriptors there is room for; the table has 8 bytes for each. */
export const descriptorRoom = 8192;

/**
 * Raises this process's limit of open files as far as it may, and makes room up to that on another thread, which waits instead of those that
 * work. Returns at once.
 *
 * @returns the limit, where it could not be raised; else undefined
 */
export function makeDescriptorRoom(): bigint | undefined {
  const limit = prlimit64(0, RLIMIT_NOFILE);
  if (typeof limit === "number") return undefined;
  const { soft, hard } = limit;
  const raised = soft === hard || typeof prlimit64(0, RLIMIT_NOFILE, { soft: hard, hard }) !== "number";
  const most = raised ? hard : soft;
  void growFileTable(most < BigInt(descriptorRoom) ? Number(most) : descriptorRoom);
  return raised ? undefined : soft;
}
