import type { MountCreateParams } from "../control/wire.ts";
import { type SocketOptions, withClient } from "./session.ts";
import type { Terminal } from "./terminal.ts";
import { pathText } from "./text.ts";

/** The options of `spfs mount`. */
export interface MountCommandOptions extends SocketOptions {
  /** Whether to print JSON. */
  json?: boolean;
  /** The mode to begin in. */
  mode?: MountCreateParams["mode"];
  /** The root directory's permission bits, octal. */
  rootMode?: string;
  /** The root directory's owner. */
  rootUid?: number;
  /** The root directory's group. */
  rootGid?: number;
  /** The most bytes of the placeholder, decimal. */
  size?: string;
  /** How long the kernel may keep attributes in proxy mode, in milliseconds. */
  attrTimeout?: number;
  /** Which pending signals end a wait. */
  interrupts?: MountCreateParams["interrupts"];
  /** False: device nodes do not work. */
  dev: boolean;
  /** False: set-id bits do not work. */
  suid: boolean;
  /** False: nothing can be executed. */
  exec: boolean;
  /** Nothing can be written through the mount. */
  readOnly?: boolean;
}

/** `spfs mount`: makes a stand-in mount. A relative mountpoint is taken from the working directory. */
export async function mount(
  id: string,
  mountpoint: string,
  options: MountCommandOptions,
  terminal: Terminal,
): Promise<void> {
  const params: MountCreateParams = {
    id,
    mountpoint: absolute(mountpoint),
    mode: options.mode,
    root: { mode: options.rootMode, uid: options.rootUid, gid: options.rootGid },
    size: options.size,
    attrTimeoutMs: options.attrTimeout,
    interrupts: options.interrupts,
    options: { dev: options.dev, suid: options.suid, exec: options.exec, readOnly: options.readOnly },
  };
  const result = await withClient(options, terminal, (client) => client.call("mount.create", params));
  if (options.json === true) return terminal.out(JSON.stringify(result) + "\n");
  const there = result.createdNow ? "" : " (was there)";
  terminal.out(
    `${result.id}: ${pathText(result.mountpoint)} in ${result.mode} mode, device ${result.device}${there}\n`,
  );
}

/** A path as the daemon needs it: absolute. What is so already stays as it is, and the working directory is not looked at. */
export function absolute(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}
