/** What several tests of the daemon begin with or end with. */
import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../../control/errors.ts";
import { type Place, type Running, TestDaemon } from "./daemon.ts";

/** Rejects with a control error of this kind, whose message has this text. */
export async function refused(promise: Promise<unknown>, kind: string, text = ""): Promise<ControlError> {
  const error = await assertRejects(() => promise, ControlError, text);
  assertEquals(error.kind, kind, error.message);
  return error;
}

/** In a place with the directories `mnt` and `real`: a daemon (`args`: of `serve`), its stub `m` on `mnt`, and a reader that waits in it for `data`. */
export async function waiting(
  place: Place,
  ...args: string[]
): Promise<{ daemon: TestDaemon; reader: Running }> {
  await Deno.writeTextFile(place.path("real/data"), "real bytes\n");
  const daemon = await TestDaemon.start(place, ...args);
  const { client } = daemon;
  await client.call("mount.create", { id: "m", mountpoint: place.path("mnt") });
  await client.call("file.create", { mount: "m", entries: [{ path: "data", type: "file", size: "11" }] });
  await client.call("mount.setMode", { mount: "m", mode: "stub" });
  const reader = place.start(["cat", place.path("mnt/data")]);
  await daemon.event("request.parked", ({ count }) => count === 1);
  return { daemon, reader };
}
