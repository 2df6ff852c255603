// SPDX-License-Identifier: GPL-2.0
#include "source/live.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <pcap/dlt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "host/conntrack.h"
#include "report/evidence.h"
#include "lib/format.h"
#include "source/attach.h"
#include "host/netdev.h"
#include "host/ipsec.h"
#include "source/flow_table.h"
#include "privileges.h"
#include "seccomp_filter.h"
#include "source/hook_watchdog.h"
#include "track.h"
#include "source/no_tcp.h"

#define DRAIN_NS (50 * (ns_t)MILLISECOND_NS)
#define SWEEP_NS (250 * (ns_t)MILLISECOND_NS)
#define SWEEP_BATCH 4096
#define DRAIN_BUDGET 32768 /* more than the ring holds, by default */
#define PACKETS_BYTES (8 << 20)
#define ENOUGH_INSIDE \
	1000 /* attempts, none of them translated or our own: conntrack is left alone */
#define NEEDED_FILES 48
#define NEEDED_FILES_EACH 4 /* for each interface */
#define NOTICE_OWN 3 /* attempts of this host's own address are reason for a word */
#define TRAFFIC_CHECK_NS \
	(5 * (ns_t)SECOND_NS) /* so often a wire is looked at that shows no connection */

/* One of the interfaces. */
struct watched {
	const char *requested; /* the name that was asked for */
	struct netdev netdev;
	struct hook hook;
	bool up; /* as far as we said */
	bool away; /* we wait for its return (--follow) */
	struct hook_watchdog watchdog[DIRECTIONS];
	uint64_t bytes; /* of the interface, when it was last asked */
	uint64_t packets_before, bytes_before; /* when the watch of this interface began */
	struct session_iface *session_iface; /* what the run says of it */
};

/* Another interface of this host, where only SYNs that leave are looked at. */
struct followed {
	struct netdev netdev;
	struct hook hook;
	struct session_iface *session_iface;
};

struct live {
	const struct options *options;
	struct session *session;
	const struct source_events *events;
	struct probe_bpf *bpf;
	struct ring_buffer *ring;
	struct ring_buffer *packets; /* with --write, else NULL */
	struct conntrack *conntrack; /* or NULL */
	unsigned int inside; /* attempts that nobody translated, while none was */
	struct watched watched[MAX_IFACES];
	unsigned int count; /* of watched[] */
	struct followed *followed; /* with --follow-peers */
	unsigned int followed_count;
	struct mnl_socket *links; /* events of the interfaces */
	uint64_t packets_passed, bytes_passed; /* all interfaces together */
	ns_t next_traffic_check; /* when to look whether what passes is understood; NEVER: it is, or was said */
	uint64_t start; /* CLOCK_MONOTONIC, as the hook's clock */
	uint64_t next_sweep;
	uint32_t *slots;
	struct flow_entry *flows;
	uint32_t candidates;
	int budget; /* records that this drain may still take */
	int packet_budget;
	int64_t suspended; /* how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC */
	bool ended;
};

static int64_t read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * SECOND_NS + t.tv_nsec;
}

/*
 * The hook's clock as well (bpf_ktime_get_ns). Setting the time of day does not move it; it stands
 * still while the machine is suspended.
 */
static uint64_t monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static int64_t suspended_time(void)
{
	return read_clock(CLOCK_BOOTTIME) - read_clock(CLOCK_MONOTONIC);
}

static void __attribute__((format(printf, 2, 3))) notice(struct live *l, const char *format, ...)
{
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	l->events->notice(l->events->context, monotonic() - l->start, text);
}

static void __attribute__((format(printf, 2, 3))) end_run(struct live *l, const char *format, ...)
{
	static char why[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	l->session->cut = why;
	l->ended = true;
}

/* The last of what libbpf has to say is kept back, and shown when the load fails. */
static char complaints[8192];
static bool verbose;

static int keep_complaint(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t used = strlen(complaints), room = sizeof(complaints) - 1, n;
	char *text;

	if (verbose && level <= LIBBPF_INFO)
		return vfprintf(stderr, format, arguments);
	if (level > LIBBPF_WARN || vasprintf(&text, format, arguments) < 0)
		return 0;
	n = strlen(text);
	if (n > room) {
		strcpy(complaints, text + n - room);
	} else {
		if (used + n > room) {
			memmove(complaints, complaints + used + n - room, room - n);
			used = room - n;
		}
		strcpy(complaints + used, text);
	}
	free(text);
	return 0;
}

/* Without CAP_PERFMON the verifier forbids the parser's sums of a packet pointer and a number. */
#define CAPS_TO_LOAD (CAP_MASK(CAP_BPF) | CAP_MASK(CAP_NET_ADMIN) | CAP_MASK(CAP_PERFMON))
#define BTF "/sys/kernel/btf/vmlinux"
#define NO_CONTEXT "btf_vmlinux is malformed" /* which argument is the packet? only BTF tells */
#define VERIFIER_LINES 15
#define LOG_ENDS "-- END PROG LOAD LOG --"

/* The kernel's reasons stand at the end of its log; libbpf names the program behind it. */
static void print_verifier_failure(const char *release, char *log)
{
	char *end = strstr(log, LOG_ENDS), *line = end, *name = strstr(end, "prog '");
	int lines = 0;

	while (line > log && lines <= VERIFIER_LINES)
		if (*--line == '\n')
			lines++;
	name = name ? strchr(name, '\'') + 1 : "";
	fprintf(stderr, "probe: the verifier of this kernel (%s) rejects the program %.*s:\n",
		release, (int)strcspn(name, "'"), name);
	*end = '\0';
	for (line = strtok(line, "\n"); line; line = strtok(NULL, "\n"))
		fprintf(stderr, "  | %s\n", line);
	fprintf(stderr,
		"probe: that is a defect of probe %s on this kernel. Please send its authors these lines "
		"with the output of `uname -a`; --verbose shows the whole log.\n",
		PROBE_VERSION);
}

/* As in a rootless container: its root has all capabilities, and none that counts here. */
static bool is_in_user_namespace(void)
{
	FILE *f = fopen("/proc/self/uid_map", "re");
	uint32_t count = UINT32_MAX;

	if (!f)
		return false;
	if (fscanf(f, "%*u %*u %" SCNu32, &count) != 1)
		count = UINT32_MAX;
	fclose(f);
	return count != UINT32_MAX;
}

static void print_why_refused(const char *release)
{
	int version = 0, patch = 0;
	struct rlimit correlated;
	char lockdown[128];
	FILE *f;

	if (is_in_user_namespace()) {
		fprintf(stderr,
			"this is a user namespace (a rootless container?), whose root may not; run "
			"it on the host, with --netns PID of the container's process\n");
		return;
	}
	getrlimit(RLIMIT_MEMLOCK, &correlated);
	sscanf(release, "%d.%d", &version, &patch);
	if (version == 5 && patch < 11 && correlated.rlim_cur != RLIM_INFINITY) {
		fprintf(stderr,
			"before 5.11 the kernel counts maps as locked memory, which is limited to %ju KiB "
			"here: `ulimit -l unlimited` before, or give it CAP_SYS_RESOURCE as well\n",
			(uintmax_t)correlated.rlim_cur / 1024);
		return;
	}
	fprintf(stderr,
		"the capabilities are there, so it was a security module, the seccomp filter "
		"of a container, or kernel lockdown");
	f = fopen("/sys/kernel/security/lockdown", "re");
	if (f && fgets(lockdown, sizeof(lockdown), f))
		fprintf(stderr, " (lockdown is %.*s)", (int)strcspn(lockdown, "\n"), lockdown);
	if (f)
		fclose(f);
	fprintf(stderr, "\n%s", complaints);
}

static int print_load_failure(int error)
{
	bool is_refused = error == -EPERM || error == -EACCES;
	struct utsname u;

	uname(&u);
	if (is_refused && privileges_missing(CAPS_TO_LOAD)) {
		/* libbpf's guesses, or what the verifier forbids without CAP_PERFMON, would lead astray */
		fprintf(stderr, "probe: loading BPF programs was refused: ");
		privileges_print_needed(stderr, CAPS_TO_LOAD);
	} else if (access(BTF, F_OK)) {
		fprintf(stderr,
			"probe: this kernel (%s) has no BTF (no " BTF
			"), without which it cannot check the "
			"BPF programs: it takes one built with CONFIG_DEBUG_INFO_BTF\n%s",
			u.release, strstr(complaints, NO_CONTEXT) ? "" : complaints);
	} else if (error == -ENOMEM) {
		fprintf(stderr,
			"probe: there is no memory for the BPF programs and their maps: --max-flows and "
			"--ring-size make them smaller\n%s",
			complaints);
	} else if (strstr(complaints, LOG_ENDS)) {
		print_verifier_failure(u.release, complaints);
	} else if (is_refused) {
		fprintf(stderr, "probe: loading BPF programs was refused: ");
		print_why_refused(u.release);
	} else {
		fprintf(stderr, "probe: this kernel (%s) does not take the BPF programs: %s\n%s",
			u.release, strerror(-error), complaints);
	}
	return -1;
}

static void set_sizes(struct live *l)
{
	struct probe_bpf *bpf = l->bpf;

	set_table_sizes(bpf, l->options->max_flows);
	bpf_map__set_max_entries(bpf->maps.records, l->options->ring_bytes);
	bpf->rodata->ring_bytes = l->options->ring_bytes;
}

/*
 * Programs, maps and sockets are descriptors. Where they end, libbpf speaks of a program that was
 * rejected, or of a feature that is missing.
 */
static int need_files(const struct live *l)
{
	rlim_t needed = NEEDED_FILES + NEEDED_FILES_EACH * (l->count + l->followed_count);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= needed)
		return 0;
	limit.rlim_cur = needed;
	if (needed <= limit.rlim_max && !setrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	fprintf(stderr,
		"probe: this takes up to %ju open files, and no more than %ju are allowed here: "
		"`ulimit -n %ju` before\n",
		(uintmax_t)needed, (uintmax_t)limit.rlim_max, (uintmax_t)needed);
	return -1;
}

static int load(struct live *l)
{
	bool ethernet = l->options->follow, raw_ip = ethernet, leaving = false,
	     leaving_bare = false, inner = ethernet;
	struct probe_bpf *bpf;
	struct hash_seed seed;
	unsigned int i;
	int error;

	bpf = l->bpf = probe_bpf__open();
	if (!bpf)
		return print_load_failure(-errno);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		fprintf(stderr, "probe: no random numbers: %s\n", strerror(errno));
		return -1;
	}
	hash_seed_make_odd(&seed);
	memcpy((void *)&bpf->rodata->run_seed, &seed, sizeof(seed));
	memcpy((void *)&bpf->rodata->selector, l->options->selector, sizeof(bpf->rodata->selector));
	/* an interface that comes back may be of the other kind */
	for (i = 0; i < l->count; i++) {
		*(l->watched[i].netdev.raw_ip ? &raw_ip : &ethernet) = true;
		inner |= l->watched[i].netdev.tunnel_headers;
	}
	for (i = 0; i < l->followed_count; i++)
		*(l->followed[i].netdev.raw_ip ? &leaving_bare : &leaving) = true;
	bpf_program__set_autoload(bpf->progs.probe_egress_syn, leaving);
	bpf_program__set_autoload(bpf->progs.probe_egress_syn_ip, leaving_bare);
	bpf->rodata->follow_peers = l->followed_count;
	if (l->followed_count)
		bpf_map__set_max_entries(bpf->maps.egress_syns, EGRESS_SYNS);
	bpf_program__set_autoload(bpf->progs.probe_ingress, ethernet);
	bpf_program__set_autoload(bpf->progs.probe_egress, ethernet);
	bpf_program__set_autoload(bpf->progs.probe_ingress_ip, raw_ip);
	bpf_program__set_autoload(bpf->progs.probe_egress_ip, raw_ip);
	bpf_program__set_autoload(bpf->progs.probe_ingress_inner, inner);
	bpf->rodata->multi_iface = l->count > 1;
	set_sizes(l);
	if (l->session->evidence) {
		bpf->rodata->save_packets = true;
		if (l->options->snaplen)
			bpf->rodata->snaplen = l->options->snaplen;
		bpf_map__set_max_entries(bpf->maps.packets, PACKETS_BYTES);
	}
	error = probe_bpf__load(bpf);
	if (error)
		return print_load_failure(error);
	return 0;
}

static int attach(struct live *l, struct watched *w)
{
	const struct bpf_program *in = l->bpf->progs.probe_ingress;
	const struct bpf_program *out = l->bpf->progs.probe_egress;
	int programs[DIRECTIONS], status;

	if (w->netdev.raw_ip) {
		in = w->netdev.tunnel_headers ? l->bpf->progs.probe_ingress_inner
					      : l->bpf->progs.probe_ingress_ip;
		out = l->bpf->progs.probe_egress_ip;
	}
	programs[INGRESS] = bpf_program__fd(in);
	programs[EGRESS] = bpf_program__fd(out);
	status = hook_attach(&w->hook, w->netdev.name, w->netdev.index, l->options->hook, programs);
	w->session_iface->index = w->netdev.index;
	w->session_iface->hook = w->hook.name;
	w->session_iface->hook_reason = w->hook.not_tcx;
	w->session_iface->link = w->netdev.link;
	return status;
}

static struct watched *watched_of(struct live *l, int ifindex)
{
	unsigned int i;

	for (i = 0; i < l->count; i++)
		if (l->watched[i].netdev.index == ifindex)
			return &l->watched[i];
	return NULL;
}

static int attach_followed(struct live *l, struct followed *f)
{
	int programs[DIRECTIONS] = {
		-1, bpf_program__fd(f->netdev.raw_ip ? l->bpf->progs.probe_egress_syn_ip
						     : l->bpf->progs.probe_egress_syn)
	};

	return hook_attach(&f->hook, f->netdev.name, f->netdev.index, l->options->hook, programs);
}

static void detach(struct live *l)
{
	unsigned int i;

	for (i = 0; i < l->followed_count; i++)
		hook_detach(&l->followed[i].hook);

	for (i = 0; i < l->count; i++)
		hook_detach(&l->watched[i].hook);
}

static int take_packet(void *context, void *data, size_t size)
{
	const struct packet_head *head = data;
	struct live *l = context;
	const struct watched *w;

	if (size >= sizeof(*head) && head->length <= size - sizeof(*head)) {
		w = watched_of(l, head->key.ifindex);
		evidence_packet(l->session->evidence, head, (const uint8_t *)(head + 1), l->start,
				(w ? w : l->watched)->netdev.raw_ip ? DLT_RAW : DLT_EN10MB, true);
	}
	return --l->packet_budget > 0 ? 0 : -E2BIG;
}

/* Before each record, whose packets were handed over before it. */
static void drain_packets(struct live *l)
{
	if (l->packets && l->packet_budget > 0)
		ring_buffer__consume(l->packets);
}

static void notice_outer_side(struct live *l, const struct connection *c)
{
	struct nat *nat = &l->session->nat;
	char tunnel_headers[FORMAT_ADDRESS];

	format_address(tunnel_headers, &nat->address);
	if (c->nat_endpoint.port)
		notice(l,
		       "%s is the outer side of this gateway's NAT: clients are shown as conntrack knows "
		       "them, behind %s",
		       l->session->from, tunnel_headers);
	else if (!nat->known)
		notice(l,
		       "%s shows this gateway's own address %s as a client: if that is NAT, the clients "
		       "behind it cannot be told apart%s%s. Watch %s",
		       l->session->from, tunnel_headers, nat->unknown ? ": " : "",
		       nat->unknown ? nat->unknown : "",
		       nat->inner[0] ? nat->inner : "the interface that they are on");
}

/* Who is behind it, as far as this host knows. */
static void complete(struct live *l, struct connection *c)
{
	if (l->conntrack)
		conntrack_complete(l->conntrack, c);
}

static void count_nat(struct live *l, const struct connection *c)
{
	struct nat *nat = &l->session->nat;

	if (l->count > 1) /* both sides of it may be watched: see vantage.h */
		return;
	if (c->nat_endpoint.port) {
		nat->address = c->nat_endpoint.address;
		if (!nat->translated++)
			notice_outer_side(l, c);
	} else if (c->syn_egress && session_is_own_address(l->session, &c->client.address)) {
		nat->address = c->client.address;
		if (++nat->own == NOTICE_OWN)
			notice_outer_side(l, c);
	}
	if (l->conntrack && nat->known && !nat->translated && !nat->own &&
	    ++l->inside == ENOUGH_INSIDE) {
		conntrack_unsubscribe(l->conntrack);
		nat->known = false;
		nat->unknown =
			"conntrack was left alone after 1000 attempts of which it translated none";
	}
}

/* A record has room for a byte of the index that a SYN left by. */
static void to_connection(const struct live *l, struct connection *c, const struct record *r)
{
	unsigned int i;
	uint32_t index;

	connection_of(c, r, l->start);
	for (i = 0; i < l->followed_count && c->forwarded_by; i++) {
		index = l->followed[i].netdev.index;
		if ((index & 0xff) == c->forwarded_by) {
			c->forwarded_by = index;
			break;
		}
	}
	/* of a packet that left it could not be told whether it was one of these */
	if (l->followed_count && l->bpf->bss->egress_syns_incomplete)
		c->not_forwarded = false;
}

static int take_record(void *context, void *data, size_t size)
{
	const struct record *r = data;
	struct connection connection;
	struct live *l = context;

	if (size != sizeof(*r) || r->version != RECORD_VERSION)
		return 0; /* cannot be: the object is embedded in this very binary */
	drain_packets(l);
	mark_client_verified(l->bpf, r);
	to_connection(l, &connection, r);
	complete(l, &connection);
	count_nat(l, &connection);
	l->events->settled(l->events->context, &connection);
	return --l->budget > 0 ? 0 : -E2BIG;
}

/* No more than so many records at a time: faster than we read, they must not keep us for ever. */
static void drain(struct live *l)
{
	if (l->conntrack)
		conntrack_read(l->conntrack);
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
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));
	volatile __u32 *next = &l->bpf->bss->candidate_next;

	*next = 0;
	while (*next < l->candidates) {
		opts.repeat = l->candidates - *next;
		if (bpf_prog_test_run_opts(bpf_program__fd(l->bpf->progs.settle_candidate),
					   &opts) &&
		    errno != EINTR) {
			end_run(l, "the kernel does not let unanswered attempts be settled: %s",
				strerror(errno));
			break;
		}
	}
	l->candidates = 0;
	drain(l);
}

static void add_candidate(struct live *l, const struct flow_entry *e)
{
	struct candidate *c = &l->bpf->bss->candidates[l->candidates++];

	c->slot = e->slot;
	c->client_isn = e->flow.client_isn;
	if (l->candidates == CANDIDATES)
		settle_candidates(l);
}

static void read_ethertypes(struct live *l)
{
	uint32_t *packets = calloc(65536, sizeof(*packets)), *lines, count = 65536 / 16, position;

	lines = calloc(count, sizeof(*lines));
	if (packets && lines &&
	    (!bpf_map_lookup_batch(bpf_map__fd(l->bpf->maps.ethertypes), NULL, &position, lines,
				   packets, &count, NULL) ||
	     errno == ENOENT))
		session_set_ethertypes(l->session, packets);
	free(lines);
	free(packets);
}

/* A moment's answer: what is counted on other CPUs meanwhile may be missed until the next one. */
static bool any_opening(struct live *l)
{
	const uint64_t *counted = l->session->counters;

	read_counters(l->bpf, l->session->counters);
	return counted[COUNT_ATTEMPTS] !=
	       counted[COUNT_PUBLISHED] + counted[COUNT_LOST_RING] + counted[COUNT_LOST_EVICTED];
}

/* Looks at every opening flow, in slices; the ring is drained between them. */
static void sweep(struct live *l)
{
	struct record r = { .version = RECORD_VERSION };
	uint32_t slot = 1, opening = 0, undrained = 0;
	struct connection connection;
	uint64_t now;
	int count, i;

	while ((count = read_flows(l->bpf, &slot, l->flows, l->slots, SWEEP_BATCH)) > 0) {
		opening += count;
		now = monotonic();
		for (i = 0; i < count; i++) {
			if (!is_consistent_copy(l->bpf, &l->flows[i]))
				continue;
			if (l->bpf->bss->run_ending ||
			    settle_due(&l->flows[i].flow, now, l->bpf->bss->under_pressure) !=
				    END_NONE) {
				add_candidate(l, &l->flows[i]);
				continue;
			}
			r.settled = now;
			r.key = l->flows[i].key;
			r.flow = l->flows[i].flow;
			to_connection(l, &connection, &r);
			complete(l, &connection);
			l->events->opening(l->events->context, &connection);
		}
		undrained += count;
		if (undrained >= SWEEP_BATCH) {
			drain(l);
			undrained = 0;
		}
	}
	settle_candidates(l);
	l->bpf->bss->under_pressure = opening > l->options->max_flows / 4 * 3;
}

/* ---- what becomes of the interfaces ---- */

static const char *const traffic[DIRECTIONS] = { "receives", "sends" };

static void notice_blind(struct live *l, const struct watched *w, const struct netdev_state *link,
			 int direction)
{
	static const char *const sides[DIRECTIONS] = { "ingress", "egress" };
	char why[1536];

	hook_explain_blind(&w->hook, w->netdev.name, direction, link->xdp, why, sizeof(why));
	notice(l, "BLIND to what %s %s: it counts packets, and none reaches the hook (%s %s). %s",
	       w->netdev.name, traffic[direction], w->hook.name, sides[direction], why);
}

/* Until the first attempt is seen: can any be seen here? */
static void check_traffic(struct live *l)
{
	ns_t now = monotonic() - l->start;
	char text[sizeof(l->session->no_tcp_reason)];

	if (l->next_traffic_check == NEVER || now < l->next_traffic_check)
		return;
	l->next_traffic_check = now + TRAFFIC_CHECK_NS;
	read_ethertypes(l);
	if (l->session->counters[COUNT_ATTEMPTS])
		l->next_traffic_check = NEVER;
	else if (explain_no_tcp(l->session, l->packets_passed, l->bytes_passed, text,
				sizeof(text))) {
		l->next_traffic_check = NEVER;
		strcpy(l->session->no_tcp_reason, text);
		notice(l, "%s: %s", l->session->from, text);
	}
}

/* Each member of a bond carries a share of its packets, and the two directions choose apart. */
static void notice_part(struct live *l, struct watched *w)
{
	struct netdev_state link, master;

	if (netdev_query(&link, w->netdev.index, NULL) || !link.master ||
	    !strcmp(link.master_kind, "vrf"))
		return;
	w->session_iface->is_part = true;
	if (strcmp(link.master_kind, "bond") && strcmp(link.master_kind, "team"))
		return;
	if (netdev_query(&master, link.master, NULL))
		strcpy(master.name, "it");
	notice(l,
	       "%s is a member of the %s %s and carries a share of its packets, of some connections one "
	       "direction alone. Watch %s",
	       w->netdev.name, link.master_kind, master.name, master.name);
}

static bool *seen_at(struct live *l, const struct watched *w, int direction)
{
	return &l->bpf->bss->active[l->count > 1 ? activity_index(w->netdev.index) : 0][direction];
}

static void poll_iface(struct live *l, struct watched *w, const bool *seen)
{
	ns_t now = monotonic() - l->start;
	struct netdev_state link;
	int d;

	if (w->away || netdev_query(&link, w->netdev.index, NULL))
		return;
	if (link.bytes > w->bytes)
		l->session->bytes += link.bytes - w->bytes;
	w->bytes = link.bytes;
	l->packets_passed += link.packets[INGRESS] + link.packets[EGRESS] - w->packets_before;
	l->bytes_passed += link.bytes - w->bytes_before;
	for (d = 0; d < DIRECTIONS; d++) {
		switch (hook_watchdog_check(&w->watchdog[d], seen[d], link.packets[d], now)) {
		case HOOK_BLIND:
			notice_blind(l, w, &link, d);
			break;
		case HOOK_SEES_AGAIN:
			notice(l, "sees again what %s %s", w->netdev.name, traffic[d]);
			break;
		case HOOK_UNCHANGED:
			break;
		}
	}
}

/* Compares what the interfaces count with what the hooks see. */
static void poll_ifaces(struct live *l)
{
	bool seen[MAX_IFACES][DIRECTIONS];
	unsigned int i;
	int d;

	/*
	 * First what was seen, then what was counted: what comes between counts as seen the next time.
	 * Two interfaces may share a mark, so all are read before any is taken back.
	 */
	for (i = 0; i < l->count; i++)
		for (d = 0; d < DIRECTIONS; d++)
			seen[i][d] = *(volatile bool *)seen_at(l, &l->watched[i], d);
	for (i = 0; i < l->count; i++)
		for (d = 0; d < DIRECTIONS; d++)
			if (seen[i][d])
				*(volatile bool *)seen_at(l, &l->watched[i], d) = false;
	l->packets_passed = l->bytes_passed = 0;
	for (i = 0; i < l->count; i++)
		poll_iface(l, &l->watched[i], seen[i]);
	check_traffic(l);
}

static void start_watchdogs(struct live *l, struct watched *w, const struct netdev_state *link)
{
	int d;

	w->bytes = w->bytes_before = link->bytes;
	w->packets_before = link->packets[INGRESS] + link->packets[EGRESS];
	w->up = link->up;
	for (d = 0; d < DIRECTIONS; d++)
		hook_watchdog_start(&w->watchdog[d], link->packets[d], monotonic() - l->start);
}

static void went_away(struct live *l, struct watched *w, const struct netdev_state *link)
{
	const char *what = link->moved ? "was moved to another network namespace" : "went away";
	int d;

	w->session_iface->was_away = true;
	for (d = 0; d < DIRECTIONS; d++) /* where nothing is, nobody is blind */
		hook_watchdog_start(&w->watchdog[d], 0, monotonic() - l->start);
	/* its last words hold its last counts */
	if (link->bytes > w->bytes)
		l->session->bytes += link->bytes - w->bytes;
	hook_detach(&w->hook);
	if (!l->options->follow) {
		end_run(l, "%s %s", w->netdev.name, what); /* to run on, blind, would be a lie */
		return;
	}
	w->away = true;
	notice(l, "%s %s; waiting for it to come back", w->netdev.name, what);
}

static void came_back(struct live *l, struct watched *w, const struct netdev_state *link)
{
	struct netdev_state still;

	if (netdev_from_link(&w->netdev, link) || attach(l, w)) {
		if (!netdev_query(&still, link->index, NULL))
			end_run(l, "%s came back, and cannot be watched any more", link->name);
		return;
	}
	w->away = false;
	netdev_own_addresses(l->session);
	start_watchdogs(l, w, link);
	notice(l, "%s is back (%s, %s)", w->netdev.name, w->netdev.link, w->hook.name);
}

static void on_link_of(struct live *l, struct watched *w, const struct netdev_state *link)
{
	struct netdev_state now;

	if (w->away) {
		/* what is told may be long ago: of the one that went */
		if (!link->gone && !strcmp(link->name, w->requested) &&
		    !netdev_query(&now, 0, w->requested))
			came_back(l, w, &now);
		return;
	}
	if (link->index != w->netdev.index)
		return;
	if (link->gone) {
		went_away(l, w, link);
		return;
	}
	if (link->name[0] && strcmp(link->name, w->netdev.name)) {
		notice(l, "%s is called %s now", w->netdev.name, link->name);
		strcpy(w->netdev.name, link->name);
	}
	if (link->up != w->up)
		notice(l, "%s is %s", w->netdev.name, link->up ? "up again" : "down");
	w->up = link->up;
}

static void on_link(void *context, const struct netdev_state *link)
{
	struct live *l = context;
	unsigned int i;

	for (i = 0; i < l->followed_count; i++)
		if (link->gone && link->index == l->followed[i].netdev.index)
			l->followed[i].session_iface->was_away = true;
	for (i = 0; i < l->count && !l->ended; i++)
		on_link_of(l, &l->watched[i], link);
}

/* Of what no event told. */
static void ask_links(struct live *l)
{
	struct netdev_state link;
	unsigned int i;
	int error;

	for (i = 0; i < l->count && !l->ended; i++) {
		struct watched *w = &l->watched[i];

		link = (struct netdev_state){ .index = w->netdev.index };
		error = w->away ? netdev_query(&link, 0, w->requested)
				: netdev_query(&link, w->netdev.index, NULL);
		link.gone = error == -ENODEV;
		if (!error || link.gone)
			on_link_of(l, w, &link);
	}
}

static void notice_suspend(struct live *l)
{
	int64_t suspended = suspended_time() - l->suspended;

	if (suspended < (int64_t)SECOND_NS)
		return;
	l->suspended += suspended;
	notice(l,
	       "this machine was suspended for %.0f s: they are in no duration, and the times of day "
	       "from here on are too early by as much",
	       suspended / 1e9);
}

static void tick(struct live *l)
{
	uint64_t now = monotonic(), took;

	drain(l);
	l->session->duration = now - l->start;
	if (l->options->duration > 0 &&
	    now - l->start >= (uint64_t)(l->options->duration * SECOND_NS))
		l->ended = true;
	if (now < l->next_sweep)
		return;
	if (any_opening(l))
		sweep(l);
	else
		l->bpf->bss->under_pressure = false;
	poll_ifaces(l);
	notice_suspend(l);
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

/* ---- the loop ---- */

static int wake = -1; /* an eventfd */

/*
 * The first signal lets what is being written go on; a second one interrupts it, so that a reader
 * that stands still cannot hold the run.
 */
static void on_ending_signal(int number)
{
	struct sigaction interrupt = { .sa_handler = on_ending_signal };
	uint64_t one = 1;
	int saved = errno;

	sigaction(number, &interrupt, NULL);
	(void)!write(wake, &one, sizeof(one));
	errno = saved;
}

/* From before the attach on, so that no signal leaves a filter behind. -1 and errno. */
static int catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_ending_signal, .sa_flags = SA_RESTART },
			 before;
	size_t i;

	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (sigaction(numbers[i], NULL, &before))
			return -1;
		/* nohup: it is to outlive its terminal */
		if (numbers[i] == SIGHUP && before.sa_handler == SIG_IGN)
			continue;
		sigaction(numbers[i], &action, NULL);
	}
	return wake;
}

static int loop(struct live *l)
{
	enum { TIMER, SIGNALS, LINKS, SOURCES };
	int fds[SOURCES] = { open_timer(), wake, l->links ? mnl_socket_get_fd(l->links) : -1 };
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
	while (!l->ended && !l->session->stop) {
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
			if (!netdev_events_read(l->links, on_link, l))
				ask_links(l);
			break;
		}
	}
out:
	if (status)
		fprintf(stderr, "probe: cannot wait for events: %s\n", strerror(errno));
	wake = -1; /* a further signal writes nowhere */
	if (fds[TIMER] >= 0)
		close(fds[TIMER]);
	if (fds[SIGNALS] >= 0)
		close(fds[SIGNALS]);
	if (epoll >= 0)
		close(epoll);
	return status;
}

static void print_costs(const struct live *l, uint64_t began)
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
		(monotonic() - began) / 1e6, sum / 1048576.0, l->options->max_flows);
}

/* Reading maps and running the settling program: all that the run still asks of bpf(). */
static bool can_settle(void *context)
{
	static uint8_t frame[64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));
	struct live *l = context;
	uint32_t position, count = 1;

	l->bpf->bss->candidate_next = CANDIDATES; /* none of them */
	if (bpf_map_lookup_batch(bpf_map__fd(l->bpf->maps.flows), NULL, &position, l->slots,
				 l->flows, &count, NULL) &&
	    errno == EPERM)
		return false;
	return !bpf_prog_test_run_opts(bpf_program__fd(l->bpf->progs.settle_candidate), &opts) ||
	       errno != EPERM;
}

static void drop_privileges(struct live *l)
{
	bool filters = false;
	uint64_t keep = 0;
	unsigned int i;

	/* taking a filter away, or putting it on an interface that comes back */
	for (i = 0; i < l->count; i++)
		filters |= l->watched[i].hook.clsact.owner >= 0;
	for (i = 0; i < l->followed_count; i++)
		filters |= l->followed[i].hook.clsact.owner >= 0;
	if (filters || conntrack_needs_privileges(l->conntrack))
		keep |= CAP_MASK(CAP_NET_ADMIN);
	libbpf_num_possible_cpus(); /* reads a file, the first time */
	privileges_drop(keep, can_settle, l,
			SECCOMP_LIVE | (filters || l->options->follow ? SECCOMP_FILTERS : 0),
			verbose);
}

/* What was found of killed runs when an interface was attached to. */
struct leftover {
	int filters;
	int error;
};

static int start_watching(struct live *l, struct watched *w, struct leftover *left)
{
	struct netdev_state link;
	bool qdisc;

	left->error = clsact_reap(w->netdev.index, &left->filters, &qdisc);
	if (netdev_query(&link, w->netdev.index, NULL))
		link = (struct netdev_state){ .up = true };
	start_watchdogs(l, w, &link);
	return attach(l, w);
}

static void notice_leftover(struct live *l, const struct watched *w, const struct leftover *left)
{
	if (left->filters)
		notice(l, "removed %d filter%s that a killed run had left on %s", left->filters,
		       left->filters == 1 ? "" : "s", w->netdev.name);
	if (left->error)
		notice(l, "could not look for what a killed run left on %s: %s", w->netdev.name,
		       strerror(-left->error));
}

/* Cut where there are very many. */
static void add_unwatched(struct session *session, const char *name)
{
	size_t used = strlen(session->unwatched);

	snprintf(session->unwatched + used, sizeof(session->unwatched) - used, "%s%s",
		 used ? ", " : "", format_name(name));
}

static void stop_watching(struct live *l)
{
	unsigned int i;
	int d;

	poll_ifaces(l);
	detach(l);
	l->session->duration = monotonic() - l->start;
	drain(l);
	l->bpf->bss->run_ending = true;
	sweep(l);
	read_counters(l->bpf, l->session->counters);
	l->session->nat.lost = conntrack_lost(l->conntrack);
	read_ethertypes(l);
	for (i = 0; i < l->count; i++)
		for (d = 0; d < DIRECTIONS; d++)
			l->watched[i].session_iface->blind[d] = hook_watchdog_blind_time(
				&l->watched[i].watchdog[d], l->session->duration);
	for (i = 0; i < l->followed_count && l->bpf->bss->egress_syns_incomplete; i++)
		add_unwatched(l->session, l->followed[i].netdev.name);
}

/* What else packets may leave by: followed, or a doubt about all that was not seen to leave. */
static int find_other_ifaces(struct live *l)
{
	char others[MAX_OTHERS][IFNAMSIZ];
	struct session *session = l->session;
	unsigned int i, count;

	session->ipsec = ipsec_is_used();
	count = netdev_others(others, session);
	for (i = 0; i < count && !l->options->follow_peers; i++)
		add_unwatched(session, others[i]);
	if (!l->options->follow_peers || !count)
		return 0;
	l->followed = calloc(count, sizeof(*l->followed));
	session->followed = calloc(count, sizeof(*session->followed));
	if (!l->followed || !session->followed) {
		fprintf(stderr, "probe: out of memory\n");
		return -1;
	}
	for (i = 0; i < count; i++) {
		struct followed *f = &l->followed[l->followed_count];

		f->hook = HOOK_NONE;
		if (netdev_find(&f->netdev, others[i]))
			continue; /* said; what leaves there is not seen */
		f->session_iface = &session->followed[l->followed_count++];
		f->session_iface->name = strdup(f->netdev.name);
		f->session_iface->index = f->netdev.index;
		if (!f->session_iface->name) {
			fprintf(stderr, "probe: out of memory\n");
			return -1;
		}
	}
	session->followed_count = l->followed_count;
	return 0;
}

static int watch(struct live *l)
{
	struct leftover left[MAX_IFACES] = {};
	uint64_t began = monotonic();
	struct utsname u;
	unsigned int i;
	int status;

	if (need_files(l) || load(l))
		return -1;
	l->ring = ring_buffer__new(bpf_map__fd(l->bpf->maps.records), take_record, l, NULL);
	l->slots = calloc(SWEEP_BATCH, sizeof(*l->slots));
	l->flows = calloc(SWEEP_BATCH, sizeof(*l->flows));
	if (l->session->evidence)
		l->packets =
			ring_buffer__new(bpf_map__fd(l->bpf->maps.packets), take_packet, l, NULL);
	if (!l->ring || (l->session->evidence && !l->packets) || !l->slots || !l->flows) {
		fprintf(stderr, "probe: out of memory\n");
		return -1;
	}
	l->links = netdev_events_open(); /* from before the attach on */
	if (catch_signals() < 0) {
		fprintf(stderr, "probe: cannot catch signals: %s\n", strerror(errno));
		return -1;
	}
	netdev_own_addresses(l->session);
	netdev_private_addresses(l->session->nat.inner, sizeof(l->session->nat.inner),
				 l->watched[0].requested);
	l->conntrack = conntrack_open(&l->session->nat.unknown); /* from before the attach on */
	l->session->nat.known = l->conntrack;
	uname(&u);
	snprintf(l->session->kernel, sizeof(l->session->kernel), "%s", u.release);
	clock_gettime(CLOCK_REALTIME, &l->session->start);
	l->start = monotonic();
	l->suspended = suspended_time();
	for (i = 0; i < l->count; i++)
		if (start_watching(l, &l->watched[i], &left[i]))
			return -1;
	for (i = 0; i < l->followed_count; i++)
		if (attach_followed(l, &l->followed[i]))
			return -1;
	if (verbose)
		print_costs(l, began);
	drop_privileges(l);
	l->events->started(l->events->context);
	for (i = 0; i < l->count; i++) {
		notice_part(l, &l->watched[i]);
		notice_leftover(l, &l->watched[i], &left[i]);
	}

	status = loop(l);
	stop_watching(l);
	return status;
}

int live_run(const struct options *o, struct session *session, const struct source_events *events)
{
	struct live l = { .options = o,
			  .session = session,
			  .events = events,
			  .next_traffic_check = TRAFFIC_CHECK_NS };
	int status = -1;
	unsigned int i;

	verbose = o->verbose;
	libbpf_set_print(keep_complaint);
	for (l.count = 0; l.count < o->iface_count; l.count++) {
		struct watched *w = &l.watched[l.count];

		w->requested = o->ifaces[l.count];
		w->hook = HOOK_NONE;
		if (netdev_find(&w->netdev, w->requested))
			return -1;
		for (i = 0; i < l.count; i++)
			if (l.watched[i].netdev.index == w->netdev.index) {
				fprintf(stderr, "probe: %s and %s are the same interface\n",
					l.watched[i].requested, w->requested);
				return -1;
			}
		w->session_iface = session_add_iface(session, w->requested);
	}
	status = find_other_ifaces(&l) ? -1 : watch(&l);
	detach(&l);
	ring_buffer__free(l.ring);
	ring_buffer__free(l.packets);
	probe_bpf__destroy(l.bpf);
	conntrack_close(l.conntrack);
	if (l.links)
		mnl_socket_close(l.links);
	free(l.slots);
	free(l.flows);
	free(l.followed);
	return status;
}
