/* Open files: descriptors, the descriptions behind them, and who shares them. See victim.h. */
#include "victim.h"

#include <sys/resource.h>
#include <sys/sysmacros.h>

/* ---- private: three descriptions of one process */

static int reader, writer, both;
static off_t reader_at = 1000, writer_at = 50, both_at = 7;
static int reader_flags, writer_flags, both_flags;

static void set_up_private(void)
{
	make_file("read", 1, 9000);
	make_file("written", 2, 9000);
	make_file("both", 3, 9000);
	reader = open_in("read", O_RDONLY);
	writer = open_in("written", O_WRONLY);
	both = open_in("both", O_RDWR);
	must(lseek(reader, reader_at, SEEK_SET) == reader_at && lseek(writer, writer_at, SEEK_SET) == writer_at);
	must(lseek(both, both_at, SEEK_SET) == both_at);
	reader_flags = fcntl(reader, F_GETFL);
	writer_flags = fcntl(writer, F_GETFL);
	both_flags = fcntl(both, F_GETFL);
}

static void check_private(void)
{
	expect(fcntl(reader, F_GETFL) == reader_flags, "the reader's flags are %o", fcntl(reader, F_GETFL));
	expect(fcntl(writer, F_GETFL) == writer_flags, "the writer's flags are %o", fcntl(writer, F_GETFL));
	expect(fcntl(both, F_GETFL) == both_flags, "the flags of both are %o", fcntl(both, F_GETFL));
	expect(reads_pattern(reader, 1, reader_at, 16), "the reader is at %ld", (long)lseek(reader, 0, SEEK_CUR));
	reader_at += 16;
	expect(write(reader, "x", 1) < 0 && errno == EBADF, "the reader writes");
	char found[8] = "";
	int again = reopen(writer, O_RDONLY);
	expect(lseek(writer, 0, SEEK_CUR) == writer_at, "the writer is at %ld", (long)lseek(writer, 0, SEEK_CUR));
	expect(write(writer, "written", 7) == 7, "the writer does not write");
	expect(pread(again, found, 7, writer_at) == 7 && memcmp(found, "written", 7) == 0, "what was written is elsewhere");
	expect(read(writer, found, 1) < 0 && errno == EBADF, "the writer reads");
	writer_at += 7;
	close(again);
	expect(reads_pattern(both, 3, both_at, 100), "both is at %ld", (long)lseek(both, 0, SEEK_CUR));
	both_at += 100;
}

/* ---- beyond: an offset behind the end of the file */

static int beyond;

static void set_up_beyond(void)
{
	make_file("beyond", 3, 100);
	beyond = open_in("beyond", O_RDWR);
	must(lseek(beyond, 7000, SEEK_SET) == 7000);
}

static void check_beyond(void)
{
	char byte;
	struct stat st;
	expect(lseek(beyond, 0, SEEK_CUR) == 7000, "it is at %ld", (long)lseek(beyond, 0, SEEK_CUR));
	expect(read(beyond, &byte, 1) == 0, "there is something");
	expect(fstat(beyond, &st) == 0 && st.st_size == 100, "%ld bytes", (long)st.st_size);
}

/* ---- dup: one description under several numbers of one process */

static int dup_first, dup_second, dup_high, dup_cloexec;
static off_t dup_at = 11;

static void set_up_dup(void)
{
	make_file("dup", 4, 9000);
	dup_first = open_in("dup", O_RDWR | O_CLOEXEC);
	dup_second = dup(dup_first);
	dup_high = dup3(dup_first, 777, 0);
	dup_cloexec = fcntl(dup_first, F_DUPFD_CLOEXEC, 500);
	must(dup_second >= 0 && dup_high == 777 && dup_cloexec >= 500 && lseek(dup_first, dup_at, SEEK_SET) == dup_at);
}

static void check_dup(void)
{
	const int fds[] = { dup_first, dup_second, dup_high, dup_cloexec };
	const int cloexec[] = { FD_CLOEXEC, 0, 0, FD_CLOEXEC };
	for (int i = 0; i < 4; i++) {
		expect(reads_pattern(fds[i], 4, dup_at, 10), "fd %d is at %ld", fds[i], (long)lseek(fds[i], 0, SEEK_CUR));
		dup_at += 10;
		expect(fcntl(fds[i], F_GETFD) == cloexec[i], "close-on-exec of fd %d is %d", fds[i], fcntl(fds[i], F_GETFD));
	}
	int flags = fcntl(dup_first, F_GETFL);
	fcntl(dup_high, F_SETFL, flags ^ O_APPEND);
	expect(fcntl(dup_second, F_GETFL) == (flags ^ O_APPEND), "flags are not shared");
	fcntl(dup_cloexec, F_SETFL, flags);
}

/* ---- forked: one description of parent, child and grandchild */

struct shared_offset {
	off_t at;
	int flags;
};
static struct shared_offset *forked_state;
static int forked_fd;
static struct peer forked_child, forked_grandchild;

static void look_at_forked(void)
{
	off_t at = lseek(forked_fd, 0, SEEK_CUR);
	expect(fcntl(forked_fd, F_GETFL) == forked_state->flags, "the flags are %o", fcntl(forked_fd, F_GETFL));
	expect(reads_pattern(forked_fd, 5, forked_state->at, 33), "at %ld, not %ld", (long)at, (long)forked_state->at);
	forked_state->at += 33;
	forked_state->flags ^= O_NONBLOCK;
	fcntl(forked_fd, F_SETFL, forked_state->flags);
}

static void set_up_forked(void)
{
	make_file("forked", 5, 9000);
	forked_state = shared_memory(sizeof *forked_state);
	forked_fd = open_in("forked", O_RDWR | O_APPEND);
	forked_state->at = 900;
	forked_state->flags = fcntl(forked_fd, F_GETFL);
	must(lseek(forked_fd, 900, SEEK_SET) == 900);
	forked_child = peer_fork(NULL, look_at_forked);
	forked_grandchild = peer_unrelated(NULL, look_at_forked);
	peer_ready(&forked_grandchild);
}

static void check_forked(void)
{
	peer_check(&forked_child);
	look_at_forked();
	peer_check(&forked_grandchild);
	look_at_forked();
}

/* ---- passed: descriptions that an unrelated process got by SCM_RIGHTS: [0] both have, [1] only the other has, twice */

static struct shared_offset *passed_state;
static int passed_socket[2], passed_fds[3];
static struct peer passed_peer;

static void receive_passed(void)
{
	receive_fds(passed_socket[1], passed_fds, 3);
}

static void look_at_passed(int all)
{
	for (int i = 0; i < (all ? 3 : 1); i++) {
		int of = i == 0 ? 0 : 1;
		off_t at = lseek(passed_fds[i], 0, SEEK_CUR);
		expect(reads_pattern(passed_fds[i], 6 + of, passed_state[of].at, 21), "fd %d is at %ld, not %ld", passed_fds[i],
		       (long)at, (long)passed_state[of].at);
		passed_state[of].at += 21;
	}
}

static void look_at_all_passed(void)
{
	look_at_passed(1);
}

static void set_up_passed(void)
{
	passed_state = shared_memory(2 * sizeof *passed_state);
	must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, passed_socket) == 0);
	passed_peer = peer_unrelated(receive_passed, look_at_all_passed);
	make_file("passed", 6, 9000);
	make_file("given", 7, 9000);
	int given = open_in("given", O_RDONLY);
	passed_fds[0] = open_in("passed", O_RDONLY);
	must(lseek(given, 5, SEEK_SET) == 5);
	passed_state[1].at = 5;
	send_fds(passed_socket[0], (const int[]){ passed_fds[0], given, given }, 3);
	peer_ready(&passed_peer);
	close(given);
	close(passed_socket[0]);
	close(passed_socket[1]);
}

static void check_passed(void)
{
	look_at_passed(0);
	peer_check(&passed_peer);
	look_at_passed(0);
}

/* ---- flags: status flags of every kind, and O_APPEND and O_DIRECT at work */

static const int status_flags[] = { 0,	       O_APPEND,	      O_NONBLOCK, O_NOATIME, O_SYNC,
				    O_DSYNC,   O_DIRECT,	      O_APPEND | O_NONBLOCK | O_NOATIME };
enum { FLAGS = sizeof status_flags / sizeof status_flags[0] };
static int flag_fds[FLAGS], flag_values[FLAGS];
static off_t appended_size = 9000;

static void set_up_flags(void)
{
	make_file("flags", 8, 8192);
	make_file("appended", 8, 9000);
	for (int i = 0; i < FLAGS; i++) {
		flag_fds[i] = open(in(status_flags[i] == O_APPEND ? "appended" : "flags"), O_RDWR | status_flags[i]);
		must(flag_fds[i] >= 0 || (status_flags[i] == O_DIRECT && errno == EINVAL));
		flag_values[i] = flag_fds[i] < 0 ? 0 : fcntl(flag_fds[i], F_GETFL);
	}
}

static void check_flags(void)
{
	for (int i = 0; i < FLAGS; i++)
		if (flag_fds[i] >= 0)
			expect(fcntl(flag_fds[i], F_GETFL) == flag_values[i], "flags are %o, not %o", fcntl(flag_fds[i], F_GETFL),
			       flag_values[i]);
	struct stat st;
	lseek(flag_fds[1], 3, SEEK_SET);
	expect(write(flag_fds[1], "+", 1) == 1 && fstat(flag_fds[1], &st) == 0 && st.st_size == ++appended_size,
	       "not appended: %ld bytes", (long)st.st_size);
	static unsigned char aligned[PAGE] __attribute__((aligned(PAGE)));
	if (flag_fds[6] >= 0)
		expect(pread(flag_fds[6], aligned, PAGE, PAGE) == PAGE && pattern_matches(8, PAGE, aligned, PAGE),
		       "O_DIRECT reads something else");
}

/* ---- path: O_PATH on a file, a directory, a symbolic link, a FIFO */

static int path_file, path_directory, path_link, path_fifo;

static void set_up_path_files(void)
{
	must(mkdir(in("folder"), 0755) == 0);
	make_file("folder/file", 9, 5000);
	path_file = open_in("folder/file", O_PATH);
	path_directory = open_in("folder", O_PATH | O_DIRECTORY);
}

static void set_up_path(void)
{
	set_up_path_files();
	must(symlink("file", in("folder/link")) == 0 && mkfifo(in("folder/fifo"), 0600) == 0);
	path_link = open_in("folder/link", O_PATH | O_NOFOLLOW);
	path_fifo = open_in("folder/fifo", O_PATH);
}

static void check_path_files(void)
{
	struct stat st;
	char byte;
	expect(fstat(path_file, &st) == 0 && st.st_size == 5000, "O_PATH file: %ld bytes", (long)st.st_size);
	expect(read(path_file, &byte, 1) < 0 && errno == EBADF, "the O_PATH file can be read");
	expect((fcntl(path_file, F_GETFL) & O_PATH) != 0, "O_PATH is gone: %o", fcntl(path_file, F_GETFL));
	int inside = openat(path_directory, "file", O_RDONLY);
	expect(inside >= 0 && reads_pattern(inside, 9, 0, 100), "nothing in the O_PATH directory");
	close(inside);
}

static void check_path(void)
{
	struct stat st;
	char text[16] = "";
	check_path_files();
	expect(readlinkat(path_link, "", text, sizeof text) == 4 && memcmp(text, "file", 4) == 0, "the link is %.16s", text);
	expect(fstat(path_fifo, &st) == 0 && S_ISFIFO(st.st_mode), "the FIFO is %o", st.st_mode);
}

/* ---- devices: nodes on the mount */

static int device_null, device_zero, device_path;

static void set_up_devices(void)
{
	must(mknod(in("null"), S_IFCHR | 0666, makedev(1, 3)) == 0 && mknod(in("zero"), S_IFCHR | 0666, makedev(1, 5)) == 0);
	must(mknod(in("block"), S_IFBLK | 0666, makedev(7, 250)) == 0);
	device_null = open_in("null", O_RDWR);
	device_zero = open_in("zero", O_RDONLY);
	device_path = open_in("block", O_PATH);
}

static void check_devices(void)
{
	char bytes[4] = "abc";
	struct stat st;
	expect(write(device_null, bytes, 3) == 3 && read(device_null, bytes, 3) == 0, "null is no null");
	expect(read(device_zero, bytes, 3) == 3 && bytes[0] == 0 && bytes[2] == 0, "zero is no zero");
	expect(fstat(device_path, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == makedev(7, 250), "the block device is another");
}

/* ---- cloexec: what an execve closes and what not */

static int kept_over_exec, closed_by_exec;

static void set_up_cloexec(void)
{
	make_file("cloexec", 10, 1000);
	kept_over_exec = open_in("cloexec", O_RDONLY);
	closed_by_exec = open_in("cloexec", O_RDONLY | O_CLOEXEC);
}

static void check_cloexec(void)
{
	char script[100];
	snprintf(script, sizeof script, "test -e /proc/$$/fd/%d && ! test -e /proc/$$/fd/%d", kept_over_exec, closed_by_exec);
	pid_t child = fork();
	if (child == 0) {
		execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(99);
	}
	int status = -1;
	waitpid(child, &status, 0);
	expect(status == 0, "after execve: status %x", status);
}

/* ---- many: more descriptors than one SCM_RIGHTS message takes, most of one file, every third shared */

enum { MANY = 700 };
static int many[MANY];
static off_t many_at[MANY];

static void set_up_many(void)
{
	struct rlimit limit = { 2000, 2000 };
	must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	make_file("many", 11, 9000);
	for (int i = 0; i < MANY; i++) {
		many[i] = i % 3 == 2 ? dup(many[i - 1]) : open_in("many", O_RDONLY);
		must(many[i] >= 0 && lseek(many[i], i, SEEK_SET) == i);
	}
	for (int i = 0; i < MANY; i++)
		many_at[i] = lseek(many[i], 0, SEEK_CUR);
}

static void check_many(void)
{
	for (int i = 0; i < MANY; i++) {
		off_t at = lseek(many[i], 0, SEEK_CUR);
		expect(at == many_at[i], "fd %d is at %ld, not %ld", many[i], (long)at, (long)many_at[i]);
	}
	expect(reads_pattern(many[MANY - 1], 11, many_at[MANY - 1], 5), "the last one reads something else");
	expect(lseek(many[MANY - 1], many_at[MANY - 1], SEEK_SET) == many_at[MANY - 1], "lseek");
}

/* ---- full: no descriptor is free, up to the soft limit or up to both */

enum { FULL = 64 };
static int full_fd;
static off_t full_at;

static void fill_table(rlim_t hard)
{
	struct rlimit limit = { FULL, hard };
	make_file("full", 12, 9000);
	full_fd = open_in("full", O_RDONLY);
	must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	while (open(in("full"), O_RDONLY) >= 0)
		;
	must(errno == EMFILE);
}

static void set_up_full_soft(void)
{
	fill_table(1000);
}

static void set_up_full_hard(void)
{
	fill_table(FULL);
}

static void check_full(void)
{
	expect(reads_pattern(full_fd, 12, full_at, 40), "at %ld, not %ld", (long)lseek(full_fd, 0, SEEK_CUR), (long)full_at);
	full_at += 40;
	expect(dup(full_fd) < 0 && errno == EMFILE, "a descriptor has become free");
}

static const struct victim_case cases[] = {
	{ "private", set_up_private, check_private, NULL }, { "dup", set_up_dup, check_dup, NULL },
	{ "beyond", set_up_beyond, check_beyond, NULL },
	{ "path-files", set_up_path_files, check_path_files, NULL }, /* CRIU dumps no O_PATH descriptors of FIFOs */
	{ "forked", set_up_forked, check_forked, NULL },    { "passed", set_up_passed, check_passed, NULL },
	{ "flags", set_up_flags, check_flags, NULL },	    { "path", set_up_path, check_path, NULL },
	{ "devices", set_up_devices, check_devices, NULL }, { "cloexec", set_up_cloexec, check_cloexec, NULL },
	{ "many", set_up_many, check_many, NULL },	    { "full-soft", set_up_full_soft, check_full, NULL },
	{ "full-hard", set_up_full_hard, check_full, NULL },
};
VICTIM(cases)
