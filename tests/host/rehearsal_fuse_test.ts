import { assertEquals } from "@std/assert";
import { rehearse } from "../../host/rehearsal.ts";
import { requires } from "../support/requirements.ts";

const root = await requires({ root: true });

Deno.test({
  name: "rehearsal: loads what reads images, fills a placeholder, and leaves no descriptor behind",
  ...root,
  async fn() {
    const open = () => [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => name).sort();
    await rehearse(() => false); // what is opened once and for all
    const before = open();
    assertEquals(await rehearse(() => false), 2);
    assertEquals(open(), before);
  },
});

Deno.test("rehearsal: is over with the first message", async () => {
  for (const messageAt of [0, 1]) {
    let step = 0;
    assertEquals(await rehearse(() => step++ === messageAt), messageAt);
  }
});
