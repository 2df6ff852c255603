// SPDX-License-Identifier: GPL-2.0
#include "population.h"

#include <string.h>

#include "params.h"
#include "scenario.h"

#define PRINT(p, ...)                                       \
	do {                                                \
		if ((p)->story)                             \
			fprintf((p)->story, ##__VA_ARGS__); \
	} while (0)

static const char *words(const struct endpoint *e)
{
	static char text[4][24];
	static unsigned int next;
	uint32_t ip = cpu_to_be32(e->address.word[3]);
	char *at = text[next++ % 4];

	snprintf(at, sizeof(text[0]), "%u.%u.%u.%u:%u", ip >> 24, ip >> 16 & 0xff, ip >> 8 & 0xff,
		 ip & 0xff, e->port);
	return at;
}

/* ---- servers ---- */

static size_t server_new(struct world *w, uint32_t ip, uint16_t port)
{
	struct population *p = w->p;
	struct server *s;

	GROW(p->servers, p->server_count, p->server_room);
	s = &p->servers[p->server_count];
	memset(s, 0, sizeof(*s));
	s->ip4 = endpoint4(ip, port);
	s->forwarding_from = 0;
	s->forwarding_to = INT64_MAX;
	s->round_trip = SECONDS(draw_octave(&w->draw, WAN_ROUND_TRIP));
	s->unreachable_after = s->round_trip;
	s->answer = draw_octave(&w->draw, WEB_ANSWER);
	s->answer_spread = 0.4;
	s->helper = NO_HELPER;
	return p->server_count++;
}

/* Spreads public addresses like real ones. */
static size_t server_anywhere(struct world *w, uint16_t port)
{
	uint32_t ip = ++w->next_address * 2654435761U; /* a permutation: no address occurs twice */

	return server_new(w, (ip & 0x3fffffff) | 0x40000000, port);
}

static size_t server_private(struct world *w, uint16_t port)
{
	return server_new(w, 0x0ac80000 + (++w->next_address << 4) + 9, port); /* 10.200/16 */
}

static size_t server_failing(struct world *w, uint16_t port, enum forwarding forwarding)
{
	size_t s = draw_chance(&w->draw, 0.5) ? server_private(w, port) : server_anywhere(w, port);

	w->p->servers[s].forwarding = forwarding;
	return s;
}

/* Draws the moment at which a dead server answers again. */
static void server_comes_back(struct world *w, struct server *s)
{
	s->forwarding_to =
		s->forwarding_from + SECONDS(draw_uniform(&w->draw, IS_GONE) * w->planned);
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
		server->ip6.address = (struct address){ { cpu_to_be32(0x2a000000), 0, 0,
							  server->ip4.address.word[3] } };
		if (w->ip4_after > 0 && draw_chance(d, 0.3))
			server->forwarding_ip6 = SILENT;
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
	/* often in the VPN that was cut */
	if (w->cut_count && draw_chance(&w->draw, 0.5)) {
		size_t s = server_new(w, 0x0a4d0100 + 100 + (++w->next_address & 127), port);

		w->p->servers[s].forwarding_from = w->p->servers[w->cut[0]].forwarding_from;
		return s;
	}
	return draw_chance(&w->draw, 0.7) ? server_private(w, port) : server_anywhere(w, port);
}

/* Draws the pattern of a helper whose server is silent or refuses. */
static void helper_draws_pattern(struct helper *helper, struct draw *d)
{
	double at = draw_unit(d);

	if (at < HELPER_AGAIN + HELPER_IN_TURN) {
		helper->pattern = TRIES_AGAIN;
		helper->server_count = at < HELPER_AGAIN ? 1 : 2;
		helper->attempts = 2 + draw_chance(d, THIRD_ATTEMPT);
		helper->timer *= helper->attempts;
	} else if (at < HELPER_AGAIN + HELPER_IN_TURN + HELPER_NEXT) {
		helper->pattern = TRIES_NEXT;
		helper->server_count = 3;
	} else if (at < HELPER_AGAIN + HELPER_IN_TURN + HELPER_NEXT + HELPER_REFUSED) {
		helper->pattern = TRIES_REFUSED;
		helper->server_count = 1;
		helper->pause = draw_octave(d, REFUSED_PAUSE);
	}
}

static void world_gets_helper(struct world *w)
{
	static const uint16_t ports[] = { 5274, 443, 8080, 80, 3128, 49160 };
	struct population *p = w->p;
	struct helper *helper = &p->helpers[p->helper_count];
	struct draw *d = &w->draw;
	uint16_t port = ports[draw_below(d, COUNT(ports))];
	bool by_icmp, dies_later, comes_back;
	struct server *s;
	ns_t dies_at;
	unsigned int i;

	memset(helper, 0, sizeof(*helper));
	helper_draws_timer(helper, d);
	helper->slow = draw_chance(d, SLOW);
	by_icmp = draw_chance(d, BY_ICMP);
	dies_later = draw_chance(d, DIES_LATER);
	dies_at = SECONDS(draw_uniform(d, DIES_AT) * w->planned);
	comes_back = draw_chance(d, COMES_BACK);
	helper->server_count = draw_chance(d, PAIR) ? 2 : 1;
	if (!helper->slow && !by_icmp)
		helper_draws_pattern(helper, d);
	for (i = 0; i < helper->server_count; i++) {
		helper->servers[i] =
			helper->slow ? server_anywhere(w, port) : helper_server(w, port);
		s = &p->servers[helper->servers[i]];
		s->helper = p->helper_count;
		if (helper->slow)
			continue;
		s->forwarding = by_icmp ? UNREACHABLE : SILENT;
		if (helper->pattern == TRIES_REFUSED)
			s->forwarding = REFUSES;
		s->unreachable_after = SECONDS(3 + 0.07 * draw_unit(d));
		if (dies_later && !s->forwarding_from)
			s->forwarding_from = dies_at;
		if (comes_back)
			server_comes_back(w, s);
	}
	if (helper->slow) {
		helper->timer = SECONDS(60);
		helper->answer = draw_octave(d, SLOW_ANSWER);
		helper->answer_spread = draw_uniform(d, SLOW_SPREAD);
	} else {
		if (by_icmp && helper->timer < SECONDS(5))
			helper->timer = SECONDS(5);
		helper->keeps_trying =
			helper->pattern != TRIES_AGAIN && draw_chance(d, KEEPS_TRYING);
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
	static const enum forwarding states[] = { SILENT, SILENT,  SILENT,
						  SILENT, REFUSES, UNREACHABLE };
	struct telemetry *t = &w->telemetry[w->telemetry_count++];
	struct draw *d = &w->draw;
	enum forwarding state = states[draw_below(d, COUNT(states))];
	uint16_t port = draw_chance(d, 0.6) ? 443 : 8000 + (uint16_t)draw_below(d, 999);
	bool comes_back = draw_chance(d, COMES_BACK);
	double at = draw_unit(d);
	unsigned int i;

	t->server_count = 1;
	if (state == REFUSES && at < TELEMETRY_REFUSED) {
		t->pattern = TRIES_REFUSED;
		t->pause = draw_octave(d, REFUSED_PAUSE);
	} else if (at < TELEMETRY_AGAIN) {
		t->pattern = TRIES_AGAIN;
		t->attempts = 2 + draw_chance(d, THIRD_ATTEMPT);
		t->server_count = draw_chance(d, 0.5) ? 1 : 2;
	} else if (at < TELEMETRY_AGAIN + TELEMETRY_NEXT) {
		t->pattern = TRIES_NEXT;
		t->server_count = 3;
	}
	for (i = 0; i < t->server_count; i++) {
		t->servers[i] = server_failing(w, port, state);
		w->p->servers[t->servers[i]].chained =
			t->pattern == TRIES_AGAIN && t->server_count > 1;
		if (comes_back)
			server_comes_back(w, &w->p->servers[t->servers[i]]);
	}
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
			if (draw_chance(d, 0.5)) /* with the same period */
				a->every = a->idle * (double)(2 + draw_below(d, 8));
		}
	}
	if (draw_chance(d, STARTS_WITH_DEAD)) {
		a = &w->idle_apps[w->idle_app_count++];
		a->server = server_anywhere(w, 5222);
		a->idle = draw_octave(d, APP_THINKS);
		a->spread = draw_uniform(d, APP_THINKS_SPREAD);
		a->attempts = 1 + draw_chance(d, TELEMETRY_AGAIN);
		a->every = a->idle + draw_octave(d, REOPENED_EVERY);
		a->hosts = some_hosts(d);
		a->with = server_failing(w, 443, SILENT);
	}
	if (draw_chance(d, LONG_POLLS)) {
		w->poll_server = server_anywhere(w, 443);
		w->p->servers[w->poll_server].answer_spread = 0;
		w->poll_time = POLL_TIMES[draw_below(d, COUNT(POLL_TIMES))];
	}
	if (draw_chance(d, POOLS))
		w->pool_server = server_private(w, draw_chance(d, 0.9) ? 5432 : 443);
	if (draw_chance(d, HEALTH_CHECKS))
		w->health_server = server_private(w, 80);
	if (w->health_server != NO_HELPER && draw_chance(d, HEALTH_LIKE_CHAIN))
		w->health_dead = server_failing(w, 8080, SILENT);
	if (draw_chance(d, SCANNERS)) {
		double dead = draw_uniform(d, SCANNED_DEAD);

		w->scanned_count = (size_t)draw_octave(d, SCANNED);
		w->scanned = w->p->server_count;
		for (i = 0; i < w->scanned_count; i++) {
			n = server_anywhere(w, 1024 + (uint16_t)draw_below(d, 60000));
			if (draw_chance(d, dead))
				w->p->servers[n].forwarding =
					draw_chance(d, 0.8) ? SILENT : REFUSES;
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
		w->refuser = server_failing(w, 8443, REFUSES);
	if (draw_chance(d, UNREACHABLES))
		w->unreachable = server_failing(w, 22, UNREACHABLE);
	if (draw_chance(d, FAILOVER)) {
		double at = draw_unit(d);

		w->p->failover_dead_count = at < FAILOVER_THREE ? 3 : 1;
		w->p->failover_attempts =
			at < FAILOVER_THREE ? 3 : 1 + (at < FAILOVER_THREE + FAILOVER_AGAIN);
		for (i = 0; i < w->p->failover_dead_count; i++)
			w->p->failover_dead[i] = server_failing(w, 389, SILENT);
		w->failover = server_private(w, 389);
		w->failover_after = draw_octave(d, FAILOVER_AFTER);
		w->p->failover_total = SECONDS(w->failover_after * w->p->failover_attempts);
	}
}

static void world_draws(struct world *w)
{
	struct population *p = w->p;
	struct draw *d = &w->draw;
	double run = draw_octave(d, RUN);
	ns_t cut_at;
	size_t i;

	w->planned = run;
	if (draw_chance(d, ENDS_ANYWHERE))
		run = draw_uniform(d, (struct range){ ENDS_FROM, run });
	p->end = SECONDS(run);
	p->host_count = (unsigned int)(draw_octave(d, HOSTS) + 0.5);
	w->next_address = (uint32_t)draw_below(d, 1000);
	w->poll_server = w->pool_server = w->health_server = w->health_dead = NO_HELPER;
	w->greeter = w->late_greeter = NO_HELPER;
	w->refuser = w->unreachable = NO_HELPER;
	w->no_mac = draw_chance(d, NO_MAC);
	if (!w->no_mac && p->host_count > 3 && draw_chance(d, BEHIND_ROUTER))
		w->behind_router = 3 + (unsigned int)draw_below(d, p->host_count - 3);
	w->dual_stack = draw_chance(d, DUAL_STACK) ? draw_unit(d) : 0;
	w->far_loss = draw_octave(d, FAR_LOSS);
	w->lossy = draw_chance(d, LOSSY) ? draw_uniform(d, (struct range){ 0.05, 0.4 }) : 0;
	w->spares = draw_chance(d, SPARES) ? draw_uniform(d, SPARES_A_PAGE) : 0;
	w->outage_from = w->outage_to = INT64_MAX;
	if (draw_chance(d, OUTAGE)) {
		w->outage_from = SECONDS(run * draw_unit(d));
		w->outage_to = w->outage_from + SECONDS(draw_octave(d, OUTAGE_LASTS));
	}
	p->lossy_far_side = w->far_loss >= 0.001 || w->outage_from != INT64_MAX;
	if (w->dual_stack > 0 && draw_chance(d, BROKEN_IP6))
		w->ip4_after = IP4_AFTER[draw_below(d, COUNT(IP4_AFTER))];
	w->eyes_mixed = w->ip4_after > 0 && draw_chance(d, EYES_MIXED);
	if (draw_chance(d, VPN_CUT)) {
		w->cut_count = 2 + draw_below(d, COUNT(w->cut) - 1);
		cut_at = draw_chance(d, 0.5) ? 0 : SECONDS(run * draw_unit(d));
		for (i = 0; i < w->cut_count; i++) {
			w->cut[i] = server_new(w, 0x0a4d0100 + 10 + (uint32_t)i,
					       draw_chance(d, 0.5) ? 445 : 443);
			p->servers[w->cut[i]].forwarding = SILENT;
			p->servers[w->cut[i]].forwarding_from = cut_at;
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
 * Adds an innocent peer that looks exactly like a helper's on the wire: it is tried when an app
 * opens a connection, or when an invisible cause delays one, and the wait always has the same
 * length. No observer at the gateway could notice the difference.
 */
static void world_gets_impostor(struct world *w)
{
	struct draw *d = &w->draw;
	struct idle_app *a;

	if (draw_chance(d, 0.5)) {
		world_gets_invisible_helper(w);
		w->p->helpers[0].mimic = server_failing(w, 443, SILENT);
		return;
	}
	a = &w->idle_apps[w->idle_app_count++];
	a->server = server_anywhere(w, 5222);
	a->idle = IDLE_TIMES[draw_below(d, 4)];
	a->jitter = draw_octave(d, IDLE_JITTER);
	a->every = a->idle + draw_octave(d, REOPENED_EVERY);
	a->hosts = some_hosts(d);
	a->with = server_failing(w, 443, SILENT);
	a->attempts = 1;
}

void population_publish(struct population *p, const struct wire *w)
{
	GROW(p->connections, p->connection_count, p->connection_room);
	if (!wire_settle(&p->connections[p->connection_count], w, p->end))
		return;
	p->connection_count++;
	p->fates[wire_fate(w, p->end)]++;
}

static int by_settling(const void *a, const void *b)
{
	const struct connection *x = a, *y = b;
	uint32_t mixed_x, mixed_y;

	if (x->settled != y->settled)
		return x->settled < y->settled ? -1 : 1;
	/* the results of the last sweep are in the order of a hash */
	mixed_x = (x->client.port + x->client.address.word[3]) * 2654435761U;
	mixed_y = (y->client.port + y->client.address.word[3]) * 2654435761U;
	if (mixed_x != mixed_y)
		return mixed_x < mixed_y ? -1 : 1;
	if (x->syn != y->syn)
		return x->syn < y->syn ? -1 : 1;
	return memcmp(&x->client, &y->client, 2 * sizeof(x->client));
}

static void print_tried(const struct population *p, const char *who, const size_t *servers,
			unsigned int count, enum pattern pattern, unsigned int attempts)
{
	unsigned int i;

	PRINT(p, "%s", who);
	for (i = 0; i < count; i++)
		PRINT(p, " %s", words(&p->servers[servers[i]].ip4));
	if (pattern == TRIES_AGAIN)
		PRINT(p, " (%u attempts one after another)", attempts);
	else if (pattern == TRIES_NEXT)
		PRINT(p, " (in turn, each time another one)");
	else if (pattern == TRIES_REFUSED)
		PRINT(p, " (refuses, tried again and again)");
}

static void print_helper(const struct population *p, const struct helper *helper)
{
	static const char *const holds[] = { [HOLDS_ESTABLISHED] = "established connections",
					     [HOLDS_SEND] = "first sends",
					     [HOLDS_CONNECT] = "connect()" };
	const struct server *s = &p->servers[helper->servers[0]];

	if (helper->invisible)
		PRINT(p, "  helper that no TCP attempt shows");
	else
		print_tried(p, "  helper", helper->servers, helper->server_count, helper->pattern,
			    helper->attempts);
	if (helper->slow)
		PRINT(p, ", answers after %.2f s (spread %.2f)", helper->answer,
		      helper->answer_spread);
	else
		PRINT(p, ", fails open after %.2f s (+%.1f ms)%s%s, SYNs %s%s",
		      (double)helper->timer / 1e9, (double)helper->jitter / 1e6,
		      helper->invisible || s->forwarding == SILENT ? "" : ", by ICMP",
		      helper->keeps_trying ? ", keeps trying" : "",
		      helper->schedule ? helper->schedule->name : "as its host",
		      helper->mimic != NO_HELPER ? ", an innocent peer is tried with it" : "");
	if (!helper->invisible && s->forwarding_from)
		PRINT(p, ", dead from %.0f s on", (double)s->forwarding_from / 1e9);
	if (!helper->invisible && s->forwarding_to != INT64_MAX)
		PRINT(p, ", back from %.0f s on", (double)s->forwarding_to / 1e9);
	PRINT(p,
	      "; holds %.0f %% of %s to 1 in %u destinations, cache %.0f s%s; %u hosts, %u waits, %u locked\n",
	      helper->share * 100, holds[helper->holds], helper->one_destination_in,
	      (double)helper->cache / 1e9, helper->shared ? ", one attempt for all" : "",
	      helper->hosts, helper->held, helper->correlated);
}

static void print_truth(const struct world *w)
{
	static const char *const states[] = { "answers", "is silent", "refuses", "is unreachable" };
	const struct population *p = w->p;
	size_t i;

	PRINT(p, "seed %llu%s: %u hosts%s, %.0f s, %zu connections, %zu sites\n",
	      (unsigned long long)p->seed, p->impostor ? " (impostor)" : "", p->host_count,
	      w->no_mac ? " without MAC" : "", (double)p->end / 1e9, p->connection_count,
	      w->site_count);
	if (w->behind_router)
		PRINT(p, "  10.1.0.2 and the %u behind it share a router's MAC\n",
		      w->behind_router - 1);
	for (i = 0; i < p->helper_count; i++)
		print_helper(p, &p->helpers[i]);
	for (i = 0; i < w->telemetry_count; i++) {
		const struct telemetry *t = &w->telemetry[i];

		print_tried(p, " ", t->servers, t->server_count, t->pattern, t->attempts);
		PRINT(p, " %s; %.0f %% of hosts try it ",
		      states[p->servers[t->servers[0]].forwarding], t->hosts * 100);
		if (t->at_pages)
			PRINT(p, "%s",
			      t->as_page_starts ? "as a page starts" : "with a page's resources");
		else
			PRINT(p, "every %.2f s%s", t->every, t->on_the_dot ? "" : " on average");
		PRINT(p, ", and give up after %.1f s\n", t->gives_up);
	}
	for (i = 0; i < w->idle_app_count; i++)
		PRINT(p,
		      "  %s is used %.1f s %safter connecting, anew every %.1f s, by %.0f %%%s\n",
		      words(&p->servers[w->idle_apps[i].server].ip4), w->idle_apps[i].idle,
		      w->idle_apps[i].spread > 0 ? "or so " : "", w->idle_apps[i].every,
		      w->idle_apps[i].hosts * 100,
		      w->idle_apps[i].with != NO_HELPER ? ", with an innocent dead peer tried"
							: "");
	if (w->poll_server != NO_HELPER)
		PRINT(p, "  some hosts poll %s, which answers after %.0f s at the latest\n",
		      words(&p->servers[w->poll_server].ip4), w->poll_time);
	if (w->spares > 0)
		PRINT(p, "  %.1f spare sockets a page\n", w->spares);
	if (w->lossy > 0)
		PRINT(p, "  %.0f %% of hosts are lossy\n", w->lossy * 100);
	if (w->scanned_count)
		PRINT(p, "  some hosts scan %zu peers\n", w->scanned_count);
	if (w->outage_from != INT64_MAX)
		PRINT(p, "  outage from %.0f to %.0f s\n", (double)w->outage_from / 1e9,
		      (double)w->outage_to / 1e9);
	if (w->ip4_after > 0)
		PRINT(p, "  some sites are silent over IPv6, IPv4 follows after %.2f s\n",
		      w->ip4_after);
	if (w->failover_after > 0)
		PRINT(p, "  %s is silent, %s follows after %u attempts, %.2f s; %u times\n",
		      words(&p->servers[p->failover_dead[0]].ip4),
		      words(&p->servers[w->failover].ip4), p->failover_attempts,
		      (double)p->failover_total / 1e9, p->failovers);
	if (w->cut_count)
		PRINT(p, "  10.77.1.0/24 is cut off from %.0f s on\n",
		      (double)p->servers[w->cut[0]].forwarding_from / 1e9);
	for (i = 0; i < p->server_count; i++)
		if (p->servers[i].held && p->servers[i].helper == NO_HELPER)
			PRINT(p, "  %s truly held %u waits\n", words(&p->servers[i].ip4),
			      p->servers[i].held);
}

void population_make(struct population *p, uint64_t seed, bool impostor, FILE *story)
{
	struct world w = { .p = p, .draw = { .state = seed ^ (impostor ? 0x1a7057e2 : 0) } };
	struct host *host = host_new(&w);
	unsigned int i;

	p->seed = seed;
	p->impostor = impostor;
	p->story = story;
	p->connection_count = p->server_count = p->helper_count = 0;
	p->one_way = p->ports = 0;
	p->failover_dead_count = p->failover_attempts = p->failovers = 0;
	memset(p->fates, 0, sizeof(p->fates));
	world_draws(&w);
	if (impostor)
		world_gets_impostor(&w);
	else
		world_gets_helpers(&w);
	world_gets_noise(&w);
	p->hosts = realloc(p->hosts, p->host_count * sizeof(*p->hosts));
	if (!p->hosts)
		abort();
	for (i = 0; i < p->host_count; i++)
		host_runs(host, i);
	if (!impostor)
		population_gets_troubles(p);
	qsort(p->connections, p->connection_count, sizeof(*p->connections), by_settling);
	print_truth(&w);
	free(w.sites);
	host_free(host);
}

void population_free(struct population *p)
{
	free(p->connections);
	free(p->servers);
	free(p->hosts);
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

static bool serves_at(const struct server *s, const struct endpoint *e)
{
	return is_at(&s->ip4, e) || (s->has_ip6 && is_at(&s->ip6, e));
}

bool population_is_chained(const struct population *p, const struct endpoint *e)
{
	const struct server *s;

	for (s = p->servers; s < p->servers + p->server_count; s++)
		if (s->chained && serves_at(s, e))
			return true;
	return population_is_culprit(p, e);
}

bool population_fails(const struct population *p, const struct endpoint *e,
		      enum forwarding forwarding)
{
	const struct server *s;

	for (s = p->servers; s < p->servers + p->server_count; s++)
		if (serves_at(s, e) && ((s->failed && (s->forwarding == forwarding ||
						       s->forwarding_ip6 == forwarding)) ||
					(s->lost_in_outage && forwarding == SILENT)))
			return true;
	return false;
}

bool population_answers_late(const struct population *p, const struct endpoint *e)
{
	const struct server *s;

	for (s = p->servers; s < p->servers + p->server_count; s++)
		if (s->late && serves_at(s, e))
			return true;
	return false;
}

const struct server *population_trouble(const struct population *p, const struct endpoint *e)
{
	const struct server *s;

	for (s = p->servers; s < p->servers + p->server_count; s++)
		if (s->trouble && serves_at(s, e))
			return s;
	return NULL;
}

bool population_greets_late(const struct population *p, const struct endpoint *e)
{
	const struct server *s;

	for (s = p->servers; s < p->servers + p->server_count; s++)
		if (s->speaks_first && s->greeting >= 1 && serves_at(s, e))
			return true;
	return false;
}

const struct inhabitant *population_host(const struct population *p, const struct address *a)
{
	unsigned int i;

	for (i = 0; i < p->host_count; i++)
		if (!memcmp(&p->hosts[i].ip4, a, sizeof(*a)) ||
		    !memcmp(&p->hosts[i].ip6, a, sizeof(*a)))
			return &p->hosts[i];
	return NULL;
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
			failed += s->failed || s->lost_in_outage;
			if (s->forwarding == ANSWERS && s->answered && !s->lost_in_outage)
				return false;
		} else if (s->has_ip6 && is_within(&s->ip6.address, prefix, length)) {
			failed += s->failed || s->lost_in_outage;
		}
	}
	return failed > 1;
}
