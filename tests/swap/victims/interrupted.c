/*
 * A process that waits in a system call which a signal ends, and another one, which holds nothing of the mount and therefore goes on,
 * that sends it a signal whenever it waits: also while it is stopped. No signal may be lost, and each must end the call with EINTR.
 * See busy.h.
 */
#include "busy.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>

enum { SIGNAL = 44, PATIENCE_S = 5 };

struct waiting {
	atomic_long sent, handled, ended;
	atomic_int number, tid;
};
static struct waiting *waiting;
static int held, instance, semaphore;
static long (*wait_once)(void);

static void handle(int signal)
{
	(void)signal;
	atomic_fetch_add(&waiting->handled, 1);
}

static void wait_for_signal(int number)
{
	unsigned char byte;
	(void)number;
	long result = wait_once();
	right(result < 0 && errno == EINTR, "the call ended with %ld", result);
	right(pread(held, &byte, 1, 9) == 1 && byte == pattern_byte(1, 9), "pread");
	atomic_fetch_add(&waiting->ended, 1);
}

/* Whether the waiter is in its call, or in what the kernel makes of it after a stop. */
static int waits(void)
{
	char path[64], text[32] = "";
	snprintf(path, sizeof path, "/proc/%d/syscall", atomic_load(&waiting->tid));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	close(fd);
	if (length <= 0 || text[0] < '0' || text[0] > '9')
		return 0;
	int number = atoi(text);
	return number == atomic_load(&waiting->number) || number == SYS_restart_syscall;
}

static void send_signal(int number)
{
	(void)number;
	if (atomic_load(&waiting->tid) == 0 || !waits())
		return;
	long due = atomic_load(&waiting->ended) + 1;
	int64_t limit = monotonic_ns() + PATIENCE_S * 1000000000LL;
	if (kill(atomic_load(&waiting->tid), SIGNAL) != 0)
		return;
	atomic_fetch_add(&waiting->sent, 1);
	while (atomic_load(&waiting->ended) < due && monotonic_ns() < limit && !atomic_load(&busy->stop))
		sched_yield();
	if (atomic_load(&busy->stop))
		return;
	right(atomic_load(&waiting->ended) == due, "the signal did not end the call");
	right(atomic_load(&waiting->handled) == atomic_load(&waiting->sent), "handled %ld signals of %ld",
	      atomic_load(&waiting->handled), atomic_load(&waiting->sent));
}

static void set_up_waiter(void)
{
	struct sigaction action = { .sa_handler = handle };
	must(sigaction(SIGNAL, &action, NULL) == 0);
	make_file("held", 1, 100);
	held = open_in("held", O_RDONLY);
	atomic_store(&waiting->tid, getpid());
}

static void set_up(long (*call)(void), int number)
{
	waiting = shared_memory(sizeof *waiting);
	wait_once = call;
	atomic_store(&waiting->number, number);
	busy_process("sender", NULL, send_signal, 0);
	busy_process("waiter", set_up_waiter, wait_for_signal, 0);
}

/* Nobody else sends a signal that would end the last call any more. */
static void finish(void)
{
	siginfo_t info = { 0 };
	atomic_store(&busy->stop, 1);
	for (int i = 0; i < busy->worker_count; i++)
		while (busy->workers[i].pid == atomic_load(&waiting->tid) && info.si_pid == 0) {
			kill(busy->workers[i].pid, SIGNAL);
			breathe(1000);
			must(waitid(P_PID, busy->workers[i].pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
		}
	stop_busy();
}

static long pause_once(void)
{
	return pause();
}

static void set_up_pause(void)
{
#ifdef SYS_pause
	set_up(pause_once, SYS_pause);
#else
	set_up(pause_once, SYS_ppoll);
#endif
}

static long suspend_once(void)
{
	sigset_t none;
	sigemptyset(&none);
	return sigsuspend(&none);
}

static void set_up_suspend(void)
{
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGNAL);
	must(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
	set_up(suspend_once, SYS_rt_sigsuspend);
}

static long sleep_once(void)
{
	struct timespec time = { 100, 0 };
	return syscall(SYS_nanosleep, &time, &time);
}

static void set_up_sleep(void)
{
	set_up(sleep_once, SYS_nanosleep);
}

static long poll_once(void)
{
	return ppoll(NULL, 0, NULL, NULL);
}

static void set_up_poll(void)
{
	set_up(poll_once, SYS_ppoll);
}

static long epoll_once(void)
{
	struct epoll_event event;
	return epoll_pwait(instance, &event, 1, -1, NULL);
}

static void set_up_epoll(void)
{
	instance = epoll_create1(EPOLL_CLOEXEC);
	set_up(epoll_once, SYS_epoll_pwait);
}

static long take_once(void)
{
	struct sembuf take = { 0, -1, 0 };
	return syscall(SYS_semtimedop, semaphore, &take, 1, NULL);
}

static void set_up_semaphore(void)
{
	semaphore = semget(IPC_PRIVATE, 1, 0600);
	must(semaphore >= 0);
	set_up(take_once, SYS_semtimedop);
}

static void finish_semaphore(void)
{
	finish();
	semctl(semaphore, 0, IPC_RMID);
}

static const struct victim_case cases[] = {
	{ "pause", set_up_pause, check_busy, finish },
	{ "suspend", set_up_suspend, check_busy, finish },
	{ "sleep", set_up_sleep, check_busy, finish },
	{ "poll", set_up_poll, check_busy, finish },
	{ "epoll", set_up_epoll, check_busy, finish },
	{ "semaphore", set_up_semaphore, check_busy, finish_semaphore },
};
VICTIM(cases)
