import { encodeMode, encodePath } from "../control/values.ts";
import {
  bytesOf,
  type Finding,
  type ImageNode,
  keyOf,
  type MountReport,
  type PathKey,
  type SideMount,
} from "../criu/mod.ts";
import { pathText as bytesText } from "../ffi/sys/libc.ts";
import type { ImagesReport } from "../host/check_images.ts";
import { exitCodes } from "../host/exit_codes.ts";
import { absolute } from "./mount.ts";
import type { Terminal } from "./terminal.ts";
import { counted, wrapped } from "./text.ts";
import { UsageError } from "./usage.ts";

/** The options of `spfs check --images`. */
export interface CheckImagesOptions {
  /** The directory of the images. */
  images: string;
  /** CRIU's `--root`. */
  root?: string | undefined;
  /** CRIU's external mounts, KEY=PATH. */
  external?: string[] | undefined;
  /** Whether people are told of every file, also of those about which there is nothing to say. */
  all?: boolean | undefined;
  /** How long a file system may take to tell of one file, in milliseconds. */
  timeout: number;
  /** Whether to print JSON. */
  json?: boolean | undefined;
}

/** How wide what people read is. */
const columns = 80;

/**
 * `spfs check --images`: tells of every mount and file that a restore needs whether it is there, and what spfs does about it.
 *
 * @returns "degraded" unless the restore can go ahead
 */
export async function checkImages(options: CheckImagesOptions, terminal: Terminal): Promise<number> {
  const host = await import("../host/check_images.ts");
  const given = { root: pathOf(options.root ?? "/"), externals: externals(options.external ?? []) };
  const report = await host.checkImages(options.images, given, options.timeout);
  const ready = report.mounts.every((mount) => mount.ready);
  if (options.json === true) terminal.out(JSON.stringify({ ready, ...jsonOf(report) }) + "\n");
  else for (const line of textOf(report, ready, options)) terminal.out(`${line}\n`);
  return ready ? exitCodes.ok : exitCodes.degraded;
}

function pathOf(path: string): PathKey {
  return keyOf(new TextEncoder().encode(absolute(path)));
}

/** @throws {UsageError} for what is no KEY=PATH */
function externals(given: readonly string[]): Map<string, PathKey> {
  return new Map(given.map((pair) => {
    const at = pair.indexOf("=");
    if (at <= 0 || at === pair.length - 1) throw new UsageError(`--external ${pair}: expected KEY=PATH`);
    return [pair.slice(0, at), pathOf(pair.slice(at + 1))];
  }));
}

function jsonOf({ noted, mounts }: ImagesReport) {
  const path = (key: PathKey | undefined) => key === undefined ? undefined : encodePath(bytesOf(key));
  const fileSystem = (mount: SideMount | undefined) =>
    mount && { type: mount.fstype, source: encodePath(mount.source), options: mount.superOptions };
  return {
    noted,
    mounts: mounts.map(({ place, now, state, plan, reason, findings, ready }) => ({
      namespace: place.namespace,
      mountpoint: path(place.mountpoint),
      key: place.key,
      path: path(place.path),
      state,
      plan,
      reason,
      ready,
      atDump: fileSystem(place.atDump),
      now: fileSystem(now),
      made: { files: place.list.made.files, bytes: String(place.list.made.bytes) },
      files: place.list.nodes.map((node) => ({
        path: encodePath(node.path),
        type: node.type,
        mode: encodeMode(node.mode),
        size: node.size?.toString(),
        origin: node.origin,
      })),
      findings: findings.map((finding) => ({ ...finding, path: path(finding.path) })),
    })),
  };
}

function shown(path: PathKey): string {
  return bytesText(bytesOf(path));
}

/** What there is to say, in lines that fit where they can. */
function textOf(
  { noted, mounts }: ImagesReport,
  ready: boolean,
  { images: directory, all = false }: CheckImagesOptions,
): string[] {
  const lines: string[] = [];
  const say = (text: string, indent = "") => lines.push(...wrapped(text, columns, indent));
  for (const mount of mounts) {
    const { place, findings } = mount;
    const { atDump } = place;
    const where = place.namespace === 0 ? "" : ` in mount namespace ${place.namespace}`;
    const what = atDump === undefined ? "" : `: ${atDump.fstype} ${bytesText(atDump.source)}`;
    say(`${shown(place.mountpoint)}${where}${what}`);
    const found = place.path !== undefined && place.path !== place.mountpoint
      ? ` at ${shown(place.path)}`
      : "";
    const needed = counted(place.list.nodes.length, "file") + " and directories";
    say(
      `${stateText(mount)}${found}; ${needed.replace("1 file and directories", "1 file or directory")}`,
      "  ",
    );
    const { files, bytes } = place.list.made;
    if (files > 0) say(`CRIU makes ${counted(files, "file")} of ${bytes} bytes`, "  ");
    for (const node of all ? place.list.nodes : []) say(nodeText(node), "  ");
    for (const finding of findings) say(findingText(finding), "  ");
    for (const line of planText(mount, directory)) say(line, "  ");
  }
  const failing = mounts.filter((mount) => !mount.ready).length;
  if (!noted) {
    say("What images lack was not noted at the dump (spfs dump-hook): what was mounted is not known.");
  }
  say(ready ? "The restore can go ahead." : `The restore cannot go ahead: see ${counted(failing, "mount")}.`);
  return lines;
}

function stateText({ state, place, now }: MountReport): string {
  switch (state) {
    case "there":
      return place.atDump === undefined ? "there" : "there as at the dump";
    case "away":
      return "not mounted";
    case "other":
      return `another file system is there: ${now?.fstype} ${now && bytesText(now.source)}`;
    case "silent":
      return "does not answer";
    case "stand-in":
      return "spfs stands in for it";
    case "unsaid":
      return `external mount ${place.key ?? ""}`.trimEnd();
  }
}

/** A file that is needed: its path on the mount, and what of it is known. */
function nodeText({ path, type, mode, size }: ImageNode): string {
  const bytes = size === undefined ? "" : `, ${size} bytes`;
  return `${bytesText(path)}: ${type} ${encodeMode(mode)}${bytes}`;
}

const findingTexts: Readonly<Record<Finding["what"], string>> = {
  missing: "missing",
  type: "another type",
  mode: "another mode",
  size: "another size",
  mtime: "changed since the dump, which CRIU does not mind",
  unknown: "cannot be looked at",
  device: "a device, but which one was not noted at the dump",
};

function findingText({ path, what, wanted, now }: Finding): string {
  const values = wanted === undefined ? now && `: ${now}` : `: ${now}, was ${wanted}`;
  return `${shown(path)}: ${findingTexts[what]}${values ?? ""}`;
}

/** What is to be done, as commands where there are any. */
function planText({ plan, reason, place }: MountReport, directory: string): string[] {
  if (plan === "needs help") return [reason ?? ""];
  if (plan === "nothing") return [];
  const { path, key, atDump } = place;
  const choice = key === undefined ? "" : ` --images-key ${key}`;
  const source = atDump === undefined
    ? ""
    : `, spfs replace ID --type ${atDump.fstype} --source ${bytesText(atDump.source)}`;
  return [`spfs stands in: spfs mount ID ${shown(path!)} --images ${directory}${choice}${source}`];
}
