// SPDX-License-Identifier: GPL-2.0
/*
 * dns_flood ADDRESS RATE SECONDS
 *
 * Sends so many questions a second to port 53 of an IPv4 address, from many ports, each for another
 * name. Prints the number of questions that were sent.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS 64
#define BATCH 50

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_question(char *out, unsigned int number)
{
	static const char rest[] = "\7example\3com\0\0\1\0\1";
	char label[10];

	memset(out, 0, 12);
	out[0] = (char)(number >> 8);
	out[1] = (char)number;
	out[2] = 1; /* recursion desired */
	out[5] = 1; /* one question */
	out[12] = 8;
	snprintf(label, sizeof(label), "%08u", number % 100000000);
	memcpy(out + 13, label, 8);
	memcpy(out + 21, rest, sizeof(rest) - 1);
}

int main(int argc, char **argv)
{
	static char questions[BATCH][12 + 9 + sizeof("\7example\3com\0\0\1\0\1") - 1];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53) };
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec parts[BATCH];
	double rate, began, end;
	unsigned int sent = 0;
	int sockets[SOCKETS];

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	rate = atof(argv[2]);
	for (int i = 0; i < SOCKETS; i++) {
		sockets[i] = socket(AF_INET, SOCK_DGRAM, 0);
		if (sockets[i] < 0 || connect(sockets[i], (struct sockaddr *)&to, sizeof(to))) {
			perror("dns_flood");
			return 1;
		}
	}
	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){ questions[i], sizeof(questions[i]) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	began = seconds();
	end = began + atof(argv[3]);
	while (seconds() < end) {
		int done;

		if (sent >= (seconds() - began) * rate) {
			usleep(200);
			continue;
		}
		for (unsigned int i = 0; i < BATCH; i++)
			make_question(questions[i], sent + i);
		done = sendmmsg(sockets[sent / BATCH % SOCKETS], messages, BATCH, 0);
		if (done > 0)
			sent += (unsigned int)done;
	}
	printf("%u\n", sent);
	return 0;
}
