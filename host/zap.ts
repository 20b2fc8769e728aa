/**
 * Taking the placeholder's pages out of private mappings. CRIU makes a private mapping that was locked into memory writable and locked at once; the
 * kernel then fills it by breaking copy-on-write (mm/gup.c, populate_vma_page_range), so that every page becomes a copy of what the placeholder
 * holds. CRIU puts the pages that it has in its images over them, as it does in children that have inherited the mapping. The others were the
 * file's at dump, and would stay the placeholder's for ever: dropping the pages of a file does not reach copies of them.
 *
 * While the tree stands still at the end of a restore, pages that the images have are saved, the kernel is made to let go of all pages of the file
 * (fs/zap.ts), and what was saved is put back. The rest is absent then, as in a mapping that nobody has looked at yet. A process of its own does
 * that: it waits for answers of the mounts, and a daemon that did could not be killed.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { encodeBytes } from "../control/values.ts";
import { lockedMappingsBelow } from "./locked_mappings.ts";
import type { ManagedMount } from "./managed_mount.ts";
import { ownProgram } from "./own_program.ts";
import type { ZapMount, ZapOrder, Zapped, ZapReply } from "./zap_messages.ts";

/**
 * Has a restored tree that stands still keep nothing of the placeholders in locked private mappings, nor in what was inherited from them.
 *
 * @param init the tree's first process
 * @param mounts stand-ins in restore mode
 * @returns what was done; undefined when the tree has no locked private mapping of their files
 * @throws {ControlError} naming mount, process and file: `wrong_mode` for a stand-in that was not made of images, which is where it says what a
 * process has written; `busy` when somebody else would lose pages; `system`. `bad_images` naming the image. The tree must not run after that: it
 * may have lost pages.
 */
export async function zapLocked(init: number, mounts: readonly ManagedMount[]): Promise<Zapped | undefined> {
  const deviceOf = ({ identity: { major, minor } }: ManagedMount) => `${major}:${minor}`;
  const found = lockedMappingsBelow(init, new Set(mounts.map(deviceOf)));
  if (found.length === 0) return undefined;
  const concerned = mounts.filter((mount) => found.some(({ device }) => device === deviceOf(mount)));
  const order = concerned.map((mount): ZapMount => {
    const { id, identity: { major, minor }, params: { images } } = mount;
    if (images !== undefined) return { id, major, minor, images: encodeBytes(images.directory) };
    const own = found.filter(({ device }) => device === deviceOf(mount));
    const more = own.length > 1 ? ` (and ${own.length - 1} more)` : "";
    const message =
      `mount ${id}: process ${own[0]!.pid} has a locked private mapping of ${own[0]!.path}${more}, ` +
      "whose pages cannot be taken from the real file later: which of them it has written is in CRIU's images, of which the mount was not made";
    throw new ControlError("wrong_mode", message, { mount: id });
  });
  return await zap({ init, mounts: order }, concerned);
}

async function zap(order: ZapOrder, mounts: readonly ManagedMount[]): Promise<Zapped> {
  const [program, ...args] = ownProgram("zap", import.meta.resolve("./zap_entry.ts"));
  const child = new Deno.Command(program, { args, cwd: "/", stdin: "piped", stdout: "piped" }).spawn();
  try {
    await Promise.all(mounts.map(({ handle }) => handle.call("zap", { by: child.pid })));
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(order)));
    await writer.close();
    const text = await new Response(child.stdout).text();
    const { code, signal } = await child.status;
    if (text === "") {
      throw new ControlError("internal", `the process that zaps ended with ${signal ?? `exit code ${code}`}`);
    }
    const reply: ZapReply = JSON.parse(text);
    if ("done" in reply) return reply.done;
    const { kind, message, data } = reply.error;
    throw new ControlError(kind, message, data);
  } catch (error) {
    end(child);
    throw error;
  } finally {
    await Promise.allSettled(mounts.map(({ handle }) => handle.call("zap", {})));
  }
}

/** It may wait for what never comes, and is not waited for. */
function end(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
  child.unref();
}
