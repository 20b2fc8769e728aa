/**
 * How a restore goes, as the daemon's events tell it, and the lines in which people see it. Pure.
 *
 * @module
 */

import type {
  EventError,
  MountMode,
  StatusResult,
  WireEvent,
  WireMountStatus,
  WireSwapResult,
} from "../control/wire.ts";
import type { WirePath } from "../control/values.ts";
import { swapSummary } from "./swap_text.ts";
import { counted, countsText, durationText, pathText, printable } from "./text.ts";

/** How a mount of a restore ended, or that it has to be told what to do. */
export type MountOutcome = "replaced" | "failed" | "given up" | "lost" | "gone";

/** How a mount of a restore is. */
export interface MountProgress {
  /** Its name. */
  readonly id: string;
  /** Where it is; its name until that is known. */
  mountpoint: WirePath;
  /** What it does. */
  mode: MountMode;
  /** What is to be mounted, as "SOURCE (TYPE)"; undefined until it is known. */
  real: string | undefined;
  /** The step that its replacement is at. */
  step: string;
  /** How many requests wait, by operation. */
  waiting: { count: number; byOp: Record<string, number> };
  /** Attempts so far. */
  attempts: number;
  /** Why the last one failed. */
  error: EventError | undefined;
  /** When the next one begins, on the clock of `now`. */
  nextAt: number | undefined;
  /** What was moved. */
  swap: WireSwapResult | undefined;
  /** How it ended; undefined while it is under way. */
  outcome: MountOutcome | undefined;
}

/** What has happened so far. `now` is in milliseconds, of a clock that only grows. */
export class Progress {
  /** The mounts by their names, in the order in which they were made. */
  readonly mounts = new Map<string, MountProgress>();
  /** Whether CRIU is done, and the tree restored. */
  restored = false;

  /** Whether there are mounts, and none is under way any more: each is replaced, or waits for an order, or is gone. */
  get settled(): boolean {
    return this.mounts.size > 0 && this.#all.every(({ outcome }) => outcome !== undefined);
  }

  /** Whether there are mounts, and all have been replaced. */
  get replaced(): boolean {
    return this.mounts.size > 0 && this.#all.every(({ outcome }) => outcome === "replaced");
  }

  get #all(): MountProgress[] {
    return [...this.mounts.values()];
  }

  /** Takes what the daemon told of all mounts. Where events have told of a mount before, these are newer. */
  adopt(status: StatusResult, now: number): void {
    for (const told of status.mounts) {
      const known = this.mounts.has(told.id);
      const mount = this.#mount(told.id);
      mount.mountpoint = told.mountpoint;
      if (told.replace !== undefined) {
        mount.real = `${pathText(told.replace.source)} (${printable(told.replace.type)})`;
      }
      if (!known) adoptState(mount, told, now);
      else if (told.replace?.state === "done") mount.outcome = "replaced";
    }
  }

  /** Takes an event. */
  take(event: WireEvent, now: number): void {
    if (event.event === "swap.progress") return;
    const mount = this.#mount(event.params.mount);
    switch (event.event) {
      case "mount.ready":
        mount.mountpoint = event.params.mountpoint;
        mount.mode = event.params.mode;
        break;
      case "mode.changed":
        mount.mode = event.params.mode;
        break;
      case "request.parked":
        mount.waiting = { count: event.params.count, byOp: event.params.byOp };
        break;
      case "mount.attempt": {
        const { attempt, error, nextRetryMs } = event.params;
        mount.attempts = attempt;
        mount.error = error;
        mount.nextAt = nextRetryMs === undefined ? undefined : now + nextRetryMs;
        break;
      }
      case "replace.progress":
        mount.step = event.params.step;
        mount.outcome = event.params.step === "failed" ? "failed" : undefined;
        break;
      case "replace.done":
        mount.outcome = event.params.ok ? "replaced" : "given up";
        mount.error = event.params.error;
        mount.swap = event.params.swap;
        break;
      case "mount.lost":
        mount.outcome = "lost";
        mount.error = { kind: "mount_lost", message: event.params.reason };
        break;
      case "mount.gone":
        // What has been replaced is there for what is still open on it, and then goes.
        if (mount.outcome !== "replaced" && mount.outcome !== "given up") mount.outcome = "gone";
        break;
    }
  }

  #mount(id: string): MountProgress {
    let mount = this.mounts.get(id);
    if (mount === undefined) {
      mount = {
        id,
        mountpoint: id,
        mode: "restore",
        real: undefined,
        step: "held",
        waiting: { count: 0, byOp: {} },
        attempts: 0,
        error: undefined,
        nextAt: undefined,
        swap: undefined,
        outcome: undefined,
      };
      this.mounts.set(id, mount);
    }
    return mount;
  }
}

function adoptState(mount: MountProgress, told: WireMountStatus, now: number): void {
  const { mode, parked, replace } = told;
  mount.mode = mode;
  mount.waiting = { count: parked.count, byOp: parked.byOp };
  if (replace === undefined) return;
  const { state, attempts, lastError, nextRetryMs, swap } = replace;
  mount.step = state;
  mount.attempts = attempts;
  mount.error = lastError && { kind: "system", message: lastError.message };
  mount.nextAt = nextRetryMs === undefined ? undefined : now + nextRetryMs;
  mount.swap = swap;
  mount.outcome = state === "done" ? "replaced" : state === "failed" ? "failed" : undefined;
}

/** What the lines are made for. */
export interface Screen {
  /** How wide it is. */
  readonly columns: number;
  /** How many lines there may be. */
  readonly rows: number;
}

/** The lines of a live view: one for the whole, one or two for each mount. None is wider than the screen. */
export function progressLines(progress: Progress, now: number, { columns, rows }: Screen): string[] {
  const mounts = [...progress.mounts.values()];
  const told = mounts.map((mount) => mountLines(mount, now));
  let lines = told.flat();
  if (lines.length + 1 > rows) lines = told.map(([first]) => first!);
  const room = Math.max(1, rows - 2);
  const unseen = lines.length - room;
  if (lines.length + 1 > rows) lines = [...lines.slice(0, room), `  and ${unseen} more`];
  return [headLine(progress), ...lines].map((line) => cut(line, columns));
}

/** The restore as a whole, in a line. */
export function headLine(progress: Progress): string {
  if (progress.mounts.size === 0) return "CRIU begins";
  const replaced = [...progress.mounts.values()].filter(({ outcome }) => outcome === "replaced").length;
  const count = progress.mounts.size;
  if (!progress.restored) return `CRIU restores, with ${counted(count, "stand-in")}`;
  return `restored; ${replaced} of ${counted(count, "mount")} replaced`;
}

/** The most columns that a mountpoint takes of a line; of a longer one the end is shown. */
const pathColumns = 40;

/** A mount in a line, and while it is under way in a second one what is to be mounted, and why it was not yet. */
export function mountLines(mount: MountProgress, now: number): string[] {
  const { outcome, step, real, attempts, error, nextAt } = mount;
  const { count, byOp } = mount.waiting;
  const waiting = count === 0
    ? ""
    : `; ${counted(count, "request waits", "requests wait")} (${countsText(byOp)})`;
  const path = [...pathText(mount.mountpoint)];
  const place = path.length <= pathColumns ? path.join("") : `…${path.slice(1 - pathColumns).join("")}`;
  const first = `  ${place}: ${stateText(mount)}${waiting}`;
  const of = real === undefined ? "" : ` to mount ${real}`;
  if (outcome === "replaced") return [first];
  if (error === undefined) {
    return outcome === undefined && real !== undefined ? [first, `    ${real}`] : [first];
  }
  const next = nextAt === undefined || step !== "waiting"
    ? ""
    : `next in ${durationText(Math.max(0, nextAt - now))}; `;
  const what = attempts === 0 ? "" : `attempt ${attempts}${of} failed: `;
  return [first, `    ${next}${what}${printable(error.message)}`];
}

function stateText({ mode, step, swap, outcome }: MountProgress): string {
  switch (outcome) {
    case "replaced":
      return `replaced${swap === undefined ? "" : `, ${swapSummary(swap)}`}`;
    case "failed":
      return "not replaced, and waits for an order";
    case "given up":
      return "not replaced";
    case "lost":
      return "lost";
    case "gone":
      return "gone";
    case undefined:
      break;
  }
  switch (step) {
    case "mounting":
      return "mounting";
    case "waiting":
      return "not there yet";
    case "mounted":
    case "proxy":
      return "served from the real file system";
    case "committing":
    case "commit":
    case "stopping":
    case "collecting":
    case "moving":
    case "swapped":
      return "moving to the real file system";
    default:
      return mode === "restore"
        ? "ready for CRIU"
        : mode === "proxy"
        ? "served from the real file system"
        : "waits";
  }
}

/** What the end of a restore looks like, in lines: the whole, each mount, and how to go on with `follow`. */
export function summaryLines(progress: Progress, now: number, follow: string): string[] {
  const mounts = [...progress.mounts.values()];
  const lines = [headLine(progress), ...mounts.flatMap((mount) => mountLines(mount, now))];
  if (progress.replaced) return lines;
  const stuck = mounts.filter(({ outcome }) => outcome === "failed");
  if (mounts.some(({ outcome }) => outcome === undefined)) {
    lines.push(`the rest goes on by itself: spfs status ${follow}`);
  }
  for (const { id } of stuck) {
    lines.push(`to try again: spfs retry ${id} ${follow}; to give up: spfs abort ${id} ${follow}`);
  }
  return lines;
}

function cut(line: string, columns: number): string {
  const units = [...line];
  return units.length <= columns ? line : units.slice(0, Math.max(0, columns - 1)).join("") + "…";
}
