/* FIFOs with what is in them. See victim.h. */
#include "victim.h"

#include <poll.h>

/* Numbered messages, each of which must come out once and in order. */
struct stream {
	unsigned written, read;
};

enum { MESSAGE = 100, QUEUED = 5 };

static void put_message(int fd, struct stream *stream)
{
	unsigned char bytes[MESSAGE];
	for (int i = 0; i < MESSAGE; i++)
		bytes[i] = pattern_byte(stream->written, i);
	expect(write(fd, bytes, MESSAGE) == MESSAGE, "message %u cannot be written", stream->written);
	stream->written++;
}

static void take_message(int fd, struct stream *stream)
{
	unsigned char bytes[MESSAGE];
	ssize_t count = read(fd, bytes, MESSAGE);
	expect(count == MESSAGE && pattern_matches(stream->read, 0, bytes, MESSAGE), "message %u: %zd bytes", stream->read, count);
	stream->read++;
}

/* ---- both: both ends in one process, by three descriptions, with a larger buffer */

static int fifo_both, fifo_read, fifo_write;
static struct stream both_stream;

static void set_up_both(void)
{
	must(mkfifo(in("both"), 0600) == 0);
	fifo_both = open_in("both", O_RDWR);
	fifo_read = open_in("both", O_RDONLY | O_NONBLOCK);
	fifo_write = open_in("both", O_WRONLY);
	must(fcntl(fifo_both, F_SETPIPE_SZ, 1 << 18) == 1 << 18);
	for (int i = 0; i < QUEUED; i++)
		put_message(fifo_write, &both_stream);
}

static void check_both(void)
{
	expect(fcntl(fifo_read, F_GETPIPE_SZ) == 1 << 18, "the buffer has %d bytes", fcntl(fifo_read, F_GETPIPE_SZ));
	take_message(fifo_both, &both_stream);
	put_message(fifo_write, &both_stream);
	take_message(fifo_read, &both_stream);
	put_message(fifo_both, &both_stream);
}

static void finish_both(void)
{
	char byte;
	while (both_stream.read < both_stream.written)
		take_message(fifo_read, &both_stream);
	expect(read(fifo_read, &byte, 1) < 0 && errno == EAGAIN, "there is more than was written");
}

/* ---- ends: reader and writer are two unrelated processes */

static struct stream *ends_stream;
static int ends_fd;
static struct peer ends_reader;

static void open_reader(void)
{
	ends_fd = open_in("ends", O_RDONLY);
}

static void look_as_reader(void)
{
	take_message(ends_fd, ends_stream);
	take_message(ends_fd, ends_stream);
}

static void set_up_ends(void)
{
	must(mkfifo(in("ends"), 0600) == 0);
	ends_stream = shared_memory(sizeof *ends_stream);
	ends_reader = peer_unrelated(open_reader, look_as_reader);
	ends_fd = open_in("ends", O_WRONLY);
	peer_ready(&ends_reader);
	for (int i = 0; i < QUEUED; i++)
		put_message(ends_fd, ends_stream);
}

static void check_ends(void)
{
	put_message(ends_fd, ends_stream);
	put_message(ends_fd, ends_stream);
	peer_check(&ends_reader);
}

/* ---- left: data whose writer has gone; the reader sees the end behind it */

static int left_fd;
static struct stream left_stream;

static void set_up_left(void)
{
	must(mkfifo(in("left"), 0600) == 0);
	left_fd = open_in("left", O_RDONLY | O_NONBLOCK);
	int writer = open_in("left", O_WRONLY);
	for (int i = 0; i < QUEUED; i++)
		put_message(writer, &left_stream);
	must(close(writer) == 0);
}

static void check_left(void)
{
	struct pollfd state = { left_fd, POLLIN, 0 };
	expect(poll(&state, 1, 0) == 1 && state.revents == (POLLIN | POLLHUP), "poll says %x", state.revents);
	take_message(left_fd, &left_stream);
}

static void finish_left(void)
{
	char byte;
	while (left_stream.read < left_stream.written)
		take_message(left_fd, &left_stream);
	expect(read(left_fd, &byte, 1) == 0, "no end behind the data");
}

/* ---- unlinked: a FIFO without a name, with data */

static int unlinked_fd;
static struct stream unlinked_stream;

static void set_up_unlinked(void)
{
	must(mkfifo(in("unlinked"), 0600) == 0);
	unlinked_fd = open_in("unlinked", O_RDWR);
	must(unlink(in("unlinked")) == 0);
	for (int i = 0; i < QUEUED; i++)
		put_message(unlinked_fd, &unlinked_stream);
}

static void check_unlinked(void)
{
	take_message(unlinked_fd, &unlinked_stream);
	put_message(unlinked_fd, &unlinked_stream);
}

static const struct victim_case cases[] = {
	{ "both", set_up_both, check_both, finish_both },
	{ "ends", set_up_ends, check_ends, NULL },
	{ "left", set_up_left, check_left, finish_left },
	{ "unlinked", set_up_unlinked, check_unlinked, NULL },
};
VICTIM(cases)
