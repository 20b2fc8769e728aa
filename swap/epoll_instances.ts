/**
 * Which registrations of epoll instances belong to which descriptors.
 *
 * A registration is of an open file description under the number that it had then. The instance may be open in several tables, as after
 * fork, and the number may be another file in each of them: so each registration is given to one table that has that very description
 * under that number, and is moved with it once.
 *
 * @module
 */
import { KCMP_FILE } from "../ffi/sys/constants.ts";
import { kcmp, kcmpEpollTarget } from "../ffi/sys/pidfd.ts";
import type { Table } from "./inventory.ts";
import type { EpollTarget } from "./procfs/fdinfo.ts";

/** A descriptor of an epoll instance. */
export interface EpollHolder {
  /** Whose. */
  readonly table: Table;
  /** Its number. */
  readonly fd: number;
  /** What is registered, as its fdinfo tells. */
  readonly targets: readonly EpollTarget[];
}

/**
 * Gives the registrations of collected descriptors to their tables.
 *
 * @returns those that belong to no table, each with one that has the instance
 */
export function assignRegistrations(holders: readonly EpollHolder[]): [EpollHolder, EpollTarget][] {
  const rest: [EpollHolder, EpollTarget][] = [];
  for (const instance of instancesOf(holders)) {
    const [first] = instance as [EpollHolder];
    const times = new Map<number, number>();
    for (const target of first.targets) {
      const offset = times.get(target.fd) ?? 0;
      times.set(target.fd, offset + 1);
      const holder = instance.find((one) => hasTarget(one, target.fd, offset));
      if (holder === undefined) rest.push([first, target]);
      else holder.table.registrations.push({ epoll: holder.fd, target });
    }
  }
  return rest;
}

/** Whether the description that is registered under a number, the `offset`th of these, is the one that the table has there. */
function hasTarget({ table, fd, targets }: EpollHolder, number: number, offset: number): boolean {
  if (targets.length === 0 || !table.holders.some((holder) => holder.fd === number)) return false;
  const { tid } = table.task;
  return kcmpEpollTarget(tid, number, tid, { epoll: fd, target: number, offset }) === 0;
}

/** Descriptors of one and the same instance together. */
function instancesOf(holders: readonly EpollHolder[]): EpollHolder[][] {
  // Those of one instance show the same; that few others do spares most comparisons.
  const byText = new Map<string, EpollHolder[][]>();
  for (const one of holders) {
    const key = one.targets.map(({ fd, events, data, ino }) => `${fd} ${events} ${data} ${ino}`).join();
    const candidates = byText.get(key) ?? [];
    byText.set(key, candidates);
    const same = candidates.find(([first]) =>
      kcmp(first!.table.task.tid, one.table.task.tid, KCMP_FILE, first!.fd, one.fd) === 0
    );
    if (same === undefined) candidates.push([one]);
    else same.push(one);
  }
  return [...byText.values()].flat();
}
