/* File contents that both sides can compute: no byte is zero, so a page of zeros is never mistaken for data. */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* The byte of the file with this seed at this offset. support/pattern.ts computes the same. */
static inline unsigned char pattern_byte(uint32_t seed, uint32_t offset)
{
	uint32_t mixed = (offset + seed * 40503u) * 2654435761u;
	return (unsigned char)(1 + (mixed >> 15) % 255);
}

/* Whether the bytes are what the file holds from the offset on. */
static inline int pattern_matches(uint32_t seed, uint32_t offset, const volatile unsigned char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i] != pattern_byte(seed, offset + (uint32_t)i))
			return 0;
	return 1;
}

#endif
