/** Who looks at the mountpoint while the stub is replaced sees the stub or the real file system, and never anything else. */
import { assert, assertEquals } from "@std/assert";
import { run } from "./support/child.ts";
import { e2e } from "./support/case.ts";
import { mountsBelow, until, within } from "./support/proc.ts";
import { Remote } from "./support/remote.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

/** How often the compiled program is tried, and, which is the same code, `deno run`. */
const replacements = { compiled: 300, "deno run": 60 };
const marker = "the marker of the real file system, which the placeholder has, too\n";

/** What the observer counts. */
interface Report {
  root: number;
  marker: number;
  listing: number;
  wrong: number;
  devices: number;
}

/** A device as the observer takes it. */
function allow(device: string): string {
  return `dev ${device.replace(":", " ")}`;
}

/** An ext4 file system that holds the marker, and its device number. */
async function remoteWithMarker(sandbox: Sandbox): Promise<{ remote: Remote; real: string }> {
  const remote = await Remote.make(sandbox);
  await remote.attach();
  const directory = sandbox.directory("prepared");
  await remote.mount(directory);
  Deno.writeTextFileSync(`${directory}/marker`, marker);
  const real = mountsBelow(directory)[0]!.device;
  await remote.unmount(directory);
  return { remote, real };
}

/**
 * One replacement, of a mount in restore or in stub mode. Under the stub lies the bare mountpoint, which is on another device and
 * has no marker: whoever sees it is wrong.
 */
async function replaceOnce(
  sandbox: Sandbox,
  spfs: Spfs,
  id: string,
  remote: Remote,
  real: string,
): Promise<Report> {
  const mountpoint = sandbox.at("mnt");
  const { device } = await spfs.call("mount.create", { id, mountpoint });
  const data = { b64: btoa(marker) };
  await spfs.call("file.create", { mount: id, entries: [{ path: "marker", type: "file", data }] });
  const observer = sandbox.start(victim("observer"), [mountpoint, marker]);
  await observer.ask(allow(device)); // begins to look
  await observer.ask(allow(real));
  const inStub = Number(id.slice(1)) % 2 === 0;
  if (inStub) {
    await spfs.call("mount.setMode", { mount: id, mode: "stub" });
    // The marker's and the listing's thread; the third one is answered from what is known of the root.
    await spfs.parked(id, 2);
  } else {
    await until("answers of the stub", async () => {
      const { root, marker, listing }: Report = JSON.parse(await observer.ask("report"));
      return root > 0 && marker > 0 && listing > 0;
    });
  }
  const before: Report = JSON.parse(await observer.ask("report"));
  const replaced = spfs.call("mount.replace", { mount: id, source: remote.source, type: "ext4", wait: true });
  // The observer's threads never rest, and on few processors the thread that moves them has to begin beside them.
  await within(`the replacement of ${id}`, replaced, 30_000);
  await until("answers of the real file system", async () => {
    const { root, marker, listing }: Report = JSON.parse(await observer.ask("report"));
    return root > before.root && marker > before.marker && listing > before.listing;
  });
  const last: Report = JSON.parse(await observer.ask("stop"));
  const { code, stderr } = await observer.ended();
  assertEquals(code, 0);
  assertEquals(last.wrong, 0, `${id}: ${stderr}`);
  await spfs.event("mount.gone", ({ mount }) => mount === id);
  assertEquals(mountsBelow(mountpoint).map(({ fstype }) => fstype), ["ext4"]);
  await run("umount", [mountpoint]);
  return last;
}

async function replaceMany(sandbox: Sandbox, binary: Binary): Promise<void> {
  const count = replacements[binary.name as keyof typeof replacements];
  const mountpoint = sandbox.directory("mnt");
  const { remote, real } = await remoteWithMarker(sandbox);
  const spfs = await Spfs.start(sandbox, binary, { limitMs: 300_000 });
  let answers = 0;
  let both = 0;
  for (let i = 0; i < count; i++) {
    const { root, marker, listing, devices } = await replaceOnce(sandbox, spfs, `m${i}`, remote, real);
    answers += root + marker + listing;
    if (devices === 2) both++;
  }
  console.log(`${count} replacements, ${answers} answers, none of them wrong`);
  assert(both > count / 2, `only ${both} observers saw the stub and the real file system`);
  assertEquals(mountsBelow(mountpoint), []);
  spfs.closeInput();
  assertEquals((await spfs.ended()).code, 0);
  await remote.detach();
}

await e2e("hundreds of replacements show an observer no wrong answer", replaceMany, { loop: true });
