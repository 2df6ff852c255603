/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All maps and global variables of the BPF object, the per-CPU scratch memory, and the counters.
 * Only the prog array is in probe.bpf.c, since it refers to a program. README.md draws the layout.
 *
 * User space sets the sizes and the constants before it loads the object
 * (user/source/flow_table.h).
 */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bucket.h"
#include "dns.h"
#include "flow_filter.h"
#include "packet_event.h"
#include "reset.h"
#include "selector.h"
#include "shared.h"

/* ---- flow table, see flow_table.h ---- */

/* The flows, by slot number. Slot 0 stays unused: 0 means "no slot". */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct flow_entry);
	__uint(max_entries, 1 + DEFAULT_FLOWS);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct bucket);
	__uint(max_entries, MIN_BUCKETS);
} buckets SEC(".maps");

/* ---- free slots, see freelist.h ---- */

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__type(value, __u32);
	__uint(max_entries, DEFAULT_FLOWS);
} free_slots SEC(".maps");

/* Protects slots_high_water. */
struct high_water_lock {
	struct bpf_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct high_water_lock);
	__uint(max_entries, 1);
} high_water_lock SEC(".maps");

/* ---- eviction, see evict.h ---- */

/* Attempts of each class in the order of their first SYN, as ISN << 32 | slot. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__type(value, __u64);
	__uint(max_entries, DEFAULT_FLOWS);
} evict_unverified SEC(".maps"), evict_verified SEC(".maps");

/* ---- output ---- */

/* A struct record for every attempt that settled. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, DEFAULT_RING_BYTES);
} records SEC(".maps");

/* With --write: a struct packet_head and the packet's first bytes. User space sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} packets SEC(".maps");

struct packet_buffer {
	struct packet_head head;
	__u8 bytes[MAX_SNAPLEN];
};

/* Packets of DNS: a struct dns_head and the packet's first bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, DNS_RING_BYTES);
} dns SEC(".maps");

struct dns_buffer {
	struct dns_head head;
	__u8 bytes[MAX_DNS_BYTES];
};

struct counters {
	__u64 count[COUNTERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct counters);
	__uint(max_entries, 1);
} counters SEC(".maps");

/* ---- resets of open connections, see reset.h ---- */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct reset_set);
	__uint(max_entries, RESET_SETS);
} resets SEC(".maps");

/* ---- scratch ---- */

#define CPU_FREE_SLOTS 64

/*
 * Working memory that is too large for the stack of 512 bytes. The hooks run with softirqs
 * disabled, so only one program at a time uses the scratch of a CPU.
 */
struct scratch {
	struct segment segment;
	__u8 link; /* enum link_type; link and egress are arguments of the slow path */
	bool egress;
	/* set by parse_copy_link() */
	__u16 ethertype; /* as in struct headers */
	__u32 ip_offset; /* of the IP header in headers[] */
	__u32 launder; /* see launder() */
	/* bytes of the packet from its network header on; 0 if it has no tunnel headers */
	__u32 tunnel_length;
	/* free slots of this CPU, see freelist.h; in the page of the segment */
	__u32 free_count;
	__u32 free_slots[CPU_FREE_SLOTS];
	/* the verifier assumes offsets up to 2 * MAX_HEADERS in header_at() */
	__u8 headers[3 * MAX_HEADERS];
	/* packets are assembled here: their length is not constant, so no ring reserves it */
	struct dns_buffer dns;
	struct packet_buffer packet;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct scratch);
	__uint(max_entries, 1);
} cpu_scratch SEC(".maps");

/* ---- constants: the verifier knows their values and drops the branches that they disable ---- */

const volatile struct hash_seed run_seed;
const volatile struct selector selector;
const volatile __u32 max_flows = DEFAULT_FLOWS;
const volatile __u32 bucket_mask = MIN_BUCKETS - 1;
const volatile __u32 ring_bytes = DEFAULT_RING_BYTES;
const volatile bool save_packets; /* --write */
const volatile __u32 snaplen = MAX_HEADERS; /* maximum number of bytes of each saved packet */
const volatile bool multi_iface; /* more than one interface is watched */
const volatile bool follow_peers; /* --follow-peers */
const volatile __u16 dns_ports[MAX_DNS_PORTS] = { DNS_PORT }; /* --dns-port */
const volatile __u32 dns_port_count = 1;
const volatile __u32 dns_budget_limit = DNS_BUDGET;
const volatile bool virtual_time; /* tests only: take the time from skb->tstamp */

/* ---- variables ---- */

/*
 * A global variable, not a map: reading it needs no helper call, so that a hook saves and restores
 * no register.
 */
struct flow_filter flow_filter;
struct reset_guard reset_guard;

__u32 slots_high_water; /* slots above this number were never used */
bool slot_in_use[MAX_TRACKED_FLOWS + 1]; /* by slot number; a sweep reads only slots in use */

/* User space writes these before it runs settle_candidate(). */
struct candidate candidates[CANDIDATES];
__u32 candidate_next;
bool run_ending; /* set at the end of the run: settle every candidate */
bool under_pressure; /* the table is nearly full */

/* Indexed by client_hash(): clients that completed a handshake. User space sets the flags. */
bool verified_clients[CLIENT_HASHES];

struct syn_budget syn_budgets[CLIENT_HASHES]; /* indexed by client_hash() */

/* Indexed by activity_index() and direction. A packet passed since user space cleared the flag. */
bool active[ACTIVITY_FLAGS][2];

__u64 egress_syns[EGRESS_SYNS]; /* with --follow-peers: SYNs that left, see egress_syn.h */

/*
 * Set if a packet that left could not be parsed: an absent SYN then proves nothing. See
 * egress_syn.h.
 */
bool egress_syns_incomplete;

__u32 ethertypes[65536]; /* number of packets that are neither IPv4 nor IPv6 */

struct budget dns_budget; /* dns_budget_limit */
__u32 dns_sample_shift; /* set by user space: only one host in 2^shift is looked at */

/* ---- access ---- */

static __always_inline struct scratch *this_cpu_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cpu_scratch, &zero);
}

static __always_inline struct counters *this_cpu_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline void counter_add(enum counter c, __u64 n)
{
	struct counters *cpu = this_cpu_counters();

	if (cpu)
		cpu->count[c] += n;
}

/*
 * Like counter_add(), for the fast path. The volatile variables keep the arguments on the stack
 * during the lookup. If they were in callee-saved registers, the hook would save and restore these
 * for every packet.
 */
static __always_inline void counter_add_fastpath(enum counter c, __u32 n)
{
	volatile __u32 counter = c, number = n;
	struct counters *cpu = this_cpu_counters();
	__u32 index = counter;

	if (cpu && index < COUNTERS)
		cpu->count[index] += number;
}

/*
 * Like counter_add(), for code that user space runs as well (settle_candidate()). A packet on the
 * same CPU may interrupt that code between load and store.
 */
static __always_inline void counter_inc_atomic(enum counter c)
{
	struct counters *cpu = this_cpu_counters();

	if (cpu)
		__sync_fetch_and_add(&cpu->count[c], 1);
}
