// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>

/* Out of memory is one more bound: uthash undoes the insertion. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->hh.tbl = NULL)

#include "host/conntrack.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

#define RECEIVE_BYTES (4 << 20) /* some 4000 tellings, between two readings */
#define ROOM 16384
#define MAX_READ 8192 /* tellings at once: some 6 us each */

/* A silence that a flowtable may be the reason of is asked about once it has lasted so long. */
#define ASK_AFTER_NS (500 * (ns_t)MILLISECOND_NS)

/* Questions between two readings: some 10 us each. */
#define MAX_QUESTIONS 256

/* The ends of a connection as they are on the wire beyond this host, the client first. */
struct ends {
	struct address client;
	struct address server;
	uint16_t client_port;
	uint16_t server_port;
};

struct tracked {
	struct ends ends;
	struct address client; /* who is behind ends.client ... */
	uint16_t port; /* ... or 0: nobody else */
	bool used; /* since it last was the oldest */
	bool asked; /* whether it is offloaded */
	bool offloaded;
	TAILQ_ENTRY(tracked) by_age;
	UT_hash_handle hh;
};

struct conntrack {
	struct mnl_socket *news; /* NULL: nobody wants to hear of them any more */
	unsigned int left; /* tellings that may still be read at this reading */
	struct mnl_socket *questions; /* NULL where there are no flowtables */
	unsigned int asked; /* since the last reading */
	uint32_t sequence;
	uint64_t lost;
	struct tracked *tracked;
	TAILQ_HEAD(tracked_list, tracked) by_age;
};

/* ---- what is kept ---- */

static void tracked_free(struct conntrack *k, struct tracked *t)
{
	TAILQ_REMOVE(&k->by_age, t, by_age);
	HASH_DEL(k->tracked, t); /* NOLINT: clang-tidy sees the same element last twice */
	free(t);
}

/* The oldest that was not used since it last was the oldest. */
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

/* Found, or new; NULL when out of memory. */
static struct tracked *find_or_add(struct conntrack *k, const struct ends *ends)
{
	struct tracked *t = find_tracked(k, ends);

	if (t)
		return t;
	evict_some(k);
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->ends = *ends;
	HASH_ADD(hh, k->tracked, ends, sizeof(t->ends), t);
	if (!t->hh.tbl) {
		free(t);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&k->by_age, t, by_age);
	return t;
}

/* ---- what the kernel tells ---- */

enum end { ORIGINAL_SOURCE, REPLY_SOURCE, REPLY_DESTINATION };

/* False where that end is not said. */
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

/* Only those whose source address this host replaces are of interest. */
static int on_new(const struct nlmsghdr *h, void *context)
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
			t->asked = t->offloaded = false; /* another one, on the same four-tuple */
		} else {
			k->lost++;
		}
	}
	nfct_destroy(ct);
	return MNL_CB_OK;
}

static void read_events(struct conntrack *k)
{
	char messages[ROOM] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t n;

	while (k->news && k->left &&
	       ((n = mnl_socket_recvfrom(k->news, messages, sizeof(messages))) > 0 ||
		(n < 0 && errno == ENOBUFS))) {
		k->left--;
		if (n < 0)
			k->lost++;
		else
			mnl_cb_run(messages, n, 0, 0, on_new, k);
	}
}

void conntrack_read(struct conntrack *k)
{
	k->asked = 0;
	k->left = MAX_READ;
	read_events(k);
}

void conntrack_leave_news(struct conntrack *k)
{
	if (k->news)
		mnl_socket_close(k->news);
	k->news = NULL;
}

/* ---- what it is asked ---- */

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

static int on_status(const struct nlmsghdr *h, void *context)
{
	struct nf_conntrack *ct = nfct_new();
	uint32_t *status = context;

	if (ct && nfct_nlmsg_parse(h, ct) == 0)
		*status = nfct_get_attr_u32(ct, ATTR_STATUS);
	if (ct)
		nfct_destroy(ct);
	return MNL_CB_OK;
}

/* Of the connection with this tuple, in either of its directions; 0: there is none. */
static uint32_t query_status(struct conntrack *k, const struct endpoint *source,
			     const struct endpoint *destination)
{
	char message[ROOM] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(message);
	struct nf_conntrack *ct = nfct_new();
	struct nfgenmsg *family;
	uint32_t status = 0;
	ssize_t n;
	int more = 1;

	if (!ct)
		return 0;
	set_tuple_end(ct, true, source);
	set_tuple_end(ct, false, destination);
	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = ++k->sequence;
	family = mnl_nlmsg_put_extra_header(h, sizeof(*family));
	family->nfgen_family = is_ip4(&source->address) ? AF_INET : AF_INET6;
	family->version = NFNETLINK_V0;
	if (nfct_nlmsg_build(h, ct) == 0 && mnl_socket_sendto(k->questions, h, h->nlmsg_len) >= 0) {
		while (more > 0 &&
		       (n = mnl_socket_recvfrom(k->questions, message, sizeof(message))) > 0)
			more = mnl_cb_run(message, n, k->sequence,
					  mnl_socket_get_portid(k->questions), on_status, &status);
	}
	nfct_destroy(ct);
	return status;
}

/* Before the translation its tuple is the wire's, beyond it the answer's. */
static bool is_offloaded(struct conntrack *k, const struct connection *c)
{
	uint32_t status = query_status(k, &c->client, &c->server);

	if (!status)
		status = query_status(k, &c->server, &c->client);
	return status & (IPS_OFFLOAD | IPS_HW_OFFLOAD);
}

/* Handshake done and nothing since, or what came first does not follow on it: did it pass elsewhere? */
static bool may_be_offloaded(const struct connection *c)
{
	ns_t silence = connection_silence(c);

	return (silence != NEVER && silence >= ASK_AFTER_NS) || c->client_gap;
}

void conntrack_complete(struct conntrack *k, struct connection *c)
{
	struct ends ends = { .client = c->client.address,
			     .server = c->server.address,
			     .client_port = c->client.port,
			     .server_port = c->server.port };
	struct tracked *t = find_tracked(k, &ends);

	if (!t && c->syn_egress) {
		read_events(k); /* it was told before the SYN left */
		t = find_tracked(k, &ends);
	}
	if (k->questions && may_be_offloaded(c) && !(t && t->asked) && k->asked < MAX_QUESTIONS) {
		t = find_or_add(k, &ends);
		k->asked++;
		if (t) {
			t->asked = true;
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
	c->has_mac = false; /* what was seen is this host's own */
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

static struct mnl_socket *open_socket(unsigned int groups, int flags)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | flags);

	if (s && mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(s);
		return NULL;
	}
	return s;
}

/* The module, or what the kernel counts of them since 6.0. */
static bool has_flowtables(void)
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
	/* asking would load the module; where it is not loaded, nothing is tracked */
	if (read_setting("nf_conntrack_count") < 0)
		return NULL;
	*why = "conntrack tells of no new connections here (net.netfilter.nf_conntrack_events is 0)";
	if (!read_setting("nf_conntrack_events"))
		return NULL;
	*why = "conntrack does not tell of new connections here (ctnetlink)";
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	TAILQ_INIT(&k->by_age);
	k->news = open_socket(NF_NETLINK_CONNTRACK_NEW, SOCK_NONBLOCK);
	if (!k->news) {
		free(k);
		return NULL;
	}
	*why = NULL;
	filter_tcp(k->news);
	setsockopt(mnl_socket_get_fd(k->news), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (has_flowtables())
		k->questions = open_socket(0, 0);
	return k;
}

void conntrack_close(struct conntrack *k)
{
	if (!k)
		return;
	while (!TAILQ_EMPTY(&k->by_age))
		tracked_free(k, TAILQ_FIRST(&k->by_age));
	if (k->questions)
		mnl_socket_close(k->questions);
	conntrack_leave_news(k);
	free(k);
}

bool conntrack_needs_rights(const struct conntrack *k)
{
	return k && k->questions;
}

uint64_t conntrack_lost(const struct conntrack *k)
{
	return k ? k->lost : 0;
}
