/* Memory that is mapped from files of the mount, for the programs that have such. See victim.h. */
#ifndef MAPPING_H
#define MAPPING_H

#include "victim.h"

/* Maps a part of a file, of which no descriptor stays open. */
static unsigned char *map(const char *name, int flags, int prot, int kind, size_t pages, off_t offset)
{
	int fd = open_in(name, flags);
	unsigned char *start = mmap(NULL, pages * PAGE, prot, kind, fd, offset);
	must(start != MAP_FAILED);
	close(fd);
	return start;
}

/* Writes a whole page. */
static void fill(unsigned char *page, unsigned char value)
{
	memset(page, value, PAGE);
}

/* Whether a whole page has this value. */
static int all(const unsigned char *page, unsigned char value)
{
	for (int i = 0; i < PAGE; i++)
		if (page[i] != value)
			return 0;
	return 1;
}

#endif
