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

static __always_inline bool table_wants(struct table *t, const struct segment *s)
{
	return narrow_wants(&narrow, s);
}

static __always_inline void table_count_ethertype(struct table *t, __u16 ethertype)
{
	__u32 index = ethertype / (LINE / sizeof(__u32));
	struct ethertypes *line = bpf_map_lookup_elem(&ethertypes, &index);

	if (line)
		__sync_fetch_and_add(&line->packets[ethertype % (LINE / sizeof(__u32))], 1);
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
	__uint(max_entries, 1); /* LEAVING, when it is used */
} leaving SEC(".maps");

/* A leaving packet was not understood: nothing can be said of any that was not seen. */
bool leaving_unsure;

static __always_inline __u32 leaving_slot(__u32 isn)
{
	return isn * 0x9e3779b1U >> 16 & (LEAVING - 1);
}

/* In units of 2^24 ns, some 17 ms: 24 bits are three days. */
static __always_inline __u32 leaving_time(__u64 now)
{
	return now >> 24 & 0xffffff;
}

static __always_inline bool table_follows(struct table *t)
{
	return follow_peers;
}

static __always_inline __u16 table_left(struct table *t, const struct flow *f)
{
	__u32 slot = leaving_slot(f->client_isn);
	__u64 *place = bpf_map_lookup_elem(&leaving, &slot), word;
	bool is_since;

	if (!place || leaving_unsure)
		return 0;
	word = *(volatile __u64 *)place;
	is_since = ((word >> 8) - leaving_time(f->syn_last) & 0xffffff) < 1 << 23;
	if (word && is_since && word >> 32 == f->client_isn)
		return CLIENT_LEFT | (word & 0xff) << 8;
	/* another one's, since then: it may have overwritten ours */
	return word && is_since ? 0 : CLIENT_STAYED;
}

/* Packets that decide something, while they are kept; user space sets the sizes. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} packets SEC(".maps");

struct packet_room {
	struct packet_head head;
	__u8 bytes[MOST_SNAP];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct packet_room);
	__uint(max_entries, 1);
} packet_room SEC(".maps");

static __always_inline bool table_keeps_packets(struct table *t)
{
	return keep_packets;
}

static __always_inline int load_bytes(struct __sk_buff *skb, bool inner, void *to, __u32 length)
{
	if (inner)
		return bpf_skb_load_bytes_relative(skb, 0, to, length, BPF_HDR_START_NET);
	return bpf_skb_load_bytes(skb, 0, to, length);
}

/* Behind the head that is in this CPU's room. */
__noinline int hand_packet_over(struct __sk_buff *skb)
{
	struct scratch *own = this_cpu_scratch();
	__u64 length = skb->len;
	struct packet_room *p;
	__u32 zero = 0;

	p = bpf_map_lookup_elem(&packet_room, &zero);
	if (!p || !own)
		return 0;
	p->head.wire_length = skb->len;
	p->head.vlan_protocol = skb->vlan_present ? swap16(skb->vlan_proto) : 0;
	p->head.vlan_tci = skb->vlan_tci;
	if (own->inner && length > own->inner)
		length = own->inner;
	if (length > snap)
		length = snap;
	if (length > MOST_SNAP)
		length = MOST_SNAP;
	if (length < 20)
		return 0;
	p->head.length = length;
	/* as in watch_deep() */
	HIDE(length);
	if (load_bytes(skb, own->inner, p->bytes, length) ||
	    bpf_ringbuf_output(&packets, p, sizeof(p->head) + length, BPF_RB_NO_WAKEUP))
		table_count(NULL, COUNT_LOST_PACKETS, 1);
	return 0;
}

/* Of the segment in this CPU's scratch. */
static __noinline void keep_packet(struct __sk_buff *skb, const struct flow_key *key,
				   const struct flow *f, bool from_client, __u64 now)
{
	struct scratch *own = this_cpu_scratch();
	struct packet_room *p;
	__u32 zero = 0;
	__u8 roles;

	p = bpf_map_lookup_elem(&packet_room, &zero);
	if (!p || !own)
		return;
	roles = roles_of(f, &own->segment, from_client, now);
	if (!roles)
		return;
	__builtin_memcpy(&p->head.key, key, sizeof(p->head.key));
	p->head.syn = f->syn_times[0];
	p->head.time = now;
	p->head.roles = roles;
	p->head.flags = (own->segment.egress ? PACKET_EGRESS : 0) |
			(f->client_flags & CLIENT_IS_END_1 ? PACKET_CLIENT_IS_END_1 : 0);
	hand_packet_over(skb);
}

static __always_inline void table_keep_packet(struct table *t, const struct flow_key *key,
					      const struct flow *f, const struct segment *s,
					      bool from_client, __u64 now)
{
	keep_packet((struct __sk_buff *)t, key, f, from_client, now);
}

/* The tag that the driver or the kernel took out of the frame. */
static __always_inline void headers_start(struct headers *h, const struct __sk_buff *skb)
{
	/* else clang spills what is not set, and the verifier refuses */
	__builtin_memset(h, 0, sizeof(*h));
	if (skb->vlan_present)
		h->vlan[0] = skb->vlan_tci & 0xfff;
}

static __always_inline void segment_origin(struct segment *s, const struct __sk_buff *skb,
					   bool egress)
{
	s->egress = egress;
	s->from_gateway = egress && !skb->ingress_ifindex;
	s->ifindex = skb->ifindex;
	/* a test's packets are addressed to nobody's device */
	s->elsewhere = !egress && !virtual_time && skb->pkt_type == PACKET_OTHERHOST;
}

/* Of no flow that is opening, and no news of another one? */
static __always_inline bool is_boring(const struct headers *h, __u32 slot, __u32 ifindex)
{
	__u8 flags = h->transport[13];
	struct line *line;
	bool may_be;

	if (flags & TCP_SYN)
		return false;
	may_be = may_be_opening(&lanes, slot);
	if (!may_be && !(flags & TCP_LOOK))
		return true;
	line = table_line(NULL, line_number(slot, ifindex, h->vlan));
	if (!line)
		return true;
	if (may_be && (line_may_hold(line, slot) || has_overflowed(line)))
		return false;
	return !(flags & TCP_LOOK) || line_knows(line, slot);
}

/*
 * What the segment in this CPU's scratch changes. The hooks' table needs no handle; for
 * table_keep_packet() it is the packet. Global functions are verified once, by themselves, whoever
 * calls them: what most packets never reach adds nothing to the verifier's work on the hooks, nor to
 * what a hook saves and restores.
 */
__noinline int watch_described(struct __sk_buff *skb)
{
	struct scratch *own = this_cpu_scratch();

	if (!own)
		return false;
	if (virtual_time)
		own->virtual_now = skb->tstamp;
	return watch_segment((struct table *)skb, &own->segment);
}

__noinline int start_described(struct __sk_buff *skb)
{
	struct scratch *own = this_cpu_scratch();

	if (own)
		start_attempt((struct table *)skb, &own->segment);
	return 0;
}

/* In this CPU's copy of the headers, so many bytes. */
static __always_inline enum parsed locate_copy(struct __sk_buff *skb, struct scratch *own,
					       __u64 length, __u32 link, struct frame *f,
					       struct headers *h)
{
	f->begin = own->headers;
	f->end = own->headers + length;
	f->wire_length = skb->len;
	f->forget = &own->forget;
	headers_start(h, skb);
	return locate(f, link, swap16(skb->protocol), h);
}

/* Of a copy of the headers. */
static __always_inline void watch_copy(struct __sk_buff *skb, struct scratch *own, __u64 length,
				       __u32 link, __u32 egress)
{
	enum parsed parsed;
	struct headers h;
	struct frame f;

	parsed = locate_copy(skb, own, length, link, &f, &h);
	if (parsed == PARSED_TCP) {
		describe_tcp(&f, &h, &own->segment);
	} else if (parsed == PARSED_ICMP) {
		if (!describe_icmp(&f, &h, &own->segment))
			return;
	} else {
		count_other(NULL, &h, parsed, skb->len);
		return;
	}
	own->segment.slot = segment_slot(&own->segment, &run_seed);
	segment_origin(&own->segment, skb, egress);
	if (watch_described(skb))
		start_described(skb);
}

/*
 * What is not plain: options and extension headers, first fragments, PPPoE, MPLS, ICMP errors, what is
 * malformed, headers outside the skb's linear part (frames larger than a page). Works on a copy of the
 * headers.
 */
__noinline int watch_deep(struct __sk_buff *skb)
{
	struct scratch *own = this_cpu_scratch();
	__u64 length = skb->len;

	if (!own)
		return 0;
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20) { /* no frame of ours is shorter than an IPv4 header */
		table_count(NULL, COUNT_MALFORMED, 1);
		return 0;
	}
	/* clang 19 would pass another register than the one whose bounds were checked */
	HIDE(length);
	if (bpf_skb_load_bytes(skb, 0, own->headers, length)) {
		table_count(NULL, COUNT_LOST_TRUNCATED, 1);
		return 0;
	}
	watch_copy(skb, own, length, own->link, own->egress);
	return 0;
}

/*
 * Before 5.14 what a tunnel's device receives still has its outer headers in front, and only the
 * network header's place is right. How much of the packet lies behind that, the packet itself says.
 */
__noinline int watch_inner(struct __sk_buff *skb)
{
	bool ip6 = skb->protocol == swap16(ETHERTYPE_IP6);
	struct scratch *own = this_cpu_scratch();
	__u64 length;

	if (!own)
		return 0;
	if (load_bytes(skb, true, own->headers, 20)) {
		table_count(NULL, COUNT_MALFORMED, 1);
		return 0;
	}
	length = ip6 ? 40 + load16(own->headers + 4) : load16(own->headers + 2);
	HIDE(length); /* one register, whose bounds are checked below */
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20) {
		table_count(NULL, COUNT_MALFORMED, 1);
		return 0;
	}
	HIDE(length);
	if (load_bytes(skb, true, own->headers, length)) {
		/* the payload lies outside the linear part, which is all that this reads */
		length = ip6 ? 40 + 20 : 20 + 20;
		if (load_bytes(skb, true, own->headers, length)) {
			table_count(NULL, COUNT_LOST_TRUNCATED, 1);
			return 0;
		}
	}
	own->inner = length;
	watch_copy(skb, own, length, LINK_BARE, false);
	own->inner = 0;
	return 0;
}

/* Most of what a glance leaves opens or closes, behind plain headers. Answers whether that was so. */
static __always_inline bool watch_plain(struct __sk_buff *skb, struct scratch *own)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.wire_length = skb->len,
		.forget = NULL,
	};
	struct headers h;
	__u32 slot;

	headers_start(&h, skb);
	if (unlikely(locate_plain(&f, own->link, swap16(skb->protocol), &h) != PARSED_TCP))
		return false;
	slot = slot_from(h.ip, h.transport, h.ip6, &run_seed);
	own->segment.slot = slot;
	if (is_boring(&h, slot, skb->ifindex))
		return true;
	describe_tcp(&f, &h, &own->segment);
	segment_origin(&own->segment, skb, own->egress);
	if (watch_described(skb))
		start_described(skb);
	return true;
}

/* What a glance left; see go_closely(). */
SEC("tc")
int watch_closely(struct __sk_buff *skb)
{
	struct scratch *own = this_cpu_scratch();

	if (own && !watch_plain(skb, own))
		watch_deep(skb);
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
} closely SEC(".maps") = { .values = { [0] = (void *)&watch_closely } };

static __always_inline void go_closely(struct __sk_buff *skb, enum link link, bool egress)
{
	struct scratch *own = this_cpu_scratch();

	if (!own)
		return;
	own->link = link;
	own->egress = egress;
	bpf_tail_call(skb, &closely, 0);
}

/* Not written again, lest the CPUs take its line of the cache from each other. */
static __always_inline void mark(volatile bool *seen_here)
{
	if (unlikely(!*seen_here))
		*seen_here = true;
}

static __always_inline void mark_seen(struct __sk_buff *skb, bool egress)
{
	if (unlikely(several))
		mark(&seen[seen_slot(skb->ifindex)][egress]);
	else
		mark(&seen[0][egress]);
}

static __always_inline int watch(struct __sk_buff *skb, enum link link, bool egress)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
	};
	struct __sk_buff *volatile kept = skb; /* on the stack, as in count_in_passing() */
	const __u8 *transport;

	mark_seen(skb, egress);
	switch (glance(&f, link, swap16(skb->protocol), &lanes, &run_seed, &transport)) {
	case PARSED_TCP:
	case PARSED_ARP:
		return TC_NEXT;
	case PARSED_UDP:
		count_in_passing(udp_counter(transport), kept->len);
		return TC_NEXT;
	case PARSED_OTHER:
		count_in_passing(COUNT_IP_OTHER, 1);
		return TC_NEXT;
	case PARSED_FRAGMENT:
		count_in_passing(COUNT_FRAGMENTS, 1);
		return TC_NEXT;
	default:
		break;
	}
	go_closely(kept, link, egress);
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
	return watch(skb, LINK_BARE, false);
}

SEC("tc")
int probe_egress_ip(struct __sk_buff *skb)
{
	return watch(skb, LINK_BARE, true);
}

SEC("tc")
int probe_ingress_inner(struct __sk_buff *skb)
{
	mark_seen(skb, false);
	watch_inner(skb);
	return TC_NEXT;
}

static __always_inline void note_segment(struct __sk_buff *skb, const struct headers *h)
{
	__u32 isn, slot;
	__u64 *place;

	if ((h->transport[13] & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return;
	isn = load32(h->transport + 4);
	slot = leaving_slot(isn);
	place = bpf_map_lookup_elem(&leaving, &slot);
	if (place)
		*(volatile __u64 *)place = (__u64)isn << 32 |
					   (__u64)leaving_time(bpf_ktime_get_ns()) << 8 |
					   (skb->ifindex & 0xff);
}

/* Of a copy of the headers, as watch_deep(). An ethertype that is not known brings no SYN. */
__noinline int note_leaving_deep(struct __sk_buff *skb, __u32 link)
{
	struct scratch *own = this_cpu_scratch();
	__u64 length = skb->len;
	enum parsed parsed;
	struct headers h;
	struct frame f;

	if (!own)
		return 0;
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20)
		return 0;
	HIDE(length);
	if (bpf_skb_load_bytes(skb, 0, own->headers, length)) {
		leaving_unsure = true;
		return 0;
	}
	parsed = locate_copy(skb, own, length, link, &f, &h);
	if (parsed == PARSED_TCP)
		note_segment(skb, &h);
	else if (parsed == PARSED_SHORT)
		leaving_unsure = true;
	return 0;
}

static __noinline int note_leaving(struct __sk_buff *skb, __u32 link)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.wire_length = skb->len,
		.forget = NULL,
	};
	struct headers h;

	headers_start(&h, skb);
	if (locate_plain(&f, link, swap16(skb->protocol), &h) == PARSED_TCP)
		note_segment(skb, &h);
	else
		note_leaving_deep(skb, link);
	return 0;
}

/* What a glance dismisses is no SYN. */
static __always_inline int watch_leaving(struct __sk_buff *skb, enum link link)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
	};
	const __u8 *transport;

	if (glance(&f, link, swap16(skb->protocol), NULL, &run_seed, &transport) == PARSED_DEEP)
		note_leaving(skb, link);
	return TC_NEXT;
}

SEC("tc")
int probe_leaving(struct __sk_buff *skb)
{
	return watch_leaving(skb, LINK_ETHERNET);
}

SEC("tc")
int probe_leaving_ip(struct __sk_buff *skb)
{
	return watch_leaving(skb, LINK_BARE);
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
	enum settled_by why;
	struct found found;

	if (next >= CANDIDATES)
		return TC_NEXT;
	c = candidates[next];
	e = entry_at(c.place);
	if (!e || e->flow.client_isn != c.client_isn)
		return TC_NEXT;
	why = ending ? SETTLED_END : settle_due(&e->flow, now, pressure);
	if (why == SETTLED_NOT || !find_at(e, c.place, &found) || !table_begin(NULL, &found))
		return TC_NEXT;
	table_end(NULL, &found, why);
	publish(c.place, why, now, false);
	return TC_NEXT;
}

char _license[] SEC("license") = "GPL";
