/*
 * handles DIRECTORY
 *
 * Opens handles of every kind below DIRECTORY, prints "ready", waits for "go" on stdin, and says of each handle whether it is still
 * what it was: "NAME ok" or "NAME WHAT ERRNO", then "end". What is behind DIRECTORY changes between the two; there, `placeholder`
 * (8192 bytes) and the directory `entries` with 300 names n000... exist before and after, the other files are made here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pattern.h"

enum { SEED = 3, SIZE = 8192, ENTRIES = 300 };

static void tell(const char *name, const char *wrong)
{
	if (wrong == NULL)
		printf("%s ok\n", name);
	else
		printf("%s %s %s\n", name, wrong, strerrorname_np(errno));
	errno = 0;
}

static int make(const char *path, int flags, const char *text)
{
	int fd = open(path, flags, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		fprintf(stderr, "handles: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return fd;
}

/* Whether the handle holds the text, and after one more byte still does. */
static const char *holds(int fd, const char *text)
{
	char bytes[64] = "";
	size_t length = strlen(text);
	if (pread(fd, bytes, sizeof bytes, 0) != (ssize_t)length)
		return "length";
	if (memcmp(bytes, text, length) != 0)
		return "bytes";
	if (lseek(fd, 0, SEEK_CUR) != (off_t)length)
		return "offset";
	return write(fd, "+", 1) == 1 && pread(fd, bytes, sizeof bytes, 0) == (ssize_t)length + 1 ? NULL : "write";
}

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1]) != 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	int truncated = make("truncated", O_RDWR | O_CREAT | O_TRUNC, "kept");
	int exclusive = make("exclusive", O_RDWR | O_CREAT | O_EXCL, "mine");
	int appended = make("appended", O_RDWR | O_CREAT | O_APPEND, "first");
	int unlinked = make("unlinked", O_RDWR | O_CREAT, "ghost");
	int temporary = make(".", O_RDWR | O_TMPFILE, "no name");
	int renamed = make("before", O_RDWR | O_CREAT, "moved");
	int locked = make("locked", O_RDWR | O_CREAT, "locked");
	if (unlink("unlinked") != 0 || rename("before", "after") != 0 || flock(locked, LOCK_EX) != 0)
		return 1;
	int placeholder = open("placeholder", O_RDONLY);
	lseek(placeholder, 4000, SEEK_SET);
	int path_only = open("placeholder", O_PATH);
	DIR *directory = opendir("entries");
	int seen[ENTRIES] = { 0 }, listed = 0, index;
	struct dirent *entry;
	while (listed < ENTRIES / 3 && (entry = readdir(directory)) != NULL)
		if (sscanf(entry->d_name, "n%d", &index) == 1)
			seen[index]++, listed++;
	puts("ready");
	char line[16];
	if (fgets(line, sizeof line, stdin) == NULL)
		return 3;

	errno = 0;
	tell("truncated", holds(truncated, "kept"));
	tell("exclusive", holds(exclusive, "mine"));
	tell("appended", holds(appended, "first"));
	tell("unlinked", holds(unlinked, "ghost"));
	tell("temporary", holds(temporary, "no name"));
	tell("renamed", holds(renamed, "moved"));
	tell("locked", holds(locked, "locked"));
	struct stat st;
	tell("unlinked-nlink", fstat(unlinked, &st) == 0 && st.st_nlink == 0 ? NULL : "nlink");
	tell("lock-held", flock(open("locked", O_RDWR), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK ? NULL : "lock");
	unsigned char bytes[SIZE];
	ssize_t count = read(placeholder, bytes, sizeof bytes);
	tell("placeholder", count != SIZE - 4000			    ? "length"
			    : !pattern_matches(SEED, 4000, bytes, count) ? "bytes"
									    : NULL);
	tell("path-only", fstat(path_only, &st) == 0 && st.st_size == SIZE ? NULL : "fstat");
	errno = 0;
	while ((entry = readdir(directory)) != NULL)
		if (sscanf(entry->d_name, "n%d", &index) == 1 && index >= 0 && index < ENTRIES)
			seen[index]++;
	int missing = errno != 0;
	for (int i = 0; i < ENTRIES; i++)
		missing += seen[i] == 0;
	tell("directory-rest", missing == 0 ? NULL : "missing");
	rewinddir(directory);
	for (listed = 0; (entry = readdir(directory)) != NULL;)
		listed += entry->d_name[0] == 'n';
	tell("directory-rewound", listed == ENTRIES ? NULL : "count");
	puts("end");
	return 0;
}
