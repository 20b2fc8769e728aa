/* Cases about open files: locks, leases, flags, execution, file handles. */
#include "cases.h"

#include <signal.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/wait.h>

static struct flock range(short type, off_t start, off_t length)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
}

static void posix_locks(void)
{
	static const struct user root = { 0, 0, 0, { 0 } };
	put("f", "0123456789");
	int fd = open("f", O_RDWR);
	struct flock lock = range(F_WRLCK, 5, 10);
	CALL(fcntl(fd, F_SETLK, &lock));
	AS(root)
	{
		int other = open("f", O_RDWR);
		struct flock held = range(F_RDLCK, 0, 0);
		CALL(fcntl(other, F_GETLK, &held));
		print_value("held", "type %d from %lld, %lld bytes", held.l_type, (long long)held.l_start, (long long)held.l_len);
		held = range(F_RDLCK, 5, 1);
		CALL(fcntl(other, F_SETLK, &held));
		held = range(F_WRLCK, 15, 0);
		CALL(fcntl(other, F_SETLK, &held));
	}
	lock = range(F_UNLCK, 8, 2);
	CALL(fcntl(fd, F_SETLK, &lock));
	AS(root)
	{
		int other = open("f", O_RDWR);
		struct flock held = range(F_WRLCK, 8, 2);
		CALL(fcntl(other, F_SETLK, &held));
	}
	int second = open("f", O_RDONLY);
	lock = range(F_WRLCK, 0, 1);
	CALL(fcntl(second, F_SETLK, &lock));
	CALL(close(second));
	AS(root)
	{
		int other = open("f", O_RDWR);
		struct flock held = range(F_WRLCK, 0, 0);
		CALL(fcntl(other, F_SETLK, &held)); /* closing any descriptor has let go of all */
	}
	lock = range(F_WRLCK, 50, 10);
	CALL(fcntl(fd, F_OFD_SETLK, &lock));
	second = open("f", O_RDWR);
	lock = range(F_WRLCK, 55, 1);
	CALL(fcntl(second, F_OFD_SETLK, &lock));
	CALL(fcntl(second, F_OFD_GETLK, &lock));
	print_value("held", "type %d from %lld", lock.l_type, (long long)lock.l_start);
	lock = range(7, 0, 1);
	CALL(fcntl(fd, F_SETLK, &lock));
	lock = range(F_WRLCK, -5, 1);
	CALL(fcntl(fd, F_SETLK, &lock));
}

static void whole_locks(void)
{
	put("f", "");
	int one = open("f", O_RDWR), other = open("f", O_RDONLY), copy = dup(one);
	CALL(flock(one, LOCK_EX));
	CALL(flock(other, LOCK_SH | LOCK_NB));
	CALL(flock(copy, LOCK_SH | LOCK_NB));
	CALL(flock(other, LOCK_SH | LOCK_NB));
	CALL(flock(other, LOCK_EX | LOCK_NB));
	CALL(close(one));
	CALL(flock(other, LOCK_EX | LOCK_NB));
	CALL(close(copy));
	CALL(flock(other, LOCK_EX | LOCK_NB));
	CALL(flock(other, LOCK_UN));
	CALL(flock(other, 77));
	int directory = open(".", O_RDONLY);
	CALL(flock(directory, LOCK_EX | LOCK_NB));
}

static void leases(void)
{
	put("f", "");
	int fd = open("f", O_RDONLY);
	CALL(fcntl(fd, F_GETLEASE));
	CALL(fcntl(fd, F_SETLEASE, F_RDLCK));
	CALL(fcntl(fd, F_GETLEASE));
	CALL(fcntl(fd, F_SETLEASE, F_UNLCK));
	CALL(fcntl(fd, F_SETLEASE, F_WRLCK));
	CALL(fcntl(fd, F_SETLEASE, F_UNLCK));
	CALL(fcntl(fd, F_NOTIFY, 0));
	CALL(fcntl(fd, F_GET_SEALS));
	CALL(fcntl(fd, F_SET_RW_HINT, &(uint64_t){ 2 }));
	CALL(fcntl(fd, F_GETPIPE_SZ));
}

static void execution(void)
{
	CALL(mkdir("bin", 0755));
	if (system("cp /bin/true bin/true && cp /usr/bin/id bin/id") != 0)
		print_value("cp", "failed");
	AS(alice)
	{
		CALL(system("bin/true"));
		CALL(access("bin/true", X_OK));
	}
	CALL(chmod("bin/true", 0711));
	AS(alice)
	{
		CALL(system("bin/true"));
		OPENS(open("bin/true", O_RDONLY));
	}
	CALL(chmod("bin/true", 0644));
	AS(alice) CALL(access("bin/true", X_OK));
	CALL(access("bin/true", X_OK));
	CALL(execl("bin/true", "true", NULL));
	CALL(chmod("bin/true", 0755));
	int fd = open("bin/true", O_RDWR);
	CALL(execl("bin/true", "true", NULL));
	close(fd);
	put("script", "#!/bin/sh\nexit 3\n");
	CALL(chmod("script", 0755));
	CALL(WEXITSTATUS(system("./script")));
	CALL(chown("bin/id", 1001, 7));
	CALL(chmod("bin/id", 06755));
	AS(alice)
	{
		FILE *id = popen("bin/id -u; bin/id -g", "r");
		unsigned uid = 0, gid = 0;
		if (fscanf(id, "%u %u", &uid, &gid) != 2)
			print_value("id", "told nothing");
		print_value("set-ID", "%u:%u", uid, gid);
		pclose(id);
	}
	put("running", "");
	if (system("cp /bin/sleep bin/sleep") != 0)
		print_value("cp", "failed");
	int ready[2];
	CALL(pipe2(ready, O_CLOEXEC));
	pid_t pid = fork();
	if (pid == 0) {
		execl("bin/sleep", "sleep", "10", NULL);
		_exit(1);
	}
	close(ready[1]);
	CALL(read(ready[0], (char[1]){ 0 }, 1)); /* the end comes with execve */
	OPENS(open("bin/sleep", O_WRONLY));
	CALL(truncate("bin/sleep", 0));
	kill(pid, 9);
	waitpid(pid, NULL, 0);
	OPENS(open("bin/sleep", O_WRONLY));
}

static void open_flags(void)
{
	put("f", "x");
	OPENS(open("f", O_RDONLY | O_NOATIME));
	OPENS(open("f", O_ACCMODE));
	OPENS(open("f", O_PATH));
	OPENS(open("f", O_RDWR | O_NONBLOCK | O_ASYNC));
	AS(alice)
	{
		OPENS(open("f", O_RDONLY | O_NOATIME));
		OPENS(open("f", O_RDWR));
		OPENS(open("f", O_ACCMODE));
		OPENS(open("f", O_RDONLY | O_TRUNC));
	}
	get("f");
	char path[64];
	int fd = open("f", O_RDONLY);
	sprintf(path, "/proc/self/fd/%d", fd);
	OPENS(open(path, O_RDWR));
	CALL(fcntl(fd, F_GETFL) & ~0100000);
	fd = open("f", O_RDWR | O_APPEND | O_NONBLOCK);
	CALL(fcntl(fd, F_GETFL) & ~0100000);
	struct {
		struct file_handle handle;
		unsigned char room[128];
	} handle = { .handle.handle_bytes = 128 };
	int mount_id;
	CALL(name_to_handle_at(AT_FDCWD, "f", &handle.handle, &mount_id, 0));
	OPENS(open_by_handle_at(AT_FDCWD, &handle.handle, O_RDONLY));
	CALL(unlink("f"));
	OPENS(open_by_handle_at(AT_FDCWD, &handle.handle, O_RDONLY));
}

static void notification(void)
{
	char events[4096];
	put("f", "x");
	int fd = inotify_init1(IN_NONBLOCK);
	CALL(inotify_add_watch(fd, ".", IN_ALL_EVENTS) > 0);
	close(open("g", O_CREAT | O_WRONLY, 0644));
	CALL(rename("g", "h"));
	CALL(chmod("h", 0600));
	CALL(unlink("h"));
	CALL(mkdir("d", 0755));
	CALL(read(fd, events, sizeof events));
	char text[512] = "";
	ssize_t length = 0;
	CALL(link("f", "l"));
	put("f", "more");
	CALL(truncate("f", 1));
	length = read(fd, events, sizeof events);
	for (ssize_t at = 0; at < length;) {
		struct inotify_event *event = (void *)(events + at);
		sprintf(text + strlen(text), " %s %x", event->len ? event->name : ".", event->mask);
		at += sizeof *event + event->len;
	}
	print_value("events", "%s", text);
}

const struct posix_case handle_cases[] = {
	{ "POSIX locks", posix_locks },
	{ "flock", whole_locks },
	{ "leases", leases },
	{ "execution", execution },
	{ "flags of open", open_flags },
	{ "inotify", notification },
	{ NULL, NULL },
};
