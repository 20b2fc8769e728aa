import { assert, assertEquals } from "@std/assert";
import { highWater, maxWaitingEvents, Output } from "../../control/output.ts";
import { pair } from "./support/pipe.ts";
import { RawClient } from "./support/raw_client.ts";

/** An output whose reader holds at most four bytes, and that reader. */
function narrow(): { output: Output; reader: RawClient; broken: Promise<void> } {
  const [near, far] = pair(4);
  const broken = Promise.withResolvers<void>();
  return { output: new Output(far, broken.resolve), reader: new RawClient(near), broken: broken.promise };
}

Deno.test("output: lines arrive whole and in order through a reader that takes four bytes at a time", async () => {
  const { output, reader } = narrow();
  for (let at = 0; at < 100; at++) output.send(`${at}\n`);
  for (let at = 0; at < 100; at++) assertEquals(await reader.next(), at);
});

Deno.test("output: an unread event gives way to the next of its key, and stays before a later reply", async () => {
  const { output, reader } = narrow();
  output.send('"first reply"\n');
  await reader.end.read(new Uint8Array(1));
  output.sendEvent("parked a", '"a 1"\n');
  output.sendEvent("parked b", '"b 1"\n');
  output.send('"reply"\n');
  output.sendEvent("parked a", '"a 2"\n');
  await reader.nextLine();
  assertEquals([await reader.next(), await reader.next(), await reader.next()], ["b 1", "reply", "a 2"]);
});

Deno.test("output: events nobody reads are bounded, replies among them are kept", async () => {
  const { output, reader } = narrow();
  output.send('"head"\n');
  await reader.end.read(new Uint8Array(1));
  output.send('"reply"\n');
  for (let at = 0; at < maxWaitingEvents + 10; at++) output.sendEvent(`e ${at}`, `${at}\n`);
  await reader.nextLine();
  assertEquals(await reader.next(), "reply");
  assertEquals(await reader.next(), 10);
});

Deno.test("output: a reader that stops makes it full, one that goes on makes room", async () => {
  const { output, reader } = narrow();
  const line = `"${"x".repeat(1 << 16)}"\n`;
  let count = 0;
  await Promise.resolve();
  while (!output.isFull) {
    output.send(line);
    count++;
    assert(count < 2 * highWater / line.length);
  }
  const room = output.belowHighWater();
  for (let at = 0; at < count; at++) await reader.nextLine();
  await room;
  await output.drained();
});

Deno.test("output: a reader that is gone is told once, and nobody waits for it any more", async () => {
  const { output, reader, broken } = narrow();
  output.send("1234567890\n");
  reader.end.close();
  await broken;
  output.send("ignored\n");
  await output.drained();
  await output.belowHighWater();
});
