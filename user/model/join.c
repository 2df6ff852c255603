// SPDX-License-Identifier: GPL-2.0
#include "model/join.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

/* Attempts that wait, and that were told a moment ago: some 30 MiB. */
#define MOST_WAITING (1 << 14)
#define MOST_TOLD (1 << 15)

/*
 * By the ISN. More than attempts, and nobody on the wire can choose ISNs that meet: one look tells that
 * there is none, for nearly every record.
 */
#define BUCKETS (1 << 16)

/* So many sweeps a record waits for another one of its attempt, and one that is told for late ones. */
#define PATIENCE 2

/* While the far side is seen opening, the near side waits longer, but not for ever. */
#define FAR_PATIENCE 8

/* A gateway that must ask for its neighbour first holds a SYN for so long (RFC 4861 10: 3 x 1 s). */
#define CROSSING_NS (3 * (ns_t)SECOND_NS)

/* Where little else tells, two records of one SYN are no further apart. */
#define SAME_NS (100 * (ns_t)MILLISECOND_NS)

/* Nearer in time than another one: by so much, and twice as near. */
#define NEARER_NS ((ns_t)MILLISECOND_NS)

/*
 * Of one ISN so many are looked at, the newest: those who flood or scan take one for all, and to look
 * at each of theirs for each of theirs would hold up the run.
 */
#define MOST_ALIKE 256

/* Of openings: which was the first side? In the ISN's bucket; newer ones overwrite. */
#define FIRST_LASTS 16 /* sweeps */

struct other {
	struct connection c;
	struct other *next;
};

TAILQ_HEAD(held_list, held);
LIST_HEAD(bucket, held);

/* An attempt. */
struct held {
	LIST_ENTRY(held) by_isn; /* the newest first */
	uint32_t isn;
	struct connection told; /* when it was told: as it was; else its first record */
	struct other *others; /* until then: its further records */
	struct connection *open; /* a side that was still opening when it was seen last; or NULL */
	bool is_told;
	bool far_is_open; /* told.far is of a side that was opening still */
	uint64_t since; /* the sweep in which it came, or was told */
	uint64_t seen_open; /* the sweep that showed a side opening */
	TAILQ_ENTRY(held) by_age;
};

struct first {
	ns_t syn;
	uint32_t isn;
	uint32_t sweep;
};

struct vantage {
	struct vantage_events events;
	struct held_list held[2]; /* [is_told], the oldest first */
	size_t count[2];
	struct first *firsts; /* once there may be two sides; NULL before */
	bool several;
	uint64_t sweep;
	uint64_t joined;
	uint64_t ambiguous;
	uint32_t secret; /* of this run, odd */
	struct bucket buckets[BUCKETS];
};

static uint32_t bucket_of(const struct vantage *v, uint32_t isn)
{
	return isn * v->secret >> 16 & (BUCKETS - 1);
}

struct vantage *vantage_new(const struct vantage_events *events)
{
	struct vantage *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	if (getrandom(&v->secret, sizeof(v->secret), 0) != sizeof(v->secret)) {
		free(v);
		return NULL;
	}
	v->secret |= 1;
	v->events = *events;
	TAILQ_INIT(&v->held[false]);
	TAILQ_INIT(&v->held[true]);
	return v;
}

void vantage_several(struct vantage *v)
{
	v->several = true;
}

/* ---- two records of one attempt? ---- */

static bool same_end(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && !memcmp(&a->address, &b->address, sizeof(a->address));
}

/* As its packets have it: conntrack may have named the client behind it. */
static const struct endpoint *seen_client(const struct connection *c)
{
	return c->behind.port ? &c->behind : &c->client;
}

static bool same_place(const struct connection *a, const struct connection *b)
{
	return a->ifindex == b->ifindex && a->syn_left == b->syn_left &&
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

static ns_t apart(const struct connection *a, const struct connection *b)
{
	return a->syn < b->syn ? b->syn - a->syn : a->syn - b->syn;
}

#define BEST_FIT 3 /* both ends are the same */

/* How well do two records of one client's ISN fit together? 0: they are two attempts. */
static int fit(const struct connection *a, const struct connection *b)
{
	const struct connection *in = a->syn_left ? b : a, *out = in == a ? b : a;
	int ends = same_client(a, b) + same_end(&a->server, &b->server);
	bool answered = a->synack != NEVER && b->synack != NEVER;

	if (same_place(a, b) || (answered && a->server_isn != b->server_isn && ends < 2))
		return 0;
	if (a->syn > b->syn_last + CROSSING_NS || b->syn > a->syn_last + CROSSING_NS)
		return 0;
	if (a->syn_left != b->syn_left) {
		if (out->syn < in->syn)
			return 0;
		if (!ends && !answered &&
		    (apart(a, b) > SAME_NS ||
		     (a->client.port != b->client.port && a->server.port != b->server.port)))
			return 0;
		return 1 + ends;
	}
	if (answered)
		return is_nested(a, b) ? 1 + ends : 0;
	return a->ifindex != b->ifindex && ends == 2 && apart(a, b) <= SAME_NS ? 1 + ends : 0;
}

static bool has_place(const struct held *h, const struct connection *c)
{
	const struct far_side *far = &h->told.far;
	const struct other *s;

	if (far->seen && !h->far_is_open && far->ifindex == c->ifindex &&
	    same_endpoint(&far->client, seen_client(c)) && same_endpoint(&far->server, &c->server))
		return true;
	for (s = h->others; s; s = s->next)
		if (same_place(&s->c, c))
			return true;
	return false;
}

/* The attempt that this is another record of, or NULL; *unsure: one of several. */
static struct held *find(const struct vantage *v, const struct connection *c, bool *unsure)
{
	const struct bucket *bucket = &v->buckets[bucket_of(v, c->client_isn)];
	struct held *h, *best = NULL;
	ns_t nearest = 0, next = 0;
	int most = 0, n, alike = 0;

	*unsure = false;
	LIST_FOREACH(h, bucket, by_isn) {
		if (h->isn != c->client_isn)
			continue;
		if (alike++ == MOST_ALIKE)
			break;
		n = fit(&h->told, c);
		if (!n || n < most || has_place(h, c))
			continue;
		if (n > most || !best || apart(&h->told, c) < nearest) {
			next = n > most || !best ? NEVER : nearest;
			nearest = apart(&h->told, c);
			best = h;
			most = n;
		} else if (next == NEVER || apart(&h->told, c) < next) {
			next = apart(&h->told, c);
		}
	}
	if (h && most < BEST_FIT) { /* a better one may be among those that were not looked at */
		*unsure = v->several || v->joined;
		return NULL;
	}
	*unsure = best && next != NEVER && next - nearest < NEARER_NS + nearest;
	return *unsure ? NULL : best;
}

/* ---- what is held ---- */

static void remove_held(struct vantage *v, struct held *h)
{
	struct other *s;

	LIST_REMOVE(h, by_isn);
	TAILQ_REMOVE(&v->held[h->is_told], h, by_age);
	v->count[h->is_told]--;
	while ((s = h->others)) {
		h->others = s->next;
		free(s);
	}
	free(h->open);
	free(h);
}

static void remove_all(struct vantage *v)
{
	int i;

	for (i = 0; i < 2; i++)
		while (!TAILQ_EMPTY(&v->held[i]))
			remove_held(v, TAILQ_FIRST(&v->held[i]));
}

void vantage_free(struct vantage *v)
{
	if (!v)
		return;
	remove_all(v);
	free(v->firsts);
	free(v);
}

static bool is_before(const struct connection *a, const struct connection *b)
{
	if (a->syn != b->syn)
		return a->syn < b->syn;
	return !a->syn_left && b->syn_left;
}

/* NEVER unless both were seen once. */
static ns_t crossing(ns_t from, ns_t to, bool once)
{
	return once && from != NEVER && to != NEVER ? to - from : NEVER;
}

static void put_far_side(struct connection *c, const struct connection *far)
{
	c->far = (struct far_side){ .seen = true,
				    .ifindex = far->ifindex,
				    .client = *seen_client(far),
				    .server = far->server,
				    .syn = far->syn,
				    .synack = far->synack,
				    .client_first = far->client_first };
	if (far->syn_left)
		c->forwarded_by = far->ifindex;
	c->syn_crossing = crossing(c->syn, far->syn, c->syn_count == 1 && far->syn_count == 1);
	c->synack_crossing =
		crossing(far->synack, c->synack, c->synack_count == 1 && far->synack_count == 1);
	c->payload_crossing = crossing(c->client_first, far->client_first,
				       !c->client_payload.again && !far->client_payload.again &&
					       c->client_payload.size == far->client_payload.size);
	c->server_round_trip = far->server_round_trip;
}

/*
 * The side that the client is on speaks for the attempt; the one that is farthest from it is the far
 * side. is_all: no other one can come any more.
 */
static void tell(struct vantage *v, struct held *h, bool is_all)
{
	struct connection *near = &h->told, first = h->told;
	const struct connection *far = NULL;
	struct other *s;

	for (s = h->others; s; s = s->next)
		if (is_before(&s->c, near))
			near = &s->c;
	if (near != &h->told) {
		h->told = *near;
		*near = first;
	}
	for (s = h->others; s; s = s->next)
		if (!far || is_before(far, &s->c))
			far = &s->c;
	h->far_is_open = !far && h->open && is_before(&h->told, h->open);
	if (h->far_is_open)
		far = h->open;
	if (far)
		put_far_side(&h->told, far);
	else
		h->told.stayed |= is_all && v->several && !h->told.syn_left &&
				  !h->told.forwarded_by && !h->told.other_host;
	TAILQ_REMOVE(&v->held[false], h, by_age);
	v->count[false]--;
	h->is_told = true;
	h->since = v->sweep;
	TAILQ_INSERT_TAIL(&v->held[true], h, by_age);
	v->count[true]++;
	v->events.settled(v->events.context, &h->told);
	while ((s = h->others)) {
		h->others = s->next;
		v->events.other_side(v->events.context, &s->c, &h->told);
		free(s);
	}
}

static void evict_some(struct vantage *v)
{
	if (v->count[false] >= MOST_WAITING)
		tell(v, TAILQ_FIRST(&v->held[false]), false);
	if (v->count[true] >= MOST_TOLD)
		remove_held(v, TAILQ_FIRST(&v->held[true]));
}

static void hold(struct vantage *v, const struct connection *c)
{
	struct held *h;

	evict_some(v);
	h = malloc(sizeof(*h));
	if (!h) {
		v->events.settled(v->events.context, c);
		return;
	}
	*h = (struct held){ .isn = c->client_isn, .told = *c, .since = v->sweep };
	LIST_INSERT_HEAD(&v->buckets[bucket_of(v, h->isn)], h, by_isn);
	TAILQ_INSERT_TAIL(&v->held[false], h, by_age);
	v->count[false]++;
}

static void add_side(struct vantage *v, struct held *h, const struct connection *c)
{
	struct other *s;

	v->joined++;
	if (h->is_told) {
		h->far_is_open = false;
		v->events.other_side(v->events.context, c, &h->told);
		return;
	}
	s = malloc(sizeof(*s));
	if (!s)
		return; /* known as a side, and not shown */
	s->c = *c;
	s->next = h->others;
	h->others = s;
	if (h->told.syn_left != c->syn_left)
		tell(v, h, true); /* in and out: that is all of it, nearly always */
}

void vantage_settled(struct vantage *v, const struct connection *c)
{
	bool unsure;
	struct held *h = find(v, c, &unsure);

	v->ambiguous += unsure;
	if (h)
		add_side(v, h, c);
	else
		hold(v, c);
}

/* ---- what is still opening ---- */

static void note_open(struct vantage *v, const struct connection *c)
{
	bool unsure;
	struct held *h = find(v, c, &unsure);

	if (!h)
		return;
	h->seen_open = v->sweep + 1;
	if (h->is_told)
		return;
	if (!h->open)
		h->open = malloc(sizeof(*h->open));
	if (h->open)
		*h->open = *c;
}

/* Of an opening that has an earlier one on another side, nothing is said. */
static bool is_far_side(struct vantage *v, const struct connection *c)
{
	uint32_t sweep = v->sweep;
	struct first *f;

	if (!v->several && !v->joined)
		return false;
	if (!v->firsts)
		v->firsts = calloc(BUCKETS, sizeof(*v->firsts));
	if (!v->firsts)
		return false;
	f = &v->firsts[bucket_of(v, c->client_isn)];
	if (f->isn == c->client_isn && sweep - f->sweep < FIRST_LASTS && f->syn < c->syn &&
	    c->syn - f->syn <= CROSSING_NS)
		return true;
	*f = (struct first){ .syn = c->syn, .isn = c->client_isn, .sweep = sweep };
	return false;
}

void vantage_opening(struct vantage *v, const struct connection *c)
{
	note_open(v, c);
	if (!is_far_side(v, c))
		v->events.opening(v->events.context, c);
}

static bool is_open(const struct vantage *v, const struct held *h)
{
	return h->seen_open && v->sweep - h->seen_open < PATIENCE;
}

/* Is the record the near side's, and the far side slow to settle? */
static bool has_waited_enough(const struct vantage *v, const struct held *h)
{
	return h->open && is_before(&h->told, h->open) && v->sweep - h->since >= FAR_PATIENCE;
}

void vantage_swept(struct vantage *v)
{
	struct held *h, *next;

	v->sweep++;
	for (h = TAILQ_FIRST(&v->held[true]); h; h = next) {
		next = TAILQ_NEXT(h, by_age);
		if (v->sweep - h->since < PATIENCE)
			break;
		if (!is_open(v, h))
			remove_held(v, h);
	}
	for (h = TAILQ_FIRST(&v->held[false]); h; h = next) {
		next = TAILQ_NEXT(h, by_age);
		if (v->sweep - h->since < PATIENCE)
			break;
		if (!is_open(v, h) || has_waited_enough(v, h))
			tell(v, h, true);
	}
}

void vantage_end(struct vantage *v)
{
	while (!TAILQ_EMPTY(&v->held[false]))
		tell(v, TAILQ_FIRST(&v->held[false]), true);
	remove_all(v);
}

uint64_t vantage_joined(const struct vantage *v)
{
	return v->joined;
}

uint64_t vantage_ambiguous(const struct vantage *v)
{
	return v->ambiguous;
}
