/*
 * logger DIRECTORY RESULT TICK_MS
 *
 * The process that is to survive a migration: its cwd is DIRECTORY/work, it appends numbered lines to DIRECTORY/log, reads
 * DIRECTORY/data (pattern seed 1) with a file offset of its own and through a MAP_SHARED mapping, and keeps a private mapping of
 * DIRECTORY/private (seed 2, three pages) of which it wrote page 1 and never touches page 2 before the end.
 * Every tick adds a line to RESULT, which lies elsewhere; "bad WHAT" lines tell what was wrong. SIGTERM ends it:
 * "end ticks=N bad=N" and exit code 0 when nothing was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "detached.h"
#include "monotonic.h"
#include "pattern.h"

enum { DATA_SEED = 1, PRIVATE_SEED = 2, PRIVATE_PAGES = 3, CHUNK = 700 };
static const char page_text[] = "written by logger before the dump";

static int result_fd;
static unsigned long bad;
static long page_size;

static void report(const char *format, ...)
{
	char line[512];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (write(result_fd, line, length) != length)
		_exit(3);
}

static void expect(int holds, const char *what, unsigned long tick)
{
	if (holds)
		return;
	bad++;
	report("bad %s tick=%lu errno=%s\n", what, tick, strerrorname_np(errno));
}

static int open_or_exit(const char *directory, const char *name, int flags)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	int fd = open(path, flags, 0644);
	if (fd < 0) {
		report("bad open %s %s\n", path, strerror(errno));
		exit(2);
	}
	return fd;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	const char *directory = argv[1];
	long tick_ms = atol(argv[3]);
	page_size = sysconf(_SC_PAGESIZE);
	detach();
	umask(022);
	result_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (result_fd < 0)
		return 2;

	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);

	int log_fd = open_or_exit(directory, "log", O_WRONLY | O_CREAT | O_APPEND);
	int data_fd = open_or_exit(directory, "data", O_RDONLY);
	int private_fd = open_or_exit(directory, "private", O_RDONLY);
	struct stat data;
	fstat(data_fd, &data);
	uint32_t data_size = (uint32_t)data.st_size;
	const unsigned char *shared = mmap(NULL, data_size, PROT_READ, MAP_SHARED, data_fd, 0);
	unsigned char *private =
		mmap(NULL, PRIVATE_PAGES * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, private_fd, 0);
	char cwd[PATH_MAX];
	snprintf(cwd, sizeof cwd, "%s/work", directory);
	if (shared == MAP_FAILED || private == MAP_FAILED || chdir(cwd) != 0) {
		report("bad set-up %s\n", strerror(errno));
		return 2;
	}
	close(private_fd);
	strcpy((char *)private + page_size, page_text);
	report("start pid=%d\n", (int)getpid());

	uint32_t position = 0;
	struct timespec pause = { tick_ms / 1000, tick_ms % 1000 * 1000000 };
	for (unsigned long tick = 1;; tick++) {
		int64_t begun = monotonic_ns();
		char line[64];
		int length = snprintf(line, sizeof line, "%08lu line of process %d\n", tick, (int)getpid());
		errno = 0;
		expect(write(log_fd, line, length) == length, "append", tick);

		unsigned char chunk[CHUNK];
		ssize_t count = read(data_fd, chunk, sizeof chunk);
		uint32_t rest = data_size - position;
		expect(count == (ssize_t)(rest < CHUNK ? rest : CHUNK), "read count", tick);
		expect(count < 0 || pattern_matches(DATA_SEED, position, chunk, count), "read bytes", tick);
		position += count > 0 ? (uint32_t)count : 0;
		expect(lseek(data_fd, 0, SEEK_CUR) == (off_t)position, "file offset", tick);
		if (position >= data_size) {
			position = 0;
			lseek(data_fd, 0, SEEK_SET);
		}

		uint32_t spot = (uint32_t)(tick * 4099 % (data_size - 16));
		expect(pattern_matches(DATA_SEED, spot, shared + spot, 16), "shared mapping", tick);
		expect(strcmp((char *)private + page_size, page_text) == 0, "private mapping, written page", tick);
		expect(pattern_matches(PRIVATE_SEED, 0, private, page_size), "private mapping, clean page", tick);
		struct stat log;
		expect(stat("../log", &log) == 0 && log.st_size >= (off_t)(tick * length), "stat from the cwd", tick);
		report("tick %lu us=%ld\n", tick, (long)((monotonic_ns() - begun) / 1000));

		if (sigtimedwait(&stop, NULL, &pause) == SIGTERM) {
			expect(pattern_matches(PRIVATE_SEED, 2 * page_size, private + 2 * page_size, page_size),
			       "private mapping, untouched page", tick);
			report("end ticks=%lu bad=%lu\n", tick, bad);
			return bad != 0;
		}
	}
}
