/**
 * Tries to mount and serve where that fails. Tells the error, and how many descriptors it has cost.
 *
 * Usage: failing_child.ts MOUNTPOINT auto|fsopen|mount|none [abandon]
 *
 * none: serves a device that nothing is mounted on. abandon: mounts, and thinks better of it.
 */
import {
  check,
  cstr,
  loadFuse,
  type MountApi,
  prepareFuseMount,
  Session,
  SysError,
} from "../../../ffi/mod.ts";
import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_RDWR } from "../../../ffi/sys/constants.ts";
import { openat } from "../../../ffi/sys/file.ts";

const [mountpoint, api, abandon] = Deno.args as [string, MountApi | "none", string | undefined];

function attempt(): SysError | undefined {
  try {
    using library = loadFuse();
    if (api === "none") {
      const device = check(openat(AT_FDCWD, cstr("/dev/fuse"), O_RDWR | O_NONBLOCK | O_CLOEXEC), "openat");
      using _session = new Session(device, { library, handlers: new Map() });
      return undefined;
    }
    using mount = prepareFuseMount(cstr(mountpoint), { source: "failing", subtype: "test" }, api);
    if (abandon !== undefined) return undefined;
    using _session = new Session(mount.device.release(), { library, handlers: new Map() });
    mount.attach();
    return undefined;
  } catch (error) {
    if (error instanceof SysError) return error;
    throw error;
  }
}

const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
attempt(); // what is opened once for all is open from now on
const before = descriptors();
const error = attempt();
console.log(JSON.stringify({ code: error?.code, message: error?.message, left: descriptors() - before }));
