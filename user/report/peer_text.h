/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What people call a peer: the service of its port and its name of DNS, beside the numbers. -n hides
 * both on the screen and on the page.
 */
#pragma once

#include "diagnose/diagnose.h"
#include "diagnose/name_text.h"
#include "lib/format.h"

#define PEER_NOTE (PEER_NAME + 64)
#define NOTED_TEXT (DIAGNOSIS_HEADLINE + PEER_NOTE)

/* Returns the service of a port of TCP; NULL if it has none. */
const char *peer_service(const struct diagnosis *d, const struct endpoint *e);

/*
 * Writes " (ldaps)" for a peer in a table, and " (ldaps, ldap.example)" with --names all. Writes ""
 * if nothing is known, and with -n.
 */
char *peer_note(char out[PEER_NOTE], const struct diagnosis *d, const struct endpoint *e);

/* Like peer_note(), with the name that the finding's hosts know, but without the service. */
char *finding_peer_note(char out[PEER_NOTE], const struct diagnosis *d, const struct finding *f,
			const struct endpoint *e);

/*
 * Writes text, the headline of the finding or of the run, with service and name behind the first
 * mention of the finding's peer: "10.1.2.3:636 (ldaps, ldap.example) does not answer".
 */
char *note_headline(char out[NOTED_TEXT], const struct diagnosis *d, const struct finding *f,
		    const char *text);
