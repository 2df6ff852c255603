// SPDX-License-Identifier: GPL-2.0
/*
 * Counters of dropped packets: the texts of the kernel's files, and the growth between two
 * readings. If this fails, this gateway is accused of drops that happened before the run, or its
 * drops during the run are missed.
 */
#include "host/drop_counters.c"

#include "expect.h"

/* /proc/net/stat/nf_conntrack of kernel 5.10: no column "chainlength". */
static const char conntrack_510[] =
	"entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n"
	"0000002a  00000000 00000000 00000000 00000003 00000101 00000000 00000000 00000000 00000002 fffffffe 00000000 00000000  00000000 00000000 00000000 00000011\n"
	"0000002a  00000000 00000000 00000000 00000000 00000121 00000000 00000000 00000000 00000000 00000010 00000001 00000000  00000000 00000000 00000000 00000007\n";

/* The same after a wrap-around on the first CPU, and 2 more on the second. */
static const char conntrack_510_later[] =
	"entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n"
	"00000035  00000000 00000000 00000000 00000003 00000101 00000000 00000000 00000000 00000002 00000003 00000000 00000000  00000000 00000000 00000000 00000011\n"
	"00000035  00000000 00000000 00000000 00000000 00000121 00000000 00000000 00000000 00000000 00000012 00000001 00000000  00000000 00000000 00000000 00000007\n";

static const char conntrack_618[] =
	"entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n"
	"0000002a  00000000 00000000 00000000 00000003 00000101 00000000 00000004 00000000 00000002 00000005 00000000 00000000  00000000 00000000 00000000 00000011\n";

static const char softnet_510[] =
	"00ef2eec 00000001 00000017 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000005 00000000 00000000\n"
	"00f14308 00000002 00000019 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001\n";

static const char softnet_618[] =
	"00ef2eec 00000001 00000017 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000006 00000000 00000000 00000000 00000000\n"
	"00f14308 0000000a 00000019 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001 00000000 00000000\n";

static const char snmp_510[] =
	"Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes\n"
	"Ip: 1 64 52985 0 7 0 0 5 52985 32100 6 0\n"
	"Icmp: InMsgs InErrors InCsumErrors\n"
	"Icmp: 3 0 0\n"
	"IcmpMsg: InType3\n"
	"IcmpMsg: 3\n"
	"Tcp: RtoAlgorithm RtoMin RtoMax MaxConn\n"
	"Tcp: 1 200 120000 -1\n";

/* Kernel 6.18 has a further column, and more than one group in netstat. */
static const char netstat_618[] =
	"TcpExt: SyncookiesSent TCPDeferAcceptDrop IPReversePathFilter TCPTimeWaitOverflow\n"
	"TcpExt: 0 1 18446744073709551615 3\n"
	"IpExt: InNoRoutes InTruncatedPkts\n"
	"IpExt: 8 9\n";

static const char snmp6[] = "Ip6InReceives                   \t21\n"
			    "Ip6InDiscards                   \t4\n"
			    "Ip6InDelivers                   \t12\n";

static uint64_t value(enum counter_format format, const char *name, const char *text)
{
	uint64_t v;

	return counter_value(format, name, text, &v) ? v : UINT64_MAX;
}

static void test_texts(void)
{
	EXPECT(value(FORMAT_PER_CPU, "drop", conntrack_618) == 5 &&
		       value(FORMAT_PER_CPU, "insert_failed", conntrack_618) == 2 &&
		       value(FORMAT_PER_CPU, "chainlength", conntrack_618) == 4,
	       "a neighbour's column is taken for a drop");
	EXPECT(value(FORMAT_PER_CPU, "chainlength", conntrack_510) == UINT64_MAX,
	       "an older kernel without the counter seems to have it");
	EXPECT(value(FORMAT_PER_CPU, "search_restart", conntrack_510) == 0x18,
	       "the last column, or a CPU, is not read");
	EXPECT(value(FORMAT_PER_CPU_UNNAMED, "1", softnet_510) == 3 &&
		       value(FORMAT_PER_CPU_UNNAMED, "10", softnet_618) == 6,
	       "softnet drops are not read");
	EXPECT(value(FORMAT_TWO_LINES, "Ip:InDiscards", snmp_510) == 5 &&
		       value(FORMAT_TWO_LINES, "Ip:OutDiscards", snmp_510) == 6 &&
		       value(FORMAT_TWO_LINES, "IpExt:InTruncatedPkts", netstat_618) == 9,
	       "a counter of IP is read from a wrong column");
	EXPECT(value(FORMAT_TWO_LINES, "Ip:InErrors", snmp_510) == UINT64_MAX &&
		       value(FORMAT_TWO_LINES, "Icm:InErrors", snmp_510) == UINT64_MAX,
	       "a counter of another group is taken for it");
	EXPECT(value(FORMAT_ONE_A_LINE, "Ip6InDiscards", snmp6) == 4 &&
		       value(FORMAT_ONE_A_LINE, "Ip6In", snmp6) == UINT64_MAX,
	       "a counter of IPv6 is mistaken");
	EXPECT(value(FORMAT_NUMBER, NULL, "262144\n") == 262144, "the limit is unknown");
}

/* Truncated and empty texts must not be read beyond their end; the sanitizers check that. */
static void test_damaged_texts(void)
{
	static const char *const texts[] = { conntrack_510, softnet_510, snmp_510, snmp6 };
	static const enum counter_format formats[] = { FORMAT_PER_CPU, FORMAT_PER_CPU_UNNAMED,
						       FORMAT_TWO_LINES, FORMAT_ONE_A_LINE };
	static const char *const names[] = { "drop", "1", "Ip:InDiscards", "Ip6InDiscards" };
	unsigned int i, found = 0;
	uint64_t growth, v;
	size_t length;
	char *cut;

	for (i = 0; i < 4; i++)
		for (length = 0; length <= strlen(texts[i]); length++) {
			cut = strndup(texts[i], length);
			found += counter_value(formats[i], names[i], cut, &v);
			counter_growth(formats[i], names[i], texts[i], cut, &growth);
			free(cut);
		}
	EXPECT(found, "no text has its counter");
}

static void test_growth(void)
{
	uint64_t growth = 99;

	EXPECT(counter_growth(FORMAT_PER_CPU, "drop", conntrack_510, conntrack_510_later,
			      &growth) &&
		       growth == 5 + 2,
	       "a counter of a CPU that wraps around counts 4 billion drops, or none");
	EXPECT(counter_growth(FORMAT_PER_CPU, "drop", conntrack_510, conntrack_510, &growth) &&
		       !growth,
	       "drops before the run are counted");
	EXPECT(!counter_growth(FORMAT_PER_CPU, "drop", conntrack_510, conntrack_618, &growth),
	       "after a change of the CPUs, drops of one are compared with those of another");
	EXPECT(counter_growth(FORMAT_PER_CPU_UNNAMED, "1", softnet_510, softnet_618, &growth) &&
		       growth == 8,
	       "softnet drops are not counted");
	EXPECT(growth_between(5, 7, 32) == 2 && growth_between(0xfffffff0, 0x10, 32) == 0x20 &&
		       growth_between(UINT64_MAX, 4, 64) == 5,
	       "a wrap-around is counted wrong");
	EXPECT(growth_between(1000, 3, 32) == 3 &&
		       growth_between(0xfffffff0, 0x7fffffff, 32) == 0x7fffffff &&
		       growth_between(1000, 3, 64) == 3,
	       "a counter that was reset counts 4 billion drops");
}

static struct row row_of(enum drop_counter counter, int ifindex, uint64_t count)
{
	struct row row = { .counter = counter, .ifindex = ifindex, .value = count };

	strcpy(row.iface, "lan0");
	return row;
}

static void test_rows(void)
{
	struct row before[] = { row_of(DROP_NIC_RX, 2, 10), row_of(DROP_QDISC, 2, UINT32_MAX) };
	struct row after[] = { row_of(DROP_NIC_RX, 2, 14), row_of(DROP_NIC_RX, 2, 15),
			       row_of(DROP_QDISC, 2, 3), row_of(DROP_QDISC, 3, 6),
			       row_of(DROP_NIC_MISSED, 3, 7) };
	struct rows x = { .at = before, .count = 2, .has_qdiscs = true };
	struct rows y = { .at = after, .count = 5 };
	struct host_drops drops = {};

	grow_rows(&x, &y, &drops);
	EXPECT(drops.count == 3 && drops.grown[0].count == 4,
	       "an interface that a dump repeats counts twice");
	EXPECT(drops.grown[1].counter == DROP_QDISC && drops.grown[1].count == 4,
	       "a queue's counter of 32 bits wraps around and seems to be reset");
	EXPECT(drops.grown[2].counter == DROP_QDISC && drops.grown[2].count == 6,
	       "the drops of a queue that was made during the run are missed");
	EXPECT(!drops.available[DROP_NIC_MISSED],
	       "drops of an interface count that came from another network namespace");
	x.has_qdiscs = false;
	drops = (struct host_drops){};
	grow_rows(&x, &y, &drops);
	EXPECT(drops.count == 2, "drops since the boot count if the first reading failed");
}

static void test_too_many(void)
{
	struct drop_growth g = { .counter = DROP_NIC_RX, .count = 1 };
	struct host_drops drops = {};
	unsigned int i;

	for (i = 0; i < MAX_DROP_GROWTHS + 3; i++)
		add_growth(&drops, &g);
	EXPECT(drops.count == MAX_DROP_GROWTHS && drops.omitted == 3,
	       "the list overflows, or loses counters silently");
}

/* Every counter has a name, a text and an action, and comes from somewhere. */
static void test_table(void)
{
	unsigned int i, j, named = 0;

	for (i = 0; i < DROP_COUNTERS; i++) {
		named += drop_counter_infos[i].name && drop_counter_infos[i].text &&
			 drop_counter_infos[i].action;
		for (j = 0; j < i; j++)
			EXPECT(strcmp(drop_counter_infos[i].name, drop_counter_infos[j].name) != 0,
			       "two counters have one name");
	}
	EXPECT(named == DROP_COUNTERS, "a finding names a counter without words");
}

/* Files that are missing are no error, and those of this host can be read twice. */
static void test_this_host(void)
{
	struct drop_counters *d = drop_counters_open();
	struct host_drops drops;

	close(d->fd[FILE_CONNTRACK]);
	d->fd[FILE_CONNTRACK] = -1;
	drop_counters_start(d);
	drop_counters_end(d, &drops);
	EXPECT(drops.is_read && !drops.available[DROP_CONNTRACK],
	       "a host without conntrack seems to have a table without drops");
	EXPECT(drops.available[DROP_REVERSE_PATH] && drops.available[DROP_SOFTNET] &&
		       drops.available[DROP_IP_OUT] && drops.available[DROP_NEIGHBOUR_FAILED],
	       "the files of this kernel are not understood");
	drop_counters_close(d);
	drop_counters_close(NULL);
}

int main(void)
{
	test_texts();
	test_damaged_texts();
	test_growth();
	test_rows();
	test_too_many();
	test_table();
	test_this_host();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
