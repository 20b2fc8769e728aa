/**
 * Two mounts between which processes are moved: everything that is on one of them is at the same path on the other.
 *
 * @module
 */

import { check, cstr } from "../../../ffi/sys/libc.ts";
import { AT_FDCWD, AT_STATX_DONT_SYNC, STATX_MNT_ID } from "../../../ffi/sys/constants.ts";
import { statx, StatxBuffer } from "../../../ffi/sys/file.ts";
import { run } from "../../e2e/support/child.ts";
import type { Sandbox } from "../../e2e/support/sandbox.ts";

/**
 * What the two are: `same`, one tmpfs mounted twice; `disk`, one ext4 mounted twice; `twins`, two tmpfs, the second of which becomes a
 * copy of the first whenever `mirror` is called.
 */
export type PairKind = "same" | "disk" | "twins";

/** One of the two. */
export interface Side {
  /** Its mountpoint. */
  readonly path: string;
  /** The mount's id. */
  readonly id: number;
}

/** The two mounts. */
export interface MountPair {
  /** What they are. */
  readonly kind: PairKind;
  /** The first and the second one. */
  readonly sides: readonly [Side, Side];
  /** Brings the second of two sides to what the first one holds. Nobody may use the second one. */
  mirror(from: Side, to: Side): Promise<void>;
}

const buffer = new StatxBuffer();

/** The id of the mount that a path, followed to its end, is on. @throws {SysError} when there is no such file. */
export function mountIdOf(path: string | Uint8Array): number {
  check(statx(AT_FDCWD, cstr(path), AT_STATX_DONT_SYNC, STATX_MNT_ID, buffer), "statx");
  return Number(buffer.mntId);
}

/** Mounts two of them in a sandbox. */
export async function mountPair(sandbox: Sandbox, kind: PairKind): Promise<MountPair> {
  const [a, b] = [sandbox.directory("a"), sandbox.directory("b")];
  if (kind === "disk") {
    const image = sandbox.at("image");
    await run("truncate", ["--size", "96M", image]);
    await run("mkfs.ext4", ["-q", "-O", "^has_journal", image]);
    await run("mount", ["-t", "ext4", await sandbox.attachLoop(image), a]);
    await run("rmdir", [`${a}/lost+found`]);
  } else await run("mount", ["-t", "tmpfs", "none", a]);
  await run("mount", kind === "twins" ? ["-t", "tmpfs", "none", b] : ["--bind", a, b]);
  for (const path of [a, b]) Deno.chmodSync(path, 0o755);
  const sides = [a, b].map((path) => ({ path, id: mountIdOf(path) })) as [Side, Side];
  return {
    kind,
    sides,
    async mirror(from, to) {
      if (kind !== "twins") return;
      await run("find", [to.path, "-mindepth", "1", "-delete"]);
      await run("cp", ["--archive", `${from.path}/.`, to.path]);
    },
  };
}
