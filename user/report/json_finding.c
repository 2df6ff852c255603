// SPDX-License-Identifier: GPL-2.0
/* Findings as --json objects. */
#include <inttypes.h>
#include <math.h>

#include "lib/format.h"
#include "report/json.h"
#include "report/json_fields.h"
#include "report/peer_text.h"

static void field_hosts(FILE *out, const char *name, const struct finding_hosts *hosts)
{
	char text[FORMAT_ADDRESS];
	size_t i;

	fprintf(out, ",\"%s\":[", name);
	for (i = 0; i < hosts->named; i++)
		fprintf(out, "%s\"%s\"", i ? "," : "", format_address(text, &hosts->at[i].address));
	fputc(']', out);
}

/* Writes a peer of the finding, and what it is called. */
static void write_peer(struct report *r, const struct diagnosis *d, const struct finding *f,
		       const struct endpoint *e)
{
	char name[PEER_NAME];

	begin_endpoint(r->out, e);
	field_string(r->out, "zone",
		     e->zone && e->zone <= d->zone_count ? d->zones[e->zone - 1].text : NULL);
	field_string(r->out, "service", r->numeric ? NULL : peer_service(d, e));
	field_string(r->out, "name",
		     r->numeric ? NULL : finding_peer_name(name, d, f, &e->address));
	fputc('}', r->out);
}

static void field_example(struct report *r, const struct diagnosis *d, const struct finding *f)
{
	const struct example *e = &f->example;
	FILE *out = r->out;
	unsigned int i;

	fputs(",\"example\":{\"client\":", out);
	write_endpoint(out, &e->client);
	field_endpoint(out, "behind", e->nat_endpoint.port ? &e->nat_endpoint : NULL);
	fputs(",\"server\":", out);
	write_peer(r, d, f, &e->server);
	field_ns(out, "syn", e->syn);
	field_ns(out, "synack", e->synack);
	field_ns(out, "ack", e->ack);
	field_ns(out, "first_payload", e->first);
	fputs(",\"waited_for\":", out);
	if (e->waited_for.port)
		write_peer(r, d, f, &e->waited_for);
	else
		fputs("null", out);
	fputs(",\"syn_times\":[", out);
	for (i = 0; i < e->syn_count; i++)
		fprintf(out, "%s%" PRId64, i ? "," : "", e->syn_times[i]);
	fputc(']', out);
	field_ns(out, "resolved", e->resolved);
	field_flag(out, "asks_name", e->asks_name);
	fputc('}', out);
}

static void field_parts(struct report *r, const struct diagnosis *d, const struct finding *f)
{
	FILE *out = r->out;
	size_t i;

	fputs(",\"peers\":[", out);
	for (i = 0; i < f->part_count; i++) {
		fprintf(out, "%s{\"peer\":", i ? "," : "");
		write_peer(r, d, f, &f->parts[i].server);
		field_count(out, "connects", f->parts[i].connects);
		field_count(out, "concerned", f->parts[i].concerned);
		fputc('}', out);
	}
	fputc(']', out);
}

void json_finding(struct report *r, const struct diagnosis *d, size_t number)
{
	const struct finding *f = &d->at[number - 1];
	FILE *out = r->out;
	size_t i;

	fputs("{\"type\":\"finding\"", out);
	field_count(out, "number", number);
	field_string(out, "kind", finding_kinds[f->kind].name);
	field_string(out, "confidence", confidence_names[f->confidence]);
	field_string(out, "confidence_reason", f->confidence_reason);
	field_flag(out, "problem", f->is_problem);
	fputs(",\"peer\":", out);
	if (f->has_peer)
		write_peer(r, d, f, &f->peer);
	else
		fputs("null", out);
	if (f->prefix_length)
		field_count(out, "prefix_length", f->prefix_length);
	else
		field_string(out, "prefix_length", NULL);
	fputs(",\"also\":[", out);
	for (i = 0; i < f->also_count; i++) {
		fputs(i ? "," : "", out);
		write_peer(r, d, f, &f->also[i]);
	}
	fputc(']', out);
	field_parts(r, d, f);
	field_count(out, "stalls", f->stalls);
	field_count(out, "locked", f->correlated);
	field_ns(out, "timer", f->timer);
	field_ns(out, "deviation", f->deviation);
	field_count(out, "hosts_hurt", f->hosts_hurt);
	field_hosts(out, "affected", &f->affected);
	field_count(out, "affected_count", f->affected.count);
	field_hosts(out, "unaffected", &f->unaffected);
	field_count(out, "unaffected_count", f->unaffected.count);
	field_cohort(out, &f->cohort);
	if (isnan(f->p_value))
		field_string(out, "p_value", NULL);
	else
		fprintf(out, ",\"p_value\":%.3e", f->p_value);
	field_comparison(out, "contrast", &f->comparison);
	field_string(out, "text", f->text);
	fputs(",\"evidence\":[", out);
	for (i = 0; i < f->line_count; i++) {
		fprintf(out, "%s{\"label\":\"%s\",\"text\":\"", i ? "," : "", f->lines[i].label);
		format_json_string(out, f->lines[i].text);
		fputs("\"}", out);
	}
	fputc(']', out);
	if (f->has_example)
		field_example(r, d, f);
	else
		fputs(",\"example\":null", out);
	fputs("}\n", out);
}
