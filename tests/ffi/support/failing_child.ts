/**
 * Tries to mount and serve where that fails. Tells the error, and how many descriptors it has cost.
 *
 * Usage: failing_child.ts MOUNTPOINT auto|fsopen|mount [abandon]
 *
 * abandon: mounts, and thinks better of it.
 */
import { cstr, loadFuse, type MountApi, prepareFuseMount, Session, SysError } from "../../../ffi/mod.ts";

const [mountpoint, api, abandon] = Deno.args as [string, MountApi, string | undefined];

function attempt(): SysError | undefined {
  try {
    using library = loadFuse();
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
