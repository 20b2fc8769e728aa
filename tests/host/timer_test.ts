import { assertEquals } from "@std/assert";
import { after, every } from "../../host/timer.ts";
import { firingClearedTimers } from "./support/late_timers.ts";

const turn = () => new Promise((resolve) => setTimeout(resolve, 2));

Deno.test("timer: one that is cancelled does not act, whatever the runtime makes of that", async () => {
  await firingClearedTimers(async () => {
    let acted = 0;
    after(0, () => acted++).cancel();
    every(0, () => acted++).cancel();
    const own = every(0, () => {
      acted += 10;
      own.cancel();
    });
    await turn();
    await turn();
    assertEquals(acted, 10);
  });
});

Deno.test("timer: acts once, or again and again until it is cancelled", async () => {
  let [once, often] = [0, 0];
  after(0, () => once++);
  const { promise, resolve } = Promise.withResolvers<void>();
  const again = every(1, () => ++often === 3 && resolve());
  await promise;
  again.cancel();
  await turn();
  assertEquals([once, often], [1, 3]);
});

Deno.test("timer: the daemon and the commands stop timers by it alone", () => {
  const root = new URL("../../", import.meta.url).pathname;
  const stops = (path: string) => /\bclear(Timeout|Interval)\(/.test(Deno.readTextFileSync(path));
  const files = ["host", "cli"].flatMap((folder) =>
    [...Deno.readDirSync(root + folder)].map(({ name }) => `${folder}/${name}`)
  );
  assertEquals(files.filter((file) => file.endsWith(".ts") && stops(root + file)), []);
});
