/* What cannot be moved: each of these holds a file that could be, and something on the mount that cannot. See victim.h. */
#include "victim.h"

#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static int held;
static off_t held_at;

static void hold_file(void)
{
	make_file("held", 1, 5000);
	held = open_in("held", O_RDONLY);
}

static void check_file(void)
{
	expect(reads_pattern(held, 1, held_at, 10), "at %ld", (long)lseek(held, 0, SEEK_CUR));
	held_at += 10;
}

static unsigned char *mapped;

static void map_file(int kind, size_t pages)
{
	make_file("mapped", 2, pages * PAGE);
	int fd = open_in("mapped", O_RDWR);
	mapped = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, kind | MAP_POPULATE, fd, 0);
	must(mapped != MAP_FAILED && close(fd) == 0);
}

static void check_mapped(void)
{
	check_file();
	expect(pattern_matches(2, 0, mapped, PAGE), "other bytes are mapped");
}

/* ---- userfaultfd */

static void set_up_userfaultfd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	hold_file();
	map_file(MAP_SHARED, 4);
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	must(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0);
	struct uffdio_register range = { .range = { (uintptr_t)mapped, 4 * PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	must(ioctl(fd, UFFDIO_REGISTER, &range) == 0);
}

/* ---- sealed, shared and private */

static void set_up_sealed_shared(void)
{
	hold_file();
	map_file(MAP_SHARED, 4);
	must(syscall(SYS_mseal, mapped, 4 * PAGE, 0) == 0);
}

static void set_up_sealed_private(void)
{
	hold_file();
	map_file(MAP_PRIVATE, 4);
	must(syscall(SYS_mseal, mapped + PAGE, PAGE, 0) == 0);
}

/* ---- ring: a file that only an io_uring has */

static void set_up_ring(void)
{
	struct io_uring_params parameters = { 0 };
	hold_file();
	int ring = (int)syscall(SYS_io_uring_setup, 4, &parameters);
	make_file("fixed", 3, 1000);
	int fixed[1] = { open_in("fixed", O_RDONLY) };
	must(ring >= 0 && syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, fixed, 1) == 0);
	must(close(fixed[0]) == 0);
}

/* ---- flight: a file that is in a message nobody has received yet */

static int flight[2];

static void send_in_flight(int fd)
{
	send_fds(flight[0], &fd, 1);
	must(close(fd) == 0);
}

static void set_up_flight(void)
{
	hold_file();
	must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, flight) == 0);
	make_file("flight", 4, 1000);
	send_in_flight(open_in("flight", O_RDONLY));
}

static void check_flight(void)
{
	int fd;
	check_file();
	receive_fds(flight[1], &fd, 1);
	expect(lseek(fd, 0, SEEK_SET) == 0 && reads_pattern(fd, 4, 0, 100), "another file arrived");
	send_in_flight(fd);
}

/* ---- sharer: a child that has the held file, too, and nothing that cannot be moved */

static struct peer sharer;

static void close_flight(void)
{
	close(flight[0]);
	close(flight[1]);
}

static void set_up_sharer(void)
{
	sharer = peer_fork(close_flight, check_file);
}

/* ---- traced: a child that is being traced already, by this process */

static struct peer traced;

static void set_up_traced(void)
{
	hold_file();
	traced = peer_fork(NULL, check_file);
	must(ptrace(PTRACE_SEIZE, traced.pid, NULL, NULL) == 0);
}

static void check_traced(void)
{
	char line[256];
	int found = 0;
	snprintf(line, sizeof line, "/proc/%d/status", traced.pid);
	FILE *status = fopen(line, "r");
	while (status != NULL && fgets(line, sizeof line, status) != NULL)
		found |= strncmp(line, "TracerPid:", 10) == 0 && atoi(line + 10) == getpid();
	if (status != NULL)
		fclose(status);
	expect(found, "the tracer is another one");
	peer_check(&traced);
}

/* ---- vfork: a task that waits for a child that does not end, and which nothing can stop meanwhile */

static int vfork_pipe[2];
static pid_t vfork_parent;

static void set_up_vfork(void)
{
	hold_file();
	must(pipe2(vfork_pipe, O_CLOEXEC) == 0);
	int told[2];
	must(pipe2(told, O_CLOEXEC) == 0);
	vfork_parent = fork();
	must(vfork_parent >= 0);
	if (vfork_parent == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(vfork_pipe[1]);
		if (vfork() == 0) {
			char byte;
			pid_t pid = (pid_t)syscall(SYS_getpid);
			(void)!write(told[1], &pid, sizeof pid);
			(void)!read(vfork_pipe[0], &byte, 1);
			_exit(0);
		}
		_exit(33);
	}
	pid_t child;
	must(read(told[0], &child, sizeof child) == sizeof child);
	belongs(vfork_parent);
	belongs(child);
	close(told[0]);
	close(told[1]);
	close(vfork_pipe[0]);
}

static void finish_vfork(void)
{
	int status = -1;
	close(vfork_pipe[1]);
	expect(waitpid(vfork_parent, &status, 0) == vfork_parent && WIFEXITED(status) && WEXITSTATUS(status) == 33, "status %x", status);
}

static const struct victim_case cases[] = {
	{ "userfaultfd", set_up_userfaultfd, check_mapped, NULL },
	{ "sealed-shared", set_up_sealed_shared, check_mapped, NULL },
	{ "sealed-private", set_up_sealed_private, check_mapped, NULL },
	{ "ring", set_up_ring, check_file, NULL },
	{ "flight", set_up_flight, check_flight, NULL },
	{ "sharer", set_up_sharer, NULL, NULL },
	{ "traced", set_up_traced, check_traced, NULL },
	{ "vfork", set_up_vfork, check_file, finish_vfork },
};
VICTIM(cases)
