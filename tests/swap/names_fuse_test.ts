// Open files and directories, by what has become of their names, and FIFOs with what is in them.

import { type ResourceCase, resourceCases } from "./support/case.ts";

const cases: ResourceCase[] = [
  {
    promise: "deleted files keep their data and stay one file",
    victim: "names",
    cases: ["deleted"],
    references: 5,
  },
  {
    promise: "a deleted file is not taken for the one that has its name",
    victim: "names",
    cases: ["replaced"],
    references: 4,
  },
  { promise: "hard links stay one file", victim: "names", cases: ["links"], references: 3 },
  {
    promise: "a file whose name is gone stays the one that has another name",
    victim: "names",
    cases: ["link-gone"],
    pairs: ["same", "disk"],
    references: 2,
  },
  {
    promise: "renamed files are found by their new names",
    victim: "names",
    cases: ["renamed"],
    references: 3,
  },
  {
    promise: "names are bytes, whatever they look like",
    victim: "names",
    cases: ["strange"],
    references: 18,
  },
  {
    promise: "directories are read on from where they were",
    victim: "names",
    cases: ["entries"],
    pairs: ["same", "disk"],
    references: 4,
  },
  {
    promise: "FIFOs keep what is in them, in order",
    victim: "fifos",
    cases: ["both"],
    references: 3,
  },
  { promise: "the two ends of a FIFO stay connected", victim: "fifos", cases: ["ends"], references: 2 },
  {
    promise: "what a writer left in a FIFO stays there, and the end behind it",
    victim: "fifos",
    cases: ["left"],
  },
  { promise: "a FIFO without a name keeps what is in it", victim: "fifos", cases: ["unlinked"] },
  {
    promise: "FIFOs of all kinds in one process",
    victim: "fifos",
    cases: ["both", "ends", "left", "unlinked"],
    references: 7,
  },
];

await resourceCases(cases);
