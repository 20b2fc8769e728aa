/**
 * An epoll instance, for tests of what the kernel says about one.
 *
 * @module
 */
import { Fd } from "../../../ffi/sys/fd.ts";
import { check, symbol } from "../../../ffi/sys/libc.ts";

const libc = {
  create: symbol("epoll_create1", { parameters: ["i32"], result: "i32" }),
  control: symbol("epoll_ctl", { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }),
};

/** An epoll instance of this process's, to be disposed of. */
export interface Epoll extends Disposable {
  /** Its descriptor. */
  readonly raw: number;
  /** Watches a descriptor for EPOLLIN. */
  add(fd: number): void;
}

/** Makes one, close-on-exec. @throws {SysError} as the calls fail. */
export function epoll(): Epoll {
  const fd = Fd.own(check(libc.create.call(0o2000000), "epoll_create1"));
  const event = new Uint8Array(16);
  event[0] = 1;
  return {
    raw: fd.raw,
    add: (target) => void check(libc.control.call(fd.raw, 1, target, event), "epoll_ctl"),
    [Symbol.dispose]: () => fd.close(),
  };
}
