// SPDX-License-Identifier: GPL-2.0
#include "diagnose/reverse_lookups.h"

#include <string.h>

#include "model/coincidence.h"

/* Returns true if the lookup asks for the name of this address. */
static bool is_about(const struct context *g, const struct lookup *l, const struct address *a)
{
	struct address prefix;
	unsigned int bits;

	return l->type == DNS_PTR && l->name &&
	       dns_name_is_reverse(names_name(g->m->names, l->name), &prefix, &bits) &&
	       bits == (is_ip4(a) ? 32 : 128) && !memcmp(&prefix, a, sizeof(*a));
}

/*
 * Returns true if the greeting may have waited for the lookup: it fills most of the time before the
 * greeting, and was not answered long before it.
 */
static bool fills(const struct lookup *l, const struct connection *c)
{
	ns_t greeting = c->ack + c->banner;

	return l->first >= c->syn - LAG_NS && l->first <= c->ack + LEAD_NS &&
	       greeting - l->first >= c->banner / 10 * 8 &&
	       (l->end == NEVER
			? l->last.time <= greeting
			: l->end <= greeting + LAG_NS && greeting - l->end <= SAME_MOMENT_NS);
}

struct noted_lookup *reverse_lookup_of(const struct context *g, const struct noted_connect *n)
{
	struct client_key key = client_key_of(&n->c->server);
	const struct client *server = model_client(g->m, &key);
	const struct timeline *t;
	size_t i;

	if (!server || !connection_is_greeted(n->c) || n->c->banner < g->m->stall_ns)
		return NULL;
	t = timeline_of(g, server);
	for (i = 0; i < t->lookup_count; i++)
		if (fills(t->lookups[i]->l, n->c) &&
		    is_about(g, t->lookups[i]->l, &n->c->client.address))
			return t->lookups[i];
	return NULL;
}

/* Returns true if the lookup is in vain because of the zone. */
static bool is_held_by(const struct context *g, const struct noted_lookup *n, uint16_t zone)
{
	const struct resolver *r = resolver_of_zone(g, zone_numbered(g, zone));
	size_t i;

	for (i = 0; i < r->count; i++)
		if (r->asked[i].n == n && zone_of_asked(g, &r->asked[i]) == zone)
			return true;
	return false;
}

struct held_greetings greetings_held_by(const struct context *g, uint16_t zone)
{
	struct held_greetings held = {};
	size_t i;

	for (i = 0; i < g->connect_count; i++) {
		const struct noted_connect *n = &g->connects[i];
		const struct noted_lookup *l = reverse_lookup_of(g, n);

		if (!l || !is_held_by(g, l, zone))
			continue;
		if (!held.count++)
			held.server = n->c->server;
		/* connects are sorted by server */
		held.servers += held.count == 1 ||
				!same_endpoint(&n->c->server, &g->connects[i - 1].c->server);
		if (n->c->banner > held.longest)
			held.longest = n->c->banner;
	}
	return held;
}
