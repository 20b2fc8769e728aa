/**
 * Which descriptors are for the same open file description. Comparing every pair would take too long, so they are sorted by what they
 * show, and those that show the same by the order that kcmp(2) gives them.
 *
 * @module
 */
import { KCMP_FILE, O_CLOEXEC } from "../ffi/sys/constants.ts";
import { kcmp } from "../ffi/sys/pidfd.ts";
import type { Description, Holder, Place } from "./inventory.ts";
import type { FdInfo } from "./procfs/fdinfo.ts";

/** The open file descriptions of stopped processes. */
export class DescriptionTable {
  /** All of them, in the order in which they were found. */
  readonly all: Description[] = [];
  /** By what all descriptors of one description have in common; others may have it as well. */
  readonly #alike = new Map<string, Description[]>();

  /** The description that a descriptor is for, which gets one more holder: one that is known, or a new one. */
  add(holder: Holder, info: FdInfo, place: Place | undefined): Description {
    const flags = info.flags & ~O_CLOEXEC;
    // Not a stub's inode number: it changes when somebody who is not stopped has the kernel ask for attributes (inode.ts).
    const file = place === undefined ? info.ino : String.fromCharCode(...place.path);
    const key = `${info.mountId} ${flags} ${info.pos} ${file}`;
    let alike = this.#alike.get(key);
    if (alike === undefined) this.#alike.set(key, alike = []);
    let low = 0;
    for (let high = alike.length; low < high;) {
      const middle = (low + high) >> 1;
      const other = alike[middle]!.holders[0]!;
      const order = kcmp(holder.table.task.tid, other.table.task.tid, KCMP_FILE, holder.fd, other.fd);
      if (order === 0) {
        alike[middle]!.holders.push(holder);
        return alike[middle]!;
      }
      if (order === 1) high = middle;
      else low = middle + 1;
    }
    const { pos: position, inotify: watches } = info;
    const description: Description = { place, flags, position, watches, holders: [holder] };
    alike.splice(low, 0, description);
    this.all.push(description);
    return description;
  }
}
