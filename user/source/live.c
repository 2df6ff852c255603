// SPDX-License-Identifier: GPL-2.0
#include "source/live.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "host/conntrack.h"
#include "host/ipsec.h"
#include "host/netdev.h"
#include "lib/clock.h"
#include "privileges.h"
#include "seccomp_filter.h"
#include "source/live_internal.h"

#define SWEEP_NS (250 * (ns_t)MILLISECOND_NS)
#define FIRST_TRAFFIC_CHECK_NS (5 * (ns_t)SECOND_NS)

ns_t live_now(const struct live *l)
{
	return monotonic_ns() - l->start;
}

void live_notice(struct live *l, const char *format, ...)
{
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	l->sink->notice(l->sink->context, live_now(l), text);
}

void live_end(struct live *l, const char *format, ...)
{
	static char why[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	l->session->cut = why;
	l->ended = true;
}

/* ---- start ---- */

static void print_costs(const struct live *l, uint64_t began)
{
	fprintf(stderr,
		"probe: attached after %.0f ms; maps take %.1f MiB, for %u attempts at the same time\n",
		(monotonic_ns() - began) / 1e6, bpf_map_bytes(l->bpf) / 1048576.0,
		l->options->max_flows);
}

/*
 * Returns true if this process may read maps and run the settling program. It needs no other bpf()
 * commands from here on.
 */
static bool can_settle(void *context)
{
	static uint8_t frame[64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));
	struct live *l = context;
	uint32_t position, count = 1;

	l->bpf->bss->candidate_next = CANDIDATES; /* the program then settles no candidate */
	if (bpf_map_lookup_batch(bpf_map__fd(l->bpf->maps.flows), NULL, &position, l->slots,
				 l->flows, &count, NULL) &&
	    errno == EPERM)
		return false;
	return !bpf_prog_test_run_opts(bpf_program__fd(l->bpf->progs.settle_candidate), &opts) ||
	       errno != EPERM;
}

/*
 * Drops privileges, except those needed to remove filters at the end, and with --follow to attach
 * to an interface that comes back.
 */
static void drop_privileges(struct live *l)
{
	bool filters = is_filter_attached(l);
	unsigned int what = SECCOMP_LIVE;
	uint64_t keep = 0;

	if (filters || conntrack_needs_privileges(l->conntrack))
		keep |= CAP_MASK(CAP_NET_ADMIN);
	if (filters || l->options->follow)
		what |= SECCOMP_FILTERS;
	libbpf_num_possible_cpus(); /* call it now: the first call reads a file */
	privileges_drop(keep, can_settle, l, what, l->options->verbose);
}

/*
 * Subscribes to link and conntrack events. This comes before the attach, so that no change in
 * between is missed.
 */
static int subscribe(struct live *l)
{
	struct nat *nat = &l->session->nat;

	l->link_events = netdev_events_open();
	if (catch_signals() < 0) {
		fprintf(stderr, "probe: cannot catch signals: %s\n", strerror(errno));
		return -1;
	}
	netdev_own_addresses(l->session);
	netdev_private_addresses(nat->inner, sizeof(nat->inner), l->watched[0].requested);
	l->conntrack = conntrack_open(&nat->unknown);
	nat->known = l->conntrack;
	return 0;
}

static void start_clocks(struct live *l)
{
	struct utsname u;

	uname(&u);
	snprintf(l->session->kernel, sizeof(l->session->kernel), "%s", u.release);
	snprintf(l->session->gateway, sizeof(l->session->gateway), "%s", u.nodename);
	clock_gettime(CLOCK_REALTIME, &l->session->start);
	l->start = monotonic_ns();
	l->suspended = clock_ns(CLOCK_BOOTTIME) - l->start;
}

static int start(struct live *l)
{
	uint64_t began = monotonic_ns();

	l->session->ipsec = ipsec_is_used();
	if (find_other_ifaces(l) || bpf_load(l) || drain_open(l) || subscribe(l))
		return -1;
	start_clocks(l);
	if (attach_ifaces(l))
		return -1;
	l->attached = live_now(l);
	if (l->options->verbose)
		print_costs(l, began);
	drop_privileges(l);
	l->sink->started(l->sink->context);
	notice_ifaces(l);
	return 0;
}

/* ---- run ---- */

static void notice_suspend(struct live *l)
{
	int64_t suspended =
		(int64_t)(clock_ns(CLOCK_BOOTTIME) - clock_ns(CLOCK_MONOTONIC)) - l->suspended;

	if (suspended < (int64_t)SECOND_NS)
		return;
	l->suspended += suspended;
	live_notice(
		l,
		"this machine was suspended for %.0f s: durations exclude them, and later times of day are too early by as much",
		suspended / 1e9);
}

/* Sweeps at a rate that takes at most a tenth of the time. */
void live_tick(struct live *l)
{
	uint64_t now = monotonic_ns(), took;

	drain_records(l);
	l->session->duration = now - l->start;
	if (l->options->duration > 0 &&
	    now - l->start >= (uint64_t)(l->options->duration * SECOND_NS))
		l->ended = true;
	if (now < l->next_sweep)
		return;
	if (is_any_opening(l))
		sweep_flows(l);
	else
		l->bpf->bss->under_pressure = false;
	poll_ifaces(l);
	notice_suspend(l);
	if (!l->sink->swept(l->sink->context, now - l->start))
		l->ended = true;
	else if (l->sink->is_interim && l->sink->is_interim(l->sink->context))
		l->is_interim = l->ended = true;
	took = monotonic_ns() - now;
	l->next_sweep = now + (took * 10 > SWEEP_NS ? took * 10 : SWEEP_NS);
}

/* ---- end ---- */

/* Detaches, and settles all remaining flows. */
static void settle_all(struct live *l)
{
	poll_ifaces(l);
	l->detaching = live_now(l);
	detach_ifaces(l);
	l->session->duration = live_now(l);
	drain_records(l);
	l->bpf->bss->run_ending = true;
	sweep_flows(l);
}

static void complete_session(struct live *l)
{
	read_counters(l->bpf, l->session->counters);
	l->session->nat.lost = conntrack_lost(l->conntrack);
	read_ethertypes(l);
	read_resets(l);
	summarize_ifaces(l);
}

static void release(struct live *l)
{
	detach_ifaces(l);
	drain_close(l);
	probe_bpf__destroy(l->bpf);
	conntrack_close(l->conntrack);
	if (l->link_events)
		mnl_socket_close(l->link_events);
	free(l->followed);
}

int live_run(const struct options *o, struct session *session, const struct sink *sink)
{
	struct live l = { .options = o,
			  .session = session,
			  .sink = sink,
			  .detaching = INT64_MAX,
			  .next_traffic_check = FIRST_TRAFFIC_CHECK_NS };
	int status = -1;

	bpf_load_init(o->verbose);
	if (!find_ifaces(&l) && !start(&l)) {
		status = run_event_loop(&l);
		if (l.is_interim) {
			if (l.conntrack)
				conntrack_freeze(l.conntrack);
			settle_copies(&l);
		} else {
			settle_all(&l);
		}
		complete_session(&l);
	}
	if (!l.is_interim) /* whose hooks are its parent's */
		release(&l);
	return status;
}
