// SPDX-License-Identifier: GPL-2.0
#include "host/conntrack.h"

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/netlink.h"
#include "lib/hash.h"

/* bytes of the socket buffer: about 4000 events between two reads */
#define RECEIVE_BYTES (4 << 20)
#define MAX_EVENTS 8192 /* per call of conntrack_read(), at about 6 us each */

/* A silent connection is queried for an offload once the silence has lasted this long. */
#define QUERY_AFTER_NS (500 * (ns_t)MILLISECOND_NS)

#define MAX_QUERIES 256 /* between two calls of conntrack_read(), at about 10 us each */

/* The endpoints of a connection on the wire, on the outer side of this host's NAT. */
struct ends {
	struct address client;
	struct address server;
	uint16_t client_port;
	uint16_t server_port;
};

struct tracked {
	struct ends ends;
	struct address client; /* the true client, before the translation */
	uint16_t port; /* the true client's port; 0 if the address is not translated */
	bool used; /* looked up since the entry was last at the head of by_age */
	bool queried; /* the kernel was queried: offloaded is valid */
	bool offloaded;
	TAILQ_ENTRY(tracked) by_age;
	UT_hash_handle hh;
};

struct conntrack {
	struct mnl_socket *events; /* new connections; NULL after conntrack_unsubscribe() */
	/* events that may still be read before the next call of conntrack_read() */
	unsigned int events_left;
	struct mnl_socket *queries; /* NULL on hosts without flowtables */
	unsigned int query_count; /* queries since the last conntrack_read() */
	uint64_t lost;
	struct tracked *tracked;
	TAILQ_HEAD(tracked_list, tracked) by_age;
};

/* ---- the table of tracked connections ---- */

static void tracked_free(struct conntrack *k, struct tracked *t)
{
	TAILQ_REMOVE(&k->by_age, t, by_age);
	HASH_DEL(k->tracked, t); /* NOLINT: clang-tidy takes t for the last element twice */
	free(t);
}

/*
 * Second-chance eviction: evicts the oldest entry that was not used since it was last at the head.
 */
static void evict_some(struct conntrack *k)
{
	struct tracked *t;

	while (HASH_COUNT(k->tracked) >= MAX_TRACKED) {
		t = TAILQ_FIRST(&k->by_age);
		if (!t->used) {
			tracked_free(k, t);
			continue;
		}
		t->used = false;
		TAILQ_REMOVE(&k->by_age, t, by_age);
		TAILQ_INSERT_TAIL(&k->by_age, t, by_age);
	}
}

static struct tracked *find_tracked(const struct conntrack *k, const struct ends *ends)
{
	struct tracked *t;

	HASH_FIND(hh, k->tracked, ends, sizeof(*ends), t);
	return t;
}

/* Returns NULL if out of memory. */
static struct tracked *find_or_add(struct conntrack *k, const struct ends *ends)
{
	struct tracked *t = find_tracked(k, ends);

	if (t)
		return t;
	evict_some(k);
	ADD_NEW(k->tracked, ends, *ends, t);
	if (t)
		TAILQ_INSERT_TAIL(&k->by_age, t, by_age);
	return t;
}

/* ---- events of new connections ---- */

enum end { ORIGINAL_SOURCE, REPLY_SOURCE, REPLY_DESTINATION };

/* Returns false if the event does not contain this end. */
static bool get_tuple_end(const struct nf_conntrack *ct, enum end end, struct address *address,
			  uint16_t *port)
{
	static const struct {
		enum nf_conntrack_attr ip4, ip6, port;
	} attributes[] = {
		[ORIGINAL_SOURCE] = { ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC, ATTR_ORIG_PORT_SRC },
		[REPLY_SOURCE] = { ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, ATTR_REPL_PORT_SRC },
		[REPLY_DESTINATION] = { ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST,
					ATTR_REPL_PORT_DST },
	};

	if (!nfct_attr_is_set(ct, attributes[end].port))
		return false;
	*port = ntohs(nfct_get_attr_u16(ct, attributes[end].port));
	if (nfct_attr_is_set(ct, attributes[end].ip4)) {
		*address =
			(struct address){ .word = { 0, 0, IP4_PREFIX,
						    nfct_get_attr_u32(ct, attributes[end].ip4) } };
		return true;
	}
	if (!nfct_attr_is_set(ct, attributes[end].ip6))
		return false;
	memcpy(address, nfct_get_attr(ct, attributes[end].ip6), sizeof(*address));
	return true;
}

/* Records a new connection, but only if this host replaces its source address (SNAT). */
static int add_translation(const struct nlmsghdr *h, void *context)
{
	struct conntrack *k = context;
	struct nf_conntrack *ct = nfct_new();
	struct ends ends = {};
	struct tracked *t;
	struct address client;
	uint16_t port;

	if (!ct) {
		k->lost++;
		return MNL_CB_OK;
	}
	if (nfct_nlmsg_parse(h, ct) == 0 && nfct_get_attr_u32(ct, ATTR_STATUS) & IPS_SRC_NAT &&
	    get_tuple_end(ct, ORIGINAL_SOURCE, &client, &port) &&
	    get_tuple_end(ct, REPLY_DESTINATION, &ends.client, &ends.client_port) &&
	    get_tuple_end(ct, REPLY_SOURCE, &ends.server, &ends.server_port)) {
		t = find_or_add(k, &ends);
		if (t) {
			t->client = client;
			t->port = port;
			/* a new connection on the same four-tuple */
			t->queried = t->offloaded = false;
		} else {
			k->lost++;
		}
	}
	nfct_destroy(ct);
	return MNL_CB_OK;
}

static void read_events(struct conntrack *k)
{
	if (k->events)
		k->lost += netlink_receive(k->events, &k->events_left, add_translation, k);
}

void conntrack_read(struct conntrack *k)
{
	k->query_count = 0;
	k->events_left = MAX_EVENTS;
	read_events(k);
}

void conntrack_freeze(struct conntrack *k)
{
	k->events_left = 0;
	k->query_count = MAX_QUERIES;
}

void conntrack_unsubscribe(struct conntrack *k)
{
	if (k->events)
		mnl_socket_close(k->events);
	k->events = NULL;
}

/* ---- queries about one connection ---- */

static void set_tuple_end(struct nf_conntrack *ct, bool source, const struct endpoint *e)
{
	bool ip4 = is_ip4(&e->address);

	nfct_set_attr_u8(ct, ATTR_ORIG_L3PROTO, ip4 ? AF_INET : AF_INET6);
	nfct_set_attr_u8(ct, ATTR_ORIG_L4PROTO, IPPROTO_TCP);
	nfct_set_attr_u16(ct, source ? ATTR_ORIG_PORT_SRC : ATTR_ORIG_PORT_DST, htons(e->port));
	if (ip4)
		nfct_set_attr_u32(ct, source ? ATTR_ORIG_IPV4_SRC : ATTR_ORIG_IPV4_DST,
				  e->address.word[3]);
	else
		nfct_set_attr(ct, source ? ATTR_ORIG_IPV6_SRC : ATTR_ORIG_IPV6_DST, &e->address);
}

static int parse_status(const struct nlmsghdr *h, void *context)
{
	struct nf_conntrack *ct = nfct_new();
	uint32_t *status = context;

	if (ct && nfct_nlmsg_parse(h, ct) == 0)
		*status = nfct_get_attr_u32(ct, ATTR_STATUS);
	if (ct)
		nfct_destroy(ct);
	return MNL_CB_OK;
}

/*
 * Returns the status bits of the connection with this tuple, in either direction; 0 if there is
 * none.
 */
static uint32_t query_status(struct conntrack *k, const struct endpoint *source,
			     const struct endpoint *destination)
{
	struct netlink_request r;
	struct nf_conntrack *ct = nfct_new();
	struct nfgenmsg *family;
	uint32_t status = 0;

	if (!ct)
		return 0;
	set_tuple_end(ct, true, source);
	set_tuple_end(ct, false, destination);
	family = netlink_begin(&r, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, sizeof(*family));
	family->nfgen_family = is_ip4(&source->address) ? AF_INET : AF_INET6;
	family->version = NFNETLINK_V0;
	if (nfct_nlmsg_build(&r.header, ct) == 0)
		netlink_query(k->queries, &r, parse_status, &status);
	nfct_destroy(ct);
	return status;
}

/*
 * c has the tuple of the original direction before the translation, and of the reply direction
 * after it.
 */
static bool is_offloaded(struct conntrack *k, const struct connection *c)
{
	uint32_t status = query_status(k, &c->client, &c->server);

	if (!status)
		status = query_status(k, &c->server, &c->client);
	return status & (IPS_OFFLOAD | IPS_HW_OFFLOAD);
}

/*
 * Returns true if nothing was seen since the handshake, or if the first segment leaves a gap after
 * it.
 */
static bool may_be_offloaded(const struct connection *c)
{
	ns_t silence = connection_silence(c);

	return (silence != NEVER && silence >= QUERY_AFTER_NS) || c->client_gap;
}

void conntrack_complete(struct conntrack *k, struct connection *c)
{
	struct ends ends = { .client = c->client.address,
			     .server = c->server.address,
			     .client_port = c->client.port,
			     .server_port = c->server.port };
	struct tracked *t = find_tracked(k, &ends);

	if (!t && c->syn_egress) {
		read_events(k); /* the event was sent before the SYN left */
		t = find_tracked(k, &ends);
	}
	if (k->queries && may_be_offloaded(c) && !(t && t->queried) &&
	    k->query_count < MAX_QUERIES) {
		t = find_or_add(k, &ends);
		k->query_count++;
		if (t) {
			t->queried = true;
			t->offloaded = is_offloaded(k, c);
		}
	}
	if (!t)
		return;
	t->used = true;
	c->offloaded = t->offloaded;
	if (!t->port)
		return;
	c->nat_endpoint = c->client;
	c->client.address = t->client;
	c->client.port = t->port;
	c->has_mac = false; /* the MAC address is this host's own */
}

/* ---- open and close ---- */

static long read_setting(const char *name)
{
	char path[96];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", name);
	f = fopen(path, "re");
	if (f && fscanf(f, "%ld", &value) != 1)
		value = -1;
	if (f)
		fclose(f);
	return value;
}

/*
 * Returns true if the flowtable module is loaded or built in. /proc/net/stat/nf_flowtable exists
 * since kernel 6.0.
 */
bool conntrack_has_flowtables(void)
{
	return !access("/sys/module/nf_flow_table", F_OK) ||
	       !access("/proc/net/stat/nf_flowtable", F_OK);
}

static void filter_tcp(const struct mnl_socket *s)
{
	struct nfct_filter *filter = nfct_filter_create();

	if (!filter)
		return;
	nfct_filter_add_attr_u32(filter, NFCT_FILTER_L4PROTO, IPPROTO_TCP);
	nfct_filter_attach(mnl_socket_get_fd(s), filter);
	nfct_filter_destroy(filter);
}

struct conntrack *conntrack_open(const char **why)
{
	int room = RECEIVE_BYTES;
	struct conntrack *k;

	*why = NULL;
	/* a subscription would load the module, and without the module nothing is tracked */
	if (read_setting("nf_conntrack_count") < 0)
		return NULL;
	*why = "conntrack reports no new connections here (net.netfilter.nf_conntrack_events is 0)";
	if (!read_setting("nf_conntrack_events"))
		return NULL;
	*why = "conntrack does not report new connections here (ctnetlink)";
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	TAILQ_INIT(&k->by_age);
	k->events = netlink_subscribe(NETLINK_NETFILTER, NF_NETLINK_CONNTRACK_NEW);
	if (!k->events) {
		free(k);
		return NULL;
	}
	*why = NULL;
	filter_tcp(k->events);
	setsockopt(mnl_socket_get_fd(k->events), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (conntrack_has_flowtables())
		k->queries = netlink_open(NETLINK_NETFILTER);
	return k;
}

void conntrack_close(struct conntrack *k)
{
	if (!k)
		return;
	while (!TAILQ_EMPTY(&k->by_age))
		tracked_free(k, TAILQ_FIRST(&k->by_age));
	if (k->queries)
		mnl_socket_close(k->queries);
	conntrack_unsubscribe(k);
	free(k);
}

bool conntrack_needs_privileges(const struct conntrack *k)
{
	return k && k->queries;
}

uint64_t conntrack_lost(const struct conntrack *k)
{
	return k ? k->lost : 0;
}
