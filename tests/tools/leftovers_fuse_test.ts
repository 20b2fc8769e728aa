/** Leftovers that only root can leave. */
import { assertEquals } from "@std/assert";
import { leftLoopDevices, leftMounts } from "../../tools/leftovers.ts";
import { runTests } from "../../tools/test_process.ts";
import { requires } from "../support/requirements.ts";

Deno.test({
  name: "leftovers: mounts and loop devices that tests leave are failures, and taken away",
  ...await requires({ root: true, loop: true }),
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "spfs-left-" });
    try {
      await Deno.writeTextFile(
        `${folder}/some_test.ts`,
        `const run = (command, args) => {
           const { success, stdout, stderr } = new Deno.Command(command, { args }).outputSync();
           if (!success) throw new Error(new TextDecoder().decode(stderr));
           return new TextDecoder().decode(stdout).trim();
         };
         Deno.test("leaves", () => {
           const folder = Deno.makeTempDirSync();
           Deno.mkdirSync(folder + "/a b");
           run("mount", ["-t", "tmpfs", "none", folder + "/a b"]);
           Deno.mkdirSync(folder + "/a b/in");
           run("mount", ["-t", "tmpfs", "none", folder + "/a b/in"]);
           Deno.writeFileSync(folder + "/image", new Uint8Array(1 << 20));
           console.log("=" + folder + "=" + run("losetup", ["--find", "--show", folder + "/image"]) + "=");
         });`,
      );
      const args = ["--no-config", "--no-lock", `${folder}/some_test.ts`];
      const { report, output } = await runTests({ name: "some tests", args, timeoutMs: 30_000 });
      const [, path, device] = /=(.+)=(.+)=/.exec(output)!;
      assertEquals(report.passed, 1);
      assertEquals(report.failed.map(({ name }) => name), ["leaves nothing behind"]);
      assertEquals(report.failed[0]!.message.split("\n"), [
        `mount ${path}/a b/in (tmpfs)`,
        `mount ${path}/a b (tmpfs)`,
        `loop device ${device}`,
      ]);
      assertEquals([leftMounts(path!), leftLoopDevices(path!)], [[], []]);
      assertEquals(await Deno.stat(path!).catch(() => "gone"), "gone");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
