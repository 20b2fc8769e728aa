/** Mounting FUSE by either interface, and failing to. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { O_RDONLY } from "../../ffi/sys/constants.ts";
import { requires } from "../support/requirements.ts";
import { Served } from "./support/served.ts";

const skip = await requires({ fuse: true, gcc: true });

/** What failing_child.ts tells. */
async function failing(...args: string[]): Promise<{ code?: string; message?: string; left: number }> {
  const child = new URL("./support/failing_child.ts", import.meta.url).pathname;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const run = ["run", "-A", "--no-check", "--no-lock", "--config", config, child, ...args];
  const command = new Deno.Command("timeout", { args: ["-s", "KILL", "20", Deno.execPath(), ...run] });
  const { stdout, stderr } = await command.output();
  const text = new TextDecoder();
  assertEquals(text.decode(stderr), "");
  return JSON.parse(text.decode(stdout));
}

for (const api of ["auto", "fsopen", "mount"] as const) {
  Deno.test({
    name:
      `fuse mount: by ${api}: type, source and options are as asked, it serves, and unmounting it ends it`,
    ...skip,
    async fn() {
      await using served = await Served.start({ api });
      const { mountId, minor } = await served.event("mounted");
      const [id, , device, root, , options, ...rest] = (await served.mountinfo())!.split(" ") as string[];
      assertEquals([id, device, root], [mountId, `0:${minor}`, "/"]);
      assertEquals(options!.split(",").sort(), ["nodev", "nosuid", "relatime", "rw"]);
      assertMatch(
        rest.join(" "),
        / ?- fuse\.test served rw,user_id=0,group_id=0,default_permissions,allow_other$/,
      );
      const agent = served.agent();
      const fd = await agent.number("open", served.path("file"), O_RDONLY);
      assertEquals(await agent.text("read", fd, 100), "hello");
      await agent[Symbol.asyncDispose]();
      const { success } = await new Deno.Command("umount", { args: [served.mountpoint] }).output();
      assertEquals(success, true, "it is not busy");
      assertEquals((await served.event("ended")).how, "unmounted");
    },
  });

  Deno.test({
    name: `fuse mount: by ${api}: read-only, devices, set-user-ID and no programs when asked for`,
    ...skip,
    async fn() {
      await using served = await Served.start({
        api,
        mount: { readOnly: true, dev: true, suid: true, exec: false },
      });
      await served.event("mounted");
      const options = (await served.mountinfo())!.split(" ")[5]!;
      assertEquals(options.split(",").sort(), ["noexec", "relatime", "ro"]);
      assertEquals(await served.agent().errno("mkdir", served.path("d"), 0o755), "EROFS");
    },
  });

  Deno.test({
    name: `fuse mount: by ${api}: a mountpoint that is missing or no directory is told, and nothing is left`,
    ...skip,
    async fn() {
      const base = await Deno.makeTempDir({ prefix: "spfs-ffi-" });
      try {
        await Deno.writeTextFile(`${base}/file`, "");
        for (
          const [name, errno] of [["missing", "ENOENT"], [
            "file",
            api === "mount" ? "ENOTDIR" : "EINVAL",
          ]] as const
        ) {
          const told = await failing(`${base}/${name}`, api);
          assertEquals([told.code, told.left], [errno, 0]);
          assertStringIncludes(told.message!, `${base}/${name}`);
        }
        assertEquals((await Deno.readTextFile("/proc/self/mountinfo")).includes(base), false);
      } finally {
        await Deno.remove(base, { recursive: true });
      }
    },
  });

  Deno.test({
    name: `fuse mount: by ${api}: what is prepared and not attached is mounted nowhere`,
    ...skip,
    async fn() {
      const base = await Deno.makeTempDir({ prefix: "spfs-ffi-" });
      try {
        assertEquals(await failing(base, api, "abandon"), { left: 0 });
        assertEquals((await Deno.readTextFile("/proc/self/mountinfo")).includes(base), false);
      } finally {
        await new Deno.Command("umount", { args: ["-lq", base] }).output();
        await Deno.remove(base, { recursive: true });
      }
    },
  });
}

Deno.test({
  name: "fuse mount: a device that nothing is mounted on is told at once, and closed",
  ...skip,
  async fn() {
    const { code, message, left } = await failing("/", "none");
    assertEquals([code, left], ["EPERM", 0], message);
  },
});
