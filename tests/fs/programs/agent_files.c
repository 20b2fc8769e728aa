/* Commands on open files. */
#define _GNU_SOURCE
#include "agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* open PATH FLAGS [MODE] */
static void run_open(void) {
    reply(open(text(1), number(2), count > 3 ? (mode_t)number(3) : 0));
}

static void run_close(void) {
    reply(close(number(1)));
}

static void run_dup(void) {
    reply(dup(number(1)));
}

static void got(void *data, ssize_t length) {
    if (length < 0) reply(-1);
    else reply_bytes(data, length);
    free(data);
}

/* read FD SIZE */
static void run_read(void) {
    void *data = malloc(number(2) + 1);
    got(data, read(number(1), data, number(2)));
}

/* pread FD SIZE OFFSET */
static void run_pread(void) {
    void *data = malloc(number(2) + 1);
    got(data, pread(number(1), data, number(2), number(3)));
}

/* write FD BYTES */
static void run_write(void) {
    size_t length;
    unsigned char *data = bytes(2, &length);
    reply(write(number(1), data, length));
    free(data);
}

/* pwrite FD BYTES OFFSET */
static void run_pwrite(void) {
    size_t length;
    unsigned char *data = bytes(2, &length);
    reply(pwrite(number(1), data, length, number(3)));
    free(data);
}

/* lseek FD OFFSET WHENCE */
static void run_lseek(void) {
    reply(lseek(number(1), number(2), number(3)));
}

static void run_ftruncate(void) {
    reply(ftruncate(number(1), number(2)));
}

/* fallocate FD MODE OFFSET LENGTH */
static void run_fallocate(void) {
    reply(fallocate(number(1), number(2), number(3), number(4)));
}

/* copy FD OFFSET FD OFFSET LENGTH: copy_file_range(2) */
static void run_copy(void) {
    off_t in = number(2), out = number(4);
    reply(copy_file_range(number(1), &in, number(3), &out, number(5), 0));
}

static void run_fsync(void) {
    reply(fsync(number(1)));
}

static void run_fdatasync(void) {
    reply(fdatasync(number(1)));
}

/* getdents FD SIZE: one getdents64(2), as NAME@OFFSET words; names are percent-encoded */
static void run_getdents(void) {
    size_t size = number(2);
    char *buffer = malloc(size);
    long length = syscall(SYS_getdents64, (int)number(1), buffer, size);
    if (length < 0) reply(-1);
    else {
        printf("=");
        for (long at = 0; at < length;) {
            struct dirent64 *entry = (struct dirent64 *)(buffer + at);
            putchar(' ');
            for (unsigned char *c = (unsigned char *)entry->d_name; *c; c++)
                printf(*c < 33 || *c > 126 || *c == '%' || *c == '@' ? "%%%02x" : "%c", *c);
            printf("@%lld", (long long)entry->d_off);
            at += entry->d_reclen;
        }
        putchar('\n');
    }
    free(buffer);
}

/* poll FD EVENTS: without waiting; the events that are ready */
static void run_poll(void) {
    struct pollfd one = { .fd = number(1), .events = number(2) };
    reply(poll(&one, 1, 0) < 0 ? -1 : one.revents);
}

/* flock FD OPERATION */
static void run_flock(void) {
    reply(flock(number(1), number(2)));
}

/* lock FD TYPE START LENGTH: fcntl(2) F_SETLK */
static void run_lock(void) {
    struct flock lock = { .l_type = number(2), .l_whence = SEEK_SET, .l_start = number(3), .l_len = number(4) };
    reply(fcntl(number(1), F_SETLK, &lock));
}

/* setfl FD FLAGS: fcntl(2) F_SETFL */
static void run_setfl(void) {
    reply(fcntl(number(1), F_SETFL, (int)number(2)));
}

/* ioctl FD COMMAND: one that gives an int */
static void run_ioctl(void) {
    long value = 0;
    int result = ioctl(number(1), number(2), &value);
    reply(result < 0 ? -1 : value);
}

static void run_fchmod(void) {
    reply(fchmod(number(1), number(2)));
}

/* linkfd FD PATH: gives an open file a name */
static void run_linkfd(void) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", (int)number(1));
    reply(linkat(AT_FDCWD, self, AT_FDCWD, text(2), AT_SYMLINK_FOLLOW));
}

static struct sockaddr_un address(const char *path) {
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    strncpy(name.sun_path, path, sizeof name.sun_path - 1);
    return name;
}

/* listen PATH: a unix stream socket that is bound there */
static void run_listen(void) {
    struct sockaddr_un name = address(text(1));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&name, sizeof name) < 0 || listen(fd, 5) < 0) return reply(-1);
    reply(fd);
}

/* connect PATH */
static void run_connect(void) {
    struct sockaddr_un name = address(text(1));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    reply(connect(fd, (struct sockaddr *)&name, sizeof name) < 0 ? -1 : fd);
}

const struct command file_commands[] = {
    { "open", run_open }, { "close", run_close }, { "dup", run_dup }, { "read", run_read }, { "pread", run_pread },
    { "write", run_write }, { "pwrite", run_pwrite }, { "lseek", run_lseek }, { "ftruncate", run_ftruncate },
    { "fallocate", run_fallocate }, { "copy", run_copy }, { "fsync", run_fsync }, { "fdatasync", run_fdatasync },
    { "getdents", run_getdents }, { "poll", run_poll }, { "flock", run_flock }, { "lock", run_lock }, { "setfl", run_setfl },
    { "ioctl", run_ioctl }, { "fchmod", run_fchmod }, { "linkfd", run_linkfd }, { "listen", run_listen },
    { "connect", run_connect }, { 0 },
};
