/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters of packets that this host drops. They are read at the start and at the end of a run; the
 * growth in between belongs to the run.
 *
 * The files are opened before privileges are dropped, and read again through the same descriptors.
 * They belong to the network namespace in which they were opened. Counters of interfaces, queueing
 * disciplines and neighbour tables are read over rtnetlink, which takes no privilege.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum drop_counter {
	DROP_CONNTRACK,
	DROP_CONNTRACK_INSERT,
	DROP_CONNTRACK_CHAIN,
	DROP_CONNTRACK_EARLY,
	DROP_QDISC,
	DROP_TC_FILTER,
	DROP_NIC_MISSED,
	DROP_NIC_RX_ERRORS,
	DROP_NIC_RX,
	DROP_NIC_TX_ERRORS,
	DROP_NIC_TX,
	DROP_REVERSE_PATH,
	DROP_IP_IN,
	DROP_IP_OUT,
	DROP_IP6_IN,
	DROP_IP6_OUT,
	DROP_IP6_IN_ADDRESS,
	DROP_IP_IN_ADDRESS,
	DROP_SOFTNET,
	DROP_SOFTNET_FLOW_LIMIT,
	DROP_NEIGHBOUR_FAILED,
	DROP_NEIGHBOUR_TABLE_FULL,
	DROP_NEIGHBOUR_QUEUE,
	DROP_NEIGHBOUR6_FAILED,
	DROP_NEIGHBOUR6_TABLE_FULL,
	DROP_NEIGHBOUR6_QUEUE,
	DROP_MARTIAN_SOURCE,
	DROP_MARTIAN_DESTINATION,
	DROP_COUNTERS,
};

/* What a counter counts: the packets of one interface, of the network namespace, or of all. */
enum drop_scope { SCOPE_INTERFACE, SCOPE_NAMESPACE, SCOPE_HOST };

struct drop_counter_info {
	const char *name; /* stable: used in JSON lines and in the manual */
	enum drop_scope scope;
	/*
	 * Each count is a packet that is lost. Other counters also count packets that nobody
	 * misses, such as frames of an unknown protocol, or things other than packets.
	 */
	bool is_loss;
	const char *text; /* what was counted, in the plural: "packets dropped by ..." */
	const char *action; /* what an engineer does next */
};

/* See drop_counter_table.c. */
extern const struct drop_counter_info drop_counter_infos[DROP_COUNTERS];

struct drop_growth {
	enum drop_counter counter;
	uint32_t ifindex; /* with SCOPE_INTERFACE, else 0 */
	char iface[IFNAMSIZ]; /* with SCOPE_INTERFACE, else "" */
	char kind[IFNAMSIZ]; /* of the queueing discipline; else "" */
	uint64_t count;
	/* packets that passed there meanwhile, in the same direction; 0 if unknown */
	uint64_t passed;
};

#define MAX_DROP_GROWTHS 64

struct host_drops {
	bool is_read; /* false for a capture: nothing is known */
	bool available[DROP_COUNTERS]; /* false: this host does not have it, or it is not readable */
	struct drop_growth grown[MAX_DROP_GROWTHS]; /* in the order of enum drop_counter */
	size_t count;
	size_t omitted; /* counters that grew and found no room in grown[] */
	/* the largest number of tracked connections of this namespace that was seen; 0: unknown */
	uint64_t conntrack_peak;
	uint64_t conntrack_max; /* their limit; 0: unknown */
};

struct drop_counters;

/* Opens the files in the caller's network namespace. Returns NULL when out of memory. */
struct drop_counters *drop_counters_open(void);

/* Reads the counters at the start of the run. */
void drop_counters_start(struct drop_counters *d);

/* Reads what only the moment shows: call it several times a second. It takes a few microseconds. */
void drop_counters_sample(struct drop_counters *d);

/* Reads the counters again, and stores which of them grew. */
void drop_counters_end(struct drop_counters *d, struct host_drops *drops);

/*
 * Stores the counters of drop_counters_start() as they are, since the start of the host: those of
 * this interface, of the namespace and of the host.
 */
void drop_counters_totals(const struct drop_counters *d, int ifindex, struct host_drops *drops);

/* Frees d, which may be NULL. */
void drop_counters_close(struct drop_counters *d);
