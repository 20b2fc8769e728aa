/* Starting a program that is nobody's child. */
#ifndef SPFS_SPAWN_H
#define SPFS_SPAWN_H

#include <stdbool.h>

#include "channel.h"

/*
 * Runs `program serve` with pipes as stdin and stdout, which are the channel, and `log` as stderr, in a session of its own, with no other file of ours and with no
 * signal blocked or ignored. It is a child of init: a child of CRIU's that ends would end the restore, and one that does not is waited for.
 * Returns false, and says why in CRIU's log, when it cannot be started within so many milliseconds.
 */
bool spawn(const char *program, int log, int timeout_ms, struct channel *channel);

#endif
