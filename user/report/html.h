/* SPDX-License-Identifier: GPL-2.0 */
/*
 * --html: one self-contained file that shows the run in any browser, for readers without probe or
 * access to the network. The sources of the page are in user/report/page/; the build compiles them
 * in.
 *
 * The file contains, in this order:
 *
 * - the style;
 * - the --json objects that the pictures need, written by the functions of json.h, and an object of
 *   type "page" with the traits and connects of each host, which also counts the omitted objects;
 * - the verdict and the text report, for viewers that run no script, such as mail programs;
 * - the script, which draws the pictures from the objects and sends no request.
 *
 * A Content-Security-Policy forbids all other content; it permits the script and the style by hash.
 *
 * The constants below limit the file to about 3 MB, for any length of the run and any number of
 * hosts. A typical run gives 100 to 300 kB. During the run, failed attempts take at most 13 MB of
 * memory.
 */
#pragma once

#include "report/report.h"

/* maximum number of hosts; hosts with stalls come first, but leave room for others */
#define MAX_PAGE_HOSTS 48
#define MIN_PAGE_OTHERS 16 /* room for hosts without a stall, which are also evidence */
#define MIN_PAGE_WELL 8 /* part of that room, for hosts without a failed attempt either */
#define MAX_PAGE_STALLS 32 /* latest stalls of each host */
#define MAX_PAGE_OPEN_WAITS 16 /* latest open waits of each host */
#define MAX_PAGE_ATTEMPTS 32 /* latest failed attempts of each host */
#define MAX_PAGE_PROMPT 48 /* latest connects of each host that were served in time */
#define MAX_PAGE_BAD \
	32 /* latest connects of each host that were late or failed after the SYN-ACK */
#define MAX_PAGE_PEERS 32
#define MAX_PAGE_FINDINGS 12
#define MAX_PAGE_NOTICES 32 /* the first notices of the run */

/*
 * Number of hash buckets of failed attempts, by client. Clients that share a bucket share its
 * MAX_PAGE_ATTEMPTS.
 */
#define PAGE_BUCKETS 1024
