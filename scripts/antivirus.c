// SPDX-License-Identifier: GPL-2.0
/*
 * An LD_PRELOAD shim that delays the connections of a program, as an antivirus does to a browser:
 * the first data of each new TCP connection waits until the antivirus server answers or 5 s have
 * passed. The kernel makes the handshake without delay. On the wire one sees a complete handshake,
 * then a SYN to the antivirus server, and the request only after its answer or the timeout.
 *
 *	ANTIVIRUS=address:port		the server, default 10.200.7.9:5274
 *	ANTIVIRUS_TIMEOUT=seconds	default 5
 *	ANTIVIRUS_ZONE=example.com	instead, ask a DNS server for a name of this zone
 *
 *	LD_PRELOAD=./antivirus.so curl http://...
 *
 * Products that look up the reputation of a file or an address by DNS put its fingerprint into the
 * name. They repeat the question as the resolver of Windows does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Returns the libc function with this name, which a function of this file replaces. */
#define real(name)                                                              \
	({                                                                      \
		static __typeof__(name) *function;                              \
                                                                                \
		if (!function)                                                  \
			function = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
		function;                                                       \
	})

#define MAX_FD 65536

static struct sockaddr_storage server;
static socklen_t server_len;
static const char *zone; /* NULL if the server is not asked by DNS */
static struct itimerspec timeout = { .it_value.tv_sec = 5 };

/* Indexed by descriptor: sockets that are connected and have not sent anything yet. */
static char fresh[MAX_FD];

static void usage(const char *name, const char *value)
{
	fprintf(stderr, "antivirus: %s=%s is not valid\n", name, value);
	_exit(2);
}

/* 10.200.7.9:5274 or [fd00::1]:5274 */
static int parse_server(const char *text)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&server;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&server;
	char address[INET6_ADDRSTRLEN];
	unsigned short port;

	if (sscanf(text, "[%45[0-9a-fA-F:.]]:%hu", address, &port) == 2 &&
	    inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		server_len = sizeof(*in6);
		return 0;
	}
	if (sscanf(text, "%45[0-9.]:%hu", address, &port) == 2 &&
	    inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		server_len = sizeof(*in);
		return 0;
	}
	return -1;
}

__attribute__((constructor)) static void read_environment(void)
{
	const char *text = getenv("ANTIVIRUS_TIMEOUT");

	if (text) {
		char *end;
		double seconds = strtod(text, &end);

		if (end == text || *end || !(seconds > 0 && seconds < 1e6))
			usage("ANTIVIRUS_TIMEOUT", text);
		timeout.it_value.tv_sec = (time_t)seconds;
		timeout.it_value.tv_nsec = (long)((seconds - (time_t)seconds) * 1e9);
	}

	text = getenv("ANTIVIRUS");
	if (parse_server(text ? text : "10.200.7.9:5274"))
		usage("ANTIVIRUS", text);

	zone = getenv("ANTIVIRUS_ZONE");
	if (zone && strlen(zone) > 200)
		usage("ANTIVIRUS_ZONE", zone);
}

/*
 * Writes the question for an A record of FINGERPRINT.zone, whose id is part of the fingerprint.
 * Returns its length.
 */
static size_t make_question(unsigned char *out)
{
	static const unsigned char head[10] = { 0x01, 0x00, 0, 1 }; /* recursion, one question */
	static const unsigned char tail[5] = { 0, 0, 1, 0, 1 }; /* end of the name, A, IN */
	struct timespec now;
	char name[256];
	size_t at = 12;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(name, sizeof(name), "%08lx.%s", (unsigned long)now.tv_nsec, zone);
	out[0] = (unsigned char)(now.tv_nsec >> 8);
	out[1] = (unsigned char)now.tv_nsec;
	memcpy(out + 2, head, sizeof(head));
	for (char *rest = name, *label = strsep(&rest, "."); label; label = strsep(&rest, ".")) {
		size_t length = strlen(label);

		out[at] = (unsigned char)length;
		memcpy(out + at + 1, label, length);
		at += 1 + length;
	}
	memcpy(out + at, tail, sizeof(tail));
	return at + sizeof(tail);
}

/* Returns after an answer of the DNS server, or after the timeout. */
static void ask_zone(void)
{
	static const int gaps_ms[] = { 1000, 1000, 2000, -1 };
	unsigned char question[300];
	size_t length = make_question(question);
	struct pollfd fds[] = {
		{ socket(server.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), POLLIN, 0 },
		{ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), POLLIN, 0 },
	};

	if (fds[0].fd >= 0 && fds[1].fd >= 0 && !timerfd_settime(fds[1].fd, 0, &timeout, NULL) &&
	    !real(connect)(fds[0].fd, (struct sockaddr *)&server, server_len))
		for (int i = 0; i < 4; i++)
			if (real(send)(fds[0].fd, question, length, 0) < 0 ||
			    poll(fds, 2, gaps_ms[i]))
				break;
	close(fds[0].fd);
	close(fds[1].fd);
}

/*
 * Returns after an answer of the server, including a refusal, or after the timeout. The kernel
 * repeats the SYN meanwhile, and stops when the socket is closed. A timerfd limits the time,
 * because poll() may be late by 0.1 % of its timeout: 5 ms.
 */
static void ask_server(void)
{
	struct pollfd fds[] = {
		{ socket(server.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), POLLOUT,
		  0 },
		{ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), POLLIN, 0 },
	};

	if (fds[0].fd >= 0 && fds[1].fd >= 0 && !timerfd_settime(fds[1].fd, 0, &timeout, NULL) &&
	    real(connect)(fds[0].fd, (struct sockaddr *)&server, server_len) &&
	    errno == EINPROGRESS)
		while (poll(fds, 2, -1) < 0 && errno == EINTR)
			;
	close(fds[0].fd);
	close(fds[1].fd);
}

static int is_tcp(int fd)
{
	int protocol;
	socklen_t len = sizeof(protocol);

	return !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) && protocol == IPPROTO_TCP;
}

/* Check again that it is TCP: close() is not intercepted, so the descriptor may be reused. */
static void hold(int fd)
{
	int saved = errno;

	if (fd < 0 || fd >= MAX_FD || !fresh[fd])
		return;
	fresh[fd] = 0;
	if (is_tcp(fd))
		(zone ? ask_zone : ask_server)();
	errno = saved;
}

int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t len)
{
	int result = real(connect)(fd, address, len), saved = errno;

	if ((!result || saved == EINPROGRESS) && fd < MAX_FD)
		fresh[fd] = is_tcp(fd);
	errno = saved;
	return result;
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	hold(fd);
	return real(send)(fd, data, size, flags);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, __CONST_SOCKADDR_ARG address,
	       socklen_t len)
{
	hold(fd);
	return real(sendto)(fd, data, size, flags, address, len);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	hold(fd);
	return real(sendmsg)(fd, message, flags);
}

ssize_t write(int fd, const void *data, size_t size)
{
	hold(fd);
	return real(write)(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *vector, int count)
{
	hold(fd);
	return real(writev)(fd, vector, count);
}
