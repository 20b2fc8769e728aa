import { assertEquals, assertThrows } from "@std/assert";
import { deviceChannel } from "../../ffi/fuse/channel.ts";
import { AnswerBuffer, IN_HEADER_SIZE, type ReplyChannel, Request } from "../../ffi/fuse/request.ts";
import { O_CLOEXEC } from "../../ffi/sys/constants.ts";
import { closeFd, pipe2, read } from "../../ffi/sys/file.ts";
import { check } from "../../ffi/sys/libc.ts";

/** A receive buffer with one request in it, and what is answered to it. */
function received(body: string) {
  const text = new TextEncoder().encode(body);
  const message = new Uint8Array(4096).fill(0x2e); // what an earlier, longer request left behind
  const view = new DataView(message.buffer);
  const length = IN_HEADER_SIZE + text.length;
  view.setUint32(0, length, true);
  view.setUint32(4, 1, true);
  view.setBigUint64(8, 77n, true);
  view.setBigUint64(16, 5n, true);
  view.setUint32(24, 1000, true);
  view.setUint32(28, 1001, true);
  view.setUint32(32, 4242, true);
  message.set(text, IN_HEADER_SIZE);
  const answers: unknown[] = [];
  const outstanding = new Map<bigint, Request>();
  const channel: ReplyChannel = {
    data: (_, payload, size) => {
      const bytes = payload instanceof AnswerBuffer ? payload.bytes : payload;
      return answers.push(["data", bytes.slice(0, size)]) && 0;
    },
    error: (_, errno) => answers.push(["error", errno]) && 0,
    none: () => void answers.push(["none"]),
  };
  const request = new Request(message, view, length, 0n, channel, outstanding);
  return { request, message, answers, outstanding };
}

Deno.test("request: its header is read as the kernel wrote it", () => {
  const { opcode, unique, nodeid, uid, gid, pid, state } = received("").request;
  assertEquals({ opcode, unique, nodeid, uid, gid, pid, state }, {
    opcode: 1,
    unique: 77n,
    nodeid: 5n,
    uid: 1000,
    gid: 1001,
    pid: 4242,
    state: "current",
  });
});

Deno.test("request: names end at their NUL, and one without is refused, whatever lies behind the message", () => {
  const { request } = received("one\0two\0");
  assertEquals(new TextDecoder().decode(request.name(40)), "one");
  assertEquals(new TextDecoder().decode(request.cname(44)), "two\0");
  for (const body of ["", "endless"]) {
    const { request, message } = received(body);
    message[2000] = 0;
    assertThrows(() => request.name(40), RangeError);
    assertThrows(() => request.cname(40), RangeError);
  }
});

Deno.test("request: detached, it keeps its message although the buffer is used again", () => {
  const { request, message, outstanding } = received("name\0");
  assertEquals(request.detach(), request);
  request.detach();
  message.fill(0xff);
  assertEquals(new TextDecoder().decode(request.name(40)), "name");
  assertEquals([request.view.getUint32(32, true), request.pid, request.uid], [4242, 4242, 1000]);
  assertEquals([...outstanding.keys()], [77n]);
  request.replyOk();
  assertEquals([outstanding.size, request.state], [0, "answered"]);
});

Deno.test("request: every way to answer counts as the one answer", () => {
  const ways: Record<string, (request: Request) => unknown> = {
    data: (request) => request.replyData(new Uint8Array([1, 2, 3]), 2),
    buffer: (request) => request.reply(new AnswerBuffer(3), 2),
    ok: (request) => request.replyOk(),
    error: (request) => request.replyError(5),
    none: (request) => request.replyNone(),
  };
  for (const detached of [false, true]) {
    for (const first of Object.values(ways)) {
      const { request, answers } = received("");
      if (detached) request.detach();
      first(request);
      for (const second of Object.values(ways)) {
        assertThrows(() => second(request), TypeError, "answered twice");
      }
      assertThrows(() => request.detach(), TypeError);
      assertEquals(answers.length, 1);
    }
  }
  const { request, answers } = received("");
  request.replyData(new Uint8Array([1, 2, 3]), 2);
  assertEquals(answers, [["data", new Uint8Array([1, 2])]]);
});

Deno.test("request: an error that is none is EIO, for the kernel would take it for success", () => {
  for (const errno of [0, -5]) {
    const { request, answers } = received("");
    request.replyError(errno);
    assertEquals(answers, [["error", 5]]);
  }
});

Deno.test("device channel: answers are what the kernel expects, with errors negated", () => {
  const ends = new Int32Array(2);
  check(pipe2(ends, O_CLOEXEC), "pipe2");
  const [from, to] = [...ends] as [number, number];
  try {
    const channel = deviceChannel(() => to);
    const { request } = received("");
    const buffer = new Uint8Array(100);
    const header = () => {
      const length = check(read(from, buffer, 100), "read");
      const view = new DataView(buffer.buffer);
      return [length, view.getUint32(0, true), view.getInt32(4, true), view.getBigUint64(8, true)];
    };
    assertEquals(channel.error(request, 2), 0);
    assertEquals(header(), [16, 16, -2, 77n]);
    assertEquals(channel.error(request, 0), 0);
    assertEquals(header(), [16, 16, 0, 77n]);
    assertEquals(channel.data(request, new Uint8Array([7, 8, 9]), 2), 0);
    assertEquals(header(), [18, 18, 0, 77n]);
    assertEquals([...buffer.subarray(16, 18)], [7, 8]);
    const answer = new AnswerBuffer(10_000);
    answer.bytes.fill(5);
    answer.view.setUint8(1, 6);
    for (const length of [3, 10_000]) {
      for (
        const send of [
          () => channel.data(request, answer, length),
          () => channel.data(request, answer.bytes, length),
        ]
      ) {
        assertEquals(send(), 0);
        const all = new Uint8Array(20_000);
        assertEquals(read(from, all), 16 + length);
        assertEquals([...all.subarray(0, 20)], [
          ...new Uint8Array(new Uint32Array([16 + length, 0, 77, 0]).buffer),
          5,
          6,
          5,
          length > 3 ? 5 : 0,
        ]);
        assertEquals(all[16 + length - 1], 5);
      }
    }
    assertEquals(deviceChannel(() => -1).error(request, 2), -9, "EBADF");
  } finally {
    closeFd(from);
    closeFd(to);
  }
});
