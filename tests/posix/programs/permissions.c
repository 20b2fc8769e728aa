/* Cases about who may do what. */
#include "cases.h"

#include <linux/capability.h>

static const struct user root = { 0, 0, 0, { 0 } };

#define BIT(CAPABILITY) (1ULL << (CAPABILITY))

/* What a user may do to an entry: one letter for each right, and each errno where it is not EACCES. */
static void rights(const char *what, const char *who, const char *path)
{
	char text[256] = "", step[96];
	struct stat st;
	const struct {
		char letter;
		long result;
	} tries[] = {
		{ 'r', access(path, R_OK) == 0 ? 0 : -errno },
		{ 'w', access(path, W_OK) == 0 ? 0 : -errno },
		{ 'x', access(path, X_OK) == 0 ? 0 : -errno },
		{ 's', stat(path, &st) == 0 ? 0 : -errno },
		{ 'R', close(open(path, O_RDONLY)) == 0 ? 0 : -EACCES },
		{ 'W', close(open(path, O_WRONLY)) == 0 ? 0 : -EACCES },
		{ 'B', close(open(path, O_RDWR)) == 0 ? 0 : -EACCES },
		{ 'E', faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0 ? 0 : -errno },
	};
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		size_t at = strlen(text);
		if (tries[i].result == 0)
			snprintf(text + at, sizeof text - at, "%c", tries[i].letter);
		else
			snprintf(text + at, sizeof text - at, "-%s", tries[i].result == -EACCES ? "" : strerrorname_np(-tries[i].result));
	}
	snprintf(step, sizeof step, "%s %s", what, who);
	print_value(step, "%s", text);
}

static void everybody(const char *what, const char *path)
{
	AS(root) rights(what, "root", path);
	AS(alice) rights(what, "alice", path);
	AS(bob) rights(what, "bob", path);
	AS(member) rights(what, "member", path);
}

static void matrix(void)
{
	static const struct {
		uid_t uid;
		gid_t gid;
	} owners[] = { { 0, 0 }, { 1000, 1000 }, { 1001, 501 }, { 0, 7 }, { 1002, 1000 } };
	static const mode_t modes[] = { 0, 0777, 0700, 0070, 0007, 0640, 0444, 0222, 0111, 0604, 0460, 0066, 0755 };
	char what[64];
	put("f", "x");
	for (size_t o = 0; o < sizeof owners / sizeof *owners; o++)
		for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
			chown("f", owners[o].uid, owners[o].gid);
			chmod("f", modes[m]);
			sprintf(what, "mode %04o, owner %u:%u,", modes[m], owners[o].uid, owners[o].gid);
			everybody(what, "f");
		}
}

static void try_in(const char *directory)
{
	char path[128], other[128];
	struct stat st;
#define IN(NAME) (sprintf(path, "%s/%s", directory, NAME), path)
#define TO(NAME) (sprintf(other, "%s/%s", directory, NAME), other)
	OPENS(open(directory, O_RDONLY | O_DIRECTORY));
	CALL(stat(IN("f"), &st));
	OPENS(open(IN("f"), O_RDWR));
	OPENS(open(IN("new"), O_CREAT | O_WRONLY, 0644));
	CALL(mkdir(IN("newdir"), 0755));
	CALL(symlink("x", IN("newlink")));
	CALL(link(IN("f"), TO("newhard")));
	CALL(rename(IN("new"), TO("renamed")));
	CALL(rename(IN("f"), TO("f2")));
	CALL(rename(IN("f2"), TO("f")));
	CALL(unlink(IN("victim")));
	CALL(unlink(IN("renamed")));
	CALL(rmdir(IN("newdir")));
	CALL(rmdir(IN("dir")));
	CALL(chdir(directory) == 0 ? chdir("..") : -1);
	CALL(stat(IN("none"), &st));
	CALL(access(IN("f"), F_OK));
}

static void directories(void)
{
	static const mode_t modes[] = { 0777, 0755, 0711, 0744, 0733, 0722, 0700, 0770, 0070, 0007, 01777, 01770 };
	char name[32], path[64];
	for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
		sprintf(name, "d%zu", m);
		mkdir(name, 0777);
		sprintf(path, "%s/f", name), put(path, "x"), chmod(path, 0666);
		sprintf(path, "%s/victim", name), put(path, "x");
		sprintf(path, "%s/dir", name), mkdir(path, 0777);
		chown(name, 1000, 501), chmod(name, modes[m]);
		print_value("mode", "%o", modes[m]);
		AS(bob) try_in(name);
		AS(member) try_in(name);
		AS(alice) try_in(name);
	}
}

static void sticky(void)
{
	CALL(mkdir("t", 0777));
	CALL(chmod("t", 01777));
	CALL(mkdir("alice's", 0777));
	CALL(chmod("alice's", 01777));
	CALL(chown("alice's", 1000, 1000));
	AS(alice)
	{
		put("t/a", "a");
		CALL(chmod("t/a", 0666));
		CALL(mkdir("t/ad", 0777));
		put("t/a2", "a");
	}
	AS(bob)
	{
		put("t/b", "b");
		put("alice's/b", "b");
		CALL(unlink("t/a"));
		CALL(rename("t/a", "t/x"));
		CALL(rename("t/b", "t/a"));
		CALL(rename("t/b", "t/b2"));
		CALL(rmdir("t/ad"));
		CALL(renameat2(AT_FDCWD, "t/b2", AT_FDCWD, "t/a", RENAME_EXCHANGE));
		CALL(link("t/a", "t/hard"));
		CALL(link("t/a2", "t/hard2"));
		OPENS(open("t/a", O_RDWR));
		OPENS(open("t/a", O_CREAT | O_RDWR, 0666));
		CALL(chmod("t", 0777));
	}
	AS(alice)
	{
		CALL(unlink("alice's/b"));
		CALL(unlink("t/b2"));
		CALL(unlink("t/a"));
	}
	CALL(unlink("t/b2"));
	CALL(chmod("t", 0777));
	AS(bob) CALL(unlink("t/a2"));
}

static void ways(void)
{
	CALL(mkdir("closed", 0700));
	put("closed/f", "secret");
	CALL(chmod("closed/f", 0666));
	CALL(mkdir("closed/d", 0777));
	int file = open("closed/f", O_RDWR), path = open("closed/f", O_PATH), directory = open("closed/d", O_RDONLY);
	CALL(chmod("closed/d", 0777));
	AS(alice)
	{
		OPENS(open("closed/f", O_RDONLY));
		CALL(pread(file, (char[6]){ 0 }, 6, 0));
		CALL(pwrite(file, "S", 1, 0));
		show_fd(path);
		char name[64];
		sprintf(name, "/proc/self/fd/%d", path);
		OPENS(open(name, O_RDWR));
		OPENS(openat(directory, "new", O_CREAT | O_WRONLY, 0644));
		CALL(fchdir(directory));
		OPENS(open("new2", O_CREAT | O_WRONLY, 0644));
		OPENS(open("../f", O_RDONLY));
		show("new2");
	}
	CALL(chdir("closed/d"));
	AS(bob)
	{
		OPENS(open("bob's", O_CREAT | O_WRONLY, 0600));
		show("bob's");
		CALL(chdir(".."));
		CALL(chdir("../.."));
	}
}

static void capabilities(void)
{
	put("f", "text");
	CALL(chmod("f", 0600));
	CALL(chown("f", 1000, 1000));
	CALL(mkdir("d", 0700));
	CALL(chown("d", 1000, 1000));
	AS_ROOT_WITH(0)
	{
		OPENS(open("f", O_RDONLY));
		OPENS(open("d/x", O_CREAT | O_WRONLY, 0600));
		CALL(chmod("f", 0640));
		CALL(chown("f", 0, 0));
		CALL(mknod("null", S_IFCHR | 0600, 259));
		put("own", "x");
		CALL(chmod("own", 0));
		OPENS(open("own", O_RDONLY));
		CALL(chown("own", 5, -1));
	}
	AS_ROOT_WITH(BIT(CAP_DAC_READ_SEARCH))
	{
		OPENS(open("f", O_RDONLY));
		OPENS(open("f", O_WRONLY));
		OPENS(open("d", O_RDONLY));
	}
	AS_ROOT_WITH(BIT(CAP_DAC_OVERRIDE))
	{
		OPENS(open("f", O_RDWR));
		OPENS(open("d/y", O_CREAT | O_WRONLY, 0600));
		CALL(chmod("f", 0640));
		CALL(chmod("f", 06777));
		CALL(write(open("f", O_WRONLY), "x", 1));
	}
	show("f");
	CALL(chmod("f", 06777));
	AS_ROOT_WITH(BIT(CAP_DAC_OVERRIDE)) CALL(write(open("f", O_WRONLY), "x", 1));
	show("f");
	CALL(chmod("f", 0600));
	AS_WITH(bob, BIT(CAP_DAC_OVERRIDE))
	{
		OPENS(open("f", O_RDWR));
		OPENS(open("d/z", O_CREAT | O_WRONLY, 0600));
		show("d/z");
		CALL(chmod("f", 0640));
		CALL(truncate("f", 1));
		CALL(unlink("d/z"));
	}
	AS_WITH(bob, BIT(CAP_FOWNER))
	{
		CALL(chmod("f", 04755));
		show("f");
		CALL(utimensat(AT_FDCWD, "f", (struct timespec[]){ { 1, 1 }, { 2, 2 } }, 0));
		CALL(chown("f", 1001, -1));
	}
	AS_WITH(bob, BIT(CAP_CHOWN))
	{
		CALL(chown("f", 1001, 5));
		show("f");
		CALL(chmod("f", 0600));
	}
	AS_WITH(bob, BIT(CAP_FSETID))
	{
		CALL(chmod("f", 06777));
		CALL(write(open("f", O_WRONLY), "x", 1));
		show("f");
	}
	AS_WITH(bob, BIT(CAP_MKNOD))
	{
		CALL(mknod("bob's", S_IFCHR | 0600, 259));
		show("bob's");
	}
}

const struct posix_case permission_cases[] = {
	{ "rights of a file", matrix },
	{ "rights of a directory", directories },
	{ "sticky directories", sticky },
	{ "ways around a closed directory", ways },
	{ "capabilities", capabilities },
	{ NULL, NULL },
};
