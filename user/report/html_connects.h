/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The connects of the hosts on the page of --html, from the journal: served in time, served late,
 * and failed after the SYN-ACK. Attempts that failed before it are objects of their own.
 */
#pragma once

#include "diagnose/diagnose.h"
#include "report/html.h"

struct page_connect {
	const struct connection *c;
	struct ledger_entry entry;
};

/* Both lists hold the latest connects in descending order of time. */
struct host_connects {
	struct page_connect prompt[MAX_PAGE_PROMPT];
	struct page_connect bad[MAX_PAGE_BAD];
	unsigned int prompt_count, bad_count;
	uint64_t rows[LEDGER_ROWS]; /* number of connects in the journal */
};

/*
 * Returns an array by index of d->hosts: whether the journal has a connect of the host that was late
 * or failed. Returns NULL when out of memory. The caller frees it.
 */
bool *hosts_with_trouble(const struct model *m, const struct diagnosis *d);

/*
 * Fills in `of`, indexed like hosts[]. Leaves it empty if the journal does not agree with the ledger
 * of the diagnosis: a capture filter had hidden packets. Returns false when out of memory.
 */
bool select_connects(struct host_connects *of, const struct host *const *hosts, size_t count,
		     const struct model *m, const struct diagnosis *d);

/* Writes them as the fields "ledger", "servers", "prompt" and "bad" of a row. */
void write_connects(FILE *out, const struct host_connects *of);
