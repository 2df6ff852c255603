// SPDX-License-Identifier: GPL-2.0
/* Which interface -D advises to watch, on hosts that are made up. */
#include <net/if_arp.h>
#include <string.h>

#include "doctor/advice.h"
#include "expect.h"

#define UP .is_up = true, .has_carrier = true

static char text[ADVICE_TEXT];

static enum role advised(struct link *at, size_t count, size_t which)
{
	struct links all = { at, count };

	return advise(text, &at[which], &all);
}

static const char *best(struct link *at, size_t count)
{
	struct links all = { at, count };
	const struct link *l = best_link(&all);

	return l ? l->name : "";
}

static bool has(const char *words)
{
	return strstr(text, words);
}

static void test_gateway(void)
{
	struct link at[] = {
		{ 1, "lo", .type = ARPHRD_LOOPBACK, UP, .is_loopback = true, .has_address = true },
		{ 2, "wan0", .type = ARPHRD_ETHER, UP, .neighbours = 400,
		  .has_default_route = true },
		{ 3, "dmz0", .type = ARPHRD_ETHER, UP, .neighbours = 2, .has_address = true },
		{ 4, "lan0", .type = ARPHRD_ETHER, UP, .neighbours = 12, .has_address = true },
		{ 5, "wg0", "wireguard", ARPHRD_NONE, UP, .has_address = true },
	};

	EXPECT(advised(at, 5, 0) == LINK_USELESS && has("loopback"), "the loopback is watched");
	EXPECT(advised(at, 5, 1) == LINK_WAN && has("default route"), "the WAN side is unknown");
	EXPECT(advised(at, 5, 3) == LINK_LAN && has("12 neighbours"), "the clients are not found");
	EXPECT(advised(at, 5, 4) == LINK_LAN && has("WireGuard: tunnel"),
	       "the tunnel's clients are overlooked");
	EXPECT(!strcmp(best(at, 5), "lan0"), "another side than that of the clients is chosen");
	EXPECT(!strcmp(best(at, 3), "dmz0"), "the WAN side is chosen for its many neighbours");
	EXPECT(!strcmp(best(at, 2), "wan0"), "a host without a LAN has no choice");
	at[2].neighbours = 12;
	EXPECT(!strcmp(best(at, 5), "dmz0"), "the order of the interfaces does not decide a tie");
	at[3].has_private_address = true;
	EXPECT(!strcmp(best(at, 5), "lan0"), "public addresses are taken for the clients' side");
	EXPECT(!strcmp(best(at, 1), ""), "the loopback is chosen");
}

static void test_members(void)
{
	struct link at[] = {
		{ 1, "bond0", "bond", ARPHRD_ETHER, UP, .has_address = true },
		{ 2, "eth0", "", ARPHRD_ETHER, UP, .master = 1, .neighbours = 99 },
		{ 3, "br0", "bridge", ARPHRD_ETHER, UP },
		{ 4, "p1", "veth", ARPHRD_ETHER, UP, .master = 3 },
		{ 5, "red", "vrf", ARPHRD_ETHER, UP },
		{ 6, "eth1", "", ARPHRD_ETHER, UP, .master = 5, .neighbours = 1 },
		{ 7, "eth1.7", "vlan", ARPHRD_ETHER, UP, .lower = 6, .vlan = 7, .neighbours = 3 },
		{ 8, "eth2", "", ARPHRD_ETHER, UP, .master = 77 },
	};

	EXPECT(advised(at, 8, 1) == LINK_PART && has("watch bond0, since this one carries only"),
	       "half of the packets are missing");
	EXPECT(advised(at, 8, 0) == LINK_LAN && has("members: eth0"), "the bond is not explained");
	EXPECT(advised(at, 8, 3) == LINK_OTHER && has("watch br0, or this one"),
	       "the bridge is not found");
	EXPECT(advised(at, 8, 2) == LINK_LAN && has("members: p1"), "the bridge is useless");
	EXPECT(advised(at, 8, 4) == LINK_USELESS && has("watch its members"), "the VRF is watched");
	EXPECT(advised(at, 8, 5) == LINK_LAN && has("in vrf red") && has("VLANs of eth1.7"),
	       "the trunk is not recognised");
	EXPECT(advised(at, 8, 6) == LINK_LAN && has("VLAN 7 of eth1"), "the VLAN has no trunk");
	EXPECT(advised(at, 8, 7) == LINK_OTHER, "a master in another namespace is followed");
	EXPECT(!strcmp(best(at, 8), "eth1.7"), "a member is the best choice");
}

static void test_useless(void)
{
	struct link at[] = {
		{ 1, "eth0", "", ARPHRD_ETHER, .has_default_route = true },
		{ 2, "eth1", "", ARPHRD_ETHER, .is_up = true, .has_default_route = true },
		{ 3, "ib0", "", ARPHRD_INFINIBAND, UP, .has_default_route = true },
		{ 4, "eth2", "", ARPHRD_ETHER, UP },
	};

	EXPECT(advised(at, 4, 0) == LINK_USELESS && has("down"), "a dead interface is watched");
	EXPECT(advised(at, 4, 1) == LINK_USELESS && has("no carrier"), "a pulled cable is watched");
	EXPECT(advised(at, 4, 2) == LINK_USELESS && has("link type 32"),
	       "a link type that cannot be parsed is watched");
	EXPECT(advised(at, 4, 3) == LINK_OTHER && has("no address"), "an unused port is a LAN");
	EXPECT(!strcmp(best(at, 4), ""), "an interface without packets is chosen");
}

static void test_room(void)
{
	static struct link at[201];
	size_t i;

	for (i = 0; i < 201; i++) {
		at[i] = (struct link){ i + 1, "", "vlan", ARPHRD_ETHER, UP, .lower = 1 };
		snprintf(at[i].name, IFNAMSIZ, "\x1b%014zu", i);
	}
	at[0].lower = 0;
	advised(at, 201, 0);
	EXPECT(has("and 196 more") && strlen(text) < ADVICE_TEXT, "a trunk of many VLANs is cut");
	EXPECT(!has("\x1b"), "the name of an interface reaches the terminal unescaped");
}

int main(void)
{
	test_gateway();
	test_members();
	test_useless();
	test_room();
	printf("advice: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
