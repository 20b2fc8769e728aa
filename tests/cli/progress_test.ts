import { assert, assertEquals } from "@std/assert";
import { LiveScreen } from "../../cli/live_screen.ts";
import { Progress, progressLines, summaryLines } from "../../cli/progress.ts";
import type { StatusResult, WireEvent } from "../../control/wire.ts";

const screen = { columns: 80, rows: 24 };

function taking(progress: Progress, now: number, ...events: [WireEvent["event"], object][]): void {
  for (const [event, params] of events) {
    progress.take({ event, params: { seq: 1, monotonicMs: 1, ...params } } as WireEvent, now);
  }
}

const status = (...mounts: object[]) => ({ mounts }) as unknown as StatusResult;
const told = {
  id: "net",
  mountpoint: "/mnt/net",
  mode: "restore",
  parked: { count: 0, oldestMs: 0, byOp: {} },
  replace: { state: "held", source: "server:/export", type: "nfs4", attempts: 0 },
};

Deno.test("progress: from the first stand-in to the last process moved", () => {
  const progress = new Progress();
  const lines = (now = 1000) => progressLines(progress, now, screen);
  assertEquals(lines(), ["CRIU begins"]);
  taking(progress, 0, ["mount.ready", { mount: "net", mountpoint: "/mnt/net", mode: "restore" }]);
  assertEquals(lines(), ["CRIU restores, with 1 stand-in", "  /mnt/net: ready for CRIU"]);
  progress.adopt(status(told), 0);
  assertEquals(lines()[2], "    server:/export (nfs4)");
  taking(
    progress,
    1000,
    ["mode.changed", { mount: "net", mode: "stub", previous: "restore", waited: 0 }],
    ["request.parked", { mount: "net", count: 3, byOp: { LOOKUP: 1, READ: 2 } }],
    ["mount.attempt", { mount: "net", attempt: 2, error: { message: "unreachable" }, nextRetryMs: 2500 }],
    ["replace.progress", { mount: "net", step: "waiting" }],
  );
  progress.restored = true;
  assertEquals(lines(2000), [
    "restored; 0 of 1 mount replaced",
    "  /mnt/net: not there yet; 3 requests wait (READ 2, LOOKUP 1)",
    "    next in 1.5 s; attempt 2 to mount server:/export (nfs4) failed: unreachable",
  ]);
  assertEquals([progress.settled, progress.replaced], [false, false]);
  const swap = { processes: [{}], left: [], stoppedMs: 5.1 };
  taking(
    progress,
    3000,
    ["request.parked", { mount: "net", count: 0, byOp: {} }],
    ["replace.done", { mount: "net", ok: true, swap }],
    ["mount.gone", { mount: "net" }],
  );
  assertEquals(lines(), [
    "restored; 1 of 1 mount replaced",
    "  /mnt/net: replaced, 1 process moved in 5 ms",
  ]);
  assertEquals([progress.settled, progress.replaced], [true, true]);
  assertEquals(summaryLines(progress, 0, "--socket /s"), lines());
});

Deno.test("progress: what fails for good is settled but not replaced, and the summary tells what to do", () => {
  const progress = new Progress();
  progress.adopt(status(told, { ...told, id: "b", mountpoint: "/b" }), 0);
  progress.restored = true;
  taking(
    progress,
    0,
    ["mount.attempt", { mount: "net", attempt: 1, error: { message: "denied" } }],
    ["replace.progress", { mount: "net", step: "failed" }],
  );
  assertEquals(progress.settled, false);
  assertEquals(summaryLines(progress, 0, "--socket /s"), [
    "restored; 0 of 2 mounts replaced",
    "  /mnt/net: not replaced, and waits for an order",
    "    attempt 1 to mount server:/export (nfs4) failed: denied",
    "  /b: ready for CRIU",
    "    server:/export (nfs4)",
    "the rest goes on by itself: spfs status --socket /s",
    "to try again: spfs retry net --socket /s; to give up: spfs abort net --socket /s",
  ]);
  taking(progress, 0, ["mount.lost", { mount: "b", reason: "broken" }]);
  assertEquals([progress.settled, progress.replaced], [true, false]);
  // An order makes it go on.
  taking(progress, 0, ["replace.progress", { mount: "net", step: "mounting" }]);
  assertEquals(progress.settled, false);
});

Deno.test("progress: a status that was made before the last events takes nothing back", () => {
  const progress = new Progress();
  taking(
    progress,
    0,
    ["mount.ready", { mount: "net", mountpoint: "/mnt/net", mode: "restore" }],
    ["replace.done", { mount: "net", ok: true }],
  );
  progress.adopt(status(told), 0);
  assertEquals(progress.replaced, true);
});

Deno.test("progress: no line is wider than the screen and nothing steers it; many mounts are cut to its height", () => {
  const progress = new Progress();
  const mounts = Array.from({ length: 40 }, (_, n) => ({
    ...told,
    id: `m${n}`,
    mountpoint: `/${"long/".repeat(30)}\x1b[2J${n}`,
    replace: { ...told.replace, lastError: { message: "no\nroute ".repeat(20) } },
  }));
  progress.adopt(status(...mounts), 0);
  const lines = progressLines(progress, 0, screen);
  assertEquals([lines.length, lines.at(-1)], [24, "  and 18 more"]);
  for (const line of lines) assert([...line].length <= 80 && !/\p{Cc}/u.test(line), line);
});

Deno.test("live screen: draws over what it drew, in one write, and only what has changed", () => {
  const writes: string[] = [];
  const screen = new LiveScreen((text) => writes.push(text));
  screen.draw(["a", "b"]);
  screen.draw(["a", "b"]);
  screen.draw(["c"]);
  screen.above("log\n");
  screen.clear();
  const shown = writes.map((text) => text.replaceAll("\x1b", "^"));
  assertEquals(shown, [
    "^[?7l\ra^[K\nb^[K\n^[J^[?7h",
    "^[?7l\r^[2Ac^[K\n^[J^[?7h",
    "^[?7l\r^[1A^[J^[?7hlog\n",
    "^[?7l\rc^[K\n^[J^[?7h",
    "^[?7l\r^[1A^[J^[?7h",
  ]);
});
