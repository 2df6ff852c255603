// SPDX-License-Identifier: GPL-2.0
/*
 * The table of finding kinds. The order of findings, the exit status, the manual and the schema
 * depend on it. Tests read it with a regular expression, so the format of the rows must not change.
 */
#include "diagnose/diagnose.h"

const struct finding_kind_info finding_kinds[KINDS] = {
	/* clang-format off */
	[KIND_WAITS_FOR_PEER] = { "waits-for-peer", FAMILY_WAIT, RANK_CAUSE, true,
		"clients wait until they give up a peer that does not answer" },
	[KIND_SLOW_HELPER] = { "slow-helper", FAMILY_WAIT, RANK_CAUSE, true,
		"clients wait until a slow peer has answered" },
	[KIND_HELD_BEFORE_CONNECT] = { "held-before-connect", FAMILY_WAIT, RANK_CAUSE, true,
		"clients connect only a fixed time after an attempt at a silent peer" },
	[KIND_FAILOVER_CHAIN] = { "failover-chain", FAMILY_WAIT, RANK_CAUSE, true,
		"the first server is silent, and the second one is tried a fixed time later" },
	[KIND_BROKEN_IPV6] = { "broken-ipv6", FAMILY_WAIT, RANK_CAUSE, true,
		"IPv6 is silent, and IPv4 to the same port follows" },
	[KIND_TIMER_UNEXPLAINED] = { "timer-unexplained", FAMILY_WAIT, RANK_CAUSE, true,
		"stalls of equal length without a cause in TCP" },
	[KIND_STALLS_UNEXPLAINED] = { "stalls-unexplained", FAMILY_WAIT, RANK_UNEXPLAINED, false,
		"stalls without a cause in TCP" },
	[KIND_PREFIX_CUT] = { "prefix-cut", FAMILY_PEER, RANK_FAULT, true,
		"all servers behind a prefix or a route are silent" },
	[KIND_DROPPED_IN_GATEWAY] = { "dropped-in-gateway", FAMILY_PEER, RANK_FAULT, true,
		"SYNs or SYN-ACKs come in to this gateway and do not go out" },
	[KIND_PEER_UNANSWERED] = { "peer-unanswered", FAMILY_PEER, RANK_FAULT, true,
		"a peer does not answer" },
	[KIND_PEER_REFUSED] = { "peer-refused", FAMILY_PEER, RANK_NOTE, true,
		"a peer refuses connections by RST" },
	[KIND_PEER_UNREACHABLE] = { "peer-unreachable", FAMILY_PEER, RANK_FAULT, true,
		"an ICMP error reports a peer unreachable" },
	[KIND_SYN_FLOOD] = { "syn-flood", FAMILY_PEER, RANK_NOTE, true,
		"very many attempts from many addresses that nobody finishes" },
	[KIND_IDENT] = { "ident", FAMILY_SERVER, RANK_FAULT, true,
		"a server greets only after its ident query to the client has timed out" },
	[KIND_LATE_BANNER] = { "late-banner", FAMILY_SERVER, RANK_FAULT, true,
		"a server that speaks first greets late" },
	[KIND_SLOW_SERVER] = { "slow-server", FAMILY_SERVER, RANK_FAULT, true,
		"a server answers requests late" },
	[KIND_ACCEPT_QUEUE] = { "accept-queue", FAMILY_SERVER, RANK_FAULT, true,
		"a server's accept queue is full" },
	[KIND_DEFERRED_ACCEPT] = { "deferred-accept", FAMILY_SERVER, RANK_NOTE, false,
		"a server repeats SYN-ACKs to idle clients, which is harmless" },
	[KIND_MTU_BLACK_HOLE] = { "mtu-black-hole", FAMILY_PATH, RANK_FAULT, true,
		"large packets are lost and no ICMP error reaches their sender" },
	[KIND_ONE_DIRECTION] = { "one-direction", FAMILY_PATH, RANK_FAULT, false,
		"connections went on although no SYN-ACK was captured" },
	[KIND_LOSSY_CLIENT] = { "lossy-client", FAMILY_PATH, RANK_FAULT, true,
		"packets are lost between a client and this gateway" },
	[KIND_LOSSY_FAR_SIDE] = { "lossy-far-side", FAMILY_PATH, RANK_FAULT, true,
		"packets are lost between this gateway and the servers" },
	[KIND_SLOW_ACCESS] = { "slow-access", FAMILY_PATH, RANK_FAULT, true,
		"the round trip between a client and this gateway is long" },
	[KIND_PORT_REUSE] = { "port-reuse", FAMILY_PATH, RANK_FAULT, true,
		"a server still holds the connection whose four-tuple a client uses again" },
	[KIND_NO_VERDICT] = { "no-verdict", FAMILY_OVERALL, RANK_NO_VERDICT, false,
		"too little was seen for a reliable finding" },
	[KIND_NOT_THE_NETWORK] = { "not-the-network", FAMILY_OVERALL, RANK_ALL_WELL, false,
		"the network that passes here is prompt both ways" },
	/* clang-format on */
};

const char *const confidence_names[CONFIDENCES] = {
	[CONFIDENCE_LOW] = "low",
	[CONFIDENCE_MEDIUM] = "medium",
	[CONFIDENCE_HIGH] = "high",
};
