/* SPDX-License-Identifier: GPL-2.0 */
/*
 * --html: one self-contained file that shows the run in any browser, for readers without probe or access
 * to the network. The sources of the page are in user/report/page/; the build compiles them in.
 *
 * The file contains, in this order:
 *
 * - the style;
 * - the objects of --json that the pictures need, written by the functions of json.h, and one more of
 *   type "page" that counts those left out;
 * - the verdict and the text report, for viewers that run no script, such as mail programs;
 * - the script, which draws the pictures from the objects and sends no request.
 *
 * A Content-Security-Policy forbids all other content; it admits the script and the style by hash.
 *
 * The constants below bound the file to some 3 MB, however long the run and however many its hosts; a
 * usual run gives 100 to 300 kB. While the run goes on, failed attempts take at most 13 MB of memory.
 */
#pragma once

#include "report/report.h"

#define MAX_PAGE_HOSTS 48 /* hosts with stalls come first, but leave room for the others: */
#define MIN_PAGE_OTHERS 16 /* room for hosts without a stall, which are evidence as well */
#define MIN_PAGE_WELL 8 /* part of it, for hosts without a failed attempt either */
#define MAX_PAGE_STALLS 32 /* of each host, the latest */
#define MAX_PAGE_OPEN_WAITS 16 /* of each host, the latest */
#define MAX_PAGE_ATTEMPTS 32 /* failed ones of each host, the latest */
#define MAX_PAGE_PEERS 32
#define MAX_PAGE_FINDINGS 12
#define MAX_PAGE_NOTICES 32 /* the first ones */

/* Failed attempts are kept in buckets by client; clients in one bucket share its MAX_PAGE_ATTEMPTS. */
#define PAGE_BUCKETS 1024
