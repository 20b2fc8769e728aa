/* Memory that is mapped from files of the mount. No descriptor of these files stays open unless a case says so. See victim.h. */
#include "mapping.h"

#include <setjmp.h>

/* ---- shared: written through, seen by another process that maps and one that reads */

static unsigned char *shared_here;
static unsigned char *shared_there;
static unsigned char shared_value;
static int shared_fd;
static struct peer shared_peer;

static void map_there(void)
{
	shared_there = map("shared", O_RDONLY, PROT_READ, MAP_SHARED, 4, 0);
}

static void look_there(void)
{
	expect(pattern_matches(1, 0, shared_there, PAGE), "page 0 is another");
	expect(shared_there[PAGE] == shared_there[2 * PAGE], "%d and %d", shared_there[PAGE], shared_there[2 * PAGE]);
	shared_value = shared_there[PAGE];
	expect(all(shared_there + PAGE, shared_value), "page 1 is torn");
}

static void set_up_shared(void)
{
	make_file("shared", 1, 4 * PAGE);
	shared_here = map("shared", O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED, 4, 0);
	shared_fd = open_in("shared", O_RDONLY);
	fill(shared_here + PAGE, 0);
	fill(shared_here + 2 * PAGE, 0);
	shared_peer = peer_unrelated(map_there, look_there);
	peer_ready(&shared_peer);
}

static void check_shared(void)
{
	unsigned char bytes[PAGE];
	expect(all(shared_here + PAGE, shared_value), "page 1 is not what was written");
	shared_value++;
	fill(shared_here + PAGE, shared_value);
	fill(shared_here + 2 * PAGE, shared_value);
	expect(pread(shared_fd, bytes, PAGE, PAGE) == PAGE && all(bytes, shared_value), "read(2) sees something else");
	peer_check(&shared_peer);
}

/* ---- private: pages of its own between pages of the file, under every protection; one over file offset 2 */

static unsigned char *private_pages, *private_read, *private_none, *private_at_offset, *private_clean;

static void set_up_private(void)
{
	make_file("private", 2, 8 * PAGE);
	private_pages = map("private", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, 8, 0);
	fill(private_pages + PAGE, 0xd1);
	private_pages[5 * PAGE + 77] = 0xd2;
	private_read = map("private", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, 4, 0);
	fill(private_read + 2 * PAGE, 0xd3);
	must(mprotect(private_read, 4 * PAGE, PROT_READ) == 0);
	private_none = map("private", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, 3, 0);
	fill(private_none, 0xd4);
	must(mprotect(private_none, 3 * PAGE, PROT_NONE) == 0);
	private_at_offset = map("private", O_RDWR, PROT_READ | PROT_WRITE, MAP_PRIVATE, 4, 2 * PAGE);
	fill(private_at_offset + 3 * PAGE, 0xd5);
	private_clean = map("private", O_RDONLY, PROT_READ, MAP_PRIVATE, 8, 0);
}

static void check_private(void)
{
	for (int i = 0; i < 8; i++) {
		const unsigned char *page = private_pages + i * PAGE;
		if (i == 1) {
			expect(all(page, 0xd1), "the page of its own is lost");
		} else if (i == 5) {
			expect(page[77] == 0xd2 && pattern_matches(2, 5 * PAGE, page, 77), "the changed byte is lost");
			expect(pattern_matches(2, 5 * PAGE + 78, page + 78, PAGE - 78), "the bytes beside the changed one are lost");
		} else {
			expect(pattern_matches(2, i * PAGE, page, PAGE), "page %d is not the file's", i);
		}
		expect(pattern_matches(2, i * PAGE, private_clean + i * PAGE, PAGE), "clean page %d is not the file's", i);
	}
	expect(all(private_read + 2 * PAGE, 0xd3) && pattern_matches(2, 0, private_read, PAGE), "read-only pages are others");
	mprotect(private_none, PAGE, PROT_READ);
	expect(all(private_none, 0xd4), "what cannot be accessed is lost");
	mprotect(private_none, PAGE, PROT_NONE);
	expect(pattern_matches(2, 2 * PAGE, private_at_offset, 3 * PAGE), "pages at an offset are others");
	expect(all(private_at_offset + 3 * PAGE, 0xd5), "the page of its own at an offset is lost");
	private_pages[6 * PAGE]++;
	private_pages[6 * PAGE]--;
}

/* ---- code: executable, private and shared */

#if defined(__x86_64__)
static const unsigned char code_bytes[] = { 0xb8, 0x2a, 0, 0, 0, 0xc3 }; /* mov $42, %eax; ret */
#elif defined(__aarch64__)
static const unsigned char code_bytes[] = { 0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6 }; /* mov w0, #42; ret */
#endif
typedef int code(void);
static code *code_private, *code_shared;

static void set_up_code(void)
{
	int fd = open_in("code", O_WRONLY | O_CREAT | O_EXCL);
	must(fchmod(fd, 0755) == 0 && write(fd, code_bytes, sizeof code_bytes) == (ssize_t)sizeof code_bytes && close(fd) == 0);
	code_private = (code *)map("code", O_RDONLY, PROT_READ | PROT_EXEC, MAP_PRIVATE, 1, 0);
	code_shared = (code *)map("code", O_RDONLY, PROT_EXEC, MAP_SHARED, 1, 0);
}

static void check_code(void)
{
	expect(code_private() == 42 && code_shared() == 42, "the code does something else");
}

/* ---- beyond: more is mapped than the file has; the rest of its last page is zero, behind it is SIGBUS */

static unsigned char *beyond_shared, *beyond_private;
static sigjmp_buf back;

static void jump_back(int signal)
{
	siglongjmp(back, signal);
}

static int signal_at(const volatile unsigned char *byte)
{
	struct sigaction action = { .sa_handler = jump_back }, bus, segv;
	sigaction(SIGBUS, &action, &bus);
	sigaction(SIGSEGV, &action, &segv);
	int signal = sigsetjmp(back, 1);
	if (signal == 0)
		(void)*byte;
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return signal;
}

static void set_up_beyond(void)
{
	make_file("beyond", 3, PAGE + 100);
	beyond_shared = map("beyond", O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED, 4, 0);
	beyond_private = map("beyond", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, 4, 0);
	beyond_private[PAGE + 50] = 0xd6;
}

static void check_beyond(void)
{
	expect(pattern_matches(3, 0, beyond_shared, PAGE + 100), "shared: other bytes");
	expect(beyond_shared[PAGE + 100] == 0 && beyond_shared[2 * PAGE - 1] == 0, "shared: no zeros behind the end");
	expect(beyond_private[PAGE + 50] == 0xd6 && pattern_matches(3, 0, beyond_private, PAGE + 50), "private: other bytes");
	expect(signal_at(beyond_shared + 2 * PAGE) == SIGBUS, "shared: no SIGBUS behind the end");
	expect(signal_at(beyond_private + 3 * PAGE) == SIGBUS, "private: no SIGBUS behind the end");
}

/* ---- rights: what mprotect may still do, by how the file was open */

static unsigned char *shared_of_reader, *shared_of_writer, *private_of_reader;

static void set_up_rights(void)
{
	make_file("rights", 4, 2 * PAGE);
	shared_of_reader = map("rights", O_RDONLY, PROT_READ, MAP_SHARED, 2, 0);
	shared_of_writer = map("rights", O_RDWR, PROT_READ, MAP_SHARED, 2, 0);
	private_of_reader = map("rights", O_RDONLY, PROT_READ, MAP_PRIVATE, 2, 0);
}

static void check_rights(void)
{
	expect(mprotect(shared_of_reader, PAGE, PROT_READ | PROT_WRITE) < 0 && errno == EACCES,
	       "a shared mapping of a file that was open for reading has become writable");
	expect(mprotect(shared_of_writer, 2 * PAGE, PROT_READ | PROT_WRITE) == 0,
	       "a shared mapping of a file that was open for writing has lost that");
	mprotect(shared_of_writer, 2 * PAGE, PROT_READ);
	expect(mprotect(private_of_reader, 2 * PAGE, PROT_READ | PROT_WRITE) == 0, "a private mapping cannot become writable");
	mprotect(private_of_reader, 2 * PAGE, PROT_READ);
}

/* ---- advised: what madvise and mlock said, each on mappings of its own (the tests compare VmFlags) */

static void set_up_advised(void)
{
	static const int advice[] = { MADV_DONTFORK, MADV_DONTDUMP, MADV_SEQUENTIAL, MADV_RANDOM };
	make_file("advised", 5, 4 * PAGE);
	for (unsigned i = 0; i < sizeof advice / sizeof advice[0]; i++) {
		for (int shared = 0; shared < 2; shared++) {
			int flags = shared ? MAP_SHARED : MAP_PRIVATE;
			unsigned char *start = map("advised", O_RDWR, PROT_READ | PROT_WRITE, flags, 4, 0);
			must(madvise(start, 4 * PAGE, advice[i]) == 0);
		}
	}
	must(mlock(map("advised", O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED, 2, 0), 2 * PAGE) == 0);
	must(mlock(map("advised", O_RDONLY, PROT_READ, MAP_PRIVATE, 2, PAGE), PAGE) == 0);
	must(mlock2(map("advised", O_RDONLY, PROT_READ, MAP_PRIVATE, 2, 0), 2 * PAGE, MLOCK_ONFAULT) == 0);
	map("advised", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, 4, 0);
	unsigned char *all_of_them = map("advised", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, 4, 0);
	fill(all_of_them + PAGE, 0xd7);
	must(mlock(all_of_them, 4 * PAGE) == 0 && madvise(all_of_them, 4 * PAGE, MADV_DONTFORK) == 0);
	must(madvise(all_of_them, 4 * PAGE, MADV_DONTDUMP) == 0 && madvise(all_of_them, 4 * PAGE, MADV_RANDOM) == 0);
}

/* ---- pieces: a file in many neighbouring mappings, out of order, with holes and with a guard on both sides */

enum { PIECES = 40 };
static unsigned char *pieces;

static void set_up_pieces(void)
{
	make_file("pieces", 6, PIECES * PAGE);
	pieces = mmap(NULL, (2 * PIECES + 1) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open_in("pieces", O_RDWR);
	for (int i = 0; i < PIECES; i++) {
		int prot = i % 3 == 0 ? PROT_READ : PROT_READ | PROT_WRITE;
		must(mmap(pieces + (PIECES + i) * PAGE, PAGE, prot, (i % 2 ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED, fd,
			  (PIECES - 1 - i) * PAGE) != MAP_FAILED);
	}
	for (int i = 0; i < PIECES; i += 7)
		must(munmap(pieces + (PIECES + i) * PAGE, PAGE) == 0);
	close(fd);
}

static void check_pieces(void)
{
	for (int i = 0; i < PIECES; i++)
		if (i % 7 != 0)
			expect(pattern_matches(6, (PIECES - 1 - i) * PAGE, pieces + (PIECES + i) * PAGE, PAGE), "piece %d is another", i);
}

/* ---- ghost: a deleted file that is only mapped, by two processes */

static unsigned char *ghost;
static struct peer ghost_peer;

static void look_at_ghost(void)
{
	expect(pattern_matches(7, 0, ghost, PAGE), "other bytes");
	expect(ghost[PAGE] == ghost[2 * PAGE], "%d and %d", ghost[PAGE], ghost[2 * PAGE]);
	ghost[PAGE]++;
}

static void set_up_ghost(void)
{
	make_file("ghost", 7, 3 * PAGE);
	ghost = map("ghost", O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
	must(unlink(in("ghost")) == 0);
	ghost[PAGE] = ghost[2 * PAGE] = 0;
	ghost_peer = peer_fork(NULL, look_at_ghost);
}

static void check_ghost(void)
{
	peer_check(&ghost_peer);
	expect(ghost[PAGE] == (unsigned char)(ghost[2 * PAGE] + 1), "the two processes do not share any more");
	ghost[2 * PAGE] = ghost[PAGE];
}

/* ---- inherited: pages of its own from before and after a fork, in parent and child */

static unsigned char *inherited;
static struct peer inherited_peer;

static void change_inherited(void)
{
	fill(inherited + PAGE, 0xe1);
}

static void look_at_inherited(void)
{
	expect(all(inherited, 0xe0) && all(inherited + PAGE, 0xe1), "pages of its own are lost");
	expect(pattern_matches(8, 3 * PAGE, inherited + 3 * PAGE, PAGE), "page 3 is not the file's");
	expect(all(inherited + 2 * PAGE, 0xe0), "an inherited page is lost");
}

static void set_up_inherited(void)
{
	make_file("inherited", 8, 4 * PAGE);
	inherited = map("inherited", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, 4, 0);
	fill(inherited, 0xe0);
	fill(inherited + PAGE, 0xe0);
	fill(inherited + 2 * PAGE, 0xe0);
	inherited_peer = peer_fork(change_inherited, look_at_inherited);
	fill(inherited + 2 * PAGE, 0xe2);
}

static void check_inherited(void)
{
	peer_check(&inherited_peer);
	expect(all(inherited, 0xe0) && all(inherited + PAGE, 0xe0) && all(inherited + 2 * PAGE, 0xe2), "pages of its own are lost");
	expect(pattern_matches(8, 3 * PAGE, inherited + 3 * PAGE, PAGE), "page 3 is not the file's");
}

/* ---- large: few pages of its own in a mapping of 256 MB */

enum { LARGE = 65536 };
static unsigned char *large;
static const int large_own[] = { 0, 1, 511, 512, 40000, LARGE - 1 };

static void set_up_large(void)
{
	int fd = open_in("large", O_RDWR | O_CREAT | O_EXCL);
	must(ftruncate(fd, (off_t)LARGE * PAGE) == 0);
	put_pattern(fd, 9, 30000 * PAGE, PAGE);
	large = map("large", O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, LARGE, 0);
	for (unsigned i = 0; i < sizeof large_own / sizeof large_own[0]; i++)
		fill(large + (size_t)large_own[i] * PAGE, 0xf0 + i);
	close(fd);
}

static void check_large(void)
{
	for (unsigned i = 0; i < sizeof large_own / sizeof large_own[0]; i++)
		expect(all(large + (size_t)large_own[i] * PAGE, 0xf0 + i), "page %d is lost", large_own[i]);
	expect(pattern_matches(9, 30000 * PAGE, large + 30000 * PAGE, PAGE) && all(large + 30001 * PAGE, 0), "other bytes");
}

static const struct victim_case cases[] = {
	{ "shared", set_up_shared, check_shared, NULL },	{ "private", set_up_private, check_private, NULL },
	{ "code", set_up_code, check_code, NULL },		{ "beyond", set_up_beyond, check_beyond, NULL },
	{ "rights", set_up_rights, check_rights, NULL },	{ "advised", set_up_advised, NULL, NULL },
	{ "pieces", set_up_pieces, check_pieces, NULL },	{ "ghost", set_up_ghost, check_ghost, NULL },
	{ "inherited", set_up_inherited, check_inherited, NULL }, { "large", set_up_large, check_large, NULL },
};
VICTIM(cases)
