/**
 * Which C headers there are to compare with: the installed ones, and the newer ones that came with a newer libfuse into the cache.
 *
 * @module
 */
import { libfusePaths } from "../../../tools/libfuse.ts";

/** A tree of headers. */
export interface HeaderTree {
  /** For the names of tests. */
  readonly name: string;
  /** What makes the compiler look there first. */
  readonly flags: readonly string[];
}

/** The trees of this machine: always the installed one, which may lack the headers in question. */
export async function headerTrees(): Promise<HeaderTree[]> {
  // The packages of a library bring the kernel's headers along: they are where that tree has its /usr/include.
  const beside = Object.values(await libfusePaths()).map(({ library }) =>
    library.replace(/\/lib(64)?\/.*$/, "/include")
  );
  const others = new Set(beside.filter((include) => !include.startsWith("/usr/")));
  return [
    { name: "the installed headers", flags: [] },
    ...[...others].map((include): HeaderTree => ({
      name: "the headers in the cache",
      flags: ["-I", include, "-I", `${include}/${Deno.build.arch}-linux-gnu`],
    })),
  ];
}
