import { assertEquals } from "@std/assert";
import { pauseAfter } from "../../host/backoff.ts";

const policy = { initialMs: 100, maxMs: 10_000, factor: 2 };

Deno.test("backoff: pauses grow by the factor up to the maximum", () => {
  const pauses = [1, 2, 3, 7, 8, 9, 100, 5000].map((attempt) => pauseAfter(attempt, 0, policy));
  assertEquals(pauses, [100, 200, 400, 6400, 10_000, 10_000, 10_000, 10_000]);
});

Deno.test("backoff: a factor of one keeps the pause", () => {
  assertEquals(pauseAfter(50, 1e9, { ...policy, factor: 1 }), 100);
});

Deno.test("backoff: the last pause ends at the deadline and nothing follows it", () => {
  const limited = { ...policy, deadlineMs: 1000 };
  assertEquals(pauseAfter(3, 500, limited), 400);
  assertEquals(pauseAfter(4, 900, limited), 100);
  assertEquals(pauseAfter(5, 1000, limited), undefined);
  assertEquals(pauseAfter(5, 1500, limited), undefined);
});
