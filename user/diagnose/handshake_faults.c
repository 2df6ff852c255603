// SPDX-License-Identifier: GPL-2.0
/*
 * Reports handshakes that say less than they seem to: such that clients do not finish, and such that
 * a device completes in place of the server.
 */
#include <inttypes.h>
#include <string.h>

#include "diagnose/failure_group.h"
#include "diagnose/reporters.h"

/* ---- clients that do not finish the handshake ---- */

static bool is_syn_repeated(const struct noted_connect *n)
{
	return n->c->syn_count > 1 || n->c->attempts > 1;
}

/* Returns true if the client certainly wants connections: a forged or scanning SYN comes once. */
static bool is_client_real(const struct noted_connect *n)
{
	return is_syn_repeated(n) || (n->host && n->host->host->established);
}

static bool is_synack_repeated(const struct noted_connect *n)
{
	return n->c->synack_count > 1;
}

static bool has_synack_left(const struct noted_connect *n)
{
	return n->c->synack_egress && !n->c->syn_egress;
}

/* Returns true if only the side behind this gateway was watched. */
static bool is_seen_outside(const struct noted_connect *n)
{
	return n->c->from_outside || (n->c->syn_egress && !n->c->synack_egress && !n->c->far.seen);
}

static bool is_from_gateway(const struct noted_connect *n)
{
	return n->c->synack_from_gateway;
}

/* Maximum rate of the clock of time stamps (RFC 7323 5.4). */
#define TICK_NS MILLISECOND_NS

/*
 * Returns true if the SYN-ACK echoes none of the time stamps that the client can have sent. Only
 * the first SYN's is known, so later ones may be larger by the time since.
 */
static bool is_tsecr_wrong(const struct noted_connect *n)
{
	const struct connection *c = n->c;
	uint32_t ahead = c->synack_tsecr - c->syn_traits.tsval;
	ns_t elapsed = c->synack - c->syn;

	if (!c->has_tsecr || !c->syn_traits.has_timestamp || !c->synack_tsecr || elapsed < 0)
		return false;
	if (c->syn_times_count < 2 || c->syn_times[1] > c->synack)
		return ahead != 0;
	return ahead > elapsed / TICK_NS + 1;
}

static void add_unfinished_evidence(struct finding *f, const struct connect_set *set,
				    enum manner manner)
{
	size_t repeated = count_if(set, is_synack_repeated);
	char share[FORMAT_SHARE];

	if (manner == MANNER_SYN_AGAIN)
		finding_line(f, "",
			     "either the SYN-ACKs are lost between here and the clients, or the "
			     "clients do not accept them");
	else if (manner == MANNER_CLIENT_RESET)
		finding_line(f, "",
			     "the SYN-ACKs are valid: the client's system, or a device in front of "
			     "it, does not know the connection");
	else if (repeated)
		finding_line(f, "",
			     "on %s the server repeats its SYN-ACK, so the ACK did not reach it: "
			     "the clients do not send it, or it is lost before it gets here",
			     format_share(share, set, repeated));
	if (count_if(set, is_tsecr_wrong) == set->count)
		finding_line(f, "",
			     "the SYN-ACKs echo a time stamp that the clients did not send (TSecr "
			     "is none of their TSvals): Linux rejects that (PAWS, RFC 7323)");
}

/* Adds where the SYN-ACKs were seen: whether this gateway made, passed or may have dropped them. */
static void add_whereabouts(struct context *g, struct finding *f, const struct connect_set *set)
{
	size_t left = count_if(set, has_synack_left), made = count_if(set, is_from_gateway),
	       outside = count_if(set, is_seen_outside);
	const char *iface = session_iface_name(g->session, set->at[0]->c->ifindex);

	if (made)
		finding_line(f, "", "this gateway itself made the SYN-ACKs of %zu connect%s", made,
			     plural(made));
	if (left)
		finding_line(f, "",
			     "the SYN-ACKs of %zu connect%s left this gateway%s%s towards the "
			     "clients",
			     left, plural(left), iface ? " by " : "",
			     iface ? format_name(iface) : "");
	if (outside)
		finding_line(f, "",
			     "%zu connect%s seen only on the outer side: this gateway itself may "
			     "drop the SYN-ACKs, or the ACKs, between its interfaces",
			     outside, outside == 1 ? " was" : "s were");
}

static void add_unfinished_action(struct finding *f, const struct connect_set *set,
				  enum manner manner)
{
	if (count_if(set, is_seen_outside) == set->count)
		finding_line(f, "action",
			     "watch the inner interface as well (a second --iface): it shows "
			     "whether the SYN-ACKs leave this gateway");
	else if (manner == MANNER_SYN_AGAIN)
		finding_line(f, "action",
			     "capture on a client: if the SYN-ACK arrives there, check its "
			     "checksum (tcpdump -vv), the offloads of the server's interface, and "
			     "nstat -az TcpInCsumErrors TcpExtPAWSActive; if not, check switches, "
			     "filters and routes between here and the client");
	else if (manner == MANNER_CLIENT_SILENT)
		finding_line(f, "action",
			     "capture on a client: if it sends the ACK, check the way from it to "
			     "here (route, filter, Wi-Fi); if not, check the filter on the client");
	else
		finding_line(f, "action",
			     "check NAT and filters between here and the client for lost state, "
			     "and whether two hosts use its address");
}

static void set_unfinished_text(struct context *g, struct finding *f,
				const struct failure_group *group, enum manner manner,
				bool is_client)
{
	char servers[FORMAT_SERVERS], counts[FORMAT_COUNTS], client[FORMAT_ADDRESS];
	const char *what = manner == MANNER_SYN_AGAIN
				   ? "the SYN comes again after the SYN-ACK has passed"
			   : manner == MANNER_CLIENT_SILENT
				   ? "the SYN-ACK passes, and the client sends nothing more"
				   : "the client resets the SYN-ACK, and tries again";

	format_servers(servers, group);
	format_counts(counts, g, f, group);
	format_address(client, &group->set.at[0]->c->client.address);
	if (is_client)
		finding_text(f, "%s does not finish its handshakes with %zu servers: on %s %s",
			     client, group->servers, counts, what);
	else
		finding_text(f, "handshakes with %s are not finished: on %s %s", servers, counts,
			     what);
}

/*
 * Adds how many other hosts completed handshakes with the servers of the group. Addresses in the
 * finding mark the hosts, since they are never used again.
 */
static void add_who_finishes(struct context *g, struct finding *f,
			     const struct failure_group *group)
{
	const struct server *s = NULL;
	size_t i, j, connects = 0, hosts = 0;

	for (i = 0; i < group->set.count; i++)
		if (group->set.at[i]->host)
			count_once(group->set.at[i]->host, f);
	for (i = 0; i < group->set.count; i++) {
		if (server_of(g, group->set.at[i]) == s)
			continue;
		s = server_of(g, group->set.at[i]);
		for (j = 0; j < s->count; j++) {
			struct timeline *host = s->connects[j].host;

			if (!host || host->counted == f || s->connects[j].c->ack == NEVER)
				continue;
			connects++;
			hosts += count_once(host, f->lines);
		}
	}
	if (hosts)
		finding_line(f, "against",
			     "%zu other host%s finish%s the handshake with %s (%zu connect%s): "
			     "look for what only the failing hosts, or the ways to them, have",
			     hosts, plural(hosts), hosts == 1 ? "es" : "",
			     group->servers > 1 ? "these servers" : "this server", connects,
			     plural(connects));
}

static bool is_one_client(const struct connect_set *set)
{
	size_t i;

	for (i = 1; i < set->count; i++)
		if (set->at[i]->host != set->at[0]->host ||
		    (!set->at[i]->host &&
		     memcmp(&set->at[i]->c->client.address, &set->at[0]->c->client.address,
			    sizeof(struct address)) != 0))
			return false;
	return true;
}

static void report_unfinished(struct context *g, const struct failure_group *group)
{
	enum manner manner = group->set.at[0]->entry.manner;
	bool is_client = group->servers > 1 && is_one_client(&group->set);
	struct certainty certainty = certainty_by_count(group->set.count);
	bool is_repeated = count_if(&group->set, is_synack_repeated) > 0;
	struct served_hosts served;
	struct finding *f;

	if (group->set.count < MIN_CONNECTS)
		return;
	if (manner == MANNER_CLIENT_SILENT && !is_repeated)
		certainty = doubtful(CONFIDENCE_LOW, "the server repeats no SYN-ACK: the ACK may "
						     "have taken another way");
	/* now and then, a client is switched off, or leaves the Wi-Fi */
	if (group->set.count * 2 < group->connects)
		certainty = at_most(certainty, CONFIDENCE_MEDIUM,
				    "most handshakes with it are finished");
	f = begin_finding(g, group, KIND_HANDSHAKE_UNFINISHED, certainty);
	if (!f)
		return;
	set_unfinished_text(g, f, group, manner, is_client);
	add_unfinished_evidence(f, &group->set, manner);
	add_whereabouts(g, f, &group->set);
	finding_add_span(g, f, &group->set);
	add_unfinished_action(f, &group->set, manner);
	add_who_finishes(g, f, group);
	served = count_served(&group->set, true);
	if (served.hosts)
		finding_line(f, "against",
			     "other servers served %zu of these hosts (%" PRIu64
			     " connect%s): the way to the clients is not cut in general",
			     served.hosts, served.connects, plural(served.connects));
	if (manner == MANNER_CLIENT_SILENT && !is_repeated)
		finding_line(f, "against",
			     "the server does not repeat its SYN-ACK: the ACK may have taken "
			     "another way");
}

void report_handshake_unfinished(struct context *g, const struct failure_group *group)
{
	static const enum manner manners[] = { MANNER_SYN_AGAIN, MANNER_CLIENT_SILENT,
					       MANNER_CLIENT_RESET };
	size_t i, j;

	for (i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
		struct failure_group part = { .kind = group->kind };

		for (j = 0; j < group->set.count; j++) {
			struct noted_connect *n = group->set.at[j];

			if (n->entry.manner == manners[i] && is_client_real(n) &&
			    (is_syn_repeated(n) || !is_scan(n)))
				connect_set_add(g, &part.set, n);
		}
		group_fill(g, &part);
		if (part.servers > 1 && is_one_client(&part.set))
			report_unfinished(g, &part);
		else
			report_by_server(g, part.kind, &part.set, report_unfinished);
		connect_set_free(&part.set);
	}
}

/* ---- devices that answer for a server ---- */

static bool is_window_0(const struct noted_connect *n)
{
	return n->c->synack != NEVER && !n->c->synack_window;
}

/* Returns true if the SYN left towards the server only after its SYN-ACK had been sent. */
static bool is_answered_before_asked(const struct noted_connect *n)
{
	const struct connection *c = n->c;

	return c->far.seen && c->synack != NEVER && c->far.syn > c->synack;
}

/* Returns true if the client may only keep the connection for later: it has neither sent nor closed. */
static bool is_idle(const struct noted_connect *n)
{
	return n->c->client_first == NEVER && connection_end(n->c, NULL) == SIDE_NONE;
}

static bool has_far_synack(const struct noted_connect *n)
{
	return n->c->far.synack != NEVER;
}

static void add_proxy_evidence(struct finding *f, const struct connect_set *set)
{
	size_t made = count_if(set, is_from_gateway), zero = count_if(set, is_window_0),
	       before = count_if(set, is_answered_before_asked);
	char share[FORMAT_SHARE];

	if (made)
		finding_line(f, "", "this gateway itself made the SYN-ACKs of %s",
			     format_share(share, set, made));
	if (zero)
		finding_line(f, "",
			     "the SYN-ACKs of %s have a window of 0, as those of a SYN proxy: the "
			     "client may not send before the server has answered the proxy",
			     format_share(share, set, zero));
	if (before)
		finding_line(f, "",
			     "the SYNs of %zu left this gateway only after their SYN-ACK was sent; "
			     "the server answered %zu of these",
			     before, count_if(set, has_far_synack));
	finding_line(f, "",
		     "so the handshake says nothing about the server, nor about the way to it");
}

void report_syn_proxy(struct context *g, const struct failure_group *group)
{
	bool is_here = count_if(&group->set, is_from_gateway) > 0 ||
		       count_if(&group->set, is_answered_before_asked) > 0;
	bool all_idle = count_if(&group->set, is_idle) == group->set.count;
	struct certainty certainty = certainty_by_count(group->set.count);
	char servers[FORMAT_SERVERS], counts[FORMAT_COUNTS];
	struct finding *f;

	if (group->set.count < 2)
		return;
	if (all_idle)
		certainty = at_most(certainty, CONFIDENCE_MEDIUM,
				    "no client has sent or closed: they may be spare connections");
	f = begin_finding(g, group, KIND_SYN_PROXY, certainty);
	if (!f)
		return;
	finding_text(f, "%s answers the handshakes with %s, and no byte of the server follows: %s",
		     is_here ? "this gateway" : "a SYN proxy", format_servers(servers, group),
		     format_counts(counts, g, f, group));
	add_proxy_evidence(f, &group->set);
	finding_add_span(g, f, &group->set);
	finding_line(f, "action",
		     is_here ? "check the server behind this gateway's proxy (nft list ruleset: "
			       "synproxy or redirect; ss -ltnp): does it answer this gateway?"
			     : "check whether the server behind the SYN proxy (firewall, load "
			       "balancer, protection against floods) runs and answers it");
	if (all_idle)
		finding_line(f, "against",
			     "no client has closed: whether they wait to send, or keep the "
			     "connections for later, was not seen");
}
