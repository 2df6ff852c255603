// SPDX-License-Identifier: GPL-2.0
/* Brings DNS packets to lookups: questions, answers, copies, and errors. */
#include "model/names.h"

#include <stdlib.h>

#include "model/names_internal.h"

/* A packet is seen again within this time, on another interface or in another VLAN. */
#define COPY_NS (5 * (ns_t)MILLISECOND_NS)

/* The same with NAT in between, which changes address and port, and so proves less. */
#define NAT_COPY_NS (20 * (ns_t)MILLISECOND_NS)

/* A try that comes so soon was made at once, to another server: it shows no timer. */
#define AT_ONCE_NS (100 * (ns_t)MILLISECOND_NS)

/* A lookup that the end of the run cuts off is silent if its last try was watched so long. */
#define LAST_TRY_NS ((ns_t)SECOND_NS)

const char *const lookup_result_names[LOOKUP_RESULTS] = {
	[LOOKUP_OPEN] = "open",
	[LOOKUP_ANSWERED] = "answered",
	[LOOKUP_EMPTY] = "empty",
	[LOOKUP_NXDOMAIN] = "nxdomain",
	[LOOKUP_FAILED] = "failed",
	[LOOKUP_TRUNCATED] = "truncated",
	[LOOKUP_UNREACHABLE] = "unreachable",
	[LOOKUP_SILENT] = "silent",
};

struct names *names_new(void)
{
	struct names *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	name_addresses_init(&n->addresses);
	if (!lookups_init(&n->lookups) || !name_table_init(&n->table)) {
		names_free(n);
		return NULL;
	}
	return n;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	lookups_free(&n->lookups);
	name_table_free(&n->table);
	name_addresses_free(&n->addresses);
	free(n);
}

/* ---- tries ---- */

bool lookup_is_answered(const struct lookup *l)
{
	return l->result == LOOKUP_ANSWERED || l->result == LOOKUP_EMPTY ||
	       l->result == LOOKUP_NXDOMAIN;
}

unsigned int lookup_tries(const struct lookup *l)
{
	return l->try_count <= MAX_TRIES ? l->try_count : MAX_TRIES + 1;
}

const struct dns_try *lookup_try(const struct lookup *l, unsigned int i)
{
	return i < MAX_TRIES ? &l->tries[i] : &l->last;
}

static struct dns_try *kept_try(struct kept *k, unsigned int i)
{
	return i < MAX_TRIES ? &k->l.tries[i] : &k->l.last;
}

/* The last try is stored twice while all are kept. */
static void update_last(struct kept *k)
{
	if (k->l.try_count <= MAX_TRIES)
		k->l.last = k->l.tries[k->l.try_count - 1];
}

static bool is_from(const struct dns_try *t, const struct dns_packet *p)
{
	return t->client_port == p->client.port && t->server_port == p->server.port &&
	       !memcmp(&t->server, &p->server.address, sizeof(t->server)) && t->time <= p->time;
}

/*
 * Returns the try that the packet answers, else one that was answered before, else NULL. Some
 * clients keep port and id, so that several tries fit. Then it is the first one, unless the answer
 * comes right after the last: the earlier ones were lost.
 */
static struct dns_try *answered_try(struct kept *k, const struct dns_packet *p)
{
	struct dns_try *t, *first = NULL, *last = NULL, *answered = NULL;
	unsigned int i;

	for (i = 0; i < lookup_tries(&k->l); i++) {
		t = kept_try(k, i);
		if (!is_from(t, p) || t->over_tcp != p->over_tcp ||
		    (p->message.has_id && t->id != p->message.id))
			continue;
		if (t->result == TRY_OPEN) {
			first = first ? first : t;
			last = t;
		} else if (!answered || t->result == TRY_FRAGMENT ||
			   answered->result != TRY_FRAGMENT) {
			answered = t;
		}
	}
	if (!first)
		return answered;
	return p->time - last->time < AT_ONCE_NS ? last : first;
}

/* ---- the packet's lookup ---- */

struct question {
	uint32_t name; /* 0 if it was cut off, or has no number */
	uint16_t type;
	uint32_t cut; /* stands for the name if it was cut off */
};

static struct question question_of(struct names *n, const struct dns_packet *p, bool add)
{
	const struct dns_message *m = &p->message;

	if (!m->name.length)
		return (struct question){ .cut = (uint32_t)m->id << 16 | p->client.port };
	return (struct question){ .name = add ? name_table_add(&n->table, &m->name)
					      : name_table_find(&n->table, &m->name),
				  .type = m->type };
}

static struct kept *find_question(const struct names *n, const struct dns_packet *p,
				  const struct question *q)
{
	struct client_key client = client_key_of(&p->client);
	struct index_key key = question_key(&client, q->name, q->type, q->cut);

	return lookups_find(&n->lookups, BY_QUESTION, &key);
}

static struct kept *find_packet(const struct names *n, const struct dns_packet *p,
				const struct question *q)
{
	struct index_key key = packet_key(&p->server, p->message.id, q->name, q->type);

	return lookups_find(&n->lookups, BY_PACKET, &key);
}

/* A and AAAA may share the ports, and a scan of names may use one port for all. */
#define MAX_SAME_PORTS 8

/*
 * Finds the lookup of an answer or error without a question by client, server and ports, and by the
 * id if there is one.
 */
static struct kept *find_ports(const struct names *n, const struct dns_packet *p)
{
	struct index_key key = ports_key(&p->client, &p->server);
	struct kept *k = lookups_find(&n->lookups, BY_PORTS, &key), *answered = NULL;
	const struct dns_try *t;
	unsigned int i;

	for (i = 0; k && i < MAX_SAME_PORTS; i++) {
		t = answered_try(k, p);
		if (t && t->result == TRY_OPEN)
			return k;
		answered = t && !answered ? k : answered;
		k = lookups_at(&n->lookups, k->same_ports);
	}
	return answered;
}

static struct kept *find_answered(const struct names *n, const struct dns_packet *p,
				  const struct question *q)
{
	struct kept *k = find_question(n, p, q);

	return k || p->message.name.length ? k : find_ports(n, p);
}

static bool is_same_client(const struct kept *k, const struct dns_packet *p)
{
	return !memcmp(&k->l.client.address, &p->client.address, sizeof(p->client.address)) &&
	       k->l.last.client_port == p->client.port;
}

/* ---- following a lookup ---- */

static void stop_following(struct names *n, struct kept *k)
{
	if (k->is_followed)
		TAILQ_REMOVE(&n->lookups.followed, k, by_try);
	k->is_followed = false;
}

static void follow(struct names *n, struct kept *k)
{
	stop_following(n, k);
	TAILQ_INSERT_TAIL(&n->lookups.followed, k, by_try);
	k->is_followed = true;
}

static void end_lookup(struct names *n, struct kept *k, enum lookup_result result, ns_t when)
{
	k->l.result = result;
	k->l.end = when;
	episode_ended(n, k);
	if (lookup_is_answered(&k->l))
		stop_following(n, k);
}

/* ---- questions ---- */

/*
 * Returns true if the packet is a copy of the last try of this lookup. Where NAT changed the client,
 * only another interface or direction shows that.
 */
static bool is_copy(const struct kept *k, const struct dns_packet *p)
{
	ns_t since = p->time - k->l.last.time;

	if (since < 0 || k->l.last.over_tcp != p->over_tcp)
		return false;
	if (is_same_client(k, p))
		return since <= COPY_NS;
	return since <= NAT_COPY_NS &&
	       (k->asked_ifindex != p->ifindex || k->asked_egress != p->egress);
}

static void note_copy(struct names *n, struct kept *k, const struct dns_packet *p)
{
	n->totals.copies++;
	if (!k)
		return;
	if (!is_same_client(k, p))
		k->translated = p->client;
	if (p->egress && (p->seen_before || k->asked_ifindex != p->ifindex)) {
		kept_try(k, lookup_tries(&k->l) - 1)->left = true;
		update_last(k);
	}
}

/* Returns true if the question is another try of this lookup. */
static bool is_another_try(const struct kept *k, const struct dns_packet *p)
{
	const struct lookup *l = &k->l;
	ns_t since = p->time - l->last.time, usual = 2 * k->gap + AT_ONCE_NS;

	if (lookup_is_answered(l) || p->time - l->first > MAX_LOOKUP_NS)
		return false;
	if (l->end != NEVER)
		return p->time - l->end <= RETRY_AFTER_FAILURE_NS;
	return since <= RETRY_NS && (l->result == LOOKUP_TRUNCATED || since <= USUAL_RETRY_NS ||
				     since <= usual || p->message.id == l->last.id);
}

static void add_try(struct names *n, struct kept *k, const struct dns_packet *p,
		    const struct question *q)
{
	struct lookup *l = &k->l;
	struct index_key key = packet_key(&p->server, p->message.id, q->name, q->type);
	struct dns_try t = { .time = p->time,
			     .answered = NEVER,
			     .server = p->server.address,
			     .server_port = p->server.port,
			     .client_port = p->client.port,
			     .id = p->message.id,
			     .edns_size = p->message.edns_size,
			     .over_tcp = p->over_tcp };
	struct kept *before;

	if (l->try_count && t.time - l->last.time >= AT_ONCE_NS)
		k->gap = t.time - l->last.time;
	if (l->try_count < MAX_TRIES)
		l->tries[l->try_count] = t;
	l->last = t;
	l->try_count++;
	l->end = NEVER;
	if (l->result == LOOKUP_SILENT || l->result == LOOKUP_UNREACHABLE)
		l->result = LOOKUP_OPEN;
	k->asked_ifindex = p->ifindex;
	k->asked_egress = p->egress;
	k->translated = (struct endpoint){};
	lookups_set(&n->lookups, BY_PACKET, k, &key);
	key = ports_key(&p->client, &p->server);
	before = lookups_find(&n->lookups, BY_PORTS, &key);
	if (before != k)
		k->same_ports = before ? before->number : 0;
	lookups_set(&n->lookups, BY_PORTS, k, &key);
	follow(n, k);
}

static struct kept *new_lookup(struct names *n, const struct dns_packet *p,
			       const struct question *q, bool to_own)
{
	struct client_key client = client_key_of(&p->client);
	struct index_key key = question_key(&client, q->name, q->type, q->cut);
	bool forgot;
	struct kept *k = lookups_add(&n->lookups, &forgot);

	n->totals.dropped_lookups += !k || forgot;
	if (!k)
		return NULL;
	k->l = (struct lookup){ .client = client,
				.name = q->name,
				.type = q->type,
				.from_gateway = p->from_gateway,
				.to_gateway = to_own,
				.ifindex = p->ifindex,
				.first = p->time,
				.last.client_port = p->client.port,
				.end = NEVER,
				.syn = NEVER };
	k->named = k->used = k->answer_time = NEVER;
	k->has_mac = p->has_mac;
	memcpy(k->mac, p->mac, sizeof(k->mac));
	episode_join(n, k);
	lookups_set(&n->lookups, BY_QUESTION, k, &key);
	return k;
}

static void note_question(struct names *n, const struct dns_packet *p, bool to_own)
{
	struct question q = question_of(n, p, true);
	struct kept *last = find_packet(n, p, &q), *k;

	if (p->seen_before || (last && is_copy(last, p))) {
		note_copy(n, last, p);
		return;
	}
	n->totals.questions++;
	if (p->message.name.length && !q.name) {
		n->totals.dropped_lookups++;
		return;
	}
	k = find_question(n, p, &q);
	if (!k || !is_another_try(k, p))
		k = new_lookup(n, p, &q, to_own);
	if (k)
		add_try(n, k, p, &q);
}

/* ---- answers ---- */

/* Returns true if it is the last answer again, at another interface or in another VLAN. */
static bool is_answer_copy(const struct kept *k, const struct dns_packet *p)
{
	return k->answer_time != NEVER && p->time - k->answer_time <= COPY_NS &&
	       k->answer_id == p->message.id &&
	       (k->answer_ifindex != p->ifindex || k->answer_egress != p->egress ||
		memcmp(k->answer_vlan, p->client.vlan, sizeof(k->answer_vlan)));
}

static void note_addresses(struct names *n, struct kept *k, const struct dns_packet *p)
{
	const struct dns_message *m = &p->message;
	struct lookup *l = &k->l;
	size_t i;

	if (m->address_count && k->named == NEVER)
		k->named = p->time;
	l->address_count = 0;
	for (i = 0; i < m->address_count; i++) {
		if (i < MAX_LOOKUP_ADDRESSES)
			l->addresses[l->address_count++] = m->addresses[i].address;
		name_addresses_add(&n->addresses, &m->addresses[i].address, k);
	}
}

static enum try_result try_result_of(const struct dns_packet *p)
{
	if (p->first_fragment)
		return TRY_FRAGMENT;
	if (p->message.truncated)
		return TRY_TRUNCATED;
	return p->message.rcode == DNS_NOERROR || p->message.rcode == DNS_NXDOMAIN ? TRY_ANSWERED
										   : TRY_FAILED;
}

static void end_try(struct names *n, struct kept *k, struct dns_try *t, const struct dns_packet *p)
{
	const struct dns_message *m = &p->message;
	struct lookup *l = &k->l;

	t->answered = p->time;
	t->result = try_result_of(p);
	t->rcode = m->rcode;
	t->answer_size = p->size;
	update_last(k);
	l->failures += t->result == TRY_FAILED;
	if (lookup_is_answered(l))
		return;
	l->rcode = m->rcode;
	l->answered_by = t->server;
	switch (t->result) {
	case TRY_ANSWERED:
		note_addresses(n, k, p);
		end_lookup(n, k,
			   m->rcode == DNS_NXDOMAIN ? LOOKUP_NXDOMAIN
			   : m->answers		    ? LOOKUP_ANSWERED
						    : LOOKUP_EMPTY,
			   p->time);
		break;
	case TRY_FRAGMENT:
		note_addresses(n, k, p);
		break;
	case TRY_TRUNCATED:
		l->result = LOOKUP_TRUNCATED;
		break;
	default:
		end_lookup(n, k, LOOKUP_FAILED, p->time);
	}
}

static void note_answer(struct names *n, const struct dns_packet *p)
{
	struct question q = question_of(n, p, false);
	struct kept *k = find_answered(n, p, &q), *last = NULL;
	struct dns_try *t = k ? answered_try(k, p) : NULL;

	if (!t)
		last = find_packet(n, p, &q);
	if (last && is_same_client(last, p)) {
		k = last; /* in another VLAN */
		t = answered_try(k, p);
	}
	if (t && !is_answer_copy(k, p) && (t->result == TRY_OPEN || t->result == TRY_FRAGMENT)) {
		n->totals.answers++;
		k->answer_time = p->time;
		k->answer_id = p->message.id;
		k->answer_ifindex = p->ifindex;
		k->answer_egress = p->egress;
		memcpy(k->answer_vlan, p->client.vlan, sizeof(k->answer_vlan));
		end_try(n, k, t, p);
	} else if (t || p->seen_before ||
		   (last && last->translated.port &&
		    same_address_and_port(&last->translated, &p->client))) {
		n->totals.copies++;
	} else {
		n->totals.answers++;
		n->totals.unmatched++;
	}
}

/* ---- ICMP errors ---- */

/* Fragment reassembly time exceeded: RFC 792, RFC 4443 3.3. */
static bool is_reassembly_error(const struct dns_packet *p)
{
	return p->icmp_type == (is_ip4(&p->client.address) ? 11 : 3) && p->icmp_code == 1;
}

static void note_error(struct names *n, const struct dns_packet *p)
{
	struct question q = question_of(n, p, false);
	struct kept *k = find_answered(n, p, &q);
	struct dns_try *t = k ? answered_try(k, p) : NULL;

	n->totals.icmp_errors++;
	if (t && p->is_error_of_answer && is_reassembly_error(p))
		k->l.incomplete++;
	if (!t || t->result != TRY_OPEN || p->is_error_of_answer)
		return;
	t->answered = p->time;
	t->result = TRY_ERROR;
	t->icmp_type = p->icmp_type;
	t->icmp_code = p->icmp_code;
	update_last(k);
	if (!lookup_is_answered(&k->l))
		k->l.end = p->time;
}

/* ---- packets ---- */

void names_packet(struct names *n, const struct dns_packet *p, bool to_own)
{
	n->totals.malformed += p->status == DNS_MALFORMED;
	n->totals.not_dns += p->status == DNS_IS_OTHER;
	if (p->status != DNS_READ && p->status != DNS_NAME_CUT)
		return;
	/* errors need not repeat the question */
	n->totals.names_cut += p->status == DNS_NAME_CUT && !p->is_error &&
			       !p->is_error_of_answer && !p->message.rcode;
	n->totals.by_tcp += p->over_tcp;
	if (p->is_error || p->is_error_of_answer)
		note_error(n, p);
	else if (p->message.is_answer)
		note_answer(n, p);
	else
		note_question(n, p, to_own);
}

/* ---- gaps ---- */

static void note_gap(struct names *n, ns_t from, ns_t until)
{
	struct dns_gap *last = n->gap_count ? &n->gaps[n->gap_count - 1] : NULL;

	if (last && (n->gap_count == MAX_DNS_GAPS || from <= last->until))
		last->until = until > last->until ? until : last->until;
	else
		n->gaps[n->gap_count++] = (struct dns_gap){ from, until };
}

void names_gap(struct names *n, ns_t from, ns_t until)
{
	uint64_t number = n->lookups.next;
	struct kept *k;

	note_gap(n, from, until);
	TAILQ_FOREACH(k, &n->lookups.followed, by_try)
		k->l.in_gap |= k->l.first <= until && from <= k->l.last.time + RETRY_NS;
	/* those that began shortly before it, and have ended */
	while ((k = lookups_at(&n->lookups, --number)) && k->l.first >= from - (ns_t)SECOND_NS)
		k->l.in_gap |= k->l.first <= until && (k->l.end == NEVER || k->l.end >= from);
}

/* ---- the end of lookups ---- */

static bool has_try(const struct lookup *l, enum try_result result)
{
	unsigned int i;

	for (i = 0; i < lookup_tries(l); i++)
		if (lookup_try(l, i)->result == result)
			return true;
	return false;
}

/* Decides a lookup whose client does not try again. */
static void conclude(struct names *n, struct kept *k)
{
	struct lookup *l = &k->l;

	stop_following(n, k);
	if (l->result != LOOKUP_OPEN)
		return;
	/* a client that got only a part of the answer would have asked again */
	if (l->last.result == TRY_FRAGMENT) {
		l->result = LOOKUP_ANSWERED;
		l->end = l->last.answered;
	} else if (!has_try(l, TRY_OPEN) && has_try(l, TRY_ERROR)) {
		l->result = LOOKUP_UNREACHABLE;
	} else {
		l->result = LOOKUP_SILENT;
	}
}

void names_swept(struct names *n, ns_t now)
{
	struct kept *k;

	while ((k = TAILQ_FIRST(&n->lookups.followed)) && now - k->l.last.time > RETRY_NS)
		conclude(n, k);
}

void names_end(struct names *n, ns_t now)
{
	struct kept *k, *next;

	names_swept(n, now);
	for (k = TAILQ_FIRST(&n->lookups.followed); k; k = next) {
		next = TAILQ_NEXT(k, by_try);
		if (k->l.try_count >= 2 && now - k->l.first >= LOOKUP_SILENT_NS &&
		    now - k->l.last.time >= LAST_TRY_NS)
			conclude(n, k);
	}
}

/* ---- queries ---- */

const struct dns_totals *names_totals(const struct names *n)
{
	return &n->totals;
}

size_t names_lookup_count(const struct names *n)
{
	return n->lookups.next - n->lookups.oldest;
}

const struct lookup *names_lookup(const struct names *n, size_t i)
{
	return &lookups_at(&n->lookups, n->lookups.oldest + i)->l;
}

const struct dns_name *names_name(const struct names *n, uint32_t number)
{
	return name_table_name(&n->table, number);
}

uint32_t names_of_address(const struct names *n, const struct client_key *client,
			  const struct address *a, unsigned int *others)
{
	const struct named_address *e = name_addresses_find(&n->addresses, client, a);

	*others = 0;
	if (!e)
		return 0;
	while (*others + 1 < ADDRESS_NAMES && e->names[*others + 1])
		++*others;
	return e->names[0];
}

size_t names_gaps(const struct names *n, const struct dns_gap **gaps)
{
	*gaps = n->gaps;
	return n->gap_count;
}
