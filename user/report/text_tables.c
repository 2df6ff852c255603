// SPDX-License-Identifier: GPL-2.0
/*
 * Prints the tables of the final text report: stalls, peers and hosts, percentiles of the network,
 * and the traffic that was lost or not measured.
 */
#include "report/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format.h"
#include "lib/ethertype.h"

/* Maximum number of rows; a last row counts the others. */
#define MAX_AFFECTED 40
#define MAX_UNAFFECTED 20
#define MAX_PEERS_SHOWN 20
#define MAX_CLIENTS_SHOWN 6
#define MAX_GROUPS_SHOWN 8
#define MAX_IDLE_SHOWN 8

/* How attempts failed, in words. */
static const char *const failure_words[FAILURES] = {
	[FAILURE_TOO_EARLY] = "too early to say", [FAILURE_ONE_SYN] = "given up after one SYN",
	[FAILURE_SILENT] = "no answer",		  [FAILURE_REFUSED] = "refused",
	[FAILURE_UNREACHABLE] = "unreachable",
};

/*
 * Returns the field width for printf(), which counts bytes: width columns, plus one for each UTF-8
 * continuation byte.
 */
static int field_width(int width, const char *text)
{
	for (; *text; text++)
		width += (*text & 0xc0) == 0x80;
	return width;
}

const char *text_icmp(char out[64], const struct address *about, uint8_t type, uint8_t code)
{
	const char *words = icmp_words(is_ip4(about), type, code);

	if (words)
		snprintf(out, 64, "%s", words);
	else
		snprintf(out, 64, "ICMP type %u code %u", type, code);
	return out;
}

/*
 * Formats the first address of a host and the number of further addresses: "10.1.4.20 vlan 7 +1".
 */
static void format_host(char out[FORMAT_ENDPOINT], const struct host *h)
{
	const struct client_key *key = &h->clients[0]->key;
	char address[FORMAT_ADDRESS];
	int n;

	n = snprintf(out, FORMAT_ENDPOINT, "%s", format_address(address, &key->address));
	if (key->vlan[0])
		n += snprintf(out + n, FORMAT_ENDPOINT - n, " vlan %u", key->vlan[0]);
	if (h->client_count > 1)
		snprintf(out + n, FORMAT_ENDPOINT - n, " +%zu", h->client_count - 1);
}

void text_heading(struct report *r, const char *colour, const char *words)
{
	fprintf(r->out, "\n%s%s%s", colour, words, text_colours(r)->reset);
}

void text_stalls(struct report *r, const struct model *m, const struct hosts *hosts)
{
	char a[FORMAT_DURATION], b[FORMAT_DURATION], length[2 * FORMAT_DURATION + 8];
	struct stall_group *groups;
	FILE *out = r->out;
	size_t count, i;

	text_heading(r, text_colours(r)->bold, "STALLS");
	fprintf(out,
		"  %" PRIu64 " connection%s of %zu host%s waited %g s or more\n"
		"        between the handshake and the client's first byte\n",
		m->stall_count, plural(m->stall_count), hosts->affected, plural(hosts->affected),
		r->session->stall / 1e9);
	groups = model_stall_groups(m, hosts, &count);
	if (!groups)
		return;
	fprintf(out, "  %-28s %7s %6s\n", "LENGTH", "STALLS", "HOSTS");
	for (i = 0; i < count && i < MAX_GROUPS_SHOWN; i++) {
		const struct stall_group *g = &groups[i];

		if (g->count == 1)
			snprintf(length, sizeof(length), "%s", format_duration(a, g->median));
		else if (g->longest - g->shortest <= 100 * (ns_t)MILLISECOND_NS + g->median / 25)
			snprintf(length, sizeof(length), "%s %s %s", format_duration(a, g->median),
				 glyphs->plus_minus, format_duration(b, g->deviation));
		else
			snprintf(length, sizeof(length), "%s to %s",
				 format_duration(a, g->shortest), format_duration(b, g->longest));
		fprintf(out, "  %-*s %7zu %6zu\n", field_width(28, length), length, g->count,
			g->hosts);
	}
	if (i < count)
		fprintf(out, "  and %zu other lengths\n", count - i);
	free(groups);
}

void text_idle(struct report *r, const struct model *m)
{
	char from[FORMAT_ENDPOINT], to[FORMAT_ENDPOINT], wait[FORMAT_DURATION];
	FILE *out = r->out;
	size_t i;

	if (!m->idle.count)
		return;
	text_heading(r, text_colours(r)->bold, "UNDECIDED");
	fprintf(out,
		"  %zu connection%s were still waiting at the end: a stall, or a spare socket\n",
		m->idle.count, plural(m->idle.count));
	for (i = 0; i < m->idle.count && i < MAX_IDLE_SHOWN; i++)
		fprintf(out, "  %s %s %s  waiting for %s so far\n",
			format_endpoint(from, &m->idle.at[i].from), glyphs->arrow,
			format_endpoint(to, &m->idle.at[i].to),
			format_duration(wait, m->idle.at[i].wait));
	if (i < m->idle.count)
		fprintf(out, "  and %zu more\n", m->idle.count - i);
}

static void print_pairs(struct report *r, const struct peer *p)
{
	const struct text_state *t = r->state;
	const struct pair *pairs[MAX_CLIENTS_SHOWN];
	char text[FORMAT_ADDRESS];
	FILE *out = r->out;
	size_t n, i;
	int column;

	n = peer_pairs(p, pairs, MAX_CLIENTS_SHOWN);
	if (!n)
		return;
	column = fprintf(out, "      tried by");
	for (i = 0; i < n; i++) {
		format_address(text, &pairs[i]->who.client->key.address);
		if (column + 4 + snprintf(NULL, 0, "%s (%" PRIu64 "x)", text, pairs[i]->failures) >
		    t->columns)
			column = fprintf(out, "\n              ") - 1;
		column += fprintf(out, " %s (%" PRIu64 "x)", text, pairs[i]->failures);
	}
	if (p->clients_failed > n)
		fprintf(out, "\n               and %zu more", p->clients_failed - n);
	fputc('\n', out);
}

static void print_peer(struct report *r, const struct hosts *hosts, const struct peer *p)
{
	char text[FORMAT_ENDPOINT], first[FORMAT_TIME], last[FORMAT_TIME], words[64];
	static const enum failure kinds[] = { FAILURE_SILENT, FAILURE_ONE_SYN, FAILURE_REFUSED,
					      FAILURE_UNREACHABLE };
	struct cohort cohort;
	FILE *out = r->out;
	size_t i, n = 0;

	format_run_clock(first, &r->session->start, r->session->duration, p->first_failure);
	format_run_clock(last, &r->session->start, r->session->duration, p->last_failure);
	fprintf(out, "  %s  %u client%s, %" PRIu64 " SYN%s, %s", format_endpoint(text, &p->server),
		p->clients_failed, plural(p->clients_failed), p->failed_syns,
		plural(p->failed_syns), first);
	fprintf(out, strcmp(first, last) ? " to %s\n      " : "\n      ", last);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!p->failures[kinds[i]])
			continue;
		fprintf(out, "%s%" PRIu64 " %s", n++ ? ", " : "", p->failures[kinds[i]],
			failure_words[kinds[i]]);
		if (kinds[i] == FAILURE_UNREACHABLE)
			fprintf(out, " (%s)",
				text_icmp(words, &p->server.address, p->icmp_type, p->icmp_code));
	}
	if (p->answered)
		fprintf(out, "; answered %" PRIu64 " other attempt%s\n", p->answered,
			plural(p->answered));
	else
		fprintf(out, "; never answered in this run\n");
	if (p->by_gateway && session_is_own_address(r->session, &p->server.address))
		fprintf(out, "      this address is the gateway's own\n");
	else if (p->by_gateway)
		fprintf(out,
			"      %" PRIu64
			" of these came from this gateway itself, not from the server\n",
			p->by_gateway);
	if (p->answered_late)
		fprintf(out, "      %" PRIu64 " answered only after 3 s or more\n",
			p->answered_late);
	print_pairs(r, p);
	cohort = model_cohort(hosts, p);
	if (cohort.tried_stalled)
		fprintf(out,
			"      of the %zu host%s that it failed %zu stalled, of the %zu other%s %zu\n",
			cohort.tried, plural(cohort.tried), cohort.tried_stalled, cohort.others,
			plural(cohort.others), cohort.others_stalled);
}

void text_peers(struct report *r, const struct model *m, const struct hosts *hosts)
{
	const struct peer **peers;
	size_t count, i;

	peers = model_failing_peers(m, &count);
	if (count) {
		text_heading(r, text_colours(r)->bold, "PEERS THAT FAIL");
		fprintf(r->out, "  (as servers, by how many clients they failed)\n");
	}
	for (i = 0; i < count && i < MAX_PEERS_SHOWN; i++)
		print_peer(r, hosts, peers[i]);
	if (i < count)
		fprintf(r->out, "  and %zu more\n", count - i);
	free(peers);
}

static void print_host(FILE *out, const struct host *h)
{
	char name[FORMAT_ENDPOINT], wait[FORMAT_DURATION], share[48] = "";

	format_host(name, h);
	if (h->decided)
		snprintf(share, sizeof(share), "%" PRIu64 " of %" PRIu64, h->stalls, h->decided);
	fprintf(out, "  %-28s %8" PRIu64 "  %14s", name, h->connections, share);
	if (h->decided)
		fprintf(out, " %3.0f %%", 100.0 * h->stalls / h->decided);
	else
		fprintf(out, "      ");
	fprintf(out, "  %11s", format_duration(wait, h->worst_wait));
	if (h->idle)
		fprintf(out, "  +%" PRIu64 " waiting", h->idle);
	fputc('\n', out);
}

void text_hosts(struct report *r, const struct hosts *hosts)
{
	size_t i, affected = 0, unaffected = 0, silent = 0;
	FILE *out = r->out;

	if (!hosts->count)
		return;
	text_heading(r, text_colours(r)->bold, "HOSTS");
	fprintf(out,
		"  %zu of %zu with a stall  (+1: one more address; stalled: among the\n       connections with payload)\n"
		"  %-28s %8s  %20s  %11s\n",
		hosts->affected, hosts->count, "HOST", "ATTEMPTS", "STALLED", "WORST WAIT");
	for (i = 0; i < hosts->count; i++) {
		const struct host *h = &hosts->at[i];

		if (!h->decided && !h->idle)
			silent++;
		else if (h->stalls ? affected++ < MAX_AFFECTED : unaffected++ < MAX_UNAFFECTED)
			print_host(out, h);
	}
	if (affected > MAX_AFFECTED)
		fprintf(out, "  and %zu more with a stall\n", affected - MAX_AFFECTED);
	if (unaffected > MAX_UNAFFECTED)
		fprintf(out, "  and %zu more without a stall\n", unaffected - MAX_UNAFFECTED);
	if (silent)
		fprintf(out, "  and %zu hosts with idle connections only\n", silent);
}

static void print_percentiles(FILE *out, const char *name, const struct histogram *h)
{
	char p50[FORMAT_DURATION], p90[FORMAT_DURATION], p99[FORMAT_DURATION];

	if (!h->count)
		return;
	format_duration(p50, histogram_percentile(h, 0.50));
	format_duration(p90, histogram_percentile(h, 0.90));
	format_duration(p99, histogram_percentile(h, 0.99));
	fprintf(out, "  %-26s p50 %-*s p90 %-*s p99 %-*s n=%" PRIu64 "\n", name,
		field_width(9, p50), p50, field_width(9, p90), p90, field_width(9, p99), p99,
		h->count);
}

void text_network(struct report *r, const struct model *m)
{
	FILE *out = r->out;

	if (!m->server_round_trips.count)
		return;
	text_heading(r, text_colours(r)->bold, "THE NETWORK");
	fputc('\n', out);
	print_percentiles(out, "round trip to the clients", &m->client_round_trips);
	print_percentiles(out, "round trip to the servers", &m->server_round_trips);
	print_percentiles(out, "servers answer requests in", &m->answers);
	print_percentiles(out, "the gateway adds to a SYN", &m->syn_forwarding_delays);
	print_percentiles(out, "           to a SYN-ACK", &m->synack_forwarding_delays);
	print_percentiles(out, "           to a request", &m->payload_forwarding_delays);
	if (m->retried)
		fprintf(out,
			"  %" PRIu64
			" attempt%s got an answer only after the second SYN or later\n",
			m->retried, plural(m->retried));
	if (m->late_banners)
		fprintf(out, "  %" PRIu64 " greeting%s of servers that speak first came late\n",
			m->late_banners, plural(m->late_banners));
}

/* Printed before all findings, since missed packets make servers look silent. */
void text_blindness(struct report *r)
{
	static const char *const directions[DIRECTIONS] = { "received", "sent" };
	const struct session *session = r->session;
	const struct session_iface *w;
	char duration[FORMAT_DURATION];
	FILE *out = r->out;
	int d;

	if (!session_blind_time(session, INGRESS) && !session_blind_time(session, EGRESS))
		return;
	text_heading(r, text_colours(r)->bad, "BLIND");
	for (w = session->interfaces; w < session->interfaces + session->interface_count; w++)
		for (d = 0; d < DIRECTIONS; d++)
			if (w->blind[d])
				fprintf(out, "  for %s to what %s %s\n",
					format_duration(duration, w->blind[d]),
					format_name(w->name), directions[d]);
	fprintf(out,
		"  Packets passed the interface and did not reach the probe: during that time servers\n  may wrongly appear silent, and connections are missing. The reason was\n  reported when it began.\n");
}

void text_nat(struct report *r, const struct model *m)
{
	const struct nat *nat = &r->session->nat;
	char text[FORMAT_ADDRESS];
	FILE *out = r->out;

	if (nat->translated) {
		fprintf(out, "\nNAT  %" PRIu64 " attempt%s came from behind %s", nat->translated,
			plural(nat->translated), format_address(text, &nat->address));
		fprintf(out, "%s;\n  conntrack knew the clients, by which they are named here.\n",
			session_is_own_address(r->session, &nat->address)
				? ", this gateway's own address"
				: "");
		if (nat->own)
			fprintf(out, "  %" PRIu64 " more from that side %s this gateway's own.\n",
				nat->own, nat->own == 1 ? "was" : "were");
		if (nat->lost)
			fprintf(out,
				"  Conntrack events were lost %" PRIu64
				" time%s: some clients are missing.\n",
				nat->lost, plural(nat->lost));
	}
	if (m->offloaded)
		fprintf(out,
			"\nOFFLOADED  %" PRIu64 " connection%s went on in a flowtable, and what "
			"they waited for\n  was not seen: nothing is said of them.\n",
			m->offloaded, plural(m->offloaded));
}

static void print_ethertype(FILE *out, const struct unknown_ethertype *e)
{
	const char *name = ethertype_name(e->ethertype);

	fprintf(out, "  %" PRIu64 " packet%s of ethertype 0x%04x", e->packets, plural(e->packets),
		e->ethertype);
	fprintf(out, name ? " (%s)\n" : "\n", name);
}

void text_not_measured(struct report *r)
{
	const struct session *session = r->session;
	const uint64_t *c = session->counters;
	FILE *out = r->out;
	int i;

	text_heading(r, text_colours(r)->bold, "NOT MEASURED");
	fputc('\n', out);
	if (session->bytes)
		fprintf(out, "  UDP 443 (QUIC) carried %.1f %% of the bytes, other UDP %.1f %%\n",
			100.0 * c[COUNT_UDP_443_BYTES] / session->bytes,
			100.0 * c[COUNT_UDP_BYTES] / session->bytes);
	fprintf(out, "  %" PRIu64 " connection%s open before the start (seen to close)\n",
		c[COUNT_ALREADY_OPEN], c[COUNT_ALREADY_OPEN] == 1 ? " was" : "s were");
	if (session->ambiguous)
		fprintf(out,
			"  %" PRIu64
			" attempt%s match several others and were counted separately\n",
			session->ambiguous, plural(session->ambiguous));
	if (c[COUNT_NOT_SELECTED])
		fprintf(out, "  %" PRIu64 " SYN%s outside --client, --server, --port\n",
			c[COUNT_NOT_SELECTED], plural(c[COUNT_NOT_SELECTED]));
	if (c[COUNT_FRAGMENTS] || c[COUNT_MALFORMED] || c[COUNT_IP_OTHER])
		fprintf(out,
			"  %" PRIu64 " later IP fragments, %" PRIu64 " malformed, %" PRIu64
			" neither TCP, UDP nor ICMP\n",
			c[COUNT_FRAGMENTS], c[COUNT_MALFORMED], c[COUNT_IP_OTHER]);
	for (i = 0; i < MAX_ETHERTYPES && session->ethertypes[i].packets; i++)
		print_ethertype(out, &session->ethertypes[i]);
}

void text_losses(struct report *r, uint64_t dropped)
{
	static const char *const words[COUNTERS] = {
		[COUNT_LOST_MAP] = "attempts not tracked: too many at the same time (--max-flows)",
		[COUNT_LOST_RING] =
			"records dropped: this machine was too busy (--ring-size, --client)",
		[COUNT_LOST_CROWDED] = "attempts without a handshake, not recorded in a flood",
		[COUNT_LOST_TRUNCATED] = "packets whose headers could not be read",
		[COUNT_LOST_PACKETS] = "packets for --write dropped: this machine was too busy",
	};
	const struct session *session = r->session;
	FILE *out = r->out;
	int i;

	if (!session_losses(session) && !dropped)
		return;
	text_heading(r, text_colours(r)->bad, "LOST");
	fputc('\n', out);
	for (i = FIRST_LOSS; i < COUNTERS; i++)
		if (session->counters[i])
			fprintf(out, "  %" PRIu64 " %s\n", session->counters[i], words[i]);
	if (dropped)
		fprintf(out,
			"  %" PRIu64
			" details dropped for lack of memory; the totals are correct\n",
			dropped);
}

void text_cut(struct report *r)
{
	if (!r->session->cut)
		return;
	text_heading(r, text_colours(r)->bad, "CUT SHORT");
	fputs("  ", r->out);
	format_text(r->out, r->session->cut);
	fputc('\n', r->out);
}
