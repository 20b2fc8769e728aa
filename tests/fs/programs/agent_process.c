/* Commands on the agent itself, and crowds of threads that all do the same. */
#define _GNU_SOURCE
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static volatile sig_atomic_t caught;

static void on_signal(int signal) {
    (void)signal;
    caught++;
}

/* catch SIGNAL: with a handler, without SA_RESTART */
static void run_catch(void) {
    struct sigaction action = { .sa_handler = on_signal };
    reply(sigaction(number(1), &action, NULL));
}

/* ignore SIGNAL */
static void run_ignore(void) {
    reply(signal(number(1), SIG_IGN) == SIG_ERR ? -1 : 0);
}

/* block SIGNAL */
static void run_block(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number(1));
    reply(sigprocmask(SIG_BLOCK, &set, NULL));
}

static void run_caught(void) {
    reply(caught);
}

static void run_umask(void) {
    reply(umask(number(1)));
}

static void run_chdir(void) {
    reply(chdir(text(1)));
}

static void run_getcwd(void) {
    char path[4096];
    if (!getcwd(path, sizeof path)) return reply(-1);
    reply_text("%s", path);
}

/* become UID GID [GROUP...]: for good */
static void run_become(void) {
    gid_t groups[64];
    int n = 0;
    for (int i = 3; i < count; i++) groups[n++] = number(i);
    if (setgroups(n, groups) < 0 || setresgid(number(2), number(2), number(2)) < 0) return reply(-1);
    reply(setresuid(number(1), number(1), number(1)));
}

/* spawn PATH WORD...: runs a program to its end; its wait status */
static void run_spawn(void) {
    char *arguments[64] = { 0 };
    for (int i = 1; i < count; i++) arguments[i - 1] = words[i];
    pid_t pid;
    int error = posix_spawn(&pid, text(1), NULL, NULL, arguments, environ);
    if (error) {
        errno = error;
        return reply(-1);
    }
    int status;
    waitpid(pid, &status, 0);
    reply(status);
}

/* exit STATUS: as a process that ends with everything open */
static void run_exit(void) {
    _exit(number(1));
}

static struct crowd {
    const char *operation;
    char *path;
    int size, done;
    int *results;
    pthread_t *threads;
} crowd;

/* Threads open before they read: what is read is one byte at an offset of the thread's own. */
static int act(int index) {
    struct stat s;
    char byte;
    if (!strcmp(crowd.operation, "stat")) return stat(crowd.path, &s) < 0 ? errno : 0;
    int fd = open(crowd.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    int result = 0;
    if (!strcmp(crowd.operation, "read")) result = pread(fd, &byte, 1, index * 4096L) < 0 ? errno : 0;
    close(fd);
    return result;
}

static void *member(void *index) {
    crowd.results[(long)index] = act((long)index);
    __atomic_add_fetch(&crowd.done, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* crowd SIZE OPERATION PATH: starts that many threads that stat, open or read the path; how many could be started */
static void run_crowd(void) {
    crowd = (struct crowd){ .operation = strdup(text(2)), .path = strdup(text(3)), .size = number(1) };
    crowd.results = calloc(crowd.size, sizeof(int));
    crowd.threads = calloc(crowd.size, sizeof(pthread_t));
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    int started = 0;
    while (started < crowd.size && !pthread_create(&crowd.threads[started], &attributes, member, (void *)(long)started)) started++;
    crowd.size = started;
    reply(started);
}

/* joined: waits for the crowd; how often each result came, as ERRNO=COUNT words */
static void run_joined(void) {
    int counts[256] = { 0 };
    for (int i = 0; i < crowd.size; i++) {
        pthread_join(crowd.threads[i], NULL);
        counts[crowd.results[i] & 255]++;
    }
    printf("=");
    for (int i = 0; i < 256; i++)
        if (counts[i]) printf(" %s=%d", i ? strerrorname_np(i) : "0", counts[i]);
    putchar('\n');
}

/* done: how many of the crowd are through, without waiting */
static void run_done(void) {
    reply(__atomic_load_n(&crowd.done, __ATOMIC_SEQ_CST));
}

static void run_pid(void) {
    reply(getpid());
}

const struct command process_commands[] = {
    { "catch", run_catch }, { "ignore", run_ignore }, { "block", run_block }, { "caught", run_caught },
    { "umask", run_umask }, { "chdir", run_chdir }, { "getcwd", run_getcwd }, { "become", run_become },
    { "spawn", run_spawn }, { "exit", run_exit }, { "crowd", run_crowd }, { "joined", run_joined },
    { "done", run_done }, { "pid", run_pid }, { 0 },
};
