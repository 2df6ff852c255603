// SPDX-License-Identifier: GPL-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "host/conntrack.h"
#include "lib/clock.h"
#include "lib/format.h"
#include "source/live_internal.h"
#include "track.h"

#define SWEEP_BATCH 4096 /* flows read at a time */
#define RECORD_BUDGET 32768 /* records read at a time; more than a ring of the default size holds */
#define PACKET_BUDGET (8 * RECORD_BUDGET)
#define DNS_READS RECORD_BUDGET /* more than the ring of DNS packets holds */

/* If conntrack translated none of the first 1000 attempts, it is not read any longer. */
#define UNTRANSLATED_ENOUGH 1000

#define OWN_ATTEMPTS_NOTICED 3 /* attempts from this host's own address before NAT is reported */

/* Returns the link type of packets that were seen on this interface. */
static int link_of(struct live *l, uint32_t ifindex)
{
	const struct watched *w = watched_of(l, ifindex);

	return (w ? w : l->watched)->netdev.raw_ip ? DLT_RAW : DLT_EN10MB;
}

/* ---- DNS ---- */

static int take_dns(void *context, void *data, size_t size)
{
	const struct dns_head *head = data;
	struct live *l = context;

	if (size >= sizeof(*head) && head->length <= size - sizeof(*head) &&
	    head->offset <= head->length)
		l->sink->dns(l->sink->context, head, (const uint8_t *)(head + 1), l->start,
			     link_of(l, head->ifindex));
	return --l->dns_budget > 0 ? 0 : -E2BIG;
}

static void notice_sample(struct live *l)
{
	live_notice(
		l,
		"more than %d packets of DNS a second: from here on, DNS of one host in %u is looked at",
		DNS_BUDGET, 1U << l->dns_sampling.shift);
}

/*
 * Passes on pending DNS packets, then reports a gap: the questions whose answers are missing were
 * passed on before. Called before records are read, since a question precedes its connection.
 */
static void drain_dns(struct live *l)
{
	uint32_t before = l->dns_sampling.shift;
	uint64_t now = monotonic_ns(), from;
	bool is_gap;

	read_counters(l->bpf, l->session->counters);
	is_gap = dns_sampling_check(&l->dns_sampling, now, l->session->counters, DNS_BUDGET, &from);
	l->bpf->bss->dns_sample_shift = l->dns_sampling.shift;
	l->dns_budget = DNS_READS;
	ring_buffer__consume(l->dns);
	if (is_gap)
		l->sink->dns_gap(l->sink->context, from - l->start, now - l->start);
	if (!before && l->dns_sampling.shift)
		notice_sample(l);
}

/* ---- packets for --write ---- */

static int take_packet(void *context, void *data, size_t size)
{
	const struct packet_head *head = data;
	struct live *l = context;

	if (size >= sizeof(*head) && head->length <= size - sizeof(*head))
		l->sink->packet(l->sink->context, head, (const uint8_t *)(head + 1), l->start,
				link_of(l, head->key.ifindex), true);
	return --l->packet_budget > 0 ? 0 : -E2BIG;
}

/*
 * Passes on pending packets. Called before each record is read, since the kernel sends a record
 * after its packets.
 */
static void drain_packets(struct live *l)
{
	if (l->packets && l->packet_budget > 0)
		ring_buffer__consume(l->packets);
}

/* ---- from a record to a connection ---- */

static void notice_outer_side(struct live *l, const struct connection *c)
{
	struct nat *nat = &l->session->nat;
	char outer[FORMAT_ADDRESS];

	format_address(outer, &nat->address);
	if (c->nat_endpoint.port)
		live_notice(
			l,
			"%s is the outer side of this gateway's NAT: clients are shown as conntrack knows "
			"them, behind %s",
			l->session->from, outer);
	else if (!nat->known)
		live_notice(
			l,
			"%s shows this gateway's own address %s as a client: if that is NAT, the clients behind it cannot be distinguished%s%s. Watch %s",
			l->session->from, outer, nat->unknown ? ": " : "",
			nat->unknown ? nat->unknown : "",
			nat->inner[0] ? nat->inner : "the interface that they are on");
}

static void count_nat(struct live *l, const struct connection *c)
{
	struct nat *nat = &l->session->nat;

	if (l->count > 1) /* both sides of the NAT may be watched: see model/join.h */
		return;
	if (c->nat_endpoint.port) {
		nat->address = c->nat_endpoint.address;
		if (!nat->translated++)
			notice_outer_side(l, c);
	} else if (c->syn_egress && session_is_own_address(l->session, &c->client.address)) {
		nat->address = c->client.address;
		if (++nat->own == OWN_ATTEMPTS_NOTICED)
			notice_outer_side(l, c);
	}
	if (l->conntrack && nat->known && !nat->translated && !nat->own &&
	    ++l->untranslated == UNTRANSLATED_ENOUGH) {
		conntrack_unsubscribe(l->conntrack);
		nat->known = false;
		nat->unknown =
			"conntrack is no longer read: this host translated none of the first 1000 attempts";
	}
}

/*
 * Restores the index of the interface on which the SYN left. A record holds only its lowest byte.
 */
static void expand_forwarded_by(const struct live *l, struct connection *c)
{
	unsigned int i;
	uint32_t index;

	for (i = 0; i < l->followed_count && c->forwarded_by; i++) {
		index = l->followed[i].netdev.index;
		if ((index & 0xff) == c->forwarded_by) {
			c->forwarded_by = index;
			return;
		}
	}
}

static void to_connection(const struct live *l, struct connection *c, const struct record *r)
{
	connection_of(c, r, l->start);
	expand_forwarded_by(l, c);
	c->during_attach = c->syn_last < l->attached || c->syn >= l->detaching;
	/* a SYN that left may have been missed, so its absence proves nothing */
	if (l->followed_count && (l->bpf->bss->egress_syns_incomplete || c->syn < l->attached))
		c->not_forwarded = false;
	if (l->conntrack)
		conntrack_complete(l->conntrack, c);
}

static int take_record(void *context, void *data, size_t size)
{
	const struct record *r = data;
	struct connection connection;
	struct live *l = context;

	if (size != sizeof(*r) || r->version != RECORD_VERSION)
		return 0; /* cannot happen: the BPF object is embedded in this binary */
	if (r->end_reason == END_SYNACK_ALONE) {
		connection_of(&connection, r, l->start);
		l->sink->synack_alone(l->sink->context, &connection);
		return --l->record_budget > 0 ? 0 : -E2BIG;
	}
	drain_packets(l);
	mark_client_verified(l->bpf, r);
	to_connection(l, &connection, r);
	count_nat(l, &connection);
	l->sink->settled(l->sink->context, &connection);
	return --l->record_budget > 0 ? 0 : -E2BIG;
}

/* The budget limits the time spent here if records arrive faster than they are read. */
void drain_records(struct live *l)
{
	if (l->conntrack)
		conntrack_read(l->conntrack);
	drain_dns(l);
	l->record_budget = RECORD_BUDGET;
	l->packet_budget = PACKET_BUDGET;
	drain_packets(l);
	ring_buffer__consume(l->ring);
}

/* ---- sweep ---- */

/*
 * Settles the candidates in one run of the BPF program, which checks each candidate again. A
 * pending signal, even SIGSTOP with SIGCONT, ends a series of runs early with EINTR; it is then
 * resumed.
 */
static void settle_candidates(struct live *l)
{
	static uint8_t frame[64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));
	volatile __u32 *next = &l->bpf->bss->candidate_next;

	*next = 0;
	while (*next < l->candidates) {
		opts.repeat = l->candidates - *next;
		if (bpf_prog_test_run_opts(bpf_program__fd(l->bpf->progs.settle_candidate),
					   &opts) &&
		    errno != EINTR) {
			live_end(l, "the kernel refused to settle unanswered attempts: %s",
				 strerror(errno));
			break;
		}
	}
	l->candidates = 0;
	drain_records(l);
}

static void add_candidate(struct live *l, const struct flow_entry *e)
{
	struct candidate *c = &l->bpf->bss->candidates[l->candidates++];

	c->slot = e->slot;
	c->client_isn = e->flow.client_isn;
	if (l->candidates == CANDIDATES)
		settle_candidates(l);
}

static void sweep_flow(struct live *l, const struct flow_entry *e, uint64_t now)
{
	struct record r = { .version = RECORD_VERSION, .settled = now };
	struct connection connection;

	if (!is_consistent_copy(l->bpf, e))
		return;
	if (l->bpf->bss->run_ending ||
	    settle_due(&e->flow, now, l->bpf->bss->under_pressure) != END_NONE) {
		add_candidate(l, e);
		return;
	}
	r.key = e->key;
	r.flow = e->flow;
	to_connection(l, &connection, &r);
	l->sink->opening(l->sink->context, &connection);
}

/* Drains the ring after each batch, so that it does not overflow during a long sweep. */
void sweep_flows(struct live *l)
{
	uint32_t slot = 1, opening = 0, undrained = 0;
	uint64_t now;
	int count, i;

	while ((count = read_flows(l->bpf, &slot, l->flows, l->slots, SWEEP_BATCH)) > 0) {
		opening += count;
		now = monotonic_ns();
		for (i = 0; i < count; i++)
			sweep_flow(l, &l->flows[i], now);
		undrained += count;
		if (undrained >= SWEEP_BATCH) {
			drain_records(l);
			undrained = 0;
		}
	}
	settle_candidates(l);
	l->bpf->bss->under_pressure = opening > l->options->max_flows / 4 * 3;
}

void settle_copies(struct live *l)
{
	struct record r = { .version = RECORD_VERSION, .end_reason = END_OF_RUN };
	struct connection connection;
	uint32_t slot = 1;
	int count, i;

	while ((count = read_flows(l->bpf, &slot, l->flows, l->slots, SWEEP_BATCH)) > 0) {
		r.settled = monotonic_ns(); /* the flows went on since the fork */
		for (i = 0; i < count; i++) {
			if (!is_consistent_copy(l->bpf, &l->flows[i]))
				continue;
			r.key = l->flows[i].key;
			r.flow = l->flows[i].flow;
			to_connection(l, &connection, &r);
			l->sink->settled(l->sink->context, &connection);
		}
	}
	l->session->duration = live_now(l);
}

/* ---- counters ---- */

bool is_any_opening(struct live *l)
{
	const uint64_t *counted = l->session->counters;

	read_counters(l->bpf, l->session->counters);
	return counted[COUNT_ATTEMPTS] !=
	       counted[COUNT_PUBLISHED] + counted[COUNT_LOST_RING] + counted[COUNT_LOST_CROWDED];
}

void read_ethertypes(struct live *l)
{
	session_set_ethertypes(l->session, l->bpf->bss->ethertypes);
}

void read_resets(struct live *l)
{
	struct reset_set *sets = calloc(RESET_SETS, sizeof(*sets));

	if (sets) {
		read_reset_sets(l->bpf, sets);
		session_set_resets(l->session, sets, l->start);
	}
	free(sets);
}

/* ---- open and close ---- */

int drain_open(struct live *l)
{
	l->ring = ring_buffer__new(bpf_map__fd(l->bpf->maps.records), take_record, l, NULL);
	l->dns = ring_buffer__new(bpf_map__fd(l->bpf->maps.dns), take_dns, l, NULL);
	l->slots = calloc(SWEEP_BATCH, sizeof(*l->slots));
	l->flows = calloc(SWEEP_BATCH, sizeof(*l->flows));
	if (l->sink->packet)
		l->packets =
			ring_buffer__new(bpf_map__fd(l->bpf->maps.packets), take_packet, l, NULL);
	if (l->ring && l->dns && (l->packets || !l->sink->packet) && l->slots && l->flows)
		return 0;
	fprintf(stderr, "probe: out of memory\n");
	return -1;
}

void drain_close(struct live *l)
{
	ring_buffer__free(l->ring);
	ring_buffer__free(l->packets);
	ring_buffer__free(l->dns);
	free(l->slots);
	free(l->flows);
}
