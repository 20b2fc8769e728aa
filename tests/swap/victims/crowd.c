/* Large numbers of threads, descriptors and processes. See victim.h. */
#include "victim.h"

#include <pthread.h>
#include <sys/resource.h>

static int held;
static off_t held_at;

static void hold_file(void)
{
	make_file("held", 1, 5000);
	held = open_in("held", O_RDONLY);
}

static void check_file(void)
{
	expect(reads_pattern(held, 1, held_at, 10), "at %ld", (long)lseek(held, 0, SEEK_CUR));
	held_at += 10;
}

/* ---- threads: a thousand, of which every tenth runs in user mode for short whiles */

enum { THREADS = 1000 };
static volatile int threads_over;
static pthread_barrier_t threads_ready;

static void *be_there(void *argument)
{
	long number = (long)argument;
	struct timespec time = { 0, 20000000 };
	pthread_barrier_wait(&threads_ready);
	while (!threads_over) {
		if (number % 10 == 0)
			for (volatile int i = 0; i < 1000; i++)
				;
		nanosleep(&time, NULL);
	}
	return NULL;
}

static pthread_t threads[THREADS];

static void set_up_threads(void)
{
	pthread_attr_t small;
	hold_file();
	must(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 65536) == 0);
	must(pthread_barrier_init(&threads_ready, NULL, THREADS + 1) == 0);
	for (long i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], &small, be_there, (void *)i) == 0);
	pthread_barrier_wait(&threads_ready);
}

static void finish_threads(void)
{
	threads_over = 1;
	for (int i = 0; i < THREADS; i++)
		expect(pthread_join(threads[i], NULL) == 0, "thread %d is not there", i);
}

/* ---- descriptors: twenty processes with as many descriptions each */

enum { HOLDERS = 20, EACH = 5000 };
static struct peer holders[HOLDERS];
static int many[EACH], holder_number;

static void hold_many(void)
{
	struct rlimit limit = { EACH + 100, EACH + 100 };
	must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (int i = 0; i < EACH; i++) {
		many[i] = open_in("held", O_RDONLY);
		must(lseek(many[i], i % 5000, SEEK_SET) >= 0);
	}
}

static void check_many(void)
{
	for (int i = 0; i < EACH; i++) {
		unsigned char byte = 0;
		off_t at = lseek(many[i], 0, SEEK_CUR);
		expect(at == i % 5000, "fd %d is at %ld", many[i], (long)at);
		if (i % 100 == 0)
			expect(pread(many[i], &byte, 1, 17) == 1 && byte == pattern_byte(1, 17), "fd %d reads another byte", i);
	}
}

static void set_up_descriptors(void)
{
	make_file("held", 1, 5000);
	for (holder_number = 0; holder_number < HOLDERS; holder_number++)
		holders[holder_number] = peer_fork(hold_many, check_many);
}

static void check_descriptors(void)
{
	for (int i = 0; i < HOLDERS; i++)
		peer_check(&holders[i]);
}

/* ---- processes: sixty, which share one description and have a mapping and some descriptors each */

enum { PROCESSES = 60 };
static struct peer processes[PROCESSES];
static unsigned char *own_page;
static off_t *common_at;
static int own_fds[10], process_number;

static void be_process(void)
{
	for (int i = 0; i < 10; i++) {
		own_fds[i] = open_in("held", O_RDWR);
		must(lseek(own_fds[i], process_number + i, SEEK_SET) >= 0);
	}
	own_page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, own_fds[0], 0);
	must(own_page != MAP_FAILED);
	own_page[100] = (unsigned char)process_number;
}

static void check_process(void)
{
	expect(reads_pattern(held, 1, *common_at, 3), "the common offset is %ld, not %ld", (long)lseek(held, 0, SEEK_CUR),
	       (long)*common_at);
	*common_at += 3;
	for (int i = 0; i < 10; i++)
		expect(lseek(own_fds[i], 0, SEEK_CUR) == process_number + i, "fd %d is elsewhere", own_fds[i]);
	expect(own_page[100] == process_number && pattern_matches(1, 0, own_page, 100), "the mapping is another");
}

static void set_up_processes(void)
{
	common_at = shared_memory(sizeof *common_at);
	hold_file();
	for (process_number = 0; process_number < PROCESSES; process_number++)
		processes[process_number] = peer_fork(be_process, check_process);
}

static void check_processes(void)
{
	for (int i = 0; i < PROCESSES; i++)
		peer_check(&processes[i]);
}

static const struct victim_case cases[] = {
	{ "threads", set_up_threads, check_file, finish_threads },
	{ "descriptors", set_up_descriptors, check_descriptors, NULL },
	{ "processes", set_up_processes, check_processes, NULL },
};
VICTIM(cases)
