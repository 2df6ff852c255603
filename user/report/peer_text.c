// SPDX-License-Identifier: GPL-2.0
#include "report/peer_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char *peer_service(const struct diagnosis *d, const struct endpoint *e)
{
	return e->port ? services_name(d->facts->services, e->port, false) : NULL;
}

static char *write_note(char out[PEER_NOTE], const char *service, const char *name)
{
	if (service || name)
		snprintf(out, PEER_NOTE, " (%s%s%s)", service ? service : "",
			 service && name ? ", " : "", name ? name : "");
	else
		*out = '\0';
	return out;
}

char *peer_note(char out[PEER_NOTE], const struct diagnosis *d, const struct endpoint *e)
{
	char name[PEER_NAME];

	if (d->session->numeric)
		return write_note(out, NULL, NULL);
	return write_note(
		out, peer_service(d, e),
		d->session->names_mode == NAMES_ALL ? peer_name(name, d, NULL, &e->address) : NULL);
}

char *finding_peer_note(char out[PEER_NOTE], const struct diagnosis *d, const struct finding *f,
			const struct endpoint *e)
{
	char name[PEER_NAME];

	return write_note(out, NULL,
			  d->session->numeric ? NULL : finding_peer_name(name, d, f, &e->address));
}

/* Returns the end of the first mention of the finding's peer, or NULL. */
static const char *after_peer(const struct finding *f, const char *text)
{
	char peer[FORMAT_ENDPOINT];
	const char *at, *end;

	if (f->peer.port)
		format_endpoint(peer, &f->peer);
	else
		format_address(peer, &f->peer.address);
	for (at = text; (at = strstr(at, peer)); at = end) {
		end = at + strlen(peer);
		/* not within another number, and no remark follows already */
		if ((at == text || at[-1] == ' ') && !isalnum((unsigned char)*end) && *end != ':' &&
		    *end != '/' && strncmp(end, " (", 2) &&
		    (*end != '.' || !isalnum((unsigned char)end[1])))
			return end;
	}
	return NULL;
}

char *note_headline(char out[NOTED_TEXT], const struct diagnosis *d, const struct finding *f,
		    const char *text)
{
	const char *end = NULL, *service, *known;
	char note[PEER_NOTE], name[PEER_NAME];

	if (f && f->has_peer && !f->prefix_length && !d->session->numeric)
		end = after_peer(f, text);
	if (!end) {
		snprintf(out, NOTED_TEXT, "%s", text);
		return out;
	}
	service = peer_service(d, &f->peer);
	known = finding_peer_name(name, d, f, &f->peer.address);
	snprintf(out, NOTED_TEXT, "%.*s%s%s", (int)(end - text), text,
		 write_note(note, service, known), end);
	return out;
}
