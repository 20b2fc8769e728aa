/*
 * Clients that wait in stat(2) for a file system to answer.
 *
 * waiters DIR COUNT            COUNT threads, each in stat("DIR/wN"). Prints "started" when all have been started. The first byte on
 *                              stdin is the moment of release: times are taken from then on. Ends with one JSON object: milliseconds
 *                              from release to the first, median and last return, and how many failed by errno.
 * waiters --kill DIR COUNT     COUNT processes, each in stat("DIR/wN"). Prints "started"; at the first byte on stdin kills one after
 *                              the other with SIGKILL and prints the milliseconds until each could be reaped, as a JSON array.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *directory;
static double *returned;
static int *errors;
static atomic_int running;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void wait_in_stat(long n) {
  char path[4096];
  struct stat s;
  snprintf(path, sizeof path, "%s/w%ld", directory, n);
  errno = 0;
  int failed = stat(path, &s);
  if (returned) {
    returned[n] = now();
    errors[n] = failed ? errno : 0;
  }
}

static void *thread(void *n) {
  atomic_fetch_add(&running, 1);
  wait_in_stat((long)n);
  return NULL;
}

static int by_time(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void byte_from_stdin(void) {
  char byte;
  if (read(0, &byte, 1) != 1) exit(3);
}

static int kill_them(long count) {
  pid_t *pids = calloc(count, sizeof *pids);
  for (long n = 0; n < count; n++) {
    pids[n] = fork();
    if (pids[n] == 0) {
      wait_in_stat(n);
      _exit(0);
    }
  }
  puts("started");
  fflush(stdout);
  byte_from_stdin();
  printf("[");
  for (long n = 0; n < count; n++) {
    double start = now();
    kill(pids[n], SIGKILL);
    waitpid(pids[n], NULL, 0);
    printf("%s%.3f", n ? "," : "", now() - start);
  }
  puts("]");
  return 0;
}

int main(int argc, char **argv) {
  int killing = argc > 1 && !strcmp(argv[1], "--kill");
  if (argc != 3 + killing) {
    fprintf(stderr, "usage: waiters [--kill] DIR COUNT\n");
    return 2;
  }
  directory = argv[1 + killing];
  long count = atol(argv[2 + killing]);
  if (killing) return kill_them(count);
  returned = calloc(count, sizeof *returned);
  errors = calloc(count, sizeof *errors);
  pthread_t *threads = calloc(count, sizeof *threads);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 64 * 1024);
  for (long n = 0; n < count; n++) {
    int failed = pthread_create(&threads[n], &small, thread, (void *)n);
    if (failed) {
      fprintf(stderr, "waiters: thread %ld: %s\n", n, strerror(failed));
      return 1;
    }
  }
  puts("started");
  fflush(stdout);
  byte_from_stdin();
  double start = now();
  for (long n = 0; n < count; n++) pthread_join(threads[n], NULL);
  int unexpected = 0, early = 0;
  for (long n = 0; n < count; n++) {
    returned[n] -= start;
    early += returned[n] < 0;
    unexpected += errors[n] != 0 && errors[n] != ENOENT;
  }
  qsort(returned, count, sizeof *returned, by_time);
  printf("{\"count\":%ld,\"firstMs\":%.2f,\"medianMs\":%.2f,\"lastMs\":%.2f,\"early\":%d,\"failed\":%d}\n", count, returned[0],
         returned[count / 2], returned[count - 1], early, unexpected);
  return 0;
}
