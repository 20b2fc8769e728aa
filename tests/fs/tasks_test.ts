/** Operations whose calls other threads make: what is told to whom, and what is kept for how long. Without a mount. */
import { assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import type { Request } from "../../ffi/fuse/request.ts";
import { type Call, call, type Step, type Steps } from "../../fs/calls.ts";
import type { Acting } from "../../fs/caller.ts";
import { Context } from "../../fs/context.ts";
import { type CallThreads, Tasks } from "../../fs/tasks.ts";
import { fakeKernel } from "./support/fake_kernel.ts";

/** A call that is being made until `done` is called, or it is taken back. */
interface Made {
  readonly call: Call;
  readonly acting: Acting;
  readonly done: (result: number) => void;
}

/** Tasks with threads that do what the test says; `busy`: a call that was not begun can be taken back. */
function scene({ busy = false } = {}) {
  const { answers, request } = fakeKernel();
  const made: Made[] = [];
  const threads: CallThreads = {
    make(call, acting, done) {
      const one = { call, acting, done };
      made.push(one);
      return () => busy && made.splice(made.indexOf(one), 1).length === 1;
    },
    collect() {},
    settle: () => Promise.resolve(),
    end() {},
  };
  const failures: unknown[] = [];
  const context = new Context(8);
  const tasks = new Tasks(context, threads, { failed: (_, error) => failures.push(error) });
  return { answers, request, made, context, tasks, failures };
}

/** Makes these calls, one after the other, and answers with the last result. */
function operation(...calls: Step[]) {
  return function* (request: Request): Steps<void> {
    let result = 0;
    for (const one of calls) result = yield one;
    if (result < 0) request.replyError(-result);
    else request.replyOk();
  };
}

Deno.test("tasks: whose calls return first is answered first, each call made as its own caller", () => {
  const { answers, request, made, context, tasks, failures } = scene();
  const acts = (fd: number) =>
    function* (request: Request): Steps<void> {
      context.actAs(request);
      yield call("fsync", fd);
      yield call("fsync", fd + 1);
      request.replyOk();
    };
  tasks.start(request(1n, { uid: 1001 }), acts(10));
  tasks.start(request(2n, { uid: 1002 }), acts(20));
  made[1]!.done(0);
  made[0]!.done(0);
  assertEquals(made.map(({ call, acting }) => [call.args[0], acting.uid]), [
    [10, 1001],
    [20, 1002],
    [21, 1002],
    [11, 1001],
  ]);
  made[2]!.done(0);
  assertEquals(answers, [[2n, 0]]);
  made[3]!.done(0);
  assertEquals(answers, [[2n, 0], [1n, 0]]);
  assertEquals(failures, []);
});

Deno.test("tasks: who is killed is answered at once; the call comes back later, is followed by no other, and answers nobody", () => {
  const { answers, request, made, tasks, failures } = scene();
  const killed = request(1n, { pid: 0 }); // of a task that /proc does not show the kernel's word is all there is
  tasks.start(killed, operation(call("fsync", 10), call("fsync", 11), call("close", 12)));
  tasks.interrupt(killed);
  assertEquals(answers, [[1n, Errno.EINTR]]);
  made[0]!.done(0);
  assertEquals(made.map(({ call }) => [call.name, ...call.args]), [["fsync", 10], ["close", 12]]);
  made[1]!.done(0);
  assertEquals([answers.length, failures], [1, []]);
});

Deno.test("tasks: a call that has not begun when its caller is killed is not made, but for a close", () => {
  const { answers, request, made, tasks } = scene({ busy: true });
  const killed = request(1n, { pid: 0 });
  tasks.start(killed, operation(call("fsync", 10)));
  tasks.interrupt(killed);
  assertEquals([answers, made], [[[1n, Errno.EINTR]], []]);
  const closes = request(2n, { pid: 0 });
  tasks.start(closes, operation(call("close", 10)));
  tasks.interrupt(closes);
  assertEquals(made.map(({ call }) => call.name), ["close"], "what is open would stay so");
});

Deno.test("tasks: a descriptor in use is closed when the last that uses it is over", () => {
  const { request, made, context, tasks } = scene();
  const uses = function* (request: Request): Steps<void> {
    context.holds.descriptor(10);
    yield call("fsync", 10);
    request.replyOk();
  };
  tasks.start(request(1n), uses);
  tasks.start(request(2n), uses);
  assertEquals([context.holds.mayClose(10), context.holds.mayClose(11)], [false, true]);
  made[0]!.done(0);
  assertEquals(made.length, 2);
  made[1]!.done(0);
  assertEquals(made.slice(2).map(({ call }) => [call.name, ...call.args]), [["close", 10]]);
});

Deno.test("tasks: attributes are where they were asked for when the operation goes on, not before", () => {
  const { request, made, context, tasks } = scene();
  const sizes: bigint[] = [];
  const asks = function* (request: Request): Steps<void> {
    yield call("statx", 3, new Uint8Array(1), 0, 0, context.attributes);
    sizes.push(context.attributes.size);
    request.replyOk();
  };
  for (const unique of [1n, 2n]) tasks.start(request(unique), asks);
  for (const [at, size] of [[0, 5n], [1, 7n]] as const) {
    const out = made[at]!.call.args[4] as typeof context.attributes;
    out.view.setBigUint64(40, size, true);
  }
  made[0]!.done(0);
  made[1]!.done(0);
  assertEquals(sizes, [5n, 7n]);
});

Deno.test("tasks: failing answers everybody, and what fails otherwise is told", async () => {
  const { answers, request, made, tasks, failures } = scene();
  tasks.start(request(1n), operation(call("fsync", 10)));
  tasks.start(request(2n), operation(call("fsync", 11)));
  assertEquals(tasks.fail(Errno.ENOTCONN), 2);
  assertEquals(answers, [[1n, Errno.ENOTCONN], [2n, Errno.ENOTCONN]]);
  tasks.start(request(3n), function* () {});
  assertEquals((failures[0] as Error).message, "the operation did not answer its request");
  for (const { done } of [...made]) done(0);
  await tasks.settle([12], 1000);
  assertEquals(made.slice(2).map(({ call }) => [call.name, ...call.args]), [["close", 12]]);
});
