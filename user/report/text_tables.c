// SPDX-License-Identifier: GPL-2.0
/*
 * Prints the tables of the final text report: stalls, peers and hosts, percentiles of the network,
 * and the traffic that was lost or not measured.
 */
#include "report/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format.h"
#include "lib/ethertype.h"
#include "report/peer_text.h"

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

int text_field_width(int width, const char *text)
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
	if (h->address_count > 1)
		snprintf(out + n, FORMAT_ENDPOINT - n, " +%zu", h->address_count - 1);
}

void text_heading(struct report *r, const char *colour, const char *words)
{
	fprintf(r->out, "\n%s%s%s", colour, words, text_colours(r)->reset);
}

/* Prints a sentence from a column on; further rows begin at column indent + 1. */
static void print_sentence(struct report *r, int column, int indent, const char *format,
			   va_list arguments)
{
	char *text;

	if (vasprintf(&text, format, arguments) < 0) {
		r->error = ENOMEM;
		return;
	}
	text_wrapped(r, column, indent, text);
	free(text);
}

void text_section(struct report *r, const char *colour, const char *heading, const char *format,
		  ...)
{
	va_list arguments;

	text_heading(r, colour, heading);
	va_start(arguments, format);
	print_sentence(r, strlen(heading) + fprintf(r->out, " "), 1, format, arguments);
	va_end(arguments);
}

void text_item(struct report *r, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_sentence(r, fprintf(r->out, " "), 3, format, arguments);
	va_end(arguments);
}

/* Like text_item(), below an item. */
static void __attribute__((format(printf, 2, 3)))
print_detail(struct report *r, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_sentence(r, fprintf(r->out, "     "), 7, format, arguments);
	va_end(arguments);
}

void text_stalls(struct report *r, const struct model *m, const struct hosts *hosts)
{
	char a[FORMAT_DURATION], b[FORMAT_DURATION], length[2 * FORMAT_DURATION + 8];
	struct stall_group *groups;
	FILE *out = r->out;
	size_t count, i;

	text_section(r, text_colours(r)->bold, "STALLS",
		     "%" PRIu64 " connect%s of %zu host%s waited %g s or more between the "
		     "handshake and the client's first byte",
		     m->stall_count, plural(m->stall_count), hosts->affected,
		     plural(hosts->affected), r->session->stall / 1e9);
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
		fprintf(out, "  %-*s %7zu %6zu\n", text_field_width(28, length), length, g->count,
			g->hosts);
	}
	if (i < count)
		fprintf(out, "  and %zu other length%s\n", count - i, plural(count - i));
	free(groups);
}

void text_idle(struct report *r, const struct model *m)
{
	char from[FORMAT_ENDPOINT], to[FORMAT_ENDPOINT], wait[FORMAT_DURATION];
	size_t i;

	if (!m->idle.count)
		return;
	text_section(r, text_colours(r)->bold, "STILL WAITING",
		     "%zu connect%s without a byte at the end, for %g s or more: a stall, or a "
		     "spare socket",
		     m->idle.count, m->idle.count == 1 ? " was" : "s were",
		     r->session->stall / 1e9);
	for (i = 0; i < m->idle.count && i < MAX_IDLE_SHOWN; i++)
		text_item(r, "%s %s %s waiting for %s so far",
			  format_endpoint(from, &m->idle.at[i].from), glyphs->arrow,
			  format_endpoint(to, &m->idle.at[i].to),
			  format_duration(wait, m->idle.at[i].wait));
	if (i < m->idle.count)
		fprintf(r->out, "  and %zu more\n", m->idle.count - i);
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

/* Formats how the attempts at a peer failed: "3 no answer, 1 refused". */
static void format_failures(char *out, size_t room, const struct peer *p)
{
	static const enum failure kinds[] = { FAILURE_SILENT, FAILURE_ONE_SYN, FAILURE_REFUSED,
					      FAILURE_UNREACHABLE };
	char words[64];
	size_t i, n = 0;

	*out = '\0';
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && n < room; i++) {
		if (!p->failures[kinds[i]])
			continue;
		n += snprintf(out + n, room - n, "%s%" PRIu64 " %s", n ? ", " : "",
			      p->failures[kinds[i]], failure_words[kinds[i]]);
		if (kinds[i] == FAILURE_UNREACHABLE && n < room)
			n += snprintf(out + n, room - n, " (%s)",
				      text_icmp(words, &p->server.address, p->icmp_type,
						p->icmp_code));
	}
}

static void print_peer(struct report *r, const struct diagnosis *d, const struct peer *p)
{
	char text[FORMAT_ENDPOINT], note[PEER_NOTE], first[FORMAT_TIME], last[FORMAT_TIME],
		failures[256];
	const struct session *s = r->session;
	struct cohort cohort;

	format_run_clock(first, &s->start, s->duration, p->first_failure);
	format_run_clock(last, &s->start, s->duration, p->last_failure);
	text_item(r, "%s%s failed %u client%s: %" PRIu64 " SYN%s, %s%s%s",
		  format_endpoint(text, &p->server), peer_note(note, d, &p->server),
		  p->clients_failed, plural(p->clients_failed), p->failed_syns,
		  plural(p->failed_syns), first, strcmp(first, last) ? " to " : "",
		  strcmp(first, last) ? last : "");
	format_failures(failures, sizeof(failures), p);
	if (p->answered)
		print_detail(r, "%s; answered %" PRIu64 " other connect%s", failures, p->answered,
			     plural(p->answered));
	else
		print_detail(r, "%s; never answered in this run", failures);
	if (p->by_gateway && session_is_own_address(s, &p->server.address))
		print_detail(r, "this address is the gateway's own");
	else if (p->by_gateway)
		print_detail(r,
			     "%" PRIu64
			     " of these came from this gateway itself, not from the server",
			     p->by_gateway);
	if (p->answered_late)
		print_detail(r, "%" PRIu64 " answered only after 3 s or more", p->answered_late);
	print_pairs(r, p);
	cohort = model_cohort(&d->hosts, p);
	if (cohort.tried_stalled && !cohort.others)
		print_detail(r, "of the hosts that it failed %zu of %zu stalled",
			     cohort.tried_stalled, cohort.tried);
	else if (cohort.tried_stalled)
		print_detail(
			r,
			"of the hosts that it failed %zu of %zu stalled, of the other hosts %zu of %zu",
			cohort.tried_stalled, cohort.tried, cohort.others_stalled, cohort.others);
}

void text_peers(struct report *r, const struct model *m, const struct diagnosis *d)
{
	const struct peer **peers;
	size_t count, i;

	peers = model_failing_peers(m, &count);
	if (count)
		text_section(r, text_colours(r)->bold, "PEERS THAT FAIL",
			     "(as servers, by how many clients they failed)");
	for (i = 0; i < count && i < MAX_PEERS_SHOWN; i++)
		print_peer(r, d, peers[i]);
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
	fprintf(out, "  %-25s %8" PRIu64 "  %12s", name, h->connections, share);
	if (h->decided)
		fprintf(out, " %3.0f %%", 100.0 * h->stalls / h->decided);
	else
		fprintf(out, "      ");
	fprintf(out, "  %10s",
		h->worst_wait == NEVER ? "none" : format_duration(wait, h->worst_wait));
	if (h->idle)
		fprintf(out, "  +%" PRIu64 " waiting", h->idle);
	fputc('\n', out);
}

static bool has_no_payload(const struct host *h)
{
	return !h->decided && !h->idle;
}

static size_t count_silent(const struct hosts *hosts)
{
	size_t i, n = 0;

	for (i = 0; i < hosts->count; i++)
		n += has_no_payload(&hosts->at[i]);
	return n;
}

void text_hosts(struct report *r, const struct hosts *hosts)
{
	size_t i, affected = 0, unaffected = 0, silent = count_silent(hosts);
	FILE *out = r->out;

	if (!hosts->count)
		return;
	text_section(r, text_colours(r)->bold, "HOSTS",
		     "%zu of %zu with a stall (+1: one more address; stalled: among the "
		     "connects with payload)",
		     hosts->affected, hosts->count);
	if (silent < hosts->count)
		fprintf(out, "  %-25s %8s  %18s  %10s\n", "HOST", "CONNECTS", "STALLED",
			"WORST WAIT");
	for (i = 0; i < hosts->count; i++) {
		const struct host *h = &hosts->at[i];

		if (has_no_payload(h))
			continue;
		if (h->stalls ? affected++ < MAX_AFFECTED : unaffected++ < MAX_UNAFFECTED)
			print_host(out, h);
	}
	if (affected > MAX_AFFECTED)
		fprintf(out, "  and %zu more with a stall\n", affected - MAX_AFFECTED);
	if (unaffected > MAX_UNAFFECTED)
		fprintf(out, "  and %zu more without a stall\n", unaffected - MAX_UNAFFECTED);
	if (silent)
		fprintf(out, "  and %zu host%s without payload on any connect\n", silent,
			plural(silent));
}

void text_percentiles(FILE *out, const char *name, const struct histogram *h)
{
	char p50[FORMAT_DURATION], p90[FORMAT_DURATION], p99[FORMAT_DURATION];

	if (!h->count)
		return;
	format_duration(p50, histogram_percentile(h, 0.50));
	format_duration(p90, histogram_percentile(h, 0.90));
	format_duration(p99, histogram_percentile(h, 0.99));
	fprintf(out, "  %-26s p50 %-*s p90 %-*s p99 %-*s n=%" PRIu64 "\n", name,
		text_field_width(9, p50), p50, text_field_width(9, p90), p90,
		text_field_width(9, p99), p99, h->count);
}

void text_network(struct report *r, const struct model *m, const struct diagnosis *d)
{
	FILE *out = r->out;

	if (!m->server_round_trips.count && !m->retried && !m->late_banners &&
	    !d->name_summary.lookups)
		return;
	text_heading(r, text_colours(r)->bold, "THE NETWORK");
	fputc('\n', out);
	text_stages(r, m, &d->name_summary);
	text_percentiles(out, "round trip to the clients", &m->client_round_trips);
	text_percentiles(out, "round trip to the servers", &m->server_round_trips);
	text_percentiles(out, "servers answer requests in", &m->answers);
	text_percentiles(out, "the gateway adds to a SYN", &m->syn_forwarding_delays);
	text_percentiles(out, "           to a SYN-ACK", &m->synack_forwarding_delays);
	text_percentiles(out, "           to a request", &m->payload_forwarding_delays);
	if (m->retried)
		text_item(r,
			  "%" PRIu64 " connect%s got an answer only after the second SYN or later",
			  m->retried, plural(m->retried));
	if (m->late_banners)
		text_item(r, "%" PRIu64 " greeting%s came late, from servers that speak first",
			  m->late_banners, plural(m->late_banners));
	text_names(r, &d->name_summary);
}

/* Printed before all findings, since missed packets make servers look silent. */
void text_notices(struct report *r)
{
	const struct text_state *t = r->state;
	char clock[FORMAT_TIME], *text;
	unsigned int i;
	size_t size;
	FILE *out;

	if (!t->notice_count)
		return;
	text_heading(r, text_colours(r)->bold, "DURING THE RUN");
	for (i = 0; i < t->notice_count && i < MAX_NOTICES_SHOWN; i++) {
		out = open_memstream(&text, &size);
		if (!out)
			return;
		fprintf(out, "%s ",
			format_run_clock(clock, &r->session->start, r->session->duration,
					 t->notices[i].when));
		if (t->notices[i].text)
			format_text(out, t->notices[i].text);
		if (!fclose(out))
			text_item(r, "%s", text);
		free(text);
	}
	if (t->notice_count > i)
		text_item(r, "and %u more, with --json", t->notice_count - i);
}

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
	text_item(r, "Packets passed the interface and did not reach the probe: during that time "
		     "servers may wrongly appear silent, and connects are missing. The reason "
		     "was reported when it began.");
}

static void print_nat(struct report *r, const struct nat *nat)
{
	char text[FORMAT_ADDRESS];

	text_section(r, text_colours(r)->bold, "NAT",
		     "%" PRIu64 " attempt%s came from behind %s%s; conntrack knew the clients, by "
		     "which they are named here.",
		     nat->translated, plural(nat->translated), format_address(text, &nat->address),
		     session_is_own_address(r->session, &nat->address)
			     ? ", this gateway's own address"
			     : "");
	if (nat->own)
		text_item(r, "%" PRIu64 " more from that side %s this gateway's own.", nat->own,
			  were(nat->own));
	if (nat->lost)
		text_item(r,
			  "Conntrack events were lost %" PRIu64
			  " time%s: some clients are missing.",
			  nat->lost, plural(nat->lost));
}

void text_nat(struct report *r, const struct model *m)
{
	if (r->session->nat.translated)
		print_nat(r, &r->session->nat);
	if (m->offloaded)
		text_section(r, text_colours(r)->bold, "OFFLOADED",
			     "%" PRIu64 " connect%s went on in a flowtable, where no packet was "
			     "seen: %s not judged.",
			     m->offloaded, plural(m->offloaded),
			     m->offloaded == 1 ? "it is" : "they are");
}

static void print_ethertype(struct report *r, const struct unknown_ethertype *e)
{
	const char *name = ethertype_name(e->ethertype);

	text_item(r, "%" PRIu64 " packet%s of ethertype 0x%04x%s%s%s", e->packets,
		  plural(e->packets), e->ethertype, name ? " (" : "", name ? name : "",
		  name ? ")" : "");
}

void text_count(struct report *r, uint64_t n, const char *noun, const char *words)
{
	if (n)
		text_item(r, "%" PRIu64 " %s%s %s", n, noun, plural(n), words);
}

void text_not_measured(struct report *r, const struct diagnosis *d, uint64_t unlisted)
{
	const struct session *session = r->session;
	const uint64_t *c = session->counters;
	uint64_t others = c[COUNT_UNKNOWN_LINK];
	int i;

	text_heading(r, text_colours(r)->bold, "NOT MEASURED");
	fputc('\n', r->out);
	if (session->bytes)
		text_item(r, "UDP 443 (QUIC) carried %.1f %% of the bytes, other UDP %.1f %%",
			  100.0 * c[COUNT_UDP_443_BYTES] / session->bytes,
			  100.0 * c[COUNT_UDP_BYTES] / session->bytes);
	if (c[COUNT_ALREADY_OPEN] || r->verbose)
		text_item(r, "%" PRIu64 " connection%s open before the start (seen to close)",
			  c[COUNT_ALREADY_OPEN], c[COUNT_ALREADY_OPEN] == 1 ? " was" : "s were");
	text_count(r, c[COUNT_SYNACK_ALONE], "SYN-ACK",
		   "without a SYN (it came before the start or passes elsewhere; many: a "
		   "reflection attack)");
	text_count(r, c[COUNT_RESETS_NOT_COUNTED], "reset",
		   "of open connections that came too fast, or of too many servers");
	if (session->ambiguous)
		text_item(r, "%" PRIu64 " attempt%s several others and %s counted separately",
			  session->ambiguous, session->ambiguous == 1 ? " matches" : "s match",
			  were(session->ambiguous));
	text_count(r, c[COUNT_NOT_SELECTED], "SYN", "outside --client, --server, --port");
	text_count(r, c[COUNT_FRAGMENTS], "later IP fragment", "without port numbers");
	text_count(r, c[COUNT_MALFORMED], "packet", "with contradictory headers (malformed)");
	text_count(r, c[COUNT_LOST_TRUNCATED], "packet",
		   "whose headers could not be read: too short, or cut by the capture");
	text_count(r, c[COUNT_IP_OTHER], "packet", "of other protocols than TCP, UDP and ICMP");
	for (i = 0; i < MAX_ETHERTYPES && session->ethertypes[i].packets; i++) {
		print_ethertype(r, &session->ethertypes[i]);
		others -= session->ethertypes[i].packets;
	}
	if (others <= c[COUNT_UNKNOWN_LINK])
		text_count(r, others, "packet", "with a link header that is not understood");
	text_names_not_read(r, &d->name_summary);
	text_count(r, unlisted, "detail",
		   "of hosts, peers and waits found no room in memory: lists may lack "
		   "entries, the totals include them");
}

void text_losses(struct report *r)
{
	static const struct {
		const char *noun, *words;
	} reasons[COUNTERS] = {
		[COUNT_LOST_MAP] = { "attempt", "not tracked: too many at the same time "
						"(--max-flows)" },
		[COUNT_LOST_RING] = { "record", "dropped: this machine was too busy (--ring-size, "
						"--client)" },
		[COUNT_LOST_CROWDED] = { "attempt",
					 "without a handshake, not recorded in a flood" },
		[COUNT_LOST_PACKETS] = { "packet",
					 "for --write dropped: this machine was too busy" },
		[COUNT_LOST_DNS] = { "DNS packet", "dropped: this machine was too busy" },
		[COUNT_LOST_DNS_BUDGET] = { "DNS packet",
					    "not looked at: more than the budget of a second" },
	};
	int i;

	if (!session_losses(r->session))
		return;
	text_heading(r, text_colours(r)->bad, "LOST");
	fputc('\n', r->out);
	for (i = FIRST_LOSS; i < COUNTERS; i++)
		if (reasons[i].noun)
			text_count(r, r->session->counters[i], reasons[i].noun, reasons[i].words);
}

void text_cut(struct report *r)
{
	char *text = NULL;
	FILE *out;
	size_t size;

	if (!r->session->cut)
		return;
	out = open_memstream(&text, &size);
	if (out) {
		format_text(out, r->session->cut);
		if (!fclose(out) && text)
			text_section(r, text_colours(r)->bad, "CUT SHORT", "%s", text);
	}
	if (!text)
		r->error = ENOMEM;
	free(text);
}
