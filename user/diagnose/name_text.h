/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of DNS as reports print them. All names pass here on their way out of the process, since
 * --names limits them.
 */
#pragma once

#include "diagnose/diagnose.h"

#define NAME_TEXT 96 /* room for a name; the middle of a longer one is left out */
#define PEER_NAME (NAME_TEXT + 16)

/*
 * Writes the name that a finding is about, or that of a zone: "corp.example". With --names none it
 * is "name#1", with the same number each time that the run prints this name.
 */
char *name_text(char out[NAME_TEXT], struct diagnosis *d, const struct dns_name *name);

/*
 * Writes by which name this client knows the address: "intranet.example", with "+2" if it had two
 * others for it, or "many names", as at a CDN. If it had none, or with
 * client NULL, it is the name by which any client knows the address. Returns NULL if no answer named
 * it, and with --names none.
 */
const char *peer_name(char out[PEER_NAME], const struct diagnosis *d,
		      const struct client_key *client, const struct address *a);

/* Like peer_name(), for the address of a peer of this finding, as the hosts concerned know it. */
const char *finding_peer_name(char out[PEER_NAME], const struct diagnosis *d,
			      const struct finding *f, const struct address *a);

/*
 * Returns the number of different names that the findings print, in their text and beside the
 * addresses of their peers, together with more names of the model. Returns 0 with --names none.
 */
size_t names_shown(const struct diagnosis *d, const uint32_t *more, size_t more_count);
