#define _GNU_SOURCE
#include "users.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A stand-in, as mountinfo has it. */
struct stand_in {
	unsigned id, major, minor;
	char *mountpoint;
};

static FILE *open_proc(pid_t pid, const char *name)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	return fopen(path, "re");
}

/* Reads the stand-ins out of mountinfo, as many as there is room for; returns how many. */
static size_t read_stand_ins(pid_t pid, struct stand_in *found, size_t room)
{
	FILE *mountinfo = open_proc(pid, "mountinfo");
	char *line = NULL;
	size_t size = 0, count = 0;
	while (mountinfo != NULL && count < room && getline(&line, &size, mountinfo) > 0) {
		struct stand_in next = { 0 };
		const char *type = strstr(line, " - ");
		if (type == NULL || strncmp(type, " - fuse.spfs ", 13) != 0)
			continue;
		if (sscanf(line, "%u %*u %u:%u %*s %ms", &next.id, &next.major, &next.minor, &next.mountpoint) == 4)
			found[count++] = next;
		else
			free(next.mountpoint);
	}
	free(line);
	if (mountinfo != NULL)
		fclose(mountinfo);
	return count;
}

static const struct stand_in *by_mount(const struct stand_in *all, size_t count, unsigned id)
{
	for (size_t i = 0; i < count; i++)
		if (all[i].id == id)
			return &all[i];
	return NULL;
}

/* The stand-in that what /proc/PID/fdinfo/N or such tells of is on. */
static const struct stand_in *of_fdinfo(pid_t pid, const char *name, const struct stand_in *all, size_t count)
{
	FILE *info = open_proc(pid, name);
	char line[256];
	unsigned id;
	const struct stand_in *found = NULL;
	while (info != NULL && found == NULL && fgets(line, sizeof line, info) != NULL)
		if (sscanf(line, "mnt_id: %u", &id) == 1)
			found = by_mount(all, count, id);
	if (info != NULL)
		fclose(info);
	return found;
}

static const struct stand_in *of_files(pid_t pid, const struct stand_in *all, size_t count)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/fdinfo", pid);
	DIR *directory = opendir(path);
	const struct stand_in *found = NULL;
	struct dirent *entry;
	while (directory != NULL && found == NULL && (entry = readdir(directory)) != NULL) {
		char name[32];
		if (entry->d_name[0] == '.' || snprintf(name, sizeof name, "fdinfo/%s", entry->d_name) >= (int)sizeof name)
			continue;
		found = of_fdinfo(pid, name, all, count);
	}
	if (directory != NULL)
		closedir(directory);
	return found;
}

/* Its directories and its program: an O_PATH descriptor of one says which mount it is on, and asks no file system. */
static const struct stand_in *of_places(pid_t pid, const struct stand_in *all, size_t count)
{
	static const char *const places[] = { "cwd", "root", "exe" };
	const struct stand_in *found = NULL;
	for (size_t i = 0; i < sizeof places / sizeof places[0] && found == NULL; i++) {
		char path[64], name[32];
		snprintf(path, sizeof path, "/proc/%d/%s", pid, places[i]);
		int fd = open(path, O_PATH | O_CLOEXEC);
		if (fd < 0)
			continue;
		snprintf(name, sizeof name, "fdinfo/%d", fd);
		found = of_fdinfo(getpid(), name, all, count);
		close(fd);
	}
	return found;
}

static const struct stand_in *of_mappings(pid_t pid, const struct stand_in *all, size_t count)
{
	FILE *maps = open_proc(pid, "maps");
	char *line = NULL;
	size_t size = 0;
	const struct stand_in *found = NULL;
	while (maps != NULL && found == NULL && getline(&line, &size, maps) > 0) {
		unsigned major, minor;
		if (sscanf(line, "%*s %*s %*s %x:%x", &major, &minor) != 2)
			continue;
		for (size_t i = 0; i < count && found == NULL; i++)
			if (all[i].major == major && all[i].minor == minor)
				found = &all[i];
	}
	free(line);
	if (maps != NULL)
		fclose(maps);
	return found;
}

bool uses_stand_in(pid_t pid, struct text *mountpoint)
{
	struct stand_in all[256];
	size_t count = read_stand_ins(pid, all, sizeof all / sizeof all[0]);
	const struct stand_in *found = NULL;
	if (count > 0)
		found = of_files(pid, all, count);
	if (count > 0 && found == NULL)
		found = of_places(pid, all, count);
	if (count > 0 && found == NULL)
		found = of_mappings(pid, all, count);
	if (found != NULL)
		text_print(mountpoint, "%s", found->mountpoint);
	for (size_t i = 0; i < count; i++)
		free(all[i].mountpoint);
	return found != NULL;
}
