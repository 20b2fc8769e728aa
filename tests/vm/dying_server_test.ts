/** A server that goes away while spfs works with it, and comes back. */
import { assertEquals } from "@std/assert";
import { isAlive, mountsBelow, until } from "../e2e/support/proc.ts";
import { Logger } from "./support/logger.ts";
import { binary, scenario, victim } from "./support/scene.ts";

/** How long it is away. */
const AWAY_MS = 5000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

for (const mount of ["vers=4.2,hard", "vers=3,hard"]) {
  scenario(
    `${mount}: a server that dies while the stand-in serves from it loses nothing and doubles nothing`,
    { mount },
    async (scene) => {
      const { server, mountpoint } = scene;
      await scene.mount();
      const logger = await Logger.start(scene);
      const images = await scene.dump(logger.pid);
      const { spfs } = await scene.standIn(images, { swap: "none" });
      await images.restore(binary, spfs.socket);
      await spfs.event("replace.done", ({ ok }) => ok);
      await logger.worked();
      await server.stop();
      const before = logger.rounds;
      await pause(AWAY_MS);
      await server.restart();
      await logger.worked(before - logger.rounds + 20, 60_000);
      await logger.end();
      await spfs.event("mount.gone");
      spfs.closeInput();
      assertEquals((await spfs.ended()).code, 0);
      assertEquals(mountsBelow(mountpoint).map(({ fstype }) => fstype), [scene.fstype]);
    },
  );

  scenario(
    `${mount}: a server that dies in the middle of the swap loses nothing and doubles nothing`,
    { mount },
    async (scene) => {
      const { server, sandbox, mountpoint } = scene;
      const count = 400;
      const result = sandbox.at("result");
      Deno.writeTextFileSync(result, "");
      await scene.mount();
      const { pid } = sandbox.start(victim("crowd"), [mountpoint, result, String(count)]);
      const lines = () => Deno.readTextFileSync(result).split("\n").slice(0, -1);
      await until("a first round", () => lines().length > 0, 30_000);
      const images = await scene.dump(pid);
      const standIn = await scene.standIn(images);
      const { spfs } = standIn;
      const death = await server.killer();
      const dead = spfs.event("replace.progress", ({ step }) => step === "collecting").then(death);
      dead.catch(() => {}); // Awaited below.
      await images.restore(binary, spfs.socket);
      await dead;
      const before = lines().length;
      await pause(AWAY_MS);
      // Otherwise it was not in the middle.
      assertEquals(spfs.events.filter(({ event }) => event === "replace.done"), []);
      assertEquals(lines().length, before);
      await server.restart();
      await scene.replaced(standIn, pid);
      await until("rounds afterwards", () => lines().length >= before + 2, 30_000);
      Deno.kill(pid, "SIGTERM");
      await until("the victim's end", () => !isAlive(pid), 30_000);
      const rounds = lines();
      assertEquals(rounds, rounds.map((_, index) => `round ${index + 1}`));
      for (let file = 0; file < count; file++) {
        const text = Deno.readTextFileSync(`${server.directory}/${file}`);
        assertEquals(text, rounds.map((line) => `${line}\n`).join(""), `file ${file}`);
      }
    },
  );
}
