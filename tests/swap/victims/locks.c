/* Locks, leases and owners. Conflicts are looked for by somebody else: a forked process, or another description. See victim.h. */
#include "victim.h"

#include <sys/file.h>

/* Who holds a conflicting POSIX lock, as another process sees it; 0 nobody, -1 when that cannot be found out. */
static pid_t posix_holder(int fd, short type, off_t start, off_t length)
{
	pid_t *answer = shared_memory(sizeof *answer);
	*answer = -1;
	pid_t child = fork();
	if (child == 0) {
		struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
		if (fcntl(fd, F_GETLK, &lock) == 0)
			*answer = lock.l_type == F_UNLCK ? 0 : lock.l_pid;
		_exit(0);
	}
	waitpid(child, NULL, 0);
	pid_t holder = *answer;
	munmap(answer, sizeof *answer);
	return holder;
}

static void set_posix(int fd, short type, off_t start, off_t length)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
	must(fcntl(fd, F_SETLK, &lock) == 0);
}

/* ---- posix: several ranges by two descriptors of one file, and of another file that is also open otherwise */

static int posix_one, posix_two, posix_other, posix_other_again;

static void set_up_posix(void)
{
	make_file("posix", 1, 1000);
	make_file("other", 2, 1000);
	posix_one = open_in("posix", O_RDWR);
	posix_two = open_in("posix", O_RDWR);
	posix_other = open_in("other", O_RDWR);
	posix_other_again = open_in("other", O_RDONLY);
	set_posix(posix_one, F_WRLCK, 10, 20);
	set_posix(posix_two, F_RDLCK, 100, 50);
	set_posix(posix_one, F_WRLCK, 500, 0);
	set_posix(posix_other, F_WRLCK, 0, 0);
}

static void check_posix(void)
{
	pid_t me = getpid();
	expect(posix_holder(posix_one, F_WRLCK, 10, 20) == me && posix_holder(posix_one, F_RDLCK, 29, 1) == me, "10-29 is lost");
	expect(posix_holder(posix_one, F_WRLCK, 0, 10) == 0 && posix_holder(posix_one, F_WRLCK, 30, 70) == 0, "10-29 has grown");
	expect(posix_holder(posix_one, F_WRLCK, 100, 50) == me, "100-149 is lost");
	expect(posix_holder(posix_one, F_RDLCK, 100, 50) == 0, "100-149 is no read lock");
	expect(posix_holder(posix_two, F_RDLCK, 1 << 20, 1) == me, "500-end is lost");
	expect(posix_holder(posix_other_again, F_RDLCK, 0, 1) == me, "the other file's is lost");
}

/* ---- neighbours: read locks on one range by three processes, and a lock of each */

static int neighbour_fd;
static struct peer neighbours[2];
static int neighbour_number;

static void lock_as_neighbour(void)
{
	neighbour_fd = open_in("neighbours", O_RDWR);
	set_posix(neighbour_fd, F_RDLCK, 0, 10);
	set_posix(neighbour_fd, F_WRLCK, 10 + 10 * neighbour_number, 10);
}

static void look_as_neighbour(void)
{
	expect(posix_holder(neighbour_fd, F_WRLCK, 10 + 10 * neighbour_number, 10) == getpid(), "the own lock is lost");
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 };
	expect(fcntl(neighbour_fd, F_SETLK, &lock) < 0 && errno == EAGAIN, "the others' read locks are lost");
}

static void set_up_neighbours(void)
{
	make_file("neighbours", 3, 1000);
	for (neighbour_number = 1; neighbour_number < 3; neighbour_number++)
		neighbours[neighbour_number - 1] = peer_fork(lock_as_neighbour, look_as_neighbour);
	neighbour_number = 0;
	lock_as_neighbour();
}

static void check_neighbours(void)
{
	look_as_neighbour();
	peer_check(&neighbours[0]);
	peer_check(&neighbours[1]);
}

/* ---- ofd: locks of a description, which a child and a dup share */

static int ofd_fd, ofd_dup;
static struct peer ofd_child;

static int ofd_conflicts(int through, short type, off_t start)
{
	int fd = reopen(through, O_RDWR);
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1 };
	int found = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return found;
}

static void use_ofd_as_child(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 5 };
	expect(fcntl(ofd_dup, F_OFD_SETLK, &lock) == 0, "the child's description is another one");
}

static void set_up_ofd(void)
{
	make_file("ofd", 4, 1000);
	ofd_fd = open_in("ofd", O_RDWR);
	ofd_dup = dup(ofd_fd);
	struct flock write_lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 };
	struct flock read_lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 50, .l_len = 0 };
	must(fcntl(ofd_fd, F_OFD_SETLK, &write_lock) == 0 && fcntl(ofd_fd, F_OFD_SETLK, &read_lock) == 0);
	ofd_child = peer_fork(NULL, use_ofd_as_child);
}

static void check_ofd(void)
{
	expect(ofd_conflicts(ofd_fd, F_RDLCK, 5), "the write lock is lost");
	expect(!ofd_conflicts(ofd_fd, F_WRLCK, 10), "the write lock has grown");
	expect(ofd_conflicts(ofd_fd, F_WRLCK, 60) && !ofd_conflicts(ofd_fd, F_RDLCK, 60), "the read lock is lost");
	peer_check(&ofd_child);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 };
	expect(fcntl(ofd_dup, F_OFD_SETLK, &lock) == 0, "the other number's description is another one");
}

/* ---- flock: exclusive, shared by two descriptions, and of a description that a child has, too */

static int flock_alone, flock_first, flock_second, flock_passed;
static struct peer flock_child;

static int flock_conflicts(int through, int operation)
{
	int fd = reopen(through, O_RDONLY);
	int found = flock(fd, operation | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return found;
}

static void look_as_flock_child(void)
{
	expect(flock(flock_passed, LOCK_EX | LOCK_NB) == 0, "the child's description is another one");
	expect(flock_conflicts(flock_passed, LOCK_SH), "the common lock is lost");
}

static void set_up_flock(void)
{
	make_file("alone", 5, 100);
	make_file("two", 5, 100);
	make_file("common", 5, 100);
	flock_alone = open_in("alone", O_RDONLY);
	flock_first = open_in("two", O_RDWR);
	flock_second = open_in("two", O_RDWR);
	flock_passed = open_in("common", O_RDWR);
	must(flock(flock_alone, LOCK_EX) == 0 && flock(flock_first, LOCK_SH) == 0 && flock(flock_second, LOCK_SH) == 0);
	must(flock(flock_passed, LOCK_EX) == 0);
	flock_child = peer_fork(NULL, look_as_flock_child);
}

static void check_flock(void)
{
	expect(flock_conflicts(flock_alone, LOCK_SH), "the exclusive lock is lost");
	expect(flock_conflicts(flock_first, LOCK_EX) && !flock_conflicts(flock_first, LOCK_SH), "the shared locks are lost");
	expect(flock_conflicts(flock_passed, LOCK_SH), "the common lock is lost");
	peer_check(&flock_child);
	/* Both shared locks are there: without one, the other is still in the way. */
	flock(flock_first, LOCK_UN);
	expect(flock_conflicts(flock_second, LOCK_EX), "the second shared lock is lost");
	flock(flock_first, LOCK_SH);
	flock(flock_second, LOCK_UN);
	expect(flock_conflicts(flock_first, LOCK_EX), "the first shared lock is lost");
	flock(flock_second, LOCK_SH);
}

/* ---- many: more locks than are taken at a time, of the process and of a description */

enum { MANY = 2000 };
static int many_posix, many_ofd;

static void set_up_many(void)
{
	make_file("many-posix", 8, 100);
	make_file("many-ofd", 8, 100);
	many_posix = open_in("many-posix", O_RDWR);
	many_ofd = open_in("many-ofd", O_RDWR);
	for (int i = 0; i < MANY; i++) {
		struct flock lock = { .l_type = i % 3 ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET, .l_start = 3 * i, .l_len = 1 };
		must(fcntl(many_posix, F_SETLK, &lock) == 0 && fcntl(many_ofd, F_OFD_SETLK, &lock) == 0);
	}
}

static void check_many(void)
{
	for (int i = 0; i < MANY; i += 97) {
		expect(posix_holder(many_posix, F_WRLCK, 3 * i, 1) == getpid(), "POSIX lock %d is lost", i);
		expect(posix_holder(many_posix, F_WRLCK, 3 * i + 1, 2) == 0, "POSIX lock %d has grown", i);
		expect(ofd_conflicts(many_ofd, F_WRLCK, 3 * i), "OFD lock %d is lost", i);
	}
}

/* ---- waiter: a child waits for a lock of this process, before and after */

static int waiter_fd, *waiter_has;
static pid_t waiter;

static void set_up_waiter(void)
{
	waiter_has = shared_memory(sizeof *waiter_has);
	make_file("waiter", 6, 100);
	waiter_fd = open_in("waiter", O_RDWR);
	set_posix(waiter_fd, F_WRLCK, 0, 10);
	waiter = fork();
	must(waiter >= 0);
	if (waiter == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10 };
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		*waiter_has = fcntl(waiter_fd, F_SETLKW, &lock) == 0 ? 1 : -errno;
		_exit(0);
	}
	belongs(waiter);
}

static void check_waiter(void)
{
	expect(*waiter_has == 0, "the waiting child got %d", *waiter_has);
	expect(posix_holder(waiter_fd, F_RDLCK, 0, 1) == getpid(), "the lock is lost");
}

static void finish_waiter(void)
{
	set_posix(waiter_fd, F_UNLCK, 0, 10);
	int status = -1;
	waitpid(waiter, &status, 0);
	expect(status == 0 && *waiter_has == 1, "the child got %d when the lock was free", *waiter_has);
}

/* ---- lease: for writing and for reading; breaking one is signalled as it was asked for */

enum { LEASE_SIGNAL = 40 };
static int lease_write, lease_read;

/* A lease that is given up takes the signal with it. */
static int take_lease(int fd, int type)
{
	return fcntl(fd, F_SETSIG, LEASE_SIGNAL) == 0 && fcntl(fd, F_SETLEASE, type) == 0;
}

static int set_up_lease(const char *name, int flags, int type)
{
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, LEASE_SIGNAL);
	must(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
	make_file(name, 7, 100);
	int fd = open_in(name, flags);
	must(take_lease(fd, type));
	return fd;
}

static void check_lease(int fd, int type, int breaker)
{
	expect(fcntl(fd, F_GETLEASE) == type, "the lease is %d", fcntl(fd, F_GETLEASE));
	expect(fcntl(fd, F_GETSIG) == LEASE_SIGNAL, "its signal is %d", fcntl(fd, F_GETSIG));
	pid_t child = fork();
	if (child == 0)
		_exit(reopen(fd, breaker | O_NONBLOCK) < 0 && errno == EWOULDBLOCK ? 0 : 1);
	int status = -1;
	waitpid(child, &status, 0);
	expect(status == 0, "the lease does not keep anybody off");
	sigset_t signals;
	siginfo_t info;
	struct timespec second = { 1, 0 };
	sigemptyset(&signals);
	sigaddset(&signals, LEASE_SIGNAL);
	expect(sigtimedwait(&signals, &info, &second) == LEASE_SIGNAL && info.si_fd == fd, "no signal of its breaking");
	fcntl(fd, F_SETLEASE, F_UNLCK);
	expect(take_lease(fd, type), "no new lease");
}

static void set_up_lease_write(void)
{
	lease_write = set_up_lease("leased-write", O_RDWR, F_WRLCK);
}

static void check_lease_write(void)
{
	check_lease(lease_write, F_WRLCK, O_RDONLY);
}

static void set_up_lease_read(void)
{
	lease_read = set_up_lease("leased-read", O_RDONLY, F_RDLCK);
}

static void check_lease_read(void)
{
	check_lease(lease_read, F_RDLCK, O_WRONLY);
}

/* ---- owner: who is signalled for what, and that it is, of FIFOs with O_ASYNC */

enum { OWNERS = 4, OWNER_SIGNAL = 41 };
static int owner_fds[OWNERS], owner_writers[OWNERS], owner_flags[OWNERS];
static struct f_owner_ex owners[OWNERS];

static void set_up_owner(void)
{
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGIO);
	sigaddset(&blocked, OWNER_SIGNAL);
	must(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
	owners[0] = (struct f_owner_ex){ F_OWNER_PID, getpid() };
	owners[1] = (struct f_owner_ex){ F_OWNER_TID, gettid() };
	owners[2] = (struct f_owner_ex){ F_OWNER_PGRP, getpgrp() };
	owners[3] = (struct f_owner_ex){ F_OWNER_PID, getpid() };
	for (int i = 0; i < OWNERS; i++) {
		char name[16];
		snprintf(name, sizeof name, "owned%d", i);
		must(mkfifo(in(name), 0600) == 0);
		owner_fds[i] = open_in(name, O_RDONLY | O_NONBLOCK);
		owner_writers[i] = open_in(name, O_WRONLY | O_NONBLOCK);
		must(fcntl(owner_fds[i], F_SETOWN_EX, &owners[i]) == 0);
		must(i == 0 || fcntl(owner_fds[i], F_SETSIG, OWNER_SIGNAL) == 0);
		must(i == 2 || fcntl(owner_fds[i], F_SETFL, O_ASYNC | O_NONBLOCK) == 0);
		owner_flags[i] = fcntl(owner_fds[i], F_GETFL);
	}
}

static void check_owner(void)
{
	for (int i = 0; i < OWNERS; i++) {
		struct f_owner_ex owner = { -1, -1 };
		fcntl(owner_fds[i], F_GETOWN_EX, &owner);
		expect(owner.type == owners[i].type && owner.pid == owners[i].pid, "owner %d is %d %d", i, owner.type, owner.pid);
		expect(fcntl(owner_fds[i], F_GETSIG) == (i == 0 ? 0 : OWNER_SIGNAL), "signal %d", fcntl(owner_fds[i], F_GETSIG));
		expect(fcntl(owner_fds[i], F_GETFL) == owner_flags[i], "flags %o", fcntl(owner_fds[i], F_GETFL));
		if (i == 2)
			continue;
		char byte = 'x';
		sigset_t signals;
		siginfo_t info = { 0 };
		struct timespec second = { 1, 0 };
		int signal = i == 0 ? SIGIO : OWNER_SIGNAL;
		sigemptyset(&signals);
		sigaddset(&signals, signal);
		expect(write(owner_writers[i], &byte, 1) == 1, "write");
		expect(sigtimedwait(&signals, &info, &second) == signal, "no signal %d of FIFO %d", signal, i);
		expect(i == 0 || info.si_fd == owner_fds[i], "the signal is of fd %d", info.si_fd);
		expect(read(owner_fds[i], &byte, 1) == 1, "read");
	}
}

static const struct victim_case cases[] = {
	{ "posix", set_up_posix, check_posix, NULL },
	{ "neighbours", set_up_neighbours, check_neighbours, NULL },
	{ "ofd", set_up_ofd, check_ofd, NULL },
	{ "flock", set_up_flock, check_flock, NULL },
	{ "many", set_up_many, check_many, NULL },
	{ "waiter", set_up_waiter, check_waiter, finish_waiter },
	{ "lease-write", set_up_lease_write, check_lease_write, NULL },
	{ "lease-read", set_up_lease_read, check_lease_read, NULL },
	{ "owner", set_up_owner, check_owner, NULL },
};
VICTIM(cases)
