// SPDX-License-Identifier: GPL-2.0
/* The statistics of the verdicts, and the verdicts on scenes with a known truth. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "findings.h"
#include "made_connect.h"
#include "diagnose/diagnose.h"
#include "lib/statistics.h"

static bool is_near(double is, double wanted)
{
	return fabs(is - wanted) <= wanted * 1e-6;
}

/* The expected values come from exact integer arithmetic in another program. */
static void test_statistics(void)
{
	ns_t times[] = { SECONDS(5.003), SECONDS(1.1), SECONDS(5.001),
			 SECONDS(5.004), SECONDS(2.7), SECONDS(5.002) };
	ns_t sorted[] = { 1, 2, 4, 8, 16 };
	ns_t broad[] = { SECONDS(1.2), SECONDS(3.9), SECONDS(2.2), SECONDS(7.7) };
	struct cluster c;

	EXPECT(is_near(fisher_exact(14, 0, 0, 17), 1.0 / 265182525),
	       "the p value of the standard scene");
	EXPECT(is_near(fisher_exact(3, 1, 1, 3), 34.0 / 70), "Fisher's tea-tasting experiment");
	EXPECT(is_near(fisher_exact(1, 9, 11, 3), 41.0 / 14858), "both tails must count");
	EXPECT(fisher_exact(0, 0, 4, 5) == 1 && fisher_exact(4, 5, 0, 0) == 1, "an empty row");
	EXPECT(is_near(fisher_exact(5000, 10, 10, 5000), fisher_exact(10, 5000, 5000, 10)),
	       "large tables");
	EXPECT(is_near(binomial_tail(3, 3, 0.1), 1e-3), "three of three");
	EXPECT(is_near(binomial_tail(2, 4, 0.5), 11.0 / 16), "two or more of four");
	EXPECT(binomial_tail(0, 5, 0.1) == 1 && binomial_tail(6, 5, 0.1) == 0, "the ends");
	c = cluster_of(times, 6);
	EXPECT(c.count == 4 && llabs(c.median - SECONDS(5.003)) <= SECONDS(0.001), "the timer");
	EXPECT(c.chance < 1e-6, "four values within 3 ms are not a coincidence");
	c = cluster_of(broad, 4);
	EXPECT(c.count == 1 && c.chance == 1, "human pauses are not a timer");
	EXPECT(median_absolute_deviation(sorted, 5, 4) == 3 &&
		       median_absolute_deviation(sorted, 4, 4) == 3 &&
		       median_absolute_deviation(sorted, 3, 2) == 1 &&
		       median_absolute_deviation(sorted, 1, 1) == 0,
	       "the median deviation");
	EXPECT(median_absolute_deviation(sorted, 5, 100) == 96 &&
		       median_absolute_deviation(sorted, 5, 0) == 4,
	       "from a centre beyond all values");
	EXPECT(known_timer(SECONDS(5.01)) && !known_timer(SECONDS(4.4)), "whose timer");
	EXPECT(timer_slack(SECONDS(1)) == SECONDS(0.05) && timer_slack(SECONDS(30)) == SECONDS(0.6),
	       "the difference of two runs of a timer");
}

static struct connection between(unsigned int client, unsigned int server, unsigned int port,
				 double at);

/* A lookup must find each of several routes by its destination, and no other route. */
static void test_facts(void)
{
	struct known_route routes[5] = {};
	struct host_facts facts = { .routes = routes };
	const struct route *r;
	struct endpoint e;
	unsigned int i, right = 0, wrong = 0;

	for (i = 0; i < 5; i++) {
		routes[i].destination = between(0, 10 * i, 80, 0).server;
		routes[i].route.table = i + 1;
	}
	EXPECT(!host_facts_route(&facts, &routes[0].destination), "a route that does not exist");
	facts.route_count = 5;
	for (i = 0; i < 5; i++) {
		r = host_facts_route(&facts, &routes[i].destination);
		right += r && r->table == i + 1;
		e = between(0, 10 * i + 5, 80, 0).server;
		wrong += host_facts_route(&facts, &e) != NULL;
	}
	EXPECT(right == 5, "another peer's route");
	EXPECT(!wrong, "a route that was not requested");
}

/* Order, exit status, manual and schema are derived from the table. */
static void test_kinds(void)
{
	unsigned int i, j, incomplete = 0, unordered = 0, twice = 0;

	for (i = 0; i < KINDS; i++) {
		const struct finding_kind_info *k = &finding_kinds[i];

		incomplete += !k->name || !k->description;
		unordered += i && k->family < finding_kinds[i - 1].family;
		for (j = 0; j < i && k->name; j++)
			twice += !strcmp(k->name, finding_kinds[j].name);
	}
	EXPECT(!incomplete, "a kind without a row");
	EXPECT(!unordered, "families that are mixed");
	EXPECT(!twice, "two kinds with the same name");
}

static struct connection between(unsigned int client, unsigned int server, unsigned int port,
				 double at)
{
	return made_handshake(ip4_endpoint(client, 40000), ip4_endpoint(server, port), at);
}

static void request(struct model *m, unsigned int client, unsigned int server, double at,
		    double wait)
{
	struct connection c = between(client, server, 80, at);

	c.wait = SECONDS(wait);
	c.client_first = c.ack + c.wait;
	c.answer = SECONDS(0.004);
	c.server_first = c.settled = c.client_first + c.answer;
	model_settled(m, &c);
}

/* SYNs at 0, 1 and 3 s, and no answer. */
static void in_vain(struct model *m, unsigned int client, unsigned int server, double at)
{
	struct connection c = between(client, server, 5274, at);
	int i;

	c.outcome = OUTCOME_UNANSWERED;
	c.end_reason = END_OF_RUN;
	c.syn_count = c.syn_times_count = 3;
	for (i = 1; i < 3; i++)
		c.syn_times[i] = SECONDS(at + (i == 1 ? 1 : 3));
	c.syn_last = c.syn_times[2];
	c.settled = SECONDS(at + 130);
	c.watched = SECONDS(130);
	c.synack = c.ack = c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.server_round_trip = c.client_round_trip = NEVER;
	c.synack_count = 0;
	model_settled(m, &c);
}

#define HELPER 0x0ac80709 /* 10.200.7.9 */
#define HOST(i) (0x0a010400u + 20 + (i))
#define SITE(i) (0xcb007100u + 10 + (i))

/*
 * The scene of the README: the hosts below `ill` have the helper, and wait 5 s before each request.
 */
static struct model *office(unsigned int hosts, unsigned int ill, unsigned int requests)
{
	struct model *m = model_new(SECOND_NS, NULL);
	unsigned int i, j;
	double at;

	if (!m)
		abort();
	for (i = 0; i < hosts; i++)
		for (j = 0; j < requests; j++) {
			at = 10 * j + 0.37 * i;
			request(m, HOST(i), SITE(j % 2), at,
				i < ill ? 5.003 + 0.001 * (i % 3) : 0.0008);
			if (i < ill)
				in_vain(m, HOST(i), HELPER, at + 0.013);
		}
	return m;
}

static void test_story(void)
{
	struct model *m = office(31, 14, 4);
	const struct finding *f;
	struct session session = {};
	struct host_facts facts = {};
	struct known_route route = { .destination = between(0, HELPER, 5274, 0).server,
				     .route = { .state = ROUTE_FOUND,
						.device = "eth1",
						.device_exists = true,
						.device_up = true,
						.table = 254 } };
	struct diagnosis d, again;
	size_t i;

	facts = (struct host_facts){ .routes = &route, .route_count = 1 };
	EXPECT(diagnose(&d, m, &session, &facts), "the diagnosis fails");
	f = find_kind(&d, KIND_WAITS_FOR_PEER);
	EXPECT(f && f == &d.at[0] && f->confidence == CONFIDENCE_HIGH,
	       "the culprit must come first");
	if (!f)
		exit(1);
	EXPECT(f->peer.port == 5274 && f->correlated == 56 && f->stalls == 56,
	       "the number of stalls");
	EXPECT(llabs(f->timer - SECONDS(5.001)) < SECONDS(0.003), "the timer");
	EXPECT(f->affected.count == 14 && f->unaffected.count == 17,
	       "the hosts that wait and those that do not");
	EXPECT(is_near(f->p_value, 1.0 / 265182525), "the comparison");
	EXPECT(mentions(f, "its specific route is missing"), "the lost route");
	EXPECT(mentions(f, "none tried it"), "the comparison with the neighbours");
	EXPECT(f->has_example && f->example.syn_count == 3, "an example");
	EXPECT(!find_kind(&d, KIND_PEER_UNANSWERED), "the peer must be accused only once");
	EXPECT(diagnose(&again, m, &session, &facts) && again.count == d.count, "the same input");
	for (i = 0; i < d.count && i < again.count; i++) {
		struct finding copy = again.at[i];

		/* except for pointers to separate memory */
		copy.affected.at = d.at[i].affected.at;
		copy.unaffected.at = d.at[i].unaffected.at;
		EXPECT(!memcmp(&d.at[i], &copy, sizeof(copy)), "the same findings");
	}
	diagnosis_free(&again);
	diagnosis_free(&d);
	model_free(m);
}

/* A restricted view restricts the verdict. */
static void test_view(void)
{
	struct model *m = office(6, 6, 4);
	struct session session = { .narrowed_clients = true };
	struct host_facts facts = {};
	const struct finding *f;
	struct diagnosis d;

	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	f = find_kind(&d, KIND_WAITS_FOR_PEER);
	EXPECT(f && isnan(f->p_value) && mentions(f, "no comparison group: --client"),
	       "--client would silently remove the comparison group");
	diagnosis_free(&d);
	session = (struct session){ .counters = { [COUNT_LOST_RING] = 5 } };
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	f = find_kind(&d, KIND_WAITS_FOR_PEER);
	EXPECT(f && f->confidence == CONFIDENCE_LOW && d.at[0].kind == KIND_NO_VERDICT,
	       "verdicts despite losses");
	diagnosis_free(&d);
	model_free(m);
}

static void test_innocent(void)
{
	struct model *m = office(8, 0, 4);
	const struct finding *f;
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;
	unsigned int i;

	/* telemetry in vain every 9 s, and human thinking time */
	for (i = 0; i < 8; i++) {
		unsigned int j;

		for (j = 0; j < 5; j++) {
			in_vain(m, HOST(i), HELPER, 9 * j + 0.4 * i);
			request(m, HOST(i), SITE(0), 100 + 20 * j + i, 1.5 + 0.83 * j + 0.31 * i);
		}
	}
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	EXPECT(!find_kind(&d, KIND_WAITS_FOR_PEER), "an innocent peer would be accused");
	EXPECT(find_kind(&d, KIND_PEER_UNANSWERED), "the peer is silent in any case");
	f = find_kind(&d, KIND_STALLS_UNEXPLAINED);
	EXPECT(f && f->confidence == CONFIDENCE_LOW, "stalls without a visible cause");
	EXPECT(f && mentions(f, "not visible in TCP") && mentions(f, "UDP and DNS"),
	       "what was not looked at must be said");
	diagnosis_free(&d);
	model_free(m);

	m = office(8, 0, 4);
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	EXPECT(!d.count && d.state == STATE_FINE,
	       "the network would be blamed, or cleared unasked");
	diagnosis_free(&d);
	model_free(m);

	m = model_new(SECOND_NS, NULL);
	EXPECT(m && diagnose(&d, m, &session, &facts) && !d.count, "findings without input");
	EXPECT(d.state == STATE_UNKNOWN, "a run without connects would acquit");
	diagnosis_free(&d);
	model_free(m);
}

static void refused(struct model *m, unsigned int client, unsigned int port, double at)
{
	struct connection c = between(client, SITE(0), port, at);

	c.outcome = OUTCOME_REFUSED;
	c.end_reason = END_RST;
	c.rst = c.settled = c.syn + SECONDS(0.001);
	c.synack = c.ack = c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.server_round_trip = c.client_round_trip = NEVER;
	c.synack_count = 0;
	model_settled(m, &c);
}

/* A passing port scan must not flood the report with one finding for each port. */
static void test_scan(void)
{
	struct model *m = office(8, 0, 4);
	const struct finding *f;
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;
	unsigned int i;

	for (i = 0; i < 500; i++)
		refused(m, HOST(2), 1000 + i, 0.01 * i);
	for (i = 0; i < 4; i++) {
		refused(m, HOST(2), 25, 10 + i);
		refused(m, HOST(i), 25, 11 + i);
	}
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	f = find_kind(&d, KIND_PEER_REFUSED);
	EXPECT(f && !mentions(f, "a scan"),
	       "a server that refuses several hosts needs its own finding");
	for (i = 0, f = NULL; i < d.count; i++)
		if (d.at[i].kind == KIND_PEER_REFUSED && mentions(&d.at[i], "a scan"))
			f = &d.at[i];
	EXPECT(f && f->confidence == CONFIDENCE_LOW && mentions(f, "500 peers that refuse"),
	       "the scan must be one finding that states its number of attempts");
	EXPECT(d.count <= 3, "a scan floods the report");
	diagnosis_free(&d);
	model_free(m);
}

/* After the scan come so many clients that the model forgets those of the scan. */
static void test_forgotten(void)
{
	struct model *m = office(8, 0, 4);
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;
	unsigned int i;

	for (i = 0; i < 60; i++)
		in_vain(m, HOST(i % 3), HELPER, i);
	for (i = 0; i < 500; i++)
		refused(m, HOST(2), 1000 + i, 0.01 * i);
	for (i = 0; i < MAX_CLIENTS; i++)
		request(m, 0x0a600000u + i, SITE(i % 4), 100 + 1e-4 * i, 0.001);
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	for (i = 0; i < d.count; i++)
		EXPECT(!mentions(&d.at[i], " 0 hosts"),
		       "a finding would count forgotten clients as 0 hosts");
	EXPECT(find_kind(&d, KIND_PEER_UNANSWERED),
	       "the dead server is missing because its clients are forgotten");
	EXPECT(d.count <= 4, "the scan floods the report");
	diagnosis_free(&d);
	model_free(m);
}

/* A handshake of one second: SYN and SYN-ACK were repeated, this long after the first answer. */
static void repeated(struct model *m, unsigned int client, double at, double after_answer)
{
	struct connection c = between(client, SITE(0), 80, at);
	ns_t again = SECONDS(after_answer);

	c.syn_count = c.syn_times_count = c.synack_count = 2;
	c.syn_last = c.syn_times[1] = c.syn + SECONDS(1);
	c.synack = c.syn_last - again;
	c.ack = c.synack + again + SECONDS(0.0004);
	c.server_round_trip = c.client_round_trip = NEVER;
	c.client_first = c.ack + SECONDS(0.0001);
	c.server_first = c.settled = c.client_first + SECONDS(0.004);
	c.wait = SECONDS(0.0001);
	c.answer = SECONDS(0.004);
	model_settled(m, &c);
}

/* The provider's losses must not be attributed to a client's line. */
static void test_loss(void)
{
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;
	struct model *m;
	unsigned int i;

	m = office(8, 0, 6);
	for (i = 0; i < 6; i++)
		repeated(m, HOST(2), 3 * i, 0.999);
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	EXPECT(find_kind(&d, KIND_LOSSY_CLIENT),
	       "the answer passed the gateway and was requested again");
	diagnosis_free(&d);
	model_free(m);

	m = office(8, 0, 6);
	for (i = 0; i < 6; i++)
		repeated(m, HOST(2), 3 * i, 0.0002);
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	EXPECT(!find_kind(&d, KIND_LOSSY_CLIENT),
	       "both timers expired together: SYN and SYN-ACK crossed, this side lost nothing");
	diagnosis_free(&d);
	model_free(m);

	m = office(8, 0, 2);
	for (i = 0; i < 6; i++)
		repeated(m, HOST(i % 3 ? 1 : 2), 3 * i, 0.999);
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	EXPECT(!find_kind(&d, KIND_LOSSY_CLIENT),
	       "four losses of one host and two of another may be a coincidence");
	diagnosis_free(&d);
	model_free(m);
}

/* One SYN from an unknown client, as in a storm from random sources. */
static void one_syn(struct model *m, unsigned int client, unsigned int server, double at)
{
	struct connection c = between(client, server, 9, at);

	c.outcome = OUTCOME_UNANSWERED;
	c.end_reason = END_TIMEOUT;
	c.settled = SECONDS(at + 3);
	c.watched = SECONDS(3);
	c.synack = c.ack = c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.server_round_trip = c.client_round_trip = NEVER;
	c.synack_count = 0;
	model_settled(m, &c);
}

/* A storm at a dead prefix: its random sources are not reported as affected hosts. */
static void test_storm_at_prefix(void)
{
	struct model *m = office(8, 0, 4);
	const struct finding *f;
	struct session session = {};
	struct known_route routes[3];
	struct host_facts facts = { .routes = routes, .route_count = 3 };
	struct diagnosis d;
	unsigned int i;

	for (i = 0; i < 3; i++)
		routes[i] = (struct known_route){
			.destination = between(0, HELPER + i, 5274, 0).server,
			.route = { .state = ROUTE_FOUND, .prefix_length = 16, .table = 254 },
		};
	for (i = 0; i < 6; i++)
		in_vain(m, HOST(i % 2), HELPER + i % 3, 9 * i);
	for (i = 0; i < 500; i++)
		one_syn(m, 0x0a600000 + i, HELPER + 10 + i % 100, 0.01 * i);
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	f = find_kind(&d, KIND_PREFIX_CUT);
	EXPECT(f && f->hosts_hurt == 2 && f->affected.count == 2,
	       "sources of the storm count as affected hosts");
	EXPECT(f && mentions(f, "3 servers, 6 connects of 2 hosts"),
	       "attempts and hosts of the same peers");
	EXPECT(f && mentions(f, "the 3 servers seen there never answered"),
	       "more would be said of the network than was seen");
	EXPECT(f && f->prefix_length == 24, "a larger network than that of the servers is named");
	diagnosis_free(&d);
	model_free(m);
}

/* Something else in the prefix answers by an RST, or is served as a client: the way is open. */
static void test_no_cut(void)
{
	struct session session = {};
	struct host_facts facts = {};
	unsigned int i, refuses;

	for (refuses = 0; refuses < 3; refuses++) {
		struct model *m = office(8, 0, 4);
		struct connection c = between(HOST(1), HELPER + 7, 113, 70);
		struct diagnosis d;

		for (i = 0; i < 6; i++)
			in_vain(m, HOST(i % 2), HELPER + i % 3, 9 * i);
		c.outcome = OUTCOME_REFUSED;
		c.end_reason = END_RST;
		c.rst = c.settled = c.syn + SECONDS(0.001);
		c.synack = c.ack = c.client_first = c.server_first = c.wait = c.answer = NEVER;
		if (refuses == 1)
			model_settled(m, &c);
		else if (refuses == 2)
			request(m, HELPER + 8, SITE(0), 70, 0.001);
		EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
		EXPECT(!find_kind(&d, KIND_PREFIX_CUT) == (refuses > 0),
		       "a reachable network would be called cut off");
		diagnosis_free(&d);
		model_free(m);
	}
}

/* ---- runs that end at any time ---- */

#define OTHER_HELPER (HELPER + 1)

/* A connect that is not answered, with a SYN each second; the client gives up after `lasts`. */
static void tried(struct model *m, unsigned int client, unsigned int server, unsigned int port,
		  double at, double lasts, double end)
{
	struct connection c = between(client, server, port, at);
	double t;

	if (at >= end)
		return;
	c.outcome = OUTCOME_UNANSWERED;
	c.end_reason = END_OF_RUN;
	for (t = 1.02; t < lasts && at + t < end && c.syn_count < SYN_TIMES; t += 1.02)
		c.syn_times[c.syn_count++] = SECONDS(at + t);
	c.syn_times_count = c.syn_count;
	c.syn_last = c.syn_times[c.syn_count - 1];
	c.settled = SECONDS(end);
	c.watched = c.settled - c.syn;
	c.synack = c.ack = c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.server_round_trip = c.client_round_trip = NEVER;
	c.synack_count = 0;
	model_settled(m, &c);
}

/* A request that waits, or a connection that is still idle at the end. */
static void held(struct model *m, unsigned int client, unsigned int server, double at, double wait,
		 double end)
{
	struct connection c = between(client, server, 80, at);

	if (at + 0.02 + wait < end) {
		request(m, client, server, at, wait);
		return;
	}
	if (at >= end)
		return;
	c.end_reason = END_OF_RUN;
	c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.settled = SECONDS(end > at + 0.02 ? end : at + 0.02);
	c.watched = c.settled - c.syn;
	model_settled(m, &c);
}

/* What a host of the scene does after each handshake. */
struct helper_scene {
	double first; /* the first attempt is given up after this time */
	double wait; /* the request is sent after this time; a second attempt fills the rest */
	unsigned int second; /* its server, or 0 if there is none */
	bool random; /* the second attempt begins at any time */
};

/*
 * Three hosts have the helper and three do not. Each opens a page every 8 s. Returns a model of the
 * run until `end`.
 */
static struct model *scene(const struct helper_scene *h, double end)
{
	struct model *m = model_new(SECOND_NS, NULL);
	unsigned int i, j;
	double at, second;

	if (!m)
		abort();
	for (j = 0; j < 6; j++)
		for (i = 0; i < 6; i++) {
			at = 8 * j + 0.8 * i + 0.05 * (i * j % 3);
			held(m, HOST(i), SITE(j / 2), at, i % 2 ? 0.001 : h->wait, end);
			if (i % 2)
				continue;
			at += 0.0112;
			tried(m, HOST(i), HELPER, 5274, at, h->first, end);
			second = h->random ? 0.23 * ((i + 5 * j) % 7) : 0;
			if (h->second)
				tried(m, HOST(i), h->second, 5274, at + h->first + second,
				      h->wait - h->first - second, end);
		}
	return m;
}

/* Returns true if the first finding is that hosts wait for the helper, with this confidence. */
static bool accuses(const struct model *m, enum confidence least, const char *words)
{
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;
	bool is;

	if (!diagnose(&d, m, &session, &facts))
		abort();
	is = d.count && d.at[0].kind == KIND_WAITS_FOR_PEER && d.at[0].confidence >= least &&
	     d.at[0].peer.address.word[3] == cpu_to_be32(HELPER) &&
	     (!words || mentions(&d.at[0], words));
	diagnosis_free(&d);
	return is;
}

/* The moment at which the run ends changes neither the culprit nor its confidence. */
static void test_end_of_run(void)
{
	const struct helper_scene once = { .first = 5.001, .wait = 5.001 },
				  twice = { .first = 2.5, .wait = 5.001, .second = HELPER },
				  two = { .first = 3, .wait = 6.001, .second = OTHER_HELPER };
	const struct helper_scene *const scenes[] = { &once, &twice, &two };
	unsigned int i, missed[3] = {};
	struct model *m;
	double end;

	for (i = 0; i < 3; i++)
		for (end = 3.2 + scenes[i]->wait + 0.2; end < 50; end += 0.3) {
			m = scene(scenes[i], end);
			missed[i] += !accuses(m, CONFIDENCE_HIGH, NULL);
			model_free(m);
		}
	EXPECT(!missed[0], "waits that still go on would count against the culprit");
	EXPECT(!missed[1], "a helper that tries its server twice would depend on the end");
	EXPECT(!missed[2], "a helper with two dead servers would depend on the end");
}

/* A peer that is tried all the time is not excused by a spare socket that is never used. */
static void test_open_socket(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	unsigned int i, j;

	for (i = 0; i < 6; i++) {
		held(m, HOST(i), SITE(5), 0.3 * i, 1000, 120);
		for (j = 0; j < 24; j++) {
			tried(m, HOST(i), HELPER, 5274, 5 * j + 0.3 * i + 0.02, 4.6, 120);
			if (j % 6)
				tried(m, HOST(i), HELPER, 5274, 5 * j + 0.3 * i + 2.47, 4.6, 120);
			held(m, HOST(i), SITE(j % 3), 5 * j + 0.3 * i, j % 6 ? 0.001 : 4.3, 120);
		}
	}
	EXPECT(!accuses(m, CONFIDENCE_MEDIUM, NULL),
	       "attempts would not count because a socket is still idle");
	model_free(m);
}

/* ---- chains of attempts ---- */

static void test_chain(void)
{
	const struct helper_scene twice = { .first = 2.5, .wait = 5.001, .second = HELPER },
				  two = { .first = 3, .wait = 6.001, .second = OTHER_HELPER },
				  given_up = { .first = 2.5, .wait = 4.001 },
				  random = { .first = 2.5,
					     .wait = 6.001,
					     .second = OTHER_HELPER,
					     .random = true };
	const struct finding *f;
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;
	struct model *m;

	m = scene(&twice, 60);
	EXPECT(accuses(m, CONFIDENCE_HIGH, "10.200.7.9:5274 for 2 times 2.500 s"),
	       "two attempts at the same dead server fill the wait");
	model_free(m);

	m = scene(&two, 60);
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	f = find_kind(&d, KIND_WAITS_FOR_PEER);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && f->also_count == 1 &&
		       f->also[0].address.word[3] == cpu_to_be32(OTHER_HELPER) &&
		       mentions(f, "for 3.000 s, then 10.200.7.10:5274 for"),
	       "two dead servers in turn fill the wait");
	EXPECT(!find_kind(&d, KIND_PEER_UNANSWERED) && !find_kind(&d, KIND_TIMER_UNEXPLAINED),
	       "each server must be accused only once");
	diagnosis_free(&d);
	model_free(m);

	m = scene(&given_up, 60);
	EXPECT(!accuses(m, CONFIDENCE_LOW, NULL),
	       "an attempt that was given up before the wait ended is not its cause");
	model_free(m);

	m = scene(&random, 60);
	EXPECT(!accuses(m, CONFIDENCE_LOW, NULL),
	       "attempts that follow at any time are not a chain");
	model_free(m);
}

/* ---- several suspects ---- */

/* Three hosts wait 5 s with one of three dead addresses of a name, and three hosts do not. */
static void test_addresses(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	const struct finding *f;
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;
	unsigned int i, j;
	double at;

	for (j = 0; j < 6; j++)
		for (i = 0; i < 6; i++) {
			at = 8 * j + 0.8 * i;
			held(m, HOST(i), SITE(j / 2), at, i % 2 ? 0.001 : 5.001, 60);
			if (i % 2)
				continue;
			tried(m, HOST(i), HELPER + (i + j + j / 3) % 3, 5274, at + 0.0112, 5, 60);
			/* the same port, but no stall begins with it */
			tried(m, HOST(i), HELPER + 7, 5274, at + 6.5, 5, 60);
		}
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	f = find_kind(&d, KIND_WAITS_FOR_PEER);
	EXPECT(f && f == &d.at[0] && f->confidence == CONFIDENCE_HIGH && f->correlated == 18,
	       "the addresses would count against each other");
	EXPECT(f && f->also_count == 2, "each dead address of the name is as guilty");
	for (i = 0; f && i < f->also_count; i++)
		EXPECT(f->also[i].address.word[3] != cpu_to_be32(HELPER + 7),
		       "a peer with the same port would be accused");
	diagnosis_free(&d);
	model_free(m);
}

/* Stalls as long as the helper's, of hosts that try it at no time, or only at other times. */
static struct model *equal_stalls(bool tried_before)
{
	const struct helper_scene once = { .first = 5.001, .wait = 5.001 };
	struct model *m = scene(&once, 60);
	unsigned int i, j;

	for (i = 10; i < 16; i++)
		for (j = 0; j < 6; j++) {
			held(m, HOST(i), SITE(j), 8 * j + 0.7 * i - 6, i < 13 ? 5.001 : 0.001, 60);
			if (tried_before && i < 13)
				tried(m, HOST(i), HELPER, 5274, 8 * j + 0.7 * i - 0.5, 1.5, 60);
		}
	return m;
}

static void test_hosts_without(void)
{
	struct model *m = equal_stalls(false);

	EXPECT(accuses(m, CONFIDENCE_HIGH, NULL), "hosts that never try it say nothing");
	model_free(m);
	m = equal_stalls(true);
	EXPECT(!accuses(m, CONFIDENCE_MEDIUM, NULL),
	       "equal stalls of hosts that try it at other times speak for another timer");
	model_free(m);
}

/*
 * Hosts 0, 2, 4 have the helper, hosts 2, 4, 5 have other software that tries a dead peer with each
 * page. With `apart` the hosts 0 and 5 take part, which have one of them only.
 */
static void test_overlap(bool apart)
{
	struct model *m = model_new(SECOND_NS, NULL);
	const struct finding *f;
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;
	unsigned int i, j;
	double at;

	for (j = 0; j < 6; j++)
		for (i = apart ? 0 : 1; i < 6; i++) {
			bool waits = i == 0 || i == 2 || i == 4;

			at = 8 * j + 0.7 * i;
			held(m, HOST(i), SITE(j / 2), at, waits ? 5.001 : 0.001, 60);
			if (waits)
				tried(m, HOST(i), HELPER, 5274, at + 0.0112, 5, 60);
			if (i == 2 || i == 4 || (apart && i == 5))
				tried(m, HOST(i), OTHER_HELPER, 80, at + 0.0111, 6, 60);
		}
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	f = find_kind(&d, KIND_WAITS_FOR_PEER);
	if (apart)
		EXPECT(f && f->peer.address.word[3] == cpu_to_be32(HELPER) && !f->also_count &&
			       f->confidence == CONFIDENCE_HIGH && !mentions(f, "distinguish"),
		       "hosts that have only one of two suspects tell them apart");
	else
		EXPECT(f && f->also_count == 1 && mentions(f, "cannot distinguish"),
		       "two suspects that no host tells apart");
	diagnosis_free(&d);
	model_free(m);
}

/* Host 0 has two helpers, hosts 1 and 2 have one of them: each helper is guilty. */
static void test_two_helpers(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	struct session session = {};
	struct host_facts facts = {};
	unsigned int i, j, high = 0;
	struct diagnosis d;
	double at;

	for (j = 0; j < 4; j++)
		for (i = 0; i < 6; i++) {
			at = 3.1 * j + 0.2 * i + 0.07 * (i * j % 3);
			held(m, HOST(i), SITE(j % 3), at, i < 3 ? 2.501 : 0.001, 15);
			if (i < 2)
				tried(m, HOST(i), HELPER, 5274, at + 0.0112, 2.5, 15);
			if (i == 0 || i == 2)
				tried(m, HOST(i), OTHER_HELPER, 8443, at + 0.0112, 2.5, 15);
		}
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	for (i = 0; i < d.count; i++)
		high += d.at[i].kind == KIND_WAITS_FOR_PEER &&
			d.at[i].confidence == CONFIDENCE_HIGH && !d.at[i].also_count;
	EXPECT(high == 2, "stalls that the other helper explains would count against a helper");
	diagnosis_free(&d);
	model_free(m);
}

/* ---- peers that die and come back ---- */

/* A connect to the helper that is closed unused after its SYN-ACK, which answers the last SYN. */
static void answered_after(struct model *m, unsigned int client, double at, unsigned int syns)
{
	struct connection c = between(client, HELPER, 5274, at);
	unsigned int i;

	for (i = 1; i < syns; i++)
		c.syn_times[i] = SECONDS(at + 1.02 * i);
	c.syn_count = c.syn_times_count = syns;
	c.syn_last = c.syn_times[syns - 1];
	c.synack = c.syn_last + SECONDS(0.0001);
	c.ack = c.fin = c.settled = c.synack + SECONDS(0.0001);
	c.end_reason = END_FIN;
	c.watched = c.settled - c.syn;
	c.client_first = c.server_first = c.wait = c.answer = NEVER;
	if (syns > 1)
		c.server_round_trip = NEVER;
	model_settled(m, &c);
}

/* The helper answers until 30 s, is dead until 61 s, and answers again. */
static void test_back(void)
{
	struct session session = { .duration = SECONDS(100) };
	struct model *m = model_new(SECOND_NS, NULL);
	struct host_facts facts = {};
	const struct finding *f;
	struct diagnosis d;
	unsigned int i, j, syns;
	double at;

	for (j = 0; j < 12; j++)
		for (i = 0; i < 3; i++) {
			at = 8 * j + 0.8 * i;
			syns = j == 7 ? 2 + (i + 2) % 3 : 1;
			if (j >= 4 && j < 7) {
				held(m, HOST(i), SITE(j % 2), at, 5.001, 100);
				tried(m, HOST(i), HELPER, 5274, at + 0.012, 5, 100);
				continue;
			}
			/* host 2 goes on only after a while, as a busy one does */
			held(m, HOST(i), SITE(j % 2), at,
			     1.02 * (syns - 1) + (i == 2 ? 0.032 : 0.002), 100);
			answered_after(m, HOST(i), at + 0.012, syns);
		}
	/* given up just before; an attempt that began earlier is answered later */
	tried(m, HOST(3), HELPER, 5274, 55.5, 1.5, 100);
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	f = find_kind(&d, KIND_WAITS_FOR_PEER);
	EXPECT(f && f == &d.at[0] && f->confidence == CONFIDENCE_HIGH && f->correlated == 12,
	       "the stalls that end with its SYN-ACK belong to it");
	EXPECT(f && mentions(f, "3 more ended at once when it answered, after 1.0") &&
		       mentions(f, ":57: it answered before, and does so again"),
	       "when it failed");
	EXPECT(!find_kind(&d, KIND_STALLS_UNEXPLAINED), "their cause is visible");
	diagnosis_free(&d);
	model_free(m);
}

/* A host whose helper lost a SYN now and then waits for it, but the helper does not fail. */
static void test_lost_once(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;
	unsigned int i, j;

	for (j = 0; j < 12; j++)
		for (i = 0; i < 3; i++) {
			bool lost = (i + j) % 4 == 0;

			held(m, HOST(i), SITE(j % 2), 8 * j + 0.8 * i, lost ? 1.022 : 0.001, 100);
			answered_after(m, HOST(i), 8 * j + 0.8 * i + 0.012, lost ? 2 : 1);
		}
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	EXPECT(!find_kind(&d, KIND_WAITS_FOR_PEER) && !find_kind(&d, KIND_SLOW_HELPER),
	       "a SYN that was lost once is not the helper's fault");
	diagnosis_free(&d);
	model_free(m);
}

/* ---- refusals ---- */

/* A connect to the helper that is refused at once. */
static void refused_at_once(struct model *m, unsigned int client, double at)
{
	struct connection c = between(client, HELPER, 5274, at);

	c.outcome = OUTCOME_REFUSED;
	c.end_reason = END_RST;
	c.rst = c.settled = c.syn + SECONDS(0.0004);
	c.synack = c.ack = c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.server_round_trip = c.client_round_trip = NEVER;
	c.synack_count = 0;
	model_settled(m, &c);
}

/*
 * Three hosts try a peer that refuses, `tries` times every 0.5 s, with each page. Their requests
 * wait for `wait`.
 */
static struct model *refusing(unsigned int tries, double wait)
{
	struct model *m = model_new(SECOND_NS, NULL);
	unsigned int i, j, k;
	double at;

	for (j = 0; j < 6; j++)
		for (i = 0; i < 6; i++) {
			at = 8 * j + 0.8 * i;
			for (k = 0; k < tries && i % 2 == 0; k++)
				refused_at_once(m, HOST(i), at + 0.0112 + 0.502 * k);
			request(m, HOST(i), SITE(j % 3), at, i % 2 ? 0.001 : wait);
		}
	return m;
}

/* Each page follows the one before about as soon as the helper tries its server again. */
static struct model *refusing_at_once(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	unsigned int i, j, k;
	double at;

	for (i = 0; i < 6; i++)
		for (j = 0, at = 0.8 * i; j < 6; j++) {
			for (k = 0; k < 8 && i % 2 == 0; k++)
				refused_at_once(m, HOST(i), at + 0.0112 + 0.402 * k);
			request(m, HOST(i), SITE(j % 3), at, i % 2 ? 0.001 : 2.821);
			at += 2.821 + 0.21 + 0.13 * ((2 * i + j) % 3);
		}
	return m;
}

static void test_refused(void)
{
	struct model *m = refusing(10, 5.021);
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;

	EXPECT(accuses(m, CONFIDENCE_HIGH, "refuses each time"),
	       "attempts that are refused again and again fill the wait");
	EXPECT(accuses(m, CONFIDENCE_HIGH, "try it 10 times"), "how often it is tried");
	EXPECT(diagnose(&d, m, &session, &facts) && !find_kind(&d, KIND_PEER_REFUSED),
	       "the peer must be accused only once");
	diagnosis_free(&d);
	model_free(m);
	m = refusing_at_once();
	EXPECT(accuses(m, CONFIDENCE_HIGH, "try it 8 times"),
	       "a page that follows soon would belong to the wait before");
	EXPECT(diagnose(&d, m, &session, &facts) && !find_kind(&d, KIND_TIMER_UNEXPLAINED),
	       "each wait is explained");
	diagnosis_free(&d);
	model_free(m);
	m = refusing(4, 5.021);
	EXPECT(!accuses(m, CONFIDENCE_LOW, NULL), "the wait goes on long after the last refusal");
	model_free(m);
	m = refusing(1, 5.021);
	EXPECT(!accuses(m, CONFIDENCE_LOW, NULL), "nobody waits for a single refusal");
	model_free(m);
}

/*
 * Three hosts try two dead servers one after another, the first one now the one and now the other;
 * or one server ten times, with one SYN each.
 */
static void test_turns(void)
{
	struct model *rotating = model_new(SECOND_NS, NULL), *ten = model_new(SECOND_NS, NULL);
	const struct finding *f;
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;
	unsigned int i, j, k;
	double at;

	for (j = 0; j < 6; j++)
		for (i = 0; i < 6; i++) {
			at = 8 * j + 0.8 * i;
			held(rotating, HOST(i), SITE(j / 2), at, i % 2 ? 0.001 : 6.001, 60);
			held(ten, HOST(i), SITE(j / 2), at, i % 2 ? 0.001 : 5.001, 60);
			if (i % 2)
				continue;
			at += 0.0112;
			for (k = 0; k < 2; k++)
				tried(rotating, HOST(i), HELPER + (i / 2 + j + k) % 2, 5274,
				      at + 3.001 * k, 3, 60);
			for (k = 0; k < 10; k++)
				tried(ten, HOST(i), HELPER, 5274, at + 0.5 * k, 0.5, 60);
		}
	EXPECT(diagnose(&d, rotating, &session, &facts), "a diagnosis");
	f = find_kind(&d, KIND_WAITS_FOR_PEER);
	EXPECT(f && f == &d.at[0] && f->confidence == CONFIDENCE_HIGH && f->correlated == 18 &&
		       f->also_count == 1 && f->also[0].port == 5274,
	       "a chain that begins at either server is one finding");
	diagnosis_free(&d);
	EXPECT(accuses(ten, CONFIDENCE_HIGH, "for 10 times 500 ms"), "many attempts in one wait");
	model_free(rotating);
	model_free(ten);
}

/* ---- ident ---- */

/*
 * A mail server asks port 113 of four hosts. Two drop it and are greeted late, two refuse it. The
 * questions to the latter follow each other like attempts of one operation.
 */
static void test_ident(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	const struct finding *f;
	struct session session = {};
	struct host_facts facts = {};
	struct connection c;
	struct diagnosis d;
	unsigned int i, j;

	for (j = 0; j < 9; j++)
		for (i = 0; i < 4; i++) {
			double at = 1.2 * j + 0.1 * i;

			if (i % 2 && j % 3)
				continue;
			c = between(SITE(0), HOST(i), 113, at + 0.02);
			c.outcome = i % 2 ? OUTCOME_UNANSWERED : OUTCOME_REFUSED;
			c.rst = i % 2 ? NEVER : c.syn + SECONDS(0.001);
			c.settled = c.syn + SECONDS(i % 2 ? 3 : 0.001);
			c.synack = c.ack = c.client_first = c.server_first = NEVER;
			c.wait = c.answer = NEVER;
			model_settled(m, &c);
			c = between(HOST(i), SITE(0), 25, at);
			c.banner = SECONDS(i % 2 ? 3.01 : 0.03);
			c.server_first = c.settled = c.ack + c.banner;
			c.client_first = c.wait = c.answer = NEVER;
			model_settled(m, &c);
		}
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	f = find_kind(&d, KIND_IDENT);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && f->affected.count == 2,
	       "hosts that refuse the questions are greeted at once");
	diagnosis_free(&d);
	model_free(m);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_statistics();
	test_facts();
	test_kinds();
	test_story();
	test_view();
	test_innocent();
	test_scan();
	test_forgotten();
	test_loss();
	test_storm_at_prefix();
	test_no_cut();
	test_end_of_run();
	test_open_socket();
	test_chain();
	test_turns();
	test_addresses();
	test_hosts_without();
	test_overlap(true);
	test_overlap(false);
	test_two_helpers();
	test_back();
	test_lost_once();
	test_refused();
	test_ident();
	printf("diagnose: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
