// SPDX-License-Identifier: GPL-2.0
/*
 * For the engineer in the middle of an incident: a line when something is certain, and at the end
 * who waits, what does not answer, and whether the network itself is well. Fits 80 columns.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/ratelimit.h"
#include "lib/format.h"
#include "report/glyphs.h"
#include "report/report.h"
#include "report/terminal.h"
#include "source/ethertype.h"

/* So many rows of a table are printed; the rest is said to be left out. */
#define MAX_AFFECTED 40
#define MAX_UNAFFECTED 20
#define MAX_PEERS_SHOWN 20
#define MAX_CLIENTS_SHOWN 6
#define MAX_GROUPS_SHOWN 8
#define MAX_IDLE_SHOWN 8
#define MAX_FINDINGS_SHOWN 12
#define MAX_AFFECTED_NAMED 8

/* The evidence of a finding begins in this column. */
#define LABEL_WIDTH 16

/* Where the text of the report ends: long lines are hard to read. */
#define MIN_COLUMNS 40
#define MAX_COLUMNS 110

#define FILE_COLUMNS 80 /* what mail and files expect */

static int page_columns = FILE_COLUMNS;

const char *const failure_words[FAILURES] = {
	[FAILURE_TOO_EARLY] = "too early to say", [FAILURE_ONE_SYN] = "given up after one SYN",
	[FAILURE_SILENT] = "no answer",		  [FAILURE_REFUSED] = "refused",
	[FAILURE_UNREACHABLE] = "unreachable",
};

/* The field width that printf(), which counts bytes, needs for so many columns of UTF-8. */
static int columns(int width, const char *text)
{
	for (; *text; text++)
		width += (*text & 0xc0) == 0x80;
	return width;
}

/* ---- lines while it runs ---- */

enum line_kind {
	LINE_STALL,
	LINE_WAITING,
	LINE_GREETING,
	LINE_SILENT,
	LINE_REFUSED,
	LINE_UNREACHABLE,
	LINE_BACK,
	LINE_KINDS,
};

/* Of lines that stand for many. */
static const char *const line_words[LINE_KINDS] = {
	[LINE_STALL] = "stall",
	[LINE_WAITING] = "waiting",
	[LINE_GREETING] = "late greeting",
	[LINE_SILENT] = "no answer",
	[LINE_REFUSED] = "refused",
	[LINE_UNREACHABLE] = "unreachable",
	[LINE_BACK] = "answers after all",
};

static struct ratelimit ratelimits[LINE_KINDS];

struct event {
	enum line_kind kind;
	ns_t when;
	ns_t duration; /* NEVER when it is of none */
	const struct endpoint *client;
	bool of_connection; /* the client's port matters */
	const struct endpoint *server;
};

#define CLOCK_COLUMNS 9
#define MAX_ENDPOINT 47 /* [IPv6]:port */
#define CLIENT_COLUMNS 18
#define SERVER_COLUMNS 19
#define WHAT_COLUMNS 30

/* Addresses that are longer make their column wider, as far as there is room for what is said of them. */
static void widen(int *column, const char *text, int total)
{
	int most = (total - CLOCK_COLUMNS - 4 - WHAT_COLUMNS) / 2, wanted = strlen(text);

	if (most > MAX_ENDPOINT)
		most = MAX_ENDPOINT;
	if (wanted > *column && *column < most)
		*column = wanted < most ? wanted : most;
}

static const char *colour_of(enum line_kind kind)
{
	switch (kind) {
	case LINE_SILENT:
	case LINE_REFUSED:
	case LINE_UNREACHABLE:
		return paint->bad;
	case LINE_BACK:
		return paint->good;
	default:
		return paint->wait;
	}
}

static int line_columns(const struct report *r)
{
	int columns = terminal_width(r->out);

	return columns ? columns : 1000; /* a file's lines are whole */
}

/*
 * On one row if that fits somehow: aligned, or without what stands behind the bar in `what`. Else the
 * rest goes on below.
 */
static void put_line(struct report *r, enum line_kind kind, ns_t when, const char *client,
		     const char *server, char *what)
{
	int total = line_columns(r), arrow = format_columns(glyphs->arrow) + 2, a, b, column;
	const char *before_server = "", *before_what = "";
	char clock[FORMAT_TIME], text[1024], *bar;
	bool is_narrow;

	if (!r->has_heading) {
		r->client_columns = CLIENT_COLUMNS;
		r->server_columns = SERVER_COLUMNS;
	}
	widen(&r->client_columns, client, total);
	widen(&r->server_columns, server, total);
	a = r->client_columns;
	b = r->server_columns;
	if (!r->has_heading) {
		is_narrow = CLOCK_COLUMNS + a + arrow + b + 5 > total;
		snprintf(text, sizeof(text), "%-8s %-*s%*s%-*s WHAT\n", "TIME", is_narrow ? 0 : a,
			 "CLIENT", arrow, "", is_narrow ? 0 : b, "SERVER");
		terminal_line(r->out, text);
		r->has_heading = true;
	}
	if ((int)strlen(client) > a || (int)strlen(server) > b)
		a = b = 0;
	column = CLOCK_COLUMNS + (a ? a : (int)strlen(client));
	if (column + arrow + (int)strlen(server) > total) {
		before_server = "\n        ";
		column = CLOCK_COLUMNS - 1;
	}
	column += arrow + (b ? b : (int)strlen(server)) + 1;
	bar = strchr(what, '|');
	if (bar && column + format_columns(what) - 1 > total)
		*bar = '\0';
	else if (bar)
		memmove(bar, bar + 1, strlen(bar));
	if (column + format_columns(what) > total)
		before_what = "\n        ";
	snprintf(text, sizeof(text), "%s %-*s%s %s %-*s%s %s%s%s\n",
		 format_clock(clock, &r->session->start, when), a, client, before_server,
		 glyphs->arrow, b, server, before_what, colour_of(kind), what, paint->off);
	terminal_line(r->out, text);
}

static void __attribute__((format(printf, 3, 4)))
line(struct report *r, const struct event *e, const char *format, ...)
{
	char client[FORMAT_ENDPOINT], server[FORMAT_ENDPOINT], what[256];
	va_list arguments;

	if (r->quiet || ratelimit_suppresses(&ratelimits[e->kind], r->now, e->when, e->client,
					     e->server, e->duration))
		return;
	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (e->of_connection)
		format_endpoint(client, e->client);
	else
		format_address(client, &e->client->address);
	put_line(r, e->kind, e->when, client, format_endpoint(server, e->server), what);
}

/* "14 clients"; false when it is one, whose name says more. */
static bool many(char out[FORMAT_ENDPOINT], const struct distinct *d, const char *what)
{
	snprintf(out, FORMAT_ENDPOINT, "%u%s %s", d->count, d->count < MAX_DISTINCT ? "" : "+",
		 what);
	return d->count > 1;
}

static void put_summary(struct report *r, enum line_kind kind)
{
	char client[FORMAT_ENDPOINT], server[FORMAT_ENDPOINT], what[256], a[FORMAT_DURATION],
		b[FORMAT_DURATION];
	const struct ratelimit *f = &ratelimits[kind];
	int n;

	if (!many(client, &f->clients, "clients"))
		format_address(client, &f->client.address);
	if (!many(server, &f->servers, "servers"))
		format_endpoint(server, &f->server);
	n = snprintf(what, sizeof(what), "%s: %" PRIu64 " more in %.0f s|", line_words[kind],
		     f->count, ceil((r->now - f->since) / 1e9));
	if (f->shortest != NEVER)
		snprintf(what + n, sizeof(what) - n, ", %s to %s", format_duration(a, f->shortest),
			 format_duration(b, f->longest));
	put_line(r, kind, f->last, client, server, what);
}

static void put_summaries(struct report *r, bool all)
{
	int kind;

	for (kind = 0; kind < LINE_KINDS; kind++) {
		if (!all && !ratelimit_summary_due(&ratelimits[kind], r->now))
			continue;
		if (ratelimits[kind].count)
			put_summary(r, kind);
		ratelimit_restart(&ratelimits[kind], r->now);
	}
}

static void started(struct report *r)
{
	r->now = 0;
	memset(ratelimits, 0, sizeof(ratelimits));
}

static void swept(struct report *r, ns_t now)
{
	r->now = now;
	put_summaries(r, false);
}

static void stall(struct report *r, const struct stall *s, bool ended)
{
	const struct event e = { ended ? LINE_STALL : LINE_WAITING,
				 s->start + s->wait,
				 s->wait,
				 &s->from,
				 true,
				 &s->to };
	char wait[FORMAT_DURATION];

	format_duration(wait, s->wait);
	if (ended)
		line(r, &e, "stall %s| after handshake", wait);
	else
		line(r, &e, "waiting for %s| so far", wait);
}

static void late_banner(struct report *r, const struct connection *c)
{
	const struct event e = { LINE_GREETING, c->server_first, c->banner, &c->client,
				 true,		&c->server };
	char banner[FORMAT_DURATION];

	line(r, &e, "late greeting after %s", format_duration(banner, c->banner));
}

/* "host unreachable", "ICMP type 3 code 13" */
static const char *icmp_text(char out[64], const struct address *about, uint8_t type, uint8_t code)
{
	const char *words = icmp_words(is_ip4(about), type, code);

	if (words)
		snprintf(out, 64, "%s", words);
	else
		snprintf(out, 64, "ICMP type %u code %u", type, code);
	return out;
}

static void failing(struct report *r, const struct connection *c, enum failure failure)
{
	const char *by = c->from_gateway ? "this gateway" : "the server";
	struct event e = { LINE_SILENT, c->syn_last, NEVER, &c->client, false, &c->server };
	char from[FORMAT_ADDRESS], span[FORMAT_DURATION], words[64];

	switch (failure) {
	case FAILURE_SILENT:
		if (c->end_reason == END_NONE)
			e.when = c->settled;
		line(r, &e, "no answer: %u SYN%s| in %s", c->syn_count, plural(c->syn_count),
		     format_duration(span, c->syn_last - c->syn));
		break;
	case FAILURE_REFUSED:
		e.kind = LINE_REFUSED;
		e.when = c->rst;
		line(r, &e, "refused (RST)| by %s", by);
		break;
	case FAILURE_UNREACHABLE:
		e.kind = LINE_UNREACHABLE;
		e.when = c->icmp;
		line(r, &e, "%s|, says %s",
		     icmp_text(words, &c->server.address, c->icmp_type, c->icmp_code),
		     c->from_gateway ? by : format_address(from, &c->icmp_from));
		break;
	default:
		break;
	}
}

static void late_answer(struct report *r, const struct connection *c)
{
	struct event e = { LINE_BACK, c->synack, NEVER, &c->client, false, &c->server };
	char span[FORMAT_DURATION];

	if (c->synack == NEVER) {
		e.when = c->settled;
		line(r, &e, "answers after all");
	} else {
		line(r, &e, "answers after all|: SYN-ACK %s after the first of %u SYN%s",
		     format_duration(span, c->synack - c->syn), c->syn_count, plural(c->syn_count));
	}
}

static void host_name(char out[FORMAT_ENDPOINT], const struct host *h)
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

static void print_heading(FILE *out, const char *colour, const char *text)
{
	fprintf(out, "\n%s%s%s", colour, text, paint->off);
}

static void print_stalls(FILE *out, const struct model *m, const struct hosts *hosts,
			 ns_t threshold)
{
	char a[FORMAT_DURATION], b[FORMAT_DURATION], length[2 * FORMAT_DURATION + 8];
	struct stall_group *groups;
	size_t count, i;

	print_heading(out, paint->bold, "STALLS");
	fprintf(out,
		"  %" PRIu64 " connection%s of %zu host%s waited %g s or more\n"
		"        between the handshake and the client's first byte\n",
		m->stall_count, plural(m->stall_count), hosts->affected, plural(hosts->affected),
		threshold / 1e9);
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
		fprintf(out, "  %-*s %7zu %6zu\n", columns(28, length), length, g->count, g->hosts);
	}
	if (i < count)
		fprintf(out, "  and %zu other lengths\n", count - i);
	free(groups);
}

static void print_idle(FILE *out, const struct model *m)
{
	char from[FORMAT_ENDPOINT], to[FORMAT_ENDPOINT], wait[FORMAT_DURATION];
	size_t i;

	if (!m->idle.count)
		return;
	print_heading(out, paint->bold, "UNDECIDED");
	fprintf(out, "  %zu connection%s still waited at the end: a stall, or a spare socket\n",
		m->idle.count, plural(m->idle.count));
	for (i = 0; i < m->idle.count && i < MAX_IDLE_SHOWN; i++)
		fprintf(out, "  %s %s %s  waiting for %s so far\n",
			format_endpoint(from, &m->idle.at[i].from), glyphs->arrow,
			format_endpoint(to, &m->idle.at[i].to),
			format_duration(wait, m->idle.at[i].wait));
	if (i < m->idle.count)
		fprintf(out, "  and %zu more\n", m->idle.count - i);
}

static void print_pairs(FILE *out, const struct peer *p)
{
	const struct pair *pairs[MAX_CLIENTS_SHOWN];
	char text[FORMAT_ADDRESS];
	size_t n, i;
	int column;

	n = peer_pairs(p, pairs, MAX_CLIENTS_SHOWN);
	if (!n)
		return;
	column = fprintf(out, "      tried by");
	for (i = 0; i < n; i++) {
		format_address(text, &pairs[i]->who.client->key.address);
		if (column + 4 + snprintf(NULL, 0, "%s (%" PRIu64 "x)", text, pairs[i]->failures) >
		    page_columns)
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

	format_clock(first, &r->session->start, p->first_failure);
	format_clock(last, &r->session->start, p->last_failure);
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
				icmp_text(words, &p->server.address, p->icmp_type, p->icmp_code));
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
			" of these came from this very gateway, not from the server\n",
			p->by_gateway);
	if (p->answered_late)
		fprintf(out, "      %" PRIu64 " answered only after 3 s or more\n",
			p->answered_late);
	print_pairs(out, p);
	cohort = model_cohort(hosts, p);
	if (cohort.tried_stalled)
		fprintf(out,
			"      of the %zu host%s that it failed %zu stalled, of the %zu other%s %zu\n",
			cohort.tried, plural(cohort.tried), cohort.tried_stalled, cohort.others,
			plural(cohort.others), cohort.others_stalled);
}

static void print_peers(struct report *r, const struct model *m, const struct hosts *hosts)
{
	const struct peer **peers;
	size_t count, i;

	peers = model_failing_peers(m, &count);
	if (count) {
		print_heading(r->out, paint->bold, "PEERS THAT FAIL");
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

	host_name(name, h);
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

static void print_hosts(FILE *out, const struct hosts *hosts)
{
	size_t i, affected = 0, unaffected = 0, speechless = 0;

	if (!hosts->count)
		return;
	print_heading(out, paint->bold, "HOSTS");
	fprintf(out,
		"  %zu of %zu with a stall  (+1: one more address; stalled: of the\n"
		"       connections on which anybody spoke)\n"
		"  %-28s %8s  %20s  %11s\n",
		hosts->affected, hosts->count, "HOST", "ATTEMPTS", "STALLED", "WORST WAIT");
	for (i = 0; i < hosts->count; i++) {
		const struct host *h = &hosts->at[i];

		if (!h->decided && !h->idle)
			speechless++;
		else if (h->stalls ? affected++ < MAX_AFFECTED : unaffected++ < MAX_UNAFFECTED)
			print_host(out, h);
	}
	if (affected > MAX_AFFECTED)
		fprintf(out, "  and %zu more with a stall\n", affected - MAX_AFFECTED);
	if (unaffected > MAX_UNAFFECTED)
		fprintf(out, "  and %zu more without a stall\n", unaffected - MAX_UNAFFECTED);
	if (speechless)
		fprintf(out, "  and %zu on whose connections nobody spoke\n", speechless);
}

static void print_percentiles(FILE *out, const char *name, const struct histogram *h)
{
	char p50[FORMAT_DURATION], p90[FORMAT_DURATION], p99[FORMAT_DURATION];

	if (!h->count)
		return;
	format_duration(p50, histogram_percentile(h, 0.50));
	format_duration(p90, histogram_percentile(h, 0.90));
	format_duration(p99, histogram_percentile(h, 0.99));
	fprintf(out, "  %-26s p50 %-*s p90 %-*s p99 %-*s n=%" PRIu64 "\n", name, columns(9, p50),
		p50, columns(9, p90), p90, columns(9, p99), p99, h->count);
}

static void print_network(FILE *out, const struct model *m)
{
	if (!m->server_round_trips.count)
		return;
	print_heading(out, paint->bold, "THE NETWORK");
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

/* Before all findings: a run that saw half of the conversations accuses everybody. */
static void print_blindness(FILE *out, const struct session *session)
{
	static const char *const what[DIRECTIONS] = { "received", "sent" };
	const struct session_iface *w;
	char duration[FORMAT_DURATION];
	int d;

	if (!session_blind_time(session, INGRESS) && !session_blind_time(session, EGRESS))
		return;
	print_heading(out, paint->bad, "BLIND");
	for (w = session->interfaces; w < session->interfaces + session->interface_count; w++)
		for (d = 0; d < DIRECTIONS; d++)
			if (w->blind[d])
				fprintf(out, "  for %s to what %s %s\n",
					format_duration(duration, w->blind[d]),
					format_name(w->name), what[d]);
	fprintf(out,
		"  Packets passed the interface and did not reach the probe: in that time servers\n"
		"  may seem silent that are not, and connections are missing. The reason was said\n"
		"  when it began.\n");
}

static void print_nat(FILE *out, const struct session *session, const struct model *m)
{
	const struct nat *nat = &session->nat;
	char text[FORMAT_ADDRESS];

	if (nat->translated) {
		fprintf(out, "\nNAT  %" PRIu64 " attempt%s came from behind %s", nat->translated,
			plural(nat->translated), format_address(text, &nat->address));
		fprintf(out, "%s;\n  conntrack knew the clients, by which they are named here.\n",
			session_is_own_address(session, &nat->address)
				? ", this gateway's own address"
				: "");
		if (nat->own)
			fprintf(out, "  %" PRIu64 " more from that side %s this gateway's own.\n",
				nat->own, nat->own == 1 ? "was" : "were");
		if (nat->lost)
			fprintf(out,
				"  Conntrack told more than could be read, %" PRIu64
				" time%s: some are missing.\n",
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

static void print_not_measured(FILE *out, const struct session *session)
{
	const uint64_t *c = session->counters;
	int i;

	print_heading(out, paint->bold, "NOT MEASURED");
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
			" attempt%s may be the other side of more than one, so counted alone\n",
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

static void print_losses(FILE *out, const struct session *session, uint64_t dropped)
{
	static const char *const words[COUNTERS] = {
		[COUNT_LOST_MAP] =
			"attempts without a place: too many were opening at once (--max-flows)",
		[COUNT_LOST_RING] =
			"records without a place: this machine was too busy (--ring-size, --client)",
		[COUNT_LOST_EVICTED] =
			"unanswered attempts gave their place to newer ones in a flood",
		[COUNT_LOST_TRUNCATED] = "packets whose headers could not be read",
		[COUNT_LOST_PACKETS] =
			"packets for --write without a place: this machine was too busy",
	};
	int i;

	if (!session_losses(session) && !dropped)
		return;
	print_heading(out, paint->bad, "LOST");
	fputc('\n', out);
	for (i = FIRST_LOSS; i < COUNTERS; i++)
		if (session->counters[i])
			fprintf(out, "  %" PRIu64 " %s\n", session->counters[i], words[i]);
	if (dropped)
		fprintf(out, "  %" PRIu64 " details beyond the bounds of memory; the totals hold\n",
			dropped);
}

/* Text from a column on; what does not fit goes on below. */
static void print_wrapped(FILE *out, int column, int indent, const char *text)
{
	char word[256];
	size_t bytes;

	text = transliterate(text);
	for (; *text; text += bytes + strspn(text + bytes, " ")) {
		bytes = strcspn(text, " ");
		snprintf(word, sizeof(word), "%.*s", (int)bytes, text);
		if (column + 1 + format_columns(word) > page_columns)
			column = fprintf(out, "\n%*s", indent, "") - 1;
		fprintf(out, " %s", word);
		column += 1 + format_columns(word);
	}
	fputc('\n', out);
}

static void print_labelled(FILE *out, const char *label, const char *text)
{
	print_wrapped(out, fprintf(out, "   %-12s", label), LABEL_WIDTH - 1, text);
}

static void print_line(FILE *out, int length)
{
	while (length-- > 0)
		fputs(glyphs->line, out);
}

static void print_attempts(FILE *out, const struct example *e, ns_t since)
{
	char to[FORMAT_ENDPOINT], duration[FORMAT_DURATION], text[512];
	unsigned int i;
	int n;

	n = snprintf(text, sizeof(text), "%s SYN to %s at", glyphs->below,
		     format_endpoint(to, &e->waited_for));
	for (i = 0; i < e->syn_count && i < 3; i++)
		n += snprintf(text + n, sizeof(text) - n, "%s %s%s", i ? "," : "",
			      e->syn_times[i] < since ? "" : "+",
			      format_duration(duration, e->syn_times[i] - since));
	if (e->syn_count > i)
		n += snprintf(text + n, sizeof(text) - n, ", ...");
	if (e->resolved == NEVER)
		snprintf(text + n, sizeof(text) - n, ": no answer");
	else
		snprintf(text + n, sizeof(text) - n, ", resolved at +%s",
			 format_duration(duration, e->resolved - since));
	print_wrapped(out, fprintf(out, "%*s", LABEL_WIDTH - 1, ""), LABEL_WIDTH + 1, text);
}

/* One wait as a line in time, and below it what was pending meanwhile. */
static void print_example(struct report *r, const struct example *e)
{
	char a[FORMAT_DURATION], b[FORMAT_DURATION], wait[FORMAT_DURATION], from[FORMAT_ENDPOINT],
		to[FORMAT_ENDPOINT], clock[FORMAT_TIME];
	FILE *out = r->out;
	ns_t start = e->ack != NEVER ? e->ack : e->waited_for.port ? e->syn_times[0] : e->syn;
	int room;

	format_endpoint(to, &e->server);
	format_clock(clock, &r->session->start, start);
	if (e->client.port)
		format_endpoint(from, &e->client);
	else
		format_address(from, &e->client.address);
	fprintf(out, "   %-12s %s %s %s at %s\n", "example", from, glyphs->arrow, to, clock);
	if (e->nat_endpoint.port)
		fprintf(out, "%*sbehind %s\n", LABEL_WIDTH, "",
			format_endpoint(from, &e->nat_endpoint));
	if (e->ack == NEVER) { /* the wait lies before the SYN */
		format_duration(wait, e->syn - start);
		fprintf(out, "%*s%s", LABEL_WIDTH, "", glyphs->from);
		print_line(out, 16);
		fprintf(out, " %s ", wait);
		print_line(out, 16);
		fprintf(out, "%s SYN\n", glyphs->to);
	} else {
		format_duration(wait, e->first - e->ack);
		room = fprintf(out, "%*sSYN ", LABEL_WIDTH, "");
		fprintf(out, "%s%s%s", glyphs->line,
			format_duration(a, e->synack == NEVER ? NEVER : e->synack - e->syn),
			glyphs->line);
		fprintf(out, " SYN-ACK %s%s%s ACK %s", glyphs->line,
			format_duration(b, e->synack == NEVER ? NEVER : e->ack - e->synack),
			glyphs->line, glyphs->from);
		room += strlen(transliterate(a)) + strlen(transliterate(b)) + strlen(wait) + 18 +
			3 + strlen("first byte");
		room = room < page_columns - 4 ? (page_columns - 2 - room) / 2 : 1;
		print_line(out, room);
		fprintf(out, " %s ", wait);
		print_line(out, room);
		fprintf(out, "%s first byte\n", glyphs->to);
	}
	if (e->waited_for.port)
		print_attempts(out, e, start);
}

static void print_affected(FILE *out, const struct finding_hosts *hosts)
{
	char text[MAX_AFFECTED_NAMED * (FORMAT_ADDRESS + 1) + 32] = "", address[FORMAT_ADDRESS];
	size_t i, n = 0;

	for (i = 0; i < hosts->named && i < MAX_AFFECTED_NAMED; i++)
		n += snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "",
			      format_address(address, &hosts->at[i].address));
	if (hosts->count > i)
		snprintf(text + n, sizeof(text) - n, " and %zu more", hosts->count - i);
	if (i)
		print_labelled(out, "hosts", text);
}

static void print_finding(struct report *r, const struct finding *f, size_t number)
{
	FILE *out = r->out;
	size_t i;

	fputs(f->kind == KIND_NOT_THE_NETWORK ? paint->good : paint->bold, out);
	print_wrapped(out, fprintf(out, "\n%zu ", number) - 1, 2, f->text);
	fputs(paint->off, out);
	print_labelled(out, "confidence", confidence_names[f->confidence]);
	for (i = 0; i < f->line_count; i++)
		print_labelled(out, f->lines[i].label, f->lines[i].text);
	print_affected(out, &f->affected);
	if (f->has_example)
		print_example(r, &f->example);
}

static void print_findings(struct report *r, const struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count && (r->verbose || i < MAX_FINDINGS_SHOWN); i++)
		print_finding(r, &d->at[i], i + 1);
	if (i < d->count)
		fprintf(r->out, "\nand %zu more findings, with -v or --json\n", d->count - i);
}

static bool is_anything_wrong(const struct model *m)
{
	return m->stall_count || m->idle.count || m->late_banners || m->failures[FAILURE_SILENT] ||
	       m->failures[FAILURE_ONE_SYN] || m->failures[FAILURE_REFUSED] ||
	       m->failures[FAILURE_UNREACHABLE];
}

static void print_wrapped(FILE *out, int column, int indent, const char *text);

static void print_nothing_wrong(FILE *out, const struct model *m, const struct session *session)
{
	char worst[FORMAT_DURATION];

	if (!m->connections) {
		fprintf(out, "\nNo new connection was seen: nothing can be said.\n");
		if (session->no_tcp_reason[0])
			print_wrapped(out, fprintf(out, " "), 2, session->no_tcp_reason);
		return;
	}
	print_heading(out, paint->good, "NOTHING WRONG FOUND");
	fprintf(out,
		"  %" PRIu64 " of %" PRIu64 " attempts were answered, and the longest\n"
		"  wait of a client was %s. No peer failed.\n",
		m->outcomes[OUTCOME_ESTABLISHED] + m->outcomes[OUTCOME_HALF_OPEN], m->connections,
		format_duration(worst, m->waits.count ? m->waits.max : NEVER));
	if (m->unspoken)
		fprintf(out,
			"  On %" PRIu64 " connection%s not a byte had passed yet at the end.\n",
			m->unspoken, plural(m->unspoken));
	if (m->failures[FAILURE_TOO_EARLY])
		fprintf(out, "  For %" PRIu64 " attempt%s the run ended too early to say.\n",
			m->failures[FAILURE_TOO_EARLY], plural(m->failures[FAILURE_TOO_EARLY]));
}

static bool explains_stalls(const struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (finding_kinds[d->at[i].kind].family == FAMILY_WAIT)
			return true;
	return false;
}

static void print_report(struct report *r, const struct model *m, const struct diagnosis *d)
{
	char duration[FORMAT_DURATION];
	FILE *out = r->out;

	if (!d->hosts.at)
		r->error = ENOMEM;
	fprintf(out, "%s on %s %s %" PRIu64 " attempt%s %s %zu host%s %s %" PRIu64 " lost\n",
		format_duration(duration, r->session->duration), format_name(r->session->from),
		glyphs->dot, m->connections, plural(m->connections), glyphs->dot, d->hosts.count,
		plural(d->hosts.count), glyphs->dot, session_losses(r->session));
	print_blindness(out, r->session);
	print_nat(out, r->session, m);
	if (d->failed || r->error)
		fprintf(out, "\nOut of memory: %s.\n",
			d->failed ? "no diagnosis was made" : "hosts could not be told apart");
	else if (!is_anything_wrong(m))
		print_nothing_wrong(out, m, r->session);
	print_findings(r, d);
	print_idle(out, m);
	/* stalls too short to be a finding were said in lines: the report says what they came to */
	if (m->stall_count && (r->verbose || !explains_stalls(d)))
		print_stalls(out, m, &d->hosts, r->session->stall);
	if (r->verbose && !r->error) {
		print_peers(r, m, &d->hosts);
		print_hosts(out, &d->hosts);
	}
	print_network(out, m);
	print_not_measured(out, r->session);
	print_losses(out, r->session, m->dropped_details + d->dropped);
	if (r->session->cut) {
		print_heading(out, paint->bad, "CUT SHORT");
		fputs("  ", out);
		format_text(out, r->session->cut);
		fputc('\n', out);
	}
}

static void ended(struct report *r, const struct model *m, const struct diagnosis *d)
{
	struct report in_memory = *r;
	char *text = NULL;
	size_t size;

	/* another report of this run may have had another width */
	page_columns = terminal_width(r->out) ? terminal_width(r->out) : FILE_COLUMNS;
	page_columns = page_columns < MIN_COLUMNS   ? MIN_COLUMNS
		       : page_columns > MAX_COLUMNS ? MAX_COLUMNS
						    : page_columns;
	put_summaries(r, true);
	if (r->has_heading || isatty(fileno(r->out))) /* a terminal shows ^C */
		fputc('\n', r->out);
	in_memory.out = open_memstream(&text, &size);
	if (in_memory.out) {
		print_report(&in_memory, m, d);
		r->error = in_memory.error;
		if (!fclose(in_memory.out) && text)
			fputs(transliterate(text), r->out);
	}
	if (!text)
		r->error = ENOMEM;
	free(text);
}

const struct report_format report_text = {
	.started = started,
	.swept = swept,
	.stall = stall,
	.late_banner = late_banner,
	.failing = failing,
	.late_answer = late_answer,
	.ended = ended,
};
