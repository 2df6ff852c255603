// SPDX-License-Identifier: GPL-2.0
#include "model/join.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "lib/prefetch.h"
#include "model/same_attempt.h"

/*
 * Maximum number of attempts that wait for another side, and of attempts remembered after they were
 * passed on: about 30 MiB.
 */
#define MAX_WAITING_ATTEMPTS (1 << 14)
#define MAX_REPORTED_ATTEMPTS (1 << 15)

/*
 * Number of hash buckets, indexed by the ISN times a secret. There are five times as many buckets as
 * attempts, so nearly every record without another side finds an empty bucket. The secret keeps
 * attackers from choosing ISNs that collide.
 */
#define BUCKETS (1 << 18)

#define FIRST_SIDES (1 << 16) /* a power of two */

/*
 * Number of sweeps that an attempt waits for its other side, and is remembered after it was
 * reported.
 */
#define WAIT_SWEEPS 2

/* A near side waits up to this number of sweeps while its far side is seen opening. */
#define FAR_WAIT_SWEEPS 8

/*
 * A match must be closer in time than the next candidate by at least this, and by a factor of two.
 */
#define CLOSER_NS ((ns_t)MILLISECOND_NS)

/*
 * Maximum number of attempts with one ISN that a record is compared with, the newest first. Floods
 * and scans use one ISN for all their attempts; comparing all of them would delay the run.
 */
#define MAX_SAME_ISN 256

/* Number of sweeps for which the first side of an opening attempt is remembered. */
#define FIRST_SIDE_SWEEPS 16

struct other_record {
	struct connection c;
	struct other_record *next;
};

TAILQ_HEAD(attempt_list, attempt);
LIST_HEAD(bucket, attempt);

struct attempt {
	LIST_ENTRY(attempt) by_isn; /* bucket of its ISN, the newest first */
	uint32_t isn;
	/* the record reported; before that, the first record of the attempt */
	struct connection connection;
	struct other_record *others; /* further records of the attempt, until it is reported */
	struct connection *open; /* a side that was last seen opening, or NULL */
	bool is_reported;
	bool far_is_open; /* connection.far describes a side that was still opening */
	uint64_t since; /* the sweep in which the attempt arrived or was reported */
	/* one more than the last sweep that showed a side opening; 0 if none did */
	uint64_t seen_open;
	TAILQ_ENTRY(attempt) by_age;
};

/* The first side of an opening attempt, in the bucket of its ISN. A newer attempt overwrites it. */
struct first_side {
	ns_t syn;
	uint32_t isn;
	uint32_t sweep;
	uint32_t where; /* hash of its hook, addresses and ports, without VLANs */
	bool is_answered;
	uint32_t copy_answered; /* one more than the last sweep that showed an answered copy */
};

struct join {
	struct join_events events;
	struct attempt_list attempts[2]; /* indexed by is_reported, the oldest first */
	size_t count[2];
	struct first_side *first_sides; /* FIRST_SIDES; NULL until there may be two sides */
	bool multi_iface;
	bool has_vlans; /* a record had VLAN tags */
	uint64_t sweep;
	uint64_t joined;
	uint64_t ambiguous;
	uint32_t secret; /* random odd number for this run */
	struct bucket buckets[BUCKETS];
};

static uint32_t bucket_of(const struct join *j, uint32_t isn)
{
	return isn * j->secret >> 14;
}

struct join *join_new(const struct join_events *events)
{
	struct join *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	if (getrandom(&j->secret, sizeof(j->secret), 0) != sizeof(j->secret)) {
		free(j);
		return NULL;
	}
	j->secret |= 1;
	j->events = *events;
	TAILQ_INIT(&j->attempts[false]);
	TAILQ_INIT(&j->attempts[true]);
	return j;
}

void join_set_multi_iface(struct join *j)
{
	j->multi_iface = true;
}

/* ---- matching a record ---- */

/* Returns true if the attempt already has a record from the observation point of c. */
static bool has_record_from(const struct attempt *a, const struct connection *c)
{
	const struct far_side *far = &a->connection.far;
	const struct other_record *s;

	if (far->seen && !a->far_is_open && far->ifindex == c->ifindex &&
	    same_endpoint(&far->client, wire_client(c)) && same_endpoint(&far->server, &c->server))
		return true;
	for (s = a->others; s; s = s->next)
		if (same_observation_point(&s->c, c))
			return true;
	return false;
}

/*
 * Returns the attempt that c is another record of, or NULL. Sets *unsure if there are several
 * candidates.
 */
static struct attempt *find_attempt(const struct join *j, const struct connection *c, bool *unsure)
{
	const struct bucket *bucket = &j->buckets[bucket_of(j, c->client_isn)];
	struct attempt *a, *best = NULL;
	ns_t nearest = 0, next = 0;
	int most = 0, n, alike = 0;

	*unsure = false;
	LIST_FOREACH(a, bucket, by_isn) {
		if (a->isn != c->client_isn)
			continue;
		if (alike++ == MAX_SAME_ISN)
			break;
		n = match_score(&a->connection, c);
		if (!n || n < most || has_record_from(a, c))
			continue;
		if (n > most || !best || syn_distance(&a->connection, c) < nearest) {
			next = n > most || !best ? NEVER : nearest;
			nearest = syn_distance(&a->connection, c);
			best = a;
			most = n;
		} else if (next == NEVER || syn_distance(&a->connection, c) < next) {
			next = syn_distance(&a->connection, c);
		}
	}
	/* a better match may be among the attempts that were not compared */
	if (a && most < BEST_SCORE) {
		*unsure = j->multi_iface || j->joined;
		return NULL;
	}
	*unsure = best && next != NEVER && next - nearest < CLOSER_NS + nearest;
	return *unsure ? NULL : best;
}

/* ---- attempts ---- */

/* The caller frees the attempt, or uses its memory for another one. */
static void unlink_attempt(struct join *j, struct attempt *a)
{
	struct other_record *s;

	LIST_REMOVE(a, by_isn);
	TAILQ_REMOVE(&j->attempts[a->is_reported], a, by_age);
	j->count[a->is_reported]--;
	while ((s = a->others)) {
		a->others = s->next;
		free(s);
	}
	free(a->open);
}

static void remove_attempt(struct join *j, struct attempt *a)
{
	unlink_attempt(j, a);
	free(a);
}

static void remove_all(struct join *j)
{
	int i;

	for (i = 0; i < 2; i++)
		while (!TAILQ_EMPTY(&j->attempts[i]))
			remove_attempt(j, TAILQ_FIRST(&j->attempts[i]));
}

void join_free(struct join *j)
{
	if (!j)
		return;
	remove_all(j);
	free(j->first_sides);
	free(j);
}

/* Selects the record nearest to the client as the attempt's connection. */
static void select_near_side(struct attempt *a)
{
	struct connection *near = &a->connection, first;
	struct other_record *s;

	for (s = a->others; s; s = s->next)
		if (is_nearer_client(&s->c, near))
			near = &s->c;
	if (near != &a->connection) {
		first = a->connection;
		a->connection = *near;
		*near = first;
	}
}

/* Returns the record that is farthest from the client, even if it is still opening; or NULL. */
static const struct connection *select_far_side(struct attempt *a)
{
	const struct connection *far = NULL;
	struct other_record *s;

	for (s = a->others; s; s = s->next)
		if (!far || is_nearer_client(far, &s->c))
			far = &s->c;
	a->far_is_open = !far && a->open && is_nearer_client(&a->connection, a->open);
	return a->far_is_open ? a->open : far;
}

/* Returns the record that shows most of the attempt; NULL if that is the near side. */
static const struct connection *select_evidence(const struct attempt *a)
{
	const struct connection *best = NULL, *near = &a->connection;
	const struct other_record *s;

	for (s = a->others; s; s = s->next)
		if (is_better_evidence(&s->c, best ? best : near))
			best = &s->c;
	if (a->open && is_better_evidence(a->open, best ? best : near))
		best = a->open;
	return best;
}

/* Chooses the near side of an attempt, and adds what its other records show. */
static void combine_records(struct join *j, struct attempt *a, bool is_final)
{
	struct connection *c = &a->connection;
	const struct connection *far, *best;

	select_near_side(a);
	far = select_far_side(a);
	best = select_evidence(a);
	if (far)
		fill_far_side(c, far);
	else
		c->not_forwarded |= is_final && j->multi_iface && !c->syn_egress &&
				    !c->forwarded_by && !c->other_host;
	if (best)
		complete_near_side(c, best);
	if (c->during_attach)
		c->not_forwarded = false; /* the hook where it left was not attached */
}

/*
 * Announces the attempts that will be reported next, see join_events.soon, and loads the one after
 * them into the cache.
 */
static void prepare_next(const struct join *j, const struct attempt *a)
{
	int soon;

	if (!j->events.soon)
		return;
	for (soon = SOON_NEXT; soon <= SOON_THIRD; soon++) {
		a = TAILQ_NEXT(a, by_age);
		if (!a)
			return;
		j->events.soon(j->events.context, &a->connection, soon);
	}
	a = TAILQ_NEXT(a, by_age);
	prefetch(a, sizeof(*a));
}

/* Reports an attempt. is_final: no further record of the attempt can arrive. */
static void report_attempt(struct join *j, struct attempt *a, bool is_final)
{
	struct other_record *s;

	prepare_next(j, a);
	combine_records(j, a, is_final);
	TAILQ_REMOVE(&j->attempts[false], a, by_age);
	j->count[false]--;
	a->is_reported = true;
	a->since = j->sweep;
	TAILQ_INSERT_TAIL(&j->attempts[true], a, by_age);
	j->count[true]++;
	j->events.settled(j->events.context, &a->connection);
	while ((s = a->others)) {
		a->others = s->next;
		j->events.other_side(j->events.context, &s->c, &a->connection);
		free(s);
	}
}

static void report_oldest(struct join *j)
{
	if (j->count[false] >= MAX_WAITING_ATTEMPTS)
		report_attempt(j, TAILQ_FIRST(&j->attempts[false]), false);
}

/* Returns memory for an attempt: that of the oldest one, if there are enough; or NULL. */
static struct attempt *new_attempt(struct join *j)
{
	struct attempt *oldest, *next;

	if (j->count[true] < MAX_REPORTED_ATTEMPTS)
		return malloc(sizeof(*oldest));
	oldest = TAILQ_FIRST(&j->attempts[true]);
	next = TAILQ_NEXT(oldest, by_age);
	prefetch(next, sizeof(*next));
	unlink_attempt(j, oldest);
	return oldest;
}

static void add_attempt(struct join *j, const struct connection *c)
{
	struct attempt *a = new_attempt(j);

	if (!a) {
		j->events.settled(j->events.context, c);
		return;
	}
	a->isn = c->client_isn;
	a->connection = *c;
	a->others = NULL;
	a->open = NULL;
	a->is_reported = a->far_is_open = false;
	a->since = j->sweep;
	a->seen_open = 0;
	LIST_INSERT_HEAD(&j->buckets[bucket_of(j, a->isn)], a, by_isn);
	TAILQ_INSERT_TAIL(&j->attempts[false], a, by_age);
	j->count[false]++;
}

static void add_side(struct join *j, struct attempt *a, const struct connection *c)
{
	struct other_record *s;

	j->joined++;
	if (a->is_reported) {
		a->far_is_open = false;
		j->events.other_side(j->events.context, c, &a->connection);
		return;
	}
	s = malloc(sizeof(*s));
	if (!s)
		return; /* the record is counted as a side, but not reported */
	s->c = *c;
	s->next = a->others;
	a->others = s;
	if (a->connection.syn_egress != c->syn_egress)
		report_attempt(j, a, true); /* in and out: a third record is unlikely */
}

void join_settled(struct join *j, const struct connection *c)
{
	struct attempt *a;
	bool unsure;

	/*
	 * If memory is full, the bucket is loaded while the oldest attempt is passed on. That is not
	 * looked at any more: so early, c is hardly another side of it.
	 */
	__builtin_prefetch(&j->buckets[bucket_of(j, c->client_isn)]);
	report_oldest(j);
	a = find_attempt(j, c, &unsure);
	j->has_vlans |= c->client.vlan[0] != 0;
	j->ambiguous += unsure;
	if (a)
		add_side(j, a, c);
	else
		add_attempt(j, c);
}

/* ---- attempts that are still opening ---- */

/*
 * Records that another side of an attempt is still opening. Returns true if that side only lacks
 * the attempt's answer: then it shows nothing more.
 */
static bool note_open(struct join *j, const struct connection *c)
{
	bool unsure;
	struct attempt *a = find_attempt(j, c, &unsure);

	if (!a)
		return false;
	a->seen_open = j->sweep + 1;
	if (a->is_reported)
		return is_copy(&a->connection, c) && is_better_evidence(&a->connection, c);
	if (!a->open)
		a->open = malloc(sizeof(*a->open));
	if (a->open)
		*a->open = *c;
	return is_copy(&a->connection, c) && is_better_evidence(&a->connection, c);
}

static uint32_t hash_words(const struct join *j, uint32_t hash, const uint32_t *word, int count)
{
	while (count--)
		hash = (hash ^ *word++) * j->secret + (hash >> 15);
	return hash;
}

/* Copies of one packet in several VLANs have the same hash. */
static uint32_t hash_where(const struct join *j, const struct connection *c)
{
	const struct endpoint *client = wire_client(c);
	const uint32_t hook[] = { c->ifindex, c->syn_egress,
				  (uint32_t)client->port << 16 | c->server.port };

	return hash_words(j, hash_words(j, hash_words(j, 0, hook, 3), client->address.word, 4),
			  c->server.address.word, 4);
}

/*
 * Returns true if another record shows the opening attempt: the record with the earliest SYN. If it
 * is a copy without the SYN-ACK, a copy with the SYN-ACK shows the attempt instead. Stores the
 * first side.
 */
static bool is_shown_elsewhere(struct join *j, const struct connection *c)
{
	bool is_answered = c->synack != NEVER, may_have_sides = j->multi_iface || j->joined;
	bool is_known, same_hook;
	uint32_t sweep = j->sweep, where, copy_answered;
	struct first_side *f;

	if (!may_have_sides && !j->has_vlans)
		return false;
	if (!j->first_sides)
		j->first_sides = calloc(FIRST_SIDES, sizeof(*j->first_sides));
	if (!j->first_sides)
		return false;
	f = &j->first_sides[bucket_of(j, c->client_isn) % FIRST_SIDES];
	where = hash_where(j, c);
	same_hook = f->where == where;
	is_known = f->isn == c->client_isn && sweep - f->sweep < FIRST_SIDE_SWEEPS &&
		   (same_hook || may_have_sides);
	if (is_known && f->syn < c->syn && c->syn - f->syn <= MAX_FORWARDING_NS) {
		if (!same_hook || !is_answered)
			return true;
		f->copy_answered = sweep + 1;
		return f->is_answered;
	}
	copy_answered = is_known && same_hook ? f->copy_answered : 0;
	if (is_known && same_hook && f->is_answered && !is_answered)
		copy_answered = f->sweep + 1;
	*f = (struct first_side){
		.syn = c->syn,
		.isn = c->client_isn,
		.sweep = sweep,
		.where = where,
		.is_answered = is_answered,
		.copy_answered = copy_answered,
	};
	return !is_answered && copy_answered && sweep + 1 - copy_answered < FIRST_SIDE_SWEEPS;
}

void join_opening(struct join *j, const struct connection *c)
{
	bool is_shown;

	j->has_vlans |= c->client.vlan[0] != 0;
	is_shown = note_open(j, c);
	is_shown |= is_shown_elsewhere(j, c);
	if (!is_shown)
		j->events.opening(j->events.context, c);
}

static bool is_open(const struct join *j, const struct attempt *a)
{
	return a->seen_open && j->sweep - a->seen_open < WAIT_SWEEPS;
}

/* Returns true if the far side of a near side's record takes too long to settle. */
static bool has_waited_enough(const struct join *j, const struct attempt *a)
{
	return a->open && is_nearer_client(&a->connection, a->open) &&
	       j->sweep - a->since >= FAR_WAIT_SWEEPS;
}

void join_swept(struct join *j)
{
	struct attempt *a, *next;

	j->sweep++;
	for (a = TAILQ_FIRST(&j->attempts[true]); a; a = next) {
		next = TAILQ_NEXT(a, by_age);
		if (j->sweep - a->since < WAIT_SWEEPS)
			break;
		if (!is_open(j, a))
			remove_attempt(j, a);
	}
	for (a = TAILQ_FIRST(&j->attempts[false]); a; a = next) {
		next = TAILQ_NEXT(a, by_age);
		if (j->sweep - a->since < WAIT_SWEEPS)
			break;
		if (!is_open(j, a) || has_waited_enough(j, a))
			report_attempt(j, a, true);
	}
}

void join_end(struct join *j)
{
	while (!TAILQ_EMPTY(&j->attempts[false]))
		report_attempt(j, TAILQ_FIRST(&j->attempts[false]), true);
	remove_all(j);
}

uint64_t join_joined(const struct join *j)
{
	return j->joined;
}

uint64_t join_ambiguous(const struct join *j)
{
	return j->ambiguous;
}
