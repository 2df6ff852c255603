// SPDX-License-Identifier: GPL-2.0
/* Records of two sides, in every order and with every gap, and how often each attempt is told of. */
#include <stdlib.h>
#include <string.h>

#include "model/join.h"
#include "expect.h"

#define MS ((ns_t)MILLISECOND_NS)

enum { LAN = 2, WAN = 3 };

static struct {
	uint64_t attempt, sides, opening, stayed, split;
	struct connection last;
} heard;

static void on_settled(void *context, const struct connection *c)
{
	(void)context;
	heard.attempt++;
	heard.stayed += c->not_forwarded;
	heard.split += c->far.seen;
	heard.last = *c;
}

static void on_other_side(void *context, const struct connection *side,
			  const struct connection *attempt)
{
	(void)context, (void)side, (void)attempt;
	heard.sides++;
}

static void on_opening(void *context, const struct connection *c)
{
	(void)context, (void)c;
	heard.opening++;
}

static struct join *begin(void)
{
	static const struct join_events events = { .settled = on_settled,
						   .other_side = on_other_side,
						   .opening = on_opening };
	struct join *v = join_new(&events);

	if (!v)
		abort();
	memset(&heard, 0, sizeof(heard));
	join_set_multi_iface(v);
	return v;
}

static void end(struct join *v)
{
	join_end(v);
	join_free(v);
}

static void sweep(struct join *v, int n)
{
	while (n--)
		join_swept(v);
}

/* An attempt as the LAN side has it, answered unless synack is NEVER. */
static struct connection near(uint32_t isn, ns_t syn, ns_t synack)
{
	struct connection c;

	memset(&c, 0, sizeof(c));
	c.client.address.word[3] = 0x0a010415;
	c.client.port = 40000 + isn % 1000;
	c.server.address.word[3] = 0xcb00710a;
	c.server.port = 80;
	c.ifindex = LAN;
	c.client_isn = isn;
	c.server_isn = synack == NEVER ? 0 : isn * 7 + 1;
	c.outcome = synack == NEVER ? OUTCOME_UNANSWERED : OUTCOME_ESTABLISHED;
	c.syn = c.syn_last = c.syn_times[0] = syn;
	c.syn_count = c.synack_count = 1;
	c.synack = synack;
	c.synack_egress = true;
	c.ack = c.client_first = c.server_first = NEVER;
	c.syn_forwarding_delay = c.synack_forwarding_delay = c.payload_forwarding_delay = NEVER;
	return c;
}

/* The same, as it leaves and its answer comes: a little later, a little sooner. */
static struct connection far_of(const struct connection *c)
{
	struct connection f = *c;

	f.ifindex = WAN;
	f.syn_egress = true;
	f.synack_egress = false;
	f.syn = f.syn_last = f.syn_times[0] = c->syn + 20;
	if (c->synack != NEVER)
		f.synack = c->synack - 10;
	return f;
}

static struct connection masqueraded(const struct connection *c)
{
	struct connection f = far_of(c);

	f.client.address.word[3] = 0xc6336401;
	f.client.port = 1024 + c->client_isn % 100;
	return f;
}

static void check_orders(void)
{
	struct connection n = near(1, 1000, 5000), f = masqueraded(&n);
	struct join *v;
	int late;

	for (late = 0; late < 2; late++) {
		v = begin();
		join_settled(v, late ? &f : &n);
		sweep(v, 1);
		EXPECT(!heard.attempt, "a side is told before the other one could come");
		join_settled(v, late ? &n : &f);
		EXPECT(heard.attempt == 1 && heard.split == 1, "one connection is told twice");
		EXPECT(heard.last.ifindex == LAN && heard.last.far.ifindex == WAN,
		       "the client is taken to be the gateway itself");
		EXPECT(heard.last.syn_forwarding_delay == 20 &&
			       heard.last.synack_forwarding_delay == 10,
		       "what the gateway adds is wrong");
		end(v);
		EXPECT(heard.attempt == 1 && heard.sides == 1 && !heard.stayed,
		       "the end tells it again");
	}
}

static void check_stayed(void)
{
	struct connection n = near(1, 1000, NEVER), f = far_of(&n);
	struct join *v = begin();

	join_settled(v, &n);
	sweep(v, 5);
	EXPECT(heard.attempt == 1 && heard.stayed == 1, "a SYN that never left is not said to");
	end(v);

	/* the far side is seen opening still: it did leave */
	v = begin();
	join_settled(v, &n);
	join_opening(v, &f);
	sweep(v, 1);
	join_opening(v, &f);
	sweep(v, 1);
	EXPECT(!heard.attempt, "a side that is seen opening is not waited for");
	while (!heard.attempt) {
		join_opening(v, &f);
		sweep(v, 1);
	}
	EXPECT(heard.split == 1 && !heard.stayed, "a SYN that left is said to have stayed");
	join_settled(v, &f);
	end(v);
	EXPECT(heard.attempt == 1 && heard.sides == 1,
	       "a side that settles late is another connection");
}

static void check_near_is_open(void)
{
	struct connection n = near(1, 1000, NEVER), f = far_of(&n);
	struct join *v = begin();
	int i;

	join_settled(v, &f);
	for (i = 0; i < 100; i++) {
		join_opening(v, &n);
		sweep(v, 1);
	}
	EXPECT(!heard.attempt && heard.opening == 100, "the gateway's side speaks for the client");
	join_settled(v, &n);
	EXPECT(heard.attempt == 1 && heard.last.ifindex == LAN, "the client's side is not heard");
	end(v);
	EXPECT(heard.attempt == 1, "told twice");
}

/* Two attempts with the ISN of a scanner, behind NAT: which is whose cannot be told. */
static void check_ambiguous(void)
{
	struct connection a = near(7, 1000, NEVER), b = near(7, 1000, NEVER), f;
	struct join *v = begin();

	b.client.port++;
	f = masqueraded(&a);
	join_settled(v, &a);
	join_settled(v, &b);
	join_settled(v, &f);
	EXPECT(join_ambiguous(v) == 1, "a guess is told as a fact");
	end(v);
	EXPECT(heard.attempt == 3, "an attempt is gone");

	/* without NAT the ports tell */
	v = begin();
	f = far_of(&b);
	join_settled(v, &a);
	join_settled(v, &b);
	join_settled(v, &f);
	EXPECT(!join_ambiguous(v) && join_joined(v) == 1, "a scan is not joined");
	EXPECT(same_endpoint(&heard.last.client, &b.client), "the wrong one is joined");
	end(v);
	EXPECT(heard.attempt == 2, "an attempt is gone, or told twice");
}

/* A flood takes one ISN for all: each of its attempts is told once, and what cannot be told is counted. */
static void check_flood(void)
{
	struct connection a, first_side = near(7, 1000, NEVER);
	struct join *v = begin();
	uint64_t i, most = 20000;

	for (i = 0; i < most; i++) {
		a = first_side;
		a.client.address.word[3] += i;
		a.syn = a.syn_last = a.syn_times[0] = 1000 + i * MS;
		join_settled(v, &a);
		if (i % 1000 == 999)
			sweep(v, 1);
	}
	a = far_of(&a);
	join_settled(v, &a);
	EXPECT(join_joined(v) == 1, "in a flood, two sides of one attempt would be two attempts");
	a = far_of(&first_side);
	a.syn = a.syn_last = a.syn_times[0] = 1000 + (most - 600) * MS + 20;
	a.client.address.word[3] += most - 600;
	join_settled(v, &a);
	EXPECT(join_ambiguous(v), "what was not looked for is silently two attempts");
	end(v);
	EXPECT(heard.attempt == most + 1, "an attempt is gone, or told twice");
}

/* ISNs that would meet in a table whose hash everybody knows. */
static void check_bucket(void)
{
	struct connection a = near(7, 1000, 3000), n;
	const uint32_t golden = 0x9e3779b1; /* Knuth 6.4 */
	struct join *v = begin();
	uint32_t isn = 8;
	int i;

	for (i = 0; i < 300; i++) {
		while (isn * golden >> 16 != 7 * golden >> 16)
			isn++;
		n = near(isn++, 1000 + i, 3000);
		join_settled(v, &n);
	}
	join_settled(v, &a);
	a = far_of(&a);
	a.client.address.word[3] ^= 1;
	join_settled(v, &a);
	EXPECT(join_joined(v) == 1 && !join_ambiguous(v),
	       "what strangers choose keeps two sides of one attempt apart");
	end(v);
}

/* A scanner's probes, all with one ISN and one port, on one interface: each is an attempt. */
static void check_scan(void)
{
	struct connection n = near(9, 1000, 3000);
	struct join *v = begin();
	int i;

	for (i = 0; i < 500; i++) {
		n.server.port = 1000 + i;
		n.syn += MS / 10;
		n.synack += MS / 10;
		n.server_isn = i * 31;
		join_settled(v, &n);
	}
	end(v);
	EXPECT(heard.attempt == 500 && !heard.sides, "probes of a scan are taken for one");
}

/* Windows tries a refused port three times with one ISN. */
static void check_retries(void)
{
	struct join *v = begin();
	int i;

	for (i = 0; i < 3; i++) {
		struct connection n = near(5, 1000 + i * 500 * MS, NEVER), f = far_of(&n);

		join_settled(v, i == 1 ? &f : &n);
		join_settled(v, i == 1 ? &n : &f);
		sweep(v, 1);
	}
	end(v);
	EXPECT(heard.attempt == 3 && heard.split == 3 && heard.sides == 3, "retries are mixed up");
}

/* Far more at once than there is room for: told early, and known all the same. */
static void check_crowd(void)
{
	enum { CROWD = 1 << 18, LAG = 20000 };
	struct join *v = begin();
	struct connection n, f;
	uint32_t i;

	for (i = 0; i < CROWD + LAG; i++) {
		if (i < CROWD) {
			n = near(i * 2654435761U, 1000 + i, 900 * MS);
			join_settled(v, &n);
		}
		if (i >= LAG) {
			n = near((i - LAG) * 2654435761U, 1000 + i - LAG, 900 * MS);
			f = far_of(&n);
			join_settled(v, &f);
		}
	}
	end(v);
	EXPECT(heard.attempt == CROWD && heard.sides == CROWD, "under pressure it counts twice");
	EXPECT(!heard.stayed, "under pressure it says that SYNs did not leave");
}

int main(void)
{
	check_orders();
	check_stayed();
	check_near_is_open();
	check_ambiguous();
	check_flood();
	check_bucket();
	check_scan();
	check_retries();
	check_crowd();
	printf("vantage: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
