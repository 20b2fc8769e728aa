/*
 * signalled OPERATION COUNT DIRECTORY
 *
 * COUNT child processes that each make one call on a file of their own, DIRECTORY/f00000 and so on, and what signals and tracers do
 * to them meanwhile. OPERATION is stat, open, read (opened before), hold: open for reading and writing, wait for SIGUSR1, close; or
 * leave: the same, but exit without closing. In a child SIGUSR1 has a handler without SA_RESTART (for hold and leave it is waited for)
 * and SIGUSR2 is blocked.
 *
 * Prints "ready PID..." and then answers each line of stdin by one:
 *   go               lets every child make its call                             went
 *   kill I SIGNAL    sends a signal                                             sent
 *   reap I SIGNAL    sends a signal and waits for the end of the child          reaped NS STATUS
 *   outcome I        waits for the call's return, at most 20 s                  outcome ERRNO NS | outcome none 0
 *   attach I         PTRACE_ATTACH by a tracer process of its own               attached ERRNO
 *   seize I          PTRACE_SEIZE and PTRACE_INTERRUPT by such a process        attached ERRNO
 *   detach I         ends that tracer, which detaches                           detached
 * End of input kills the children. NS counts from the signal, or from the call for an outcome; ERRNO is a name, or "ok".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monotonic.h"

struct outcome {
	int error;
	int64_t ns;
};

struct child {
	pid_t pid, tracer;
	int start, result;
};

static const char *operation, *directory;

static void fail(const char *what)
{
	fprintf(stderr, "signalled: %s: %s\n", what, strerror(errno));
	_exit(4);
}

static void on_signal(int signal)
{
	(void)signal;
}

static int is(const char *name)
{
	return strcmp(operation, name) == 0;
}

static void run_child(int index, int start, int prepared, int result)
{
	char path[512], byte;
	struct stat st;
	sigset_t mask;
	struct sigaction action = { .sa_handler = on_signal };
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	int holds = is("hold") || is("leave");
	if (holds)
		sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	snprintf(path, sizeof path, "%s/f%05d", directory, index);
	int fd = is("read") ? open(path, O_RDONLY) : holds ? open(path, O_RDWR) : -1;
	if ((is("read") || holds) && fd < 0)
		fail(path);
	if (write(prepared, "p", 1) != 1 || read(start, &byte, 1) != 1)
		_exit(3);
	if (holds) {
		sigdelset(&mask, SIGUSR2);
		while (sigwaitinfo(&mask, NULL) < 0)
			;
	}
	if (is("leave"))
		_exit(0);
	int64_t begun = monotonic_ns();
	int returned = is("stat")   ? stat(path, &st)
		       : is("open") ? open(path, O_RDONLY)
		       : is("read") ? (int)pread(fd, &byte, 1, 0)
				    : close(fd);
	struct outcome outcome = { returned < 0 ? errno : 0, monotonic_ns() - begun };
	if (write(result, &outcome, sizeof outcome) != sizeof outcome)
		_exit(3);
	for (;;)
		pause();
}

static void start_child(struct child *child, int index, int prepared)
{
	int start[2], result[2];
	if (pipe2(start, O_CLOEXEC) != 0 || pipe2(result, O_CLOEXEC) != 0)
		fail("pipe");
	child->pid = fork();
	if (child->pid < 0)
		fail("fork");
	if (child->pid == 0) {
		close(start[1]);
		run_child(index, start[0], prepared, result[1]);
	}
	close(start[0]);
	close(result[1]);
	child->start = start[1];
	child->result = result[0];
}

static void reap(struct child *child, int signal)
{
	int status = 0;
	int64_t begun = monotonic_ns();
	kill(child->pid, signal);
	if (waitpid(child->pid, &status, 0) != child->pid)
		fail("waitpid");
	printf("reaped %lld %d\n", (long long)(monotonic_ns() - begun), status);
	child->pid = 0;
}

static void print_outcome(struct child *child)
{
	struct pollfd waiting = { .fd = child->result, .events = POLLIN };
	struct outcome outcome;
	if (poll(&waiting, 1, 20000) != 1 || read(child->result, &outcome, sizeof outcome) != sizeof outcome)
		puts("outcome none 0");
	else
		printf("outcome %s %lld\n", outcome.error == 0 ? "ok" : strerrorname_np(outcome.error),
		       (long long)outcome.ns);
}

/* The tracer is a process of its own: what it traces cannot stop while it is blocked, and only a tracer's end detaches then. */
static void trace(struct child *child, int seize)
{
	int report[2], error = 0;
	if (pipe2(report, O_CLOEXEC) != 0)
		fail("pipe");
	child->tracer = fork();
	if (child->tracer < 0)
		fail("fork");
	if (child->tracer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(seize ? PTRACE_SEIZE : PTRACE_ATTACH, child->pid, NULL, NULL) != 0 ||
		    (seize && ptrace(PTRACE_INTERRUPT, child->pid, NULL, NULL) != 0))
			error = errno;
		if (write(report[1], &error, sizeof error) != sizeof error)
			_exit(3);
		for (;;)
			pause();
	}
	if (read(report[0], &error, sizeof error) != sizeof error)
		fail("tracer");
	close(report[0]);
	close(report[1]);
	printf("attached %s\n", error == 0 ? "ok" : strerrorname_np(error));
}

static void untrace(struct child *child)
{
	kill(child->tracer, SIGKILL);
	waitpid(child->tracer, NULL, 0);
	child->tracer = 0;
	puts("detached");
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	operation = argv[1];
	directory = argv[3];
	int count = atoi(argv[2]), prepared[2];
	struct child *children = calloc(count, sizeof *children);
	char byte, line[128];
	if (pipe2(prepared, O_CLOEXEC) != 0)
		fail("pipe");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < count; i++)
		start_child(&children[i], i, prepared[1]);
	close(prepared[1]);
	for (int i = 0; i < count; i++)
		if (read(prepared[0], &byte, 1) != 1)
			fail("a child");
	printf("ready");
	for (int i = 0; i < count; i++)
		printf(" %d", (int)children[i].pid);
	printf("\n");

	while (fgets(line, sizeof line, stdin) != NULL) {
		char command[16] = "";
		int index = 0, signal = 0;
		sscanf(line, "%15s %d %d", command, &index, &signal);
		if (index < 0 || index >= count)
			return 2;
		struct child *child = &children[index];
		if (strcmp(command, "go") == 0) {
			for (int i = 0; i < count; i++)
				if (write(children[i].start, "g", 1) != 1)
					fail("go");
			puts("went");
		} else if (strcmp(command, "kill") == 0) {
			kill(child->pid, signal);
			puts("sent");
		} else if (strcmp(command, "reap") == 0) {
			reap(child, signal);
		} else if (strcmp(command, "outcome") == 0) {
			print_outcome(child);
		} else if (strcmp(command, "attach") == 0 || strcmp(command, "seize") == 0) {
			trace(child, strcmp(command, "seize") == 0);
		} else if (strcmp(command, "detach") == 0) {
			untrace(child);
		} else {
			return 2;
		}
	}
	for (int i = 0; i < count; i++)
		if (children[i].pid > 0)
			kill(children[i].pid, SIGKILL);
	return 0;
}
