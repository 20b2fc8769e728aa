#define _GNU_SOURCE
#include "join.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

/* Returns a descriptor, or -1. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	int fd = move_off_stdio(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Whether a process has this namespace of ours. What cannot be told is none. */
static bool shares(pid_t pid, const char *name)
{
	char path[64];
	struct stat own, other;
	snprintf(path, sizeof path, "/proc/self/ns/%s", name);
	if (stat(path, &own) != 0)
		return false;
	snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, name);
	return stat(path, &other) == 0 && own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

enum join join_daemon(const char *path, struct channel *channel)
{
	int fd = connect_to(path);
	if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED))
		return JOIN_NOBODY;
	if (fd < 0) {
		log_error("%s: %s", path, strerror(errno));
		return JOIN_FAILED;
	}
	*channel = (struct channel){ .from = fd, .to = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), .pidfd = -1 };
	struct ucred peer = { 0 };
	socklen_t size = sizeof peer;
	bool known = channel->to >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
	/* 0: it is in a pid namespace that ours does not see. */
	bool near = known && peer.pid > 0 && shares(peer.pid, "mnt") && shares(peer.pid, "pid");
	channel->pidfd = near ? syscall(SYS_pidfd_open, peer.pid, 0) : -1;
	if (channel->pidfd >= 0)
		return JOIN_DONE;
	if (known && !near)
		log_error("%s: who listens there is in another mount or pid namespace than CRIU", path);
	else
		log_error("%s: %s", path, strerror(errno));
	channel_close(channel);
	return JOIN_FAILED;
}
