// SPDX-License-Identifier: GPL-2.0
/*
 * Losses beside counters of dropped packets that grew. If this fails, a gateway that drops packets
 * itself is not found, or it is accused of what a server, a host or the far side loses.
 */
#include <stdlib.h>
#include <string.h>

#include "../simulation/attempt.h"
#include "diagnose/diagnose.h"
#include "expect.h"

#define HOSTS 4
#define SERVERS 3
#define ROUNDS 20
#define WAN_IFINDEX 3
#define END (ROUNDS * 10 * (ns_t)SECOND_NS)

struct world {
	/* returns the number of SYNs that a connect loses; 4 is a silent server */
	unsigned int (*losses)(unsigned int host, unsigned int server, unsigned int round);
	struct drop_growth growth; /* a count of 0 is none */
	bool has_left; /* the SYNs were seen to leave */
	bool is_capture;
	/* the result */
	enum confidence confidence;
	bool found; /* gateway-drops */
	bool unanswered; /* peer-unanswered */
	bool lossy; /* lossy-far-side */
	bool no_growth; /* a line says that no counter grew */
	bool grew; /* a line of another finding says that one grew */
};

static struct endpoint end_of(unsigned int address, unsigned int port)
{
	struct endpoint e = { .port = port };

	e.address = (struct address){ .word = { 0, 0, IP4_PREFIX, cpu_to_be32(address) } };
	return e;
}

static void add_connect(struct model *m, const struct world *w, unsigned int host,
			unsigned int server, unsigned int round)
{
	unsigned int lost = w->losses(host, server, round), i;
	ns_t t = (round * 10 + host * 2) * (ns_t)SECOND_NS + server * (ns_t)MILLISECOND_NS;
	struct connection c;
	struct wire wire;

	wire_init(&wire);
	wire.client = end_of(0x0a010415 + host, 20000 + round * 10 + server);
	wire.server = end_of(0xcb007100 + server, 80);
	for (i = 0; i <= lost && i < 4; i++)
		wire.syns[wire.syn_count++] = t + i * (ns_t)SECOND_NS;
	if (lost < 4) {
		wire.synack = wire.syns[lost] + (ns_t)MILLISECOND_NS;
		wire.ack = wire.synack + (ns_t)MILLISECOND_NS;
		wire.client_first = wire.ack + (ns_t)MILLISECOND_NS;
		wire.server_first = wire.client_first + (ns_t)MILLISECOND_NS;
		wire.client_size = wire.server_size = 100;
	}
	if (!wire_settle(&c, &wire, END))
		return;
	if (w->has_left)
		c.forwarded_by = WAN_IFINDEX;
	model_settled(m, &c);
}

static void note(struct world *w, const struct finding *f)
{
	size_t i;

	if (f->kind == KIND_GATEWAY_DROPS) {
		w->found = true;
		w->confidence = f->confidence;
		return;
	}
	w->unanswered |= f->kind == KIND_PEER_UNANSWERED;
	w->lossy |= f->kind == KIND_LOSSY_FAR_SIDE;
	for (i = 0; i < f->line_count; i++) {
		w->no_growth |= strstr(f->lines[i].text, "did not grow") != NULL;
		w->grew |= strstr(f->lines[i].text, "itself dropped packets") != NULL;
	}
}

static struct world play(struct world w)
{
	struct session session = { .is_capture = w.is_capture, .duration = END };
	struct host_facts facts = { .drops.is_read = !w.is_capture };
	struct model *m = model_new(STALL_NS, NULL);
	unsigned int host, server, round;
	struct diagnosis d;
	size_t i;

	session.interfaces[0] = (struct session_iface){ .name = "wan0", .index = WAN_IFINDEX };
	session.interface_count = 1;
	facts.drops.available[DROP_CONNTRACK] = true;
	if (w.growth.count && !w.is_capture)
		facts.drops.grown[facts.drops.count++] = w.growth;
	for (round = 0; round < ROUNDS; round++)
		for (host = 0; host < HOSTS; host++)
			for (server = 0; server < SERVERS; server++)
				add_connect(m, &w, host, server, round);
	if (!diagnose(&d, m, &session, &facts))
		abort();
	for (i = 0; i < d.count; i++)
		note(&w, &d.at[i]);
	diagnosis_free(&d);
	model_free(m);
	return w;
}

/* ---- how connects lose packets ---- */

static unsigned int at_random(unsigned int host, unsigned int server, unsigned int round)
{
	uint32_t number = ((round * HOSTS + host) * SERVERS + server + 1) * 2654435761u;

	return (number ^ number >> 15) * 2246822519u >> 29 == 0;
}

static unsigned int at_one_server(unsigned int host, unsigned int server, unsigned int round)
{
	return server == 1 && (host + round) % 2;
}

static unsigned int of_one_host(unsigned int host, unsigned int server, unsigned int round)
{
	return host == 1 && (server + round) % 2;
}

static unsigned int dead_server(unsigned int host, unsigned int server, unsigned int round)
{
	return server == 2 ? 4 + 0 * (host + round) : 0;
}

static unsigned int all_for_a_while(unsigned int host, unsigned int server, unsigned int round)
{
	return round == 8 || round == 9 ? 4 + 0 * (host + server) : 0;
}

static const struct drop_growth queue = {
	.counter = DROP_QDISC, .ifindex = WAN_IFINDEX, .iface = "wan0", .kind = "tbf", .count = 500
};
static const struct drop_growth conntrack = { .counter = DROP_CONNTRACK, .count = 500 };

static void test_found(void)
{
	struct world w = play((struct world){ .losses = at_random, .growth = queue });

	EXPECT(w.found && w.confidence == CONFIDENCE_HIGH,
	       "a queue that drops SYNs of all hosts is not found");
	EXPECT(!w.lossy, "one loss has two findings");
	w = play((struct world){ .losses = at_random, .growth = queue, .has_left = true });
	EXPECT(w.found, "a queue is not found since the SYN was seen before it");
	w = play((struct world){ .losses = all_for_a_while, .growth = conntrack });
	EXPECT(w.found && !w.unanswered, "servers are accused while the table is full");
}

static void test_innocent(void)
{
	struct drop_growth few = queue, elsewhere = queue, unlucky = queue;
	struct world w = play((struct world){ .losses = at_random });

	EXPECT(!w.found && w.lossy && w.no_growth,
	       "the report does not say that this gateway counted no drop");
	few.count = 5;
	w = play((struct world){ .losses = at_random, .growth = few });
	EXPECT(!w.found && w.lossy && w.grew, "5 drops explain 30 losses, or are not mentioned");
	elsewhere.ifindex = 9;
	w = play((struct world){ .losses = at_random, .growth = elsewhere, .has_left = true });
	EXPECT(!w.found && !w.grew, "a queue is accused where the packets did not pass");
	unlucky.passed = 10000000;
	w = play((struct world){ .losses = at_random, .growth = unlucky });
	EXPECT(!w.found, "a queue that drops one packet of 20000 explains every tenth connect");
	w = play((struct world){ .losses = at_random, .growth = conntrack, .has_left = true });
	EXPECT(!w.found, "conntrack is accused of SYNs that left this gateway");
	w = play((struct world){ .losses = at_one_server, .growth = queue });
	EXPECT(!w.found, "the gateway is accused of what one server loses");
	w = play((struct world){ .losses = of_one_host, .growth = queue });
	EXPECT(!w.found, "the gateway is accused of what one host loses");
	w = play((struct world){ .losses = dead_server, .growth = conntrack });
	EXPECT(!w.found && w.unanswered, "the gateway is accused for a dead server");
}

static void test_capture(void)
{
	struct world w =
		play((struct world){ .losses = at_random, .growth = queue, .is_capture = true });

	EXPECT(!w.found && !w.no_growth && !w.grew,
	       "a capture has counters of the host that reads it");
}

int main(void)
{
	test_found();
	test_innocent();
	test_capture();
	printf("gateway counters: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
