/* A process that makes system calls for a test, one for each line that it reads: see agent.c. */
#pragma once
#include <stddef.h>
#include <sys/types.h>

/* The words of the command at hand; words[0] is its name. */
extern char **words;
extern int count;

/* One command: its name and what carries it out. */
struct command {
    const char *name;
    void (*run)(void);
};

extern const struct command file_commands[], name_commands[], memory_commands[], process_commands[], churn_commands[];

/* The word at `index`, percent-decoded; the agent ends when there is none. */
const char *text(int index);
/* The word at `index` as a number: decimal, 0x or 0 prefixed. */
long long number(int index);
/* The word at `index` as bytes in hexadecimal; the caller frees them. */
unsigned char *bytes(int index, size_t *length);

/* Replies: a number, an errno when it is negative. */
void reply(long long result);
/* Replies with text. */
void reply_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Replies with bytes in hexadecimal. */
void reply_bytes(const void *data, size_t length);
