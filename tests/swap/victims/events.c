/* epoll registrations and inotify watches of what is on the mount. See victim.h. */
#include "victim.h"

#include <sys/epoll.h>
#include <sys/inotify.h>

/* ---- epoll: FIFOs, level and edge triggered, one shot armed and disarmed, two numbers of one description, two instances */

enum { WATCHED = 6 };
static int fifo_read[WATCHED], fifo_write[WATCHED], fifo_dup, instance, second_instance, outer_instance;
static const uint32_t watched_events[WATCHED] = { EPOLLIN,	      EPOLLIN | EPOLLET, EPOLLIN | EPOLLONESHOT, EPOLLIN | EPOLLONESHOT,
						  EPOLLIN | EPOLLRDHUP, EPOLLIN | EPOLLPRI };

static uint64_t data_of(int index)
{
	return 0x1122334455667700 + index;
}

static void add(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* What the instance reports at once, as a set of indices of `data_of`. */
static unsigned reported(int epoll)
{
	struct epoll_event events[16];
	int count = epoll_wait(epoll, events, 16, 0);
	unsigned found = 0;
	for (int i = 0; i < count; i++) {
		unsigned index = (unsigned)(events[i].data.u64 - data_of(0));
		expect(index < 32, "an event with data %llx", (unsigned long long)events[i].data.u64);
		found |= index < 32 ? 1U << index : 0;
	}
	return found;
}

static void write_byte(int index)
{
	expect(write(fifo_write[index], "x", 1) == 1, "write to FIFO %d", index);
}

static void read_byte(int index)
{
	char byte;
	expect(read(fifo_read[index], &byte, 1) == 1, "read from FIFO %d", index);
}

static void set_up_epoll(void)
{
	instance = epoll_create1(EPOLL_CLOEXEC);
	second_instance = epoll_create1(0);
	outer_instance = epoll_create1(0);
	must(instance >= 0 && second_instance >= 0 && outer_instance >= 0);
	for (int i = 0; i < WATCHED; i++) {
		char name[16];
		snprintf(name, sizeof name, "watched%d", i);
		must(mkfifo(in(name), 0600) == 0);
		fifo_read[i] = open_in(name, O_RDONLY | O_NONBLOCK);
		fifo_write[i] = open_in(name, O_WRONLY | O_NONBLOCK);
		add(instance, fifo_read[i], watched_events[i], data_of(i));
	}
	fifo_dup = dup(fifo_read[0]);
	add(instance, fifo_dup, EPOLLIN, data_of(10));
	add(second_instance, fifo_read[0], EPOLLIN | EPOLLET, data_of(20));
	add(outer_instance, second_instance, EPOLLIN, data_of(21));
	/* FIFO 3 has had its shot: it reports nothing until it is armed again. */
	write_byte(3);
	must(reported(instance) == 1U << 3);
	must(complaint[0] == 0);
}

static void check_epoll(void)
{
	unsigned found = reported(instance);
	expect(found == 0, "reported without a cause: %x", found);
	reported(second_instance);
	write_byte(0);
	found = reported(outer_instance);
	expect(found == 1U << 21, "the outer instance reported %x", found);
	found = reported(second_instance);
	expect(found == 1U << 20, "the second instance reported %x", found);
	found = reported(second_instance);
	expect(found == 0, "the edge is reported again");
	found = reported(instance);
	expect(found == (1U | 1U << 10), "two numbers of one FIFO: %x", found);
	found = reported(instance);
	expect(found == (1U | 1U << 10), "the level is not reported again: %x", found);
	read_byte(0);
	write_byte(1);
	write_byte(2);
	write_byte(5);
	found = reported(instance);
	expect(found == (1U << 1 | 1U << 2 | 1U << 5), "FIFOs 1, 2 and 5: %x", found);
	write_byte(2);
	found = reported(instance);
	expect(found == 1U << 5, "after an edge and a shot: %x", found);
	read_byte(1);
	read_byte(2);
	read_byte(2);
	read_byte(5);
	struct epoll_event again = { .events = watched_events[2], .data.u64 = data_of(2) };
	expect(epoll_ctl(instance, EPOLL_CTL_MOD, fifo_read[2], &again) == 0, "a shot cannot be armed again");
	expect(epoll_ctl(instance, EPOLL_CTL_ADD, fifo_dup, &again) < 0 && errno == EEXIST, "a number is not registered");
	expect(epoll_ctl(instance, EPOLL_CTL_ADD, fifo_write[0], &again) == 0, "a number is registered that was not");
	epoll_ctl(instance, EPOLL_CTL_DEL, fifo_write[0], NULL);
}

/* ---- epoll-shared: an instance that a child has, too */

static struct peer epoll_child;

static void look_as_epoll_child(void)
{
	unsigned found = reported(instance);
	expect(found == (1U | 1U << 10), "reported %x", found);
	read_byte(0);
}

static void set_up_epoll_shared(void)
{
	set_up_epoll();
	epoll_child = peer_fork(NULL, look_as_epoll_child);
}

static void check_epoll_shared(void)
{
	write_byte(0);
	peer_check(&epoll_child);
	unsigned found = reported(instance);
	expect(found == 0, "reported %x", found);
	check_epoll();
}

/* ---- epoll-orphan: registered under a number that was closed while another one holds the description */

static int orphan_kept, orphan_writer, orphan_instance;

static void set_up_epoll_orphan(void)
{
	must(mkfifo(in("orphan"), 0600) == 0);
	int number = open_in("orphan", O_RDONLY | O_NONBLOCK);
	orphan_writer = open_in("orphan", O_WRONLY | O_NONBLOCK);
	orphan_kept = dup(number);
	orphan_instance = epoll_create1(0);
	add(orphan_instance, number, EPOLLIN, data_of(1));
	close(number);
	must(open("/dev/null", O_RDONLY) == number);
}

static void check_epoll_orphan(void)
{
	char byte;
	expect(reported(orphan_instance) == 0, "reported without a cause");
	expect(write(orphan_writer, "x", 1) == 1, "write");
	unsigned found = reported(orphan_instance);
	expect(found == 1U << 1, "reported %x", found);
	expect(read(orphan_kept, &byte, 1) == 1, "read");
}

/* ---- inotify: watches of a directory, a file and of one that came after a removed one; the last number was given and is free */

static int watcher, watch_directory, watch_file, watch_late, watch_next, watch_base;

static void set_up_inotify(void)
{
	must(mkdir(in("watched"), 0755) == 0);
	make_file("watched/file", 1, 100);
	make_file("watched/late", 1, 100);
	make_file("watched/removed", 1, 100);
	watcher = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watch_directory = inotify_add_watch(watcher, in("watched"), IN_CREATE | IN_DELETE);
	int removed = inotify_add_watch(watcher, in("watched/removed"), IN_MODIFY);
	watch_file = inotify_add_watch(watcher, in("watched/file"), IN_MODIFY | IN_ATTRIB);
	must(inotify_rm_watch(watcher, removed) == 0);
	watch_late = inotify_add_watch(watcher, in("watched/late"), IN_ATTRIB | IN_MODIFY);
	watch_next = inotify_add_watch(watcher, "/", IN_DELETE_SELF);
	must(inotify_rm_watch(watcher, watch_next++) == 0);
	watch_base = open_in("watched", O_PATH | O_DIRECTORY);
	must(watch_directory > 0 && watch_file > 0 && watch_late > watch_file);
	char events[4096];
	while (read(watcher, events, sizeof events) > 0)
		;
	must(unlink(in("watched/removed")) == 0); /* queued: one event that has not been read yet */
}

/* Events that were read and not looked at. */
static char events_read[4096] __attribute__((aligned(8)));
static ssize_t events_length;

static void expect_event(int watch, uint32_t mask, const char *name)
{
	const struct inotify_event *event = (const struct inotify_event *)events_read;
	if (events_length <= 0)
		events_length = read(watcher, events_read, sizeof events_read);
	if (events_length <= 0) {
		complain("no event of watch %d, mask %x", watch, mask);
		return;
	}
	expect(event->wd == watch && event->mask == mask, "event of watch %d, mask %x instead of %d, %x", event->wd, event->mask, watch,
	       mask);
	expect(event->len == 0 ? name == NULL : name != NULL && strcmp(event->name, name) == 0, "event of %s",
	       event->len == 0 ? "nothing" : event->name);
	size_t length = sizeof *event + event->len;
	events_length -= length;
	memmove(events_read, events_read + length, events_length);
}

static int inotify_first = 1;

static void check_inotify_events(void)
{
	if (inotify_first)
		expect_event(watch_directory, IN_DELETE, "removed");
	inotify_first = 0;
	int fd = openat(watch_base, "file", O_WRONLY);
	expect(fd >= 0 && pwrite(fd, "x", 1, 0) == 1, "write");
	expect_event(watch_file, IN_MODIFY, NULL);
	close(fd);
	fd = openat(watch_base, "new", O_WRONLY | O_CREAT, 0644);
	expect_event(watch_directory, IN_CREATE, "new");
	close(fd);
	expect(unlinkat(watch_base, "new", 0) == 0, "unlink");
	expect_event(watch_directory, IN_DELETE, "new");
	expect(fchmodat(watch_base, "late", 0640, 0) == 0, "chmod");
	expect_event(watch_late, IN_ATTRIB, NULL);
	expect(events_length == 0 && read(watcher, events_read, sizeof events_read) < 0 && errno == EAGAIN, "more events than changes");
}

static void check_inotify(void)
{
	check_inotify_events();
	int next = inotify_add_watch(watcher, "/", IN_DELETE_SELF);
	expect(next == watch_next, "the next watch is %d and not %d", next, watch_next);
	expect(inotify_rm_watch(watcher, next) == 0, "it cannot be removed");
	expect_event(watch_next++, IN_IGNORED, NULL);
	expect(events_length == 0 && read(watcher, events_read, sizeof events_read) < 0 && errno == EAGAIN, "more events than changes");
}

static const struct victim_case cases[] = {
	{ "epoll", set_up_epoll, check_epoll, NULL },
	{ "epoll-shared", set_up_epoll_shared, check_epoll_shared, NULL },
	{ "epoll-orphan", set_up_epoll_orphan, check_epoll_orphan, NULL },
	{ "inotify", set_up_inotify, check_inotify, NULL },
	{ "inotify-events", set_up_inotify, check_inotify_events, NULL }, /* CRIU does not keep the number of the next watch */
	{ "inotify-queued", set_up_inotify, NULL, check_inotify }, /* one event is not read before the end */
};
VICTIM(cases)
