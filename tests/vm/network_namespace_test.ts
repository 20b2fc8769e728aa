/** A container with a network of its own: what is done for it comes from inside. */
import { assert, assertEquals } from "@std/assert";
import { run } from "../e2e/support/child.ts";
import { isAlive, processState, until } from "../e2e/support/proc.ts";
import { Logger } from "./support/logger.ts";
import { binary, scenario } from "./support/scene.ts";

/** How long something that never ends is looked at. */
const HANGS_MS = 5000;

/** By its number CRIU is told of a namespace that it neither dumps nor makes. */
function externalNetwork(path: string): string[] {
  return ["--external", `net[${Deno.statSync(path).ino}]:outer`];
}

scenario(
  "vers=3,hard,nolock: a network namespace that CRIU and spfs are in: the file system is mounted from there",
  { inside: true, mount: "vers=3,hard,nolock" },
  async (scene) => {
    await scene.mount();
    const logger = await Logger.start(scene);
    const images = await scene.dump(logger.pid);
    const before = logger.rounds;
    await scene.server.unplug();
    const standIn = await scene.standIn(images);
    const pid = await images.restore(binary, standIn.spfs.socket);
    await standIn.spfs.parked("net", 1);
    logger.assertWaits(before);
    await scene.server.plug();
    await scene.replaced(standIn, pid);
    await logger.worked();
    assert(
      Deno.readLinkSync(`/proc/${pid}/ns/net`) !== Deno.readLinkSync("/proc/self/ns/net"),
      "it is not inside",
    );
    await logger.end();
  },
);

scenario(
  "a network namespace that CRIU and spfs are outside of: without CRIU's lock it is dumped, and is mounted for from inside",
  { inside: true },
  async (scene) => {
    const { sandbox, server } = scene;
    const network = scene.network!;
    await scene.mount();
    const logger = await Logger.start(scene);
    // From here on everything is started outside, with a descriptor of the namespace.
    sandbox.enter = ["sh", "-c", `exec 9<${network}; exec "$@"`, "sh"];
    const images = await scene.dump(logger.pid, [...externalNetwork(network), "--network-lock", "skip"]);
    const before = logger.rounds;
    await server.unplug();
    const standIn = await scene.standIn(images, { network: "tree" });
    const pid = await images.restore(binary, standIn.spfs.socket, ["--inherit-fd", "fd[9]:outer"]);
    await standIn.spfs.parked("net", 1);
    logger.assertWaits(before);
    await server.plug();
    await scene.replaced(standIn, pid);
    await logger.worked();
    assertEquals(Deno.readLinkSync(`/proc/${pid}/ns/net`), Deno.readLinkSync(network));
    await logger.end();
  },
);

scenario(
  "CRIU's lock of a network that it is outside of: the dump waits for the server until the lock is taken away",
  { inside: true, mount: "vers=4.2,hard,noac" },
  async (scene) => {
    const { sandbox, mountpoint, network, server } = scene;
    await scene.mount();
    Deno.writeTextFileSync(`${server.directory}/file`, "");
    const inside = sandbox.enter;
    const script = `exec sleep 1000 <"$0" >/dev/null 2>&1`;
    const victim = sandbox.start("setsid", ["sh", "-c", script, `${mountpoint}/file`]);
    await until("the victim", () => Deno.readTextFileSync(`/proc/${victim.pid}/comm`) === "sleep\n");
    sandbox.enter = [];
    const place = ["--tree", String(victim.pid), "--images-dir", sandbox.directory("images")];
    const lock = ["--network-lock", "nftables"];
    const criu = sandbox.start("criu", ["dump", ...place, ...externalNetwork(network!), ...lock]);
    await until("CRIU to wait for the server", () => processState(criu.pid) === "D");
    await new Promise((resolve) => setTimeout(resolve, HANGS_MS));
    assert(!criu.over, "CRIU ended");
    assertEquals(processState(criu.pid), "D");
    const [program, ...args] = [...inside, "nft", "flush", "ruleset"];
    await run(program!, args);
    await until("CRIU's end", () => criu.over);
    victim.kill("SIGKILL");
    await until("the victim's end", () => !isAlive(victim.pid));
  },
);
