/**
 * What people do with a file system: a C project is unpacked and compiled in proxy mode, beside the native file system and beside libfuse's own
 * passthrough_ll. The project is this one's own C programs, but for the one of 32-bit code. Nobody is pinned to a CPU, and two compilers run at a time.
 *
 * @module
 */
import { run } from "../tests/e2e/support/child.ts";
import type { Sandbox } from "../tests/e2e/support/sandbox.ts";
import type { Binary } from "../tests/e2e/support/spfs.ts";
import { type Compared, compared, Contestants, inTurn, type Times } from "./contestants.ts";

const TESTS = new URL("../tests/", import.meta.url).pathname;

/** Answers with the seconds of both steps, and leaves nothing behind. */
const BUILD = `#!/bin/sh
set -e
trap '[ $? = 0 ] || echo failed' EXIT
now() { date +%s%N; }
mkdir project
cd project
began=$(now)
tar -xf "$1"
unpacked=$(now)
find . -name '*.c' | xargs -P 2 -n 1 sh -c 'cc -O1 -w -c -o "$0.o" "$0"'
find . -name '*.o' | xargs ar rcs all.a
compiled=$(now)
cd ..
rm -r project
echo $((unpacked - began)) $((compiled - unpacked))
`;

/** Milliseconds for each step, and both together. */
export interface Builds {
  /** tar -x. */
  readonly unpack: Compared;
  /** cc and ar. */
  readonly compile: Compared;
  /** Both. */
  readonly build: Compared;
}

/** Measures. spfs lets the kernel keep names and attributes for a second, as it does by default, and so does passthrough_ll. */
export async function project(sandbox: Sandbox, binary: Binary, rounds: number): Promise<Builds> {
  const archive = sandbox.at("project.tar");
  await run("sh", [
    "-c",
    `cd "$0" && find . -name '*.[ch]' ! -name compat.c | tar -cf "$1" -T -`,
    TESTS,
    archive,
  ]);
  const script = sandbox.at("build");
  await Deno.writeTextFile(script, BUILD, { mode: 0o755 });
  const conditions = { cacheSeconds: 1, checks: false, prefix: [] };
  const contestants = await Contestants.start(sandbox, binary, conditions);
  const none = (): Times => ({ native: [], passthrough_ll: [], spfs: [] });
  const [unpack, compile, build] = [none(), none(), none()];
  for (let n = 0; n < rounds; n++) {
    for (const name of inTurn(n)) {
      const told = await contestants.ask(name, `${script} ${archive}`);
      const [unpacked, compiled] = told.split(" ").map((ns) => Number(ns) / 1e6);
      if (!(compiled! > 0)) throw new Error(`${name}: the project was not built: ${told}`);
      unpack[name].push(unpacked!);
      compile[name].push(compiled!);
      build[name].push(unpacked! + compiled!);
    }
  }
  await contestants.end();
  return {
    unpack: compared("unpack", unpack, "ms"),
    compile: compared("compile", compile, "ms"),
    build: compared("both", build, "ms"),
  };
}
