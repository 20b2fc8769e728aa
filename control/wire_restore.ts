/**
 * Whole restores as clients see them: what is to be delayed, and the stages. Types only.
 *
 * @module
 */

import type { MountMode } from "./wire.ts";
import type { WirePath } from "./values.ts";

/** A mount of the tree that is to be delayed. */
export interface RestoreMount {
  /** The name that later calls use; made of the mountpoint when absent. */
  id?: string | undefined;
  /** Where it was when the tree was dumped, as its processes saw it. */
  mountpoint: WirePath;
  /** Where the stand-in is made, for CRIU's `--external mnt[KEY]:PATH`; the mountpoint when absent. */
  at?: WirePath | undefined;
  /** The key of CRIU's `--external mnt[PATH]:KEY`, by which the images' mount is found instead of by its mountpoint. */
  key?: string | undefined;
  /** More parameters of `mount.create`: `size`, `attrTimeoutMs`, `interrupts`, `options`, `root`. */
  create?: Record<string, unknown> | undefined;
  /** Parameters of `mount.replace`: `source`, `type`, `options`, `swap`, `retry` and so on; the first three as noted at dump when absent. */
  replace?: Record<string, unknown> | undefined;
}

/** What of a tree is to be delayed, and how: the content of the configuration file. */
export interface RestoreConfig {
  /** These mounts. */
  mounts?: RestoreMount[] | undefined;
  /** Besides these, every mount of these types that was noted at dump, such as "nfs4" and "fuse.sshfs". */
  types?: string[] | undefined;
  /** What a mount's own `create` does not say. */
  create?: Record<string, unknown> | undefined;
  /** What a mount's own `replace` does not say. */
  replace?: Record<string, unknown> | undefined;
}

/** `restore.prepare`: makes the stand-ins of a restore and orders what is to replace them. */
export interface RestorePrepareParams {
  /** The images' directory, an absolute path. */
  images: WirePath;
  /** What is to be delayed. */
  config: RestoreConfig;
  /** The process that restores, in spfs's pid namespace: when it ends before `restore.release`, the stand-ins end, too. */
  process?: number | undefined;
  /**
   * How long it may take, in milliseconds, until the stand-ins have their nodes. Then the answer comes as soon as they are mounted, and who uses one waits
   * until it has them; if it cannot have them, all stand-ins end, and `restore.check` tells why. When absent, the answer waits for the nodes.
   */
  fillWithinMs?: number | undefined;
  /** Whether the daemon must have no mount, and make none for another restore: for who undoes a restore by ending its daemon. */
  alone?: boolean | undefined;
}

/** What `restore.prepare` answers. */
export interface RestorePrepareResult {
  /** The stand-ins, what is to replace them, and if that was waited for, how many nodes were made and whether what images lack had been noted. */
  mounts: {
    id: string;
    mountpoint: WirePath;
    source: WirePath;
    type: string;
    nodes?: number | undefined;
    noted?: boolean | undefined;
  }[];
}

/** `restore.check`: whether what has been restored can go on. */
export interface RestoreCheckParams {
  /** The restored tree's first process, in spfs's pid namespace. */
  init?: number | undefined;
}

/** `restore.block`: from here on nobody sees the placeholder. */
export interface RestoreBlockParams {
  /** How long to wait for real file systems that are there already, in milliseconds; 1000 when absent. */
  serveWithinMs?: number | undefined;
}

/** `restore.release`: lets the held replacements begin. */
export interface RestoreReleaseParams {
  /**
   * The restored tree's first process, in spfs's pid namespace: not before CRIU has let go of every task of the tree; and not at all by this
   * call if that process ends before.
   */
  init?: number | undefined;
  /** Whether the tree was left stopped (CRIU's `--leave-stopped`) and is to go on when every mount is in place, or an attempt has failed. */
  resume?: boolean | undefined;
}

/** What the stages after `restore.prepare` answer. */
export interface RestoreStageResult {
  /** The mounts, with the modes that they are in now. */
  mounts: { id: string; mode: MountMode }[];
}
