/*
 * What a process has that is dumped and restored, and reports in between: it is detached, adds its lines to a file that is on no mount of the
 * test's, and is told to go on by SIGUSR1, which it holds back until it waits for it.
 */
#ifndef REPORT_H
#define REPORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "detached.h"

static int result_fd;
static sigset_t report_go;

/* Detaches, and opens the file that exists. Returns whether that went well. */
static int report_to(const char *result)
{
	detach();
	sigemptyset(&report_go);
	sigaddset(&report_go, SIGUSR1);
	sigprocmask(SIG_BLOCK, &report_go, NULL);
	result_fd = open(result, O_WRONLY | O_APPEND);
	return result_fd >= 0;
}

/* Adds "NAME ok", or "NAME WRONG ERRNO". */
static void tell(const char *name, const char *wrong)
{
	char line[PATH_MAX + 64];
	int length = wrong == NULL ? snprintf(line, sizeof line, "%s ok\n", name)
				   : snprintf(line, sizeof line, "%s %s %s\n", name, wrong, strerrorname_np(errno));
	if (write(result_fd, line, length) != length)
		_exit(3);
	errno = 0;
}

/* Waits for SIGUSR1. A stop ends the call, and so does CRIU. */
static void await_go(void)
{
	while (sigwaitinfo(&report_go, NULL) < 0 && errno == EINTR)
		;
	errno = 0;
}

#endif
