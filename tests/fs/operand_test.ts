import { assertEquals } from "@std/assert";
import * as kernel from "../../ffi/fuse/kernel.ts";
import { type ReplyChannel, Request } from "../../ffi/fuse/request.ts";
import { operandPath } from "../../fs/operand.ts";

const channel: ReplyChannel = { data: () => 0, error: () => 0, none: () => {} };
const bytes = (text: string) => new TextEncoder().encode(text);

function request(opcode: number, struct: number, name: string): Request {
  const message = new Uint8Array(40 + struct + name.length + 1);
  message.set(bytes(name), 40 + struct);
  const view = new DataView(message.buffer);
  view.setUint32(4, opcode, true);
  return new Request(message, view, message.length, 0n, channel, new Map());
}

Deno.test("operand: an operation on a name is told by that name, others by the node", () => {
  const told = (opcode: number, struct: number, node: string) =>
    new TextDecoder().decode(operandPath(request(opcode, struct, "name"), bytes(node)));
  assertEquals(told(kernel.FUSE_LOOKUP, 0, "/"), "/name");
  assertEquals(told(kernel.FUSE_LOOKUP, 0, "/dir"), "/dir/name");
  assertEquals(told(kernel.FUSE_CREATE, kernel.fuse_create_in.size, "/dir"), "/dir/name");
  assertEquals(told(kernel.FUSE_MKDIR, kernel.fuse_mkdir_in.size, "/dir"), "/dir/name");
  assertEquals(told(kernel.FUSE_RENAME2, kernel.fuse_rename2_in.size, "/dir"), "/dir/name");
  assertEquals(told(kernel.FUSE_READ, 40, "/dir/file"), "/dir/file");
});
