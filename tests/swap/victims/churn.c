/* Processes that fork, execute programs, make threads, open files and exit all the time. See victim.h and busy.h. */
#include "busy.h"

#include <spawn.h>
#include <sys/syscall.h>

enum { SEED = 1, SIZE = 4 * PAGE };
static int held;
static unsigned char *mapped;

/* Whether everything that is inherited is there. Only calls that are allowed after fork in a threaded process. */
static int all_there(void)
{
	unsigned char bytes[256];
	if (pread(held, bytes, sizeof bytes, 1000) != sizeof bytes || !pattern_matches(SEED, 1000, bytes, sizeof bytes))
		return 11;
	if (!pattern_matches(SEED, 0, mapped, 256) || mapped[PAGE] != 0xd1)
		return 12;
	int fd = open("held", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, bytes, sizeof bytes) != sizeof bytes || !pattern_matches(SEED, 0, bytes, sizeof bytes))
		return 13;
	close(fd);
	return 0;
}

static void hold(void)
{
	make_file("held", SEED, SIZE);
	held = open_in("held", O_RDWR);
	mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, held, 0);
	must(mapped != MAP_FAILED && chdir(directory) == 0);
	mapped[PAGE] = 0xd1;
}

static void expect_exit(const char *what, pid_t pid, int wanted)
{
	int status = -1;
	right(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == wanted, "%s: status %x", what,
	      status);
}

/* ---- fork: children and grandchildren that look and end */

static void fork_once(int number)
{
	pid_t child = fork();
	if (child == 0) {
		pid_t grandchild = number % 2 ? fork() : -1;
		int found = all_there();
		if (grandchild == 0)
			_exit(found);
		int status = 0;
		if (grandchild > 0)
			waitpid(grandchild, &status, 0);
		_exit(found != 0 ? found : WEXITSTATUS(status));
	}
	expect_exit("fork", child, 0);
}

static void set_up_fork(void)
{
	hold();
	for (int i = 0; i < 4; i++)
		busy_process("fork", NULL, fork_once, i);
}

/* ---- relay: each process ends when it has made the next one */

static atomic_long *relay_count;

static void relay(void)
{
	while (!atomic_load(&busy->stop)) {
		int found = all_there();
		right(found == 0, "relay: %d", found);
		atomic_fetch_add(relay_count, 1);
		if (fork() != 0)
			_exit(0);
	}
	_exit(0);
}

static void watch_relay(int number)
{
	(void)number;
	long before = atomic_load(relay_count);
	while (atomic_load(relay_count) == before && !atomic_load(&busy->stop)) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		breathe(200);
	}
}

static void set_up_relay_inside(void)
{
	must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	for (int i = 0; i < 2; i++)
		if (fork() == 0)
			relay();
}

static void set_up_relay(void)
{
	hold();
	relay_count = shared_memory(sizeof *relay_count);
	busy_process("relay", set_up_relay_inside, watch_relay, 0);
}

/* ---- exec: the program, by its own link, again and again, in a child and by posix_spawn */

static int is_program(const char *words)
{
	if (sscanf(words, "inherited %d", &held) != 1)
		return 0;
	unsigned char bytes[256];
	int fd = open("held", O_RDONLY);
	int fine = pread(held, bytes, sizeof bytes, 1000) == sizeof bytes && pattern_matches(SEED, 1000, bytes, sizeof bytes) &&
		   read(fd, bytes, sizeof bytes) == sizeof bytes && pattern_matches(SEED, 0, bytes, sizeof bytes);
	_exit(fine ? 0 : 14);
}

static void exec_once(int number)
{
	char words[32];
	snprintf(words, sizeof words, "inherited %d", held);
	char *arguments[] = { "program", words, NULL }, *environment[] = { NULL };
	pid_t child;
	if (number % 2) {
		child = fork();
		if (child == 0) {
			execve("/proc/self/exe", arguments, environment);
			_exit(15);
		}
	} else {
		right(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environment) == 0, "posix_spawn");
	}
	expect_exit("exec", child, 0);
}

static void set_up_exec(void)
{
	hold();
	for (int i = 0; i < 3; i++)
		busy_process("exec", NULL, exec_once, i);
}

/* ---- threads: that end, that end the process, that execute a program while others run */

static void *look_once(void *unused)
{
	int found = all_there();
	right(found == 0, "thread: %d", found);
	return unused;
}

static void *end_process(void *unused)
{
	_exit(all_there());
	return unused;
}

static void *run_program(void *unused)
{
	char words[32];
	snprintf(words, sizeof words, "inherited %d", held);
	char *arguments[] = { "program", words, NULL }, *environment[] = { NULL };
	execve("/proc/self/exe", arguments, environment);
	_exit(15);
	return unused;
}

static void *wait_for_end(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void thread_once(int number)
{
	pthread_t threads[4];
	(void)number;
	for (int i = 0; i < 4; i++)
		right(pthread_create(&threads[i], NULL, look_once, NULL) == 0, "pthread_create");
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void end_threads_once(int number)
{
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		for (int i = 0; i < 4; i++)
			pthread_create(&thread, NULL, i == 3 ? (number % 2 ? run_program : end_process) : wait_for_end, NULL);
		pause();
	}
	expect_exit("end of threads", child, 0);
}

static void set_up_threads(void)
{
	hold();
	for (int i = 0; i < 4; i++)
		busy_process("ending", NULL, end_threads_once, i);
	busy_process("threads", NULL, thread_once, 0);
	busy_thread("threads", thread_once, 1);
	busy_thread("threads", thread_once, 2);
}

/* ---- files: descriptors and mappings that come and go, also in threads with a table of their own */

static void files_once(int number)
{
	int fds[16];
	unsigned char byte;
	for (int i = 0; i < 16; i++) {
		fds[i] = openat(AT_FDCWD, "held", i % 2 ? O_RDONLY : O_RDWR);
		right(fds[i] >= 0 && lseek(fds[i], i * 10 + number, SEEK_SET) >= 0, "open");
	}
	unsigned char *start = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fds[0], 0);
	right(start != MAP_FAILED && pattern_matches(SEED, 0, start, 100), "mmap");
	start[5000] = 0xd2;
	for (int i = 0; i < 16; i++) {
		right(read(fds[i], &byte, 1) == 1 && byte == pattern_byte(SEED, i * 10 + number), "read of fd %d", fds[i]);
		close(fds[i]);
	}
	right(start[5000] == 0xd2 && pattern_matches(SEED, 5001, start + 5001, 500), "mapping");
	munmap(start, SIZE);
}

static void unshared_files_once(int number)
{
	static _Thread_local int done;
	if (!done)
		right(unshare(CLONE_FILES | CLONE_FS) == 0, "unshare");
	done = 1;
	files_once(number);
}

static void set_up_files(void)
{
	hold();
	busy_process("files", NULL, files_once, 0);
	for (int i = 1; i < 3; i++)
		busy_thread("files", files_once, i);
	busy_thread("files of its own", unshared_files_once, 3);
}

static const struct victim_case cases[] = {
	{ "fork", set_up_fork, check_busy, stop_busy },	      { "relay", set_up_relay, check_busy, stop_busy },
	{ "exec", set_up_exec, check_busy, stop_busy },	      { "threads", set_up_threads, check_busy, stop_busy },
	{ "files", set_up_files, check_busy, stop_busy },
};

int main(int argc, char **argv)
{
	if (argc == 2)
		return is_program(argv[1]);
	return victim_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
