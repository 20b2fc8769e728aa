/**
 * What stopped processes hold on the sources of a swap. Plain records: collect.ts fills them in, the later steps read them.
 *
 * Three things of the kernel are shared by tasks in any combination, and each is one record however many tasks share it: descriptor tables,
 * memories, and what a task has as root and working directory.
 *
 * @module
 */
import type { EpollTarget, InotifyWatch, LockEntry } from "./procfs/fdinfo.ts";
import type { SmapsEntry, Vma } from "./procfs/maps.ts";
import type { MemoryAddresses } from "./procfs/stat.ts";
import type { TaskStatus } from "./procfs/status.ts";
import type { Tracee } from "./tracee.ts";
import type { Obstacle, SourceMount } from "./types.ts";

/** A place on a source. */
export interface Place {
  /** Which one. */
  readonly source: SourceMount;
  /** The path below its root, without a slash at the beginning; empty for the root itself. Absolute when it is not below. */
  readonly path: Uint8Array;
  /** Whether its name is gone, as the kernel shows it: a name that ends in ` (deleted)` looks the same. */
  readonly deleted: boolean;
  /** How many names it has as the kernel knows it. */
  readonly links: number;
  /** Type and permissions. */
  readonly mode: number;
  /** Names the inode, on its device (inode.ts), of what names do not tell apart: FIFOs, and what has lost its name. */
  readonly inode: string | undefined;
  /** A link of /proc that leads there. */
  readonly link: string;
}

/** A descriptor. */
export interface Holder {
  /** The table it is in. */
  readonly table: Table;
  /** Its number. */
  readonly fd: number;
  /** Whether it is closed on exec. */
  readonly closeOnExec: boolean;
  /** Locks that belong to the holder or its description, as it shows them. */
  readonly locks: readonly LockEntry[];
}

/** What a socket is besides a description. */
export interface SocketRecord {
  /** Its inode number, as in `socket:[N]`. */
  readonly ino: number;
  /** Of an end of a connection: the connection, and who has to be moved with it besides those that have an end of it. */
  readonly bond?: { readonly key: string; readonly pids: readonly number[] };
}

/** One open file description on a source, or an inotify instance that watches something there, or a socket that is bound there, or is connected to one. */
export interface Description {
  /** What is open; undefined for an inotify instance and for a socket. */
  readonly place: Place | undefined;
  /** For a socket, which one it is. */
  readonly socket?: SocketRecord;
  /** Status flags of open(2), without O_CLOEXEC. */
  readonly flags: number;
  /** The offset. */
  readonly position: bigint;
  /** Its watches, for an inotify instance. */
  readonly watches: readonly InotifyWatch[];
  /** Who has it. */
  readonly holders: Holder[];
}

/** A registration with an epoll instance that is to be made again. */
export interface Registration {
  /** The epoll instance's descriptor, in the same table. */
  readonly epoll: number;
  /** What was registered. */
  readonly target: EpollTarget;
}

/** A descriptor table. */
export interface Table {
  /** One of its tasks: the one that acts for it. */
  readonly task: Tracee;
  /** The process of that task. */
  readonly pid: number;
  /** How many descriptors there are in it. */
  count: number;
  /** Its descriptors on sources. */
  readonly holders: {
    readonly fd: number;
    readonly description: Description;
    readonly closeOnExec: boolean;
  }[];
  /** Registrations of such. */
  readonly registrations: Registration[];
}

/** A mapping of a file on a source. */
export interface Mapping {
  /** Where, and what of the file. */
  readonly area: Vma;
  /** The file. */
  readonly place: Place;
  /** What else the kernel says of it. */
  readonly details: SmapsEntry;
  /** Whether a shared mapping may be made writable: its file was opened for writing. */
  readonly writable: boolean;
}

/** A memory. */
export interface Memory {
  /** One of its tasks: the one that acts for it. */
  readonly task: Tracee;
  /** The process of that task. */
  readonly pid: number;
  /** Mappings of files on sources. */
  readonly mappings: Mapping[];
  /** The executable, when it is on a source. */
  exe: Place | undefined;
  /** Addresses that go with the executable. */
  addresses: MemoryAddresses | undefined;
}

/** What tasks have as root and working directory. */
export interface Directories {
  /** One of its tasks: the one that acts for it. */
  readonly task: Tracee;
  /** The process of that task. */
  readonly pid: number;
  /** The working directory, when it is on a source. */
  readonly cwd: Place | undefined;
  /** The root, when it is on a source. */
  readonly root: Place | undefined;
}

/** Something in the way, and what it keeps from being moved. */
export interface Hindrance {
  /** What is told of it. */
  readonly obstacle: Obstacle;
  /** Whether only this thing stays, and its process can be moved without it. */
  readonly alone: boolean;
}

/** What was found. */
export interface Inventory {
  /** Processes by pid: name, and whom they act as. */
  readonly processes: Map<number, { readonly comm: string; readonly status: TaskStatus }>;
  /** Tables with something to be moved. */
  readonly tables: Table[];
  /** Memories with something to be moved. */
  readonly memories: Memory[];
  /** Directories to be moved. */
  readonly directories: Directories[];
  /** Open file descriptions to be made anew. */
  readonly descriptions: Description[];
  /** What is in the way. */
  readonly hindrances: Hindrance[];
}
