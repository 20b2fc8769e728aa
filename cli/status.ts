import type { StatusResult, WireMountStatus, WireParkedRequest, WireReplaceStatus } from "../control/wire.ts";
import { type SocketOptions, withClient } from "./session.ts";
import { obstacleLine, swapSummary } from "./swap_text.ts";
import type { Terminal } from "./terminal.ts";
import { durationText, pathText, printable, sizeText, table } from "./text.ts";

/** The options of `spfs status`. */
export interface StatusOptions extends SocketOptions {
  /** Whether to print JSON. */
  json?: boolean;
  /** How many waiting requests to list for each mount. */
  requests?: number;
}

/** `spfs status`: prints how the daemon and its mounts are. */
export async function status(
  mount: string | undefined,
  options: StatusOptions,
  terminal: Terminal,
): Promise<void> {
  const { requests } = options;
  const result = await withClient(options, terminal, (client) => client.call("status", { mount, requests }));
  terminal.out(options.json === true ? JSON.stringify(result) + "\n" : statusText(result));
}

/** The daemon's status as people read it. */
export function statusText(status: StatusResult): string {
  const { program, pid, uptimeMs, memory, mounts } = status;
  const head = `${program.name} ${program.version}, pid ${pid}, up ${durationText(uptimeMs)}, ` +
    `${sizeText(memory.rssBytes)}\n`;
  if (mounts.length === 0) return head + "no mounts\n";
  const rows = mounts.map((mount) => [
    mount.id,
    mount.mode,
    durationText(Math.max(0, uptimeMs - mount.since)),
    String(mount.parked.count),
    mount.parked.count === 0 ? "-" : durationText(mount.parked.oldestMs),
    String(mount.nodes),
    String(mount.handles),
    String(mount.served.count),
    mount.replace?.state ?? "-",
    pathText(mount.mountpoint),
  ]);
  const columns = [
    "MOUNT",
    "MODE",
    "FOR",
    "WAITING",
    "OLDEST",
    "NODES",
    "OPEN",
    "SERVED",
    "REPLACE",
    "MOUNTPOINT",
  ];
  return head + table(columns, rows) + mounts.map(details).join("");
}

function details(mount: WireMountStatus): string {
  const replace = mount.replace === undefined ? "" : `${mount.id}: ${replaceText(mount.replace)}\n`;
  const requests = mount.requests ?? [];
  const waiting = requests.map((request) => `${mount.id}: ${requestText(request)}\n`).join("");
  const unlisted = mount.parked.count - requests.length;
  const more = requests.length > 0 && unlisted > 0 ? `${mount.id}: and ${unlisted} more\n` : "";
  return replace + waiting + more + leftText(mount);
}

/** How many things that were not moved are listed for a mount. */
const listedLeft = 10;

function leftText({ id, replace }: WireMountStatus): string {
  if (replace?.swap === undefined) return "";
  const { left } = replace.swap;
  const lines = [
    swapSummary(replace.swap),
    ...left.slice(0, listedLeft).map((one) => `left: ${obstacleLine(one)}`),
  ];
  if (left.length > listedLeft) lines.push(`left: ${left.length - listedLeft} more`);
  return lines.map((line) => `${id}: ${line}\n`).join("");
}

function replaceText(replace: WireReplaceStatus): string {
  const error = replace.lastError === undefined
    ? ""
    : `, last error: ${printable(replace.lastError.message)}`;
  const next = replace.nextRetryMs === undefined ? "" : `, next in ${durationText(replace.nextRetryMs)}`;
  return `${replace.state}: ${
    pathText(replace.source)
  } (${replace.type}), attempts: ${replace.attempts}${next}${error}`;
}

function requestText(request: WireParkedRequest): string {
  const interrupted = request.interrupted ? ", interrupted" : "";
  return `${request.op} of ${pathText(request.path)} by ${request.pid} (${printable(request.comm)}), ` +
    `for ${durationText(request.ageMs)}${interrupted}`;
}
