/*
 * Times file system operations in a directory.
 *
 * operations DIR SECONDS NAME...   prints one JSON object: microseconds per operation by name.
 * Each operation works on files that this program makes in DIR and removes again, but for readdir, which lists DIR/many.
 * With "8:" before its name an operation is done by 8 processes at a time, and the time is that between two ends of one. `unlink` removes
 * what `create`, or `8:unlink` what `8:create`, has made just before.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, FILE_MIB = 16 };

static char buffer[MIB] __attribute__((aligned(4096)));
static int data;

enum { CLIENTS = 8, MOST_FILES = 8000 };
static int client;  /* 0, or 1 to CLIENTS */
static long *made;  /* how many files each client has made, shared by them */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what) {
  fprintf(stderr, "operations: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void op_stat(long n) {
  struct stat s;
  (void)n;
  if (stat("data", &s)) fail("stat");
}

static void op_open(long n) {
  int fd = open("data", O_RDONLY);
  (void)n;
  if (fd < 0) fail("open");
  close(fd);
}

static void op_create(long n) {
  char name[32];
  snprintf(name, sizeof name, "c%d-%ld", client, n);
  int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
  if (fd < 0) fail("create");
  close(fd);
  made[client] = n + 1;
}

static void op_unlink(long n) {
  char name[32];
  snprintf(name, sizeof name, "c%d-%ld", client, n);
  if (unlink(name)) fail("unlink");
}

/* Pages are dropped before each read, so that every read asks the file system. */
static void op_read4k(long n) {
  off_t at = (n * 7919 % (FILE_MIB * 256)) * 4096;
  posix_fadvise(data, at, 4096, POSIX_FADV_DONTNEED);
  if (pread(data, buffer, 4096, at) != 4096) fail("read4k");
}

/* The same of pages that may stay in the cache: dropping them is free on a tmpfs and on nothing else, so native is compared by this. */
static void op_pread4k(long n) {
  off_t at = (n * 7919 % (FILE_MIB * 256)) * 4096;
  if (pread(data, buffer, 4096, at) != 4096) fail("pread4k");
}

static void op_write4k(long n) {
  if (pwrite(data, buffer, 4096, (n * 7919 % (FILE_MIB * 256)) * 4096) != 4096) fail("write4k");
}

static void op_read1m(long n) {
  off_t at = (n % FILE_MIB) * (off_t)MIB;
  posix_fadvise(data, at, MIB, POSIX_FADV_DONTNEED);
  if (pread(data, buffer, MIB, at) != MIB) fail("read1m");
}

static void op_write1m(long n) {
  if (pwrite(data, buffer, MIB, (n % FILE_MIB) * (off_t)MIB) != MIB) fail("write1m");
}

static void op_readdir(long n) {
  DIR *directory = opendir("many");
  (void)n;
  if (directory == NULL) fail("many");
  long entries = 0;
  while (readdir(directory) != NULL) entries++;
  if (entries < 10000) fail("readdir");
  closedir(directory);
}

static const struct {
  const char *name;
  void (*run)(long);
} operations[] = {
  {"stat", op_stat},       {"open", op_open},         {"create", op_create}, {"unlink", op_unlink},
  {"read4k", op_read4k},   {"write4k", op_write4k},   {"read1m", op_read1m}, {"write1m", op_write1m},
  {"readdir", op_readdir}, {"pread4k", op_pread4k},
};

/* Runs for `seconds`, or `limit` times when that is not 0; returns how often. */
static long repeat(void (*run)(long), double seconds, long limit, double *took) {
  double start = now();
  long n = 0;
  do {
    for (int i = 0; i < 16 && (limit == 0 || n < limit); i++) run(n++);
    *took = now() - start;
  } while (run == op_unlink ? n < limit : *took < seconds && (limit == 0 || n < limit));
  return n;
}

/*
 * How often an operation is to be done at most; 0: as often as there is time for. Who serves files may hold each open that has been made
 * (passthrough_ll does), and these are removed before more are made.
 */
static long limit_of(void (*run)(long)) {
  if (run == op_create) return client == 0 ? MOST_FILES : MOST_FILES / CLIENTS;
  return run == op_unlink ? made[client] : 0;
}

/* Microseconds between two ends of an operation that 8 processes do. */
static double by_eight(void (*run)(long), double seconds) {
  long *done = mmap(NULL, sizeof(long) * CLIENTS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (done == MAP_FAILED) fail("mmap");
  fflush(stdout);
  double start = now(), took;
  for (int i = 0; i < CLIENTS; i++) {
    pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid > 0) continue;
    client = i + 1;
    done[i] = repeat(run, seconds, limit_of(run), &took);
    _exit(0);
  }
  for (int i = 0, status; i < CLIENTS; i++)
    if (wait(&status) < 0 || status != 0) exit(1);
  took = now() - start;
  long all = 0;
  for (int i = 0; i < CLIENTS; i++) all += done[i];
  munmap(done, sizeof(long) * CLIENTS);
  return took / all * 1e6;
}

/* Whether an operation reads or writes the data file, as the ones with a size in their name do. */
static int needs_data(const char *name) {
  size_t length = strlen(name);
  return length > 2 && (strcmp(name + length - 2, "4k") == 0 || strcmp(name + length - 2, "1m") == 0);
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: operations DIR SECONDS NAME...\n");
    return 2;
  }
  if (chdir(argv[1])) fail(argv[1]);
  double seconds = atof(argv[2]);
  data = open("data", O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (data < 0) fail("data");
  memset(buffer, 'x', sizeof buffer);
  if (needs_data(argv[3]))
    for (int i = 0; i < FILE_MIB; i++)
      if (write(data, buffer, MIB) != MIB) fail("data");
  made = mmap(NULL, sizeof(long) * (CLIENTS + 1), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (made == MAP_FAILED) fail("mmap");
  printf("{");
  for (int a = 3; a < argc; a++) {
    size_t k = 0;
    int eight = strncmp(argv[a], "8:", 2) == 0;
    const char *name = argv[a] + (eight ? 2 : 0);
    while (k < sizeof operations / sizeof *operations && strcmp(operations[k].name, name)) k++;
    if (k == sizeof operations / sizeof *operations) {
      fprintf(stderr, "operations: no operation %s\n", argv[a]);
      return 2;
    }
    if (eight) {
      printf("%s\"%s\":%.3f", a > 3 ? "," : "", argv[a], by_eight(operations[k].run, seconds));
      continue;
    }
    double took;
    long n = repeat(operations[k].run, seconds, limit_of(operations[k].run), &took);
    printf("%s\"%s\":%.3f", a > 3 ? "," : "", argv[a], took / n * 1e6);
  }
  printf("}\n");
  close(data);
  unlink("data");
  return 0;
}
