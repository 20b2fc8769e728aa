/** When a mount gives memory back. */
import { assertEquals } from "@std/assert";
import { MemoryReturn } from "../../host/memory_return.ts";

/** A mount, and what it has been waiting for. */
function mount() {
  const state = { served: 0, trimmed: 0, waiting: [] as (() => void)[] };
  const memory = new MemoryReturn(
    () => state.served,
    () => state.trimmed++,
    (act) => {
      state.waiting.push(act);
      return () => state.waiting.splice(state.waiting.indexOf(act), 1);
    },
  );
  return { state, memory, pass: () => state.waiting.shift()!() };
}

Deno.test("memory: is given back when nobody has asked for anything for a while, and twice more as it becomes free", () => {
  const { state, memory, pass } = mount();
  memory.active();
  assertEquals(state.waiting.length, 0, "nothing was served yet");
  state.served = 5;
  for (let n = 0; n < 3; n++) memory.active();
  assertEquals(state.waiting.length, 1);
  for (let n = 0; n < 3; n++) pass();
  assertEquals([state.trimmed, state.waiting.length], [3, 0]);
  memory.active();
  assertEquals(state.waiting.length, 0, "nothing was served since");
});

Deno.test("memory: a mount that is used is left alone", () => {
  const { state, memory, pass } = mount();
  state.served = 5;
  memory.active();
  state.served = 6;
  pass();
  assertEquals([state.trimmed, state.waiting.length], [0, 1]);
  for (let n = 0; n < 3; n++) pass();
  assertEquals([state.trimmed, state.waiting.length], [3, 0]);
});

Deno.test("memory: when the mount has ended nothing is waited for", () => {
  const { state, memory } = mount();
  state.served = 1;
  memory.active();
  memory[Symbol.dispose]();
  assertEquals(state.waiting, []);
});
