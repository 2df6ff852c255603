// SPDX-License-Identifier: GPL-2.0
/*
 * Episodes: lookups that a client makes for one purpose, and the connection that waited for them.
 *
 * A and AAAA are asked at once or one after the other, and the client goes on when both have ended,
 * or when its own timer has. So the wait is measured from the first question of the episode to the
 * SYN, never from a schedule.
 */
#include <stdlib.h>

#include "model/names_internal.h"

/* A question that follows another lookup so soon belongs to the same episode. */
#define FOLLOWS_NS (100 * (ns_t)MILLISECOND_NS)

/* The same for the next name of a search list, after an answer without an address. */
#define NEXT_SUFFIX_NS (50 * (ns_t)MILLISECOND_NS)

/* A client gives up a question after its own timer: the longest known one, or its last gap. */
#define PATIENCE_NS (5 * (ns_t)SECOND_NS)

/* The SYN may come so late after that timer. */
#define TIMER_TO_SYN_NS (500 * (ns_t)MILLISECOND_NS)

/* Connections within this time after the first one waited as well: happy eyeballs (RFC 8305). */
#define PARALLEL_SYNS_NS (250 * (ns_t)MILLISECOND_NS)

/* An episode takes no more lookups than this, which bounds the work for each packet. */
#define MAX_EPISODE_LOOKUPS 32

/* Returns true if clients wait for questions of this type before they connect. */
static bool is_waited_for(uint16_t type)
{
	return type == DNS_A || type == DNS_AAAA;
}

static ns_t later(ns_t a, ns_t b)
{
	return a > b ? a : b;
}

/* ---- the lookups of an episode ---- */

static struct kept *first_of(const struct names *n, struct kept *k)
{
	struct kept *older;

	while ((older = lookups_at(&n->lookups, k->older)))
		k = older;
	return k;
}

static struct kept *next_of(const struct names *n, const struct kept *k)
{
	return lookups_at(&n->lookups, k->newer);
}

#define FOREACH_LOOKUP(n, k, any) for ((k) = first_of(n, any); (k); (k) = next_of(n, k))

static void append(const struct names *n, struct kept *any, struct kept *k)
{
	struct kept *last = any, *next;

	while ((next = next_of(n, last)))
		last = next;
	last->newer = k->number;
	k->older = last->number;
	k->newer = 0;
	k->l.episode = last->l.episode;
	k->l.episode_first = last->l.episode_first;
}

static void begin(struct names *n, struct kept *k)
{
	k->older = k->newer = 0;
	k->l.episode = ++n->episodes;
	k->l.episode_first = k->l.first;
}

/* ---- joining ---- */

/* Returns until when the client waits for an answer, as far as it is known. */
static ns_t waits_until(const struct lookup *l, ns_t gap)
{
	return l->end != NEVER ? l->end : l->last.time + later(gap, PATIENCE_NS);
}

/* Returns true if the episode can have another lookup at this time. */
static bool takes_more(const struct names *n, struct kept *any, ns_t now)
{
	unsigned int count = 0;
	struct kept *k;

	FOREACH_LOOKUP(n, k, any)
	{
		if (++count >= MAX_EPISODE_LOOKUPS)
			return false;
		if (k->used != NEVER && now > k->used + PARALLEL_SYNS_NS)
			return false;
	}
	return now - any->l.episode_first <= MAX_EPISODE_NS;
}

/*
 * Returns true if a new lookup belongs to the episode of an older one for the same name. A type that
 * was answered is asked again only while the client waits for another type, or by the same program:
 * systemd-resolved asks a server that it turned to again, with other options and from the same port.
 */
static bool continues(const struct names *n, struct kept *older, const struct lookup *l)
{
	bool waits = false, follows = false, again = false;
	struct kept *k;

	if (!takes_more(n, older, l->first))
		return false;
	FOREACH_LOOKUP(n, k, older)
	{
		again |= k->l.type == l->type && k->l.name == l->name &&
			 k->l.last.client_port != l->last.client_port;
		follows |= l->first <= later(k->l.end, k->l.last.time) + FOLLOWS_NS;
		waits |= is_waited_for(k->l.type) &&
			 l->first <= waits_until(&k->l, k->gap) + FOLLOWS_NS &&
			 !lookup_is_answered(&k->l);
	}
	return waits || (follows && !again);
}

/*
 * Returns a lookup that ended just now without an address, for the same name with another suffix of
 * the search list; or NULL.
 */
static struct kept *other_suffix(const struct names *n, const struct lookup *l)
{
	struct index_key key = label_key(&l->client, names_name(n, l->name));
	struct kept *older = lookups_find(&n->lookups, BY_LABEL, &key), *k;

	if (!older || !is_waited_for(l->type) || older->l.end == NEVER ||
	    l->first > older->l.end + NEXT_SUFFIX_NS || !takes_more(n, older, l->first))
		return NULL;
	FOREACH_LOOKUP(n, k, older)
	if (k->l.name == l->name || k->named != NEVER)
		return NULL;
	return older;
}

void episode_join(struct names *n, struct kept *k)
{
	struct index_key key = name_key(&k->l.client, k->l.name);
	struct kept *older;

	if (!k->l.name) {
		begin(n, k);
		return;
	}
	older = lookups_find(&n->lookups, BY_NAME, &key);
	if (!older || !continues(n, older, &k->l))
		older = other_suffix(n, &k->l);
	if (older)
		append(n, older, k);
	else
		begin(n, k);
	lookups_set(&n->lookups, BY_NAME, k, &key);
}

void episode_ended(struct names *n, struct kept *k)
{
	struct index_key key;

	if (!k->l.name || !is_waited_for(k->l.type) || k->l.result == LOOKUP_ANSWERED)
		return;
	key = label_key(&k->l.client, names_name(n, k->l.name));
	lookups_set(&n->lookups, BY_LABEL, k, &key);
}

/* ---- connections that waited ---- */

static struct kept *latest_before(const struct names *n, const struct named_address *e, ns_t syn)
{
	struct kept *k;
	unsigned int i;

	for (i = 0; e && i < ADDRESS_LOOKUPS; i++) {
		k = lookups_at(&n->lookups, e->lookups[i]);
		if (k && k->named != NEVER && k->named <= syn)
			return k;
	}
	return NULL;
}

/* Returns the latest lookup before the SYN whose answer has the server's address, or NULL. */
static struct kept *naming_lookup(const struct names *n, const struct connection *c)
{
	struct client_key client = client_key_of(&c->client);
	struct kept *k = latest_before(
		n, name_addresses_find(&n->addresses, &client, &c->server.address), c->syn);

	return k ? k : latest_before(n, name_addresses_find_host(&n->addresses, c), c->syn);
}

/* Returns until when a client that still waits for this lookup at the SYN may give it up. */
static ns_t gives_up(const struct lookup *l, ns_t syn)
{
	ns_t last = l->first, gap = 0;
	unsigned int i;

	for (i = 0; i < lookup_tries(l) && lookup_try(l, i)->time <= syn; i++) {
		if (lookup_try(l, i)->time - last >= FOLLOWS_NS)
			gap = lookup_try(l, i)->time - last;
		last = lookup_try(l, i)->time;
	}
	return last + later(gap, PATIENCE_NS);
}

/*
 * Returns true if the SYN follows the end of the episode, or comes while another lookup of it is
 * still unanswered, so that the client may have given that up.
 */
static bool follows_episode(const struct names *n, struct kept *named, ns_t syn)
{
	ns_t ended = named->named, until = NEVER;
	struct kept *k;

	FOREACH_LOOKUP(n, k, named)
	{
		if (!is_waited_for(k->l.type) || k->l.first > syn)
			continue;
		if (k->l.end != NEVER && k->l.end <= syn)
			ended = later(ended, k->l.end);
		else
			until = later(until, gives_up(&k->l, syn) + TIMER_TO_SYN_NS);
	}
	return syn <= ended + NAME_TO_SYN_NS || syn <= until;
}

static ns_t used_at(const struct names *n, struct kept *any)
{
	ns_t used = NEVER;
	struct kept *k;

	FOREACH_LOOKUP(n, k, any)
	if (k->used != NEVER && (used == NEVER || k->used < used))
		used = k->used;
	return used;
}

static bool has_try_near(const struct lookup *l, ns_t when)
{
	unsigned int i;

	for (i = 0; i < lookup_tries(l); i++)
		if (llabs(lookup_try(l, i)->time - when) <= FOLLOWS_NS)
			return true;
	return false;
}

/*
 * Returns true if a lookup of a type that was answered before belongs to the episode by its own
 * right: another type was asked again with it. Otherwise another program of the client asked.
 */
static bool is_repeated(const struct names *n, struct kept *named)
{
	bool is_first = true;
	struct kept *k;

	FOREACH_LOOKUP(n, k, named)
	{
		if (k == named || k->l.name != named->l.name)
			continue;
		if (k->l.type != named->l.type && has_try_near(&k->l, named->l.first))
			return true;
		is_first &= k->l.type != named->l.type || k->l.first > named->l.first;
	}
	return is_first;
}

/* Takes a lookup out of its episode, and begins a new one with it. */
static void split(struct names *n, struct kept *k)
{
	struct kept *older = lookups_at(&n->lookups, k->older), *newer = next_of(n, k);

	if (older)
		older->newer = newer ? newer->number : 0;
	if (newer)
		newer->older = older ? older->number : 0;
	begin(n, k);
	k->used = NEVER;
}

static bool has_address(const struct lookup *l, const struct address *a)
{
	unsigned int i;

	for (i = 0; i < l->address_count; i++)
		if (!memcmp(&l->addresses[i], a, sizeof(*a)))
			return true;
	return false;
}

/* Marks the episode that the SYN waited for. Returns the lookup that named its address, or NULL. */
static struct kept *waited_for(struct names *n, const struct connection *c)
{
	struct kept *named = naming_lookup(n, c), *k;
	ns_t used;

	if (!named || !follows_episode(n, named, c->syn))
		return NULL;
	used = used_at(n, named);
	if (used != NEVER && c->syn > used + PARALLEL_SYNS_NS) {
		if (named->l.first <= used)
			return NULL;
		split(n, named);
	} else if (c->syn <= named->named + NAME_TO_SYN_NS && !is_repeated(n, named)) {
		split(n, named);
	}
	FOREACH_LOOKUP(n, k, named)
	{
		if (k->used == NEVER || c->syn < k->used)
			k->used = c->syn;
		if ((k == named || has_address(&k->l, &c->server.address)) &&
		    (k->l.syn == NEVER || c->syn < k->l.syn))
			k->l.syn = c->syn;
	}
	return named;
}

void names_connect(struct names *n, struct connection *c)
{
	const struct kept *named = waited_for(n, c);

	c->name = named ? named->l.name : 0;
	c->name_asked = c->name ? named->l.episode_first : NEVER;
}

/* Sweeps that are later than this show nothing new about the SYN. */
#define NEW_SYN_NS (2 * (ns_t)SECOND_NS)

void names_opening(struct names *n, const struct connection *c)
{
	if (c->watched <= NEW_SYN_NS)
		waited_for(n, c);
}
