/**
 * Whether a restore can go ahead: what it needs, compared with what is there. Pure.
 *
 * @module
 */

import { joined, keyOf, parentsOf, type PathKey } from "./names.ts";
import type { ImageNode } from "./nodes.ts";
import type { Place } from "./places.ts";
import type { NamespaceView, SideFile, SideMount } from "./side.ts";

/** How a mount is now. */
export type MountState =
  /** As at dump, as far as that is known. */
  | "there"
  /** Nothing is mounted there. */
  | "away"
  /** Something else is. */
  | "other"
  /** It does not answer. */
  | "silent"
  /** A stand-in of spfs is there. */
  | "stand-in"
  /** Nobody says where it is. */
  | "unsaid";

/** What is to be done about a mount. */
export type MountPlan =
  /** Nothing. */
  | "nothing"
  /** spfs stands in for it. */
  | "stand in"
  /** Somebody has to do what the reason says. */
  | "needs help";

/** Something about one file. */
export interface Finding {
  /** The file, on this machine. */
  readonly path: PathKey;
  /** What is about it. `mtime`: its content has changed since the dump. */
  readonly what: "missing" | "type" | "mode" | "size" | "mtime" | "unknown" | "device";
  /** What CRIU asks for, or what it was at dump. */
  readonly wanted: string | undefined;
  /** What it is. */
  readonly now: string | undefined;
  /** Whether the restore fails by it. */
  readonly fatal: boolean;
}

/** What there is to say about a mount. */
export interface MountReport {
  /** The mount. */
  readonly place: Place;
  /** What is mounted there now. */
  readonly now: SideMount | undefined;
  /** How it is. */
  readonly state: MountState;
  /** What is to be done about it. */
  readonly plan: MountPlan;
  /** Why it needs help. */
  readonly reason: string | undefined;
  /** What is about its files. */
  readonly findings: readonly Finding[];
  /** Whether the restore can go ahead as far as this mount is concerned, when what is planned has been done. */
  readonly ready: boolean;
}

/** File systems whose files are processes and terminals: CRIU finds or makes these itself. */
const madeByCriu: ReadonlySet<string> = new Set(["proc", "devpts"]);

/**
 * Compares what is needed of a mount with what is there.
 *
 * @param view the mounts of this machine, and what was seen of the files
 */
export function reportOn(place: Place, view: NamespaceView): MountReport {
  const { path, list } = place;
  const judge = new Judge(place, view);
  const now = path === undefined ? undefined : view.mountAt(path);
  const report = (state: MountState, plan: MountPlan, findings: readonly Finding[], reason?: string) => {
    const ready = plan !== "needs help" && findings.every(({ fatal }) => !fatal);
    return { place, now, state, plan, reason, findings, ready };
  };
  if (path === undefined) {
    return report("unsaid", "needs help", [], "where it is has to be said: --external KEY=PATH");
  }
  if (now?.fstype === "fuse.spfs") return report("stand-in", "nothing", judge.standIn());
  const files = madeByCriu.has((place.atDump ?? view.mountOf(path))?.fstype ?? "") ? [] : judge.files();
  if (judge.silent) {
    return report(
      "silent",
      "needs help",
      [],
      "it does not answer: take it away (umount --lazy), and spfs stands in",
    );
  }
  const isFine = files.every(({ fatal }) => !fatal);
  const state = stateOf(place, now);
  if (state === "there" || isFine) return report(state, "nothing", files);
  if (state === "other") {
    return report(state, "needs help", files, "take away what is mounted there, and spfs stands in");
  }
  if (view.fileAt(path)?.stat?.type !== "directory") {
    return report(state, "needs help", [], "the directory that it is mounted on is missing");
  }
  return report(state, "stand in", list.nodes.length === 0 ? [] : judge.standIn());
}

function stateOf({ atDump, key }: Place, now: SideMount | undefined): MountState {
  if (atDump === undefined) return key !== undefined && now === undefined ? "away" : "there";
  // The root of a namespace may be any directory of this machine.
  if (now === undefined) return key === undefined && isRoot(atDump) ? "there" : "away";
  const isSame = now.fstype === atDump.fstype && equal(now.source, atDump.source);
  return isSame || isRoot(atDump) ? "there" : "other";
}

function isRoot({ mountpoint }: SideMount): boolean {
  return keyOf(mountpoint) === "/";
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** Compares the files of one mount. */
class Judge {
  readonly #place: Place;
  readonly #view: NamespaceView;
  /** Whether the mount did not answer. */
  silent = false;

  constructor(place: Place, view: NamespaceView) {
    this.#place = place;
    this.#view = view;
  }

  /** What is about the files that are there. */
  files(): Finding[] {
    const findings: Finding[] = [];
    const missing = new Set<PathKey>();
    const { root, nodes } = this.#place.list;
    for (const node of root === undefined ? nodes : [root, ...nodes]) {
      const path = this.#pathOf(node.path);
      const seen = this.#view.fileAt(path);
      if (seen?.error === "ETIMEDOUT") this.silent = true;
      const found = compared(node, path, seen);
      if (found.some(({ what }) => what === "missing")) missing.add(path);
      // Of what is below a directory that is missing nothing has to be said.
      if (![...parentsOf(path)].some((parent) => missing.has(parent))) findings.push(...found);
    }
    return findings;
  }

  /** What keeps a stand-in from doing. */
  standIn(): Finding[] {
    const devices = this.#place.list.nodes.filter(({ type, noted }) =>
      (type === "char" || type === "block") && noted?.rdev === undefined
    );
    return devices.map(({ path }) => ({
      path: this.#pathOf(path),
      what: "device",
      wanted: undefined,
      now: undefined,
      fatal: true,
    }));
  }

  #pathOf(path: Uint8Array): PathKey {
    return joined(this.#place.path!, keyOf(path));
  }
}

/** How a node and what is there differ. */
function compared(node: ImageNode, path: PathKey, seen: SideFile | undefined): Finding[] {
  const finding = (what: Finding["what"], wanted?: string, now?: string, fatal = true): Finding[] => [
    { path, what, wanted, now, fatal },
  ];
  const stat = seen?.stat;
  if (stat === undefined) {
    const isMissing = seen?.error === "ENOENT" || seen?.error === "ENOTDIR";
    return isMissing ? finding("missing") : finding("unknown", undefined, seen?.error ?? "not looked at");
  }
  // Guesses are about what CRIU does not compare; that it is no directory which leads somewhere shows in what it leads to.
  if (node.origin === "guess") return [];
  if (stat.type !== node.type) return finding("type", node.type, stat.type);
  const findings: Finding[] = [];
  if (node.origin === "image") {
    if (stat.mode !== node.mode) findings.push(...finding("mode", octal(node.mode), octal(stat.mode)));
    if (node.size !== undefined && stat.size !== node.size) {
      findings.push(...finding("size", String(node.size), String(stat.size)));
    }
  }
  const { noted } = node;
  if (findings.length === 0 && node.type === "file" && noted !== undefined) {
    const isSame = stat.mtime.sec === noted.mtime.sec && stat.mtime.nsec === noted.mtime.nsec;
    if (!isSame) findings.push(...finding("mtime", timeText(noted.mtime), timeText(stat.mtime), false));
  }
  return findings;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

/** A time, to the millisecond as far as Date goes. */
function timeText({ sec, nsec }: { sec: bigint; nsec: number }): string {
  const date = new Date(Number(sec) * 1000 + Math.floor(nsec / 1e6));
  return Number.isNaN(date.getTime()) ? `${sec} s` : date.toISOString();
}
