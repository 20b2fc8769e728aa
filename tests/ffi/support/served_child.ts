/**
 * A small file system over `ffi/mod.ts` alone, in a process of its own. What happens to a request is told by the name that is looked up;
 * see `behaviours`. Tells events as lines of JSON, and takes a word a line on stdin.
 *
 * Usage: served_child.ts MOUNTPOINT [OPTIONS as JSON]
 */
import {
  cstr,
  Errno,
  kernel,
  loadFuse,
  type MountApi,
  opcodeName,
  prepareFuseMount,
  type Request,
  Session,
  SysError,
} from "../../../ffi/mod.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../../../ffi/sys/constants.ts";
import { read } from "../../../ffi/sys/file.ts";
import { eventfd } from "../../../ffi/sys/poll.ts";
import { lines } from "../../support/fuse/wire.ts";

/** How to mount and what to serve. */
export interface ServedOptions {
  readonly api?: MountApi;
  readonly library?: string;
  readonly direct?: boolean;
  readonly mount?: {
    readonly readOnly?: boolean;
    readonly exec?: boolean;
    readonly dev?: boolean;
    readonly suid?: boolean;
  };
  /** Whether signals end a wait. */
  readonly interrupts?: "answer" | "keep" | "throw";
}

const [mountpoint, json = "{}"] = Deno.args as [string, string | undefined];
const options: ServedOptions = JSON.parse(json);
const tell = (event: string, more: Record<string, unknown> = {}) =>
  console.log(JSON.stringify({ event, ...more }));
const kept: Request[] = [];
const FILE = 2n;

function attributes(out: DataView, at: number, ino: bigint): void {
  const { set } = kernel.fuse_attr;
  set.ino(out, ino, at);
  set.mode(out, ino === 1n ? 0o040777 : 0o100644, at);
  set.nlink(out, 1, at);
  set.size(out, 5n, at);
}

function reply(request: Request, size: number, fill: (out: DataView) => void): number {
  const bytes = new Uint8Array(size);
  fill(new DataView(bytes.buffer));
  return request.replyData(bytes);
}

function entry(request: Request): number {
  return reply(request, kernel.fuse_entry_out.size, (out) => {
    kernel.fuse_entry_out.set.nodeid(out, FILE);
    attributes(out, 40, FILE);
  });
}

function attempt(action: () => void): string {
  try {
    action();
    return "nothing";
  } catch (error) {
    return (error as Error).name;
  }
}

function isThere(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}

/** What is done for a LOOKUP of these names. */
const behaviours: Record<string, (request: Request) => void> = {
  file: (request) => void entry(request),
  twice: (request) => {
    request.replyError(Errno.ENOTTY);
    const thrown = [
      attempt(() => request.replyError(Errno.EIO)),
      attempt(() => request.replyOk()),
      attempt(() => request.replyData(new Uint8Array(0))),
      attempt(() => request.detach()),
    ];
    tell("twice", { thrown, state: request.state });
  },
  "answered-then-thrown": (request) => {
    request.replyError(Errno.ENOTTY);
    throw new Error("too late");
  },
  silent: () => {},
  throws: () => {
    throw new Error("a bug");
  },
  "throws-nothing": () => {
    throw undefined;
  },
  syserror: () => {
    throw new SysError("test", Errno.EDQUOT);
  },
  "detached-then-thrown": (request) => {
    request.detach();
    throw new Error("a bug");
  },
};

function lookup(request: Request): void {
  const name = new TextDecoder().decode(request.name(40));
  const behaviour = behaviours[name];
  if (behaviour !== undefined) return behaviour(request);
  if (!name.startsWith("later")) return void request.replyError(Errno.ENOENT);
  kept.push(request.detach());
  tell("kept", { name, pid: request.pid, uid: request.uid, opcode: opcodeName(request.opcode) });
}

const handlers = new Map<number, (request: Request) => void>([
  [kernel.FUSE_LOOKUP, lookup],
  [kernel.FUSE_FORGET, (request) => request.replyNone()],
  [kernel.FUSE_BATCH_FORGET, (request) => request.replyNone()],
  [kernel.FUSE_GETATTR, (request) => {
    reply(request, kernel.fuse_attr_out.size, (out) => attributes(out, 16, request.nodeid));
  }],
  [kernel.FUSE_READ, (request) => request.replyData(new TextEncoder().encode("hello"))],
  [kernel.FUSE_TMPFILE, (request) => {
    tell("tmpfile", { viaLibfuse: request.address !== 0n });
    reply(request, kernel.fuse_entry_out.size + kernel.fuse_open_out.size, (out) => {
      kernel.fuse_entry_out.set.nodeid(out, 3n);
      attributes(out, 40, 3n);
    });
  }],
  [kernel.FUSE_STATX, (request) => {
    tell("statx", { viaLibfuse: request.address !== 0n });
    request.replyError(Errno.EREMOTEIO);
  }],
]);

const fault = (request: Request, error: unknown) => {
  tell("fault", {
    opcode: opcodeName(request.opcode),
    message: error instanceof Error ? error.message : String(error),
  });
};
const interrupt = (request: Request) => {
  tell("interrupt", { unique: String(request.unique), known: kept.includes(request) });
  if (options.interrupts === "throw") throw new Error("a bug in the hook");
  if (options.interrupts === "answer") request.replyError(Errno.EINTR);
};

using library = options.library === undefined ? loadFuse() : loadFuse([options.library]);
using mount = prepareFuseMount(
  cstr(mountpoint),
  { source: "served", subtype: "test", ...options.mount },
  options.api ?? "auto",
);
const session = new Session(mount.device.release(), {
  library,
  handlers,
  direct: options.direct ?? false,
  hooks: { fault, interrupt },
});
const identity = mount.attach();
tell("mounted", {
  version: library.version,
  soname: library.abi.soname,
  mountId: String(identity.mountId),
  minor: identity.minor,
  flags: session.init.flags,
  invalidated: await session.invalidateInode(77n, 0n, 0n),
});
const served = session.serve();
const commands: Record<string, () => unknown> = {
  answer: () => kept.splice(0).forEach(entry),
  stop: () => session.stop(),
  "busy-then-stop": () => {
    tell("busy");
    while (!isThere(`${mountpoint}.go`));
    session.stop(Errno.ENOLINK);
  },
  again: () => session.serve().then(() => "served", (error: Error) => tell("again", { name: error.name })),
};
(async () => {
  for await (const word of lines(Deno.stdin.readable)) commands[word]!();
})();
tell("ended", { how: await served, outstanding: session.outstanding.size });
session[Symbol.dispose]();
// These get the numbers that the session had; nobody may write to them.
const fresh = [1, 2, 3].map(() => eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
session.stop();
const written = fresh.filter((fd) => read(fd, new Uint8Array(8), 8) >= 0).length;
tell("disposed", { notify: await session.invalidateInode(1n, 0n, 0n), written });
Deno.exit(0);
