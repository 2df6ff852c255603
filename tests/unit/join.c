// SPDX-License-Identifier: GPL-2.0
/*
 * Joins records of two sides, in every order and with every gap, and checks how often each attempt
 * is reported.
 */
#include <stdlib.h>
#include <string.h>

#include "model/join.h"
#include "expect.h"

#define MS ((ns_t)MILLISECOND_NS)

enum { LAN = 2, WAN = 3 };

static struct {
	uint64_t attempt, sides, opening, stayed, split, outcomes[OUTCOMES];
	struct connection last, last_opening;
} events;

static void on_settled(void *context, const struct connection *c)
{
	(void)context;
	events.attempt++;
	events.stayed += c->not_forwarded;
	events.split += c->far.seen;
	events.last = *c;
	events.outcomes[c->outcome]++;
}

static void on_other_side(void *context, const struct connection *side,
			  const struct connection *attempt)
{
	(void)context, (void)side, (void)attempt;
	events.sides++;
}

static void on_opening(void *context, const struct connection *c)
{
	(void)context;
	events.opening++;
	events.last_opening = *c;
}

/* One hook, or a capture. */
static struct join *begin_single(void)
{
	static const struct join_events callbacks = { .settled = on_settled,
						      .other_side = on_other_side,
						      .opening = on_opening };
	struct join *v = join_new(&callbacks);

	if (!v)
		abort();
	memset(&events, 0, sizeof(events));
	return v;
}

static struct join *begin(void)
{
	struct join *v = begin_single();

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

/* An attempt as recorded on the LAN side, answered unless synack is NEVER. */
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

/* The same attempt on the WAN side: its SYN is a little later, its answer a little sooner. */
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
		EXPECT(!events.attempt, "one side is reported before the other could arrive");
		join_settled(v, late ? &n : &f);
		EXPECT(events.attempt == 1 && events.split == 1,
		       "one connection is reported twice");
		EXPECT(events.last.ifindex == LAN && events.last.far.ifindex == WAN,
		       "the gateway is taken for the client");
		EXPECT(events.last.syn_forwarding_delay == 20 &&
			       events.last.synack_forwarding_delay == 10,
		       "the gateway's own delay is wrong");
		end(v);
		EXPECT(events.attempt == 1 && events.sides == 1 && !events.stayed,
		       "the end of the run reports it again");
	}
}

static void check_stayed(void)
{
	struct connection n = near(1, 1000, NEVER), f = far_of(&n);
	struct join *v = begin();

	join_settled(v, &n);
	sweep(v, 5);
	EXPECT(events.attempt == 1 && events.stayed == 1,
	       "a SYN that never left is not reported as such");
	end(v);

	/* the far side is still opening, so the SYN did leave */
	v = begin();
	join_settled(v, &n);
	join_opening(v, &f);
	sweep(v, 1);
	join_opening(v, &f);
	sweep(v, 1);
	EXPECT(!events.attempt, "a record is reported although the other side is still opening");
	while (!events.attempt) {
		join_opening(v, &f);
		sweep(v, 1);
	}
	EXPECT(events.split == 1 && !events.stayed, "a SYN that left is reported as having stayed");
	join_settled(v, &f);
	end(v);
	EXPECT(events.attempt == 1 && events.sides == 1,
	       "a side that settles late becomes another connection");
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
	EXPECT(!events.attempt && events.opening == 100,
	       "the gateway's side is reported instead of the client's");
	join_settled(v, &n);
	EXPECT(events.attempt == 1 && events.last.ifindex == LAN,
	       "the client's side is not reported");
	end(v);
	EXPECT(events.attempt == 1, "reported twice");
}

/* A SYN that the next router returns: it passes the far side 63 times, and the near side once. */
static void check_loop(void)
{
	struct connection n = near(1, 1000, NEVER), f = far_of(&n);
	struct join *v;
	int late;

	n.syn_count = f.syn_count = 3;
	f.syn_copies = 3 * 62;
	for (late = 0; late < 2; late++) {
		v = begin();
		join_settled(v, late ? &f : &n);
		join_settled(v, late ? &n : &f);
		EXPECT(events.last.ifindex == LAN && connection_syn_copies(&events.last) == 62,
		       "a routing loop behind the far side would look like a silent server");
		end(v);
	}
}

/* Two attempts with the ISN of a scanner, behind NAT: their sides cannot be matched. */
static void check_ambiguous(void)
{
	struct connection a = near(7, 1000, NEVER), b = near(7, 1000, NEVER), f;
	struct join *v = begin();

	b.client.port++;
	f = masqueraded(&a);
	join_settled(v, &a);
	join_settled(v, &b);
	join_settled(v, &f);
	EXPECT(join_ambiguous(v) == 1, "a guess is reported as a fact");
	end(v);
	EXPECT(events.attempt == 3, "an attempt is missing");

	/* without NAT the ports identify them */
	v = begin();
	f = far_of(&b);
	join_settled(v, &a);
	join_settled(v, &b);
	join_settled(v, &f);
	EXPECT(!join_ambiguous(v) && join_joined(v) == 1, "a scan is not joined");
	EXPECT(same_endpoint(&events.last.client, &b.client), "the wrong record is joined");
	end(v);
	EXPECT(events.attempt == 2, "an attempt is missing, or reported twice");
}

/* A flood has one ISN for all attempts: each is reported once, and ambiguous ones are counted. */
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
	EXPECT(join_ambiguous(v), "an omitted search silently gives two attempts");
	end(v);
	EXPECT(events.attempt == most + 1, "an attempt is missing, or reported twice");
}

/* ISNs that would collide in a table with a public hash function. */
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
	       "chosen ISNs keep two sides of one attempt apart");
	end(v);
}

/* A scanner's probes with one ISN and one port, on one interface: each is an attempt. */
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
	EXPECT(events.attempt == 500 && !events.sides, "probes of a scan are joined");
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
	EXPECT(events.attempt == 3 && events.split == 3 && events.sides == 3,
	       "retries are mixed up");
}

/* More concurrent attempts than the table can hold: reported early, and joined anyway. */
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
	EXPECT(events.attempt == CROWD && events.sides == CROWD,
	       "under pressure an attempt counts twice");
	EXPECT(!events.stayed, "under pressure it reports that SYNs did not leave");
}

/* ---- one SYN in several VLANs of one interface ---- */

/* The same attempt in a VLAN, as a mirror port or a capture shows it, `later` nanoseconds later. */
static struct connection tagged(const struct connection *c, uint16_t vlan, ns_t later)
{
	struct connection t = *c;

	t.client.vlan[0] = t.server.vlan[0] = vlan;
	t.synack_egress = false;
	t.has_mac = true;
	t.mac[5] = vlan;
	t.syn += later;
	t.syn_last += later;
	t.syn_times[0] += later;
	if (t.synack != NEVER)
		t.synack += later;
	return t;
}

/* A SYN that was retransmitted after 1 and 3 s, without an answer. */
static struct connection unanswered(const struct connection *c)
{
	struct connection u = *c;

	u.outcome = OUTCOME_UNANSWERED;
	u.synack = u.ack = NEVER;
	u.server_isn = u.synack_count = 0;
	u.syn_times_count = u.syn_count = 3;
	u.syn_times[1] = u.syn + 1000 * MS;
	u.syn_times[2] = u.syn_last = u.syn + 3000 * MS;
	return u;
}

/* Passes the records on in any order, in which `first` is the first, and ends the run. */
static void settle_all(struct join *v, const struct connection *const *records, int count,
		       int first)
{
	int i;

	for (i = 0; i < count; i++)
		join_settled(v, records[(first + i) % count]);
	end(v);
}

/* Copies are not nested, since the copy in one VLAN follows the copy in another at once. */
static void check_vlan_copies(void)
{
	struct connection n = near(1, 1000, 5 * MS), plain = tagged(&n, 0, 0);
	struct connection a = tagged(&n, 10, 5), b = tagged(&n, 20, 9);
	const struct connection *records[] = { &plain, &a, &b };
	struct connection silent;
	int first, which, count;

	for (first = 0; first < 3; first++) {
		settle_all(begin_single(), records, 3, first);
		EXPECT(events.attempt == 1 && events.sides == 2,
		       "a SYN in three VLANs would be three connects");
		EXPECT(!events.last.client.vlan[0] && events.last.far.client.vlan[0] == 20,
		       "the connect is shown in another VLAN than where its SYN came first");
		EXPECT(events.last.synack_forwarding_delay == NEVER,
		       "a copy would show the delay of a gateway");
	}

	/* only one of them saw the answer: the untagged record, VLAN 10, or VLAN 20 */
	for (which = 0; which < 3; which++) {
		for (first = 0; first < 6; first++) {
			count = first < 3 ? 3 : 2;
			if (count == 2 && which == 2)
				continue;
			plain = tagged(&n, 0, 0);
			a = tagged(&n, 10, 5);
			b = tagged(&n, 20, 9);
			plain = which == 0 ? plain : unanswered(&plain);
			a = which == 1 ? a : unanswered(&a);
			b = which == 2 ? b : unanswered(&b);
			settle_all(begin_single(), records, count, first % count);
			EXPECT(events.attempt == 1 && events.outcomes[OUTCOME_ESTABLISHED] == 1,
			       "an answered connect counts as unanswered, as one VLAN shows no answer");
			EXPECT(!events.last.client.vlan[0] && !events.last.mac[5] &&
				       events.last.syn == 1000,
			       "the client is named by the MAC or VLAN of another side");
			EXPECT(events.last.synack != NEVER &&
				       events.last.server_isn == n.server_isn &&
				       events.last.synack_count == 1,
			       "an established connect has no SYN-ACK");
		}
	}

	/* one record lacks the first SYN */
	silent = unanswered(&n);
	plain = tagged(&silent, 0, 0);
	b = tagged(&silent, 20, 1000 * MS + 9);
	b.syn_times_count = 1;
	b.syn_count = 1;
	b.syn_last = b.syn;
	b.outcome = OUTCOME_ESTABLISHED;
	b.synack = b.syn + MS;
	records[1] = &b;
	for (first = 0; first < 2; first++) {
		settle_all(begin_single(), records, 2, first);
		EXPECT(events.attempt == 1 && events.last.outcome == OUTCOME_ESTABLISHED &&
			       events.last.syn_count == 3 && events.last.syn == 1000,
		       "a retransmitted SYN in another VLAN would be another connect");
	}
}

/* Two customers with equal addresses and ports, each in a VLAN of its own. */
static void check_vlan_customers(void)
{
	struct connection n = near(1, 1000, 5 * MS), m = n;
	struct connection a = tagged(&n, 10, 0), b;
	const struct connection *records[] = { &a, &b };

	m.client_isn = 2;
	b = tagged(&m, 20, 5);
	settle_all(begin_single(), records, 2, 0);
	EXPECT(events.attempt == 2,
	       "two customers' connects would be one: other ISN of the client");

	b = tagged(&n, 20, 5);
	b.server_isn++;
	settle_all(begin_single(), records, 2, 0);
	EXPECT(events.attempt == 2,
	       "two customers' connects would be one: other ISN of the server");
	b.synack = a.synack - 5;
	settle_all(begin_single(), records, 2, 0);
	EXPECT(events.attempt == 2, "the same, although one handshake lies within the other");

	b = tagged(&n, 20, 50 * MS);
	settle_all(begin_single(), records, 2, 0);
	EXPECT(events.attempt == 2, "a SYN that comes after the answer would be a copy");

	b = tagged(&n, 20, 500 * MS);
	b.outcome = a.outcome = OUTCOME_REFUSED;
	b.synack = a.synack = NEVER;
	settle_all(begin_single(), records, 2, 0);
	EXPECT(events.attempt == 2, "a later try with the same ISN would be a copy");
}

/*
 * A record of another side shows the SYN-ACK. If it came in there and did not leave here, the
 * gateway dropped it. On a mirror port, or if the client continued, it was only not seen here.
 */
static void check_missed_answer(void)
{
	struct connection n = near(1, 1000, 5 * MS), f = far_of(&n), u = unanswered(&n);
	const struct connection *records[] = { &u, &f };
	int first;

	f.outcome = OUTCOME_HALF_OPEN;
	for (first = 0; first < 2; first++) {
		settle_all(begin(), records, 2, first);
		EXPECT(events.attempt == 1 && events.last.outcome == OUTCOME_UNANSWERED &&
			       events.last.far.synack != NEVER,
		       "a SYN-ACK that this gateway dropped would have reached the client");
	}
	f.outcome = OUTCOME_ESTABLISHED;
	f.ack = f.synack + MS;
	for (first = 0; first < 2; first++) {
		settle_all(begin(), records, 2, first);
		EXPECT(events.attempt == 1 && events.last.outcome == OUTCOME_ESTABLISHED &&
			       events.last.ifindex == LAN,
		       "a connect whose client continued would be unanswered");
	}

	/* two mirror ports: all packets come in */
	f.outcome = OUTCOME_HALF_OPEN;
	f.ack = NEVER;
	f.syn_egress = false;
	for (first = 0; first < 2; first++) {
		settle_all(begin(), records, 2, first);
		EXPECT(events.attempt == 1 && events.last.outcome == OUTCOME_HALF_OPEN,
		       "on two mirror ports, a gateway would have dropped a SYN-ACK");
	}
	/* the port of a bridge and the bridge itself: the answer leaves */
	f.synack_egress = true;
	settle_all(begin(), records, 2, 0);
	EXPECT(events.attempt == 1 && events.last.outcome == OUTCOME_UNANSWERED,
	       "a SYN-ACK that did not leave the bridge would have reached the client");
}

/* While one copy still waits for the answer that another copy has, no copy is reported as waiting. */
static void check_opening_copies(ns_t later)
{
	struct connection n = near(1, 1000, 5 * MS), plain = tagged(&n, 0, 0),
			  b = tagged(&n, 20, later);
	struct connection u = unanswered(&plain), v = unanswered(&b);
	const struct connection *pairs[][2] = {
		{ &u, &b }, { &b, &u }, { &plain, &v }, { &v, &plain }
	};
	struct join *j;
	size_t i;
	int sweeps;

	for (i = 0; i < 4; i++) {
		j = begin_single();
		for (sweeps = 0; sweeps < 40; sweeps++) {
			if (sweeps == 4)
				events.opening = 0;
			join_opening(j, pairs[i][0]);
			join_opening(j, pairs[i][1]);
			join_swept(j);
			EXPECT(sweeps < 4 || events.last_opening.synack != NEVER,
			       "an answered connect is reported as unanswered during the run");
		}
		EXPECT(events.opening == 36, "an opening connect is not shown, or shown twice");

		/* the answered copy settles first */
		events.opening = 0;
		join_settled(j, i < 2 ? &b : &plain);
		for (sweeps = 0; sweeps < 40; sweeps++) {
			join_opening(j, i < 2 ? &u : &v);
			join_swept(j);
		}
		EXPECT(!events.opening, "an answered connect is reported as still opening");
		join_settled(j, i < 2 ? &u : &v);
		end(j);
		EXPECT(events.attempt == 1 && events.outcomes[OUTCOME_ESTABLISHED] == 1,
		       "a connect is reported twice, or as unanswered");
	}
}

/* A SYN before the last hook was attached: its absence on the other side proves nothing. */
static void check_during_attach(void)
{
	struct connection n = near(1, 1000, NEVER);
	struct join *v = begin();

	n.during_attach = true;
	join_settled(v, &n);
	end(v);
	EXPECT(events.attempt == 1 && !events.stayed && events.last.during_attach,
	       "a SYN that left before a hook was attached is reported as dropped");
	n.watched = 4 * SILENT_NS;
	EXPECT(connection_failure(&n) == FAILURE_TOO_EARLY,
	       "a server is reported as silent whose answer passed before a hook was attached");
}

int main(void)
{
	check_vlan_copies();
	check_vlan_customers();
	check_missed_answer();
	check_opening_copies(9);
	check_opening_copies(0);
	check_during_attach();
	check_orders();
	check_stayed();
	check_near_is_open();
	check_loop();
	check_ambiguous();
	check_flood();
	check_bucket();
	check_scan();
	check_retries();
	check_crowd();
	printf("join: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
