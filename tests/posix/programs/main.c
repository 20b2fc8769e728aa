/*
 * posix DIRECTORY
 *
 * Runs all cases below DIRECTORY, which must be empty. See cases.h. A case that takes longer than two minutes is ended, which its lines
 * then say: it hangs, on a machine however slow.
 */
#include "cases.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { CASE_SECONDS = 120 };

static const char *current;
static int *step; /* shared with children: steps of a case are counted on over all of its processes */

const struct user alice = { 1000, 1000, 0, { 0 } };
const struct user bob = { 1001, 1001, 1, { 7 } };
const struct user member = { 1002, 1002, 3, { 7, 501, 9 } };

void print_value(const char *what, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	printf("%s#%d %s: ", current, ++*step, what);
	vprintf(format, arguments);
	printf("\n");
	fflush(stdout);
	va_end(arguments);
}

long print_result(const char *what, long value)
{
	int error = errno;
	if (value < 0)
		print_value(what, "%s", strerrorname_np(error));
	else
		print_value(what, "%ld", value);
	errno = error;
	return value;
}

static void print_stat(const char *what, const struct stat *st)
{
	print_value(what, "mode %o, owner %u:%u, links %lu, size %lld, device %lx", st->st_mode, st->st_uid, st->st_gid,
		    (unsigned long)st->st_nlink, (long long)st->st_size, (unsigned long)st->st_rdev);
}

void show(const char *path)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		print_result(path, -1);
	else
		print_stat(path, &st);
}

void show_fd(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		print_result("descriptor", -1);
	else
		print_stat("descriptor", &st);
}

void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		print_result("put", -1);
	if (fd >= 0)
		close(fd);
}

void get(const char *path)
{
	char text[101] = "";
	int fd = open(path, O_RDONLY);
	ssize_t count = fd < 0 ? -1 : read(fd, text, 100);
	if (count < 0)
		print_result(path, -1);
	else
		print_value(path, "\"%s\"", text);
	if (fd >= 0)
		close(fd);
}

static void limit_capabilities(unsigned long long mask)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { 0 };
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = (unsigned)(mask >> (32 * i));
	if (syscall(SYS_capset, &header, data) != 0)
		_exit(98);
}

static int child(const struct user *user, const unsigned long long *capabilities)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid > 0) {
		int status = 0;
		waitpid(pid, &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			print_value("child", "ended with status %d", status);
		return 1;
	}
	if (capabilities != NULL)
		prctl(PR_SET_KEEPCAPS, 1);
	if (user != NULL &&
	    (setgroups(user->group_count, user->groups) != 0 || setgid(user->gid) != 0 || setuid(user->uid) != 0))
		_exit(99);
	if (capabilities != NULL)
		limit_capabilities(*capabilities);
	prctl(PR_SET_DUMPABLE, 1); /* /proc of a process that has changed its user belongs to root otherwise */
	alarm(CASE_SECONDS);
	return 0;
}

int as_user(const struct user *user)
{
	return child(user, NULL);
}

int as_root_with(unsigned long long capabilities)
{
	return child(NULL, &capabilities);
}

int as_user_with(const struct user *user, unsigned long long capabilities)
{
	return child(user, &capabilities);
}

void end_child(void)
{
	fflush(stdout);
	_exit(0);
}

static void run(const struct posix_case *one)
{
	current = one->name;
	*step = 0;
	if (mkdir(one->name, 0777) != 0 || chmod(one->name, 0777) != 0 || chdir(one->name) != 0) {
		print_result("its directory", -1);
		return;
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(CASE_SECONDS);
		one->run();
		end_child();
	}
	int status = 0;
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		print_value("end", "status %d", status);
	if (fchdir(3) != 0)
		_exit(1);
}

static int is_among(const char *name, char **names)
{
	while (*names != NULL && strcmp(*names, name) != 0)
		names++;
	return *names != NULL;
}

/* In the directory of the first argument; cases that the others name are left out. */
int main(int argc, char **argv)
{
	static const struct posix_case *const subjects[] = { attribute_cases, data_cases,	directory_cases, handle_cases,
							     name_cases,      permission_cases, space_cases,	 xattr_cases };
	if (argc < 2 || chdir(argv[1]) != 0)
		return 2;
	int here = open(".", O_PATH | O_DIRECTORY);
	if (here != 3 && (dup2(here, 3) != 3 || close(here) != 0))
		return 2;
	umask(022);
	step = mmap(NULL, sizeof *step, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (step == MAP_FAILED)
		return 2;
	for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
		for (const struct posix_case *one = subjects[i]; one->name != NULL; one++)
			if (!is_among(one->name, argv + 2))
				run(one);
	return 0;
}
