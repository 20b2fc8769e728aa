/**
 * Where the workers' code is. The only place that names it, because a compiled program has the workers bundled to single files.
 *
 * @module
 */

/** Starts a worker that serves one mount. */
export function startMountWorker(): Worker {
  return new Worker(new URL("./mount_entry.ts", import.meta.url), { type: "module", name: "mount" });
}

/** Starts a worker that does jobs with mounts. */
export function startNamespaceWorker(): Worker {
  return new Worker(new URL("./namespace_worker.ts", import.meta.url), { type: "module", name: "namespace" });
}

/** Starts a worker that makes calls for a mount. */
export function startCallWorker(): Worker {
  return new Worker(new URL("./call_worker.ts", import.meta.url), { type: "module", name: "calls" });
}
