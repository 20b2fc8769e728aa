/*
 * holder RESULT DIRECTORY...
 *
 * Has `file` open in each DIRECTORY, of which it has read the first four bytes, and works in the last one; and has `pages` (three of them, pattern
 * seed 3) mapped privately, page 1 written, and locked. Adds "set-up ok" to RESULT; on SIGUSR1 reads on, and adds "first ok"; on a second one adds
 * "DIRECTORY ok" or "DIRECTORY WHAT ERRNO" for each, and "end ok": what was read is "tail", the open file is the one that the path leads to,
 * and can be written; page 1 is as it was written, and the others are the file's; and in the working directory a file can be made.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pattern.h"
#include "report.h"

enum { MOST = 16, PAGE = 4096, SEED = 3, WRITTEN = 0xa5 };

static void path_of_file(char *path, const char *directory)
{
	snprintf(path, PATH_MAX, "%s/file", directory);
}

/* NULL when it cannot be. */
static const unsigned char *map_locked(const char *directory)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/pages", directory);
	int fd = open(path, O_RDONLY);
	unsigned char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (fd < 0 || close(fd) != 0 || pages == MAP_FAILED)
		return NULL;
	memset(pages + PAGE, WRITTEN, PAGE);
	return mprotect(pages, 3 * PAGE, PROT_READ) == 0 && mlock(pages, 3 * PAGE) == 0 ? pages : NULL;
}

static int is_as_it_was(const unsigned char *pages)
{
	for (int i = 0; i < PAGE; i++)
		if (pages[PAGE + i] != WRITTEN)
			return 0;
	return pattern_matches(SEED, 0, pages, PAGE) && pattern_matches(SEED, 2 * PAGE, pages + 2 * PAGE, PAGE);
}

static const char *check(int fd, const unsigned char *pages, const char *directory)
{
	char path[PATH_MAX];
	struct stat held, named;
	path_of_file(path, directory);
	if (fstat(fd, &held) != 0 || stat(path, &named) != 0)
		return "stat";
	if (held.st_dev != named.st_dev || held.st_ino != named.st_ino)
		return "another";
	if (!is_as_it_was(pages))
		return "pages";
	return write(fd, "more", 4) == 4 ? NULL : "write";
}

static int reads(int fd, const char *text)
{
	char got[4];
	return read(fd, got, sizeof got) == sizeof got && memcmp(got, text, sizeof got) == 0;
}

int main(int argc, char **argv)
{
	int fds[MOST];
	const unsigned char *pages[MOST];
	if (argc < 3 || argc - 2 > MOST)
		return 2;
	if (!report_to(argv[1]))
		return 2;
	for (int i = 2; i < argc; i++) {
		char path[PATH_MAX];
		path_of_file(path, argv[i]);
		fds[i - 2] = open(path, O_RDWR);
		pages[i - 2] = map_locked(argv[i]);
		if (fds[i - 2] < 0 || !reads(fds[i - 2], "head") || pages[i - 2] == NULL) {
			tell(argv[i], "set-up");
			return 1;
		}
	}
	tell("set-up", chdir(argv[argc - 1]) == 0 ? NULL : "chdir");

	const char *wrong = NULL;
	await_go();
	for (int i = 2; i < argc && wrong == NULL; i++)
		wrong = reads(fds[i - 2], "tail") ? NULL : argv[i];
	tell("first", wrong);
	await_go();
	for (int i = 2; i < argc; i++)
		tell(argv[i], check(fds[i - 2], pages[i - 2], argv[i]));
	tell("end", open("made", O_WRONLY | O_CREAT | O_EXCL, 0600) >= 0 ? NULL : "open");
	return 0;
}
