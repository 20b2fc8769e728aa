/* Cases about attributes: modes, owners, times, set-id bits, statx, and the ioctls that tell of a file. */
#include "cases.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <time.h>

static void modes(void)
{
	put("f", "x");
	for (int mode = 0; mode <= 07777; mode = mode * 2 + 1) {
		CALL(chmod("f", mode));
		show("f");
	}
	CALL(chmod("none", 0600));
	CALL(chmod("f/x", 0600));
	int fd = open("f", O_RDONLY);
	CALL(fchmod(fd, 0640));
	show_fd(fd);
	CALL(unlink("f"));
	CALL(fchmod(fd, 0604));
	show_fd(fd);
	fd = open(".", O_PATH);
	CALL(fchmod(fd, 0700));
	CALL(syscall(452, fd, "", 0777, AT_EMPTY_PATH)); /* fchmodat2 */
	AS(alice)
	{
		put("mine", "x");
		CALL(chmod("mine", 06777));
		show("mine");
		CALL(chmod(".", 0777));
	}
	AS(bob)
	{
		CALL(chmod("mine", 0600));
	}
	CALL(chown("mine", 1000, 501));
	AS(alice)
	{
		CALL(chmod("mine", 02755)); /* of a group that alice is not in */
		show("mine");
	}
	CALL(chown("mine", 1002, 501));
	AS(member)
	{
		CALL(chmod("mine", 02755));
		show("mine");
		CALL(mkdir("dir", 0755));
		CALL(chmod("dir", 07777));
		show("dir");
	}
}

static void owners(void)
{
	put("f", "x");
	CALL(chown("f", 1000, 1000));
	show("f");
	CALL(chown("f", -1, -1));
	CALL(chown("f", -1, 5));
	CALL(chown("f", 6, -1));
	show("f");
	CALL(chown("f", 4294967294u, 4294967294u));
	show("f");
	CALL(symlink("f", "s"));
	CALL(lchown("s", 7, 8));
	show("s");
	show("f");
	CALL(chown("f", 1002, 1002));
	AS(member)
	{
		CALL(chown("f", -1, 501));
		CALL(chown("f", -1, 502));
		CALL(chown("f", 1002, 9));
		CALL(chown("f", 1000, -1));
		CALL(chown("f", -1, -1));
		show("f");
	}
	AS(bob)
	{
		CALL(chown("f", -1, 7));
		CALL(chown("f", 1001, 1001));
		CALL(chown("f", -1, -1));
	}
	int fd = open("f", O_RDONLY);
	CALL(unlink("f"));
	CALL(fchown(fd, 1, 2));
	show_fd(fd);
	CALL(chown("none", 1, 1));
}

/* Sets all set-id bits on a file of mode `mode`, lets `user` do something to it, and shows what is left. */
#define CLEARS(USER, MODE, WHAT)                             \
	do {                                                 \
		put("f", "some text");                       \
		chown("f", 1000, 1000), chmod("f", (MODE));  \
		AS(USER) CALL(WHAT);                         \
		show("f");                                   \
	} while (0)

static int write_to(const char *path)
{
	int fd = open(path, O_WRONLY);
	return fd < 0 ? -1 : (int)write(fd, "y", 1);
}

static int write_nothing(const char *path)
{
	int fd = open(path, O_WRONLY);
	return fd < 0 ? -1 : (int)write(fd, "y", 0);
}

static int allocate(const char *path, int mode)
{
	int fd = open(path, O_WRONLY);
	return fd < 0 ? -1 : fallocate(fd, mode, 0, 4096);
}

static int shorten(const char *path)
{
	int fd = open(path, O_WRONLY);
	return fd < 0 ? -1 : ftruncate(fd, 3);
}

static int copy_to(const char *path)
{
	put("source", "source");
	int from = open("source", O_RDONLY), to = open(path, O_WRONLY);
	return from < 0 || to < 0 ? -1 : (int)copy_file_range(from, NULL, to, NULL, 6, 0);
}

static void set_id(void)
{
	static const struct user root = { 0, 0, 0, { 0 } };
	static const mode_t modes[] = { 06777, 06767, 02666, 04666, 02676 };
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		mode_t mode = modes[i];
		CLEARS(bob, mode, write_to("f"));
		CLEARS(alice, mode, write_to("f"));
		CLEARS(root, mode, write_to("f"));
		CLEARS(bob, mode, write_nothing("f"));
		CLEARS(bob, mode, truncate("f", 2));
		CLEARS(alice, mode, truncate("f", 2));
		CLEARS(root, mode, truncate("f", 2));
		CLEARS(bob, mode, shorten("f"));
		CLEARS(bob, mode, open("f", O_WRONLY | O_TRUNC) < 0 ? -1 : 0);
		CLEARS(root, mode, open("f", O_WRONLY | O_TRUNC) < 0 ? -1 : 0);
		CLEARS(bob, mode, allocate("f", 0));
		CLEARS(bob, mode, allocate("f", FALLOC_FL_KEEP_SIZE));
		CLEARS(bob, mode, allocate("f", FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE));
		CLEARS(root, mode, allocate("f", 0));
		CLEARS(bob, mode, copy_to("f"));
		CLEARS(alice, mode, chown("f", -1, 1000));
		CLEARS(alice, mode, chown("f", -1, -1));
		CLEARS(root, mode, chown("f", 5, -1));
		CLEARS(root, mode, chown("f", -1, 5));
		CLEARS(root, mode, chown("f", 1000, 1000));
		CLEARS(root, mode, chmod("f", mode));
	}
	CALL(mkdir("d", 0777));
	CALL(chmod("d", 07777));
	CALL(chown("d", 5, 6));
	show("d");
}

static void print_times(const char *path)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		print_result(path, -1);
	else
		print_value(path, "%lld.%09ld %lld.%09ld", (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
			    (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static int recent(struct timespec time)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec - time.tv_sec < 30 && time.tv_sec - now.tv_sec < 30;
}

static void times(void)
{
	struct stat st;
	struct timespec set[2] = { { 1234567890, 123456789 }, { 987654321, 987654321 } };
	put("f", "x");
	CALL(utimensat(AT_FDCWD, "f", set, 0));
	print_times("f");
	static const long long seconds[] = { -1, 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x3ffffffff, 0x7fffffffffff };
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
		set[0].tv_sec = set[1].tv_sec = seconds[i];
		CALL(utimensat(AT_FDCWD, "f", set, 0));
		print_times("f");
	}
	set[0] = (struct timespec){ 5, 6 }, set[1] = (struct timespec){ 7, 8 };
	CALL(utimensat(AT_FDCWD, "f", set, 0));
	CALL(utimensat(AT_FDCWD, "f", (struct timespec[]){ { 1, UTIME_OMIT }, { 9, 9 } }, 0));
	print_times("f");
	CALL(utimensat(AT_FDCWD, "f", (struct timespec[]){ { 4, 4 }, { 1, UTIME_OMIT } }, 0));
	print_times("f");
	CALL(utimensat(AT_FDCWD, "f", (struct timespec[]){ { 0, UTIME_OMIT }, { 0, UTIME_OMIT } }, 0));
	CALL(utimensat(AT_FDCWD, "f", (struct timespec[]){ { 0, UTIME_OMIT }, { 0, UTIME_NOW } }, 0));
	stat("f", &st);
	HOLDS(recent(st.st_mtim));
	HOLDS(st.st_atim.tv_sec == 4);
	CALL(utimensat(AT_FDCWD, "f", (struct timespec[]){ { 0, UTIME_NOW }, { 3, 3 } }, 0));
	stat("f", &st);
	HOLDS(recent(st.st_atim) && st.st_mtim.tv_sec == 3);
	CALL(utimensat(AT_FDCWD, "f", NULL, 0));
	stat("f", &st);
	HOLDS(recent(st.st_atim) && recent(st.st_mtim) && recent(st.st_ctim));
	CALL(utimensat(AT_FDCWD, "f", (struct timespec[]){ { 0, 1000000000 }, { 0, 0 } }, 0));
	CALL(symlink("f", "s"));
	CALL(utimensat(AT_FDCWD, "s", set, AT_SYMLINK_NOFOLLOW));
	print_times("s");
	int fd = open("f", O_RDONLY);
	CALL(futimens(fd, set));
	print_times("f");
	CALL(unlink("f"));
	CALL(futimens(fd, (struct timespec[]){ { 11, 11 }, { 12, 12 } }));
	fstat(fd, &st);
	HOLDS(st.st_atim.tv_sec == 11 && st.st_mtim.tv_nsec == 12);
	CALL(mkdir("d", 0777));
	CALL(utimensat(AT_FDCWD, "d", set, 0));
	print_times("d");
	put("d/f", "");
	stat("d", &st);
	HOLDS(recent(st.st_mtim) && recent(st.st_ctim));
	put("alice's", "x");
	CALL(chown("alice's", 1000, 1000));
	CALL(chmod("alice's", 0666));
	AS(alice)
	{
		CALL(utimensat(AT_FDCWD, "alice's", set, 0));
		CALL(utimensat(AT_FDCWD, "alice's", NULL, 0));
	}
	AS(bob)
	{
		CALL(utimensat(AT_FDCWD, "alice's", set, 0));
		CALL(utimensat(AT_FDCWD, "alice's", NULL, 0));
		CALL(utimensat(AT_FDCWD, "alice's", (struct timespec[]){ { 0, UTIME_NOW }, { 0, UTIME_NOW } }, 0));
		CALL(utimensat(AT_FDCWD, "alice's", (struct timespec[]){ { 0, UTIME_OMIT }, { 0, UTIME_NOW } }, 0));
	}
	CALL(chmod("alice's", 0644));
	AS(bob)
	{
		CALL(utimensat(AT_FDCWD, "alice's", NULL, 0));
	}
}

/* Which operations move which times on: all are set to the past before. */
#define MOVES(WHAT)                                                                               \
	do {                                                                                      \
		struct timespec past_[2] = { { 1000, 0 }, { 1000, 0 } };                          \
		struct stat before_, after_;                                                      \
		utimensat(AT_FDCWD, "f", past_, 0);                                               \
		stat("f", &before_);                                                              \
		usleep(12000);                                                                    \
		CALL(WHAT);                                                                       \
		stat("f", &after_);                                                               \
		print_value("moved", "mtime %d, ctime %d", after_.st_mtim.tv_sec != 1000,         \
			    memcmp(&before_.st_ctim, &after_.st_ctim, sizeof before_.st_ctim) != 0); \
	} while (0)

static void moving_times(void)
{
	put("f", "text");
	int fd = open("f", O_RDWR);
	MOVES(pwrite(fd, "x", 1, 0));
	MOVES(pwrite(fd, "x", 0, 0));
	MOVES(ftruncate(fd, 4));
	MOVES(ftruncate(fd, 2));
	MOVES(truncate("f", 2));
	MOVES(truncate("f", 10));
	MOVES(chmod("f", 0600));
	MOVES(chown("f", -1, -1));
	MOVES(chown("f", 1, 1));
	MOVES(link("f", "g"));
	MOVES(rename("g", "h"));
	MOVES(unlink("h"));
	MOVES(fallocate(fd, 0, 0, 8192));
	MOVES(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096));
	MOVES(close(open("f", O_WRONLY | O_TRUNC)));
	MOVES(close(open("f", O_WRONLY | O_TRUNC)));
	MOVES(close(open("f", O_RDONLY)));
	MOVES(fsync(fd));
}

static void extended_stat(void)
{
	struct statx st;
	put("f", "text");
	CALL(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &st));
	HOLDS((st.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
	HOLDS(st.stx_mask & STATX_BTIME);
	HOLDS(!(st.stx_mask & STATX_BTIME) || recent((struct timespec){ st.stx_btime.tv_sec, 0 }));
	print_value("block size", "%u", st.stx_blksize);
	CALL(statx(AT_FDCWD, "f", 0x40000000, STATX_BASIC_STATS, &st));
	CALL(statx(AT_FDCWD, "f", 0, 0x80000000, &st));
	CALL(statx(AT_FDCWD, "none", 0, STATX_BASIC_STATS, &st));
	int fd = open("f", O_RDONLY);
	CALL(statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st));
	HOLDS(st.stx_mask & STATX_BTIME);
	CALL(statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE, &st));
	print_value("size", "%llu", (unsigned long long)st.stx_size);
	CALL(statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &st));
	print_value("attributes that can be told", "%llx", (unsigned long long)st.stx_attributes_mask & ~0x203074ULL);
	CALL(statx(AT_FDCWD, "f", 0, STATX_DIOALIGN, &st));
	print_value("O_DIRECT alignment told", "%d", (st.stx_mask & STATX_DIOALIGN) != 0);
}

static void file_systems(void)
{
	struct statfs fs;
	struct statvfs vfs;
	CALL(statfs(".", &fs));
	print_value("statfs", "block size %ld, fragment size %ld, name length %ld, blocks %llu, inodes %llu", (long)fs.f_bsize,
		    (long)fs.f_frsize, (long)fs.f_namelen, (unsigned long long)fs.f_blocks, (unsigned long long)(fs.f_files != 0));
	HOLDS(fs.f_bavail > 0 && fs.f_bfree >= fs.f_bavail);
	print_value("type", "%lx", (long)fs.f_type);
	CALL(statvfs(".", &vfs));
	print_value("flags", "%lx", vfs.f_flag & ~(ST_NODEV | ST_NOSUID | ST_RELATIME | 0x20));
	put("f", "");
	CALL(statfs("f", &fs));
	AS(alice) CALL(statfs("f", &fs));
}

static void flags(void)
{
	int set = 0;
	struct fsxattr extended = { 0 };
	put("f", "x");
	int fd = open("f", O_RDWR);
	CALL(ioctl(fd, FS_IOC_GETFLAGS, &set));
	print_value("flags", "%x", set);
	set |= FS_NODUMP_FL | FS_NOATIME_FL;
	CALL(ioctl(fd, FS_IOC_SETFLAGS, &set));
	set = 0;
	CALL(ioctl(fd, FS_IOC_GETFLAGS, &set));
	print_value("flags", "%x", set);
	CALL(ioctl(fd, FS_IOC_FSGETXATTR, &extended));
	print_value("extended", "%x %u %u", extended.fsx_xflags, extended.fsx_extsize, extended.fsx_projid);
	extended.fsx_xflags |= FS_XFLAG_SYNC;
	CALL(ioctl(fd, FS_IOC_FSSETXATTR, &extended));
	CALL(ioctl(fd, FS_IOC_FSGETXATTR, &extended));
	print_value("extended", "%x", extended.fsx_xflags);
	set = FS_APPEND_FL;
	if (CALL(ioctl(fd, FS_IOC_SETFLAGS, &set)) == 0) {
		OPENS(open("f", O_WRONLY));
		OPENS(open("f", O_WRONLY | O_APPEND));
		CALL(unlink("f"));
		CALL(truncate("f", 0));
		CALL(chmod("f", 0600));
	}
	set = FS_IMMUTABLE_FL;
	if (CALL(ioctl(fd, FS_IOC_SETFLAGS, &set)) == 0) {
		OPENS(open("f", O_WRONLY));
		OPENS(open("f", O_RDONLY));
		CALL(unlink("f"));
		CALL(rename("f", "g"));
		CALL(link("f", "g"));
		CALL(chmod("f", 0600));
		CALL(chown("f", 1, 1));
		CALL(utimensat(AT_FDCWD, "f", NULL, 0));
	}
	set = 0;
	CALL(ioctl(fd, FS_IOC_SETFLAGS, &set));
	set = ~0;
	CALL(ioctl(fd, FS_IOC_SETFLAGS, &set));
	int directory = open(".", O_RDONLY | O_DIRECTORY);
	CALL(ioctl(directory, FS_IOC_GETFLAGS, &set));
	print_value("flags", "%x", set);
	CALL(ioctl(directory, FS_IOC_FSGETXATTR, &extended));
	CALL(chown("f", 1000, 1000));
	AS(alice)
	{
		fd = open("f", O_RDWR);
		set = FS_NODUMP_FL;
		CALL(ioctl(fd, FS_IOC_SETFLAGS, &set));
		set = FS_IMMUTABLE_FL;
		CALL(ioctl(fd, FS_IOC_SETFLAGS, &set));
	}
	AS(bob)
	{
		fd = open("f", O_RDONLY);
		CALL(ioctl(fd, FS_IOC_GETFLAGS, &set));
		print_value("flags", "%x", set);
		set = 0;
		CALL(ioctl(fd, FS_IOC_SETFLAGS, &set));
	}
}

static void other_ioctls(void)
{
	int number = 0;
	char label[256] = "";
	put("f", "0123456789");
	int fd = open("f", O_RDWR);
	struct fiemap map = { .fm_length = ~0ULL };
	CALL(ioctl(fd, FS_IOC_FIEMAP, &map));
	CALL(ioctl(fd, FIGETBSZ, &number));
	print_value("block size", "%d", number);
	CALL(ioctl(fd, FIONREAD, &number));
	print_value("readable", "%d", number);
	CALL(ioctl(fd, FS_IOC_GETVERSION, &number));
	CALL(ioctl(fd, FS_IOC_GETFSLABEL, label));
	CALL(ioctl(fd, 0x5401, label)); /* TCGETS */
	CALL(ioctl(fd, FIBMAP, &(int){ 0 }));
	CALL(ioctl(fd, FICLONE, fd));
	CALL(ioctl(fd, FITRIM, &(struct fstrim_range){ .len = 0 }));
	CALL(ioctl(fd, FIOASYNC, &(int){ 0 }));
	CALL(ioctl(fd, 0x12345678, label));
	int directory = open(".", O_RDONLY | O_DIRECTORY);
	CALL(ioctl(directory, FIGETBSZ, &number));
	CALL(ioctl(directory, FIONREAD, &number));
	CALL(ioctl(directory, FS_IOC_FIEMAP, &map));
	CALL(ioctl(directory, 0x5401, label));
}

static void by_descriptor(void)
{
	AS(alice)
	{
		int fd = open("f", O_CREAT | O_RDWR, 0444);
		CALL(write(fd, "0123456789", 10));
		CALL(ftruncate(fd, 5));
		CALL(truncate("f", 5));
		OPENS(open("f", O_WRONLY));
		CALL(fallocate(fd, 0, 0, 100));
		CALL(futimens(fd, NULL));
		CALL(fchmod(fd, 0));
		CALL(ftruncate(fd, 7));
		CALL(pread(fd, (char[7]){ 0 }, 7, 0));
		CALL(pwrite(fd, "x", 1, 6));
		CALL(lseek(fd, 0, SEEK_HOLE));
		CALL(fsync(fd));
		show_fd(fd);
		fd = open(".", O_TMPFILE | O_RDWR, 0);
		CALL(ftruncate(fd, 3));
		show_fd(fd);
	}
	int fd = open("g", O_CREAT | O_RDWR, 0600);
	AS(bob)
	{ /* who has it from root */
		CALL(ftruncate(fd, 4));
		CALL(write(fd, "text", 4));
		CALL(fallocate(fd, 0, 0, 100));
		CALL(fchmod(fd, 0666));
		show_fd(fd);
	}
}

const struct posix_case attribute_cases[] = {
	{ "by descriptor", by_descriptor },
	{ "chmod", modes },
	{ "chown", owners },
	{ "set-id bits", set_id },
	{ "times that are set", times },
	{ "times that move", moving_times },
	{ "statx", extended_stat },
	{ "statfs", file_systems },
	{ "inode flags", flags },
	{ "ioctls", other_ioctls },
	{ NULL, NULL },
};
