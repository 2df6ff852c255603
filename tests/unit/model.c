// SPDX-License-Identifier: GPL-2.0
/*
 * Hosts, peers, equal waits, percentiles and durations that the model and the formats derive from
 * connections.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "lib/format.h"
#include "model/model.h"

static unsigned int reported[FAILURES], retracted, stalls_reported, waiting_reported,
	banners_reported;

static void on_stall(void *context, const struct stall *s, bool ended)
{
	(void)context;
	(void)s;
	ended ? stalls_reported++ : waiting_reported++;
}

static void on_late_banner(void *context, const struct connection *c)
{
	(void)context;
	(void)c;
	banners_reported++;
}

static void on_failing(void *context, const struct connection *c, enum failure failure)
{
	(void)context;
	(void)c;
	reported[failure]++;
}

static void on_late_answer(void *context, const struct connection *c)
{
	(void)context;
	(void)c;
	retracted++;
}

static const struct model_events events = {
	.stall = on_stall,
	.late_banner = on_late_banner,
	.failing = on_failing,
	.late_answer = on_late_answer,
};

#define SECONDS(s) ((ns_t)((s) * (double)SECOND_NS))

/* Established, with data from both sides; the client waited this long. */
static struct connection met(unsigned int client, uint8_t mac, double wait)
{
	struct connection c = { .outcome = OUTCOME_ESTABLISHED,
				.end_reason = END_PAYLOAD,
				.has_mac = mac };

	c.client.address = (struct address){ .word = { 0, 0, IP4_PREFIX, client } };
	c.client.port = 40000;
	c.server.address = (struct address){ .word = { 0, 0, IP4_PREFIX, 0x01020304 } };
	c.server.port = 80;
	c.mac[5] = mac;
	c.syn_count = 1;
	c.synack_count = 1;
	c.synack = SECONDS(0.01);
	c.ack = SECONDS(0.011);
	c.client_first = c.ack + SECONDS(wait);
	c.server_first = c.client_first + SECONDS(0.002);
	c.wait = SECONDS(wait);
	c.answer = SECONDS(0.002);
	c.settled = c.server_first;
	c.banner = c.fin = c.rst = c.icmp = NEVER;
	c.server_round_trip = SECONDS(0.01);
	c.client_round_trip = SECONDS(0.001);
	return c;
}

static struct connection silent(unsigned int client, uint8_t mac, unsigned int syns, double watched)
{
	struct connection c = met(client, mac, 0);

	c.outcome = OUTCOME_UNANSWERED;
	c.end_reason = END_OF_RUN;
	c.server.port = 5274;
	c.syn_count = syns;
	c.syn_times_count = syns < SYN_TIMES ? syns : SYN_TIMES;
	for (unsigned int i = 0; i < c.syn_times_count; i++)
		c.syn_times[i] = SECONDS(i);
	c.watched = c.settled = SECONDS(watched);
	c.synack = c.ack = c.client_first = c.server_first = NEVER;
	c.wait = c.answer = c.server_round_trip = c.client_round_trip = NEVER;
	return c;
}

static struct model *fresh(void)
{
	struct model *m = model_new(SECONDS(1), &events);

	if (!m)
		abort();
	memset(reported, 0, sizeof(reported));
	retracted = stalls_reported = waiting_reported = banners_reported = 0;
	return m;
}

static void settle(struct model *m, struct connection c)
{
	model_settled(m, &c);
}

/* A client that a trunk or a mirror port shows in several VLANs. */
static void test_hosts_in_vlans(void)
{
	struct model *m = fresh();
	struct connection c;
	struct hosts hosts;
	unsigned int i, vlan;

	for (vlan = 0; vlan < 30; vlan += 10) {
		c = met(1, 1, 5);
		c.client.vlan[0] = c.server.vlan[0] = vlan;
		settle(m, c);
		c = met(2, 1, 0); /* its second address */
		c.client.vlan[0] = c.server.vlan[0] = vlan;
		settle(m, c);
		for (i = 10; i < 15; i++) { /* a router */
			c = met(i, 2, 0);
			c.client.vlan[0] = c.server.vlan[0] = vlan;
			settle(m, c);
		}
	}
	EXPECT(model_hosts(m, &hosts), "there are no hosts");
	EXPECT(hosts.count == 1 + 5, "a host in three VLANs would be three hosts, or a router");
	EXPECT(hosts.at[0].client_count == 6 && hosts.at[0].address_count == 2 &&
		       hosts.at[0].stalls == 3 && hosts.affected == 1,
	       "a host in three VLANs would have six addresses");
	hosts_free(&hosts);
	model_free(m);
}

static void test_hosts(void)
{
	struct model *m = fresh();
	struct connection c;
	struct hosts hosts;
	unsigned int i;

	settle(m, met(1, 1, 5));
	c = met(0, 1, 5);
	c.client.address = (struct address){ .word = { 0xfd, 0, 0, 1 } };
	settle(m, c);
	for (i = 10; i < 15; i++) /* five IPv4 addresses with one MAC: a router */
		settle(m, met(i, 2, 0));
	settle(m, met(20, 0, 0)); /* no MAC */
	c = met(1, 3, 0); /* the first host's address in another VLAN, with another MAC */
	c.client.vlan[0] = c.server.vlan[0] = 7;
	settle(m, c);
	EXPECT(model_hosts(m, &hosts), "there are no hosts");
	EXPECT(hosts.count == 1 + 5 + 1 + 1,
	       "users behind a router or in two VLANs would be one host, or two families two hosts");
	EXPECT(hosts.affected == 1, "the number of affected hosts");
	EXPECT(hosts.at[0].client_count == 2 && hosts.at[0].stalls == 2,
	       "the most affected host must come first");
	EXPECT(is_ip4(&hosts.at[0].clients[0]->key.address), "the IPv4 address must name the host");
	hosts_free(&hosts);
	model_free(m);
}

static void test_cohort(void)
{
	struct model *m = fresh();
	struct cohort cohort;
	const struct peer **peers;
	struct hosts hosts;
	size_t count;
	int i;

	for (i = 0; i < 6; i++) {
		settle(m, met(1 + i, 1 + i, i < 3 ? 5 : 0)); /* 1, 2, 3 stall */
		if (i < 2 || i == 5) /* 1, 2, 6 try */
			settle(m, silent(1 + i, 1 + i, 3, 10));
	}
	settle(m, silent(1, 1, 3, 10)); /* again: still one host */
	EXPECT(model_hosts(m, &hosts), "no hosts");
	peers = model_failing_peers(m, &count);
	EXPECT(peers && count == 1, "the peer");
	cohort = model_cohort(&hosts, peers[0]);
	EXPECT(cohort.tried == 3 && cohort.tried_stalled == 2, "the hosts that tried and stalled");
	EXPECT(cohort.others == 3 && cohort.others_stalled == 1,
	       "the hosts that did not try and stalled");
	free(peers);
	hosts_free(&hosts);
	model_free(m);
}

static void test_stall_groups(void)
{
	static const double waits[] = { 5.001, 5.003, 5.004, 5.010, 1.2, 30.0 };
	struct stall_group *groups;
	struct model *m = fresh();
	struct hosts hosts;
	size_t count, i;

	for (i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		settle(m, met(i % 3, 1 + i % 3, waits[i]));
	settle(m, met(9, 9, 0.999));
	EXPECT(m->stall_count == 6 && stalls_reported == 6,
	       "a wait below the threshold is no stall");
	EXPECT(model_hosts(m, &hosts), "no hosts");
	groups = model_stall_groups(m, &hosts, &count);
	EXPECT(groups && count == 3, "a timer would not be found");
	if (groups) {
		EXPECT(groups[0].count == 4 && groups[0].hosts == 3,
		       "the number of hosts with the timer");
		EXPECT(llabs(groups[0].median - SECONDS(5.004)) < SECONDS(0.002),
		       "the timer's length");
		EXPECT(groups[0].deviation <= SECONDS(0.006), "the timer's deviation");
	}
	free(groups);
	hosts_free(&hosts);
	model_free(m);
}

static void test_peers(void)
{
	const struct pair *pairs[4];
	struct model *m = fresh();
	struct connection c;
	const struct peer **peers;
	size_t count;
	int i;

	for (i = 0; i < 1000; i++)
		settle(m, silent(1 + i % 2, 1 + i % 2, 3, 10));
	EXPECT(reported[FAILURE_SILENT] == 1,
	       "a peer that fails a thousand times must be reported once");
	settle(m, silent(3, 3, 1, 10));
	settle(m, silent(4, 4, 2, 2.9));
	EXPECT(m->failures[FAILURE_ONE_SYN] == 1, "one SYN alone does not prove silence");
	EXPECT(m->failures[FAILURE_TOO_EARLY] == 1,
	       "an attempt at the end of the run proves nothing");
	peers = model_failing_peers(m, &count);
	EXPECT(peers && count == 1 && peers[0]->failures[FAILURE_SILENT] == 1000, "the count");
	EXPECT(count == 1 && peers[0]->clients_failed == 3 && !peers[0]->answered,
	       "the clients that tried it");
	EXPECT(count == 1 && peer_pairs(peers[0], pairs, 4) == 3 && pairs[0]->failures == 500,
	       "the client that tried it most often");
	free(peers);

	c = met(1, 1, 0);
	c.server.port = 5274;
	c.syn_count = c.syn_times_count = 4;
	for (i = 0; i < 4; i++)
		c.syn_times[i] = c.syn + SECONDS(i);
	c.synack = c.syn + SECONDS(3.1);
	settle(m, c);
	EXPECT(retracted == 1, "a late SYN-ACK must withdraw the accusation");
	EXPECT(m->retried == 1, "the number of attempts answered only after the second SYN");

	c = met(2, 1, 5);
	c.syn_count = c.syn_times_count = 2;
	c.syn_times[1] = c.syn + SECONDS(0.05);
	c.synack = c.syn + SECONDS(0.06);
	settle(m, c);
	c.syn_times[1] = c.syn + SECONDS(1);
	settle(m, c);
	EXPECT(m->retried == 1, "a copy of a SYN, or a SYN after the SYN-ACK, is no retry");
	model_free(m);
}

static void test_openings(void)
{
	struct model *m = fresh();
	struct connection c = silent(1, 1, 2, 2.9), answered;

	model_opening(m, &c);
	EXPECT(!reported[FAILURE_SILENT], "before 3 s nothing is certain");
	c.watched = c.settled = SECONDS(3.1);
	model_opening(m, &c);
	model_swept(m);
	model_opening(m, &c);
	EXPECT(reported[FAILURE_SILENT] == 1, "it must be reported once, during the run");
	c.synack = SECONDS(3.2);
	c.outcome = OUTCOME_HALF_OPEN;
	model_opening(m, &c);
	EXPECT(retracted == 1, "it must be withdrawn at once");
	model_free(m);

	m = fresh();
	c = silent(1, 1, 3, 3.1);
	c.syn_last = SECONDS(2);
	answered = met(2, 2, 0);
	answered.server = c.server;
	answered.server_first = answered.answer = NEVER;
	answered.end_reason = END_NONE;
	for (int i = 0; i < 3; i++) {
		model_opening(m, &c);
		model_opening(m, &answered);
		model_swept(m);
	}
	EXPECT(reported[FAILURE_SILENT] == 1 && !retracted,
	       "an older answer must not withdraw the report");
	answered.synack = SECONDS(3.2);
	for (int i = 0; i < 3; i++) {
		model_opening(m, &answered);
		model_opening(m, &c);
		model_swept(m);
	}
	EXPECT(reported[FAILURE_SILENT] == 1 && retracted == 1,
	       "one report and one withdrawal, not alternately");

	c = met(2, 2, 0);
	c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.end_reason = END_NONE;
	c.settled = c.ack + SECONDS(3.2);
	model_opening(m, &c);
	model_swept(m);
	model_opening(m, &c);
	model_swept(m);
	EXPECT(waiting_reported == 1, "an ongoing stall must be reported once");
	model_swept(m);
	c.end_reason = END_OF_RUN;
	settle(m, c);
	EXPECT(m->idle.count == 1 && !m->stall_count, "an undecided wait is not a stall");
	c = met(2, 2, 0);
	c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.fin = SECONDS(10);
	c.end_reason = END_FIN;
	settle(m, c);
	EXPECT(m->unused == 1 && m->idle.count == 1, "a spare socket is not a stall");
	c = met(2, 2, 6);
	c.wait = c.answer = NEVER;
	c.banner = SECONDS(5);
	settle(m, c);
	EXPECT(banners_reported == 1 && !m->stall_count, "a late greeting is the server's");
	model_free(m);
}

static void test_spans(const struct histogram *h)
{
	struct histogram_span span = {};
	uint64_t count = 0;
	ns_t last = -1;
	bool is_in_order = true, is_narrow = true;

	while (histogram_next(h, &span)) {
		is_in_order = is_in_order && span.from > last && span.to >= span.from && span.count;
		is_narrow = is_narrow && span.to - span.from <= span.from / 7 + HISTOGRAM_SPAN;
		last = span.to;
		count += span.count;
	}
	EXPECT(is_in_order, "a picture with overlapping bars");
	EXPECT(is_narrow, "a timer as wide as its surroundings");
	EXPECT(count == h->count && last == INT64_MAX, "the bars do not add up");
}

static void test_histogram(void)
{
	static struct histogram h;
	int i;

	EXPECT(histogram_percentile(&h, 0.5) == NEVER, "an empty histogram has no percentile");
	for (i = 1; i <= 1000; i++)
		histogram_add(&h, i * (ns_t)MILLISECOND_NS);
	histogram_add(&h, NEVER);
	EXPECT(h.count == 1000, "an unknown value must not be counted");
	for (i = 1; i < 100; i++) {
		ns_t p = histogram_percentile(&h, i / 100.0), is = i * 10 * (ns_t)MILLISECOND_NS;

		if (p < is || p > is + is / 128)
			break;
	}
	EXPECT(i == 100, "percentiles off by more than 1/128");
	EXPECT(histogram_percentile(&h, 1) == h.max && h.max == (ns_t)SECOND_NS, "the largest");
	histogram_add(&h, INT64_MAX);
	histogram_add(&h, -5);
	test_spans(&h);
	EXPECT(histogram_percentile(&h, 1) == INT64_MAX && histogram_percentile(&h, 0) == 0,
	       "the ends");
}

static void test_json_string(void)
{
	static const struct {
		const char *text, *json;
	} strings[] = {
		{ "5 s \xc2\xb1 24 \xc2\xb5s", "5 s \\u00b1 24 \\u00b5s" },
		{ "\xf0\x9f\x98\x80", "\\ud83d\\ude00" }, /* beyond 16 bits: a pair of surrogates */
		{ "a\"b\\c\n\x7f", "a\\\"b\\\\c\\u000a\\u007f" },
		/* invalid UTF-8: a single byte, truncated, overlong, a surrogate, beyond Unicode */
		{ "\xff", "\\u00ff" },
		{ "\xe2\x82", "\\u00e2\\u0082" },
		{ "\xc0\xaf", "\\u00c0\\u00af" },
		{ "\xed\xa0\x80", "\\u00ed\\u00a0\\u0080" },
		{ "\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080" },
	};
	char *text = NULL;
	size_t size, i;
	FILE *out;

	for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		out = open_memstream(&text, &size);
		format_json_string(out, strings[i].text);
		fclose(out);
		EXPECT(!strcmp(text, strings[i].json), "wrong characters in JSON, or invalid JSON");
		free(text);
	}
}

/* A scan of more dead servers than the list can hold: each is reported once, not at every sweep. */
static void test_many_dead(void)
{
	unsigned int i, j, before, most = MAX_PEERS + 5000;
	struct model *m = fresh();
	struct connection c;

	for (j = 0; j < 4; j++) {
		c = silent(1, 1, 3, 3.5 + 5 * j);
		for (i = 0; i < most; i++) {
			c.server.address.word[3] = i;
			model_opening(m, &c);
		}
		model_swept(m);
	}
	EXPECT(reported[FAILURE_SILENT] == most, "a dead server would be reported at every sweep");
	before = reported[FAILURE_SILENT];
	c = silent(1, 1, 3, 3.5);
	c.server.address.word[3] = most;
	model_opening(m, &c);
	EXPECT(reported[FAILURE_SILENT] == before + 1,
	       "the next dead server would be reported minutes later");
	model_free(m);
}

static void test_offloaded(void)
{
	struct model *m = fresh();
	struct connection c = met(1, 1, 5);

	c.offloaded = true;
	c.client_gap = true; /* the first data were not seen */
	settle(m, c);
	c = met(1, 1, 5);
	c.offloaded = true;
	c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.end_reason = END_OF_RUN;
	model_opening(m, &c);
	settle(m, c);
	EXPECT(m->offloaded == 2 && !m->stall_count && !m->idle.count && !waiting_reported,
	       "a flow that a flowtable carries would seem to wait");
	c = met(1, 1, 5);
	c.offloaded = true; /* but its first bytes were seen, and late */
	settle(m, c);
	EXPECT(m->stall_count == 1, "behind a software flowtable no client would stall");
	model_free(m);
}

static void test_words(void)
{
	static const struct {
		ns_t duration;
		const char *words;
	} durations[] = {
		{ 0, "0 µs" },
		{ 800, "800 ns" },
		{ 999, "999 ns" },
		{ 1000, "1 µs" },
		{ 1234, "1.23 µs" },
		{ 26000, "26 µs" },
		{ 26400, "26.4 µs" },
		{ 136700, "137 µs" },
		{ 999499, "999 µs" },
		{ 999600, "1.00 ms" },
		{ 1500000, "1.50 ms" },
		{ 9996000, "10.0 ms" },
		{ 38140000, "38.1 ms" },
		{ 99960000, "100 ms" },
		{ 999499999, "999 ms" },
		{ 999600000, "1.000 s" },
		{ 5003000000, "5.003 s" },
		{ 72 * (ns_t)SECOND_NS, "1 min 12 s" },
		{ 59999600000, "1 min 0 s" },
		{ 119600000000, "2 min 0 s" },
		{ 3599600000000, "1 h 0 min" },
		{ 7260 * (ns_t)SECOND_NS, "2 h 1 min" },
		{ -137000, "-137 µs" },
		{ -1500000, "-1.50 ms" },
		{ -72 * (ns_t)SECOND_NS, "-1 min 12 s" },
		{ NEVER, "unknown" },
	};
	struct endpoint e = { .port = 443, .vlan = { 7, 8 } };
	struct timespec start = { .tv_sec = 1700000000, .tv_nsec = 5 };
	char text[FORMAT_ENDPOINT];
	size_t i;

	for (i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
		EXPECT(!strcmp(format_duration(text, durations[i].duration), durations[i].words),
		       durations[i].words);
	e.address = (struct address){ .word = { cpu_to_be32(0x20010db8), 0, 0, cpu_to_be32(1) } };
	EXPECT(!strcmp(format_endpoint(text, &e), "[2001:db8::1]:443 vlan 7.8"),
	       "IPv6 in brackets");
	memset(e.address.word, 0xff, sizeof(e.address.word));
	EXPECT(strlen(format_endpoint(text, &e)) < FORMAT_ENDPOINT - 1,
	       "the longest endpoint is truncated");
	EXPECT(!strcmp(format_rfc3339(text, &start), "2023-11-14T22:13:20.000000005Z"),
	       "the start");
	setenv("TZ", "UTC", 1);
	EXPECT(!strcmp(format_clock(text, &start, -6), "22:13:19"), "a clock that goes backwards");
	/* 22:13:20 at the start: midnight is 6400 s later */
	EXPECT(!strcmp(format_run_clock(text, &start, 6399 * (ns_t)SECOND_NS, 60 * (ns_t)SECOND_NS),
		       "22:14:20"),
	       "a run within a day shows dates");
	EXPECT(!strcmp(format_run_clock(text, &start, 6400 * (ns_t)SECOND_NS, 60 * (ns_t)SECOND_NS),
		       "11-14 22:14:20"),
	       "times before midnight have no date in a run that crosses it");
	EXPECT(!strcmp(format_run_clock(text, &start, 0, 6401 * (ns_t)SECOND_NS), "11-15 00:00:01"),
	       "the second day has no date");
}

/* ---- operations that a stall may have waited for ---- */

static struct connection with_syns(unsigned int client, const double *at, unsigned int syns)
{
	struct connection c = silent(client, 1, syns, 200);
	unsigned int i;

	for (i = 0; i < syns; i++)
		c.syn_times[i] = SECONDS(at[i]);
	c.syn_last = c.syn_times[syns - 1];
	return c;
}

/* Returns the latest time at which the client may have been in connect(), in seconds. */
static double given_up(const double *at, unsigned int syns)
{
	struct model *m = fresh();
	const struct pending *o;
	double end;

	settle(m, with_syns(1, at, syns));
	o = TAILQ_FIRST(&m->pendings);
	end = o ? (double)o->end / (double)SECOND_NS : 0;
	model_free(m);
	return end;
}

static void test_given_up(void)
{
	const double doubled[] = { 0, 1, 3, 7 }, linear[] = { 0, 1.02, 2.04, 3.07, 4.1, 5.12 },
		     windows[] = { 0, 3, 9 };

	EXPECT(given_up(doubled, 1) == 3, "the first gap is not known");
	EXPECT(given_up(doubled, 3) == 7 && given_up(windows, 3) == 21, "the gap doubles");
	EXPECT(given_up(linear, 3) > 3.1 && given_up(linear, 3) < 3.3,
	       "the next of several SYNs at equal gaps did not come");
	EXPECT(given_up(linear, 6) > 7.1, "the gap doubles after six SYNs");
}

static struct connection refusal(unsigned int client, unsigned int port, double at)
{
	struct connection c = with_syns(client, &at, 1);

	c.outcome = OUTCOME_REFUSED;
	c.end_reason = END_RST;
	c.server.port = port;
	c.syn = SECONDS(at);
	c.rst = c.settled = SECONDS(at + 0.001);
	return c;
}

static void test_refusals(void)
{
	struct model *m = fresh();
	const struct pending *o, *next;
	unsigned int i;

	for (i = 0; i < 5; i++)
		settle(m, refusal(1, 80, 100 + 0.5 * i));
	o = TAILQ_FIRST(&m->pendings);
	EXPECT(m->pending_kept == 1 && o && o->tries == 5 && o->failed && !o->resolved,
	       "attempts that are refused in a row are one operation");
	EXPECT(o && o->start == SECONDS(100) && o->end == SECONDS(102.75),
	       "it lasts until the next attempt is overdue");
	settle(m, refusal(1, 80, 103));
	settle(m, refusal(1, 80, 103.5));
	settle(m, refusal(1, 80, 104));
	next = o ? TAILQ_NEXT(o, of_client) : NULL;
	EXPECT(m->pending_kept == 2 && next && next->start == SECONDS(103) && o->tries == 5,
	       "after a pause another operation begins");
	for (i = 0; i < 1000; i++)
		settle(m, refusal(2, 1000 + i, 200 + 0.01 * i));
	EXPECT(m->pending_kept == 2, "a scan is no operation");
	for (i = 0; i < 2 * MAX_CLIENT_PENDING; i++) {
		settle(m, refusal(1, 81, 1000 + 10 * i));
		settle(m, refusal(1, 81, 1001 + 10 * i));
		settle(m, with_syns(1, (const double[]){ 0, 1 }, 2));
	}
	settle(m, refusal(1, 81, 1002 + 10 * (i - 1)));
	EXPECT(m->pending_kept == MAX_CLIENT_PENDING, "the operations of a client are bounded");
	model_free(m);
}

static void test_late_syn_ack(void)
{
	struct connection c = met(1, 1, 0);
	struct model *m = fresh();
	const struct pending *o;

	c.syn_count = c.syn_times_count = 3;
	c.synack = SECONDS(2.1);
	c.ack = c.fin = c.settled = SECONDS(2.11);
	c.client_first = c.server_first = c.wait = c.answer = NEVER;
	settle(m, c);
	o = TAILQ_FIRST(&m->pendings);
	EXPECT(o && o->end == c.synack && o->resolved && !o->failed && !o->lost_once,
	       "a connect that is answered late and not used may be what a client waited for");
	c.syn_count = c.syn_times_count = 2;
	settle(m, c);
	o = o ? TAILQ_NEXT(o, of_client) : NULL;
	EXPECT(o && o->lost_once, "a single SYN that was lost is not the server's fault");
	model_free(m);
}

int main(void)
{
	test_hosts();
	test_hosts_in_vlans();
	test_cohort();
	test_stall_groups();
	test_peers();
	test_openings();
	test_histogram();
	test_json_string();
	test_given_up();
	test_refusals();
	test_late_syn_ack();
	test_many_dead();
	test_offloaded();
	test_words();
	printf("model: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
