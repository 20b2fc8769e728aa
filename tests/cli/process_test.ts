import { assert, assertEquals } from "@std/assert";

const main = new URL("../../main.ts", import.meta.url).pathname;

/** Runs a shell line in which `spfs` stands for the program. */
async function shell(
  line: string,
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const spfs = `spfs() { "${Deno.execPath()}" run -A --no-lock "${main}" "$@"; }`;
  const command = new Deno.Command("sh", {
    args: ["-c", `${spfs}\n${line}`],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    signal: AbortSignal.timeout(30_000),
  });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("process: a reader of stdout that leaves early is no failure", async () => {
  const { out, err } = await shell("{ spfs schema; echo $? >&2; } | head -c 1");
  assertEquals([out, err], ["{", "0\n"]);
});

Deno.test("process: criu-hook works as CRIU starts it, with stdin closed, and says in one line why it fails", async () => {
  const env = { CRTOOLS_SCRIPT_ACTION: "post-restore" };
  const { code, out, err } = await shell("cd / && spfs criu-hook --socket /nonexistent/s <&-", env);
  assertEquals([code, out], [1, ""]);
  assert(/^spfs criu-hook: post-restore: failed: cannot reach \/nonexistent\/s: .*\n$/.test(err), err);
});

Deno.test("process: output that cannot be written exits 1 and says so", async () => {
  const { code, err } = await shell("spfs schema > /dev/full");
  assertEquals(code, 1);
  assert(/^spfs: system: .*space.*\n$/.test(err), err);
});
