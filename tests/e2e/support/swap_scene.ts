/**
 * Where most tests of a replacement's swap happen: a stand-in, the real file system that is to take its place, and processes that hold
 * something on the stand-in.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { ReplaceParams } from "../../../control/wire_replace.ts";
import { assertMoved, type Snapshot, snapshot } from "../../swap/support/snapshot.ts";
import type { MountPair, Side } from "../../swap/support/mount_pair.ts";
import { swapVictim, Victim } from "../../swap/support/victim.ts";
import { run } from "./child.ts";
import { mountsBelow } from "./proc.ts";
import { type MountNames, mountOf, references } from "./references.ts";
import type { Sandbox } from "./sandbox.ts";
import { type Binary, Spfs } from "./spfs.ts";

/** A stand-in `net`, and the real file system, a tmpfs that can be seen at `real`. */
export class SwapScene {
  readonly sandbox: Sandbox;
  readonly spfs: Spfs;
  /** Where the stand-in is. */
  readonly mountpoint: string;
  /** Where the real file system can be seen. */
  readonly real: string;
  /** The stand-in. */
  readonly stub: MountNames;

  private constructor(sandbox: Sandbox, spfs: Spfs, mountpoint: string, real: string) {
    this.sandbox = sandbox;
    this.spfs = spfs;
    this.mountpoint = mountpoint;
    this.real = real;
    this.stub = mountOf(mountpoint);
  }

  /** Makes one. */
  static async make(sandbox: Sandbox, binary: Binary): Promise<SwapScene> {
    const [mountpoint, real] = [sandbox.directory("mnt"), sandbox.directory("real")];
    await run("mount", ["-t", "tmpfs", "-o", "mode=755", "none", real]);
    const spfs = await Spfs.start(sandbox, binary);
    await spfs.call("mount.create", { id: "net", mountpoint });
    return new SwapScene(sandbox, spfs, mountpoint, real);
  }

  /** Starts a program of tests/swap/victims on the stand-in. `placed`: the program itself is there as well. */
  async victim(name: string, cases: readonly string[], placed = false): Promise<Victim> {
    let program = swapVictim(name);
    if (placed) {
      const copy = `${this.mountpoint}/program`;
      await run("cp", [program, copy]);
      program = copy;
    }
    const victim = await Victim.start(this.sandbox, { program, cases, directory: this.mountpoint });
    await victim.check("on the stand-in");
    return victim;
  }

  /** Makes the real file system hold what the placeholder does. */
  async mirror(): Promise<void> {
    await run("cp", ["--archive", `${this.mountpoint}/.`, this.real], { limitMs: 20_000 });
  }

  /** Orders the replacement and waits for its end. */
  async replace(more: Partial<ReplaceParams> = {}) {
    return await this.spfs.call("mount.replace", {
      mount: "net",
      source: this.real,
      type: "bind",
      wait: true,
      ...more,
    });
  }

  /** What processes are while they are on the stand-in. */
  before(victim: Victim): Snapshot {
    return snapshot(victim.pids, pairOf(this.#side(this.stub)));
  }

  /** Fails unless they have become the same on the real file system, and nothing of theirs is on the stand-in. */
  assertMoved(victim: Victim, before: Snapshot): void {
    const real = this.#side(mountOf(this.mountpoint));
    assertMoved(before, snapshot(victim.pids, pairOf(real)), this.#side(this.stub), real);
    for (const pid of victim.pids) assertEquals(references(pid, this.stub), [], `process ${pid}`);
  }

  /** Fails unless the stand-in is where it was and the victim is on it. */
  async assertUntouched(victim: Victim, before: Snapshot): Promise<void> {
    assertEquals(this.mounted(), ["fuse.spfs"]);
    const side = this.#side(this.stub);
    assertMoved(before, snapshot(victim.pids, pairOf(side)), side, side);
    await victim.check("as it was");
  }

  /** Fails unless the real file system is in place, and, if nothing was left, the stand-in gone. */
  mounted(): string[] {
    return mountsBelow(this.mountpoint).map(({ fstype }) => fstype);
  }

  /** Waits for the daemon to end by itself once its client is gone. */
  async daemonEnds(): Promise<void> {
    this.spfs.closeInput();
    const { code, stderr } = await this.spfs.ended();
    assertEquals(code, 0, stderr);
  }

  #side({ id }: MountNames): Side {
    return { path: this.mountpoint, id };
  }
}

function pairOf(side: Side): MountPair {
  return { kind: "twins", sides: [side, side], mirror: () => Promise.resolve() };
}

/** Fails unless a victim has so many references to a mount at least. */
export function assertHolds(before: Snapshot, count: number): void {
  assert(before.references.size >= count, `${before.references.size} references`);
}
