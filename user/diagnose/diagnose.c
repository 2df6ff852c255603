// SPDX-License-Identifier: GPL-2.0
#include "diagnose/cause.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format.h"

const char *const finding_kinds[KINDS] = {
	[KIND_WAITS_FOR_PEER] = "waits-for-peer",
	[KIND_SLOW_HELPER] = "slow-helper",
	[KIND_HELD_BEFORE_CONNECT] = "held-before-connect",
	[KIND_FAILOVER_CHAIN] = "failover-chain",
	[KIND_BROKEN_IPV6] = "broken-ipv6",
	[KIND_TIMER_UNEXPLAINED] = "timer-unexplained",
	[KIND_STALLS_UNEXPLAINED] = "stalls-unexplained",
	[KIND_PREFIX_CUT] = "prefix-cut",
	[KIND_DROPPED_IN_GATEWAY] = "dropped-in-gateway",
	[KIND_PEER_UNANSWERED] = "peer-unanswered",
	[KIND_PEER_REFUSED] = "peer-refused",
	[KIND_PEER_UNREACHABLE] = "peer-unreachable",
	[KIND_SYN_FLOOD] = "syn-flood",
	[KIND_IDENT] = "ident",
	[KIND_LATE_BANNER] = "late-banner",
	[KIND_SLOW_SERVER] = "slow-server",
	[KIND_ACCEPT_QUEUE] = "accept-queue",
	[KIND_DEFERRED_ACCEPT] = "deferred-accept",
	[KIND_MTU_BLACK_HOLE] = "mtu-black-hole",
	[KIND_ONE_DIRECTION] = "one-direction",
	[KIND_LOSSY_CLIENT] = "lossy-client",
	[KIND_LOSSY_FAR_SIDE] = "lossy-far-side",
	[KIND_SLOW_ACCESS] = "slow-access",
	[KIND_PORT_REUSE] = "port-reuse",
	[KIND_NO_VERDICT] = "no-verdict",
	[KIND_NOT_THE_NETWORK] = "not-the-network",
};

const char *const confidence_names[CONFIDENCES] = {
	[CONFIDENCE_LOW] = "low",
	[CONFIDENCE_MEDIUM] = "medium",
	[CONFIDENCE_HIGH] = "high",
};

enum confidence by_count(uint64_t n)
{
	return n >= 3 ? CONFIDENCE_HIGH : n == 2 ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
}

/* ---- findings ---- */

struct finding *finding_new(struct diagnosing *g, enum finding_kind kind,
			    enum confidence confidence)
{
	struct finding *f;

	if (g->d->count == MAX_FINDINGS) {
		g->m->dropped_details++;
		return NULL;
	}
	f = &g->d->at[g->d->count++];
	memset(f, 0, sizeof(*f));
	f->kind = kind;
	f->confidence = confidence;
	f->timer = NEVER;
	f->deviation = NEVER;
	f->p_value = NAN;
	return f;
}

bool has_finding(const struct diagnosing *g, enum finding_kind kind)
{
	size_t i;

	for (i = 0; i < g->d->count; i++)
		if (g->d->at[i].kind == kind)
			return true;
	return false;
}

void finding_set_peer(struct finding *f, const struct endpoint *peer)
{
	f->has_peer = true;
	f->peer = *peer;
}

/* Names of interfaces are in it, and these may be anything. */
static void set_text(char *text, size_t room, const char *format, va_list arguments)
{
	char raw[1024];
	FILE *out;

	vsnprintf(raw, sizeof(raw), format, arguments);
	out = fmemopen(text, room - 1, "w"); /* cuts what does not fit */
	if (!out) { /* what is not escaped is not shown */
		snprintf(text, room, "out of memory: this could not be put into words");
		return;
	}
	format_text(out, raw);
	fclose(out);
	text[room - 1] = '\0';
}

void finding_text(struct finding *f, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_text(f->text, sizeof(f->text), format, arguments);
	va_end(arguments);
}

void finding_line(struct finding *f, const char *label, const char *format, ...)
{
	struct finding_line *line = &f->lines[f->line_count];
	va_list arguments;

	if (f->line_count == MAX_FINDING_LINES)
		return;
	f->line_count++;
	snprintf(line->label, sizeof(line->label), "%s", label);
	va_start(arguments, format);
	set_text(line->text, sizeof(line->text), format, arguments);
	va_end(arguments);
}

void finding_add_host(struct diagnosing *g, struct finding_hosts *hosts, const struct host *h)
{
	hosts->count++;
	if (!hosts->at)
		hosts->at = calloc(MAX_FINDING_HOSTS, sizeof(*hosts->at));
	if (!hosts->at)
		g->out_of_memory = true;
	else if (hosts->named < MAX_FINDING_HOSTS)
		hosts->at[hosts->named++] = h->clients[0]->key;
}

void finding_add_hosts(struct diagnosing *g, struct finding *f, const struct peer *p,
		       unsigned int anomaly_bits)
{
	const struct pair *t;

	LIST_FOREACH(t, &p->pairs, of_peer) {
		struct host *h = host_of(g, t->who.client);

		if (h->counted == f || (anomaly_bits && !(t->anomaly_bits & anomaly_bits)))
			continue;
		h->counted = f;
		finding_add_host(g, &f->affected, h);
	}
}

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct client_key));
}

struct host *host_of(struct diagnosing *g, const struct client *c)
{
	return &g->hosts.at[c->host];
}

bool host_is_comparable(const struct host *h)
{
	return h->decided > 0;
}

struct peer *diagnosing_peer(struct diagnosing *g, const struct endpoint *e)
{
	struct peer *p;

	HASH_FIND(hh, g->m->peers, e, sizeof(*e), p);
	return p;
}

void finding_compare(struct diagnosing *g, struct finding *f, struct peer *p)
{
	struct cohort *c = &f->cohort;
	struct pair *t;
	size_t i;

	LIST_FOREACH(t, &p->pairs, of_peer)
		host_of(g, t->who.client)->counted = f;
	for (i = 0; i < g->hosts.count; i++) {
		const struct host *h = &g->hosts.at[i];
		bool tried = h->counted == f, stalled = g->views[i].stall_count > 0;

		if (!host_is_comparable(h))
			continue;
		c->tried += tried;
		c->tried_stalled += tried && stalled;
		c->others += !tried;
		c->others_stalled += !tried && stalled;
		if (tried && stalled)
			finding_add_host(g, &f->affected, h);
		else if (!stalled)
			finding_add_host(g, &f->unaffected, h);
	}
	if (f->unaffected.count >= 2)
		f->p_value = fisher_exact(c->tried_stalled, c->tried - c->tried_stalled,
					  c->others_stalled, c->others - c->others_stalled);
}

void finding_add_route(const struct diagnosing *g, struct finding *f, const struct peer *p)
{
	const struct route *r = p->anomalies ? &p->anomalies->route : NULL;
	char address[FORMAT_ADDRESS], prefix[FORMAT_ADDRESS];
	const char *down;

	if (!r)
		return;
	format_address(address, &p->server.address);
	format_address(prefix, &r->prefix);
	down = r->device_exists && !r->device_up ? ", which is down" : "";
	switch (r->state) {
	case ROUTE_FOUND:
		if (!r->table)
			finding_line(f, "route", "leaves by %s%s", r->device, down);
		else if (!r->prefix_length && is_private(&p->server.address))
			finding_line(
				f, "route",
				"%s is a private address that leaves by the default route (%s%s): "
				"its own route is gone",
				address, r->device, down);
		else if (!r->prefix_length)
			finding_line(f, "route", "leaves by the default route (%s%s)", r->device,
				     down);
		else
			finding_line(f, "route", "leaves by the route to %s/%u (%s%s)", prefix,
				     r->prefix_length, r->device, down);
		if (r->neighbour == NEIGHBOUR_FAILED || r->neighbour == NEIGHBOUR_INCOMPLETE)
			finding_line(
				f, "", "nobody on %s answers for %s: no neighbour has that address",
				r->device,
				r->via_next_hop ? format_address(prefix, &r->next_hop) : address);
		else
			finding_add_forwarding(g, f, p);
		break;
	case ROUTE_NONE:
		finding_line(f, "route", "this gateway has no route to %s", address);
		break;
	case ROUTE_BLACKHOLE:
		finding_line(f, "route", "this gateway has a blackhole route to %s/%u", prefix,
			     r->prefix_length);
		if (p->forwarding == FORWARDING_DROPPED)
			finding_add_forwarding(g, f, p);
		break;
	case ROUTE_UNREACHABLE:
		finding_line(f, "route", "this gateway has an unreachable route to %s/%u", prefix,
			     r->prefix_length);
		break;
	case ROUTE_PROHIBIT:
		finding_line(f, "route", "this gateway has a prohibit route to %s/%u", prefix,
			     r->prefix_length);
		break;
	case ROUTE_LOCAL:
		finding_line(f, "route", "%s is an address of this gateway itself", address);
		break;
	case ROUTE_NOT_FORWARDED:
		finding_line(
			f, "route",
			"forwarding is off where these SYNs come in: either that is the fault, or "
			"this host only looks on");
		break;
	case ROUTE_UNKNOWN:
		return;
	}
	if (r->state != ROUTE_LOCAL && r->table && r->table != 254 && r->table != 255)
		finding_line(f, "", "a policy rule chose table %u for it", r->table);
	if (r->unsure)
		finding_line(f, "",
			     "(policy rules that look at marks or ports may choose otherwise)");
}

/* ---- what the diagnosis looks at ---- */

static int by_end(const void *a, const void *b)
{
	const struct stall *x = *(struct stall *const *)a, *y = *(struct stall *const *)b;
	ns_t i = x->start + x->wait, j = y->start + y->wait;

	if (i != j)
		return i < j ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return memcmp(&x->from, &y->from, sizeof(x->from));
}

static int by_start(const void *a, const void *b)
{
	const struct pending *x = *(struct pending *const *)a, *y = *(struct pending *const *)b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return memcmp(&x->to, &y->to, sizeof(x->to));
}

static void view_host(struct diagnosing *g, struct host_view *v, const struct host *h,
		      struct stall **stalls, struct pending **pendings)
{
	struct pending *o;
	struct stall *s;
	ns_t end = NEVER;
	size_t i;

	v->host = h;
	v->stalls = stalls;
	v->pendings = pendings;
	v->from = g->m->last;
	for (i = 0; i < h->client_count; i++) {
		const struct client *c = h->clients[i];

		if (c->first_syn < v->from)
			v->from = c->first_syn;
		TAILQ_FOREACH(s, &c->kept_stalls, of_client) {
			s->explained = s->held = NULL;
			/* a spare socket: another one to the same server was in use meanwhile */
			if (!s->siblings)
				stalls[v->stall_count++] = s;
		}
		TAILQ_FOREACH(o, &c->pendings, of_client)
			pendings[v->pending_count++] = o;
	}
	qsort(stalls, v->stall_count, sizeof(*stalls), by_end);
	qsort(pendings, v->pending_count, sizeof(*pendings), by_start);
	for (i = 0; i < h->client_count; i++)
		if (h->clients[i]->forgot_pending && v->pending_count)
			v->from = pendings[0]->start;
	v->watched = g->m->last - v->from;
	for (i = 0; i < v->stall_count; i++) {
		s = stalls[i];
		if (end == NEVER || s->start + s->wait - end > SAME_MOMENT_NS) {
			v->groups++;
			end = s->start + s->wait;
		}
	}
}

static bool look(struct diagnosing *g)
{
	struct pending **pendings;
	struct stall **stalls;
	size_t i;

	g->views = calloc(g->hosts.count + 1, sizeof(*g->views));
	stalls = g->stalls = calloc(g->m->stalls_kept + 1, sizeof(*g->stalls));
	pendings = g->pendings = calloc(g->m->pending_kept + 1, sizeof(*g->pendings));
	if (!g->views || !stalls || !pendings)
		return false;
	for (i = 0; i < g->hosts.count; i++) {
		view_host(g, &g->views[i], &g->hosts.at[i], stalls, pendings);
		stalls += g->views[i].stall_count;
		pendings += g->views[i].pending_count;
	}
	g->stall_count = stalls - g->stalls;
	return true;
}

/* ---- the order of the findings ---- */

/* What explains waits comes first, then what is broken, then what is only good to know. */
static int weight(const struct finding *f)
{
	switch (f->kind) {
	case KIND_NO_VERDICT:
		return 0;
	case KIND_NOT_THE_NETWORK:
		return 5;
	case KIND_DEFERRED_ACCEPT:
	case KIND_PEER_REFUSED:
	case KIND_SYN_FLOOD:
		return 4;
	case KIND_STALLS_UNEXPLAINED:
		return 3;
	default:
		break;
	}
	return f->kind < KIND_PREFIX_CUT && f->confidence > CONFIDENCE_LOW ? 1 : 2;
}

static int by_hurt(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	if (weight(x) != weight(y))
		return weight(x) - weight(y);
	if (x->hosts_hurt != y->hosts_hurt)
		return x->hosts_hurt < y->hosts_hurt ? 1 : -1;
	if (x->confidence != y->confidence)
		return x->confidence < y->confidence ? 1 : -1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return memcmp(&x->peer, &y->peer, sizeof(x->peer));
}

/* Findings change places: what points to one goes with it. */
static void sort_findings(struct diagnosing *g)
{
	struct finding *sorted[MAX_FINDINGS];
	size_t i;

	for (i = 0; i < g->d->count; i++)
		g->d->at[i].position = i;
	qsort(g->d->at, g->d->count, sizeof(*g->d->at), by_hurt);
	for (i = 0; i < g->d->count; i++)
		sorted[g->d->at[i].position] = &g->d->at[i];
	for (i = 0; i < g->stall_count; i++)
		if (g->stalls[i]->explained)
			g->stalls[i]->explained =
				sorted[(const struct finding *)g->stalls[i]->explained - g->d->at];
}

bool diagnose(struct diagnosis *d, struct model *m, const struct view *view)
{
	struct diagnosing g = { .d = d, .m = m, .view = view };
	size_t i;

	memset(d, 0, sizeof(*d));
	d->at = calloc(MAX_FINDINGS, sizeof(*d->at));
	if (!d->at || !model_hosts(m, &g.hosts) || !look(&g)) {
		g.out_of_memory = true;
		goto out;
	}
	cause_forwarding(&g);
	cause_correlated(&g);
	cause_failover(&g);
	cause_loss(&g);
	cause_slow_servers(&g);
	cause_unexplained(&g);
	cause_gateway_drops(&g);
	cause_dead_peers(&g);
	cause_path(&g);
	sort_findings(&g);
	for (i = 0; i < d->count; i++) {
		struct finding *f = &d->at[i];

		if (f->affected.named)
			qsort(f->affected.at, f->affected.named, sizeof(*f->affected.at),
			      by_address);
		if (f->unaffected.named)
			qsort(f->unaffected.at, f->unaffected.named, sizeof(*f->unaffected.at),
			      by_address);
	}
out:
	hosts_free(&g.hosts);
	free(g.views);
	free(g.stalls);
	free(g.pendings);
	if (g.out_of_memory)
		diagnosis_free(d);
	d->failed = g.out_of_memory;
	return !g.out_of_memory;
}

void diagnosis_free(struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count; i++) {
		free(d->at[i].affected.at);
		free(d->at[i].unaffected.at);
	}
	free(d->at);
	memset(d, 0, sizeof(*d));
}

static bool is_problem(enum finding_kind kind)
{
	return kind != KIND_DEFERRED_ACCEPT && kind != KIND_NO_VERDICT &&
	       kind != KIND_NOT_THE_NETWORK;
}

bool diagnosis_has_problem(const struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (is_problem(d->at[i].kind))
			return true;
	return false;
}

size_t diagnosis_of_stall(const struct diagnosis *d, const struct stall *s)
{
	const struct finding *f = s->explained;

	return f ? f - d->at + 1 : 0;
}

size_t diagnosis_of_wait(const struct diagnosis *d, const struct model *m,
			 const struct endpoint *client, const struct endpoint *server, ns_t start)
{
	struct client_key position = { .address = client->address,
				       .vlan = { client->vlan[0], client->vlan[1] } };
	const struct client *c;
	const struct stall *s;

	HASH_FIND(hh, m->clients, &position, sizeof(position), c);
	if (!c)
		return 0;
	TAILQ_FOREACH(s, &c->kept_stalls, of_client)
		if (s->start == start && same_endpoint(&s->from, client) &&
		    same_endpoint(&s->to, server))
			return diagnosis_of_stall(d, s);
	return 0;
}

static bool is_about(const struct finding *f, const struct endpoint *server)
{
	size_t i;

	for (i = 0; i < f->also_count; i++)
		if (same_endpoint(&f->also[i], server))
			return true;
	if (f->prefix_length)
		return in_prefix(&server->address, &f->peer.address, f->prefix_length);
	if (!f->has_peer)
		return false;
	return f->peer.port ? same_endpoint(&f->peer, server) : same_address(&f->peer, server);
}

size_t diagnosis_of_server(const struct diagnosis *d, const struct endpoint *server)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (is_about(&d->at[i], server))
			return i + 1;
	return 0;
}

const char *diagnosis_verdict(char out[DIAGNOSIS_VERDICT], const struct diagnosis *d,
			      const struct model *m)
{
	char worst[FORMAT_DURATION];

	if (d->failed)
		snprintf(out, DIAGNOSIS_VERDICT, "out of memory: no diagnosis was made");
	else if (d->count)
		snprintf(out, DIAGNOSIS_VERDICT, "%s", d->at[0].text);
	else if (!m->connections)
		snprintf(out, DIAGNOSIS_VERDICT, "no new connection was seen: nothing can be said");
	else if (m->stall_count || m->idle.count || m->late_banners ||
		 m->outcomes[OUTCOME_ESTABLISHED] + m->outcomes[OUTCOME_HALF_OPEN] < m->connections)
		snprintf(out, DIAGNOSIS_VERDICT,
			 "too little was seen to blame anything: see what waited and what failed");
	else
		snprintf(out, DIAGNOSIS_VERDICT,
			 "nothing wrong was found: %" PRIu64 " attempt%s, all of them answered, "
			 "the longest wait of a client %s",
			 m->connections, plural(m->connections),
			 format_duration(worst, m->waits.count ? m->waits.max : NEVER));
	return out;
}
