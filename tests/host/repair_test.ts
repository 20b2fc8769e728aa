/** Taking away what dead daemons left in the runtime directory. */
import { assert, assertEquals } from "@std/assert";
import { lockDirectory } from "../../host/directory_lock.ts";
import type { RunJob } from "../../host/namespace_jobs.ts";
import { repair } from "../../host/repair.ts";

const noMounts = (() => Promise.resolve([])) as unknown as RunJob;

/** Leaves a socket at which nobody listens. */
function desert(path: string): void {
  const listener = Deno.listen({ transport: "unix", path });
  Deno.renameSync(path, `${path}.kept`);
  listener.close();
  Deno.renameSync(`${path}.kept`, path);
}

Deno.test("repair: a deserted socket is removed, one at which somebody listens is not", async () => {
  const directory = await Deno.makeTempDir({ prefix: "spfs-repair-" });
  try {
    desert(`${directory}/dead.sock`);
    using _ = Deno.listen({ transport: "unix", path: `${directory}/live.sock` });
    assertEquals(await repair(directory, noMounts), [{ kind: "socket", path: `${directory}/dead.sock` }]);
    assert((await Deno.lstat(`${directory}/live.sock`)).isSocket);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("repair: a socket is not looked at while a daemon that starts has the directory locked", async () => {
  const directory = await Deno.makeTempDir({ prefix: "spfs-repair-" });
  const path = `${directory}/control.sock`;
  try {
    desert(path);
    const lock = await lockDirectory(directory);
    const repaired = repair(directory, noMounts);
    await new Promise((resolve) => setTimeout(resolve, 50)); // more than the repair would need
    assert((await Deno.lstat(path)).isSocket);
    Deno.removeSync(path);
    using _ = Deno.listen({ transport: "unix", path });
    lock.close();
    assertEquals(await repaired, []);
    assert((await Deno.lstat(path)).isSocket);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
