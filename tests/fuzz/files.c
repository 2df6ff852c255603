// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer's target for captures: any bytes, through the reader and all the way to the reports. If
 * it finds a defect, a received file can crash the probe or take it over.
 *
 * An input of odd length is read as two concurrent files.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "source/capture.h"
#include "report/evidence.h"
#include "lib/format.h"
#include "report/glyphs.h"
#include "report/report.h"

#define REPORTS 4

static struct report reports[REPORTS];

#define TELL(what, ...)                                                            \
	do {                                                                       \
		for (int i = 0; i < REPORTS; i++)                                  \
			if (reports[i].format->what)                               \
				reports[i].format->what(&reports[i], __VA_ARGS__); \
	} while (0)

static void on_started(void *context)
{
	(void)context;
	for (int i = 0; i < REPORTS; i++)
		if (reports[i].format->started)
			reports[i].format->started(&reports[i]);
}

static void on_settled(void *context, const struct connection *c)
{
	model_settled(context, c);
	evidence_settled(reports[0].evidence, c);
	TELL(connection, c);
}

static void on_synack_alone(void *context, const struct connection *c)
{
	(void)context;
	(void)c;
}

static void on_opening(void *context, const struct connection *c)
{
	model_opening(context, c);
}

static void on_packet(void *context, const struct packet_head *head, const uint8_t *bytes,
		      uint64_t start, int link, bool has_direction)
{
	(void)context;
	evidence_packet(reports[0].evidence, head, bytes, start, link, has_direction);
}

static bool on_swept(void *context, ns_t now)
{
	model_swept(context);
	evidence_swept(reports[0].evidence, now);
	return true;
}

static void on_stall(void *context, const struct stall *s, bool ended)
{
	(void)context;
	TELL(stall, s, ended);
}

static void on_late_banner(void *context, const struct connection *c)
{
	(void)context;
	TELL(late_banner, c);
}

static void on_failing(void *context, const struct connection *c, enum failure failure)
{
	(void)context;
	TELL(failing, c, failure);
}

static void on_late_answer(void *context, const struct connection *c)
{
	(void)context;
	TELL(late_answer, c);
}

static void on_progress(void *context, const char *text)
{
	(void)context;
	(void)text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct model_events model_events = {
		.stall = on_stall,
		.late_banner = on_late_banner,
		.failing = on_failing,
		.late_answer = on_late_answer,
	};
	static const struct report_format *const formats[REPORTS] = { &report_text, &report_json,
								      &report_pcapng,
								      &report_html };
	static FILE *nowhere;
	struct session session = { .stall = SECOND_NS };
	struct host_facts facts = { 0 };
	struct evidence *evidence = evidence_new(SECOND_NS, size % 3 ? 0 : 100);
	struct sink sink = {
		.started = on_started,
		.packet = on_packet,
		.settled = on_settled,
		.synack_alone = on_synack_alone,
		.opening = on_opening,
		.swept = on_swept,
		.progress = on_progress,
	};
	char path[64];
	const char *files[] = { path, path };
	struct options options = { .stall = SECOND_NS, .reads = files, .read_count = 1 + size % 2 };
	int fd = memfd_create("capture", MFD_CLOEXEC), i;
	struct model *model = model_new(SECOND_NS, &model_events);
	struct diagnosis diagnosis;

	if (!nowhere) {
		glyphs_init();
		nowhere = fopen("/dev/null", "we");
	}
	if (fd < 0 || !model || !nowhere || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!evidence)
		abort();
	for (i = 0; i < REPORTS; i++)
		reports[i] = (struct report){ .format = formats[i],
					      .session = &session,
					      .evidence = evidence,
					      .out = nowhere,
					      .out_name = "nowhere",
					      .quiet = i == 2 };
	sink.context = model;
	if (!capture_run(&options, &session, &sink)) {
		if (!diagnose(&diagnosis, model, &session, &facts))
			abort();
		TELL(ended, model, &diagnosis);
		diagnosis_free(&diagnosis);
	}
	for (i = 0; i < REPORTS; i++)
		if (reports[i].format->closed)
			reports[i].format->closed(&reports[i]);
	evidence_free(evidence);
	model_free(model);
	close(fd);
	return 0;
}
