// SPDX-License-Identifier: GPL-2.0
/* What was seen of names, as a part of the summary of --json. */
#include <inttypes.h>

#include "diagnose/name_text.h"
#include "report/json.h"
#include "report/json_fields.h"

static void field_dns_packets(FILE *out, const struct session *session, const struct dns_totals *t)
{
	fprintf(out, ",\"packets\":{\"questions\":%" PRIu64, t->questions);
	field_count(out, "answers", t->answers);
	field_count(out, "copies", t->copies);
	field_count(out, "unmatched", t->unmatched);
	field_count(out, "malformed", t->malformed);
	field_count(out, "not_dns", t->not_dns);
	field_count(out, "names_cut", t->names_cut);
	field_count(out, "by_tcp", t->by_tcp);
	field_count(out, "icmp_errors", t->icmp_errors);
	field_count(out, "not_sampled", session->counters[COUNT_DNS_NOT_SAMPLED]);
	fputc('}', out);
}

static void field_resolvers(FILE *out, const struct name_summary *s)
{
	size_t i;

	fputs(",\"resolvers\":[", out);
	for (i = 0; i < s->resolver_rows; i++) {
		const struct resolver_row *row = &s->resolvers[i];

		fputs(i ? ",{\"resolver\":" : "{\"resolver\":", out);
		write_endpoint(out, &row->endpoint);
		field_flag(out, "of_gateway", row->is_own);
		field_count(out, "lookups", row->lookups);
		field_count(out, "answered", row->answered);
		field_count(out, "unanswered", row->unanswered);
		field_count(out, "unreachable", row->unreachable);
		field_ns(out, "median", row->median);
		field_count(out, "hosts", row->hosts);
		fputc('}', out);
	}
	fprintf(out, "],\"resolvers_more\":%zu", s->resolver_count - s->resolver_rows);
}

void field_names(FILE *out, const struct diagnosis *d)
{
	const struct name_summary *s = &d->name_summary;
	int i;

	fprintf(out, ",\"names\":{\"hosts_unseen\":%zu", s->hosts_unseen);
	field_count(out, "connects_unnamed", s->connects_unnamed);
	field_count(out, "in_findings", names_shown(d, NULL, 0));
	field_count(out, "lookups", s->lookups);
	for (i = 0; i < LOOKUP_RESULTS; i++)
		field_count(out, lookup_result_names[i], s->results[i]);
	field_count(out, "silent_in_gap", s->silent_in_gap);
	field_count(out, "in_vain", s->unanswered_names);
	field_count(out, "of_gateway", s->of_gateway);
	field_count(out, "forgotten", s->totals.dropped_lookups);
	field_dns_packets(out, d->session, &s->totals);
	field_resolvers(out, s);
	fputc('}', out);
}
