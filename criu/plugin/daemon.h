/*
 * `spfs serve` as a process that CRIU can lose sight of, and the control protocol: on the stdin and stdout of one that it has started, or on the
 * socket of one that was there before.
 */
#ifndef SPFS_DAEMON_H
#define SPFS_DAEMON_H

#include <stdbool.h>

#include "channel.h"
#include "text.h"

/* One that is used. */
struct daemon {
	struct channel channel;
	/* How long it may take to answer, in milliseconds: $SPFS_TIMEOUT. */
	int timeout_ms;
	/* What it wrote, from the line that was taken last on, which has so many bytes. */
	struct text input;
	size_t taken;
	/* How many it was sent, and how many of them are answered. */
	unsigned requests, answered;
	/* Whether the last request was refused since the daemon is somebody else's already. */
	bool conflict;
	/* Why nothing can be asked of it any more, an errno; 0 while it answers. */
	int lost;
};

#define NO_DAEMON { .channel = NO_CHANNEL }

/* How long it has for each answer, by $SPFS_TIMEOUT. Returns milliseconds, or -1 when that is no number of them; CRIU's log says so. */
int daemon_patience(void);

/*
 * Begins the conversation with a daemon of this restore's own: introduces itself, and calls a first method. It is the one that listens at
 * $SPFS_SOCKET already, or $SPFS_PROGRAM, or spfs in PATH, which is started in a session of its own and as nobody's child; the
 * log of that is appended to $SPFS_LOG, or to spfs.log in the working directory. Returns the result, which is good until the next call, or NULL
 * when it cannot be used: CRIU's log says why, and it is ended then, unless it refuses by `conflict`: it has mounts that are not this restore's.
 */
const char *daemon_start(struct daemon *daemon, int timeout_ms, const char *method, const char *params);

/*
 * Calls a method with parameters in JSON and waits for the answer. Returns the result, which is good until the next call, or NULL: then
 * CRIU's log says why, unless it is `quiet`.
 */
const char *daemon_call(struct daemon *daemon, const char *method, const char *params, bool quiet);

/* Goes away from it: it finishes what it was ordered to and ends by itself. */
void daemon_leave(struct daemon *daemon);

/* Has it take away what it made, and waits for its end; kills it when it takes too long. */
void daemon_end(struct daemon *daemon);

#endif
