// SPDX-License-Identifier: GPL-2.0
/*
 * Drives a hook's program at full speed. BPF_PROG_TEST_RUN repeats a program on one frame; this one
 * changes the frame to another packet each time and jumps to the program under test. The empty
 * program in the same place gives the cost of the driving.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "drive.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

struct drive_step steps[DRIVE_STEPS];
__u32 step_count;
__u32 step;
__u32 client_mask = 0xffffff; /* determines the number of client addresses */
__u64 dice; /* never 0 */
__u64 chance; /* the random number of the current tuple */

/* xorshift64 (Marsaglia 2003): a seed gives the same tuples in every round. */
static __always_inline __u64 throw_dice(void)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return dice;
}

/* Writes ports and addresses of the frame: a random client's, and those of one server. */
static __always_inline void write_tuple(__u8 *ip, __u8 *tcp, __u64 who, bool from_server)
{
	__u32 client = 10 | (__u32)(who & client_mask) << 8;
	__u16 port = 1024 | who >> 24;

	*(__u32 *)(ip + (from_server ? 16 : 12)) = client;
	*(__u32 *)(ip + (from_server ? 12 : 16)) = 0x0a7100cb; /* 203.0.113.10 */
	*(__u16 *)(tcp + (from_server ? 2 : 0)) = be16_to_cpu(port);
	*(__u16 *)(tcp + (from_server ? 0 : 2)) = be16_to_cpu(80);
}

/* Each run makes a segment of a random four-tuple, with random addresses and ports. */
SEC("tc")
int drive_tuples(struct __sk_buff *skb)
{
	__u8 *ip = (__u8 *)(long)skb->data + 14;
	__u64 who, server;

	if (ip + 54 > (__u8 *)(long)skb->data_end)
		return -1;
	who = throw_dice();
	server = who * 0x9e3779b97f4a7c15ULL;
	if (ip[0] == 0x45) {
		*(__u64 *)(ip + 12) = who;
		*(__u32 *)(ip + 20) = server;
	} else {
		*(__u64 *)(ip + 16) = who;
		*(__u64 *)(ip + 32) = server;
		*(__u32 *)(ip + 40) = server >> 32;
	}
	bpf_tail_call(skb, &target, 0);
	return -1;
}

/* Each run makes the next step of a connection; after its last step another connection begins. */
SEC("tc")
int drive_connections(struct __sk_buff *skb)
{
	__u8 *ip = (__u8 *)(long)skb->data + 14, *tcp = ip + 20;
	__u32 at = step, isn;
	struct drive_step *s;

	if (tcp + 20 > (__u8 *)(long)skb->data_end || at >= DRIVE_STEPS)
		return -1;
	s = &steps[at];
	if (at == 0)
		chance = throw_dice();
	isn = chance >> 40;
	write_tuple(ip, tcp, chance, s->from_server);
	*(__u16 *)(ip + 2) = be16_to_cpu(40 + s->payload);
	*(__u16 *)(ip + 4) = chance ^ at; /* IPv4 ID */
	*(__u32 *)(tcp + 4) = cpu_to_be32(isn + s->seq);
	*(__u32 *)(tcp + 8) = cpu_to_be32(isn + s->ack);
	tcp[13] = s->flags;
	step = at + 1 < step_count ? at + 1 : 0;
	bpf_tail_call(skb, &target, 0);
	return -1;
}

SEC("tc")
int empty(struct __sk_buff *skb)
{
	return -1;
}

char _license[] SEC("license") = "GPL";
