/* A system call that a thread of calls.c makes. */
#ifndef CALL_H
#define CALL_H

#include "victim.h"

#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "../../e2e/victims/monotonic.h"

enum { TIME_S = 6, LATEST_MS = 1200, FIRST_CHECK_MS = 2000, RELEASE_SIGNAL = 42, WAITED_SIGNAL = 43 };

/* A call: prepared by the main thread, made by a thread, and for those without a time released by the main thread. */
struct call {
	const char *name;
	long number;
	void (*prepare)(struct call *);
	/* The result as the system call gave it, errno in `error`. */
	long (*make)(struct call *);
	void (*release)(struct call *);
	long expected;
	int expected_error;
	int begins_again;
	/* What the call is about. */
	int fd, other;
	unsigned word;
	void *memory;
	/* How it went. */
	pthread_t thread;
	volatile pid_t tid;
	volatile int over;
	long result;
	int error;
	int64_t began, ended;
};

static const struct timespec relative = { TIME_S, 0 };
static volatile sig_atomic_t handled;

static void handle(int signal)
{
	(void)signal;
	handled++;
}

static struct timespec absolute(clockid_t clock)
{
	struct timespec end;
	clock_gettime(clock, &end);
	end.tv_sec += TIME_S;
	return end;
}

#endif
