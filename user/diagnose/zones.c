// SPDX-License-Identifier: GPL-2.0
#include "diagnose/zones.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose/name_text.h"
#include "lib/hash.h"

/* Fewer lookups may have lost their packets. */
#define MIN_IN_VAIN 2

/* So many lookups of one zone, and none that was answered, are hardly lost packets. */
#define MIN_OF_ZONE 3

/* A type is judged by at least so many lookups. */
#define MIN_OF_TYPE 3

/* Maximum probability that lost packets look like a zone. */
#define MAX_CHANCE 0.05

/* With so many silent zones at one resolver, it is the resolver's way to most names. */
#define MANY_ZONES 4

#define MAX_TYPES 64

/* A name, or one of the zones that it is in. */
struct suffix {
	const uint8_t *wire;
	uint8_t length;
	ns_t since, until; /* the lookups in vain */
	size_t in_vain;
	size_t answered; /* meanwhile */
	struct asked **at; /* the lookups in vain for which it is the widest silent zone */
	size_t count;
	UT_hash_handle hh;
};

/* The questions to one resolver that are compared. */
struct search {
	struct context *g;
	const struct resolver *resolver;
	uint16_t type; /* only of this type; 0: of all types */
	struct suffix *suffixes;
	size_t lost; /* lookups in vain of which there are too few to be of a zone */
	size_t others; /* lookups that were answered */
	size_t names; /* different ones */
};

/* ---- lookups ---- */

bool is_given_up(const struct context *g, const struct asked *a)
{
	return a->result == ASKED_ANSWERED && a->failed && a->took != NEVER &&
	       a->took >= g->m->stall_ns / 10 * 8;
}

/*
 * Returns true if the lookup was still open at the end of the run, but the client had waited for it
 * and connected without it. So the moment at which the run ends decides nothing.
 */
static bool is_overtaken(const struct context *g, const struct asked *a)
{
	struct episode e;
	ns_t syn;

	if (a->result != ASKED_UNKNOWN || a->n->l->result != LOOKUP_OPEN || a->n->l->in_gap)
		return false;
	e = episode_of(g, a->n);
	syn = syn_of_episode(&e);
	return syn != NEVER && syn - a->last >= LOOKUP_SILENT_NS;
}

bool is_in_vain(const struct context *g, const struct asked *a)
{
	return a->result == ASKED_SILENT || is_given_up(g, a) || is_overtaken(g, a);
}

bool is_good_answer(const struct asked *a)
{
	return a->result == ASKED_ANSWERED && !a->failed;
}

static const struct dns_name *name_of(const struct context *g, const struct asked *a)
{
	return names_name(g->m->names, a->n->l->name);
}

static uint16_t *number_of(const struct search *s, const struct asked *a)
{
	const struct context *g = s->g;

	return &g->zone_of_asked[a - g->resolvers->asked];
}

struct episode episode_of(const struct context *g, const struct noted_lookup *n)
{
	const struct resolvers *r = g->resolvers;
	size_t low = 0, high = r->lookup_count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (r->by_episode[middle]->l->episode < n->l->episode)
			low = middle + 1;
		else
			high = middle;
	}
	return next_episode(r, &low);
}

/*
 * Returns true if the same client got an answer about the same name for a question of another type.
 */
static bool has_other_answer(const struct context *g, const struct asked *a)
{
	struct episode e = episode_of(g, a->n);
	size_t i;

	for (i = 0; i < e.count; i++)
		if (e.at[i]->l->type != a->n->l->type && is_same_question(e.at[i], a->n) &&
		    lookup_is_answered(e.at[i]->l))
			return true;
	return false;
}

/* Returns true if the lookup takes part in the search. */
static bool is_compared(const struct search *s, const struct asked *a)
{
	return a->n->l->name && (!s->type || a->n->l->type == s->type);
}

static bool may_be_explained(const struct search *s, const struct asked *a)
{
	return is_compared(s, a) && is_in_vain(s->g, a) && !*number_of(s, a) &&
	       (!s->type || has_other_answer(s->g, a));
}

/* ---- zones ---- */

/* Returns the number of labels below which names have nothing in common. */
static unsigned int least_labels(const struct dns_name *name)
{
	unsigned int labels = dns_name_labels(name), bits;
	struct dns_name last;
	struct address prefix;

	if (dns_name_is_reverse(name, &prefix, &bits))
		return 3;
	dns_name_parent(&last, name, labels > 2 ? labels - 2 : 0);
	/* as co.uk: a short label below a country */
	if (last.length > 2 && last.wire[0] <= 3 && last.wire[1 + last.wire[0]] == 2)
		return 3;
	return 2;
}

static struct suffix *find_suffix(const struct search *s, const uint8_t *wire, uint8_t length)
{
	struct suffix *found;

	HASH_FIND(hh, s->suffixes, wire, length, found);
	return found;
}

/* Returns NULL when out of memory. */
static struct suffix *add_suffix(struct search *s, const uint8_t *wire, uint8_t length)
{
	struct suffix *new = calloc(1, sizeof(*new));

	if (!new)
		return NULL;
	new->wire = wire;
	new->length = length;
	HASH_ADD_KEYPTR(hh, s->suffixes, new->wire, length, new);
	if (!new->hh.tbl) {
		free(new);
		return NULL;
	}
	return new;
}

/* Calls the function for each zone that the name is in, the name itself first. */
static bool for_each_suffix(struct search *s, const struct asked *a,
			    bool (*call)(struct search *, const struct asked *, const uint8_t *,
					 uint8_t))
{
	const struct dns_name *name = name_of(s->g, a);
	unsigned int labels = dns_name_labels(name), least = least_labels(name);
	const uint8_t *wire = name->wire;
	uint8_t length = name->length;

	do {
		if (!call(s, a, wire, length))
			return false;
		length -= 1 + *wire;
		wire += 1 + *wire;
	} while (labels-- > least);
	return true;
}

static bool add_in_vain(struct search *s, const struct asked *a, const uint8_t *wire,
			uint8_t length)
{
	struct suffix *suffix = find_suffix(s, wire, length);

	if (!suffix) {
		suffix = add_suffix(s, wire, length);
		if (!suffix)
			return false;
		suffix->since = a->first;
		suffix->until = a->last;
	}
	suffix->in_vain++;
	if (a->first < suffix->since)
		suffix->since = a->first;
	if (a->last > suffix->until)
		suffix->until = a->last;
	return true;
}

static bool add_answered(struct search *s, const struct asked *a, const uint8_t *wire,
			 uint8_t length)
{
	struct suffix *suffix = find_suffix(s, wire, length);

	if (suffix && a->first >= suffix->since && a->first <= suffix->until)
		suffix->answered++;
	return true;
}

/* Returns the widest zone of the name in which nothing was answered meanwhile, or NULL. */
static struct suffix *widest_silent(const struct search *s, const struct asked *a)
{
	const struct dns_name *name = name_of(s->g, a);
	unsigned int labels = dns_name_labels(name), least = least_labels(name);
	struct suffix *widest = NULL, *suffix;
	const uint8_t *wire = name->wire;
	uint8_t length = name->length;

	do {
		suffix = find_suffix(s, wire, length);
		if (!suffix || suffix->answered)
			break;
		widest = suffix;
		length -= 1 + *wire;
		wire += 1 + *wire;
	} while (labels-- > least);
	return widest;
}

/* Counts the lookups for each zone. Returns false when out of memory. */
static bool count_suffixes(struct search *s)
{
	struct asked *a = s->resolver->asked, *end = a + s->resolver->count;

	for (; a < end; a++)
		if (may_be_explained(s, a) && !for_each_suffix(s, a, add_in_vain))
			return false;
	for (a = s->resolver->asked; a < end; a++)
		if (is_compared(s, a) && is_good_answer(a)) {
			s->others++;
			for_each_suffix(s, a, add_answered);
		}
	return true;
}

/* Assigns the lookups in vain to their widest silent zone. Returns false when out of memory. */
static bool group_by_suffix(struct search *s)
{
	struct asked *a = s->resolver->asked, *end = a + s->resolver->count;
	struct suffix *suffix;

	for (; a < end; a++) {
		suffix = may_be_explained(s, a) ? widest_silent(s, a) : NULL;
		if (!suffix)
			continue;
		if (!suffix->at)
			suffix->at = calloc(suffix->in_vain, sizeof(struct asked *));
		if (!suffix->at)
			return false;
		suffix->at[suffix->count++] = a;
	}
	return true;
}

/* Properties that the lookups in vain of a zone share. */
struct common {
	struct dns_name name; /* the longest zone that all names are in */
	bool is_one_name;
	ns_t since, until;
	size_t episodes; /* of a client */
	bool has_retries; /* a client asked again, or the resolver gave up after a time */
	bool has_hosts; /* several hosts */
	bool is_local; /* names to which nobody expects an answer */
};

static void narrow_to(struct common *c, const struct dns_name *name)
{
	struct dns_name whole;

	if (!c->name.length) {
		c->name = *name;
		c->is_one_name = true;
		return;
	}
	if (c->is_one_name && !memcmp(&c->name, name, sizeof(*name)))
		return;
	c->is_one_name = false;
	while (c->name.length > 1 && !dns_name_is_below(name, &c->name)) {
		whole = c->name;
		dns_name_parent(&c->name, &whole, 1);
	}
}

static void find_common(const struct context *g, struct common *c, struct asked *const *at,
			size_t count)
{
	size_t i, j;

	memset(c, 0, sizeof(*c));
	c->since = at[0]->first;
	c->until = at[0]->last;
	c->is_local = true;
	for (i = 0; i < count; i++) {
		const struct asked *a = at[i];

		narrow_to(c, name_of(g, a));
		c->since = a->first < c->since ? a->first : c->since;
		c->until = a->last > c->until ? a->last : c->until;
		c->has_retries |= a->tries > 1 || is_given_up(g, a);
		c->has_hosts |= a->n->host != at[0]->n->host;
		c->is_local &= a->is_local;
		/* they are sorted by time, so those of one episode are close together */
		for (j = i; j && i - j < 16; j--)
			if (at[j - 1]->n->l->episode == a->n->l->episode)
				break;
		c->episodes += !j || i - j >= 16;
	}
}

/* Counts answers of the resolver to questions that were asked between these times. */
static size_t count_answered(const struct resolver *r, ns_t since, ns_t until)
{
	size_t i, n = 0;

	for (i = 0; i < r->count; i++)
		n += is_good_answer(&r->asked[i]) && r->asked[i].first >= since &&
		     r->asked[i].first <= until;
	return n;
}

/* Returns the number of the new zone, or 0 if there is no room. */
static uint16_t add_zone(const struct search *s, const struct common *c, double chance)
{
	struct diagnosis *d = s->g->d;
	struct zone *z;

	if (!d->zones)
		d->zones = calloc(MAX_ZONES, sizeof(*d->zones));
	if (!d->zones)
		s->g->out_of_memory = true;
	if (!d->zones || d->zone_count == MAX_ZONES)
		return 0;
	z = &d->zones[d->zone_count++];
	z->server = s->resolver->endpoint;
	z->server.zone = d->zone_count;
	z->name = c->name;
	z->is_one_name = c->is_one_name;
	z->type = s->type;
	z->since = c->since;
	z->until = c->until;
	z->chance = chance;
	return d->zone_count;
}

/*
 * Returns the probability that so many lookups of one name lose their packets, and none of them does
 * not, at the rate at which others do; for any of the names.
 */
static double chance_of(const struct search *s, size_t episodes)
{
	double chance = s->names;

	while (episodes--)
		chance *= (s->lost + 1.0) / (s->lost + s->others + 2);
	return chance < 1 ? chance : 1;
}

/*
 * Returns true if the lookups are no lost packets, and the resolver answered others meanwhile.
 */
static bool is_zone(const struct search *s, const struct suffix *suffix, const struct common *c,
		    double chance)
{
	return suffix->count >= MIN_IN_VAIN && c->episodes >= MIN_IN_VAIN && c->has_retries &&
	       chance <= MAX_CHANCE && !c->is_local &&
	       count_answered(s->resolver, c->since, c->until + LOOKUP_SILENT_NS);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Counts the names, and the lookups that may have lost their packets. False when out of memory. */
static bool count_lost(struct search *s)
{
	uint32_t *names = calloc(s->resolver->count + 1, sizeof(*names));
	const struct suffix *suffix;
	struct common c;
	size_t i;

	if (!names)
		return false;
	for (i = 0; i < s->resolver->count; i++)
		names[i] = s->resolver->asked[i].n->l->name;
	qsort(names, s->resolver->count, sizeof(*names), by_number);
	for (i = 0; i < s->resolver->count; i++)
		s->names += !i || names[i] != names[i - 1];
	for (suffix = s->suffixes; suffix; suffix = suffix->hh.next) {
		if (!suffix->count)
			continue;
		find_common(s->g, &c, suffix->at, suffix->count);
		if (c.episodes < MIN_OF_ZONE)
			s->lost += suffix->count;
	}
	free(names);
	return true;
}

/* Returns false when out of memory. */
static bool add_zones(struct search *s)
{
	const struct suffix *suffix;
	struct common c;
	uint16_t number;
	double chance;
	size_t i;

	if (!count_lost(s))
		return false;
	for (suffix = s->suffixes; suffix; suffix = suffix->hh.next) {
		if (!suffix->count)
			continue;
		find_common(s->g, &c, suffix->at, suffix->count);
		chance = chance_of(s, c.episodes);
		if (!is_zone(s, suffix, &c, chance))
			continue;
		number = add_zone(s, &c, chance);
		for (i = 0; i < suffix->count; i++)
			*number_of(s, suffix->at[i]) = number;
	}
	return true;
}

static void free_suffixes(struct search *s)
{
	struct suffix *suffix, *next;

	HASH_ITER(hh, s->suffixes, suffix, next) {
		HASH_DEL(s->suffixes, suffix);
		free(suffix->at);
		free(suffix);
	}
}

/* Finds the zones in which the resolver answers no question of this type, or of any. */
static void find_zones_of(struct context *g, const struct resolver *r, uint16_t type)
{
	struct search s = { .g = g, .resolver = r, .type = type };

	if (!count_suffixes(&s) || !group_by_suffix(&s) || !add_zones(&s))
		g->out_of_memory = true;
	free_suffixes(&s);
}

/*
 * A resolver without a way to most names still answers those that it knows itself. Joins its zones
 * if they are many.
 */
static void join_zones(struct context *g, const struct resolver *r, size_t first)
{
	struct diagnosis *d = g->d;
	uint16_t *of = g->zone_of_asked + (r->asked - g->resolvers->asked);
	struct zone *all = &d->zones[first];
	size_t i;

	if (d->zone_count - first < MANY_ZONES)
		return;
	for (i = first + 1; i < d->zone_count; i++) {
		const struct zone *z = &d->zones[i];

		all->since = z->since < all->since ? z->since : all->since;
		all->until = z->until > all->until ? z->until : all->until;
		all->chance = z->chance < all->chance ? z->chance : all->chance;
	}
	all->name = (struct dns_name){ .length = 1 };
	all->is_one_name = false;
	for (i = 0; i < r->count; i++)
		if (of[i] > first + 1)
			of[i] = first + 1;
	d->zone_count = first + 1;
}

/* ---- types ---- */

/* Lookups of one type at a resolver. */
struct of_type {
	uint16_t type;
	size_t in_vain;
	size_t paired; /* of these: the same client got an answer for another type */
	size_t answered; /* while others were in vain */
	uint32_t name; /* of the first one */
	bool has_names, has_hosts; /* several */
	const struct timeline *host;
	ns_t since, until;
};

static struct of_type *type_at(struct of_type *types, size_t *count, uint16_t type)
{
	size_t i;

	for (i = 0; i < *count; i++)
		if (types[i].type == type)
			return &types[i];
	if (i == MAX_TYPES)
		return NULL;
	types[i] = (struct of_type){ .type = type };
	++*count;
	return &types[i];
}

static void add_in_vain_of_type(const struct context *g, struct of_type *t, const struct asked *a)
{
	if (!t->in_vain++) {
		t->name = a->n->l->name;
		t->host = a->n->host;
		t->since = a->first;
		t->until = a->last;
	}
	t->has_names |= a->n->l->name != t->name;
	t->has_hosts |= a->n->host != t->host;
	t->since = a->first < t->since ? a->first : t->since;
	t->until = a->last > t->until ? a->last : t->until;
	t->paired += has_other_answer(g, a);
}

static size_t count_types(const struct context *g, const struct resolver *r, struct of_type *types)
{
	struct of_type *t;
	size_t i, count = 0;

	for (i = 0; i < r->count; i++) {
		const struct asked *a = &r->asked[i];

		t = a->n->l->type && is_in_vain(g, a) ? type_at(types, &count, a->n->l->type)
						      : NULL;
		if (t)
			add_in_vain_of_type(g, t, a);
	}
	for (i = 0; i < r->count; i++) {
		const struct asked *a = &r->asked[i];

		t = is_good_answer(a) ? type_at(types, &count, a->n->l->type) : NULL;
		if (t && t->in_vain && a->first >= t->since && a->first <= t->until)
			t->answered++;
	}
	return count;
}

/* Returns true if nearly no question of this type is answered, and the others about these names are. */
static bool is_type_silent(const struct of_type *t)
{
	return t->in_vain >= MIN_OF_TYPE && t->paired >= MIN_OF_TYPE &&
	       t->paired * 10 >= t->in_vain * 8 && t->answered * 10 <= t->in_vain &&
	       (t->has_names || t->has_hosts);
}

static void add_type(struct context *g, const struct resolver *r, const struct of_type *t)
{
	struct search s = { .g = g, .resolver = r, .type = t->type };
	struct common c = { .name = { .length = 1 }, .since = t->since, .until = t->until };
	/* each of them may have been lost, as often as others were */
	double lost = 1.0 / (count_answered(r, t->since, t->until) + 2), chance = 1;
	uint16_t number;
	size_t i;

	for (i = 0; i < t->paired; i++)
		chance *= lost;
	number = add_zone(&s, &c, chance);
	for (i = 0; i < r->count; i++)
		if (r->asked[i].n->l->type == t->type && is_in_vain(g, &r->asked[i]))
			*number_of(&s, &r->asked[i]) = number;
}

/*
 * Looks first for types of which nothing is answered, then for zones in which one type is not, then
 * for zones in which nothing is.
 */
static void find_types(struct context *g, const struct resolver *r)
{
	struct of_type types[MAX_TYPES];
	size_t i, count = count_types(g, r, types);

	for (i = 0; i < count; i++)
		if (is_type_silent(&types[i]))
			add_type(g, r, &types[i]);
		else if (types[i].paired >= MIN_OF_TYPE)
			find_zones_of(g, r, types[i].type);
}

bool zones_find(struct context *g)
{
	const struct resolvers *all = g->resolvers;
	size_t i, first;

	g->zone_of_asked = calloc(all->asked_count + 1, sizeof(*g->zone_of_asked));
	if (!g->zone_of_asked)
		return false;
	for (i = 0; i < all->count; i++) {
		const struct resolver *r = &all->at[i];

		if (!r->results[ASKED_ANSWERED])
			continue;
		find_types(g, r);
		first = g->d->zone_count;
		find_zones_of(g, r, 0);
		join_zones(g, r, first);
	}
	return !g->out_of_memory;
}

/* ---- queries ---- */

struct zone *zone_numbered(const struct context *g, uint16_t number)
{
	return number && number <= g->d->zone_count ? &g->d->zones[number - 1] : NULL;
}

const struct resolver *resolver_of_zone(const struct context *g, const struct zone *z)
{
	return find_resolver(g->resolvers, &z->server.address, z->server.port);
}

bool is_of_zone(const struct context *g, const struct zone *z, const struct lookup *l)
{
	return (!z->type || z->type == l->type) &&
	       (z->name.length <= 1 ||
		(l->name && dns_name_is_below(names_name(g->m->names, l->name), &z->name)));
}

/* ---- words ---- */

/* Formats the names of a zone, as "names under corp.example"; empty for all names. */
static void format_names(char *out, size_t room, struct context *g, const struct zone *z)
{
	char name[NAME_TEXT], address[FORMAT_ADDRESS];
	struct address prefix;
	unsigned int bits;

	*out = '\0';
	if (dns_name_is_reverse(&z->name, &prefix, &bits)) {
		format_address(address, &prefix);
		if (bits == (is_ip4(&prefix) ? 32 : 128))
			snprintf(out, room, "%s", address);
		else
			snprintf(out, room, "%s/%u", address, bits);
	} else if (z->name.length > 1) {
		snprintf(out, room, "%s%s", z->is_one_name ? "" : "names under ",
			 name_text(name, g->d, &z->name));
	}
}

const char *zone_text(struct context *g, uint16_t number)
{
	struct zone *z = zone_numbered(g, number);
	char names[NAME_TEXT + 16], type[16];
	struct address prefix;
	unsigned int bits;
	uint16_t of;

	if (!z)
		return "names";
	if (*z->text)
		return z->text;
	of = dns_name_is_reverse(&z->name, &prefix, &bits) ? DNS_PTR : z->type;
	format_names(names, sizeof(names), g, z);
	if (of)
		snprintf(z->text, sizeof(z->text), "%s questions%s%s", format_dns_type(type, of),
			 *names ? " about " : "", names);
	else
		snprintf(z->text, sizeof(z->text), "%s", *names ? names : "most names");
	return z->text;
}

bool zone_is_singular(const struct zone *z)
{
	struct address prefix;
	unsigned int bits;

	return z->is_one_name && !z->type && !dns_name_is_reverse(&z->name, &prefix, &bits);
}

char *format_peer(char out[FORMAT_PEER], const struct diagnosis *d, const struct endpoint *e)
{
	char server[FORMAT_ENDPOINT];

	if (e->zone && e->zone <= d->zone_count) {
		const struct zone *z = &d->zones[e->zone - 1];

		format_address(server, &e->address);
		snprintf(out, FORMAT_PEER, "%s at %s", *z->text ? z->text : "names", server);
	} else {
		format_endpoint(server, e);
		snprintf(out, FORMAT_PEER, "%s", server);
	}
	return out;
}

char *format_finding_peer(char out[FORMAT_PEER], struct context *g, const struct endpoint *e)
{
	if (e->zone)
		zone_text(g, e->zone);
	return format_peer(out, g->d, e);
}
