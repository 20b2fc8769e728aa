/** Watched files found by their handles, which needs root, on real file systems and on FUSE. */
import { assert, assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import {
  AT_FDCWD,
  IN_CLOEXEC,
  IN_CREATE,
  IN_MODIFY,
  IN_NONBLOCK,
  O_CLOEXEC,
  O_RDONLY,
} from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { openat } from "../../ffi/sys/file.ts";
import { inotifyAddWatch, inotifyInit1 } from "../../ffi/sys/inotify.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { pathOfHandle, pendingBytes, rebuildInotify, WatchedFiles } from "../../swap/inotify.ts";
import { temporaryDirectory, writeText } from "../ffi/support/temporary.ts";
import { Served } from "../ffi/support/served.ts";
import { requires } from "../support/requirements.ts";
import { events, watches } from "./support/inotify.ts";

const skip = await requires({ root: true, programs: ["mount", "umount"] });

const text = (bytes: Uint8Array | number) =>
  typeof bytes === "number" ? bytes : new TextDecoder().decode(bytes);

function instance(): Fd {
  return Fd.own(check(inotifyInit1(IN_NONBLOCK | IN_CLOEXEC), "inotify_init1"));
}

function add(fd: Fd, path: string, mask: number): number {
  return check(inotifyAddWatch(fd.raw, cstr(path), mask), "inotify_add_watch", path);
}

function open(path: string): Fd {
  return Fd.own(check(openat(AT_FDCWD, cstr(path), O_RDONLY | O_CLOEXEC), "openat", path));
}

function run(...command: string[]): void {
  const { success, stderr } = new Deno.Command(command[0]!, { args: command.slice(1) }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** A tmpfs that is mounted below a directory of its own. */
function tmpfs(): { path: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "spfs-test-" });
  run("mount", "-t", "tmpfs", "spfs-test", path);
  return {
    path,
    [Symbol.dispose]() {
      run("umount", path);
      Deno.removeSync(path);
    },
  };
}

Deno.test({
  name:
    "inotify: a watched file is named by its handle, under any name it has, and as deleted when it has none",
  ...skip,
  fn() {
    using directory = temporaryDirectory();
    const path = writeText(directory, "a\nb", "text");
    using inotify = instance();
    add(inotify, path, IN_MODIFY);
    using mount = open(directory.path);
    const name = () => {
      const [watch] = watches(inotify.raw);
      return text(pathOfHandle(mount.raw, watch!.handleType, watch!.handle));
    };
    assertEquals(name(), path);
    Deno.renameSync(path, `${directory.path}/c`);
    assertEquals(name(), `${directory.path}/c`);
    using _held = open(`${directory.path}/c`);
    Deno.removeSync(`${directory.path}/c`);
    assertEquals(name(), `${directory.path}/c (deleted)`);
    assertEquals(pathOfHandle(mount.raw, 0xff, new Uint8Array()), -Errno.EINVAL);
    assertEquals(pathOfHandle(mount.raw, 1, new Uint8Array(8).fill(255)), -Errno.ESTALE);
  },
});

Deno.test({
  name: "inotify: watches on other file systems are kept, and watching and opening them cause no event",
  ...skip,
  fn() {
    using other = tmpfs();
    Deno.mkdirSync(`${other.path}/sub`);
    Deno.writeTextFileSync(`${other.path}/sub/file`, "text");
    using old = instance();
    const directory = add(old, `${other.path}/sub`, 0xfff);
    const file = add(old, `${other.path}/sub/file`, 0xfff);
    {
      using files = new WatchedFiles();
      using next = rebuildInotify(watches(old.raw), (watch) => files.open(watch), IN_NONBLOCK);
      assertEquals([pendingBytes(old.raw), pendingBytes(next.raw)], [0, 0]);
      assertEquals(watches(next.raw), watches(old.raw));
      Deno.truncateSync(`${other.path}/sub/file`, 1);
      assertEquals(
        events(next.raw).filter(({ mask }) => (mask & IN_MODIFY) !== 0),
        [{ wd: directory, mask: IN_MODIFY, name: "file" }, { wd: file, mask: IN_MODIFY, name: "" }],
      );
    }
  },
});

Deno.test({
  name: "inotify: a file system whose mount is hidden by another is found where it is seen, or not at all",
  ...skip,
  fn() {
    using hidden = tmpfs();
    Deno.writeTextFileSync(`${hidden.path}/file`, "text");
    using old = instance();
    add(old, `${hidden.path}/file`, IN_MODIFY);
    const [watch] = watches(old.raw);
    using place = temporaryDirectory();
    run("mount", "-t", "tmpfs", "spfs-test", hidden.path);
    try {
      {
        using files = new WatchedFiles();
        assertEquals(files.open(watch!), -Errno.ENODEV);
      }
    } finally {
      run("umount", hidden.path);
    }
    run("mount", "--bind", hidden.path, place.path);
    run("mount", "-t", "tmpfs", "spfs-test", hidden.path);
    try {
      using files = new WatchedFiles();
      using found = Fd.own(check(files.open(watch!), "open_by_handle_at"));
      assertEquals(Deno.readLinkSync(`/proc/self/fd/${found.raw}`), `${place.path}/file`);
    } finally {
      run("umount", hidden.path);
      run("umount", place.path);
    }
  },
});

Deno.test({
  name: "inotify: a file that is gone and one without handles are told apart",
  ...skip,
  fn() {
    using directory = temporaryDirectory();
    using inotify = instance();
    add(inotify, directory.path, IN_CREATE);
    const [watch] = watches(inotify.raw);
    using files = new WatchedFiles();
    assertEquals(files.open({ ...watch!, handle: new Uint8Array(8).fill(255) }), -Errno.ESTALE);
    assertEquals(files.open({ ...watch!, handle: new Uint8Array() }), -Errno.EINVAL);
    assertEquals(files.open({ ...watch!, major: 0xfff, minor: 0xfffff }), -Errno.ENODEV);
  },
});

Deno.test({
  name: "inotify: files watched on a FUSE mount are named, the root too, without asking the server",
  ...await requires({ fuse: true, gcc: true }),
  async fn() {
    await using served = await Served.start();
    await served.event("mounted");
    using inotify = instance();
    add(inotify, served.path("file"), IN_MODIFY);
    add(inotify, served.mountpoint, IN_CREATE);
    {
      using mount = open(served.path("file"));
      const [file, root] = watches(inotify.raw);
      assert(file && root);
      Deno.kill(served.pid, "SIGSTOP"); // nobody answers
      try {
        assertEquals(text(pathOfHandle(mount.raw, file.handleType, file.handle)), served.path("file"));
        assertEquals(text(pathOfHandle(mount.raw, root.handleType, root.handle)), served.mountpoint);
      } finally {
        Deno.kill(served.pid, "SIGCONT");
      }
    }
    const { success } = await new Deno.Command("umount", { args: [served.mountpoint] }).output();
    assertEquals(success, true, "a watch does not keep it busy");
  },
});
