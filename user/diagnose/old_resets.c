// SPDX-License-Identifier: GPL-2.0
/*
 * Reports servers whose connections are reset after they opened, in the name of the server or by
 * this host. Nothing opens then, so no other finding shows it. See bpf/reset.h.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "diagnose/causes.h"

/* Fewer resets are usual: a worker that crashes, a load balancer that drops a few idle sockets. */
#define MIN_RESETS 20

/* Fewer clients may have a fault of their own. */
#define MIN_CLIENTS 3

/* Resets are many from one in 20 connects to the server on. Fewer ones must be one event. */
#define MIN_SHARE 20

/* Smaller differences of TTLs come from the gateway itself, if both of its sides are watched. */
#define OTHER_TTL 2U

#define CLIENT_BITS 128

static unsigned int client_bits(const struct reset_server *r)
{
	return __builtin_popcountll(r->clients[0]) + __builtin_popcountll(r->clients[1]);
}

/* Formats the number of clients, estimated from the bitmap by linear counting. */
static const char *format_clients(char out[32], const struct reset_server *r)
{
	unsigned int empty = CLIENT_BITS - client_bits(r);

	if (empty)
		snprintf(out, 32, "about %.0f hosts",
			 -CLIENT_BITS * log((double)empty / CLIENT_BITS));
	else
		snprintf(out, 32, "several hundred hosts");
	return out;
}

/*
 * Returns the number of resets that count. A server that ends its own connections by RST does so
 * with those of this run as well: then only older ones count, if they are more.
 */
static uint32_t counted_resets(const struct reset_server *r, uint64_t connects)
{
	uint32_t here = r->opened_here + r->closes, old = r->resets - r->opened_here;

	if (!here || 2 * (uint64_t)here < connects)
		return r->resets;
	return old > here ? old : 0;
}

/* Returns true if half of the resets happened within RESET_WINDOW_NS. */
static bool is_burst(const struct reset_server *r)
{
	return r->burst >= MIN_RESETS && 2 * r->burst >= r->resets;
}

static const struct server *server_at(const struct context *g, const struct endpoint *e)
{
	size_t i;

	for (i = 0; i < g->server_count; i++)
		if (same_endpoint(&g->servers[i].endpoint, e))
			return &g->servers[i];
	return NULL;
}

static const char *format_ttls(char out[16], unsigned int low, unsigned int high)
{
	snprintf(out, 16, low == high ? "%u" : "%u to %u", low, high);
	return out;
}

static void add_ttl(const struct context *g, struct finding *f, const struct reset_server *r)
{
	const struct server *s = server_at(g, &f->peer);
	unsigned int low = 0xff, high = 0;
	char of_rsts[16], of_synacks[16];
	size_t i;

	for (i = 0; s && i < s->count; i++) {
		const struct connection *c = s->connects[i].c;

		if (c->synack == NEVER || c->synack_from_gateway)
			continue;
		low = c->synack_ttl < low ? c->synack_ttl : low;
		high = c->synack_ttl > high ? c->synack_ttl : high;
	}
	if (low > high || r->ttl_min > r->ttl_max)
		return;
	if (r->ttl_max + OTHER_TTL <= low || r->ttl_min >= high + OTHER_TTL)
		finding_line(
			f, "TTL",
			"the RSTs arrive with TTL %s, the SYN-ACKs of this server with %s: another device may send the RSTs in its name",
			format_ttls(of_rsts, r->ttl_min, r->ttl_max),
			format_ttls(of_synacks, low, high));
}

static void add_sender(struct finding *f, const struct reset_server *r, bool is_own)
{
	const char *here = is_own ? "by this host" : "by this gateway, in the server's name";

	if (r->by_gateway == r->resets)
		finding_line(f, "sent", "%s", here);
	else if (r->by_gateway)
		finding_line(f, "sent", "%" PRIu32 " %s, %" PRIu32 " from the side of the server",
			     r->by_gateway, here, r->resets - r->by_gateway);
	else
		finding_line(f, "sent", "from the side of the server");
	if (r->without_ack)
		finding_line(
			f, "",
			"%" PRIu32
			" RST%s no ACK flag, as in answer to a segment of a connection that the sender does not know (RFC 9293 3.10.7.1)",
			r->without_ack, r->without_ack == 1 ? " has" : "s have");
}

static void add_times(const struct context *g, struct finding *f, const struct reset_server *r)
{
	const struct session *s = g->session;
	char first[FORMAT_TIME], last[FORMAT_TIME];

	format_run_clock(first, &s->start, s->duration, r->first);
	format_run_clock(last, &s->start, s->duration, r->last);
	finding_line(f, "when", "%s to %s", first, last);
	if (!is_burst(r) || r->burst == r->resets)
		return;
	format_run_clock(first, &s->start, s->duration, r->burst_first);
	format_run_clock(last, &s->start, s->duration, r->burst_last);
	finding_line(f, "", "%" PRIu32 " of them from %s to %s", r->burst, first, last);
}

static void add_doubts(const struct context *g, struct finding *f, const struct reset_server *r)
{
	uint64_t missed = g->session->counters[COUNT_RESETS_NOT_COUNTED];

	finding_line(
		f, "against",
		"RSTs are counted, not the traffic before them: the answers to a scan by segments with ACK look the same");
	if (missed)
		finding_line(f, "", "%" PRIu64 " more resets, of any server, were not counted",
			     missed);
	if (r->by_client)
		finding_line(f, "", "the clients themselves reset %" PRIu32 " more", r->by_client);
}

static void add_action(struct finding *f, const struct reset_server *r, bool is_own)
{
	if (r->by_gateway * 2 > r->resets && !is_own)
		finding_line(
			f, "action",
			"check this gateway's rules that reject with an RST (nft list ruleset), and whether its conntrack entries were flushed or had timed out then");
	else if (r->without_ack * 2 <= r->resets)
		finding_line(f, "action",
			     "ask why the service closed them then: a restart, a crash, a limit");
	else if (is_burst(r))
		finding_line(
			f, "action",
			"check whether the server, or a firewall, NAT or load balancer in front of it, was restarted or failed over then");
	else
		finding_line(
			f, "action",
			"compare the idle timeouts of firewalls, NAT and load balancers on the way with the keep-alive interval of the clients");
}

static void report_resets(struct context *g, const struct reset_server *r)
{
	struct endpoint server = { .address = r->address, .port = r->port };
	const struct peer *p = model_peer(g->m, &server);
	uint64_t connects = p ? p->connections : 0;
	uint32_t resets = counted_resets(r, connects);
	bool is_own = session_is_own_address(g->session, &r->address);
	char peer[FORMAT_ENDPOINT], clients[32];
	struct finding *f;

	if (resets < MIN_RESETS || client_bits(r) < MIN_CLIENTS ||
	    ((uint64_t)resets * MIN_SHARE < connects && !is_burst(r)))
		return;
	f = finding_new(g, KIND_OLD_RESET,
			doubtful(CONFIDENCE_MEDIUM, "why they were reset is not on the wire"));
	if (!f)
		return;
	finding_set_peer(f, &server);
	finding_text(f, "%" PRIu32 " connections of %s to %s were reset that had been open before",
		     resets, format_clients(clients, r), format_endpoint(peer, &server));
	add_times(g, f, r);
	add_sender(f, r, is_own);
	add_ttl(g, f, r);
	add_doubts(g, f, r);
	add_action(f, r, is_own);
}

void cause_old_resets(struct context *g)
{
	unsigned int i;

	for (i = 0; i < g->session->reset_count; i++)
		report_resets(g, &g->session->resets[i]);
}
