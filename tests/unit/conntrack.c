// SPDX-License-Identifier: GPL-2.0
/*
 * The table of translated connections and its memory. If this fails, a flood through a NAT exhausts
 * the gateway's memory, or removes the names of clients that wait during the flood.
 */
#include "host/conntrack.c"

#include "expect.h"

static struct ends numbered(uint32_t n)
{
	struct ends ends = { .client_port = n, .server_port = 80 };

	ends.client.word[2] = ends.server.word[2] = IP4_PREFIX;
	ends.server.word[3] = n >> 16;
	return ends;
}

static struct connection seen(uint32_t n)
{
	struct ends ends = numbered(n);
	struct connection c = {};

	c.client.address = ends.client;
	c.client.port = ends.client_port;
	c.server.address = ends.server;
	c.server.port = ends.server_port;
	c.has_mac = true;
	return c;
}

static void add(struct conntrack *k, uint32_t n)
{
	struct ends ends = numbered(n);
	struct tracked *t = find_or_add(k, &ends);

	t->client = (struct address){ .word = { 0, 0, IP4_PREFIX, n } };
	t->port = 5;
}

/* The client is known, and the observed endpoint is stored as the NAT endpoint. */
static bool is_completed(struct conntrack *k, uint32_t n)
{
	struct connection c = seen(n), before = c;

	conntrack_complete(k, &c);
	return c.client.port == 5 && c.client.address.word[3] == n && !c.has_mac &&
	       same_endpoint(&c.nat_endpoint, &before.client);
}

int main(void)
{
	struct conntrack *k = calloc(1, sizeof(*k));
	struct connection c = seen(7), before = c;
	uint32_t i;

	TAILQ_INIT(&k->by_age);
	add(k, 1);
	conntrack_complete(k, &c);
	EXPECT(!memcmp(&c, &before, sizeof(c)),
	       "a client without NAT would get another client's name");
	for (i = 2; i <= 3 * MAX_TRACKED; i++) {
		add(k, i);
		if (i % 1000 == 0) /* each sweep reports the waiting clients again */
			EXPECT(is_completed(k, 1), "a waiting client would lose its name");
	}
	EXPECT(HASH_COUNT(k->tracked) <= MAX_TRACKED, "memory would grow with a flood");
	EXPECT(is_completed(k, 3 * MAX_TRACKED), "the latest entry would be missing");
	EXPECT(!is_completed(k, 2), "an entry without a request would keep its place");
	conntrack_close(k);
	printf("conntrack: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
