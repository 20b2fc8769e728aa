/**
 * What the kernel has cached of the placeholder, and how it is dropped: attributes, which it may keep while files are being restored, and
 * pages of files that were read or written. Names are never cached.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import * as kernel from "../ffi/fuse/kernel.ts";
import type { Request } from "../ffi/fuse/request.ts";
import type { Session } from "../ffi/fuse/session.ts";
import { type CacheTimes, spanOf } from "./answers.ts";
import type { Gate } from "./gate.ts";
import type { Node } from "./node.ts";
import type { NodeTable } from "./nodes.ts";

/** As long as restoring takes: opening a file asks for its attributes, those of its directory, and once more for its own. */
export const WHILE_RESTORING: CacheTimes = { entry: spanOf(0), attributes: spanOf(24 * 3_600_000) };

// Under way at once. Each takes a thread of the worker's pool, of which Deno has 32, and waits for pages that we serve: the session's
// own wait for requests must never queue behind them.
const INVALIDATIONS = 8;
/** How long a page's invalidation may take before it is taken to wait for a request that is parked, in milliseconds. */
const STUCK_MS = 5;
/** After so many milliseconds it is looked again for inodes that the kernel does not know yet, or not any more. */
const AGAIN_MS = 1;
/** Requests during which the kernel keeps pages of the file locked, or its writing back stopped. */
const HOLDING_PAGES: ReadonlySet<number> = new Set([
  kernel.FUSE_READ,
  kernel.FUSE_WRITE,
  kernel.FUSE_SETATTR,
  kernel.FUSE_FALLOCATE,
  kernel.FUSE_COPY_FILE_RANGE,
]);
/** Offset of an invalidation of attributes alone. */
const NO_PAGES = -1n;

/** The kernel's caches of one mount. Single-threaded, on the mount's worker. */
export class PlaceholderCaches {
  readonly #nodes: NodeTable;
  readonly #gate: Gate;
  readonly #serve: (request: Request) => void;

  /** `serve`: serves a request that is parked at the gate as if it had come before. */
  constructor(nodes: NodeTable, gate: Gate, serve: (request: Request) => void) {
    this.#nodes = nodes;
    this.#gate = gate;
    this.#serve = serve;
  }

  /** Drops the pages of all files, having dirty ones written. */
  async dropPages(session: Session): Promise<void> {
    const cached = [...this.#nodes.all()].filter((node) => node.cached);
    await inParallel(cached, async (node) => {
      while (await this.#dropPagesOf(node, session)); // again, since pages may have come meanwhile
    });
  }

  /**
   * Drops the attributes of inodes, all of them by default. What is answered by now must not be cached any more. The kernel does not know
   * an inode yet whose answer nobody has taken, and will keep what that says; so it is asked until somebody has, or the inode is forgotten.
   */
  async dropAttributes(session: Session, nodes: Iterable<Node> = this.#nodes.all()): Promise<void> {
    for (let left = [...nodes]; left.length > 0;) {
      const unknown = left.filter((node) =>
        !node.cached && invalidateAttributes(session, node) === -Errno.ENOENT
      );
      await inParallel(left.filter((node) => node.cached), async (node) => {
        if (await invalidate(session, node, NO_PAGES) === -Errno.ENOENT) unknown.push(node);
      });
      if (unknown.length > 0) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      left = unknown.filter((node) => this.#nodes.get(node.nodeid) === node);
    }
  }

  /**
   * Drops the pages of one file. The kernel waits for each page that a request holds; a request that is parked would hold it for ever.
   * Such a request came before the change of mode has ended, so it is served as if it had come before it began.
   *
   * @returns whether one was, and new pages may be there.
   */
  async #dropPagesOf(node: Node, session: Session): Promise<boolean> {
    const holdsPages = (request: Request) =>
      request.nodeNumber === node.nodeid && HOLDING_PAGES.has(request.opcode);
    let served = 0;
    let over = false;
    const look = () => {
      // Deno 2.6.8 may call it once more when it has been cleared: what is served then is read from the placeholder, and nobody drops it.
      if (!over) served += this.#gate.let(holdsPages, this.#serve);
    };
    const timer = setInterval(look, STUCK_MS);
    try {
      await invalidate(session, node, 0n);
    } finally {
      over = true;
      clearInterval(timer);
    }
    return served > 0;
  }
}

/** Returns 0 or -errno: ENOENT when the kernel does not know the inode, ENODEV when the session has ended. @throws {SysError} */
async function invalidate(session: Session, { nodeid }: Node, offset: bigint): Promise<number> {
  return expected(await session.invalidateInode(BigInt(nodeid), offset, 0n));
}

/** The same for the attributes of an inode without pages. */
function invalidateAttributes(session: Session, { nodeid }: Node): number {
  return expected(session.invalidateAttributes(BigInt(nodeid)));
}

function expected(result: number): number {
  if (result >= 0 || result === -Errno.ENOENT || result === -Errno.ENODEV) return result;
  throw new SysError("notify_inval_inode", -result);
}

async function inParallel(nodes: readonly Node[], act: (node: Node) => Promise<void>): Promise<void> {
  const queue = [...nodes];
  const work = async () => {
    for (let node: Node | undefined; (node = queue.pop()) !== undefined;) await act(node);
  };
  await Promise.all(Array.from({ length: Math.min(INVALIDATIONS, queue.length) }, work));
}
