import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { capture } from "../../tools/command.ts";
import { libfusePaths } from "../../tools/libfuse.ts";
import { withoutC23 } from "../../tools/older_libc.ts";
import { requires } from "../support/requirements.ts";

Deno.test({
  name: "older libc: a libfuse3.so.4 made so asks for nothing of C23, and loads",
  ...await requires({ libfuse: "libfuse3.so.4", programs: ["readelf"] }),
  async fn() {
    const original = await Deno.readFile((await libfusePaths())["libfuse3.so.4"]!.library);
    const copy = withoutC23(original);
    assertEquals(copy.length, original.length);
    const path = await Deno.makeTempFile({ prefix: "spfs-", suffix: ".so" });
    try {
      await Deno.writeFile(path, copy);
      const library = Deno.dlopen(path, { fuse_pkgversion: { parameters: [], result: "pointer" } });
      const version = new Deno.UnsafePointerView(library.symbols.fuse_pkgversion()!).getCString();
      library.close();
      assert(/^3\.(1[7-9]|[2-9]\d)/.test(version), version);
      const { stdout } = await capture("readelf", ["-W", "--dyn-syms", path]);
      assert(!stdout.includes("__isoc23_"));
      assertStringIncludes(stdout, "strtoul@GLIBC_2.");
      assertEquals(withoutC23(copy), copy, "a second time changes nothing");
    } finally {
      await Deno.remove(path);
    }
  },
});

Deno.test("older libc: what is no library of this kind is refused", () => {
  assertThrows(() => withoutC23(new Uint8Array(100)), Error, "not a 64-bit");
  assertThrows(() => withoutC23(new TextEncoder().encode("\x7fELF")), Error, "not a 64-bit");
  const empty = new Uint8Array(64);
  empty.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  assertThrows(() => withoutC23(empty), Error, "no section");
});
