// SPDX-License-Identifier: GPL-2.0
/*
 * The steps of a run: parse the options, let a source feed the pipeline, diagnose, write the
 * reports.
 */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diagnose/diagnose.h"
#include "doctor/doctor.h"
#include "doctor/interfaces.h"
#include "host/facts.h"
#include "host/netns.h"
#include "interim.h"
#include "pipeline.h"
#include "privileges.h"
#include "report/glyphs.h"
#include "report/terminal.h"
#include "seccomp_filter.h"
#include "source/attach.h"
#include "source/capture.h"
#include "source/live.h"

#define MAX_ROUTE_LOOKUPS 1000 /* routes to failing peers, looked up at the end of a run */

/*
 * Opens /dev/null on each of the descriptors 0 to 2 that the caller closed, so that no file of ours
 * gets their numbers.
 */
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
	setlocale(LC_CTYPE, ""); /* only the encoding: numbers keep their decimal point */
	glyphs_init();
	filter_stderr();
	/* a closed pipe or a file size limit must be a write error, and not end the process */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	interim_init();
}

/* --cleanup: removes the filters and qdiscs that killed runs left. Returns the exit status. */
static int cleanup_only(const struct options *o)
{
	privileges_drop(CAP_MASK(CAP_NET_ADMIN), NULL, NULL, SECCOMP_LIVE | SECCOMP_FILTERS,
			o->verbose);
	return hook_cleanup(o->ifaces, o->iface_count) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Runs the source to its end. Returns 0, or -1 after an error message. */
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

#define MAX_RESOLVER_ROUTES 32

/* Adds the resolvers that leave questions unanswered. Peers by TCP are there already. */
static size_t add_resolvers(struct route_query *queries, size_t count, const struct model *m)
{
	struct silent_resolver resolvers[MAX_RESOLVER_ROUTES];
	size_t i, j, n = model_silent_resolvers(m, resolvers, MAX_RESOLVER_ROUTES);

	for (i = 0; i < n; i++) {
		for (j = 0; j < count; j++)
			if (same_endpoint(&queries[j].destination, &resolvers[i].server))
				break;
		if (j == count)
			queries[count++] =
				(struct route_query){ resolvers[i].server, resolvers[i].asked_by,
						      resolvers[i].ifindex };
	}
	return count;
}

/*
 * Looks up the routes to the peers and resolvers that fail. If memory runs out, facts has no
 * routes.
 */
static void lookup_routes(struct host_facts *facts, const struct model *m)
{
	size_t count, i;
	const struct peer **peers = model_failing_peers(m, &count);
	struct route_query *queries = calloc(count + MAX_RESOLVER_ROUTES + 1, sizeof(*queries));

	if (count > MAX_ROUTE_LOOKUPS)
		count = MAX_ROUTE_LOOKUPS;
	for (i = 0; queries && i < count; i++)
		queries[i] = (struct route_query){ peers[i]->server, peers[i]->asked_by,
						   peers[i]->ifindex };
	if (queries)
		host_facts_ask_routes(facts, queries, add_resolvers(queries, count, m));
	free(queries);
	free(peers);
}

/* Diagnoses the run and writes the reports. Returns 0, or -1 after an error message. */
static int conclude(struct pipeline *p, bool *found)
{
	struct host_facts facts = { .vendors = p->vendors,
				    .services = p->services,
				    .drops = p->drops };
	struct diagnosis diagnosis;
	int status = 0;

	if (p->vendors)
		mac_vendors_read(p->vendors);
	if (!p->session.is_capture)
		lookup_routes(&facts, p->model);
	if (!diagnose(&diagnosis, p->model, &p->session, &facts)) {
		fprintf(stderr, "probe: out of memory: no diagnosis\n");
		status = -1;
	}
	*found = diagnosis.state == STATE_PROBLEM;
	reports_ended(&p->reports, p->model, &diagnosis);
	diagnosis_free(&diagnosis);
	host_facts_free(&facts);
	if (p->session.cut) {
		fprintf(stderr, "probe: %s\n", p->session.cut);
		status = -1;
	}
	return status;
}

int main(int argc, char **argv)
{
	static struct pipeline pipeline;
	static struct options options; /* outlives exit(), for leak checkers */
	bool found = false;
	int status;

	prepare_process();
	options_parse(&options, argc, argv);
	if (options.netns && netns_enter(options.netns))
		return EXIT_FAILURE;
	if (options.cleanup)
		return cleanup_only(&options);
	if (options.list_interfaces)
		return interfaces_list() ? EXIT_FAILURE : EXIT_SUCCESS;
	if (options.doctor)
		return doctor_run(options.doctor, &options) ? EXIT_FAILURE : EXIT_SUCCESS;

	status = pipeline_open(&pipeline, &options);
	if (!status)
		status = run_source(&pipeline);
	if (!status)
		status = conclude(&pipeline, &found);
	if (pipeline_close(&pipeline))
		status = -1;
	if (pipeline.session.is_interim) /* what is left belongs to the process that goes on */
		_exit(status ? EXIT_FAILURE : EXIT_SUCCESS);

	if (status)
		return EXIT_FAILURE;
	return found && options.exit_code ? EXIT_FOUND : EXIT_SUCCESS;
}
