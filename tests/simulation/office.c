// SPDX-License-Identifier: GPL-2.0
#include "office.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECONDS(s) ((ns_t)((s) * (double)SECOND_NS))

/* Hosts. A chance is of offices, if nothing else is stated. */
#define HOSTS_WITH_CAUSE 39
#define HIT 9
static const struct range HOSTS = { 12, MAX_OFFICE_HOSTS }; /* octave */
static const struct range VLANS = { 2, MAX_OFFICE_VLANS + 0.99 };
static const double TAGGED = 0.6; /* frames have VLAN tags here */
static const double SUBNET_IS_VLAN = 0.7; /* else each VLAN has two subnets */
static const double OF_ITS_VLAN = 0.7; /* of hosts: vendor, system and IPv6 usual in its VLAN */
static const double SMALLER_MSS = 0.3; /* of VLANs: a tunnel */
static const double DUAL_STACK = 0.5; /* of VLANs: most of their hosts */
static const struct range RUN = { 120, 900 }; /* octave, seconds */
static const struct range CONNECTS = { 8, 80 }; /* octave: of a usual host, in the run */
static const struct range BUSIER = { 0.3, 4 }; /* octave: the hosts of a VLAN */
static const double ACTIVITY_SPREAD = 0.7; /* of the logarithm, between the hosts of a VLAN */
static const double OWN_SERVERS = 0.4; /* each VLAN has a server of its own, for: */
static const double OWN_CONNECTS = 0.25; /* of connects */

/* Troubles that no trait causes. A host's outage hits all its connects for a while. */
static const double OUTAGES = 0.7;
static const struct range OUTAGE_HOSTS = { 0.05, 0.5 }; /* share of hosts */
static const struct range OUTAGE_LASTS = { 5, 90 }; /* octave, seconds */
static const double THINKERS = 0.6; /* users think before they send */
static const struct range THINKER_HOSTS = { 0.05, 0.6 };
static const struct range THINKS = { 0.01, 0.3 }; /* octave: of a host's connects */
static const double CHANCE_FAILURES = 0.6; /* any connect may fail */
static const struct range FAILS = { 0.003, 0.06 }; /* octave: of connects */
static const double DEAD_PEER = 0.5;
static const struct range DEAD_HOSTS = { 0.1, 0.7 };
static const struct range DEAD_EVERY = { 20, 200 }; /* octave, seconds */

/* A true cause, and what other hosts do by themselves beside it. */
static const struct range HIT_SHARE = { 0.4, 1 }; /* of connects of the hosts with the trait */
static const struct range ALSO_WAIT = { 0, 0.1 }; /* share of the others */
static const struct range WAIT = { 2, 8 }; /* octave: the median */
static const double WAIT_SPREAD = 0.6;

static const struct vendor {
	uint8_t oui[3];
	uint32_t options;
	uint8_t ttl;
	const char *system;
} vendors[] = {
	{ { 0x00, 0x1b, 0x21 }, OPTIONS(MSS, NOP, SCALE, NOP, NOP), 128, "Windows" },
	{ { 0x3c, 0x5a, 0xb4 }, OPTIONS(MSS, SACK, TIMESTAMP, NOP, SCALE), 64, "Linux or Android" },
	{ { 0xf0, 0x18, 0x98 }, OPTIONS(MSS, NOP, SCALE, NOP, NOP), 64, "Apple" },
	{ { 0xb8, 0x27, 0xeb }, OPTIONS(MSS, SACK, TIMESTAMP, NOP, SCALE), 64, "Linux or Android" },
	{ { 0x02, 0x00, 0x00 }, OPTIONS(MSS, SACK, TIMESTAMP, NOP, SCALE), 64, "Linux or Android" },
};

/* The traits that the hosts of a VLAN share. */
struct vlan {
	double weight; /* its share of the hosts, unnormalized */
	size_t vendor;
	bool tunnel;
	bool dual_stack;
	double busier;
};

/* Troubles beside the cause. A share or rate is 0 if the trouble does not occur. */
struct troubles {
	double outage_hosts, outage_lasts;
	double thinker_hosts, thinks;
	double fails;
	double dead_hosts, dead_every;
	double hit_share;
	double wait; /* seconds, median */
};

struct plan {
	struct office *o;
	struct draw draw;
	struct vlan vlans[MAX_OFFICE_VLANS];
	size_t vlan_count;
	bool tagged;
	bool subnet_is_vlan;
	bool own_servers;
	double connects;
	unsigned int ports; /* of clients, used before */
	struct troubles troubles;
};

/* ---- hosts ---- */

static double draws_if(struct draw *d, double chance, struct range r)
{
	return draw_chance(d, chance) ? draw_uniform(d, r) : 0;
}

static void draw_vlans(struct plan *plan)
{
	struct draw *d = &plan->draw;
	size_t i;

	plan->vlan_count = (size_t)draw_uniform(d, VLANS);
	for (i = 0; i < plan->vlan_count; i++)
		plan->vlans[i] = (struct vlan){
			.weight = 1 / (double)(i + 1), /* uneven: the first one is the largest */
			.vendor = draw_below(d, COUNT(vendors)),
			.tunnel = draw_chance(d, SMALLER_MSS),
			.dual_stack = draw_chance(d, DUAL_STACK),
			.busier = draw_octave(d, BUSIER),
		};
}

static size_t draw_vlan(struct plan *plan, size_t first)
{
	double sum = 0, at;
	size_t i;

	for (i = first; i < plan->vlan_count; i++)
		sum += plan->vlans[i].weight;
	at = draw_unit(&plan->draw) * sum;
	for (i = first; i + 1 < plan->vlan_count && at >= plan->vlans[i].weight; i++)
		at -= plan->vlans[i].weight;
	return i;
}

static void host_gets_vendor(struct office_host *h, struct draw *d, size_t vendor)
{
	const struct vendor *v = &vendors[vendor];
	unsigned int i;

	memcpy(h->mac, v->oui, sizeof(v->oui));
	for (i = 3; i < 6; i++)
		h->mac[i] = (uint8_t)draw_bits(d);
	h->syn.option_order = v->options;
	h->syn.ttl = v->ttl;
	h->syn.window = 64240;
	snprintf(h->trait[OFFICE_SYSTEM], TEXT_OF_TRAIT, "%s", v->system);
	if (v->oui[0] & 2)
		snprintf(h->trait[OFFICE_VENDOR], TEXT_OF_TRAIT, "private");
	else
		snprintf(h->trait[OFFICE_VENDOR], TEXT_OF_TRAIT, "%02x:%02x:%02x", v->oui[0],
			 v->oui[1], v->oui[2]);
}

static void host_draws(struct plan *plan, unsigned int number, size_t vlan)
{
	struct office_host *h = &plan->o->hosts[number];
	const struct vlan *v = &plan->vlans[vlan];
	struct draw *d = &plan->draw;
	double run = (double)plan->o->end / (double)SECOND_NS;

	memset(h, 0, sizeof(*h));
	h->subnet = (uint8_t)(20 + vlan);
	if (!plan->subnet_is_vlan)
		h->subnet = (uint8_t)(h->subnet + 20 * draw_below(d, 2));
	h->vlan = plan->tagged ? (uint16_t)(20 + vlan) : 0;
	h->ip4 = 0x0a000000U | (uint32_t)h->subnet << 8 | (number + 2);
	host_gets_vendor(h, d,
			 draw_chance(d, OF_ITS_VLAN) ? v->vendor : draw_below(d, COUNT(vendors)));
	h->syn.mss = v->tunnel ? 1360 : 1460;
	h->dual_stack = draw_chance(d, OF_ITS_VLAN) ? v->dual_stack : draw_chance(d, 0.2);
	h->every = run / (draw_lognormal(d, plan->connects, ACTIVITY_SPREAD) * v->busier);
	if (h->vlan)
		snprintf(h->trait[OFFICE_VLAN], TEXT_OF_TRAIT, "%u", h->vlan);
	else
		snprintf(h->trait[OFFICE_VLAN], TEXT_OF_TRAIT, "none");
	snprintf(h->trait[OFFICE_SUBNET], TEXT_OF_TRAIT, "10.0.%u.0/24", h->subnet);
	snprintf(h->trait[OFFICE_MSS], TEXT_OF_TRAIT, "%u", h->syn.mss);
}

/* Nine hosts share a trait by which they wait: a VLAN, a subnet or a vendor of their own. */
static void draw_hit_hosts(struct plan *plan)
{
	struct draw *d = &plan->draw;
	enum office_trait cause = (enum office_trait)draw_below(d, OFFICE_VENDOR + 1);
	unsigned int i, j;

	for (i = 0; i < HOSTS_WITH_CAUSE; i++) {
		struct office_host *h = &plan->o->hosts[i];
		bool hit = i < HIT;

		host_draws(plan, i, draw_vlan(plan, 1)); /* VLAN 20 is the one of the hit hosts */
		if (hit && cause != OFFICE_VENDOR)
			host_draws(plan, i, 0);
		while (cause == OFFICE_VENDOR && hit != !memcmp(h->mac, vendors[0].oui, 3))
			host_gets_vendor(h, d, hit ? 0 : draw_below(d, COUNT(vendors)));
		h->is_hit = hit;
	}
	/* the hosts of a VLAN of its own can be idle: others have the same number of connects */
	for (i = 0; i < HIT; i++) {
		j = HIT + (unsigned int)draw_below(d, HOSTS_WITH_CAUSE - HIT);
		plan->o->hosts[i].every = plan->o->hosts[j].every;
	}
}

static void draw_hosts(struct plan *plan)
{
	struct office *o = plan->o;
	unsigned int i;

	draw_vlans(plan);
	if (o->has_cause) {
		o->host_count = HOSTS_WITH_CAUSE;
		plan->subnet_is_vlan = true;
		draw_hit_hosts(plan);
		return;
	}
	o->host_count = (unsigned int)draw_octave(&plan->draw, HOSTS);
	for (i = 0; i < o->host_count; i++)
		host_draws(plan, i, draw_vlan(plan, 0));
}

/* ---- connects ---- */

static void publish(struct office *o, const struct wire *w)
{
	if (o->connection_count == o->connection_room) {
		o->connection_room = o->connection_room ? o->connection_room * 2 : 1024;
		o->connections =
			realloc(o->connections, o->connection_room * sizeof(*o->connections));
		if (!o->connections)
			abort();
	}
	o->connection_count += wire_settle(&o->connections[o->connection_count], w, o->end);
}

static struct endpoint server_at(uint32_t ip, uint16_t port, uint16_t vlan)
{
	return (struct endpoint){ .address = { { 0, 0, IP4_PREFIX, cpu_to_be32(ip) } },
				  .port = port,
				  .vlan = { vlan, 0 } };
}

static struct address ip6_of(uint32_t prefix, uint32_t host)
{
	return (struct address){ { cpu_to_be32(prefix), 0, 0, cpu_to_be32(host) } };
}

/* Begins a connect: the first SYN, and who is involved. IPv4 first: it names the host. */
static void begin(struct wire *w, struct plan *plan, struct office_host *h, ns_t now, bool ip4)
{
	struct draw *d = &plan->draw;
	/* some servers are more popular */
	uint32_t n = (uint32_t)(draw_unit(d) * draw_unit(d) * OFFICE_SERVERS);

	if (plan->own_servers && draw_chance(d, OWN_CONNECTS))
		n = OFFICE_SERVERS + h->subnet;
	wire_init(w);
	w->client = server_at(h->ip4, (uint16_t)(32768 + plan->ports++ % 28000), h->vlan);
	w->server = server_at(0xc6336400 + n * 1024, n % 3 ? 443 : 80, h->vlan);
	if (!ip4 && h->dual_stack && n % 2) {
		w->client.address = ip6_of(0x20010db8, h->ip4);
		w->server.address = ip6_of(0x2a000000, n + 1);
		snprintf(h->trait[OFFICE_IPV6], TEXT_OF_TRAIT, "in use");
	}
	w->has_mac = true;
	memcpy(w->mac, h->mac, sizeof(w->mac));
	w->syn_traits = h->syn;
	w->round_trip = SECONDS(0.001 + 0.002 * draw_unit(d));
	w->client_size = 517;
	w->server_size = 900;
	w->syns[w->syn_count++] = now;
}

static void is_silent(struct wire *w)
{
	w->syns[w->syn_count++] = w->syns[0] + SECONDS(1.02);
	w->syns[w->syn_count++] = w->syns[0] + SECONDS(3.05);
}

/* The handshake, a wait of the client, the answer. Or the connect fails. */
static void opens(struct plan *plan, struct office_host *h, ns_t now, double wait, bool first)
{
	struct draw *d = &plan->draw;
	struct wire w;

	begin(&w, plan, h, now, first);
	if (draw_chance(d, plan->troubles.fails) && !first) {
		if (draw_chance(d, 0.5)) {
			w.refused = now + SECONDS(0.03);
			publish(plan->o, &w);
			return;
		}
		now += SECONDS(1.02); /* the SYN is lost, at random, and sent again */
		w.syns[w.syn_count++] = now;
	}
	w.synack = now + SECONDS(0.02 + 0.01 * draw_unit(d));
	w.ack = w.synack + w.round_trip;
	w.client_first = w.ack + SECONDS(wait);
	w.server_first = w.client_first + SECONDS(draw_lognormal(d, 0.05, 0.4));
	publish(plan->o, &w);
}

/* A host and its troubles. */
struct mood {
	bool thinks;
	bool has_outage;
	ns_t outage_from, outage_to;
};

static double wait_of(struct plan *plan, const struct office_host *h, const struct mood *mood,
		      ns_t now)
{
	struct draw *d = &plan->draw;
	const struct troubles *t = &plan->troubles;
	bool waits = (h->is_hit && draw_chance(d, t->hit_share)) ||
		     (mood->thinks && draw_chance(d, t->thinks)) ||
		     (mood->has_outage && now >= mood->outage_from && now < mood->outage_to);

	return waits ? 1 + draw_lognormal(d, t->wait, WAIT_SPREAD) : 0.001 + 0.02 * draw_unit(d);
}

static void tries_dead(struct plan *plan, struct office_host *h)
{
	ns_t now = 0;
	struct wire w;

	for (;;) {
		now += SECONDS(draw_exponential(&plan->draw, plan->troubles.dead_every));
		if (now > plan->o->end)
			return;
		begin(&w, plan, h, now, true);
		w.server = plan->o->dead;
		w.server.vlan[0] = h->vlan;
		is_silent(&w);
		publish(plan->o, &w);
	}
}

static void host_runs(struct plan *plan, struct office_host *h)
{
	struct draw *d = &plan->draw;
	const struct troubles *t = &plan->troubles;
	struct mood mood = { .thinks = draw_chance(d, t->thinker_hosts),
			     .has_outage = draw_chance(d, t->outage_hosts) };
	bool first = true;
	ns_t now = 0;

	mood.outage_from = SECONDS(draw_unit(d) * (double)plan->o->end / (double)SECOND_NS);
	mood.outage_to = mood.outage_from + SECONDS(t->outage_lasts);
	snprintf(h->trait[OFFICE_IPV6], TEXT_OF_TRAIT, "not in use");
	for (;; first = false) {
		now += SECONDS(draw_exponential(d, h->every));
		if (now > plan->o->end)
			break;
		opens(plan, h, now, wait_of(plan, h, &mood, now), first);
	}
	if (plan->o->dead.port && draw_chance(d, t->dead_hosts))
		tries_dead(plan, h);
}

/* ---- offices ---- */

static void draw_troubles(struct plan *plan)
{
	struct troubles *t = &plan->troubles;
	struct draw *d = &plan->draw;

	t->wait = draw_octave(d, WAIT);
	t->outage_lasts = draw_octave(d, OUTAGE_LASTS);
	t->thinks = draw_octave(d, THINKS);
	t->dead_every = draw_octave(d, DEAD_EVERY);
	t->dead_hosts = draws_if(d, DEAD_PEER, DEAD_HOSTS);
	if (t->dead_hosts > 0)
		plan->o->dead = server_at(0xcb007105, 8443, 0);
	if (draw_chance(d, CHANCE_FAILURES))
		t->fails = draw_octave(d, FAILS);
	if (plan->o->has_cause) {
		t->hit_share = draw_uniform(d, HIT_SHARE);
		t->thinker_hosts = draw_uniform(d, ALSO_WAIT);
		return;
	}
	t->outage_hosts = draws_if(d, OUTAGES, OUTAGE_HOSTS);
	t->thinker_hosts = draws_if(d, THINKERS, THINKER_HOSTS);
	if (t->thinker_hosts <= 0 && t->outage_hosts <= 0) /* no report would compare hosts */
		t->outage_hosts = draw_uniform(d, OUTAGE_HOSTS);
}

static int by_settling(const void *a, const void *b)
{
	const struct connection *x = a, *y = b;

	if (x->settled != y->settled)
		return x->settled < y->settled ? -1 : 1;
	if (x->syn != y->syn)
		return x->syn < y->syn ? -1 : 1;
	return memcmp(&x->client, &y->client, sizeof(x->client));
}

void office_make(struct office *o, uint64_t seed, bool with_cause)
{
	struct plan plan = { .o = o, .draw = { .state = seed * 2 + with_cause } };
	struct draw *d = &plan.draw;
	unsigned int i;

	o->has_cause = with_cause;
	o->connection_count = 0;
	o->dead = (struct endpoint){ .port = 0 };
	o->end = SECONDS(draw_octave(d, RUN));
	plan.tagged = draw_chance(d, TAGGED);
	plan.subnet_is_vlan = draw_chance(d, SUBNET_IS_VLAN);
	plan.own_servers = draw_chance(d, OWN_SERVERS);
	plan.connects = draw_octave(d, CONNECTS);
	draw_hosts(&plan);
	draw_troubles(&plan);
	for (i = 0; i < o->host_count; i++)
		host_runs(&plan, &o->hosts[i]);
	qsort(o->connections, o->connection_count, sizeof(*o->connections), by_settling);
}

void office_free(struct office *o)
{
	free(o->connections);
	memset(o, 0, sizeof(*o));
}
