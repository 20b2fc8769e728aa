/*
 * keeper DIRECTORY RESULT
 *
 * A process with what CRIU has to recreate by name or to write anew on the file system that it restores onto: an unlinked file with
 * data, a file without a name (O_TMPFILE), an unlinked name of a file that has another one, a FIFO with bytes in it, a directory handle,
 * locks, offsets; and a bound socket, of which only the restore is asked for. DIRECTORY/plain (seed 4, 8192 bytes) exists. Adds "ready" to RESULT; on SIGUSR1 adds "NAME ok" or
 * "NAME WHAT ERRNO" for each of them, and "end".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pattern.h"
#include "report.h"

enum { SEED = 4, SIZE = 8192, OFFSET = 5000 };
static const char ghost_text[] = "in no directory", named_text[] = "one of two names is gone";

static int make(const char *path, int flags, const char *text)
{
	int fd = open(path, flags | O_CREAT, 0640);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		tell(path, "set-up");
		exit(1);
	}
	return fd;
}

static const char *holds(int fd, const char *text, unsigned long links)
{
	char bytes[64] = "";
	struct stat st;
	ssize_t count = pread(fd, bytes, sizeof bytes, 0);
	if (count != (ssize_t)strlen(text))
		return "length";
	if (memcmp(bytes, text, count) != 0)
		return "bytes";
	if (lseek(fd, 0, SEEK_CUR) != count)
		return "offset";
	if (fstat(fd, &st) != 0 || st.st_nlink != links)
		return "nlink";
	if (write(fd, "+", 1) != 1 || pread(fd, bytes, sizeof bytes, 0) != count + 1)
		return "write";
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	umask(022);
	if (!report_to(argv[2]) || chdir(argv[1]) != 0)
		return 2;

	int ghost = make("ghost", O_RDWR, ghost_text);
	int temporary = open(".", O_TMPFILE | O_RDWR, 0600);
	int named = make("first-name", O_RDWR, named_text);
	int locked = make("locked", O_RDWR, "locked");
	int plain = open("plain", O_RDONLY);
	int directory = open(".", O_RDONLY | O_DIRECTORY);
	int pipe_fd, server = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", argv[1]);
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };
	if (unlink("ghost") != 0 || link("first-name", "other-name") != 0 || unlink("first-name") != 0 ||
	    write(temporary, ghost_text, strlen(ghost_text)) < 0 || flock(locked, LOCK_EX) != 0 ||
	    fcntl(locked, F_SETLK, &range) != 0 || mkfifo("fifo", 0600) != 0 || (pipe_fd = open("fifo", O_RDWR)) < 0 ||
	    write(pipe_fd, "in the pipe", 11) != 11 || bind(server, (void *)&address, sizeof address) != 0 ||
	    lseek(plain, OFFSET, SEEK_SET) != OFFSET) {
		tell("set-up", "failed");
		return 1;
	}
	tell("set-up", NULL);

	await_go();
	char bytes[SIZE];
	struct stat st, name;
	tell("ghost", holds(ghost, ghost_text, 0));
	tell("temporary", holds(temporary, ghost_text, 0));
	tell("named", holds(named, named_text, 1));
	tell("same-inode", fstat(named, &st) == 0 && stat("other-name", &name) == 0 && st.st_ino == name.st_ino ? NULL : "inode");
	tell("locked", holds(locked, "locked", 1));
	int second = open("locked", O_RDWR);
	tell("flock", flock(second, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK ? NULL : "free");
	close(second);
	tell("fifo", read(pipe_fd, bytes, sizeof bytes) == 11 && memcmp(bytes, "in the pipe", 11) == 0 ? NULL : "bytes");
	ssize_t count = read(plain, bytes, sizeof bytes);
	tell("plain", count == SIZE - OFFSET && pattern_matches(SEED, OFFSET, (unsigned char *)bytes, count) ? NULL : "bytes");
	tell("openat", (second = openat(directory, "plain", O_RDONLY)) >= 0 ? NULL : "open");
	tell("end", NULL);
	return 0;
}
