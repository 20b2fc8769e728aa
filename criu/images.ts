/**
 * The images of a process tree, read whole: which files it needs, by which paths, on which mounts.
 *
 * @module
 */

import {
  type BoundSocket,
  type Ghost,
  type ImageMount,
  type NamedFile,
  type Process,
  readFileEntry,
  readFs,
  readGhost,
  readMm,
  readMount,
  readRemap,
  type Remap,
  type Watched,
} from "./entries.ts";
import { ImageError } from "./image_error.ts";
import { eachEntry, readFirstEntry } from "./image_file.ts";
import { directorySource, type ImageSource } from "./image_source.ts";
import { eachField, required, textOf } from "./message.ts";

/** What images say about files and mounts. */
export interface Images {
  /** The version of their format. */
  readonly version: number;
  /** What CRIU calls the dump that wrote them, since CRIU 4.1; no two dumps have the same. */
  readonly run: string | undefined;
  /** Named files by their ids. */
  readonly files: ReadonlyMap<number, NamedFile>;
  /** Unix sockets that are bound to paths. */
  readonly sockets: readonly BoundSocket[];
  /** What inotify and fanotify watch by paths. */
  readonly watched: readonly Watched[];
  /** How files without names come back, by the ids of the named files that they are. */
  readonly remaps: ReadonlyMap<number, Remap>;
  /** Ghosts by their numbers. */
  readonly ghosts: ReadonlyMap<number, Ghost>;
  /** The processes. */
  readonly processes: readonly Process[];
  /** The mounts of each mount namespace that is not CRIU's own, by CRIU's number for the namespace. */
  readonly namespaces: ReadonlyMap<number, readonly ImageMount[]>;
}

/** How many things are kept of images at most; what a million open files need is less. */
const maxKept = 2_000_000;

/** Counts what is kept. */
class Budget {
  #kept = 0;

  /** @throws {ImageError} when it is too much */
  spend(file: string, count = 1): void {
    this.#kept += count;
    if (this.#kept > maxKept) throw new ImageError(file, undefined, `more than ${maxKept} entries to keep`);
  }
}

/** The name of the inventory, without which a directory has no images. */
export const inventoryName = "inventory.img";

/** Which images are read. */
export interface ReadImagesOptions {
  /** Those of the processes' memory (`mm-PID.img`), without which `exe` and `mapped` of processes stay empty; true when absent. */
  readonly memory?: boolean;
}

/**
 * Reads the images of a directory. Blocks as reading files does. Memory follows the length of the images, which is limited, and nothing
 * that is written in them.
 *
 * @throws {ImageError} naming the image and the offset of what is wrong with it; {SysError} when a file cannot be read
 */
export function readImages(directory: string, options?: ReadImagesOptions): Images {
  return readImagesFrom(directorySource(directory), options);
}

/** {@linkcode readImages} of files that come from anywhere. @throws {ImageError}; {SysError} */
export function readImagesFrom(source: ImageSource, { memory = true }: ReadImagesOptions = {}): Images {
  const budget = new Budget();
  const { version, run } = readInventory(source);
  const files = new Map<number, NamedFile>();
  const sockets: BoundSocket[] = [];
  const watched: Watched[] = [];
  const keep = <T>(list: T[]) => (item: T) => {
    budget.spend("files.img");
    list.push(item);
  };
  const visitor = {
    named(file: NamedFile) {
      budget.spend("files.img");
      if (!files.has(file.id)) files.set(file.id, file);
    },
    socket: keep(sockets),
    watched: keep(watched),
  };
  eachEntry(source, "files.img", "files", (entry) => readFileEntry(entry, visitor));
  const remaps = readRemaps(source, files, budget);
  const { processes, ghosts, namespaces } = readNumbered(source, budget, memory);
  return { version, run, files, sockets, watched, remaps, ghosts, processes, namespaces };
}

function readInventory(source: ImageSource): Pick<Images, "version" | "run"> {
  const { entry } = readFirstEntry(source, inventoryName, "inventory") ?? {};
  if (entry === undefined) throw new ImageError(inventoryName, undefined, "missing: no images of CRIU");
  let version: number | undefined;
  let run: string | undefined;
  eachField(entry, (field, value) => {
    if (field === 1) version = value.uint32();
    else if (field === 13) run = new TextDecoder().decode(textOf(entry, value));
  });
  return { version: required(entry, "a version", version), run };
}

function readRemaps(source: ImageSource, files: ReadonlyMap<number, NamedFile>, budget: Budget) {
  const remaps = new Map<number, Remap>();
  eachEntry(source, "remap-fpath.img", "remaps", (entry) => {
    const remap = readRemap(entry);
    if (remap === undefined) return;
    const missing = !files.has(remap.file)
      ? remap.file
      : remap.kind === "link" && !files.has(remap.target)
      ? remap.target
      : undefined;
    if (missing !== undefined) {
      throw new ImageError(entry.file, entry.offset, `file ${missing} is not in files.img`);
    }
    budget.spend(entry.file);
    remaps.set(remap.file, remap);
  });
  return remaps;
}

/** The images of which there are any number: those of processes, of ghosts and of mount namespaces. */
function readNumbered(source: ImageSource, budget: Budget, memory: boolean) {
  const processes = new Map<number, Process>();
  const ghosts = new Map<number, Ghost>();
  const namespaces = new Map<number, ImageMount[]>();
  const processOf = (pid: number): Process => {
    let process = processes.get(pid);
    if (process === undefined) {
      process = {
        pid,
        cwd: undefined,
        root: undefined,
        exe: undefined,
        mapped: new Set(),
      };
      processes.set(pid, process);
    }
    return process;
  };
  for (const name of source.names().sort()) {
    const [, prefix, digits] = /^(fs|mm|mountpoints|ghost-file)-([0-9a-f]{1,8})\.img$/.exec(name) ?? [];
    if (prefix === undefined || digits === undefined || (prefix === "mm" && !memory)) continue;
    budget.spend(name);
    if (prefix === "ghost-file") {
      const read = readFirstEntry(source, name, "ghost");
      if (read !== undefined) ghosts.set(parseInt(digits, 16), readGhost(read.entry, read.rest));
      continue;
    }
    if (!/^\d+$/.test(digits)) continue;
    if (prefix === "mountpoints") {
      const mounts: ImageMount[] = [];
      eachEntry(source, name, "mounts", (entry) => {
        budget.spend(name);
        mounts.push(readMount(entry));
      });
      namespaces.set(Number(digits), mounts);
      continue;
    }
    const process = processOf(Number(digits));
    const read = readFirstEntry(source, name, prefix === "fs" ? "fs" : "mm");
    if (read === undefined) continue;
    if (prefix === "fs") readFs(read.entry, process);
    else readMm(read.entry, process);
    budget.spend(name, process.mapped.size);
  }
  return { processes: [...processes.values()], ghosts, namespaces };
}
