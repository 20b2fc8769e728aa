import { assertEquals } from "@std/assert";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../ffi/sys/constants.ts";
import { openat } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { directly } from "../../fs/calls.ts";
import { entriesOf, type NamedEntry, ResumedListing } from "../../fs/resumed_listing.ts";

const name = ({ buffer, nameEnd }: NamedEntry) => new TextDecoder().decode(buffer.subarray(0, nameEnd));

function open(names: readonly string[]): { directory: string; fd: Fd } {
  const directory = Deno.makeTempDirSync({ prefix: "spfs-listing-" });
  for (const name of names) Deno.writeTextFileSync(`${directory}/${name}`, "");
  return {
    directory,
    fd: Fd.own(check(openat(AT_FDCWD, cstr(directory), O_RDONLY | O_DIRECTORY), "openat")),
  };
}

/** Lists the old directory up to its entry `seen`, then the rest of the new one in calls of `batch` entries. */
function resume(before: string[], after: string[], seen: number, batch: number): string[] {
  const [old, fresh] = [open(before), open(after)];
  try {
    const entries = directly(entriesOf(old.fd.raw));
    const listing = new ResumedListing(entries);
    const listed = entries.slice(0, seen).map(name);
    directly(listing.load(fresh.fd.raw));
    for (let offset = entries[seen - 1]!.off;;) {
      const some = [...listing.from(offset)].slice(0, batch);
      if (some.length === 0) return listed.filter((name) => !name.startsWith(".")).sort();
      listed.push(...some.map(name));
      offset = some.at(-1)!.off;
    }
  } finally {
    for (const { directory, fd } of [old, fresh]) {
      fd.close();
      Deno.removeSync(directory, { recursive: true });
    }
  }
}

const names = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `n${String(from + index).padStart(3, "0")}`);

Deno.test("resumed listing: names in both are listed once, wherever the change came, in pieces of any size", () => {
  for (const seen of [1, 2, 7, 22]) {
    for (const batch of [1, 3, 100]) {
      assertEquals(resume(names(0, 20), names(0, 20), seen, batch), names(0, 20));
    }
  }
});

Deno.test("resumed listing: new names are listed, and those that are gone only if they were already", () => {
  assertEquals(resume(names(0, 5), names(0, 30), 4, 4), names(0, 30));
  const listed = resume(names(0, 20), names(10, 20), 10, 4);
  assertEquals(listed.filter((name) => name >= "n010"), names(10, 20));
  assertEquals(new Set(listed).size, listed.length);
});

Deno.test("resumed listing: a position that an earlier call gave leads to the same rest", () => {
  const { directory, fd } = open(names(0, 9));
  const listing = new ResumedListing([]);
  directly(listing.load(fd.raw));
  const all = [...listing.from(0n)];
  for (const [index, { off }] of all.entries()) {
    assertEquals([...listing.from(off)].map(name), all.slice(index + 1).map(name));
  }
  fd.close();
  Deno.removeSync(directory, { recursive: true });
});
