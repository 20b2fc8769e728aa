// Where processes are and what they are: working directory, root, program, what tasks share, signals, seccomp, waiting calls.

import { type ResourceCase, resourceCases } from "./support/case.ts";

const USER = 54_321;

const places: ResourceCase[] = [
  { promise: "the working directory is moved", victim: "places", cases: ["cwd"] },
  { promise: "the top of the mount as working directory is moved", victim: "places", cases: ["cwd-top"] },
  {
    promise: "the root is moved with the working directory",
    victim: "places",
    cases: ["root"],
    references: 2,
  },
  { promise: "a root below the mount is moved", victim: "places", cases: ["root-below"] },
  { promise: "the program itself is moved", victim: "places", cases: ["exe"], placed: true, references: 5 },
  {
    promise: "threads with descriptors of their own are moved with these",
    victim: "places",
    cases: ["thread-files"],
    references: 4,
  },
  {
    promise: "threads with working directories of their own are moved with these",
    victim: "places",
    cases: ["thread-fs"],
    references: 2,
  },
  {
    promise: "processes that share a table of descriptors go on sharing it",
    victim: "places",
    cases: ["clone-files"],
  },
  {
    promise: "processes that share a working directory go on sharing it",
    victim: "places",
    cases: ["clone-fs"],
  },
  {
    promise: "processes that share their memory go on sharing it",
    victim: "places",
    cases: ["clone-memory"],
  },
  {
    promise: "a process whose first thread has ended is moved",
    victim: "places",
    cases: ["leader"],
    references: 2,
  },
];

const signals: ResourceCase[] = [
  { promise: "a blocked SIGTRAP stays blocked", victim: "signals", cases: ["trap-blocked"] },
  { promise: "an ignored SIGTRAP stays ignored", victim: "signals", cases: ["trap-ignored"] },
  { promise: "a blocked and ignored SIGTRAP stays both", victim: "signals", cases: ["trap-both"] },
  { promise: "a handled SIGTRAP stays handled", victim: "signals", cases: ["trap-handled"] },
  { promise: "a pending SIGTRAP stays pending", victim: "signals", cases: ["trap-pending"] },
  {
    promise: "queued signals stay queued with their values",
    victim: "signals",
    cases: ["queued"],
    uid: USER,
  },
  { promise: "a process in strict seccomp is moved", victim: "signals", cases: ["strict"] },
  {
    promise: "a process that a seccomp filter would kill is moved",
    victim: "signals",
    cases: ["filter-kill"],
  },
  {
    promise: "a process to which a seccomp filter gives errors is moved",
    victim: "signals",
    cases: ["filter-errno"],
  },
  {
    promise: "a process that a seccomp filter would signal is moved",
    victim: "signals",
    cases: ["filter-trap"],
  },
  {
    promise: "an unprivileged process with a seccomp filter is moved",
    victim: "signals",
    cases: ["filter-kill"],
    uid: USER,
  },
  {
    promise: "a process that may not be dumped is moved",
    victim: "signals",
    cases: ["undumpable"],
    uid: USER,
  },
  { promise: "a zombie stays one until it is waited for", victim: "signals", cases: ["zombie"] },
  {
    promise: "a stopped child stays so and its stop is told",
    victim: "signals",
    cases: ["stopped"],
    references: 2,
  },
].map((one) => ({ pairs: ["same"], ...one }));

const stopped: ResourceCase[] = [
  { promise: "a stopped process is moved and stays stopped", victim: "fds", cases: ["private", "dup"] },
  { promise: "stopped threads and children are moved and stay stopped", victim: "fds", cases: ["forked"] },
  {
    promise: "stopped threads with tables of their own stay stopped",
    victim: "places",
    cases: ["thread-files"],
  },
  { promise: "a stopped process keeps its mappings", victim: "maps", cases: ["private"] },
].map((one) => ({ pairs: ["same"], stopped: true, ...one }));

const calls: ResourceCase[] = [
  { promise: "no system call that waits ends early, late or with EINTR", victim: "calls", cases: ["calls"] },
];

await resourceCases([...places, ...signals, ...stopped, ...calls]);
