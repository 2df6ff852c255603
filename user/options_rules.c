// SPDX-License-Identifier: GPL-2.0
#include "options_rules.h"

#include <stddef.h>

#define RUN (MODE_LIVE | MODE_CAPTURE)
#define ALL (RUN | MODE_CLEANUP | MODE_LIST | MODE_DOCTOR)

static const struct {
	int key;
	unsigned int modes;
} effects[] = {
	{ 'i', MODE_LIVE | MODE_CLEANUP },
	{ 'r', MODE_CAPTURE },
	{ 'N', ALL & ~MODE_CAPTURE },
	{ 'f', MODE_LIVE },
	{ OPT_FOLLOW_PEERS, MODE_LIVE },
	{ 'd', MODE_LIVE | MODE_DOCTOR },
	{ 'H', MODE_LIVE | MODE_DOCTOR },
	{ OPT_MAX_FLOWS, MODE_LIVE },
	{ OPT_RING_SIZE, MODE_LIVE },
	{ OPT_CLEANUP, MODE_CLEANUP },
	{ 'D', MODE_LIST },
	{ OPT_DOCTOR, MODE_DOCTOR },
	{ 'v', ALL },
	{ 'n', ALL & ~MODE_CLEANUP }, /* -D and --doctor print numbers anyway */
};

unsigned int option_modes(int key)
{
	size_t i;

	for (i = 0; i < sizeof(effects) / sizeof(effects[0]); i++)
		if (effects[i].key == key)
			return effects[i].modes;
	return RUN;
}

#define CONTENTS                                                                            \
	"packets are not printed; --write FILE --snap 256 saves those of the findings for " \
	"Wireshark"
#define ROTATION \
	"files are not rotated: end each run by --duration 1h or -c COUNT, with files of its own"
#define NOT_NEEDED "leave it out: it has no meaning here"

static const struct {
	int letter;
	const char *instead;
} tcpdump_options[] = {
	{ 'A', CONTENTS },
	{ 'x', CONTENTS },
	{ 'X', CONTENTS },
	{ 'B', "--ring-size MIB sets the size of the kernel's buffer" },
	{ 'C', ROTATION },
	{ 'G', ROTATION },
	{ 'W', ROTATION },
	{ 'z', ROTATION },
	{ 'e', "leave it out: MAC addresses are in the report where they matter, and in --json" },
	{ 'F', "give the filter itself: probe --read FILE \"$(cat FILTER)\"" },
	{ 'K', "leave it out: checksums are never verified" },
	{ 'O', NOT_NEEDED },
	{ 'Q', "leave it out: the report needs both directions" },
	{ 't',
	  "leave it out: lines have the time of day, and after midnight the date; for times in UTC "
	  "use --json" },
	{ 'U', "leave it out: --write writes its file when the run ends" },
	{ 'Z', "leave it out: all privileges are dropped once the interface is watched" },
	{ 'E', NOT_NEEDED },
	{ 'I', NOT_NEEDED },
	{ 'J', NOT_NEEDED },
	{ 'L', "leave it out: -D prints the link type of each interface" },
	{ 'M', NOT_NEEDED },
	{ 'R', NOT_NEEDED },
	{ 'T', NOT_NEEDED },
	{ 'a', NOT_NEEDED },
	{ 'b', NOT_NEEDED },
	{ 'u', NOT_NEEDED },
	{ 'y', NOT_NEEDED },
};

const char *tcpdump_option(int letter)
{
	size_t i;

	for (i = 0; i < sizeof(tcpdump_options) / sizeof(tcpdump_options[0]); i++)
		if (tcpdump_options[i].letter == letter)
			return tcpdump_options[i].instead;
	return NULL;
}

const char *tcpdump_flag(int key)
{
	switch (key) {
	case 'p':
		return "tcpdump's -p is not needed: probe never sets promiscuous mode";
	case 'S':
		return "tcpdump's -S is not needed: sequence numbers are absolute";
	case 'N':
		return "tcpdump's -N is -n here";
	default:
		return NULL;
	}
}
