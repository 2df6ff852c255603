/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Servers with connects that fail before the handshake. A server may fail in several ways at once;
 * each way has its own connects, hosts and times.
 */
#pragma once

#include "diagnose/connects.h"

#define IDENT_PORT 113

/* How a connect fails before the handshake. */
enum way {
	WAY_NONE,
	WAY_SILENT, /* nothing came back */
	WAY_IGNORED_SYNACK, /* only SYN-ACKs that the client must ignore */
	WAY_IGNORED_RST, /* only RSTs that the client must ignore */
	WAY_REFUSED, /* an RST */
	WAY_REFUSED_HERE, /* an RST of this gateway */
	WAY_UNREACHABLE, /* an ICMP error */
	WAYS,
};

enum way way_of(const struct noted_connect *n);

/*
 * Returns true if the connect was answered by a SYN-ACK only after refusals, and late: the client
 * sent its SYN again after an RST.
 */
static inline bool is_late_by_refusals(const struct noted_connect *n)
{
	return n->c->refusals && n->entry.row == ROW_LATE && n->entry.stage == STAGE_CONNECT;
}

/* The connects of a server that fail in one way, and that no finding explains. */
struct failing {
	const struct server *server;
	struct connect_set set; /* sorted by their SYN */
	size_t hosts;
	/* timeline of the only host that failed here; NULL if there are several hosts, or none */
	struct timeline *only;
	bool grouped; /* reported */
	bool proven; /* the failure is proven by more than single SYNs */
};

/* A list of failing servers, those with the most hosts first. */
struct failing_list {
	struct failing *at;
	size_t count;
};

/*
 * Finds the servers with connects that failed in one of these ways, a bit mask. Servers that other
 * causes report are left out if `alone`: clients wait for them. The caller frees.
 */
struct failing_list failing_servers(struct context *g, unsigned int ways, bool alone);
void failing_list_free(struct failing_list *list);

/* Returns true if the server sent a SYN-ACK after this time. */
bool has_accepted_since(const struct server *s, ns_t since);

/* Like has_accepted_since(), for anything that the server itself sent, such as an RST. */
bool has_answered_since(const struct server *s, ns_t since);

/* Adds a line with the connects of the server that failed in other ways. */
void add_other_ways(struct finding *f, const struct server *s, unsigned int ways);

/* Formats " of 3 hosts"; empty if all hosts were evicted from the model. */
const char *format_of_hosts(char text[32], size_t hosts);

/*
 * Returns true if the server failed all connects of the hosts in the set, meanwhile answered other
 * hosts, and formats who they are.
 */
#define FORMAT_HOSTS 192
bool separates_hosts(struct context *g, const struct server *s, const struct connect_set *set,
		     char hosts[FORMAT_HOSTS], size_t *others);
