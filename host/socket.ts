/**
 * The control socket: a unix socket that only root and the daemon's own user can use.
 *
 * It is created with mode 0600 in a directory that nobody else can change, and besides the uid of every peer is asked of the kernel
 * (SO_PEERCRED), so that a socket that was passed on, or made accessible by hand, is still not served to others.
 *
 * @module
 */

import { dirname } from "@std/path";
import { umask } from "../ffi/sys/dir.ts";
import { lockDirectory } from "./directory_lock.ts";
import { peersOf } from "./peer_credentials.ts";
import { isDeserted } from "./repair.ts";

/** The socket cannot be listened at. */
export class SocketError extends Error {
  override readonly name = "SocketError";
  /** Whether another daemon listens there. */
  readonly inUse: boolean;

  /** Says why. */
  constructor(message: string, inUse: boolean = false) {
    super(message);
    this.inUse = inUse;
  }
}

/** A socket that is being listened at. */
export interface ControlSocket {
  /** Its path. */
  readonly path: string;
  /** Stops listening and removes the socket. Connections stay. */
  close(): void;
}

/** What a socket tells its owner. */
export interface ControlSocketHooks {
  /** A client of root or of our own user has connected. */
  connected(connection: Deno.UnixConn): void;
  /** A connection was refused, or accepting failed; listening goes on. */
  refused(reason: string): void;
}

/**
 * Listens at a path. The socket of a daemon that died is replaced; one at which somebody listens is not. Its directory is created 0700
 * when it is missing.
 *
 * @throws {SocketError} with a reason for people. @throws {SysError} when its directory cannot be locked
 */
export async function listenAt(path: string, hooks: ControlSocketHooks): Promise<ControlSocket> {
  const directory = dirname(path);
  prepareDirectory(directory);
  let listener: Deno.UnixListener;
  {
    // Of two daemons that start at a time, the second must not remove the first one's socket for a dead one's.
    using _ = await lockDirectory(directory);
    await removeDeserted(path);
    listener = listen(path);
  }
  const { ino, dev } = Deno.lstatSync(path);
  void acceptAll(listener, path, hooks);
  return {
    path,
    close() {
      listener.close();
      try {
        const now = Deno.lstatSync(path);
        if (now.ino === ino && now.dev === dev) Deno.removeSync(path);
      } catch {
        // Somebody removed it.
      }
    },
  };
}

function prepareDirectory(directory: string): void {
  try {
    Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new SocketError(`cannot make the directory ${directory}: ${(error as Error).message}`);
  }
  const { isDirectory, uid, mode } = Deno.statSync(directory);
  if (!isDirectory) throw new SocketError(`${directory} is not a directory`);
  if (uid !== Deno.uid() && uid !== 0) {
    throw new SocketError(`${directory} belongs to uid ${uid}, who could replace a socket in it`);
  }
  const bits = mode ?? 0;
  const sticky = (bits & 0o1000) !== 0;
  if ((bits & 0o022) !== 0 && !sticky) {
    throw new SocketError(`${directory} can be changed by others (mode ${(bits & 0o7777).toString(8)})`);
  }
}

async function removeDeserted(path: string): Promise<void> {
  let stat: Deno.FileInfo;
  try {
    stat = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new SocketError(`${path}: ${(error as Error).message}`);
  }
  if (!stat.isSocket) throw new SocketError(`${path} exists and is not a socket`);
  if (!await isDeserted(path)) throw new SocketError(`another spfs serves ${path}`, true);
  Deno.removeSync(path);
}

function listen(path: string): Deno.UnixListener {
  // bind(2) gives the socket its mode: it is never accessible to others, not even for a moment.
  const before = umask(0o177);
  try {
    return Deno.listen({ transport: "unix", path });
  } catch (error) {
    throw new SocketError(`cannot listen at ${path}: ${(error as Error).message}`);
  } finally {
    umask(before);
  }
}

/** Accepts one connection after the other, so that the one whose peers are asked for is the newest. */
async function acceptAll(
  listener: Deno.UnixListener,
  path: string,
  hooks: ControlSocketHooks,
): Promise<void> {
  const allowed = new Set([0, Deno.uid()]);
  for (;;) {
    let connection: Deno.UnixConn;
    try {
      connection = await listener.accept();
    } catch (error) {
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
      hooks.refused(`accepting at ${path}: ${(error as Error).message}`);
      // Out of descriptors, most likely: trying again at once would only burn time.
      await new Promise((resolve) => setTimeout(resolve, 100));
      continue;
    }
    // All earlier ones passed, so a stranger among the peers is the newest.
    const refusal = refusalOf(path, allowed);
    if (refusal === undefined) {
      hooks.connected(connection);
      continue;
    }
    connection.close();
    hooks.refused(refusal);
  }
}

/** Why the newest connection is not served, or undefined. When it cannot be told who it is, it is not. */
function refusalOf(path: string, allowed: ReadonlySet<number | null>): string | undefined {
  try {
    const stranger = peersOf(path).find(({ uid }) => !allowed.has(uid));
    return stranger && `pid ${stranger.pid} of uid ${stranger.uid} may not use ${path}`;
  } catch (error) {
    return `who connects to ${path} cannot be told: ${(error as Error).message}`;
  }
}
