/** Makes room for descriptors, and tells when the kernel's table has grown: the limit before and after, and the size of the table. */
import { RLIMIT_NOFILE } from "../../../ffi/sys/constants.ts";
import { prlimit64, type Rlimit } from "../../../ffi/sys/process.ts";
import { descriptorRoom, makeDescriptorRoom } from "../../../host/descriptor_room.ts";

const [soft, hard] = Deno.args.map(BigInt) as [bigint, bigint];
const tableSize = () => Number(/^FDSize:\t(\d+)$/m.exec(Deno.readTextFileSync("/proc/self/status"))![1]);
prlimit64(0, RLIMIT_NOFILE, { soft, hard });
const told = makeDescriptorRoom();
const limit = prlimit64(0, RLIMIT_NOFILE) as Rlimit;
const wanted = Math.min(Number(limit.soft), descriptorRoom);
while (tableSize() < wanted) await new Promise((resolve) => setTimeout(resolve, 1));
console.log(JSON.stringify([told === undefined, String(limit.soft), tableSize()]));
