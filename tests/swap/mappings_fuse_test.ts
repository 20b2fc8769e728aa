// Mapped files that are moved.

import { type ResourceCase, resourceCases } from "./support/case.ts";

const cases: ResourceCase[] = [
  { promise: "shared mappings stay one file to all", victim: "maps", cases: ["shared"], references: 5 },
  {
    promise: "private mappings keep their own pages under every protection",
    victim: "maps",
    cases: ["private"],
    pairs: ["same", "disk", "twins"],
    references: 5,
  },
  { promise: "mapped code goes on", victim: "maps", cases: ["code"], references: 2 },
  { promise: "mappings beyond the end of a file stay so", victim: "maps", cases: ["beyond"], references: 2 },
  { promise: "mprotect may do what it could do before", victim: "maps", cases: ["rights"], references: 3 },
  {
    promise: "mlock and madvise stay in force",
    victim: "maps",
    cases: ["advised"],
    pairs: ["same", "disk", "twins"],
    references: 13,
  },
  {
    promise: "locked memory that cannot be present stays locked",
    victim: "locked",
    cases: ["absent"],
    references: 3,
  },
  {
    promise: "locked private mappings stay locked, with the pages that they have of their own",
    victim: "locked",
    cases: ["private"],
  },
  {
    promise: "a file in many small mappings stays complete",
    victim: "maps",
    cases: ["pieces"],
    references: 34,
  },
  {
    promise: "a deleted file that is only mapped stays one file to all",
    victim: "maps",
    cases: ["ghost"],
    references: 2,
  },
  {
    promise: "pages that were inherited by fork stay what they are",
    victim: "maps",
    cases: ["inherited"],
    references: 2,
  },
  { promise: "few pages of a large mapping are its own", victim: "maps", cases: ["large"] },
  {
    promise: "mappings of all kinds in one unprivileged process",
    victim: "maps",
    cases: ["shared", "private", "code", "beyond", "rights", "pieces", "ghost", "inherited"],
    uid: 54_321,
    references: 50,
  },
];

await resourceCases(cases);
