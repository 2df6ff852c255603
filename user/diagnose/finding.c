// SPDX-License-Identifier: GPL-2.0
#include "diagnose/finding.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- construction ---- */

struct finding *finding_new(struct context *g, enum finding_kind kind, struct certainty certainty)
{
	struct finding *f;

	if (g->d->count == MAX_FINDINGS) {
		g->d->dropped++;
		return NULL;
	}
	f = &g->d->at[g->d->count++];
	memset(f, 0, sizeof(*f));
	f->kind = kind;
	f->confidence = certainty.level;
	f->confidence_reason = certainty.reason;
	f->is_problem = finding_kinds[kind].is_problem;
	f->timer = NEVER;
	f->deviation = NEVER;
	f->p_value = NAN;
	return f;
}

void finding_set_peer(struct finding *f, const struct endpoint *peer)
{
	f->has_peer = true;
	f->peer = *peer;
}

void finding_add_also(struct finding *f, const struct endpoint *peer)
{
	if (f->also_count < MAX_FINDING_ALSO)
		f->also[f->also_count++] = *peer;
}

/* Writes escaped text, since it contains names of interfaces, which may contain any byte. */
static void set_text(char *text, size_t room, const char *format, va_list arguments)
{
	char raw[1024];
	FILE *out;

	vsnprintf(raw, sizeof(raw), format, arguments);
	out = fmemopen(text, room - 1, "w"); /* truncates text that does not fit */
	if (!out) {
		snprintf(text, room, "out of memory: the text of this finding is missing");
		return;
	}
	format_text(out, raw);
	fclose(out);
	text[room - 1] = '\0';
}

void finding_text(struct finding *f, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_text(f->text, sizeof(f->text), format, arguments);
	va_end(arguments);
}

void finding_line(struct finding *f, const char *label, const char *format, ...)
{
	struct finding_line *line = &f->lines[f->line_count];
	va_list arguments;

	if (f->line_count == MAX_FINDING_LINES)
		return;
	f->line_count++;
	snprintf(line->label, sizeof(line->label), "%s", label);
	va_start(arguments, format);
	set_text(line->text, sizeof(line->text), format, arguments);
	va_end(arguments);
}

char *finding_format_spread(char out[FORMAT_SPREAD], ns_t middle, ns_t deviation)
{
	char a[FORMAT_DURATION], b[FORMAT_DURATION];

	format_duration(a, middle);
	if (deviation == NEVER)
		snprintf(out, FORMAT_SPREAD, "%s", a);
	else
		snprintf(out, FORMAT_SPREAD, "%s ± %s", a, format_duration(b, deviation));
	return out;
}

/* ---- hosts ---- */

void finding_add_host(struct context *g, struct finding_hosts *hosts, const struct host *h)
{
	hosts->count++;
	if (!hosts->at)
		hosts->at = calloc(MAX_FINDING_HOSTS, sizeof(*hosts->at));
	if (!hosts->at)
		g->out_of_memory = true;
	else if (hosts->named < MAX_FINDING_HOSTS)
		hosts->at[hosts->named++] = h->clients[0]->key;
}

void finding_add_hosts(struct context *g, struct finding *f, const struct peer *p,
		       unsigned int anomaly_bits)
{
	const struct pair *pair;

	LIST_FOREACH(pair, &p->pairs, of_peer) {
		struct timeline *t = timeline_of(g, pair->who.client);

		if (anomaly_bits && !(pair->anomaly_bits & anomaly_bits))
			continue;
		if (count_once(t, f))
			finding_add_host(g, &f->affected, t->host);
	}
}

size_t finding_add_failed_hosts(struct context *g, struct finding *f, const struct peer *p)
{
	const struct pair *pair;
	size_t n = 0;

	LIST_FOREACH(pair, &p->pairs, of_peer) {
		struct timeline *t = timeline_of(g, pair->who.client);

		if (!pair->failures || !count_once(t, f))
			continue;
		finding_add_host(g, &f->affected, t->host);
		n++;
	}
	return n;
}

/* ---- examples ---- */

void example_of_stall(struct example *e, const struct stall *s)
{
	*e = (struct example){
		.client = s->from,
		.nat_endpoint = s->nat_endpoint,
		.server = s->to,
		.syn = s->syn,
		.synack = s->synack,
		.ack = s->start,
		.first = stall_end(s),
		.resolved = NEVER,
	};
}

void example_add_attempt(struct example *e, const struct pending *o)
{
	e->waited_for = o->to;
	e->resolved = o->resolved ? o->end : NEVER;
	e->syn_count = o->syn_count < SYN_TIMES ? o->syn_count : SYN_TIMES;
	memcpy(e->syn_times, o->syn_times, sizeof(e->syn_times));
}

struct certainty certainty_by_count(uint64_t n)
{
	switch (n) {
	case 0:
		return doubtful(CONFIDENCE_LOW, "no case proves it");
	case 1:
		return doubtful(CONFIDENCE_LOW,
				"one case only: a longer run or capture may show three");
	case 2:
		return doubtful(CONFIDENCE_MEDIUM,
				"two cases only: a longer run or capture may show three");
	default:
		return certain();
	}
}

void finding_limit(struct finding *f, enum confidence most, const char *reason)
{
	if (f->confidence <= most)
		return;
	f->confidence = most;
	f->confidence_reason = reason;
}

/* ---- queries ---- */

bool has_finding(const struct context *g, enum finding_kind kind)
{
	size_t i;

	for (i = 0; i < g->d->count; i++)
		if (g->d->at[i].kind == kind)
			return true;
	return false;
}

bool finding_names(const struct finding *f, const struct endpoint *peer)
{
	size_t i;

	if (f->has_peer && same_endpoint(&f->peer, peer))
		return true;
	for (i = 0; i < f->also_count; i++)
		if (same_endpoint(&f->also[i], peer))
			return true;
	return false;
}

bool is_named(const struct context *g, const struct endpoint *peer)
{
	size_t i;

	for (i = 0; i < g->d->count; i++)
		if (finding_names(&g->d->at[i], peer))
			return true;
	return false;
}

bool is_waited_for(const struct context *g, const struct endpoint *peer)
{
	size_t i;

	for (i = 0; i < g->d->count; i++) {
		const struct finding *f = &g->d->at[i];

		if (finding_kinds[f->kind].family == FAMILY_WAIT &&
		    f->confidence > CONFIDENCE_LOW && finding_names(f, peer))
			return true;
	}
	return false;
}
