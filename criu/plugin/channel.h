/* What is spoken to a daemon by. */
#ifndef SPFS_CHANNEL_H
#define SPFS_CHANNEL_H

/* A process, and our ends of what leads to it; -1 for what there is not. */
struct channel {
	int pidfd;
	/* Written to and read from; they do not block, and are closed by exec(3). */
	int to, from;
};

#define NO_CHANNEL { .pidfd = -1, .to = -1, .from = -1 }

/* Closes what there is of it. */
void channel_close(struct channel *channel);

/*
 * Moves a descriptor to a number that is not where stdin, stdout and stderr belong, which CRIU may have been started without; exec(3)
 * closes it. Returns the new one, or -1 and errno, which stays as it was when there is none to move. The old one is closed either way.
 */
int move_off_stdio(int fd);

#endif
