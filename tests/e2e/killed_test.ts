/** A daemon that is killed while it moves processes dies, and every process runs on, wholly on the stand-in or wholly on the real files. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { run } from "./support/child.ts";
import { e2e } from "./support/case.ts";
import { childrenOf, isAlive, until, within } from "./support/proc.ts";
import { references } from "./support/references.ts";
import { SwapScene } from "./support/swap_scene.ts";

/** How often at each step: the event that tells of it is a moment old. */
const rounds = 6;

/** In their order; one that waits to be told gives way to the next one. */
const steps = ["stopping", "collecting", "moving", "swapped", "done"] as const;

for (const [at, step] of steps.slice(0, -1).entries()) {
  await e2e(
    `kill -9 of the daemon at ${step} hangs nobody and leaves nobody half moved`,
    async (sandbox, binary) => {
      for (let round = 0; round < rounds; round++) {
        const scene = await SwapScene.make(sandbox, binary);
        const { spfs, stub, mountpoint } = scene;
        const victim = await scene.victim("fds", ["private", "forked"]);
        await scene.mirror();
        const before = new Map(victim.pids.map((pid) => [pid, references(pid, stub).length]));
        const replaced = scene.replace({ swap: "require" }).catch(() => {});
        await spfs.event("replace.progress", ({ step }) => steps.indexOf(step as typeof steps[number]) >= at);
        const tracers = childrenOf(spfs.pid);
        spfs.kill("SIGKILL");
        await within("the end of the daemon", spfs.ended());
        await replaced;
        await until("the end of the tracer", () => !tracers.some(isAlive));

        const left = victim.pids.map((pid) => references(pid, stub).length);
        const moved = left.every((count) => count === 0);
        assert(
          moved || left.every((count, i) => count === before.get(victim.pids[i]!)),
          `${left} of ${[...before]}`,
        );
        for (const pid of victim.pids) {
          const status = Deno.readTextFileSync(`/proc/${pid}/status`);
          assertEquals(/^TracerPid:\t(\d+)$/m.exec(status)![1], "0");
          assert(/^State:\t[SR]/m.test(status), status);
        }
        const answer = await within("the victim's answer", victim.child.ask("check"));
        if (moved) assertEquals([answer, scene.mounted()], ["ok", ["tmpfs"]]);
        for (const pid of victim.pids) Deno.kill(pid, "SIGKILL");
        await until("the end of the victim", () => !victim.pids.some(isAlive));
        for (const _ of scene.mounted()) await run("umount", [mountpoint]);
        await run("umount", [scene.real]);
      }
    },
  );
}

await e2e(
  "kill -9 of the tracer fails the replacement by name, and the next attempt moves everybody",
  async (sandbox, binary) => {
    const scene = await SwapScene.make(sandbox, binary);
    const { spfs, stub } = scene;
    const victim = await scene.victim("fds", ["private", "forked"]);
    await scene.mirror();
    const before = scene.before(victim);
    const replaced = assertRejects(() => scene.replace({ swap: "require" }), ControlError, "tracer");
    const tracer = await until("the tracer", () => childrenOf(spfs.pid)[0]);
    Deno.kill(tracer, "SIGKILL");
    assertEquals((await replaced).kind, "internal");
    await scene.assertUntouched(victim, before);
    assertMatch(await spfs.command("retry", "net", "--wait"), /net: done/);
    for (const pid of victim.pids) assertEquals(references(pid, stub), []);
    await victim.check("moved by another tracer");
    await scene.daemonEnds();
    await victim.end();
  },
);
