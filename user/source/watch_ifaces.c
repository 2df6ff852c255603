// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/netdev.h"
#include "lib/format.h"
#include "source/live_internal.h"
#include "source/no_tcp.h"

/* Interval, until the first attempt, at which the traffic is checked for connections. */
#define TRAFFIC_CHECK_NS (5 * (ns_t)SECOND_NS)

/* ---- selection of interfaces ---- */

int find_ifaces(struct live *l)
{
	const struct options *o = l->options;
	struct watched *w, *other;

	for (l->count = 0; l->count < o->iface_count; l->count++) {
		w = &l->watched[l->count];
		w->requested = o->ifaces[l->count];
		w->hook = HOOK_NONE;
		if (netdev_find(&w->netdev, w->requested))
			return -1;
		other = watched_of(l, w->netdev.index);
		if (other) {
			fprintf(stderr, "probe: %s and %s are the same interface\n",
				other->requested, w->requested);
			return -1;
		}
		w->session_iface = session_add_iface(l->session, w->requested);
	}
	return 0;
}

/* Appends a name to the list, which is truncated if it is too long. */
static void add_unwatched(struct session *session, const char *name)
{
	size_t used = strlen(session->unwatched);

	snprintf(session->unwatched + used, sizeof(session->unwatched) - used, "%s%s",
		 used ? ", " : "", format_name(name));
}

static int add_followed(struct live *l, const char *name)
{
	struct followed *f = &l->followed[l->followed_count];

	f->hook = HOOK_NONE;
	if (netdev_find(&f->netdev, name))
		return 0; /* the error was printed; SYNs that leave there are not seen */
	f->session_iface = &l->session->followed[l->followed_count++];
	f->session_iface->name = strdup(f->netdev.name);
	f->session_iface->index = f->netdev.index;
	return f->session_iface->name ? 0 : -ENOMEM;
}

static int follow_ifaces(struct live *l, char names[][IFNAMSIZ], unsigned int count)
{
	unsigned int i;
	int error = 0;

	l->followed = calloc(count, sizeof(*l->followed));
	l->session->followed = calloc(count, sizeof(*l->session->followed));
	if (!l->followed || !l->session->followed)
		error = -ENOMEM;
	for (i = 0; i < count && !error; i++)
		error = add_followed(l, names[i]);
	if (error) {
		fprintf(stderr, "probe: out of memory\n");
		return -1;
	}
	l->session->followed_count = l->followed_count;
	return 0;
}

int find_other_ifaces(struct live *l)
{
	char others[MAX_OTHERS][IFNAMSIZ];
	unsigned int i, count;

	count = netdev_others(others, l->session);
	if (l->options->follow_peers)
		return count ? follow_ifaces(l, others, count) : 0;
	for (i = 0; i < count; i++)
		add_unwatched(l->session, others[i]);
	return 0;
}

struct watched *watched_of(struct live *l, int ifindex)
{
	unsigned int i;

	for (i = 0; i < l->count; i++)
		if (l->watched[i].netdev.index == ifindex)
			return &l->watched[i];
	return NULL;
}

/* ---- attach and detach ---- */

static int attach_watched(struct live *l, struct watched *w)
{
	const struct bpf_program *in = l->bpf->progs.probe_ingress;
	const struct bpf_program *out = l->bpf->progs.probe_egress;
	int programs[DIRECTIONS], status;

	if (w->netdev.raw_ip) {
		in = w->netdev.tunnel_headers ? l->bpf->progs.probe_ingress_inner
					      : l->bpf->progs.probe_ingress_ip;
		out = l->bpf->progs.probe_egress_ip;
	}
	programs[INGRESS] = bpf_program__fd(in);
	programs[EGRESS] = bpf_program__fd(out);
	status = hook_attach(&w->hook, w->netdev.name, w->netdev.index, l->options->hook, programs);
	w->session_iface->index = w->netdev.index;
	w->session_iface->hook = w->hook.name;
	w->session_iface->hook_reason = w->hook.not_tcx;
	w->session_iface->link = w->netdev.link;
	return status;
}

static int attach_followed(struct live *l, struct followed *f)
{
	const struct bpf_program *out = f->netdev.raw_ip ? l->bpf->progs.probe_egress_syn_ip
							 : l->bpf->progs.probe_egress_syn;
	int programs[DIRECTIONS] = { -1, bpf_program__fd(out) };

	return hook_attach(&f->hook, f->netdev.name, f->netdev.index, l->options->hook, programs);
}

static void start_watchdogs(struct live *l, struct watched *w, const struct netdev_state *link)
{
	int d;

	w->bytes = w->bytes_before = link->bytes;
	w->packets_before = link->packets[INGRESS] + link->packets[EGRESS];
	w->up = link->up;
	w->down_since = link->up ? NEVER : live_now(l);
	w->mtu = link->mtu;
	w->xdp = link->xdp;
	for (d = 0; d < DIRECTIONS; d++)
		hook_watchdog_start(&w->watchdog[d], link->packets[d], live_now(l));
}

static int start_watching(struct live *l, struct watched *w)
{
	struct netdev_state link;
	bool qdisc;

	if (!l->options->doctor) /* which changes nothing */
		w->leftover.error = clsact_reap(w->netdev.index, &w->leftover.filters, &qdisc);
	if (netdev_query(&link, w->netdev.index, NULL))
		link = (struct netdev_state){ .up = true };
	start_watchdogs(l, w, &link);
	return attach_watched(l, w);
}

int attach_ifaces(struct live *l)
{
	unsigned int i;

	for (i = 0; i < l->count; i++)
		if (start_watching(l, &l->watched[i]))
			return -1;
	for (i = 0; i < l->followed_count; i++)
		if (attach_followed(l, &l->followed[i]))
			return -1;
	return 0;
}

void detach_ifaces(struct live *l)
{
	unsigned int i;

	for (i = 0; i < l->followed_count; i++)
		hook_detach(&l->followed[i].hook);
	for (i = 0; i < l->count; i++)
		hook_detach(&l->watched[i].hook);
}

bool is_filter_attached(const struct live *l)
{
	unsigned int i;

	for (i = 0; i < l->count; i++)
		if (l->watched[i].hook.clsact.owner >= 0)
			return true;
	for (i = 0; i < l->followed_count; i++)
		if (l->followed[i].hook.clsact.owner >= 0)
			return true;
	return false;
}

/*
 * Reports that the interface is a member of a bond or bridge. A member of a bond carries only some
 * packets, and the two directions of a flow may use different members.
 */
static void notice_member(struct live *l, struct watched *w)
{
	struct netdev_state link, master;

	if (netdev_query(&link, w->netdev.index, NULL) || !link.master ||
	    !strcmp(link.master_kind, "vrf"))
		return;
	w->session_iface->is_part = true;
	if (strcmp(link.master_kind, "bond") && strcmp(link.master_kind, "team"))
		return;
	if (netdev_query(&master, link.master, NULL))
		strcpy(master.name, "it");
	live_notice(
		l,
		"%s is a member of the %s %s and carries only some of its packets; some connections are seen in one direction only. Watch %s",
		w->netdev.name, link.master_kind, master.name, master.name);
}

static void notice_leftover(struct live *l, const struct watched *w)
{
	if (w->leftover.filters)
		live_notice(l, "removed %d filter%s that a killed run had left on %s",
			    w->leftover.filters, plural(w->leftover.filters), w->netdev.name);
	if (w->leftover.error)
		live_notice(l, "could not check %s for leftovers of a killed run: %s",
			    w->netdev.name, strerror(-w->leftover.error));
}

void notice_ifaces(struct live *l)
{
	unsigned int i;

	for (i = 0; i < l->count; i++) {
		if (!l->watched[i].up)
			live_notice(l, "%s is down: no packets pass", l->watched[i].netdev.name);
		notice_member(l, &l->watched[i]);
		notice_leftover(l, &l->watched[i]);
	}
}

/* ---- blindness ---- */

static const char *const verbs[DIRECTIONS] = { "receives", "sends" };

static void notice_blind(struct live *l, const struct watched *w, const struct netdev_state *link,
			 int direction)
{
	static const char *const sides[DIRECTIONS] = { "ingress", "egress" };
	char why[1536];

	hook_explain_blind(&w->hook, w->netdev.name, direction, link->xdp, why, sizeof(why));
	live_notice(l,
		    "BLIND to what %s %s: it counts packets, and none reaches the hook (%s %s). %s",
		    w->netdev.name, verbs[direction], w->hook.name, sides[direction], why);
}

/* Looks for a reason why no connection can be seen. It is called until the first attempt. */
static void check_traffic(struct live *l)
{
	char text[sizeof(l->session->no_tcp_reason)];
	ns_t now = live_now(l);

	if (l->next_traffic_check == NEVER || now < l->next_traffic_check)
		return;
	l->next_traffic_check = now + TRAFFIC_CHECK_NS;
	read_ethertypes(l);
	if (l->session->counters[COUNT_ATTEMPTS]) {
		l->next_traffic_check = NEVER;
	} else if (explain_no_tcp(l->session, l->packets_passed, l->bytes_passed, text,
				  sizeof(text))) {
		l->next_traffic_check = NEVER;
		strcpy(l->session->no_tcp_reason, text);
		live_notice(l, "%s: %s", l->session->from, text);
	}
}

static void poll_iface(struct live *l, struct watched *w, const bool *active)
{
	struct netdev_state link;
	ns_t now = live_now(l);
	int d;

	if (w->away || netdev_query(&link, w->netdev.index, NULL))
		return;
	if (link.bytes > w->bytes)
		l->session->bytes += link.bytes - w->bytes;
	w->bytes = link.bytes;
	l->packets_passed += link.packets[INGRESS] + link.packets[EGRESS] - w->packets_before;
	l->bytes_passed += link.bytes - w->bytes_before;
	for (d = 0; d < DIRECTIONS; d++) {
		w->session_iface->seen[d] |= active[d];
		switch (hook_watchdog_check(&w->watchdog[d], active[d], link.packets[d], now)) {
		case HOOK_BLIND:
			notice_blind(l, w, &link, d);
			break;
		case HOOK_SEES_AGAIN:
			live_notice(l, "the hook sees again what %s %s", w->netdev.name, verbs[d]);
			break;
		case HOOK_UNCHANGED:
			break;
		}
	}
}

/* Returns the flag that the hook of this interface and direction sets on each packet. */
static volatile bool *active_flag(struct live *l, const struct watched *w, int direction)
{
	return &l->bpf->bss->active[l->count > 1 ? activity_index(w->netdev.index) : 0][direction];
}

/*
 * The flags are read before the counters, so that a packet between the two counts as seen at the
 * next poll. Two interfaces may share a flag, so all flags are read before any is cleared.
 */
void poll_ifaces(struct live *l)
{
	bool active[MAX_IFACES][DIRECTIONS] = {};
	unsigned int i;
	int d;

	for (i = 0; i < l->count; i++)
		for (d = 0; d < DIRECTIONS; d++)
			active[i][d] = *active_flag(l, &l->watched[i], d);
	for (i = 0; i < l->count; i++)
		for (d = 0; d < DIRECTIONS; d++)
			if (active[i][d])
				*active_flag(l, &l->watched[i], d) = false;
	l->packets_passed = l->bytes_passed = 0;
	for (i = 0; i < l->count; i++)
		poll_iface(l, &l->watched[i], active[i]);
	check_traffic(l);
}

static void end_downtime(struct watched *w, ns_t now)
{
	if (w->down_since != NEVER && now > w->down_since)
		w->session_iface->down += now - w->down_since;
	w->down_since = NEVER;
}

void summarize_ifaces(struct live *l)
{
	struct watched *w;
	unsigned int i;
	int d;

	for (w = l->watched; w < l->watched + l->count; w++) {
		end_downtime(w, l->session->duration);
		for (d = 0; d < DIRECTIONS; d++)
			w->session_iface->blind[d] =
				hook_watchdog_blind_time(&w->watchdog[d], l->session->duration);
	}
	for (i = 0; i < l->followed_count && l->bpf->bss->egress_syns_incomplete; i++)
		add_unwatched(l->session, l->followed[i].netdev.name);
}

/* ---- interfaces that change ---- */

static void went_away(struct live *l, struct watched *w, const struct netdev_state *link)
{
	const char *what = link->moved ? "was moved to another network namespace" : "went away";
	int d;

	w->session_iface->was_away = true;
	if (w->down_since == NEVER)
		w->down_since = live_now(l);
	for (d = 0; d < DIRECTIONS; d++) /* an interface that is gone is not blind */
		hook_watchdog_start(&w->watchdog[d], 0, live_now(l));
	/* the event for the removal has the final counters */
	if (link->bytes > w->bytes)
		l->session->bytes += link->bytes - w->bytes;
	hook_detach(&w->hook);
	if (!l->options->follow) {
		live_end(l, "%s %s", w->netdev.name, what);
		return;
	}
	w->away = true;
	live_notice(l, "%s %s; waiting for it to come back", w->netdev.name, what);
}

static void came_back(struct live *l, struct watched *w, const struct netdev_state *link)
{
	struct netdev_state still;

	if (netdev_from_link(&w->netdev, link) || attach_watched(l, w)) {
		if (!netdev_query(&still, link->index, NULL))
			live_end(l, "%s came back and cannot be watched", link->name);
		return;
	}
	w->away = false;
	end_downtime(w, live_now(l));
	netdev_own_addresses(l->session);
	start_watchdogs(l, w, link);
	live_notice(l, "%s is back (%s, %s)", w->netdev.name, w->netdev.link, w->hook.name);
}

/* Reports changes of what passes: the state, the MTU, and an XDP program. */
static void notice_changes(struct live *l, struct watched *w, const struct netdev_state *link)
{
	const char *name = w->netdev.name;

	if (link->up && !w->up) {
		live_notice(l, "%s is up again", name);
		end_downtime(w, live_now(l));
	} else if (!link->up && w->up) {
		live_notice(l, "%s is down", name);
		w->down_since = live_now(l);
	}
	if (link->mtu != w->mtu)
		live_notice(l, "the MTU of %s changed from %u to %u", name, w->mtu, link->mtu);
	if (link->xdp && link->xdp != w->xdp)
		live_notice(l,
			    "the XDP program with id %u was attached to %s: what it drops or "
			    "redirects is not seen here",
			    link->xdp, name);
	else if (!link->xdp && w->xdp)
		live_notice(l, "the XDP program was removed from %s", name);
	w->up = link->up;
	w->mtu = link->mtu;
	w->xdp = link->xdp;
}

static void update_watched(struct live *l, struct watched *w, const struct netdev_state *link)
{
	struct netdev_state now;

	if (w->away) {
		/* the event may be outdated, and refer to the interface that is gone */
		if (!link->gone && !strcmp(link->name, w->requested) &&
		    !netdev_query(&now, 0, w->requested))
			came_back(l, w, &now);
		return;
	}
	if (link->index != w->netdev.index)
		return;
	if (link->gone) {
		went_away(l, w, link);
		return;
	}
	if (link->name[0] && strcmp(link->name, w->netdev.name)) {
		live_notice(l, "%s was renamed to %s", w->netdev.name, link->name);
		strcpy(w->netdev.name, link->name);
	}
	notice_changes(l, w, link);
}

static void on_link_event(void *context, const struct netdev_state *link)
{
	struct live *l = context;
	unsigned int i;

	for (i = 0; i < l->followed_count; i++)
		if (link->gone && link->index == l->followed[i].netdev.index)
			l->followed[i].session_iface->was_away = true;
	for (i = 0; i < l->count && !l->ended; i++)
		update_watched(l, &l->watched[i], link);
}

/* Queries the state of all links after the kernel dropped events. */
static void query_links(struct live *l)
{
	struct netdev_state link;
	unsigned int i;
	int error;

	for (i = 0; i < l->count && !l->ended; i++) {
		struct watched *w = &l->watched[i];

		link = (struct netdev_state){ .index = w->netdev.index };
		error = w->away ? netdev_query(&link, 0, w->requested)
				: netdev_query(&link, w->netdev.index, NULL);
		link.gone = error == -ENODEV;
		if (!error || link.gone)
			update_watched(l, w, &link);
	}
}

void handle_link_events(struct live *l)
{
	if (!netdev_events_read(l->link_events, on_link_event, l))
		query_links(l);
}
