/* Connections that were accepted on a name on the mount, with both ends looking at them. */
#include "victim.h"

#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/un.h>

enum { MESSAGES = 3, LARGE = 1000 };
static const size_t sizes[MESSAGES] = { 10, LARGE, 1 };

static int type, server_end = -1, client_end = -1, listener = -1, watch = -1;
static pid_t listening, connecting;
static const char *name;

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	must(strlen(path) < sizeof address.sun_path);
	strcpy(address.sun_path, path);
	return address;
}

static void listen_there(void)
{
	name = in("socket");
	struct sockaddr_un address = address_of(name);
	listener = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	must(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 5) == 0);
	listening = getpid();
}

static void connect_there(void)
{
	struct sockaddr_un address = address_of(name);
	client_end = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	must(client_end >= 0 && connect(client_end, (struct sockaddr *)&address, sizeof address) == 0);
	connecting = getpid();
}

static void send_all(int fd, unsigned seed)
{
	unsigned char bytes[LARGE];
	size_t at = 0;
	for (int i = 0; i < MESSAGES; i++) {
		for (size_t k = 0; k < sizes[i]; k++)
			bytes[k] = pattern_byte(seed, (uint32_t)at++);
		expect(send(fd, bytes, sizes[i], MSG_NOSIGNAL) == (ssize_t)sizes[i], "nothing can be sent");
	}
}

/* All of it, once, in order, in the messages that were sent. */
static void receive_all(int fd, unsigned seed)
{
	unsigned char bytes[2 * LARGE];
	struct pollfd ready = { .fd = fd, .events = POLLIN | POLLOUT };
	expect(poll(&ready, 1, 0) == 1 && ready.revents == (POLLIN | POLLOUT), "poll says %x", ready.revents);
	size_t at = 0;
	for (int i = 0; i < MESSAGES; i++) {
		size_t wanted = type == SOCK_STREAM ? 10 + LARGE + 1 : sizes[i];
		ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
		expect(got == (ssize_t)wanted && pattern_matches(seed, (uint32_t)at, bytes, wanted), "received %zd of %zu", got, wanted);
		at += wanted;
		if (type == SOCK_STREAM)
			break;
	}
	expect(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) == -1 && errno == EAGAIN, "there is more");
}

static void has_name(int (*ask)(int, struct sockaddr *, socklen_t *), int fd, const char *path)
{
	struct sockaddr_un address;
	socklen_t length = sizeof address;
	must(ask(fd, (struct sockaddr *)&address, &length) == 0);
	if (path == NULL)
		expect(length == offsetof(struct sockaddr_un, sun_path), "it has a name");
	else
		expect(length > 2 && strcmp(address.sun_path, path) == 0, "its name is %s", address.sun_path);
}

static void has_peer(int fd, pid_t pid)
{
	struct ucred peer;
	socklen_t length = sizeof peer;
	must(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0);
	expect(peer.pid == pid && peer.uid == geteuid() && peer.gid == getegid(), "the peer is %d and not %d", peer.pid, pid);
}

static void look_at_server(void)
{
	has_name(getsockname, server_end, name);
	has_name(getpeername, server_end, NULL);
	has_peer(server_end, connecting);
}

static void look_at_client(void)
{
	has_name(getsockname, client_end, NULL);
	has_name(getpeername, client_end, name);
	has_peer(client_end, listening);
}

static struct peer client;

static void client_check(void)
{
	look_at_client();
	receive_all(client_end, 2);
	send_all(client_end, 1);
}

static void client_start(void)
{
	close(listener);
	connect_there();
	send_all(client_end, 1);
}

static void serve(void)
{
	listen_there();
	client = peer_fork(client_start, client_check);
	connecting = client.pid;
	server_end = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	must(server_end >= 0);
	int size = 30000;
	must(setsockopt(server_end, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
	must((watch = epoll_create1(EPOLL_CLOEXEC)) >= 0);
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 4711 };
	must(epoll_ctl(watch, EPOLL_CTL_ADD, server_end, &event) == 0);
	must(fcntl(server_end, F_SETOWN, getpid()) == 0);
	send_all(server_end, 2);
}

static void stream_set_up(void)
{
	type = SOCK_STREAM;
	serve();
}

static void packets_set_up(void)
{
	type = SOCK_SEQPACKET;
	serve();
}

static void both_check(void)
{
	struct epoll_event event = { 0 };
	expect(epoll_wait(watch, &event, 1, 0) == 1 && event.data.u64 == 4711, "epoll does not tell of it");
	expect((fcntl(server_end, F_GETFL) & O_NONBLOCK) != 0, "it waits");
	expect(fcntl(server_end, F_GETOWN) == getpid(), "it has another owner");
	int size = 0;
	socklen_t length = sizeof size;
	must(getsockopt(server_end, SOL_SOCKET, SO_SNDBUF, &size, &length) == 0);
	expect(size == 60000, "it has room for %d", size);
	look_at_server();
	receive_all(server_end, 1);
	peer_check(&client);
	send_all(server_end, 2);
}

/* The listener goes on under its name. */
static void both_finish(void)
{
	has_name(getsockname, listener, name);
	expect((fcntl(listener, F_GETFL) & O_NONBLOCK) != 0, "the listener waits");
}

/* One end sends nothing any more, and what it sent is still there. */
static void shut_set_up(void)
{
	type = SOCK_STREAM;
	listen_there();
	connect_there();
	must((server_end = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	send_all(client_end, 1);
	must(shutdown(client_end, SHUT_WR) == 0);
	must(close(listener) == 0 && unlink(name) == 0);
}

static void shut_check(void)
{
	look_at_server();
	look_at_client();
	struct pollfd ready[2] = { { .fd = server_end, .events = POLLIN | POLLRDHUP }, { .fd = client_end, .events = POLLIN } };
	expect(poll(ready, 2, 0) == 1 && ready[0].revents == (POLLIN | POLLRDHUP), "poll says %x", ready[0].revents);
	expect(send(client_end, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "it can send");
	send_all(server_end, 2);
	unsigned char bytes[2 * LARGE];
	expect(recv(client_end, bytes, sizeof bytes, MSG_DONTWAIT) == 10 + LARGE + 1, "it cannot receive");
}

static void shut_finish(void)
{
	unsigned char bytes[2 * LARGE];
	ssize_t got = recv(server_end, bytes, sizeof bytes, MSG_DONTWAIT);
	expect(got == 10 + LARGE + 1 && pattern_matches(1, 0, bytes, got), "received %zd", got);
	expect(recv(server_end, bytes, sizeof bytes, MSG_DONTWAIT) == 0, "there is no end");
}

/* The process that listens is another one than the one that accepted, which several have. */
static struct peer worker, sharer;

static void worker_start(void)
{
	must((server_end = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	close(client_end);
	sharer = peer_fork(NULL, look_at_server);
}

static void worker_check(void)
{
	look_at_server();
	peer_check(&sharer);
	receive_all(server_end, 1);
	send_all(server_end, 2);
}

static void worker_set_up(void)
{
	type = SOCK_STREAM;
	listen_there();
	connect_there();
	worker = peer_fork(worker_start, worker_check);
	send_all(client_end, 1);
}

static void worker_set_check(void)
{
	look_at_client();
	peer_check(&worker);
	receive_all(client_end, 2);
	send_all(client_end, 1);
}

/* Others are connected to a socket of datagrams; what they send arrives, and goes to it alone. */
static struct peer sender, other_sender;

static void sender_start(void)
{
	close(server_end);
	type = SOCK_DGRAM;
	connect_there();
}

static void sender_check(void)
{
	has_name(getsockname, client_end, NULL);
	has_name(getpeername, client_end, name);
	send_all(client_end, 1);
}

static void datagrams_set_up(void)
{
	name = in("log");
	struct sockaddr_un address = address_of(name);
	server_end = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(server_end >= 0 && bind(server_end, (struct sockaddr *)&address, sizeof address) == 0);
	type = SOCK_DGRAM;
	sender = peer_fork(sender_start, sender_check);
	other_sender = peer_fork(sender_start, sender_check);
}

static void datagrams_check(void)
{
	has_name(getsockname, server_end, name);
	peer_check(&sender);
	receive_all(server_end, 1);
	peer_check(&other_sender);
	receive_all(server_end, 1);
}

/* Two sockets of datagrams that are connected to each other; the second is bound to a name of its own, which may be on the mount or not. */
static struct sockaddr_un other_address;
static socklen_t other_length;

static void pair_set_up(void)
{
	name = in("one");
	struct sockaddr_un address = address_of(name);
	server_end = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	client_end = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(bind(server_end, (struct sockaddr *)&address, sizeof address) == 0);
	must(bind(client_end, (struct sockaddr *)&other_address, other_length) == 0);
	must(connect(client_end, (struct sockaddr *)&address, sizeof address) == 0);
	must(connect(server_end, (struct sockaddr *)&other_address, other_length) == 0);
	type = SOCK_DGRAM;
}

static void pair_there_set_up(void)
{
	other_address = address_of(in("two"));
	other_length = sizeof other_address;
	pair_set_up();
}

static void pair_elsewhere_set_up(void)
{
	other_address.sun_family = AF_UNIX;
	int length = snprintf(other_address.sun_path + 1, sizeof other_address.sun_path - 1, "spfs-pair-%d", getpid());
	other_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
	pair_set_up();
}

static void pair_check(void)
{
	has_name(getsockname, server_end, name);
	has_name(getpeername, client_end, name);
	struct sockaddr_un address;
	socklen_t length = sizeof address;
	must(getpeername(server_end, (struct sockaddr *)&address, &length) == 0);
	expect(address.sun_path[0] == other_address.sun_path[0], "another peer");
	send_all(client_end, 1);
	receive_all(server_end, 1);
	send_all(server_end, 2);
	receive_all(client_end, 2);
	int stranger = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	address = address_of(name);
	must(stranger >= 0);
	/* On the mount that was left nobody listens. */
	expect(sendto(stranger, "x", 1, 0, (struct sockaddr *)&address, sizeof address) < 0 &&
	       (errno == EPERM || errno == ECONNREFUSED), "a stranger is heard");
	must(close(stranger) == 0);
}

/* One that is connected to a socket which is not connected to it. */
static void sending_set_up(void)
{
	name = in("one");
	struct sockaddr_un address = address_of(name);
	other_address.sun_family = AF_UNIX;
	int length = snprintf(other_address.sun_path + 1, sizeof other_address.sun_path - 1, "spfs-log-%d", getpid());
	other_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
	server_end = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	client_end = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(bind(server_end, (struct sockaddr *)&other_address, other_length) == 0);
	must(bind(client_end, (struct sockaddr *)&address, sizeof address) == 0);
	must(connect(client_end, (struct sockaddr *)&other_address, other_length) == 0);
	type = SOCK_DGRAM;
}

static void sending_check(void)
{
	has_name(getsockname, client_end, name);
	send_all(client_end, 1);
	receive_all(server_end, 1);
}

/* Who listened has ended. */
static void orphan_set_up(void)
{
	type = SOCK_STREAM;
	name = in("socket");
	int ends[2];
	must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) == 0);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		listen_there();
		send_fds(ends[1], &listener, 1);
		_exit(0);
	}
	receive_fds(ends[0], &listener, 1);
	int status;
	must(waitpid(pid, &status, 0) == pid && status == 0);
	close(ends[0]);
	close(ends[1]);
	connect_there();
	must((server_end = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	must(close(listener) == 0);
}

static void orphan_check(void)
{
	look_at_server();
	has_name(getpeername, client_end, name);
}

/* What arrives says who sent it. */
static void told_set_up(void)
{
	shut_set_up();
	int on = 1;
	must(setsockopt(server_end, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
}

/* Urgent data. */
static void urgent_set_up(void)
{
	type = SOCK_STREAM;
	listen_there();
	connect_there();
	must((server_end = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	must(send(client_end, "u", 1, MSG_OOB) == 1);
	must(close(listener) == 0);
}

static void urgent_check(void)
{
	struct pollfd ready = { .fd = server_end, .events = POLLPRI };
	expect(poll(&ready, 1, 0) == 1, "the urgent byte is gone");
}

static const struct victim_case cases[] = {
	{ "stream", stream_set_up, both_check, both_finish },
	{ "packets", packets_set_up, both_check, both_finish },
	{ "shut", shut_set_up, shut_check, shut_finish },
	{ "worker", worker_set_up, worker_set_check, NULL },
	{ "datagrams", datagrams_set_up, datagrams_check, NULL },
	{ "pair-there", pair_there_set_up, pair_check, NULL },
	{ "pair-elsewhere", pair_elsewhere_set_up, pair_check, NULL },
	{ "sending", sending_set_up, sending_check, NULL },
	{ "orphan", orphan_set_up, orphan_check, NULL },
	{ "told", told_set_up, look_at_server, NULL },
	{ "urgent", urgent_set_up, urgent_check, NULL },
};

VICTIM(cases)
