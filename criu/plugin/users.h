/* Who uses a stand-in. */
#ifndef SPFS_USERS_H
#define SPFS_USERS_H

#include <stdbool.h>
#include <sys/types.h>

#include "text.h"

/*
 * Whether a process has anything of a stand-in that is in place: an open file, a mapping, its working or root directory, its program. Adds
 * where that stand-in is mounted. Asks no file system, so that it never waits; a process that has ended uses nothing.
 */
bool uses_stand_in(pid_t pid, struct text *mountpoint);

#endif
