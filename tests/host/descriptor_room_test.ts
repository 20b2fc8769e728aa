/** Room for descriptors is made before it is needed. */
import { assertEquals } from "@std/assert";

async function room(soft: number, hard: number): Promise<unknown> {
  const child = new URL("./support/descriptor_room_child.ts", import.meta.url).pathname;
  const { stdout } = await new Deno.Command("timeout", {
    args: ["60", Deno.execPath(), "run", "--no-check", "-A", child, String(soft), String(hard)],
    stdout: "piped",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("descriptor room: the limit is raised, and the table is there for thousands of files", async () => {
  assertEquals(await room(1024, 20_000), [true, "20000", 8192]);
});

Deno.test("descriptor room: no more than the limit allows", async () => {
  assertEquals(await room(1024, 2048), [true, "2048", 2048]);
});
