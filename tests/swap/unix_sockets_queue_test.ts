import { assert, assertEquals } from "@std/assert";
import { AF_UNIX, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_SEQPACKET, SOCK_STREAM } from "../../ffi/sys/constants.ts";
import { Errno } from "../../ffi/errno.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { check } from "../../ffi/sys/libc.ts";
import { recv, send, socketpair } from "../../ffi/sys/socket.ts";
import { copyQueue, fill } from "../../swap/unix_sockets_queue.ts";
import { requires } from "../support/requirements.ts";
import { option } from "./support/unix_sockets.ts";

const SO_PEEK_OFF = 42;
const skip = await requires({ root: true });

function pair(type: number): [Fd, Fd] {
  const ends = new Int32Array(2);
  check(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), "socketpair");
  return [Fd.own(ends[0]!), Fd.own(ends[1]!)];
}

function received(fd: Fd): number[][] {
  const messages: number[][] = [];
  const buffer = new Uint8Array(1 << 20);
  for (;;) {
    const length = recv(fd.raw, buffer, MSG_DONTWAIT);
    if (length === -Errno.EAGAIN) return messages;
    messages.push([...buffer.subarray(0, check(length, "recv"))]);
  }
}

const message = (length: number, first: number) => Uint8Array.from({ length }, (_, i) => (first + i) & 0xff);

for (const [name, type] of Object.entries({ SOCK_STREAM, SOCK_SEQPACKET })) {
  Deno.test({
    name: `queue: it is copied once and in order, and the old one stays as it was (${name})`,
    ...skip,
    fn() {
      const [from, to] = pair(type);
      const [nextFrom, nextTo] = pair(type);
      using all = new DisposableStack();
      for (const fd of [from, to, nextFrom, nextTo]) all.use(fd);
      assertEquals(copyQueue(to.raw, from.raw, type), []);
      const sent = [message(1, 7), message(40_000, 3), message(500, 1), message(500, 2)];
      for (const one of sent) assertEquals(send(from.raw, one, 0), one.length);
      for (let again = 0; again < 2; again++) {
        const queued = copyQueue(to.raw, from.raw, type);
        assert(!("reason" in queued), JSON.stringify(queued));
        if (again === 1) fill(nextFrom.raw, queued);
      }
      assertEquals(option(to, SO_PEEK_OFF), -1);
      const expected = type === SOCK_STREAM ? [sent.flatMap((one) => [...one])] : sent.map((one) => [...one]);
      assertEquals(received(nextTo), expected);
      assertEquals(received(to), expected);
    },
  });
}

Deno.test({
  name: "queue: an empty packet is not lost but refused, wherever it is and however often it is looked at",
  ...skip,
  fn() {
    for (const lengths of [[0], [0, 3], [3, 0], [3, 0, 5], [3, 5, 0], [0, 0]]) {
      const [from, to] = pair(SOCK_SEQPACKET);
      using _from = from;
      using _to = to;
      for (const length of lengths) assertEquals(send(from.raw, message(length, 1), 0), length);
      for (let again = 0; again < 3; again++) {
        assert("reason" in copyQueue(to.raw, from.raw, SOCK_SEQPACKET), `${lengths}`);
      }
      assertEquals(received(to).map(({ length }) => length), lengths);
    }
  },
});
