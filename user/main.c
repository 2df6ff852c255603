// SPDX-License-Identifier: GPL-2.0
/*
 * The story of a run: a source tells of connections, the model remembers what matters, the reports
 * say it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/capture.h"
#include "report/evidence.h"
#include "lib/format.h"
#include "host/route.h"
#include "source/attach.h"
#include "host/netdev.h"
#include "source/live.h"
#include "selector.h"
#include "report/html.h"
#include "privileges.h"
#include "seccomp_filter.h"
#include "report/terminal.h"
#include "model/join.h"

#define MAX_REPORTS 4
#define OUT_BYTES (64 << 10) /* of a report that are gathered before they are written */

/* Routes are asked for of so many peers that fail, the most clients first. */
#define MAX_ASKED 1000

struct program {
	struct options options;
	struct run run;
	struct vantage *vantage;
	struct model *model;
	struct report reports[MAX_REPORTS];
	int report_count;
	bool has_started;
	int tidy_later; /* see output.h, or -1 */
	uint64_t opening, sweeps_opening; /* attempts, at the last sweep; in this one so far */
};

/* Tells every report that wants to hear of it. */
#define TELL(p, what, ...)                                                                       \
	do {                                                                                     \
		struct program *told = (p);                                                      \
		for (int i = 0; i < told->report_count; i++)                                     \
			if (told->reports[i].format->what)                                       \
				told->reports[i].format->what(&told->reports[i], ##__VA_ARGS__); \
	} while (0)

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	char *text, *shown = NULL;
	va_list arguments;
	size_t size;
	FILE *out;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (n < 0)
		return;
	out = open_memstream(&shown, &size);
	if (out) {
		format_text(out, text);
		if (!fclose(out))
			screen_line(stderr, shown);
		free(shown);
	}
	free(text);
}

static void say_watching(const struct run *run)
{
	const struct run_interface *w;
	char text[MAX_IFACES * 160] = "";
	size_t used = 0;

	for (w = run->interfaces; w < run->interfaces + run->interface_count; w++)
		if (used < sizeof(text))
			used += snprintf(text + used, sizeof(text) - used, "%s %s (%s, %s%s%s)",
					 w == run->interfaces ? "" : ",", w->name, w->link, w->hook,
					 w->hook_reason ? ": " : "",
					 w->hook_reason ? w->hook_reason : "");
	say("probe: watching%s. Ctrl-C ends the run and prints the report.\n", text);
}

/* Now or never: what a capture's bytes could make of this process has nothing to work with. */
static void on_opened(void *context)
{
	struct program *p = context;
	const char *names[MAX_REPORTS];
	size_t count = 0;
	int i;

	for (i = 0; i < p->report_count; i++)
		if (p->reports[i].file.is_new)
			names[count++] = p->reports[i].out_name;
	if (count)
		p->tidy_later = output_tidy_later(names, count);
	rights_give_up(0, NULL, NULL, SANDBOX_CAPTURE, p->options.verbose);
}

static void on_started(void *context)
{
	struct program *p = context;
	const struct run *run = &p->run;
	int i;

	if (!run->is_capture)
		say_watching(run);
	p->has_started = true;
	output_tidy(p->tidy_later, true);
	p->tidy_later = -1;
	for (i = 0; i < p->report_count; i++)
		output_begin(&p->reports[i].file);
	if (!run->is_capture && run->interface_count > 1)
		vantage_several(p->vantage);
	TELL(p, started);
}

/* What a source tells goes through the vantage, which tells on each attempt once. */
static void on_record(void *context, const struct connection *c)
{
	vantage_settled(((struct program *)context)->vantage, c);
}

static void on_open_record(void *context, const struct connection *c)
{
	vantage_opening(((struct program *)context)->vantage, c);
}

/*
 * Between two lines: so a file that cannot grow further is cut back to a line's end, and whoever reads
 * lines of JSON meets no half one.
 */
static bool write_out(struct report *r)
{
	if (fflush(r->out) || ferror(r->out)) {
		if (!r->error)
			r->error = errno;
		return false;
	}
	r->whole = ftello(r->out); /* -1 for a pipe */
	return true;
}

static void on_settled(void *context, const struct connection *c)
{
	struct program *p = context;
	int i;

	model_settled(p->model, c);
	if (p->run.evidence)
		evidence_settled(p->run.evidence, c);
	TELL(p, connection, c);
	for (i = 0; i < p->report_count; i++)
		if (__fpending(p->reports[i].out) > OUT_BYTES / 2)
			write_out(&p->reports[i]);
}

static void on_other_side(void *context, const struct connection *side,
			  const struct connection *told)
{
	struct program *p = context;

	if (p->run.evidence)
		evidence_other_side(p->run.evidence, side, told);
}

static void on_opening(void *context, const struct connection *c)
{
	struct program *p = context;

	p->sweeps_opening++;
	model_opening(p->model, c);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* The status line, cut down to what a narrow terminal has room for; progress is a capture's, or NULL. */
static void show_status(const struct program *p, ns_t now, const char *progress)
{
	const struct model *m = p->model;
	const char *dot = glyphs->dot;
	char time[FORMAT_DURATION], line[512];
	int columns = screen_status_columns();
	uint64_t lost = run_losses(&p->run);

	if (!columns) {
		screen_status("");
		return;
	}
	if (!progress && now < 60 * (ns_t)SECOND_NS)
		snprintf(time, sizeof(time), "%.0f s", now / 1e9);
	else if (!progress)
		format_duration(time, now);
	snprintf(line, sizeof(line),
		 "%s %s %" PRIu64 " connection%s, %" PRIu64 " opening %s %" PRIu64
		 " stall%s %s %" PRIu64 " peer%s failing %s %" PRIu64 " lost",
		 progress ? progress : time, dot, m->connections, plural(m->connections),
		 p->opening, dot, m->stall_count, plural(m->stall_count), dot, m->failing_now,
		 plural(m->failing_now), dot, lost);
	if (format_columns(line) > columns)
		snprintf(line, sizeof(line),
			 "%s %s %" PRIu64 " stall%s %s %" PRIu64 " failing %s %" PRIu64 " lost",
			 progress ? progress : time, dot, m->stall_count, plural(m->stall_count),
			 dot, m->failing_now, dot, lost);
	screen_status(line);
}

static void on_progress(void *context, const char *text)
{
	show_status(context, 0, text);
}

static void on_swept(void *context, ns_t now)
{
	struct program *p = context;
	struct pollfd reader = {};
	int i;

	vantage_swept(p->vantage);
	model_swept(p->model);
	p->opening = p->sweeps_opening;
	p->sweeps_opening = 0;
	if (p->run.evidence)
		evidence_swept(p->run.evidence, now);
	TELL(p, swept, now);
	if (!p->run.is_capture)
		show_status(p, now, NULL);
	for (i = 0; i < p->report_count; i++) {
		/* a full disk, a reader that went away, even before there is more to say: the rest is lost */
		reader.fd = fileno(p->reports[i].out);
		if (!write_out(&p->reports[i]) ||
		    (poll(&reader, 1, 0) > 0 && reader.revents & (POLLERR | POLLHUP)))
			p->run.stop = true;
	}
	if (screen_error())
		p->run.stop = true;
}

static void on_notice(void *context, ns_t now, const char *text)
{
	say("probe: %s\n", text);
	TELL(context, notice, now, text);
}

static void on_stall(void *context, const struct stall *s, bool ended)
{
	TELL(context, stall, s, ended);
}

static void on_late_banner(void *context, const struct connection *c)
{
	TELL(context, late_banner, c);
}

static void on_failing(void *context, const struct connection *c, enum failure failure)
{
	TELL(context, failing, c, failure);
}

static void on_answered_after_all(void *context, const struct connection *c)
{
	TELL(context, answered_after_all, c);
}

/* Descriptors 0 to 2 that the caller closed would be taken by our own files. */
static void keep_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return S_ISREG(a->st_mode) && a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What writing to this file would destroy: a capture that is read, another report. Or NULL. */
static const char *overwrites(const struct program *p, const struct report *r, const char *file)
{
	const struct report *other;
	struct stat own, st;
	size_t i;

	if (stat(file, &own))
		return NULL;
	for (i = 0; i < p->options.read_count; i++)
		if (!stat(p->options.reads[i], &st) && is_same_file(&own, &st))
			return p->options.reads[i];
	for (other = p->reports; other < r; other++)
		if (!fstat(fileno(other->out), &st) && is_same_file(&own, &st))
			return other->out_name;
	return NULL;
}

static char gathered[MAX_REPORTS][OUT_BYTES];

static int add_report(struct program *p, const struct report_format *format, const char *file)
{
	struct report *r = &p->reports[p->report_count++];
	const char *victim;

	r->format = format;
	r->run = &p->run;
	r->quiet = p->options.quiet;
	r->verbose = p->options.verbose;
	r->out = stdout;
	r->out_name = "standard output";
	if (!file)
		return 0;
	victim = overwrites(p, r, file);
	if (victim) {
		fprintf(stderr, "probe: cannot write %s: that would overwrite %s\n",
			format_name(file), format_name(victim));
		p->report_count--;
		return -1;
	}
	output_open(&r->file, file, p->options.force);
	r->out = r->file.stream;
	r->out_name = file;
	if (r->out)
		setvbuf(r->out, gathered[r - p->reports], _IOFBF, OUT_BYTES);
	if (!r->out) {
		fprintf(stderr, "probe: cannot write %s: %s\n", format_name(file), r->file.why);
		p->report_count--;
		return -1;
	}
	return 0;
}

static int open_reports(struct program *p)
{
	const struct options *o = &p->options;

	if (o->json && add_report(p, &report_json, o->json_file))
		return -1;
	/* JSON on standard output has it for itself */
	if ((!o->json || o->json_file) && add_report(p, &report_text, NULL))
		return -1;
	if (o->html_file && add_report(p, &report_page, o->html_file))
		return -1;
	if (!o->write_file)
		return 0;
	p->run.evidence = evidence_new(o->stall, o->snaplen);
	if (!p->run.evidence) {
		fprintf(stderr, "probe: out of memory\n");
		return -1;
	}
	return add_report(p, &report_pcapng, o->write_file);
}

static int close_reports(struct program *p)
{
	int status = 0, i;

	for (i = 0; i < p->report_count; i++) {
		struct report *r = &p->reports[i];
		bool failed = ferror(r->out);

		if (r->file.is_new && !p->has_started &&
		    p->tidy_later < 0) /* of a run that never was */
			unlink(r->out_name);
		if (r->format->closed)
			r->format->closed(r);
		if ((fflush(r->out) || failed) && !r->error)
			r->error = failed ? EIO : errno;
		if (r->error && r->format == &report_json && r->whole > 0)
			(void)!ftruncate(fileno(r->out), r->whole);
		if (fclose(r->out) && !r->error)
			r->error = errno;
		if (r->out == stdout && screen_error())
			r->error = screen_error();
		if (r->error) {
			fprintf(stderr, "probe: could not write all of the report to %s: %s\n",
				format_name(r->out_name), strerror(r->error));
			status = -1;
		}
	}
	output_tidy(p->tidy_later, false);
	return status;
}

/* What this host knows of the way to the peers that fail. */
static void ask_gateway(struct model *m)
{
	struct gateway *gateway = gateway_open();
	struct troubles *t;
	struct peer **peers;
	size_t count, i;

	peers = gateway ? model_failing_peers(m, &count) : NULL;
	for (i = 0; peers && i < count && i < MAX_ASKED; i++) {
		t = peer_troubles(m, peers[i]);
		if (t)
			gateway_route(gateway, &peers[i]->server.address, &peers[i]->asked_by,
				      peers[i]->ifindex, &t->route);
	}
	free(peers);
	gateway_close(gateway);
}

/*
 * One address of this very host behind nearly every attempt: what is behind the NAT cannot be told
 * apart.
 */
static bool is_outer_side(const struct run *run, const struct model *m)
{
	uint64_t own = 0, inward = 0;
	const struct client *client;
	const struct peer *peer;

	for (client = m->clients; client; client = client->hh.next)
		if (run_is_own_address(run, &client->place.address))
			own += client->connections;
	for (peer = m->peers; peer; peer = peer->hh.next)
		if (run_is_own_address(run, &peer->server.address))
			inward += peer->connections;
	/* what conntrack does not translate is this host's own */
	if (run->nat.known && !run->nat.lost)
		return false;
	return m->connections >= 3 && own * 10 >= m->connections * 9 &&
	       inward * 10 < m->connections;
}

static bool is_set(const struct address *mask)
{
	return mask->word[0] || mask->word[1] || mask->word[2] || mask->word[3];
}

static struct view view_of(const struct program *p)
{
	const struct selector *selector = p->options.selector;
	const struct run_interface *w;
	struct view view = {
		.is_capture = p->run.is_capture,
		.start = p->run.start,
		.narrowed_clients = is_set(&selector->client_mask),
		.narrowed_servers = is_set(&selector->server_mask) || selector->by_port,
		.lost = run_losses(&p->run),
		.outer_side = is_outer_side(&p->run, p->model),
		.nat = &p->run.nat,
		.unwatched = p->run.unwatched,
		.ipsec = p->run.ipsec,
	};

	for (w = p->run.interfaces; w < p->run.interfaces + p->run.interface_count; w++)
		view.sides[view.side_count++] = (struct watched_side){
			.ifindex = w->index,
			.name = w->name,
			.is_part = w->is_part,
			.whole = !w->was_away && !w->is_part && !w->blind[EGRESS] &&
				 !p->run.is_capture,
		};
	for (w = p->run.followed; w < p->run.followed + p->run.followed_count; w++)
		view.sides[view.side_count++] = (struct watched_side){ .ifindex = w->index,
								       .name = w->name,
								       .whole = !w->was_away };
	return view;
}

int main(int argc, char **argv)
{
	static struct program p;
	const struct run_events run_events = {
		.opened = on_opened,
		.started = on_started,
		.settled = on_record,
		.opening = on_open_record,
		.swept = on_swept,
		.notice = on_notice,
		.progress = on_progress,
		.context = &p,
	};
	const struct vantage_events vantage_events = {
		.settled = on_settled,
		.other_side = on_other_side,
		.opening = on_opening,
		.context = &p,
	};
	const struct model_events model_events = {
		.stall = on_stall,
		.late_banner = on_late_banner,
		.failing = on_failing,
		.answered_after_all = on_answered_after_all,
		.context = &p,
	};
	struct diagnosis diagnosis;
	bool found = false;
	struct view view;
	int status;

	keep_standard_files();
	setlocale(LC_CTYPE, ""); /* its encoding; numbers stay numbers */
	format_init();
	format_errors();
	/* a reader that goes away, a file that may not grow: errors when writing, not the end */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	options_parse(&p.options, argc, argv);
	if (p.options.netns && netns_enter(p.options.netns))
		return EXIT_FAILURE;
	p.tidy_later = -1;
	if (p.options.cleanup)
		rights_give_up(RIGHT(CAP_NET_ADMIN), NULL, NULL, SANDBOX_LIVE | SANDBOX_FILTERS,
			       p.options.verbose);
	if (p.options.cleanup)
		return hook_cleanup(p.options.ifaces, p.options.iface_count) ? EXIT_FAILURE
									     : EXIT_SUCCESS;
	p.run.stall = p.options.stall;
	p.vantage = vantage_new(&vantage_events);
	p.model = model_new(p.options.stall, &model_events);
	if (!p.vantage || !p.model)
		fprintf(stderr, "probe: out of memory\n");
	if (!p.vantage || !p.model || open_reports(&p)) {
		close_reports(&p);
		vantage_free(p.vantage);
		model_free(p.model);
		return EXIT_FAILURE;
	}
	/* JSON on standard output may go to the terminal as well */
	screen_open(!p.options.quiet && !(p.options.json && !p.options.json_file),
		    p.options.read_count);
	status = (p.options.read_count ? capture_run : live_run)(&p.options, &p.run, &run_events);
	vantage_end(p.vantage);
	p.run.joined = vantage_joined(p.vantage);
	p.run.ambiguous = vantage_ambiguous(p.vantage);
	screen_close();
	if (!status) {
		if (!p.run.is_capture)
			ask_gateway(p.model);
		view = view_of(&p);
		if (!diagnose(&diagnosis, p.model, &view)) {
			fprintf(stderr, "probe: out of memory: no diagnosis\n");
			status = -1;
		}
		found = diagnosis_has_problem(&diagnosis);
		TELL(&p, ended, p.model, &diagnosis);
		diagnosis_free(&diagnosis);
		if (p.run.cut)
			fprintf(stderr, "probe: %s\n", p.run.cut);
	}
	if (close_reports(&p) || p.run.cut)
		status = -1;
	evidence_free(p.run.evidence);
	vantage_free(p.vantage);
	model_free(p.model);
	if (status)
		return EXIT_FAILURE;
	return found && p.options.exit_code ? EXIT_FOUND : EXIT_SUCCESS;
}
