/*
 * A busy program: threads and processes that use files in every way at the same time, each of which knows at every moment what it has
 * to find. See busy.h.
 */
#include "busy.h"

#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/time.h>

enum { SEED = 7, PAGES = 16, SIZE = PAGES * PAGE, RECORD = 32, WRITERS = 4, RECORDS = 400000, LOCK_USERS = 6, SIGNAL = 45 };

/* What the processes share besides files: expectations. */
struct common {
	pthread_mutex_t offset_lock;
	off_t offset;
	atomic_uint appended[WRITERS];
	atomic_ulong counted;
	atomic_int inside[3];
	atomic_uint sent, received, signalled, handled, ticks;
};
static struct common *common;

static int pattern_fd, offset_fd, append_fd, counter_fd, fifo_read, fifo_write, fifo_epoll;
static int lock_fds[LOCK_USERS];
static atomic_ulong *counter_map;
static unsigned char *private_map, *clean_map;

static int open_again(const char *name, int flags)
{
	int fd = open(name, flags, 0644); /* relative: the working directory is on the mount */
	right(fd >= 0, "open %s", name);
	return fd;
}

/* ---- contents, by a private offset, by pread, and by a fresh descriptor */

static void read_contents(int number)
{
	unsigned char bytes[1024];
	static _Thread_local int own = -1;
	static _Thread_local off_t at;
	if (own < 0)
		own = open_again("pattern", O_RDONLY);
	off_t seen = lseek(own, 0, SEEK_CUR);
	right(seen == at, "the reader's offset is %ld, not %ld", (long)seen, (long)at);
	ssize_t count = read(own, bytes, 1000);
	right(count >= 0 && pattern_matches(SEED, (uint32_t)at, bytes, (size_t)count), "reading at %ld: %zd", (long)at, count);
	at += count > 0 ? count : 0;
	if (count < 1000)
		at = lseek(own, 0, SEEK_SET);
	off_t elsewhere = (number * 1237 + at * 3) % (SIZE - 1024);
	right(pread(pattern_fd, bytes, 1024, elsewhere) == 1024 && pattern_matches(SEED, (uint32_t)elsewhere, bytes, 1024), "pread");
	int fresh = open_again("pattern", O_RDONLY | O_CLOEXEC);
	right(read(fresh, bytes, 64) == 64 && pattern_matches(SEED, 0, bytes, 64), "a fresh descriptor");
	right(close(fresh) == 0, "close");
	breathe(100);
}

/* ---- one offset that processes and threads move in turns */

static void move_offset(int number)
{
	unsigned char bytes[64];
	size_t wanted = 10 + number * 7;
	pthread_mutex_lock(&common->offset_lock);
	ssize_t count = read(offset_fd, bytes, wanted);
	right(count >= 0 && pattern_matches(SEED, (uint32_t)common->offset, bytes, (size_t)count), "the common offset was not %ld",
	      (long)common->offset);
	common->offset += count > 0 ? count : 0;
	if (count == 0) {
		right(common->offset == SIZE, "the common offset ended at %ld", (long)common->offset);
		common->offset = lseek(offset_fd, 0, SEEK_SET);
	}
	pthread_mutex_unlock(&common->offset_lock);
	breathe(100);
}

/* ---- records that several append, each with its own numbers */

static void append(int number)
{
	char record[RECORD + 1];
	unsigned sequence = atomic_load(&common->appended[number]);
	if (sequence < RECORDS) {
		snprintf(record, sizeof record, "%-8d%-23u\n", number, sequence);
		right(write(append_fd, record, RECORD) == RECORD, "append");
		atomic_store(&common->appended[number], sequence + 1);
	}
	breathe(300);
}

static void check_appended(void)
{
	unsigned next[WRITERS] = { 0 };
	char record[RECORD + 1] = "";
	int fd = open("appended", O_RDONLY);
	FILE *file = fdopen(fd, "r");
	expect(file != NULL, "appended cannot be opened");
	while (file != NULL && fread(record, 1, RECORD, file) == RECORD) {
		int number = -1;
		unsigned sequence = 0;
		int fine = sscanf(record, "%d %u", &number, &sequence) == 2 && number >= 0 && number < WRITERS && record[RECORD - 1] == '\n';
		expect(fine, "a torn record: %s", record);
		if (!fine)
			break;
		expect(sequence == next[number], "record %u of %d came when %u was due", sequence, number, next[number]);
		next[number] = sequence + 1;
	}
	if (file != NULL)
		fclose(file);
	for (int i = 0; i < WRITERS; i++)
		expect(next[i] == atomic_load(&common->appended[i]), "%u records of %d instead of %u", next[i], i,
		       atomic_load(&common->appended[i]));
}

/* ---- counters in a shared mapping, which pread sees as well; pages of its own beside pages of the file */

static void count(int number)
{
	for (int i = 0; i < 100; i++) {
		atomic_fetch_add(&counter_map[number % 4 * 600], 1);
		atomic_fetch_add(&common->counted, 1);
	}
	breathe(200);
}

static void check_counted(void)
{
	unsigned long sum = 0, read_sum = 0, value;
	for (int i = 0; i < 4; i++) {
		sum += atomic_load(&counter_map[i * 600]);
		expect(pread(counter_fd, &value, sizeof value, i * 600 * sizeof value) == sizeof value, "pread of a counter");
		read_sum += value;
	}
	expect(sum == atomic_load(&common->counted), "counted %lu instead of %lu", sum, atomic_load(&common->counted));
	expect(read_sum == sum, "read(2) counts %lu instead of %lu", read_sum, sum);
}

static void change_pages(int number)
{
	static _Thread_local unsigned char value;
	(void)number;
	for (int page = 1; page < PAGES; page += 2) {
		for (int i = 0; i < PAGE; i += 97)
			right(private_map[page * PAGE + i] == value, "a page of its own has %d, not %d", private_map[page * PAGE + i], value);
		right(pattern_matches(SEED, (page - 1) * PAGE, private_map + (page - 1) * PAGE, PAGE), "a page of the file is another");
	}
	value++;
	for (int page = 1; page < PAGES; page += 2)
		memset(private_map + page * PAGE, value, PAGE);
	right(pattern_matches(SEED, 0, clean_map, SIZE), "the clean mapping is another");
	breathe(500);
}

static void map_and_unmap(int number)
{
	int fd = open_again("pattern", O_RDWR | O_CLOEXEC);
	int kind = number % 2 ? MAP_SHARED : MAP_PRIVATE;
	unsigned char *start = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, kind, fd, 0);
	close(fd);
	right(start != MAP_FAILED, "mmap");
	if (kind == MAP_PRIVATE)
		memset(start + PAGE, 0x55, PAGE);
	right(mprotect(start, 2 * PAGE, PROT_READ) == 0 && madvise(start + 4 * PAGE, PAGE, MADV_RANDOM) == 0, "mprotect");
	right(kind == MAP_SHARED || (start[PAGE] == 0x55 && start[2 * PAGE - 1] == 0x55), "a page of its own");
	right(pattern_matches(SEED, 2 * PAGE, start + 2 * PAGE, SIZE - 2 * PAGE), "a fresh mapping");
	right(munmap(start, SIZE) == 0, "munmap");
	breathe(500);
}

/* ---- locks of all kinds: never two inside */

static int lock_held(int number, int on)
{
	int kind = number % 3, fd = lock_fds[number];
	struct flock lock = { .l_type = on ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 };
	if (kind == 0)
		return flock(fd, on ? LOCK_EX : LOCK_UN);
	return fcntl(fd, kind == 1 ? F_OFD_SETLKW : F_SETLKW, &lock);
}

static void use_lock(int number)
{
	int kind = number % 3;
	right(lock_held(number, 1) == 0, "lock %d", number);
	right(atomic_fetch_add(&common->inside[kind], 1) == 0, "two hold the lock of kind %d", kind);
	breathe(100);
	atomic_fetch_sub(&common->inside[kind], 1);
	right(lock_held(number, 0) == 0, "unlock %d", number);
	breathe(50);
}

/* ---- numbered bytes through a FIFO, by epoll */

static void send_bytes(int number)
{
	(void)number;
	unsigned char byte = (unsigned char)atomic_load(&common->sent);
	ssize_t count = write(fifo_write, &byte, 1);
	right(count == 1, "write to the FIFO");
	atomic_fetch_add(&common->sent, 1);
	breathe(100);
}

static void receive_bytes(int number)
{
	(void)number;
	struct epoll_event event = { 0 };
	unsigned char bytes[64];
	int count = 0;
	for (int i = 0; i < 100 && count == 0; i++) {
		if (atomic_load(&busy->stop))
			return;
		count = epoll_wait(fifo_epoll, &event, 1, 100);
	}
	right(count == 1 && event.data.u64 == 0x1234567890abcdef, "epoll_wait: %d, %llx", count, (unsigned long long)event.data.u64);
	ssize_t length = read(fifo_read, bytes, sizeof bytes);
	right(length > 0, "read from the FIFO: %zd", length);
	for (ssize_t i = 0; i < length; i++)
		right(bytes[i] == (unsigned char)atomic_fetch_add(&common->received, 1), "a byte of the FIFO is lost or doubled");
}

/* ---- signals: queued with numbers, and from a timer; the handlers read a file */

static void handle_signal(int signal, siginfo_t *info, void *context)
{
	unsigned char byte;
	int error = errno;
	(void)signal;
	(void)context;
	right(info->si_value.sival_int == (int)atomic_load(&common->handled), "signal %d came when %u was due", info->si_value.sival_int,
	      atomic_load(&common->handled));
	right(pread(pattern_fd, &byte, 1, 5) == 1 && byte == pattern_byte(SEED, 5), "pread in a handler");
	atomic_fetch_add(&common->handled, 1);
	errno = error;
}

static void handle_tick(int signal)
{
	(void)signal;
	atomic_fetch_add(&common->ticks, 1);
}

static void send_signal(int number)
{
	(void)number;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	unsigned next = atomic_load(&common->signalled);
	right(pthread_sigqueue(pthread_self(), SIGNAL, (union sigval){ .sival_int = (int)next }) == 0, "sigqueue");
	right(atomic_load(&common->handled) == next + 1, "the signal was not handled at once");
	atomic_store(&common->signalled, next + 1);
	breathe(100);
}

static void watch_ticks(int number)
{
	(void)number;
	unsigned before = atomic_load(&common->ticks);
	for (int i = 0; i < 20000 && atomic_load(&common->ticks) == before; i++)
		breathe(500);
	right(atomic_load(&common->ticks) != before, "the timer does not tick");
}

/* ---- forks and threads that look at what they inherit */

static void fork_once(int number)
{
	(void)number;
	pid_t child = fork();
	if (child == 0) {
		unsigned char bytes[64];
		int fine = pread(pattern_fd, bytes, 64, 77) == 64 && pattern_matches(SEED, 77, bytes, 64) &&
			   pattern_matches(SEED, 2 * PAGE, clean_map + 2 * PAGE, PAGE);
		_exit(fine ? 0 : 9);
	}
	int status = -1;
	right(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a child ended with %x", status);
	breathe(500);
}

static void *look_once(void *unused)
{
	unsigned char bytes[64];
	right(pread(pattern_fd, bytes, 64, 99) == 64 && pattern_matches(SEED, 99, bytes, 64), "pread in a new thread");
	return unused;
}

static void thread_once(int number)
{
	pthread_t thread;
	(void)number;
	right(pthread_create(&thread, NULL, look_once, NULL) == 0 && pthread_join(thread, NULL) == 0, "thread");
	breathe(500);
}

/* ---- registers: floating point and integers, with the same result every time */

static void compute(int number)
{
	static _Thread_local double first;
	static _Thread_local unsigned long first_hash;
	double sum = number + 1;
	unsigned long hash = 14695981039346656037UL;
	for (int i = 1; i < 20000; i++) {
		sum = sum * 1.0000001 + 1.0 / i;
		hash = (hash ^ (unsigned long)i) * 1099511628211UL;
	}
	if (first == 0) {
		first = sum;
		first_hash = hash;
	}
	right(sum == first && hash == first_hash, "a register was changed");
}

/* ---- sleep: never shorter than asked for, never with an error */

static void sleep_once(int number)
{
	struct timespec time = { 0, 3000000L + number };
	int64_t before = monotonic_ns();
	right(clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL) == 0, "clock_nanosleep");
	right(monotonic_ns() - before >= 3000000, "slept for %ld ns", (long)(monotonic_ns() - before));
}

static void block_signals(int how)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	sigaddset(&set, SIGALRM);
	must(pthread_sigmask(how, &set, NULL) == 0);
}

static void start_timer(void)
{
	struct sigaction action = { .sa_handler = handle_tick, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } };
	must(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
	block_signals(SIG_UNBLOCK);
}

static void start_workers(void)
{
	busy_process("reader", NULL, read_contents, 0);
	busy_process("offset", NULL, move_offset, 0);
	busy_process("appender", NULL, append, 0);
	busy_process("appender", NULL, append, 1);
	busy_process("counter", NULL, count, 0);
	busy_process("lock", NULL, use_lock, 0);
	busy_process("lock", NULL, use_lock, 1);
	busy_process("lock", NULL, use_lock, 2);
	busy_process("sender", NULL, send_bytes, 0);
	busy_process("timer", start_timer, watch_ticks, 0);
	busy_process("forker", NULL, fork_once, 0);
	busy_thread("reader", read_contents, 1);
	busy_thread("offset", move_offset, 1);
	busy_thread("offset", move_offset, 2);
	busy_thread("appender", append, 2);
	busy_thread("appender", append, 3);
	busy_thread("counter", count, 1);
	busy_thread("counter", count, 2);
	busy_thread("pages", change_pages, 0);
	busy_thread("mapper", map_and_unmap, 0);
	busy_thread("mapper", map_and_unmap, 1);
	busy_thread("lock", use_lock, 3);
	busy_thread("lock", use_lock, 4);
	busy_thread("lock", use_lock, 5);
	busy_thread("receiver", receive_bytes, 0);
	busy_thread("forker", fork_once, 1);
	busy_thread("threader", thread_once, 0);
	busy_thread("computer", compute, 0);
	busy_thread("computer", compute, 1);
	busy_thread("sleeper", sleep_once, 0);
	block_signals(SIG_UNBLOCK);
	busy_thread("signaller", send_signal, 0);
	block_signals(SIG_BLOCK);
}

static void set_up_torture(void)
{
	pthread_mutexattr_t attributes;
	struct sigaction action = { .sa_sigaction = handle_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0x1234567890abcdef };
	common = shared_memory(sizeof *common);
	must(pthread_mutexattr_init(&attributes) == 0 && pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
	must(pthread_mutex_init(&common->offset_lock, &attributes) == 0);
	must(sigaction(SIGNAL, &action, NULL) == 0);
	make_file("pattern", SEED, SIZE);
	must(close(open_in("lock", O_RDWR | O_CREAT)) == 0 && mkfifo(in("fifo"), 0600) == 0);
	for (int i = 0; i < 3; i++) {
		char name[16];
		snprintf(name, sizeof name, "lock%d", i);
		must(close(open_in(name, O_RDWR | O_CREAT)) == 0);
	}
	must(chdir(directory) == 0);
	pattern_fd = open_in("pattern", O_RDONLY);
	offset_fd = open_in("pattern", O_RDONLY);
	append_fd = open_in("appended", O_WRONLY | O_CREAT | O_APPEND);
	counter_fd = open_in("counters", O_RDWR | O_CREAT);
	must(ftruncate(counter_fd, SIZE) == 0);
	counter_map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, counter_fd, 0);
	private_map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, pattern_fd, 0);
	clean_map = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, pattern_fd, 0);
	must(counter_map != MAP_FAILED && private_map != MAP_FAILED && clean_map != MAP_FAILED);
	for (int page = 1; page < PAGES; page += 2)
		memset(private_map + page * PAGE, 0, PAGE);
	fifo_read = open_in("fifo", O_RDONLY | O_NONBLOCK);
	fifo_write = open_in("fifo", O_WRONLY);
	fifo_epoll = epoll_create1(EPOLL_CLOEXEC);
	must(epoll_ctl(fifo_epoll, EPOLL_CTL_ADD, fifo_read, &event) == 0);
	for (int i = 0; i < LOCK_USERS; i++) {
		char name[16];
		snprintf(name, sizeof name, "lock%d", i % 3);
		lock_fds[i] = open_in(name, O_RDWR);
	}
	block_signals(SIG_BLOCK);
	start_workers();
}

static void finish_torture(void)
{
	stop_busy();
	check_appended();
	check_counted();
	expect(atomic_load(&common->handled) == atomic_load(&common->signalled), "signals were lost");
	for (int i = 0; i < busy->worker_count; i++)
		fprintf(stderr, "%s: %ld\n", busy->workers[i].name, atomic_load(&busy->workers[i].steps));
}

static const struct victim_case cases[] = { { "torture", set_up_torture, check_busy, finish_torture } };
VICTIM(cases)
