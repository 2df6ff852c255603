// SPDX-License-Identifier: GPL-2.0
/*
 * Makes real connections at the full speed of one core.
 *
 *	traffic serve ADDRESS PORT
 *	traffic churn ADDRESS PORT FILE [COUNT]
 *
 * serve answers a request on each connection and closes it. churn opens one connection after the
 * other, sends a request, reads the answer to its end, and closes. It counts the connections in
 * FILE, 8 bytes that other programs may map and read. Both run until they are killed, or until
 * COUNT connections.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in address_of(const char *address, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
		die(address);
	return a;
}

static void serve(struct sockaddr_in a)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, s;
	char request[256], answer[256] = "answer";

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (void *)&a, sizeof(a)) || listen(listener, 4096))
		die("cannot listen");
	puts("ready");
	fflush(stdout);
	for (;;) {
		s = accept(listener, NULL, NULL);
		if (s < 0)
			continue;
		if (recv(s, request, sizeof(request), 0) > 0)
			(void)!send(s, answer, sizeof(answer), MSG_NOSIGNAL);
		close(s);
	}
}

static void churn(struct sockaddr_in a, const char *file, uint64_t most)
{
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666), s;
	char request[128] = "request", answer[256];
	volatile uint64_t *count;

	if (fd < 0 || ftruncate(fd, sizeof(*count)))
		die(file);
	count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (count == MAP_FAILED)
		die(file);
	while (*count < most) {
		s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (s < 0)
			die("socket");
		if (!connect(s, (void *)&a, sizeof(a)) &&
		    send(s, request, sizeof(request), MSG_NOSIGNAL) > 0) {
			while (recv(s, answer, sizeof(answer), 0) > 0)
				;
			(*count)++;
		}
		close(s);
	}
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "serve"))
		serve(address_of(argv[2], argv[3]));
	if ((argc == 5 || argc == 6) && !strcmp(argv[1], "churn")) {
		churn(address_of(argv[2], argv[3]), argv[4],
		      argc == 6 ? strtoull(argv[5], NULL, 10) : UINT64_MAX);
		return 0;
	}
	fprintf(stderr,
		"usage: traffic serve ADDRESS PORT | traffic churn ADDRESS PORT FILE [COUNT]\n");
	return 2;
}
