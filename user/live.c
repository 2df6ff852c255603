// SPDX-License-Identifier: GPL-2.0
#include "live.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <pcap/dlt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "entry.h"
#include "evidence.h"
#include "hook.h"
#include "interface.h"
#include "line.h"
#include "narrow.h"
#include "track.h"
#include "probe.skel.h"

#define DRAIN_NS (50 * (ns_t)MILLISECOND_NS)
#define SWEEP_NS (250 * (ns_t)MILLISECOND_NS)
#define SWEEP_BATCH 4096
#define DRAIN_BUDGET 16384 /* more than the ring holds */
#define PACKETS_BYTES (8 << 20)

struct live {
	const struct options *options;
	struct run *run;
	const struct run_events *events;
	struct probe_bpf *bpf;
	struct ring_buffer *ring;
	struct ring_buffer *packets; /* with --write, else NULL */
	struct interface interface;
	struct hook hook;
	uint64_t start; /* CLOCK_MONOTONIC, as the hook's clock */
	uint64_t next_sweep;
	uint64_t *ids;
	struct flow_entry *flows;
	uint32_t candidates;
	int budget; /* records that this drain may still take */
	int packet_budget;
	bool ended;
	char cut[128];
};

static uint64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND_NS + t.tv_nsec;
}

/* What libbpf has to say is kept back, and shown when the load fails. */
static char complaints[4096];
static bool verbose;

static int keep_complaint(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t used = strlen(complaints);

	if (verbose && level <= LIBBPF_INFO)
		return vfprintf(stderr, format, arguments);
	if (level > LIBBPF_WARN)
		return 0;
	return vsnprintf(complaints + used, sizeof(complaints) - used, format, arguments);
}

static const char advice[] = "probe: run it as root (sudo), or give it CAP_BPF and CAP_NET_ADMIN\n";

static int say_load_failure(int error)
{
	struct utsname u;

	uname(&u);
	if (error == -EPERM || error == -EACCES) {
		fprintf(stderr, "probe: loading BPF programs was refused (%s)\n", strerror(-error));
		if (geteuid()) {
			fprintf(stderr, "%s", advice);
			return -1; /* libbpf's guesses would only lead astray */
		}
	} else {
		fprintf(stderr, "probe: this kernel (%s) does not take the BPF programs: %s\n",
			u.release, strerror(-error));
	}
	fputs(complaints, stderr);
	return -1;
}

static int load(struct live *l)
{
	struct probe_bpf *bpf;
	struct hash_seed seed;
	int error;

	bpf = l->bpf = probe_bpf__open();
	if (!bpf)
		return say_load_failure(-errno);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		fprintf(stderr, "probe: no random numbers: %s\n", strerror(errno));
		return -1;
	}
	seed.b |= 1; /* a multiplier: odd, so that no bit is lost */
	memcpy((void *)&bpf->rodata->run_seed, &seed, sizeof(seed));
	memcpy((void *)&bpf->rodata->narrow, l->options->narrow, sizeof(bpf->rodata->narrow));
	bpf_program__set_autoload(bpf->progs.probe_ingress, !l->interface.bare);
	bpf_program__set_autoload(bpf->progs.probe_egress, !l->interface.bare);
	bpf_program__set_autoload(bpf->progs.probe_ingress_ip, l->interface.bare);
	bpf_program__set_autoload(bpf->progs.probe_egress_ip, l->interface.bare);
	if (l->run->evidence) {
		bpf->rodata->keep_packets = true;
		if (l->options->snap)
			bpf->rodata->snap = l->options->snap;
		bpf_map__set_max_entries(bpf->maps.packets, PACKETS_BYTES);
	}
	error = probe_bpf__load(bpf);
	if (error)
		return say_load_failure(error);
	return 0;
}

static int attach(struct live *l)
{
	const struct bpf_program *in = l->bpf->progs.probe_ingress;
	const struct bpf_program *out = l->bpf->progs.probe_egress;
	int programs[DIRECTIONS], error;

	if (l->interface.bare) {
		in = l->bpf->progs.probe_ingress_ip;
		out = l->bpf->progs.probe_egress_ip;
	}
	programs[INGRESS] = bpf_program__fd(in);
	programs[EGRESS] = bpf_program__fd(out);
	error = hook_attach(&l->hook, l->interface.index, programs);
	l->run->hook = l->hook.name;
	if (!error)
		return 0;
	fprintf(stderr, "probe: cannot attach to %s: %s\n", l->interface.name, strerror(-error));
	if (error == -EPERM)
		fprintf(stderr, "%s", advice);
	else
		fputs(complaints, stderr);
	return -1;
}

static int take_packet(void *context, void *data, size_t size)
{
	const struct packet_head *head = data;
	struct live *l = context;

	if (size >= sizeof(*head) && head->length <= size - sizeof(*head))
		evidence_packet(l->run->evidence, head, (const uint8_t *)(head + 1), l->start,
				l->interface.bare ? DLT_RAW : DLT_EN10MB, true);
	return --l->packet_budget > 0 ? 0 : -E2BIG;
}

/* Before each record, whose packets were handed over before it. */
static void drain_packets(struct live *l)
{
	if (l->packets && l->packet_budget > 0)
		ring_buffer__consume(l->packets);
}

static int take_record(void *context, void *data, size_t size)
{
	const struct record *r = data;
	struct connection connection;
	struct live *l = context;

	if (size != sizeof(*r) || r->version != RECORD_VERSION)
		return 0; /* cannot be: the object is embedded in this very binary */
	drain_packets(l);
	connection_of(&connection, r, l->start);
	l->events->settled(l->events->context, &connection);
	return --l->budget > 0 ? 0 : -E2BIG;
}

/* No more than so many records at a time: faster than we read, they must not keep us for ever. */
static void drain(struct live *l)
{
	l->budget = DRAIN_BUDGET;
	l->packet_budget = 8 * DRAIN_BUDGET;
	drain_packets(l);
	ring_buffer__consume(l->ring);
}

/*
 * Candidates are looked at again and settled in the kernel, one run of the program each. A signal
 * that waits (even one that only stops and continues us) ends a series of runs early: it is resumed.
 */
static void settle_candidates(struct live *l)
{
	static uint8_t frame[64];
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
			    .data_size_in = sizeof(frame));
	volatile __u32 *next = &l->bpf->bss->candidate_next;

	*next = 0;
	while (*next < l->candidates) {
		opts.repeat = l->candidates - *next;
		if (bpf_prog_test_run_opts(bpf_program__fd(l->bpf->progs.settle_candidate),
					   &opts) &&
		    errno != EINTR) {
			snprintf(l->cut, sizeof(l->cut),
				 "the kernel does not let unanswered attempts be settled: %s",
				 strerror(errno));
			l->ended = true;
			break;
		}
	}
	l->candidates = 0;
	drain(l);
}

static void add_candidate(struct live *l, const struct flow_entry *e)
{
	struct candidate *c = &l->bpf->bss->candidates[l->candidates++];

	c->id = e->id;
	c->client_isn = e->flow.client_isn;
	if (l->candidates == CANDIDATES)
		settle_candidates(l);
}

/* Looks at every opening flow, in slices; the ring is drained between them. */
static void sweep(struct live *l)
{
	int map = bpf_map__fd(l->bpf->maps.flows), error;
	struct connection connection;
	uint32_t position, count, seen = 0, i;
	void *from = NULL;
	struct record r = { .version = RECORD_VERSION };
	uint64_t now;

	do {
		count = SWEEP_BATCH;
		error = bpf_map_lookup_batch(map, from, &position, l->ids, l->flows, &count, NULL);
		/* no bucket of the map, whose hash is seeded, holds more than SWEEP_BATCH: no ENOSPC */
		if (error && error != -ENOENT)
			break;
		from = &position;
		seen += count;
		now = monotonic();
		for (i = 0; i < count; i++) {
			if (l->bpf->bss->ending ||
			    settle_due(&l->flows[i].flow, now, l->bpf->bss->pressure) !=
				    SETTLED_NOT) {
				add_candidate(l, &l->flows[i]);
				continue;
			}
			r.settled = now;
			r.key = l->flows[i].key;
			r.flow = l->flows[i].flow;
			connection_of(&connection, &r, l->start);
			l->events->opening(l->events->context, &connection);
		}
		drain(l);
	} while (!error);
	settle_candidates(l);
	l->bpf->bss->pressure = seen > bpf_map__max_entries(l->bpf->maps.flows) / 4 * 3;
}

static void tick(struct live *l)
{
	uint64_t now = monotonic(), took;

	drain(l);
	l->run->duration = now - l->start;
	if (l->options->duration > 0 &&
	    now - l->start >= (uint64_t)(l->options->duration * SECOND_NS))
		l->ended = true;
	if (now < l->next_sweep)
		return;
	sweep(l);
	l->events->swept(l->events->context, now - l->start);
	took = monotonic() - now;
	l->next_sweep = now + (took * 10 > SWEEP_NS ? took * 10 : SWEEP_NS);
}

static int open_timer(void)
{
	struct itimerspec every = { .it_interval.tv_nsec = DRAIN_NS, .it_value.tv_nsec = DRAIN_NS };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0 && timerfd_settime(fd, 0, &every, NULL)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The signals that end a run; blocked before the attach, so that none leaves a filter behind. */
static const sigset_t *ending_signals(void)
{
	static sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	return &set;
}

static int loop(struct live *l)
{
	enum { TIMER, SIGNALS, LINKS, SOURCES };
	int fds[SOURCES] = { open_timer(),
			     signalfd(-1, ending_signals(), SFD_CLOEXEC | SFD_NONBLOCK),
			     interface_events() };
	int epoll = epoll_create1(EPOLL_CLOEXEC), status = -1, i, n;
	struct epoll_event event;
	uint64_t expirations;

	if (epoll < 0)
		goto out;
	for (i = 0; i < SOURCES; i++) {
		event = (struct epoll_event){ .events = EPOLLIN, .data.u32 = i };
		if (fds[i] < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event))
			goto out;
	}
	status = 0;
	while (!l->ended && !l->run->stop) {
		n = epoll_wait(epoll, &event, 1, -1);
		if (n < 0 && errno != EINTR) {
			status = -1;
			break;
		}
		if (n < 1)
			continue;
		switch (event.data.u32) {
		case TIMER:
			if (read(fds[TIMER], &expirations, sizeof(expirations)) > 0)
				tick(l);
			break;
		case SIGNALS:
			l->ended = true;
			break;
		case LINKS:
			/* to run on, blind, would be a lie */
			if (interface_is_gone(&l->interface, fds[LINKS])) {
				snprintf(l->cut, sizeof(l->cut), "%s went away", l->interface.name);
				l->ended = true;
			}
			break;
		}
	}
out:
	if (status)
		fprintf(stderr, "probe: cannot wait for events: %s\n", strerror(errno));
	for (i = 0; i < SOURCES; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (epoll >= 0)
		close(epoll);
	return status;
}

static void read_counters(struct live *l)
{
	size_t cpus = libbpf_num_possible_cpus(), cpu;
	uint64_t *counts = calloc(cpus, COUNTERS * sizeof(uint64_t));
	uint32_t *packets = calloc(65536, sizeof(*packets)), *lines, count = 65536 / 16, zero = 0,
		 position;
	int i;

	memset(l->run->counters, 0, sizeof(l->run->counters));
	if (counts && !bpf_map_lookup_elem(bpf_map__fd(l->bpf->maps.counters), &zero, counts))
		for (cpu = 0; cpu < cpus; cpu++)
			for (i = 0; i < COUNTERS; i++)
				l->run->counters[i] += counts[cpu * COUNTERS + i];
	lines = calloc(count, sizeof(*lines));
	if (packets && lines &&
	    (!bpf_map_lookup_batch(bpf_map__fd(l->bpf->maps.ethertypes), NULL, &position, lines,
				   packets, &count, NULL) ||
	     errno == ENOENT))
		run_set_ethertypes(l->run, packets);
	free(lines);
	free(packets);
	free(counts);
}

static void say_costs(const struct live *l, uint64_t began)
{
	uint64_t sum = 0, bytes;
	struct bpf_map *map;
	char line[128];
	FILE *f;

	bpf_object__for_each_map(map, l->bpf->obj) {
		snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", bpf_map__fd(map));
		f = fopen(line, "re");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "memlock: %" SCNu64, &bytes) == 1)
				sum += bytes;
		if (f)
			fclose(f);
	}
	fprintf(stderr,
		"probe: attached after %.0f ms; maps take %.1f MiB, for %u openings at once\n",
		(monotonic() - began) / 1e6, sum / 1048576.0,
		bpf_map__max_entries(l->bpf->maps.flows));
}

static int watch(struct live *l)
{
	uint64_t began = monotonic(), bytes;
	struct utsname u;
	int status;

	if (load(l))
		return -1;
	l->ring = ring_buffer__new(bpf_map__fd(l->bpf->maps.records), take_record, l, NULL);
	l->ids = calloc(SWEEP_BATCH, sizeof(*l->ids));
	l->flows = calloc(SWEEP_BATCH, sizeof(*l->flows));
	if (l->run->evidence)
		l->packets =
			ring_buffer__new(bpf_map__fd(l->bpf->maps.packets), take_packet, l, NULL);
	if (!l->ring || (l->run->evidence && !l->packets) || !l->ids || !l->flows) {
		fprintf(stderr, "probe: out of memory\n");
		return -1;
	}
	sigprocmask(SIG_BLOCK, ending_signals(), NULL);
	own_addresses(l->run);
	uname(&u);
	snprintf(l->run->kernel, sizeof(l->run->kernel), "%s", u.release);
	bytes = interface_bytes(&l->interface);
	clock_gettime(CLOCK_REALTIME, &l->run->start);
	l->start = monotonic();
	if (attach(l))
		return -1;
	if (verbose)
		say_costs(l, began);
	l->events->started(l->events->context);

	status = loop(l);
	hook_detach(&l->hook);
	l->run->duration = monotonic() - l->start;
	l->run->bytes = interface_bytes(&l->interface);
	l->run->bytes = l->run->bytes > bytes ? l->run->bytes - bytes : 0;
	drain(l);
	l->bpf->bss->ending = true;
	sweep(l);
	read_counters(l);
	if (l->cut[0])
		l->run->cut = strdup(l->cut);
	return status;
}

int live_run(const struct options *o, struct run *run, const struct run_events *events)
{
	struct live l = { .options = o, .run = run, .events = events, .hook = HOOK_NONE };
	int status;

	verbose = o->verbose;
	libbpf_set_print(keep_complaint);
	run->from = o->iface;
	if (interface_find(&l.interface, o->iface))
		return -1;
	run->link = l.interface.link;
	status = watch(&l);
	hook_detach(&l.hook);
	ring_buffer__free(l.ring);
	ring_buffer__free(l.packets);
	probe_bpf__destroy(l.bpf);
	free(l.ids);
	free(l.flows);
	return status;
}
