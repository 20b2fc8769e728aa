/** The example in the documentation of `ffi/mod.ts` is a file system that works. */
import { assertEquals, assertMatch } from "@std/assert";
import { O_RDONLY } from "../../ffi/sys/constants.ts";
import { requires } from "../support/requirements.ts";
import { Served } from "./support/served.ts";

const module = new URL("../../ffi/mod.ts", import.meta.url);

/** The first fenced block of the module's own comment. */
function example(): string {
  const comment = Deno.readTextFileSync(module).split("\n").filter((line) => line.startsWith(" * ")).map((
    line,
  ) => line.slice(3));
  const start = comment.indexOf("```ts");
  const end = comment.indexOf("```", start + 1);
  return comment.slice(start + 1, end).join("\n");
}

Deno.test("example: it takes about 40 lines", () => {
  const lines = example().split("\n").length;
  assertEquals(lines >= 20 && lines <= 50, true, `${lines} lines`);
});

Deno.test({
  name: "example: it serves its file until somebody unmounts it",
  ...await requires({ fuse: true, gcc: true }),
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "spfs-example-" });
    try {
      const code = example().replaceAll(`"@spfs/spfs/ffi"`, JSON.stringify(module.href));
      await Deno.writeTextFile(
        `${directory}/hello.ts`,
        `${code}\nconsole.log(JSON.stringify({ event: "started" }));\nawait serve(Deno.args[0]!);\nconsole.log(JSON.stringify({ event: "ended" }));\n`,
      );
      await using served = await Served.run(`${directory}/hello.ts`);
      await served.event("started");
      await served.mounted();
      const agent = served.agent();
      const fd = await agent.number("open", served.path("hello"), O_RDONLY);
      assertEquals(await agent.text("read", fd, 100), "hello, world\n");
      assertEquals(await agent.text("pread", fd, 5, 7), "world");
      const { size, mode } = await agent.stat("stat", served.path("hello"));
      assertEquals([size, mode], [13, "100644"]);
      assertEquals(await agent.errno("stat", served.path("none")), "ENOENT");
      assertEquals(
        await agent.errno("open", served.path("hello"), 1),
        "0",
        "nobody said that it is read-only",
      );
      await agent[Symbol.asyncDispose]();
      await served.unmount();
      await served.event("ended");
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test("example: it names what it imports by the package's name", () => {
  assertMatch(example(), /from "@spfs\/spfs\/ffi"/);
});
