// SPDX-License-Identifier: GPL-2.0
/*
 * Traits of hosts, and their comparison: the report names what hosts that wait have in common, and
 * nothing that they have in common by chance or because they alone use a server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "expect.h"
#include "findings.h"
#include "made_connect.h"
#include "diagnose/diagnose.h"
#include "diagnose/traits.h"
#include "host/mac_vendors.h"

/* ---- vendors ---- */

static void write_registry(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		exit(EXIT_FAILURE);
}

static bool is_vendor(const struct mac_vendors *v, uint64_t mac, const char *wanted)
{
	const uint8_t bytes[6] = { mac >> 40, mac >> 32, mac >> 24, mac >> 16, mac >> 8, mac };
	const char *name = mac_vendor(v, bytes);

	return wanted ? name && !strcmp(name, wanted) : !name;
}

static void test_vendors(void)
{
	static const char oui[] =
		"Registry,Assignment,Organization Name,Organization Address\r\n"
		"MA-L,001B21,\"Intel, \"\"Inc\"\"\",somewhere\r\n"
		"MA-L,70B3D5,IEEE Registration Authority,\r\n"
		"MA-L,00,short,\n"
		"MA-L,00ZZ21,no number,\n"
		"MA-L,00112233,long,\n"
		"MA-L,001122\n"
		"MA-L,001123,,\n"
		"\n,,,\nMA-L\n"
		"MA-L,001124,A name that is longer than a report has room f\xc3\xbcr,\n"
		"MA-L,001125,Private,\n"
		"MA-L,001126,the last line has no end";
	char folder[] = "/tmp/probe-vendors-XXXXXX", path[64];
	struct mac_vendors *v;
	static const char *const files[] = { "oui.csv", "oui36.csv" };
	size_t i;

	if (!mkdtemp(folder))
		exit(EXIT_FAILURE);
	EXPECT(!mac_vendors_open(folder), "an empty folder would be a registry");
	write_registry(folder, "oui.csv", oui);
	write_registry(folder, "oui36.csv", "MA-S,70B3D5719,2M Technology,\n");
	v = mac_vendors_open(folder);
	EXPECT(v && is_vendor(v, 0x001b21000000, NULL), "names would be there before the end");
	EXPECT(v && mac_vendors_read(v) && mac_vendors_read(v), "the registry would not be read");
	EXPECT(is_vendor(v, 0x001b21123456, "Intel, \"Inc\""), "a quoted name would be cut");
	EXPECT(is_vendor(v, 0x70b3d5719001, "2M Technology") &&
		       is_vendor(v, 0x70b3d5000001, "IEEE Registration Authority"),
	       "a smaller block would have the name of the larger one");
	EXPECT(is_vendor(v, 0x001122334455, NULL) && is_vendor(v, 0x001123000000, NULL) &&
		       is_vendor(v, 0x001125000000, NULL),
	       "a malformed line, or a secret vendor, would be a name");
	EXPECT(is_vendor(v, 0x001126000000, "the last line has no end"), "the last line");
	EXPECT(is_vendor(v, 0x001124000000, "A name that is longer than a report has"),
	       "a long name would overflow, or end within a character");
	EXPECT(is_vendor(NULL, 0x001b21000000, NULL), "no registry would have names");
	mac_vendors_close(v);
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	rmdir(folder);
}

/* ---- systems ---- */

static uint32_t order(const char *letters)
{
	static const char known[] = ".NMWSTXO";
	uint32_t out = 0;
	unsigned int i;

	for (i = 0; letters[i]; i++)
		out |= (strchr(known, letters[i]) - known) << SYN_OPTION_BITS * i;
	return out;
}

static void test_systems(void)
{
	static const struct {
		const char *options; /* M MSS, S SACK, T time stamp, N NOP, W scale, X MPTCP */
		uint8_t ttl;
		enum system_class system;
	} known[] = {
		{ "MSTNW", 64, SYSTEM_LINUX },	   { "MSTNW", 57, SYSTEM_LINUX },
		{ "MSTNWX", 64, SYSTEM_LINUX },	   { "MNNSNW", 64, SYSTEM_LINUX },
		{ "MNWNNS", 128, SYSTEM_WINDOWS }, { "MNWNNS", 119, SYSTEM_WINDOWS },
		{ "MNWNNTSO", 64, SYSTEM_APPLE },  { "MNWST", 64, SYSTEM_BSD },
		{ "M", 255, SYSTEM_OTHER },	   { "", 64, SYSTEM_OTHER },
	};
	struct syn_traits syn = {};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		syn.option_order = order(known[i].options);
		syn.ttl = known[i].ttl;
		EXPECT(system_of(&syn) == known[i].system, known[i].options);
	}
}

/* ---- comparisons ---- */

/* A host of the office, and one of its connects. */
struct visit {
	unsigned int host;
	unsigned int vlan;
	unsigned int subnet;
	unsigned int server;
	uint16_t mss;
	uint64_t oui;
	double at;
	double wait; /* until the first byte of the client */
};

static void visit(struct model *m, const struct visit *v)
{
	uint32_t address = 0x0a000000 | v->subnet << 8 | v->host;
	static uint16_t port;
	struct connection c = made_handshake(ip4_endpoint(address, 20000 + port++ % 40000),
					     ip4_endpoint(v->server, 443), v->at);

	c.client.vlan[0] = v->vlan;
	c.server.vlan[0] = v->vlan;
	c.has_mac = true;
	c.mac[0] = v->oui >> 16;
	c.mac[1] = v->oui >> 8;
	c.mac[2] = v->oui;
	c.mac[5] = v->host;
	c.syn_traits.mss = v->mss;
	c.syn_traits.option_order = order("MSTNW");
	c.syn_traits.ttl = 64;
	make_served(&c, v->wait, 0.004);
	model_settled(m, &c);
}

/* Waits of people: no two are equal. */
static double some_wait(unsigned int i)
{
	return 2.5 + (i * 7919 % 101) * 0.061;
}

static const struct finding *stalls_of(const struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (finding_kinds[d->at[i].kind].family == FAMILY_WAIT)
			return &d->at[i];
	return NULL;
}

static struct diagnosis conclude(const struct model *m)
{
	struct session session = { .stall = SECOND_NS, .duration = SECONDS(100) };
	struct host_facts facts = {};
	struct diagnosis d;

	diagnose(&d, m, &session, &facts);
	return d;
}

/*
 * Nine hosts in VLAN 20 wait for a reason that is not on this wire, beside thirty others. Every
 * host makes two connects, at two servers that all use.
 */
static void office(struct model *m, unsigned int shared_server, bool spread)
{
	unsigned int i, k;

	for (i = 0; i < 39; i++) {
		bool bad = i < 9;
		unsigned int vlan = spread ? 10 + i % 3 : bad ? 20 : 30 + i % 2;

		for (k = 0; k < 2; k++) {
			struct visit v = {
				.host = i + 1,
				.vlan = vlan,
				.subnet = vlan,
				.server = 0xc6336400 + (bad ? shared_server : 1),
				.mss = 1460,
				.oui = i % 4 ? 0x001b21 : 0x3c5ab4,
				.at = 1 + i * 0.7 + k * 30,
				.wait = bad && k ? some_wait(i) : 0.01,
			};

			visit(m, &v);
		}
	}
}

static void test_common(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	const struct common_trait *t;
	const struct finding *f;
	struct diagnosis d;

	office(m, 1, false);
	d = conclude(m);
	f = stalls_of(&d);
	EXPECT(f && f->comparison.bad == 9 && f->comparison.good == 30, "the hosts compared");
	EXPECT(f && f->comparison.common_count == 2, "the VLAN and its subnet, and nothing else");
	t = f ? f->comparison.common : NULL;
	EXPECT(t && t->bad_with == 9 && t->good_with == 0 && t->p < 1e-4, "9 of 9, 0 of 30");
	EXPECT(f && says(f, "in common",
			 "VLAN 20, which is also subnet 10.0.20.0/24: 9 of 9 hosts that wait, 0 of "
			 "30 that do not"),
	       "the line about the VLAN");
	EXPECT(f && says(f, "spread", "MAC vendor"), "the vendor separates nobody");
	EXPECT(strstr(d.headline,
		      "; no cause stands out, but 9 of 9 hosts concerned have in common: "
		      "VLAN 20"),
	       "the headline would hide what was found");
	EXPECT(!find_kind(&d, KIND_NOT_THE_NETWORK),
	       "the network would be cleared beside its VLAN");
	EXPECT(f && says(f, "cannot tell", "system, MSS, IPv6: all 39 hosts compared are alike"),
	       "traits in which all are alike");
	diagnosis_free(&d);
	model_free(m);
}

static void test_spread(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	const struct finding *f;
	struct diagnosis d;

	office(m, 1, true);
	d = conclude(m);
	f = stalls_of(&d);
	EXPECT(f && !f->comparison.common_count, "no VLAN is to blame");
	EXPECT(find_kind(&d, KIND_NOT_THE_NETWORK), "a prompt network would not be cleared");
	EXPECT(f && says(f, "spread",
			 "VLAN, subnet, MAC vendor: hosts that wait and hosts that do "
			 "not in each"),
	       "the search in VLANs and vendors would go on");
	diagnosis_free(&d);
	model_free(m);
}

/* Every host waits at one server and not at the others. */
static void test_connects(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	const struct finding *f;
	struct diagnosis d;
	unsigned int i, k;

	for (i = 0; i < 12; i++)
		for (k = 0; k < 6; k++) {
			struct visit v = { .host = i + 1,
					   .server = 0xc6336401 + k % 3,
					   .mss = 1460,
					   .oui = 0x001b21,
					   .at = 1 + i * 0.3 + k * 15,
					   .wait = k % 3 == 2 ? some_wait(i * 6 + k) : 0.01 };

			visit(m, &v);
		}
	d = conclude(m);
	f = stalls_of(&d);
	EXPECT(f && says(f, "in common",
			 "server 198.51.100.3:443: 24 of 24 connects that wait, 0 of 48 that do "
			 "not"),
	       "the server at which all hosts wait");
	diagnosis_free(&d);
	model_free(m);
}

/* The hosts of VLAN 20 alone use a server, and most of the others do not use its port either. */
static void test_exposure(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	const struct finding *f;
	struct diagnosis d;
	unsigned int i;

	office(m, 2, false);
	for (i = 0; i < 6; i++) {
		struct visit v = { .host = 100 + i,
				   .vlan = 20,
				   .subnet = 20,
				   .server = 0xc6336402,
				   .mss = 1460,
				   .oui = 0x001b21,
				   .at = 33 + i,
				   .wait = 0.01 };

		visit(m, &v);
	}
	d = conclude(m);
	f = stalls_of(&d);
	EXPECT(f && f->comparison.good == 6, "hosts that do not use the server would be compared");
	EXPECT(f && !f->comparison.common_count, "the VLAN that uses the server would be blamed");
	diagnosis_free(&d);
	model_free(m);
}

/* Busy hosts meet a rare trouble sooner, and most of them are in one VLAN. */
static void test_activity(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	const struct finding *f;
	struct diagnosis d;
	unsigned int i, k;

	for (i = 0; i < 40; i++) {
		bool busy = i < 12;

		for (k = 0; k < (busy ? 20U : 2U); k++) {
			struct visit v = { .host = i + 1,
					   .vlan = busy ? 20 : 30,
					   .subnet = 9,
					   .server = 0xc6336401,
					   .mss = 1460,
					   .oui = 0x001b21,
					   .at = 1 + i * 0.1 + k,
					   .wait = busy && k == 7 ? some_wait(i) : 0.01 };

			visit(m, &v);
		}
	}
	d = conclude(m);
	f = stalls_of(&d);
	EXPECT(f && f->comparison.bad == 12 && f->comparison.good == 28, "the busy hosts wait");
	EXPECT(f && !f->comparison.common_count,
	       "a VLAN would be blamed that cannot be told from being busy");
	diagnosis_free(&d);
	model_free(m);
}

/* SYNs from forged addresses of one subnet, which nobody completes, at a server that fails. */
static void test_forged(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	const struct finding *f;
	struct diagnosis d;
	unsigned int i;

	office(m, 1, true);
	for (i = 0; i < 50; i++) {
		struct connection c = { .outcome = OUTCOME_HALF_OPEN, .attempts = 1 };

		c.client.address = ip4(0x0b000000 + i);
		c.client.port = 1000 + i;
		c.client.vlan[0] = c.server.vlan[0] = 99;
		c.server.address = ip4(0xc6336401);
		c.server.port = 443;
		c.syn = c.syn_times[0] = c.syn_last = SECONDS(30 + i * 0.1);
		c.syn_count = c.syn_times_count = c.synack_count = 1;
		c.synack = c.syn + 1000;
		c.settled = c.syn + SECONDS(30);
		c.watched = SECONDS(30);
		c.ack = c.client_first = c.server_first = c.wait = c.answer = c.banner = c.fin =
			c.rst = c.icmp = NEVER;
		c.server_round_trip = c.client_round_trip = NEVER;
		model_settled(m, &c);
	}
	d = conclude(m);
	f = stalls_of(&d);
	EXPECT(f && f->comparison.bad == 9 && f->comparison.good == 30,
	       "forged SYNs would be hosts that wait, or that do not");
	EXPECT(!d.unexplained.common_count, "a forged subnet would be blamed");
	diagnosis_free(&d);
	model_free(m);
}

int main(void)
{
	test_vendors();
	test_systems();
	test_common();
	test_spread();
	test_connects();
	test_exposure();
	test_activity();
	test_forged();
	printf("traits: %d passed, %d failed\n", passed, failed);
	return failed > 0;
}
