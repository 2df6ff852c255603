// SPDX-License-Identifier: GPL-2.0
/*
 * Reports on the run as a whole: too little was seen for a verdict, or the network is not at fault.
 */
#include <inttypes.h>

#include "diagnose/causes.h"
#include "diagnose/connects.h"

/* Share of lost records above which every count is doubtful. */
#define LOST_SHARE 0.001

/* ---- no verdict ---- */

/*
 * Returns true if nearly all attempts come from an address of this host: NAT hides the clients
 * behind it.
 */
static bool is_outer_side(const struct context *g)
{
	const struct session *s = g->session;
	uint64_t own = 0, inward = 0;
	const struct client *client;
	const struct peer *peer;

	for (client = g->m->clients; client; client = client->hh.next)
		if (session_is_own_address(s, &client->key.address))
			own += client->connections;
	for (peer = g->m->peers; peer; peer = peer->hh.next)
		if (session_is_own_address(s, &peer->server.address))
			inward += peer->connections;
	/*
	 * conntrack maps clients behind NAT, so an attempt that it does not translate is this
	 * host's own
	 */
	if (s->nat.known && !s->nat.lost)
		return false;
	return g->m->connections >= 3 && own * 10 >= g->m->connections * 9 &&
	       inward * 10 < g->m->connections;
}

/* Returns the number of attempts without a record. Packets that --write lost are no attempts. */
static uint64_t lost_attempts(const struct session *s)
{
	return s->counters[COUNT_LOST_MAP] + s->counters[COUNT_LOST_RING] +
	       s->counters[COUNT_LOST_CROWDED];
}

static bool is_lossy(const struct context *g)
{
	uint64_t lost = lost_attempts(g->session);

	return lost > LOST_SHARE * (g->m->connections + lost);
}

static bool is_one_direction(const struct model *m)
{
	return m->no_synack && m->no_synack * 2 > m->outcomes[OUTCOME_ESTABLISHED];
}

static void explain_outer_side(struct finding *f, const struct nat *nat)
{
	finding_text(f, "this is the outer side of a NAT: the clients cannot be distinguished");
	if (nat->unknown)
		finding_line(f, "", "%s", nat->unknown);
	finding_line(f, "action", "watch %s",
		     nat->inner[0] ? nat->inner : "the interface that the clients are on");
}

static void explain_losses(struct finding *f, uint64_t lost, uint64_t connections)
{
	finding_text(f, "%" PRIu64 " attempt%s of %" PRIu64 " %s lost by this tool", lost,
		     plural(lost), connections + lost, were(lost));
	finding_line(f, "", "the reasons are below; narrow the view by --client or --port");
}

/* Lowers the confidence of all findings except the finding that gives the reason. */
static void report_no_verdict(struct context *g)
{
	bool outer_side = is_outer_side(g), lossy = is_lossy(g);
	struct finding *f;
	size_t i;

	if (!lossy && !outer_side && !is_one_direction(g->m))
		return;
	for (i = 0; i < g->d->count; i++)
		if (g->d->at[i].kind != KIND_ONE_DIRECTION)
			finding_limit(&g->d->at[i], CONFIDENCE_LOW,
				      outer_side ? "clients behind a NAT look like one"
				      : lossy	 ? "this tool lost attempts"
						 : "most connections show one direction only");
	f = finding_new(g, KIND_NO_VERDICT, certain());
	if (!f)
		return;
	if (outer_side)
		explain_outer_side(f, &g->session->nat);
	else if (lossy)
		explain_losses(f, lost_attempts(g->session), g->m->connections);
	else
		finding_text(f, "most connections show one direction only");
	finding_line(f, "", "every confidence below is set to low");
}

/* ---- not the network ---- */

/*
 * Longest round trips that are called prompt: 99 % of all must be shorter. Half way round the earth
 * and back takes 300 ms; a client's line takes 200 ms where slow-access begins.
 */
#define PROMPT_NEAR_NS (200 * (ns_t)MILLISECOND_NS)
#define PROMPT_FAR_NS (300 * (ns_t)MILLISECOND_NS)

/*
 * Returns true if the finding is about the path, or about a device that answers for others or may
 * have interfered.
 */
static bool concerns_path(enum finding_kind kind)
{
	switch (kind) {
	case KIND_BROKEN_IPV6:
	case KIND_TIMER_UNEXPLAINED: /* what it waits for may be on the network */
	case KIND_SYN_PROXY:
	case KIND_REQUEST_LOST:
	case KIND_NO_ANSWER:
	case KIND_RESET_AFTER_REQUEST:
	case KIND_REFUSED_IN_ANSWER:
	case KIND_FIRST_VISIT_SLOW:
	case KIND_NO_VERDICT:
		return true;
	case KIND_PEER_REFUSED:
	case KIND_SYN_FLOOD:
		return false;
	default:
		return finding_kinds[kind].family == FAMILY_NAME ||
		       finding_kinds[kind].family == FAMILY_PATH ||
		       finding_kinds[kind].family == FAMILY_PEER;
	}
}

/* Returns true if hosts that wait or fail share a part of the network that others do not use. */
static bool is_part_of_network(const struct comparison *c)
{
	size_t i;

	for (i = 0; i < c->common_count; i++)
		switch (c->common[i].trait) {
		case TRAIT_VLAN:
		case TRAIT_SUBNET:
		case TRAIT_MSS:
		case TRAIT_WAY_OUT:
		case TRAIT_PREFIX:
			return true;
		default:
			break;
		}
	return false;
}

static bool is_path_at_fault(const struct context *g)
{
	size_t i;

	for (i = 0; i < g->d->count; i++)
		if (concerns_path(g->d->at[i].kind) || is_part_of_network(&g->d->at[i].comparison))
			return true;
	return is_part_of_network(&g->d->unexplained);
}

/*
 * Returns true if this gateway answered handshakes for other servers: then their round trips say
 * nothing about the way to these.
 */
static bool is_answered_by_proxy(const struct context *g)
{
	size_t i;

	for (i = 0; i < g->connect_count; i++) {
		const struct connection *c = g->connects[i].c;

		if (c->synack_from_gateway &&
		    !session_is_own_address(g->session, &c->server.address))
			return true;
	}
	return false;
}

static bool is_refused(const struct noted_connect *n)
{
	return is_failed(n) && n->entry.manner == MANNER_REFUSED;
}

/*
 * Returns true if the server answers some hosts and refuses all connects of others: a firewall on
 * the way may do so. The address of s->count marks the hosts, since nothing else does by it.
 */
static bool is_refused_in_part(const struct server *s)
{
	size_t i, answered = 0;

	for (i = 0; i < s->count; i++)
		if (s->connects[i].host && s->connects[i].c->synack != NEVER)
			answered += count_once(s->connects[i].host, &s->count);
	for (i = 0; answered && i < s->count; i++)
		if (s->connects[i].host && s->connects[i].host->counted != &s->count &&
		    is_refused(&s->connects[i]))
			return true;
	return false;
}

/*
 * Returns true if an RST that refuses a connect to this address has another TTL than all its
 * SYN-ACKs: another device may have sent it. The servers are the ports of the address.
 */
static bool is_refused_by_other(const struct server *servers, size_t count)
{
	bool ttls[UINT8_MAX + 1] = {}, is_known = false;
	size_t i, j;

	for (i = 0; i < count; i++)
		for (j = 0; j < servers[i].count; j++) {
			const struct connection *c = servers[i].connects[j].c;

			ttls[c->synack_ttl] |= c->synack != NEVER;
			is_known |= c->synack != NEVER && c->synack_ttl;
		}
	for (i = 0; is_known && i < count; i++)
		for (j = 0; j < servers[i].count; j++) {
			const struct noted_connect *n = &servers[i].connects[j];

			if (is_refused(n) && n->c->rst_ttl && !n->c->from_gateway &&
			    !ttls[n->c->rst_ttl])
				return true;
		}
	return false;
}

/* Returns true if a device on the way may have refused connects in place of a server. */
static bool may_path_refuse(const struct context *g)
{
	size_t i, next;

	for (i = 0; i < g->server_count; i = next) {
		for (next = i; next < g->server_count &&
			       same_address(&g->servers[i].endpoint, &g->servers[next].endpoint);
		     next++)
			if (is_refused_in_part(&g->servers[next]))
				return true;
		if (is_refused_by_other(&g->servers[i], next - i))
			return true;
	}
	return false;
}

/*
 * Returns true if a stage in which the path takes part failed or was late. A refusal, a FIN and an
 * alert are answers, and a client that is silent holds its request itself.
 */
static bool is_path_suspect(const struct ledger *l)
{
	static const struct ledger_entry by_a_side[] = {
		{ ROW_FAILED, STAGE_CONNECT, MANNER_REFUSED },
		{ ROW_FAILED, STAGE_HOLD, MANNER_SERVER_CLOSED },
		{ ROW_FAILED, STAGE_ANSWER, MANNER_SERVER_CLOSED },
		{ ROW_FAILED, STAGE_ANSWER, MANNER_ALERT },
		{ ROW_LATE, STAGE_HOLD, MANNER_SLOW },
	};
	uint64_t bad = ledger_row(l, ROW_FAILED) + ledger_row(l, ROW_LATE);
	size_t i;

	for (i = 0; i < sizeof(by_a_side) / sizeof(by_a_side[0]); i++)
		bad -= l->count[by_a_side[i].row][by_a_side[i].stage][by_a_side[i].manner];
	return bad > 0;
}

/*
 * Returns true if round trips are short and there is hardly any loss on both sides: the path does
 * not delay.
 */
static bool is_prompt(const struct model *m)
{
	const struct histogram *near = &m->client_round_trips, *far = &m->server_round_trips;

	return near->count >= 10 && far->count >= 10 &&
	       histogram_percentile(near, 0.99) < PROMPT_NEAR_NS &&
	       histogram_percentile(far, 0.99) < PROMPT_FAR_NS &&
	       (m->lost_near + m->lost_far) * 50 <= m->outcomes[OUTCOME_ESTABLISHED];
}

/*
 * Returns true if names may have delayed connects. If no DNS was seen, the finding says so and does
 * not cover them.
 */
static bool are_names_suspect(const struct context *g)
{
	const struct name_summary *s = &g->d->name_summary;

	return names_were_seen(s) && s->lookups &&
	       (!names_are_prompt(s, g->m->stall_ns) || s->unanswered_names);
}

/* Adds how prompt names were, and for whom they were not seen. */
static void add_names(struct finding *f, const struct name_summary *s)
{
	char half[FORMAT_DURATION], most[FORMAT_DURATION], unseen[NAMES_UNSEEN_TEXT];

	if (s->durations.count)
		finding_line(f, "", "names p50 %s p99 %s, of %" PRIu64 " lookup%s",
			     format_duration(half, histogram_percentile(&s->durations, 0.5)),
			     format_duration(most, histogram_percentile(&s->durations, 0.99)),
			     s->durations.count, plural(s->durations.count));
	if (!names_were_seen(s))
		finding_line(f, "not seen", "names (DNS), QUIC and other UDP were not looked at");
	else if (*names_unseen(unseen, s))
		finding_line(f, "not seen", "%s; QUIC and other UDP were not looked at", unseen);
	else
		finding_line(f, "not seen", "QUIC and other UDP were not looked at");
}

static void report_not_the_network(struct context *g)
{
	const struct model *m = g->m;
	const struct ledger *l = &g->d->ledger;
	const struct histogram *near = &m->client_round_trips, *far = &m->server_round_trips;
	uint64_t established = m->outcomes[OUTCOME_ESTABLISHED],
		 prompt = established - m->lost_near;
	char a[FORMAT_DURATION], b[FORMAT_DURATION], c[FORMAT_DURATION], d[FORMAT_DURATION];
	struct finding *f;

	/* where nothing failed or was late, there is nothing of which the network is to be cleared */
	if (!ledger_row(l, ROW_FAILED) && !ledger_row(l, ROW_LATE))
		return;
	if (!is_prompt(m) || is_path_at_fault(g) || is_path_suspect(l) || is_answered_by_proxy(g) ||
	    may_path_refuse(g) || are_names_suspect(g))
		return;
	f = finding_new(g, KIND_NOT_THE_NETWORK,
			established >= 100
				? certain()
				: doubtful(CONFIDENCE_MEDIUM, "fewer than 100 connects"));
	if (!f)
		return;
	finding_text(f, "the network that passes here is not the problem: it is prompt both ways");
	finding_line(f, "", "round trip to the clients p50 %s p99 %s, to the servers p50 %s p99 %s",
		     format_duration(a, histogram_percentile(near, 0.5)),
		     format_duration(b, histogram_percentile(near, 0.99)),
		     format_duration(c, histogram_percentile(far, 0.5)),
		     format_duration(d, histogram_percentile(far, 0.99)));
	finding_line(f, "", "%" PRIu64 " of %" PRIu64 " handshakes without a loss on the way",
		     prompt - (m->lost_far < prompt ? m->lost_far : prompt), established);
	add_names(f, &g->d->name_summary);
}

#define WORST_LEAST 3 /* connects */

/*
 * Notes the server of half or more of the connects that failed or were late, if its share of such
 * connects is twice that of all others. It is no finding: the way to it may be at fault.
 */
static void note_worst_server(struct context *g)
{
	uint64_t bad = 0, all = g->connect_count, worst = 0, of_worst = 0;
	const struct server *server = NULL;
	size_t i, j;

	for (i = 0; i < g->server_count; i++) {
		const struct server *s = &g->servers[i];
		uint64_t n = 0;

		for (j = 0; j < s->count; j++)
			n += is_failed(&s->connects[j]) || s->connects[j].entry.row == ROW_LATE;
		bad += n;
		if (n > worst) {
			worst = n;
			of_worst = s->count;
			server = s;
		}
	}
	if (worst < WORST_LEAST || 2 * worst < bad || of_worst == all ||
	    worst * (all - of_worst) < 2 * (bad - worst) * of_worst)
		return;
	g->d->worst_server = server->endpoint;
	g->d->worst_count = worst;
}

void cause_summary(struct context *g)
{
	note_worst_server(g);
	report_no_verdict(g);
	report_not_the_network(g);
}
