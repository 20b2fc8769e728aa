// Open files that are moved.

import { type ResourceCase, resourceCases } from "./support/case.ts";

const USER = 54_321;

const cases: ResourceCase[] = [
  {
    promise: "descriptors of one process keep offset, access mode and status flags",
    victim: "fds",
    cases: ["private"],
  },
  {
    promise: "an unprivileged process keeps its descriptors",
    victim: "fds",
    cases: ["private", "dup"],
    uid: USER,
  },
  {
    promise: "numbers that share a description go on sharing it",
    victim: "fds",
    cases: ["dup"],
    references: 4,
  },
  {
    promise: "parent, child and grandchild go on sharing a description",
    victim: "fds",
    cases: ["forked"],
    references: 3,
  },
  {
    promise: "descriptions that were passed to unrelated processes stay shared",
    victim: "fds",
    cases: ["passed"],
    references: 4,
  },
  {
    promise: "status flags stay and work",
    victim: "fds",
    cases: ["flags"],
    pairs: ["same", "disk", "twins"],
    references: 7,
  },
  { promise: "O_PATH descriptors stay what they are", victim: "fds", cases: ["path"], references: 4 },
  { promise: "device nodes stay open", victim: "fds", cases: ["devices"], references: 3 },
  { promise: "close-on-exec stays with its number", victim: "fds", cases: ["cloexec"], references: 2 },
  { promise: "hundreds of descriptors are moved", victim: "fds", cases: ["many"], references: 700 },
  {
    promise: "a process whose table of descriptors is full is moved",
    victim: "fds",
    cases: ["full"],
    references: 50,
  },
  {
    promise: "descriptors of all kinds in one process",
    victim: "fds",
    cases: ["private", "dup", "forked", "passed", "flags", "path", "devices", "cloexec"],
    references: 20,
  },
];

await resourceCases(cases);
