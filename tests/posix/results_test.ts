/** A difference that nobody has permitted is told, and so is a permission that nobody needs any more. */
import { assertEquals, assertThrows } from "@std/assert";
import { complaints, differences, parseResults } from "./support/results.ts";

const native = parseResults('a#1 open("x: y", 0): 0\na#2 f: mode 644\nb#1 read: EIO\n');
const spfs = parseResults('a#1 open("x: y", 0): 0\na#2 f: mode 600\n');

Deno.test("posix: results are compared step by step, steps that were not reached included", () => {
  assertEquals(differences(native, spfs), [
    { step: "a#2 f", native: "mode 644", spfs: "mode 600" },
    { step: "b#1 read", native: "EIO", spfs: undefined },
  ]);
  assertEquals(differences(native, native), []);
  assertThrows(() => parseResults("a#1 x: 1\na#1 x: 2\n"), Error, "not a result");
  assertThrows(() => parseResults("Segmentation fault\n"), Error, "not a result");
});

Deno.test("posix: permissions are for one file system, one step and one result, and are used or complained of", () => {
  const found = differences(native, spfs);
  const permit = (steps: RegExp, on: string, result: RegExp) => ({
    steps,
    on: [on],
    spfs: result,
    reason: "",
  });
  const rest = permit(/^b#/, "ext4", /^not reached$/);
  assertEquals(complaints(found, [permit(/^a#/, "ext4", /600/), rest], "ext4"), []);
  const told = "a#2 f: mode 644 on ext4, mode 600 through spfs";
  assertEquals(complaints(found, [rest], "ext4"), [told]);
  assertEquals(complaints(found, [permit(/^a#/, "xfs", /600/), rest], "ext4"), [told]);
  assertEquals(complaints(found, [permit(/^a#/, "ext4", /777/), rest], "ext4"), [
    told,
    "/^a#/: permitted to differ on ext4, and does not",
  ]);
});
