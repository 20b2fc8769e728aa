/*
 * blocked stat|open|read COUNT DIRECTORY
 *
 * COUNT threads that issue one call at once, each on a file of its own, DIRECTORY/f00000 and so on, which holds its name and a
 * newline. For `read` the files are opened first. Prints "ready"; "go" on stdin starts the calls ("went"); "mark" records
 * the time that the returns are counted from ("marked"). When all are back, prints one line of JSON.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monotonic.h"

enum op { STAT, OPEN, READ };
enum { STACK = 65536, NAME = 6, ERRNOS = 4096 };

struct client {
	pthread_t thread;
	int fd;
	int error;
	int wrong;
	int64_t returned;
};

static enum op op;
static const char *directory;
static struct client *clients;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t start = PTHREAD_COND_INITIALIZER, prepared = PTHREAD_COND_INITIALIZER;
static long waiting;
static int started;

static void *run(void *argument)
{
	struct client *client = argument;
	char path[512], expected[NAME + 2], bytes[4096];
	snprintf(expected, sizeof expected, "f%05u\n", (unsigned)(client - clients) % 100000);
	snprintf(path, sizeof path, "%s/%.*s", directory, NAME, expected);
	client->fd = op == READ ? open(path, O_RDONLY) : -1;
	if (op == READ && client->fd < 0)
		client->error = errno;

	pthread_mutex_lock(&mutex);
	waiting++;
	pthread_cond_signal(&prepared);
	while (!started)
		pthread_cond_wait(&start, &mutex);
	pthread_mutex_unlock(&mutex);
	if (client->error != 0)
		return NULL;

	struct stat st;
	ssize_t count = 0;
	int result = op == STAT	  ? stat(path, &st)
		     : op == OPEN ? (client->fd = open(path, O_RDONLY))
				  : (int)(count = pread(client->fd, bytes, sizeof bytes, 0));
	client->error = result < 0 ? errno : 0;
	client->returned = monotonic_ns();
	if (result >= 0 && op == STAT)
		client->wrong = st.st_size != NAME + 1;
	if (result >= 0 && op == READ)
		client->wrong = count != NAME + 1 || memcmp(bytes, expected, NAME + 1) != 0;
	return NULL;
}

static int by_time(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return (left > right) - (left < right);
}

static void await_command(const char *command)
{
	char line[64];
	while (fgets(line, sizeof line, stdin) != NULL)
		if (strncmp(line, command, strlen(command)) == 0)
			return;
	exit(3);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	op = strcmp(argv[1], "stat") == 0 ? STAT : strcmp(argv[1], "open") == 0 ? OPEN : READ;
	long count = atol(argv[2]);
	directory = argv[3];
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);

	clients = calloc(count, sizeof *clients);
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK > PTHREAD_STACK_MIN ? STACK : PTHREAD_STACK_MIN);
	for (long i = 0; i < count; i++) {
		int error = pthread_create(&clients[i].thread, &attributes, run, &clients[i]);
		if (error != 0) {
			fprintf(stderr, "blocked: thread %ld: %s\n", i, strerror(error));
			return 4;
		}
	}
	pthread_mutex_lock(&mutex);
	while (waiting < count)
		pthread_cond_wait(&prepared, &mutex);
	pthread_mutex_unlock(&mutex);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");

	await_command("go");
	pthread_mutex_lock(&mutex);
	started = 1;
	pthread_cond_broadcast(&start);
	pthread_mutex_unlock(&mutex);
	puts("went");
	await_command("mark");
	int64_t mark = monotonic_ns();
	puts("marked");

	int64_t *times = calloc(count, sizeof *times);
	long returned = 0, wrong = 0, early = 0;
	static long errors[ERRNOS];
	for (long i = 0; i < count; i++) {
		pthread_join(clients[i].thread, NULL);
		wrong += clients[i].wrong;
		if (clients[i].error != 0) {
			errors[clients[i].error % ERRNOS]++;
			continue;
		}
		early += clients[i].returned < mark;
		times[returned++] = clients[i].returned - mark;
	}
	qsort(times, returned, sizeof *times, by_time);
	printf("{\"count\":%ld,\"returned\":%ld,\"early\":%ld,\"wrong\":%ld,", count, returned, early, wrong);
	if (returned > 0)
		printf("\"firstNs\":%lld,\"medianNs\":%lld,\"lastNs\":%lld,", (long long)times[0],
		       (long long)times[returned / 2], (long long)times[returned - 1]);
	printf("\"errors\":{");
	const char *separator = "";
	for (int error = 0; error < ERRNOS; error++)
		if (errors[error] > 0) {
			printf("%s\"%s\":%ld", separator, strerrorname_np(error), errors[error]);
			separator = ",";
		}
	printf("}}\n");
	return 0;
}
