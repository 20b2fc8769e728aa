/* A daemon that was started before CRIU was. */
#ifndef SPFS_JOIN_H
#define SPFS_JOIN_H

#include "channel.h"

enum join { JOIN_FAILED = -1, JOIN_NOBODY, JOIN_DONE };

/*
 * Connects to the unix socket at `path`: the channel is the connection, twice. JOIN_NOBODY when nothing listens there. JOIN_FAILED, and CRIU's log says why, when it cannot be
 * connected to, or when who listens is in another mount or pid namespace than CRIU, where it would make stand-ins that CRIU does not see.
 * Never blocks.
 */
enum join join_daemon(const char *path, struct channel *channel);

#endif
