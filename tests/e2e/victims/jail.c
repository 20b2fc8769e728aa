/*
 * jail ROOT PROGRAM [ARGUMENT]...
 *
 * Runs PROGRAM, a path below ROOT, as the first process of a pid namespace and in a mount namespace whose root is ROOT, with what is
 * mounted below that. ROOT/proc is there to mount on. Prints its process id, waits for its end, and has its exit code.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (unshare(CLONE_NEWNS | CLONE_NEWPID) != 0)
		return fail("unshare");
	pid_t pid = fork();
	if (pid < 0)
		return fail("fork");
	if (pid > 0) {
		int status;
		printf("%d\n", pid);
		fflush(stdout);
		return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount(argv[1], argv[1], NULL, MS_BIND | MS_REC, NULL) != 0 || chdir(argv[1]) != 0 ||
	    mount("proc", "proc", "proc", 0, NULL) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
	    umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		return fail("root");
	execv(argv[2], argv + 2);
	return fail(argv[2]);
}
