/*
 * crowd DIRECTORY RESULT COUNT
 *
 * A process with so many files open that it takes a while to open them all again. Round by round it appends a line to each of
 * DIRECTORY/0, 1, ...; after each round it adds "round N" to RESULT, and "bad FILE ERRNO" when a line could not be written whole.
 * SIGTERM ends it after a round.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../e2e/victims/detached.h"

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int count = atoi(argv[3]);
	int *files = calloc(count, sizeof *files);
	detach();
	umask(022);
	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	int result_fd = open(argv[2], O_WRONLY | O_APPEND);
	if (result_fd < 0 || chdir(argv[1]) != 0)
		return 2;
	char line[64];
	for (int i = 0; i < count; i++) {
		snprintf(line, sizeof line, "%d", i);
		files[i] = open(line, O_WRONLY | O_CREAT | O_APPEND, 0644);
		if (files[i] < 0)
			return 2;
	}
	struct timespec pause = { 0, 5 * 1000 * 1000 };
	for (unsigned long round = 1;; round++) {
		int length = snprintf(line, sizeof line, "round %lu\n", round);
		for (int i = 0; i < count; i++) {
			if (write(files[i], line, length) == length)
				continue;
			dprintf(result_fd, "bad %d %s\n", i, strerrorname_np(errno));
		}
		if (write(result_fd, line, length) != length)
			return 3;
		if (sigtimedwait(&stop, NULL, &pause) == SIGTERM)
			return 0;
	}
}
