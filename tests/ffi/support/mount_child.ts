/**
 * What the mount tests do, run as a child process of its own: it leaves the mount namespace, so nothing it mounts is seen outside, or left.
 * Prints one JSON object of results.
 *
 * @module
 */
import * as c from "../../../ffi/sys/constants.ts";
import { Fd } from "../../../ffi/sys/fd.ts";
import { openat, statx, StatxBuffer } from "../../../ffi/sys/file.ts";
import { check, cstr } from "../../../ffi/sys/libc.ts";
import * as mount from "../../../ffi/sys/mount.ts";
import { readMountinfo } from "../../../ffi/sys/mountinfo.ts";
import { setns, unshare } from "../../../ffi/sys/namespace.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const outside = Fd.own(
  check(openat(c.AT_FDCWD, cstr("/proc/thread-self/ns/mnt"), c.O_RDONLY | c.O_CLOEXEC), "openat"),
);
check(unshare(c.CLONE_NEWNS), "unshare");
check(mount.mount(null, cstr("/"), null, BigInt(c.MS_REC | c.MS_PRIVATE), null), "mount", "/");

const base = Deno.args[0]!;
const results: Record<string, unknown> = {};
const at = (name: string) => cstr(`${base}/${name}`);
const found = (name: string) =>
  readMountinfo().filter((entry) => text(entry.mountpoint) === `${base}/${name}`).map((entry) => [
    entry.fstype,
    text(entry.source),
    entry.options.filter((option) => ["ro", "nosuid", "noexec", "nodev"].includes(option)).join(),
  ]);
for (const name of ["a b", "old", "new"]) Deno.mkdirSync(`${base}/${name}`);

function detached(source: string): Fd {
  using context = Fd.own(check(mount.fsopen(cstr("tmpfs"), c.FSOPEN_CLOEXEC), "fsopen", "tmpfs"));
  check(mount.fsconfigString(context.raw, cstr("source"), cstr(source)), "fsconfig", "source");
  check(mount.fsconfigString(context.raw, cstr("size"), cstr("64k")), "fsconfig", "size");
  check(mount.fsconfigCreate(context.raw), "fsconfig", "create");
  return Fd.own(check(mount.fsmount(context.raw, c.FSMOUNT_CLOEXEC, c.MOUNT_ATTR_NOSUID), "fsmount"));
}
const attach = (fd: Fd, name: string, flags = 0) =>
  mount.moveMount(fd.raw, cstr(""), c.AT_FDCWD, at(name), c.MOVE_MOUNT_F_EMPTY_PATH | flags);

using first = detached("the source");
results.unattached = found("a b");
results.attached = [attach(first, "a b"), found("a b")];
const out = new StatxBuffer();
statx(c.AT_FDCWD, at("a b"), 0, c.STATX_MNT_ID, out);
results.mountId = readMountinfo().some((entry) =>
  BigInt(entry.id) === out.mntId && text(entry.source) === "the source"
);
results.readOnly = [
  mount.mountSetattr(c.AT_FDCWD, at("a b"), 0, {
    set: c.MOUNT_ATTR_RDONLY | c.MOUNT_ATTR_NOEXEC,
    clear: c.MOUNT_ATTR_NOSUID,
  }),
  found("a b"),
];

{
  using clone = Fd.own(
    check(mount.openTree(c.AT_FDCWD, at("a b"), c.OPEN_TREE_CLONE | c.OPEN_TREE_CLOEXEC), "open_tree"),
  );
  results.cloned = [attach(clone, "old"), found("old").length];
} // as long as it is open, the mount is in use
using beneath = detached("below");
results.beneath = [
  attach(beneath, "old", c.MOVE_MOUNT_BENEATH),
  found("old").map(([, source]) => source).sort(),
];
results.uncovered = [mount.umount2(at("old"), 0), found("old").map(([, source]) => source)];

{
  using context = Fd.own(check(mount.fsopen(cstr("tmpfs"), c.FSOPEN_CLOEXEC), "fsopen", "tmpfs"));
  results.badOption = [
    mount.fsconfigString(context.raw, cstr("nonsense"), cstr("1")),
    mount.fsconfigFlag(context.raw, cstr("nothing")),
  ];
  results.log = mount.readFsLog(context.raw);
  results.emptyLog = mount.readFsLog(context.raw);
}
{
  using context = Fd.own(check(mount.fspick(c.AT_FDCWD, at("old"), c.FSPICK_CLOEXEC), "fspick"));
  results.reconfigured = [
    mount.fsconfigFlag(context.raw, cstr("ro")),
    mount.fsconfigReconfigure(context.raw),
  ];
}
results.unknownType = mount.fsopen(cstr("nosuchfs"), 0);
results.classic = [
  mount.mount(
    cstr("classic"),
    at("new"),
    cstr("tmpfs"),
    BigInt(c.MS_NODEV | c.MS_NOEXEC),
    cstr("size=16k,mode=700"),
  ),
  found("new"),
  mount.umount2(at("new"), c.UMOUNT_NOFOLLOW),
  mount.umount2(at("new"), 0),
];
{
  using busy = Fd.own(check(openat(c.AT_FDCWD, at("old"), c.O_RDONLY | c.O_CLOEXEC), "openat"));
  results.busy = [
    mount.umount2(at("old"), 0),
    mount.umount2(at("old"), c.MNT_DETACH),
    found("old"),
    busy.closed,
  ];
}
results.notANamespace = setns(first.raw, c.CLONE_NEWNS);
results.back = [setns(outside.raw, c.CLONE_NEWNS), found("a b")];
console.log(JSON.stringify(results));
