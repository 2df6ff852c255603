// SPDX-License-Identifier: GPL-2.0
/* Prints what was seen of names: how prompt they were, for whom they were not seen, and what was lost. */
#include "report/text.h"

#include <inttypes.h>

#include "lib/format.h"

/* Prints the stages until the first answer as engineers think of them, in one row. */
static void print_stages(struct report *r, const struct model *m, const struct name_summary *s)
{
	const struct {
		const char *name;
		const struct histogram *h;
	} stages[] = { { "name", &s->durations },
		       { "TCP", &m->server_round_trips },
		       { "answer", &m->answers } };
	char text[160], duration[FORMAT_DURATION];
	size_t i;
	int n = 0;

	for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		if (stages[i].h->count)
			n += snprintf(text + n, sizeof(text) - n, "%s%s %s", n ? ", " : "",
				      stages[i].name,
				      format_duration(duration,
						      histogram_percentile(stages[i].h, 0.5)));
	text_item(r, "until the first answer, by medians: %s", text);
}

/* Prints how the lookups ended that were not answered with records. */
static void print_results(struct report *r, const struct name_summary *s)
{
	static const char *const words[LOOKUP_RESULTS] = {
		[LOOKUP_OPEN] = "still open at the end",
		[LOOKUP_EMPTY] = "told that there is no such record",
		[LOOKUP_NXDOMAIN] = "for names that do not exist",
		[LOOKUP_FAILED] = "ended by an error",
		[LOOKUP_TRUNCATED] = "truncated",
		[LOOKUP_UNREACHABLE] = "unreachable (ICMP)",
		[LOOKUP_SILENT] = "without an answer",
	};
	char text[320], longest[FORMAT_DURATION];
	int i, n;

	n = snprintf(text, sizeof(text), "%" PRIu64 " lookup%s", s->lookups, plural(s->lookups));
	if (s->durations.count)
		n += snprintf(text + n, sizeof(text) - n, ", the longest answered one %s",
			      format_duration(longest, s->durations.max));
	for (i = LOOKUP_RESULTS - 1; i >= 0; i--)
		if (words[i] && s->results[i])
			n += snprintf(text + n, sizeof(text) - n, ", %" PRIu64 " %s", s->results[i],
				      words[i]);
	text_item(r, "%s", text);
}

static void print_unseen(struct report *r, const struct name_summary *s)
{
	if (!names_were_seen(s) && s->hosts)
		text_item(r, "names: no DNS was seen here (asked elsewhere: DoH, another path, a "
			     "cache)");
	else if (s->hosts_unseen)
		text_item(r,
			  "names: not seen for %zu of %zu hosts (they ask elsewhere: DoH, another "
			  "path, a cache)",
			  s->hosts_unseen, s->hosts);
	if (names_were_seen(s) && s->connects_unnamed)
		text_item(r,
			  "%" PRIu64 " of %" PRIu64 " connects (%.0f %%) went to addresses that no "
			  "answer seen here named",
			  s->connects_unnamed, s->connects,
			  100.0 * s->connects_unnamed / s->connects);
}

static void print_resolver(FILE *out, const struct resolver_row *row)
{
	char name[FORMAT_ENDPOINT], median[FORMAT_DURATION] = "";

	if (row->endpoint.port == DNS_PORT)
		format_address(name, &row->endpoint.address);
	else
		format_endpoint(name, &row->endpoint);
	if (row->median != NEVER)
		format_duration(median, row->median);
	fprintf(out, "  %-25s %6" PRIu64 " %9" PRIu64 " %11" PRIu64 "  %*s %6zu%s\n", name,
		row->lookups, row->answered, row->unanswered, text_field_width(9, median), median,
		row->hosts, row->is_own ? "  this gateway" : "");
}

void text_resolvers(struct report *r, const struct name_summary *s)
{
	size_t i;

	if (!s->resolver_rows)
		return;
	text_section(r, text_colours(r)->bold, "RESOLVERS",
		     "(DNS servers, by how many lookups%s asked them over UDP; one lookup may ask "
		     "several)",
		     s->of_gateway ? " of clients and of this gateway" : "");
	fprintf(r->out, "  %-25s %6s %9s %11s  %9s %6s\n", "RESOLVER", "ASKED", "ANSWERED",
		"UNANSWERED", "MEDIAN", "HOSTS");
	for (i = 0; i < s->resolver_rows; i++)
		print_resolver(r->out, &s->resolvers[i]);
	if (s->resolver_count > i)
		fprintf(r->out, "  and %zu more\n", s->resolver_count - i);
}

void text_stages(struct report *r, const struct model *m, const struct name_summary *s)
{
	if (s->lookups && m->server_round_trips.count)
		print_stages(r, m, s);
	text_percentiles(r->out, "names are answered in", &s->durations);
	text_percentiles(r->out, "first question to the SYN", &s->waits);
}

void text_names(struct report *r, const struct name_summary *s)
{
	if (s->lookups)
		print_results(r, s);
	if (s->unanswered_names)
		text_item(r, "%" PRIu64 " name%s got no answer at all, and no finding explains it",
			  s->unanswered_names, plural(s->unanswered_names));
	print_unseen(r, s);
}

void text_names_not_read(struct report *r, const struct name_summary *s)
{
	const struct dns_totals *t = &s->totals;

	if (t->names_cut)
		text_item(r,
			  "names are cut off in %" PRIu64 " of %" PRIu64
			  " DNS packets: snap length",
			  t->names_cut, t->questions + t->answers);
	text_count(r, t->not_dns, "packet", "on a port of DNS that are not DNS");
	text_count(r, t->malformed, "DNS packet", "with a malformed name or question");
	text_count(r, t->unmatched, "DNS answer",
		   "that no question seen here asked for (late, forged, or asked elsewhere)");
	text_count(r, r->session->counters[COUNT_DNS_NOT_SAMPLED], "DNS packet",
		   "of hosts that were left out, since there were too many");
	text_count(r, t->dropped_lookups, "lookup", "forgotten: too many");
}
