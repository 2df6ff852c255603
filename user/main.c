// SPDX-License-Identifier: GPL-2.0
/*
 * The order of a run: options, privileges, a source that feeds the pipeline, the diagnosis, the
 * reports.
 */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diagnose/diagnose.h"
#include "host/netns.h"
#include "host/route.h"
#include "lib/address.h"
#include "lib/format.h"
#include "pipeline.h"
#include "privileges.h"
#include "report/terminal.h"
#include "seccomp_filter.h"
#include "selector.h"
#include "source/attach.h"
#include "source/capture.h"
#include "source/live.h"

#define MAX_ROUTE_LOOKUPS 1000 /* of failing peers */

/* Opens those of descriptors 0 to 2 that the caller closed, so that no file of ours gets their numbers. */
static void keep_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static void prepare_process(void)
{
	keep_standard_files();
	setlocale(LC_CTYPE, ""); /* the encoding only: numbers keep their decimal point */
	format_init();
	format_errors();
	/* a reader that closes its pipe, or a file size limit, must be a write error and not the end */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* --cleanup: removes what killed runs left behind. Returns the exit status. */
static int cleanup_only(const struct options *o)
{
	privileges_drop(CAP_MASK(CAP_NET_ADMIN), NULL, NULL, SECCOMP_LIVE | SECCOMP_FILTERS,
			o->verbose);
	return hook_cleanup(o->ifaces, o->iface_count) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Runs the source to its end. Returns 0; or -1 after it has printed why. */
static int run_source(struct pipeline *p)
{
	const struct options *o = p->options;
	int status;

	/* no status line on a terminal that receives JSON */
	terminal_open(!o->quiet && !(o->json && !o->json_file), o->read_count);
	status = (o->read_count ? capture_run : live_run)(o, &p->session, &p->sink);
	pipeline_finish(p);
	terminal_close();
	return status;
}

/* Looks up the routes to the failing peers, those with the most clients first. */
static void lookup_routes(struct model *m)
{
	struct route_lookup *gateway = route_lookup_open();
	struct anomalies *t;
	struct peer **peers;
	size_t count, i;

	peers = gateway ? model_failing_peers(m, &count) : NULL;
	for (i = 0; peers && i < count && i < MAX_ROUTE_LOOKUPS; i++) {
		t = peer_anomalies(m, peers[i]);
		if (t)
			route_lookup(gateway, &peers[i]->server.address, &peers[i]->asked_by,
				     peers[i]->ifindex, &t->route);
	}
	free(peers);
	route_lookup_close(gateway);
}

/* True if nearly every attempt comes from this host's own address: clients behind its NAT are not told apart. */
static bool is_outer_side(const struct session *session, const struct model *m)
{
	uint64_t own = 0, inward = 0;
	const struct client *client;
	const struct peer *peer;

	for (client = m->clients; client; client = client->hh.next)
		if (session_is_own_address(session, &client->key.address))
			own += client->connections;
	for (peer = m->peers; peer; peer = peer->hh.next)
		if (session_is_own_address(session, &peer->server.address))
			inward += peer->connections;
	/* with conntrack, attempts from this host's address are its own */
	if (session->nat.known && !session->nat.lost)
		return false;
	return m->connections >= 3 && own * 10 >= m->connections * 9 &&
	       inward * 10 < m->connections;
}

static struct view view_of(const struct pipeline *p)
{
	const struct selector *selector = p->options->selector;
	const struct session_iface *w;
	struct view view = {
		.is_capture = p->session.is_capture,
		.start = p->session.start,
		.narrowed_clients = !is_zero_address(&selector->client_mask),
		.narrowed_servers = !is_zero_address(&selector->server_mask) || selector->by_port,
		.lost = session_losses(&p->session),
		.outer_side = is_outer_side(&p->session, p->model),
		.nat = &p->session.nat,
		.unwatched = p->session.unwatched,
		.ipsec = p->session.ipsec,
	};

	for (w = p->session.interfaces; w < p->session.interfaces + p->session.interface_count; w++)
		view.sides[view.side_count++] = (struct watched_side){
			.ifindex = w->index,
			.name = w->name,
			.is_part = w->is_part,
			.whole = !w->was_away && !w->is_part && !w->blind[EGRESS] &&
				 !p->session.is_capture,
		};
	for (w = p->session.followed; w < p->session.followed + p->session.followed_count; w++)
		view.sides[view.side_count++] = (struct watched_side){ .ifindex = w->index,
								       .name = w->name,
								       .whole = !w->was_away };
	return view;
}

/* Diagnoses the run and writes the reports. Returns 0; or -1 after it has printed why. */
static int conclude(struct pipeline *p, bool *found)
{
	struct diagnosis diagnosis;
	struct view view;
	int status = 0;

	if (!p->session.is_capture)
		lookup_routes(p->model);
	view = view_of(p);
	if (!diagnose(&diagnosis, p->model, &view)) {
		fprintf(stderr, "probe: out of memory: no diagnosis\n");
		status = -1;
	}
	*found = diagnosis_has_problem(&diagnosis);
	reports_ended(&p->reports, p->model, &diagnosis);
	diagnosis_free(&diagnosis);
	if (p->session.cut) {
		fprintf(stderr, "probe: %s\n", p->session.cut);
		status = -1;
	}
	return status;
}

int main(int argc, char **argv)
{
	static struct pipeline pipeline;
	struct options options;
	bool found = false;
	int status;

	prepare_process();
	options_parse(&options, argc, argv);
	if (options.netns && netns_enter(options.netns))
		return EXIT_FAILURE;
	if (options.cleanup)
		return cleanup_only(&options);

	status = pipeline_open(&pipeline, &options);
	if (!status)
		status = run_source(&pipeline);
	if (!status)
		status = conclude(&pipeline, &found);
	if (pipeline_close(&pipeline))
		status = -1;

	if (status)
		return EXIT_FAILURE;
	return found && options.exit_code ? EXIT_FOUND : EXIT_SUCCESS;
}
