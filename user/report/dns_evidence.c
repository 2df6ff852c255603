// SPDX-License-Identifier: GPL-2.0
#include "report/dns_evidence.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PACKETS (1 << 15)
#define MAX_BYTES (32 << 20)

struct entry {
	struct kept_packet *kept;
	struct endpoint client;
	struct endpoint server;
	uint16_t id;
};

struct dns_evidence {
	uint64_t oldest, next; /* numbers of packets: entries[number % MAX_PACKETS] */
	size_t bytes;
	struct entry entries[MAX_PACKETS];
};

struct dns_evidence *dns_evidence_new(void)
{
	return calloc(1, sizeof(struct dns_evidence));
}

static struct entry *entry_at(struct dns_evidence *d, uint64_t number)
{
	return &d->entries[number % MAX_PACKETS];
}

static size_t bytes_of(const struct kept_packet *p)
{
	return sizeof(*p) + p->length;
}

static void drop_oldest(struct dns_evidence *d)
{
	struct entry *e = entry_at(d, d->oldest++);

	d->bytes -= bytes_of(e->kept);
	free(e->kept);
}

void dns_evidence_free(struct dns_evidence *d)
{
	if (!d)
		return;
	while (d->oldest < d->next)
		drop_oldest(d);
	free(d);
}

void dns_evidence_add(struct dns_evidence *d, struct kept_packet *kept, const struct dns_packet *p)
{
	kept->dns.is_answer = p->message.is_answer;
	kept->dns.is_error = p->is_error || p->is_error_of_answer;
	while (d->oldest < d->next &&
	       (d->next - d->oldest == MAX_PACKETS || d->bytes + bytes_of(kept) > MAX_BYTES))
		drop_oldest(d);
	d->bytes += bytes_of(kept);
	*entry_at(d, d->next++) = (struct entry){
		.kept = kept, .client = p->client, .server = p->server, .id = p->message.id
	};
}

/* Returns the number of the first packet at this time or later. */
static uint64_t first_since(struct dns_evidence *d, ns_t time)
{
	uint64_t low = d->oldest, high = d->next, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (entry_at(d, middle)->kept->time < time)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_of_try(const struct entry *e, const struct lookup *l, const struct dns_try *t)
{
	/* an ICMP error may quote no id */
	return e->client.port == t->client_port && e->server.port == t->server_port &&
	       (e->id == t->id || e->kept->dns.is_error) &&
	       !memcmp(&e->client.address, &l->client.address, sizeof(l->client.address)) &&
	       !memcmp(&e->server.address, &t->server, sizeof(t->server));
}

/* Marks the packet of this time as the question or as the answer of a try. */
static bool use_packet(struct dns_evidence *d, const struct lookup *l, const struct dns_try *t,
		       bool is_question, struct dns_role *role)
{
	ns_t time = is_question ? t->time : t->answered;
	uint64_t i;

	for (i = first_since(d, time); i < d->next; i++) {
		struct entry *e = entry_at(d, i);
		struct dns_role *r = &e->kept->dns;

		if (e->kept->time != time)
			return false;
		if (!is_of_try(e, l, t) || (r->is_answer || r->is_error) == is_question)
			continue;
		role->is_answer = r->is_answer;
		role->is_error = r->is_error;
		*r = *role;
		return true;
	}
	return false;
}

static bool use_try(struct dns_evidence *d, const struct lookup *l, const struct dns_try *t,
		    unsigned int number, size_t finding)
{
	struct dns_role role = { .finding = finding,
				 .number = number,
				 .count = l->try_count,
				 .first = l->first,
				 .answered = t->answered,
				 .result = t->result };
	bool whole = use_packet(d, l, t, true, &role);

	if (t->answered != NEVER)
		whole &= use_packet(d, l, t, false, &role);
	return whole;
}

bool dns_evidence_use(struct dns_evidence *d, const struct lookup *l, size_t finding)
{
	bool whole = true;
	unsigned int i;

	for (i = 0; i < lookup_tries(l); i++)
		whole &= use_try(d, l, lookup_try(l, i), i < MAX_TRIES ? i + 1 : l->try_count,
				 finding);
	/* nothing was dropped: the clock went backwards */
	return whole || !d->oldest;
}

size_t dns_evidence_used(const struct dns_evidence *d, const struct kept_packet **packets)
{
	size_t count = 0;
	uint64_t i;

	for (i = d->oldest; i < d->next; i++) {
		const struct kept_packet *p = d->entries[i % MAX_PACKETS].kept;

		if (!p->dns.finding)
			continue;
		if (packets)
			packets[count] = p;
		count++;
	}
	return count;
}
