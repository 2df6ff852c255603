/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rules about options beyond their values: which option has an effect in which mode, and what
 * tcpdump's options are called here.
 */
#pragma once

/* Keys of options without a short form. */
enum {
	OPT_SNAP = 0x100,
	OPT_CLEANUP,
	OPT_MAX_FLOWS,
	OPT_RING_SIZE,
	OPT_EXIT_CODE,
	OPT_HTML,
	OPT_FOLLOW_PEERS,
	OPT_FORCE,
	OPT_DNS_PORT,
	OPT_NAMES,
	OPT_CLIENT,
	OPT_DOCTOR,
	OPT_USAGE,
	OPT_KEYS
};

enum mode {
	MODE_LIVE = 1,
	MODE_CAPTURE = 2,
	MODE_CLEANUP = 4,
	MODE_LIST = 8,
	MODE_DOCTOR = 16,
};

/* Returns the modes in which an option has an effect. */
unsigned int option_modes(int key);

/*
 * Returns what to do instead of a letter that only tcpdump has; NULL if tcpdump does not have it
 * either.
 */
const char *tcpdump_option(int letter);

/* The same for a letter that takes an argument here, but none in tcpdump; or NULL. */
const char *tcpdump_flag(int key);
