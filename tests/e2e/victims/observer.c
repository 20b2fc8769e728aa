/*
 * observer MOUNTPOINT MARKER
 *
 * Looks at a mountpoint from outside as fast as it can while what is mounted there is replaced: one thread asks for the
 * root's st_dev, one opens and reads MOUNTPOINT/marker, one lists the directory for it. Right answers are a root of a device that
 * was named by a "dev" line and a marker that holds MARKER and is listed; everything else, errors included, is wrong.
 *
 * Commands on stdin, each answered by a line: "dev MAJOR MINOR" allows a device ("allowed"), "report" prints
 * {"root","marker","listing","wrong","devices"} with how many right answers of each kind were seen, how many wrong ones, and how many
 * of the allowed devices were seen at all; "stop" prints the same and ends. The first twenty wrong answers go to stderr.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { MAX_DEVICES = 4096, SHOWN = 20 };

static const char *mountpoint, *marker;
static char marker_path[PATH_MAX];
static _Atomic unsigned long devices[MAX_DEVICES];
static atomic_int seen[MAX_DEVICES];
static atomic_int allowed;
static atomic_long roots, markers, listings, wrong;

static void complain(const char *what, long detail)
{
	if (atomic_fetch_add(&wrong, 1) < SHOWN)
		fprintf(stderr, "observer: %s: %ld\n", what, detail);
}

static void *watch_root(void *unused)
{
	for (;;) {
		struct stat st;
		if (stat(mountpoint, &st) != 0) {
			complain("stat of the root: errno", errno);
			continue;
		}
		int count = atomic_load(&allowed), i = 0;
		while (i < count && devices[i] != st.st_dev)
			i++;
		if (i == count) {
			complain("root of an unexpected device", st.st_dev);
			continue;
		}
		atomic_store(&seen[i], 1);
		atomic_fetch_add(&roots, 1);
	}
	return unused;
}

static void *watch_marker(void *unused)
{
	size_t length = strlen(marker);
	for (;;) {
		char content[256];
		int fd = open(marker_path, O_RDONLY);
		if (fd < 0) {
			complain("open of the marker: errno", errno);
			continue;
		}
		ssize_t count = read(fd, content, sizeof content);
		if (count < 0)
			complain("read of the marker: errno", errno);
		else if ((size_t)count != length || memcmp(content, marker, length) != 0)
			complain("wrong marker of length", count);
		else
			atomic_fetch_add(&markers, 1);
		close(fd);
	}
	return unused;
}

static void *watch_listing(void *unused)
{
	for (;;) {
		DIR *directory = opendir(mountpoint);
		if (directory == NULL) {
			complain("opendir: errno", errno);
			continue;
		}
		int found = 0;
		struct dirent *entry;
		errno = 0;
		while ((entry = readdir(directory)) != NULL)
			found |= strcmp(entry->d_name, "marker") == 0;
		if (errno != 0)
			complain("readdir: errno", errno);
		else if (!found)
			complain("a listing without the marker", 0);
		else
			atomic_fetch_add(&listings, 1);
		closedir(directory);
	}
	return unused;
}

static void print_report(void)
{
	int used = 0;
	for (int i = 0; i < atomic_load(&allowed); i++)
		used += atomic_load(&seen[i]);
	printf("{\"root\":%ld,\"marker\":%ld,\"listing\":%ld,\"wrong\":%ld,\"devices\":%d}\n", roots, markers, listings,
	       wrong, used);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	mountpoint = argv[1];
	marker = argv[2];
	snprintf(marker_path, sizeof marker_path, "%s/marker", mountpoint);
	setvbuf(stdout, NULL, _IOLBF, 0);
	void *(*const watches[])(void *) = { watch_root, watch_marker, watch_listing };
	char line[128];
	int running = 0;
	while (fgets(line, sizeof line, stdin) != NULL) {
		unsigned major_number, minor_number;
		if (sscanf(line, "dev %u %u", &major_number, &minor_number) == 2) {
			if (atomic_load(&allowed) == MAX_DEVICES)
				return 3;
			devices[atomic_load(&allowed)] = makedev(major_number, minor_number);
			atomic_fetch_add(&allowed, 1);
			puts("allowed");
			/* The first device says what is there now: from here on there are right answers. */
			for (size_t i = 0; !running && i < sizeof watches / sizeof *watches; i++) {
				pthread_t thread;
				pthread_create(&thread, NULL, watches[i], NULL);
			}
			running = 1;
		} else if (strncmp(line, "report", 6) == 0) {
			print_report();
		} else if (strncmp(line, "stop", 4) == 0) {
			print_report();
			return 0;
		}
	}
	return 0;
}
