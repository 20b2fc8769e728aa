/*
 * holder DIRECTORY RESULT
 *
 * A process with what is special on NFS: an unlinked file that it has open (which the client renames to .nfsXXXX), an unlinked name of a
 * file that has another one, locks of all kinds, each on a file of its own because NFS makes one kind of them all, a FIFO with bytes in
 * it, a handle of a directory, an offset; and a socket that listens on a reserved port, of those that NFS's client uses. DIRECTORY/plain (seed 4, 8192 bytes) exists. Adds "set-up ok" to RESULT; on SIGUSR1 adds
 * "NAME ok" or "NAME WHAT ERRNO" for each of them, and "end ok"; on the next one it ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../e2e/victims/pattern.h"
#include "../../e2e/victims/report.h"

enum { SEED = 4, SIZE = 8192, OFFSET = 5000, PORT = 400 };
static const char silly_text[] = "in no directory", named_text[] = "one of two names is gone";

static int make(const char *path, const char *text)
{
	int fd = open(path, O_RDWR | O_CREAT, 0640);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		tell(path, "set-up");
		exit(1);
	}
	return fd;
}

static const char *holds(int fd, const char *text)
{
	char bytes[64] = "";
	ssize_t count = pread(fd, bytes, sizeof bytes, 0);
	if (count != (ssize_t)strlen(text))
		return "length";
	if (memcmp(bytes, text, count) != 0)
		return "bytes";
	if (lseek(fd, 0, SEEK_CUR) != count)
		return "offset";
	if (write(fd, "+", 1) != 1 || pread(fd, bytes, sizeof bytes, 0) != count + 1)
		return "write";
	return NULL;
}

static int listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1) != 0)
		return -1;
	return fd;
}

static int listens(int fd)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	int accepts = 0;
	if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 || ntohs(address.sin_port) != PORT)
		return 0;
	length = sizeof accepts;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &length) == 0 && accepts;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	umask(022);
	if (!report_to(argv[2]) || chdir(argv[1]) != 0)
		return 2;

	int silly = make("silly", silly_text);
	int named = make("first-name", named_text);
	int flocked = make("flocked", "flocked"), ranged = make("ranged", "ranged"), owned = make("owned", "owned");
	int plain = open("plain", O_RDONLY);
	int directory = open(".", O_RDONLY | O_DIRECTORY);
	int port = listener();
	int pipe_fd = -1;
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };
	if (unlink("silly") != 0 || link("first-name", "other-name") != 0 || unlink("first-name") != 0 ||
	    flock(flocked, LOCK_EX) != 0 || fcntl(ranged, F_SETLK, &range) != 0 || fcntl(owned, F_OFD_SETLK, &range) != 0 ||
	    mkfifo("fifo", 0600) != 0 || (pipe_fd = open("fifo", O_RDWR)) < 0 || write(pipe_fd, "in the pipe", 11) != 11 ||
	    lseek(plain, OFFSET, SEEK_SET) != OFFSET || port < 0) {
		tell("set-up", "failed");
		return 1;
	}
	tell("set-up", NULL);

	await_go();
	char bytes[SIZE];
	struct stat st, name;
	tell("silly", holds(silly, silly_text));
	tell("named", holds(named, named_text));
	tell("same-inode", fstat(named, &st) == 0 && stat("other-name", &name) == 0 && st.st_ino == name.st_ino ? NULL : "inode");
	tell("flocked", holds(flocked, "flocked"));
	int second = open("flocked", O_RDWR);
	tell("flock", flock(second, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK ? NULL : "free");
	tell("fifo", read(pipe_fd, bytes, sizeof bytes) == 11 && memcmp(bytes, "in the pipe", 11) == 0 ? NULL : "bytes");
	ssize_t count = read(plain, bytes, sizeof bytes);
	tell("plain", count == SIZE - OFFSET && pattern_matches(SEED, OFFSET, (unsigned char *)bytes, count) ? NULL : "bytes");
	tell("openat", openat(directory, "plain", O_RDONLY) >= 0 ? NULL : "open");
	tell("port", listens(port) ? NULL : "closed");
	tell("end", NULL);
	await_go();
	return 0;
}
