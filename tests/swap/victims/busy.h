/*
 * Work that goes on all the time, in threads and processes of one program. A check waits until every worker has done something since
 * the last one, and tells what any of them found wrong first.
 */
#ifndef BUSY_H
#define BUSY_H

#include "victim.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "../../e2e/victims/monotonic.h"

enum { MAX_WORKERS = 48, PROGRESS_S = 20 };

struct worker {
	char name[32];
	atomic_long steps;
	long steps_at_check;
	void (*step)(int number);
	int number;
	pthread_t thread;
	pid_t pid; /* 0 for a thread */
};

/* Shared by all processes of the program. */
struct busy {
	atomic_int stop, errors;
	char first_error[COMPLAINT];
	int worker_count;
	struct worker workers[MAX_WORKERS];
};
static struct busy *busy;

/* What is wrong, from any worker; the first one is kept. */
__attribute__((format(printf, 1, 2), unused)) static void wrong(const char *format, ...)
{
	int error = errno;
	if (atomic_fetch_add(&busy->errors, 1) > 0)
		return;
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(busy->first_error, COMPLAINT - 32, format, arguments);
	va_end(arguments);
	if (length >= 0 && length < COMPLAINT - 32)
		snprintf(busy->first_error + length, 32, " (errno %d)", error);
}

#define right(condition, ...)                                                                                                          \
	do {                                                                                                                           \
		if (!(condition))                                                                                                      \
			wrong(__VA_ARGS__);                                                                                            \
	} while (0)

static void *go_on(void *argument)
{
	struct worker *worker = argument;
	while (!atomic_load(&busy->stop)) {
		worker->step(worker->number);
		atomic_fetch_add(&worker->steps, 1);
	}
	return NULL;
}

static struct worker *new_worker(const char *name, void (*step)(int number), int number)
{
	if (busy == NULL)
		busy = shared_memory(sizeof *busy);
	must(busy->worker_count < MAX_WORKERS);
	struct worker *worker = &busy->workers[busy->worker_count++];
	snprintf(worker->name, sizeof worker->name, "%s %d", name, number);
	worker->step = step;
	worker->number = number;
	return worker;
}

/* Starts a thread that does it again and again. All processes are to be started before the first thread. */
__attribute__((unused)) static void busy_thread(const char *name, void (*step)(int number), int number)
{
	struct worker *worker = new_worker(name, step, number);
	must(pthread_create(&worker->thread, NULL, go_on, worker) == 0);
}

/* Starts a process that does it. */
__attribute__((unused)) static void busy_process(const char *name, void (*set_up)(void), void (*step)(int number), int number)
{
	struct worker *worker = new_worker(name, step, number);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (set_up != NULL)
			set_up();
		go_on(worker);
		_exit(0);
	}
	worker->pid = pid;
	belongs(pid);
}

__attribute__((unused)) static void breathe(int us)
{
	struct timespec time = { 0, us * 1000L };
	clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

/* The check of all work. */
__attribute__((unused)) static void check_busy(void)
{
	int64_t limit = monotonic_ns() + PROGRESS_S * 1000000000LL;
	for (int i = 0; i < busy->worker_count; i++) {
		struct worker *worker = &busy->workers[i];
		while (atomic_load(&worker->steps) == worker->steps_at_check && monotonic_ns() < limit)
			breathe(500);
		expect(atomic_load(&worker->steps) != worker->steps_at_check, "%s does not go on", worker->name);
	}
	for (int i = 0; i < busy->worker_count; i++)
		busy->workers[i].steps_at_check = atomic_load(&busy->workers[i].steps);
	expect(atomic_load(&busy->errors) == 0, "%d errors, the first: %s", atomic_load(&busy->errors), busy->first_error);
}

/* Ends all work. What the workers counted is then final. */
__attribute__((unused)) static void stop_busy(void)
{
	atomic_store(&busy->stop, 1);
	for (int i = 0; i < busy->worker_count; i++) {
		struct worker *worker = &busy->workers[i];
		int status = -1;
		if (worker->pid == 0)
			pthread_join(worker->thread, NULL);
		else
			expect(waitpid(worker->pid, &status, 0) == worker->pid && status == 0, "%s ended with %x", worker->name, status);
	}
	expect(atomic_load(&busy->errors) == 0, "%d errors, the first: %s", atomic_load(&busy->errors), busy->first_error);
}

#endif
