/**
 * The main thread's side of namespace workers: one worker for each job.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { fromWorker } from "./control_errors.ts";
import type { NamespaceJob, NamespaceJobs, NamespaceLoaded, NamespaceReply } from "./namespace_messages.ts";
import { StartGate } from "./start_gate.ts";

/** How a job is run. */
export interface JobOptions<J extends NamespaceJob> {
  /**
   * When it is aborted, the promise rejects at once with its reason. The worker is not ended for that, since it may be inside a system
   * call that owns descriptors: it is left alone until it answers.
   */
  readonly signal?: AbortSignal;
  /** Takes the result of a job that nobody waits for any more. */
  readonly late?: (result: NamespaceJobs[J]["result"]) => void;
}

/** Runs a job on a worker of its own. */
export type RunJob = <J extends NamespaceJob>(
  name: J,
  job: NamespaceJobs[J]["job"],
  options?: JobOptions<J>,
) => Promise<NamespaceJobs[J]["result"]>;

/** How many namespace workers load at a time. */
const loadingAtOnce = 4;

/**
 * A function that runs jobs.
 *
 * @param start starts a worker
 */
export function createRunJob(start: () => Worker): RunJob {
  const gate = new StartGate(loadingAtOnce);
  return async (name, job, { signal, late } = {}) => {
    signal?.throwIfAborted();
    const leave = await gate.enter();
    if (signal?.aborted) {
      leave();
      throw signal.reason;
    }
    const { promise, resolve, reject } = Promise.withResolvers<NamespaceJobs[typeof name]["result"]>();
    const worker = start();
    let abandoned = false;
    const abandon = () => {
      abandoned = true;
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", abandon, { once: true });
    const end = () => {
      signal?.removeEventListener("abort", abandon);
      leave();
      worker.terminate();
    };
    worker.onmessage = ({ data }: MessageEvent<NamespaceReply | NamespaceLoaded>) => {
      if ("loaded" in data) return leave();
      end();
      if (!data.ok) return reject(fromWorker(data.error));
      const result = data.result as NamespaceJobs[typeof name]["result"];
      if (abandoned) late?.(result);
      else resolve(result);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      end();
      reject(new ControlError("internal", `the namespace worker failed: ${event.message}`));
    };
    worker.onmessageerror = () => {
      end();
      reject(new ControlError("internal", "the namespace worker sent what cannot be read"));
    };
    worker.postMessage({ name, job });
    return await promise;
  };
}
