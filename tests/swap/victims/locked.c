/* Mapped files that are locked into memory. See victim.h. */
#include "mapping.h"

/* ---- absent: what mlock cannot make present: without any access, and beyond the end of the file */

static unsigned char *locked_none, *locked_beyond;

static void set_up_absent(void)
{
	make_file("absent", 10, 2 * PAGE);
	locked_none = map("absent", O_RDWR, PROT_READ | PROT_WRITE, MAP_PRIVATE, 2, 0);
	fill(locked_none, 0xd8);
	must(mlock(locked_none, 2 * PAGE) == 0 && mprotect(locked_none, 2 * PAGE, PROT_NONE) == 0);
	locked_beyond = map("absent", O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED, 4, 0);
	must(mlock(locked_beyond, 4 * PAGE) < 0);
	must(mlock(map("absent", O_RDWR, PROT_READ, MAP_SHARED, 2, 0), 2 * PAGE) == 0);
}

static void check_absent(void)
{
	mprotect(locked_none, PAGE, PROT_READ);
	expect(all(locked_none, 0xd8), "a page of its own is lost");
	mprotect(locked_none, PAGE, PROT_NONE);
	expect(pattern_matches(10, 0, locked_beyond, 2 * PAGE), "other bytes");
}

/* ---- shared */

static unsigned char *locked_shared;

static void set_up_shared(void)
{
	make_file("shared", 14, 2 * PAGE);
	locked_shared = map("shared", O_RDWR, PROT_READ, MAP_SHARED, 2, 0);
	must(mlock(locked_shared, 2 * PAGE) == 0);
}

static void check_shared(void)
{
	expect(pattern_matches(14, 0, locked_shared, 2 * PAGE), "other bytes");
	expect(munlock(locked_shared, 2 * PAGE) == 0 && mlock(locked_shared, 2 * PAGE) == 0, "it cannot be locked");
}

/* ---- private: pages of its own between the file's, all of them locked; in a child that has inherited them, and not locked beside them */

enum { LOCKED = 6 };
static unsigned char *locked_read, *locked_write, *locked_copied, *locked_half, *locked_not, *locked_gone;
static struct peer locked_child, locked_other;

/* Whether smaps says that the mapping at an address is locked. */
static int is_locked(const void *address)
{
	char line[512], flags[256];
	unsigned long start, end;
	int here = 0, found = 0;
	FILE *smaps = fopen("/proc/self/smaps", "r");
	while (smaps != NULL && fgets(line, sizeof line, smaps) != NULL) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (unsigned long)address && (unsigned long)address < end;
		else if (here && sscanf(line, "VmFlags: %255[^\n]", flags) == 1)
			found = strstr(flags, "lo") != NULL;
	}
	if (smaps != NULL)
		fclose(smaps);
	return found;
}

/* All pages but one are those of the file. */
static void look_at_locked(const char *what, const unsigned char *start, int own, unsigned char value)
{
	for (int i = 0; i < LOCKED; i++) {
		if (i == own)
			expect(all(start + i * PAGE, value), "%s: the page of its own is lost", what);
		else
			expect(pattern_matches(15, i * PAGE, start + i * PAGE, PAGE), "%s: page %d is not the file's", what, i);
	}
}

static void change_inherited_locked(void)
{
	fill(locked_write + 4 * PAGE, 0xc6);
}

static void look_as_locked_child(void)
{
	look_at_locked("inherited", locked_read, 1, 0xc1);
	expect(all(locked_write, 0xc2) && all(locked_write + 4 * PAGE, 0xc6), "inherited: pages of its own are lost");
	for (int i = 1; i < 4; i++)
		expect(pattern_matches(15, i * PAGE, locked_write + i * PAGE, PAGE), "inherited: page %d is not the file's", i);
}

static void lock_elsewhere(void)
{
	locked_read = map("private", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, LOCKED, 0);
	fill(locked_read + 5 * PAGE, 0xc7);
	must(mprotect(locked_read, LOCKED * PAGE, PROT_READ) == 0 && mlock(locked_read, LOCKED * PAGE) == 0);
}

static void look_elsewhere_locked(void)
{
	look_at_locked("elsewhere", locked_read, 5, 0xc7);
	expect(is_locked(locked_read), "elsewhere: it is not locked");
}

static void set_up_private(void)
{
	make_file("private", 15, LOCKED * PAGE);
	locked_read = map("private", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, LOCKED, 0);
	fill(locked_read + PAGE, 0xc1);
	must(mprotect(locked_read, LOCKED * PAGE, PROT_READ) == 0 && mlock(locked_read, LOCKED * PAGE) == 0);
	/* On fault: nothing is copied that is not written. */
	locked_write = map("private", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, LOCKED, 0);
	must(mlock2(locked_write, LOCKED * PAGE, MLOCK_ONFAULT) == 0);
	fill(locked_write, 0xc2);
	locked_copied = map("private", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, LOCKED, 0);
	must(mlock(locked_copied, LOCKED * PAGE) == 0);
	fill(locked_copied + 2 * PAGE, 0xc3);
	locked_half = map("private", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, LOCKED, 0);
	fill(locked_half + 3 * PAGE, 0xc4);
	must(mprotect(locked_half, LOCKED * PAGE, PROT_READ) == 0 && mlock(locked_half, 2 * PAGE) == 0);
	locked_not = map("private", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, LOCKED, 0);
	fill(locked_not + 4 * PAGE, 0xc5);
	make_file("gone", 16, 3 * PAGE);
	locked_gone = map("gone", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, 3, 0);
	must(unlink(in("gone")) == 0 && mlock2(locked_gone, 3 * PAGE, MLOCK_ONFAULT) == 0);
	fill(locked_gone + PAGE, 0xc8);
	locked_child = peer_fork(change_inherited_locked, look_as_locked_child);
	locked_other = peer_unrelated(lock_elsewhere, look_elsewhere_locked);
	peer_ready(&locked_other);
}

static void check_private(void)
{
	look_at_locked("read-only", locked_read, 1, 0xc1);
	look_at_locked("on fault", locked_write, 0, 0xc2);
	look_at_locked("copied", locked_copied, 2, 0xc3);
	look_at_locked("half", locked_half, 3, 0xc4);
	look_at_locked("not locked", locked_not, 4, 0xc5);
	expect(is_locked(locked_read) && is_locked(locked_write) && is_locked(locked_copied) && is_locked(locked_half),
	       "something is not locked any more");
	expect(!is_locked(locked_half + 3 * PAGE) && !is_locked(locked_not), "something is locked now");
	expect(pattern_matches(16, 0, locked_gone, PAGE) && all(locked_gone + PAGE, 0xc8) &&
		   pattern_matches(16, 2 * PAGE, locked_gone + 2 * PAGE, PAGE),
	       "of a deleted file: other bytes");
	peer_check(&locked_child);
	peer_check(&locked_other);
}

static const struct victim_case cases[] = {
	{ "absent", set_up_absent, check_absent, NULL },
	{ "shared", set_up_shared, check_shared, NULL },
	{ "private", set_up_private, check_private, NULL },
};
VICTIM(cases)
