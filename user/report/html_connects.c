// SPDX-License-Identifier: GPL-2.0
#include "report/html_connects.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format.h"
#include "report/json_fields.h"

/* ---- selection ---- */

/* Inserts a connect by its time. A full list drops its earliest one. */
static void add_latest(struct page_connect *list, unsigned int *count, unsigned int room,
		       struct page_connect new)
{
	unsigned int i;

	if (*count < room)
		++*count;
	else if (list[room - 1].c->syn >= new.c->syn)
		return;
	for (i = *count - 1; i > 0 && list[i - 1].c->syn < new.c->syn; i--)
		list[i] = list[i - 1];
	list[i] = new;
}

/* A hold is drawn as a stall, and a failed SYN as an attempt. */
static bool is_drawn_elsewhere(struct ledger_entry e)
{
	return (e.row == ROW_LATE && e.stage == STAGE_HOLD) ||
	       (e.row == ROW_FAILED && e.stage == STAGE_CONNECT);
}

static void add_connect(struct host_connects *of, struct page_connect new)
{
	enum ledger_row row = new.entry.row;

	of->rows[row]++;
	if (row == ROW_IN_TIME)
		add_latest(of->prompt, &of->prompt_count, MAX_PAGE_PROMPT, new);
	else if ((row == ROW_LATE || row == ROW_FAILED) && !is_drawn_elsewhere(new.entry))
		add_latest(of->bad, &of->bad_count, MAX_PAGE_BAD, new);
}

/* Returns true if each row of the ledger has at least the connects of the journal. */
static bool agrees(const struct ledger *journal, const struct ledger *l)
{
	return ledger_row(journal, ROW_IN_TIME) <= ledger_row(l, ROW_IN_TIME) &&
	       ledger_row(journal, ROW_LATE) <= ledger_row(l, ROW_LATE) &&
	       ledger_row(journal, ROW_FAILED) <= ledger_row(l, ROW_FAILED);
}

static const struct host *host_at(const struct connection *c, const struct model *m,
				  const struct diagnosis *d)
{
	struct client_key key = client_key_of(&c->client);
	const struct client *client = model_client(m, &key);

	return client ? host_of_client(&d->hosts, client) : NULL;
}

bool *hosts_with_trouble(const struct model *m, const struct diagnosis *d)
{
	bool *has = calloc(d->hosts.all + 1, sizeof(*has));
	int64_t *greetings = model_greetings(m);
	const struct journal_ring *ring;
	const struct host *host;
	struct ledger_entry e;
	size_t i;

	for (ring = m->journal.rings; has && ring < m->journal.rings + JOURNAL_CLASSES; ring++)
		for (i = 0; i < ring->count; i++) {
			e = model_entry(m, greetings, &ring->at[i]);
			host = e.row == ROW_LATE || e.row == ROW_FAILED
				       ? host_at(&ring->at[i].c, m, d)
				       : NULL;
			if (host)
				has[host - d->hosts.at] = true;
		}
	free(greetings);
	return has;
}

/* Returns an array by index of d->hosts: the index in hosts[] + 1, or 0. */
static uint32_t *index_hosts(const struct host *const *hosts, size_t count,
			     const struct diagnosis *d)
{
	uint32_t *shown = calloc(d->hosts.all + 1, sizeof(*shown));
	size_t i;

	for (i = 0; shown && i < count; i++)
		shown[hosts[i] - d->hosts.at] = i + 1;
	return shown;
}

bool select_connects(struct host_connects *of, const struct host *const *hosts, size_t count,
		     const struct model *m, const struct diagnosis *d)
{
	uint32_t *shown = index_hosts(hosts, count, d);
	int64_t *greetings = model_greetings(m);
	struct ledger journal = {};
	const struct journal_ring *ring;
	const struct host *host;
	struct ledger_entry e;
	uint32_t number;
	size_t i;

	for (ring = m->journal.rings; shown && ring < m->journal.rings + JOURNAL_CLASSES; ring++)
		for (i = 0; i < ring->count; i++) {
			e = model_entry(m, greetings, &ring->at[i]);
			ledger_add(&journal, e, 1);
			host = host_at(&ring->at[i].c, m, d);
			number = host ? shown[host - d->hosts.at] : 0;
			if (number)
				add_connect(&of[number - 1],
					    (struct page_connect){ &ring->at[i].c, e });
		}
	if (!agrees(&journal, &d->ledger))
		memset(of, 0, count * sizeof(*of));
	free(greetings);
	free(shown);
	return shown;
}

/* ---- output ---- */

static ns_t stage_start(const struct connection *c, enum stage stage)
{
	switch (stage) {
	case STAGE_NAME:
		return c->name_asked;
	case STAGE_FINISH:
		return c->synack;
	case STAGE_HOLD:
	case STAGE_GREETING:
		return c->ack;
	case STAGE_ANSWER:
		return c->client_first;
	default:
		return c->syn;
	}
}

/* Returns the end of the stage: its own, or that of a connection which failed in it. */
static ns_t stage_end(const struct connection *c, enum stage stage, ns_t start)
{
	ns_t length = stage_duration(c, stage);

	if (length != NEVER)
		return start + length;
	if (c->rst != NEVER && c->rst >= start)
		return c->rst;
	if (c->fin != NEVER && c->fin >= start)
		return c->fin;
	return start;
}

static void write_bad(FILE *out, const struct page_connect *one)
{
	const struct connection *c = one->c;
	ns_t start = stage_start(c, one->entry.stage);

	if (start == NEVER)
		start = c->syn;
	fprintf(out, "{\"row\":\"%s\"", ledger_row_names[one->entry.row]);
	field_string(out, "stage", stage_names[one->entry.stage]);
	field_string(out, "how", manner_names[one->entry.manner]);
	field_endpoint(out, "to", &c->server);
	field_ns(out, "start", start);
	field_ns(out, "end", stage_end(c, one->entry.stage, start));
	fputc('}', out);
}

static bool is_same(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && !memcmp(&a->address, &b->address, sizeof(a->address)) &&
	       !memcmp(a->vlan, b->vlan, sizeof(a->vlan));
}

/* Writes each server once, and then each connect as its SYN and the index of its server. */
static void write_prompt(FILE *out, const struct host_connects *of)
{
	const struct endpoint *servers[MAX_PAGE_PROMPT];
	unsigned int server[MAX_PAGE_PROMPT] = {}, count = 0, i, k;

	fputs(",\"servers\":[", out);
	for (i = 0; i < of->prompt_count; i++) {
		for (k = 0; k < count && !is_same(servers[k], &of->prompt[i].c->server); k++)
			;
		server[i] = k;
		if (k < count)
			continue;
		servers[count++] = &of->prompt[i].c->server;
		fputs(k ? "," : "", out);
		write_endpoint(out, servers[k]);
	}
	fputs("],\"prompt\":[", out);
	for (i = of->prompt_count; i-- > 0;)
		fprintf(out, "[%" PRId64 ",%u]%s", of->prompt[i].c->syn, server[i], i ? "," : "");
	fputc(']', out);
}

void write_connects(FILE *out, const struct host_connects *of)
{
	unsigned int i;
	int row;

	fputs(",\"ledger\":{", out);
	for (row = 0; row < LEDGER_ROWS; row++)
		fprintf(out, "%s\"%s\":%" PRIu64, row ? "," : "", ledger_row_names[row],
			of->rows[row]);
	fputc('}', out);
	write_prompt(out, of);
	fputs(",\"bad\":[", out);
	for (i = of->bad_count; i-- > 0;) {
		write_bad(out, &of->bad[i]);
		fputs(i ? "," : "", out);
	}
	fputc(']', out);
}
