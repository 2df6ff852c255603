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
#include "host/facts.h"
#include "lib/address.h"
#include "source/attach.h"
#include "host/netdev.h"
#include "source/live.h"
#include "selector.h"
#include "report/glyphs.h"
#include "report/html.h"
#include "privileges.h"
#include "seccomp_filter.h"
#include "report/terminal.h"
#include "model/join.h"

#define MAX_REPORTS 4
#define OUT_BYTES (64 << 10) /* of a report that are gathered before they are written */

/* Routes are asked for of so many peers that fail, the most clients first. */
#define MAX_ROUTE_LOOKUPS 1000

struct program {
	struct options options;
	struct session session;
	struct join *join;
	struct model *model;
	struct report reports[MAX_REPORTS];
	int report_count;
	bool has_started;
	int cleanup_pid; /* see output.h, or -1 */
	uint64_t opening, sweeps_opening; /* attempts, at the last sweep; in this one so far */
};

/* Tells every report that wants to hear of it. */
#define FOR_EACH_REPORT(p, what, ...)                                                            \
	do {                                                                                     \
		struct program *told = (p);                                                      \
		for (int i = 0; i < told->report_count; i++)                                     \
			if (told->reports[i].format->what)                                       \
				told->reports[i].format->what(&told->reports[i], ##__VA_ARGS__); \
	} while (0)

static void __attribute__((format(printf, 1, 2))) print_line(const char *format, ...)
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
			terminal_line(stderr, shown);
		free(shown);
	}
	free(text);
}

static void print_watching(const struct session *session)
{
	const struct session_iface *w;
	char text[MAX_IFACES * 160] = "";
	size_t used = 0;

	for (w = session->interfaces; w < session->interfaces + session->interface_count; w++)
		if (used < sizeof(text))
			used += snprintf(text + used, sizeof(text) - used, "%s %s (%s, %s%s%s)",
					 w == session->interfaces ? "" : ",", w->name, w->link,
					 w->hook, w->hook_reason ? ": " : "",
					 w->hook_reason ? w->hook_reason : "");
	print_line("probe: watching%s. Ctrl-C ends the run and prints the report.\n", text);
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
		p->cleanup_pid = outfile_cleanup_later(names, count);
	privileges_drop(0, NULL, NULL, SECCOMP_CAPTURE, p->options.verbose);
}

static void on_started(void *context)
{
	struct program *p = context;
	const struct session *session = &p->session;
	int i;

	if (!session->is_capture)
		print_watching(session);
	p->has_started = true;
	outfile_cleanup(p->cleanup_pid, true);
	p->cleanup_pid = -1;
	for (i = 0; i < p->report_count; i++)
		outfile_begin(&p->reports[i].file);
	if (!session->is_capture && session->interface_count > 1)
		join_set_multi_iface(p->join);
	FOR_EACH_REPORT(p, started);
}

/* What a source tells goes through the vantage, which tells on each attempt once. */
static void on_record(void *context, const struct connection *c)
{
	join_settled(((struct program *)context)->join, c);
}

static void on_open_record(void *context, const struct connection *c)
{
	join_opening(((struct program *)context)->join, c);
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
	r->complete_bytes = ftello(r->out); /* -1 for a pipe */
	return true;
}

static void on_settled(void *context, const struct connection *c)
{
	struct program *p = context;
	int i;

	model_settled(p->model, c);
	if (p->session.evidence)
		evidence_settled(p->session.evidence, c);
	FOR_EACH_REPORT(p, connection, c);
	for (i = 0; i < p->report_count; i++)
		if (__fpending(p->reports[i].out) > OUT_BYTES / 2)
			write_out(&p->reports[i]);
}

static void on_other_side(void *context, const struct connection *side,
			  const struct connection *told)
{
	struct program *p = context;

	if (p->session.evidence)
		evidence_other_side(p->session.evidence, side, told);
}

static void on_opening(void *context, const struct connection *c)
{
	struct program *p = context;

	p->sweeps_opening++;
	model_opening(p->model, c);
}

/* The status line, cut down to what a narrow terminal has room for; progress is a capture's, or NULL. */
static void show_status(const struct program *p, ns_t now, const char *progress)
{
	const struct model *m = p->model;
	const char *dot = glyphs->dot;
	char time[FORMAT_DURATION], line[512];
	int columns = terminal_status_columns();
	uint64_t lost = session_losses(&p->session);

	if (!columns) {
		terminal_status("");
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
	terminal_status(line);
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

	join_swept(p->join);
	model_swept(p->model);
	p->opening = p->sweeps_opening;
	p->sweeps_opening = 0;
	if (p->session.evidence)
		evidence_swept(p->session.evidence, now);
	FOR_EACH_REPORT(p, swept, now);
	if (!p->session.is_capture)
		show_status(p, now, NULL);
	for (i = 0; i < p->report_count; i++) {
		/* a full disk, a reader that went away, even before there is more to say: the rest is lost */
		reader.fd = fileno(p->reports[i].out);
		if (!write_out(&p->reports[i]) ||
		    (poll(&reader, 1, 0) > 0 && reader.revents & (POLLERR | POLLHUP)))
			p->session.stop = true;
	}
	if (terminal_error())
		p->session.stop = true;
}

static void on_notice(void *context, ns_t now, const char *text)
{
	print_line("probe: %s\n", text);
	FOR_EACH_REPORT(context, notice, now, text);
}

static void on_stall(void *context, const struct stall *s, bool ended)
{
	FOR_EACH_REPORT(context, stall, s, ended);
}

static void on_late_banner(void *context, const struct connection *c)
{
	FOR_EACH_REPORT(context, late_banner, c);
}

static void on_failing(void *context, const struct connection *c, enum failure failure)
{
	FOR_EACH_REPORT(context, failing, c, failure);
}

static void on_late_answer(void *context, const struct connection *c)
{
	FOR_EACH_REPORT(context, late_answer, c);
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
	r->session = &p->session;
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
	outfile_open(&r->file, file, p->options.force);
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
	p->session.evidence = evidence_new(o->stall, o->snaplen);
	if (!p->session.evidence) {
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
		    p->cleanup_pid < 0) /* of a run that never was */
			unlink(r->out_name);
		if (r->format->closed)
			r->format->closed(r);
		if ((fflush(r->out) || failed) && !r->error)
			r->error = failed ? EIO : errno;
		if (r->error && r->format == &report_json && r->complete_bytes > 0)
			(void)!ftruncate(fileno(r->out), r->complete_bytes);
		if (fclose(r->out) && !r->error)
			r->error = errno;
		if (r->out == stdout && terminal_error())
			r->error = terminal_error();
		if (r->error) {
			fprintf(stderr, "probe: could not write all of the report to %s: %s\n",
				format_name(r->out_name), strerror(r->error));
			status = -1;
		}
	}
	outfile_cleanup(p->cleanup_pid, false);
	return status;
}

/* Asks for the routes to the peers that fail. */
static bool lookup_routes(struct host_facts *facts, const struct model *m)
{
	size_t count, i;
	const struct peer **peers = model_failing_peers(m, &count);
	struct route_query *queries = calloc(count + 1, sizeof(*queries));
	bool done = false;

	if (count > MAX_ROUTE_LOOKUPS)
		count = MAX_ROUTE_LOOKUPS;
	for (i = 0; queries && i < count; i++)
		queries[i] = (struct route_query){ peers[i]->server, peers[i]->asked_by,
						   peers[i]->ifindex };
	if (peers && queries)
		done = host_facts_ask_routes(facts, queries, count);
	free(queries);
	free(peers);
	return done;
}

int main(int argc, char **argv)
{
	static struct program p;
	const struct source_events source_events = {
		.opened = on_opened,
		.started = on_started,
		.settled = on_record,
		.opening = on_open_record,
		.swept = on_swept,
		.notice = on_notice,
		.progress = on_progress,
		.context = &p,
	};
	const struct join_events join_events = {
		.settled = on_settled,
		.other_side = on_other_side,
		.opening = on_opening,
		.context = &p,
	};
	const struct model_events model_events = {
		.stall = on_stall,
		.late_banner = on_late_banner,
		.failing = on_failing,
		.late_answer = on_late_answer,
		.context = &p,
	};
	struct host_facts facts = { 0 };
	struct diagnosis diagnosis;
	bool found = false;
	int status;

	keep_standard_files();
	setlocale(LC_CTYPE, ""); /* its encoding; numbers stay numbers */
	glyphs_init();
	filter_stderr();
	/* a reader that goes away, a file that may not grow: errors when writing, not the end */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	options_parse(&p.options, argc, argv);
	if (p.options.netns && netns_enter(p.options.netns))
		return EXIT_FAILURE;
	p.cleanup_pid = -1;
	if (p.options.cleanup)
		privileges_drop(CAP_MASK(CAP_NET_ADMIN), NULL, NULL, SECCOMP_LIVE | SECCOMP_FILTERS,
				p.options.verbose);
	if (p.options.cleanup)
		return hook_cleanup(p.options.ifaces, p.options.iface_count) ? EXIT_FAILURE
									     : EXIT_SUCCESS;
	p.session.stall = p.options.stall;
	p.session.narrowed_clients = !is_zero_address(&p.options.selector->client_mask);
	p.session.narrowed_servers =
		!is_zero_address(&p.options.selector->server_mask) || p.options.selector->by_port;
	p.join = join_new(&join_events);
	p.model = model_new(p.options.stall, &model_events);
	if (!p.join || !p.model)
		fprintf(stderr, "probe: out of memory\n");
	if (!p.join || !p.model || open_reports(&p)) {
		close_reports(&p);
		join_free(p.join);
		model_free(p.model);
		return EXIT_FAILURE;
	}
	/* JSON on standard output may go to the terminal as well */
	terminal_open(!p.options.quiet && !(p.options.json && !p.options.json_file),
		      p.options.read_count);
	status = (p.options.read_count ? capture_run : live_run)(&p.options, &p.session,
								 &source_events);
	join_end(p.join);
	p.session.joined = join_joined(p.join);
	p.session.ambiguous = join_ambiguous(p.join);
	terminal_close();
	if (!status) {
		if (!p.session.is_capture)
			lookup_routes(&facts, p.model);
		if (!diagnose(&diagnosis, p.model, &p.session, &facts)) {
			fprintf(stderr, "probe: out of memory: no diagnosis\n");
			status = -1;
		}
		found = diagnosis_has_problem(&diagnosis);
		FOR_EACH_REPORT(&p, ended, p.model, &diagnosis);
		diagnosis_free(&diagnosis);
		host_facts_free(&facts);
		if (p.session.cut)
			fprintf(stderr, "probe: %s\n", p.session.cut);
	}
	if (close_reports(&p) || p.session.cut)
		status = -1;
	evidence_free(p.session.evidence);
	join_free(p.join);
	model_free(p.model);
	if (status)
		return EXIT_FAILURE;
	return found && p.options.exit_code ? EXIT_FOUND : EXIT_SUCCESS;
}
