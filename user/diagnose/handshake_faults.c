// SPDX-License-Identifier: GPL-2.0
/*
 * Reports openings that fail although the server seems to answer the SYN: handshakes that clients
 * do not finish, or that a device completes for the server; and connections that the server, or the
 * way to it, drops before the first answer.
 */
#include <inttypes.h>
#include <string.h>

#include "diagnose/decide.h"

/* Fewer connects than this may be a scan, a health check, or a client that left. */
#define MIN_CONNECTS 3

/* Servers with one fault from which they are reported together. */
#define MIN_TOGETHER 3

/* Servers at which a host fails in the same way, from which it is taken for a scanner. */
#define SCANNED_SERVERS 8

#define FORMAT_SERVERS (FORMAT_ENDPOINT + 32)

/* ---- groups ---- */

/* Fills in the members of a group that follow from its kind and its set. */
static void group_fill(struct context *g, struct failure_group *group)
{
	const struct server *s = NULL;
	size_t i, n = 0;

	for (i = 0; i < group->set.count; i++) {
		const struct server *other = server_of(g, group->set.at[i]);

		if (s != other) {
			group->servers++;
			group->connects += other->count;
			n = 0;
		}
		s = other;
		if (++n > group->most) {
			group->most = n;
			group->server = s;
		}
	}
	if (group->server)
		group->facts = facts_of_server(g, group->server);
}

/*
 * Calls the reporter for the connects of the set that belong to one server, for each server; or
 * once for all of them if there are many servers. The set is sorted by server.
 */
static void report_by_server(struct context *g, enum finding_kind kind,
			     const struct connect_set *set,
			     void (*report)(struct context *g, const struct failure_group *group))
{
	struct failure_group all = { .kind = kind, .set = *set };
	size_t first, next;

	group_fill(g, &all);
	if (all.servers >= MIN_TOGETHER) {
		report(g, &all);
		return;
	}
	for (first = 0; first < set->count; first = next) {
		const struct server *s = server_of(g, set->at[first]);
		struct failure_group group = { .kind = kind, .set = { .at = set->at + first } };

		for (next = first; next < set->count && server_of(g, set->at[next]) == s; next++)
			group.set.count++;
		group_fill(g, &group);
		report(g, &group);
	}
}

/* Returns the number of connects in the set for which is_so() returns true. */
static size_t count_if(const struct connect_set *set, bool (*is_so)(const struct noted_connect *n))
{
	size_t i, n = 0;

	for (i = 0; i < set->count; i++)
		n += is_so(set->at[i]);
	return n;
}

/*
 * Returns true if the host failed in the same way at so many servers that it scans them, whatever
 * the servers do.
 */
static bool is_scan(const struct noted_connect *n)
{
	const struct timeline *host = n->host;
	const struct endpoint *seen[SCANNED_SERVERS];
	size_t i, j, count = 0;

	for (i = 0; host && i < host->connect_count && count < SCANNED_SERVERS; i++) {
		const struct noted_connect *other = host->connects[i];

		if (memcmp(&other->entry, &n->entry, sizeof(n->entry)) != 0)
			continue;
		for (j = 0; j < count && !same_endpoint(seen[j], &other->c->server); j++)
			;
		if (j == count)
			seen[count++] = &other->c->server;
	}
	return count == SCANNED_SERVERS;
}

static void add_unless_scan(struct context *g, struct connect_set *out,
			    const struct connect_set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (!is_scan(set->at[i]))
			connect_set_add(g, out, set->at[i]);
}

/* ---- words ---- */

static char *format_servers(char out[FORMAT_SERVERS], const struct failure_group *group)
{
	char server[FORMAT_ENDPOINT];

	format_endpoint(server, &group->server->endpoint);
	if (group->servers == 1)
		snprintf(out, FORMAT_SERVERS, "%s", server);
	else
		snprintf(out, FORMAT_SERVERS, "%zu servers (most: %s)", group->servers, server);
	return out;
}

/*
 * Begins a finding about the group: its peer, its hosts, and the connects that it explains. Returns
 * NULL if there are too many findings.
 */
static struct finding *begin_finding(struct context *g, const struct failure_group *group,
				     enum finding_kind kind, enum confidence confidence)
{
	struct finding *f = finding_new(g, kind, confidence);

	if (!f)
		return NULL;
	if (group->servers == 1)
		finding_set_peer(f, &group->server->endpoint);
	f->stalls = group->connects;
	finding_add_connects(g, f, &group->set);
	return f;
}

static enum confidence at_most(enum confidence confidence, enum confidence most)
{
	return confidence < most ? confidence : most;
}

/* Returns the number of connects to the servers of the group that began at this time or later. */
static uint64_t count_since(struct context *g, const struct failure_group *group, ns_t first)
{
	const struct server *s = NULL;
	uint64_t count = 0;
	size_t i, j;

	for (i = 0; i < group->set.count; i++) {
		if (server_of(g, group->set.at[i]) == s)
			continue;
		s = server_of(g, group->set.at[i]);
		for (j = 0; j < s->count; j++)
			count += s->connects[j].c->syn >= first;
	}
	return count;
}

#define FORMAT_COUNTS 160

/*
 * Formats as "6 of 9 connects of 2 hosts"; and if they failed only after others were served, as "6
 * of 6 connects of 2 hosts since 12:01:03".
 */
static char *format_counts(char out[FORMAT_COUNTS], struct context *g, const struct finding *f,
			   const struct failure_group *group)
{
	struct span span = span_of(g, &group->set);
	bool began = span.before && !span.meanwhile && !span.after;
	uint64_t all = began ? count_since(g, group, span.first) : group->connects;
	char clock[FORMAT_TIME];

	format_run_clock(clock, &g->session->start, g->session->duration, span.first);
	snprintf(out, FORMAT_COUNTS, "%zu of %" PRIu64 " connect%s of %zu host%s%s%s",
		 group->set.count, all, plural(all), f->hosts_hurt, plural(f->hosts_hurt),
		 began ? " since " : "", began ? clock : "");
	return out;
}

/* Formats as "each of them", or as "3 of them". */
#define FORMAT_SHARE 32

static char *format_share(char out[FORMAT_SHARE], const struct connect_set *set, size_t n)
{
	if (n == set->count)
		snprintf(out, FORMAT_SHARE, "each of them");
	else
		snprintf(out, FORMAT_SHARE, "%zu of them", n);
	return out;
}

/* How many of the hosts in a set were served, and on how many connects. */
struct served_hosts {
	size_t hosts;
	uint64_t connects;
};

/*
 * Counts the hosts of the set that the same servers served as well; or that other servers served.
 */
static struct served_hosts count_served(const struct connect_set *set, bool elsewhere)
{
	struct served_hosts served = {};
	size_t i, j;

	for (i = 0; i < set->count; i++) {
		struct timeline *host = set->at[i]->host;
		uint64_t n = 0;

		if (!host || !count_once(host, &served))
			continue;
		for (j = 0; j < host->connect_count; j++) {
			const struct noted_connect *other = host->connects[j];
			bool same = same_endpoint(&other->c->server, &set->at[i]->c->server);

			n += was_served(other) && same != elsewhere;
		}
		served.hosts += n > 0;
		served.connects += n;
	}
	return served;
}

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
	enum confidence confidence = confidence_by_count(group->set.count);
	bool is_repeated = count_if(&group->set, is_synack_repeated) > 0;
	struct served_hosts served;
	struct finding *f;

	if (group->set.count < MIN_CONNECTS)
		return;
	if (manner == MANNER_CLIENT_SILENT && !is_repeated)
		confidence = CONFIDENCE_LOW;
	/* now and then, a client is switched off, or leaves the Wi-Fi */
	if (group->set.count * 2 < group->connects)
		confidence = at_most(confidence, CONFIDENCE_MEDIUM);
	f = begin_finding(g, group, KIND_HANDSHAKE_UNFINISHED, confidence);
	if (!f)
		return;
	set_unfinished_text(g, f, group, manner, is_client);
	add_unfinished_evidence(f, &group->set, manner);
	add_whereabouts(g, f, &group->set);
	finding_add_span(g, f, &group->set);
	add_unfinished_action(f, &group->set, manner);
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

/* ---- servers that close ---- */

/* Returns the time from the handshake to its end; from the SYN-ACK if there was no ACK. */
static ns_t time_to_end(const struct noted_connect *n)
{
	ns_t end, from = n->c->ack != NEVER ? n->c->ack : n->c->synack;

	if (connection_end(n->c, &end) == SIDE_NONE || from == NEVER)
		return NEVER;
	return end - from;
}

static bool is_ended_by_rst(const struct noted_connect *n)
{
	return n->entry.manner == MANNER_SERVER_RESET;
}

/* Returns true if the end comes too soon after the ACK to be the server's reaction to it. */
static bool is_end_too_soon(const struct noted_connect *n)
{
	return n->c->ack != NEVER && n->c->server_round_trip != NEVER && is_ended_by_rst(n) &&
	       time_to_end(n) < n->c->server_round_trip / 2;
}

/* Adds a line that tells a rule about the client from a limit. */
static void add_who_is_served(struct finding *f, const struct failure_group *group)
{
	struct served_hosts same;

	if (!group->facts.served || group->servers > 1)
		return;
	same = count_served(&group->set, false);
	if (same.hosts)
		finding_line(f, "",
			     "it serves %zu of these hosts on other connects: a limit or its load "
			     "is more likely than a rule about the client",
			     same.hosts);
	else
		finding_line(f, "",
			     "it serves %" PRIu64 " connect%s, all of other hosts: a rule about "
			     "the client is likely",
			     group->facts.served, plural(group->facts.served));
}

/* Returns true if the server waits for a timer before it closes. */
static bool is_timed(const struct durations *d)
{
	return d->is_timer && d->median >= (ns_t)SECOND_NS;
}

static void add_end_evidence(struct finding *f, const struct connect_set *set,
			     const struct durations *d)
{
	size_t resets = count_if(set, is_ended_by_rst), soon = count_if(set, is_end_too_soon);
	char a[FORMAT_DURATION], b[FORMAT_DURATION];
	const char *software = known_timer(d->median);

	finding_line(f, "",
		     "%zu ended by FIN, %zu by RST, from %s to %s after the handshake; neither "
		     "side had sent a byte",
		     set->count - resets, resets, format_duration(a, d->shortest),
		     format_duration(b, d->longest));
	if (is_timed(d))
		finding_line(f, "",
			     "the time is a timer%s%s: the server waits for something, such as a "
			     "lookup of the client, before it closes",
			     software ? ", as that of " : "", software ? software : "");
	if (soon && soon == resets)
		finding_line(f, "",
			     "the RSTs come sooner after the ACK than the server's round trip "
			     "allows: it did not wait for the ACK, or a device nearer sent them");
}

static void add_close_action(struct finding *f, const struct durations *d)
{
	finding_line(f, "action",
		     is_timed(d) ? "on the server, check what it looks up about a client before it "
				   "speaks (reverse DNS, ident), then its access rules "
				   "(hosts.allow, hosts.deny) and its log"
				 : "on the server, check its log, its access rules (hosts.allow, "
				   "hosts.deny), its connection limits, and, if it is a proxy, "
				   "whether what is behind it runs");
}

static void report_closes(struct context *g, const struct failure_group *group)
{
	struct durations d = durations_of(g, &group->set, time_to_end);
	bool resets = count_if(&group->set, is_ended_by_rst) == group->set.count;
	enum confidence confidence = confidence_by_count(group->set.count);
	char servers[FORMAT_SERVERS], counts[FORMAT_COUNTS], after[FORMAT_SPREAD];
	struct finding *f;

	/* one connect in a hundred may be a client's own mistake */
	if (group->set.count < MIN_CONNECTS || group->set.count * 100 < group->connects || !d.count)
		return;
	if (group->set.count * 2 < group->connects)
		confidence = at_most(confidence, CONFIDENCE_MEDIUM);
	f = begin_finding(g, group, KIND_SERVER_CLOSES, confidence);
	if (!f)
		return;
	if (d.is_timer) {
		f->timer = d.median;
		f->deviation = d.deviation;
	}
	finding_text(f, "%s %s%s connections without a byte: %s, %s after the handshake",
		     format_servers(servers, group), resets ? "reset" : "close",
		     group->servers > 1 ? "" : "s", format_counts(counts, g, f, group),
		     d.is_timer ? finding_format_spread(after, d.median, d.deviation)
				: format_duration(after, d.median));
	add_end_evidence(f, &group->set, &d);
	add_who_is_served(f, group);
	finding_add_span(g, f, &group->set);
	add_close_action(f, &d);
}

void report_server_closes(struct context *g, const struct failure_group *group)
{
	struct failure_group part = { .kind = group->kind };

	add_unless_scan(g, &part.set, &group->set);
	group_fill(g, &part);
	report_closes(g, &part);
	connect_set_free(&part.set);
}

/* ---- servers that do not greet ---- */

void report_no_greeting(struct context *g, const struct failure_group *group)
{
	const struct peer *p = group->server->peer;
	bool has_greeted = group->servers == 1 && p && p->banners;
	char servers[FORMAT_SERVERS], counts[FORMAT_COUNTS], gave_up[FORMAT_SPREAD];
	struct durations d = durations_of(g, &group->set, time_to_end);
	struct span span = span_of(g, &group->set);
	enum confidence confidence = confidence_by_count(group->set.count);
	struct finding *f;

	if (!d.count || group->set.count < (has_greeted ? 2 : MIN_CONNECTS))
		return;
	/* other servers on its port greet: it may speak another protocol there */
	if (!has_greeted)
		confidence = CONFIDENCE_LOW;
	if (span.meanwhile)
		confidence = at_most(confidence, CONFIDENCE_MEDIUM);
	f = begin_finding(g, group, KIND_NO_GREETING, confidence);
	if (!f)
		return;
	finding_text(f,
		     "%s accept%s connections and never greet%s: %s; the clients give up after %s",
		     format_servers(servers, group), group->servers > 1 ? "" : "s",
		     group->servers > 1 ? "" : "s", format_counts(counts, g, f, group),
		     d.is_timer ? finding_format_spread(gave_up, d.median, d.deviation)
				: format_duration(gave_up, d.median));
	if (has_greeted)
		finding_line(f, "", "it greeted on %u other connect%s of this run", p->banners,
			     plural(p->banners));
	else
		finding_line(f, "", "others on port %u greet", group->server->endpoint.port);
	finding_line(f, "",
		     "the handshake alone shows only that its kernel runs: the program behind the "
		     "port may hang, or wait for something");
	finding_add_span(g, f, &group->set);
	finding_line(f, "action",
		     "on the server, check the program (ss -ltn: is Recv-Q above 0? its log), and "
		     "what it looks up before it greets (DNS, ident, a directory)");
	if (span.meanwhile)
		finding_line(f, "against", "it greets others meanwhile");
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
	char servers[FORMAT_SERVERS], counts[FORMAT_COUNTS];
	struct finding *f;

	if (group->set.count < 2)
		return;
	f = begin_finding(g, group, KIND_SYN_PROXY, confidence_by_count(group->set.count));
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
}

/* ---- requests that do not arrive ---- */

static bool is_synack_repeated_after_ack(const struct noted_connect *n)
{
	const struct connection *c = n->c;

	/* a SYN-ACK that answers a repeated SYN proves nothing */
	return c->synack_after_ack > (c->ack != NEVER && c->syn_last > c->ack ? 1U : 0U);
}

/* Returns true if the first flight is a single segment. */
static bool is_single_segment(const struct connection *c)
{
	return c->client_payload.size && c->client_flight == c->client_payload.size;
}

/* Returns true if SYN and SYN-ACK were captured twice: before and after they were forwarded. */
static bool is_handshake_twice(const struct connection *c)
{
	return c->syn_copies >= c->syn_count && c->synack_copies && c->synack != NEVER;
}

/* Returns true if each transmission of the request was captured once. */
static bool is_request_once(const struct connection *c)
{
	return is_single_segment(c) && c->client_segments == 1 + c->client_payload.again;
}

/* Returns true if another connect shows that requests are captured twice as well. */
static bool are_requests_twice(const struct context *g)
{
	size_t i;

	for (i = 0; i < g->connect_count; i++) {
		const struct connection *c = g->connects[i].c;

		if (was_served(&g->connects[i]) && is_handshake_twice(c) && is_single_segment(c) &&
		    !c->client_payload.again && c->client_segments == 2)
			return true;
	}
	return false;
}

/* How far the requests got. */
enum whereabouts { WHERE_UNKNOWN, WHERE_LEFT, WHERE_STAYED };

static enum whereabouts where_is_request(const struct noted_connect *n, bool twice)
{
	const struct connection *c = n->c;

	if (c->client_first == NEVER)
		return WHERE_UNKNOWN;
	if (c->far.seen && c->far.synack != NEVER)
		return c->far.client_first != NEVER ? WHERE_LEFT : WHERE_STAYED;
	if (twice && is_handshake_twice(c) && is_single_segment(c))
		return is_request_once(c) ? WHERE_STAYED : WHERE_LEFT;
	return WHERE_UNKNOWN;
}

static void report_stayed(struct context *g, const struct failure_group *group)
{
	char servers[FORMAT_SERVERS], counts[FORMAT_COUNTS];
	size_t repeated = count_if(&group->set, is_synack_repeated_after_ack);
	bool is_far = group->set.at[0]->c->far.seen;
	char share[FORMAT_SHARE];
	struct finding *f;

	if (group->set.count < 2)
		return;
	f = begin_finding(g, group, KIND_DROPPED_IN_GATEWAY, confidence_by_count(group->set.count));
	if (!f)
		return;
	finding_text(f,
		     "packets after the SYN to %s come in here and do not leave: %s fail after the "
		     "handshake",
		     format_servers(servers, group), format_counts(counts, g, f, group));
	finding_line(f, "", "SYN and SYN-ACK pass%s; the ACK and the request %s",
		     is_far ? " on both sides" : ", and are captured twice each",
		     is_far ? "are not seen to leave"
			    : "are captured once: before they are forwarded, not after");
	if (repeated)
		finding_line(f, "", "on %s the server repeats its SYN-ACK: it did not get the ACK",
			     format_share(share, &group->set, repeated));
	finding_add_span(g, f, &group->set);
	finding_line(f, "action",
		     "on this gateway%s, check the forward chain (nft list ruleset), packets that "
		     "conntrack calls invalid (conntrack -S), and rp_filter",
		     is_far ? "" : " (or, behind a mirror port, on the device it mirrors)");
}

/* Returns true if the connects of the set began at different times, 1 s or more apart. */
static bool is_lasting(const struct connect_set *set)
{
	ns_t first = NEVER, last = NEVER;
	size_t i;

	for (i = 0; i < set->count; i++) {
		ns_t syn = set->at[i]->c->syn;

		first = first == NEVER || syn < first ? syn : first;
		last = last == NEVER || syn > last ? syn : last;
	}
	return first != NEVER && last - first >= (ns_t)SECOND_NS;
}

static void add_lost_evidence(struct finding *f, const struct failure_group *group, bool left)
{
	size_t repeated = count_if(&group->set, is_synack_repeated_after_ack);
	char share[FORMAT_SHARE];

	if (repeated)
		finding_line(f, "",
			     "on %s the server repeats its SYN-ACK although the ACK has passed "
			     "here, and it acknowledges no request",
			     format_share(share, &group->set, repeated));
	else
		finding_line(f, "", "the requests are repeated, and nothing acknowledges them");
	if (left)
		finding_line(f, "", "the requests left this gateway: they are lost beyond it");
	else
		finding_line(f, "",
			     "whether the requests left this gateway was not seen: watch the other "
			     "side as well (a second --iface)");
}

static void report_lost(struct context *g, const struct failure_group *group, bool left)
{
	char servers[FORMAT_SERVERS], counts[FORMAT_COUNTS];
	enum confidence confidence = confidence_by_count(group->set.count);
	bool others = group->facts.served > 0;
	struct finding *f;

	/* a path that was cut for a moment loses what is under way */
	if (group->set.count < 2 || !is_lasting(&group->set))
		return;
	if (others || !count_if(&group->set, is_synack_repeated_after_ack))
		confidence = at_most(confidence, CONFIDENCE_MEDIUM);
	f = begin_finding(g, group, KIND_REQUEST_LOST, confidence);
	if (!f)
		return;
	finding_text(f,
		     "packets after the SYN do not reach %s: the handshake seems complete, and the "
		     "request is never acknowledged, on %s",
		     format_servers(servers, group), format_counts(counts, g, f, group));
	add_lost_evidence(f, group, left);
	finding_add_span(g, f, &group->set);
	finding_line(f, "action",
		     "check whether the packets take another way than the SYN (asymmetric route, "
		     "ECMP), and filters on it for packets that conntrack calls invalid; capture "
		     "on the server: do the ACKs arrive?");
	if (!group->facts.ignores_syns)
		finding_line(f, "against",
			     "if they arrive, its accept queue is full (ss -ltn); but a full queue "
			     "ignores SYNs as well, and no SYN was ignored here");
	if (others)
		finding_line(f, "against", "%" PRIu64 " other connect%s to it %s served",
			     group->facts.served, plural(group->facts.served),
			     group->facts.served == 1 ? "was" : "were");
}

static void report_left(struct context *g, const struct failure_group *group)
{
	report_lost(g, group, true);
}

static void report_unknown(struct context *g, const struct failure_group *group)
{
	report_lost(g, group, false);
}

void report_request_lost(struct context *g, const struct failure_group *group)
{
	bool twice = are_requests_twice(g);
	struct connect_set sets[WHERE_STAYED + 1] = {};
	size_t i;

	for (i = 0; i < group->set.count; i++)
		connect_set_add(g, &sets[where_is_request(group->set.at[i], twice)],
				group->set.at[i]);
	report_by_server(g, group->kind, &sets[WHERE_STAYED], report_stayed);
	report_by_server(g, group->kind, &sets[WHERE_LEFT], report_left);
	report_by_server(g, group->kind, &sets[WHERE_UNKNOWN], report_unknown);
	for (i = 0; i <= WHERE_STAYED; i++)
		connect_set_free(&sets[i]);
}

/* ---- accept queues ---- */

/* Returns true if the server ignored a SYN of the connect, or the network lost it. */
static bool is_syn_unanswered(const struct noted_connect *n)
{
	const struct connection *c = n->c;

	return c->syn_times_count > 1 && (c->synack == NEVER || c->syn_times[1] < c->synack);
}

/*
 * Returns true if all packets of the client that should have reached the server are known not to
 * have left this gateway.
 */
static bool has_stayed(const struct context *g, const struct connect_set *set)
{
	bool twice = are_requests_twice(g);
	size_t i;

	for (i = 0; i < set->count; i++)
		if (where_is_request(set->at[i], twice) == WHERE_STAYED)
			return true;
	return false;
}

void report_accept_queue(struct context *g, const struct failure_group *group)
{
	size_t repeated = count_if(&group->set, is_synack_repeated_after_ack),
	       ignored = count_if(&group->set, is_syn_unanswered);
	char servers[FORMAT_SERVERS];
	struct finding *f;

	if (has_stayed(g, &group->set)) {
		report_request_lost(g, group);
		return;
	}
	if (!repeated || group->set.count < 2)
		return;
	/* a single SYN may have been lost on the way */
	f = begin_finding(g, group, KIND_ACCEPT_QUEUE,
			  !group->facts.ignores_syns ? CONFIDENCE_LOW
			  : ignored < 2		     ? CONFIDENCE_MEDIUM
						     : confidence_by_count(group->set.count));
	if (!f)
		return;
	finding_set_peer(f, &group->server->endpoint);
	finding_text(f, "%s %s not accept its connections: its accept queue %s full",
		     format_servers(servers, group), group->facts.ignores_syns ? "does" : "may",
		     group->facts.ignores_syns ? "is" : "may be");
	finding_line(f, "",
		     "on %zu of %" PRIu64 " connect%s it repeats the SYN-ACK although the ACK "
		     "has passed, and accepts no request; it left SYNs of %zu unanswered as well",
		     repeated, group->connects, plural(group->connects), ignored);
	finding_add_span(g, f, &group->set);
	finding_line(f, "action",
		     "on the server: ss -ltn (Recv-Q at its limit?), nstat -az "
		     "TcpExtListenOverflows; its application is too slow or hangs, or its backlog "
		     "is too short");
	if (!group->facts.ignores_syns)
		finding_line(f, "against",
			     "packets after the SYN may be lost on the way to it instead");
}
