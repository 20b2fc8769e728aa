/** A replacement moves the processes that use the stand-in to the real file system: wholly, or says by name what stays and why. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { e2e } from "./support/case.ts";
import { isAlive, processState, until } from "./support/proc.ts";
import { references } from "./support/references.ts";
import { SwapScene } from "./support/swap_scene.ts";

/** What processes hold: a program of tests/swap/victims, its cases, and how many references these are at least. */
const held: readonly {
  what: string;
  victim: string;
  cases: string[];
  count: number;
  placed?: boolean;
}[] = [
  {
    what: "descriptors, shared by processes and not",
    victim: "fds",
    cases: ["private", "dup", "forked", "passed", "flags", "path", "cloexec"],
    count: 20,
  },
  {
    what: "mappings",
    victim: "maps",
    cases: ["shared", "private", "code", "beyond", "pieces", "inherited"],
    count: 40,
  },
  { what: "mapped files without a name", victim: "maps", cases: ["ghost"], count: 2 },
  { what: "files without a name", victim: "names", cases: ["deleted", "replaced"], count: 8 },
  {
    what: "hard links, renamed files, strange names",
    victim: "names",
    cases: ["links", "renamed", "strange"],
    count: 20,
  },
  { what: "directories and their positions", victim: "names", cases: ["entries"], count: 4 },
  { what: "FIFOs with what is in them", victim: "fifos", cases: ["both", "ends", "left"], count: 5 },
  { what: "locks", victim: "locks", cases: ["posix", "ofd", "flock"], count: 10 },
  { what: "epoll registrations", victim: "events", cases: ["epoll"], count: 10 },
  { what: "working directories", victim: "places", cases: ["cwd"], count: 1 },
  { what: "the mountpoint as working directory", victim: "places", cases: ["cwd-top"], count: 1 },
  { what: "the mountpoint as root", victim: "places", cases: ["root"], count: 2 },
  { what: "a root below it", victim: "places", cases: ["root-below"], count: 1 },
  { what: "the program itself", victim: "places", cases: ["exe"], count: 5, placed: true },
];

for (const { what, victim: program, cases, count, placed } of held) {
  await e2e(`moved, and the daemon is gone: ${what}`, async (sandbox, binary) => {
    const scene = await SwapScene.make(sandbox, binary);
    const victim = await scene.victim(program, cases, placed);
    await scene.mirror();
    const before = scene.before(victim);
    assert(before.references.size >= count, `${before.references.size} references`);
    const { state, swap } = await scene.replace({ swap: "require" });
    assertEquals([state, swap!.left], ["done", []]);
    assert(swap!.processes.some(({ pid }) => pid === victim.pids[0]));
    scene.assertMoved(victim, before);
    await scene.spfs.event("mount.gone");
    await victim.check("on the real file system");
    await scene.daemonEnds();
    await victim.end();
  });
}
