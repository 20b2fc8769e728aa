/*
 * One thread in every kind of system call that waits: those with a time must end after it, not before and not much later, those
 * without one when the cause comes; none with EINTR. The main thread holds the file that is moved. See victim.h.
 *
 * The check waits until a part of the time has gone by, so that whatever begins its time again when it is interrupted is late. Some
 * calls do, because the kernel tells nobody how much of their time had gone by: they may be late by that much and no more.
 */
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

/* ---- with a time */

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

/* ---- without a time */

static long make_read(struct call *call)
{
	char bytes[64];
	return syscall(SYS_read, call->fd, bytes, sizeof bytes);
}

static void release_by_byte(struct call *call)
{
	must(write(call->other, "x", 1) == 1);
}

static void prepare_fifo(struct call *call)
{
	must(mkfifo(in(call->name), 0600) == 0);
	call->fd = open_in(call->name, O_RDWR);
	call->other = call->fd;
}

static void prepare_full_pipe(struct call *call)
{
	static const char bytes[4096];
	prepare_pipe(call);
	must(fcntl(call->other, F_SETPIPE_SZ, 4096) == 4096 && write(call->other, bytes, sizeof bytes) == sizeof bytes);
}

static long make_write(struct call *call)
{
	static const char bytes[4096];
	return syscall(SYS_write, call->other, bytes, sizeof bytes);
}

static void release_by_reading(struct call *call)
{
	char bytes[4096];
	must(read(call->fd, bytes, sizeof bytes) == sizeof bytes);
}

static void prepare_eventfd(struct call *call)
{
	call->fd = eventfd(0, EFD_CLOEXEC);
	must(call->fd >= 0);
}

static void release_eventfd(struct call *call)
{
	must(eventfd_write(call->fd, 1) == 0);
}

static void prepare_timerfd(struct call *call)
{
	call->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	must(call->fd >= 0);
}

static void release_timerfd(struct call *call)
{
	struct itimerspec now = { .it_value = { 0, 1 } };
	must(timerfd_settime(call->fd, 0, &now, NULL) == 0);
}

static void prepare_inotify(struct call *call)
{
	call->fd = inotify_init1(IN_CLOEXEC);
	must(call->fd >= 0 && (call->other = inotify_add_watch(call->fd, "/proc/self/exe", IN_ATTRIB)) > 0);
}

static void release_inotify(struct call *call)
{
	must(inotify_rm_watch(call->fd, call->other) == 0); /* gives IN_IGNORED */
}

static long make_pause(struct call *call)
{
	(void)call;
	struct pollfd none;
	return syscall(SYS_ppoll, &none, 0, NULL, NULL, 8);
}

static long make_sigsuspend(struct call *call)
{
	(void)call;
	sigset_t mask;
	sigemptyset(&mask);
	return syscall(SYS_rt_sigsuspend, &mask, 8);
}

#ifdef SYS_pause
static long make_real_pause(struct call *call)
{
	(void)call;
	return syscall(SYS_pause);
}
#endif

static void release_by_signal(struct call *call)
{
	must(pthread_kill(call->thread, RELEASE_SIGNAL) == 0);
}

static long make_sigwait(struct call *call)
{
	(void)call;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, WAITED_SIGNAL + 1);
	return syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, 8);
}

static void release_sigwait(struct call *call)
{
	must(pthread_kill(call->thread, WAITED_SIGNAL + 1) == 0);
}

static void prepare_child(struct call *call)
{
	prepare_pipe(call);
	pid_t child = fork();
	must(child >= 0);
	if (child == 0) {
		char byte;
		close(call->other);
		_exit(read(call->fd, &byte, 1) == 1 ? 0 : 1);
	}
	call->word = (unsigned)child;
	call->expected = call->number == SYS_wait4 ? child : 0;
}

static long make_wait4(struct call *call)
{
	return syscall(SYS_wait4, call->word, NULL, 0, NULL);
}

static long make_waitid(struct call *call)
{
	siginfo_t info;
	return syscall(SYS_waitid, P_PID, call->word, &info, WEXITED, NULL);
}

static void release_accept(struct call *call)
{
	struct sockaddr_un address;
	socklen_t length = sizeof address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(getsockname(call->fd, (struct sockaddr *)&address, &length) == 0);
	must(connect(fd, (struct sockaddr *)&address, length) == 0);
}

static void prepare_messages(struct call *call)
{
	call->fd = msgget(IPC_PRIVATE, 0600);
	must(call->fd >= 0);
}

static long make_msgrcv(struct call *call)
{
	struct {
		long type;
		char bytes[8];
	} message;
	return syscall(SYS_msgrcv, call->fd, &message, 8, 0, 0);
}

static void release_msgrcv(struct call *call)
{
	struct {
		long type;
		char bytes[8];
	} message = { 1, "x" };
	must(msgsnd(call->fd, &message, 1, 0) == 0);
}

static long make_semop(struct call *call)
{
	struct sembuf take = { 0, -1, 0 };
#ifdef SYS_semop
	return syscall(SYS_semop, call->fd, &take, 1);
#else
	return syscall(SYS_semtimedop, call->fd, &take, 1, NULL);
#endif
}

static void release_semop(struct call *call)
{
	struct sembuf give = { 0, 1, 0 };
	must(semop(call->fd, &give, 1) == 0);
}

static long make_endless_futex(struct call *call)
{
	return syscall(SYS_futex, call->memory != NULL ? call->memory : &call->word,
		       call->memory != NULL ? FUTEX_WAIT : FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void release_futex(struct call *call)
{
	must(syscall(SYS_futex, call->memory != NULL ? call->memory : &call->word,
		     call->memory != NULL ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
}

/* A futex in a file of the mount: its key is the inode. */
static void prepare_file_futex(struct call *call)
{
	make_file("futex", 1, PAGE);
	int fd = open_in("futex", O_RDWR);
	call->memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(call->memory != MAP_FAILED && close(fd) == 0);
	memset(call->memory, 0, sizeof(unsigned));
}

static void prepare_lock(struct call *call)
{
	make_file(call->name, 1, 100);
	call->fd = open_in(call->name, O_RDWR);
	call->other = open_in(call->name, O_RDWR);
	if (call->number == SYS_flock)
		must(flock(call->other, LOCK_EX) == 0);
	else
		must(fcntl(call->other, F_OFD_SETLK, &(struct flock){ .l_type = F_WRLCK }) == 0);
}

static long make_flock(struct call *call)
{
	return syscall(SYS_flock, call->fd, LOCK_EX);
}

static long make_setlkw(struct call *call)
{
	struct flock lock = { .l_type = F_WRLCK };
	return syscall(SYS_fcntl, call->fd, F_OFD_SETLKW, &lock);
}

static void release_lock(struct call *call)
{
	if (call->number == SYS_flock)
		must(flock(call->other, LOCK_UN) == 0);
	else
		must(fcntl(call->other, F_OFD_SETLK, &(struct flock){ .l_type = F_UNLCK }) == 0);
}

static struct call calls[] = {
	{ .name = "nanosleep", .number = SYS_nanosleep, .make = make_nanosleep },
	{ .name = "clock_nanosleep", .number = SYS_clock_nanosleep, .make = make_clock_nanosleep },
	{ .name = "ppoll", .number = SYS_ppoll, .prepare = prepare_pipe, .make = make_ppoll },
	{ .name = "pselect6", .number = SYS_pselect6, .prepare = prepare_pipe, .make = make_pselect },
#ifdef SYS_poll
	{ .name = "poll", .number = SYS_poll, .prepare = prepare_pipe, .make = make_poll },
	{ .name = "select", .number = SYS_select, .prepare = prepare_pipe, .make = make_select },
	{ .name = "epoll_wait", .number = SYS_epoll_wait, .prepare = prepare_epoll, .make = make_epoll_wait, .begins_again = 1 },
	{ .name = "pause", .number = SYS_pause, .make = make_real_pause, .release = release_by_signal, .expected_error = EINTR },
#endif
	{ .name = "poll of a FIFO on the mount", .number = SYS_ppoll, .prepare = prepare_fifo, .make = make_ppoll },
	{ .name = "epoll_pwait", .number = SYS_epoll_pwait, .prepare = prepare_epoll, .make = make_epoll_pwait, .begins_again = 1 },
	{ .name = "epoll_pwait2", .number = SYS_epoll_pwait2, .prepare = prepare_epoll, .make = make_epoll_pwait2, .begins_again = 1 },
	{ .name = "futex", .number = SYS_futex, .make = make_futex, .expected_error = ETIMEDOUT },
	{ .name = "futex until", .number = SYS_futex, .make = make_futex_until, .expected_error = ETIMEDOUT },
	{ .name = "sigtimedwait", .number = SYS_rt_sigtimedwait, .make = make_sigtimedwait, .expected_error = EAGAIN, .begins_again = 1 },
	{ .name = "recv", .number = SYS_recvfrom, .prepare = prepare_timed_socket, .make = make_recv, .expected_error = EAGAIN, .begins_again = 1 },
	{ .name = "read of a socket", .number = SYS_read, .prepare = prepare_timed_socket, .make = make_socket_read, .expected_error = EAGAIN, .begins_again = 1 },
	{ .name = "send", .number = SYS_sendto, .prepare = prepare_full_socket, .make = make_send, .expected_error = EAGAIN, .begins_again = 1 },
	{ .name = "accept", .number = SYS_accept4, .prepare = prepare_timed_listener, .make = make_accept, .expected_error = EAGAIN, .begins_again = 1 },
	{ .name = "semtimedop", .number = SYS_semtimedop, .prepare = prepare_semaphore, .make = make_semtimedop, .expected_error = EAGAIN, .begins_again = 1 },
	{ .name = "mq_timedreceive", .number = SYS_mq_timedreceive, .prepare = prepare_queue, .make = make_mq_receive, .expected_error = ETIMEDOUT },
	{ .name = "io_getevents", .number = SYS_io_getevents, .prepare = prepare_aio, .make = make_getevents, .begins_again = 1 },
	{ .name = "io_uring_enter", .number = SYS_io_uring_enter, .prepare = prepare_ring, .make = make_ring_wait, .expected_error = ETIME, .begins_again = 1 },
	{ .name = "read of a pipe", .number = SYS_read, .prepare = prepare_pipe, .make = make_read, .release = release_by_byte, .expected = 1 },
	{ .name = "read of a FIFO on the mount", .number = SYS_read, .prepare = prepare_fifo, .make = make_read, .release = release_by_byte, .expected = 1 },
	{ .name = "write to a full pipe", .number = SYS_write, .prepare = prepare_full_pipe, .make = make_write, .release = release_by_reading, .expected = 4096 },
	{ .name = "read of an eventfd", .number = SYS_read, .prepare = prepare_eventfd, .make = make_read, .release = release_eventfd, .expected = 8 },
	{ .name = "read of a timerfd", .number = SYS_read, .prepare = prepare_timerfd, .make = make_read, .release = release_timerfd, .expected = 8 },
	{ .name = "read of inotify", .number = SYS_read, .prepare = prepare_inotify, .make = make_read, .release = release_inotify, .expected = 16 },
	{ .name = "endless ppoll", .number = SYS_ppoll, .make = make_pause, .release = release_by_signal, .expected_error = EINTR },
	{ .name = "sigsuspend", .number = SYS_rt_sigsuspend, .make = make_sigsuspend, .release = release_by_signal, .expected_error = EINTR },
	{ .name = "sigwaitinfo", .number = SYS_rt_sigtimedwait, .make = make_sigwait, .release = release_sigwait, .expected = WAITED_SIGNAL + 1 },
	{ .name = "wait4", .number = SYS_wait4, .prepare = prepare_child, .make = make_wait4, .release = release_by_byte },
	{ .name = "waitid", .number = SYS_waitid, .prepare = prepare_child, .make = make_waitid, .release = release_by_byte },
	{ .name = "endless accept", .number = SYS_accept4, .prepare = prepare_listener, .make = make_accept, .release = release_accept, .expected = 'f' },
	{ .name = "endless recv", .number = SYS_recvfrom, .prepare = prepare_socket, .make = make_recv, .release = release_by_byte, .expected = 1 },
	{ .name = "msgrcv", .number = SYS_msgrcv, .prepare = prepare_messages, .make = make_msgrcv, .release = release_msgrcv, .expected = 1 },
	{ .name = "semop",
#ifdef SYS_semop
	  .number = SYS_semop,
#else
	  .number = SYS_semtimedop,
#endif
	  .prepare = prepare_semaphore, .make = make_semop, .release = release_semop },
	{ .name = "endless futex", .number = SYS_futex, .make = make_endless_futex, .release = release_futex },
	{ .name = "futex in a file on the mount", .number = SYS_futex, .prepare = prepare_file_futex, .make = make_endless_futex, .release = release_futex },
	{ .name = "flock", .number = SYS_flock, .prepare = prepare_lock, .make = make_flock, .release = release_lock },
	{ .name = "F_OFD_SETLKW", .number = SYS_fcntl, .prepare = prepare_lock, .make = make_setlkw, .release = release_lock },
};
enum { CALLS = sizeof calls / sizeof calls[0] };

static int64_t all_began, last_check;
static int held;
static off_t held_at;

static void *make_call(void *argument)
{
	struct call *call = argument;
	call->tid = gettid();
	call->began = monotonic_ns();
	call->result = call->make(call);
	call->error = call->result < 0 ? errno : 0;
	call->ended = monotonic_ns();
	call->over = 1;
	return NULL;
}

/* Waits until the thread is asleep in its call. */
static void wait_for_call(const struct call *call)
{
	char path[64], text[128], wanted[16];
	snprintf(wanted, sizeof wanted, "%ld ", call->number);
	for (;;) {
		must(!call->over);
		if (call->tid != 0) {
			snprintf(path, sizeof path, "/proc/self/task/%d/syscall", call->tid);
			int fd = open(path, O_RDONLY | O_CLOEXEC);
			ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
			close(fd);
			if (length > 0 && strncmp(text, wanted, strlen(wanted)) == 0)
				return;
		}
		usleep(1000);
	}
}

static void set_up_calls(void)
{
	struct sigaction action = { .sa_handler = handle };
	sigset_t blocked;
	must(sigaction(RELEASE_SIGNAL, &action, NULL) == 0);
	sigemptyset(&blocked);
	sigaddset(&blocked, WAITED_SIGNAL);
	sigaddset(&blocked, WAITED_SIGNAL + 1);
	must(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
	make_file("held", 1, 5000);
	held = open_in("held", O_RDONLY);
	for (int i = 0; i < CALLS; i++)
		if (calls[i].prepare != NULL)
			calls[i].prepare(&calls[i]);
	all_began = monotonic_ns();
	for (int i = 0; i < CALLS; i++)
		must(pthread_create(&calls[i].thread, NULL, make_call, &calls[i]) == 0);
	for (int i = 0; i < CALLS; i++)
		wait_for_call(&calls[i]);
}

static void check_calls(void)
{
	int64_t first = all_began + FIRST_CHECK_MS * 1000000LL;
	struct timespec until = { first / 1000000000, first % 1000000000 };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
		;
	expect(reads_pattern(held, 1, held_at, 10), "at %ld", (long)lseek(held, 0, SEEK_CUR));
	held_at += 10;
	last_check = monotonic_ns();
	int in_time = last_check < all_began + TIME_S * 1000000000LL;
	for (int i = 0; i < CALLS; i++)
		if (calls[i].over && (in_time || calls[i].release != NULL))
			expect(0, "%s ended early: %ld, error %d", calls[i].name, calls[i].result, calls[i].error);
	expect(handled == 0, "a signal was handled");
}

static void finish_calls(void)
{
	for (int i = 0; i < CALLS; i++)
		if (calls[i].release != NULL && !calls[i].over)
			calls[i].release(&calls[i]);
	for (int i = 0; i < CALLS; i++) {
		struct call *call = &calls[i];
		struct timespec limit = absolute(CLOCK_REALTIME);
		limit.tv_sec += TIME_S;
		if (pthread_timedjoin_np(call->thread, NULL, &limit) != 0) {
			complain("%s does not end", call->name);
			continue;
		}
		int as_expected = call->expected_error != 0 ? call->error == call->expected_error
				  : call->expected == 'f'   ? call->result >= 0
							    : call->result == call->expected;
		expect(as_expected, "%s: %ld, error %d", call->name, call->result, call->error);
		if (call->release != NULL)
			continue;
		double ms = (double)(call->ended - call->began) / 1e6;
		double latest = TIME_S * 1000 + LATEST_MS + (call->begins_again ? (double)(last_check - call->began) / 1e6 : 0);
		expect(ms >= TIME_S * 1000 - 1 && ms <= latest, "%s took %.0f ms", call->name, ms);
	}
	for (int i = 0; i < CALLS; i++)
		if (calls[i].prepare == prepare_semaphore)
			semctl(calls[i].fd, 0, IPC_RMID);
		else if (calls[i].prepare == prepare_messages)
			msgctl(calls[i].fd, IPC_RMID, NULL);
}

static const struct victim_case cases[] = { { "calls", set_up_calls, check_calls, finish_calls } };
VICTIM(cases)
