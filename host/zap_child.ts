/**
 * The process that takes the placeholder's pages out of private mappings, see zap.ts. Everything is synchronous: the mounts' workers, in
 * another process, answer what the kernel asks meanwhile.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { decodeBytes } from "../control/values.ts";
import { directorySource, type ImagePages, type ImageSource, readImagePages } from "../criu/mod.ts";
import { Errno, SysError } from "../ffi/errno.ts";
import { AT_FDCWD, AT_STATX_FORCE_SYNC, O_RDONLY, O_RDWR, STATX_SIZE } from "../ffi/sys/constants.ts";
import { statx } from "../ffi/sys/file.ts";
import { check, cstr, pathText } from "../ffi/sys/libc.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { withDescendants } from "../swap/candidates.ts";
import { eachOwnRange, PAGE } from "../swap/own_pages.ts";
import { mapFilesName, parseMaps, type Vma } from "../swap/procfs/maps.ts";
import { openTask, readMemory, writeMemory } from "../swap/task_memory.ts";
import { allProcesses, readLink, readStatus, readWhole } from "../swap/task_files.ts";
import { asControlError } from "./control_errors.ts";
import { exitCodes } from "./exit_codes.ts";
import { directoryName, imagesError } from "./image_nodes.ts";
import type { ZapMount, ZapOrder, Zapped, ZapReply } from "./zap_messages.ts";

/** Takes the order on stdin, carries it out, and says on stdout how that went. @returns the exit code */
export async function runZap(): Promise<number> {
  let reply: ZapReply;
  try {
    const order: ZapOrder = JSON.parse(await new Response(Deno.stdin.readable).text());
    reply = { done: new TreeZap(order).run() };
  } catch (error) {
    const { kind, message, data } = asControlError(error);
    reply = { error: { kind, message, data } };
  }
  const bytes = new TextEncoder().encode(JSON.stringify(reply) + "\n");
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  return "done" in reply ? exitCodes.ok : exitCodes.failed;
}

/** How much of a process's memory is copied at a time, in bytes. */
const COPY = 256 * 1024;

/** A private mapping of a file. */
interface Area {
  readonly pid: number;
  readonly vma: Vma;
}

/** The private mappings that a tree has of one file of a stand-in. */
interface MappedFile {
  readonly mount: ZapMount;
  readonly ino: bigint;
  readonly areas: Area[];
}

class TreeZap {
  readonly #order: ZapOrder;
  /** How many pid namespaces there are from that of our /proc to that of the tree's first process. */
  readonly #level: number;
  readonly #sources = new Map<string, ImageSource>();
  readonly #pages = new Map<string, ImagePages>();
  /** What processes have mapped that are not of the tree; looked for when it is first asked for. */
  #others: readonly Area[] | undefined;

  /** @throws {SysError} ESRCH */
  constructor(order: ZapOrder) {
    this.#order = order;
    this.#level = namesOf(order.init).length - 1;
  }

  /** One file after the other, so that no more is kept in memory than the pages of one. */
  run(): Zapped {
    const pids = withDescendants([this.#order.init], true);
    let [files, dropped, kept] = [0, 0, 0];
    for (const file of mappedFiles(pids, this.#order.mounts)) {
      const count = this.#zap(file, pids);
      if (count === undefined) continue;
      files++;
      dropped += count.dropped;
      kept += count.kept;
    }
    return { files, dropped, kept };
  }

  /** Undefined when there is nothing to be zapped. */
  #zap(file: MappedFile, pids: readonly number[]): { dropped: number; kept: number } | undefined {
    const { mount, areas } = file;
    const before = areas.map((area) => naming(mount, area, () => this.#count(area, mount)));
    const dropped = sum(before.map(({ copies }) => copies));
    if (dropped === 0) return undefined;
    refuseOthers(file, this.#others ??= othersAreas(pids, this.#order.mounts));
    const saved = areas.map((area) => naming(mount, area, () => this.#save(area, mount)));
    empty(file);
    areas.forEach((area, at) => naming(mount, area, () => putBack(area.pid, saved[at]!)));
    areas.forEach((area, at) =>
      naming(mount, area, () => {
        const [{ restored }, after] = [before[at]!, this.#count(area, mount)];
        if (after.copies === 0 && after.restored === restored) return;
        throw new Error(
          `${after.copies} are still there, of ${restored} that it has written ${after.restored}`,
        );
      })
    );
    return { dropped, kept: sum(before.map(({ restored }) => restored)) };
  }

  /** How many pages a mapping has of its own: those that the images have, and copies of the placeholder's. */
  #count(area: Area, mount: ZapMount): { restored: number; copies: number } {
    let [restored, copies] = [0, 0];
    this.#eachOwn(area, mount, (start, end, isRestored) => {
      if (isRestored) restored += (end - start) / PAGE;
      else copies += (end - start) / PAGE;
    });
    return { restored, copies };
  }

  /** Visits a mapping's own pages. `isRestored`: the images have them. */
  #eachOwn(
    { pid, vma }: Area,
    mount: ZapMount,
    visit: (start: number, end: number, isRestored: boolean) => void,
  ): void {
    using pagemap = openTask(pid, "pagemap", O_RDONLY);
    eachOwnRange(pagemap.raw, vma.start, vma.end, COPY, (start, end) => {
      this.#pagesOf(pid, mount).split(start, end, visit);
    });
  }

  #save(area: Area, mount: ZapMount): Piece[] {
    const pieces: Piece[] = [];
    using memory = openTask(area.pid, "mem", O_RDONLY);
    this.#eachOwn(area, mount, (start, end, isRestored) => {
      if (!isRestored) return;
      const bytes = new Uint8Array(end - start);
      readMemory(area.pid, memory.raw, bytes, start);
      pieces.push({ start, bytes });
    });
    return pieces;
  }

  /** The pages of a process that are in the images. */
  #pagesOf(pid: number, { images }: ZapMount): ImagePages {
    const directory = directoryName(decodeBytes(images));
    const key = `${pid} ${directory}`;
    let pages = this.#pages.get(key);
    if (pages === undefined) {
      let source = this.#sources.get(directory);
      if (source === undefined) this.#sources.set(directory, source = directorySource(directory));
      try {
        pages = readImagePages(source, this.#imagePid(pid));
      } catch (error) {
        throw imagesError(error, directory);
      }
      this.#pages.set(key, pages);
    }
    return pages;
  }

  /** What images call a process: its id in the pid namespace of the tree's first process. */
  #imagePid(pid: number): number {
    const name = namesOf(pid)[this.#level];
    if (name === undefined) throw new SysError("read status", Errno.ESRCH, { path: `/proc/${pid}` });
    return name;
  }
}

/** Part of a process's memory. */
interface Piece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((one, other) => one + other, 0);
}

/** A process in each pid namespace, from that of our /proc to its own. @throws {SysError} ESRCH */
function namesOf(pid: number): readonly number[] {
  const status = readStatus(pid);
  if (status === undefined) throw new SysError("read status", Errno.ESRCH, { path: `/proc/${pid}` });
  return status.nspid;
}

/** The private mappings of a process that are of files on the mounts; none when it has ended. */
function areasOf(pid: number, mounts: readonly Pick<ZapMount, "major" | "minor">[]): Area[] {
  const maps = readWhole(`/proc/${pid}/maps`);
  if (maps === undefined) return [];
  const isWanted = (major: number, minor: number) =>
    mounts.some((mount) => mount.major === major && mount.minor === minor);
  return parseMaps(maps, isWanted).filter(({ shared }) => !shared).map((vma) => ({ pid, vma }));
}

function mappedFiles(pids: readonly number[], mounts: readonly ZapMount[]): Iterable<MappedFile> {
  const files = new Map<string, MappedFile>();
  for (const area of pids.flatMap((pid) => areasOf(pid, mounts))) {
    const { major, minor, ino } = area.vma;
    const key = `${major}:${minor}:${ino}`;
    let file = files.get(key);
    if (file === undefined) {
      const mount = mounts.find((mount) => mount.major === major && mount.minor === minor)!;
      files.set(key, file = { mount, ino, areas: [] });
    }
    file.areas.push(area);
  }
  return files.values();
}

/** The private mappings of processes that are not of the tree. */
function othersAreas(pids: readonly number[], mounts: readonly ZapMount[]): Area[] {
  const tree = new Set(pids);
  return allProcesses().filter((pid) => !tree.has(pid)).flatMap((pid) => areasOf(pid, mounts));
}

/** Who is not of the tree would lose what it has written. @throws {ControlError} naming it */
function refuseOthers({ mount, ino, areas }: MappedFile, others: readonly Area[]): void {
  const { major, minor } = mount;
  const isOfFile = (vma: Vma) => vma.ino === ino && vma.major === major && vma.minor === minor;
  const writer = others.find(({ pid, vma }) => isOfFile(vma) && hasOwn(pid, vma));
  if (writer === undefined) return;
  const what = `process ${writer.pid}, which is not of the tree, has written to a private mapping of`;
  throw new ControlError("busy", `mount ${mount.id}: ${what} ${pathOf(areas[0]!)}`, { mount: mount.id });
}

function hasOwn(pid: number, { start, end }: Vma): boolean {
  let found = false;
  try {
    using pagemap = openTask(pid, "pagemap", O_RDONLY);
    eachOwnRange(pagemap.raw, start, end, COPY, () => found = true);
  } catch (error) {
    // It has ended.
    if (!(error instanceof SysError) || (error.errno !== Errno.ENOENT && error.errno !== Errno.ESRCH)) {
      throw error;
    }
  }
  return found;
}

/**
 * Has the kernel let go of all pages of a file: the mount's worker, which knows our pid, answers the first question with the size 0, and the
 * next one as it is. The mapping's own link leads to the file whatever has become of its name.
 *
 * @throws {ControlError} naming the mount and the file
 */
function empty({ mount, areas }: MappedFile): void {
  const [area] = areas as [Area];
  const path = linkOf(area);
  const attributes = new StatxBuffer();
  const size = () => {
    check(statx(AT_FDCWD, cstr(path), AT_STATX_FORCE_SYNC, STATX_SIZE, attributes), "statx", path);
    return attributes.size;
  };
  naming(mount, area, () => {
    const sizes = [size(), size()];
    if (sizes[0] !== 0n || sizes[1] === 0n) throw new Error(`the file had ${sizes.join(", then ")} bytes`);
  });
}

function putBack(pid: number, pieces: readonly Piece[]): void {
  using memory = openTask(pid, "mem", O_RDWR);
  for (const { start, bytes } of pieces) writeMemory(pid, memory.raw, bytes, start);
}

function linkOf({ pid, vma }: Area): string {
  return `/proc/${pid}/map_files/${mapFilesName(vma)}`;
}

function pathOf(area: Area): string {
  const path = readLink(linkOf(area));
  return path === undefined ? "a file" : pathText(path);
}

/** Has errors say which mount, process and file they are about. @throws {ControlError} */
function naming<T>(mount: ZapMount, area: Area, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof ControlError) throw error;
    const whose = `mount ${mount.id}: process ${area.pid} has a private mapping of ${pathOf(area)}`;
    const what = `${whose}, whose pages cannot be taken from the real file later: ${
      (error as Error).message
    }`;
    const system = error instanceof SysError ? { errno: error.code, syscall: error.syscall } : {};
    throw new ControlError("system", what, { mount: mount.id, ...system }, { cause: error });
  }
}
