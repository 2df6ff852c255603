/* SPDX-License-Identifier: GPL-2.0 */
/* The parts of a live run, for the files that implement it: live.c is its story, the others its steps. */
#pragma once

#include <bpf/libbpf.h>

#include "host/netdev.h"
#include "options.h"
#include "session.h"
#include "source/attach.h"
#include "source/flow_table.h"
#include "source/hook_watchdog.h"
#include "source/sink.h"

/* Result of the search for filters that a killed run left on an interface. */
struct leftover {
	int filters; /* removed */
	int error; /* a negative errno, or 0 */
};

/* An interface that is watched. */
struct watched {
	const char *requested; /* the name given by --iface */
	struct netdev netdev;
	struct hook hook;
	struct leftover leftover;
	bool up; /* as last reported */
	bool away; /* --follow: it has gone, and may come back */
	struct hook_watchdog watchdog[DIRECTIONS];
	uint64_t bytes; /* the interface's counter at the last poll */
	uint64_t packets_before, bytes_before; /* its counters when watching began */
	struct session_iface *session_iface;
};

/* With --follow-peers: another interface, of which only SYNs that leave are watched. */
struct followed {
	struct netdev netdev;
	struct hook hook;
	struct session_iface *session_iface;
};

struct live {
	const struct options *options;
	struct session *session;
	const struct sink *sink;
	struct probe_bpf *bpf;
	struct ring_buffer *ring; /* records */
	struct ring_buffer *packets; /* with --write, else NULL */
	struct conntrack *conntrack; /* or NULL */
	unsigned int untranslated; /* attempts seen before the first one that conntrack translated */
	struct watched watched[MAX_IFACES];
	unsigned int count; /* of watched[] */
	struct followed *followed;
	unsigned int followed_count;
	struct mnl_socket *link_events;
	uint64_t packets_passed, bytes_passed; /* since the start, on all interfaces */
	ns_t next_traffic_check; /* NEVER: no more is needed */
	uint64_t start; /* CLOCK_MONOTONIC, which is the hooks' clock */
	uint64_t next_sweep;
	uint32_t *slots; /* scratch of a sweep */
	struct flow_entry *flows; /* likewise */
	uint32_t candidates; /* collected for settle_candidates() */
	int record_budget, packet_budget; /* that this drain may still read */
	int64_t suspended; /* CLOCK_BOOTTIME minus CLOCK_MONOTONIC, as last reported */
	bool ended;
};

/* ---- live.c ---- */

/* Time since the start of the run. */
ns_t live_now(const struct live *l);

void live_notice(struct live *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends the run early; the reason becomes session->cut. */
void live_end(struct live *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* To be called on each expiry of the timer. */
void live_tick(struct live *l);

/* ---- bpf_load.c ---- */

/* Keeps libbpf's warnings for the case that loading fails; prints all its messages if verbose. */
void bpf_load_init(bool verbose);

/* Loads the BPF object for the interfaces of l. Returns 0; or -1 after it has printed why. */
int bpf_load(struct live *l);

/* Memory of all maps. */
uint64_t bpf_map_bytes(const struct probe_bpf *bpf);

/* ---- drain.c ---- */

/* Opens the ring buffers. Returns 0; or -1 after it has printed why. */
int drain_open(struct live *l);
void drain_close(struct live *l);

/* Hands pending records to the sink, up to a budget. */
void drain_records(struct live *l);

/* True if flows are opening. Records in transit on other CPUs may be missed until the next call. */
bool is_any_opening(struct live *l);

/* Shows every opening flow to the sink, and settles those that are due. */
void sweep_flows(struct live *l);

void read_ethertypes(struct live *l);

/* ---- watch_ifaces.c ---- */

/* Looks up the interfaces of --iface. Returns 0; or -1 after it has printed why. */
int find_ifaces(struct live *l);

/*
 * Looks up by which other interfaces packets may leave: --follow-peers watches these, otherwise they
 * are named in the session. Returns 0; or -1 after it has printed why.
 */
int find_other_ifaces(struct live *l);

/* Attaches all hooks. Returns 0; or -1 after it has printed why. */
int attach_ifaces(struct live *l);
void detach_ifaces(struct live *l);

/* True if a filter is attached, whose removal takes CAP_NET_ADMIN. */
bool is_filter_attached(const struct live *l);

/* NULL if it is not watched. */
struct watched *watched_of(struct live *l, int ifindex);

/* Reports members of a bond or bridge, and leftovers of killed runs. */
void notice_ifaces(struct live *l);

/* Compares the interfaces' counters with what the hooks saw. */
void poll_ifaces(struct live *l);

/* Handles pending link events: interfaces that go, come back, go up or down, are renamed. */
void handle_link_events(struct live *l);

/* At the end of the run: how long each interface was blind, and which cannot vouch for SYNs. */
void summarize_ifaces(struct live *l);

/* ---- event_loop.c ---- */

/* Call it before the attach, so that no signal leaves a filter behind. Returns -1, with errno, on failure. */
int catch_signals(void);

/* Runs until a signal, or until l->ended. Returns 0; or -1 after it has printed why. */
int run_event_loop(struct live *l);
