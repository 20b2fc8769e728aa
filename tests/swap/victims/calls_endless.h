/* System calls that wait until there is a cause to end. */
#ifndef CALLS_ENDLESS_H
#define CALLS_ENDLESS_H

#include "calls_timed.h"

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

#endif
