import { assert, assertEquals } from "@std/assert";
import { version } from "../../control/version.ts";
import { run } from "./support/cli.ts";

const wrong: [string[], string][] = [
  [["frobnicate"], "unknown command 'frobnicate'"],
  [["status", "--colour"], "unknown option '--colour'"],
  [["mount", "a"], "missing required argument 'mountpoint'"],
  [["mount", "a", "/m", "--mode", "proxy"], "argument 'proxy' is invalid"],
  [
    ["mount", "a", "/m", "--root-uid", "root"],
    "argument 'root' is invalid. Not a whole number, zero or more.",
  ],
  [["replace", "a", "--type", "ext4"], "required option '--source <source>' not specified"],
  [["replace", "a", "--source", "s", "--type", "nfs", "--swap", "half"], "argument 'half' is invalid"],
  [["swap", "/a"], "missing required argument 'target'"],
  [["swap", "/a", "/b", "/c"], "too many arguments"],
  [["swap", "/a", "/a"], "the source and the target are the same"],
  [["swap", "/a", "/b", "--pids", "1,x"], "argument '1,x' is invalid. Not a process id."],
  [["swap", "/a", "/b", "--pids", "0"], "argument '0' is invalid. Not a process id."],
  [["swap", "/a", "/b", "--pids", ","], "argument ',' is invalid. Not a list of process ids."],
  [["swap", "/a", "/b", "--pids", "1", "--cgroup", "/c"], "cannot be used with option"],
  [["swap", "/a", "/b", "--cgroup", "/c", "--pid-namespace", "1"], "cannot be used with option"],
  [["swap", "/a", "/b", "--tree"], "--tree needs --pids"],
  [["swap", "/a", "/b", "--deadline", "soon"], "argument 'soon' is invalid"],
  [["status", "--requests", "-1"], "argument '-1' is invalid"],
  [["status", "a", "b"], "too many arguments"],
  [["release"], "give a mount's id, or --all"],
  [["release", "a", "--all"], "give a mount's id or --all, not both"],
  [["mode", "--all"], "missing required argument"],
  [["mode", "stub"], "give a mount's id and a mode, or --all and a mode"],
  [["mode", "--all", "a", "stub"], "give a mount's id or --all, not both"],
  [["call"], "missing required argument 'method'"],
  [["call", "status", "{}", "{}"], "too many arguments"],
  [["call", "status", "--colour"], "unknown option '--colour'"],
  [["call", "status", "--socket"], "option '--socket <path>' argument missing"],
  [["criu-hook", "--timeout", "soon"], "argument 'soon' is invalid"],
  [["criu-hook", "now"], "too many arguments"],
  [["call", "status", "{"], "the parameters are not JSON"],
  [["create", "a", "--file", "/nonexistent/entries"], "/nonexistent/entries: "],
  [["serve", "--on-eof", "panic"], "argument 'panic' is invalid"],
  [["serve", "--errno", "EBOGUS"], "there is no error EBOGUS"],
  [["serve", "--errno", "toString"], "there is no error toString"],
  [["serve", "--errno"], "option '--errno <name>' argument missing"],
  [["serve", "--log-level", "loud"], "argument 'loud' is invalid"],
  [["serve", "now"], "too many arguments"],
];

for (const [args, message] of wrong) {
  Deno.test(`cli: "spfs ${args.join(" ")}" exits 2 with one line that says why`, async () => {
    const { code, out, err } = await run(args);
    assertEquals([code, out], [2, ""]);
    assert(err.startsWith("spfs: usage: ") && err.includes(message), err);
    assertEquals(err.indexOf("\n"), err.length - 1);
  });
}

Deno.test("cli: --help and --version go to stdout and exit 0", async () => {
  const help = await run(["--help"]);
  assertEquals([help.code, help.err], [0, ""]);
  for (const text of ["criu-hook", "Exit codes:", "$SPFS_SOCKET"]) assert(help.out.includes(text), text);
  assertEquals(await run(["--version"]), { code: 0, out: `${version}\n`, err: "" });
  assert((await run(["call", "--help"])).out.includes("--socket <path>"));
  assert((await run(["criu-hook", "--help"])).out.includes("--timeout <ms>"));
  assert((await run(["replace", "--help"])).out.includes("--retry-deadline <ms>"));
});

Deno.test("cli: without a command the help goes to stderr and the exit code is 2", async () => {
  const { code, out, err } = await run([]);
  assertEquals([code, out], [2, ""]);
  assert(err.startsWith("Usage: spfs"));
});

Deno.test("cli: a daemon that is not there exits 3 and names the socket", async () => {
  for (
    const [given, path] of [
      [{ SPFS_SOCKET: "/nonexistent/s" }, "/nonexistent/s"],
      [{ SPFS_RUNTIME_DIR: "/nonexistent/run" }, "/nonexistent/run/control.sock"],
      [{ SPFS_SOCKET: "", SPFS_RUNTIME_DIR: "/nonexistent/run" }, "/nonexistent/run/control.sock"],
    ] as [Record<string, string>, string][]
  ) {
    const { code, out, err } = await run(["status"], { env: given });
    assertEquals([code, out], [3, ""]);
    assert(err.startsWith(`spfs: unreachable: cannot reach ${path}: `), err);
  }
  const named = await run(["status", "--socket", "/nonexistent/named"], {
    env: { SPFS_SOCKET: "/nonexistent/s" },
  });
  assert(named.err.includes("/nonexistent/named"));
  for (
    const args of [["--socket", "/nonexistent/c", "status"], ["status", "{}", "--socket=/nonexistent/c"]]
  ) {
    const { code, err } = await run(["call", ...args]);
    assertEquals([code, err.startsWith("spfs: unreachable: cannot reach /nonexistent/c: ")], [3, true]);
  }
});

Deno.test("cli: the version is deno.json's", async () => {
  const config = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  assertEquals(config.version, version);
});

Deno.test("cli: check prints a line for everything it looks at, and its exit code says whether all is there", async () => {
  const plain = await run(["check"]);
  const { code, out } = await run(["check", "--json"]);
  const { lines, repairs } = JSON.parse(out);
  assertEquals(repairs, []);
  const states = new Set(lines.map((line: { state: string }) => line.state));
  assertEquals(code, states.size === 1 && states.has("ok") ? 0 : 4);
  assertEquals([plain.code, plain.out.split("\n").length], [code, lines.length + 2]);
});
