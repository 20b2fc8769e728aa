/*
 * mapped FILE RESULT [touch] [lock]
 *
 * Maps the three pages of FILE (pattern seed 2) MAP_PRIVATE and writes page 1 whole. `touch` reads the other two at once, so that
 * whatever the file holds now is in the page table; `lock` takes the write permission back and mlocks all three.
 * Adds "ready" to RESULT; on SIGUSR1 reads all pages and adds "page N real|zero|dirty|other" for each, then "end".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "detached.h"
#include "pattern.h"

enum { SEED = 2, PAGES = 3, DIRTY = 0xd1 };

static int result_fd;

static void report(const char *line)
{
	size_t length = strlen(line);
	if (write(result_fd, line, length) != (ssize_t)length)
		_exit(3);
}

static int all(const volatile unsigned char *page, long size, unsigned char value)
{
	for (long i = 0; i < size; i++)
		if (page[i] != value)
			return 0;
	return 1;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	long page_size = sysconf(_SC_PAGESIZE);
	int touch = 0, lock = 0;
	for (int i = 3; i < argc; i++) {
		touch |= strcmp(argv[i], "touch") == 0;
		lock |= strcmp(argv[i], "lock") == 0;
	}
	detach();
	sigset_t go;
	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	sigprocmask(SIG_BLOCK, &go, NULL);
	result_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0644);
	int fd = open(argv[1], O_RDONLY);
	if (result_fd < 0 || fd < 0)
		return 2;
	unsigned char *pages = mmap(NULL, PAGES * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	if (pages == MAP_FAILED)
		return 2;
	memset(pages + page_size, DIRTY, page_size);
	volatile unsigned char sink = 0;
	if (touch)
		for (int page = 0; page < PAGES; page++)
			sink ^= pages[page * page_size];
	if (lock && (mprotect(pages, PAGES * page_size, PROT_READ) != 0 || mlock(pages, PAGES * page_size) != 0)) {
		report("bad mlock\n");
		return 2;
	}
	report("ready\n");

	while (sigwaitinfo(&go, NULL) < 0 && errno == EINTR)
		;
	for (int page = 0; page < PAGES; page++) {
		const unsigned char *start = pages + page * page_size;
		char line[64];
		const char *state = pattern_matches(SEED, page * page_size, start, page_size) ? "real"
				    : all(start, page_size, 0)			      ? "zero"
				    : all(start, page_size, DIRTY)		      ? "dirty"
										      : "other";
		snprintf(line, sizeof line, "page %d %s\n", page, state);
		report(line);
	}
	report("end\n");
	return 0;
}
