/* Cases about the space of a file: fallocate, holes, truncation. */
#include "cases.h"

enum { BLOCK = 4096 };

static void print_blocks(int fd)
{
	struct stat st;
	fsync(fd);
	fstat(fd, &st);
	print_value("space", "size %lld, blocks %lld", (long long)st.st_size, (long long)st.st_blocks);
}

/* Where the data is, as the file system tells. */
static void print_map(int fd)
{
	char text[512] = "";
	for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;) {
		off_t end = lseek(fd, at, SEEK_HOLE);
		sprintf(text + strlen(text), "%lld to %lld, ", (long long)at, (long long)end);
		at = end;
	}
	print_value("data", "%sthen %s", text, strerrorname_np(errno));
}

static int made(void)
{
	static char bytes[8 * BLOCK];
	memset(bytes, 'd', sizeof bytes);
	int fd = open("f", O_CREAT | O_TRUNC | O_RDWR, 0644);
	if (write(fd, bytes, sizeof bytes) != sizeof bytes)
		print_result("write", -1);
	return fd;
}

static void print_bytes(int fd)
{
	char bytes[10 * BLOCK], seen[21] = "";
	memset(bytes, '?', sizeof bytes);
	ssize_t length = pread(fd, bytes, sizeof bytes, 0);
	for (int i = 0; i * BLOCK / 2 < length && i < 20; i++)
		seen[i] = bytes[i * BLOCK / 2] ? bytes[i * BLOCK / 2] : '0';
	print_value("bytes", "%zd %s", length, seen);
}

#define ALLOCATES(MODE, OFFSET, LENGTH)                    \
	do {                                               \
		int fd_ = made();                          \
		CALL(fallocate(fd_, MODE, OFFSET, LENGTH)); \
		print_blocks(fd_);                         \
		print_map(fd_);                            \
		print_bytes(fd_);                          \
		close(fd_);                                \
	} while (0)

static void allocation(void)
{
	ALLOCATES(0, 0, BLOCK);
	ALLOCATES(0, 0, 16 * BLOCK);
	ALLOCATES(0, 5, 9 * BLOCK);
	ALLOCATES(FALLOC_FL_KEEP_SIZE, 0, 16 * BLOCK);
	ALLOCATES(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BLOCK, 2 * BLOCK);
	ALLOCATES(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BLOCK + 7, 2 * BLOCK);
	ALLOCATES(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 7 * BLOCK, 8 * BLOCK);
	ALLOCATES(FALLOC_FL_PUNCH_HOLE, BLOCK, BLOCK);
	ALLOCATES(FALLOC_FL_ZERO_RANGE, BLOCK, 2 * BLOCK);
	ALLOCATES(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 7 * BLOCK, 3 * BLOCK);
	ALLOCATES(FALLOC_FL_COLLAPSE_RANGE, BLOCK, 2 * BLOCK);
	ALLOCATES(FALLOC_FL_COLLAPSE_RANGE, 1, BLOCK);
	ALLOCATES(FALLOC_FL_INSERT_RANGE, BLOCK, 2 * BLOCK);
	ALLOCATES(FALLOC_FL_UNSHARE_RANGE, 0, BLOCK);
	ALLOCATES(0x4000, 0, BLOCK);
	ALLOCATES(0, -1, BLOCK);
	ALLOCATES(0, 0, 0);
	ALLOCATES(0, 0, -1);
	ALLOCATES(0, 0x7ffffffffffff000, 0x10000);
	int only = open("f", O_RDONLY), directory = open(".", O_RDONLY);
	CALL(fallocate(only, 0, 0, BLOCK));
	CALL(fallocate(directory, 0, 0, BLOCK));
	CALL(posix_fallocate(open("f", O_WRONLY), 0, 20 * BLOCK));
	show("f");
}

static void holes(void)
{
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	CALL(lseek(fd, 0, SEEK_DATA));
	CALL(lseek(fd, 0, SEEK_HOLE));
	CALL(ftruncate(fd, 16 * BLOCK));
	CALL(lseek(fd, 0, SEEK_DATA));
	CALL(lseek(fd, 0, SEEK_HOLE));
	CALL(lseek(fd, 16 * BLOCK, SEEK_HOLE));
	CALL(lseek(fd, 16 * BLOCK - 1, SEEK_HOLE));
	CALL(lseek(fd, -1, SEEK_HOLE));
	CALL(pwrite(fd, "x", 1, 4 * BLOCK));
	CALL(pwrite(fd, "x", 1, 9 * BLOCK + 100));
	print_map(fd);
	CALL(lseek(fd, 4 * BLOCK + 1, SEEK_DATA));
	CALL(lseek(fd, 0, SEEK_CUR));
	print_blocks(fd);
	CALL(pwrite(fd, "far", 3, 1LL << 33));
	print_map(fd);
	print_blocks(fd);
	CALL(ftruncate(fd, 9 * BLOCK + 50));
	print_map(fd);
	print_blocks(fd);
	CALL(ftruncate(fd, 10 * BLOCK));
	char byte = '?';
	CALL(pread(fd, &byte, 1, 9 * BLOCK + 100));
	HOLDS(byte == 0);
	CALL(ftruncate(fd, 0));
	print_blocks(fd);
}

static void beyond(void)
{
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	CALL(pwrite(fd, "x", 1, 1LL << 40));
	show("f");
	CALL(pwrite(fd, "x", 1, (1LL << 44) - 4096 - 1));
	CALL(ftruncate(fd, 1LL << 45));
	CALL(ftruncate(fd, 1LL << 62));
	CALL(fallocate(fd, 0, 0, 1LL << 40));
	show("f");
	CALL(truncate("f", 7));
	show("f");
	char *none = malloc(1 << 20);
	memset(none, 1, 1 << 20);
	long long written = 0;
	for (ssize_t length; (length = write(fd, none, 1 << 20)) > 0 && written < 1LL << 31;)
		written += length;
	print_result("write until it is full", -1);
	HOLDS(written > 1 << 20);
	CALL(ftruncate(fd, 0));
	CALL(unlink("f"));
}

const struct posix_case space_cases[] = {
	{ "fallocate", allocation },
	{ "holes", holes },
	{ "large offsets, no space", beyond },
	{ NULL, NULL },
};
