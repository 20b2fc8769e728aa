/*
 * One thread in every kind of system call that waits: those with a time must end after it, not before and not much later, those
 * without one when the cause comes; none with EINTR. The main thread holds the file that is moved. See victim.h.
 *
 * The check waits until a part of the time has gone by, so that whatever begins its time again when it is interrupted is late. Some
 * calls do, because the kernel tells nobody how much of their time had gone by: they may be late by that much and no more.
 */
#include "calls_endless.h"
#include "calls_timed.h"

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
/* Held until the end: threads whose calls are over stay, so that who looks at the process, however late, sees the same threads. */
static pthread_mutex_t staying = PTHREAD_MUTEX_INITIALIZER;

static void *make_call(void *argument)
{
	struct call *call = argument;
	call->tid = gettid();
	call->began = monotonic_ns();
	call->result = call->make(call);
	call->error = call->result < 0 ? errno : 0;
	call->ended = monotonic_ns();
	call->over = 1;
	pthread_mutex_lock(&staying);
	pthread_mutex_unlock(&staying);
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
	must(pthread_mutex_lock(&staying) == 0);
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
	pthread_mutex_unlock(&staying);
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
