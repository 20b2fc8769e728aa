import { assertEquals } from "@std/assert";
import { Schedule } from "../../control/schedule.ts";

/** A schedule that notes what begins. */
function recorded() {
  const schedule = new Schedule();
  const begun: string[] = [];
  const enter = (mount: string, name: string) => schedule.enter(mount, () => begun.push(name));
  return { begun, enter };
}

Deno.test("schedule: one mount's requests begin one after the other, other mounts go on", () => {
  const { begun, enter } = recorded();
  const leave = enter("a", "a1");
  enter("a", "a2");
  enter("b", "b1");
  assertEquals(begun, ["a1", "b1"]);
  leave();
  assertEquals(begun, ["a1", "b1", "a2"]);
});

Deno.test('schedule: a request for "all" waits for those before it and holds back those after it', () => {
  const { begun, enter } = recorded();
  const leaveA = enter("a", "a1");
  const leaveB = enter("b", "b1");
  const leaveAll = enter("all", "all");
  enter("c", "c1");
  assertEquals(begun, ["a1", "b1"]);
  leaveA();
  assertEquals(begun, ["a1", "b1"]);
  leaveB();
  assertEquals(begun, ["a1", "b1", "all"]);
  leaveAll();
  assertEquals(begun, ["a1", "b1", "all", "c1"]);
});

Deno.test("schedule: a request taken out before it began never begins, and holds nobody up", () => {
  const { begun, enter } = recorded();
  const leaveFirst = enter("a", "a1");
  const leaveSecond = enter("a", "a2");
  enter("a", "a3");
  leaveSecond();
  leaveSecond();
  assertEquals(begun, ["a1"]);
  leaveFirst();
  assertEquals(begun, ["a1", "a3"]);
});

Deno.test("schedule: a request that leaves while it begins lets the next one begin", () => {
  const schedule = new Schedule();
  const begun: string[] = [];
  for (const name of ["a1", "a2", "a3"]) {
    schedule.enter("a", (leave) => {
      begun.push(name);
      leave();
    });
  }
  assertEquals(begun, ["a1", "a2", "a3"]);
});
