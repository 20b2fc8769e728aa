/*
 * jail [-u ID] ROOT PROGRAM [ARGUMENT]...
 *
 * Runs PROGRAM, a path below ROOT, as the first process of a pid namespace and in a mount namespace whose root is ROOT, with what is
 * mounted below that. ROOT/proc is there to mount on. With -u in a user namespace, too, whose users 0 to 999 are ID to ID + 999 outside.
 * Its processes lack CAP_SYS_CHROOT. Prints its process id, waits for its end, and has its exit code.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int write_map(pid_t pid, const char *name, const char *id)
{
	char path[64], line[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int length = snprintf(line, sizeof line, "0 %s 1000\n", id);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, line, length) == length ? 0 : -1;
}

/* Enters a user namespace; its maps are written by a process that is outside. */
static int enter_users(const char *id)
{
	int entered[2], status;
	char byte;
	if (pipe2(entered, O_CLOEXEC) != 0)
		return -1;
	pid_t own = getpid(), outside = fork();
	if (outside == 0) {
		close(entered[1]);
		_exit(read(entered[0], &byte, 1) != 0 || write_map(own, "uid_map", id) != 0 ||
		      write_map(own, "gid_map", id) != 0);
	}
	if (outside < 0 || unshare(CLONE_NEWUSER) != 0)
		return -1;
	close(entered[1]);
	close(entered[0]);
	if (waitpid(outside, &status, 0) != outside || status != 0)
		return -1;
	return setgroups(0, NULL) == 0 && setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	const char *id = NULL;
	if (argc > 2 && strcmp(argv[1], "-u") == 0) {
		id = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc < 3)
		return 2;
	if (id != NULL && enter_users(id) != 0)
		return fail("user namespace");
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
	if (prctl(PR_CAPBSET_DROP, CAP_SYS_CHROOT, 0, 0, 0) != 0)
		return fail("capability");
	execv(argv[2], argv + 2);
	return fail(argv[2]);
}
