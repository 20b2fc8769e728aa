import { ControlError } from "../../../control/errors.ts";
import type { Handler, HostMethods, RequestContext } from "../../../control/handler.ts";
import type { Params } from "../../../control/protocol.ts";

/** A handler whose methods are the given ones; every other one fails with kind "internal". */
export function fakeHost(methods: Partial<HostMethods>, hooks: Partial<Handler> = {}): Handler {
  const missing = (method: string) => () =>
    Promise.reject(new ControlError("internal", `${method} is not faked`));
  return {
    capabilities: { faked: true },
    ...hooks,
    methods: {
      "mount.create": missing("mount.create"),
      "file.create": missing("file.create"),
      "mount.setMode": missing("mount.setMode"),
      "mount.replace": missing("mount.replace"),
      "mount.release": missing("mount.release"),
      "restore.prepare": missing("restore.prepare"),
      "restore.check": missing("restore.check"),
      "restore.block": missing("restore.block"),
      "restore.release": missing("restore.release"),
      "mount.retry": missing("mount.retry"),
      "mount.abort": missing("mount.abort"),
      "swap.plan": missing("swap.plan"),
      "swap.run": missing("swap.run"),
      "status": missing("status"),
      "quit": missing("quit"),
      ...methods,
    },
  };
}

/** A call that waits for the test to settle it. */
export interface HeldCall {
  mount: string;
  context: RequestContext;
  finish(): void;
  fail(error: unknown): void;
}

/** A `mount.setMode` that holds every call until the test lets it go, in the order of their beginning. */
export function heldSetMode(): {
  calls: HeldCall[];
  begun(count: number): Promise<void>;
  method: HostMethods["mount.setMode"];
} {
  const calls: HeldCall[] = [];
  let changed = Promise.withResolvers<void>();
  return {
    calls,
    async begun(count) {
      while (calls.length < count) await changed.promise;
    },
    method(params: Params<"mount.setMode">, context: RequestContext) {
      const { promise, resolve, reject } = Promise.withResolvers<
        Awaited<ReturnType<HostMethods["mount.setMode"]>>
      >();
      calls.push({
        mount: params.mount,
        context,
        finish: () => resolve({ mounts: [{ id: "a", mode: params.mode, previous: "restore", waited: 0 }] }),
        fail: reject,
      });
      changed.resolve();
      changed = Promise.withResolvers<void>();
      return promise;
    },
  };
}

/** A `status` with no mounts. */
export const emptyStatus: HostMethods["status"] = () =>
  Promise.resolve({
    program: { name: "spfs", version: "0" },
    pid: 1,
    uptimeMs: 1,
    memory: { rssBytes: 1 },
    mounts: [],
  });
