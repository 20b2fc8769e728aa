/* Cases about listing directories. */
#include "cases.h"

#include <dirent.h>
#include <sys/sysmacros.h>

enum { MANY = 3000 };

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
	char *lines[64];
	int count = 0;
	DIR *directory = opendir(path);
	if (directory == NULL) {
		print_result(path, -1);
		return;
	}
	for (struct dirent *entry; (entry = readdir(directory)) != NULL && count < 64;) {
		struct stat st;
		int same = fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == entry->d_ino;
		if (asprintf(&lines[count++], "%s type %d, inode number right %d", entry->d_name, entry->d_type, same) < 0)
			abort();
	}
	closedir(directory);
	qsort(lines, count, sizeof *lines, by_text);
	for (int i = 0; i < count; i++)
		print_value("entry", "%s", lines[i]);
}

static void types(void)
{
	CALL(mkdir("d", 0755));
	put("d/file", "");
	CALL(mkdir("d/dir", 0755));
	CALL(symlink("file", "d/sym"));
	CALL(mkfifo("d/fifo", 0644));
	CALL(mknod("d/socket", S_IFSOCK | 0644, 0));
	CALL(mknod("d/char", S_IFCHR | 0644, makedev(1, 3)));
	CALL(mknod("d/block", S_IFBLK | 0644, makedev(7, 99)));
	CALL(link("d/file", "d/hard"));
	list("d");
	CALL(mkdir("empty", 0755));
	list("empty");
	list("none");
	list("d/file");
	CALL(unlink("d/file"));
	CALL(rename("d/hard", "d/renamed"));
	list("d");
	AS(alice)
	{
		list("d");
		OPENS(open("d", O_RDONLY | O_DIRECTORY));
	}
	CALL(chmod("d", 0711));
	AS(alice) list("d");
	CALL(chmod("d", 0744));
	AS(alice)
	{
		struct stat st;
		CALL(stat("d/renamed", &st));
		DIR *directory = opendir("d");
		int count = 0;
		while (readdir(directory) != NULL)
			count++;
		print_value("entries that can be listed, not looked at", "%d", count);
	}
}

static void many(void)
{
	static char found[MANY];
	static long cookies[MANY + 2];
	static char names[MANY + 2][32];
	char name[64];
	CALL(mkdir("d", 0755));
	for (int i = 0; i < MANY; i++) {
		sprintf(name, "d/entry-%05d", i);
		close(open(name, O_CREAT | O_WRONLY, 0644));
	}
	DIR *directory = opendir("d");
	int total = 0, twice = 0, others = 0;
	for (struct dirent *entry; cookies[total] = telldir(directory), (entry = readdir(directory)) != NULL; total++) {
		int index;
		snprintf(names[total], sizeof *names, "%.31s", entry->d_name);
		if (sscanf(entry->d_name, "entry-%d", &index) != 1)
			others++;
		else
			twice += found[index]++ != 0;
	}
	print_value("entries", "%d, twice %d, others %d", total, twice, others);
	int right = 0;
	for (int i = 0; i < total; i += 37) {
		int at = (i * 7919) % total;
		seekdir(directory, cookies[at]);
		struct dirent *entry = readdir(directory);
		right += entry != NULL && strncmp(entry->d_name, names[at], 31) == 0;
	}
	print_value("sought and found", "%d of %d", right, (total + 36) / 37);
	int distinct = 1;
	for (int i = 1; i < total; i++)
		distinct += cookies[i] != cookies[i - 1];
	HOLDS(distinct == total);
	rewinddir(directory);
	int again = 0;
	while (readdir(directory) != NULL)
		again++;
	HOLDS(again == total);
	put("d/new", "");
	rewinddir(directory);
	int with = 0;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
		with += strcmp(entry->d_name, "new") == 0;
	print_value("a new one after rewinddir", "%d", with);
	rewinddir(directory);
	int removed = 0;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		sprintf(name, "d/%.40s", entry->d_name);
		removed += unlink(name) == 0;
	}
	print_value("removed while listing", "%d", removed);
	CALL(rmdir("d"));
	HOLDS(readdir(directory) == NULL);
}

static void raw(void)
{
	char buffer[1024];
	CALL(mkdir("d", 0755));
	put("d/f", "");
	int fd = open("d", O_RDONLY | O_DIRECTORY);
	CALL(syscall(SYS_getdents64, fd, buffer, 10));
	HOLDS(syscall(SYS_getdents64, fd, buffer, sizeof buffer) > 0);
	CALL(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
	CALL(lseek(fd, 0, SEEK_SET));
	HOLDS(syscall(SYS_getdents64, fd, buffer, sizeof buffer) > 0);
	CALL(lseek(fd, -1, SEEK_SET));
	CALL(lseek(fd, 0, 99));
	int file = open("d/f", O_RDONLY);
	CALL(syscall(SYS_getdents64, file, buffer, sizeof buffer));
	int path = open("d", O_PATH);
	CALL(syscall(SYS_getdents64, path, buffer, sizeof buffer));
	CALL(unlink("d/f"));
	CALL(rmdir("d"));
	CALL(lseek(fd, 0, SEEK_SET));
	CALL(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
}

static void links_of_directories(void)
{
	CALL(mkdir("d", 0755));
	show("d");
	CALL(mkdir("d/a", 0755));
	CALL(mkdir("d/b", 0755));
	show("d");
	CALL(rename("d/a", "a"));
	show("d");
	CALL(rmdir("d/b"));
	show("d");
	CALL(rename("a", "d"));
	CALL(mkdir("e", 0755));
	CALL(rename("e", "d"));
	show("d");
}

const struct posix_case directory_cases[] = {
	{ "listings", types },
	{ "a large directory", many },
	{ "getdents", raw },
	{ "links of directories", links_of_directories },
	{ NULL, NULL },
};
