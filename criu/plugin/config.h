/* What is to be delayed, as docs/criu.md has it. */
#ifndef SPFS_CONFIG_H
#define SPFS_CONFIG_H

#include "text.h"

enum config { CONFIG_WRONG = -1, CONFIG_NONE, CONFIG_THERE };

/*
 * Adds what is to be delayed, the `config` of restore.prepare, as JSON in one line: the content of the file $SPFS_CONFIG, or the list
 * $SPFS_DELAY, or the content of spfs-restore.json in the directory of the images. What is wrong is in CRIU's log.
 */
enum config config_read(int images, struct text *config);

#endif
