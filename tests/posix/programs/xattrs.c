/* Cases about extended attributes and POSIX ACLs. */
#include "cases.h"

#include <linux/limits.h>
#include <sys/xattr.h>

static char value[XATTR_SIZE_MAX + 10];

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
	static char buffer[XATTR_LIST_MAX];
	char *names[100], text[4096] = "";
	ssize_t length = llistxattr(path, buffer, sizeof buffer);
	if (length < 0) {
		print_result("list", -1);
		return;
	}
	int count = 0;
	for (char *name = buffer; name < buffer + length && count < 100; name += strlen(name) + 1)
		if (strcmp(name, "security.selinux") != 0)
			names[count++] = name;
	qsort(names, count, sizeof *names, by_text);
	for (int i = 0; i < count; i++)
		sprintf(text + strlen(text), " %s", names[i]);
	print_value("list", "%s", text);
}

static void user_attributes(void)
{
	put("f", "");
	CALL(setxattr("f", "user.a", "value", 5, 0));
	CALL(setxattr("f", "user.a", "other", 5, XATTR_CREATE));
	CALL(setxattr("f", "user.none", "other", 5, XATTR_REPLACE));
	CALL(setxattr("f", "user.a", "VALUE", 5, XATTR_REPLACE));
	CALL(setxattr("f", "user.a", "x", 1, 7));
	CALL(getxattr("f", "user.a", NULL, 0));
	CALL(getxattr("f", "user.a", value, 2));
	CALL(getxattr("f", "user.a", value, sizeof value));
	HOLDS(memcmp(value, "VALUE", 5) == 0);
	CALL(getxattr("f", "user.none", value, sizeof value));
	CALL(setxattr("f", "user.empty", "", 0, 0));
	CALL(getxattr("f", "user.empty", value, sizeof value));
	CALL(setxattr("f", "user.\xff\x01 odd", "\0\xff", 2, 0));
	list("f");
	CALL(listxattr("f", value, 3));
	CALL(listxattr("f", NULL, 0));
	CALL(removexattr("f", "user.a"));
	CALL(removexattr("f", "user.a"));
	CALL(setxattr("f", "user.", "v", 1, 0));
	CALL(setxattr("f", "user", "v", 1, 0));
	CALL(setxattr("f", "", "v", 1, 0));
	CALL(setxattr("f", "nonsense.a", "v", 1, 0));
	CALL(getxattr("f", "nonsense.a", value, 10));
	CALL(removexattr("f", "nonsense.a"));
	char name[300];
	memset(name, 'n', sizeof name);
	memcpy(name, "user.", 5);
	name[255] = 0;
	CALL(setxattr("f", name, "v", 1, 0));
	name[255] = 'n', name[256] = 0;
	CALL(setxattr("f", name, "v", 1, 0));
	memset(value, 'v', sizeof value);
	CALL(setxattr("f", "user.large", value, 3000, 0));
	CALL(getxattr("f", "user.large", value, sizeof value));
	CALL(setxattr("f", "user.larger", value, 20000, 0));
	CALL(setxattr("f", "user.largest", value, XATTR_SIZE_MAX, 0));
	CALL(setxattr("f", "user.too large", value, XATTR_SIZE_MAX + 1, 0));
	list("f");
	CALL(setxattr("none", "user.a", "v", 1, 0));
	int fd = open("f", O_RDONLY), path = open("f", O_PATH);
	CALL(fsetxattr(fd, "user.fd", "v", 1, 0));
	CALL(fsetxattr(path, "user.fd", "v", 1, 0));
	CALL(unlink("f"));
	CALL(fgetxattr(fd, "user.fd", value, 10));
	CALL(fsetxattr(fd, "user.late", "v", 1, 0));
	CALL(fremovexattr(fd, "user.fd"));
	CALL(flistxattr(fd, NULL, 0) > 0);
}

static void kinds(void)
{
	put("f", "");
	CALL(mkdir("d", 0777));
	CALL(symlink("f", "s"));
	CALL(mkfifo("fifo", 0666));
	static const char *const paths[] = { "f", "d", "s", "fifo" };
	static const char *const names[] = { "user.a", "trusted.a", "security.a", "system.a", "security.capability", "system.posix_acl_none" };
	for (size_t p = 0; p < 4; p++)
		for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
			print_value(paths[p], "%s", names[n]);
			CALL(lsetxattr(paths[p], names[n], "v", 1, 0));
			CALL(lgetxattr(paths[p], names[n], value, 100));
			list(paths[p]);
		}
	CALL(chmod("f", 0666));
	CALL(chmod("d", 01777));
	CALL(chown("d", 1000, 1000));
	AS(bob)
	{
		CALL(setxattr("f", "user.bob", "v", 1, 0));
		CALL(setxattr("f", "trusted.bob", "v", 1, 0));
		CALL(getxattr("f", "trusted.a", value, 100));
		CALL(getxattr("f", "security.a", value, 100));
		CALL(setxattr("f", "security.bob", "v", 1, 0));
		CALL(setxattr("d", "user.bob", "v", 1, 0));
		list("f");
	}
	AS(alice) CALL(setxattr("d", "user.alice", "v", 1, 0));
	CALL(chmod("f", 0640));
	AS(bob)
	{
		CALL(getxattr("f", "user.bob", value, 100));
		CALL(setxattr("f", "user.bob", "v", 1, 0));
		list("f");
	}
}

static void file_capabilities(void)
{
	static const unsigned char capability[20] = { 0, 0, 0, 2, 0, 4 }; /* VFS_CAP_REVISION_2, CAP_NET_BIND_SERVICE */
	put("f", "text");
	CALL(chmod("f", 0777));
	CALL(setxattr("f", "security.capability", capability, sizeof capability, 0));
	CALL(getxattr("f", "security.capability", value, 100));
	AS(bob) CALL(getxattr("f", "security.capability", value, 100));
	AS(bob) CALL(write(open("f", O_WRONLY), "x", 1));
	CALL(getxattr("f", "security.capability", value, 100));
	CALL(setxattr("f", "security.capability", capability, sizeof capability, 0));
	CALL(write(open("f", O_WRONLY), "x", 1));
	CALL(getxattr("f", "security.capability", value, 100));
	CALL(setxattr("f", "security.capability", capability, sizeof capability, 0));
	CALL(chown("f", 1000, -1));
	CALL(getxattr("f", "security.capability", value, 100));
	CALL(setxattr("f", "security.capability", capability, sizeof capability, 0));
	CALL(truncate("f", 1));
	CALL(getxattr("f", "security.capability", value, 100));
	AS(alice) CALL(setxattr("f", "security.capability", capability, sizeof capability, 0));
}

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct entry {
	unsigned short tag, rights;
	unsigned id;
};

static int set_acl(const char *path, const char *name, const struct entry *entries, int count)
{
	char buffer[256];
	memcpy(buffer, &(unsigned){ 2 }, 4);
	memcpy(buffer + 4, entries, count * sizeof *entries);
	return setxattr(path, name, buffer, 4 + count * sizeof *entries, 0);
}

static void print_acl(const char *path, const char *name)
{
	char buffer[256], text[512] = "";
	ssize_t length = getxattr(path, name, buffer, sizeof buffer);
	if (length < 0) {
		print_result(name, -1);
		return;
	}
	for (ssize_t at = 4; at + 8 <= length; at += 8) {
		struct entry one;
		memcpy(&one, buffer + at, sizeof one);
		sprintf(text + strlen(text), " %d:%d:%o", one.tag, (int)one.id, one.rights);
	}
	print_value(name, "%s", text);
}

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"
#define NONE (-1u)
#define SET(PATH, NAME, ...) \
	print_result("ACL of " PATH, set_acl(PATH, NAME, (struct entry[]){ __VA_ARGS__ }, sizeof((struct entry[]){ __VA_ARGS__ }) / 8))

static void access_lists(void)
{
	put("f", "text");
	CALL(chmod("f", 0640));
	SET("f", ACCESS, { USER_OBJ, 6, NONE }, { USER, 6, 1000 }, { GROUP_OBJ, 4, NONE }, { GROUP, 2, 501 }, { MASK, 6, NONE }, { OTHER, 0, NONE });
	show("f");
	print_acl("f", ACCESS);
	list("f");
	AS(alice)
	{
		OPENS(open("f", O_RDWR));
		CALL(access("f", R_OK | W_OK));
		CALL(chmod("f", 0777));
		CALL(setxattr("f", "user.alice", "v", 1, 0));
	}
	AS(bob) OPENS(open("f", O_RDONLY));
	AS(member)
	{
		OPENS(open("f", O_RDONLY));
		OPENS(open("f", O_WRONLY));
		OPENS(open("f", O_RDWR));
	}
	CALL(chmod("f", 0600)); /* takes the mask away */
	print_acl("f", ACCESS);
	AS(alice) OPENS(open("f", O_RDONLY));
	CALL(chmod("f", 0660));
	print_acl("f", ACCESS);
	AS(alice) OPENS(open("f", O_RDONLY));
	SET("f", ACCESS, { USER_OBJ, 6, NONE }, { GROUP_OBJ, 4, NONE }, { OTHER, 4, NONE });
	show("f");
	print_acl("f", ACCESS);
	SET("f", ACCESS, { USER_OBJ, 6, NONE });
	SET("f", ACCESS, { USER_OBJ, 6, NONE }, { USER, 6, 5 }, { GROUP_OBJ, 4, NONE }, { OTHER, 4, NONE });
	CALL(setxattr("f", ACCESS, "x", 1, 0));
	CALL(setxattr("f", ACCESS, "\2\0\0\0", 4, 0));
	SET("f", ACCESS, { USER_OBJ, 6, NONE }, { USER, 0, 1000 }, { GROUP_OBJ, 6, NONE }, { MASK, 6, NONE }, { OTHER, 6, NONE });
	AS(alice) OPENS(open("f", O_RDONLY));
	AS(bob) OPENS(open("f", O_RDWR));
	CALL(removexattr("f", ACCESS));
	CALL(removexattr("f", ACCESS));
	show("f");
	AS(alice)
	{
		OPENS(open("f", O_RDONLY));
		SET("f", ACCESS, { USER_OBJ, 6, NONE }, { GROUP_OBJ, 4, NONE }, { OTHER, 4, NONE });
	}
	SET("f", DEFAULT, { USER_OBJ, 6, NONE }, { GROUP_OBJ, 4, NONE }, { OTHER, 4, NONE });
	CALL(chown("f", 1000, 1000));
	AS(alice)
	{
		SET("f", ACCESS, { USER_OBJ, 6, NONE }, { USER, 7, 1001 }, { GROUP_OBJ, 4, NONE }, { MASK, 7, NONE }, { OTHER, 0, NONE });
		show("f");
	}
	AS(bob)
	{
		OPENS(open("f", O_RDWR));
		CALL(access("f", X_OK));
	}
	CALL(chmod("f", 02777));
	AS(alice)
	{ /* of a group that alice is not in: the set-group-ID bit goes */
		SET("f", ACCESS, { USER_OBJ, 7, NONE }, { USER, 7, 1001 }, { GROUP_OBJ, 4, NONE }, { MASK, 7, NONE }, { OTHER, 0, NONE });
	}
	show("f");
	CALL(chown("f", 1000, 7));
	CALL(chmod("f", 02777));
	AS(alice) SET("f", ACCESS, { USER_OBJ, 7, NONE }, { USER, 7, 1001 }, { GROUP_OBJ, 4, NONE }, { MASK, 7, NONE }, { OTHER, 0, NONE });
	show("f");
}

static void directory_lists(void)
{
	CALL(mkdir("d", 0700));
	put("d/f", "x");
	CALL(chmod("d/f", 0644));
	AS(alice) OPENS(open("d/f", O_RDONLY));
	SET("d", ACCESS, { USER_OBJ, 7, NONE }, { USER, 7, 1000 }, { GROUP_OBJ, 0, NONE }, { GROUP, 1, 501 }, { MASK, 7, NONE }, { OTHER, 0, NONE });
	AS(alice)
	{
		OPENS(open("d/f", O_RDONLY));
		OPENS(open("d", O_RDONLY));
		OPENS(open("d/alice's", O_CREAT | O_WRONLY, 0644));
		CALL(mkdir("d/dir", 0755));
		CALL(rename("d/alice's", "d/renamed"));
		CALL(unlink("d/renamed"));
		CALL(link("d/f", "d/hard"));
		CALL(symlink("x", "d/link"));
		CALL(mknod("d/fifo", S_IFIFO | 0600, 0));
		OPENS(open("d", O_TMPFILE | O_RDWR, 0600));
		CALL(truncate("d/f", 0));
	}
	AS(member)
	{
		OPENS(open("d/f", O_RDONLY));
		OPENS(open("d", O_RDONLY));
		OPENS(open("d/member's", O_CREAT | O_WRONLY, 0644));
		show("d/f");
	}
	AS(bob) OPENS(open("d/f", O_RDONLY));
}

static void default_lists(void)
{
	CALL(mkdir("d", 0777));
	CALL(chmod("d", 0777));
	SET("d", DEFAULT, { USER_OBJ, 7, NONE }, { USER, 6, 1001 }, { GROUP_OBJ, 5, NONE }, { MASK, 7, NONE }, { OTHER, 5, NONE });
	print_acl("d", DEFAULT);
	show("d");
	CALL(umask(077)); /* a default ACL takes its place */
	OPENS(open("d/f", O_CREAT | O_WRONLY, 0666));
	show("d/f");
	print_acl("d/f", ACCESS);
	CALL(mkdir("d/sub", 0750));
	show("d/sub");
	print_acl("d/sub", ACCESS);
	print_acl("d/sub", DEFAULT);
	CALL(mknod("d/fifo", S_IFIFO | 0622, 0));
	show("d/fifo");
	print_acl("d/fifo", ACCESS);
	CALL(symlink("x", "d/link"));
	show("d/link");
	int fd = open("d", O_TMPFILE | O_RDWR, 0666);
	show_fd(fd);
	AS(alice)
	{
		CALL(umask(027));
		OPENS(open("d/alice's", O_CREAT | O_WRONLY, 0666));
		show("d/alice's");
		print_acl("d/alice's", ACCESS);
		CALL(mkdir("d/alices", 0777));
		show("d/alices");
	}
	AS(bob)
	{
		OPENS(open("d/f", O_RDWR));
		OPENS(open("d/alice's", O_RDWR));
		CALL(mkdir("d/sub/bob's", 0777));
	}
	CALL(removexattr("d", DEFAULT));
	OPENS(open("d/g", O_CREAT | O_WRONLY, 0666));
	show("d/g");
	SET("d", DEFAULT, { USER_OBJ, 7, NONE }, { GROUP_OBJ, 0, NONE }, { OTHER, 7, NONE });
	CALL(umask(0777));
	OPENS(open("d/h", O_CREAT | O_WRONLY, 0666));
	show("d/h");
	print_acl("d/h", ACCESS);
	CALL(chmod("d", 02777));
	CALL(chown("d", 0, 501));
	AS(alice)
	{
		CALL(mkdir("d/i", 0777));
		show("d/i");
	}
}

const struct posix_case xattr_cases[] = {
	{ "user attributes", user_attributes },
	{ "attributes by name space and type", kinds },
	{ "capabilities of files", file_capabilities },
	{ "access ACLs", access_lists },
	{ "ACLs of directories", directory_lists },
	{ "default ACLs", default_lists },
	{ NULL, NULL },
};
