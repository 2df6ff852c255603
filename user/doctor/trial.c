// SPDX-License-Identifier: GPL-2.0
/*
 * A run of a few seconds with the real programs. It shows whether they load and attach, whether
 * packets reach the hooks, and which kinds. Nothing of it is kept.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/checks.h"
#include "host/counter_text.h"
#include "host/drop_counters.h"
#include "host/netdev.h"
#include "lib/ethertype.h"
#include "lib/format.h"
#include "source/live.h"
#include "source/sink.h"

#define SECONDS 2.0 /* duration of the trial, unless --duration sets it */
#define SIGNIFICANT 20 /* packets of which the hook must have seen one */
#define ONE_SIDED 20 /* times as many packets in one direction as in the other */

struct trial {
	struct session session;
	struct drop_counters *drops;
	uint64_t syns[DIRECTIONS];
	uint64_t synacks[DIRECTIONS];
	uint64_t synacks_alone; /* whose SYN was not seen */
	uint64_t attempts;
	uint64_t dns[DIRECTIONS];
	uint64_t of_other_hosts; /* attempts whose SYN was sent to another machine's MAC */
	uint64_t from_this_host; /* attempts whose client has an address of this host */
	uint64_t translated; /* such attempts whose client conntrack knows */
};

/* ---- the sink of the run ---- */

static void on_started(void *context)
{
	struct trial *t = context;

	if (t->drops)
		drop_counters_start(t->drops);
}

static void on_settled(void *context, const struct connection *c)
{
	struct trial *t = context;

	t->attempts++;
	t->syns[c->syn_egress ? EGRESS : INGRESS] += c->syn_count;
	if (c->synack_count)
		t->synacks[c->synack_egress ? EGRESS : INGRESS] += c->synack_count;
	t->of_other_hosts += c->other_host;
	if (c->nat_endpoint.port)
		t->translated++;
	else if (session_is_own_address(&t->session, &c->client.address))
		t->from_this_host++;
}

static void on_synack_alone(void *context, const struct connection *c)
{
	struct trial *t = context;

	(void)c;
	t->synacks_alone++;
}

static void on_dns(void *context, const struct dns_head *head, const uint8_t *bytes, uint64_t start,
		   int link)
{
	struct trial *t = context;

	(void)bytes;
	(void)start;
	(void)link;
	t->dns[head->flags & DNS_EGRESS ? EGRESS : INGRESS]++;
}

static void on_dns_gap(void *context, ns_t from, ns_t until)
{
	(void)context;
	(void)from;
	(void)until;
}

static void on_opening(void *context, const struct connection *c)
{
	(void)context;
	(void)c;
}

static bool on_swept(void *context, ns_t now)
{
	(void)context;
	(void)now;
	return true;
}

/* Notices may contain addresses: the sheet has its own words for what they report. */
static void on_notice(void *context, ns_t now, const char *text)
{
	(void)context;
	(void)now;
	(void)text;
}

static int run_trial(struct trial *t, const struct link *l, const struct options *o)
{
	struct options options = *o;
	const struct sink sink = { .started = on_started,
				   .settled = on_settled,
				   .synack_alone = on_synack_alone,
				   .dns = on_dns,
				   .dns_gap = on_dns_gap,
				   .opening = on_opening,
				   .swept = on_swept,
				   .notice = on_notice,
				   .context = t };

	options.ifaces[0] = l->name;
	options.iface_count = 1;
	options.duration = o->duration > 0 ? o->duration : SECONDS;
	options.follow = options.follow_peers = options.verbose = false;
	return live_run(&options, &t->session, &sink);
}

/* ---- what was seen ---- */

static const char *const verbs[DIRECTIONS] = { "received", "sent" };

static void report_blind(struct sheet *s, const struct trial *t, const struct link *l,
			 const uint64_t packets[DIRECTIONS])
{
	int d;

	for (d = 0; d < DIRECTIONS; d++) {
		if (packets[d] < SIGNIFICANT || t->session.interfaces[0].seen[d])
			continue;
		sheet_remark(s, LEVEL_ERROR,
			     "BLIND: %s %s %" PRIu64 " packets, and none reached the hook (%s)",
			     format_name(l->name), verbs[d], packets[d],
			     t->session.interfaces[0].hook);
		sheet_action(s, "see the programs above that run before probe, XDP and flow "
				"offload; or watch another interface");
	}
}

/*
 * Reports that (nearly) all packets pass in one direction. Only SYNs without answers make it a
 * warning: a stream of UDP may be one-way.
 */
static void report_direction(struct sheet *s, const struct trial *t, const struct link *l,
			     const uint64_t packets[DIRECTIONS])
{
	int most = packets[EGRESS] > packets[INGRESS] ? EGRESS : INGRESS;
	bool is_limited = t->syns[most] && !t->synacks[!most];

	if (packets[most] < SIGNIFICANT || packets[!most] * ONE_SIDED > packets[most])
		return;
	sheet_remark(s, is_limited ? LEVEL_WARNING : LEVEL_NOTE,
		     most == INGRESS
			     ? "packets come in on %s, and hardly any leave: a mirror port, or "
			       "the answers take another interface"
			     : "packets leave on %s, and hardly any come in: the other end is "
			       "silent, or the answers take another interface",
		     format_name(l->name));
	sheet_action(s, most == INGRESS
				? "on a mirror port, mirror both directions; else watch the "
				  "other interface as well (-i A -i B)"
				: "check the cable, the port and the routes; or watch the other "
				  "interface as well (-i A -i B)");
}

static void report_syns(struct sheet *s, const struct trial *t)
{
	uint64_t syns = t->syns[INGRESS] + t->syns[EGRESS];
	uint64_t synacks = t->synacks[INGRESS] + t->synacks[EGRESS];

	if (t->synacks_alone >= SIGNIFICANT && !syns)
		sheet_remark(s, LEVEL_WARNING,
			     "%" PRIu64 " SYN-ACKs without SYNs: the SYNs take another interface "
			     "(asymmetric routing)",
			     t->synacks_alone);
	if (!syns)
		return;
	sheet_remark(s, LEVEL_OK,
		     "%" PRIu64 " SYN%s in, %" PRIu64 " out; %" PRIu64 " SYN-ACK%s in, %" PRIu64
		     " out; %" PRIu64 " attempt%s",
		     t->syns[INGRESS], plural(t->syns[INGRESS]), t->syns[EGRESS],
		     t->synacks[INGRESS], plural(t->synacks[INGRESS]), t->synacks[EGRESS],
		     t->attempts, plural(t->attempts));
	if (syns >= SIGNIFICANT && !synacks)
		sheet_remark(s, LEVEL_WARNING,
			     "no SYN is answered here: the servers are silent, or the answers take "
			     "another interface (asymmetric routing)");
	if (t->of_other_hosts * 2 > t->attempts)
		sheet_remark(s, LEVEL_NOTE,
			     "most SYNs are sent to the MACs of other machines: a mirror port, a "
			     "bridge, or the device below a macvlan");
}

static void report_nat(struct sheet *s, const struct trial *t)
{
	if (t->session.nat.known)
		sheet_remark(s, LEVEL_OK,
			     "conntrack can be read: clients behind this host's NAT are known");
	if (t->translated)
		sheet_remark(
			s, LEVEL_OK,
			"outer side of this host's NAT: conntrack knows the clients of %" PRIu64
			" of %" PRIu64 " attempts",
			t->translated, t->attempts);
	else if (t->from_this_host * 2 > t->attempts && t->attempts)
		sheet_remark(
			s, LEVEL_NOTE,
			"most attempts are this host's own, or those of clients behind its NAT "
			"that conntrack does not know%s%s",
			t->session.nat.unknown ? ": " : "",
			t->session.nat.unknown ? t->session.nat.unknown : "");
	else if (!t->attempts && t->session.nat.unknown)
		sheet_remark(s, LEVEL_NOTE, "%s", t->session.nat.unknown);
}

/* Reports what passes instead of TCP and DNS. */
static void report_protocols(struct sheet *s, const struct trial *t)
{
	const uint64_t *c = t->session.counters;
	const struct unknown_ethertype *e = &t->session.ethertypes[0];
	const char *name = ethertype_name(e->ethertype);

	if (t->dns[INGRESS] + t->dns[EGRESS])
		sheet_remark(s, LEVEL_OK, "DNS packets: %" PRIu64 " in, %" PRIu64 " out",
			     t->dns[INGRESS], t->dns[EGRESS]);
	if (c[COUNT_ALREADY_OPEN])
		sheet_remark(s, LEVEL_OK,
			     "%" PRIu64 " connection%s opened before the trial also ended",
			     c[COUNT_ALREADY_OPEN], plural(c[COUNT_ALREADY_OPEN]));
	if (c[COUNT_IP_OTHER])
		sheet_remark(s, LEVEL_NOTE,
			     "%" PRIu64 " packets of other IP protocols (tunnels such as ESP, GRE "
			     "and IPIP, or routing): watch the tunnel's own device to see inside",
			     c[COUNT_IP_OTHER]);
	if (c[COUNT_UNKNOWN_LINK])
		sheet_remark(s, LEVEL_NOTE,
			     "%" PRIu64 " packets are neither IPv4 nor IPv6, most of ethertype "
			     "0x%04x%s%s%s",
			     c[COUNT_UNKNOWN_LINK], e->ethertype, name ? " (" : "",
			     name ? name : "", name ? ")" : "");
	if (c[COUNT_MALFORMED] + c[COUNT_LOST_TRUNCATED])
		sheet_remark(s, LEVEL_NOTE, "%" PRIu64 " packets could not be parsed",
			     c[COUNT_MALFORMED] + c[COUNT_LOST_TRUNCATED]);
	if (session_losses(&t->session)) {
		sheet_remark(s, LEVEL_WARNING, "probe lost %" PRIu64 " records or packets",
			     session_losses(&t->session));
		sheet_action(s, "try larger --max-flows and --ring-size");
	}
}

static void report_seen(struct sheet *s, const struct trial *t, const struct link *l,
			const uint64_t packets[DIRECTIONS])
{
	const struct session_iface *i = &t->session.interfaces[0];
	char span[FORMAT_DURATION];

	format_duration(span, t->session.duration);
	sheet_remark(s, LEVEL_OK, "loaded, attached (%s, %s) and detached after %s", i->hook,
		     i->link, span);
	if (!packets[INGRESS] && !packets[EGRESS]) {
		sheet_remark(s, LEVEL_WARNING,
			     "no packet passed in %s: %s is idle, or the clients are elsewhere",
			     span, format_name(l->name));
		sheet_action(s, "open a connection from a client and repeat, with -d 10 for more "
				"time; probe -D lists the interfaces");
		return;
	}
	sheet_remark(s, LEVEL_OK,
		     "%s received %" PRIu64 " packets and sent %" PRIu64
		     "; the hooks saw packets %s",
		     format_name(l->name), packets[INGRESS], packets[EGRESS],
		     i->seen[INGRESS] && i->seen[EGRESS] ? "in both directions"
		     : i->seen[INGRESS]			 ? "that come in only"
		     : i->seen[EGRESS]			 ? "that leave only"
							 : "in neither direction");
	report_blind(s, t, l, packets);
	report_direction(s, t, l, packets);
	report_syns(s, t);
	report_protocols(s, t);
	report_nat(s, t);
	if (!t->attempts && !t->session.counters[COUNT_ALREADY_OPEN])
		sheet_remark(s, LEVEL_NOTE,
			     "no TCP connection was opened meanwhile: repeat it while a client "
			     "opens one");
}

/* ---- drops of this host ---- */

static bool is_about(const struct drop_growth *g, const struct link *l)
{
	return !g->ifindex || g->ifindex == (uint32_t)l->index;
}

static const struct drop_growth *growth_of(const struct host_drops *drops,
					   const struct drop_growth *like)
{
	size_t i;

	for (i = 0; i < drops->count; i++)
		if (drops->grown[i].counter == like->counter &&
		    drops->grown[i].ifindex == like->ifindex &&
		    !strcmp(drops->grown[i].kind, like->kind))
			return &drops->grown[i];
	return NULL;
}

static void report_drops(struct sheet *s, const struct trial *t, const struct link *l)
{
	static struct host_drops total, now;
	const struct drop_counter_info *info;
	const struct drop_growth *g, *growth;
	unsigned int shown = 0;

	drop_counters_totals(t->drops, l->index, &total);
	drop_counters_end(t->drops, &now);
	for (g = total.grown; g < total.grown + total.count; g++) {
		info = &drop_counter_infos[g->counter];
		growth = growth_of(&now, g);
		if (!is_about(g, l) || (!info->is_loss && !growth))
			continue;
		sheet_remark(s, growth && info->is_loss ? LEVEL_WARNING : LEVEL_NOTE,
			     "%s%s%s%s: %" PRIu64 " since the start, %" PRIu64
			     " more during the trial (%s)",
			     info->text, g->kind[0] ? " (" : "",
			     g->kind[0] ? format_name(g->kind) : "", g->kind[0] ? ")" : "",
			     g->count, growth ? growth->count : 0, info->name);
		if (growth && info->is_loss)
			sheet_action(s, "%s", info->action);
		shown++;
	}
	if (!shown)
		sheet_remark(s, LEVEL_OK, "this host has counted no lost packets");
}

/* ---- the check ---- */

static void read_packets(uint64_t packets[DIRECTIONS], const struct link *l)
{
	struct netdev_state state;

	if (netdev_query(&state, l->index, NULL))
		state = (struct netdev_state){};
	memcpy(packets, state.packets, sizeof(state.packets));
}

/* Runs the trial. Returns its status, and the packets of the interface meanwhile. */
static int measure(struct trial *t, const struct link *l, const struct options *o,
		   uint64_t packets[DIRECTIONS])
{
	uint64_t before[DIRECTIONS];
	int d, status;

	read_packets(before, l);
	status = run_trial(t, l, o);
	read_packets(packets, l);
	for (d = 0; d < DIRECTIONS; d++)
		packets[d] = growth_between(before[d], packets[d], 64);
	return status;
}

void check_packets(struct sheet *s, const struct link *l, const struct options *o, bool may_run)
{
	static struct trial t; /* the session is large */
	uint64_t packets[DIRECTIONS] = {};
	int status = -1;

	sheet_section(s, "Packets");
	fflush(s->out); /* a message of the trial goes to standard error */
	t.drops = drop_counters_open();
	if (may_run)
		status = measure(&t, l, o, packets);
	if (!may_run)
		sheet_remark(s, LEVEL_NOTE, "not tried: see the errors above");
	else if (status)
		sheet_remark(s, LEVEL_ERROR, "the trial run failed: see the message of probe");
	else if (t.session.cut)
		sheet_remark(s, LEVEL_ERROR, "the trial run ended early: %s", t.session.cut);
	else
		report_seen(s, &t, l, packets);
	sheet_section(s, "Drops of this host");
	if (t.drops && status) /* the trial did not start them */
		drop_counters_start(t.drops);
	if (t.drops)
		report_drops(s, &t, l);
	drop_counters_close(t.drops);
}
