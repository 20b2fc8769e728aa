#define _GNU_SOURCE
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool text_reserve(struct text *text, size_t more)
{
	if (text->failed)
		return false;
	size_t needed = text->length + more + 1;
	if (needed <= text->room)
		return true;
	size_t room = needed < 2 * text->room ? 2 * text->room : needed;
	char *bytes = realloc(text->bytes, room);
	if (bytes == NULL) {
		text->failed = true;
		return false;
	}
	text->bytes = bytes;
	text->room = room;
	return true;
}

void text_add(struct text *text, const char *bytes, size_t count)
{
	if (!text_reserve(text, count))
		return;
	memcpy(text->bytes + text->length, bytes, count);
	text->length += count;
	text->bytes[text->length] = 0;
}

void text_print(struct text *text, const char *format, ...)
{
	char *printed;
	va_list arguments;
	va_start(arguments, format);
	int length = vasprintf(&printed, format, arguments);
	va_end(arguments);
	if (length < 0) {
		text->failed = true;
		return;
	}
	text_add(text, printed, length);
	free(printed);
}

void text_drop(struct text *text, size_t count)
{
	if (count == 0)
		return;
	text->length -= count;
	memmove(text->bytes, text->bytes + count, text->length + 1);
}

void text_free(struct text *text)
{
	free(text->bytes);
	*text = (struct text){ 0 };
}
