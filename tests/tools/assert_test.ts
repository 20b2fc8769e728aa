import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotMatch,
  assertNotStrictEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
  unreachable,
} from "@std/assert";

/** Each assertion with what it accepts and what it refuses. Checked without the assertions themselves. */
const cases: Record<string, { accepts: (() => void)[]; refuses: (() => void)[] }> = {
  assert: { accepts: [() => assert(1)], refuses: [() => assert(0, "zero"), () => assert("")] },
  assertFalse: { accepts: [() => assertFalse(0)], refuses: [() => assertFalse(1)] },
  assertEquals: {
    accepts: [
      () => assertEquals({ a: [1n, new Uint8Array([1])] }, { a: [1n, new Uint8Array([1])] }),
      () => assertEquals(NaN, NaN),
      () => assertEquals(new Map([["a", new Set([1])]]), new Map([["a", new Set([1])]])),
    ],
    refuses: [
      () => assertEquals<unknown>(1, "1"),
      () => assertEquals<unknown>(1, 1n),
      () => assertEquals<unknown>({ a: 1 }, { a: 1, b: undefined }),
      () => assertEquals(new Uint8Array([1]), new Uint8Array([2])),
      () => assertEquals([1, 2], [2, 1]),
    ],
  },
  assertNotEquals: {
    accepts: [() => assertNotEquals<unknown>(1, "1"), () => assertNotEquals([1], [2])],
    refuses: [() => assertNotEquals([1], [1]), () => assertNotEquals(1, 1)],
  },
  assertStrictEquals: {
    accepts: [() => assertStrictEquals(1, 1)],
    refuses: [() => assertStrictEquals([1], [1])],
  },
  assertNotStrictEquals: {
    accepts: [() => assertNotStrictEquals([1], [1])],
    refuses: [() => assertNotStrictEquals(1, 1)],
  },
  assertExists: {
    accepts: [() => assertExists(0)],
    refuses: [() => assertExists(null), () => assertExists(undefined)],
  },
  assertInstanceOf: {
    accepts: [() => assertInstanceOf(new TypeError(), Error)],
    refuses: [() => assertInstanceOf(new Error(), TypeError), () => assertInstanceOf(null, Error)],
  },
  assertStringIncludes: {
    accepts: [() => assertStringIncludes("abc", "b")],
    refuses: [() => assertStringIncludes("abc", "d")],
  },
  assertArrayIncludes: {
    accepts: [() => assertArrayIncludes([{ a: 1 }, { b: 2 }], [{ b: 2 }])],
    refuses: [() => assertArrayIncludes([{ a: 1 }], [{ a: 2 }])],
  },
  assertObjectMatch: {
    accepts: [() => assertObjectMatch({ a: 1, b: { c: 2, d: 3 } }, { b: { c: 2 } })],
    refuses: [() => assertObjectMatch({ a: 1 }, { a: 2 }), () => assertObjectMatch({}, { a: undefined })],
  },
  assertMatch: { accepts: [() => assertMatch("abc", /b/)], refuses: [() => assertMatch("abc", /d/)] },
  assertNotMatch: {
    accepts: [() => assertNotMatch("abc", /d/)],
    refuses: [() => assertNotMatch("abc", /b/)],
  },
  assertGreater: { accepts: [() => assertGreater(2n, 1n)], refuses: [() => assertGreater(1, 1)] },
  assertGreaterOrEqual: {
    accepts: [() => assertGreaterOrEqual(1, 1)],
    refuses: [() => assertGreaterOrEqual(1, 2)],
  },
  assertLess: { accepts: [() => assertLess(1, 2)], refuses: [() => assertLess(1, 1)] },
  assertLessOrEqual: { accepts: [() => assertLessOrEqual(1, 1)], refuses: [() => assertLessOrEqual(2, 1)] },
  assertAlmostEquals: {
    accepts: [() => assertAlmostEquals(1, 1 + 1e-9), () => assertAlmostEquals(1, 2, 1)],
    refuses: [() => assertAlmostEquals(1, 1.1), () => assertAlmostEquals(NaN, 1)],
  },
  assertThrows: {
    accepts: [
      () =>
        void assertThrows(
          () => {
            throw new TypeError("of this kind");
          },
          TypeError,
          "this",
        ),
    ],
    refuses: [
      () => void assertThrows(() => {}),
      () =>
        void assertThrows(() => {
          throw new Error("x");
        }, TypeError),
      () =>
        void assertThrows(
          () => {
            throw new TypeError("x");
          },
          TypeError,
          "y",
        ),
    ],
  },
  "fail and unreachable": { accepts: [], refuses: [() => fail(), () => unreachable("here")] },
};

function refusal(check: () => void): unknown {
  try {
    check();
  } catch (error) {
    return error;
  }
  return undefined;
}

for (const [name, { accepts, refuses }] of Object.entries(cases)) {
  Deno.test(`assertions: ${name}`, () => {
    for (const check of accepts) check();
    for (const check of refuses) {
      if (!(refusal(check) instanceof AssertionError)) throw new Error(`not refused: ${check}`);
    }
  });
}

Deno.test("assertions: assertRejects", async () => {
  const reason = new TypeError("of this kind");
  if (await assertRejects(() => Promise.reject(reason), TypeError, "this") !== reason) {
    throw new Error("another reason");
  }
  const refused = [
    () => assertRejects(() => Promise.resolve()),
    () => assertRejects(() => Promise.reject(new Error("x")), TypeError),
    () => assertRejects(() => Promise.reject(new TypeError("x")), TypeError, "y"),
    () =>
      assertRejects(() => {
        throw new Error("at once");
      }),
  ];
  for (const check of refused) {
    const error = await check().then(() => undefined, (error) => error);
    if (!(error instanceof AssertionError)) throw new Error(`not refused: ${check}`);
  }
});

Deno.test("assertions: the message given and both values are in the error", () => {
  const error = refusal(() => assertEquals(["apple"], ["pear"], "which fruit")) as Error;
  for (const part of ["which fruit", "apple", "pear"]) {
    if (!error.message.includes(part)) throw new Error(`${part} is not in: ${error.message}`);
  }
});
