/* Commands on names and attributes. */
#define _GNU_SOURCE
#include "agent.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static void tell(int directory, const char *path, int flags, unsigned mask) {
    struct statx s;
    if (statx(directory, path, flags, mask, &s) < 0) return reply(-1);
    reply_text(
        "ino=%llu mode=%o nlink=%u uid=%u gid=%u size=%llu blocks=%llu atime=%lld.%09u mtime=%lld.%09u btime=%lld.%09u rdev=%u:%u",
        (unsigned long long)s.stx_ino, s.stx_mode, s.stx_nlink, s.stx_uid, s.stx_gid, (unsigned long long)s.stx_size,
        (unsigned long long)s.stx_blocks, (long long)s.stx_atime.tv_sec, s.stx_atime.tv_nsec, (long long)s.stx_mtime.tv_sec,
        s.stx_mtime.tv_nsec, (long long)s.stx_btime.tv_sec, s.stx_btime.tv_nsec, s.stx_rdev_major, s.stx_rdev_minor
    );
}

static void run_stat(void) {
    tell(AT_FDCWD, text(1), 0, STATX_BASIC_STATS);
}

static void run_lstat(void) {
    tell(AT_FDCWD, text(1), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS);
}

static void run_fstat(void) {
    tell(number(1), "", AT_EMPTY_PATH, STATX_BASIC_STATS);
}

/* birth PATH: stat with the time of birth, for which the kernel asks another question */
static void run_birth(void) {
    tell(AT_FDCWD, text(1), 0, STATX_BASIC_STATS | STATX_BTIME);
}

/* ask PATH: stat, for which the kernel asks whatever it has cached */
static void run_ask(void) {
    tell(AT_FDCWD, text(1), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS);
}

static void run_statfs(void) {
    struct statfs s;
    if (statfs(text(1), &s) < 0) return reply(-1);
    reply_text("bsize=%ld blocks=%lu namelen=%ld", (long)s.f_bsize, (unsigned long)s.f_blocks, (long)s.f_namelen);
}

static void run_access(void) {
    reply(access(text(1), number(2)));
}

static void run_mkdir(void) {
    reply(mkdir(text(1), number(2)));
}

/* mknod PATH MODE MAJOR MINOR */
static void run_mknod(void) {
    reply(mknod(text(1), number(2), makedev(number(3), number(4))));
}

static void run_symlink(void) {
    reply(symlink(text(1), text(2)));
}

static void run_link(void) {
    reply(link(text(1), text(2)));
}

static void run_readlink(void) {
    char target[8192];
    ssize_t length = readlink(text(1), target, sizeof target);
    if (length < 0) reply(-1);
    else reply_bytes(target, length);
}

/* rename OLD NEW FLAGS */
static void run_rename(void) {
    reply(renameat2(AT_FDCWD, text(1), AT_FDCWD, text(2), number(3)));
}

static void run_unlink(void) {
    reply(unlink(text(1)));
}

static void run_rmdir(void) {
    reply(rmdir(text(1)));
}

static void run_truncate(void) {
    reply(truncate(text(1), number(2)));
}

static void run_chmod(void) {
    reply(chmod(text(1), number(2)));
}

/* chown PATH UID GID */
static void run_chown(void) {
    reply(lchown(text(1), number(2), number(3)));
}

/* utimens PATH ATIME_SEC ATIME_NSEC MTIME_SEC MTIME_NSEC */
static void run_utimens(void) {
    struct timespec times[2] = { { number(2), number(3) }, { number(4), number(5) } };
    reply(utimensat(AT_FDCWD, text(1), times, AT_SYMLINK_NOFOLLOW));
}

/* setxattr PATH NAME BYTES FLAGS */
static void run_setxattr(void) {
    size_t length;
    unsigned char *value = bytes(3, &length);
    reply(lsetxattr(text(1), text(2), value, length, number(4)));
    free(value);
}

/* getxattr PATH NAME SIZE */
static void run_getxattr(void) {
    size_t size = number(3);
    char *value = malloc(size + 1);
    ssize_t length = lgetxattr(text(1), text(2), value, size);
    if (length < 0 || size == 0) reply(length);
    else reply_bytes(value, length);
    free(value);
}

static void run_listxattr(void) {
    char names[65536];
    ssize_t length = llistxattr(text(1), names, sizeof names);
    if (length < 0) reply(-1);
    else reply_bytes(names, length);
}

static void run_removexattr(void) {
    reply(lremovexattr(text(1), text(2)));
}

const struct command name_commands[] = {
    { "stat", run_stat }, { "lstat", run_lstat }, { "fstat", run_fstat }, { "birth", run_birth }, { "ask", run_ask }, { "statfs", run_statfs },
    { "access", run_access }, { "mkdir", run_mkdir }, { "mknod", run_mknod }, { "symlink", run_symlink },
    { "link", run_link }, { "readlink", run_readlink }, { "rename", run_rename }, { "unlink", run_unlink },
    { "rmdir", run_rmdir }, { "truncate", run_truncate }, { "chmod", run_chmod }, { "chown", run_chown },
    { "utimens", run_utimens }, { "setxattr", run_setxattr }, { "getxattr", run_getxattr },
    { "listxattr", run_listxattr }, { "removexattr", run_removexattr }, { 0 },
};
