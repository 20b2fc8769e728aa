import { assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import { O_CLOEXEC, SPLICE_F_NONBLOCK } from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { pipe2, read, write } from "../../ffi/sys/file.ts";
import { check } from "../../ffi/sys/libc.ts";
import { bytesQueued, tee } from "../../ffi/sys/pipe.ts";

function pipe(): { reader: Fd; writer: Fd } & Disposable {
  const ends = new Int32Array(2);
  check(pipe2(ends, O_CLOEXEC), "pipe2");
  const [reader, writer] = [Fd.own(ends[0]!), Fd.own(ends[1]!)];
  return {
    reader,
    writer,
    [Symbol.dispose]() {
      reader[Symbol.dispose]();
      writer[Symbol.dispose]();
    },
  };
}

Deno.test("pipe: tee leaves what it copies, from the beginning each time", () => {
  using from = pipe();
  using to = pipe();
  const copy = (count: number) => tee(from.reader.raw, to.writer.raw, count, SPLICE_F_NONBLOCK);
  assertEquals(copy(9), -Errno.EAGAIN);
  write(from.writer.raw, new Uint8Array([1, 2, 3, 4]));
  assertEquals([copy(2), copy(9)], [2, 4]);
  assertEquals([from.reader, from.writer, to.reader].map(({ raw }) => bytesQueued(raw)), [4, 4, 6]);
  const buffer = new Uint8Array(9);
  assertEquals(read(to.reader.raw, buffer), 6);
  assertEquals([...buffer.subarray(0, 6)], [1, 2, 1, 2, 3, 4]);
  assertEquals(read(from.reader.raw, buffer), 4);
  from.writer.close();
  assertEquals(copy(9), 0);
});

Deno.test("pipe: what is no pipe is refused", () => {
  using from = pipe();
  assertEquals(tee(from.reader.raw, from.writer.raw, 1, 0), -Errno.EINVAL);
  assertEquals(bytesQueued(1_000_000), -Errno.EBADF);
});
