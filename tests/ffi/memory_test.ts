import { assert } from "@std/assert";
import { mallocTrim } from "../../ffi/sys/memory.ts";

Deno.test("memory: what was freed in the middle of an arena goes back to the kernel", () => {
  const libc = Deno.dlopen("libc.so.6", {
    malloc: { parameters: ["usize"], result: "pointer" },
    memset: { parameters: ["pointer", "i32", "usize"], result: "pointer" },
    free: { parameters: ["pointer"], result: "void" },
  });
  const rss = () => Number(Deno.readTextFileSync("/proc/self/statm").split(" ")[1]) * 4096;
  const chunks = Array.from({ length: 2000 }, () => libc.symbols.malloc(16384n));
  for (const chunk of chunks) libc.symbols.memset(chunk, 1, 16384n);
  const last = chunks.pop()!; // keeps the arena from being cut off behind the others
  for (const chunk of chunks) libc.symbols.free(chunk);
  const before = rss();
  assert(mallocTrim());
  assert(before - rss() > 16 << 20, `${before} bytes before, ${rss()} after`);
  libc.symbols.free(last);
  libc.close();
});
