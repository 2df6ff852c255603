/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files that implement a live run: its state, and the functions that live.c calls in
 * each step.
 */
#pragma once

#include <bpf/libbpf.h>

#include "host/netdev.h"
#include "options.h"
#include "session.h"
#include "source/attach.h"
#include "source/dns_sampling.h"
#include "source/flow_table.h"
#include "source/hook_watchdog.h"
#include "source/sink.h"

/* Result of the search for filters that a killed run left on an interface. */
struct leftover {
	int filters; /* number of filters removed */
	int error; /* a negative errno, or 0 */
};

/* An interface that is watched. */
struct watched {
	const char *requested; /* the name given by --iface */
	struct netdev netdev;
	struct hook hook;
	struct leftover leftover;
	bool up; /* state in the last report */
	ns_t down_since; /* NEVER while it is up */
	uint32_t mtu, xdp; /* of the last report, see struct netdev_state */
	bool away; /* --follow: the interface is gone and may come back */
	struct hook_watchdog watchdog[DIRECTIONS];
	uint64_t bytes; /* the interface's counter at the last poll */
	uint64_t packets_before, bytes_before; /* the interface's counters when watching began */
	struct session_iface *session_iface;
};

/* With --follow-peers: an interface on which only SYNs that leave are recorded. */
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
	struct ring_buffer *dns;
	struct dns_sampling dns_sampling;
	struct conntrack *conntrack; /* NULL if conntrack is not used */
	unsigned int untranslated; /* attempts before the first attempt that conntrack translated */
	struct watched watched[MAX_IFACES];
	unsigned int count; /* number of elements in watched[] */
	struct followed *followed;
	unsigned int followed_count;
	struct mnl_socket *link_events;
	uint64_t packets_passed, bytes_passed; /* on all watched interfaces since the start */
	ns_t next_traffic_check; /* NEVER if no further check is needed */
	uint64_t start; /* CLOCK_MONOTONIC, as on the hooks */
	ns_t attached; /* when the last hook was attached */
	ns_t detaching; /* when the first hook was detached, at the end of the run */
	uint64_t next_sweep;
	uint32_t *slots; /* scratch of a sweep */
	struct flow_entry *flows; /* scratch of a sweep */
	uint32_t candidates; /* number of candidates collected for settle_candidates() */
	int record_budget, packet_budget, dns_budget; /* remaining reads of this drain */
	int64_t suspended; /* CLOCK_BOOTTIME minus CLOCK_MONOTONIC at the last report */
	bool ended;
	bool is_interim; /* this process is a copy, see sink.h */
};

/* ---- live.c ---- */

/* Returns the time since the start of the run. */
ns_t live_now(const struct live *l);

void live_notice(struct live *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends the run early; the reason becomes session->cut. */
void live_end(struct live *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Call it on each expiry of the timer. */
void live_tick(struct live *l);

/* ---- bpf_load.c ---- */

/* Buffers libbpf's warnings until loading fails. If verbose, prints all of libbpf's messages. */
void bpf_load_init(bool verbose);

/* Loads the BPF object for the interfaces of l. Returns 0, or -1 after an error message. */
int bpf_load(struct live *l);

/* Returns the size of all maps, in bytes. */
uint64_t bpf_map_bytes(const struct probe_bpf *bpf);

/* ---- drain.c ---- */

/* Opens the ring buffers. Returns 0, or -1 after an error message. */
int drain_open(struct live *l);
void drain_close(struct live *l);

/* Passes pending records to the sink, up to a budget. */
void drain_records(struct live *l);

/*
 * Returns true if flows are opening. Records in transit on other CPUs may be missed until the next
 * call.
 */
bool is_any_opening(struct live *l);

/* Passes every opening flow to the sink, and settles those that are due. */
void sweep_flows(struct live *l);

/* Passes copies of all open flows to the sink as if they settled now, where the copy's run ends. */
void settle_copies(struct live *l);

void read_ethertypes(struct live *l);
void read_resets(struct live *l);

/* ---- watch_ifaces.c ---- */

/* Looks up the interfaces of --iface. Returns 0, or -1 after an error message. */
int find_ifaces(struct live *l);

/*
 * Looks up the other interfaces on which packets may leave. --follow-peers watches these; otherwise
 * the session names them. Returns 0, or -1 after an error message.
 */
int find_other_ifaces(struct live *l);

/* Attaches all hooks. Returns 0, or -1 after an error message. */
int attach_ifaces(struct live *l);
void detach_ifaces(struct live *l);

/* Returns true if a filter is attached. Its removal takes CAP_NET_ADMIN. */
bool is_filter_attached(const struct live *l);

/* Returns NULL if the interface is not watched. */
struct watched *watched_of(struct live *l, int ifindex);

/* Reports members of a bond or bridge, and filters that killed runs left. */
void notice_ifaces(struct live *l);

/* Compares the interfaces' counters with what the hooks saw. */
void poll_ifaces(struct live *l);

/*
 * Handles pending link events: interfaces that disappear, come back, go up or down, or are renamed.
 */
void handle_link_events(struct live *l);

/*
 * Call it at the end of the run. Stores how long each interface was blind, and marks followed
 * interfaces that may have missed SYNs.
 */
void summarize_ifaces(struct live *l);

/* ---- event_loop.c ---- */

/*
 * Installs the signal handlers. Call it before the attach, so that no signal leaves a filter
 * behind. Returns -1, with errno, on failure.
 */
int catch_signals(void);

/* Runs until a signal, or until l->ended is set. Returns 0, or -1 after an error message. */
int run_event_loop(struct live *l);
