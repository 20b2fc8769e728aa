import { assertEquals } from "@std/assert";
import { formatOwnerTag, isDead, ownOwner, ownPidNamespace, parseOwnerTag } from "../../host/owner_tag.ts";
import { parseStat } from "../../swap/procfs/stat.ts";

Deno.test("owner tag: what is formatted is read back", () => {
  const owner = { pidNamespace: 4026531836n, pid: 4194304, startTime: 18446744073709551615n };
  assertEquals(formatOwnerTag(owner), "spfs:4026531836:4194304:18446744073709551615");
  assertEquals(parseOwnerTag(formatOwnerTag(owner)), owner);
});

Deno.test("owner tag: other mounts' sources are no tags", () => {
  for (
    const text of [
      "",
      "spfs",
      "spfs:1:2",
      "spfs:1:0:3",
      "spfs:1:2:3:4",
      "spfs:1:-2:3",
      "xspfs:1:2:3",
      "spfs:1:2:3\n",
    ]
  ) {
    assertEquals(parseOwnerTag(text), undefined, text);
  }
});

Deno.test("owner tag: a running process is alive, one with another start time is dead", () => {
  const self = ownOwner();
  assertEquals(isDead(self), false);
  assertEquals(isDead({ ...self, startTime: self.startTime + 1n }), true);
});

Deno.test("owner tag: a process that ended is dead", async () => {
  const child = new Deno.Command("sleep", { args: ["1000"], stdout: "null", stderr: "null" }).spawn();
  const stat = parseStat(await Deno.readFile(`/proc/${child.pid}/stat`));
  const owner = { pidNamespace: ownPidNamespace(), pid: child.pid, startTime: stat.startTime };
  assertEquals(isDead(owner), false);
  child.kill("SIGKILL");
  await child.status;
  assertEquals(isDead(owner), true);
});

Deno.test("owner tag: a process that ended and that nobody waits for is dead", async () => {
  // The child ends when `sleep` has taken the shell's place, which never waits for it.
  const child = "until read -r name < /proc/$$/comm && [ $name = sleep ]; do :; done";
  const script = `(${child}) & echo $!; exec sleep 1000`;
  const parent = new Deno.Command("sh", { args: ["-c", script], stdout: "piped" }).spawn();
  const reader = parent.stdout.getReader();
  const pid = Number(new TextDecoder().decode((await reader.read()).value));
  try {
    let stat;
    do stat = parseStat(await Deno.readFile(`/proc/${pid}/stat`)); while (stat.state !== "Z");
    assertEquals(isDead({ pidNamespace: ownPidNamespace(), pid, startTime: stat.startTime }), true);
  } finally {
    parent.kill("SIGKILL");
    await reader.cancel();
    await parent.status;
  }
});

Deno.test("owner tag: a process of another PID namespace is never called dead", () => {
  const self = ownOwner();
  assertEquals(isDead({ ...self, startTime: 1n, pidNamespace: self.pidNamespace + 1n }), false);
});
