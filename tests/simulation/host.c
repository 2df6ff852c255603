// SPDX-License-Identifier: GPL-2.0
#include "scenario.h"

#include <string.h>

#include "agenda.h"
#include "params.h"
#include "attempt.h"

enum purpose { DOCUMENT, RESOURCE, PRECONNECT, SPARE, IDLE, POOLED, OTHER };

enum phase { BEFORE_CONNECT, ESTABLISHED, AT_SEND };

/* A helper on one host. */
struct gate {
	const struct helper *helper;
	struct helper *truth;
	ns_t asks_after;
	ns_t release; /* of the current attempt, or of the last one */
	ns_t start; /* of that attempt */
	bool resolved; /* that attempt ended with an answer or an ICMP error; otherwise by giving up */
	ns_t visible_until; /* resolved then; or its client may be in connect() until then */
	ns_t pass_until;
	ns_t counted; /* the last release that was counted as locked */
	unsigned int turn; /* of round robin */
};

struct hold {
	ns_t start;
	ns_t release;
	bool resolved;
	ns_t visible_until;
};

struct socket {
	struct wire wire;
	size_t server;
	enum purpose purpose;
	enum phase phase;
	uint32_t page;
	unsigned int next_gate;
	ns_t asked; /* the time of connect() */
	ns_t use; /* the time of the first send; INT64_MAX if not known yet */
	ns_t closes; /* the time of the close without use */
	bool is_done; /* published */
	bool waited_for_page;
	unsigned int held_by; /* gates, as bits */
	struct hold holds[MAX_GATES];
};

struct page {
	uint32_t site;
	uint32_t waiting[MAX_WAITING];
	unsigned int waiting_count;
	ns_t document; /* its time of arrival, NEVER before it */
	ns_t far_side; /* the part of that time beyond the gateway, towards the server */
};

struct host {
	struct world *world;
	struct inhabitant *truth;
	struct draw draw;
	struct endpoint ip4;
	struct endpoint ip6;
	bool has_ip6;
	bool has_mac;
	bool linked; /* its two families are visibly one host */
	uint8_t mac[6];
	double round_trip;
	double loss;
	const struct schedule *schedule;
	uint16_t next_port;
	double thinks;
	double spare_thinks;
	double background_every;
	struct gate gates[MAX_GATES];
	unsigned int gate_count;
	bool telemetry[MAX_TELEMETRY];
	unsigned int telemetry_turn[MAX_TELEMETRY];
	double ip4_after;
	double health_every;
	double scans;

	struct agenda agenda;
	struct socket *sockets;
	size_t socket_count;
	size_t socket_room;
	struct page *pages;
	size_t page_count;
	size_t page_room;
};

static struct server *server_at(struct host *h, size_t index)
{
	return &h->world->p->servers[index];
}

/* ---- a host's events ---- */

static void after(struct host *h, ns_t at, enum event_kind kind, uint32_t a, uint32_t b)
{
	if (at <= h->world->p->end)
		agenda_add(&h->agenda, at, kind, a, b);
}

/* ---- the wire ---- */

static void publish(struct host *h, const struct wire *wire)
{
	population_publish(h->world->p, wire);
}

static void wire_between(struct host *h, struct wire *w, size_t server, bool ip6)
{
	struct server *s = server_at(h, server);

	wire_init(w);
	w->client = ip6 ? h->ip6 : h->ip4;
	w->client.port = h->next_port;
	h->next_port = h->next_port == 60999 ? 32768 : h->next_port + 1;
	w->server = ip6 ? s->ip6 : s->ip4;
	w->has_mac = h->has_mac;
	memcpy(w->mac, h->mac, sizeof(w->mac));
	w->round_trip = SECONDS(h->round_trip * (0.7 + draw_exponential(&h->draw, 0.3)));
	w->client_size = w->server.port == 443 ? 517 : 90 + (unsigned int)draw_below(&h->draw, 600);
	w->server_size = draw_chance(&h->draw, 0.6) ? (ip6 ? 1428 : 1448)
						    : 60 + (unsigned int)draw_below(&h->draw, 1200);
}

/*
 * Sends SYNs from this moment on, until one is answered or the program closes its socket. Returns
 * whether there was a handshake, and otherwise the moment at which connect() failed.
 */
static bool connects(struct host *h, struct wire *w, size_t server, ns_t at, double gives_up,
		     const struct schedule *schedule, ns_t *fails)
{
	struct world *world = h->world;
	struct server *s = server_at(h, server);
	ns_t back, syn = at;
	enum forwarding forwarding;
	unsigned int i;

	*fails = at +
		 SECONDS(gives_up < schedule->connect_fails ? gives_up : schedule->connect_fails);
	for (i = 0; i < schedule->count && (!i || schedule->at[i] < gives_up); i++) {
		if (i)
			syn = at + SECONDS(schedule->at[i] + draw_uniform(&h->draw, TIMER_LATE));
		w->syns[w->syn_count++] = syn;
		if (syn >= world->outage_from && syn < world->outage_to) {
			s->lost_in_outage += i > 0;
			continue;
		}
		forwarding = is_ip4(&w->server.address) ? s->forwarding : s->forwarding_ip6;
		if (forwarding != ANSWERS && syn >= s->forwarding_from && syn < s->forwarding_to)
			s->failed++;
		else if (draw_chance(&h->draw, world->far_loss))
			continue;
		else
			forwarding = ANSWERS;
		back = syn + (ns_t)((double)s->round_trip * (1 + draw_exponential(&h->draw, 0.03)));
		switch (forwarding) {
		case SILENT:
			continue;
		case REFUSES:
			w->refused = back;
			*fails = back + w->round_trip;
			return false;
		case UNREACHABLE:
			if (w->icmp == NEVER) {
				w->icmp = syn + s->unreachable_after;
				w->icmp_from = (struct address){ { 0, 0, IP4_PREFIX,
								   cpu_to_be32(0x0a000001) } };
				if (w->icmp - at < *fails - at) {
					*fails = w->icmp + w->round_trip;
					gives_up = (double)(w->icmp - at) / (double)SECOND_NS;
				}
			}
			continue;
		case ANSWERS:
			break;
		}
		s->answered++;
		w->synack = back;
		w->ack = back + w->round_trip;
		if (draw_chance(&h->draw, h->loss)) { /* the SYN-ACK was lost: both are repeated */
			if (w->syn_count < WIRE_SYNS)
				w->syns[w->syn_count++] = syn + SECONDS(1.004);
			w->synack_again = back + SECONDS(1.006);
			w->ack = w->synack_again + w->round_trip;
		}
		return true;
	}
	return false;
}

static double answer_of(struct host *h, const struct server *s)
{
	return draw_lognormal(&h->draw, s->answer, s->answer_spread);
}

/* The server's answer to a request; during an outage the request is repeated. */
static ns_t answered(struct host *h, struct wire *w, struct server *s, ns_t request, double takes)
{
	struct world *world = h->world;
	double wait = 0.2;
	ns_t sent = request;

	while ((sent >= world->outage_from && sent < world->outage_to) ||
	       draw_chance(&h->draw, world->far_loss)) {
		sent = request + SECONDS(wait);
		wait = wait * 2 + 0.2;
		w->client_retransmits++;
	}
	sent += s->round_trip + SECONDS(takes);
	s->late += sent - request >= STALL_NS;
	return sent;
}

/* An attempt of a program without a helper. Returns true if there was a handshake. */
static bool tries(struct host *h, size_t server, ns_t now, double gives_up)
{
	struct server *s = server_at(h, server);
	bool reached;
	struct wire w;
	ns_t fails;

	wire_between(h, &w, server, false);
	reached = connects(h, &w, server, now, gives_up, h->schedule, &fails);
	if (reached) {
		w.client_first = w.ack + SECONDS(0.0005);
		w.server_first = answered(h, &w, s, w.client_first, answer_of(h, s));
	}
	publish(h, &w);
	return reached;
}

/* Attempts one after another, at these servers in turn. Returns the end of the last one. */
static ns_t tries_in_turn(struct host *h, const size_t *servers, unsigned int count,
			  unsigned int attempts, ns_t now, double gives_up)
{
	unsigned int i;

	for (i = 0; i < attempts && now <= h->world->p->end; i++) {
		if (tries(h, servers[i % count], now, gives_up))
			break;
		now += SECONDS(gives_up + 0.003 * draw_unit(&h->draw));
	}
	return now;
}

/* ---- helpers ---- */

/*
 * An attempt of the helper, which it gives up at this moment. Returns true if the server answered.
 * Sets *over to the moment at which the helper learns the result, or gives up.
 */
static bool asks(struct host *h, struct gate *g, size_t server, ns_t at, ns_t gives_up, ns_t *over)
{
	const struct helper *helper = g->helper;
	struct server *s = server_at(h, server);
	struct wire w;
	ns_t fails;
	bool reached;

	wire_between(h, &w, server, false);
	reached =
		connects(h, &w, server, at,
			 helper->keeps_trying ? 1000 : (double)(gives_up - at) / (double)SECOND_NS,
			 helper->schedule ? helper->schedule : h->schedule, &fails);
	g->resolved = reached || w.icmp != NEVER;
	if (reached) {
		w.client_first = w.ack + SECONDS(0.0003);
		w.server_first = answered(h, &w, s, w.client_first,
					  helper->slow ? draw_lognormal(&h->draw, helper->answer,
									helper->answer_spread)
						       : 0.001);
		g->visible_until = w.server_first;
		*over = w.server_first + SECONDS(0.0001 + 0.01 * draw_unit(&h->draw));
	} else {
		g->visible_until = g->resolved ? w.icmp : wire_gap_bound(&w);
		*over = gives_up;
		if (fails < gives_up) /* the helper learns of the failure */
			*over = fails + SECONDS(0.0005 + 0.004 * draw_unit(&h->draw));
	}
	publish(h, &w);
	return reached;
}

/* Attempts at the same moment: the helper continues after an answer, or when all are over. */
static bool asks_together(struct host *h, struct gate *g, ns_t fails_open)
{
	const struct helper *helper = g->helper;
	bool reached = false;
	unsigned int i;
	ns_t over;

	for (i = 0; i < helper->server_count; i++) {
		reached = asks(h, g, helper->servers[i], g->start + SECONDS(0.0005 * i), fails_open,
			       &over);
		if (reached || over < g->release)
			g->release = over;
	}
	return reached;
}

/* A chain of attempts: the next one begins when the one before is over. */
static bool asks_in_turn(struct host *h, struct gate *g)
{
	const struct helper *helper = g->helper;
	ns_t at = g->start, part = helper->timer / helper->attempts;
	unsigned int i;
	bool reached = false;

	for (i = 0; i < helper->attempts && !reached; i++) {
		g->release = at + part + (ns_t)(draw_unit(&h->draw) * (double)helper->jitter);
		reached = asks(h, g, helper->servers[i % helper->server_count], at, g->release,
			       &g->release);
		at = g->release + SECONDS(0.0001 + 0.003 * draw_unit(&h->draw));
	}
	return reached;
}

/* The server refuses each attempt, and the helper tries until its timer ends. */
static bool asks_until_timer(struct host *h, struct gate *g, ns_t fails_open)
{
	const struct helper *helper = g->helper;
	ns_t at = g->start, over;

	while (at < fails_open && at <= h->world->p->end) {
		if (asks(h, g, helper->servers[0], at, fails_open, &over)) {
			g->release = over;
			return true;
		}
		at = over + SECONDS(helper->pause * (1 + 0.01 * draw_unit(&h->draw)));
	}
	g->resolved = false; /* another attempt was due after the last one */
	g->visible_until = at;
	return false;
}

/* The helper asks its servers; sets the end of the delay. */
static void ask(struct host *h, struct gate *g, ns_t now)
{
	const struct helper *helper = g->helper;
	bool reached = false;

	g->start =
		now + g->asks_after / 2 + (ns_t)(draw_unit(&h->draw) * (double)g->asks_after / 2);
	g->release =
		g->start + helper->timer + (ns_t)(draw_unit(&h->draw) * (double)helper->jitter);
	g->visible_until = NEVER;
	g->resolved = false;
	if (!helper->invisible) {
		switch (helper->pattern) {
		case TRIES_ONCE:
			reached = asks_together(h, g, g->release);
			break;
		case TRIES_AGAIN:
			reached = asks_in_turn(h, g);
			break;
		case TRIES_NEXT:
			reached = asks(h, g, helper->servers[g->turn++ % helper->server_count],
				       g->start, g->release, &g->release);
			break;
		case TRIES_REFUSED:
			reached = asks_until_timer(h, g, g->release);
			break;
		}
	}
	if (helper->mimic != NO_HELPER)
		tries(h, helper->mimic, g->start, (double)helper->timer / (double)SECOND_NS);
	g->pass_until = !reached || helper->slow ? g->release + helper->cache : g->release;
}

static bool is_held(struct host *h, const struct gate *g, const struct socket *s)
{
	const struct helper *helper = g->helper;

	if (helper->one_destination_in > 1 && s->server % helper->one_destination_in)
		return false;
	return helper->share >= 1 || draw_chance(&h->draw, helper->share);
}

/*
 * Passes the gates of its phase. Returns false if a gate stopped it; then it is tried again later.
 */
static bool passes_gates(struct host *h, uint32_t index, ns_t now)
{
	static const int held_in[] = {
		[HOLDS_CONNECT] = BEFORE_CONNECT, [HOLDS_ESTABLISHED] = ESTABLISHED, [HOLDS_SEND] = AT_SEND
	};
	struct socket *s = &h->sockets[index];
	struct gate *g;
	unsigned int i;

	while (s->next_gate < h->gate_count) {
		i = s->next_gate++;
		g = &h->gates[i];
		if (held_in[g->helper->holds] != (int)s->phase || !is_held(h, g, s))
			continue;
		if (!(g->helper->shared && now < g->release)) {
			if (now >= g->release && now < g->pass_until)
				continue;
			ask(h, g, now);
		}
		s->held_by |= 1U << i;
		s->holds[i] = (struct hold){ .start = g->start,
					     .release = g->release,
					     .resolved = g->resolved,
					     .visible_until = g->visible_until };
		after(h, g->release + SECONDS(0.001 * draw_unit(&h->draw)), PASSES_GATES, index, 0);
		return false;
	}
	s->next_gate = 0;
	return true;
}

/*
 * Counts the truth about a wait from..to that gates caused. A release counts as locked, by
 * construction, in this case: its attempt began within 50 ms before and 250 ms after the wait's
 * start, or continued then. It ended with the wait while its SYNs still showed it pending. Both are
 * visibly on one host.
 */
static void count_holds(struct host *h, const struct socket *s, ns_t from, ns_t to)
{
	const struct hold *hold;
	struct gate *g;
	unsigned int i, n;
	bool linked = h->linked || is_ip4(&s->wire.client.address);

	if (to - from < STALL_NS || to > h->world->p->end)
		return;
	for (i = 0; i < h->gate_count; i++) {
		g = &h->gates[i];
		hold = &s->holds[i];
		if (!(s->held_by & 1U << i) || hold->release < from)
			continue;
		g->truth->held++;
		h->truth->held_by |= 1U << (g->helper - h->world->p->helpers);
		for (n = 0; n < g->helper->server_count && !g->helper->invisible; n++)
			server_at(h, g->helper->servers[n])->held++;
		if (g->helper->invisible || !linked || to - hold->release > SECONDS(0.05) ||
		    hold->start - from > SECONDS(0.25) ||
		    (hold->resolved ? to - hold->visible_until > SECONDS(0.1)
				    : to > hold->visible_until))
			continue;
		if (g->counted == NEVER || hold->release - g->counted > SECONDS(0.1)) {
			g->truth->correlated++;
			g->counted = hold->release;
		}
	}
}

/* ---- sockets ---- */

static uint32_t opens(struct host *h, size_t server, enum purpose purpose, uint32_t page, ns_t now,
		      ns_t use)
{
	struct socket *s;

	GROW(h->sockets, h->socket_count, h->socket_room);
	s = &h->sockets[h->socket_count];
	memset(s, 0, sizeof(*s));
	s->server = server;
	s->purpose = purpose;
	s->page = page;
	s->asked = now;
	s->use = use;
	s->closes = INT64_MAX;
	after(h, now, PASSES_GATES, (uint32_t)h->socket_count, 0);
	return (uint32_t)h->socket_count++;
}

static void next_page(struct host *h, ns_t now)
{
	if (h->thinks > 0)
		after(h, now + SECONDS(draw_lognormal(&h->draw, h->thinks, THINKS_SPREAD)),
		      PAGE_STARTS, 0, 0);
}

static void socket_done(struct host *h, struct socket *s)
{
	publish(h, &s->wire);
	s->is_done = true;
}

static void socket_connects(struct host *h, uint32_t index, ns_t now)
{
	struct socket *s = &h->sockets[index];
	struct server *server = server_at(h, s->server);
	bool ip6 = h->has_ip6 && server->has_ip6;
	ns_t fails;

	count_holds(h, s, s->asked, now);
	s->held_by = 0;
	if (ip6 && server->forwarding_ip6 == SILENT) {
		wire_between(h, &s->wire, s->server, true);
		connects(h, &s->wire, s->server, now, h->ip4_after, h->schedule, &fails);
		publish(h, &s->wire);
		server->held_ip6 += h->ip4_after >= 1;
		now = fails;
		ip6 = false;
	}
	wire_between(h, &s->wire, s->server, ip6);
	if (connects(h, &s->wire, s->server, now, 1000, h->schedule, &fails)) {
		s->phase = ESTABLISHED;
		after(h, s->wire.ack, PASSES_GATES, index, 0);
		return;
	}
	socket_done(h, s);
	if (s->purpose == DOCUMENT)
		next_page(h, now + SECONDS(5));
}

/* The socket sends its request, and the answer arrives. */
static void socket_sends(struct host *h, uint32_t index, ns_t now)
{
	struct socket *s = &h->sockets[index];
	struct server *server = server_at(h, s->server);
	struct wire *w = &s->wire;
	double takes = answer_of(h, server), rto = w->syn_count > 1 ? 3 : 0.2;
	struct page *page = s->page == NONE ? NULL : &h->pages[s->page];

	count_holds(h, s, w->ack, now);
	if (s->purpose == PRECONNECT && s->waited_for_page && now - w->ack >= STALL_NS &&
	    page->far_side >= (now - w->ack) / 2)
		server_at(h, h->world->sites[page->site].document)->held++;
	while (draw_chance(&h->draw, h->loss)) { /* lost before the gateway */
		now += SECONDS(rto);
		rto *= 2;
	}
	w->client_first = now;
	w->server_first = answered(h, w, server, now, takes);
	if (s->purpose == DOCUMENT) {
		page->document = w->server_first;
		page->far_side = w->synack - w->syns[0] + w->server_first - w->client_first;
		after(h, w->server_first + SECONDS(0.001 + draw_exponential(&h->draw, 0.02)),
		      PAGE_FOLLOWS, s->page, 0);
		next_page(h, w->server_first);
	}
	socket_done(h, s);
}

/* The handshake is complete, no gate holds the socket: the program uses or closes it. */
static void socket_waits(struct host *h, uint32_t index, ns_t now)
{
	struct socket *s = &h->sockets[index];
	struct server *server = server_at(h, s->server);
	struct wire *w = &s->wire;

	if (server->speaks_first) {
		w->server_first = w->ack + SECONDS(server->greeting *
						   (1 + draw_exponential(&h->draw, 0.0005)));
		w->client_first = w->server_first + w->round_trip + SECONDS(0.002);
		socket_done(h, s);
		return;
	}
	if (s->use > now)
		s->held_by = 0; /* the gates caused no delay */
	if (s->purpose == PRECONNECT) {
		struct page *page = &h->pages[s->page];

		if (s->wire.server.port != 443 && /* TLS starts at once */
		    (page->document == NEVER || page->document > now)) {
			s->waited_for_page = true;
			if (page->waiting_count < MAX_WAITING)
				page->waiting[page->waiting_count++] = index;
			return;
		}
		s->use = now;
	}
	if (s->use >= s->closes) {
		w->client_fin = s->closes > now ? s->closes : now;
		w->server_fin = w->client_fin + server->round_trip;
		socket_done(h, s);
		return;
	}
	/* a program needs a moment, a busy one some more */
	s->use = s->use > now ? s->use : now + SECONDS(draw_lognormal(&h->draw, 0.0006, 1.2));
	after(h, s->use, WANTS_TO_SEND, index, 0);
}

static void socket_goes_on(struct host *h, uint32_t index, ns_t now)
{
	struct socket *s = &h->sockets[index];

	if (!passes_gates(h, index, now))
		return;
	switch (s->phase) {
	case BEFORE_CONNECT:
		socket_connects(h, index, now);
		break;
	case ESTABLISHED:
		s->phase = AT_SEND;
		socket_waits(h, index, now);
		break;
	case AT_SEND:
		socket_sends(h, index, now);
		break;
	}
}

/* ---- the programs of a host ---- */

static void telemetry_tries(struct host *h, size_t index, ns_t now)
{
	const struct telemetry *t = &h->world->telemetry[index];
	ns_t end = now + SECONDS(t->gives_up);
	unsigned int i;

	switch (t->pattern) {
	case TRIES_ONCE:
		for (i = 0; i < t->server_count; i++)
			tries(h, t->servers[i], now, t->gives_up);
		break;
	case TRIES_AGAIN:
		tries_in_turn(h, t->servers, t->server_count, t->attempts, now, t->gives_up);
		break;
	case TRIES_NEXT:
		tries(h, t->servers[h->telemetry_turn[index]++ % t->server_count], now,
		      t->gives_up);
		break;
	case TRIES_REFUSED:
		while (now < end && now <= h->world->p->end && !tries(h, t->servers[0], now, 3))
			now += SECONDS(t->pause * (1 + 0.01 * draw_unit(&h->draw)));
		break;
	}
}

static void page_tries(struct host *h, ns_t now, bool as_it_starts)
{
	struct world *w = h->world;
	size_t i;

	for (i = 0; i < w->telemetry_count; i++)
		if (h->telemetry[i] && w->telemetry[i].at_pages &&
		    w->telemetry[i].as_page_starts == as_it_starts)
			telemetry_tries(h, i, now + SECONDS(draw_exponential(&h->draw, 0.02)));
}

static void page_starts(struct host *h, ns_t now)
{
	struct world *w = h->world;
	uint32_t page = (uint32_t)h->page_count;
	struct site *site;
	struct page *p;
	unsigned int i;

	GROW(h->pages, h->page_count, h->page_room);
	p = &h->pages[h->page_count++];
	memset(p, 0, sizeof(*p));
	p->document = NEVER;
	/* some sites are visited more often than others */
	p->site = (uint32_t)((double)w->site_count * draw_unit(&h->draw) * draw_unit(&h->draw));
	site = &w->sites[p->site];

	opens(h, site->document, DOCUMENT, page, now, now);
	for (i = 0; i < site->preconnects; i++)
		opens(h, site->resources[i % site->resource_count], PRECONNECT, page,
		      now + SECONDS(0.003 * (i + draw_unit(&h->draw))), INT64_MAX);
	for (i = 0; i < 4 && draw_chance(&h->draw, w->spares / 4); i++) {
		size_t server = i ? site->resources[i % site->resource_count] : site->document;
		ns_t at = now + SECONDS(0.001 + draw_exponential(&h->draw, 0.05));
		uint32_t spare = opens(h, server, SPARE, NONE, at, at);

		if (server_at(h, server)->ip4.port == 443) /* speaks TLS at once */
			continue;
		h->sockets[spare].closes = at + SECONDS(draw_chance(&h->draw, 0.5) ? 10.01 : 60.02);
		h->sockets[spare].use =
			draw_chance(&h->draw, SPARE_IS_USED)
				? at + SECONDS(draw_lognormal(&h->draw, h->spare_thinks, 0.9))
				: INT64_MAX;
	}
	page_tries(h, now, true);
}

static void page_follows(struct host *h, uint32_t page, ns_t now)
{
	struct world *w = h->world;
	struct page *p = &h->pages[page];
	struct site *site = &w->sites[p->site];
	unsigned int i, count = (unsigned int)draw_uniform(&h->draw, PAGE);
	double lasts = draw_octave(&h->draw, PAGE_LASTS), at = 0;

	for (i = 0; i < p->waiting_count; i++) {
		h->sockets[p->waiting[i]].use = now;
		after(h, now + SECONDS(0.0005 * i), WANTS_TO_SEND, p->waiting[i], 0);
	}
	for (i = p->waiting_count + 1; i < count; i++) {
		at += draw_exponential(&h->draw, lasts / count);
		opens(h, site->resources[draw_below(&h->draw, site->resource_count)], RESOURCE,
		      NONE, now + SECONDS(at), now);
	}
	page_tries(h, now, false);
}

static void telemetry_due(struct host *h, uint32_t index, ns_t now)
{
	struct telemetry *t = &h->world->telemetry[index];

	telemetry_tries(h, index, now);
	after(h,
	      now + SECONDS(t->on_the_dot ? t->every + 0.002 * draw_unit(&h->draw)
					  : draw_exponential(&h->draw, t->every)),
	      TELEMETRY_DUE, index, 0);
}

static void idle_app_due(struct host *h, uint32_t index, ns_t now)
{
	struct idle_app *a = &h->world->idle_apps[index];

	double idle = a->spread > 0 ? draw_lognormal(&h->draw, a->idle, a->spread)
				    : a->idle + a->jitter * draw_unit(&h->draw);

	opens(h, a->server, IDLE, NONE, now, now + SECONDS(idle));
	if (a->with != NO_HELPER)
		tries_in_turn(h, &a->with, 1, a->attempts,
			      now + SECONDS(0.002 + 0.01 * draw_unit(&h->draw)),
			      a->idle / a->attempts);
	after(h, now + SECONDS(a->every), IDLE_APP_DUE, index, 0);
}

static void poll_due(struct host *h, ns_t now)
{
	struct world *w = h->world;
	double takes = w->poll_time;

	if (draw_chance(&h->draw, POLL_HAS_NEWS))
		takes *= draw_unit(&h->draw);
	server_at(h, w->poll_server)->answer = takes; /* of the connection that is opened now */
	opens(h, w->poll_server, OTHER, NONE, now, now);
	after(h, now + SECONDS(takes + 0.1), POLL_DUE, 0, 0);
}

static void pool_due(struct host *h, ns_t now)
{
	uint32_t s = opens(h, h->world->pool_server, POOLED, NONE, now, INT64_MAX);
	struct socket *socket = &h->sockets[s];
	double expires = POOL_TIMES[draw_below(&h->draw, COUNT(POOL_TIMES))];

	socket->closes = now + SECONDS(expires);
	if (draw_chance(&h->draw, 0.5))
		socket->use = now + SECONDS(draw_exponential(&h->draw, 30));
	after(h, (socket->use < socket->closes ? socket->use : socket->closes) + SECONDS(0.01),
	      POOL_DUE, 0, 0);
}

static void health_due(struct host *h, ns_t now)
{
	uint32_t s = opens(h, h->world->health_server, OTHER, NONE, now, INT64_MAX);

	h->sockets[s].closes = now + SECONDS(0.05);
	after(h, now + SECONDS(h->health_every), HEALTH_DUE, 0, 0);
}

static void scan_due(struct host *h, ns_t now)
{
	struct world *w = h->world;

	tries(h, w->scanned + draw_below(&h->draw, w->scanned_count), now,
	      draw_octave(&h->draw, GIVES_UP));
	after(h, now + SECONDS(draw_exponential(&h->draw, 1 / h->scans)), SCAN_DUE, 0, 0);
}

static void failover_due(struct host *h, ns_t now)
{
	struct world *w = h->world;

	struct population *p = w->p;
	ns_t live = tries_in_turn(h, p->failover_dead, p->failover_dead_count, p->failover_attempts,
				  now, w->failover_after);
	unsigned int i;

	if (live <= p->end) {
		for (i = 0; i < p->failover_dead_count; i++)
			server_at(h, p->failover_dead[i])->held++;
		p->failovers++;
	}
	opens(h, w->failover, OTHER, NONE, live, live);
	after(h, live + SECONDS(draw_exponential(&h->draw, 60)), FAILOVER_DUE, 0, 0);
}

static void happens(struct host *h, const struct event *e)
{
	struct world *w = h->world;
	ns_t later = e->at + SECONDS(draw_exponential(&h->draw, 60));

	switch (e->kind) {
	case PAGE_STARTS:
		page_starts(h, e->at);
		break;
	case PAGE_FOLLOWS:
		page_follows(h, e->a, e->at);
		break;
	case PASSES_GATES:
	case WANTS_TO_SEND:
		socket_goes_on(h, e->a, e->at);
		break;
	case TELEMETRY_DUE:
		telemetry_due(h, e->a, e->at);
		break;
	case BACKGROUND_DUE:
		opens(h, w->sites[draw_below(&h->draw, w->site_count)].document, OTHER, NONE, e->at,
		      e->at);
		after(h, e->at + SECONDS(draw_exponential(&h->draw, h->background_every)), e->kind,
		      0, 0);
		break;
	case IDLE_APP_DUE:
		idle_app_due(h, e->a, e->at);
		break;
	case POLL_DUE:
		poll_due(h, e->at);
		break;
	case POOL_DUE:
		pool_due(h, e->at);
		break;
	case HEALTH_DUE:
		health_due(h, e->at);
		break;
	case HEALTH_DEAD_DUE:
		tries(h, w->health_dead, e->at, 3);
		after(h, e->at + SECONDS(h->health_every + 0.002 * draw_unit(&h->draw)), e->kind, 0,
		      0);
		break;
	case SCAN_DUE:
		scan_due(h, e->at);
		break;
	case GREETER_DUE:
		opens(h, draw_chance(&h->draw, 0.5) ? w->greeter : w->late_greeter, OTHER, NONE,
		      e->at, e->at);
		after(h, later, e->kind, 0, 0);
		break;
	case REFUSER_DUE:
		tries(h, e->a, e->at, draw_octave(&h->draw, GIVES_UP));
		after(h, later, e->kind, e->a, 0);
		break;
	case CUT_DUE:
		tries(h, w->cut[draw_below(&h->draw, w->cut_count)], e->at,
		      draw_octave(&h->draw, GIVES_UP));
		after(h, later, e->kind, 0, 0);
		break;
	case FAILOVER_DUE:
		failover_due(h, e->at);
		break;
	}
}

/* ---- hosts ---- */

static ns_t at_start(struct host *h, double within)
{
	double run = (double)h->world->p->end / (double)SECOND_NS;

	return SECONDS(draw_unit(&h->draw) * (within < run ? within : run));
}

static void host_draws(struct host *h, unsigned int number)
{
	struct world *w = h->world;
	unsigned int i;

	h->ip4 = endpoint4(0x0a010000 + number + 2, 0);
	h->has_mac = !w->no_mac;
	h->has_ip6 = number >= w->behind_router && draw_chance(&h->draw, w->dual_stack);
	h->linked = h->has_mac;
	h->ip6.address =
		(struct address){ { cpu_to_be32(0x20010db8), 0, (uint32_t)draw_bits(&h->draw),
				    cpu_to_be32(number + 2) } };
	if (h->has_mac) {
		h->mac[0] = 2;
		h->mac[4] = number < w->behind_router ? 0xff : (uint8_t)(number >> 8);
		h->mac[5] = number < w->behind_router ? 0xff : (uint8_t)number;
	}
	h->round_trip = draw_octave(&h->draw, LAN_ROUND_TRIP);
	h->loss = draw_chance(&h->draw, w->lossy) ? draw_octave(&h->draw, LOSS) : 0;
	h->schedule = &schedules[draw_below(&h->draw, SCHEDULES_OF_HOSTS)];
	h->next_port = (uint16_t)(32768 + draw_below(&h->draw, 20000));
	h->thinks = draw_chance(&h->draw, BROWSES) ? draw_octave(&h->draw, THINKS) : 0;
	h->spare_thinks = draw_octave(&h->draw, SPARE_THINKS);
	h->background_every =
		draw_chance(&h->draw, BACKGROUND) ? draw_octave(&h->draw, BACKGROUND_EVERY) : 0;
	for (i = 0; i < w->p->helper_count; i++) {
		struct helper *helper = &w->p->helpers[i];

		if (!draw_chance(&h->draw, w->helper_hosts[i]))
			continue;
		helper->hosts++;
		h->gates[h->gate_count++] = (struct gate){
			.helper = helper,
			.truth = helper,
			.asks_after = SECONDS(draw_octave(&h->draw, ASKS_AFTER)),
			.turn = (unsigned int)draw_below(&h->draw, MAX_TRIED),
			.release = NEVER,
			.pass_until = NEVER,
			.counted = NEVER,
		};
	}
	for (i = 0; i < w->telemetry_count; i++) {
		h->telemetry[i] = draw_chance(&h->draw, w->telemetry[i].hosts);
		h->telemetry_turn[i] = (unsigned int)draw_below(&h->draw, MAX_TRIED);
	}
	h->ip4_after = w->ip4_after;
	if (w->eyes_mixed)
		h->ip4_after = IP4_AFTER[draw_below(&h->draw, COUNT(IP4_AFTER))];
}

static void host_begins(struct host *h)
{
	struct world *w = h->world;
	unsigned int i, n;

	if (h->thinks > 0)
		after(h, at_start(h, h->thinks), PAGE_STARTS, 0, 0);
	if (h->background_every > 0)
		after(h, at_start(h, h->background_every), BACKGROUND_DUE, 0, 0);
	for (i = 0; i < w->telemetry_count; i++)
		if (h->telemetry[i] && !w->telemetry[i].at_pages)
			after(h, at_start(h, w->telemetry[i].every), TELEMETRY_DUE, i, 0);
	for (i = 0; i < w->idle_app_count; i++)
		if (draw_chance(&h->draw, w->idle_apps[i].hosts))
			after(h, at_start(h, w->idle_apps[i].every), IDLE_APP_DUE, i, 0);
	if (w->poll_server != NO_HELPER && draw_chance(&h->draw, 0.3))
		after(h, at_start(h, 10), POLL_DUE, 0, 0);
	if (w->pool_server != NO_HELPER && draw_chance(&h->draw, 0.15)) {
		n = (unsigned int)draw_uniform(&h->draw, POOL);
		for (i = 0; i < n; i++)
			after(h, at_start(h, 5), POOL_DUE, 0, 0);
	}
	if (w->health_server != NO_HELPER && draw_chance(&h->draw, 0.1)) {
		h->health_every = draw_octave(&h->draw, HEALTH_EVERY);
		after(h, at_start(h, h->health_every), HEALTH_DUE, 0, 0);
		if (w->health_dead != NO_HELPER)
			after(h, at_start(h, h->health_every), HEALTH_DEAD_DUE, 0, 0);
	}
	if (w->scanned_count && draw_chance(&h->draw, 0.1)) {
		h->scans = draw_octave(&h->draw, SCANS);
		h->truth->scans = true;
		after(h, at_start(h, 10), SCAN_DUE, 0, 0);
	}
	if (w->greeter != NO_HELPER && draw_chance(&h->draw, 0.3))
		after(h, at_start(h, 60), GREETER_DUE, 0, 0);
	if (w->refuser != NO_HELPER && draw_chance(&h->draw, 0.3))
		after(h, at_start(h, 60), REFUSER_DUE, (uint32_t)w->refuser, 0);
	if (w->unreachable != NO_HELPER && draw_chance(&h->draw, 0.3))
		after(h, at_start(h, 60), REFUSER_DUE, (uint32_t)w->unreachable, 0);
	if (w->cut_count && draw_chance(&h->draw, 0.4))
		after(h, at_start(h, 60), CUT_DUE, 0, 0);
	if (w->failover_after > 0 && draw_chance(&h->draw, 0.3))
		after(h, at_start(h, 60), FAILOVER_DUE, 0, 0);
}

struct host *host_new(struct world *w)
{
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	h->world = w;
	return h;
}

void host_free(struct host *h)
{
	free(h->agenda.at);
	free(h->sockets);
	free(h->pages);
	free(h);
}

void host_runs(struct host *h, unsigned int number)
{
	struct host fresh = { .world = h->world,
			      .truth = &h->world->p->hosts[number],
			      .draw = { .state = draw_bits(&h->world->draw) },
			      .agenda = { .at = h->agenda.at, .room = h->agenda.room },
			      .sockets = h->sockets,
			      .socket_room = h->socket_room,
			      .pages = h->pages,
			      .page_room = h->page_room };
	struct event e;
	size_t i;

	*h = fresh;
	host_draws(h, number);
	*h->truth = (struct inhabitant){ .ip4 = h->ip4.address,
					 .lossy = h->loss > 0,
					 .has_mac = h->has_mac,
					 .round_trip = SECONDS(h->round_trip) };
	memcpy(h->truth->mac, h->mac, sizeof(h->mac));
	if (h->has_ip6)
		h->truth->ip6 = h->ip6.address;
	host_begins(h);
	while (agenda_next(&h->agenda, &e))
		happens(h, &e);
	for (i = 0; i < h->socket_count; i++) /* sockets that are open at the end */
		if (h->sockets[i].wire.syn_count && !h->sockets[i].is_done)
			publish(h, &h->sockets[i].wire);
}
