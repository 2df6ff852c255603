// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>

/* Out of memory is one more attempt that is not shown: uthash undoes the insertion. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->hh.tbl = NULL)

#include "report/evidence.h"

#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uthash.h>

#include "model/coincidence.h"
#include "source/linktype.h"

/* Bytes of packets: of what is open or may yet matter, and of what matters. */
#define MAX_PENDING (64 << 20)
#define MAX_KEPT (192 << 20)

/* A stall ends a moment after its answer, but its record comes only with the server's first byte. */
#define LINGER_NS (60 * (ns_t)SECOND_NS)

#define MAX_PACKETS 48 /* of an attempt; more only where a clock stands still */
#define MAX_SILENCES 16 /* of a host, the latest */
#define MAX_WAITERS (1 << 16)

struct which {
	struct endpoint client;
	struct endpoint server;
	ns_t syn;
	uint32_t ifindex;
	uint32_t zero;
};

struct attempt {
	struct kept_attempt kept; /* filled in when it has settled */
	struct which which;
	struct kept_packet *packets; /* the latest first */
	size_t packet_count;
	size_t bytes;
	bool torn; /* there was no memory for some of them */
	enum { OPEN, LINGERING, KEPT } state;
	TAILQ_ENTRY(attempt) list; /* of its state */
	UT_hash_handle hh;
};

TAILQ_HEAD(attempt_list, attempt);

/* A host that stalled: a MAC, or an address where there is no MAC. */
struct waiter {
	struct {
		struct address address;
		uint16_t vlan[2];
		uint8_t mac[6];
		uint16_t zero;
	} who;
	struct silence silences[MAX_SILENCES]; /* a ring */
	size_t count;
	UT_hash_handle hh;
};

struct evidence {
	ns_t stall_ns;
	uint32_t snaplen;
	struct attempt *attempts;
	struct attempt_list lists[KEPT + 1];
	struct waiter *waiters;
	size_t pending;
	size_t kept;
	uint64_t lost;
};

struct evidence *evidence_new(ns_t stall_ns, uint32_t snaplen)
{
	struct evidence *e = calloc(1, sizeof(*e));
	int i;

	if (!e)
		return NULL;
	e->stall_ns = stall_ns;
	e->snaplen = snaplen;
	for (i = 0; i <= KEPT; i++)
		TAILQ_INIT(&e->lists[i]);
	return e;
}

/* ---- attempts ---- */

static void forget_packets(struct attempt *a)
{
	struct kept_packet *p;

	while ((p = a->packets)) {
		a->packets = p->next;
		free(p);
	}
}

static void attempt_forget(struct evidence *e, struct attempt *a)
{
	*(a->state == KEPT ? &e->kept : &e->pending) -= a->bytes;
	forget_packets(a);
	TAILQ_REMOVE(&e->lists[a->state], a, list);
	HASH_DEL(e->attempts, a);
	free(a);
}

static void attempt_move(struct evidence *e, struct attempt *a, int state)
{
	*(a->state == KEPT ? &e->kept : &e->pending) -= a->bytes;
	TAILQ_REMOVE(&e->lists[a->state], a, list);
	a->state = state;
	TAILQ_INSERT_TAIL(&e->lists[state], a, list);
	*(state == KEPT ? &e->kept : &e->pending) += a->bytes;
}

/* For ever, if there is room. */
static void attempt_keep(struct evidence *e, struct attempt *a, enum reason reason)
{
	if (e->kept + a->bytes > MAX_KEPT) {
		e->lost++;
		attempt_forget(e, a);
		return;
	}
	a->kept.reason = reason;
	attempt_move(e, a, KEPT);
}

static struct attempt *attempt_find(struct evidence *e, const struct which *which)
{
	struct attempt *a;

	HASH_FIND(hh, e->attempts, which, sizeof(*which), a);
	return a;
}

static struct attempt *attempt_add(struct evidence *e, const struct which *which)
{
	struct attempt *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->which = *which;
	HASH_ADD(hh, e->attempts, which, sizeof(a->which), a);
	if (!a->hh.tbl) {
		free(a);
		return NULL;
	}
	a->bytes = sizeof(*a);
	e->pending += a->bytes;
	TAILQ_INSERT_TAIL(&e->lists[OPEN], a, list);
	return a;
}

void evidence_free(struct evidence *e)
{
	struct attempt *a, *next;
	struct waiter *w, *other;

	if (!e)
		return;
	HASH_ITER(hh, e->attempts, a, next)
		attempt_forget(e, a);
	HASH_ITER(hh, e->waiters, w, other) {
		HASH_DEL(e->waiters, w);
		free(w);
	}
	free(e);
}

/* ---- who waited for whom ---- */

static struct waiter *waiter_of(struct evidence *e, const struct connection *c, bool create)
{
	struct waiter key, *w;

	memset(&key, 0, sizeof(key));
	memcpy(key.who.vlan, c->client.vlan, sizeof(key.who.vlan));
	if (c->has_mac)
		memcpy(key.who.mac, c->mac, sizeof(key.who.mac));
	else
		key.who.address = c->client.address;
	HASH_FIND(hh, e->waiters, &key.who, sizeof(key.who), w);
	if (w || !create || HASH_COUNT(e->waiters) >= MAX_WAITERS)
		return w;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->who = key.who;
	HASH_ADD(hh, e->waiters, who, sizeof(w->who), w);
	if (!w->hh.tbl) {
		free(w);
		return NULL;
	}
	return w;
}

static void note_silence(struct evidence *e, const struct connection *c)
{
	struct waiter *w = waiter_of(e, c, true);

	if (!w) { /* what this one waited for will not be found */
		e->lost++;
		return;
	}
	w->silences[w->count++ % MAX_SILENCES] = (struct silence){
		.client = c->client,
		.server = c->server,
		.begin = c->ack,
		.end = c->client_first,
	};
}

/* When the client got what it asked for here. */
static ns_t answered(const struct connection *c)
{
	if (c->server_first != NEVER)
		return c->server_first;
	return c->synack;
}

/*
 * Did this answer end a silence of the same host? It was asked for before that or soon after, was
 * pending for nearly as long, and came just before the end. Behind one MAC, another address of the
 * same family may be another host's: the MAC is a router's then.
 */
static const struct silence *silence_ended(struct evidence *e, const struct connection *c)
{
	struct waiter *w = waiter_of(e, c, false);
	ns_t answer = answered(c);
	size_t i;

	for (i = 0; w && answer != NEVER && i < w->count && i < MAX_SILENCES; i++) {
		const struct silence *s = &w->silences[i];
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

/* It has lingered: a wait that it ended is known by now, if there was one. */
static void attempt_decide(struct evidence *e, struct attempt *a)
{
	const struct silence *ended = silence_ended(e, &a->kept.connection);

	if (!ended) {
		attempt_forget(e, a);
		return;
	}
	a->kept.ended = *ended;
	attempt_keep(e, a, REASON_WAITED_FOR);
}

/* ---- packets ---- */

/* Bytes of a packet's headers: to the end of TCP's, or of those that an ICMP error quotes. */
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
		end = parsed == PARSE_OTHER_PROTO ? quoted.transport_offset + 20
						  : h.transport_offset + 8;
	} else {
		return length;
	}
	end += f.bytes - bytes;
	return end < length ? end : length;
}

/* The tag that the driver took out of the frame goes back to where it was on the wire. */
static void put_bytes(struct kept_packet *p, const struct packet_head *head, const uint8_t *bytes)
{
	const uint8_t tag[] = { head->vlan_protocol >> 8, head->vlan_protocol, head->vlan_tci >> 8,
				head->vlan_tci };

	if (!head->vlan_protocol) {
		memcpy(p->bytes, bytes, p->length);
		return;
	}
	memcpy(p->bytes, bytes, 12);
	memcpy(p->bytes + 12, tag, sizeof(tag));
	memcpy(p->bytes + 16, bytes + 12, p->length - 12);
	p->length += sizeof(tag);
	p->wire_length += sizeof(tag);
}

static bool is_copy(const struct attempt *a, ns_t time, uint8_t roles)
{
	const struct kept_packet *p;

	/* of two with one time and one role the first was it */
	for (p = a->packets; p && p->time == time; p = p->next)
		if (!(roles & ~p->roles))
			return true;
	return false;
}

/* What has lingered longest goes first, then what has been open longest. */
static void evict_some(struct evidence *e)
{
	struct attempt *a;

	while (e->pending > MAX_PENDING) {
		a = TAILQ_FIRST(&e->lists[LINGERING]);
		if (a) {
			attempt_decide(e, a);
			continue;
		}
		a = TAILQ_FIRST(&e->lists[OPEN]);
		if (!a)
			return;
		e->lost++;
		attempt_forget(e, a);
	}
}

static void which_of(struct which *which, const struct packet_head *head, uint64_t start)
{
	const struct flow_key *key = &head->key;
	int client = head->flags & PACKET_CLIENT_IS_END_1 ? 1 : 0;

	memset(which, 0, sizeof(*which));
	which->client.address = key->end[client];
	which->client.port = key->port[client];
	which->server.address = key->end[!client];
	which->server.port = key->port[!client];
	memcpy(which->client.vlan, key->vlan, sizeof(key->vlan));
	memcpy(which->server.vlan, key->vlan, sizeof(key->vlan));
	which->syn = head->syn - start;
	which->ifindex = key->ifindex;
}

void evidence_packet(struct evidence *e, const struct packet_head *head, const uint8_t *bytes,
		     uint64_t start, int link, bool has_direction)
{
	uint32_t length = head->length,
		 most = e->snaplen ? e->snaplen : header_bytes(link, bytes, length);
	struct kept_packet *p;
	struct which which;
	struct attempt *a;

	which_of(&which, head, start);
	a = attempt_find(e, &which);
	if (!a)
		a = attempt_add(e, &which);
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
		e->lost += !a->torn;
		a->torn = true;
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
	put_bytes(p, head, bytes);
	a->packets = p;
	a->packet_count++;
	a->bytes += sizeof(*p) + p->length;
	*(a->state == KEPT ? &e->kept : &e->pending) += sizeof(*p) + p->length;
	evict_some(e);
}

static enum reason reason_of(const struct evidence *e, const struct connection *c)
{
	ns_t silence = connection_silence(c);

	if (c->wait != NEVER && c->wait >= e->stall_ns)
		return REASON_STALL;
	if (c->banner != NEVER && c->banner >= e->stall_ns)
		return REASON_LATE_BANNER;
	if (silence != NEVER && silence >= e->stall_ns &&
	    (c->end_reason == END_OF_RUN || c->end_reason == END_PRESSURE))
		return REASON_IDLE;
	return connection_failure(c) > FAILURE_TOO_EARLY ? REASON_FAILED : REASON_NONE;
}

/* The packets that were kept for this record are shown for what was told of its attempt. */
static void settle(struct evidence *e, const struct connection *record,
		   const struct connection *told)
{
	enum reason reason = reason_of(e, told);
	struct which which;
	struct attempt *a;

	memset(&which, 0, sizeof(which));
	which.client = record->nat_endpoint.port ? record->nat_endpoint
						 : record->client; /* as its packets have it */
	which.server = record->server;
	which.syn = record->syn;
	which.ifindex = record->ifindex;
	a = attempt_find(e, &which);
	if (!a || a->state != OPEN)
		return;
	a->kept.connection = *told;
	if (reason != REASON_NONE)
		attempt_keep(e, a, reason);
	else
		attempt_move(e, a, LINGERING);
}

void evidence_settled(struct evidence *e, const struct connection *c)
{
	if (reason_of(e, c) == REASON_STALL)
		note_silence(e, c);
	settle(e, c, c);
}

void evidence_other_side(struct evidence *e, const struct connection *side,
			 const struct connection *told)
{
	settle(e, side, told);
}

void evidence_swept(struct evidence *e, ns_t now)
{
	struct attempt *a;

	while ((a = TAILQ_FIRST(&e->lists[LINGERING])) &&
	       now - a->kept.connection.settled > LINGER_NS)
		attempt_decide(e, a);
}

static int by_time(const void *a, const void *b)
{
	const struct kept_packet *x = *(struct kept_packet *const *)a,
				 *y = *(struct kept_packet *const *)b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	/* a handshake in the order of its roles, where the clock does not tell */
	return x->roles < y->roles ? -1 : x->roles > y->roles;
}

const struct kept_packet **evidence_packets(struct evidence *e, size_t *count)
{
	const struct kept_packet **packets, *p;
	struct attempt *a;
	size_t n = 0;

	while ((a = TAILQ_FIRST(&e->lists[LINGERING])))
		attempt_decide(e, a);
	TAILQ_FOREACH(a, &e->lists[KEPT], list)
		n += a->packet_count;
	packets = calloc(n + 1, sizeof(struct kept_packet *));
	if (!packets)
		return NULL;
	n = 0;
	TAILQ_FOREACH(a, &e->lists[KEPT], list)
		for (p = a->packets; p; p = p->next)
			packets[n++] = p;
	qsort(packets, n, sizeof(struct kept_packet *), by_time);
	*count = n;
	return packets;
}

uint64_t evidence_lost(const struct evidence *e)
{
	return e->lost;
}
