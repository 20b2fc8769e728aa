/*
 * case_data DIRECTORY
 *
 * Cases about contents and attributes: handles, holes, truncation, times, extended attributes, locks, mappings. See caseops.h.
 * DIRECTORY must be empty.
 */
#include "caseops.h"

#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/xattr.h>

enum { PAGE = 4096 };

static void handles(void)
{
	char text[32] = "";
	begin_case("handles: append, truncate, unlinked, O_TMPFILE, O_PATH, dup'ed offsets");
	int fd = open("h", O_CREAT | O_TRUNC | O_RDWR, 0644);
	result("write", write(fd, "0123456789", 10));
	int append = open("h", O_WRONLY | O_APPEND);
	result("append", write(append, "end", 3));
	result("pwrite on an append handle", pwrite(append, "x", 1, 0));
	get("h");
	int copy = dup(fd);
	result("shared offset", lseek(copy, 0, SEEK_CUR));
	result("ftruncate", ftruncate(fd, 4));
	get("h");
	result("fchmod", fchmod(fd, 0600));
	result("unlink", unlink("h"));
	result("write after unlink", pwrite(fd, "still", 5, 4));
	result("read after unlink", pread(copy, text, 9, 0));
	printf("  %s\n", text);
	struct stat st;
	fstat(fd, &st);
	printf("  nlink %lu size %lld\n", (unsigned long)st.st_nlink, (long long)st.st_size);
	close(fd), close(copy), close(append);
	fd = open(".", O_TMPFILE | O_RDWR, 0640);
	if (result("O_TMPFILE", fd < 0 ? -1 : 0) == 0) {
		char path[64];
		result("write", write(fd, "tmp", 3));
		sprintf(path, "/proc/self/fd/%d", fd);
		result("linkat", linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
		show("named");
		get("named");
		close(fd);
	}
	fd = open("named", O_PATH);
	result("read of an O_PATH handle", read(fd, text, 1));
	result("fstat of it", fstat(fd, &st));
	close(fd);
	fd = open("named", O_RDONLY);
	result("write to a read-only handle", write(fd, "x", 1));
	close(fd);
	result("O_TRUNC", close(open("named", O_WRONLY | O_TRUNC)));
	show("named");
}

static void holes(void)
{
	struct stat st;
	char bytes[3 * PAGE];
	begin_case("holes: fallocate, SEEK_HOLE, SEEK_DATA, sparse writes");
	int fd = open("holes", O_CREAT | O_RDWR, 0644);
	memset(bytes, 'd', sizeof bytes);
	result("write", pwrite(fd, bytes, sizeof bytes, 0));
	result("keep size", fallocate(fd, FALLOC_FL_KEEP_SIZE, 3 * PAGE, 5 * PAGE));
	fstat(fd, &st);
	printf("  size %lld blocks more %d\n", (long long)st.st_size, st.st_blocks * 512 > 3 * PAGE);
	result("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE));
	result("read", pread(fd, bytes, sizeof bytes, 0));
	printf("  %d %d %d\n", bytes[0], bytes[PAGE], bytes[2 * PAGE]);
	result("hole", lseek(fd, 0, SEEK_HOLE));
	result("data", lseek(fd, PAGE, SEEK_DATA));
	result("hole behind", lseek(fd, 2 * PAGE, SEEK_HOLE));
	result("data behind the end", lseek(fd, 1 << 30, SEEK_DATA));
	result("grow", fallocate(fd, 0, 0, 6 * PAGE));
	result("zero range", fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, PAGE) == 0 || errno == EOPNOTSUPP);
	result("far write", pwrite(fd, "far", 3, 1LL << 33));
	fstat(fd, &st);
	printf("  size %lld sparse %d\n", (long long)st.st_size, st.st_blocks * 512 < 1 << 20);
	result("truncate by path", truncate("holes", 5));
	fstat(fd, &st);
	printf("  size %lld\n", (long long)st.st_size);
	result("negative", ftruncate(fd, -1));
	result("truncate of a directory", truncate(".", 0));
	int target = open("copy", O_CREAT | O_RDWR, 0644);
	result("copy_file_range", copy_file_range(fd, &(off_t){ 0 }, target, NULL, 5, 0));
	get("copy");
	close(fd), close(target);
}

static void times(void)
{
	struct stat st;
	struct timespec set[2] = { { 1234567890, 123456789 }, { 987654321, 987654321 } };
	begin_case("times and owners");
	put("times", "x");
	result("utimensat", utimensat(AT_FDCWD, "times", set, 0));
	stat("times", &st);
	printf("  %lld.%09ld %lld.%09ld\n", (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec,
	       st.st_mtim.tv_nsec);
	struct timespec one[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	result("omit and now", utimensat(AT_FDCWD, "times", one, 0));
	stat("times", &st);
	printf("  %lld recent %d\n", (long long)st.st_atim.tv_sec, st.st_mtim.tv_sec > 1500000000);
	struct timespec old = st.st_mtim;
	put("times", "longer");
	stat("times", &st);
	printf("  a write moves mtime on %d\n",
	       st.st_mtim.tv_sec > old.tv_sec || (st.st_mtim.tv_sec == old.tv_sec && st.st_mtim.tv_nsec >= old.tv_nsec));
	(void)!symlink("times", "timelink");
	result("of a symlink", utimensat(AT_FDCWD, "timelink", set, AT_SYMLINK_NOFOLLOW));
	lstat("timelink", &st);
	printf("  %lld\n", (long long)st.st_mtim.tv_sec);
	result("chown", chown("times", 77, 88));
	result("lchown", lchown("timelink", 66, 99));
	show("times");
	show("timelink");
	result("chmod", chmod("times", 06755));
	result("chown drops set-uid", chown("times", 78, (gid_t)-1));
	show("times");
	result("chmod", chmod("times", 04755));
	int fd = open("times", O_WRONLY);
	result("write", write(fd, "y", 1));
	close(fd);
	show("times");
}

static void attributes(void)
{
	char value[70000];
	begin_case("extended attributes");
	put("x", "");
	result("set", setxattr("x", "user.name", "value", 5, 0));
	result("create again", setxattr("x", "user.name", "other", 5, XATTR_CREATE));
	result("replace missing", setxattr("x", "user.none", "other", 5, XATTR_REPLACE));
	result("size", getxattr("x", "user.name", NULL, 0));
	result("too small", getxattr("x", "user.name", value, 2));
	ssize_t length = result("get", getxattr("x", "user.name", value, sizeof value));
	printf("  %.*s\n", (int)(length > 0 ? length : 0), value);
	result("empty", setxattr("x", "user.empty", "", 0, 0));
	length = listxattr("x", value, sizeof value);
	int names = 0, known = 0;
	for (char *name = value; length > 0 && name < value + length; name += strlen(name) + 1)
		names++, known += strcmp(name, "user.name") == 0 || strcmp(name, "user.empty") == 0;
	printf("  names %d of them known %d\n", names, known);
	result("remove", removexattr("x", "user.name"));
	result("remove again", removexattr("x", "user.name"));
	result("trusted", setxattr("x", "trusted.t", "t", 1, 0));
	result("on a symlink", symlink("x", "xlink"));
	result("lset trusted", lsetxattr("xlink", "trusted.t", "link", 4, 0));
	result("lget", lgetxattr("xlink", "trusted.t", value, sizeof value));
	int fd = open("x", O_RDWR);
	result("fset", fsetxattr(fd, "user.fd", "1", 1, 0));
	result("fget", fgetxattr(fd, "user.fd", value, sizeof value));
	close(fd);
	result("unknown namespace", setxattr("x", "nonsense.a", "v", 1, 0));
}

/* What another process can lock meanwhile. */
static void try_locks(const char *path)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDWR);
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };
		result("    other process: flock", flock(fd, LOCK_EX | LOCK_NB));
		result("    range held", fcntl(fd, F_SETLK, &lock));
		fcntl(fd, F_GETLK, &lock);
		printf("      held as %d from %lld\n", lock.l_type, (long long)lock.l_start);
		lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 10 };
		result("    free range", fcntl(fd, F_SETLK, &lock));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void locks(void)
{
	begin_case("locks");
	put("locked", "x");
	int fd = open("locked", O_RDWR), second = open("locked", O_RDWR);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10 };
	result("flock", flock(fd, LOCK_EX));
	result("flock of a second handle", flock(second, LOCK_SH | LOCK_NB));
	result("range", fcntl(fd, F_SETLK, &lock));
	try_locks("locked");
	result("unlock", flock(fd, LOCK_UN));
	close(second);
	try_locks("locked");
	struct flock description = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 50, .l_len = 10 };
	result("open file description lock", fcntl(fd, F_OFD_SETLK, &description));
	close(fd);
	try_locks("locked");
}

static void mappings(void)
{
	begin_case("mappings: shared writes reach the file, private ones do not, the end of file");
	int fd = open("map", O_CREAT | O_RDWR, 0644);
	(void)!ftruncate(fd, 2 * PAGE);
	char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char text[16] = "";
	if (shared == MAP_FAILED || private == MAP_FAILED) {
		result("mmap", -1);
		return;
	}
	strcpy(shared, "shared");
	strcpy(private + PAGE, "private");
	result("msync", msync(shared, 2 * PAGE, MS_SYNC));
	result("read", pread(fd, text, 6, 0));
	printf("  %s\n", text);
	memset(text, 0, sizeof text);
	result("read", pread(fd, text, 7, PAGE));
	printf("  private kept out %d\n", text[0] == 0);
	result("write", pwrite(fd, "by write", 8, 0));
	printf("  %s %s\n", shared, private);
	result("fsync", fsync(fd));
	result("fdatasync", fdatasync(fd));
	close(fd);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	result("fsync of a directory", fsync(fd));
	close(fd);
	fd = open("map", O_RDWR);
	struct pollfd ready = { .fd = fd, .events = POLLIN | POLLOUT };
	result("poll", poll(&ready, 1, 0));
	printf("  events %d\n", ready.revents);
	close(fd);
	munmap(shared, 2 * PAGE);
	munmap(private, 2 * PAGE);
}

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1]) != 0)
		return 2;
	setvbuf(stdout, NULL, _IOFBF, 65536);
	handles();
	holes();
	times();
	attributes();
	locks();
	mappings();
	return 0;
}
