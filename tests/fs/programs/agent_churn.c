/* A thread that goes on reading, faulting in or writing pages of a file, and counts those that are not the real ones. */
#define _GNU_SOURCE
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { page_size = 4096, apart = 100 };

static struct churn {
    int fd, pages, strict, stop, wrong, rounds;
    char what;
    volatile char *map;
    pthread_t thread;
} churn;

/* The first byte of a page: the real file has A in the first, B in the second. Writing happens further on in the page. */
static char look(int page) {
    char byte = 0;
    if (churn.what == 'h') byte = churn.map[(long)page * page_size];
    else if (churn.what == 'r') {
        posix_fadvise(churn.fd, 0, 0, POSIX_FADV_DONTNEED);
        if (pread(churn.fd, &byte, 1, (long)page * page_size) < 0) byte = '!';
    } else if (churn.what == 'f') {
        madvise((void *)churn.map, (size_t)churn.pages * page_size, MADV_DONTNEED);
        posix_fadvise(churn.fd, 0, 0, POSIX_FADV_DONTNEED);
        byte = churn.map[(long)page * page_size];
    } else {
        if (pwrite(churn.fd, "w", 1, (long)page * page_size + apart) < 0) return '!';
        if (pread(churn.fd, &byte, 1, (long)page * page_size) < 0) byte = '!';
    }
    return byte;
}

static void *go_on(void *nothing) {
    for (int page = 0; !__atomic_load_n(&churn.stop, __ATOMIC_SEQ_CST); page = (page + 7) % churn.pages) {
        char byte = look(page);
        if (!__atomic_load_n(&churn.strict, __ATOMIC_SEQ_CST)) continue;
        if (byte != 'A' + page) churn.wrong++;
        __atomic_add_fetch(&churn.rounds, 1, __ATOMIC_SEQ_CST);
    }
    return nothing;
}

/* churn PATH read|fault|hold|write PAGES: read and fault make the kernel ask again each time, hold leaves pages where they are */
static void run_churn(void) {
    churn.fd = open(text(1), O_RDWR);
    churn.what = text(2)[0];
    churn.pages = number(3);
    if (churn.fd < 0) return reply(-1);
    churn.map = mmap(NULL, (size_t)churn.pages * page_size, PROT_READ, MAP_SHARED, churn.fd, 0);
    if (churn.map == MAP_FAILED) return reply(-1);
    errno = pthread_create(&churn.thread, NULL, go_on, NULL);
    reply(errno ? -1 : 0);
}

/* strict: from now on every page that comes back must be the real one */
static void run_strict(void) {
    __atomic_store_n(&churn.strict, 1, __ATOMIC_SEQ_CST);
    reply(0);
}

/* churned: ends it after some more rounds; how many pages were not the real ones */
static void run_churned(void) {
    while (__atomic_load_n(&churn.rounds, __ATOMIC_SEQ_CST) < 2 * churn.pages) usleep(1000);
    __atomic_store_n(&churn.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(churn.thread, NULL);
    reply(churn.wrong);
}

const struct command churn_commands[] = {
    { "churn", run_churn }, { "strict", run_strict }, { "churned", run_churned }, { 0 },
};
