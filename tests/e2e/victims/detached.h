/* What a process needs to be dumped by CRIU without options: a session of its own and no pipe to somebody outside. */
#ifndef DETACHED_H
#define DETACHED_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <unistd.h>

/* Leaves the parent's session and all its files. */
static inline void detach(void)
{
	int null = open("/dev/null", O_RDWR);
	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close_range(3, ~0U, 0);
}

#endif
