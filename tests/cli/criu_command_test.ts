import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parseCriuCommand, reasons, withOptions } from "../../cli/criu_command.ts";
import { parseDelayedMount, withDelayed } from "../../cli/delayed_words.ts";
import { UsageError } from "../../cli/usage.ts";
import { run } from "./support/cli.ts";

const words = (text: string) => text.split(" ");

Deno.test("criu's command: what concerns us is read however it is written", () => {
  for (
    const text of [
      "criu restore -D /i -W /w -o r.log -d",
      "/opt/criu restore --images-dir /i --work-dir=/w --log-file r.log --restore-detached",
      "criu -v4 restore -dv4 -D/i -W /w -or.log",
      "nsenter --net=/run/criu restore-me /usr/sbin/criu restore -dD /i -W/w --log-file=r.log -t 5",
    ]
  ) {
    const { images, workDirectory, logFile, detached } = parseCriuCommand(words(text), "restore");
    assertEquals([images, workDirectory, logFile, detached], ["/i", "/w", "r.log", true], text);
  }
  const dump = parseCriuCommand(words("criu dump -t 812"), "dump");
  assertEquals([dump.tree, dump.images, dump.detached], [812, ".", false]);
});

Deno.test("criu's command: our options come where they are read, before a command that CRIU is to run", () => {
  const command = parseCriuCommand(words("criu restore -D /i --exec-cmd -- sh -c x"), "restore");
  assertEquals(
    withOptions(command, ["--action-script", "/s"]),
    words("criu restore --action-script /s -D /i --exec-cmd -- sh -c x"),
  );
});

Deno.test("criu's command: what is no restore is refused", () => {
  const refused = (text: string) =>
    assertThrows(() => parseCriuCommand(text === "" ? [] : words(text), "restore"), UsageError).message;
  assertMatch(refused(""), /^CRIU's command is missing: spfs restore \[options\] -- criu restore /);
  assertMatch(refused("ls -l"), /^ls is not criu: /);
  assertMatch(refused("criu dump -D /i"), /^criu is told to do "dump", not "restore": /);
  assertMatch(refused("criu -D restore"), /^criu is told to do nothing, /);
});

Deno.test("criu's log: its errors and what our hook says are the reasons", () => {
  const log = [
    "(00.1) pie: 5: fine",
    "spfs criu-hook: pre-restore: failed: mount a: no",
    "(00.2) Error (criu/x.c:1): Script failed",
    "(00.3) Warn  (criu/x.c:1): hm",
    "(00.4) Error (criu/y.c:2): Restoring FAILED.",
  ];
  assertEquals(reasons(log.join("\n")), [log[1]!, log[2]!, log[4]!]);
  assertEquals(reasons(log.join("\n"), 1), [log[4]!]);
});

Deno.test("--mount: a path, and what is to be mounted there; options have their commas", () => {
  assertEquals(parseDelayedMount("/mnt"), { mountpoint: "/mnt" });
  assertEquals(parseDelayedMount("/mnt,id=a,source=s:/x=y,type=nfs4,options=vers=4.2,ro,type=z"), {
    mountpoint: "/mnt",
    id: "a",
    replace: { source: "s:/x=y", type: "nfs4", options: "vers=4.2,ro,type=z" },
  });
  const refused = (text: string) => assertThrows(() => parseDelayedMount(text), UsageError).message;
  assertMatch(refused("mnt"), /begins with the mountpoint, an absolute path/);
  assertMatch(refused("/mnt,sorce=a"), /"sorce=a" is none of id=, at=, key=, source=, type=, options=/);
  assertMatch(refused("/mnt,b"), /a path with a comma needs --config/);
  assertMatch(refused("/mnt,type=a,type=b"), /type= is there twice/);
  assertMatch(refused("/mnt,options="), /options= has no value/);
});

Deno.test("--mount and --type add to a configuration, and say a mount of it anew", () => {
  const config = { mounts: [{ mountpoint: "/a" }, { mountpoint: "/b" }], types: ["nfs"], replace: { x: 1 } };
  assertEquals(withDelayed(config, [{ mountpoint: "/b", id: "b" }], ["nfs", "cifs"]), {
    mounts: [{ mountpoint: "/a" }, { mountpoint: "/b", id: "b" }],
    types: ["nfs", "cifs"],
    replace: { x: 1 },
  });
});

Deno.test("restore: what is wrong is told before anything is started", async () => {
  const images = await Deno.makeTempDir({ prefix: "spfs-images-" });
  const env = { SPFS_RUNTIME_DIR: `${images}/run` };
  const refused = async (...args: string[]) => {
    const { code, out, err } = await run(["restore", ...args], { env });
    assertEquals([code, out, [...Deno.readDirSync(images)].filter(({ name }) => name === "run")], [
      2,
      "",
      [],
    ]);
    return err;
  };
  try {
    assertMatch(await refused(), /^spfs: usage: CRIU's command is missing/);
    assertMatch(await refused("--colour", "--", "criu", "restore"), /unknown option '--colour'/);
    assertMatch(await refused("criu", "restore", "-D", images), /unknown option '-D'/);
    assertMatch(await refused("--", "criu", "restore", "-D", images), /has no images of CRIU/);
    await Deno.writeTextFile(`${images}/inventory.img`, "");
    assertMatch(
      await refused("--", "criu", "restore", "-D", images),
      /nothing is named that is to be delayed/,
    );
    assertMatch(await refused("--mount", "x", "--", "criu", "restore", "-D", images), /--mount x: /);
    const { code, err } = await run(
      ["restore", "--mount", "/m,id=a b", "--", "criu", "restore", "-D", images],
      { env },
    );
    assertEquals(code, 1);
    assertMatch(err, /config\.mounts\[0\]\.id/);
  } finally {
    await Deno.remove(images, { recursive: true });
  }
});
