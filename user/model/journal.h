/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The journal: one entry for each connect that has ended, so that the diagnosis can compare single
 * connects. The ledger has the sums of all connects; the journal forgets the oldest ones when it is
 * full. Connects that were served, that were not, and those of clients that completed no handshake
 * have a ring each, so that neither busy servers nor forged SYNs displace the failures.
 */
#pragma once

#include "connection.h"
#include "model/ledger.h"

enum journal_class {
	JOURNAL_SERVED,
	JOURNAL_FAILED, /* not served, and the client completed a handshake before */
	JOURNAL_UNVERIFIED, /* not served, and it did not */
	JOURNAL_CLASSES,
};

/* Maximum number of entries in each ring: about 80 MiB in all. They are allocated when needed. */
#define MAX_SERVED (1 << 16)
#define MAX_NOT_SERVED (1 << 15)

struct journal_entry {
	struct connection c;
	struct ledger_entry entry; /* provisional, see model_entry() */
};

struct journal_ring {
	struct journal_entry *at;
	size_t count;
	size_t room;
	size_t next; /* index of the oldest entry, once the ring is full */
	uint64_t dropped; /* entries that were replaced, or for which there was no memory */
};

struct journal {
	struct journal_ring rings[JOURNAL_CLASSES];
};

/* Returns false if the connect replaced an older one, or if there was no memory for it. */
bool journal_add(struct journal *j, enum journal_class class, const struct connection *c,
		 struct ledger_entry entry);
void journal_free(struct journal *j);

/* Returns the number of entries. */
size_t journal_count(const struct journal *j);
