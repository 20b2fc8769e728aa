import { assert, assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import { requires } from "../support/requirements.ts";
import { temporaryDirectory } from "./support/temporary.ts";

Deno.test({
  name:
    "mount: mounts are made detached, attached, put beneath, changed and taken off, in a namespace of their own",
  ...await requires({ root: true }),
  fn() {
    using directory = temporaryDirectory();
    const child = new URL("./support/mount_child.ts", import.meta.url).pathname;
    const { success, stdout, stderr } = new Deno.Command("timeout", {
      args: ["-s", "KILL", "60", Deno.execPath(), "run", "-A", child, directory.path],
    }).outputSync();
    assert(success, new TextDecoder().decode(stderr));
    const { beneath, uncovered, log, ...results } = JSON.parse(new TextDecoder().decode(stdout));
    assertEquals(results, {
      unattached: [],
      attached: [0, [["tmpfs", "the source", "nosuid"]]],
      mountId: true,
      readOnly: [0, [["tmpfs", "the source", "ro,noexec"]]],
      cloned: [0, 1],
      badOption: [-Errno.EINVAL, -Errno.EINVAL],
      emptyLog: [],
      reconfigured: [0, 0],
      unknownType: -Errno.ENODEV,
      classic: [0, [["tmpfs", "classic", "nodev,noexec"]], 0, -Errno.EINVAL],
      busy: [-Errno.EBUSY, 0, [], false],
      notANamespace: -Errno.EBADF,
      back: [0, []],
    });
    assertEquals(log.map((line: string) => line.slice(0, 2)), ["e ", "e "]);
    assert(log[0].includes("nonsense") && log[1].includes("nothing"), log.join());
    // MOVE_MOUNT_BENEATH came with Linux 6.5; before, EINVAL is promised.
    if (beneath[0] === 0) assertEquals([beneath[1], uncovered], [["below", "the source"], [0, ["below"]]]);
    else assertEquals([beneath, uncovered], [[-Errno.EINVAL, ["the source"]], [0, []]]);
  },
});
