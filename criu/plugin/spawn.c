#define _GNU_SOURCE
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

/* What the new process tells: who it is, and then, if it could not become the program, why. */
struct report {
	pid_t pid;
	int error;
};

/* A pipe none of whose ends is where stdin, stdout and stderr belong, which CRIU may have been started without. */
static bool make_pipe(int ends[2])
{
	int made[2];
	if (pipe2(made, O_CLOEXEC) != 0)
		return false;
	for (int i = 0; i < 2; i++)
		ends[i] = move_off_stdio(made[i]);
	if (ends[0] >= 0 && ends[1] >= 0)
		return true;
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	return false;
}

static void close_both(const int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

/*
 * Room in the table of descriptors, which outlives exec(3). Here it costs nothing; once the program has threads, whoever needs room for one
 * more descriptor waits until every processor has passed a quiescent state. The program sees to it itself where this fails
 * (host/descriptor_room.ts, which has the same number).
 */
static void make_descriptor_room(int fd)
{
	enum { ROOM = 8192 };
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	int last = fcntl(fd, F_DUPFD_CLOEXEC, limit.rlim_max < ROOM ? (int)limit.rlim_max - 1 : ROOM - 1);
	if (last >= 0)
		close(last);
}

/* Never returns. Only what is safe between fork(2) and exec(3) in a process without threads. */
static void become(const char *program, const int files[3], int report_to)
{
	enum { REPORT = STDERR_FILENO + 1 };
	struct report report = { .pid = getpid() };
	setsid();
	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		signal(signal_number, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* CRIU's stage is none of its business, and the images' file system neither. */
	unsetenv("CRTOOLS_SCRIPT_ACTION");
	bool ready = chdir("/") == 0;
	for (int fd = 0; fd < 3; fd++)
		ready = ready && dup2(files[fd], fd) == fd;
	if (report_to != REPORT)
		ready = ready && dup3(report_to, REPORT, O_CLOEXEC) == REPORT;
	ready = ready && syscall(SYS_close_range, REPORT + 1, ~0U, 0) == 0;
	if (ready)
		make_descriptor_room(REPORT);
	if (write(ready ? REPORT : report_to, &report, sizeof report) == sizeof report && ready)
		execlp(program, program, "serve", (char *)NULL);
	report.error = errno;
	_exit(write(ready ? REPORT : report_to, &report, sizeof report) == sizeof report ? 127 : 126);
}

/* Reads until the other end is closed, by exec(3) or by the end of the process. */
static bool read_report(int fd, int timeout_ms, struct report *report)
{
	struct report next;
	for (;;) {
		struct pollfd readable = { .fd = fd, .events = POLLIN };
		int ready = poll(&readable, 1, timeout_ms);
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0) {
			report->error = ready == 0 ? ETIMEDOUT : errno;
			return report->pid != 0;
		}
		ssize_t count = read(fd, &next, sizeof next);
		if (count == 0)
			return report->pid != 0;
		if (count == sizeof next)
			*report = next;
		else if (count > 0 || errno != EINTR)
			return false;
	}
}

static bool start(const char *program, const int files[3], int report[2], int timeout_ms, struct channel *channel)
{
	pid_t between = fork();
	if (between == 0) {
		pid_t pid = fork();
		if (pid == 0)
			become(program, files, report[1]);
		_exit(pid < 0 ? errno : 0);
	}
	int status = 0;
	while (between > 0 && waitpid(between, &status, 0) < 0 && errno == EINTR)
		;
	if (between < 0 || status != 0) {
		log_error("cannot fork: %s", strerror(between < 0 ? errno : WEXITSTATUS(status)));
		return false;
	}
	close(report[1]);
	report[1] = -1;
	struct report told = { 0 };
	bool is_there = read_report(report[0], timeout_ms, &told);
	channel->pidfd = is_there && told.error == 0 ? syscall(SYS_pidfd_open, told.pid, 0) : -1;
	if (channel->pidfd >= 0)
		return true;
	log_error("cannot run %s: %s", program, strerror(!is_there ? ECHILD : told.error != 0 ? told.error : errno));
	if (is_there && told.error == ETIMEDOUT)
		kill(told.pid, SIGKILL);
	return false;
}

bool spawn(const char *program, int log, int timeout_ms, struct channel *channel)
{
	int in[2], out[2], report[2];
	if (!make_pipe(in)) {
		log_error("cannot make a pipe: %s", strerror(errno));
		return false;
	}
	if (!make_pipe(out)) {
		log_error("cannot make a pipe: %s", strerror(errno));
		close_both(in);
		return false;
	}
	bool started = false;
	if (!make_pipe(report) || fcntl(in[1], F_SETFL, O_NONBLOCK) != 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) != 0) {
		log_error("cannot make a pipe: %s", strerror(errno));
	} else {
		started = start(program, (int[3]){ in[0], out[1], log }, report, timeout_ms, channel);
		close(report[0]);
		if (report[1] >= 0)
			close(report[1]);
	}
	close(in[0]);
	close(out[1]);
	if (!started) {
		close(in[1]);
		close(out[0]);
		return false;
	}
	channel->to = in[1];
	channel->from = out[0];
	return true;
}
