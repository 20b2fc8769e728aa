import { assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import { Gate } from "../../fs/gate.ts";
import { fakeKernel } from "./support/fake_kernel.ts";

Deno.test("gate: what waits is served oldest first on release, once each", async () => {
  const kernel = fakeKernel();
  const served: bigint[] = [];
  const gate = new Gate({
    serve: (request) => {
      served.push(request.unique);
      request.replyOk();
    },
  }, "any");
  for (const unique of [5n, 3n, 9n]) gate.park(kernel.request(unique));
  assertEquals(gate.size, 3);
  assertEquals(await gate.release(), 3);
  assertEquals(served, [5n, 3n, 9n]);
  assertEquals(gate.size, 0);
  assertEquals(kernel.outstanding.size, 0);
  assertEquals(await gate.release(), 0);
});

Deno.test("gate: an interrupt without a pending signal ends no wait; the signal that comes later does", async () => {
  const kernel = fakeKernel();
  let pending = false;
  let asked = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const gate = new Gate({
    serve: () => {},
    changed: () => gate.size === 0 && resolve(),
    waitEnded: () => (asked++, pending),
  }, "any");
  const request = kernel.request(7n);
  gate.park(request);
  gate.interrupt(request);
  assertEquals(kernel.answers, []);
  assertEquals([...gate.parked()].map((parked) => parked.interrupted), [true]);
  pending = true; // SIGKILL now: the kernel will not tell again
  await promise;
  assertEquals(kernel.answers, [[7n, Errno.EINTR]]);
  assertEquals(asked >= 2, true);
  gate.close();
});

Deno.test("gate: an interrupt with a pending signal answers EINTR at once, others go on waiting", () => {
  const kernel = fakeKernel();
  const gate = new Gate({ serve: () => {}, waitEnded: (tid) => tid === 42 }, "any");
  const first = kernel.request(1n, { pid: 42 });
  const second = kernel.request(2n, { pid: 43 });
  gate.park(first);
  gate.park(second);
  gate.interrupt(first);
  assertEquals(kernel.answers, [[1n, Errno.EINTR]]);
  assertEquals(gate.size, 1);
  gate.interrupt(first); // stale: it has been answered
  assertEquals(kernel.answers.length, 1);
  gate.close();
});

Deno.test("gate: failing answers everything with the errno, and a later release finds nothing", async () => {
  const kernel = fakeKernel();
  const gate = new Gate({ serve: () => {} }, "any");
  for (const unique of [1n, 2n]) gate.park(kernel.request(unique));
  assertEquals(gate.fail(Errno.ESTALE), 2);
  assertEquals(kernel.answers, [[1n, Errno.ESTALE], [2n, Errno.ESTALE]]);
  assertEquals(await gate.release(), 0);
});

Deno.test("gate: a request interrupted while a release is under way is not served any more", async () => {
  const kernel = fakeKernel();
  const served: bigint[] = [];
  const second = kernel.request(2n);
  const gate = new Gate({
    serve: (request) => {
      served.push(request.unique);
      gate.interrupt(second);
      request.replyOk();
    },
    waitEnded: () => true,
  }, "any");
  gate.park(kernel.request(1n));
  gate.park(second);
  assertEquals(await gate.release(), 1);
  assertEquals(served, [1n]);
  assertEquals(kernel.answers, [[2n, Errno.EINTR], [1n, 0]]);
});
