/*
 * Makes system calls for a test. Reads a line for each, "COMMAND WORD...", and replies with a line: "= RESULT", or "! ERRNO" when the
 * call failed. Words are percent-encoded where they hold bytes below 33 or above 126, numbers are decimal, 0octal or 0xhex, data is
 * hexadecimal. Exits, without closing anything itself, at the end of its input.
 */
#define _GNU_SOURCE
#include "agent.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char **words;
int count;

static int digit(char c) {
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

const char *text(int index) {
    if (index >= count) exit(3);
    return words[index];
}

long long number(int index) {
    return (long long)strtoull(text(index), NULL, 0);
}

unsigned char *bytes(int index, size_t *length) {
    const char *hex = text(index);
    *length = strlen(hex) / 2;
    unsigned char *data = malloc(*length + 1);
    for (size_t i = 0; i < *length; i++) data[i] = digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]);
    return data;
}

void reply(long long result) {
    if (result < 0) printf("! %s\n", strerrorname_np(errno));
    else printf("= %lld\n", result);
}

void reply_text(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("= ", stdout);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

void reply_bytes(const void *data, size_t length) {
    fputs("= ", stdout);
    for (size_t i = 0; i < length; i++) printf("%02x", ((const unsigned char *)data)[i]);
    putchar('\n');
}

/* In place: an encoded word is never shorter than what it stands for. */
static void decode(char *word) {
    char *to = word;
    for (; *word; word++) {
        if (*word != '%') *to++ = *word;
        else {
            *to++ = digit(word[1]) << 4 | digit(word[2]);
            word += 2;
        }
    }
    *to = 0;
}

static const struct command *find(const char *name) {
    const struct command *tables[] = { file_commands, name_commands, memory_commands, process_commands, churn_commands };
    for (int i = 0; i < 5; i++)
        for (const struct command *at = tables[i]; at->name; at++)
            if (!strcmp(at->name, name)) return at;
    return NULL;
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    words = calloc(64, sizeof(char *));
    while ((length = getline(&line, &room, stdin)) > 0) {
        if (line[length - 1] == '\n') line[length - 1] = 0;
        count = 0;
        char *rest = line;
        for (char *word; count < 64 && (word = strsep(&rest, " "));) words[count++] = word;
        for (int i = 0; i < count; i++) decode(words[i]);
        const struct command *command = find(words[0]);
        if (!command) printf("! unknown %s\n", words[0]);
        else command->run();
        fflush(stdout);
    }
    return 0;
}
