/**
 * The runtime directory: where a daemon has its socket, unless told otherwise, and its private areas.
 *
 * ```
 * $SPFS_RUNTIME_DIR, else /run/spfs     0700
 *   control.sock                        0600
 *   owner-NAMESPACE-PID-STARTTIME/      one for each daemon that needed it
 *     area-TID-N/                       private areas, there for a moment
 * ```
 *
 * @module
 */

import { formatOwnerTag, isDead, type Owner, parseOwnerTag } from "./owner_tag.ts";

/** The path of the runtime directory, which may not exist. */
export function runtimeDirectory(): string {
  return Deno.env.get("SPFS_RUNTIME_DIR") || "/run/spfs";
}

/** The name of an owner's directory in it. Pure. */
export function ownerDirectoryName(owner: Owner): string {
  return formatOwnerTag(owner).replace("spfs:", "owner-").replaceAll(":", "-");
}

/** The owner that a directory's name tells; undefined for other names. Pure. */
export function parseOwnerDirectoryName(name: string): Owner | undefined {
  return name.startsWith("owner-")
    ? parseOwnerTag(name.replace("owner-", "spfs:").replaceAll("-", ":"))
    : undefined;
}

/**
 * Makes a directory that only we may look into, with what is missing above it, or makes sure that an existing one is such.
 *
 * @throws {Error} when it is no directory, is somebody else's, or is open to others
 */
export function ensurePrivateDirectory(path: string): void {
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  const stat = Deno.lstatSync(path);
  if (!stat.isDirectory) throw new Error(`${path} is not a directory`);
  if (stat.uid !== Deno.uid()) throw new Error(`${path} belongs to uid ${stat.uid}`);
  const mode = (stat.mode ?? 0) & 0o777;
  if ((mode & 0o077) !== 0) {
    throw new Error(`${path} is open to others (mode ${mode.toString(8)}, 700 is needed)`);
  }
}

/** What dead daemons left in a runtime directory. */
export interface Leftovers {
  /** Directories of dead owners. */
  readonly directories: readonly string[];
  /** Sockets. Whether somebody still listens at one, only connecting tells. */
  readonly sockets: readonly string[];
}

/** Looks for what dead daemons left. Reads one directory; a missing one has nothing. */
export function findLeftovers(directory: string): Leftovers {
  const directories: string[] = [];
  const sockets: string[] = [];
  try {
    for (const entry of Deno.readDirSync(directory)) {
      const owner = parseOwnerDirectoryName(entry.name);
      if (owner !== undefined && isDead(owner)) directories.push(`${directory}/${entry.name}`);
      else if (entry.name.endsWith(".sock")) sockets.push(`${directory}/${entry.name}`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return { directories, sockets };
}
