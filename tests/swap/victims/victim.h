/*
 * The frame of the programs that hold something on a mount while it is changed underneath.
 *
 * PROGRAM DIRECTORY CASE...
 *
 * Each case sets up what it holds below DIRECTORY. Then the program writes "ready", followed by the pids of the processes that belong
 * to it besides itself, and obeys lines on stdin: "check" looks at everything that is held and answers "ok" or "bad: WHY"; "end" does
 * so for the last time, with what can be looked at only once, and exits. A check may use up what it finds but leaves as much behind,
 * so that it can be repeated. DIRECTORY is used as a path only while setting up: afterwards it may lead to another file system.
 */
#ifndef VICTIM_H
#define VICTIM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../e2e/victims/pattern.h"

/* One thing that is held. `check` and `finish` may be NULL. */
struct victim_case {
	const char *name;
	void (*set_up)(void);
	void (*check)(void);
	void (*finish)(void);
};

enum { PAGE = 4096, MAX_OTHERS = 128, COMPLAINT = 512 };

/* What the current check found first; empty when nothing. */
static char complaint[COMPLAINT];
static const char *directory;
static pid_t others[MAX_OTHERS];
static int other_count;

__attribute__((format(printf, 1, 2), unused)) static void complain(const char *format, ...)
{
	if (complaint[0] != 0)
		return;
	int error = errno;
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(complaint, sizeof complaint, format, arguments);
	va_end(arguments);
	if (length >= 0 && length < COMPLAINT)
		snprintf(complaint + length, sizeof complaint - length, " (errno %d)", error);
}

/* What has to hold in a check; the rest says, like printf, what does not. */
#define expect(condition, ...)                                                                                                         \
	do {                                                                                                                           \
		if (!(condition))                                                                                                      \
			complain(__VA_ARGS__);                                                                                         \
	} while (0)

/* What has to hold while setting up. */
#define must(condition)                                                                                                                \
	do {                                                                                                                           \
		if (!(condition)) {                                                                                                    \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno));                           \
			_exit(2);                                                                                                      \
		}                                                                                                                      \
	} while (0)

/* Tells the tests of a process that belongs to this program. */
__attribute__((unused)) static void belongs(pid_t pid)
{
	must(other_count < MAX_OTHERS);
	others[other_count++] = pid;
}

/* The path of a name below the directory. */
__attribute__((unused)) static const char *in(const char *name)
{
	char *path;
	must(asprintf(&path, "%s/%s", directory, name) > 0);
	return path;
}

/* Writes the bytes of the pattern from an offset on. */
__attribute__((unused)) static void put_pattern(int fd, unsigned seed, off_t offset, size_t count)
{
	unsigned char bytes[PAGE];
	while (count > 0) {
		size_t part = count < sizeof bytes ? count : sizeof bytes;
		for (size_t i = 0; i < part; i++)
			bytes[i] = pattern_byte(seed, (uint32_t)(offset + i));
		must(pwrite(fd, bytes, part, offset) == (ssize_t)part);
		offset += part;
		count -= part;
	}
}

/* Makes a file with that many bytes of the pattern. */
__attribute__((unused)) static void make_file(const char *name, unsigned seed, size_t size)
{
	int fd = open(in(name), O_WRONLY | O_CREAT | O_EXCL, 0644);
	must(fd >= 0);
	put_pattern(fd, seed, 0, size);
	must(close(fd) == 0);
}

/* Opens what is below the directory. */
__attribute__((unused)) static int open_in(const char *name, int flags)
{
	int fd = open(in(name), flags, 0644);
	must(fd >= 0);
	return fd;
}

/* Another description of what a descriptor is open on, wherever that is now; -1 and errno as open(2). */
__attribute__((unused)) static int reopen(int fd, int flags)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, flags);
}

/* Whether the next bytes at the descriptor's own offset are those of the pattern. */
__attribute__((unused)) static int reads_pattern(int fd, unsigned seed, off_t offset, size_t count)
{
	unsigned char bytes[PAGE];
	return lseek(fd, 0, SEEK_CUR) == offset && read(fd, bytes, count) == (ssize_t)count &&
	       pattern_matches(seed, (uint32_t)offset, bytes, count);
}

/* Another process of this program, which looks at what it holds when it is asked. */
struct peer {
	pid_t pid;
	int to, from;
};

__attribute__((unused)) static void peer_serve(int from, int to, void (*check)(void))
{
	char order;
	while (read(from, &order, 1) == 1) {
		complaint[0] = 0;
		errno = 0;
		check();
		if (write(to, complaint, sizeof complaint) != sizeof complaint)
			break;
	}
	_exit(0);
}

/* Forks one. */
__attribute__((unused)) static struct peer peer_fork(void (*set_up)(void), void (*check)(void))
{
	int down[2], up[2];
	must(pipe2(down, O_CLOEXEC) == 0 && pipe2(up, O_CLOEXEC) == 0);
	struct peer peer = { fork(), down[1], up[0] };
	must(peer.pid >= 0);
	if (peer.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(down[1]);
		close(up[0]);
		if (set_up != NULL)
			set_up();
		must(write(up[1], "", 1) == 1);
		peer_serve(down[0], up[1], check);
	}
	close(down[0]);
	close(up[1]);
	char started;
	must(read(peer.from, &started, 1) == 1);
	belongs(peer.pid);
	return peer;
}

/* Starts one that is no relative: its parent has ended. */
__attribute__((unused)) static struct peer peer_unrelated(void (*set_up)(void), void (*check)(void))
{
	int down[2], up[2];
	must(pipe2(down, O_CLOEXEC) == 0 && pipe2(up, O_CLOEXEC) == 0);
	pid_t parent = fork();
	must(parent >= 0);
	if (parent == 0) {
		pid_t pid = fork();
		if (pid != 0)
			_exit(pid < 0);
		setsid();
		close(down[1]);
		close(up[0]);
		pid = getpid();
		must(write(up[1], &pid, sizeof pid) == sizeof pid);
		if (set_up != NULL)
			set_up();
		must(write(up[1], "", 1) == 1);
		peer_serve(down[0], up[1], check);
	}
	close(down[0]);
	close(up[1]);
	int status;
	must(waitpid(parent, &status, 0) == parent && status == 0);
	struct peer peer = { 0, down[1], up[0] };
	must(read(peer.from, &peer.pid, sizeof peer.pid) == sizeof peer.pid);
	belongs(peer.pid);
	return peer;
}

/* Waits until an unrelated one has set up what it holds. */
__attribute__((unused)) static void peer_ready(const struct peer *peer)
{
	char started;
	must(read(peer->from, &started, 1) == 1);
}

/* Has it look. */
__attribute__((unused)) static void peer_check(const struct peer *peer)
{
	char found[COMPLAINT];
	size_t got = 0;
	ssize_t count = write(peer->to, "c", 1);
	while (count > 0 && got < sizeof found) {
		count = read(peer->from, found + got, sizeof found - got);
		got += count > 0 ? (size_t)count : 0;
	}
	expect(got == sizeof found, "process %d has ended", peer->pid);
	if (got == sizeof found && found[0] != 0)
		complain("process %d: %s", peer->pid, found);
}

/* Memory that the forked share with their parent, zeroed. */
__attribute__((unused)) static void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(memory != MAP_FAILED);
	return memory;
}

/* Sends descriptors by SCM_RIGHTS. */
__attribute__((unused)) static void send_fds(int socket, const int *fds, int count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control;
	char byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control };
	must(count <= 16);
	message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	control.header =
	    (struct cmsghdr){ .cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	must(sendmsg(socket, &message, 0) == 1);
}

/* Receives them. */
__attribute__((unused)) static void receive_fds(int socket, int *fds, int count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control;
	char byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	must(recvmsg(socket, &message, 0) == 1 && control.header.cmsg_len == CMSG_LEN(count * sizeof(int)));
	memcpy(fds, CMSG_DATA(&control.header), count * sizeof(int));
}

static void say(const char *text)
{
	size_t length = strlen(text);
	if (write(1, text, length) != (ssize_t)length)
		_exit(3);
}

/* A line of stdin without its newline, byte by byte: nothing is read ahead. Returns 0 at the end. */
static int read_line(char *line, size_t size)
{
	for (size_t i = 0; i < size;) {
		ssize_t count = read(0, line + i, 1);
		if (count < 0)
			fprintf(stderr, "read: %s\n", strerror(errno));
		if (count != 1)
			return 0;
		if (line[i] == '\n') {
			line[i] = 0;
			return 1;
		}
		i++;
	}
	return 0;
}

static void say_found(void)
{
	char text[COMPLAINT + 16];
	if (complaint[0] == 0) {
		say("ok\n");
		return;
	}
	for (char *at = complaint; *at != 0; at++)
		if (*at == '\n')
			*at = ' ';
	snprintf(text, sizeof text, "bad: %s\n", complaint);
	say(text);
}

static int victim_main(int argc, char **argv, const struct victim_case *cases, size_t case_count)
{
	const struct victim_case *chosen[64];
	int chosen_count = 0;
	if (argc < 3)
		return 2;
	directory = argv[1];
	for (int i = 2; i < argc; i++)
		for (size_t k = 0; k < case_count; k++)
			if (strcmp(argv[i], cases[k].name) == 0)
				chosen[chosen_count++] = &cases[k];
	if (chosen_count != argc - 2) {
		fprintf(stderr, "%s: no such case\n", argv[0]);
		return 2;
	}
	for (int i = 0; i < chosen_count; i++)
		chosen[i]->set_up();
	char line[32 + MAX_OTHERS * 12] = "ready";
	size_t length = 5;
	for (int i = 0; i < other_count; i++)
		length += snprintf(line + length, sizeof line - length, " %d", others[i]);
	snprintf(line + length, sizeof line - length, "\n");
	say(line);
	while (read_line(line, sizeof line)) {
		int last = strcmp(line, "end") == 0;
		complaint[0] = 0;
		errno = 0;
		for (int i = 0; i < chosen_count; i++)
			if (chosen[i]->check != NULL)
				chosen[i]->check();
		for (int i = 0; last && i < chosen_count; i++)
			if (chosen[i]->finish != NULL)
				chosen[i]->finish();
		say_found();
		if (last)
			return 0;
	}
	return 1;
}

/* The program that has these cases. */
#define VICTIM(cases)                                                                                                                  \
	int main(int argc, char **argv)                                                                                                \
	{                                                                                                                              \
		return victim_main(argc, argv, cases, sizeof cases / sizeof cases[0]);                                                 \
	}

#endif
