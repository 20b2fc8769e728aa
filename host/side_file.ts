/**
 * The file beside images that says what they lack.
 *
 * @module
 */

import * as z from "zod/mini";
import { version } from "../control/version.ts";
import { directorySource, ImageError, type Images, type Side } from "../criu/mod.ts";
import { sideFormat, sideVersion } from "./side_format.ts";

/** Its name. */
export const sideFileName = "spfs.json";

/** The longest one that is read; what is noted of half a million files is shorter. */
const maxSideFile = 256 * 1024 * 1024;

/**
 * Reads what was noted beside images; undefined when nothing was. Blocks as reading files does.
 *
 * @throws {ImageError} when it is no such file, or of another version; {SysError}
 */
export function readSide(directory: string): Side | undefined {
  const read = directorySource(directory).read(sideFileName, maxSideFile);
  if (read === undefined) return undefined;
  if (read.size > read.bytes.length) throw new ImageError(sideFileName, undefined, `${read.size} bytes`);
  let wire: unknown;
  try {
    wire = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(read.bytes));
  } catch (error) {
    throw new ImageError(sideFileName, undefined, `no JSON: ${(error as Error).message}`);
  }
  const found = (wire as { version?: unknown } | null)?.version;
  if (typeof found === "number" && found !== sideVersion) {
    throw new ImageError(sideFileName, undefined, `version ${found}, not ${sideVersion}`);
  }
  const decoded = z.safeParse(sideFormat, wire);
  if (decoded.success) return decoded.data;
  const [issue] = decoded.error.issues;
  throw new ImageError(sideFileName, undefined, `${issue?.path.join(".") ?? ""}: ${issue?.message}`);
}

/**
 * Reads what was noted beside these images. Blocks as reading files does.
 *
 * @throws {ImageError} as {@linkcode readSide}, and when it was noted at another dump; {SysError}
 */
export function readSideOf(images: Pick<Images, "run">, directory: string): Side | undefined {
  const side = readSide(directory);
  if (side?.run === undefined || images.run === undefined || side.run === images.run) return side;
  const what = `was noted at another dump (${side.run}) than that of these images (${images.run}): ` +
    "take it away, or note again (spfs record)";
  throw new ImageError(sideFileName, undefined, what);
}

/**
 * Writes down what images lack, in one step: whoever reads sees the old file or the new one, whole.
 *
 * @throws {Error} of the operating system
 */
export function writeSide(directory: string, side: Side): void {
  const wire = z.encode(sideFormat, {
    version: sideVersion,
    program: { name: "spfs", version },
    recorded: new Date().toISOString(),
    ...(side.run !== undefined && { run: side.run }),
    namespaces: side.namespaces.map(({ own, mounts, files }) => ({
      own,
      mounts: mounts.map((mount) => ({ ...mount, options: [...mount.options] })),
      files: [...files],
    })),
  });
  const draft = `${directory}/.${sideFileName}.${Deno.pid}`;
  try {
    using file = Deno.openSync(draft, { write: true, create: true, truncate: true, mode: 0o600 });
    const bytes = new TextEncoder().encode(JSON.stringify(wire) + "\n");
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    file.syncSync();
    Deno.renameSync(draft, `${directory}/${sideFileName}`);
  } catch (error) {
    try {
      Deno.removeSync(draft);
    } catch {
      // It was not made.
    }
    throw error;
  }
}
