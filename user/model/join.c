// SPDX-License-Identifier: GPL-2.0
#include "model/join.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

/* Attempts that wait, and that were told a moment ago: some 30 MiB. */
#define MAX_WAITING (1 << 14)
#define MAX_REPORTED (1 << 15)

/*
 * By the ISN. More than attempts, and nobody on the wire can choose ISNs that meet: one look tells that
 * there is none, for nearly every record.
 */
#define BUCKETS (1 << 16)

/* So many sweeps a record waits for another one of its attempt, and one that is told for late ones. */
#define WAIT_SWEEPS 2

/* While the far side is seen opening, the near side waits longer, but not for ever. */
#define FAR_WAIT_SWEEPS 8

/* A gateway that must ask for its neighbour first holds a SYN for so long (RFC 4861 10: 3 x 1 s). */
#define MAX_FORWARDING_NS (3 * (ns_t)SECOND_NS)

/* Where little else tells, two records of one SYN are no further apart. */
#define SAME_SYN_NS (100 * (ns_t)MILLISECOND_NS)

/* Nearer in time than another one: by so much, and twice as near. */
#define CLOSER_NS ((ns_t)MILLISECOND_NS)

/*
 * Of one ISN so many are looked at, the newest: those who flood or scan take one for all, and to look
 * at each of theirs for each of theirs would hold up the run.
 */
#define MAX_SAME_ISN 256

/* Of openings: which was the first side? In the ISN's bucket; newer ones overwrite. */
#define FIRST_SIDE_SWEEPS 16 /* sweeps */

struct other_record {
	struct connection c;
	struct other_record *next;
};

TAILQ_HEAD(tracked_list, tracked);
LIST_HEAD(bucket, tracked);

/* An attempt. */
struct tracked {
	LIST_ENTRY(tracked) by_isn; /* the newest first */
	uint32_t isn;
	struct connection attempt; /* when it was told: as it was; else its first record */
	struct other_record *other_records; /* until then: its further records */
	struct connection *open; /* a side that was still opening when it was seen last; or NULL */
	bool is_reported;
	bool far_is_open; /* told.far is of a side that was opening still */
	uint64_t since; /* the sweep in which it came, or was told */
	uint64_t seen_open; /* the sweep that showed a side opening */
	TAILQ_ENTRY(tracked) by_age;
};

struct first_side {
	ns_t syn;
	uint32_t isn;
	uint32_t sweep;
};

struct join {
	struct join_events events;
	struct tracked_list tracked[2]; /* [is_reported], the oldest first */
	size_t count[2];
	struct first_side *first_sides; /* once there may be two sides; NULL before */
	bool multi_iface;
	uint64_t sweep;
	uint64_t joined;
	uint64_t ambiguous;
	uint32_t secret; /* of this run, odd */
	struct bucket buckets[BUCKETS];
};

static uint32_t bucket_of(const struct join *v, uint32_t isn)
{
	return isn * v->secret >> 16 & (BUCKETS - 1);
}

struct join *join_new(const struct join_events *events)
{
	struct join *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	if (getrandom(&v->secret, sizeof(v->secret), 0) != sizeof(v->secret)) {
		free(v);
		return NULL;
	}
	v->secret |= 1;
	v->events = *events;
	TAILQ_INIT(&v->tracked[false]);
	TAILQ_INIT(&v->tracked[true]);
	return v;
}

void join_set_multi_iface(struct join *v)
{
	v->multi_iface = true;
}

/* ---- two records of one attempt? ---- */

static bool same_end(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && !memcmp(&a->address, &b->address, sizeof(a->address));
}

/* As its packets have it: conntrack may have named the client behind it. */
static const struct endpoint *seen_client(const struct connection *c)
{
	return c->nat_endpoint.port ? &c->nat_endpoint : &c->client;
}

static bool same_place(const struct connection *a, const struct connection *b)
{
	return a->ifindex == b->ifindex && a->syn_egress == b->syn_egress &&
	       same_endpoint(seen_client(a), seen_client(b)) &&
	       same_endpoint(&a->server, &b->server);
}

static bool same_client(const struct connection *a, const struct connection *b)
{
	return same_end(&a->client, &b->client) || same_end(seen_client(a), seen_client(b));
}

/* The handshake of one lies within the other's: its packets passed both places, there and back. */
static bool is_nested(const struct connection *a, const struct connection *b)
{
	const struct connection *near = a->syn < b->syn ? a : b, *far = near == a ? b : a;

	return near->syn < far->syn && far->syn <= far->synack && far->synack < near->synack;
}

static ns_t syn_distance(const struct connection *a, const struct connection *b)
{
	return a->syn < b->syn ? b->syn - a->syn : a->syn - b->syn;
}

#define BEST_SCORE 3 /* both ends are the same */

/* How well do two records of one client's ISN fit together? 0: they are two attempts. */
static int match_score(const struct connection *a, const struct connection *b)
{
	const struct connection *in = a->syn_egress ? b : a, *out = in == a ? b : a;
	int ends = same_client(a, b) + same_end(&a->server, &b->server);
	bool answered = a->synack != NEVER && b->synack != NEVER;

	if (same_place(a, b) || (answered && a->server_isn != b->server_isn && ends < 2))
		return 0;
	if (a->syn > b->syn_last + MAX_FORWARDING_NS || b->syn > a->syn_last + MAX_FORWARDING_NS)
		return 0;
	if (a->syn_egress != b->syn_egress) {
		if (out->syn < in->syn)
			return 0;
		if (!ends && !answered &&
		    (syn_distance(a, b) > SAME_SYN_NS ||
		     (a->client.port != b->client.port && a->server.port != b->server.port)))
			return 0;
		return 1 + ends;
	}
	if (answered)
		return is_nested(a, b) ? 1 + ends : 0;
	return a->ifindex != b->ifindex && ends == 2 && syn_distance(a, b) <= SAME_SYN_NS ? 1 + ends
											  : 0;
}

static bool has_record_from(const struct tracked *h, const struct connection *c)
{
	const struct far_side *far = &h->attempt.far;
	const struct other_record *s;

	if (far->seen && !h->far_is_open && far->ifindex == c->ifindex &&
	    same_endpoint(&far->client, seen_client(c)) && same_endpoint(&far->server, &c->server))
		return true;
	for (s = h->other_records; s; s = s->next)
		if (same_place(&s->c, c))
			return true;
	return false;
}

/* The attempt that this is another record of, or NULL; *unsure: one of several. */
static struct tracked *find_tracked(const struct join *v, const struct connection *c, bool *unsure)
{
	const struct bucket *bucket = &v->buckets[bucket_of(v, c->client_isn)];
	struct tracked *h, *best = NULL;
	ns_t nearest = 0, next = 0;
	int most = 0, n, alike = 0;

	*unsure = false;
	LIST_FOREACH(h, bucket, by_isn) {
		if (h->isn != c->client_isn)
			continue;
		if (alike++ == MAX_SAME_ISN)
			break;
		n = match_score(&h->attempt, c);
		if (!n || n < most || has_record_from(h, c))
			continue;
		if (n > most || !best || syn_distance(&h->attempt, c) < nearest) {
			next = n > most || !best ? NEVER : nearest;
			nearest = syn_distance(&h->attempt, c);
			best = h;
			most = n;
		} else if (next == NEVER || syn_distance(&h->attempt, c) < next) {
			next = syn_distance(&h->attempt, c);
		}
	}
	if (h && most < BEST_SCORE) { /* a better one may be among those that were not looked at */
		*unsure = v->multi_iface || v->joined;
		return NULL;
	}
	*unsure = best && next != NEVER && next - nearest < CLOSER_NS + nearest;
	return *unsure ? NULL : best;
}

/* ---- what is held ---- */

static void tracked_free(struct join *v, struct tracked *h)
{
	struct other_record *s;

	LIST_REMOVE(h, by_isn);
	TAILQ_REMOVE(&v->tracked[h->is_reported], h, by_age);
	v->count[h->is_reported]--;
	while ((s = h->other_records)) {
		h->other_records = s->next;
		free(s);
	}
	free(h->open);
	free(h);
}

static void remove_all(struct join *v)
{
	int i;

	for (i = 0; i < 2; i++)
		while (!TAILQ_EMPTY(&v->tracked[i]))
			tracked_free(v, TAILQ_FIRST(&v->tracked[i]));
}

void join_free(struct join *v)
{
	if (!v)
		return;
	remove_all(v);
	free(v->first_sides);
	free(v);
}

static bool is_nearer_client(const struct connection *a, const struct connection *b)
{
	if (a->syn != b->syn)
		return a->syn < b->syn;
	return !a->syn_egress && b->syn_egress;
}

/* NEVER unless both were seen once. */
static ns_t forwarding_delay(ns_t from, ns_t to, bool once)
{
	return once && from != NEVER && to != NEVER ? to - from : NEVER;
}

static void fill_far_side(struct connection *c, const struct connection *far)
{
	c->far = (struct far_side){ .seen = true,
				    .ifindex = far->ifindex,
				    .client = *seen_client(far),
				    .server = far->server,
				    .syn = far->syn,
				    .synack = far->synack,
				    .client_first = far->client_first };
	if (far->syn_egress)
		c->forwarded_by = far->ifindex;
	c->syn_forwarding_delay =
		forwarding_delay(c->syn, far->syn, c->syn_count == 1 && far->syn_count == 1);
	c->synack_forwarding_delay = forwarding_delay(
		far->synack, c->synack, c->synack_count == 1 && far->synack_count == 1);
	c->payload_forwarding_delay =
		forwarding_delay(c->client_first, far->client_first,
				 !c->client_payload.again && !far->client_payload.again &&
					 c->client_payload.size == far->client_payload.size);
	c->server_round_trip = far->server_round_trip;
}

/*
 * The side that the client is on speaks for the attempt; the one that is farthest from it is the far
 * side. is_all: no other one can come any more.
 */
static void report_joined(struct join *v, struct tracked *h, bool is_all)
{
	struct connection *near = &h->attempt, first_side = h->attempt;
	const struct connection *far = NULL;
	struct other_record *s;

	for (s = h->other_records; s; s = s->next)
		if (is_nearer_client(&s->c, near))
			near = &s->c;
	if (near != &h->attempt) {
		h->attempt = *near;
		*near = first_side;
	}
	for (s = h->other_records; s; s = s->next)
		if (!far || is_nearer_client(far, &s->c))
			far = &s->c;
	h->far_is_open = !far && h->open && is_nearer_client(&h->attempt, h->open);
	if (h->far_is_open)
		far = h->open;
	if (far)
		fill_far_side(&h->attempt, far);
	else
		h->attempt.not_forwarded |= is_all && v->multi_iface && !h->attempt.syn_egress &&
					    !h->attempt.forwarded_by && !h->attempt.other_host;
	TAILQ_REMOVE(&v->tracked[false], h, by_age);
	v->count[false]--;
	h->is_reported = true;
	h->since = v->sweep;
	TAILQ_INSERT_TAIL(&v->tracked[true], h, by_age);
	v->count[true]++;
	v->events.settled(v->events.context, &h->attempt);
	while ((s = h->other_records)) {
		h->other_records = s->next;
		v->events.other_side(v->events.context, &s->c, &h->attempt);
		free(s);
	}
}

static void evict_some(struct join *v)
{
	if (v->count[false] >= MAX_WAITING)
		report_joined(v, TAILQ_FIRST(&v->tracked[false]), false);
	if (v->count[true] >= MAX_REPORTED)
		tracked_free(v, TAILQ_FIRST(&v->tracked[true]));
}

static void start_waiting(struct join *v, const struct connection *c)
{
	struct tracked *h;

	evict_some(v);
	h = malloc(sizeof(*h));
	if (!h) {
		v->events.settled(v->events.context, c);
		return;
	}
	*h = (struct tracked){ .isn = c->client_isn, .attempt = *c, .since = v->sweep };
	LIST_INSERT_HEAD(&v->buckets[bucket_of(v, h->isn)], h, by_isn);
	TAILQ_INSERT_TAIL(&v->tracked[false], h, by_age);
	v->count[false]++;
}

static void add_side(struct join *v, struct tracked *h, const struct connection *c)
{
	struct other_record *s;

	v->joined++;
	if (h->is_reported) {
		h->far_is_open = false;
		v->events.other_side(v->events.context, c, &h->attempt);
		return;
	}
	s = malloc(sizeof(*s));
	if (!s)
		return; /* known as a side, and not shown */
	s->c = *c;
	s->next = h->other_records;
	h->other_records = s;
	if (h->attempt.syn_egress != c->syn_egress)
		report_joined(v, h, true); /* in and out: that is all of it, nearly always */
}

void join_settled(struct join *v, const struct connection *c)
{
	bool unsure;
	struct tracked *h = find_tracked(v, c, &unsure);

	v->ambiguous += unsure;
	if (h)
		add_side(v, h, c);
	else
		start_waiting(v, c);
}

/* ---- what is still opening ---- */

static void note_open(struct join *v, const struct connection *c)
{
	bool unsure;
	struct tracked *h = find_tracked(v, c, &unsure);

	if (!h)
		return;
	h->seen_open = v->sweep + 1;
	if (h->is_reported)
		return;
	if (!h->open)
		h->open = malloc(sizeof(*h->open));
	if (h->open)
		*h->open = *c;
}

/* Of an opening that has an earlier one on another side, nothing is said. */
static bool is_far_side(struct join *v, const struct connection *c)
{
	uint32_t sweep = v->sweep;
	struct first_side *f;

	if (!v->multi_iface && !v->joined)
		return false;
	if (!v->first_sides)
		v->first_sides = calloc(BUCKETS, sizeof(*v->first_sides));
	if (!v->first_sides)
		return false;
	f = &v->first_sides[bucket_of(v, c->client_isn)];
	if (f->isn == c->client_isn && sweep - f->sweep < FIRST_SIDE_SWEEPS && f->syn < c->syn &&
	    c->syn - f->syn <= MAX_FORWARDING_NS)
		return true;
	*f = (struct first_side){ .syn = c->syn, .isn = c->client_isn, .sweep = sweep };
	return false;
}

void join_opening(struct join *v, const struct connection *c)
{
	note_open(v, c);
	if (!is_far_side(v, c))
		v->events.opening(v->events.context, c);
}

static bool is_open(const struct join *v, const struct tracked *h)
{
	return h->seen_open && v->sweep - h->seen_open < WAIT_SWEEPS;
}

/* Is the record the near side's, and the far side slow to settle? */
static bool has_waited_enough(const struct join *v, const struct tracked *h)
{
	return h->open && is_nearer_client(&h->attempt, h->open) &&
	       v->sweep - h->since >= FAR_WAIT_SWEEPS;
}

void join_swept(struct join *v)
{
	struct tracked *h, *next;

	v->sweep++;
	for (h = TAILQ_FIRST(&v->tracked[true]); h; h = next) {
		next = TAILQ_NEXT(h, by_age);
		if (v->sweep - h->since < WAIT_SWEEPS)
			break;
		if (!is_open(v, h))
			tracked_free(v, h);
	}
	for (h = TAILQ_FIRST(&v->tracked[false]); h; h = next) {
		next = TAILQ_NEXT(h, by_age);
		if (v->sweep - h->since < WAIT_SWEEPS)
			break;
		if (!is_open(v, h) || has_waited_enough(v, h))
			report_joined(v, h, true);
	}
}

void join_end(struct join *v)
{
	while (!TAILQ_EMPTY(&v->tracked[false]))
		report_joined(v, TAILQ_FIRST(&v->tracked[false]), true);
	remove_all(v);
}

uint64_t join_joined(const struct join *v)
{
	return v->joined;
}

uint64_t join_ambiguous(const struct join *v)
{
	return v->ambiguous;
}
