/** Locks that another client takes between dump and restore: whoever comes first gets them. */
import { assert, assertEquals } from "@std/assert";
import { Holder } from "./support/holder.ts";
import { binary, scenario, type Scene } from "./support/scene.ts";

/** Has another client lock a file, and returns how it is made to give that up. */
async function lockedElsewhere({ server, sandbox, options }: Scene, name: string) {
  const hold = [
    "flock",
    "--exclusive",
    "--nonblock",
    "--no-fork",
    name,
    "sh",
    "-c",
    "echo locked; read -r line || true",
  ];
  const [program, ...args] = server.atAnotherClient(options, sandbox.directory("elsewhere"), hold);
  const client = sandbox.start(program!, args);
  assertEquals(await client.line(), "locked");
  return async () => {
    await client.closeInput();
    const { code, stderr } = await client.ended();
    assertEquals(code, 0, stderr);
  };
}

const dumpOptions = ["--file-locks", "--link-remap"];

scenario(
  "a lock that another client keeps: the replacement is refused and names file and process; it is made when the lock is free",
  {},
  async (scene) => {
    await scene.mount();
    const holder = await Holder.start(scene);
    const images = await scene.dump(holder.pid, dumpOptions);
    const release = await lockedElsewhere(scene, "ranged");
    const standIn = await scene.standIn(images, { swapDeadlineMs: 2000 });
    const { spfs } = standIn;
    const pid = await images.restore(binary, spfs.socket, ["--file-locks"]);
    const message = (await scene.failed(standIn)).replace?.lastError?.message ?? "";
    for (const part of [`process ${pid} (holder): lock `, "(ranged) ", "somebody else"]) {
      assert(message.includes(part), message);
    }
    await release();
    await spfs.call("mount.retry", { mount: "net" });
    await scene.replaced(standIn, pid);
    await Holder.assertLocked(scene);
    await holder.end();
  },
);

scenario(
  "vers=3,hard: a lock that another client has for a while is waited for",
  { mount: "vers=3,hard" },
  async (scene) => {
    await scene.mount();
    const holder = await Holder.start(scene);
    const images = await scene.dump(holder.pid, dumpOptions);
    const release = await lockedElsewhere(scene, "flocked");
    const standIn = await scene.standIn(images);
    const { spfs } = standIn;
    const pid = await images.restore(binary, spfs.socket, ["--file-locks"]);
    // Collected twice: it was in the way the first time.
    const collected = () =>
      spfs.events.filter(({ event, params }) =>
        event === "replace.progress" && (params as { step: string }).step === "collecting"
      );
    await spfs.event("replace.progress", () => collected().length > 1);
    assertEquals(spfs.events.filter(({ event }) => event === "replace.done"), []);
    await release();
    await scene.replaced(standIn, pid);
    await Holder.assertLocked(scene);
    await holder.end();
  },
);
