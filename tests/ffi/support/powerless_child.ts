/**
 * A process without CAP_SETUID and CAP_SETGID that tries to become somebody else.
 *
 * @module
 */
import { setfsgid, setfsuid, setgroups } from "../../../ffi/sys/identity.ts";

console.log(
  JSON.stringify([setfsuid(0), setfsgid(0), setfsuid(1), setfsgid(1), setgroups(new Uint32Array([1]))]),
);
