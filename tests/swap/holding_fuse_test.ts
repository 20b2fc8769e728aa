// What processes hold on files besides descriptors: locks, leases, owners, epoll registrations, inotify watches.

import { type ResourceCase, resourceCases } from "./support/case.ts";

const cases: ResourceCase[] = [
  { promise: "POSIX locks stay with their process", victim: "locks", cases: ["posix"], references: 4 },
  {
    promise: "POSIX locks of several processes stay apart",
    victim: "locks",
    cases: ["neighbours"],
    references: 3,
  },
  { promise: "OFD locks stay with their description", victim: "locks", cases: ["ofd"], references: 4 },
  { promise: "flock locks stay with their description", victim: "locks", cases: ["flock"], references: 8 },
  { promise: "thousands of locks stay", victim: "locks", cases: ["many"], references: 2 },
  {
    promise: "who waits for a lock goes on waiting and gets it",
    victim: "locks",
    cases: ["waiter"],
    references: 2,
  },
  // Not between two mounts of one file system: to open the file once more breaks the lease, see refused_fuse_test.ts.
  {
    promise: "a lease for writing stays and is broken as asked",
    victim: "locks",
    cases: ["lease-write"],
    pairs: ["twins"],
    mirror: (_from, to) => Deno.writeFileSync(`${to}/leased-write`, new Uint8Array(100)),
  },
  { promise: "a lease for reading stays and is broken as asked", victim: "locks", cases: ["lease-read"] },
  { promise: "owners, their signals and O_ASYNC stay", victim: "locks", cases: ["owner"], references: 8 },
  {
    promise: "locks of all kinds in one process",
    victim: "locks",
    cases: ["posix", "ofd", "flock", "owner"],
    references: 20,
  },
  {
    promise: "epoll registrations stay with their data and events",
    victim: "events",
    cases: ["epoll"],
    references: 13,
  },
  {
    promise: "an epoll instance that is shared stays so",
    victim: "events",
    cases: ["epoll-shared"],
    references: 26,
  },
  { promise: "inotify watches keep their numbers and masks", victim: "events", cases: ["inotify"] },
  // Between two file systems they would be: see refused_fuse_test.ts.
  {
    promise: "inotify events that were not read yet are not lost",
    victim: "events",
    cases: ["inotify-queued"],
    pairs: ["same"],
  },
];

await resourceCases(cases);
