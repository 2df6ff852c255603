// SPDX-License-Identifier: GPL-2.0
/*
 * surf PAUSE NAME...
 *
 * Resolves each name with the C library, opens a page of its first address, and prints the seconds
 * until the name was resolved. For C libraries other than that of Python.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void open_page(const struct addrinfo *a)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	char page[4096];
	int fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);

	if (fd < 0)
		return;
	if (!connect(fd, a->ai_addr, a->ai_addrlen) && write(fd, request, strlen(request)) > 0 &&
	    read(fd, page, sizeof(page)) < 0)
		perror("surf: read");
	close(fd);
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };

	for (int i = 2; i < argc; i++) {
		struct addrinfo *found = NULL;
		double began = seconds();
		int error = getaddrinfo(argv[i], "80", &hints, &found);

		printf("%.3f\n", seconds() - began);
		if (!error) {
			open_page(found);
			freeaddrinfo(found);
		}
		usleep((useconds_t)(1e6 * atof(argv[1])));
	}
	return 0;
}
