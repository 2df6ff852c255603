// SPDX-License-Identifier: GPL-2.0
#include "model/names.h"

#include <stdlib.h>

struct names {
	struct dns_totals totals;
};

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

struct names *names_new(ns_t stall_ns)
{
	(void)stall_ns;
	return calloc(1, sizeof(struct names));
}
void names_free(struct names *n)
{
	free(n);
}
void names_packet(struct names *n, const struct dns_packet *p, bool to_own)
{
	(void)n;
	(void)p;
	(void)to_own;
}
void names_gap(struct names *n, ns_t from, ns_t until)
{
	(void)n;
	(void)from;
	(void)until;
}
void names_swept(struct names *n, ns_t now)
{
	(void)n;
	(void)now;
}
void names_end(struct names *n, ns_t now)
{
	(void)n;
	(void)now;
}
void names_connect(struct names *n, struct connection *c)
{
	(void)n;
	(void)c;
}
const struct dns_totals *names_totals(const struct names *n)
{
	return &n->totals;
}
size_t names_lookup_count(const struct names *n)
{
	(void)n;
	return 0;
}
const struct lookup *names_lookup(const struct names *n, size_t i)
{
	(void)n;
	(void)i;
	return NULL;
}
const struct dns_name *names_name(const struct names *n, uint32_t number)
{
	static const struct dns_name none;
	(void)n;
	(void)number;
	return &none;
}
uint32_t names_of_address(const struct names *n, const struct client_key *client,
			  const struct address *a, unsigned int *others)
{
	(void)n;
	(void)client;
	(void)a;
	*others = 0;
	return 0;
}
size_t names_gaps(const struct names *n, const struct dns_gap **gaps)
{
	(void)n;
	*gaps = NULL;
	return 0;
}
