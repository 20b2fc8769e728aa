/* Commands on mappings. A page that cannot be had is told as SIGBUS. */
#define _GNU_SOURCE
#include "agent.h"
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static sigjmp_buf fault;

static void on_fault(int signal) {
    siglongjmp(fault, signal);
}

/* Runs what touches memory; false when it faulted, and then it has been told. */
static int touch(void *to, const void *from, size_t length) {
    struct sigaction action = { .sa_handler = on_fault };
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    int signal = sigsetjmp(fault, 1);
    if (signal == 0) memcpy(to, from, length);
    else printf("! %s\n", signal == SIGBUS ? "SIGBUS" : "SIGSEGV");
    action.sa_handler = SIG_DFL;
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    return signal == 0;
}

/* mmap LENGTH PROT FLAGS FD OFFSET: the address */
static void run_mmap(void) {
    void *at = mmap(NULL, number(1), number(2), number(3), number(4), number(5));
    reply(at == MAP_FAILED ? -1 : (long long)at);
}

static void run_munmap(void) {
    reply(munmap((void *)number(1), number(2)));
}

/* peek ADDRESS SIZE */
static void run_peek(void) {
    void *data = malloc(number(2) + 1);
    if (touch(data, (void *)number(1), number(2))) reply_bytes(data, number(2));
    free(data);
}

/* poke ADDRESS BYTES */
static void run_poke(void) {
    size_t length;
    unsigned char *data = bytes(2, &length);
    if (touch((void *)number(1), data, length)) reply(length);
    free(data);
}

/* msync ADDRESS LENGTH FLAGS */
static void run_msync(void) {
    reply(msync((void *)number(1), number(2), number(3)));
}

static void run_mlock(void) {
    reply(mlock((void *)number(1), number(2)));
}

/* mlock2 ADDRESS LENGTH FLAGS */
static void run_mlock2(void) {
    reply(mlock2((void *)number(1), number(2), number(3)));
}

/* mprotect ADDRESS LENGTH PROT */
static void run_mprotect(void) {
    reply(mprotect((void *)number(1), number(2), number(3)));
}

/* madvise ADDRESS LENGTH ADVICE */
static void run_madvise(void) {
    reply(madvise((void *)number(1), number(2), number(3)));
}

const struct command memory_commands[] = {
    { "mmap", run_mmap }, { "munmap", run_munmap }, { "peek", run_peek }, { "poke", run_poke }, { "msync", run_msync },
    { "mlock", run_mlock }, { "mlock2", run_mlock2 }, { "mprotect", run_mprotect }, { "madvise", run_madvise }, { 0 },
};
