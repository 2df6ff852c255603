/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the model of names share: the kept lookups and their indexes (lookups.c), the
 * numbers of names (name_table.c), and the names of addresses (name_addresses.c). names.c brings
 * packets to lookups, episodes.c lookups to episodes and to the connections that waited for them.
 */
#pragma once

#include <sys/queue.h>

#include "lib/hash.h"
#include "model/names.h"

/* Another try belongs to the same lookup at most this time after the last one. */
#define RETRY_NS (15 * (ns_t)SECOND_NS)

/*
 * Resolvers ask again within 5 s at first, and then after at most twice their last gap. A question
 * that comes later is another attempt of a program, unless it has the id of the last one.
 */
#define USUAL_RETRY_NS (5600 * (ns_t)MILLISECOND_NS)

/* After an error or SERVFAIL, clients turn to the next server at once. */
#define RETRY_AFTER_FAILURE_NS (2 * (ns_t)SECOND_NS)

/* No client tries longer. Later questions are those of a program that starts anew. */
#define MAX_LOOKUP_NS (60 * (ns_t)SECOND_NS)
#define MAX_EPISODE_NS (90 * (ns_t)SECOND_NS)

/* ---- kept lookups ---- */

enum lookup_index {
	BY_QUESTION, /* client, name and type: the latest lookup */
	BY_NAME, /* client and name: the latest lookup of any type */
	BY_PACKET, /* server, id, name and type of the last try, from any client */
	BY_PORTS, /* client, server and both ports of the last try; see same_ports */
	BY_LABEL, /* client and first label: the latest lookup that ended without an address */
	LOOKUP_INDEXES,
};

struct index_key {
	struct address address;
	uint16_t vlan[2];
	uint32_t part[3];
};

struct kept {
	struct lookup l;
	uint64_t number; /* counts all lookups from 1 */
	uint64_t older, newer; /* numbers of lookups of the same episode; 0 at its ends */
	bool has_mac;
	uint8_t mac[6]; /* of the client */
	ns_t gap; /* between the last two tries that were not made at once; 0 if there are none */
	/* where the last try and the last answer were seen, to recognise copies */
	uint32_t asked_ifindex, answer_ifindex;
	bool asked_egress, answer_egress;
	uint16_t answer_vlan[2];
	uint16_t answer_id;
	ns_t answer_time;
	uint64_t same_ports; /* the lookup that had these ports before: A and AAAA share them */
	struct endpoint translated; /* the client of the last try behind NAT; port 0 if not seen */
	ns_t named; /* when its first address was seen, maybe in a fragment; or NEVER */
	ns_t used; /* the first SYN that waited for the episode; or NEVER */
	bool is_followed; /* in the list of lookups that may have another try */
	TAILQ_ENTRY(kept) by_try;
	bool indexed[LOOKUP_INDEXES];
	struct index_key key[LOOKUP_INDEXES];
};

TAILQ_HEAD(kept_list, kept);

#define LOOKUP_CHUNK 256
#define LOOKUP_CHUNKS (MAX_LOOKUPS / LOOKUP_CHUNK)

/*
 * The place of a slot in its bucket. They are apart from the lookups, so that a search touches only
 * the lookup that it finds.
 */
struct index_link {
	uint32_t next; /* slot plus 1; 0 at the end */
	uint32_t hash;
};

/* A ring of the latest lookups. Its memory is allocated in chunks, so that pointers stay valid. */
struct lookups {
	struct kept *chunks[LOOKUP_CHUNKS];
	uint64_t oldest, next; /* numbers; next is that of the lookup to come */
	struct kept_list followed; /* by their last try, the oldest first */
	uint64_t secret; /* keeps attackers from choosing keys that collide */
	uint32_t buckets[LOOKUP_INDEXES][MAX_LOOKUPS]; /* slot plus 1, or 0 */
	struct index_link links[LOOKUP_INDEXES][MAX_LOOKUPS]; /* by slot */
};

bool lookups_init(struct lookups *k);
void lookups_free(struct lookups *k);

/* Returns the lookup with this number, or NULL if it was forgotten. */
struct kept *lookups_at(const struct lookups *k, uint64_t number);

/*
 * Adds a lookup, all 0. Returns NULL when out of memory. Sets *forgot if an older one had to go for
 * it.
 */
struct kept *lookups_add(struct lookups *k, bool *forgot);

/* Finds the lookup with this key, or NULL. */
struct kept *lookups_find(const struct lookups *k, enum lookup_index index,
			  const struct index_key *key);

/* Gives the lookup this key. A lookup that had the key loses it. */
void lookups_set(struct lookups *k, enum lookup_index index, struct kept *lookup,
		 const struct index_key *key);

struct index_key question_key(const struct client_key *client, uint32_t name, uint16_t type,
			      uint32_t cut);
struct index_key name_key(const struct client_key *client, uint32_t name);
struct index_key packet_key(const struct endpoint *server, uint16_t id, uint32_t name,
			    uint16_t type);
struct index_key ports_key(const struct endpoint *client, const struct endpoint *server);
struct index_key label_key(const struct client_key *client, const struct dns_name *name);

/* ---- numbers of names ---- */

struct name_entry {
	struct dns_name name;
	uint32_t number;
	TAILQ_ENTRY(name_entry) by_use;
	UT_hash_handle hh;
};

TAILQ_HEAD(name_list, name_entry);

struct name_table {
	struct name_entry **slots; /* MAX_NAMES; by the number */
	struct name_entry *names; /* by the name */
	struct name_list by_use; /* the least recently used first */
	uint32_t given; /* slots that were given a number, from the first */
	uint32_t unused; /* a number that was not used after all, for want of memory; or 0 */
};

bool name_table_init(struct name_table *t);
void name_table_free(struct name_table *t);

/* Returns 0 if the name has no number. */
uint32_t name_table_find(const struct name_table *t, const struct dns_name *name);

/* Gives the name a number. Returns 0 when out of memory. */
uint32_t name_table_add(struct name_table *t, const struct dns_name *name);

const struct dns_name *name_table_name(const struct name_table *t, uint32_t number);

/* ---- names of addresses ---- */

#define ADDRESS_NAMES 8
#define ADDRESS_LOOKUPS 8

/* Who knows an address: a client, the hosts behind a MAC address, or any client if all is 0. */
struct knower {
	struct client_key client; /* of a MAC address only the VLANs */
	uint8_t mac[6];
	uint16_t is_mac;
};

struct named_key { /* without padding, since keys are compared by their bytes */
	struct knower by;
	struct address address;
};

struct named_address {
	struct named_key who;
	/* with a MAC address: the client that asked, by whether it is IPv4; 0 if none did */
	struct address asked_by[2];
	bool is_shared; /* another one asked as well: the MAC address may be a router's */
	uint32_t names[ADDRESS_NAMES]; /* different ones, the latest first */
	uint64_t lookups[ADDRESS_LOOKUPS]; /* numbers, the latest first */
	TAILQ_ENTRY(named_address) by_use;
	UT_hash_handle hh;
};

TAILQ_HEAD(named_list, named_address);

struct name_addresses {
	struct named_address *at;
	struct named_list by_use;
};

void name_addresses_init(struct name_addresses *a);
void name_addresses_free(struct name_addresses *a);

/* The lookup's answer has this address. */
void name_addresses_add(struct name_addresses *a, const struct address *address,
			const struct kept *lookup);

/* With client NULL, for any client. */
const struct named_address *name_addresses_find(const struct name_addresses *a,
						const struct client_key *client,
						const struct address *address);

/*
 * Finds what the host with this MAC address learned by another address of its own: a host may ask
 * DNS by IPv4 and connect by IPv6. Returns NULL if the MAC address may be a router's.
 */
const struct named_address *name_addresses_find_host(const struct name_addresses *a,
						     const struct connection *c);

/* ---- the model ---- */

struct names {
	struct dns_totals totals;
	struct lookups lookups;
	struct name_table table;
	struct name_addresses addresses;
	uint64_t episodes;
	struct dns_gap gaps[MAX_DNS_GAPS];
	size_t gap_count;
};

/* Gives a new lookup its episode. */
void episode_join(struct names *n, struct kept *lookup);

/* The lookup has ended, or an attempt of it has failed. */
void episode_ended(struct names *n, struct kept *lookup);
