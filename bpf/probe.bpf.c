// SPDX-License-Identifier: GPL-2.0
/*
 * The hooks: tc ingress and egress of an interface, with and without an Ethernet header. Every path
 * returns TC_NEXT: other programs on the hook still run, the packet is not touched.
 *
 * A packet of an established connection is parsed, hashed, and dismissed by one counter; all else
 * that costs (clock, lookup, copy) is paid only for packets that open, close or refuse, or that are not
 * plain.
 */
#include "fastpath.h"
#include "flow_table.h"

/* TCX_NEXT and TC_ACT_UNSPEC alike: the next program decides. */
#define TC_NEXT (-1)

#define PACKET_OTHERHOST 3

static __always_inline bool table_selects(struct table *t, const struct segment *s)
{
	return selector_matches(&selector, s);
}

static __always_inline void table_count_ethertype(struct table *t, __u16 ethertype)
{
	__u32 index = ethertype / (CACHELINE / sizeof(__u32));
	struct ethertypes *row = bpf_map_lookup_elem(&ethertypes, &index);

	if (row)
		__sync_fetch_and_add(&row->packets[ethertype % (CACHELINE / sizeof(__u32))], 1);
}

/*
 * With --follow-peers: the SYNs that left by an interface that is followed, by a hash of the ISN,
 * which NAT leaves as it is. Newer ones overwrite. A word says which ISN, when, and by which
 * interface; it is written at once, so nobody reads half of it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1); /* EGRESS_SYNS, when it is used */
} egress_syns SEC(".maps");

/* A leaving packet was not understood: nothing can be said of any that was not seen. */
bool egress_syns_incomplete;

static __always_inline __u32 egress_syn_hash(__u32 isn)
{
	return isn * 0x9e3779b1U >> 16 & (EGRESS_SYNS - 1);
}

/* In units of 2^24 ns, some 17 ms: 24 bits are three days. */
static __always_inline __u32 egress_syn_time(__u64 now)
{
	return now >> 24 & 0xffffff;
}

static __always_inline bool table_follows_peers(struct table *t)
{
	return follow_peers;
}

static __always_inline __u16 table_forwarding(struct table *t, const struct flow *f)
{
	__u32 hash = egress_syn_hash(f->client_isn);
	__u64 *slot = bpf_map_lookup_elem(&egress_syns, &hash), word;
	bool is_since;

	if (!slot || egress_syns_incomplete)
		return 0;
	word = *(volatile __u64 *)slot;
	is_since = ((word >> 8) - egress_syn_time(f->syn_last) & 0xffffff) < 1 << 23;
	if (word && is_since && word >> 32 == f->client_isn)
		return CLIENT_FORWARDED | (word & 0xff) << 8;
	/* another one's, since then: it may have overwritten ours */
	return word && is_since ? 0 : CLIENT_NOT_FORWARDED;
}

/* Packets that decide something, while they are kept; user space sets the sizes. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} packets SEC(".maps");

struct packet_buffer {
	struct packet_head head;
	__u8 bytes[MAX_SNAPLEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct packet_buffer);
	__uint(max_entries, 1);
} packet_buffer SEC(".maps");

static __always_inline bool table_wants_packets(struct table *t)
{
	return save_packets;
}

static __always_inline int load_bytes(struct __sk_buff *skb, bool is_tunnel, void *to, __u32 length)
{
	if (is_tunnel)
		return bpf_skb_load_bytes_relative(skb, 0, to, length, BPF_HDR_START_NET);
	return bpf_skb_load_bytes(skb, 0, to, length);
}

/* Behind the head that is in this CPU's room. */
__noinline int emit_packet(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();
	__u64 length = skb->len;
	struct packet_buffer *p;
	__u32 zero = 0;

	p = bpf_map_lookup_elem(&packet_buffer, &zero);
	if (!p || !scratch)
		return 0;
	p->head.wire_length = skb->len;
	p->head.vlan_protocol = skb->vlan_present ? be16_to_cpu(skb->vlan_proto) : 0;
	p->head.vlan_tci = skb->vlan_tci;
	if (scratch->tunnel_length && length > scratch->tunnel_length)
		length = scratch->tunnel_length;
	if (length > snaplen)
		length = snaplen;
	if (length > MAX_SNAPLEN)
		length = MAX_SNAPLEN;
	if (length < 20)
		return 0;
	p->head.length = length;
	/* as in slow_path_copy() */
	barrier_var(length);
	if (load_bytes(skb, scratch->tunnel_length, p->bytes, length) ||
	    bpf_ringbuf_output(&packets, p, sizeof(p->head) + length, BPF_RB_NO_WAKEUP))
		table_count(NULL, COUNT_LOST_PACKETS, 1);
	return 0;
}

/* Of the segment in this CPU's scratch. */
static __noinline void keep_packet(struct __sk_buff *skb, const struct flow_key *key,
				   const struct flow *f, bool from_client, __u64 now)
{
	struct scratch *scratch = this_cpu_scratch();
	struct packet_buffer *p;
	__u32 zero = 0;
	__u8 roles;

	p = bpf_map_lookup_elem(&packet_buffer, &zero);
	if (!p || !scratch)
		return;
	roles = roles_of(f, &scratch->segment, from_client, now);
	if (!roles)
		return;
	__builtin_memcpy(&p->head.key, key, sizeof(p->head.key));
	p->head.syn = f->syn_times[0];
	p->head.time = now;
	p->head.roles = roles;
	p->head.flags = (scratch->segment.egress ? PACKET_EGRESS : 0) |
			(f->client_flags & CLIENT_IS_END_1 ? PACKET_CLIENT_IS_END_1 : 0);
	emit_packet(skb);
}

static __always_inline void table_keep_packet(struct table *t, const struct flow_key *key,
					      const struct flow *f, const struct segment *s,
					      bool from_client, __u64 now)
{
	keep_packet((struct __sk_buff *)t, key, f, from_client, now);
}

/* The tag that the driver or the kernel took out of the frame. */
static __always_inline void headers_init(struct headers *h, const struct __sk_buff *skb)
{
	/* else clang spills what is not set, and the verifier refuses */
	__builtin_memset(h, 0, sizeof(*h));
	if (skb->vlan_present)
		h->vlan[0] = skb->vlan_tci & 0xfff;
}

static __always_inline void segment_set_origin(struct segment *s, const struct __sk_buff *skb,
					       bool egress)
{
	s->egress = egress;
	s->from_gateway = egress && !skb->ingress_ifindex;
	s->ifindex = skb->ifindex;
	/* a test's packets are addressed to nobody's device */
	s->other_host = !egress && !virtual_time && skb->pkt_type == PACKET_OTHERHOST;
}

/* Of no flow that is opening, and no news of another one? */
static __always_inline bool can_skip(const struct headers *h, __u32 hash, __u32 ifindex)
{
	__u8 flags = h->transport[13];
	struct bucket *bucket;
	bool may_be;

	if (flags & TCP_SYN)
		return false;
	may_be = filter_may_hold(&flow_filter, hash);
	if (!may_be && !(flags & TCP_CONTROL))
		return true;
	bucket = table_bucket(NULL, bucket_number(hash, ifindex, h->vlan));
	if (!bucket)
		return true;
	if (may_be && (bucket_may_hold(bucket, hash) || bucket_has_overflowed(bucket)))
		return false;
	return !(flags & TCP_CONTROL) || bucket_has_seen(bucket, hash);
}

/*
 * What the segment in this CPU's scratch changes. The hooks' table needs no handle; for
 * table_keep_packet() it is the packet. Global functions are verified once, by themselves, whoever
 * calls them: what most packets never reach adds nothing to the verifier's work on the hooks, nor to
 * what a hook saves and restores.
 */
__noinline int process_scratch(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();

	if (!scratch)
		return false;
	if (virtual_time)
		scratch->virtual_now = skb->tstamp;
	return process_segment((struct table *)skb, &scratch->segment);
}

__noinline int start_scratch(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();

	if (scratch)
		start_attempt((struct table *)skb, &scratch->segment);
	return 0;
}

/* In this CPU's copy of the headers, so many bytes. */
static __always_inline enum parse_result parse_copy(struct __sk_buff *skb, struct scratch *scratch,
						    __u64 length, __u32 link, struct frame *f,
						    struct headers *h)
{
	f->begin = scratch->headers;
	f->end = scratch->headers + length;
	f->wire_length = skb->len;
	f->launder = &scratch->launder;
	headers_init(h, skb);
	return parse_headers(f, link, be16_to_cpu(skb->protocol), h);
}

/* Of a copy of the headers. */
static __always_inline void process_copy(struct __sk_buff *skb, struct scratch *scratch,
					 __u64 length, __u32 link, __u32 egress)
{
	enum parse_result parsed;
	struct headers h;
	struct frame f;

	parsed = parse_copy(skb, scratch, length, link, &f, &h);
	if (parsed == PARSE_TCP) {
		segment_from_tcp(&f, &h, &scratch->segment);
	} else if (parsed == PARSE_ICMP) {
		if (!segment_from_icmp(&f, &h, &scratch->segment))
			return;
	} else {
		count_other(NULL, &h, parsed, skb->len);
		return;
	}
	scratch->segment.hash = segment_hash(&scratch->segment, &run_seed);
	segment_set_origin(&scratch->segment, skb, egress);
	if (process_scratch(skb))
		start_scratch(skb);
}

/*
 * What is not plain: options and extension headers, first fragments, PPPoE, MPLS, ICMP errors, what is
 * malformed, headers outside the skb's linear part (frames larger than a page). Works on a copy of the
 * headers.
 */
__noinline int slow_path_copy(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();
	__u64 length = skb->len;

	if (!scratch)
		return 0;
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20) { /* no frame of ours is shorter than an IPv4 header */
		table_count(NULL, COUNT_MALFORMED, 1);
		return 0;
	}
	/* clang 19 would pass another register than the one whose bounds were checked */
	barrier_var(length);
	if (bpf_skb_load_bytes(skb, 0, scratch->headers, length)) {
		table_count(NULL, COUNT_LOST_TRUNCATED, 1);
		return 0;
	}
	process_copy(skb, scratch, length, scratch->link, scratch->egress);
	return 0;
}

/*
 * Before 5.14 what a tunnel's device receives still has its outer headers in front, and only the
 * network header's place is right. How much of the packet lies behind that, the packet itself says.
 */
__noinline int slow_path_tunnel(struct __sk_buff *skb)
{
	bool ip6 = skb->protocol == cpu_to_be16(ETHERTYPE_IP6);
	struct scratch *scratch = this_cpu_scratch();
	__u64 length;

	if (!scratch)
		return 0;
	if (load_bytes(skb, true, scratch->headers, 20)) {
		table_count(NULL, COUNT_MALFORMED, 1);
		return 0;
	}
	length = ip6 ? 40 + get_be16(scratch->headers + 4) : get_be16(scratch->headers + 2);
	barrier_var(length); /* one register, whose bounds are checked below */
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20) {
		table_count(NULL, COUNT_MALFORMED, 1);
		return 0;
	}
	barrier_var(length);
	if (load_bytes(skb, true, scratch->headers, length)) {
		/* the payload lies outside the linear part, which is all that this reads */
		length = ip6 ? 40 + 20 : 20 + 20;
		if (load_bytes(skb, true, scratch->headers, length)) {
			table_count(NULL, COUNT_LOST_TRUNCATED, 1);
			return 0;
		}
	}
	scratch->tunnel_length = length;
	process_copy(skb, scratch, length, LINK_RAW_IP, false);
	scratch->tunnel_length = 0;
	return 0;
}

/* Most of what a glance leaves opens or closes, behind plain headers. Answers whether that was so. */
static __always_inline bool slow_path_linear(struct __sk_buff *skb, struct scratch *scratch)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.wire_length = skb->len,
		.launder = NULL,
	};
	struct headers h;
	__u32 hash;

	headers_init(&h, skb);
	if (unlikely(parse_plain_tcp(&f, scratch->link, be16_to_cpu(skb->protocol), &h) !=
		     PARSE_TCP))
		return false;
	hash = hash_headers(h.ip, h.transport, h.ip6, &run_seed);
	scratch->segment.hash = hash;
	if (can_skip(&h, hash, skb->ifindex))
		return true;
	segment_from_tcp(&f, &h, &scratch->segment);
	segment_set_origin(&scratch->segment, skb, scratch->egress);
	if (process_scratch(skb))
		start_scratch(skb);
	return true;
}

/* What a glance left; see tail_call_slow_path(). */
SEC("tc")
int slow_path(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();

	if (scratch && !slow_path_linear(skb, scratch))
		slow_path_copy(skb);
	return TC_NEXT;
}

/*
 * All hooks go on there, by a jump that does not come back: so that is verified once, and both directions
 * have the same code in the cache. Where the map is empty, since its owner is gone, nothing is watched.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(max_entries, 1);
	__array(values, int(struct __sk_buff *skb));
} slow_path_progs SEC(".maps") = { .values = { [0] = (void *)&slow_path } };

static __always_inline void tail_call_slow_path(struct __sk_buff *skb, enum link_type link,
						bool egress)
{
	struct scratch *scratch = this_cpu_scratch();

	if (!scratch)
		return;
	scratch->link = link;
	scratch->egress = egress;
	bpf_tail_call(skb, &slow_path_progs, 0);
}

/* Not written again, lest the CPUs take its line of the cache from each other. */
static __always_inline void set_once(volatile bool *seen_here)
{
	if (unlikely(!*seen_here))
		*seen_here = true;
}

static __always_inline void mark_active(struct __sk_buff *skb, bool egress)
{
	if (unlikely(multi_iface))
		set_once(&active[activity_index(skb->ifindex)][egress]);
	else
		set_once(&active[0][egress]);
}

static __always_inline int watch(struct __sk_buff *skb, enum link_type link, bool egress)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
	};
	struct __sk_buff *volatile kept = skb; /* on the stack, as in count_on_fast_path() */
	const __u8 *transport;

	mark_active(skb, egress);
	switch (fastpath(&f, link, be16_to_cpu(skb->protocol), &flow_filter, &run_seed,
			 &transport)) {
	case PARSE_TCP:
	case PARSE_IGNORE:
		return TC_NEXT;
	case PARSE_UDP:
		count_on_fast_path(udp_counter(transport), kept->len);
		return TC_NEXT;
	case PARSE_OTHER_PROTO:
		count_on_fast_path(COUNT_IP_OTHER, 1);
		return TC_NEXT;
	case PARSE_FRAGMENT:
		count_on_fast_path(COUNT_FRAGMENTS, 1);
		return TC_NEXT;
	default:
		break;
	}
	tail_call_slow_path(kept, link, egress);
	return TC_NEXT;
}

SEC("tc")
int probe_ingress(struct __sk_buff *skb)
{
	return watch(skb, LINK_ETHERNET, false);
}

SEC("tc")
int probe_egress(struct __sk_buff *skb)
{
	return watch(skb, LINK_ETHERNET, true);
}

SEC("tc")
int probe_ingress_ip(struct __sk_buff *skb)
{
	return watch(skb, LINK_RAW_IP, false);
}

SEC("tc")
int probe_egress_ip(struct __sk_buff *skb)
{
	return watch(skb, LINK_RAW_IP, true);
}

SEC("tc")
int probe_ingress_inner(struct __sk_buff *skb)
{
	mark_active(skb, false);
	slow_path_tunnel(skb);
	return TC_NEXT;
}

static __always_inline void record_egress_syn(struct __sk_buff *skb, const struct headers *h)
{
	__u32 isn, hash;
	__u64 *slot;

	if ((h->transport[13] & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return;
	isn = get_be32(h->transport + 4);
	hash = egress_syn_hash(isn);
	slot = bpf_map_lookup_elem(&egress_syns, &hash);
	if (slot)
		*(volatile __u64 *)slot = (__u64)isn << 32 |
					  (__u64)egress_syn_time(bpf_ktime_get_ns()) << 8 |
					  (skb->ifindex & 0xff);
}

/* Of a copy of the headers, as slow_path_copy(). An ethertype that is not known brings no SYN. */
__noinline int record_egress_copy(struct __sk_buff *skb, __u32 link)
{
	struct scratch *scratch = this_cpu_scratch();
	__u64 length = skb->len;
	enum parse_result parsed;
	struct headers h;
	struct frame f;

	if (!scratch)
		return 0;
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20)
		return 0;
	barrier_var(length);
	if (bpf_skb_load_bytes(skb, 0, scratch->headers, length)) {
		egress_syns_incomplete = true;
		return 0;
	}
	parsed = parse_copy(skb, scratch, length, link, &f, &h);
	if (parsed == PARSE_TCP)
		record_egress_syn(skb, &h);
	else if (parsed == PARSE_TRUNCATED)
		egress_syns_incomplete = true;
	return 0;
}

static __noinline int record_egress(struct __sk_buff *skb, __u32 link)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.wire_length = skb->len,
		.launder = NULL,
	};
	struct headers h;

	headers_init(&h, skb);
	if (parse_plain_tcp(&f, link, be16_to_cpu(skb->protocol), &h) == PARSE_TCP)
		record_egress_syn(skb, &h);
	else
		record_egress_copy(skb, link);
	return 0;
}

/* What a glance dismisses is no SYN. */
static __always_inline int watch_egress_syns(struct __sk_buff *skb, enum link_type link)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
	};
	const __u8 *transport;

	if (fastpath(&f, link, be16_to_cpu(skb->protocol), NULL, &run_seed, &transport) ==
	    PARSE_SLOW)
		record_egress(skb, link);
	return TC_NEXT;
}

SEC("tc")
int probe_egress_syn(struct __sk_buff *skb)
{
	return watch_egress_syns(skb, LINK_ETHERNET);
}

SEC("tc")
int probe_egress_syn_ip(struct __sk_buff *skb)
{
	return watch_egress_syns(skb, LINK_RAW_IP);
}

/*
 * Run by user space, once for each candidate: a flow that user space found due is looked at again
 * and settled here, so that a SYN-ACK which lands between its look and ours is not lost.
 */
SEC("tc")
int settle_candidate(struct __sk_buff *skb)
{
	__u64 now = virtual_time ? skb->tstamp : bpf_ktime_get_ns();
	__u32 next = candidate_next++;
	struct flow_entry *e;
	struct candidate c;
	enum end_reason why;
	struct flow_ref found;

	if (next >= CANDIDATES)
		return TC_NEXT;
	c = candidates[next];
	e = flow_at(c.slot);
	if (!e || e->flow.client_isn != c.client_isn)
		return TC_NEXT;
	why = run_ending ? END_OF_RUN : settle_due(&e->flow, now, under_pressure);
	if (why == END_NONE || !find_slot(e, c.slot, &found) || !table_lock(NULL, &found))
		return TC_NEXT;
	table_unlock(NULL, &found, why);
	publish(c.slot, why, now, false);
	return TC_NEXT;
}

char _license[] SEC("license") = "GPL";
