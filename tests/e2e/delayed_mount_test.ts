/** The main job: a process is restored while its file system is away, waits, and goes on when that is back. */
import { assert, assertEquals } from "@std/assert";
import { Images } from "./support/criu.ts";
import { e2e } from "./support/case.ts";
import { patternBytes } from "./support/pattern.ts";
import { recordTree } from "./support/placeholder.ts";
import { isAlive, mountsBelow, until } from "./support/proc.ts";
import { Remote } from "./support/remote.ts";
import { Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

/** The last line of the logger's result file that begins with a word. */
function last(result: string, word: string): string | undefined {
  return Deno.readTextFileSync(result).split("\n").findLast((line) => line.startsWith(word));
}

function ticks(result: string): number {
  return Number(last(result, "tick ")?.split(" ")[1] ?? 0);
}

await e2e(
  "a restored process waits for its file system and goes on with the right bytes",
  async (sandbox, binary) => {
    const mountpoint = sandbox.directory("mnt");
    const result = sandbox.at("result");
    await Deno.writeFile(result, new Uint8Array());
    const remote = await Remote.make(sandbox);
    await remote.attach();
    await remote.mount(mountpoint);
    Deno.mkdirSync(`${mountpoint}/work`);
    Deno.writeFileSync(`${mountpoint}/data`, patternBytes(1, 16 * 4096 + 123));
    Deno.writeFileSync(`${mountpoint}/private`, patternBytes(2, 3 * 4096));

    const logger = sandbox.start(victim("logger"), [mountpoint, result, "5"]);
    await until("the logger's first ticks", () => ticks(result) >= 10);
    const images = await Images.dump(sandbox, logger.pid);
    const before = ticks(result);
    const entries = recordTree(mountpoint);
    await remote.unmount(mountpoint);
    await remote.detach();

    const spfs = await Spfs.start(sandbox, binary);
    await spfs.call("mount.create", { id: "net", mountpoint });
    await spfs.call("file.create", { mount: "net", entries });
    await spfs.call("mount.replace", {
      mount: "net",
      source: remote.source,
      type: "ext4",
      hold: true,
      retry: { initialMs: 20, maxMs: 50 },
    });
    const pid = await images.restore(binary, spfs.socket);

    await spfs.parked("net", 1);
    await spfs.event("mount.attempt", ({ error }) => error !== undefined);
    const { mounts: [status] } = await spfs.call("status", { mount: "net", requests: 10 });
    assertEquals(status?.mode, "stub");
    assertEquals(status?.requests?.map((request) => request.pid), [pid]);
    // The dump may have come between what is written to the file system and the tick that is told of it elsewhere.
    assert(ticks(result) <= before + 1, "the process went on without its file system");
    assert(isAlive(pid));

    await remote.attach();
    await spfs.event("replace.done", ({ ok }) => ok);
    await until("ticks after the file system is back", () => ticks(result) >= before + 10);
    assertEquals(mountsBelow(mountpoint).map(({ fstype }) => fstype), ["ext4"]);
    Deno.kill(pid, "SIGTERM");
    const end = await until("the logger's end", () => last(result, "end "));
    assertEquals(end, `end ticks=${ticks(result)} bad=0`, Deno.readTextFileSync(result));
    await until("the end of the process", () => !isAlive(pid));

    const log = Deno.readTextFileSync(`${mountpoint}/log`);
    const expected = Array.from(
      { length: ticks(result) },
      (_, i) => `${String(i + 1).padStart(8, "0")} line of process ${pid}\n`,
    );
    assertEquals(log, expected.join(""));
    assertEquals(Deno.readFileSync(`${mountpoint}/data`), patternBytes(1, 16 * 4096 + 123));
    spfs.closeInput();
    assertEquals((await spfs.ended()).code, 0);
    sandbox.checkNoStubMounts();
    await remote.unmount(mountpoint);
    await remote.detach();
  },
  { criu: true, loop: true },
);
