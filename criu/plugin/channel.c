#define _GNU_SOURCE
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void channel_close(struct channel *channel)
{
	const int files[] = { channel->to, channel->from, channel->pidfd };
	for (int i = 0; i < 3; i++)
		if (files[i] >= 0)
			close(files[i]);
	*channel = (struct channel)NO_CHANNEL;
}

int move_off_stdio(int fd)
{
	if (fd < 0)
		return -1;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int error = errno;
	close(fd);
	errno = error;
	return moved;
}
