/*
 * As much of JSON as the control protocol needs: finding values in text, and writing strings. Nothing is built of what is read; a value
 * is known by where it begins.
 */
#ifndef SPFS_JSON_H
#define SPFS_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

/* Behind the value that begins at `at`, blanks before it left out; NULL when there is no whole value. */
const char *json_skip(const char *at);

/* The value of an object's member; NULL when this is no object or has no such member. */
const char *json_member(const char *object, const char *key);

/* The next value of an array: the first one after the array itself, else the one after `previous`; NULL when there is none. */
const char *json_next(const char *array, const char *previous);

/* Whether a value is this string, which is plain ASCII. */
bool json_is(const char *value, const char *string);

/* Adds the text of a string to a text for people: escapes are taken back as far as they are ASCII. Nothing for another value. */
void json_read(struct text *text, const char *value);

/* Adds bytes as the protocol has paths: a string, or an object with base64 where they are not plain ASCII. */
void json_write(struct text *text, const char *bytes, size_t count);

#endif
