// SPDX-License-Identifier: GPL-2.0
#include "host/drop_counters.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/gen_stats.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/counter_text.h"
#include "host/netlink.h"

#define MAX_FILE (4 << 20) /* bytes that are read of a file: some lines for each of 4096 CPUs */
#define MAX_ROWS 4096 /* counters read over netlink, of some hundred interfaces */

/* ---- files ---- */

enum {
	FILE_CONNTRACK,
	FILE_CONNTRACK_COUNT,
	FILE_CONNTRACK_MAX,
	FILE_NETSTAT,
	FILE_SNMP,
	FILE_SNMP6,
	FILE_SOFTNET,
	FILE_ROUTES,
	FILE_ARP,
	FILE_NDISC,
	FILES,
};

static const struct {
	const char *path;
	enum counter_format format;
} files[FILES] = {
	[FILE_CONNTRACK] = { "/proc/net/stat/nf_conntrack", FORMAT_PER_CPU },
	[FILE_CONNTRACK_COUNT] = { "/proc/sys/net/netfilter/nf_conntrack_count", FORMAT_NUMBER },
	[FILE_CONNTRACK_MAX] = { "/proc/sys/net/netfilter/nf_conntrack_max", FORMAT_NUMBER },
	[FILE_NETSTAT] = { "/proc/net/netstat", FORMAT_TWO_LINES },
	[FILE_SNMP] = { "/proc/net/snmp", FORMAT_TWO_LINES },
	[FILE_SNMP6] = { "/proc/net/snmp6", FORMAT_ONE_A_LINE },
	[FILE_SOFTNET] = { "/proc/net/softnet_stat", FORMAT_PER_CPU_UNNAMED },
	[FILE_ROUTES] = { "/proc/net/stat/rt_cache", FORMAT_PER_CPU },
	/* these two exist in the initial network namespace only */
	[FILE_ARP] = { "/proc/net/stat/arp_cache", FORMAT_PER_CPU },
	[FILE_NDISC] = { "/proc/net/stat/ndisc_cache", FORMAT_PER_CPU },
};

/* The counters in files. Their names are the kernel's since 5.10, unless stated otherwise. */
static const struct {
	enum drop_counter counter;
	int file;
	const char *name;
} file_counters[] = {
	{ DROP_CONNTRACK, FILE_CONNTRACK, "drop" },
	{ DROP_CONNTRACK_INSERT, FILE_CONNTRACK, "insert_failed" },
	{ DROP_CONNTRACK_CHAIN, FILE_CONNTRACK, "chainlength" }, /* since 5.15 */
	{ DROP_CONNTRACK_EARLY, FILE_CONNTRACK, "early_drop" },
	{ DROP_REVERSE_PATH, FILE_NETSTAT, "TcpExt:IPReversePathFilter" },
	{ DROP_IP_IN, FILE_SNMP, "Ip:InDiscards" },
	{ DROP_IP_OUT, FILE_SNMP, "Ip:OutDiscards" },
	{ DROP_IP_IN_ADDRESS, FILE_SNMP, "Ip:InAddrErrors" },
	{ DROP_IP6_IN, FILE_SNMP6, "Ip6InDiscards" },
	{ DROP_IP6_OUT, FILE_SNMP6, "Ip6OutDiscards" },
	{ DROP_IP6_IN_ADDRESS, FILE_SNMP6, "Ip6InAddrErrors" },
	{ DROP_SOFTNET, FILE_SOFTNET, "1" },
	{ DROP_SOFTNET_FLOW_LIMIT, FILE_SOFTNET, "10" },
	{ DROP_MARTIAN_SOURCE, FILE_ROUTES, "in_martian_src" },
	{ DROP_MARTIAN_DESTINATION, FILE_ROUTES, "in_martian_dst" },
	{ DROP_NEIGHBOUR_QUEUE, FILE_ARP, "unresolved_discards" },
	{ DROP_NEIGHBOUR6_QUEUE, FILE_NDISC, "unresolved_discards" },
};

/*
 * Reads a file from its start. Returns its text, or NULL if it cannot be read. The caller frees the
 * text.
 */
static char *read_whole(int fd)
{
	size_t room = 8192, used = 0;
	char *text = fd < 0 ? NULL : malloc(room), *more;
	ssize_t n = 1;

	while (text && n > 0) {
		if (used + 1 == room) {
			room *= 2;
			more = room > MAX_FILE ? NULL : realloc(text, room);
			if (!more)
				break;
			text = more;
		}
		do
			n = pread(fd, text + used, room - used - 1, used);
		while (n < 0 && errno == EINTR);
		used += n > 0 ? n : 0;
	}
	if (text && n) { /* an error, or no room for the rest */
		free(text);
		return NULL;
	}
	if (text)
		text[used] = '\0';
	return text;
}

/* ---- counters over netlink ---- */

/* A counter at one moment. Two moments are compared by all members but the value. */
struct row {
	enum drop_counter counter;
	int ifindex; /* 0: none */
	uint32_t handle; /* of a queueing discipline */
	char iface[IFNAMSIZ];
	char kind[IFNAMSIZ];
	uint64_t value;
	uint64_t passed; /* packets that passed there in the same direction; 0 if unknown */
};

struct rows {
	struct row *at; /* at most MAX_ROWS */
	size_t count;
	size_t omitted;
	size_t links; /* the first rows, which are those of interfaces */
	bool has_qdiscs; /* all qdiscs are in at[] */
};

static void add_row(struct rows *rows, const struct row *row)
{
	if (rows->count < MAX_ROWS)
		rows->at[rows->count++] = *row;
	else
		rows->omitted++;
}

/* Drivers count packets that found no room in one of these counters, or in several. */
static uint64_t most_missed(const struct rtnl_link_stats64 *stats)
{
	uint64_t most = stats->rx_missed_errors;

	if (stats->rx_fifo_errors > most)
		most = stats->rx_fifo_errors;
	return stats->rx_over_errors > most ? stats->rx_over_errors : most;
}

static void add_link_rows(struct rows *rows, int ifindex, const char *name,
			  const struct rtnl_link_stats64 *stats)
{
	const struct {
		enum drop_counter counter;
		uint64_t value;
		uint64_t passed;
	} values[] = {
		{ DROP_NIC_MISSED, most_missed(stats), stats->rx_packets },
		{ DROP_NIC_RX_ERRORS, stats->rx_crc_errors, stats->rx_packets },
		{ DROP_NIC_RX, stats->rx_dropped, stats->rx_packets },
		{ DROP_NIC_TX_ERRORS, stats->tx_errors, stats->tx_packets },
		{ DROP_NIC_TX, stats->tx_dropped, stats->tx_packets },
	};
	struct row row = { .ifindex = ifindex };
	size_t i;

	strncpy(row.iface, name, sizeof(row.iface) - 1);
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		row.counter = values[i].counter;
		row.value = values[i].value;
		row.passed = values[i].passed;
		add_row(rows, &row);
	}
}

/* Copies what the kernel sent: older kernels send less, and attributes are aligned to 4 bytes. */
static void copy_payload(void *to, size_t size, const struct nlattr *a)
{
	size_t length = mnl_attr_get_payload_len(a);

	memcpy(to, mnl_attr_get_payload(a), length < size ? length : size);
}

static int parse_link(const struct nlmsghdr *h, void *context)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	struct rtnl_link_stats64 stats = {};
	const char *name = NULL;
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(*info))
	{
		if (mnl_attr_get_type(a) == IFLA_IFNAME)
			name = mnl_attr_get_str(a);
		if (mnl_attr_get_type(a) == IFLA_STATS64)
			copy_payload(&stats, sizeof(stats), a);
	}
	if (name && !(info->ifi_flags & IFF_LOOPBACK))
		add_link_rows(context, info->ifi_index, name, &stats);
	return MNL_CB_OK;
}

static void parse_qdisc_stats(const struct nlattr *stats, struct row *row)
{
	struct gnet_stats_basic basic = {};
	struct gnet_stats_queue queue = {};
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, stats)
	{
		if (mnl_attr_get_type(a) == TCA_STATS_BASIC)
			copy_payload(&basic, sizeof(basic), a);
		if (mnl_attr_get_type(a) == TCA_STATS_QUEUE)
			copy_payload(&queue, sizeof(queue), a);
	}
	row->value = queue.drops;
	row->passed = basic.packets;
}

static const struct row *link_of(const struct rows *rows, int ifindex)
{
	size_t i;

	for (i = 0; i < rows->links; i++)
		if (rows->at[i].ifindex == ifindex)
			return &rows->at[i];
	return NULL;
}

/*
 * Adds a root qdisc, which also counts the drops of the qdiscs below it, or the hook of the tc
 * filters.
 */
static int parse_qdisc(const struct nlmsghdr *h, void *context)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(h);
	struct rows *rows = context;
	const struct row *link = link_of(rows, tc->tcm_ifindex);
	struct row row = { .ifindex = tc->tcm_ifindex, .handle = tc->tcm_handle };
	const struct nlattr *a;

	if (!link || (tc->tcm_parent != TC_H_ROOT && tc->tcm_parent != TC_H_INGRESS))
		return MNL_CB_OK;
	row.counter = tc->tcm_parent == TC_H_ROOT ? DROP_QDISC : DROP_TC_FILTER;
	memcpy(row.iface, link->iface, sizeof(row.iface));
	mnl_attr_for_each(a, h, sizeof(*tc))
	{
		if (mnl_attr_get_type(a) == TCA_KIND)
			strncpy(row.kind, mnl_attr_get_str(a), sizeof(row.kind) - 1);
		if (mnl_attr_get_type(a) == TCA_STATS2)
			parse_qdisc_stats(a, &row);
	}
	add_row(rows, &row);
	return MNL_CB_OK;
}

/* Adds the counters of a neighbour table, which has one message for its statistics. */
static int parse_neighbour_table(const struct nlmsghdr *h, void *context)
{
	const struct ndtmsg *table = mnl_nlmsg_get_payload(h);
	struct row failed = {}, full = {};
	struct ndt_stats stats = {};
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(*table))
	{
		if (mnl_attr_get_type(a) != NDTA_STATS ||
		    mnl_attr_get_payload_len(a) < sizeof(stats) ||
		    (table->ndtm_family != AF_INET && table->ndtm_family != AF_INET6))
			continue;
		memcpy(&stats, mnl_attr_get_payload(a), sizeof(stats));
		failed.counter = table->ndtm_family == AF_INET ? DROP_NEIGHBOUR_FAILED
							       : DROP_NEIGHBOUR6_FAILED;
		failed.value = stats.ndts_res_failed;
		full.counter = table->ndtm_family == AF_INET ? DROP_NEIGHBOUR_TABLE_FULL
							     : DROP_NEIGHBOUR6_TABLE_FULL;
		full.value = stats.ndts_table_fulls;
		add_row(context, &failed);
		add_row(context, &full);
	}
	return MNL_CB_OK;
}

/* A kernel without one of the dumps has the rows of the others. */
static void read_rows(struct rows *rows)
{
	struct netlink_request r;

	*rows = (struct rows){ .at = calloc(MAX_ROWS, sizeof(*rows->at)) };
	if (!rows->at)
		return;
	netlink_begin(&r, RTM_GETLINK, sizeof(struct ifinfomsg));
	rows->has_qdiscs = !netlink_dump(NETLINK_ROUTE, &r, parse_link, rows);
	rows->links = rows->count;
	netlink_begin(&r, RTM_GETQDISC, sizeof(struct tcmsg));
	if (netlink_dump(NETLINK_ROUTE, &r, parse_qdisc, rows) || rows->omitted)
		rows->has_qdiscs = false;
	netlink_begin(&r, RTM_GETNEIGHTBL, sizeof(struct ndtmsg));
	netlink_dump(NETLINK_ROUTE, &r, parse_neighbour_table, rows);
}

/* ---- growth ---- */

struct drop_counters {
	int fd[FILES]; /* -1: the file does not exist, or may not be read */
	char *before[FILES]; /* texts at the start, or NULL */
	struct rows rows; /* at the start */
	uint64_t conntrack_peak;
};

static void add_growth(struct host_drops *drops, const struct drop_growth *g)
{
	if (!g->count)
		return;
	if (drops->count < MAX_DROP_GROWTHS)
		drops->grown[drops->count++] = *g;
	else
		drops->omitted++;
}

static void grow_files(const struct drop_counters *d, char *const after[FILES],
		       struct host_drops *drops)
{
	struct drop_growth g;
	size_t i;
	int file;

	for (i = 0; i < sizeof(file_counters) / sizeof(file_counters[0]); i++) {
		g = (struct drop_growth){ .counter = file_counters[i].counter };
		file = file_counters[i].file;
		if (!d->before[file] || !after[file] ||
		    !counter_growth(files[file].format, file_counters[i].name, d->before[file],
				    after[file], &g.count))
			continue;
		drops->available[g.counter] = true;
		add_growth(drops, &g);
	}
}

/* Returns NULL if the counter did not exist at the start. */
static const struct row *find_row(const struct rows *rows, const struct row *like)
{
	size_t i;

	for (i = 0; i < rows->count; i++)
		if (rows->at[i].counter == like->counter && rows->at[i].ifindex == like->ifindex &&
		    rows->at[i].handle == like->handle && !strcmp(rows->at[i].kind, like->kind))
			return &rows->at[i];
	return NULL;
}

/*
 * Adds the growth of a row. A qdisc that is new counts from zero. An interface that is new does not:
 * it may have come from another network namespace.
 */
static void grow_row(const struct rows *before, const struct row *row, struct host_drops *drops)
{
	const struct row *old = find_row(before, row);
	bool is_qdisc = row->counter == DROP_QDISC || row->counter == DROP_TC_FILTER;
	struct drop_growth g = { .counter = row->counter, .ifindex = row->ifindex };
	int bits = is_qdisc ? 32 : 64;

	if (!old && !(is_qdisc && before->has_qdiscs))
		return;
	drops->available[row->counter] = true;
	memcpy(g.iface, row->iface, sizeof(g.iface));
	memcpy(g.kind, row->kind, sizeof(g.kind));
	g.count = growth_between(old ? old->value : 0, row->value, bits);
	g.passed = growth_between(old ? old->passed : 0, row->passed, bits);
	add_growth(drops, &g);
}

static void grow_rows(const struct rows *before, const struct rows *after, struct host_drops *drops)
{
	size_t i;

	for (i = 0; i < after->count; i++)
		if (find_row(after, &after->at[i]) == &after->at[i]) /* see netlink_dump() */
			grow_row(before, &after->at[i], drops);
}

static int by_counter(const void *a, const void *b)
{
	const struct drop_growth *x = a, *y = b;

	if (x->counter != y->counter)
		return x->counter < y->counter ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return strcmp(x->iface, y->iface);
}

static uint64_t number_in(const char *text)
{
	uint64_t value;

	return text && counter_value(FORMAT_NUMBER, NULL, text, &value) ? value : 0;
}

/* ---- totals ---- */

static void total_files(char *const texts[FILES], struct host_drops *drops)
{
	struct drop_growth g;
	size_t i;
	int file;

	for (i = 0; i < sizeof(file_counters) / sizeof(file_counters[0]); i++) {
		g = (struct drop_growth){ .counter = file_counters[i].counter };
		file = file_counters[i].file;
		if (!texts[file] || !counter_value(files[file].format, file_counters[i].name,
						   texts[file], &g.count))
			continue;
		drops->available[g.counter] = true;
		add_growth(drops, &g);
	}
}

void drop_counters_totals(const struct drop_counters *d, int ifindex, struct host_drops *drops)
{
	struct drop_growth g;
	const struct row *row;

	*drops = (struct host_drops){ .is_read = true };
	total_files(d->before, drops);
	for (row = d->rows.at; row < d->rows.at + d->rows.count; row++) {
		if (row->ifindex && row->ifindex != ifindex)
			continue;
		drops->available[row->counter] = true;
		g = (struct drop_growth){ .counter = row->counter,
					  .ifindex = row->ifindex,
					  .count = row->value,
					  .passed = row->passed };
		memcpy(g.iface, row->iface, sizeof(g.iface));
		memcpy(g.kind, row->kind, sizeof(g.kind));
		add_growth(drops, &g);
	}
	drops->omitted += d->rows.omitted;
	qsort(drops->grown, drops->count, sizeof(drops->grown[0]), by_counter);
}

/* ---- open, read, close ---- */

struct drop_counters *drop_counters_open(void)
{
	struct drop_counters *d = calloc(1, sizeof(*d));
	int i;

	if (!d)
		return NULL;
	for (i = 0; i < FILES; i++)
		d->fd[i] = open(files[i].path, O_RDONLY | O_CLOEXEC);
	return d;
}

void drop_counters_start(struct drop_counters *d)
{
	int i;

	for (i = 0; i < FILES; i++) {
		free(d->before[i]);
		d->before[i] = read_whole(d->fd[i]);
	}
	free(d->rows.at);
	read_rows(&d->rows);
}

void drop_counters_sample(struct drop_counters *d)
{
	char text[32];
	ssize_t n = d->fd[FILE_CONNTRACK_COUNT] < 0
			    ? -1
			    : pread(d->fd[FILE_CONNTRACK_COUNT], text, sizeof(text) - 1, 0);
	uint64_t count;

	if (n <= 0)
		return;
	text[n] = '\0';
	count = number_in(text);
	if (count > d->conntrack_peak)
		d->conntrack_peak = count;
}

void drop_counters_end(struct drop_counters *d, struct host_drops *drops)
{
	char *after[FILES] = { NULL };
	struct rows rows;
	int i;

	*drops = (struct host_drops){ .is_read = true };
	for (i = 0; i < FILES; i++)
		after[i] = read_whole(d->fd[i]);
	grow_files(d, after, drops);
	drop_counters_sample(d);
	drops->conntrack_peak = d->conntrack_peak;
	drops->conntrack_max = number_in(after[FILE_CONNTRACK_MAX]);
	read_rows(&rows);
	grow_rows(&d->rows, &rows, drops);
	drops->omitted += rows.omitted;
	qsort(drops->grown, drops->count, sizeof(drops->grown[0]), by_counter);
	free(rows.at);
	for (i = 0; i < FILES; i++)
		free(after[i]);
}

void drop_counters_close(struct drop_counters *d)
{
	int i;

	if (!d)
		return;
	for (i = 0; i < FILES; i++) {
		if (d->fd[i] >= 0)
			close(d->fd[i]);
		free(d->before[i]);
	}
	free(d->rows.at);
	free(d);
}
