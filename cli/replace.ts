import type { MountFlag, ReplaceParams, ReplacesResult } from "../control/wire.ts";
import { absolute } from "./mount.ts";
import { narrated, selector, type SelectorOptions, type SocketOptions, withClient } from "./session.ts";
import { swapText } from "./swap_text.ts";
import type { Terminal } from "./terminal.ts";

/** The options of `spfs replace`. */
export interface ReplaceOptions extends SocketOptions {
  /** The device, export or directory. */
  source: string;
  /** The file system's type, or "bind". */
  type: string;
  /** Flags of the real mount. */
  flags?: string[];
  /** The file system's own options. */
  options?: string;
  /** Whether to wait for `spfs release`. */
  hold?: boolean;
  /** Whether to wait for the end. */
  wait?: boolean;
  /** Whether to use mount(8) helpers. */
  helper?: ReplaceParams["helper"];
  /** The network namespace to mount it in, or "tree". */
  network?: string;
  /** What to do about open files that the real file system does not have. */
  missing?: ReplaceParams["missing"];
  /** What to do about running processes. */
  swap?: ReplaceParams["swap"];
  /** The first pause between attempts, in milliseconds. */
  retryInitial?: number;
  /** The longest pause, in milliseconds. */
  retryMax?: number;
  /** What each pause is multiplied by. */
  retryFactor?: number;
  /** When to give up, in milliseconds. */
  retryDeadline?: number;
  /** The errors worth another attempt. */
  retryErrnos?: string[];
  /** Whether to print JSON. */
  json?: boolean;
}

/** `spfs replace`: mounts the real file system and puts it in the stand-in's place. */
export async function replace(mount: string, options: ReplaceOptions, terminal: Terminal): Promise<void> {
  const params: ReplaceParams = {
    mount,
    source: options.type === "bind" ? absolute(options.source) : options.source,
    type: options.type,
    flags: options.flags as MountFlag[] | undefined,
    options: options.options,
    hold: options.hold,
    wait: options.wait,
    helper: options.helper,
    network: options.network === undefined || options.network === "tree"
      ? options.network
      : absolute(options.network),
    missing: options.missing,
    swap: options.swap,
    retry: {
      initialMs: options.retryInitial,
      maxMs: options.retryMax,
      factor: options.retryFactor,
      deadlineMs: options.retryDeadline,
      errnos: options.retryErrnos,
    },
  };
  const result = await withClient(
    options,
    terminal,
    (client) => client.call("mount.replace", params),
    narrated(options.wait, mount, terminal),
  );
  terminal.out(
    options.json === true
      ? JSON.stringify(result) + "\n"
      : `${result.mount}: ${result.state}, attempts: ${result.attempts}\n` +
        (result.swap === undefined ? "" : swapText(result.swap)),
  );
}

/** The options of `spfs release` and `spfs retry`. */
export interface ResumeOptions extends SelectorOptions {
  /** Whether to wait for the end. */
  wait?: boolean;
  /** Whether to print JSON. */
  json?: boolean;
}

/** `spfs release` and `spfs retry`: let a held replacement begin, or a waiting or failed one attempt again now. */
export async function resume(
  method: "mount.release" | "mount.retry",
  id: string | undefined,
  options: ResumeOptions,
  terminal: Terminal,
): Promise<void> {
  const mount = selector(id, options);
  const result: ReplacesResult = await withClient(
    options,
    terminal,
    (client) => client.call(method, { mount, wait: options.wait }),
    narrated(options.wait, mount, terminal),
  );
  if (options.json === true) return terminal.out(JSON.stringify(result) + "\n");
  for (const { id, state, attempts } of result.mounts) {
    terminal.out(`${id}: ${state}, attempts: ${attempts}\n`);
  }
}
