/* Text that grows. */
#ifndef SPFS_TEXT_H
#define SPFS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed it is empty. `bytes` ends with a NUL that `length` does not count, once something was added. */
struct text {
	char *bytes;
	size_t length, room;
	/* Memory ran out: nothing is added any more. Whoever uses the text looks here first. */
	bool failed;
};

/* Makes room for so many more bytes, and a NUL. Returns false, and marks the text, when there is no memory. */
bool text_reserve(struct text *text, size_t more);

/* Adds bytes. */
void text_add(struct text *text, const char *bytes, size_t count);

/* Adds what printf(3) would print. */
__attribute__((format(printf, 2, 3))) void text_print(struct text *text, const char *format, ...);

/* Takes away what is in front. */
void text_drop(struct text *text, size_t count);

/* Gives the memory back; the text is empty then. */
void text_free(struct text *text);

#endif
