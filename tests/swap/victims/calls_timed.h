/* System calls that wait for a time. */
#ifndef CALLS_TIMED_H
#define CALLS_TIMED_H

#include "call.h"

static void prepare_pipe(struct call *call)
{
	int fds[2];
	must(pipe2(fds, O_CLOEXEC) == 0);
	call->fd = fds[0];
	call->other = fds[1];
}

static long make_nanosleep(struct call *call)
{
	(void)call;
	return syscall(SYS_nanosleep, &relative, NULL);
}

static long make_clock_nanosleep(struct call *call)
{
	(void)call;
	struct timespec end = absolute(CLOCK_MONOTONIC);
	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
}

static long make_ppoll(struct call *call)
{
	struct pollfd state = { call->fd, POLLIN, 0 };
	struct timespec time = relative;
	return syscall(SYS_ppoll, &state, 1, &time, NULL, 8);
}

static long make_pselect(struct call *call)
{
	fd_set set;
	struct timespec time = relative;
	FD_ZERO(&set);
	FD_SET(call->fd, &set);
	return syscall(SYS_pselect6, call->fd + 1, &set, NULL, NULL, &time, NULL);
}

#ifdef SYS_poll
static long make_poll(struct call *call)
{
	struct pollfd state = { call->fd, POLLIN, 0 };
	return syscall(SYS_poll, &state, 1, TIME_S * 1000);
}

static long make_select(struct call *call)
{
	fd_set set;
	struct timeval time = { TIME_S, 0 };
	FD_ZERO(&set);
	FD_SET(call->fd, &set);
	return syscall(SYS_select, call->fd + 1, &set, NULL, NULL, &time);
}
#endif

static void prepare_epoll(struct call *call)
{
	struct epoll_event event = { .events = EPOLLIN };
	prepare_pipe(call);
	int watched = call->fd;
	call->fd = epoll_create1(EPOLL_CLOEXEC);
	must(call->fd >= 0 && epoll_ctl(call->fd, EPOLL_CTL_ADD, watched, &event) == 0);
}

#ifdef SYS_epoll_wait
static long make_epoll_wait(struct call *call)
{
	struct epoll_event event;
	return syscall(SYS_epoll_wait, call->fd, &event, 1, TIME_S * 1000);
}
#endif

static long make_epoll_pwait(struct call *call)
{
	struct epoll_event event;
	sigset_t mask;
	sigemptyset(&mask);
	return syscall(SYS_epoll_pwait, call->fd, &event, 1, TIME_S * 1000, &mask, 8);
}

static long make_epoll_pwait2(struct call *call)
{
	struct epoll_event event;
	return syscall(SYS_epoll_pwait2, call->fd, &event, 1, &relative, NULL, 8);
}

static long make_futex(struct call *call)
{
	return syscall(SYS_futex, &call->word, FUTEX_WAIT_PRIVATE, 0, &relative, NULL, 0);
}

static long make_futex_until(struct call *call)
{
	struct timespec end = absolute(CLOCK_MONOTONIC);
	return syscall(SYS_futex, &call->word, FUTEX_WAIT_BITSET_PRIVATE, 0, &end, NULL, ~0U);
}

static long make_sigtimedwait(struct call *call)
{
	(void)call;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, WAITED_SIGNAL);
	return syscall(SYS_rt_sigtimedwait, &set, NULL, &relative, 8);
}

static void set_timeout(int fd)
{
	struct timeval time = { TIME_S, 0 };
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) == 0);
	must(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) == 0);
}

static void prepare_socket(struct call *call)
{
	int fds[2];
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	call->fd = fds[0];
	call->other = fds[1];
}

static void prepare_timed_socket(struct call *call)
{
	prepare_socket(call);
	set_timeout(call->fd);
}

static long make_recv(struct call *call)
{
	char byte;
	return syscall(SYS_recvfrom, call->fd, &byte, 1, 0, NULL, NULL);
}

static void prepare_full_socket(struct call *call)
{
	static const char bytes[4096];
	prepare_socket(call);
	while (send(call->fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	set_timeout(call->fd);
}

static long make_send(struct call *call)
{
	static const char bytes[4096];
	return syscall(SYS_sendto, call->fd, bytes, sizeof bytes, 0, NULL, 0);
}

static void prepare_listener(struct call *call)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	call->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(call->fd, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0 && listen(call->fd, 0) == 0);
}

static void prepare_timed_listener(struct call *call)
{
	prepare_listener(call);
	set_timeout(call->fd);
}

static long make_socket_read(struct call *call)
{
	char byte;
	return syscall(SYS_read, call->fd, &byte, 1);
}

static long make_accept(struct call *call)
{
	return syscall(SYS_accept4, call->fd, NULL, NULL, 0);
}

static void prepare_semaphore(struct call *call)
{
	call->fd = semget(IPC_PRIVATE, 1, 0600);
	must(call->fd >= 0);
}

static long make_semtimedop(struct call *call)
{
	struct sembuf take = { 0, -1, 0 };
	return syscall(SYS_semtimedop, call->fd, &take, 1, &relative);
}

static void prepare_queue(struct call *call)
{
	char name[32];
	struct mq_attr attributes = { .mq_maxmsg = 1, .mq_msgsize = 16 };
	snprintf(name, sizeof name, "/spfs-%d-%s", getpid(), call->name);
	call->fd = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	must(call->fd >= 0 && mq_unlink(name) == 0);
}

static long make_mq_receive(struct call *call)
{
	char bytes[16];
	struct timespec end = absolute(CLOCK_REALTIME);
	return syscall(SYS_mq_timedreceive, call->fd, bytes, sizeof bytes, NULL, &end);
}

static void prepare_aio(struct call *call)
{
	aio_context_t context = 0;
	must(syscall(SYS_io_setup, 1, &context) == 0);
	call->memory = (void *)context;
}

static long make_getevents(struct call *call)
{
	struct io_event event;
	return syscall(SYS_io_getevents, call->memory, 1, 1, &event, &relative);
}

static void prepare_ring(struct call *call)
{
	struct io_uring_params parameters = { 0 };
	call->fd = (int)syscall(SYS_io_uring_setup, 1, &parameters);
	must(call->fd >= 0);
}

static long make_ring_wait(struct call *call)
{
	struct __kernel_timespec time = { TIME_S, 0 };
	struct io_uring_getevents_arg argument = { .ts = (uint64_t)(uintptr_t)&time };
	return syscall(SYS_io_uring_enter, call->fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument, sizeof argument);
}

#endif
