/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parameters from which the synthetic populations are drawn. They were committed before the
 * rules of the diagnosis were tuned, and no rule is a reason to change them. Units are seconds
 * unless stated; a chance is between 0 and 1. In an "octave" range each octave has the same
 * probability.
 */
#pragma once

#include "rng.h"
#include "attempt.h"

/* The network. */
static const struct range HOSTS = { 3, 120 }; /* octave: a flat, an office, a floor */
static const struct range RUN = { 60, 1800 }; /* octave: the usual durations of a run */
static const double ENDS_ANYWHERE = 0.5; /* of runs: Ctrl-C at any moment, uniform from this on */
static const double ENDS_FROM = 5;
static const double NO_MAC =
	0.1; /* of populations: the interface is a tunnel, hosts are addresses */
static const double BEHIND_ROUTER = 0.15; /* of populations: some hosts share a router's MAC */
static const double DUAL_STACK = 0.5; /* of populations: some of their hosts also have IPv6 */
static const struct range LAN_ROUND_TRIP = { 0.0001, 0.04 }; /* octave, per host: cable to Wi-Fi */
static const struct range WAN_ROUND_TRIP = { 0.001, 0.3 }; /* octave, per server */
static const struct range FAR_LOSS = { 0.00001, 0.02 }; /* octave: of SYNs and requests */

/* Culprits: chances of none, one, two and three helpers. */
static const double HELPERS[] = { 0.25, 0.45, 0.2, 0.1 };
static const double ALL_HOSTS = 0.1; /* all hosts have the helper: no comparison group */
static const struct range SHARE_OF_HOSTS = { 0.05, 0.95 };
static const double SLOW = 0.25; /* of helpers: their server answers, but late */
static const struct range SLOW_ANSWER = { 0.8, 20 }; /* octave: the median */
static const struct range SLOW_SPREAD = { 0, 0.6 }; /* of its logarithm: constant to broad */
static const double BY_ICMP = 0.1; /* of the dead ones: ICMP host unreachable after about 3 s */
static const double HOLDS_CONNECTS = 0.15; /* of the dead ones: they hold connect() itself */
static const double ASKS_AT_SEND = 0.5; /* they ask at the first send, not when established */
static const double PAIR = 0.15; /* of helpers: two servers are tried at the same moments */
static const double DIES_LATER = 0.25; /* of the dead ones: they answered until some moment */
static const struct range DIES_AT = { 0.1, 0.6 }; /* share of the planned run */
static const double COMES_BACK = 0.15; /* of failing ones: they answer again after: */
static const struct range IS_GONE = { 0.05, 0.5 }; /* share of the planned run */
static const double HELPER_AGAIN = 0.13; /* of the dead ones: tried again within one hold */
static const double HELPER_IN_TURN = 0.12; /* two dead servers one after another in one hold */
static const double HELPER_NEXT = 0.1; /* three dead addresses of one name, another one each hold */
static const double HELPER_REFUSED = 0.1; /* the server refuses, and is tried until the timer */
static const struct range REFUSED_PAUSE = { 0.25, 2 }; /* octave: between two such attempts */
static const double THIRD_ATTEMPT = 0.2; /* of those that try again */
static const double TIMERS[] = {
	1.5, 2, 3, 5, 7, 9, 10, 15, 21, 30
}; /* the helper fails open after */
static const double ODD_TIMER = 0.35; /* or any other time: */
static const struct range TIMER = { 1.2, 40 }; /* octave */
static const struct range TIMER_JITTER = { 0.0001, 0.03 }; /* octave: maximum delay of the timer */
static const struct range ASKS_AFTER = { 0.0001, 0.02 }; /* octave: from the ACK to its SYN */
static const double KEEPS_TRYING = 0.1; /* their attempt continues after they failed open */
static const double CACHES = 0.3; /* they cache for a while that the server is dead: */
static const struct range CACHE = { 1, 120 }; /* octave */
static const double SHARED = 0.5; /* one attempt for all waiting sockets */
static const double HOLDS_SOME = 0.3; /* they delay only a share of connections: */
static const struct range SHARE_HELD = { 0.2, 1 };
static const double HOLDS_DESTINATIONS = 0.2; /* they delay only one in so many destinations: */
static const struct range ONE_DESTINATION_IN = { 2, 4 };
static const double INVISIBLE = 0.1; /* of populations: a helper asks in a way not visible here */

/* SYNs without an answer. The kernel's timers are late by some ms. */
struct schedule {
	const char *name;
	unsigned int count;
	double at[WIRE_SYNS];
	double connect_fails; /* the end of the host's own connect() */
};

static const struct schedule schedules[] = {
	{ "0 1 3 7", 7, { 0, 1, 3, 7, 15, 31, 63 }, 127 },
	{ "0 1 2 3 4 5 7", 11, { 0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67 }, 131 },
	{ "0 3 9", 3, { 0, 3, 9 }, 21 },
	{ "once", 1, { 0 }, 3 },
};

#define SCHEDULES_OF_HOSTS 3
static const double ONE_SYN =
	0.1; /* of helpers: they send one SYN only, whatever their host does */
static const struct range TIMER_LATE = { 0, 0.015 };

/* Innocent noise. Each chance is of populations to have it, of hosts to take part in it. */
static const double BROWSES = 0.85; /* of hosts */
static const struct range THINKS = { 4, 90 }; /* octave: median between two pages, per host */
static const double THINKS_SPREAD = 1;
static const struct range SITES = { 5, 80 }; /* octave */
static const struct range PAGE = { 3, 30 }; /* connections of a page load */
static const struct range PAGE_LASTS = { 0.2, 4 }; /* they come as a Poisson process within */
static const double ENCRYPTED = 0.6; /* they begin as a Poisson process within */
static const struct range WEB_ANSWER = { 0.002, 0.5 }; /* octave: median */
static const double SLOW_SITE = 0.08; /* of sites: the document itself takes long */
static const struct range SLOW_SITE_ANSWER = { 0.8, 6 }; /* octave: median */
static const double PRECONNECTS = 0.5; /* of sites: sockets that wait for the document */
static const double SPARES = 0.7; /* of populations: browsers open spare sockets, at a page load */
static const struct range SPARES_A_PAGE = { 0.1, 1.5 }; /* mean */
static const double SPARE_IS_USED = 0.4; /* after thinking time; otherwise they are closed */
static const struct range SPARE_THINKS = { 1.5, 20 }; /* octave: median, per host */
static const double BACKGROUND = 0.7; /* of hosts: programs that sometimes fetch something */
static const struct range BACKGROUND_EVERY = { 5, 120 }; /* octave: mean */
static const unsigned int DEAD_PEERS = 4; /* maximum number in a population that telemetry tries */
static const struct range TELEMETRY_FAST = { 5, 30 };
static const struct range TELEMETRY_SLOW = { 60, 600 }; /* octave */
static const double TELEMETRY_ON_THE_DOT = 0.6; /* of them: strictly periodic; otherwise random */
static const double TELEMETRY_AGAIN = 0.15; /* of it: tried twice, also two servers in turn */
static const double TELEMETRY_NEXT = 0.1; /* three addresses of one name, another one each time */
static const double TELEMETRY_REFUSED = 0.5; /* of the refused: tried for a while */
static const struct range GIVES_UP = { 1.5, 30 }; /* octave: the program closes the socket after */
static const double DEAD_AD = 0.25; /* of populations: every page of every host tries it */
static const double IDLE_TIMERS = 0.4; /* of populations: connections first used after a fixed */
static const double IDLE_TIMES[] = { 5, 10, 15, 20, 30, 60 };
static const struct range IDLE_JITTER = { 0.001, 0.03 }; /* octave */
static const struct range REOPENED_EVERY = { 20, 300 }; /* octave */
static const double TELEMETRY_LIKE_IDLE =
	0.5; /* of those: a dead peer is tried with the same period */
static const double STARTS_WITH_DEAD = 0.15; /* of populations: an app that tries a dead peer as */
static const struct range APP_THINKS = { 2,
					 20 }; /* it connects; its user's first request: median */
static const struct range APP_THINKS_SPREAD = { 0.4, 1 };
static const double LONG_POLLS = 0.15; /* of populations: requests that are answered after */
static const double POLL_TIMES[] = { 10, 25, 30, 60 }; /* at the latest, then requested again */
static const double POLL_HAS_NEWS = 0.3; /* some time before that */
static const double POOLS = 0.3;
static const struct range POOL = { 4, 20 }; /* connections */
static const double POOL_TIMES[] = { 10, 60, 300 }; /* unused, they expire and are made again */
static const double HEALTH_CHECKS = 0.3;
static const struct range HEALTH_EVERY = { 1, 30 }; /* octave */
static const double HEALTH_LIKE_CHAIN = 0.3; /* of those: a dead peer is tried at the same period */
static const double SCANNERS = 0.2;
static const struct range SCANNED = { 20, 2000 }; /* octave: peers */
static const struct range SCANNED_DEAD = { 0.6, 1 }; /* share of them */
static const struct range SCANS = { 0.1, 10 }; /* octave: per second, in bursts while it runs */
static const double LOSSY = 0.25;
static const struct range LOSS = { 0.01, 0.15 }; /* octave: of a lossy host's segments */
static const double GREETERS = 0.3; /* servers that send first; some of them late */
static const double GREETINGS[] = { 5, 10, 30 };
static const double REFUSING = 0.3; /* some hosts try them sometimes */
static const double UNREACHABLES = 0.2;
static const double VPN_CUT = 0.15; /* several private servers are silent from some moment on */
static const double OUTAGE = 0.12; /* of the provider: nothing beyond the gateway answers for */
static const struct range OUTAGE_LASTS = { 3, 45 }; /* octave */
static const double BROKEN_IP6 = 0.25; /* of dual-stack ones: some sites are silent over IPv6 */
static const double IP4_AFTER[] = { 0.25, 0.3, 1, 3, 21 };
static const double FAILOVER = 0.12; /* the first of two servers is silent, the second is tried */
static const struct range FAILOVER_AFTER = { 1.2, 30 }; /* octave: each attempt */
static const double FAILOVER_AGAIN = 0.2; /* of those: the dead server is tried twice */
static const double FAILOVER_THREE = 0.2; /* of those: three servers are dead */
static const double EYES_MIXED =
	0.4; /* of those with broken IPv6: hosts have delays of their own */
