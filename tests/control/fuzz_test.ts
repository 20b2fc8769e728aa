import { assert, assertEquals } from "@std/assert";
import { ControlServer } from "../../control/server.ts";
import { emptyStatus, fakeHost } from "./support/fake_host.ts";
import { connectTo } from "./support/raw_client.ts";

/** A small deterministic generator (mulberry32): numbers in 0 to 1. */
function generator(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const seeds = [
  '{"jsonrpc":"2.0","id":1,"method":"status","params":{"requests":3}}',
  '{"jsonrpc":"2.0","id":"x","method":"mount.create","params":{"id":"a","mountpoint":"/m","root":{"mode":"0700"},"size":"4096"}}',
  '{"jsonrpc":"2.0","id":2,"method":"file.create","params":{"mount":"a","entries":[{"type":"file","path":"a/b","data":{"b64":"aGk="}},' +
  '{"type":"char","path":"c","rdev":{"major":1,"minor":3},"xattrs":{"user.x":{"b64":""}}}]}}',
  '{"jsonrpc":"2.0","id":3,"method":"mount.replace","params":{"mount":"a","source":"h:/e","type":"nfs","retry":{"maxMs":5}}}',
  '{"jsonrpc":"2.0","id":4,"method":"cancel","params":{"request":3}}',
  '{"jsonrpc":"2.0","id":5,"method":"initialize","params":{"client":{"name":"f"},"protocol":{"major":1},"events":"all"}}',
  '{"jsonrpc":"2.0","id":6,"method":"mount.setMode","params":{"mount":"all","mode":"stub"}}',
];
const tokens = [
  "{",
  "}",
  "[",
  "]",
  '"',
  "\\",
  ",",
  ":",
  "null",
  "-1",
  "1e999",
  "\\ud800",
  "\n",
  "\0",
  '"__proto__":',
  "all",
  "/../",
];

/** A seed line with a few bytes changed, dropped, doubled or replaced by a token. */
function mutated(random: () => number): Uint8Array {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const bytes = [...new TextEncoder().encode(pick(seeds))];
  for (let changes = Math.floor(random() * 6); changes > 0; changes--) {
    const at = Math.floor(random() * bytes.length);
    const kind = random();
    if (kind < 0.25) bytes[at] = Math.floor(random() * 256);
    else if (kind < 0.5) bytes.splice(at, Math.floor(random() * 8));
    else if (kind < 0.75) bytes.splice(at, 0, ...new TextEncoder().encode(pick(tokens)));
    else bytes.splice(at, 0, ...bytes.slice(at, at + Math.floor(random() * 40)));
  }
  return new Uint8Array([...bytes, 0x0a]);
}

for (const seed of [1, 2, 3, 4]) {
  Deno.test(`fuzz: two thousand mutated lines (seed ${seed}) leave the channel alive and every reply typed`, async () => {
    const random = generator(seed);
    const failures: unknown[] = [];
    const server = new ControlServer(fakeHost({ status: emptyStatus }, {
      failed: (method, error) => failures.push([method, error]),
    }));
    const { client } = connectTo(server);
    await client.initialize();
    const sent = (async () => {
      for (let at = 0; at < 2000; at++) {
        const line = mutated(random);
        const cut = Math.floor(random() * line.length);
        await client.send(line.subarray(0, cut));
        await client.send(line.subarray(cut));
      }
      await client.send("\n");
      await client.request("the end", "status");
    })();
    for (let reply = await client.next(); reply.id !== "the end"; reply = await client.next()) {
      assertEquals(reply.jsonrpc, "2.0");
      assert(reply.result !== undefined || typeof reply.error.data.kind === "string", JSON.stringify(reply));
      assert(reply.error === undefined || reply.error.message.length < 1000, "a message repeats its input");
    }
    await sent;
    assertEquals(failures, []);
    await server.close(1000);
  });
}

Deno.test("fuzz: random bytes in random pieces leave the channel alive", async () => {
  const random = generator(5);
  const server = new ControlServer(fakeHost({ status: emptyStatus }));
  const { client } = connectTo(server);
  await client.initialize();
  const sent = (async () => {
    for (let at = 0; at < 500; at++) {
      await client.send(Uint8Array.from({ length: 1 + random() * 2000 }, () => random() * 256));
    }
    await client.send("\n");
    await client.request("the end", "status");
  })();
  let errors = 0;
  for (let reply = await client.next(); reply.id !== "the end"; reply = await client.next()) {
    assertEquals([reply.id, reply.error.data.kind], [null, "parse_error"]);
    errors++;
  }
  assert(errors > 100);
  await sent;
  await server.close(1000);
});
