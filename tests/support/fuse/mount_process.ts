/**
 * A process with one mount worker. Reads requests for the worker as lines (see wire.ts) and writes what the worker posts as lines. A
 * `setMode` request may name a `backing` directory, which is opened here. Ends when the worker says that the mount is gone.
 */
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../../ffi/sys/constants.ts";
import { openat } from "../../../ffi/sys/file.ts";
import { check, cstr } from "../../../ffi/sys/libc.ts";
import type { WorkerMessage } from "../../../host/worker_messages.ts";
import { decode, encode, lines } from "./wire.ts";

const worker = new Worker(new URL("../../../host/mount_worker.ts", import.meta.url), { type: "module" });
worker.onerror = (event) => {
  console.error(`the worker failed: ${event.message}`);
  Deno.exit(70);
};
worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
  console.log(encode(data));
  if ("event" in data && data.event === "gone") Deno.exit(0);
};

for await (const line of lines(Deno.stdin.readable)) {
  const { backing, ...request } = decode(line);
  if (backing !== undefined) {
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    request.backingFd = check(openat(AT_FDCWD, cstr(backing), flags), "openat", backing);
  }
  worker.postMessage(request);
}
Deno.exit(0); // the test is gone: closing /dev/fuse frees whoever waits
