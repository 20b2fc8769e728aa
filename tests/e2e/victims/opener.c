/*
 * opener DIRECTORY RESULT
 *
 * Holds what CRIU finds again by path, type, size and permissions alone: a working directory and a directory handle with permissions of
 * their own, a set-uid file that is longer than any memory with an offset behind its end, one opened with O_DIRECT, one with O_PATH, one for
 * appending only, and watches of a directory and of a file. DIRECTORY has `work` (1711), `deep/er` (700), `long` (4751, 5 GiB), `direct`,
 * `path`, `log`, and `watched` with `file` in it. Adds "set-up ok" to RESULT; on SIGUSR1 opens a file, and adds "first ok"; on a second one
 * adds "NAME ok" or "NAME WHAT ERRNO" for each of them, and "end ok".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"
static const off_t long_size = 5LL << 30;
/* Whether a handle is of a file with these permissions and this size; of a directory the size is not asked for. */
static const char *is(int fd, mode_t mode, off_t size)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return "fstat";
	if (st.st_mode != mode)
		return "mode";
	return S_ISDIR(mode) || st.st_size == size ? NULL : "size";
}

/* Whether the next event is this one. */
static const char *event(int fd, int watch, uint32_t mask)
{
	_Alignas(struct inotify_event) char bytes[4096];
	const struct inotify_event *got = (const void *)bytes;
	if (read(fd, bytes, sizeof bytes) < (ssize_t)sizeof *got)
		return "read";
	return got->wd == watch && (got->mask & mask) != 0 ? NULL : "event";
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	umask(022);
	if (!report_to(argv[2]) || chdir(argv[1]) != 0)
		return 2;
	int directory = open("deep/er", O_RDONLY | O_DIRECTORY), long_one = open("long", O_RDONLY);
	int direct = open("direct", O_RDWR | O_DIRECT), path = open("path", O_PATH), log = open("log", O_WRONLY | O_APPEND);
	int watches = inotify_init1(IN_CLOEXEC);
	int in_directory = inotify_add_watch(watches, "watched", IN_CREATE);
	int of_file = inotify_add_watch(watches, "watched/file", IN_MODIFY);
	int ready = directory >= 0 && long_one >= 0 && direct >= 0 && path >= 0 && log >= 0 && in_directory >= 0 && of_file >= 0 &&
		    lseek(long_one, long_size + 1000, SEEK_SET) == long_size + 1000 && chdir("work") == 0;
	tell("set-up", ready ? NULL : "failed");
	if (!ready)
		return 1;

	await_go();
	int file = openat(directory, "../../watched/file", O_WRONLY);
	tell("first", file >= 0 ? NULL : "open");
	await_go();
	tell("work", is(open(".", O_PATH), S_IFDIR | 01711, 0));
	tell("directory", is(directory, S_IFDIR | 0700, 0));
	tell("long", is(long_one, S_IFREG | 04751, long_size));
	tell("offset", lseek(long_one, 0, SEEK_CUR) == long_size + 1000 ? NULL : "lseek");
	_Alignas(4096) static char block[4096];
	tell("direct", read(direct, block, sizeof block) == sizeof block && block[0] == 'd' ? NULL : "read");
	tell("path", is(path, S_IFREG | 0604, 3));
	tell("log", write(log, "more\n", 5) == 5 ? NULL : "write");
	tell("modified", write(file, "x", 1) == 1 ? event(watches, of_file, IN_MODIFY) : "write");
	tell("created", open("../watched/new", O_CREAT | O_WRONLY, 0600) >= 0 ? event(watches, in_directory, IN_CREATE) : "open");
	tell("end", NULL);
	return 0;
}
