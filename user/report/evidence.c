// SPDX-License-Identifier: GPL-2.0
#include "report/evidence.h"

#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/hash.h"
#include "model/coincidence.h"
#include "model/ledger.h"
#include "report/dns_evidence.h"
#include "source/linktype.h"

/*
 * Maximum size of the packets, in bytes: of attempts that are open or settled, and of attempts kept
 * to the end of the run.
 */
#define MAX_PENDING (64 << 20)
#define MAX_KEPT (192 << 20)

/*
 * Time for which a settled attempt is kept. A stall ends just after the answer, but its record
 * follows only with the server's first byte.
 */
#define SETTLED_KEEP_NS (60 * (ns_t)SECOND_NS)

#define MAX_PACKETS 48 /* packets of an attempt; reached only if the clock stands still */
#define MAX_SILENCES 16 /* latest silences of a host */
#define MAX_STALLED_HOSTS (1 << 16)

/* Identifies an attempt by fields that both its packets and its record contain. */
struct attempt_key {
	struct endpoint client;
	struct endpoint server;
	ns_t syn;
	uint32_t ifindex;
	uint32_t zero;
};

struct attempt {
	struct kept_attempt kept; /* valid once the attempt has settled */
	struct attempt_key key;
	struct kept_packet *packets; /* the latest first */
	size_t packet_count;
	size_t bytes;
	bool incomplete; /* out of memory for some packets */
	enum { OPEN, SETTLED, KEPT } state;
	TAILQ_ENTRY(attempt) list; /* evidence.lists[state] */
	UT_hash_handle hh;
};

TAILQ_HEAD(attempt_list, attempt);

/* A host that stalled, identified by its MAC, or by its address if the link has no MACs. */
struct stalled_host {
	struct {
		struct address address;
		uint16_t vlan[2];
		uint8_t mac[6];
		uint16_t zero;
	} key;
	struct silence silences[MAX_SILENCES]; /* ring buffer */
	size_t count; /* number of silences so far */
	UT_hash_handle hh;
};

struct evidence {
	ns_t stall_ns;
	uint32_t snaplen;
	struct attempt *attempts;
	struct attempt_list lists[KEPT + 1];
	struct stalled_host *stalled_hosts;
	size_t pending_bytes; /* bytes of attempts that are OPEN or SETTLED */
	size_t kept_bytes;
	uint64_t lost; /* attempts whose packets were dropped */
	struct dns_evidence *dns; /* NULL without payload */
};

struct evidence *evidence_new(ns_t stall_ns, uint32_t snaplen)
{
	struct evidence *e = calloc(1, sizeof(*e));
	int i;

	if (!e)
		return NULL;
	e->stall_ns = stall_ns;
	e->snaplen = snaplen;
	if (snaplen) {
		e->dns = dns_evidence_new();
		if (!e->dns) {
			free(e);
			return NULL;
		}
	}
	for (i = 0; i <= KEPT; i++)
		TAILQ_INIT(&e->lists[i]);
	return e;
}

/* ---- attempts ---- */

static void free_packets(struct attempt *a)
{
	struct kept_packet *p;

	while ((p = a->packets)) {
		a->packets = p->next;
		free(p);
	}
}

static void attempt_free(struct evidence *e, struct attempt *a)
{
	*(a->state == KEPT ? &e->kept_bytes : &e->pending_bytes) -= a->bytes;
	free_packets(a);
	TAILQ_REMOVE(&e->lists[a->state], a, list);
	HASH_DEL(e->attempts, a);
	free(a);
}

static void attempt_move(struct evidence *e, struct attempt *a, int state)
{
	*(a->state == KEPT ? &e->kept_bytes : &e->pending_bytes) -= a->bytes;
	TAILQ_REMOVE(&e->lists[a->state], a, list);
	a->state = state;
	TAILQ_INSERT_TAIL(&e->lists[state], a, list);
	*(state == KEPT ? &e->kept_bytes : &e->pending_bytes) += a->bytes;
}

/* Keeps the packets to the end of the run if there is memory, otherwise drops them. */
static void attempt_keep(struct evidence *e, struct attempt *a, enum reason reason)
{
	if (e->kept_bytes + a->bytes > MAX_KEPT) {
		e->lost++;
		attempt_free(e, a);
		return;
	}
	a->kept.reason = reason;
	attempt_move(e, a, KEPT);
}

static struct attempt *attempt_find(struct evidence *e, const struct attempt_key *key)
{
	struct attempt *a;

	HASH_FIND(hh, e->attempts, key, sizeof(*key), a);
	return a;
}

static struct attempt *attempt_add(struct evidence *e, const struct attempt_key *key)
{
	struct attempt *a;

	ADD_NEW(e->attempts, key, *key, a);
	if (!a)
		return NULL;
	a->bytes = sizeof(*a);
	e->pending_bytes += a->bytes;
	TAILQ_INSERT_TAIL(&e->lists[OPEN], a, list);
	return a;
}

void evidence_free(struct evidence *e)
{
	struct attempt *a, *next;
	struct stalled_host *h, *next_host;

	if (!e)
		return;
	HASH_ITER(hh, e->attempts, a, next)
		attempt_free(e, a);
	HASH_ITER(hh, e->stalled_hosts, h, next_host) {
		HASH_DEL(e->stalled_hosts, h);
		free(h);
	}
	dns_evidence_free(e->dns);
	free(e);
}

/* ---- silences, and the answers that ended them ---- */

static struct stalled_host *find_stalled_host(struct evidence *e, const struct connection *c,
					      bool create)
{
	struct stalled_host wanted, *h;

	memset(&wanted, 0, sizeof(wanted));
	memcpy(wanted.key.vlan, c->client.vlan, sizeof(wanted.key.vlan));
	if (c->has_mac)
		memcpy(wanted.key.mac, c->mac, sizeof(wanted.key.mac));
	else
		wanted.key.address = c->client.address;
	HASH_FIND(hh, e->stalled_hosts, &wanted.key, sizeof(wanted.key), h);
	if (h || !create || HASH_COUNT(e->stalled_hosts) >= MAX_STALLED_HOSTS)
		return h;
	ADD_NEW(e->stalled_hosts, key, wanted.key, h);
	return h;
}

static void note_silence(struct evidence *e, const struct connection *c)
{
	struct stalled_host *h = find_stalled_host(e, c, true);

	if (!h) { /* without it, the attempt that this client waited for is not found */
		e->lost++;
		return;
	}
	h->silences[h->count++ % MAX_SILENCES] = (struct silence){
		.client = c->client,
		.server = c->server,
		.begin = c->ack,
		.end = c->client_first,
	};
}

/* Returns the time when the server answered: by payload, or else by its SYN-ACK. */
static ns_t answer_time(const struct connection *c)
{
	if (c->server_first != NEVER)
		return c->server_first;
	return c->synack;
}

/*
 * Returns the silence of the same host that the answer to this attempt ended, or NULL. The attempt
 * must have begun before the silence or soon after. It must have been pending for nearly all of the
 * silence, and have been answered just before its end. If one MAC has several addresses of a
 * family, the MAC may be a router's and the other address another host.
 */
static const struct silence *silence_ended(struct evidence *e, const struct connection *c)
{
	struct stalled_host *h = find_stalled_host(e, c, false);
	ns_t answer = answer_time(c);
	size_t i;

	for (i = 0; h && answer != NEVER && i < h->count && i < MAX_SILENCES; i++) {
		const struct silence *s = &h->silences[i];
		const struct address *address = &s->client.address;

		if (memcmp(address, &c->client.address, sizeof(*address)) &&
		    is_ip4(address) == is_ip4(&c->client.address))
			continue;
		if (answer >= s->end - SAME_MOMENT_NS && answer <= s->end &&
		    c->syn <= s->begin + LEAD_NS && c->syn - s->begin <= (s->end - s->begin) / 10)
			return s;
	}
	return NULL;
}

/*
 * Keeps or drops a settled attempt. By now the record of a silence that the attempt ended has
 * arrived.
 */
static void attempt_decide(struct evidence *e, struct attempt *a)
{
	const struct silence *ended = silence_ended(e, &a->kept.connection);

	if (ended) {
		a->kept.ended = *ended;
		attempt_keep(e, a, REASON_WAITED_FOR);
	} else if (a->kept.reason == REASON_LATE) {
		attempt_keep(e, a, REASON_LATE);
	} else {
		attempt_free(e, a);
	}
}

/* ---- packets ---- */

/*
 * Returns the bytes up to the end of the TCP header, or of the TCP header that an ICMP error
 * quotes.
 */
static uint32_t header_bytes(int link, const uint8_t *bytes, uint32_t length)
{
	struct offline_frame f = { .bytes = bytes, .length = length, .wire_length = length };
	struct headers h = {}, quoted = {};
	enum parse_result parsed;
	struct frame frame;
	uint32_t end;

	linktype_strip(link, &f);
	frame = (struct frame){ .begin = f.bytes,
				.end = f.bytes + f.length,
				.wire_length = f.length };
	parsed = parse_headers(&frame, f.link, f.ethertype, &h);
	if (parsed == PARSE_TCP) {
		end = h.transport_offset + (h.transport[12] >> 4) * 4;
	} else if (parsed == PARSE_ICMP) {
		parsed = h.ip6 ? parse_ip6(&frame, h.transport_offset + 8, &quoted)
			       : parse_ip4(&frame, h.transport_offset + 8, &quoted);
		end = parsed == PARSE_OK ? quoted.transport_offset + 20 : h.transport_offset + 8;
	} else {
		return length;
	}
	end += f.bytes - bytes;
	return end < length ? end : length;
}

/* Copies a frame, and restores the VLAN tag that the kernel has moved into the skb's metadata. */
static void copy_frame(struct kept_packet *p, uint16_t vlan_protocol, uint16_t vlan_tci,
		       const uint8_t *bytes)
{
	const uint8_t tag[] = { vlan_protocol >> 8, vlan_protocol, vlan_tci >> 8, vlan_tci };

	if (!vlan_protocol) {
		memcpy(p->bytes, bytes, p->length);
		return;
	}
	memcpy(p->bytes, bytes, 12);
	memcpy(p->bytes + 12, tag, sizeof(tag));
	memcpy(p->bytes + 16, bytes + 12, p->length - 12);
	p->length += sizeof(tag);
	p->wire_length += sizeof(tag);
}

/*
 * Returns true if the attempt has a packet of equal time and role: the first such packet is the one
 * that the record describes.
 */
static bool is_copy(const struct attempt *a, ns_t time, uint8_t roles)
{
	const struct kept_packet *p;

	for (p = a->packets; p && p->time == time; p = p->next)
		if (!(roles & ~p->roles))
			return true;
	return false;
}

/* Evicts the oldest settled attempts first, then the oldest open ones. */
static void evict_pending(struct evidence *e)
{
	struct attempt *a;

	while (e->pending_bytes > MAX_PENDING) {
		a = TAILQ_FIRST(&e->lists[SETTLED]);
		if (a) {
			attempt_decide(e, a);
			continue;
		}
		a = TAILQ_FIRST(&e->lists[OPEN]);
		if (!a)
			return;
		e->lost++;
		attempt_free(e, a);
	}
}

static void key_of_packet(struct attempt_key *key, const struct packet_head *head, uint64_t start)
{
	const struct flow_key *flow = &head->key;
	int client = head->flags & PACKET_CLIENT_IS_END_1 ? 1 : 0;

	memset(key, 0, sizeof(*key));
	key->client.address = flow->end[client];
	key->client.port = flow->port[client];
	key->server.address = flow->end[!client];
	key->server.port = flow->port[!client];
	memcpy(key->client.vlan, flow->vlan, sizeof(flow->vlan));
	memcpy(key->server.vlan, flow->vlan, sizeof(flow->vlan));
	key->syn = head->syn - start;
	key->ifindex = flow->ifindex;
}

/* Fills in the key from a record. The packets have the client's address after NAT. */
static void key_of_record(struct attempt_key *key, const struct connection *record)
{
	memset(key, 0, sizeof(*key));
	key->client = record->nat_endpoint.port ? record->nat_endpoint : record->client;
	key->server = record->server;
	key->syn = record->syn;
	key->ifindex = record->ifindex;
}

void evidence_packet(struct evidence *e, const struct packet_head *head, const uint8_t *bytes,
		     uint64_t start, int link, bool has_direction)
{
	uint32_t length = head->length,
		 most = e->snaplen ? e->snaplen : header_bytes(link, bytes, length);
	struct kept_packet *p;
	struct attempt_key key;
	struct attempt *a;

	key_of_packet(&key, head, start);
	a = attempt_find(e, &key);
	if (!a)
		a = attempt_add(e, &key);
	if (!a) {
		e->lost++;
		return;
	}
	if (a->packet_count >= MAX_PACKETS || is_copy(a, head->time - start, head->roles))
		return;
	if (length > most)
		length = most;
	if (length < 12 && head->vlan_protocol)
		return;
	p = malloc(sizeof(*p) + length + 4);
	if (!p) {
		e->lost += !a->incomplete;
		a->incomplete = true;
		return;
	}
	*p = (struct kept_packet){
		.attempt = &a->kept,
		.next = a->packets,
		.time = head->time - start,
		.ifindex = head->key.ifindex,
		.link = link,
		.length = length,
		.wire_length = head->wire_length > head->length ? head->wire_length : head->length,
		.roles = head->roles,
		.has_direction = has_direction,
		.egress = head->flags & PACKET_EGRESS,
	};
	copy_frame(p, head->vlan_protocol, head->vlan_tci, bytes);
	a->packets = p;
	a->packet_count++;
	a->bytes += sizeof(*p) + p->length;
	*(a->state == KEPT ? &e->kept_bytes : &e->pending_bytes) += sizeof(*p) + p->length;
	evict_pending(e);
}

void evidence_dns(struct evidence *e, const struct dns_head *head, const uint8_t *bytes,
		  const struct dns_packet *p, int link, bool has_direction)
{
	uint32_t length = head->length < e->snaplen ? head->length : e->snaplen;
	struct kept_packet *kept;

	if (!e->dns || (length < 12 && head->vlan_protocol) ||
	    (p->status != DNS_READ && p->status != DNS_NAME_CUT))
		return;
	kept = malloc(sizeof(*kept) + length + 4);
	if (!kept) {
		e->lost++;
		return;
	}
	*kept = (struct kept_packet){
		.time = p->time,
		.ifindex = p->ifindex,
		.link = link,
		.length = length,
		.wire_length = head->wire_length > head->length ? head->wire_length : head->length,
		.has_direction = has_direction,
		.egress = p->egress,
	};
	copy_frame(kept, head->vlan_protocol, head->vlan_tci, bytes);
	dns_evidence_add(e->dns, kept, p);
}

void evidence_lookup(struct evidence *e, const struct lookup *l, size_t finding)
{
	if (e->dns && !dns_evidence_use(e->dns, l, finding))
		e->lost++;
}

static enum reason reason_of(const struct evidence *e, const struct connection *c)
{
	const struct ledger_context x = { .stall_ns = e->stall_ns };
	ns_t silence = connection_silence(c);
	struct ledger_entry entry;

	if (c->wait != NEVER && c->wait >= e->stall_ns)
		return REASON_STALL;
	if (c->banner != NEVER && c->banner >= e->stall_ns)
		return REASON_LATE_BANNER;
	if (silence != NEVER && silence >= e->stall_ns &&
	    (c->end_reason == END_OF_RUN || c->end_reason == END_PRESSURE))
		return REASON_IDLE;
	entry = ledger_classify(c, &x);
	return entry.row == ROW_FAILED ? REASON_FAILED
	       : entry.row == ROW_LATE ? REASON_LATE
				       : REASON_NONE;
}

/*
 * Settles the attempt that the packets of `record` belong to. `reported` is the record that the
 * reports show for this attempt; it may be of another interface.
 */
static void settle(struct evidence *e, const struct connection *record,
		   const struct connection *reported)
{
	enum reason reason = reason_of(e, reported);
	struct attempt_key key;
	struct attempt *a;

	key_of_record(&key, record);
	a = attempt_find(e, &key);
	if (!a || a->state != OPEN)
		return;
	a->kept.connection = *reported;
	a->kept.reason = reason;
	/* what was late may be what a client waited for, which its other records will tell */
	if (reason == REASON_NONE || reason == REASON_LATE)
		attempt_move(e, a, SETTLED);
	else
		attempt_keep(e, a, reason);
}

void evidence_settled(struct evidence *e, const struct connection *c)
{
	if (reason_of(e, c) == REASON_STALL)
		note_silence(e, c);
	settle(e, c, c);
}

void evidence_other_side(struct evidence *e, const struct connection *side,
			 const struct connection *reported)
{
	settle(e, side, reported);
}

void evidence_swept(struct evidence *e, ns_t now)
{
	struct attempt *a;

	while ((a = TAILQ_FIRST(&e->lists[SETTLED])) &&
	       now - a->kept.connection.settled > SETTLED_KEEP_NS)
		attempt_decide(e, a);
}

static int by_time(const void *a, const void *b)
{
	const struct kept_packet *x = *(struct kept_packet *const *)a,
				 *y = *(struct kept_packet *const *)b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	/* at equal times, sort the segments of a handshake by role */
	return x->roles < y->roles ? -1 : x->roles > y->roles;
}

const struct kept_packet **evidence_packets(struct evidence *e, size_t *count)
{
	const struct kept_packet **packets, *p;
	struct attempt *a;
	size_t n = 0;

	while ((a = TAILQ_FIRST(&e->lists[SETTLED])))
		attempt_decide(e, a);
	TAILQ_FOREACH(a, &e->lists[KEPT], list)
		n += a->packet_count;
	n += e->dns ? dns_evidence_used(e->dns, NULL) : 0;
	packets = calloc(n + 1, sizeof(struct kept_packet *));
	if (!packets)
		return NULL;
	n = 0;
	TAILQ_FOREACH(a, &e->lists[KEPT], list)
		for (p = a->packets; p; p = p->next)
			packets[n++] = p;
	n += e->dns ? dns_evidence_used(e->dns, packets + n) : 0;
	qsort(packets, n, sizeof(struct kept_packet *), by_time);
	*count = n;
	return packets;
}

uint64_t evidence_lost(const struct evidence *e)
{
	return e->lost;
}
