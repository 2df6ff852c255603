// SPDX-License-Identifier: GPL-2.0
/*
 * What comes in and never goes out: SYNs, or their answers, that this gateway itself drops. Said only
 * where the device that the route leads to was watched all the time and nothing was lost.
 */
#include <stdlib.h>
#include <string.h>

#include "diagnose/cause.h"
#include "lib/format.h"

/* So many peers are one finding, when they share a port or a server. */
#define MIN_TOGETHER 3

/* Findings; the rest is in the tables. */
#define MAX_NAMED 16

static const struct watched_side *watched_side_of(const struct view *v, uint32_t ifindex)
{
	size_t i;

	for (i = 0; i < v->side_count; i++)
		if (v->sides[i].ifindex == ifindex)
			return &v->sides[i];
	return NULL;
}

static uint64_t crossed_from(const struct model *m, uint32_t ifindex)
{
	unsigned int i;

	for (i = 0; i < m->crossed_count; i++)
		if (m->crossed[i].ifindex == ifindex)
			return m->crossed[i].attempts;
	return 0;
}

/*
 * Narrowed, the view may leave out what NAT made of an attempt. A device that asks in vain for its
 * neighbour drops SYNs as well, and that is not the gateway's doing; nor is what leaves by the
 * interface that it came in by, which is a copy in the same record.
 */
static enum forwarding forwarding_of(const struct diagnosing *g, const struct peer *p)
{
	const struct route *r = p->anomalies ? &p->anomalies->route : NULL;
	const struct watched_side *out, *in = watched_side_of(g->view, p->in_ifindex);

	if (p->forwarded && !p->not_forwarded && !p->answer_dropped)
		return FORWARDING_OK;
	if ((!p->not_forwarded && !p->answer_dropped) || !p->failures[FAILURE_SILENT] ||
	    g->view->lost || g->view->narrowed_clients || g->view->narrowed_servers || !r ||
	    (in && in->is_part))
		return FORWARDING_NOT_CHECKED;
	if (p->answer_dropped)
		return FORWARDING_ANSWERS_DROPPED;
	if (r->state == ROUTE_BLACKHOLE)
		return FORWARDING_DROPPED;
	out = r->state == ROUTE_FOUND ? watched_side_of(g->view, r->device_index) : NULL;
	if (!out || !out->whole || r->device_index == p->in_ifindex ||
	    r->neighbour == NEIGHBOUR_FAILED || r->neighbour == NEIGHBOUR_INCOMPLETE)
		return FORWARDING_NOT_CHECKED;
	return FORWARDING_DROPPED;
}

void cause_forwarding(struct diagnosing *g)
{
	struct peer *p;

	for (p = g->m->peers; p; p = p->hh.next)
		p->forwarding = forwarding_of(g, p);
}

void finding_add_forwarding(const struct diagnosing *g, struct finding *f, const struct peer *p)
{
	const struct watched_side *in = watched_side_of(g->view, p->in_ifindex);
	const struct route *r = p->anomalies ? &p->anomalies->route : NULL;
	const struct watched_side *out = watched_side_of(g->view, p->forwarded_by);
	bool has_route = r && r->state == ROUTE_FOUND;

	switch (p->forwarding) {
	case FORWARDING_OK:
		finding_line(f, "", "its SYNs left this gateway%s%s%s", out ? " by " : "",
			     out ? out->name : "",
			     p->by_gateway ? "" : ": what swallows them is beyond it");
		break;
	case FORWARDING_DROPPED:
		finding_line(
			f, "",
			"the SYNs of %llu attempt%s came in%s%s and left by no interface%s%s%s: "
			"this gateway drops them",
			(unsigned long long)p->not_forwarded, plural(p->not_forwarded),
			in ? " by " : "", in ? in->name : "", has_route ? ", " : "",
			has_route ? r->device : "", has_route ? " was watched" : "");
		break;
	case FORWARDING_ANSWERS_DROPPED:
		finding_line(
			f, "",
			"the SYN-ACKs of %llu attempt%s came back%s%s and did not go on to the "
			"client: this gateway drops them",
			(unsigned long long)p->answer_dropped, plural(p->answer_dropped),
			out ? " to " : "", out ? out->name : "");
		break;
	case FORWARDING_NOT_CHECKED:
		if (!p->by_gateway)
			finding_line(f, "", "whether these SYNs left this gateway was not checked");
		break;
	}
}

/* What could make it look so that is no firewall. */
static void add_doubts(const struct diagnosing *g, struct finding *f, const struct peer *p)
{
	const struct view *v = g->view;
	const struct route *r = &p->anomalies->route;
	const char *label = "against";

	if (p->forwarded) {
		finding_line(f, label, "the SYNs of %llu other attempt%s left it",
			     (unsigned long long)p->forwarded, plural(p->forwarded));
		label = "";
	}
	if (p->answered) {
		finding_line(f, label,
			     "%llu other attempt%s got through and %s answered: it drops "
			     "by who asks, or by how often",
			     (unsigned long long)p->answered, plural(p->answered),
			     p->answered == 1 ? "was" : "were");
		label = "";
	}
	if (p->forwarding != FORWARDING_DROPPED)
		return;
	if (!crossed_from(g->m, p->in_ifindex)) {
		finding_line(f, label,
			     "nothing that came in there was answered through it: a mirror port?");
		f->confidence = CONFIDENCE_LOW;
		label = "";
	}
	if (v->ipsec) {
		finding_line(f, label,
			     "there are IPsec policies here: what they encrypt leaves as ESP");
		f->confidence = CONFIDENCE_LOW;
		label = "";
	}
	if (r->state == ROUTE_FOUND && !r->via_next_hop && r->neighbour == NEIGHBOUR_UNKNOWN) {
		finding_line(f, label, "whether anybody on %s has that address is not known",
			     r->device);
		f->confidence = CONFIDENCE_LOW;
		label = "";
	}
	if (v->unwatched[0]) {
		finding_line(f, label, "NAT may have sent them out by %s, not watched",
			     v->unwatched);
		if (f->confidence > CONFIDENCE_MEDIUM)
			f->confidence = CONFIDENCE_MEDIUM;
	}
}

struct dropping {
	struct peer *peer;
	bool said;
};

static uint64_t attempts_of(const struct peer *p)
{
	return p->forwarding == FORWARDING_DROPPED ? p->not_forwarded : p->answer_dropped;
}

/* The first of some peers that fail alike: by port when any server's, by server when any port. */
static void report_drops(struct diagnosing *g, struct dropping *all, size_t count, size_t first,
			 bool (*alike)(const struct endpoint *a, const struct endpoint *b),
			 size_t n)
{
	struct peer *p = all[first].peer;
	char peer[FORMAT_ENDPOINT], address[FORMAT_ADDRESS];
	uint64_t attempts = 0;
	struct finding *f;
	size_t i;

	f = finding_new(g, KIND_DROPPED_IN_GATEWAY, CONFIDENCE_LOW);
	if (!f)
		return;
	f->has_peer = true;
	f->peer = p->server;
	for (i = first; i < count; i++) {
		const struct peer *other = all[i].peer;

		if (all[i].said || (i != first && (n < 2 || other->forwarding != p->forwarding ||
						   !alike(&p->server, &other->server))))
			continue;
		all[i].said = true;
		attempts += attempts_of(other);
		finding_add_hosts(g, f, other, ANOMALY_NOT_FORWARDED);
		if (i != first && f->also_count < MAX_FINDING_ALSO)
			f->also[f->also_count++] = other->server;
	}
	f->hosts_hurt = f->affected.count;
	f->confidence = by_count(attempts);
	format_endpoint(peer, &p->server);
	format_address(address, &p->server.address);
	if (p->forwarding == FORWARDING_ANSWERS_DROPPED)
		finding_text(f, "this gateway drops what %s answers: %llu attempt%s of %zu host%s",
			     peer, (unsigned long long)attempts, plural(attempts), f->hosts_hurt,
			     plural(f->hosts_hurt));
	else if (n < 2)
		finding_text(f, "this gateway drops the SYNs to %s: %llu attempt%s of %zu host%s",
			     peer, (unsigned long long)attempts, plural(attempts), f->hosts_hurt,
			     plural(f->hosts_hurt));
	else if (same_address(&p->server, &f->also[0]))
		finding_text(
			f,
			"this gateway drops the SYNs to %zu ports of %s: %llu attempt%s of %zu "
			"host%s",
			n, address, (unsigned long long)attempts, plural(attempts), f->hosts_hurt,
			plural(f->hosts_hurt));
	else
		finding_text(
			f,
			"this gateway drops the SYNs to port %u, of %zu servers: %llu attempt%s "
			"of %zu host%s",
			p->server.port, n, (unsigned long long)attempts, plural(attempts),
			f->hosts_hurt, plural(f->hosts_hurt));
	finding_add_route(g, f, p);
	if (p->forwarding == FORWARDING_DROPPED && p->anomalies->route.state == ROUTE_FOUND)
		finding_line(f, "do",
			     "look at the forward chain of its firewall (nft list ruleset), "
			     "its policy rules, and rp_filter");
	else if (p->forwarding == FORWARDING_ANSWERS_DROPPED)
		finding_line(f, "do",
			     "look at rp_filter, at what conntrack calls invalid, and at the "
			     "forward chain");
	add_doubts(g, f, p);
}

static bool same_port(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port;
}

static size_t count_alike(const struct dropping *all, size_t count, size_t first,
			  bool (*alike)(const struct endpoint *a, const struct endpoint *b))
{
	size_t i, n = 0;

	for (i = first; i < count; i++)
		n += !all[i].said && all[i].peer->forwarding == all[first].peer->forwarding &&
		     alike(&all[first].peer->server, &all[i].peer->server);
	return n;
}

void cause_gateway_drops(struct diagnosing *g)
{
	size_t count, i, n = 0, said = 0, alike;
	struct peer **peers = model_failing_peers(g->m, &count);
	struct dropping *all = calloc(count + 1, sizeof(*all));

	if (!peers || !all) {
		g->out_of_memory = true;
		goto out;
	}
	for (i = 0; i < count; i++)
		if ((peers[i]->forwarding == FORWARDING_DROPPED ||
		     peers[i]->forwarding == FORWARDING_ANSWERS_DROPPED) &&
		    !is_waited_for(g, peers[i]))
			all[n++].peer = peers[i];
	for (i = 0; i < n && said < MAX_NAMED; i++) {
		if (all[i].said)
			continue;
		said++;
		alike = count_alike(all, n, i, same_address);
		if (alike >= MIN_TOGETHER) {
			report_drops(g, all, n, i, same_address, alike);
			continue;
		}
		alike = count_alike(all, n, i, same_port);
		report_drops(g, all, n, i, same_port, alike >= MIN_TOGETHER ? alike : 1);
	}
out:
	free(all);
	free(peers);
}
