#define _GNU_SOURCE
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "join.h"
#include "json.h"
#include "log.h"
#include "spawn.h"

enum { DEFAULT_TIMEOUT_MS = 30000, CHUNK = 1 << 16, MAX_LINE = 16 << 20 };

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until a descriptor is ready or closed. @returns 0, or an errno */
static int wait_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		int64_t left = deadline - now_ms();
		struct pollfd wanted = { .fd = fd, .events = events };
		int ready = poll(&wanted, 1, left > 0 ? (int)left : 0);
		if (ready > 0)
			return 0;
		if (ready == 0)
			return ETIMEDOUT;
		if (errno != EINTR)
			return errno;
	}
}

/* write(2) without the signal that it sends when nobody reads. */
static ssize_t write_quietly(int fd, const char *bytes, size_t count)
{
	sigset_t sigpipe, before, pending;
	sigemptyset(&sigpipe);
	sigaddset(&sigpipe, SIGPIPE);
	sigpending(&pending);
	sigprocmask(SIG_BLOCK, &sigpipe, &before);
	ssize_t written = write(fd, bytes, count);
	int error = errno;
	if (written < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&sigpipe, NULL, &(struct timespec){ 0 });
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return written;
}

/* @returns 0, or an errno */
static int send_line(struct daemon *daemon, const struct text *line, int64_t deadline)
{
	for (size_t at = 0; at < line->length;) {
		ssize_t written = write_quietly(daemon->channel.to, line->bytes + at, line->length - at);
		if (written >= 0) {
			at += written;
			continue;
		}
		int error = errno == EAGAIN ? wait_for(daemon->channel.to, POLLOUT, deadline) : errno;
		if (error != 0 && error != EINTR)
			return error;
	}
	return 0;
}

/* The next line that it writes, without its newline. @returns 0, or an errno; EPIPE when it has ended */
static int read_line(struct daemon *daemon, int64_t deadline, char **line)
{
	struct text *input = &daemon->input;
	text_drop(input, daemon->taken);
	daemon->taken = 0;
	for (size_t searched = 0;;) {
		char *end = searched < input->length ? memchr(input->bytes + searched, '\n', input->length - searched) : NULL;
		if (end != NULL) {
			*end = 0;
			*line = input->bytes;
			daemon->taken = end + 1 - input->bytes;
			return 0;
		}
		searched = input->length;
		if (input->length > MAX_LINE)
			return EMSGSIZE;
		if (!text_reserve(input, CHUNK))
			return ENOMEM;
		ssize_t count = read(daemon->channel.from, input->bytes + input->length, CHUNK);
		if (count == 0)
			return EPIPE;
		if (count > 0) {
			input->length += count;
			input->bytes[input->length] = 0;
			continue;
		}
		int error = errno == EAGAIN ? wait_for(daemon->channel.from, POLLIN, deadline) : errno;
		if (error != 0 && error != EINTR)
			return error;
	}
}

/* What it tells of its own accord. */
static void take_event(const char *event)
{
	const char *params = json_member(event, "params");
	if (!json_is(json_member(event, "method"), "mount.lost"))
		return;
	struct text told = { 0 };
	json_read(&told, json_member(params, "mount"));
	text_print(&told, " broke: ");
	json_read(&told, json_member(params, "reason"));
	if (!told.failed)
		log_error("mount %s", told.bytes);
	text_free(&told);
}

/* The answer to the first request that has none yet. @returns 0, or an errno; EPROTO when it wrote something else than the protocol */
static int read_answer(struct daemon *daemon, int64_t deadline, const char **answer)
{
	for (;;) {
		char *line;
		int error = read_line(daemon, deadline, &line);
		if (error != 0)
			return error;
		if (*line != '{' || json_skip(line) == NULL)
			return EPROTO;
		const char *id = json_member(line, "id");
		if (id == NULL)
			take_event(line);
		else if (strtoul(id, NULL, 10) == daemon->answered + 1)
			return daemon->answered++, *answer = line, 0;
	}
}

static const char *why(int error)
{
	switch (error) {
	case EPIPE:
		return "spfs has ended; its log may say why";
	case ETIMEDOUT:
		return "spfs did not answer in time";
	case EPROTO:
		return "what answers is not spfs";
	default:
		return strerror(error);
	}
}

static void log_refusal(const char *method, const char *error)
{
	struct text told = { 0 };
	json_read(&told, json_member(error, "message"));
	const char *detail = json_member(json_member(error, "data"), "detail");
	if (detail != NULL)
		text_print(&told, ": ");
	json_read(&told, detail);
	if (!told.failed && told.length > 0)
		log_error("%s: %s", method, told.bytes);
	else
		log_error("%s: failed", method);
	text_free(&told);
}

static bool lose(struct daemon *daemon, const char *method, int error, bool quiet)
{
	daemon->lost = error;
	if (!quiet)
		log_error("%s: %s", method, why(error));
	return false;
}

static bool ask(struct daemon *daemon, const char *method, const char *params, bool quiet)
{
	struct text line = { 0 };
	text_print(&line, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\",\"params\":%s}\n", ++daemon->requests, method, params);
	int error = line.failed ? ENOMEM : send_line(daemon, &line, now_ms() + daemon->timeout_ms);
	text_free(&line);
	return error == 0 || lose(daemon, method, error, quiet);
}

/* The result of the first request that was not answered yet. */
static const char *hear(struct daemon *daemon, const char *method, bool quiet)
{
	const char *answer = NULL;
	int error = read_answer(daemon, now_ms() + daemon->timeout_ms, &answer);
	if (error != 0) {
		lose(daemon, method, error, quiet);
		return NULL;
	}
	const char *result = json_member(answer, "result");
	const char *error_told = json_member(answer, "error");
	daemon->conflict = json_is(json_member(json_member(error_told, "data"), "kind"), "conflict");
	if (result == NULL && !quiet)
		log_refusal(method, error_told);
	return result;
}

const char *daemon_call(struct daemon *daemon, const char *method, const char *params, bool quiet)
{
	return ask(daemon, method, params, quiet) ? hear(daemon, method, quiet) : NULL;
}

void daemon_leave(struct daemon *daemon)
{
	channel_close(&daemon->channel);
	text_free(&daemon->input);
	*daemon = (struct daemon)NO_DAEMON;
}

void daemon_end(struct daemon *daemon)
{
	if (daemon->channel.pidfd < 0)
		return;
	if (daemon->lost == 0)
		daemon_call(daemon, "quit", "{\"force\":true}", true);
	/* One that did not answer in time, or is not spfs, has had its time. */
	int patience_ms = daemon->lost == 0 || daemon->lost == EPIPE ? daemon->timeout_ms : 0;
	if (wait_for(daemon->channel.pidfd, POLLIN, now_ms() + patience_ms) != 0) {
		log_error("spfs does not end and is killed; `spfs check --repair` takes away what it left mounted");
		syscall(SYS_pidfd_send_signal, daemon->channel.pidfd, SIGKILL, NULL, 0);
	}
	daemon_leave(daemon);
}

/* The file of its log. @returns a descriptor behind stderr, or -1; CRIU's log says why */
static int open_log(void)
{
	const char *name = getenv("SPFS_LOG");
	if (name == NULL || *name == 0)
		name = "spfs.log";
	int fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	int moved = move_off_stdio(fd);
	if (moved < 0)
		log_error("%s: %s", name, strerror(errno));
	return moved;
}

int daemon_patience(void)
{
	const char *value = getenv("SPFS_TIMEOUT");
	if (value == NULL || *value == 0)
		return DEFAULT_TIMEOUT_MS;
	char *end;
	errno = 0;
	long timeout = strtol(value, &end, 10);
	if (errno == 0 && *end == 0 && timeout > 0 && timeout <= INT_MAX)
		return (int)timeout;
	log_error("SPFS_TIMEOUT: %s is no number of milliseconds", value);
	return -1;
}

static const char introduction[] = "initialize";
static const char about[] = "{\"client\":{\"name\":\"criu-plugin\"},\"protocol\":{\"major\":1},\"onEof\":\"linger\",\"events\":[\"mount.lost\"]}";

/* Both are sent at once: it is still to come up. */
static const char *begin_started(struct daemon *daemon, const char *method, const char *params)
{
	int log = open_log();
	if (log < 0)
		return NULL;
	const char *program = getenv("SPFS_PROGRAM");
	bool started = spawn(program != NULL && *program != 0 ? program : "spfs", log, daemon->timeout_ms, &daemon->channel);
	close(log);
	if (!started)
		return NULL;
	bool asked = ask(daemon, introduction, about, false) && ask(daemon, method, params, false);
	return asked && hear(daemon, introduction, false) != NULL ? hear(daemon, method, false) : NULL;
}

/* A restore is undone by ending its daemon: one that serves another restore is left alone, and so is what may not be spfs. */
static const char *begin_joined(struct daemon *daemon, const char *path, const char *method, const char *params)
{
	log_info("the daemon at %s", path);
	bool known = daemon_call(daemon, introduction, about, false) != NULL;
	const char *result = known ? daemon_call(daemon, method, params, false) : NULL;
	if (!known || daemon->conflict)
		daemon_leave(daemon);
	return result;
}

const char *daemon_start(struct daemon *daemon, int timeout_ms, const char *method, const char *params)
{
	*daemon = (struct daemon)NO_DAEMON;
	daemon->timeout_ms = timeout_ms;
	const char *path = getenv("SPFS_SOCKET");
	enum join join = path != NULL && *path != 0 ? join_daemon(path, &daemon->channel) : JOIN_NOBODY;
	const char *result = NULL;
	if (join == JOIN_DONE)
		result = begin_joined(daemon, path, method, params);
	else if (join == JOIN_NOBODY)
		result = begin_started(daemon, method, params);
	if (result == NULL)
		daemon_end(daemon);
	return result;
}
