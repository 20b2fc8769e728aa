/**
 * What a mount worker that was started ahead does while nobody asks it for anything: once, for nothing and in memory alone, what it will do for
 * the first stand-ins of a restore. Functions are compiled, and those of C bound, when they are called for the first time, and CRIU would wait
 * for it.
 *
 * @module
 */

import { UNCACHED } from "../fs/answers.ts";
import { createPlaceholder, type PlaceholderEntry } from "../fs/placeholder.ts";
import { StubFilesystem } from "../fs/stub_filesystem.ts";

const ROOT = { mode: 0o755, uid: 0, gid: 0 };

/**
 * Does it in steps of some milliseconds; messages are handled in between, after the first of which it is over. Never rejects.
 *
 * @returns how many of the steps were done
 */
export async function rehearse(isOver: () => boolean): Promise<number> {
  let done = 0;
  for (const step of [loadReading, fillOne]) {
    await new Promise((resolve) => setTimeout(resolve));
    if (isOver()) break;
    try {
      await step();
      done++;
    } catch {
      // What fails here fails again, and is told, when it is asked for.
    }
  }
  return done;
}

async function loadReading(): Promise<void> {
  await import("./images_reading.ts");
}

function fillOne(): void {
  using filesystem = new StubFilesystem(createPlaceholder(ROOT), {
    mode: "restore",
    times: UNCACHED,
    interrupts: "any",
    budget: 1,
  });
  filesystem.fill(ROOT, entries());
}

function entries(): PlaceholderEntry[] {
  const common = { uid: 0, gid: 0, mtime: { sec: 0n, nsec: 0 } };
  const path = (name: string) => new TextEncoder().encode(name);
  return [
    { type: "directory", path: path("directory"), mode: 0o755, ...common },
    ...["a", "b", "c"].map((name) => (
      { type: "file", path: path(`directory/${name}`), mode: 0o644, size: 1n, ...common } as const
    )),
  ];
}
