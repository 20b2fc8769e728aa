/* Cases about names: creating, linking, renaming and removing. */
#include "cases.h"

#include <dirent.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static void create(void)
{
	CALL(umask(0));
	OPENS(open("a", O_CREAT | O_EXCL | O_RDWR, 0666));
	show("a");
	OPENS(open("a", O_CREAT | O_EXCL, 0666));
	OPENS(open("a", O_CREAT, 0666));
	OPENS(open("sticky", O_CREAT | O_WRONLY, 07777));
	show("sticky");
	CALL(umask(027));
	OPENS(open("b", O_CREAT | O_WRONLY, 0777));
	show("b");
	CALL(umask(0777));
	OPENS(open("c", O_CREAT | O_RDWR, 0777));
	show("c");
	OPENS(open("no/such", O_CREAT, 0666));
	OPENS(open("a/b", O_CREAT, 0666));
	OPENS(open("a/", O_CREAT, 0666));
	OPENS(open("new/", O_CREAT, 0666));
	OPENS(open("", O_CREAT, 0666));
	OPENS(open(".", O_CREAT, 0666));
	OPENS(open(".", O_RDWR));
	OPENS(open("..", O_WRONLY));
	OPENS(open("a", O_DIRECTORY));
	OPENS(open("d", O_CREAT | O_DIRECTORY, 0700));
	CALL(creat("a", 0600));
	OPENS(open("a", O_RDONLY | O_TRUNC));
}

static void mkdirs(void)
{
	CALL(umask(0));
	CALL(mkdir("d", 0777));
	show("d");
	CALL(mkdir("d", 0777));
	CALL(mkdir("e/", 01777));
	show("e");
	CALL(umask(077));
	CALL(mkdir("d/f", 07777));
	show("d/f");
	show("d");
	CALL(mkdir("x/y", 0777));
	put("file", "x");
	CALL(mkdir("file/y", 0777));
	CALL(mkdir("file", 0777));
	CALL(mkdir(".", 0777));
	CALL(mkdir("", 0777));
	CALL(rmdir("d"));
	CALL(rmdir("d/f/"));
	CALL(rmdir("d"));
	CALL(rmdir("d"));
	CALL(rmdir("file"));
	CALL(rmdir("."));
	CALL(rmdir(".."));
	CALL(unlink("e"));
	CALL(unlink("e/"));
	CALL(unlink("file/"));
	CALL(unlink("file"));
	CALL(unlink("file"));
	CALL(mkdir("cwd", 0777));
	CALL(chdir("cwd"));
	CALL(rmdir("../cwd"));
	CALL(mkdir("in a removed one", 0777));
	OPENS(open("in a removed one", O_CREAT | O_WRONLY, 0666));
	OPENS(open(".", O_RDONLY));
	show(".");
	OPENS(open(".", O_TMPFILE | O_RDWR, 0600));
}

static void inherit_group(void)
{
	CALL(mkdir("d", 0777));
	CALL(chown("d", 0, 501));
	CALL(chmod("d", 02777));
	put("d/by root", "");
	show("d/by root");
	CALL(mkdir("d/e", 0777));
	show("d/e");
	AS(alice)
	{
		CALL(umask(0));
		OPENS(open("d/plain", O_CREAT | O_WRONLY, 0666));
		show("d/plain");
		OPENS(open("d/setgid, executable", O_CREAT | O_WRONLY, 02777));
		show("d/setgid, executable");
		OPENS(open("d/setgid, not executable", O_CREAT | O_WRONLY, 02666));
		show("d/setgid, not executable");
		CALL(mkdir("d/sub", 0700));
		show("d/sub");
		CALL(mknod("d/fifo", S_IFIFO | 02777, 0));
		show("d/fifo");
		CALL(symlink("x", "d/link"));
		show("d/link");
		int fd = open("d", O_TMPFILE | O_RDWR, 02777);
		show_fd(fd);
	}
	AS(member)
	{
		OPENS(open("d/members", O_CREAT | O_WRONLY, 02777));
		show("d/members");
		CALL(mkdir("d/members'", 02777));
		show("d/members'");
	}
}

static void hard_links(void)
{
	struct stat a, b;
	put("a", "one");
	CALL(link("a", "b"));
	stat("a", &a), stat("b", &b);
	HOLDS(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	show("b");
	CALL(link("a", "b"));
	CALL(link("none", "c"));
	CALL(link("a", "none/c"));
	CALL(mkdir("d", 0777));
	CALL(link("d", "e"));
	CALL(link("a", "d/a"));
	show("a");
	CALL(unlink("a"));
	show("b");
	put("b", "two");
	get("d/a");
	CALL(symlink("b", "s"));
	CALL(link("s", "s2"));
	show("s2");
	CALL(linkat(AT_FDCWD, "s", AT_FDCWD, "b2", AT_SYMLINK_FOLLOW));
	show("b2");
	int fd = open("b", O_PATH);
	CALL(linkat(fd, "", AT_FDCWD, "by O_PATH", AT_EMPTY_PATH));
	show("by O_PATH");
	fd = open("b", O_RDONLY);
	CALL(linkat(fd, "", AT_FDCWD, "by descriptor", AT_EMPTY_PATH));
	CALL(linkat(AT_FDCWD, "b", AT_FDCWD, "wrong flags", 0x40000000));
	char path[64];
	sprintf(path, "/proc/self/fd/%d", fd);
	CALL(linkat(AT_FDCWD, path, AT_FDCWD, "by proc", AT_SYMLINK_FOLLOW));
	show_fd(fd);
	put("gone", "x");
	fd = open("gone", O_RDONLY);
	CALL(unlink("gone"));
	CALL(linkat(fd, "", AT_FDCWD, "again", AT_EMPTY_PATH));
	AS(alice)
	{
		fd = open("b", O_RDONLY);
		CALL(linkat(fd, "", AT_FDCWD, "alice's", AT_EMPTY_PATH));
		CALL(link("b", "alice's too"));
	}
	CALL(mkfifo("fifo", 0600));
	CALL(link("fifo", "fifo2"));
	show("fifo2");
}

static void tmpfiles(void)
{
	char path[64];
	int fd = open(".", O_TMPFILE | O_RDWR, 0640);
	show_fd(fd);
	CALL(write(fd, "text", 4));
	sprintf(path, "/proc/self/fd/%d", fd);
	CALL(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	show("named");
	get("named");
	CALL(linkat(fd, "", AT_FDCWD, "again", AT_EMPTY_PATH));
	CALL(unlink("named"));
	CALL(unlink("again"));
	show_fd(fd);
	CALL(linkat(fd, "", AT_FDCWD, "revived", AT_EMPTY_PATH));
	fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	CALL(linkat(fd, "", AT_FDCWD, "exclusive", AT_EMPTY_PATH));
	OPENS(open(".", O_TMPFILE | O_RDONLY, 0600));
	OPENS(open("none", O_TMPFILE | O_RDWR, 0600));
	put("file", "");
	OPENS(open("file", O_TMPFILE | O_RDWR, 0600));
	OPENS(open(".", O_TMPFILE | O_RDWR | O_CREAT, 0600));
	CALL(umask(0277));
	fd = open(".", O_TMPFILE | O_WRONLY, 07777);
	show_fd(fd);
	CALL(fchmod(fd, 0604));
	CALL(fchown(fd, 5, 6));
	show_fd(fd);
	CALL(mkdir("closed", 0500));
	AS(alice)
	{
		CALL(umask(0));
		fd = open(".", O_TMPFILE | O_RDWR, 0666);
		show_fd(fd);
		OPENS(open("closed", O_TMPFILE | O_RDWR, 0666));
		CALL(linkat(fd, "", AT_FDCWD, "by a user", AT_EMPTY_PATH));
		sprintf(path, "/proc/self/fd/%d", fd);
		CALL(linkat(AT_FDCWD, path, AT_FDCWD, "by a user, proc", AT_SYMLINK_FOLLOW));
		show("by a user, proc");
	}
}

static void symlinks(void)
{
	static char target[PATH_MAX + 1], seen[PATH_MAX + 1];
	static const int lengths[] = { 1, 59, 60, 61, 255, 256, 1000, 1023, 1024, 4000, 4095 };
	memset(target, 't', sizeof target);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		target[lengths[i]] = 0;
		if (CALL(symlink(target, "s")) == 0) {
			memset(seen, 0, sizeof seen);
			ssize_t length = CALL(readlink("s", seen, sizeof seen));
			HOLDS(length >= 0 && memcmp(seen, target, length) == 0);
			show("s");
			unlink("s");
		}
		target[lengths[i]] = 't';
	}
	target[PATH_MAX] = 0;
	CALL(symlink(target, "too long"));
	CALL(symlink("", "empty"));
	CALL(symlink("\xff\n\x01 %", "odd"));
	CALL(readlink("odd", seen, 3));
	put("file", "text");
	CALL(symlink("file", "to"));
	CALL(symlink("x", "to"));
	get("to");
	OPENS(open("to", O_NOFOLLOW));
	OPENS(open("to", O_NOFOLLOW | O_PATH));
	OPENS(open("to", O_CREAT | O_EXCL, 0600));
	CALL(symlink("loop", "loop"));
	OPENS(open("loop", O_RDONLY));
	CALL(symlink("nowhere", "dangling"));
	OPENS(open("dangling", O_RDONLY));
	OPENS(open("dangling", O_CREAT | O_WRONLY, 0640));
	show("nowhere");
	CALL(readlink("file", seen, 10));
	CALL(unlink("to"));
	show("file");
	CALL(symlink(".", "here"));
	get("here/here/here/file");
	CALL(rmdir("here"));
	CALL(chmod("dangling", 0600));
	CALL(fchmodat(AT_FDCWD, "here", 0600, AT_SYMLINK_NOFOLLOW));
}

static void renames(void)
{
	put("a", "a"), put("b", "b");
	CALL(rename("a", "b"));
	get("b");
	show("a");
	put("a", "a");
	CALL(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
	CALL(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
	CALL(renameat2(AT_FDCWD, "b", AT_FDCWD, "c", RENAME_EXCHANGE));
	get("b");
	CALL(renameat2(AT_FDCWD, "b", AT_FDCWD, "none", RENAME_EXCHANGE));
	CALL(renameat2(AT_FDCWD, "b", AT_FDCWD, "c", RENAME_EXCHANGE | RENAME_NOREPLACE));
	CALL(renameat2(AT_FDCWD, "b", AT_FDCWD, "c", 0x80));
	CALL(rename("none", "c"));
	CALL(mkdir("d", 0777));
	CALL(mkdir("d/e", 0777));
	CALL(rename("d", "d/e/f"));
	CALL(rename("d/e", "d"));
	CALL(rename("b", "d"));
	CALL(rename("d", "b"));
	CALL(mkdir("empty", 0777));
	CALL(rename("d", "empty"));
	show("empty");
	CALL(mkdir("full", 0777));
	put("full/x", "x");
	CALL(rename("empty", "full"));
	CALL(renameat2(AT_FDCWD, "empty", AT_FDCWD, "b", RENAME_EXCHANGE));
	show("b");
	show("empty");
	CALL(renameat2(AT_FDCWD, "full", AT_FDCWD, "b/in", RENAME_EXCHANGE));
	CALL(renameat2(AT_FDCWD, "full", AT_FDCWD, "b/e", RENAME_EXCHANGE));
	get("b/e/x");
	CALL(renameat2(AT_FDCWD, "b", AT_FDCWD, "b/e", RENAME_EXCHANGE));
	CALL(rename("b/.", "x"));
	CALL(rename("b", "."));
	CALL(rename("..", "x"));
	CALL(link("c", "same"));
	CALL(rename("c", "same"));
	show("c");
	CALL(rename("c", "c"));
	CALL(rename("c/", "x"));
	CALL(rename("b/", "moved/"));
	get("moved/e/x");
	int fd = open("moved/e/x", O_RDWR);
	CALL(rename("moved/e/x", "out"));
	CALL(write(fd, "y", 1));
	get("out");
	CALL(rename("same", "out"));
	CALL(pread(fd, (char[4]){ 0 }, 4, 0));
	show_fd(fd);
}

static void whiteouts(void)
{
	put("a", "a");
	CALL(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_WHITEOUT));
	show("a");
	show("b");
	put("c", "c");
	CALL(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", RENAME_WHITEOUT | RENAME_NOREPLACE));
	CALL(renameat2(AT_FDCWD, "c", AT_FDCWD, "d", RENAME_WHITEOUT | RENAME_NOREPLACE));
	show("c");
	CALL(renameat2(AT_FDCWD, "d", AT_FDCWD, "b", RENAME_WHITEOUT | RENAME_EXCHANGE));
	AS(alice)
	{
		put("e", "e");
		CALL(renameat2(AT_FDCWD, "e", AT_FDCWD, "f", RENAME_WHITEOUT));
	}
}

static void special(void)
{
	CALL(mknod("fifo", S_IFIFO | 0666, 0));
	show("fifo");
	int fd = open("fifo", O_RDWR | O_NONBLOCK);
	char text[8] = "";
	CALL(write(fd, "pipe", 4));
	CALL(read(fd, text, 4));
	OPENS(open("fifo", O_WRONLY | O_NONBLOCK));
	close(fd);
	OPENS(open("fifo", O_WRONLY | O_NONBLOCK));
	CALL(mknod("char", S_IFCHR | 0640, makedev(1, 3)));
	show("char");
	CALL(mknod("large numbers", S_IFCHR | 0640, makedev(4095, 1048575)));
	show("large numbers");
	CALL(mknod("block", S_IFBLK | 0600, makedev(7, 255)));
	show("block");
	CALL(mknod("regular", S_IFREG | 0751, 0));
	show("regular");
	CALL(mknod("no type", 0640, 0));
	show("no type");
	CALL(mknod("socket node", S_IFSOCK | 0700, 0));
	show("socket node");
	CALL(mknod("directory", S_IFDIR | 0700, 0));
	CALL(mknod("link", S_IFLNK | 0700, 0));
	CALL(mknod("whiteout", S_IFCHR, 0));
	show("whiteout");
	fd = open("char", O_WRONLY);
	CALL(write(fd, "to null", 7));
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	CALL(bind(server, (void *)&address, sizeof address));
	CALL(listen(server, 1));
	show("socket");
	CALL(connect(client, (void *)&address, sizeof address));
	OPENS(open("socket", O_RDWR));
	AS(alice)
	{
		CALL(mknod("alice's null", S_IFCHR | 0666, makedev(1, 3)));
		CALL(mknod("alice's whiteout", S_IFCHR, 0));
		CALL(mknod("alice's fifo", S_IFIFO | 0666, 0));
		show("alice's fifo");
		client = socket(AF_UNIX, SOCK_STREAM, 0);
		CALL(connect(client, (void *)&address, sizeof address));
		OPENS(open("char", O_WRONLY));
	}
}

static void limits(void)
{
	static char name[300], path[PATH_MAX + 10];
	static const int lengths[] = { 1, 143, 254, 255, 256 };
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		memset(name, 'n', sizeof name);
		name[lengths[i]] = 0;
		OPENS(open(name, O_CREAT | O_WRONLY, 0644));
		CALL(mkdir(name, 0755));
		CALL(symlink("x", name));
		CALL(access(name, F_OK));
		CALL(rename(name, "other"));
		CALL(rename("other", name));
		CALL(link(name, "linked"));
		CALL(unlink("linked"));
		CALL(unlink(name));
		CALL(rmdir(name));
	}
	for (int i = 0; i < PATH_MAX + 2; i += 2)
		memcpy(path + i, "./", 2);
	memcpy(path + PATH_MAX - 3, "f\0", 2);
	OPENS(open(path, O_CREAT | O_WRONLY, 0644));
	memcpy(path + PATH_MAX - 2, "/./", 3);
	OPENS(open(path, O_RDONLY));
	CALL(pathconf(".", _PC_NAME_MAX));
	CALL(pathconf(".", _PC_PATH_MAX));
	CALL(pathconf(".", _PC_LINK_MAX));
	CALL(pathconf(".", _PC_2_SYMLINKS));
	for (int depth = 0; depth < 100; depth++)
		if (mkdir("deep", 0755) != 0 || chdir("deep") != 0)
			CALL(mkdir("deep", 0755));
	put("bottom", "reached");
	get("bottom");
}

static void odd_names(void)
{
	static const char *const names[] = { "\xff\xfe\x80", "a b\tc\nd", "\xc3\xa9", "e\xcc\x81", "..x", "...", "-",
					     "\\",	     "\x01",	  "CON",      "A",	   "a",	  " ",	 "*?[" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		OPENS(open(names[i], O_CREAT | O_EXCL | O_WRONLY, 0644));
		DIR *directory = opendir(".");
		int found = 0;
		for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
			found += strcmp(entry->d_name, names[i]) == 0;
		closedir(directory);
		print_value("listed", "%d", found);
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		CALL(unlink(names[i]));
}

const struct posix_case name_cases[] = {
	{ "create", create },
	{ "mkdir and rmdir", mkdirs },
	{ "set-group-ID directories", inherit_group },
	{ "hard links", hard_links },
	{ "O_TMPFILE", tmpfiles },
	{ "symbolic links", symlinks },
	{ "rename", renames },
	{ "RENAME_WHITEOUT", whiteouts },
	{ "special files", special },
	{ "limits of names", limits },
	{ "odd names", odd_names },
	{ NULL, NULL },
};
