/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lost SYNs and what they have in common. Shared by the files of the cause "lost SYNs":
 * syn_faults.c decides, syn_compare.c compares, syn_reports.c writes the findings.
 */
#pragma once

#include "diagnose/connects.h"
#include "lib/exact_test.h"

/* What became of the first SYN of a connect. */
enum syn_fate {
	SYN_NOT_COUNTED, /* it proves nothing, or other causes report it */
	SYN_PASSED,
	SYN_LOST, /* not answered before it was sent again, or never */
	SYN_REFUSED, /* by an RST */
	SYN_CHALLENGED, /* answered by a challenge ACK (RFC 5961 4.2) */
};

struct syn {
	const struct noted_connect *n;
	enum syn_fate fate;
	bool early; /* sent in the first second of its client's address */
	bool early_in_run; /* the client was first seen shortly after the start of the run */
	ns_t reused; /* time since the last answered use of its four-tuple; or NEVER */
	bool dead_tuple; /* all its SYNs were lost while another port of the host got through */
	bool beside_dead; /* as above, but no other port got through between its SYNs */
	bool dead_pair; /* this client never reaches this server, see mark_dead_pairs() */
	bool slow_server; /* its server answers only a late SYN of nearly all connects */
};

/*
 * The questions about a lost SYN, in the order in which they are asked: the first that applies
 * decides.
 */
enum syn_question {
	ASK_FIRST_OF_HOST,
	ASK_FIRST_OF_NEW_HOST, /* hosts seen from the start of the run do not count */
	ASK_ECN,
	ASK_FAST_OPEN,
	ASK_MPTCP,
	ASK_TIMESTAMPS,
	ASK_ECN_REFUSED,
	ASK_FAST_OPEN_REFUSED,
	ASK_MPTCP_REFUSED,
	ASK_TIMESTAMPS_REFUSED,
	ASK_ONE_SERVER,
	ASK_CHALLENGED,
	ASK_REUSED_PORT,
	ASK_FOUR_TUPLE,
	ASK_PAIR,
	SYN_QUESTIONS, /* none applies: loss */
};

enum has { HAS_NOT, HAS, HAS_UNKNOWN };

/* SYNs with a property compared with SYNs without it, to the same servers. */
struct syn_comparison {
	uint64_t with, bad_with;
	uint64_t without, bad_without;
	uint64_t everywhere, bad_everywhere; /* with the property, to any server */
	uint64_t again; /* of bad_with: answered after the SYN was sent again */
	uint64_t sent_again; /* SYNs that were sent again in connects of bad_with */
	size_t hosts_hit; /* hosts with a bad SYN that has the property */
	size_t hosts_with, hosts_without;
	size_t within; /* hosts with both kinds of SYNs that tell something */
	size_t servers;
	size_t episodes; /* runs of bad SYNs in time, between which SYNs passed */
	struct p_value p;
	bool alone; /* there are no SYNs without the property to compare with */
	bool confounded; /* the property and its only host cannot be told apart */
	bool burst; /* all at one time: an outage looks the same */
	bool also_first; /* all bad SYNs are the first of their hosts as well */
	bool stands; /* the property decides */
	struct certainty certainty;
};

struct syn_question_info {
	enum finding_kind kind;
	enum syn_fate bad;
	enum has (*has)(const struct syn *s);
	const char *with; /* SYNs with the property, in words; NULL if they are not compared */
	/*
	 * why a SYN that is sent again may lack the property, so that the answer to it says something
	 * about the property; or NULL
	 */
	const char *omitted_again;
};

extern const struct syn_question_info syn_questions[SYN_QUESTIONS];

struct syn_faults {
	struct syn *syns; /* by index of g->connects[] */
	struct syn **by_tuple; /* sorted by server, client, and SYN */
	struct syn_comparison comparisons[SYN_QUESTIONS];
	unsigned int tests; /* comparisons that could have shown something */
};

static inline struct syn *syn_of(const struct context *g, const struct syn_faults *x,
				 const struct noted_connect *n)
{
	return &x->syns[n - g->connects];
}

/* Fills in the comparison of a question that has words for its property. */
void compare_syns(struct context *g, struct syn_faults *x, enum syn_question question);

/* Adjusts the p-values of all comparisons, and decides which ones stand. */
void settle_comparisons(struct context *g, struct syn_faults *x);

/* Mark SYNs on four-tuples, or of pairs of client and server, that never get through. */
void mark_dead_tuples(struct context *g, struct syn_faults *x);
void mark_dead_pairs(struct context *g, struct syn_faults *x);

/* Adds the finding of a question about these connects. */
void report_lost_syns(struct context *g, const struct syn_faults *x, enum syn_question question,
		      const struct connect_set *set);
