/*
 * Cases of file system behaviour, whose results are printed as text: the same program run on two directories shows where the two
 * file systems differ. Nothing is printed that differs between two runs on the same file system: no inode numbers, no own times.
 */
#ifndef CASEOPS_H
#define CASEOPS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Prints a call's result: its value, or the errno's name. */
static inline long result(const char *what, long value)
{
	if (value < 0)
		printf("  %s: %s\n", what, strerrorname_np(errno));
	else
		printf("  %s: %ld\n", what, value);
	return value;
}

/* Begins a case. */
static inline void begin_case(const char *name)
{
	printf("%s\n", name);
	umask(022);
}

/* Prints what stat says of a path, of the node itself and not of a symlink's target. */
__attribute__((noinline)) static void show(const char *path)
{
	struct stat st;
	int found = lstat(path, &st);
	result("lstat", found);
	if (found < 0)
		return;
	printf("  mode %o uid %u gid %u nlink %lu", st.st_mode, st.st_uid, st.st_gid, (unsigned long)st.st_nlink);
	if (!S_ISDIR(st.st_mode))
		printf(" size %lld", (long long)st.st_size);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		printf(" rdev %lx", (unsigned long)st.st_rdev);
	printf("\n");
}

/* Creates a file with a text, or says why not. */
static inline void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		printf("  put %s: %s\n", path, strerrorname_np(errno));
	if (fd >= 0)
		close(fd);
}

/* Prints a file's text, at most 100 bytes of it. */
static inline void get(const char *path)
{
	char text[101] = "";
	int fd = open(path, O_RDONLY);
	ssize_t count = fd < 0 ? -1 : read(fd, text, 100);
	if (count < 0)
		printf("  get %s: %s\n", path, strerrorname_np(errno));
	else
		printf("  get %s: %zd %s\n", path, count, text);
	if (fd >= 0)
		close(fd);
}

#endif
