// SPDX-License-Identifier: GPL-2.0
#include "differential.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter_cells.h"
#include "lib/hash_bytes.h"

/* BPF_PROG_TEST_RUN needs the Ethernet and IP headers, and takes at most a page. */
#define MIN_FRAME 34
#define MIN_FRAME_IP6 54
#define MAX_FRAME 1024

static const uint16_t both_dns_ports[] = { 53, 5353 };
#define BOTH_DNS_PORTS (sizeof(both_dns_ports) / sizeof(both_dns_ports[0]))

/* Returns the array, with room for one more element of this size. */
static void *grow(void *at, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return at;
	*room = *room ? 2 * *room : 256;
	at = realloc(at, *room * size);
	if (!at)
		abort();
	return at;
}

static void save(struct records *records, const struct record *r)
{
	records->at = grow(records->at, records->count, &records->room, sizeof(*r));
	records->at[records->count++] = *r;
}

static int keep_bpf(void *context, void *data, size_t size)
{
	struct both *b = context;

	if (size != sizeof(struct record))
		abort();
	mark_client_verified(b->bpf, data);
	save(&b->from_bpf, data);
	return 0;
}

static void keep_native(void *context, const struct record *r)
{
	struct both *b = context;

	save(&b->from_native, r);
}

static void keep_packet(struct packets *p, const struct packet_head *head, const uint8_t *bytes)
{
	p->at = grow(p->at, p->count, &p->room, sizeof(*p->at));
	p->at[p->count].head = *head;
	p->at[p->count++].bytes = hash_bytes(bytes, head->length);
}

static int keep_packet_bpf(void *context, void *data, size_t size)
{
	const struct packet_head *head = data;

	if (size < sizeof(*head) || head->length > size - sizeof(*head))
		abort();
	keep_packet(context, head, (const uint8_t *)(head + 1));
	return 0;
}

static void keep_packet_native(void *context, const struct packet_head *head)
{
	struct both *b = context;
	struct packet_head whole = *head;

	whole.length = b->frame->length < MAX_HEADERS ? b->frame->length : MAX_HEADERS;
	keep_packet(&b->packets_from_native, &whole, b->frame->bytes);
}

static void keep_dns(struct dns_events *e, const struct dns_head *head, const uint8_t *bytes)
{
	e->at = grow(e->at, e->count, &e->room, sizeof(*e->at));
	e->at[e->count].head = *head;
	e->at[e->count++].bytes = hash_bytes(bytes, head->length);
}

static int keep_dns_bpf(void *context, void *data, size_t size)
{
	const struct dns_head *head = data;

	if (size < sizeof(*head) + head->length || head->offset > head->length)
		abort();
	keep_dns(context, head, (const uint8_t *)(head + 1));
	return 0;
}

static void keep_dns_native(void *context, const struct dns_head *head, const uint8_t *bytes)
{
	struct both *b = context;

	keep_dns(&b->dns_from_native, head, bytes);
}

int test_run(const struct bpf_program *program, void *data, uint32_t size, uint64_t now, int repeat)
{
	struct __sk_buff context = { .tstamp = now };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = size,
			    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = repeat);

	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
		return -errno;
	if ((int)opts.retval != -1) {
		fprintf(stderr, "a hook returned %d: it would affect the packet\n",
			(int)opts.retval);
		abort();
	}
	return 0;
}

void both_feed(struct both *b, const struct offline_frame *frame)
{
	struct offline_frame f = *frame;
	int error;

	if (f.length > MAX_FRAME)
		f.length = MAX_FRAME;
	if (f.length < MIN_FRAME ||
	    (get_be16(f.bytes + 12) == ETHERTYPE_IP6 && f.length < MIN_FRAME_IP6))
		return;
	f.wire_length = f.length; /* as the kernel sets it */
	f.from_gateway = f.egress; /* test_run packets have no receiving interface */
	f.ifindex = 1;
	f.time += START;
	if (f.time > b->now)
		b->now = f.time;
	error = test_run(f.egress ? b->bpf->progs.probe_egress : b->bpf->progs.probe_ingress,
			 (void *)f.bytes, f.length, f.time, 1);
	if (error) {
		fprintf(stderr, "test_run of %u bytes: %s\n", f.length, strerror(-error));
		abort();
	}
	b->frame = &f;
	offline_feed(b->offline, &f);
	if (++b->frames % 256 == 0)
		ring_buffer__consume(b->ring);
}

/*
 * Like the live source: passes every flow of the map to the kernel, which settles those that are
 * due.
 */
void both_sweep_bpf(struct both *b)
{
	static struct flow_entry flows[CANDIDATES];
	uint32_t slot = 1, numbers[CANDIDATES];
	uint8_t frame[64] = {};
	int count, i;

	while ((count = read_flows(b->bpf, &slot, flows, numbers, CANDIDATES)) > 0) {
		for (i = 0; i < count; i++) {
			if (!is_consistent_copy(b->bpf, &flows[i]))
				abort();
			b->bpf->bss->candidates[i].slot = flows[i].slot;
			b->bpf->bss->candidates[i].client_isn = flows[i].flow.client_isn;
		}
		b->bpf->bss->candidate_next = 0;
		if (test_run(b->bpf->progs.settle_candidate, frame, sizeof(frame), b->now, count))
			abort();
		ring_buffer__consume(b->ring);
	}
	if (count)
		abort();
}

static void open_object(struct both *b)
{
	b->bpf = probe_bpf__open();
	if (!b->bpf) {
		fprintf(stderr, "the BPF object cannot be opened: %s\n", strerror(errno));
		exit(1);
	}
	/* The same seed, since the slots of the fast path's counters must be equal as well. */
	memcpy((void *)&b->bpf->rodata->run_seed, &offline_seed, sizeof(offline_seed));
	b->bpf->rodata->virtual_time = true;
	if (b->selector)
		memcpy((void *)&b->bpf->rodata->selector, b->selector, sizeof(*b->selector));
	b->bpf->rodata->save_packets = b->keeps_packets;
	memcpy((void *)b->bpf->rodata->dns_ports, both_dns_ports, sizeof(both_dns_ports));
	b->bpf->rodata->dns_port_count = BOTH_DNS_PORTS;
	b->bpf->rodata->dns_budget_limit = UINT32_MAX;
	bpf_map__set_max_entries(b->bpf->maps.packets, 1 << 20);
	set_table_sizes(b->bpf, BOTH_FLOWS);
	if (probe_bpf__load(b->bpf)) {
		fprintf(stderr, "the BPF object does not load\n");
		exit(1);
	}
	b->ring = ring_buffer__new(bpf_map__fd(b->bpf->maps.records), keep_bpf, b, NULL);
	if (!b->ring ||
	    ring_buffer__add(b->ring, bpf_map__fd(b->bpf->maps.packets), keep_packet_bpf,
			     &b->packets_from_bpf) ||
	    ring_buffer__add(b->ring, bpf_map__fd(b->bpf->maps.dns), keep_dns_bpf,
			     &b->dns_from_bpf))
		abort();
}

struct both *both_new(bool keeps_packets, const struct selector *selector)
{
	struct both *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	b->keeps_packets = keeps_packets;
	b->selector = selector;
	open_object(b);
	return b;
}

static void clear_resets(struct both *b)
{
	static struct reset_set sets[RESET_SETS];
	uint32_t numbers[RESET_SETS], count = RESET_SETS, i;

	for (i = 0; i < RESET_SETS; i++)
		numbers[i] = i;
	if (bpf_map_update_batch(bpf_map__fd(b->bpf->maps.resets), numbers, sets, &count, NULL))
		abort();
	memset((void *)&b->bpf->bss->reset_guard, 0, sizeof(b->bpf->bss->reset_guard));
}

static const char *resets_differ(const struct both *b)
{
	static struct reset_set sets[RESET_SETS];

	read_reset_sets(b->bpf, sets);
	return memcmp(sets, offline_resets(b->offline), sizeof(sets))
		       ? "the object and the native build count different resets"
		       : NULL;
}

/* All plays use one loaded object; this resets its state after the play before. */
void both_begin(struct both *b)
{
	static uint32_t slots[MIN_BUCKETS];
	static struct bucket lines[MIN_BUCKETS];
	uint32_t count = MIN_BUCKETS, i;

	for (i = 0; i < MIN_BUCKETS; i++)
		slots[i] = i;
	if (bpf_map_update_batch(bpf_map__fd(b->bpf->maps.buckets), slots, lines, &count, NULL))
		abort();
	clear_resets(b);
	b->now = START;
	b->from_bpf.count = 0;
	b->from_native.count = 0;
	b->bpf->bss->run_ending = false;
	b->packets_from_bpf.count = 0;
	b->packets_from_native.count = 0;
	b->dns_from_bpf.count = 0;
	b->dns_from_native.count = 0;
	offline_free(b->offline);
	b->offline = offline_new(131072, b->selector, keep_native, b);
	if (!b->offline)
		abort();
	offline_follow_dns(b->offline, keep_dns_native, both_dns_ports, BOTH_DNS_PORTS);
	if (b->keeps_packets)
		offline_save_packets(b->offline, keep_packet_native);
}

void both_free(struct both *b)
{
	ring_buffer__free(b->ring);
	probe_bpf__destroy(b->bpf);
	offline_free(b->offline);
	free(b->from_bpf.at);
	free(b->from_native.at);
	free(b->packets_from_bpf.at);
	free(b->packets_from_native.at);
	free(b->dns_from_bpf.at);
	free(b->dns_from_native.at);
	free(b);
}

/* Orders by time and key: at a sweep, two tables return their flows in different orders. */
static int by_syn(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	if (x->flow.syn_times[0] != y->flow.syn_times[0])
		return x->flow.syn_times[0] < y->flow.syn_times[0] ? -1 : 1;
	return memcmp(x, y, sizeof(*x));
}

const char *not_given_back(const struct both *b)
{
	return lanes_held((const struct flow_filter *)&b->bpf->bss->flow_filter)
		       ? "a counter of openings is not back to zero"
		       : NULL;
}

static const char *packets_differ(const struct both *b)
{
	const struct packets *x = &b->packets_from_bpf, *y = &b->packets_from_native;

	if (x->count != y->count)
		return "the object and the native build keep different packets";
	if (x->count && memcmp(x->at, y->at, x->count * sizeof(*x->at)))
		return "a packet that is kept differs";
	return NULL;
}

static const char *dns_differs(const struct both *b)
{
	const struct dns_events *x = &b->dns_from_bpf, *y = &b->dns_from_native;
	static char difference[128];
	size_t i;

	for (i = 0; i < x->count && i < y->count; i++)
		if (memcmp(&x->at[i], &y->at[i], sizeof(x->at[i]))) {
			snprintf(difference, sizeof(difference), "DNS packet %zu differs", i);
			return difference;
		}
	if (x->count == y->count)
		return NULL;
	snprintf(difference, sizeof(difference),
		 "%zu DNS packets from the BPF object, %zu from the native build", x->count,
		 y->count);
	return difference;
}

/* Ends the run on both sides. Returns a difference, or NULL. */
const char *both_finish(struct both *b)
{
	static char difference[256];
	size_t i;

	b->bpf->bss->run_ending = true;
	both_sweep_bpf(b);
	ring_buffer__consume(b->ring);
	offline_end(b->offline, b->now);
	if (b->from_bpf.count != b->from_native.count) {
		snprintf(difference, sizeof(difference),
			 "%zu records from the BPF object, %zu from the native build",
			 b->from_bpf.count, b->from_native.count);
		return difference;
	}
	if (packets_differ(b))
		return packets_differ(b);
	if (dns_differs(b))
		return dns_differs(b);
	if (resets_differ(b))
		return resets_differ(b);
	if (!b->from_bpf.count)
		return not_given_back(b);
	qsort(b->from_bpf.at, b->from_bpf.count, sizeof(struct record), by_syn);
	qsort(b->from_native.at, b->from_native.count, sizeof(struct record), by_syn);
	for (i = 0; i < b->from_bpf.count; i++) {
		struct record *x = &b->from_bpf.at[i], *y = &b->from_native.at[i];

		if (memcmp(x, y, sizeof(*x))) {
			snprintf(difference, sizeof(difference),
				 "record %zu (port %u to %u, settled by %u and %u) differs", i,
				 x->key.port[0], x->key.port[1], x->end_reason, y->end_reason);
			return difference;
		}
	}
	return not_given_back(b);
}

void both_counters(const struct both *b, uint64_t *sum)
{
	if (!read_counters(b->bpf, sum))
		abort();
}
