// SPDX-License-Identifier: GPL-2.0
#include "judge.h"

#include "lib/address.h"

static enum verdict verdict_of(bool right)
{
	return right ? CORRECT : WRONG;
}

/* Judges all hosts that the finding names. */
static enum verdict judge_hosts(const struct population *p, const struct finding *f)
{
	const struct inhabitant *host;
	size_t i;

	for (i = 0; i < f->affected.named; i++) {
		host = population_host(p, &f->affected.at[i].address);
		if (!host || !(f->kind == KIND_LOSSY_CLIENT ? host->lossy : host->scans))
			return WRONG;
	}
	return f->affected.named ? CORRECT : NOT_JUDGED;
}

enum finding_kind kind_of_fault(enum trouble trouble)
{
	static const enum finding_kind kinds[FAULTS] = {
		[NO_TROUBLE] = KINDS,
		[NEVER_ANSWERS] = KIND_NO_ANSWER,
		[CLOSES] = KIND_SERVER_CLOSES,
		[RESETS_REQUESTS] = KIND_RESET_AFTER_REQUEST,
		[LOSES_REQUESTS] = KIND_REQUEST_LOST,
		[ANSWERS_THIRD_SYN] = KIND_SLOW_CONNECT,
		[FILTERS_ECN] = KIND_SYN_FILTERED,
		[LOSES_FIRST_SYN] = KIND_FIRST_SYN_LOST,
	};

	return trouble < FAULTS ? kinds[trouble] : KINDS;
}

/* Reports whether this server really did what a finding of that kind says. */
static bool does(const struct server *s, enum finding_kind kind)
{
	if (!s || !s->troubled)
		return false;
	/* if all SYNs ask for ECN, nothing tells this from a server that ignores first SYNs */
	if (s->trouble == FILTERS_ECN && kind == KIND_SLOW_CONNECT)
		return s->troubled == s->answered;
	if (s->trouble < FAULTS)
		return kind_of_fault(s->trouble) == kind;
	return (s->trouble == OVERLOADED && kind == KIND_NO_ANSWER) ||
	       (s->trouble == RESTARTS && kind == KIND_RESET_AFTER_REQUEST);
}

/*
 * The servers that the finding names have the fault: of several, those with four of five connects.
 * If it names none, any server of the population has it.
 */
static enum verdict judge_fault(const struct population *p, const struct finding *f)
{
	uint64_t concerned = 0, right = 0;
	size_t i;

	for (i = 0; i < f->part_count; i++) {
		concerned += f->parts[i].concerned;
		if (does(population_trouble(p, &f->parts[i].server), f->kind))
			right += f->parts[i].concerned;
	}
	if (concerned)
		return verdict_of(right * 5 >= concerned * 4);
	if (f->has_peer && !f->prefix_length)
		return verdict_of(does(population_trouble(p, &f->peer), f->kind));
	for (i = 0; i < p->server_count; i++)
		if (does(&p->servers[i], f->kind))
			return CORRECT;
	return WRONG;
}

bool finding_is_about(const struct finding *f, const struct server *s)
{
	size_t i;

	for (i = 0; i < f->part_count; i++)
		if (same_endpoint(&f->parts[i].server, &s->ip4))
			return true;
	return f->has_peer ? same_address(&f->peer, &s->ip4) : !f->part_count;
}

enum verdict judge(const struct population *p, const struct finding *f)
{
	switch (f->kind) {
	case KIND_WAITS_FOR_PEER:
	case KIND_SLOW_HELPER:
	case KIND_HELD_BEFORE_CONNECT:
		return verdict_of(f->has_peer && population_is_culprit(p, &f->peer));
	case KIND_PREFIX_CUT:
		return verdict_of(f->has_peer &&
				  population_prefix_fails(p, &f->peer.address, f->prefix_length));
	case KIND_LOSSY_CLIENT:
		return judge_hosts(p, f);
	case KIND_LOSSY_FAR_SIDE:
		return verdict_of(p->lossy_far_side);
	case KIND_PEER_UNANSWERED:
		if (!f->has_peer) /* a host with very many attempts */
			return judge_hosts(p, f);
		return verdict_of(f->has_peer && population_fails(p, &f->peer, SILENT));
	case KIND_PEER_REFUSED:
		return verdict_of(f->has_peer && population_fails(p, &f->peer, REFUSES));
	case KIND_PEER_UNREACHABLE:
		return verdict_of(f->has_peer && population_fails(p, &f->peer, UNREACHABLE));
	case KIND_FAILOVER_CHAIN:
		return verdict_of(f->has_peer && population_is_chained(p, &f->peer));
	case KIND_BROKEN_IPV6:
		return f->has_peer && f->peer.port
			       ? verdict_of(population_fails(p, &f->peer, SILENT))
			       : NOT_JUDGED;
	case KIND_LATE_BANNER:
		return verdict_of(f->has_peer && population_greets_late(p, &f->peer));
	case KIND_SLOW_SERVER:
		return verdict_of(f->has_peer && population_answers_late(p, &f->peer));
	/* random loss is lost on the far side in truth, but might be here */
	case KIND_GATEWAY_DROPS:
		return p->lossy_far_side ? NOT_JUDGED : WRONG;
	case KIND_NO_ANSWER:
	case KIND_SERVER_CLOSES:
	case KIND_RESET_AFTER_REQUEST:
	case KIND_REQUEST_LOST:
	case KIND_SLOW_CONNECT:
	case KIND_SYN_FILTERED:
	case KIND_FIRST_SYN_LOST:
		return judge_fault(p, f);
	/* nothing in these populations does it */
	case KIND_DROPPED_IN_GATEWAY:
	case KIND_ROUTING_LOOP:
	case KIND_ANSWERED_ELSEWHERE:
	case KIND_SYN_FLOOD:
	case KIND_IDENT:
	case KIND_ACCEPT_QUEUE:
	case KIND_DEFERRED_ACCEPT:
	case KIND_NO_GREETING:
	case KIND_REFUSED_IN_ANSWER:
	case KIND_SYN_PROXY:
	case KIND_FIRST_VISIT_SLOW:
	case KIND_MTU_BLACK_HOLE:
	case KIND_LARGE_HELLO:
	case KIND_HANDSHAKE_UNFINISHED:
	case KIND_SOME_PATHS_FAIL:
	case KIND_ONE_DIRECTION:
	case KIND_PORT_REUSE:
	case KIND_DUPLICATE_ADDRESS:
	case KIND_OLD_RESET:
		return WRONG;
	default:
		return NOT_JUDGED;
	}
}
