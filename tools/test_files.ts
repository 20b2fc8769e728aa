/**
 * The test files of this project, and which of them are run where.
 *
 * Convention: `tests/X/NAME_test.ts` tests X and runs anywhere, without root, FUSE or anything to be set up. What mounts something is
 * called `NAME_fuse_test.ts`, or lies below `tests/e2e/`. What needs a machine of its own, with a kernel that knows NFS, lies below
 * `tests/vm/`. Folders called `support` or `fuse` hold what tests share.
 *
 * @module
 */

/** Paths relative to the project, sorted. */
export interface TestFiles {
  /** Those that run anywhere. */
  readonly anywhere: readonly string[];
  /** Those that mount, one part of the product at a time. */
  readonly mounts: readonly string[];
  /** Those that use the product as its users do, by the sources and by the executable. */
  readonly endToEnd: readonly string[];
  /** Those that run in an emulated machine (`deno task test:vm`). */
  readonly machine: readonly string[];
}

/** Sorts paths, of which only tests are taken, by the convention. */
export function classify(paths: readonly string[]): TestFiles {
  const tests = paths.filter((path) => path.endsWith("_test.ts")).sort();
  const endToEnd = tests.filter((path) => path.startsWith("tests/e2e/"));
  const machine = tests.filter((path) => path.startsWith("tests/vm/"));
  const parts = tests.filter((path) => !endToEnd.includes(path) && !machine.includes(path));
  const mounts = parts.filter((path) => path.endsWith("_fuse_test.ts"));
  return { anywhere: parts.filter((path) => !mounts.includes(path)), mounts, endToEnd, machine };
}

/** Finds the tests of a project. */
export async function testFiles(root: URL): Promise<TestFiles> {
  const paths: string[] = [];
  const visit = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      if (isDirectory) await visit(`${folder}${name}/`);
      else paths.push(`${folder}${name}`);
    }
  };
  await visit("tests/");
  return classify(paths);
}
