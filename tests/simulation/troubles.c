// SPDX-License-Identifier: GPL-2.0
/*
 * Servers with faults that findings name, and troubles that look similar and are none of them. They
 * have random numbers of their own: without them a seed draws the same population.
 */
#include <string.h>

#include "scenario.h"

static const double HAS_FAULT = 0.08; /* of populations, each fault */
static const double HAS_SIMILAR = 0.15; /* of populations, each of the others */
static const struct range HOSTS_OF = { 0.2, 1 }; /* share that uses the server */
static const struct range USED_EVERY = { 10, 200 }; /* octave, seconds */
static const struct range FAULT_FROM = { -0.3, 0.7 }; /* share of the run; below 0: always */
static const struct range FAILS_OF = { 0.6, 1 }; /* share of connects, from that moment on */
static const double TIMES_OUT[] = { 5, 10, 15, 30, 60 }; /* clients give up a request after */
static const struct range LOST = { 0.01, 0.05 };
static const struct range OVERLOAD_ANSWER = { 0.3, 6 }; /* octave: median */
static const double OVERLOAD_SPREAD = 1.2;
static const struct range LEAVES_AFTER = { 0.05, 1.4 }; /* an impatient client */
static const double PAGE_ANSWER = 0.4; /* seconds, median, of the pages they leave */
static const double POLL_TIMES[] = { 10, 25, 30, 60 };
static const double POLL_IS_LEFT = 0.3; /* the user goes on, or the program has its own timer */
static const double SPARE_TIMES[] = { 5, 15, 60, 120 }; /* the server closes idle connections */
static const double SPARES_OF = 0.5; /* of connects */
static const struct range RESTART_LASTS = { 2, 20 }; /* octave, seconds */
static const double ASKS_FOR_ECN = 0.5; /* of hosts */
static const struct range NEW_HOSTS = { 4, 30 }; /* that begin during the run */

struct service {
	struct population *p;
	struct draw *draw;
	struct server *server;
	ns_t from; /* the fault begins */
	double fails; /* share of connects from then on */
	double times_out;
	double loss;
	double poll_time;
	ns_t restart, restarted;
};

/* ---- parts of a connect ---- */

static void begin(struct wire *w, struct service *s, const struct inhabitant *h, ns_t now)
{
	struct draw *d = s->draw;

	wire_init(w);
	w->client.address = h->ip4;
	w->client.port = (uint16_t)(10000 + s->p->ports++ % 20000);
	w->server = s->server->ip4;
	w->has_mac = h->has_mac;
	memcpy(w->mac, h->mac, sizeof(w->mac));
	w->round_trip = (ns_t)((double)h->round_trip * (0.7 + draw_exponential(d, 0.3)));
	w->client_size = 90 + (unsigned int)draw_below(d, 600);
	w->server_size = 60 + (unsigned int)draw_below(d, 1200);
	w->syns[w->syn_count++] = now;
}

static ns_t far_round_trip(struct service *s)
{
	return (ns_t)((double)s->server->round_trip * (1 + draw_exponential(s->draw, 0.03)));
}

/* Repeats the SYN until one is not lost, as Linux does. */
static void repeat_syn(struct wire *w, struct service *s, unsigned int lost)
{
	double gap = 1, at = 0;

	for (; lost && w->syn_count < WIRE_SYNS; lost--, gap *= 2) {
		at += gap + 0.01 * draw_unit(s->draw);
		w->syns[w->syn_count++] = w->syns[0] + SECONDS(at);
	}
}

static void connects(struct wire *w, struct service *s)
{
	w->synack = w->syns[w->syn_count - 1] + far_round_trip(s);
	w->ack = w->synack + w->round_trip;
	s->server->answered++;
}

static void asks(struct wire *w, struct service *s)
{
	w->client_first = w->ack + SECONDS(0.0005 + 0.002 * draw_unit(s->draw));
	w->request_acked = true;
}

static void is_answered(struct wire *w, struct service *s, double takes)
{
	w->server_first = w->client_first + far_round_trip(s) + SECONDS(takes);
	s->server->late += w->server_first - w->client_first >= STALL_NS;
}

static void is_served(struct wire *w, struct service *s)
{
	connects(w, s);
	asks(w, s);
	is_answered(w, s, draw_lognormal(s->draw, 0.03, 0.4));
}

/* The client ends a connection that was not answered. */
static void gives_up(struct wire *w, struct service *s, double after)
{
	ns_t at = w->client_first + SECONDS(after + 0.005 * draw_unit(s->draw));

	if (draw_chance(s->draw, 0.5)) {
		w->reset = at;
		w->reset_by = SIDE_CLIENT;
	} else {
		w->client_fin = at;
		w->server_fin = at + far_round_trip(s);
	}
}

static void is_reset(struct wire *w, struct service *s, ns_t after)
{
	w->reset = after + far_round_trip(s);
	w->reset_by = SIDE_SERVER;
}

static void is_closed(struct wire *w, struct service *s, ns_t at)
{
	w->server_fin = at;
	w->client_fin = at + w->round_trip + SECONDS(0.001 * draw_unit(s->draw));
}

/* ---- faults: return true if the connect was hit ---- */

static bool fault_hits(struct wire *w, struct service *s, bool is_first, bool ecn)
{
	switch (s->server->trouble) {
	case NEVER_ANSWERS:
		connects(w, s);
		asks(w, s);
		gives_up(w, s, s->times_out);
		return true;
	case CLOSES:
		connects(w, s);
		is_closed(w, s, w->ack + far_round_trip(s));
		return true;
	case RESETS_REQUESTS:
		connects(w, s);
		asks(w, s);
		is_reset(w, s, w->client_first);
		return true;
	case LOSES_REQUESTS:
		connects(w, s);
		asks(w, s);
		w->request_acked = false;
		w->client_retransmits = 5;
		w->synack_after_ack = 3;
		gives_up(w, s, 12 + s->times_out);
		return true;
	case ANSWERS_THIRD_SYN:
		repeat_syn(w, s, 2);
		is_served(w, s);
		return true;
	case FILTERS_ECN:
		if (!ecn)
			return false;
		repeat_syn(w, s, 1); /* without ECN, as RFC 3168 6.1.1.1 proposes */
		is_served(w, s);
		return true;
	case LOSES_FIRST_SYN:
		if (!is_first)
			return false;
		repeat_syn(w, s, 1);
		is_served(w, s);
		return true;
	default:
		return false;
	}
}

/* ---- what looks similar ---- */

static void loses_at_random(struct wire *w, struct service *s)
{
	unsigned int lost = 0;
	double rto = 0.2;

	while (lost < 6 && draw_chance(s->draw, s->loss))
		lost++;
	repeat_syn(w, s, lost);
	connects(w, s);
	asks(w, s);
	for (; w->client_retransmits < 6 && draw_chance(s->draw, s->loss); rto *= 2)
		w->client_retransmits++;
	is_answered(w, s, w->client_retransmits ? rto : 0.03);
}

static void restarts(struct wire *w, struct service *s)
{
	ns_t now = w->syns[0];

	if (now >= s->restart && now < s->restarted) {
		w->refused = now + far_round_trip(s);
		s->server->failed++;
		return;
	}
	connects(w, s);
	asks(w, s);
	is_answered(w, s, draw_lognormal(s->draw, 0.2, 0.8));
	if (now < s->restart && w->server_first > s->restart) {
		s->server->troubled++;
		w->server_first = NEVER;
		is_reset(w, s, w->client_first > s->restart ? w->client_first : s->restart);
	}
}

static void is_polled(struct wire *w, struct service *s)
{
	double takes = draw_chance(s->draw, 0.3) ? s->poll_time * draw_unit(s->draw) : s->poll_time;

	connects(w, s);
	asks(w, s);
	if (draw_chance(s->draw, POLL_IS_LEFT)) {
		gives_up(w, s, takes * draw_unit(s->draw));
		s->p->one_way++; /* if the client leaves at once */
	} else {
		is_answered(w, s, takes);
	}
}

static void is_overloaded(struct wire *w, struct service *s)
{
	double takes = draw_lognormal(s->draw, s->server->answer, OVERLOAD_SPREAD);

	connects(w, s);
	asks(w, s);
	if (takes < s->times_out) {
		is_answered(w, s, takes);
		return;
	}
	gives_up(w, s, s->times_out);
	s->server->troubled++;
}

/* The user goes on to another page before the answer. */
static void is_left(struct wire *w, struct service *s)
{
	double takes = draw_lognormal(s->draw, PAGE_ANSWER, 0.8);
	double leaves = draw_uniform(s->draw, LEAVES_AFTER);

	connects(w, s);
	asks(w, s);
	if (takes < leaves) {
		is_answered(w, s, takes);
		return;
	}
	gives_up(w, s, leaves);
	s->p->one_way++;
}

static void uploads(struct wire *w, struct service *s)
{
	connects(w, s);
	asks(w, s);
	w->request_segments = 16 + (unsigned int)draw_below(s->draw, 40);
	w->client_fin = w->client_first + SECONDS(draw_exponential(s->draw, 5));
	w->server_fin = w->client_fin + far_round_trip(s);
	s->p->one_way++;
}

static void similar_to_fault(struct wire *w, struct service *s)
{
	struct draw *d = s->draw;

	switch (s->server->trouble) {
	case RANDOM_LOSS:
		loses_at_random(w, s);
		return;
	case OVERLOADED:
		is_overloaded(w, s);
		return;
	case IMPATIENT_CLIENTS:
		is_left(w, s);
		return;
	case SCANNED_HALF_OPEN:
		w->synack = w->syns[0] + far_round_trip(s);
		w->reset = w->synack + w->round_trip;
		w->reset_by = SIDE_CLIENT;
		return;
	case ONE_WAY:
		uploads(w, s);
		return;
	case IDLE_SPARES:
		if (!draw_chance(d, SPARES_OF))
			break;
		connects(w, s);
		is_closed(w, s, w->ack + SECONDS(s->poll_time + 0.05 * draw_unit(d)));
		return;
	case RESTARTS:
		restarts(w, s);
		return;
	case POLLED:
		is_polled(w, s);
		return;
	default:
		break;
	}
	is_served(w, s);
}

/* ---- hosts ---- */

static void is_greeted(struct wire *w, struct service *s)
{
	connects(w, s);
	w->server_first = w->ack + far_round_trip(s) + SECONDS(0.01);
	w->client_first = w->server_first + w->round_trip + SECONDS(0.002);
}

static void host_uses(struct service *s, const struct inhabitant *h, ns_t from)
{
	struct draw *d = s->draw;
	double every = draw_octave(d, USED_EVERY);
	bool ecn = draw_chance(d, ASKS_FOR_ECN), is_first = true, is_hit = false;
	ns_t now = from;
	struct wire w;

	for (;; is_first = false) {
		now += SECONDS(draw_exponential(d, every));
		if (now > s->p->end)
			break;
		begin(&w, s, h, now);
		w.syn_traits.ecn = ecn && s->server->trouble == FILTERS_ECN;
		if (s->server->trouble < FAULTS && now >= s->from && draw_chance(d, s->fails) &&
		    fault_hits(&w, s, is_first, ecn)) {
			s->server->troubled++;
			is_hit = true;
		} else if (s->server->speaks_first) {
			is_greeted(&w, s);
		} else {
			similar_to_fault(&w, s);
		}
		population_publish(s->p, &w);
	}
	s->server->troubled_hosts += is_hit;
}

/* Hosts that begin during the run: this is the first that they do. */
static void new_hosts_use(struct service *s)
{
	unsigned int i, n = (unsigned int)draw_uniform(s->draw, NEW_HOSTS);
	struct inhabitant h = { .has_mac = true, .mac = { 2, 0xcc }, .round_trip = SECONDS(0.001) };

	for (i = 0; i < n; i++) {
		h.ip4 = endpoint4(0x0a020000 + i + 2, 0).address;
		h.mac[5] = (uint8_t)i;
		host_uses(s, &h, (ns_t)(draw_unit(s->draw) * 0.8 * (double)s->p->end));
	}
}

static void service_draws(struct service *s, enum trouble trouble)
{
	struct draw *d = s->draw;
	double run = (double)s->p->end / (double)SECOND_NS, from = draw_uniform(d, FAULT_FROM);

	s->server->trouble = trouble;
	s->from = from > 0 ? SECONDS(from * run) : 0;
	s->fails = draw_uniform(d, FAILS_OF);
	s->times_out = TIMES_OUT[draw_below(d, COUNT(TIMES_OUT))];
	s->poll_time = trouble == IDLE_SPARES ? SPARE_TIMES[draw_below(d, COUNT(SPARE_TIMES))]
					      : POLL_TIMES[draw_below(d, COUNT(POLL_TIMES))];
	s->loss = draw_uniform(d, LOST);
	s->restart = SECONDS(draw_unit(d) * run);
	s->restarted = s->restart + SECONDS(draw_octave(d, RESTART_LASTS));
	if (trouble == OVERLOADED)
		s->server->answer = draw_octave(d, OVERLOAD_ANSWER);
	if (trouble == CLOSES)
		s->server->speaks_first = true;
	if (trouble == RESTARTS)
		s->server->forwarding = REFUSES;
	if (trouble == ANSWERS_THIRD_SYN || trouble == FILTERS_ECN || trouble == LOSES_FIRST_SYN) {
		s->from = 0;
		s->fails = 1;
	}
	if (trouble == RANDOM_LOSS)
		s->p->lossy_far_side = true;
}

static void population_gets(struct population *p, struct draw *d, enum trouble trouble)
{
	static const uint16_t ports[TROUBLES] = { [CLOSES] = 22, [ONE_WAY] = 9000, [POLLED] = 443 };
	struct service s = { .p = p, .draw = d };
	double share = draw_uniform(d, HOSTS_OF);
	unsigned int i;

	GROW(p->servers, p->server_count, p->server_room);
	s.server = &p->servers[p->server_count++];
	memset(s.server, 0, sizeof(*s.server));
	s.server->ip4 = endpoint4(0x0adc0000 + ((uint32_t)trouble << 8) + 7,
				  ports[trouble] ? ports[trouble] : 8081);
	s.server->round_trip = SECONDS(draw_octave(d, (struct range){ 0.001, 0.2 }));
	s.server->helper = NO_HELPER;
	s.server->forwarding_to = INT64_MAX;
	service_draws(&s, trouble);
	if (trouble == LOSES_FIRST_SYN) {
		new_hosts_use(&s);
		return;
	}
	for (i = 0; i < p->host_count; i++)
		if (draw_chance(d, share) &&
		    (trouble != SCANNED_HALF_OPEN || p->hosts[i].scans || draw_chance(d, 0.1)))
			host_uses(&s, &p->hosts[i], 0);
}

void population_gets_troubles(struct population *p)
{
	struct draw d = { .state = p->seed ^ 0x7208b1e5 };
	enum trouble trouble;

	for (trouble = NO_TROUBLE + 1; trouble < TROUBLES; trouble++)
		if (draw_chance(&d, trouble < FAULTS ? HAS_FAULT : HAS_SIMILAR))
			population_gets(p, &d, trouble);
}
