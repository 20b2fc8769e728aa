/*
 * case_names DIRECTORY
 *
 * Cases about names: creation, links, renames, listings, special nodes. See caseops.h. DIRECTORY must be empty.
 */
#include "caseops.h"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { MANY = 10000 };

static void creation(void)
{
	begin_case("creation: modes, umask, O_EXCL");
	umask(027);
	result("open", close(open("a", O_CREAT | O_RDWR | O_EXCL, 0666)));
	show("a");
	result("again, exclusive", open("a", O_CREAT | O_EXCL, 0666));
	umask(0);
	result("mkdir", mkdir("d", 0777));
	show("d");
	result("mkdir again", mkdir("d", 0777));
	result("set-gid", chmod("d", 02775));
	result("chown", chown("d", 12, 34));
	result("in a set-gid directory", close(open("d/b", O_CREAT | O_RDWR, 0666)));
	show("d/b");
	result("missing parent", open("no/such", O_CREAT, 0666));
	result("parent is a file", open("a/b", O_CREAT, 0666));
	result("open a directory for writing", open("d", O_WRONLY));
	result("O_DIRECTORY on a file", open("a", O_RDONLY | O_DIRECTORY));
	result("trailing slash on a file", open("a/", O_RDONLY));
}

static void callers(void)
{
	begin_case("callers: a file belongs to who makes it, and permissions are the caller's");
	result("mkdir", mkdir("open", 0777));
	result("chmod", chmod("open", 0777));
	result("mkdir", mkdir("closed", 0700));
	put("closed/secret", "x");
	put("readonly", "x");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		if (setgid(4321) != 0 || setuid(1234) != 0)
			_exit(1);
		umask(0);
		result("create", close(open("open/mine", O_CREAT | O_RDWR, 0640)));
		show("open/mine");
		result("mkdir", mkdir("open/dir", 0751));
		show("open/dir");
		result("symlink", symlink("mine", "open/sym"));
		show("open/sym");
		result("fifo", mkfifo("open/fifo", 0666));
		show("open/fifo");
		result("into a closed directory", open("closed/secret", O_RDONLY));
		result("write to a file of root's", open("readonly", O_WRONLY));
		result("chmod of a file of root's", chmod("readonly", 0777));
		result("chown of an own file", chown("open/mine", 1, 1));
		result("access", access("readonly", R_OK));
		result("access for writing", access("readonly", W_OK));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void links(void)
{
	struct stat a, b;
	begin_case("links: hard links are one inode, symlinks keep their text");
	put("l1", "linked");
	result("link", link("l1", "l2"));
	stat("l1", &a);
	stat("l2", &b);
	printf("  same inode: %d\n", a.st_ino == b.st_ino);
	show("l2");
	result("unlink the first", unlink("l1"));
	show("l2");
	get("l2");
	result("link of a directory", link("d", "d2"));
	char target[4096], seen[4096];
	memset(target, 't', sizeof target);
	target[4095] = 0;
	static const int lengths[] = { 1, 59, 60, 255, 1000, 4095 };
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		target[lengths[i]] = 0;
		if (result("symlink", symlink(target, "s")) == 0) {
			memset(seen, 0, sizeof seen);
			ssize_t length = readlink("s", seen, sizeof seen);
			printf("  length %zd, text kept %d\n", length, length >= 0 && memcmp(seen, target, length) == 0);
			unlink("s");
		}
		target[lengths[i]] = 't';
	}
	result("symlink", symlink("l2", "to"));
	get("to");
	result("O_NOFOLLOW", open("to", O_RDONLY | O_NOFOLLOW));
	result("loop", symlink("loop", "loop"));
	result("open the loop", open("loop", O_RDONLY));
	result("dangling", symlink("nowhere", "dangling"));
	result("open dangling", open("dangling", O_RDONLY));
	result("create through dangling", close(open("dangling", O_CREAT | O_RDWR, 0600)));
	show("nowhere");
	result("link of a symlink itself", linkat(AT_FDCWD, "to", AT_FDCWD, "to2", 0));
	show("to2");
}

static void renames(void)
{
	begin_case("renames: exchange, no-replace, over, into itself");
	put("r1", "one");
	put("r2", "two");
	result("exchange", renameat2(AT_FDCWD, "r1", AT_FDCWD, "r2", RENAME_EXCHANGE));
	get("r1");
	get("r2");
	result("no-replace", renameat2(AT_FDCWD, "r1", AT_FDCWD, "r2", RENAME_NOREPLACE));
	result("no-replace, free name", renameat2(AT_FDCWD, "r1", AT_FDCWD, "r3", RENAME_NOREPLACE));
	result("over", rename("r3", "r2"));
	get("r2");
	result("missing", rename("r1", "r4"));
	result("mkdir", mkdir("m", 0755));
	result("mkdir", mkdir("m/n", 0755));
	result("into itself", rename("m", "m/n/o"));
	result("over a full directory", rename("d", "m"));
	result("file over directory", rename("r2", "m/n"));
	result("directory over empty directory", rename("d", "m/n"));
	show("m/n");
	put("m/n/deep", "deep");
	result("rename the parent", rename("m", "moved"));
	get("moved/n/deep");
	int fd = open("moved/n/deep", O_RDONLY);
	result("rename of an open file", rename("moved/n/deep", "deep2"));
	char text[8] = "";
	result("read of it", read(fd, text, 4));
	close(fd);
	result("rmdir of a full one", rmdir("moved"));
	result("unlink of a directory", unlink("moved"));
	result("rmdir of a file", rmdir("deep2"));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
	char *names[64];
	int count = 0;
	DIR *directory = opendir(path);
	if (directory == NULL) {
		result("opendir", -1);
		return;
	}
	struct dirent *entry;
	while ((entry = readdir(directory)) != NULL && count < 64) {
		struct stat st;
		int same = fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			   (strcmp(entry->d_name, "..") == 0 || st.st_ino == entry->d_ino);
		if (asprintf(&names[count++], "%s type %d ino right %d", entry->d_name, entry->d_type, same) < 0)
			abort();
	}
	closedir(directory);
	qsort(names, count, sizeof *names, by_name);
	for (int i = 0; i < count; i++) {
		printf("  %s\n", names[i]);
		free(names[i]);
	}
}

static void listings(void)
{
	begin_case("listings: types, seek, rewind, changes meanwhile, 10 000 entries");
	mkdir("list", 0755);
	put("list/file", "");
	mkdir("list/dir", 0755);
	(void)!symlink("file", "list/sym");
	mkfifo("list/fifo", 0644);
	list("list");

	mkdir("many", 0755);
	char name[64];
	for (int i = 0; i < MANY; i++) {
		sprintf(name, "many/entry-%05d", i);
		close(open(name, O_CREAT | O_WRONLY, 0644));
	}
	DIR *directory = opendir("many");
	static char found[MANY];
	long twice = 0, other = 0, total = 0, cookie = -1;
	char after[256] = "";
	struct dirent *entry;
	while ((entry = readdir(directory)) != NULL) {
		int index;
		if (cookie != -1 && after[0] == 0)
			strcpy(after, entry->d_name);
		if (sscanf(entry->d_name, "entry-%d", &index) != 1)
			other++;
		else
			twice += found[index]++ != 0, total++;
		if (total == MANY / 2 && cookie == -1)
			cookie = telldir(directory);
	}
	printf("  found %ld, twice %ld, other %ld\n", total, twice, other);
	seekdir(directory, cookie);
	entry = readdir(directory);
	printf("  seekdir finds the same entry: %d\n", entry != NULL && strcmp(entry->d_name, after) == 0);
	rewinddir(directory);
	put("many/new", "");
	rewinddir(directory);
	int seen_new = 0;
	for (total = 0; (entry = readdir(directory)) != NULL; total++)
		seen_new |= strcmp(entry->d_name, "new") == 0;
	printf("  rewound: %ld, with the new one %d\n", total, seen_new);
	/* Unlinking while listing leaves nothing out. */
	rewinddir(directory);
	long removed = 0;
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			removed += unlinkat(dirfd(directory), entry->d_name, 0) == 0;
	closedir(directory);
	printf("  removed %ld\n", removed);
	result("rmdir", rmdir("many"));
	directory = opendir("list/dir");
	result("rmdir of an open directory", rmdir("list/dir"));
	printf("  its listing is empty: %d\n", readdir(directory) == NULL);
	closedir(directory);
}

static void special(void)
{
	begin_case("special nodes: FIFO, socket, devices");
	result("fifo", mkfifo("fifo", 0620));
	show("fifo");
	int fd = open("fifo", O_RDWR);
	char text[8] = "";
	result("write", write(fd, "through", 7));
	result("read", read(fd, text, 7));
	printf("  %s\n", text);
	close(fd);
	result("null", mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	show("null");
	fd = open("null", O_RDWR);
	result("write to null", write(fd, "x", 1));
	close(fd);
	result("block", mknod("block", S_IFBLK | 0600, makedev(7, 255)));
	show("block");
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	result("bind", bind(server, (void *)&address, sizeof address));
	result("listen", listen(server, 1));
	show("socket");
	result("connect", connect(client, (void *)&address, sizeof address));
	result("open of a socket", open("socket", O_RDWR));
	close(server);
	close(client);
	result("mknod of a regular file", mknod("plain", S_IFREG | 0640, 0));
	show("plain");
}

static void names(void)
{
	char longest[257];
	begin_case("names: any bytes, the longest");
	static const char *const strange[] = { "\xff\xfe\x80", "a b\tc\nd", "\xc3\xa9", "e\xcc\x81", "..x", "-", "\\", "\x01" };
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
		result("create", close(open(strange[i], O_CREAT | O_EXCL | O_WRONLY, 0644)));
		DIR *directory = opendir(".");
		struct dirent *entry;
		int found = 0;
		while ((entry = readdir(directory)) != NULL)
			found += strcmp(entry->d_name, strange[i]) == 0;
		closedir(directory);
		printf("  listed %d\n", found);
		result("unlink", unlink(strange[i]));
	}
	memset(longest, 'n', sizeof longest);
	longest[256] = 0;
	result("256 bytes", open(longest, O_CREAT | O_WRONLY, 0644));
	longest[255] = 0;
	result("255 bytes", close(open(longest, O_CREAT | O_WRONLY, 0644)));
	result("unlink", unlink(longest));
	result("empty", open("", O_CREAT | O_WRONLY, 0644));
	struct statfs fs;
	result("statfs", statfs(".", &fs));
	printf("  name length %ld, block size %ld, has room %d\n", (long)fs.f_namelen, (long)fs.f_bsize,
	       fs.f_bavail > 0 && fs.f_files > 0);
}

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1]) != 0)
		return 2;
	setvbuf(stdout, NULL, _IOFBF, 65536);
	creation();
	callers();
	links();
	renames();
	listings();
	special();
	names();
	return 0;
}
