#include "json.h"

#include <ctype.h>
#include <string.h>

/* As deep as spfs itself reads. */
enum { MAX_DEPTH = 64 };

static const char *blanks(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
	for (at++; *at != '"'; at++) {
		if (*at == '\\')
			at++;
		if ((unsigned char)*at < ' ')
			return NULL;
	}
	return at + 1;
}

/* A number, or a name such as true: what exactly it is, the reader of the line says. */
static const char *skip_word(const char *at)
{
	const char *end = at;
	while (isalnum((unsigned char)*end) || *end == '-' || *end == '+' || *end == '.')
		end++;
	return end == at ? NULL : end;
}

static const char *skip(const char *at, int depth);

static const char *skip_members(const char *at, int depth)
{
	char close = *at == '{' ? '}' : ']';
	bool named = close == '}';
	at = blanks(at + 1);
	if (*at == close)
		return at + 1;
	for (;;) {
		if (named) {
			if (*at != '"' || (at = skip_string(at)) == NULL || *(at = blanks(at)) != ':')
				return NULL;
			at++;
		}
		if ((at = skip(at, depth + 1)) == NULL)
			return NULL;
		at = blanks(at);
		if (*at == close)
			return at + 1;
		if (*at != ',')
			return NULL;
		at = blanks(at + 1);
	}
}

static const char *skip(const char *at, int depth)
{
	at = blanks(at);
	if (depth > MAX_DEPTH)
		return NULL;
	if (*at == '"')
		return skip_string(at);
	return *at == '{' || *at == '[' ? skip_members(at, depth) : skip_word(at);
}

const char *json_skip(const char *at)
{
	return skip(at, 0);
}

const char *json_member(const char *object, const char *key)
{
	if (object == NULL || *object != '{' || json_skip(object) == NULL)
		return NULL;
	for (const char *at = blanks(object + 1); *at == '"'; at = blanks(at + 1)) {
		const char *value = blanks(blanks(skip_string(at)) + 1);
		if (json_is(at, key))
			return value;
		at = blanks(json_skip(value));
		if (*at != ',')
			return NULL;
	}
	return NULL;
}

const char *json_next(const char *array, const char *previous)
{
	if (previous == NULL) {
		if (array == NULL || *array != '[' || json_skip(array) == NULL)
			return NULL;
		const char *first = blanks(array + 1);
		return *first == ']' ? NULL : first;
	}
	const char *at = blanks(json_skip(previous));
	return *at == ',' ? blanks(at + 1) : NULL;
}

bool json_is(const char *value, const char *string)
{
	size_t length = strlen(string);
	return value != NULL && *value == '"' && strncmp(value + 1, string, length) == 0 && value[length + 1] == '"';
}

void json_read(struct text *text, const char *value)
{
	static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f   ";
	if (value == NULL || *value != '"' || skip_string(value) == NULL)
		return;
	for (const char *at = value + 1; *at != '"'; at++) {
		const char *escape = *at == '\\' ? strchr(escapes, at[1]) : NULL;
		if (escape != NULL)
			at++;
		text_add(text, escape == NULL ? at : meant + (escape - escapes), 1);
	}
}

static void write_base64(struct text *text, const char *bytes, size_t count)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t at = 0; at < count; at += 3) {
		unsigned value = 0;
		for (size_t i = at; i < at + 3; i++)
			value = value << 8 | (i < count ? (unsigned char)bytes[i] : 0);
		char quartet[4];
		for (int i = 0; i < 4; i++)
			quartet[i] = at + i <= count ? digits[value >> (18 - 6 * i) & 63] : '=';
		text_add(text, quartet, 4);
	}
}

void json_write(struct text *text, const char *bytes, size_t count)
{
	bool plain = true;
	for (size_t i = 0; i < count; i++)
		plain = plain && bytes[i] >= ' ' && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\';
	if (plain) {
		text_add(text, "\"", 1);
		text_add(text, bytes, count);
		text_add(text, "\"", 1);
		return;
	}
	text_print(text, "{\"b64\":\"");
	write_base64(text, bytes, count);
	text_print(text, "\"}");
}
