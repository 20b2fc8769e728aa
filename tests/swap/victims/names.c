/* Files whose names are gone, changed or strange, and directories with a position. See victim.h. */
#include "victim.h"

#include <dirent.h>
#include <sys/syscall.h>

/* Whether the descriptor holds exactly the pattern, also what is now written to the place that every check moves on. */
static void look_at(const char *what, int fd, unsigned seed, off_t size, nlink_t links)
{
	static unsigned char bytes[16384];
	struct stat st;
	expect(fstat(fd, &st) == 0 && st.st_size == size, "%s: %ld bytes", what, (long)st.st_size);
	expect(st.st_nlink == links, "%s: %lu links", what, (unsigned long)st.st_nlink);
	expect(pread(fd, bytes, size, 0) == size && pattern_matches(seed, 0, bytes, size), "%s: other bytes", what);
}

static int same_file(int one, int other)
{
	struct stat a, b;
	return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* ---- deleted: one file without a name, twice open and mapped; one that never had one; one in a directory that is gone, too */

static int deleted, deleted_again, unnamed, deeper;
static off_t deleted_at = 17;
static unsigned char *deleted_map;

static void set_up_deleted(void)
{
	make_file("deleted", 1, 10000);
	deleted = open_in("deleted", O_RDWR);
	deleted_again = open_in("deleted", O_RDONLY);
	deleted_map = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, deleted, 0);
	must(deleted_map != MAP_FAILED && lseek(deleted, deleted_at, SEEK_SET) == deleted_at);
	must(unlink(in("deleted")) == 0);
	unnamed = open(directory, O_TMPFILE | O_RDWR, 0600);
	must(unnamed >= 0);
	put_pattern(unnamed, 2, 0, 5000);
	must(mkdir(in("folder"), 0755) == 0);
	make_file("folder/file", 3, 3000);
	deeper = open_in("folder/file", O_RDONLY);
	must(unlink(in("folder/file")) == 0 && rmdir(in("folder")) == 0);
}

static void check_deleted(void)
{
	look_at("deleted", deleted_again, 1, 10000, 0);
	look_at("unnamed", unnamed, 2, 5000, 0);
	look_at("deeper", deeper, 3, 3000, 0);
	expect(same_file(deleted, deleted_again), "two descriptors of a deleted file are open on two files");
	expect(reads_pattern(deleted, 1, deleted_at, 9), "at %ld", (long)lseek(deleted, 0, SEEK_CUR));
	deleted_at += 9;
	unsigned char was = deleted_map[5000], changed = 0;
	deleted_map[5000] ^= 0xff;
	expect(pread(deleted_again, &changed, 1, 5000) == 1 && changed == (was ^ 0xff), "the mapping shows another file");
	deleted_map[5000] = was;
}

/* ---- replaced: deleted, and the name is another file's now; and a file that is really called "real (deleted)" */

static int replaced, replacement, really, beside;

static void set_up_replaced(void)
{
	make_file("replaced", 4, 2000);
	replaced = open_in("replaced", O_RDONLY);
	must(unlink(in("replaced")) == 0);
	make_file("replaced", 5, 2500);
	replacement = open_in("replaced", O_RDONLY);
	make_file("real", 6, 2000);
	make_file("real (deleted)", 7, 2500);
	really = open_in("real (deleted)", O_RDONLY);
	make_file("beside", 8, 1000);
	make_file("beside (deleted)", 9, 1000);
	beside = open_in("beside", O_RDONLY);
	must(unlink(in("beside")) == 0);
}

static void check_replaced(void)
{
	look_at("replaced", replaced, 4, 2000, 0);
	look_at("replacement", replacement, 5, 2500, 1);
	look_at("real (deleted)", really, 7, 2500, 1);
	look_at("beside", beside, 8, 1000, 0);
}

/* ---- links: two names of a file, both open; the name that it was opened by is taken away, another one stays */

static int first_name, second_name, folder;

static void look_through_name(const char *name, int fd, unsigned seed)
{
	int found = openat(folder, name, O_RDONLY);
	expect(found >= 0 && same_file(found, fd), "%s is another file", name);
	look_at(name, fd, seed, 4000, 2);
	close(found);
}

static void set_up_links(void)
{
	make_file("first", 10, 4000);
	must(link(in("first"), in("second")) == 0);
	first_name = open_in("first", O_RDWR);
	second_name = open_in("second", O_RDWR);
	folder = open(directory, O_RDONLY | O_DIRECTORY);
	must(folder >= 0);
}

static void check_links(void)
{
	look_through_name("first", first_name, 10);
	look_through_name("second", second_name, 10);
	expect(same_file(first_name, second_name), "two names have become two files");
}

static int link_gone;

static void set_up_link_gone(void)
{
	make_file("gone", 11, 4000);
	must(link(in("gone"), in("left")) == 0);
	link_gone = open_in("gone", O_RDWR);
	must(unlink(in("gone")) == 0);
	folder = open(directory, O_RDONLY | O_DIRECTORY);
}

static void check_link_gone(void)
{
	int left = openat(folder, "left", O_RDONLY);
	expect(left >= 0 && same_file(left, link_gone), "the name that is left is another file");
	look_at("left", link_gone, 11, 4000, 1);
	close(left);
}

/* ---- renamed: the file, and a directory above one */

static int renamed, below_renamed;

static void set_up_renamed(void)
{
	make_file("before", 12, 4000);
	must(mkdir(in("old"), 0755) == 0);
	make_file("old/file", 13, 4000);
	renamed = open_in("before", O_RDWR);
	below_renamed = open_in("old/file", O_RDWR);
	must(rename(in("before"), in("after")) == 0 && rename(in("old"), in("new")) == 0);
	folder = open(directory, O_RDONLY | O_DIRECTORY);
}

static void check_renamed(void)
{
	int after = openat(folder, "after", O_RDONLY), below = openat(folder, "new/file", O_RDONLY);
	look_at("renamed", renamed, 12, 4000, 1);
	look_at("below a renamed directory", below_renamed, 13, 4000, 1);
	expect(same_file(renamed, after) && same_file(below, below_renamed), "the new names are other files");
	close(after);
	close(below);
}

/* ---- strange: names with everything that a parser may trip over, open and mapped */

/* The empty one stands for a name as long as names get. */
static const char *const strange_names[] = {
	"new\nline", "tab\tand space ", "back\\slash", "\\012",  "not utf8 \xff\xfe\x80", " (deleted)",
	"pos:\t7\nflags:\t0", "",		      "[heap]", "...",
};
enum { STRANGE = sizeof strange_names / sizeof strange_names[0] };
static int strange_fds[STRANGE];
static unsigned char *strange_maps[STRANGE];

static void set_up_strange(void)
{
	must(mkdir(in("deleted) (dir"), 0755) == 0);
	int base = open_in("deleted) (dir", O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < STRANGE; i++) {
		char longest[256];
		memset(longest, 'n', 255);
		longest[255] = 0;
		int fd = openat(base, strange_names[i][0] == 0 ? longest : strange_names[i], O_RDWR | O_CREAT | O_EXCL, 0644);
		must(fd >= 0);
		put_pattern(fd, 20 + i, 0, PAGE);
		strange_fds[i] = fd;
		strange_maps[i] = mmap(NULL, PAGE, PROT_READ, i % 2 ? MAP_SHARED : MAP_PRIVATE, fd, 0);
		must(strange_maps[i] != MAP_FAILED);
	}
	close(base);
}

static void check_strange(void)
{
	for (int i = 0; i < STRANGE; i++) {
		look_at(strange_names[i], strange_fds[i], 20 + i, PAGE, 1);
		expect(pattern_matches(20 + i, 0, strange_maps[i], PAGE), "%s: other bytes are mapped", strange_names[i]);
	}
}

/* ---- deep: a path that is longer than PATH_MAX, which readlink(2) cannot tell */

static int deep;

static void set_up_deep(void)
{
	char name[201];
	memset(name, 'd', 200);
	name[200] = 0;
	int at = open(directory, O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 25; i++) {
		must(mkdirat(at, name, 0755) == 0);
		int next = openat(at, name, O_RDONLY | O_DIRECTORY);
		must(next >= 0);
		close(at);
		at = next;
	}
	deep = openat(at, "file", O_RDWR | O_CREAT, 0644);
	must(deep >= 0);
	put_pattern(deep, 14, 0, 3000);
	close(at);
}

static void check_deep(void)
{
	look_at("deep", deep, 14, 3000, 1);
}

/* ---- entries: directories read by small pieces go on where they were: half read, at the end, not begun, and shared by dup */

enum { ENTRIES = 300, PIECE = 1024 };
static int half, ended, fresh, half_dup;
static int seen[ENTRIES], seen_count;

static int list_piece(int fd)
{
	char buffer[PIECE] __attribute__((aligned(8)));
	long count = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
	for (long at = 0; at < count;) {
		struct dirent64 *entry = (struct dirent64 *)(buffer + at);
		int index;
		if (sscanf(entry->d_name, "entry%d", &index) == 1 && index >= 0 && index < ENTRIES) {
			seen[index]++;
			seen_count++;
		}
		at += entry->d_reclen;
	}
	return (int)count;
}

static int count_all(int fd)
{
	int before = seen_count, saved[ENTRIES];
	memcpy(saved, seen, sizeof seen);
	while (list_piece(fd) > 0)
		;
	int count = seen_count - before;
	memcpy(seen, saved, sizeof seen);
	seen_count = before;
	return count;
}

static void set_up_entries(void)
{
	must(mkdir(in("many"), 0755) == 0);
	for (int i = 0; i < ENTRIES; i++) {
		char name[32];
		snprintf(name, sizeof name, "many/entry%03d", i);
		must(close(open(in(name), O_WRONLY | O_CREAT, 0644)) == 0);
	}
	half = open_in("many", O_RDONLY | O_DIRECTORY);
	ended = open_in("many", O_RDONLY | O_DIRECTORY);
	fresh = open_in("many", O_RDONLY | O_DIRECTORY);
	half_dup = dup(half);
	must(count_all(ended) == ENTRIES && list_piece(half) > 0 && seen_count > 0 && seen_count < ENTRIES);
}

static void check_entries(void)
{
	expect(list_piece(half) > 0, "half a directory is at its end");
	expect(list_piece(half_dup) > 0, "the other number is at its end");
	expect(list_piece(ended) == 0, "the end of the directory is gone");
	for (int i = 0; i < ENTRIES; i++)
		expect(seen[i] <= 1, "entry %d came %d times", i, seen[i]);
}

static void finish_entries(void)
{
	while (list_piece(half) > 0)
		;
	for (int i = 0; i < ENTRIES; i++)
		expect(seen[i] == 1, "entry %d came %d times", i, seen[i]);
	expect(count_all(fresh) == ENTRIES, "the one that was not begun lacks entries");
	lseek(half_dup, 0, SEEK_SET);
	expect(count_all(half) == ENTRIES, "the rewound one lacks entries");
}

/* ---- removed: a directory that is gone is open */

static int removed;

static void set_up_removed(void)
{
	must(mkdir(in("removed"), 0755) == 0);
	removed = open_in("removed", O_RDONLY | O_DIRECTORY);
	must(rmdir(in("removed")) == 0);
}

static void check_removed(void)
{
	struct stat st;
	expect(fstat(removed, &st) == 0 && S_ISDIR(st.st_mode), "the directory is none");
	expect(openat(removed, "new", O_WRONLY | O_CREAT, 0644) < 0 && errno == ENOENT, "something can be made in it");
}

static const struct victim_case cases[] = {
	{ "deleted", set_up_deleted, check_deleted, NULL },
	{ "replaced", set_up_replaced, check_replaced, NULL },
	{ "links", set_up_links, check_links, NULL },
	{ "link-gone", set_up_link_gone, check_link_gone, NULL },
	{ "renamed", set_up_renamed, check_renamed, NULL },
	{ "strange", set_up_strange, check_strange, NULL },
	{ "deep", set_up_deep, check_deep, NULL },
	{ "entries", set_up_entries, check_entries, finish_entries },
	{ "removed", set_up_removed, check_removed, NULL },
};
VICTIM(cases)
