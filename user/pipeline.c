// SPDX-License-Identifier: GPL-2.0
#include "pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "interim.h"
#include "lib/address.h"
#include "lib/format.h"
#include "privileges.h"
#include "report/outlook.h"
#include "report/status.h"
#include "seccomp_filter.h"
#include "selector.h"

/* ---- the run, from the source ---- */

/* Drops privileges before the first byte of an untrusted capture is parsed. */
static void on_opened(void *context)
{
	struct pipeline *p = context;

	reports_prepare_cleanup(&p->reports);
	privileges_drop(0, NULL, NULL, SECCOMP_CAPTURE, p->options->verbose);
}

static void on_started(void *context)
{
	struct pipeline *p = context;

	if (p->drop_counters)
		drop_counters_start(p->drop_counters);
	if (!p->session.is_capture && !p->options->quiet)
		status_print_watching(&p->session);
	if (!p->session.is_capture && p->session.interface_count > 1)
		join_set_multi_iface(p->join);
	reports_started(&p->reports);
}

/*
 * Tables of vendors are read before the fork, since the two processes share the position in an open
 * file. Reading a capture can wait for the screen; a live run cannot.
 */
static bool on_interim(void *context)
{
	struct pipeline *p = context;

	interim_poll();
	if (!interim_is_due())
		return false;
	if (p->vendors)
		mac_vendors_read(p->vendors);
	if (!interim_fork()) {
		if (p->session.is_capture)
			interim_wait();
		return false;
	}
	p->session.is_interim = true;
	reports_keep_screen(&p->reports, p->options, &p->session, p->model->names);
	return true;
}

static void on_notice(void *context, ns_t now, const char *text)
{
	struct pipeline *p = context;

	if (!p->options->quiet) /* else it is in the report */
		status_print_notice(text);
	reports_notice(&p->reports, now, text);
}

static void on_progress(void *context, const char *text)
{
	struct pipeline *p = context;

	status_update(&p->session, p->model, p->opening, 0, text);
}

/* ---- connections and packets, from the source ---- */

static void on_packet(void *context, const struct packet_head *head, const uint8_t *bytes,
		      uint64_t start, int link, bool has_direction)
{
	struct pipeline *p = context;

	evidence_packet(p->evidence, head, bytes, start, link, has_direction);
}

static void on_settled(void *context, const struct connection *c)
{
	struct pipeline *p = context;

	join_settled(p->join, c);
}

static void on_synack_alone(void *context, const struct connection *c)
{
	struct pipeline *p = context;

	connects_synack_alone(p->connects, c);
}

static void on_dns(void *context, const struct dns_head *head, const uint8_t *bytes, uint64_t start,
		   int link)
{
	struct pipeline *p = context;
	const struct session *session = &p->session;
	struct dns_packet packet;

	dns_packet_of(&packet, head, bytes, start, session->dns_ports, session->dns_port_count);
	packet.seen_before = packet.in_ifindex && packet.in_ifindex != packet.ifindex &&
			     session_iface_name(session, packet.in_ifindex);
	if (p->evidence)
		evidence_dns(p->evidence, head, bytes, &packet, link, !session->is_capture);
	model_dns(p->model, &packet, session_is_own_address(session, &packet.server.address));
}

static void on_dns_gap(void *context, ns_t from, ns_t until)
{
	struct pipeline *p = context;

	names_gap(p->model->names, from, until);
}

static void on_opening(void *context, const struct connection *c)
{
	struct pipeline *p = context;

	join_opening(p->join, c);
}

/* ---- attempts, from the join ---- */

/*
 * Prefix lengths within which addresses are likely to be of one site. A client of the site must not
 * be taken for a stranger; the reverse only adds a failed connect to the ledger.
 */
#define SITE_PREFIX4 16
#define SITE_PREFIX6 48

/* Returns true if the client is not of this site, and means this host itself: most are scans. */
static bool is_from_outside(const struct session *session, const struct connection *c)
{
	const struct address *client = &c->client.address;
	unsigned int i, length = is_ip4(client) ? SITE_PREFIX4 : SITE_PREFIX6;

	if (session->is_capture || c->syn_egress || is_private(client) ||
	    !session_is_own_address(session, &c->server.address))
		return false;
	for (i = 0; i < session->own_address_count; i++)
		if (in_prefix(client, &session->own_addresses[i], length))
			return false;
	return true;
}

static void on_soon(void *context, const struct connection *c, enum soon soon)
{
	struct pipeline *p = context;

	model_soon(p->model, c, soon);
}

static void on_joined(void *context, const struct connection *c)
{
	struct pipeline *p = context;
	struct connection attempt = *c;

	attempt.from_outside = is_from_outside(&p->session, c);
	names_connect(p->model->names, &attempt);
	connects_settled(p->connects, &attempt);
}

static void on_other_side(void *context, const struct connection *side,
			  const struct connection *attempt)
{
	struct pipeline *p = context;

	if (p->evidence)
		evidence_other_side(p->evidence, side, attempt);
}

static void on_joined_opening(void *context, const struct connection *c)
{
	struct pipeline *p = context;

	connects_opening(p->connects, c);
}

/* ---- attempts and connects, from the connects ---- */

static void on_attempt(void *context, const struct connection *c)
{
	struct pipeline *p = context;

	if (p->evidence)
		evidence_settled(p->evidence, c);
	reports_connection(&p->reports, c);
}

static void on_connect(void *context, const struct connection *c)
{
	struct pipeline *p = context;

	model_settled(p->model, c);
	p->settled++;
}

/* Returns true once --count is reached. */
static bool is_counted_out(struct pipeline *p, ns_t now)
{
	char text[96];

	if (!p->options->connect_count || p->settled < p->options->connect_count)
		return false;
	snprintf(text, sizeof(text), "the run ended after %" PRIu64 " connect%s (--count)",
		 p->settled, plural(p->settled));
	on_notice(p, now, text);
	return true;
}

static bool on_swept(void *context, ns_t now)
{
	struct pipeline *p = context;

	if (p->drop_counters)
		drop_counters_sample(p->drop_counters);
	join_swept(p->join);
	connects_swept(p->connects, now);
	model_swept(p->model);
	names_swept(p->model->names, now);
	p->opening = p->opening_so_far;
	p->opening_so_far = 0;
	if (p->evidence)
		evidence_swept(p->evidence, now);
	reports_swept(&p->reports, now);
	if (!p->session.is_capture)
		status_update(&p->session, p->model, p->opening, now, NULL);
	return reports_flush(&p->reports) && !is_counted_out(p, now);
}

static void on_connect_opening(void *context, const struct connection *c)
{
	struct pipeline *p = context;

	p->opening_so_far++;
	outlook_opening(c);
	model_opening(p->model, c);
}

/* ---- open and close ---- */

int pipeline_open(struct pipeline *p, const struct options *o)
{
	*p = (struct pipeline){ .options = o,
				.session = { .stall = o->stall,
					     .dns_port_count = o->dns_port_count,
					     .names_mode = o->names_mode,
					     .numeric = o->numeric,
					     .narrowed_clients = o->selector->clients.count,
					     .filtered = o->filter },
				.sink = { .opened = on_opened,
					  .started = on_started,
					  .packet = o->write_file ? on_packet : NULL,
					  .settled = on_settled,
					  .synack_alone = on_synack_alone,
					  .dns = on_dns,
					  .dns_gap = on_dns_gap,
					  .opening = on_opening,
					  .swept = on_swept,
					  .is_interim = on_interim,
					  .notice = on_notice,
					  .progress = on_progress,
					  .context = p },
				.join_events = { .settled = on_joined,
						 .soon = on_soon,
						 .other_side = on_other_side,
						 .opening = on_joined_opening,
						 .context = p },
				.connects_events = { .attempt = on_attempt,
						     .connect = on_connect,
						     .opening = on_connect_opening,
						     .context = p },
				.reports.cleanup_fd = -1 };
	p->session.narrowed_servers = o->selector->servers.count || o->selector->by_port;
	p->session.client_list = o->client_text;
	p->session.server_list = o->server_text;
	p->session.port_list = o->port_text;
	p->session.capture_filter = o->filter;
	memcpy(p->session.dns_ports, o->dns_ports, sizeof(p->session.dns_ports));
	if (!o->read_count)
		p->drop_counters = drop_counters_open();
	p->join = join_new(&p->join_events);
	p->connects = connects_new(&p->connects_events);
	p->vendors = mac_vendors_open(MAC_VENDORS_FOLDER);
	p->services = services_open(SERVICES_FILE);
	if (!p->services && errno != ENOENT)
		fprintf(stderr, "probe: %s: %s; services are shown by their ports only\n",
			SERVICES_FILE, strerror(errno));
	p->model = model_new(o->stall, &p->reports.model_events);
	if (o->write_file)
		p->evidence = evidence_new(o->stall, o->snaplen);
	if (!p->join || !p->connects || !p->model || (o->write_file && !p->evidence) ||
	    (!o->read_count && !p->drop_counters)) {
		fprintf(stderr, "probe: out of memory\n");
		return -1;
	}
	return reports_open(&p->reports, o, &p->session, p->model->names, p->evidence);
}

void pipeline_finish(struct pipeline *p)
{
	interim_wait();
	join_end(p->join);
	connects_end(p->connects);
	names_end(p->model->names, p->session.duration);
	p->session.joined = join_joined(p->join);
	p->session.ambiguous = join_ambiguous(p->join);
	if (p->drop_counters)
		drop_counters_end(p->drop_counters, &p->drops);
}

int pipeline_close(struct pipeline *p)
{
	int status = reports_close(&p->reports);

	drop_counters_close(p->drop_counters);
	evidence_free(p->evidence);
	connects_free(p->connects);
	join_free(p->join);
	model_free(p->model);
	mac_vendors_close(p->vendors);
	services_close(p->services);
	return status;
}
