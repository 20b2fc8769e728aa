/*
 * Attaches to a task as a debugger does and lets it go again, "attach" (which sends it SIGSTOP) or "seize" (which interrupts it), as often
 * as told. A task in an uninterruptible wait never stops for it, so this does not wait for that.
 *
 * Usage: tracer attach|seize PID COUNT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int seize = !strcmp(argv[1], "seize");
    pid_t pid = atoi(argv[2]);
    for (int round = 0; round < atoi(argv[3]); round++) {
        pid_t child = fork(); /* its end detaches, whether or not the task has stopped */
        if (child == 0) {
            if (ptrace(seize ? PTRACE_SEIZE : PTRACE_ATTACH, pid, 0, 0) < 0) _exit(errno);
            if (seize && ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0) _exit(errno);
            usleep(30000);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (status != 0) {
            fprintf(stderr, "ptrace: %s\n", strerror(WEXITSTATUS(status)));
            return 1;
        }
    }
    return 0;
}
