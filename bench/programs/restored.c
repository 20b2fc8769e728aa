/*
 * A tree of processes to be dumped and restored.
 *
 * restored COUNT FILES DIR...   forks COUNT processes, each of which opens FILES files, one after the other of the directories: DIR/fN, where N
 * counts over all. Says "ready" when all have, lets go of its terminal and pipes, and waits for signals.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fail(const char *what) {
  fprintf(stderr, "restored: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* No pipe to somebody outside may be left. */
static void let_go(void) {
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; fd++)
    if (dup2(null, fd) < 0) _exit(1);
  close(null);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  int count = atoi(argv[1]), files = atoi(argv[2]), directories = argc - 3, ready[2];
  if (setsid() < 0 && errno != EPERM) fail("setsid");
  if (pipe(ready) < 0) fail("pipe");
  for (int child = 0; child < count; child++) {
    pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid > 0) continue;
    for (int n = child * files; n < (child + 1) * files; n++) {
      char path[4096];
      snprintf(path, sizeof path, "%s/f%d", argv[3 + n % directories], n);
      if (open(path, O_RDWR | O_CLOEXEC) < 0) fail(path);
    }
    let_go();
    if (write(ready[1], "", 1) != 1) _exit(1);
    close(ready[0]);
    close(ready[1]);
    for (;;) pause();
  }
  for (int child = 0; child < count; child++) {
    char byte;
    if (read(ready[0], &byte, 1) != 1) fail("a child");
  }
  close(ready[0]);
  close(ready[1]);
  puts("ready");
  fflush(stdout);
  let_go();
  for (;;) pause();
}
