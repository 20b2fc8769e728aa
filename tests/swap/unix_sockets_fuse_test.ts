/** Bound sockets that are moved from one file system to another, by this process alone, which is their owner here. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_PATH,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { dup, dup3, openat } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { accept4, connect, listen, recv, send } from "../../ffi/sys/socket.ts";
import { connectTo, judgeUnixSocket, peerCredentials } from "../../swap/unix_sockets.ts";
import { listUnixSockets, listUnixSocketsOf, socketsOn } from "../../swap/unix_sockets_diag.ts";
import { boundFile, FreshUnixSocket } from "../../swap/unix_sockets_fresh.ts";
import { inNetworkNamespace } from "../../swap/unix_sockets_netns.ts";
import { compile } from "../e2e/support/victims.ts";
import { requires } from "../support/requirements.ts";
import {
  bound,
  command,
  connected,
  deviceOf,
  diagOf,
  inoOf,
  nameOf,
  option,
  setOption,
  TwoMounts,
  unixAddress,
} from "./support/unix_sockets.ts";
import { mountIdOf } from "./support/mount_pair.ts";

const skip = await requires({ root: true, programs: ["mount", "umount", "unshare"] });

const bytes = (path: string) => new TextEncoder().encode(path);
const text = (path: Uint8Array) => new TextDecoder().decode(path);
const me = { pid: Deno.pid, uid: 0, gid: 0 };

function order(mounts: TwoMounts, old: Fd, path: string | undefined) {
  return { old: old.raw, root: mounts.target, path: path === undefined ? undefined : bytes(path) };
}

/** Puts a plain socket node where the real file system has one, as the file system behind the stub does. */
function node(path: string, mode = 0o644): void {
  bound(SOCK_STREAM, path).close();
  Deno.chmodSync(path, mode);
}

/** What is below a directory, in order. */
function tree(path: string): string[] {
  return [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) =>
    isDirectory ? [name, ...tree(`${path}/${name}`).map((below) => `${name}/${below}`)] : [name]
  ).sort();
}

for (const [kind, type] of Object.entries({ SOCK_STREAM, SOCK_SEQPACKET })) {
  Deno.test({
    name: `unix sockets: a listener is replaced, and neither its owner nor its clients see another (${kind})`,
    ...skip,
    fn() {
      using mounts = new TwoMounts();
      for (const side of [mounts.stub, mounts.real]) Deno.mkdirSync(`${side}/sub`);
      const path = `${mounts.stub}/sub/socket`;
      using listener = bound(type, path);
      check(listen(listener.raw, 9), "listen");
      node(`${mounts.real}/sub/socket`, 0o660);
      Deno.chownSync(`${mounts.real}/sub/socket`, 1000, 1001);
      const verdict = judgeUnixSocket(diagOf(listener), listUnixSockets(), listener.raw, [me]);
      assert(verdict.kind === "move");
      using fresh = new FreshUnixSocket(order(mounts, listener, "sub/socket"));
      fresh.place();
      check(listen(fresh.fd.raw, verdict.listen!.backlog), "listen");
      check(dup3(fresh.fd.raw, listener.raw, O_CLOEXEC), "dup3");
      fresh.keep();
      fresh[Symbol.dispose]();
      mounts.leaveStub();

      assertEquals(text(nameOf(listener)), path);
      assertEquals(peerCredentials(listener.raw), me);
      assertEquals(tree(mounts.real), ["sub", "sub/socket"]);
      const { mode, uid, gid } = Deno.statSync(`${mounts.real}/sub/socket`);
      assertEquals([mode! & 0o7777, uid, gid], [0o660, 1000, 1001]);
      assertEquals([diagOf(listener).sendQueue, diagOf(listener).receiveQueue], [9, 0]);
      using client = connected(type, `${mounts.real}/sub/socket`);
      using accepted = Fd.own(check(accept4(listener.raw, SOCK_CLOEXEC), "accept4"));
      assertEquals(text(nameOf(accepted)), path);
      assertEquals(peerCredentials(client.raw), me);
      assertEquals(send(client.raw, bytes("hello"), 0), 5);
      const buffer = new Uint8Array(9);
      assertEquals(text(buffer.subarray(0, recv(accepted.raw, buffer, 0))), "hello");
    },
  });
}

Deno.test({
  name: "unix sockets: until it is kept, everything can be taken back",
  ...skip,
  fn() {
    using mounts = new TwoMounts();
    using listener = bound(SOCK_STREAM, `${mounts.stub}/socket`);
    check(listen(listener.raw, 9), "listen");
    node(`${mounts.real}/socket`, 0o600);
    const { ino } = Deno.statSync(`${mounts.real}/socket`);
    const free = dup(mounts.target);
    Fd.own(free).close();
    for (const placed of [false, true]) {
      {
        using fresh = new FreshUnixSocket(order(mounts, listener, "socket"));
        if (placed) fresh.place();
        assertEquals(Deno.statSync(`${mounts.real}/socket`).ino === ino, !placed);
      }
      assertEquals(Deno.statSync(`${mounts.real}/socket`).ino, ino);
      assertEquals(tree(mounts.real), ["socket"]);
      using again = Fd.own(dup(mounts.target));
      assertEquals(again.raw, free);
    }
    using client = connected(SOCK_STREAM, `${mounts.stub}/socket`);
    using _accepted = Fd.own(check(accept4(listener.raw, SOCK_CLOEXEC), "accept4"));
    assertEquals(peerCredentials(client.raw), me);
  },
});

/** Addresses as bind(2) gets them, in a directory `sub` of the mount or beside it. */
const addresses: Readonly<Record<string, (stub: string) => string>> = {
  "absolute, with detours": (stub) => `${stub}//sub/./../sub/socket`,
  "relative": () => "socket",
  "relative, with detours": () => ".//../sub/./socket",
  "relative, climbing": (stub) => `../../${stub.split("/").at(-1)}/sub/socket`,
  "with a line break": (stub) => `${stub}/sub/so\ncket`,
  "of 108 bytes": (stub) => `${stub}/sub/${"s".repeat(108 - stub.length - 5)}`,
};

for (const [name, make] of Object.entries(addresses)) {
  Deno.test({
    name: `unix sockets: the address stays what it was: ${name}`,
    ...skip,
    fn() {
      using mounts = new TwoMounts();
      for (const side of [mounts.stub, mounts.real]) Deno.mkdirSync(`${side}/sub`);
      const address = make(mounts.stub);
      const home = Deno.cwd();
      Deno.chdir(`${mounts.stub}/sub`);
      let made: Fd;
      try {
        made = bound(SOCK_DGRAM, address);
      } finally {
        Deno.chdir(home);
      }
      using socket = made;
      const file = boundFile(socket.raw);
      assert(typeof file !== "number");
      assertEquals(file.mountId, mountIdOf(mounts.stub));
      const path = text(file.path).slice(mounts.stub.length + 1);
      assertEquals(path, `sub/${address.split("/").at(-1)}`);
      node(`${mounts.real}/${path}`);
      using fresh = new FreshUnixSocket(order(mounts, socket, path));
      fresh.place();
      assertEquals(Deno.cwd(), home);
      assertEquals(Deno.lstatSync("/proc").isDirectory, true, "the root is the one it was");
      check(dup3(fresh.fd.raw, socket.raw, O_CLOEXEC), "dup3");
      fresh.keep();
      fresh[Symbol.dispose]();
      mounts.leaveStub();
      assertEquals(text(nameOf(socket)), address);
      assertEquals(tree(mounts.real), ["sub", path]);
      const now = boundFile(socket.raw);
      assert(typeof now !== "number");
      assertEquals(text(now.path), `${mounts.real}/${path}`);
      using peer = bound(SOCK_DGRAM);
      using target = pathTo(`${mounts.real}/${path}`);
      assertEquals(connectTo(peer.raw, target.raw), 0);
      assertEquals(send(peer.raw, bytes("x"), 0), 1);
      assertEquals(recv(socket.raw, new Uint8Array(1), 0), 1);
    },
  });
}

Deno.test({
  name: "unix sockets: one that has lost its name is replaced by one without a name",
  ...skip,
  fn() {
    using mounts = new TwoMounts();
    using socket = bound(SOCK_DGRAM, `${mounts.stub}/socket`);
    Deno.removeSync(`${mounts.stub}/socket`);
    const file = boundFile(socket.raw);
    assert(typeof file !== "number" && text(file.path) === `${mounts.stub}/socket (deleted)`);
    using fresh = new FreshUnixSocket(order(mounts, socket, undefined));
    fresh.place();
    check(dup3(fresh.fd.raw, socket.raw, O_CLOEXEC), "dup3");
    fresh.keep();
    fresh[Symbol.dispose]();
    assertEquals(tree(mounts.real), []);
    assertEquals(text(nameOf(socket)), `${mounts.stub}/socket`);
    mounts.leaveStub();
  },
});

Deno.test({
  name: "unix sockets: where nothing is at its path, the name is made, and taken away when it is taken back",
  ...skip,
  fn() {
    using mounts = new TwoMounts();
    using socket = bound(SOCK_DGRAM, `${mounts.stub}/socket`);
    {
      using fresh = new FreshUnixSocket(order(mounts, socket, "socket"));
      fresh.place();
      assert(tree(mounts.real).includes("socket"));
    }
    assertEquals(tree(mounts.real), []);
    using fresh = new FreshUnixSocket(order(mounts, socket, "socket"));
    fresh.place();
    fresh.keep();
    fresh[Symbol.dispose]();
    assertEquals(tree(mounts.real), ["socket"]);
    assertEquals(Deno.lstatSync(`${mounts.real}/socket`).nlink, 1);
  },
});

Deno.test({
  name: "unix sockets: what cannot be replaced is refused, and nothing is left",
  ...skip,
  fn() {
    using mounts = new TwoMounts();
    using socket = bound(SOCK_DGRAM, `${mounts.stub}/socket`);
    const free = dup(mounts.target);
    Fd.own(free).close();
    const refused = (path: string, message: string) => {
      assertThrows(() => new FreshUnixSocket(order(mounts, socket, path)), Error, message);
      assertEquals(Fd.own(dup(mounts.target)).release(), free);
      Fd.own(free).close();
    };
    Deno.writeTextFileSync(`${mounts.real}/file`, "");
    refused("file", "EADDRINUSE");
    node(`${mounts.real}/twice`);
    Deno.linkSync(`${mounts.real}/twice`, `${mounts.real}/again`);
    refused("twice", "EMLINK");
    refused("no/such", "ENOENT");
    Deno.mkdirSync(`${mounts.real}/sub`);
    Deno.symlinkSync("sub", `${mounts.real}/link`);
    refused("link/socket", "ELOOP");
    assertEquals(tree(mounts.real), ["again", "file", "link", "sub", "twice"]);
    using unnamed = bound(SOCK_DGRAM);
    using abstract = bound(SOCK_DGRAM, bytes(`\0spfs-test-${Deno.pid}`));
    for (const other of [unnamed, abstract]) {
      assertThrows(() => new FreshUnixSocket(order(mounts, other, "x")), Error, "EINVAL");
      assertEquals(boundFile(other.raw), -Errno.ENOENT);
    }
  },
});

const numbers = {
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_KEEPALIVE: 9,
  SO_PRIORITY: 12,
  SO_PASSCRED: 16,
  SO_RCVLOWAT: 18,
  SO_TIMESTAMP: 29,
  SO_PASSSEC: 34,
  SO_MARK: 36,
  SO_PEEK_OFF: 42,
  SO_BUF_LOCK: 72,
} as const;

Deno.test({
  name: "unix sockets: options stay what they were, and those that were not set are not",
  ...skip,
  fn() {
    using mounts = new TwoMounts();
    using socket = bound(SOCK_STREAM, `${mounts.stub}/socket`);
    using plain = bound(SOCK_STREAM, `${mounts.stub}/plain`);
    const set: Partial<Record<keyof typeof numbers, number>> = {
      SO_SNDBUF: 30_000,
      SO_RCVBUF: 50_000,
      SO_PRIORITY: 3,
      SO_PASSCRED: 1,
      SO_RCVLOWAT: 5,
      SO_MARK: 7,
      SO_PEEK_OFF: 0,
    };
    for (const [name, value] of Object.entries(set)) {
      setOption(socket, numbers[name as keyof typeof numbers], value);
    }
    for (const [old, name] of [[socket, "socket"], [plain, "plain"]] as const) {
      using fresh = new FreshUnixSocket(order(mounts, old, name));
      const all = (fd: Fd) => Object.entries(numbers).map(([name, number]) => [name, option(fd, number)]);
      assertEquals(all(fresh.fd), all(old));
    }
    assertEquals(option(socket, numbers.SO_BUF_LOCK), 3);
    assertEquals(option(plain, numbers.SO_BUF_LOCK), 0);
  },
});

Deno.test({
  name:
    "unix sockets: those of other network namespaces are told of and replaced there, and this thread stays",
  ...skip,
  async fn() {
    using mounts = new TwoMounts();
    const child = new Deno.Command("unshare", { args: ["--net", "cat"], stdin: "piped", stdout: "piped" })
      .spawn();
    const writer = child.stdin.getWriter();
    await writer.write(bytes("ready"));
    await child.stdout.getReader().read(); // cat runs, so that unshare has done its work
    const path = `/proc/${child.pid}/ns/net`;
    const home = Deno.readLinkSync("/proc/thread-self/ns/net");
    const there = Deno.readLinkSync(path);
    assert(home !== there);
    using namespace = Fd.own(check(openat(AT_FDCWD, cstr(path), O_CLOEXEC), "open"));
    using socket = inNetworkNamespace(namespace.raw, () => bound(SOCK_DGRAM, `${mounts.stub}/socket`));
    using own = bound(SOCK_DGRAM, `${mounts.stub}/own`);
    const { major, minor } = deviceOf(mounts.stub);
    const on = (pids: number[]) =>
      socketsOn(listUnixSocketsOf(pids), major, minor).map(({ ino }) => ino).sort((a, b) => a - b);
    assertEquals(on([Deno.pid]), [inoOf(own)]);
    assertEquals(on([child.pid]), [inoOf(socket)]);
    assertEquals(on([Deno.pid, child.pid, Deno.pid, 0x7fffffff]), [inoOf(socket), inoOf(own)]);
    using fresh = new FreshUnixSocket(order(mounts, socket, "socket"));
    assertEquals(socketsOn(listUnixSocketsOf([child.pid]), ...device(mounts.real)).map(({ ino }) => ino), [
      inoOf(fresh.fd),
    ]);
    assertThrows(
      () =>
        inNetworkNamespace(namespace.raw, () => {
          assertEquals(Deno.readLinkSync("/proc/thread-self/ns/net"), there);
          throw new Error("a bug");
        }),
      Error,
      "a bug",
    );
    assertEquals(Deno.readLinkSync("/proc/thread-self/ns/net"), home);
    await writer.close();
    await child.status;
  },
});

function device(path: string): [number, number] {
  const { major, minor } = deviceOf(path);
  return [major, minor];
}

for (const mutual of [false, true]) {
  Deno.test({
    name: `unix sockets: datagram peers are connected to the fresh one and can be led back, ${
      mutual ? "one that it is connected to itself" : "several that it is not connected to"
    }`,
    ...skip,
    fn() {
      using mounts = new TwoMounts();
      const path = `${mounts.stub}/socket`;
      const elsewhere = `${mounts.real}/peer`;
      using socket = bound(SOCK_DGRAM, path);
      using first = bound(SOCK_DGRAM, elsewhere);
      check(connect(first.raw, unixAddress(path)), "connect");
      using second = mutual ? first.dup() : connected(SOCK_DGRAM, path);
      if (mutual) check(connect(socket.raw, unixAddress(elsewhere)), "connect");
      const verdict = judgeUnixSocket(diagOf(socket), listUnixSockets(), socket.raw, [me]);
      assert(verdict.kind === "move");
      const sorted = (inos: Iterable<number>) => [...inos].sort((a, b) => a - b);
      assertEquals(sorted(verdict.peers), sorted(new Set([inoOf(first), inoOf(second)])));
      assertEquals(verdict.peer, mutual ? inoOf(first) : undefined);

      using fresh = new FreshUnixSocket(order(mounts, socket, "socket"));
      using peerFile = pathTo(elsewhere);
      if (mutual) {
        assertEquals(connectTo(fresh.fd.raw, peerFile.raw), -Errno.EPERM, "it is connected to the old one");
      }
      for (const target of [fresh.file(), pathTo(path), fresh.file()]) {
        using file = target;
        for (const peer of [first, second]) assertEquals(connectTo(peer.raw, file.raw), 0);
        for (const end of [socket, first, second]) assertEquals(option(end, SO_ERROR), 0);
      }
      if (mutual) assertEquals(connectTo(fresh.fd.raw, peerFile.raw), 0);
      fresh.place();
      check(dup3(fresh.fd.raw, socket.raw, O_CLOEXEC), "dup3");
      fresh.keep();
      fresh[Symbol.dispose]();
      mounts.leaveStub();
      const ways = [[first, socket], [second, socket], ...(mutual ? [[socket, first]] : [])] as [Fd, Fd][];
      for (const [from, to] of ways) {
        assertEquals(send(from.raw, bytes("data"), 0), 4);
        assertEquals(recv(to.raw, new Uint8Array(9), 0), 4);
      }
    },
  });
}

const SO_ERROR = 4;

function pathTo(path: string): Fd {
  return Fd.own(check(openat(AT_FDCWD, cstr(path), O_PATH | O_CLOEXEC), "openat", path));
}

const PASSTHROUGH_LL = "/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c";

Deno.test({
  name: "unix sockets: a file system without RENAME_EXCHANGE will do, there and back",
  ...await requires({
    fuse: true,
    fuseHeaders: true,
    programs: ["pkg-config"],
    other: () => {
      try {
        Deno.statSync(PASSTHROUGH_LL);
        return undefined;
      } catch {
        return `no ${PASSTHROUGH_LL}`;
      }
    },
  }),
  fn() {
    const directory = Deno.makeTempDirSync({ prefix: "spfs-test-" });
    const program = `${directory}/passthrough_ll`;
    Deno.mkdirSync(`${directory}/source`);
    try {
      const { stdout } = new Deno.Command("pkg-config", { args: ["--cflags", "--libs", "fuse3"] })
        .outputSync();
      compile(PASSTHROUGH_LL, program, [...text(stdout).trim().split(/\s+/), "-w"]);
      // Forks into the background when it is mounted.
      const mountReal = (at: string) =>
        command(program, "-o", `source=${directory}/source,default_permissions,allow_other`, at);
      using mounts = new TwoMounts(mountReal);
      using socket = bound(SOCK_STREAM, `${mounts.stub}/socket`);
      check(listen(socket.raw, 1), "listen");
      node(`${mounts.real}/socket`, 0o600);
      const { ino } = Deno.statSync(`${directory}/source/socket`);
      {
        using fresh = new FreshUnixSocket(order(mounts, socket, "socket"));
        fresh.place();
        assert(Deno.statSync(`${directory}/source/socket`).ino !== ino);
      }
      assertEquals(Deno.statSync(`${directory}/source/socket`).ino, ino);
      assertEquals(tree(`${directory}/source`), ["socket"]);
      using fresh = new FreshUnixSocket(order(mounts, socket, "socket"));
      fresh.place();
      check(listen(fresh.fd.raw, 1), "listen");
      fresh.keep();
      using listener = fresh.fd.dup();
      fresh[Symbol.dispose]();
      assertEquals(tree(`${directory}/source`), ["socket"]);
      using client = connected(SOCK_STREAM, `${mounts.real}/socket`);
      using _accepted = Fd.own(check(accept4(listener.raw, SOCK_CLOEXEC), "accept4"));
      assertEquals(send(client.raw, bytes("x"), 0), 1);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
});
