/**
 * The disk that brings the tests into the guest: a Deno, the product, the tests as one file each, the programs that they start, and the
 * script that runs it all.
 *
 * @module
 */

import { join } from "@std/path";
import { output } from "../../../tools/command.ts";
import { productPath } from "../../../tools/compile.ts";
import { compile } from "../../e2e/support/victims.ts";
import { makeDisk } from "./image.ts";

const root = new URL("../../../", import.meta.url).pathname;

/** The C programs that tests start in the guest, relative to the project. */
const victims = ["tests/e2e/victims/logger.c", "tests/vm/victims/holder.c", "tests/vm/victims/crowd.c"];

/** How the tests are run. */
export interface Rounds {
  /** How many times all of them, one after the other. */
  readonly times: number;
  /** After how many seconds a round is ended, and no other begun: what hangs would be in its way. */
  readonly seconds: number;
}

/** The name of a round's report among the results; rounds are counted from 1. */
export function reportName(round: number | string): string {
  return `report-${round}.xml`;
}

const script = ({ times, seconds }: Rounds) => `
export TMPDIR=/tmp NO_COLOR=1 SPFS_CRIU=/usr/sbin/criu SPFS_TIME_FACTOR=15
failed=0
for round in $(seq ${times}); do
	report=/results/${reportName("$round")}
	timeout --kill-after=10 ${seconds} /spfs/deno test --allow-all --no-check --junit-path=$report /spfs/tests || failed=$?
	[ -s $report ] || break
done
exit $failed
`;

/**
 * Makes the disk.
 *
 * @param tests paths of tests, relative to the project
 * @param rounds how they are run
 * @param folder an empty folder for what goes onto the disk
 * @param disk the file to make
 * @throws {Error} when something does not compile
 */
export async function makeJob(
  tests: readonly string[],
  rounds: Rounds,
  folder: string,
  disk: string,
): Promise<void> {
  for (const name of ["tests", "victims"]) await Deno.mkdir(join(folder, name));
  await output("cp", [Deno.execPath(), join(folder, "deno")]);
  await output("cp", [productPath, join(folder, "spfs")]);
  await Deno.writeTextFile(join(folder, "run.sh"), script(rounds));
  // The guest has another C library than the host.
  for (const path of victims) {
    compile(join(root, path), join(folder, "victims", path.replace(/.*\/|\.c$/g, "")), ["-static"]);
  }
  for (const path of tests) {
    const file = join(folder, path.replace(/^tests\/vm\//, "tests/").replace(/\.ts$/, ".js"));
    const args = ["bundle", "--quiet", "--frozen", "--platform=deno", "--keep-names", "--output", file, path];
    await output(Deno.execPath(), args, { cwd: root });
  }
  await makeDisk(folder, disk, 1024);
}
