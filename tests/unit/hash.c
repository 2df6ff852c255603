// SPDX-License-Identifier: GPL-2.0
/*
 * Checks that a sender who knows this code, but not the run's secret, cannot choose four-tuples
 * that collide. Each set of four-tuples below is such an attempt. Over many secrets, it must not
 * collide more often than random tuples. If this fails, any sender can slow down the connections of
 * others, or take their places. The same holds for the keys of the user side's tables.
 *
 *	test-hash [FIRST_SECRET]
 *
 * The control is a product of both ends with one key, equal for both directions. The test must find
 * that the control is bad.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "flow_filter.h"
#include "lib/keyed_hash.h"

#define TUPLES 2048
#define REST(i) (~(i) & (2 * TUPLES - 1)) /* all bits that i does not have */
#define PAIRS (4 << 20) /* of each set */
#define BOUND 3.0 /* times the random rate; a factor of two is provable */

struct tuple {
	uint8_t source[16];
	uint8_t destination[16];
	uint16_t port[2];
};

struct set {
	const char *name;
	bool ip6;
	/*
	 * Makes the i-th tuple of the set; the other fields are 0. No tuple is another one
	 * reversed, which would be the same connection.
	 */
	void (*make)(struct tuple *t, unsigned int i);
	bool fools_product; /* a product with one key fails for this set */
};

static uint64_t dice = 1;

/* splitmix64: the same numbers on every machine. */
static uint64_t draw(void)
{
	uint64_t x = dice += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/*
 * Addresses and ports in the byte order of the hash, so that each bit has its arithmetic position.
 */
static void set4(struct tuple *t, uint32_t source, uint32_t destination, uint16_t from, uint16_t to)
{
	memcpy(t->source, &source, 4);
	memcpy(t->destination, &destination, 4);
	t->port[0] = from;
	t->port[1] = to;
}

static void set6(struct tuple *t, uint64_t source, uint64_t low, uint64_t destination,
		 uint64_t destination_low)
{
	memcpy(t->source, &source, 8);
	memcpy(t->source + 8, &low, 8);
	memcpy(t->destination, &destination, 8);
	memcpy(t->destination + 8, &destination_low, 8);
}

static void make_ports(struct tuple *t, unsigned int i)
{
	set4(t, 0x17040100, 0xb8d58fae, i, 80);
}

static void make_low_bits(struct tuple *t, unsigned int i)
{
	set4(t, 0x17040100 + (i & 63), 0xb8d58fae + (i >> 6), 7, 7);
}

static void make_high_bits(struct tuple *t, unsigned int i)
{
	set4(t, (i & 63) << 26, i >> 6 << 26 | 1 << 25, 7, 7);
}

/* Each bit is in one of the two ends: their sum is the same for all tuples. */
static void make_split(struct tuple *t, unsigned int i)
{
	set4(t, i << 20, REST(i) << 20, 7, 7);
}

static void make_split_ports(struct tuple *t, unsigned int i)
{
	set4(t, 0x17040100, 0x17040100, i, REST(i));
}

static void make_split_all(struct tuple *t, unsigned int i)
{
	set4(t, i << 16, REST(i) << 16, i << 4, REST(i) << 4);
}

static void make_same_ends(struct tuple *t, unsigned int i)
{
	set4(t, i, i, i, i);
}

static void make_ports_change_places(struct tuple *t, unsigned int i)
{
	set4(t, 0x17040100, 0xb8d58fae, i % 2 ? 1000 + i / 2 : 7, i % 2 ? 7 : 1000 + i / 2);
}

/* The address adds as much as the port subtracts. */
static void make_port_against_source(struct tuple *t, unsigned int i)
{
	set4(t, 0x17040100 + i, 0xb8d58fae, 0xffff - i, 80);
}

static void make_port_against_destination(struct tuple *t, unsigned int i)
{
	set4(t, 0x17040100, 0xb8d58fae + i, 80, 0xffff - i);
}

/* Equal products of the ends. */
static void make_equal_products(struct tuple *t, unsigned int i)
{
	set4(t, 3U << i % 28, 5U << (27 - i % 28), i / 28, 0);
}

static void make_zeros(struct tuple *t, unsigned int i)
{
	set4(t, i % 2 ? i : 0, i % 2 ? 0 : i, 0, 0);
}

static void make_random(struct tuple *t, unsigned int i)
{
	(void)i;
	set4(t, draw(), draw(), draw(), draw());
}

#define PREFIX 0x1000adb80d200120ULL
#define OTHER 0x2000adb80d200120ULL

static void make6_ports(struct tuple *t, unsigned int i)
{
	set6(t, PREFIX, 1, OTHER, 2);
	t->port[0] = i;
}

static void make6_last_byte(struct tuple *t, unsigned int i)
{
	set6(t, PREFIX, (uint64_t)i << 56 | 1, OTHER, (uint64_t)(i >> 8) << 56 | 2);
}

static void make6_last_bits(struct tuple *t, unsigned int i)
{
	set6(t, PREFIX, (uint64_t)i << 53, OTHER, 0);
}

static void make6_first_bits(struct tuple *t, unsigned int i)
{
	set6(t, PREFIX, i, OTHER, 0);
}

static void make6_one_net(struct tuple *t, unsigned int i)
{
	set6(t, PREFIX, (uint64_t)(i & 63) << 56, PREFIX, (uint64_t)(i >> 6) << 56 | 1ULL << 55);
}

static void make6_split(struct tuple *t, unsigned int i)
{
	set6(t, PREFIX, (uint64_t)i << 52, PREFIX, (uint64_t)REST(i) << 52);
}

static void make6_split_low(struct tuple *t, unsigned int i)
{
	set6(t, PREFIX, i, PREFIX, REST(i));
}

static void make6_prefixes(struct tuple *t, unsigned int i)
{
	set6(t, PREFIX ^ (uint64_t)i << 53, 0, OTHER, 0);
}

/* The rest compensates the change of the prefix. */
static void make6_prefix_against_rest(struct tuple *t, unsigned int i)
{
	uint64_t bits = (uint64_t)i << 53;

	set6(t, PREFIX ^ bits, bits, OTHER, 0);
}

static void make6_prefix_against_folded(struct tuple *t, unsigned int i)
{
	uint64_t bits = (uint64_t)i << 53;

	set6(t, PREFIX ^ bits, bits ^ bits >> 32, OTHER, 0);
}

static void make6_port_against_rest(struct tuple *t, unsigned int i)
{
	set6(t, PREFIX, (uint64_t)i * 0x9e3779b97f4a7c15ULL, OTHER, 0);
	t->port[0] = 0xffff - i;
}

static void make6_both_prefixes(struct tuple *t, unsigned int i)
{
	set6(t, PREFIX ^ (uint64_t)i << 52, 0, PREFIX ^ (uint64_t)REST(i) << 52, 0);
}

static const struct set sets[] = {
	{ "random", false, make_random, false },
	{ "one port after the other", false, make_ports, false },
	{ "first bits of both addresses", false, make_low_bits, false },
	{ "last bits of both addresses", false, make_high_bits, true },
	{ "addresses of equal sums", false, make_split, true },
	{ "ports of equal sums, one address", false, make_split_ports, true },
	{ "ends of equal sums", false, make_split_all, false },
	{ "the same value at both ends", false, make_same_ends, false },
	{ "exchanged ports", false, make_ports_change_places, false },
	{ "port against source", false, make_port_against_source, false },
	{ "port against destination", false, make_port_against_destination, false },
	{ "equal products", false, make_equal_products, false },
	{ "only zeros on one side", false, make_zeros, false },
	{ "IPv6: one port after the other", true, make6_ports, false },
	{ "IPv6: last bytes of both addresses", true, make6_last_byte, false },
	{ "IPv6: last bits of an address", true, make6_last_bits, true },
	{ "IPv6: first bits of the interface identifier", true, make6_first_bits, false },
	{ "IPv6: both ends in one network", true, make6_one_net, true },
	{ "IPv6: last bits of equal sums, one network", true, make6_split, true },
	{ "IPv6: first bits of equal sums, one network", true, make6_split_low, true },
	{ "IPv6: prefixes", true, make6_prefixes, false },
	{ "IPv6: prefix against the rest", true, make6_prefix_against_rest, false },
	{ "IPv6: prefix against the rest, XORed", true, make6_prefix_against_folded, false },
	{ "IPv6: port against the rest", true, make6_port_against_rest, false },
	{ "IPv6: two prefixes of equal sums", true, make6_both_prefixes, false },
};

/* The number of pairs, each with its own secret, that share a filter cell, a bucket or a hash. */
struct meetings {
	unsigned int filter, lines, slots;
};

static uint32_t line_of(uint32_t hash)
{
	static const uint16_t no_vlan[2];

	return bucket_number(hash, 0, no_vlan) % MIN_BUCKETS;
}

static void meet(struct meetings *m, uint32_t a, uint32_t b)
{
	m->filter += cell_of(a) == cell_of(b);
	m->lines += line_of(a) == line_of(b);
	m->slots += a == b;
}

static uint32_t slot_in(const struct tuple *t, bool ip6, const struct hash_seed *seed)
{
	struct segment s = { .ip6 = ip6,
			     .source_port = be16_to_cpu(t->port[0]),
			     .destination_port = be16_to_cpu(t->port[1]) };

	read_address(&s.source, t->source, ip6);
	read_address(&s.destination, t->destination, ip6);
	return segment_hash(&s, seed);
}

/* The control. */
static uint64_t control_end(const uint8_t *address, uint16_t port, bool ip6,
			    const struct hash_seed *seed)
{
	if (!ip6)
		return (uint64_t)LOAD(__u32, address) << 16 | port;
	return (hash_mix(LOAD(__u64, address), seed) ^ LOAD(__u64, address + 8)) +
	       port * 0x9e3779b97f4a7c15ULL;
}

static uint32_t product_of(const struct tuple *t, bool ip6, const struct hash_seed *seed)
{
	return (control_end(t->source, t->port[0], ip6, seed) ^ seed->address) *
		       (control_end(t->destination, t->port[1], ip6, seed) ^ seed->address) >>
	       32;
}

static double over_chance(unsigned int count, unsigned int slots)
{
	return (double)count / PAIRS * slots;
}

static bool is_bad(const struct meetings *m)
{
	/* a slot is shared by at most one pair in 2^31 */
	return over_chance(m->filter, 1 << FILTER_SHIFT) > BOUND ||
	       over_chance(m->lines, MIN_BUCKETS) > BOUND || m->slots > 1;
}

/* Both directions of a connection have the same slot. */
static const char *check_turned(const struct hash_seed *seed)
{
	unsigned int i;

	for (i = 0; i < 2 * TUPLES; i++) {
		struct tuple t, turned;
		bool ip6 = i % 2;

		memset(&t, 0, sizeof(t));
		make_random(&t, i);
		if (ip6)
			set6(&t, draw(), draw(), draw(), draw());
		memcpy(turned.source, t.destination, 16);
		memcpy(turned.destination, t.source, 16);
		turned.port[0] = t.port[1];
		turned.port[1] = t.port[0];
		if (slot_in(&turned, ip6, seed) != slot_in(&t, ip6, seed))
			return "a packet and its answer have different slots";
	}
	return NULL;
}

static bool check_set(const struct set *s)
{
	struct meetings m = {}, control = {};
	struct tuple a, b;
	unsigned int i, j, n;

	for (n = 0; n < PAIRS; n++) {
		struct hash_seed seed = { draw(), draw(), draw(), draw(), draw() };

		hash_seed_make_odd(&seed);
		i = draw() % TUPLES;
		j = (i + 1 + draw() % (TUPLES - 1)) % TUPLES;
		memset(&a, 0, sizeof(a));
		memset(&b, 0, sizeof(b));
		s->make(&a, i);
		s->make(&b, j);
		meet(&m, slot_in(&a, s->ip6, &seed), slot_in(&b, s->ip6, &seed));
		meet(&control, product_of(&a, s->ip6, &seed), product_of(&b, s->ip6, &seed));
	}
	printf("%s %s: %.2f %.2f %u; with one key: %.2f %.2f %u\n",
	       is_bad(&m) || (s->fools_product && !is_bad(&control)) ? "FAIL " : "ok   ", s->name,
	       over_chance(m.filter, 1 << FILTER_SHIFT), over_chance(m.lines, MIN_BUCKETS), m.slots,
	       over_chance(control.filter, 1 << FILTER_SHIFT),
	       over_chance(control.lines, MIN_BUCKETS), control.slots);
	return !is_bad(&m) && (!s->fools_product || is_bad(&control));
}

/* ---- the tables of the user side ---- */

#define TABLE_PAIRS (PAIRS / 16)
#define TABLE_BUCKETS 4096

/* The number of pairs of keys, each with its own secret, that share a bucket. */
static unsigned int count_table_meetings(void (*make)(void *key, const struct set *s,
						      unsigned int i),
					 size_t size, const struct set *s)
{
	uint8_t a[256] = {}, b[256] = {};
	unsigned int i, j, n, word, count = 0;

	for (n = 0; n < TABLE_PAIRS; n++) {
		for (word = 0; word < sizeof(hash_secret) / sizeof(hash_secret[0]); word++)
			hash_secret[word] = draw();
		i = draw() % TUPLES;
		j = (i + 1 + draw() % (TUPLES - 1)) % TUPLES;
		make(a, s, i);
		make(b, s, j);
		count += keyed_hash(a, size) % TABLE_BUCKETS == keyed_hash(b, size) % TABLE_BUCKETS;
	}
	return count;
}

static void make_tuple_key(void *key, const struct set *s, unsigned int i)
{
	memset(key, 0, sizeof(struct tuple));
	s->make(key, i);
}

/* A name whose first and last labels differ. */
static void make_name(void *key, const struct set *s, unsigned int i)
{
	(void)s;
	memset(key, 'a', 201);
	((uint8_t *)key)[1] = i;
	((uint8_t *)key)[200] = i >> 8;
}

static void make_last_byte(void *key, const struct set *s, unsigned int i)
{
	(void)s;
	memset(key, 0, 65);
	((uint8_t *)key)[63] = i >> 8;
	((uint8_t *)key)[64] = i;
}

static bool check_table(const char *name, unsigned int count)
{
	double times = (double)count / TABLE_PAIRS * TABLE_BUCKETS;

	printf("%s tables, %s: %.2f\n", times > BOUND ? "FAIL " : "ok   ", name, times);
	return times <= BOUND;
}

int main(int argc, char **argv)
{
	struct hash_seed seed = { draw(), draw(), draw(), draw(), draw() };
	int passed = 0, failed = 0;
	const char *wrong;
	size_t n;

	if (argc > 1)
		dice = strtoull(argv[1], NULL, 0);
	printf("      secrets from %llu on, %d pairs of each set: in one cell, in one bucket (as a multiple\n"
	       "      of the random rate), in one slot\n",
	       (unsigned long long)dice, PAIRS);
	for (n = 0; n < sizeof(sets) / sizeof(sets[0]); n++)
		check_set(&sets[n]) ? passed++ : failed++;
	for (n = 0; n < sizeof(sets) / sizeof(sets[0]); n++)
		check_table(sets[n].name,
			    count_table_meetings(make_tuple_key, sizeof(struct tuple), &sets[n]))
			? passed++
			: failed++;
	check_table("long names", count_table_meetings(make_name, 201, NULL)) ? passed++ : failed++;
	check_table("one byte in a block", count_table_meetings(make_last_byte, 65, NULL))
		? passed++
		: failed++;
	wrong = check_turned(&seed);
	printf("%s both directions%s%s\n", wrong ? "FAIL " : "ok   ", wrong ? ": " : "",
	       wrong ? wrong : "");
	wrong ? failed++ : passed++;
	printf("hash: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
