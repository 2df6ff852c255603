// SPDX-License-Identifier: GPL-2.0
#include "population.h"

#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "wire.h"

/*
 * ---- the ranges ----
 *
 * Committed before the rules of the diagnosis were tuned. Seconds, unless another unit is said; a
 * chance is between 0 and 1. "octave" ranges are drawn so that each octave is as likely.
 */

/* The network. */
static const struct range HOSTS = { 3, 120 }; /* octave: a flat, an office, a floor */
static const struct range RUN = { 60, 1800 }; /* octave: what an engineer has the patience for */
static const double NO_MAC = 0.1; /* of populations: the interface is a tunnel, all are addresses */
static const double BEHIND_ROUTER = 0.15; /* of populations: some hosts share a router's MAC */
static const double DUAL_STACK = 0.5; /* of populations: some of their hosts have IPv6, too */
static const struct range LAN_ROUND_TRIP = { 0.0001, 0.04 }; /* octave, per host: cable to Wi-Fi */
static const struct range WAN_ROUND_TRIP = { 0.001, 0.3 }; /* octave, per server */
static const struct range FAR_LOSS = { 0.00001, 0.02 }; /* octave: of SYNs and requests */

/* Culprits: chances of none, one, two and three helpers. */
static const double HELPERS[] = { 0.25, 0.45, 0.2, 0.1 };
static const double ALL_HOSTS = 0.1; /* all hosts have the helper: nobody to compare with */
static const struct range SHARE_OF_HOSTS = { 0.05, 0.95 };
static const double SLOW = 0.25; /* of helpers: their server answers, late */
static const struct range SLOW_ANSWER = { 0.8, 20 }; /* octave: the median */
static const struct range SLOW_SPREAD = { 0, 0.6 }; /* of its logarithm: constant to broad */
static const double BY_ICMP = 0.1; /* of the dead ones: ICMP host unreachable after about 3 s */
static const double HOLDS_CONNECTS = 0.15; /* of the dead ones: they hold connect() itself */
static const double ASKS_AT_SEND = 0.5; /* they ask at the first send, not when established */
static const double PAIR = 0.15; /* of helpers: two servers are tried in the same moments */
static const double DIES_LATER = 0.25; /* of the dead ones: until some moment they answered */
static const double TIMERS[] = { 1.5, 2, 3, 5, 7, 9, 10, 15, 21, 30 }; /* fail open after */
static const double ODD_TIMER = 0.35; /* or any time at all: */
static const struct range TIMER = { 1.2, 40 }; /* octave */
static const struct range TIMER_JITTER = { 0.0001, 0.03 }; /* octave: at most so much later */
static const struct range ASKS_AFTER = { 0.0001, 0.02 }; /* octave: from the ACK to its SYN */
static const double KEEPS_TRYING = 0.1; /* their attempt goes on after they failed open */
static const double CACHES = 0.3; /* they remember for a while that the server is dead: */
static const struct range CACHE = { 1, 120 }; /* octave */
static const double SHARED = 0.5; /* one attempt for all sockets that wait at the moment */
static const double HOLDS_SOME = 0.3; /* they hold a share of connections only: */
static const struct range SHARE_HELD = { 0.2, 1 };
static const double HOLDS_DESTINATIONS = 0.2; /* they hold one destination in so many only: */
static const struct range ONE_DESTINATION_IN = { 2, 4 };
static const double INVISIBLE = 0.1; /* of populations have one that asks in a way not seen here */

/* SYNs that are not answered. The kernel's timers are late by some ms. */
struct schedule {
	const char *name;
	unsigned int count;
	double at[WIRE_SYNS];
	double connect_fails; /* the host's own connect() ends then */
};

static const struct schedule schedules[] = {
	{ "0 1 3 7", 7, { 0, 1, 3, 7, 15, 31, 63 }, 127 },
	{ "0 1 2 3 4 5 7", 11, { 0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67 }, 131 },
	{ "0 3 9", 3, { 0, 3, 9 }, 21 },
	{ "once", 1, { 0 }, 3 },
};

#define SCHEDULES_OF_HOSTS 3
static const double ONE_SYN = 0.1; /* of helpers send one SYN only, whatever their host does */
static const struct range TIMER_LATE = { 0, 0.015 };

/* Innocent noise. Each chance is of populations to have it, of hosts to take part in it. */
static const double BROWSES = 0.85; /* of hosts */
static const struct range THINKS = { 4, 90 }; /* octave: median between two pages, per host */
static const double THINKS_SPREAD = 1;
static const struct range SITES = { 5, 80 }; /* octave */
static const struct range PAGE = { 3, 30 }; /* connections of a page load */
static const struct range PAGE_LASTS = { 0.2, 4 }; /* they come as a Poisson process within */
static const double ENCRYPTED = 0.6; /* of sites: a spare socket there speaks at once */
static const struct range WEB_ANSWER = { 0.002, 0.5 }; /* octave: median */
static const double SLOW_SITE = 0.08; /* of sites: the document itself takes */
static const struct range SLOW_SITE_ANSWER = { 0.8, 6 }; /* octave: median */
static const double PRECONNECTS = 0.5; /* of sites: sockets that wait for the document */
static const double SPARES = 0.7; /* of populations: browsers open spare sockets, at a page load */
static const struct range SPARES_A_PAGE = { 0.1, 1.5 }; /* mean */
static const double SPARE_IS_USED = 0.4; /* after thinking time; else they are closed */
static const struct range SPARE_THINKS = { 1.5, 20 }; /* octave: median, per host */
static const double BACKGROUND = 0.7; /* of hosts have programs that fetch something now and then */
static const struct range BACKGROUND_EVERY = { 5, 120 }; /* octave: mean */
static const unsigned int DEAD_PEERS = 4; /* at most, that telemetry tries, in a population */
static const struct range TELEMETRY_FAST = { 5, 30 };
static const struct range TELEMETRY_SLOW = { 60, 600 }; /* octave */
static const double TELEMETRY_ON_THE_DOT = 0.6; /* of them: strictly periodic; else at random */
static const struct range GIVES_UP = { 1.5, 30 }; /* octave: when its program closes the socket */
static const double DEAD_AD = 0.25; /* of populations: every page of every host tries it */
static const double IDLE_TIMERS = 0.4; /* of populations: connections first used after a fixed */
static const double IDLE_TIMES[] = { 5, 10, 15, 20, 30, 60 };
static const struct range IDLE_JITTER = { 0.001, 0.03 }; /* octave */
static const struct range REOPENED_EVERY = { 20, 300 }; /* octave */
static const double TELEMETRY_LIKE_IDLE = 0.5; /* of those: a dead peer tried in the same rhythm */
static const double POOLS = 0.3;
static const struct range POOL = { 4, 20 }; /* connections */
static const double POOL_TIMES[] = { 10, 60, 300 }; /* unused, they expire and are made anew */
static const double HEALTH_CHECKS = 0.3;
static const struct range HEALTH_EVERY = { 1, 30 }; /* octave */
static const double SCANNERS = 0.2;
static const struct range SCANNED = { 20, 2000 }; /* octave: peers */
static const struct range SCANNED_DEAD = { 0.6, 1 }; /* of them */
static const struct range SCANS = { 0.1, 10 }; /* octave: a second, in bursts while it runs */
static const double LOSSY = 0.25;
static const struct range LOSS = { 0.01, 0.15 }; /* octave: of a lossy host's segments */
static const double GREETERS = 0.3; /* servers that speak first; some of them late */
static const double GREETINGS[] = { 5, 10, 30 };
static const double REFUSING = 0.3; /* tried now and then by some hosts */
static const double UNREACHABLES = 0.2;
static const double VPN_CUT = 0.15; /* several private servers are silent from some moment on */
static const double OUTAGE = 0.12; /* of the provider: nothing beyond the gateway answers for */
static const struct range OUTAGE_LASTS = { 3, 45 }; /* octave */
static const double BROKEN_IP6 = 0.25; /* of dual-stack ones: some sites are silent over IPv6 */
static const double IP4_AFTER[] = { 0.25, 0.3, 1, 3, 21 };
static const double FAILOVER = 0.12; /* the first of two servers is silent, the second is tried */
static const struct range FAILOVER_AFTER = { 1.2, 30 }; /* octave */

/* ---- the end of the ranges ---- */

#define MAX_GATES 4
#define MAX_WAITING 6
#define MAX_TELEMETRY 8
#define SECONDS(s) ((ns_t)((s) * (double)SECOND_NS))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NONE UINT32_MAX
#define STALL_NS ((ns_t)SECOND_NS)

struct site {
	size_t document;
	size_t resources[8];
	unsigned int resource_count;
	unsigned int preconnects;
};

struct telemetry {
	size_t server;
	double every;
	bool on_the_dot;
	double gives_up;
	double hosts; /* share */
	bool at_pages; /* rather than by the clock */
	bool as_page_starts; /* else with its resources */
};

struct idle_app {
	size_t server;
	double idle;
	double jitter;
	double every;
	double hosts;
	size_t with; /* an impostor's: tried in the same moment */
};

/* What the hosts of one population have in common. */
struct world {
	struct population *p;
	struct draw draw;
	struct site *sites;
	size_t site_count;
	struct telemetry telemetry[MAX_TELEMETRY];
	size_t telemetry_count;
	struct idle_app idle_apps[2];
	size_t idle_app_count;
	double helper_hosts[MAX_GATES];
	double spares; /* mean, a page */
	double far_loss;
	ns_t outage_from;
	ns_t outage_to;
	size_t pool_server;
	size_t health_server;
	size_t greeter;
	size_t late_greeter;
	size_t refuser;
	size_t unreachable;
	size_t failover[2];
	double failover_after;
	double ip4_after;
	size_t cut[6];
	size_t cut_count;
	size_t scanned; /* the first of so many servers */
	size_t scanned_count;
	bool no_mac;
	unsigned int behind_router; /* so many of the first hosts */
	double dual_stack;
	double lossy;
	uint32_t next_address;
};

enum purpose { DOCUMENT, RESOURCE, PRECONNECT, SPARE, IDLE, POOLED, OTHER };

enum phase { BEFORE_CONNECT, ESTABLISHED, AT_SEND };

/* A helper on one host. */
struct gate {
	const struct helper *helper;
	struct helper *truth;
	ns_t asks_after;
	ns_t release; /* of the attempt that goes on, or has ended last */
	ns_t start; /* of that attempt */
	ns_t visible_until; /* its client may be in connect() until then, as its SYNs show */
	ns_t pass_until;
	ns_t counted; /* the release that was counted last as locked */
};

struct hold {
	ns_t start;
	ns_t release;
	ns_t visible_until;
};

struct socket {
	struct wire wire;
	size_t server;
	enum purpose purpose;
	enum phase phase;
	uint32_t page;
	unsigned int next_gate;
	ns_t asked; /* when connect() was called */
	ns_t use; /* when the program wants to send; INT64_MAX: it does not know yet */
	ns_t closes; /* unused */
	bool is_done; /* published */
	unsigned int held_by; /* gates, as bits */
	struct hold holds[MAX_GATES];
};

struct page {
	uint32_t site;
	uint32_t waiting[MAX_WAITING];
	unsigned int waiting_count;
	ns_t document; /* when it came, NEVER: not yet */
	double answer; /* how much of that was the server's */
};

enum event_kind {
	PAGE_STARTS,
	PAGE_FOLLOWS, /* its document has come */
	PASSES_GATES,
	WANTS_TO_SEND,
	TELEMETRY_DUE,
	BACKGROUND_DUE,
	IDLE_APP_DUE,
	POOL_DUE,
	HEALTH_DUE,
	SCAN_DUE,
	GREETER_DUE,
	REFUSER_DUE,
	CUT_DUE,
	FAILOVER_DUE,
};

struct event {
	ns_t at;
	uint32_t order; /* of what is due at the same moment */
	enum event_kind kind;
	uint32_t a;
	uint32_t b;
};

struct host {
	struct world *world;
	struct draw draw;
	struct endpoint ip4;
	struct endpoint ip6;
	bool has_ip6;
	bool has_mac;
	bool linked; /* its two families are seen to be one host */
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
	double health_every;
	double scans;

	struct event *events; /* a heap */
	size_t event_count;
	size_t event_room;
	uint32_t event_order;
	struct socket *sockets;
	size_t socket_count;
	size_t socket_room;
	struct page *pages;
	size_t page_count;
	size_t page_room;
};

static void *grow(void *at, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return at;
	*room = *room ? *room * 2 : 256;
	at = realloc(at, *room * size);
	if (!at)
		abort();
	return at;
}

#define GROW(at, count, room) ((at) = grow(at, count, &(room), sizeof(*(at))))

#define TELL(p, ...)                                        \
	do {                                                \
		if ((p)->story)                             \
			fprintf((p)->story, ##__VA_ARGS__); \
	} while (0)

static const char *words(const struct endpoint *e)
{
	static char text[4][24];
	static unsigned int next;
	uint32_t ip = swap32(e->address.word[3]);
	char *at = text[next++ % 4];

	snprintf(at, sizeof(text[0]), "%u.%u.%u.%u:%u", ip >> 24, ip >> 16 & 0xff, ip >> 8 & 0xff,
		 ip & 0xff, e->port);
	return at;
}

/* ---- servers ---- */

static struct endpoint endpoint4(uint32_t ip, uint16_t port)
{
	return (struct endpoint){ .address = { { 0, 0, IP4_PREFIX, swap32(ip) } }, .port = port };
}

static size_t server_new(struct world *w, uint32_t ip, uint16_t port)
{
	struct population *p = w->p;
	struct server *s;

	GROW(p->servers, p->server_count, p->server_room);
	s = &p->servers[p->server_count];
	memset(s, 0, sizeof(*s));
	s->ip4 = endpoint4(ip, port);
	s->fated_from = 0;
	s->round_trip = SECONDS(draw_octave(&w->draw, WAN_ROUND_TRIP));
	s->unreachable_after = s->round_trip;
	s->answer = draw_octave(&w->draw, WEB_ANSWER);
	s->answer_spread = 0.4;
	s->helper = NO_HELPER;
	return p->server_count++;
}

/* Public addresses are scattered, as they are. */
static size_t server_anywhere(struct world *w, uint16_t port)
{
	uint32_t ip = ++w->next_address * 2654435761U; /* a permutation: none comes twice */

	return server_new(w, (ip & 0x3fffffff) | 0x40000000, port);
}

static size_t server_private(struct world *w, uint16_t port)
{
	return server_new(w, 0x0ac80000 + (++w->next_address << 4) + 9, port); /* 10.200/16 */
}

static size_t server_fated(struct world *w, uint16_t port, enum fate fate)
{
	size_t s = draw_chance(&w->draw, 0.5) ? server_private(w, port) : server_anywhere(w, port);

	w->p->servers[s].fate = fate;
	return s;
}

static struct server *server_at(struct host *h, size_t index)
{
	return &h->world->p->servers[index];
}

/* ---- a host's events: a heap ---- */

static bool is_earlier(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void after(struct host *h, ns_t at, enum event_kind kind, uint32_t a, uint32_t b)
{
	struct event new = { .at = at, .order = h->event_order++, .kind = kind, .a = a, .b = b };
	size_t i, up;

	if (at > h->world->p->end)
		return;
	GROW(h->events, h->event_count, h->event_room);
	for (i = h->event_count++; i; i = up) {
		up = (i - 1) / 2;
		if (!is_earlier(&new, &h->events[up]))
			break;
		h->events[i] = h->events[up];
	}
	h->events[i] = new;
}

static bool next_event(struct host *h, struct event *next)
{
	struct event last;
	size_t i, down;

	if (!h->event_count)
		return false;
	*next = h->events[0];
	last = h->events[--h->event_count];
	for (i = 0;; i = down) {
		down = 2 * i + 1;
		if (down >= h->event_count)
			break;
		if (down + 1 < h->event_count && is_earlier(&h->events[down + 1], &h->events[down]))
			down++;
		if (!is_earlier(&h->events[down], &last))
			break;
		h->events[i] = h->events[down];
	}
	h->events[i] = last;
	return true;
}

/* ---- the wire ---- */

static void publish(struct host *h, const struct wire *wire)
{
	struct population *p = h->world->p;

	GROW(p->connections, p->connection_count, p->connection_room);
	if (wire_settle(&p->connections[p->connection_count], wire, p->end))
		p->connection_count++;
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
 * SYNs from the moment on, until one is answered or the program closes its socket. Answers whether
 * there was a handshake, and when connect() failed otherwise.
 */
static bool connects(struct host *h, struct wire *w, size_t server, ns_t at, double gives_up,
		     const struct schedule *schedule, ns_t *fails)
{
	struct world *world = h->world;
	struct server *s = server_at(h, server);
	ns_t back, syn = at;
	enum fate fate;
	unsigned int i;

	*fails = at +
		 SECONDS(gives_up < schedule->connect_fails ? gives_up : schedule->connect_fails);
	for (i = 0; i < schedule->count && (!i || schedule->at[i] < gives_up); i++) {
		if (i)
			syn = at + SECONDS(schedule->at[i] + draw_uniform(&h->draw, TIMER_LATE));
		w->syns[w->syn_count++] = syn;
		if (syn >= world->outage_from && syn < world->outage_to) {
			s->failed += i > 0;
			continue;
		}
		fate = is_ip4(&w->server.address) ? s->fate : s->fate_ip6;
		if (fate != ANSWERS && syn >= s->fated_from)
			s->failed++;
		else if (draw_chance(&h->draw, world->far_loss))
			continue;
		else
			fate = ANSWERS;
		back = syn + (ns_t)((double)s->round_trip * (1 + draw_exponential(&h->draw, 0.03)));
		switch (fate) {
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
								   swap32(0x0a000001) } };
				if (w->icmp - at < *fails - at) {
					*fails = w->icmp + w->round_trip;
					gives_up = (double)(w->icmp - at) / (double)SECOND_NS;
				}
			}
			continue;
		case ANSWERS:
			break;
		}
		w->synack = back;
		w->ack = back + w->round_trip;
		if (draw_chance(&h->draw, h->loss)) { /* the SYN-ACK was lost: both come again */
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

/* The server's answer to a request; during an outage the request is sent again and again. */
static ns_t answered(struct host *h, struct wire *w, const struct server *s, ns_t request,
		     double takes)
{
	struct world *world = h->world;
	double wait = 0.2;
	ns_t sent = request;

	while ((sent >= world->outage_from && sent < world->outage_to) ||
	       draw_chance(&h->draw, world->far_loss)) {
		sent = request + SECONDS(wait);
		wait = wait * 2 + 0.2;
		w->client_again++;
	}
	return sent + s->round_trip + SECONDS(takes);
}

/* An attempt of a program that no helper looks at. */
static void tries(struct host *h, size_t server, ns_t now, double gives_up)
{
	struct server *s = server_at(h, server);
	struct wire w;
	ns_t fails;

	wire_between(h, &w, server, false);
	if (connects(h, &w, server, now, gives_up, h->schedule, &fails)) {
		w.client_first = w.ack + SECONDS(0.0005);
		w.server_first = answered(h, &w, s, w.client_first, answer_of(h, s));
	}
	publish(h, &w);
}

/* ---- helpers ---- */

/* Until when may its client still be in connect(), as far as the SYNs tell? */
static ns_t gap_bound(const struct wire *w)
{
	unsigned int n = w->syn_count;

	if (n < 2)
		return w->syns[0] + SECONDS(3);
	return w->syns[n - 1] + 2 * (w->syns[n - 1] - w->syns[n - 2]);
}

/* The helper asks its servers; sets until when it holds what waits. */
static void ask(struct host *h, struct gate *g, ns_t now)
{
	const struct helper *helper = g->helper;
	ns_t fails_open, fails, answer = NEVER;
	struct server *s;
	struct wire w;
	unsigned int i;
	bool reached = false;

	g->start =
		now + g->asks_after / 2 + (ns_t)(draw_unit(&h->draw) * (double)g->asks_after / 2);
	fails_open =
		g->start + helper->timer + (ns_t)(draw_unit(&h->draw) * (double)helper->jitter);
	g->release = fails_open;
	g->visible_until = NEVER;
	for (i = 0; i < helper->server_count && !helper->invisible; i++) {
		ns_t at = g->start + SECONDS(0.0005 * i);

		s = server_at(h, helper->servers[i]);
		wire_between(h, &w, helper->servers[i], false);
		reached = connects(
			h, &w, helper->servers[i], at,
			helper->keeps_trying ? 1000 : (double)(fails_open - at) / (double)SECOND_NS,
			helper->schedule ? helper->schedule : h->schedule, &fails);
		if (reached) {
			w.client_first = w.ack + SECONDS(0.0003);
			answer = answered(h, &w, s, w.client_first,
					  helper->slow ? draw_lognormal(&h->draw, helper->answer,
									helper->answer_spread)
						       : 0.001);
			w.server_first = answer;
			g->release = answer + SECONDS(0.0001 + 0.01 * draw_unit(&h->draw));
			g->visible_until = answer;
		} else {
			if (fails < g->release) /* it hears so, and lets go */
				g->release = fails + SECONDS(0.0005 + 0.004 * draw_unit(&h->draw));
			g->visible_until = w.icmp != NEVER ? w.icmp : gap_bound(&w);
		}
		publish(h, &w);
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

/* Goes through the gates of its phase; false: it has been stopped, and comes again. */
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
					     .visible_until = g->visible_until };
		after(h, g->release + SECONDS(0.001 * draw_unit(&h->draw)), PASSES_GATES, index, 0);
		return false;
	}
	s->next_gate = 0;
	return true;
}

/*
 * The truth about a wait from..to that gates held. A release counts as locked, by construction,
 * when its attempt began within 50 ms before and 250 ms after the wait's start, or went on then, and
 * ended with it while its SYNs still showed it pending, all on the same host as far as can be seen.
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
		for (n = 0; n < g->helper->server_count && !g->helper->invisible; n++)
			server_at(h, g->helper->servers[n])->held++;
		if (g->helper->invisible || !linked || to - hold->release > SECONDS(0.05) ||
		    hold->start - from > SECONDS(0.25) ||
		    (g->helper->slow ? to - hold->visible_until > SECONDS(0.1)
				     : to > hold->visible_until))
			continue;
		if (g->counted == NEVER || hold->release - g->counted > SECONDS(0.1)) {
			g->truth->locked++;
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
	if (ip6 && server->fate_ip6 == SILENT) {
		wire_between(h, &s->wire, s->server, true);
		connects(h, &s->wire, s->server, now, h->world->ip4_after, h->schedule, &fails);
		publish(h, &s->wire);
		server->held_ip6 += h->world->ip4_after >= 1;
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

/* It sends its request, and the answer comes. */
static void socket_sends(struct host *h, uint32_t index, ns_t now)
{
	struct socket *s = &h->sockets[index];
	struct server *server = server_at(h, s->server);
	struct wire *w = &s->wire;
	double takes = answer_of(h, server), rto = w->syn_count > 1 ? 3 : 0.2;
	struct page *page = s->page == NONE ? NULL : &h->pages[s->page];

	count_holds(h, s, w->ack, now);
	if (s->purpose == PRECONNECT && page->document != NEVER && now - w->ack >= STALL_NS &&
	    page->answer >= 0.5 * (double)(now - w->ack) / (double)SECOND_NS)
		server_at(h, h->world->sites[page->site].document)->held++;
	while (draw_chance(&h->draw, h->loss)) { /* lost before the gateway */
		now += SECONDS(rto);
		rto *= 2;
	}
	w->client_first = now;
	w->server_first = answered(h, w, server, now, takes);
	if (s->purpose == DOCUMENT) {
		page->document = w->server_first;
		page->answer = takes;
		after(h, w->server_first + SECONDS(0.001 + draw_exponential(&h->draw, 0.02)),
		      PAGE_FOLLOWS, s->page, 0);
		next_page(h, w->server_first);
	}
	socket_done(h, s);
}

/* The handshake is done, nobody holds it any more: what does its program do with it? */
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
		s->held_by = 0; /* whoever held it, did not hold it up */
	if (s->purpose == PRECONNECT) {
		struct page *page = &h->pages[s->page];

		if (page->document == NEVER || page->document > now) {
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
	/* a program takes a moment, a busy one some more */
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

/* ---- what the programs of a host do ---- */

static void page_tries(struct host *h, ns_t now, bool as_it_starts)
{
	struct world *w = h->world;
	size_t i;

	for (i = 0; i < w->telemetry_count; i++)
		if (h->telemetry[i] && w->telemetry[i].at_pages &&
		    w->telemetry[i].as_page_starts == as_it_starts)
			tries(h, w->telemetry[i].server,
			      now + SECONDS(draw_exponential(&h->draw, 0.02)),
			      w->telemetry[i].gives_up);
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
	/* some sites are visited more than others */
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

	tries(h, t->server, now, t->gives_up);
	after(h,
	      now + SECONDS(t->on_the_dot ? t->every + 0.002 * draw_unit(&h->draw)
					  : draw_exponential(&h->draw, t->every)),
	      TELEMETRY_DUE, index, 0);
}

static void idle_app_due(struct host *h, uint32_t index, ns_t now)
{
	struct idle_app *a = &h->world->idle_apps[index];

	opens(h, a->server, IDLE, NONE, now,
	      now + SECONDS(a->idle + a->jitter * draw_unit(&h->draw)));
	if (a->with != NO_HELPER)
		tries(h, a->with, now + SECONDS(0.002 + 0.01 * draw_unit(&h->draw)), a->idle);
	after(h, now + SECONDS(a->every), IDLE_APP_DUE, index, 0);
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

	tries(h, w->failover[0], now, w->failover_after);
	server_at(h, w->failover[0])->held++;
	opens(h, w->failover[1], OTHER, NONE,
	      now + SECONDS(w->failover_after + 0.003 * draw_unit(&h->draw)), now);
	after(h, now + SECONDS(draw_exponential(&h->draw, 60) + w->failover_after), FAILOVER_DUE, 0,
	      0);
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
	case POOL_DUE:
		pool_due(h, e->at);
		break;
	case HEALTH_DUE:
		health_due(h, e->at);
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
	h->ip6.address = (struct address){ { swap32(0x20010db8), 0, (uint32_t)draw_bits(&h->draw),
					     swap32(number + 2) } };
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
			.release = NEVER,
			.pass_until = NEVER,
			.counted = NEVER,
		};
	}
	for (i = 0; i < w->telemetry_count; i++)
		h->telemetry[i] = draw_chance(&h->draw, w->telemetry[i].hosts);
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
	if (w->pool_server != NO_HELPER && draw_chance(&h->draw, 0.15)) {
		n = (unsigned int)draw_uniform(&h->draw, POOL);
		for (i = 0; i < n; i++)
			after(h, at_start(h, 5), POOL_DUE, 0, 0);
	}
	if (w->health_server != NO_HELPER && draw_chance(&h->draw, 0.1)) {
		h->health_every = draw_octave(&h->draw, HEALTH_EVERY);
		after(h, at_start(h, h->health_every), HEALTH_DUE, 0, 0);
	}
	if (w->scanned_count && draw_chance(&h->draw, 0.1)) {
		h->scans = draw_octave(&h->draw, SCANS);
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

/* Runs a host from the start to the end; *h keeps its memory for the next one. */
static void host_runs(struct host *h, struct world *w, unsigned int number)
{
	struct host fresh = { .world = w,
			      .draw = { .state = draw_bits(&w->draw) },
			      .events = h->events,
			      .event_room = h->event_room,
			      .sockets = h->sockets,
			      .socket_room = h->socket_room,
			      .pages = h->pages,
			      .page_room = h->page_room };
	struct event e;
	size_t i;

	*h = fresh;
	host_draws(h, number);
	host_begins(h);
	while (next_event(h, &e))
		happens(h, &e);
	for (i = 0; i < h->socket_count; i++) /* what is open at the end */
		if (h->sockets[i].wire.syn_count && !h->sockets[i].is_done)
			publish(h, &h->sockets[i].wire);
}

/* ---- worlds ---- */

static void world_gets_sites(struct world *w)
{
	struct draw *d = &w->draw;
	struct server *server;
	struct site *site;
	size_t i;

	w->site_count = (size_t)draw_octave(d, SITES);
	w->sites = calloc(w->site_count, sizeof(*w->sites));
	if (!w->sites)
		abort();
	for (i = 0; i < w->site_count; i++) {
		uint16_t port = draw_chance(d, ENCRYPTED) ? 443 : 80;

		site = &w->sites[i];
		site->document = server_anywhere(w, port);
		server = &w->p->servers[site->document];
		server->has_ip6 = draw_chance(d, 0.4);
		server->ip6 = server->ip4;
		server->ip6.address = (struct address){ { swap32(0x2a000000), 0, 0,
							  server->ip4.address.word[3] } };
		if (w->ip4_after > 0 && draw_chance(d, 0.3))
			server->fate_ip6 = SILENT;
		if (draw_chance(d, SLOW_SITE)) {
			server->answer = draw_octave(d, SLOW_SITE_ANSWER);
			server->answer_spread = draw_uniform(d, SLOW_SPREAD);
		}
		for (site->resource_count = 0; site->resource_count < 2 + draw_below(d, 6);)
			site->resources[site->resource_count++] =
				i && draw_chance(d, 0.3) ? w->sites[draw_below(d, i)].document
							 : server_anywhere(w, port);
		if (draw_chance(d, PRECONNECTS))
			site->preconnects = 1 + (unsigned int)draw_below(d, 4);
	}
}

static double some_hosts(struct draw *d)
{
	return draw_chance(d, ALL_HOSTS) ? 1 : draw_uniform(d, SHARE_OF_HOSTS);
}

static void helper_draws_timer(struct helper *helper, struct draw *d)
{
	helper->timer = SECONDS(draw_chance(d, ODD_TIMER) ? draw_octave(d, TIMER)
							  : TIMERS[draw_below(d, COUNT(TIMERS))]);
	helper->jitter = SECONDS(draw_octave(d, TIMER_JITTER));
	helper->cache = draw_chance(d, CACHES) ? SECONDS(draw_octave(d, CACHE)) : 0;
	helper->shared = draw_chance(d, SHARED);
	helper->share = draw_chance(d, HOLDS_SOME) ? draw_uniform(d, SHARE_HELD) : 1;
	helper->one_destination_in = 1;
	if (draw_chance(d, HOLDS_DESTINATIONS))
		helper->one_destination_in =
			(unsigned int)(draw_uniform(d, ONE_DESTINATION_IN) + 0.5);
	helper->holds = draw_chance(d, ASKS_AT_SEND) ? HOLDS_SEND : HOLDS_ESTABLISHED;
	helper->mimic = NO_HELPER;
}

static size_t helper_server(struct world *w, uint16_t port)
{
	/* often the VPN that was cut led to it */
	if (w->cut_count && draw_chance(&w->draw, 0.5)) {
		size_t s = server_new(w, 0x0a4d0100 + 100 + (++w->next_address & 127), port);

		w->p->servers[s].fated_from = w->p->servers[w->cut[0]].fated_from;
		return s;
	}
	return draw_chance(&w->draw, 0.7) ? server_private(w, port) : server_anywhere(w, port);
}

static void world_gets_helper(struct world *w)
{
	static const uint16_t ports[] = { 5274, 443, 8080, 80, 3128, 49160 };
	struct population *p = w->p;
	struct helper *helper = &p->helpers[p->helper_count];
	struct draw *d = &w->draw;
	uint16_t port = ports[draw_below(d, COUNT(ports))];
	bool by_icmp, dies_later;
	struct server *s;
	unsigned int i;

	memset(helper, 0, sizeof(*helper));
	helper_draws_timer(helper, d);
	helper->slow = draw_chance(d, SLOW);
	by_icmp = draw_chance(d, BY_ICMP);
	dies_later = draw_chance(d, DIES_LATER);
	helper->server_count = draw_chance(d, PAIR) ? 2 : 1;
	for (i = 0; i < helper->server_count; i++) {
		helper->servers[i] =
			helper->slow ? server_anywhere(w, port) : helper_server(w, port);
		s = &p->servers[helper->servers[i]];
		s->helper = p->helper_count;
		if (helper->slow)
			continue;
		s->fate = by_icmp ? UNREACHABLE : SILENT;
		s->unreachable_after = SECONDS(3 + 0.07 * draw_unit(d));
		if (dies_later && !s->fated_from)
			s->fated_from = SECONDS(draw_uniform(d, (struct range){ 0.1, 0.6 }) *
						(double)p->end / (double)SECOND_NS);
	}
	if (helper->slow) {
		helper->timer = SECONDS(60);
		helper->answer = draw_octave(d, SLOW_ANSWER);
		helper->answer_spread = draw_uniform(d, SLOW_SPREAD);
	} else {
		if (by_icmp && helper->timer < SECONDS(5))
			helper->timer = SECONDS(5);
		helper->keeps_trying = draw_chance(d, KEEPS_TRYING);
		if (draw_chance(d, HOLDS_CONNECTS))
			helper->holds = HOLDS_CONNECT;
		if (draw_chance(d, ONE_SYN))
			helper->schedule = &schedules[SCHEDULES_OF_HOSTS];
	}
	w->helper_hosts[p->helper_count++] = some_hosts(d);
}

static void world_gets_invisible_helper(struct world *w)
{
	struct population *p = w->p;
	struct helper *helper = &p->helpers[p->helper_count];

	memset(helper, 0, sizeof(*helper));
	helper_draws_timer(helper, &w->draw);
	helper->invisible = true;
	w->helper_hosts[p->helper_count++] = some_hosts(&w->draw);
}

static struct telemetry *world_gets_telemetry(struct world *w, double every)
{
	static const enum fate fates[] = { SILENT, SILENT, SILENT, SILENT, REFUSES, UNREACHABLE };
	struct telemetry *t = &w->telemetry[w->telemetry_count++];
	struct draw *d = &w->draw;

	t->server = server_fated(w, draw_chance(d, 0.6) ? 443 : 8000 + (uint16_t)draw_below(d, 999),
				 fates[draw_below(d, COUNT(fates))]);
	t->every = every;
	t->on_the_dot = draw_chance(d, TELEMETRY_ON_THE_DOT);
	t->gives_up = draw_octave(d, GIVES_UP);
	t->hosts = draw_uniform(d, SHARE_OF_HOSTS);
	t->as_page_starts = draw_chance(d, 0.5);
	return t;
}

static void world_gets_noise(struct world *w)
{
	struct draw *d = &w->draw;
	struct telemetry *t;
	struct idle_app *a;
	size_t i, n;

	n = draw_below(d, DEAD_PEERS + 1);
	for (i = 0; i < n; i++) {
		t = world_gets_telemetry(w, draw_chance(d, 0.5) ? draw_uniform(d, TELEMETRY_FAST)
								: draw_octave(d, TELEMETRY_SLOW));
		t->at_pages = draw_chance(d, 0.25);
	}
	if (draw_chance(d, DEAD_AD)) {
		t = world_gets_telemetry(w, 60);
		t->at_pages = true;
		t->hosts = 1;
	}
	if (draw_chance(d, IDLE_TIMERS)) {
		a = &w->idle_apps[w->idle_app_count++];
		a->server = server_anywhere(w, draw_chance(d, 0.5) ? 5222 : 1883);
		a->idle = IDLE_TIMES[draw_below(d, COUNT(IDLE_TIMES))];
		a->jitter = draw_octave(d, IDLE_JITTER);
		a->every = a->idle + draw_octave(d, REOPENED_EVERY);
		a->hosts = draw_uniform(d, SHARE_OF_HOSTS);
		a->with = NO_HELPER;
		if (draw_chance(d, TELEMETRY_LIKE_IDLE)) {
			t = world_gets_telemetry(w, a->idle);
			t->on_the_dot = true;
			t->hosts = a->hosts + (1 - a->hosts) * draw_unit(d);
			if (draw_chance(d, 0.5)) /* and both keep step */
				a->every = a->idle * (double)(2 + draw_below(d, 8));
		}
	}
	if (draw_chance(d, POOLS))
		w->pool_server = server_private(w, draw_chance(d, 0.9) ? 5432 : 443);
	if (draw_chance(d, HEALTH_CHECKS))
		w->health_server = server_private(w, 80);
	if (draw_chance(d, SCANNERS)) {
		double dead = draw_uniform(d, SCANNED_DEAD);

		w->scanned_count = (size_t)draw_octave(d, SCANNED);
		w->scanned = w->p->server_count;
		for (i = 0; i < w->scanned_count; i++) {
			n = server_anywhere(w, 1024 + (uint16_t)draw_below(d, 60000));
			if (draw_chance(d, dead))
				w->p->servers[n].fate = draw_chance(d, 0.8) ? SILENT : REFUSES;
		}
	}
	if (draw_chance(d, GREETERS)) {
		w->greeter = server_anywhere(w, 25);
		w->late_greeter = server_anywhere(w, 25);
		w->p->servers[w->greeter].speaks_first = true;
		w->p->servers[w->greeter].greeting = 0.02;
		w->p->servers[w->late_greeter].speaks_first = true;
		w->p->servers[w->late_greeter].greeting =
			GREETINGS[draw_below(d, COUNT(GREETINGS))];
	}
	if (draw_chance(d, REFUSING))
		w->refuser = server_fated(w, 8443, REFUSES);
	if (draw_chance(d, UNREACHABLES))
		w->unreachable = server_fated(w, 22, UNREACHABLE);
	if (draw_chance(d, FAILOVER)) {
		w->failover[0] = server_fated(w, 389, SILENT);
		w->failover[1] = server_private(w, 389);
		w->failover_after = draw_octave(d, FAILOVER_AFTER);
	}
}

static void world_draws(struct world *w)
{
	struct population *p = w->p;
	struct draw *d = &w->draw;
	double run = draw_octave(d, RUN);
	ns_t cut_at;
	size_t i;

	p->end = SECONDS(run);
	p->hosts = (unsigned int)(draw_octave(d, HOSTS) + 0.5);
	w->next_address = (uint32_t)draw_below(d, 1000);
	w->pool_server = w->health_server = w->greeter = w->late_greeter = NO_HELPER;
	w->refuser = w->unreachable = NO_HELPER;
	w->no_mac = draw_chance(d, NO_MAC);
	if (!w->no_mac && p->hosts > 3 && draw_chance(d, BEHIND_ROUTER))
		w->behind_router = 3 + (unsigned int)draw_below(d, p->hosts - 3);
	w->dual_stack = draw_chance(d, DUAL_STACK) ? draw_unit(d) : 0;
	w->far_loss = draw_octave(d, FAR_LOSS);
	w->lossy = draw_chance(d, LOSSY) ? draw_uniform(d, (struct range){ 0.05, 0.4 }) : 0;
	w->spares = draw_chance(d, SPARES) ? draw_uniform(d, SPARES_A_PAGE) : 0;
	w->outage_from = w->outage_to = INT64_MAX;
	if (draw_chance(d, OUTAGE)) {
		w->outage_from = SECONDS(run * draw_unit(d));
		w->outage_to = w->outage_from + SECONDS(draw_octave(d, OUTAGE_LASTS));
	}
	if (w->dual_stack > 0 && draw_chance(d, BROKEN_IP6))
		w->ip4_after = IP4_AFTER[draw_below(d, COUNT(IP4_AFTER))];
	if (draw_chance(d, VPN_CUT)) {
		w->cut_count = 2 + draw_below(d, COUNT(w->cut) - 1);
		cut_at = draw_chance(d, 0.5) ? 0 : SECONDS(run * draw_unit(d));
		for (i = 0; i < w->cut_count; i++) {
			w->cut[i] = server_new(w, 0x0a4d0100 + 10 + (uint32_t)i,
					       draw_chance(d, 0.5) ? 445 : 443);
			p->servers[w->cut[i]].fate = SILENT;
			p->servers[w->cut[i]].fated_from = cut_at;
		}
	}
	world_gets_sites(w);
}

static void world_gets_helpers(struct world *w)
{
	double at = draw_unit(&w->draw);
	size_t n;

	for (n = 0; n + 1 < COUNT(HELPERS) && at >= HELPERS[n]; n++)
		at -= HELPERS[n];
	while (n--)
		world_gets_helper(w);
	if (draw_chance(&w->draw, INVISIBLE))
		world_gets_invisible_helper(w);
}

/*
 * An innocent peer that does on the wire just what a helper's would: it is tried when an app opens a
 * connection, or when something that is not seen here holds one, and the wait has the same length
 * each time. Nobody at the gateway could tell.
 */
static void world_gets_impostor(struct world *w)
{
	struct draw *d = &w->draw;
	struct idle_app *a;

	if (draw_chance(d, 0.5)) {
		world_gets_invisible_helper(w);
		w->p->helpers[0].mimic = server_fated(w, 443, SILENT);
		return;
	}
	a = &w->idle_apps[w->idle_app_count++];
	a->server = server_anywhere(w, 5222);
	a->idle = IDLE_TIMES[draw_below(d, 4)];
	a->jitter = draw_octave(d, IDLE_JITTER);
	a->every = a->idle + draw_octave(d, REOPENED_EVERY);
	a->hosts = some_hosts(d);
	a->with = server_fated(w, 443, SILENT);
}

static int by_settling(const void *a, const void *b)
{
	const struct connection *x = a, *y = b;
	uint32_t mixed_x, mixed_y;

	if (x->settled != y->settled)
		return x->settled < y->settled ? -1 : 1;
	/* what the last sweep finds comes in the order of a hash */
	mixed_x = (x->client.port + x->client.address.word[3]) * 2654435761U;
	mixed_y = (y->client.port + y->client.address.word[3]) * 2654435761U;
	if (mixed_x != mixed_y)
		return mixed_x < mixed_y ? -1 : 1;
	if (x->syn != y->syn)
		return x->syn < y->syn ? -1 : 1;
	return memcmp(&x->client, &y->client, 2 * sizeof(x->client));
}

static void tell_of_helper(const struct population *p, const struct helper *helper)
{
	static const char *const holds[] = { [HOLDS_ESTABLISHED] = "established connections",
					     [HOLDS_SEND] = "first sends",
					     [HOLDS_CONNECT] = "connect()" };
	const struct server *s = &p->servers[helper->servers[0]];

	if (helper->invisible)
		TELL(p, "  helper that no TCP attempt shows");
	else
		TELL(p, "  helper %s%s%s", words(&s->ip4), helper->server_count > 1 ? " and " : "",
		     helper->server_count > 1 ? words(&p->servers[helper->servers[1]].ip4) : "");
	if (helper->slow)
		TELL(p, ", answers after %.2f s (spread %.2f)", helper->answer,
		     helper->answer_spread);
	else
		TELL(p, ", fails open after %.2f s (+%.1f ms)%s%s, SYNs %s%s",
		     (double)helper->timer / 1e9, (double)helper->jitter / 1e6,
		     helper->invisible || s->fate == SILENT ? "" : ", by ICMP",
		     helper->keeps_trying ? ", keeps trying" : "",
		     helper->schedule ? helper->schedule->name : "as its host",
		     helper->mimic != NO_HELPER ? ", an innocent peer is tried with it" : "");
	if (!helper->invisible && s->fated_from)
		TELL(p, ", dead from %.0f s on", (double)s->fated_from / 1e9);
	TELL(p,
	     "; holds %.0f %% of %s to 1 in %u destinations, cache %.0f s%s; %u hosts, %u waits, %u locked\n",
	     helper->share * 100, holds[helper->holds], helper->one_destination_in,
	     (double)helper->cache / 1e9, helper->shared ? ", one attempt for all" : "",
	     helper->hosts, helper->held, helper->locked);
}

static void tell(const struct world *w)
{
	static const char *const fates[] = { "answers", "is silent", "refuses", "is unreachable" };
	const struct population *p = w->p;
	size_t i;

	TELL(p, "seed %llu%s: %u hosts%s, %.0f s, %zu connections, %zu sites\n",
	     (unsigned long long)p->seed, p->impostor ? " (impostor)" : "", p->hosts,
	     w->no_mac ? " without MAC" : "", (double)p->end / 1e9, p->connection_count,
	     w->site_count);
	if (w->behind_router)
		TELL(p, "  10.1.0.2 and the %u behind it share a router's MAC\n",
		     w->behind_router - 1);
	for (i = 0; i < p->helper_count; i++)
		tell_of_helper(p, &p->helpers[i]);
	for (i = 0; i < w->telemetry_count; i++) {
		const struct telemetry *t = &w->telemetry[i];

		TELL(p, "  %s %s; %.0f %% of hosts try it ", words(&p->servers[t->server].ip4),
		     fates[p->servers[t->server].fate], t->hosts * 100);
		if (t->at_pages)
			TELL(p, "%s",
			     t->as_page_starts ? "as a page starts" : "with a page's resources");
		else
			TELL(p, "every %.2f s%s", t->every, t->on_the_dot ? "" : " on average");
		TELL(p, ", and give up after %.1f s\n", t->gives_up);
	}
	for (i = 0; i < w->idle_app_count; i++)
		TELL(p, "  %s is used %.0f s after connecting, anew every %.1f s, by %.0f %%%s\n",
		     words(&p->servers[w->idle_apps[i].server].ip4), w->idle_apps[i].idle,
		     w->idle_apps[i].every, w->idle_apps[i].hosts * 100,
		     w->idle_apps[i].with != NO_HELPER ? ", with an innocent dead peer tried" : "");
	if (w->spares > 0)
		TELL(p, "  %.1f spare sockets a page\n", w->spares);
	if (w->lossy > 0)
		TELL(p, "  %.0f %% of hosts are lossy\n", w->lossy * 100);
	if (w->scanned_count)
		TELL(p, "  some hosts scan %zu peers\n", w->scanned_count);
	if (w->outage_from != INT64_MAX)
		TELL(p, "  outage from %.0f to %.0f s\n", (double)w->outage_from / 1e9,
		     (double)w->outage_to / 1e9);
	if (w->ip4_after > 0)
		TELL(p, "  some sites are silent over IPv6, IPv4 follows after %.2f s\n",
		     w->ip4_after);
	if (w->failover_after > 0)
		TELL(p, "  %s is silent, %s follows after %.2f s\n",
		     words(&p->servers[w->failover[0]].ip4), words(&p->servers[w->failover[1]].ip4),
		     w->failover_after);
	if (w->cut_count)
		TELL(p, "  10.77.1.0/24 is cut off from %.0f s on\n",
		     (double)p->servers[w->cut[0]].fated_from / 1e9);
	for (i = 0; i < p->server_count; i++)
		if (p->servers[i].held && p->servers[i].helper == NO_HELPER)
			TELL(p, "  %s truly held %u waits\n", words(&p->servers[i].ip4),
			     p->servers[i].held);
}

void population_make(struct population *p, uint64_t seed, bool impostor, FILE *story)
{
	struct world w = { .p = p, .draw = { .state = seed ^ (impostor ? 0x1a7057e2 : 0) } };
	struct host host = { .world = &w };
	unsigned int i;

	p->seed = seed;
	p->impostor = impostor;
	p->story = story;
	p->connection_count = p->server_count = p->helper_count = 0;
	world_draws(&w);
	if (impostor)
		world_gets_impostor(&w);
	else
		world_gets_helpers(&w);
	world_gets_noise(&w);
	for (i = 0; i < p->hosts; i++)
		host_runs(&host, &w, i);
	qsort(p->connections, p->connection_count, sizeof(*p->connections), by_settling);
	tell(&w);
	free(w.sites);
	free(host.events);
	free(host.sockets);
	free(host.pages);
}

void population_free(struct population *p)
{
	free(p->connections);
	free(p->servers);
	memset(p, 0, sizeof(*p));
}

/* ---- the truth ---- */

static bool is_at(const struct endpoint *here, const struct endpoint *e)
{
	return !memcmp(&here->address, &e->address, sizeof(e->address)) &&
	       (!e->port || here->port == e->port);
}

bool population_is_culprit(const struct population *p, const struct endpoint *e)
{
	const struct server *s;

	for (s = p->servers; s < p->servers + p->server_count; s++)
		if ((s->held && is_at(&s->ip4, e)) ||
		    ((s->held || s->held_ip6) && s->has_ip6 && is_at(&s->ip6, e)))
			return true;
	return false;
}

bool population_fails(const struct population *p, const struct endpoint *e)
{
	const struct server *s;

	for (s = p->servers; s < p->servers + p->server_count; s++)
		if (s->failed && (is_at(&s->ip4, e) || (s->has_ip6 && is_at(&s->ip6, e))))
			return true;
	return false;
}

static bool is_within(const struct address *a, const struct address *prefix, unsigned int length)
{
	const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)prefix;
	unsigned int bits;

	for (; length; length -= bits) {
		bits = length < 8 ? length : 8;
		if ((*x++ ^ *y++) >> (8 - bits))
			return false;
	}
	return true;
}

bool population_prefix_fails(const struct population *p, const struct address *prefix,
			     unsigned int length)
{
	unsigned int failed = 0;
	size_t i;

	if (is_ip4(prefix) && length <= 32)
		length += 96;
	for (i = 0; i < p->server_count; i++) {
		const struct server *s = &p->servers[i];

		if (is_within(&s->ip4.address, prefix, length)) {
			failed += s->failed > 0;
			if (s->fate == ANSWERS && !s->failed)
				return false;
		} else if (s->has_ip6 && is_within(&s->ip6.address, prefix, length)) {
			failed += s->failed > 0;
		}
	}
	return failed > 1;
}
