/**
 * Private locked mappings of files on stub mounts: what the kernel has filled with copies of the placeholder's pages, see zap.ts.
 *
 * @module
 */

/** A mapping that has copies of the placeholder's pages. */
export interface LockedMapping {
  /** The process, in our pid namespace. */
  readonly pid: number;
  /** The device of the file's mount, as `status` names it: "major:minor" in decimal. */
  readonly device: string;
  /** The file, as /proc shows it. */
  readonly path: string;
}

const HEADER = /^[0-9a-f]+-[0-9a-f]+ ([-rwxsp]{4}) [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) \d+\s*(.*)$/;

/** The mappings of `/proc/PID/smaps` that are private, locked, and of a file on one of `devices`. Pure. */
export function lockedMappings(pid: number, smaps: string, devices: ReadonlySet<string>): LockedMapping[] {
  const found: LockedMapping[] = [];
  let current: LockedMapping | undefined;
  for (const line of smaps.split("\n")) {
    const header = HEADER.exec(line);
    if (header !== null) {
      const [, permissions, major, minor, path] = header as unknown as [
        string,
        string,
        string,
        string,
        string,
      ];
      const device = `${parseInt(major, 16)}:${parseInt(minor, 16)}`;
      const concerned = permissions[3] === "p" && devices.has(device);
      current = concerned ? { pid, device, path } : undefined;
    } else if (current !== undefined && line.startsWith("VmFlags:") && line.split(" ").includes("lo")) {
      found.push(current);
    }
  }
  return found;
}

/**
 * Whether a process has locked anything at all, as `/proc/PID/status` says; telling where costs the kernel a look at every page table. Pure.
 */
export function locksMemory(status: string): boolean {
  return /^VmLck:\s*[1-9]/m.test(status);
}

/** The same for a process and all that descend from it. Reads /proc only; a process that is gone meanwhile counts for nothing. */
export function lockedMappingsBelow(pid: number, devices: ReadonlySet<string>): LockedMapping[] {
  const found: LockedMapping[] = [];
  const queue = [pid];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const locks = locksMemory(readProc(`/proc/${at}/status`) ?? "");
    const smaps = locks ? readProc(`/proc/${at}/smaps`) : undefined;
    if (smaps !== undefined) found.push(...lockedMappings(at, smaps, devices));
    for (const thread of threads(at)) {
      const children = readProc(`/proc/${at}/task/${thread}/children`) ?? "";
      queue.push(...children.split(" ").filter((word) => word !== "").map(Number));
    }
  }
  return found;
}

function threads(pid: number): string[] {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/task`)].map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function readProc(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    // ESRCH, of a process that ends while it is read, has no class of its own.
    if (error instanceof Deno.errors.NotFound || (error as { code?: string }).code === "ESRCH") {
      return undefined;
    }
    throw error;
  }
}
