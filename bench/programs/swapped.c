/*
 * Processes that hold files, to be moved from one mount to another.
 *
 * swapped DIR COUNT   each of COUNT processes opens DIR/f0 to DIR/f9, maps DIR/f0 shared and DIR/f1 privately, and writes to every page of the
 * private mapping. "ready" is printed when all have. Then a line "gap" on stdin is answered by the longest time, in nanoseconds since the
 * line before, in which a thread of the first or of the last process did not come to look at the clock; the thread sleeps for 50 us between
 * two looks. The end of stdin ends all of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 10, PAGES = 4, PAGE = 4096, NAP_NS = 50000 };

static struct {
  _Atomic long gap[2];
  _Atomic long there;
} *common;

static void fail(const char *what) {
  fprintf(stderr, "swapped: %s: %s\n", what, strerror(errno));
  exit(1);
}

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *watch(void *argument) {
  _Atomic long *gap = argument;
  const struct timespec nap = {0, NAP_NS};
  for (long before = now();;) {
    nanosleep(&nap, NULL);
    long after = now();
    if (after - before > *gap) *gap = after - before;
    before = after;
  }
  return NULL;
}

static void start_watch(_Atomic long *gap) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, watch, gap)) fail("pthread_create");
}

static void hold(const char *directory) {
  int fds[FILES];
  for (int n = 0; n < FILES; n++) {
    char name[4096];
    snprintf(name, sizeof name, "%s/f%d", directory, n);
    fds[n] = open(name, O_RDWR);
    if (fds[n] < 0) fail(name);
  }
  volatile char *shared = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
  volatile char *private = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fds[1], 0);
  if (shared == MAP_FAILED || private == MAP_FAILED) fail("mmap");
  for (int page = 0; page < PAGES; page++) {
    (void)shared[page * PAGE];
    private[page * PAGE] = 1;
  }
  common->there++;
}

static void be_child(pid_t parent, const char *directory, int is_last) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent) fail("the parent");
  hold(directory);
  if (is_last) start_watch(&common->gap[1]);
  for (;;) pause();
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int count = atoi(argv[2]);
  pid_t *children = calloc(count, sizeof *children);
  char line[16];
  common = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (common == MAP_FAILED) fail("mmap");
  pid_t parent = getpid();
  for (int n = 1; n < count; n++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    children[n] = child;
    if (child > 0) continue;
    be_child(parent, argv[1], n == count - 1);
  }
  hold(argv[1]);
  while (common->there < count) usleep(1000);
  start_watch(&common->gap[0]);
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    long first = common->gap[0], last = common->gap[1];
    printf("%ld\n", first > last ? first : last);
    fflush(stdout);
    common->gap[0] = common->gap[1] = 0;
  }
  for (int n = 1; n < count; n++) kill(children[n], SIGKILL);
  while (wait(NULL) > 0) continue;
  return 0;
}
