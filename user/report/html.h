/* SPDX-License-Identifier: GPL-2.0 */
/*
 * --html: one file that shows the run in any browser, to somebody who has neither probe nor network.
 * The sources of the page are in user/report/page/; the build puts them into the binary.
 *
 * In the file are, in this order: the style; the objects of --json that the pictures need, written by
 * the same functions (report_json.h), and one more of type "page" that counts what was left out; the
 * verdict and the report as text, for viewers that let no script run (mail programs, above all); the
 * script, which draws the pictures from the objects and asks nobody for anything. A
 * Content-Security-Policy forbids the rest, and every script but that one, by its hash.
 *
 * The file's size is bounded however long the run was and however many hosts it saw: the numbers
 * below are the bound, some 3 MB in all; of a usual run it is 100 to 300 kB. While the run lasts the
 * page keeps at most 13 MB of failed attempts in memory.
 */
#pragma once

#include "report/report.h"

#define MAX_PAGE_HOSTS 48 /* those with stalls first, but not these alone */
#define MIN_PAGE_OTHERS 16 /* places for hosts without a stall: whom it does not hit is evidence */
#define MIN_PAGE_WELL 8 /* of these for hosts that did not fail anywhere either */
#define MAX_PAGE_STALLS 32 /* of a host, the latest */
#define MAX_PAGE_OPEN_WAITS 16 /* of a host, the latest */
#define MAX_PAGE_ATTEMPTS 32 /* of a host that failed, the latest */
#define MAX_PAGE_PEERS 32
#define MAX_PAGE_FINDINGS 12
#define MAX_PAGE_NOTICES 32 /* the first ones */

/* Failed attempts are kept by client in so many places; clients that share one, share its room. */
#define PAGE_PLACES 1024

extern const struct report_format report_page;
