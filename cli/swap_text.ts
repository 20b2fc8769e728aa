/**
 * Swaps as people read them.
 *
 * @module
 */

import type { SwapPlanResult, WireMovedProcess, WireObstacle, WireSwapResult } from "../control/wire_swap.ts";
import { counted, countsText, durationText, pathText, printable, table } from "./text.ts";

/** A swap in one line, without a newline: "3 processes moved in 12 ms, 1 thing left". */
export function swapSummary({ processes, left, stoppedMs }: WireSwapResult): string {
  const moved = `${counted(processes.length, "process", "processes")} moved`;
  const stopped = processes.length === 0 ? "" : ` in ${durationText(stoppedMs)}`;
  return `${moved}${stopped}${left.length === 0 ? "" : `, ${counted(left.length, "thing", "things")} left`}`;
}

/** How a swap went: what moved of each process, and what was left and why. Ends with a newline. */
export function swapText(result: WireSwapResult): string {
  const { processes, left, tasks, descriptions } = result;
  const details = `${counted(tasks, "task", "tasks")} stopped, ` +
    `${counted(descriptions, "open file", "open files")} made anew`;
  return `${swapSummary(result)} (${details})\n${movedTable(processes)}` +
    (left.length === 0 ? "" : `left where it was:\n${obstaclesText(left)}`);
}

/** What a swap would do. Ends with a newline. */
export function planText({ processes, obstacles }: SwapPlanResult): string {
  return `${counted(processes.length, "process", "processes")} would be moved\n${movedTable(processes)}` +
    (obstacles.length === 0 ? "nothing stands in the way\n" : `in the way:\n${obstaclesText(obstacles)}`);
}

/** Obstacles as a table; `count` is how many there are when not all are given. Ends with a newline unless it is empty. */
export function obstaclesText(obstacles: readonly WireObstacle[], count = obstacles.length): string {
  if (obstacles.length === 0) return "";
  const rows = obstacles.map((obstacle) => [
    obstacle.pid === 0 ? "-" : String(obstacle.pid),
    obstacle.comm === "" ? "-" : printable(obstacle.comm),
    whatText(obstacle),
    obstacle.path === undefined ? "-" : pathText(obstacle.path),
    whyText(obstacle),
  ]);
  const more = count - obstacles.length;
  return table(["PID", "COMMAND", "WHAT", "PATH", "WHY"], rows) + (more > 0 ? `and ${more} more\n` : "");
}

/** An obstacle in one line, without a newline: "fd 5 of 12 (app), /mnt/a: is sealed". */
export function obstacleLine(obstacle: WireObstacle): string {
  const { pid, comm, path } = obstacle;
  const whose = pid === 0 ? "" : ` of ${pid} (${printable(comm)})`;
  const where = path === undefined ? "" : `, ${pathText(path)}`;
  return `${whatText(obstacle)}${whose}${where}: ${whyText(obstacle)}`;
}

function movedTable(processes: readonly WireMovedProcess[]): string {
  if (processes.length === 0) return "";
  const rows = processes.map(({ pid, comm, moved }) => [String(pid), printable(comm), countsText(moved)]);
  return table(["PID", "COMMAND", "MOVED"], rows);
}

function whatText({ kind, fd, address }: WireObstacle): string {
  const which = fd ?? address;
  return which === undefined ? kind : `${kind} ${printable(String(which))}`;
}

function whyText({ reason, transient }: WireObstacle): string {
  return printable(reason) + (transient === true ? " (may pass)" : "");
}
