/* Cases about contents: reading, writing, mapping, copying, O_DIRECT. */
#include "cases.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PAGE = 4096 };

static void reading(void)
{
	char text[32] = "", *volatile none = NULL;
	put("f", "0123456789");
	int fd = open("f", O_RDWR);
	CALL(read(fd, text, 4));
	CALL(lseek(fd, 0, SEEK_CUR));
	CALL(pread(fd, text, 32, 5));
	CALL(pread(fd, text, 32, 10));
	CALL(pread(fd, text, 32, 11));
	CALL(pread(fd, text, 32, -1));
	CALL(pread(fd, text, 32, 0x7fffffffffffffff));
	CALL(pread(fd, none, 5, 0));
	CALL(pread(fd, text, 0, 0));
	CALL(pwrite(fd, "x", 1, -1));
	CALL(pwrite(fd, none, 5, 0));
	CALL(pwrite(fd, "x", 1, 0x7fffffffffffffff));
	CALL(lseek(fd, -1, SEEK_SET));
	CALL(lseek(fd, -3, SEEK_END));
	CALL(lseek(fd, 5, SEEK_END));
	CALL(lseek(fd, 0, 99));
	CALL(lseek(fd, 0x7fffffffffffffff, SEEK_CUR));
	int only = open("f", O_WRONLY), not = open("f", O_RDONLY), path = open("f", O_PATH);
	CALL(read(only, text, 1));
	CALL(write(not, text, 1));
	CALL(read(path, text, 1));
	CALL(ftruncate(not, 0));
	CALL(ftruncate(path, 0));
	CALL(fsync(not));
	int directory = open(".", O_RDONLY);
	CALL(read(directory, text, 1));
	CALL(pread(directory, text, 1, 0));
	CALL(ftruncate(directory, 0));
	CALL(truncate(".", 0));
	CALL(truncate("f", -1));
	CALL(truncate("f", 0x7fffffffffffffff));
	CALL(truncate("none", 0));
}

static void vectors(void)
{
	char a[4] = "aaa", b[4] = "bbb";
	struct iovec two[2] = { { a, 3 }, { b, 3 } };
	volatile int negative = -1;
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	CALL(writev(fd, two, 2));
	CALL(pwritev2(fd, two, 2, 6, RWF_DSYNC));
	CALL(pwritev2(fd, two, 2, 12, RWF_SYNC));
	CALL(pwritev2(fd, two, 1, 0, RWF_APPEND));
	CALL(pwritev2(fd, two, 1, -1, RWF_APPEND));
	CALL(pwritev2(fd, two, 1, 0, 0x800000));
	CALL(preadv2(fd, two, 2, 0, RWF_HIPRI));
	get("f");
	show("f");
	CALL(preadv(fd, two, 2, 20));
	CALL(readv(fd, two, 0));
	CALL(readv(fd, two, negative));
}

static void appending(void)
{
	put("f", "");
	int one = open("f", O_WRONLY | O_APPEND), other = open("f", O_RDWR | O_APPEND), plain = open("f", O_RDWR);
	CALL(write(one, "a", 1));
	CALL(write(other, "b", 1));
	CALL(write(plain, "X", 1));
	CALL(pwrite(one, "c", 1, 0));
	CALL(lseek(one, 0, SEEK_CUR));
	get("f");
	CALL(fcntl(one, F_SETFL, 0));
	CALL(pwrite(one, "Y", 1, 1));
	CALL(fcntl(plain, F_SETFL, O_APPEND));
	CALL(write(plain, "d", 1));
	CALL(lseek(plain, 0, SEEK_CUR));
	get("f");
	char *mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	mapped[0] = 'M';
	CALL(msync(mapped, PAGE, MS_SYNC));
	get("f");
	CALL(fcntl(plain, F_GETFL) & ~0100000);
}

static void unlinked(void)
{
	char text[16] = "";
	put("f", "old");
	int fd = open("f", O_RDWR);
	CALL(unlink("f"));
	put("f", "new");
	CALL(pread(fd, text, 10, 0));
	print_value("text", "%s", text);
	CALL(pwrite(fd, "ghost", 5, 0));
	show_fd(fd);
	CALL(ftruncate(fd, 2));
	show_fd(fd);
	get("f");
	char path[64];
	sprintf(path, "/proc/self/fd/%d", fd);
	OPENS(open(path, O_RDWR));
	CALL(truncate(path, 1));
	show_fd(fd);
	CALL(fsync(fd));
	put("g", "replacing");
	int replaced = open("f", O_RDONLY);
	CALL(rename("g", "f"));
	CALL(pread(replaced, text, 10, 0));
	print_value("text", "%s", text);
	show_fd(replaced);
	CALL(mkdir("d", 0755));
	int directory = open("d", O_RDONLY);
	CALL(rmdir("d"));
	show_fd(directory);
	OPENS(openat(directory, "x", O_CREAT | O_WRONLY, 0644));
	CALL(fsync(directory));
}

static void mappings(void)
{
	char text[16] = "";
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	CALL(ftruncate(fd, 2 * PAGE));
	char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	HOLDS(shared != MAP_FAILED && private != MAP_FAILED);
	strcpy(shared, "shared");
	CALL(pread(fd, text, 6, 0));
	print_value("read", "%s", text);
	HOLDS(strcmp(private, "shared") == 0);
	strcpy(private + PAGE, "private");
	CALL(pread(fd, text, 7, PAGE));
	HOLDS(text[0] == 0);
	CALL(pwrite(fd, "by write", 8, 0));
	print_value("mapped", "%s %s", shared, private);
	int other = open("f", O_RDWR);
	CALL(pwrite(other, "by another", 10, 0));
	print_value("mapped", "%s", shared);
	strcpy(shared + PAGE, "late");
	CALL(munmap(shared, 2 * PAGE));
	memset(text, 0, sizeof text);
	CALL(pread(other, text, 4, PAGE));
	print_value("read", "%s", text);
	int not = open("f", O_RDONLY), only = open("f", O_WRONLY);
	HOLDS(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, not, 0) == MAP_FAILED && errno == EACCES);
	HOLDS(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, only, 0) == MAP_FAILED && errno == EACCES);
	HOLDS(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, not, 0) != MAP_FAILED);
	CALL(ftruncate(fd, 10));
	char *end = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	HOLDS(end[10] == 0);
	end[100] = 'z'; /* behind the end of the file, within its last page */
	CALL(msync(end, PAGE, MS_SYNC));
	CALL(ftruncate(fd, 200));
	HOLDS(end[100] == 0);
	pid_t pid = fork();
	if (pid == 0) {
		end[PAGE] = 1; /* a page behind the end */
		_exit(0);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	print_value("a page behind the end", "%d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	CALL(madvise(end, PAGE, MADV_REMOVE));
	HOLDS(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0) == MAP_FAILED);
	CALL(close(fd));
	HOLDS(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, other, 0) != MAP_FAILED);
}

static void direct(void)
{
	char *buffer = aligned_alloc(PAGE, 4 * PAGE), *check = aligned_alloc(PAGE, 4 * PAGE);
	memset(buffer, 'd', 4 * PAGE);
	int fd = open("f", O_CREAT | O_RDWR | O_DIRECT, 0644);
	if (print_result("open(O_DIRECT)", fd < 0 ? -1 : 0) < 0)
		return;
	CALL(pwrite(fd, buffer, 2 * PAGE, 0));
	CALL(pread(fd, check, 4 * PAGE, 0));
	HOLDS(memcmp(buffer, check, 2 * PAGE) == 0);
	CALL(pwrite(fd, buffer + 1, 512, 0));
	CALL(pwrite(fd, buffer, 100, 0));
	CALL(pwrite(fd, buffer, 512, 17));
	CALL(pread(fd, check + 1, 512, 0));
	CALL(pread(fd, check, 100, 0));
	CALL(pread(fd, check, 512, 8));
	show("f");
	int buffered = open("f", O_RDWR);
	CALL(pwrite(buffered, "buffered", 8, 0));
	CALL(pread(fd, check, PAGE, 0));
	HOLDS(memcmp(check, "buffered", 8) == 0);
	memset(buffer, 'e', PAGE);
	CALL(pwrite(fd, buffer, PAGE, 0));
	CALL(pread(buffered, check, 8, 0));
	HOLDS(memcmp(check, "eeeeeeee", 8) == 0);
	char *mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	HOLDS(mapped != MAP_FAILED);
	if (mapped != MAP_FAILED) {
		HOLDS(mapped[0] == 'e');
		mapped[1] = 'M';
		CALL(pread(fd, check, PAGE, 0));
		HOLDS(check[1] == 'M');
	}
	CALL(pwrite(fd, buffer, PAGE, 6 * PAGE));
	show("f");
	CALL(pread(fd, check, 4 * PAGE, 6 * PAGE));
	CALL(ftruncate(fd, 6 * PAGE + 100));
	CALL(pread(fd, check, PAGE, 6 * PAGE));
	CALL(fcntl(fd, F_GETFL) & O_DIRECT);
	CALL(fcntl(fd, F_SETFL, 0));
	CALL(pwrite(fd, "x", 1, 3));
	CALL(fcntl(buffered, F_SETFL, O_DIRECT));
	CALL(pread(buffered, check, PAGE, 0));
	CALL(pwrite(buffered, "x", 1, 3));
}

static void copies(void)
{
	char text[32] = "";
	off_t from = 2, to = 1;
	int pipes[2];
	put("a", "0123456789");
	int a = open("a", O_RDWR), b = open("b", O_CREAT | O_RDWR, 0644);
	CALL(copy_file_range(a, &from, b, &to, 5, 0));
	get("b");
	print_value("offsets", "%lld %lld", (long long)from, (long long)to);
	CALL(copy_file_range(a, NULL, b, NULL, 100, 0));
	get("b");
	CALL(copy_file_range(a, NULL, b, NULL, 100, 0));
	CALL(copy_file_range(a, &(off_t){ 0 }, a, &(off_t){ 20 }, 5, 0));
	CALL(copy_file_range(a, &(off_t){ 0 }, a, &(off_t){ 2 }, 5, 0));
	CALL(copy_file_range(a, &(off_t){ 0 }, b, NULL, 5, 1));
	CALL(copy_file_range(a, &(off_t){ -1 }, b, NULL, 5, 0));
	int appends = open("b", O_WRONLY | O_APPEND), not = open("b", O_RDONLY), directory = open(".", O_RDONLY);
	CALL(copy_file_range(a, &(off_t){ 0 }, appends, NULL, 5, 0));
	CALL(copy_file_range(a, &(off_t){ 0 }, not, NULL, 5, 0));
	CALL(copy_file_range(directory, NULL, b, NULL, 5, 0));
	int outside = open("/proc/self/status", O_RDONLY);
	CALL(copy_file_range(outside, NULL, b, NULL, 5, 0));
	CALL(sendfile(b, a, &(off_t){ 3 }, 4));
	CALL(pipe(pipes));
	CALL(splice(a, &(off_t){ 0 }, pipes[1], NULL, 6, 0));
	CALL(read(pipes[0], text, 10));
	print_value("spliced", "%s", text);
	CALL(write(pipes[1], "piped", 5));
	CALL(splice(pipes[0], NULL, b, &(off_t){ 0 }, 5, 0));
	get("b");
	CALL(readahead(a, 0, 100));
	CALL(posix_fadvise(a, 0, 100, POSIX_FADV_DONTNEED));
	CALL(posix_fadvise(a, 0, 100, POSIX_FADV_WILLNEED));
}

static void large(void)
{
	enum { SIZE = 3 << 20 };
	char *data = malloc(SIZE), *check = malloc(SIZE);
	for (int i = 0; i < SIZE; i++)
		data[i] = (char)(i * 2654435761u >> 13);
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	CALL(write(fd, data, SIZE));
	CALL(pread(fd, check, SIZE, 0));
	HOLDS(memcmp(data, check, SIZE) == 0);
	CALL(pwrite(fd, data, 1000001, 777));
	CALL(pread(fd, check, 1000001, 777));
	HOLDS(memcmp(data, check, 1000001) == 0);
	CALL(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	int other = open("f", O_RDONLY);
	CALL(pread(other, check, 1000001, 777));
	HOLDS(memcmp(data, check, 1000001) == 0);
	CALL(pread(other, check, 1 << 20, SIZE - 5));
}

static void syncing(void)
{
	put("f", "text");
	int fd = open("f", O_RDWR), directory = open(".", O_RDONLY), path = open("f", O_PATH);
	CALL(fsync(fd));
	CALL(fdatasync(fd));
	CALL(syncfs(fd));
	CALL(fsync(directory));
	CALL(fdatasync(directory));
	CALL(syncfs(directory));
	CALL(fsync(path));
	CALL(syncfs(path));
	CALL(sync_file_range(fd, 0, 4, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
	CALL(open("synchronous", O_CREAT | O_WRONLY | O_SYNC, 0644) < 0);
	CALL(open("synchronous", O_WRONLY | O_DSYNC) < 0);
	get("f");
}

static void polling(void)
{
	put("f", "text");
	int fd = open("f", O_RDWR), directory = open(".", O_RDONLY);
	struct pollfd both[2] = { { fd, POLLIN | POLLOUT | POLLPRI, 0 }, { directory, POLLIN, 0 } };
	CALL(poll(both, 2, 0));
	print_value("events", "%x %x", both[0].revents, both[1].revents);
	int only = open("f", O_RDONLY);
	struct pollfd one = { only, POLLOUT | POLLIN, 0 };
	CALL(poll(&one, 1, 0));
	print_value("events", "%x", one.revents);
	fd_set set;
	FD_ZERO(&set);
	FD_SET(fd, &set);
	CALL(select(fd + 1, &set, NULL, NULL, &(struct timeval){ 0 }));
}

const struct posix_case data_cases[] = {
	{ "read and write", reading },
	{ "vectors", vectors },
	{ "O_APPEND", appending },
	{ "unlinked files", unlinked },
	{ "mappings", mappings },
	{ "O_DIRECT", direct },
	{ "copying", copies },
	{ "large data", large },
	{ "syncing", syncing },
	{ "polling", polling },
	{ NULL, NULL },
};
