/**
 * Collecting what stopped processes hold on the sources. Every call made here is one that cannot wait for a file system.
 *
 * @module
 */
import {
  CAP_CHECKPOINT_RESTORE,
  CAP_SYS_ADMIN,
  CAP_SYS_CHROOT,
  KCMP_FILES,
  KCMP_FS,
  KCMP_VM,
  O_CLOEXEC,
  O_PATH,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFMT,
  S_IFSOCK,
} from "../ffi/sys/constants.ts";
import { hasCapability } from "../ffi/sys/identity.ts";
import { DescriptionTable } from "./description_table.ts";
import { DistinctTasks } from "./distinct_tasks.ts";
import { assignRegistrations, type EpollHolder } from "./epoll_instances.ts";
import { inodeAt } from "./inode.ts";
import type { Directories, Inventory, Memory, Place, Table } from "./inventory.ts";
import type { FdInfo } from "./procfs/fdinfo.ts";
import { mapFilesName, parseMaps, type Vma } from "./procfs/maps.ts";
import { classifyLink, relativeTo, splitDeleted } from "./procfs/names.ts";
import type { StoppedProcess } from "./stop.ts";
import {
  isOnDevice,
  linkMode,
  reach,
  type Reached,
  readLink,
  readSmapsOf,
  readStat,
  readStatus,
  readWhole,
  TaskDescriptors,
} from "./task_files.ts";
import type { Tracee } from "./tracee.ts";
import type { Obstacle, ResourceKind, SourceMount } from "./types.ts";

/** null, zero, full, random, urandom: opening one a second time is the same as having it open. */
const MEMORY_DEVICES = 1;

/** Whose superblock something is on. */
type Device = Pick<SourceMount, "major" | "minor">;

/** Collects, process by process. */
export class Collector {
  readonly #list: readonly SourceMount[];
  readonly #sources: ReadonlyMap<number, SourceMount>;
  readonly #descriptions: DescriptionTable;
  readonly #inventory: Inventory;
  readonly #tables = new DistinctTasks(KCMP_FILES);
  readonly #memories = new DistinctTasks(KCMP_VM);
  readonly #directoryPairs = new DistinctTasks(KCMP_FS);
  readonly #epollHolders: EpollHolder[] = [];
  /** Sockets of the collected processes, by inode number: who holds them. */
  readonly sockets = new Map<bigint, { table: Table; fd: number }[]>();

  /** Begins with nothing. */
  constructor(sources: readonly SourceMount[]) {
    this.#list = sources;
    this.#sources = new Map(sources.map((source) => [source.id, source]));
    this.#descriptions = new DescriptionTable();
    this.#inventory = {
      processes: new Map(),
      tables: [],
      memories: [],
      directories: [],
      descriptions: this.#descriptions.all,
      hindrances: [],
    };
  }

  /** Adds a process. */
  add(process: StoppedProcess): void {
    const [leader] = process.tasks.values();
    if (leader === undefined) return;
    const status = readStatus(leader.tid);
    if (status === undefined) return;
    this.#inventory.processes.set(process.pid, { comm: process.comm, status });
    this.#memory(leader);
    // Most tasks share both with the first one of their process, which is cheaper to find out than whether anybody's are the same.
    const tables = new DistinctTasks(KCMP_FILES);
    const directories = new DistinctTasks(KCMP_FS);
    for (const task of process.tasks.values()) {
      if (task.compat) this.#hinder(task, "process", { reason: `runs 32-bit code (task ${task.tid})` });
      if (tables.add(task.tid)) this.#table(task);
      if (directories.add(task.tid)) this.#directories(task);
    }
  }

  /** What has been found so far. */
  get inventory(): Inventory {
    return this.#inventory;
  }

  /** What was found. */
  finish(): Inventory {
    this.#registrations();
    return this.#inventory;
  }

  #hinder(
    task: Tracee,
    kind: ResourceKind,
    more: Pick<Obstacle, "reason"> & Partial<Obstacle>,
    alone = false,
  ): void {
    const comm = this.#inventory.processes.get(task.tgid)?.comm ?? "";
    this.#inventory.hindrances.push({ obstacle: { pid: task.tgid, comm, kind, ...more }, alone });
  }

  /** Where a link of /proc leads, if that is on a source. */
  #place(link: string): Place | undefined {
    const found = reach(link);
    if (found === undefined || !this.#sources.has(found.mountId)) return undefined;
    return this.#placeOf(link, found, readLink(link));
  }

  /** The place of something on a source that was reached, and what the link shows. */
  #placeOf(link: string, { mountId, mode, links }: Reached, shown: Uint8Array | undefined): Place {
    const source = this.#sources.get(mountId)!;
    const place = (path: Uint8Array, deleted: boolean): Place => {
      const isFifo = (mode & S_IFMT) === S_IFIFO;
      const inode = deleted || isFifo ? inodeAt(link) ?? link : undefined; // leading nowhere it is like no other
      return { source, path, deleted, mode, links, inode, link };
    };
    // A path that is too long to be told.
    if (shown === undefined) return place(new Uint8Array(), true);
    const whole = relativeTo(source.mountpoint, shown);
    if (whole?.length === 0) return place(whole, false);
    const { path, deleted } = splitDeleted(shown);
    const below = deleted ? relativeTo(source.mountpoint, path) : whole;
    // A path that is not below the mountpoint is of a name that is gone as well: of a directory that was removed with what was in it.
    return place(below ?? path, deleted || below === undefined);
  }

  #table(task: Tracee): void {
    if (!this.#tables.add(task.tid)) return;
    using descriptors = new TaskDescriptors(task.tid);
    const fds = descriptors.numbers();
    const table: Table = { task, pid: task.tgid, count: fds.length, holders: [], registrations: [] };
    for (const fd of fds) this.#descriptor(table, fd, descriptors);
    if (table.holders.length > 0) this.#inventory.tables.push(table);
  }

  #descriptor(table: Table, fd: number, descriptors: TaskDescriptors): void {
    const found = descriptors.reach(fd);
    if (found === undefined) return;
    const type = found.mode & S_IFMT;
    if (this.#sources.has(found.mountId)) {
      const info = descriptors.info(fd);
      const place = this.#placeOf(`/proc/${table.task.tid}/fd/${fd}`, found, descriptors.link(fd));
      if (info === undefined) return;
      const isOpen = (info.flags & O_PATH) === 0;
      if (isOpen && ((type === S_IFCHR && found.deviceMajor !== MEMORY_DEVICES) || type === S_IFBLK)) {
        const reason = "is a device that may not be opened a second time";
        return this.#hinder(table.task, "fd", { fd, path: place.path, reason });
      }
      this.#add(table, fd, info, place);
    } else if (type === S_IFSOCK) {
      const holders = this.sockets.get(found.ino);
      if (holders === undefined) this.sockets.set(found.ino, [{ table, fd }]);
      else holders.push({ table, fd });
    } else if (type === 0) this.#anonymous(table, fd, descriptors);
  }

  #add(table: Table, fd: number, info: FdInfo, place: Place | undefined): void {
    const closeOnExec = (info.flags & O_CLOEXEC) !== 0;
    const { locks } = info;
    const description = this.#descriptions.add({ table, fd, closeOnExec, locks }, info, place);
    table.holders.push({ fd, description, closeOnExec });
    const breaking = locks.find((lock) => lock.breaking);
    if (breaking !== undefined) {
      const reason = "has a lease that is being broken";
      this.#hinder(table.task, "lock", { fd, reason, transient: true });
    }
  }

  /** What has no type is a descriptor of the kernel's own making. */
  #anonymous(table: Table, fd: number, descriptors: TaskDescriptors): void {
    const shown = descriptors.link(fd);
    const kind = shown === undefined ? undefined : classifyLink(shown);
    if (kind?.kind !== "anon") return;
    if (kind.name === "[eventpoll]") {
      const info = descriptors.info(fd);
      if (info !== undefined) this.#epollHolders.push({ table, fd, targets: info.epoll });
    } else if (kind.name === "inotify") {
      const info = descriptors.info(fd);
      if (info?.inotify.some((watch) => this.#leavesInode(watch))) this.#add(table, fd, info, undefined);
    } else if (kind.name === "[io_uring]") this.#ring(table, fd, descriptors);
    else if (kind.name === "[fanotify]") {
      const bytes = descriptors.infoText(fd);
      const text = bytes === undefined ? "" : new TextDecoder().decode(bytes);
      if (/^fanotify (ino|mnt_id|sdev)/m.test(text)) {
        this.#hinder(table.task, "inotify", { fd, reason: "is a fanotify group with marks" });
      }
    }
  }

  /** Whether a watch is of a file whose counterpart is another inode; it is nothing of a mount's. */
  #leavesInode(device: Device): boolean {
    return this.#list.some((source) => isOn(device, source) && !isOnDevice(source.targetFd, source));
  }

  #onSource(device: Device): boolean {
    return this.#list.some((source) => isOn(device, source));
  }

  /** Files that are registered with a ring cannot be taken out of it; their paths are all that is told of them. */
  #ring(table: Table, fd: number, descriptors: TaskDescriptors): void {
    const bytes = descriptors.infoText(fd);
    if (bytes === undefined) return;
    const files = /^UserFiles:\s*(\d+)/m.exec(new TextDecoder("latin1").decode(bytes));
    if (files !== null && files[1] === "0") return;
    this.#hinder(table.task, "fd", { fd, reason: "is an io_uring instance with registered files" });
  }

  /** Registrations with epoll instances, of descriptors that are known now. */
  #registrations(): void {
    for (const [{ table, fd }, target] of assignRegistrations(this.#epollHolders)) {
      if (!this.#onSource(target)) continue;
      const reason = `watches a file by a descriptor (${target.fd}) that is closed or another process's`;
      this.#hinder(table.task, "epoll", { fd, reason });
    }
  }

  #directories(task: Tracee): void {
    const cwd = this.#place(`/proc/${task.tid}/cwd`);
    const rootPlace = this.#place(`/proc/${task.tid}/root`);
    const follows = rootPlace?.source.takesRoots === true && rootPlace.path.length === 0;
    const root = follows ? undefined : rootPlace;
    if (cwd === undefined && root === undefined) return;
    if (!this.#directoryPairs.add(task.tid)) return;
    const found: Directories = { task, pid: task.tgid, cwd, root };
    this.#inventory.directories.push(found);
    const status = this.#inventory.processes.get(task.tgid)!.status;
    if (root !== undefined && !hasCapability(status.capEff, CAP_SYS_CHROOT)) {
      const reason = "cannot be left without CAP_SYS_CHROOT";
      this.#hinder(task, "root", { path: root.path, reason });
    }
  }

  #memory(task: Tracee): void {
    const { memories } = this.#inventory;
    const exe = this.#place(`/proc/${task.tid}/exe`);
    const maps = readWhole(`/proc/${task.tid}/maps`);
    const areas = maps === undefined
      ? []
      : parseMaps(maps, (major, minor) => this.#onSource({ major, minor }));
    const placed = areas.map((area) => {
      const link = `/proc/${task.tid}/map_files/${mapFilesName(area)}`;
      return { area, place: this.#place(link), link };
    }).filter(({ place }) => place !== undefined);
    if (exe === undefined && placed.length === 0) return;
    if (!this.#memories.add(task.tid)) return;
    const memory: Memory = { task, pid: task.tgid, mappings: [], exe, addresses: undefined };
    memories.push(memory);
    if (placed.length > 0) {
      const entries = readSmapsOf(task.tid, placed.map(({ area }) => area));
      const details = new Map(entries.map((entry) => [entry.start, entry]));
      for (const { area, place, link } of placed) {
        const detail = details.get(area.start);
        if (detail === undefined) continue;
        const writable = area.shared && (linkMode(link) & 0o200) !== 0;
        memory.mappings.push({ area, place: place!, details: detail, writable });
        this.#checkMapping(task, area, place!, detail.vmFlags);
      }
    }
    if (exe === undefined) return;
    memory.addresses = readStat(task.tid)?.memory;
    const { capEff } = this.#inventory.processes.get(task.tgid)!.status;
    if (!hasCapability(capEff, CAP_SYS_ADMIN) && !hasCapability(capEff, CAP_CHECKPOINT_RESTORE)) {
      const reason = "cannot be changed without CAP_CHECKPOINT_RESTORE";
      this.#hinder(task, "exe", { path: exe.path, reason }, true);
      memory.exe = undefined;
    }
  }

  #checkMapping(task: Tracee, area: Vma, place: Place, flags: ReadonlySet<string>): void {
    const why = flags.has("sl")
      ? "is sealed by mseal(2)"
      : flags.has("um") || flags.has("uw") || flags.has("ui")
      ? "is watched by userfaultfd(2)"
      : undefined;
    if (why === undefined) return;
    this.#hinder(task, "map", { address: mapFilesName(area), path: place.path, reason: why });
  }
}

function isOn({ major, minor }: Device, source: Device): boolean {
  return source.major === major && source.minor === minor;
}
