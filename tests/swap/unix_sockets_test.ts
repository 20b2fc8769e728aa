import { assert, assertEquals, assertThrows } from "@std/assert";
import { SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET } from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { addressOf, check } from "../../ffi/sys/libc.ts";
import {
  accept4,
  bind,
  connect,
  listen,
  recv,
  send,
  sendFds,
  setsockopt,
  socketpair,
} from "../../ffi/sys/socket.ts";
import { hasQueued, judgeUnixSocket, peerCredentials } from "../../swap/unix_sockets.ts";
import {
  listUnixSockets,
  parseUnixDiag,
  socketsOn,
  TCP_CLOSE,
  TCP_ESTABLISHED,
  TCP_LISTEN,
  type UnixSocket,
} from "../../swap/unix_sockets_diag.ts";
import { temporaryDirectory } from "../ffi/support/temporary.ts";
import { bound, connected, deviceOf, diagOf, inoOf, unixAddress } from "./support/unix_sockets.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const nothing = new Uint8Array(1);
const me = { pid: Deno.pid, uid: Deno.uid()!, gid: Deno.gid()! };

Deno.test("unix sockets: a listener is told of with its file, address, backlog and who waits", () => {
  using directory = temporaryDirectory();
  const path = `${directory.path}/a\nb`;
  using listener = bound(SOCK_SEQPACKET, path);
  assertEquals(diagOf(listener).state, TCP_CLOSE);
  check(listen(listener.raw, 7), "listen");
  using client = connected(SOCK_SEQPACKET, path);
  const { major, minor } = deviceOf(path);
  assertEquals(diagOf(listener), {
    ino: inoOf(listener),
    type: SOCK_SEQPACKET,
    state: TCP_LISTEN,
    file: { ino: Number(BigInt.asUintN(32, BigInt(Deno.statSync(path).ino!))), major, minor },
    name: new TextEncoder().encode(`${path}\0`),
    peer: undefined,
    receiveQueue: 1,
    sendQueue: 7,
    pending: [inoOf(client)],
    shutdown: 0,
  });
  assert(socketsOn(listUnixSockets(), major, minor).some(({ ino }) => ino === inoOf(listener)));
  assert(!socketsOn(listUnixSockets(), major, minor + 1).some(({ ino }) => ino === inoOf(listener)));
});

Deno.test("unix sockets: the end that was accepted has the listener's file, the client's end has none", () => {
  using directory = temporaryDirectory();
  using listener = bound(SOCK_STREAM, `${directory.path}/socket`);
  check(listen(listener.raw, 1), "listen");
  using client = connected(SOCK_STREAM, `${directory.path}/socket`);
  using accepted = Fd.own(check(accept4(listener.raw, 0o2000000), "accept4"));
  assertEquals(send(client.raw, new Uint8Array(5), 0), 5);
  const [server, other] = [diagOf(accepted), diagOf(client)];
  assertEquals(server.file, diagOf(listener).file);
  assertEquals([server.state, other.state], [TCP_ESTABLISHED, TCP_ESTABLISHED]);
  assertEquals([server.peer, other.peer], [other.ino, server.ino]);
  assertEquals([server.receiveQueue, other.receiveQueue], [5, 0]);
  assertEquals([other.file, other.name.length], [undefined, 0]);
  client.close();
  assertEquals([diagOf(accepted).peer, diagOf(accepted).shutdown], [0, 3]);
});

Deno.test("unix sockets: more of them than fit into one message are all told of", () => {
  using stack = new DisposableStack();
  const made = Array.from({ length: 1500 }, (_, i) => {
    return stack.use(bound(SOCK_DGRAM, new TextEncoder().encode(`\0spfs-test-${Deno.pid}-${i}`)));
  });
  const known = new Map(listUnixSockets().map((socket) => [socket.ino, text(socket.name)]));
  for (const [i, fd] of made.entries()) assertEquals(known.get(inoOf(fd)), `\0spfs-test-${Deno.pid}-${i}`);
});

function message(type: number, payload: Uint8Array, flags = 0): Uint8Array {
  const bytes = new Uint8Array(16 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  bytes.set(payload, 16);
  return bytes;
}

function parse(...messages: Uint8Array[]) {
  const bytes = new Uint8Array(messages.flatMap((message) => [...message]));
  const found: UnixSocket[] = [];
  const state = { done: false, interrupted: false };
  parseUnixDiag(bytes, found, state);
  return { count: found.length, ...state };
}

Deno.test("unix sockets: a dump's end, interruptions and errors are known, what is cut off is refused", () => {
  const socket = message(20, new Uint8Array(16));
  const end = message(3, new Uint8Array(4));
  assertEquals(parse(socket, socket), { count: 2, done: false, interrupted: false });
  assertEquals(parse(socket, end, socket), { count: 1, done: true, interrupted: false });
  assertEquals(parse(message(20, new Uint8Array(16), 0x10), end), {
    count: 1,
    done: true,
    interrupted: true,
  });
  assertThrows(() => parse(message(2, new Uint8Array([254, 255, 255, 255]))), Error, "ENOENT");
  assertThrows(() => parse(message(3, new Uint8Array([255, 255, 255, 255]))), Error, "EPERM");
  for (const cut of [8, 15, 20]) assertThrows(() => parse(socket.subarray(0, cut)), SyntaxError);
  assertThrows(() => parse(message(20, new Uint8Array(8))), SyntaxError);
  const lying = new Uint8Array(24);
  for (const length of [0, 3, 9]) {
    lying[16] = length;
    assertThrows(() => parse(message(20, lying)), SyntaxError);
  }
});

/** What is said of a socket that this process holds. */
function judge(fd: Fd, holders = [me]) {
  return judgeUnixSocket(diagOf(fd), listUnixSockets(), fd.raw, holders);
}

/** The reason why it cannot be moved, with whether that goes away by itself. */
function refusal(fd: Fd, holders = [me]): [string, boolean] | undefined {
  const verdict = judge(fd, holders);
  return verdict.kind === "move" ? undefined : [verdict.reason, verdict.transient];
}

Deno.test("unix sockets: listen is to be called again by who called it, with the same backlog", () => {
  using directory = temporaryDirectory();
  using listener = bound(SOCK_STREAM, `${directory.path}/socket`);
  assertEquals(judge(listener), { kind: "move", listen: undefined, peers: [], peer: undefined });
  check(listen(listener.raw, 12), "listen");
  assertEquals(peerCredentials(listener.raw), me);
  assertEquals(judge(listener, [{ ...me, pid: 1 }, me]), {
    kind: "move",
    listen: { pid: Deno.pid, backlog: 12 },
    peers: [],
    peer: undefined,
  });
});

Deno.test("unix sockets: a listener whose credentials cannot be had again is refused", () => {
  using directory = temporaryDirectory();
  using listener = bound(SOCK_STREAM, `${directory.path}/socket`);
  check(listen(listener.raw, 1), "listen");
  const gone = `listens with the credentials of process ${Deno.pid}, which is not moved or is gone`;
  assertEquals(refusal(listener, []), [gone, false]);
  assertEquals(refusal(listener, [{ ...me, pid: 1 }]), [gone, false]);
  const changed = `listens as user ${me.uid} and group ${me.gid}, which process ${Deno.pid} no longer is`;
  assertEquals(refusal(listener, [{ ...me, uid: me.uid + 1 }]), [changed, false]);
  assertEquals(refusal(listener, [{ ...me, gid: me.gid + 1 }]), [changed, false]);
});

Deno.test("unix sockets: connections that wait have to be accepted first", () => {
  using directory = temporaryDirectory();
  using listener = bound(SOCK_STREAM, `${directory.path}/socket`);
  check(listen(listener.raw, 3), "listen");
  using client = connected(SOCK_STREAM, `${directory.path}/socket`);
  assertEquals(refusal(listener), ["has connections that were not accepted yet", true]);
  client.close(); // it still waits
  assertEquals(refusal(listener), ["has connections that were not accepted yet", true]);
  assert(hasQueued(listener.raw));
  Fd.own(check(accept4(listener.raw, 0), "accept4")).close();
  assertEquals(refusal(listener), undefined);
  assert(!hasQueued(listener.raw));
});

Deno.test("unix sockets: ends of connections are refused, accepted, bound or left by their peer", () => {
  using directory = temporaryDirectory();
  const reason = "is an end of a connection, which keeps the file that it was accepted on or bound to";
  using listener = bound(SOCK_STREAM, `${directory.path}/socket`);
  check(listen(listener.raw, 3), "listen");
  using client = bound(SOCK_STREAM, `${directory.path}/client`);
  assertEquals(connect(client.raw, unixAddress(`${directory.path}/socket`)), 0);
  using accepted = Fd.own(check(accept4(listener.raw, 0o2000000), "accept4"));
  assertEquals(refusal(accepted), [reason, false]);
  assertEquals(refusal(client), [reason, false]);
  client.close();
  assertEquals(refusal(accepted), [reason, false]);
});

Deno.test("unix sockets: datagrams have to be read first, empty ones and those of peers too", () => {
  using directory = temporaryDirectory();
  const unread = ["has datagrams that were not read yet", true];
  using socket = bound(SOCK_DGRAM, `${directory.path}/socket`);
  using peer = connected(SOCK_DGRAM, `${directory.path}/socket`);
  for (const size of [0, 1]) {
    send(peer.raw, new Uint8Array(size), 0);
    assertEquals(refusal(socket), unread);
    recv(socket.raw, nothing, 0);
    assertEquals(judge(socket), { kind: "move", listen: undefined, peers: [inoOf(peer)], peer: undefined });
  }
});

Deno.test("unix sockets: connecting a datagram peer anew would lose what it has to read, so that waits", () => {
  using directory = temporaryDirectory();
  using socket = bound(SOCK_DGRAM, `${directory.path}/socket`);
  using peer = bound(SOCK_DGRAM, `${directory.path}/peer`);
  assertEquals(connect(peer.raw, unixAddress(`${directory.path}/socket`)), 0);
  assertEquals(connect(socket.raw, unixAddress(`${directory.path}/peer`)), 0);
  const verdict = { kind: "move", listen: undefined, peers: [inoOf(peer)], peer: inoOf(peer) } as const;
  assertEquals(judge(socket), verdict);
  send(socket.raw, nothing, 0);
  assertEquals(refusal(socket), [
    `has a peer (socket ${inoOf(peer)}) with datagrams that were not read yet`,
    true,
  ]);
  recv(peer.raw, nothing, 0);
  assertEquals(judge(socket), verdict);
});

Deno.test("unix sockets: a datagram socket whose peer cannot be connected to again is refused", () => {
  using directory = temporaryDirectory();
  const ends = new Int32Array(2);
  check(socketpair(1, SOCK_DGRAM | 0o2000000, 0, ends), "socketpair");
  using left = Fd.own(ends[0]!);
  using right = Fd.own(ends[1]!);
  assertEquals(bind(left.raw, unixAddress(`${directory.path}/socket`)), 0);
  assertEquals(refusal(left), ["is connected to a socket that has no name", false]);
  right.close();
  assertEquals(refusal(left)?.[1], false);
});

Deno.test("unix sockets: a datagram socket with a peer that could not be connected to it again is refused", () => {
  using directory = temporaryDirectory();
  using socket = bound(SOCK_DGRAM, `${directory.path}/socket`);
  using peer = bound(SOCK_DGRAM, `${directory.path}/peer`);
  using other = connected(SOCK_DGRAM, `${directory.path}/socket`);
  assertEquals(connect(socket.raw, unixAddress(`${directory.path}/peer`)), 0);
  assertEquals(refusal(socket), [
    `has a peer (socket ${inoOf(other)}) besides the one it is connected to`,
    false,
  ]);
  other.close();
  assertEquals(judge(socket), { kind: "move", listen: undefined, peers: [], peer: inoOf(peer) });
});

Deno.test("unix sockets: descriptors on their way keep a socket where it is", () => {
  using directory = temporaryDirectory();
  using socket = bound(SOCK_DGRAM, `${directory.path}/socket`);
  using peer = connected(SOCK_DGRAM, `${directory.path}/socket`);
  assertEquals(sendFds(peer.raw, [peer.raw]), 1);
  assertEquals(refusal(socket), ["has datagrams that were not read yet", true]);
});

Deno.test("unix sockets: a filter is refused", () => {
  using directory = temporaryDirectory();
  using socket = bound(SOCK_DGRAM, `${directory.path}/socket`);
  // struct sock_fprog {u16 len@0, struct sock_filter *filter@8} of one BPF_RET that takes everything.
  const filter = new Uint8Array(new Uint32Array([0x00000006, 0xffffffff]).buffer);
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, 1, true);
  program.setBigUint64(8, addressOf(filter), true);
  const SO_ATTACH_FILTER = 26;
  check(setsockopt(socket.raw, SOL_SOCKET, SO_ATTACH_FILTER, new Uint8Array(program.buffer)), "setsockopt");
  assertEquals(refusal(socket), ["has a socket filter, which cannot be read out", false]);
});
