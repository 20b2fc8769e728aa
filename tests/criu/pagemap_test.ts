import { assertEquals, assertThrows } from "@std/assert";
import { ImageError, readImagePages } from "../../criu/mod.ts";
import { concat, image, imagesOf, magics, memorySource, type Message } from "./support/made_images.ts";

const PAGE = 4096;

function read(pages: readonly Message[]) {
  return readImagePages(
    memorySource(imagesOf({ processes: [{ pid: 5, cwd: 1, root: 1, exe: 1, pages }] })),
    5,
  );
}

/** The pieces of a range, in pages. */
function split(pages: readonly Message[], start: number, end: number) {
  const pieces: [number, number, boolean][] = [];
  read(pages).split(start * PAGE, end * PAGE, (start, end, isThere) => {
    pieces.push([start / PAGE, end / PAGE, isThere]);
  });
  return pieces;
}

/** Pages from 10 to 12, of which CRIU's fields say how they are there, and from 15 to 16. */
const entries = [
  { 1: 10 * PAGE, 2: 1, 4: 4 },
  { 1: 11 * PAGE, 2: 0, 4: 1, 5: 1 },
  { 1: 15 * PAGE, 2: 1, 3: 1 },
];

Deno.test("pagemap: a range is told apart by what the images have, in this dump or in one before it", () => {
  assertEquals(split(entries, 9, 18), [[9, 10, false], [10, 12, true], [12, 15, false], [15, 16, true], [
    16,
    18,
    false,
  ]]);
  assertEquals(split(entries, 10, 12), [[10, 12, true]]);
  assertEquals(split(entries, 11, 13), [[11, 12, true], [12, 13, false]]);
  assertEquals(split(entries, 12, 15), [[12, 15, false]]);
  assertEquals(split(entries, 16, 17), [[16, 17, false]]);
  assertEquals(split(entries, 1, 2), [[1, 2, false]]);
  assertEquals(split([], 1, 2), [[1, 2, false]]);
});

Deno.test("pagemap: where CRIU has put the number of pages does not matter, nor how high they are", () => {
  const high = 0x7fff_ffff_e000;
  assertEquals(split([{ 1: BigInt(high), 2: 0, 5: 2n }], high / PAGE, high / PAGE + 2), [[
    high / PAGE,
    high / PAGE + 2,
    true,
  ]]);
  assertEquals(split([{ 1: PAGE, 2: 1, 5: 3 }], 1, 5), [[1, 4, true], [4, 5, false]]);
});

Deno.test("pagemap: what is missing, cut off, out of order or out of the address space is refused by file and offset", () => {
  const refused = (files: Map<string, Uint8Array>, words: string) => {
    const { message } = assertThrows(() => readImagePages(memorySource(files), 5), ImageError);
    assertEquals(message.slice(0, words.length), words);
  };
  const made = (...all: (Message | Uint8Array)[]) => new Map([["pagemap-5.img", image(magics.pagemap, all)]]);
  const head = { 1: 1 };
  refused(new Map(), "pagemap-5.img: missing");
  refused(made(), "pagemap-5.img: cut off before its first entry");
  refused(
    new Map([["pagemap-5.img", image(magics.mm, [])]]),
    "pagemap-5.img at offset 4: no pagemap image of CRIU",
  );
  refused(made(head, { 2: 1 }), "pagemap-5.img at offset 18: an entry without an address");
  refused(made(head, { 1: PAGE }), "pagemap-5.img at offset 18: an entry without a number of pages");
  refused(made(head, { 1: 5, 2: 1 }), "pagemap-5.img at offset 18: pages at 5-1005, where none can be");
  refused(
    made(head, { 1: 8 * PAGE, 2: 2 }, { 1: 9 * PAGE, 2: 1 }),
    "pagemap-5.img at offset 28: pages at 9000-a000",
  );
  refused(made(head, { 1: PAGE, 5: (1n << 64n) - 1n }), "pagemap-5.img at offset 18: pages at 1000-");
  refused(made(head, new Uint8Array([0x0b])), "pagemap-5.img at offset 18: a field is a group");
  const cut = concat([image(magics.pagemap, [head]), new Uint8Array([255, 255, 255, 127])]);
  refused(new Map([["pagemap-5.img", cut]]), "pagemap-5.img at offset 14: an entry of 2147483647 bytes");
});
