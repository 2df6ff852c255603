// SPDX-License-Identifier: GPL-2.0
#include "report/json_fields.h"

#include <inttypes.h>

#include "lib/format.h"

void field_ns(FILE *out, const char *name, ns_t value)
{
	if (value == NEVER)
		fprintf(out, ",\"%s\":null", name);
	else
		fprintf(out, ",\"%s\":%" PRId64, name, value);
}

void field_count(FILE *out, const char *name, uint64_t value)
{
	fprintf(out, ",\"%s\":%" PRIu64, name, value);
}

void field_string(FILE *out, const char *name, const char *value)
{
	if (!value) {
		fprintf(out, ",\"%s\":null", name);
		return;
	}
	fprintf(out, ",\"%s\":\"", name);
	format_json_string(out, value);
	fputc('"', out);
}

void field_address(FILE *out, const char *name, const struct address *a)
{
	char text[FORMAT_ADDRESS];

	fprintf(out, ",\"%s\":\"%s\"", name, format_address(text, a));
}

void field_mac(FILE *out, const char *name, bool has_mac, const uint8_t *mac)
{
	if (has_mac)
		fprintf(out, ",\"%s\":\"%02x:%02x:%02x:%02x:%02x:%02x\"", name, mac[0], mac[1],
			mac[2], mac[3], mac[4], mac[5]);
	else
		fprintf(out, ",\"%s\":null", name);
}

void field_vlans(FILE *out, const uint16_t *vlan)
{
	fputs(",\"vlans\":[", out);
	if (vlan[0])
		fprintf(out, "%u", vlan[0]);
	if (vlan[1])
		fprintf(out, ",%u", vlan[1]);
	fputc(']', out);
}

void field_flag(FILE *out, const char *name, bool value)
{
	fprintf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

void begin_endpoint(FILE *out, const struct endpoint *e)
{
	char text[FORMAT_ADDRESS];

	fprintf(out, "{\"address\":\"%s\"", format_address(text, &e->address));
	if (e->port)
		field_count(out, "port", e->port);
	else
		field_string(out, "port", NULL);
	field_vlans(out, e->vlan);
}

void write_endpoint(FILE *out, const struct endpoint *e)
{
	begin_endpoint(out, e);
	fputc('}', out);
}

void field_endpoint(FILE *out, const char *name, const struct endpoint *e)
{
	if (!e) {
		field_string(out, name, NULL);
		return;
	}
	fprintf(out, ",\"%s\":", name);
	write_endpoint(out, e);
}

void field_cohort(FILE *out, const struct cohort *c)
{
	fprintf(out, ",\"cohort\":{\"tried\":%zu", c->tried);
	field_count(out, "tried_stalled", c->tried_stalled);
	field_count(out, "others", c->others);
	field_count(out, "others_stalled", c->others_stalled);
	fputc('}', out);
}

static void field_traits(FILE *out, const char *name, uint32_t mask)
{
	enum trait trait;
	const char *comma = "";

	fprintf(out, ",\"%s\":[", name);
	for (trait = 0; trait < TRAITS; trait++)
		if (mask & 1U << trait) {
			fprintf(out, "%s\"%s\"", comma, trait_words[trait]);
			comma = ",";
		}
	fputc(']', out);
}

void field_comparison(FILE *out, const char *name, const struct comparison *c)
{
	size_t i;

	if (!c->bad) {
		field_string(out, name, NULL);
		return;
	}
	fprintf(out, ",\"%s\":{\"comparisons\":%u", name, c->tests);
	field_count(out, "hosts_bad", c->bad);
	field_count(out, "hosts_good", c->good);
	fputs(",\"common\":[", out);
	for (i = 0; i < c->common_count; i++) {
		const struct common_trait *t = &c->common[i];

		fprintf(out, "%s{\"trait\":\"%s\"", i ? "," : "", trait_words[t->trait]);
		field_string(out, "value", t->value);
		field_string(out, "unit", t->of_connects ? "connect" : "host");
		field_count(out, "bad_with", t->bad_with);
		field_count(out, "bad", t->bad);
		field_count(out, "good_with", t->good_with);
		field_count(out, "good", t->good);
		fprintf(out, ",\"p\":%.3e}", t->p);
	}
	fputc(']', out);
	field_traits(out, "spread", c->spread);
	field_traits(out, "same", c->same);
	fputc('}', out);
}
