// SPDX-License-Identifier: GPL-2.0
/* Offloads of an interface, as ethtool -k shows them. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doctor/checks.h"
#include "host/conntrack.h"
#include "lib/format.h"

#define MAX_FEATURES 512

struct features {
	char names[MAX_FEATURES][ETH_GSTRING_LEN];
	bool active[MAX_FEATURES];
	size_t count;
};

static int ethtool(const struct link *l, void *command)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), status = -1;
	struct ifreq request = { .ifr_data = command };

	if (fd < 0)
		return -1;
	strcpy(request.ifr_name, l->name);
	status = ioctl(fd, SIOCETHTOOL, &request);
	close(fd);
	return status;
}

static size_t count_features(const struct link *l)
{
	struct ethtool_sset_info *query = calloc(1, sizeof(*query) + sizeof(query->data[0]));
	size_t count = 0;

	if (!query)
		return 0;
	query->cmd = ETHTOOL_GSSET_INFO;
	query->sset_mask = 1 << ETH_SS_FEATURES;
	if (!ethtool(l, query) && query->sset_mask && query->data[0] <= MAX_FEATURES)
		count = query->data[0];
	free(query);
	return count;
}

static bool read_names(struct features *f, const struct link *l)
{
	struct ethtool_gstrings *query = calloc(1, sizeof(*query) + sizeof(f->names));
	bool ok;

	if (!query)
		return false;
	query->cmd = ETHTOOL_GSTRINGS;
	query->string_set = ETH_SS_FEATURES;
	query->len = f->count;
	ok = !ethtool(l, query);
	memcpy(f->names, query->data, f->count * ETH_GSTRING_LEN);
	free(query);
	return ok;
}

static bool read_active(struct features *f, const struct link *l)
{
	struct ethtool_gfeatures *query;
	size_t blocks = (f->count + 31) / 32, i;
	bool ok;

	query = calloc(1, sizeof(*query) + blocks * sizeof(query->features[0]));
	if (!query)
		return false;
	query->cmd = ETHTOOL_GFEATURES;
	query->size = blocks;
	ok = !ethtool(l, query);
	for (i = 0; i < f->count; i++)
		f->active[i] = query->features[i / 32].active & (1U << i % 32);
	free(query);
	return ok;
}

static bool is_active(const struct features *f, const char *name)
{
	size_t i;

	for (i = 0; i < f->count; i++)
		if (!strncmp(f->names[i], name, ETH_GSTRING_LEN))
			return f->active[i];
	return false;
}

static const char *driver_name(const struct link *l)
{
	static struct ethtool_drvinfo info;

	info = (struct ethtool_drvinfo){ .cmd = ETHTOOL_GDRVINFO };
	return ethtool(l, &info) ? "unknown" : info.driver;
}

static const char *on_off(const struct features *f, const char *name)
{
	return is_active(f, name) ? "on" : "off";
}

static void describe(struct sheet *s, const struct link *l, const struct features *f)
{
	sheet_remark(s, LEVEL_OK,
		     "GRO %s, LRO %s, TSO %s: the hook may see several segments as one large "
		     "packet, which probe parses; its packet numbers are smaller than those on the "
		     "wire",
		     on_off(f, "rx-gro"), on_off(f, "rx-lro"), on_off(f, "tx-tcp-segmentation"));
	sheet_remark(s, LEVEL_OK,
		     "VLAN tags by the hardware %s, checksums of received packets by the hardware "
		     "%s: probe handles both",
		     on_off(f, "rx-vlan-hw-parse"), on_off(f, "rx-checksum"));
	if (is_active(f, "rx-lro")) {
		sheet_remark(s, LEVEL_WARNING,
			     "LRO merges packets that this host forwards, and breaks forwarding");
		sheet_action(s, "ethtool -K %s lro off", format_name(l->name));
	}
}

/* Flow offload carries packets past every hook of tc. */
static void check_flow_offload(struct sheet *s, const struct link *l, const struct features *f)
{
	bool hardware = is_active(f, "hw-tc-offload");

	if (conntrack_has_flowtables())
		sheet_remark(
			s, hardware ? LEVEL_WARNING : LEVEL_NOTE,
			"flowtables are loaded: in software they hide nothing from probe, with "
			"hardware offload packets after the opening are not seen");
	if (hardware) {
		sheet_remark(s, LEVEL_WARNING,
			     "hw-tc-offload is on: flows that the hardware forwards bypass every "
			     "hook");
		sheet_action(s,
			     "if packets are missing: ethtool -K %s hw-tc-offload off during "
			     "the run",
			     format_name(l->name));
	}
}

void check_offloads(struct sheet *s, const struct link *l)
{
	struct features *f = calloc(1, sizeof(*f));

	sheet_section(s, "Driver and offloads");
	if (!f) {
		sheet_remark(s, LEVEL_NOTE, "out of memory");
		return;
	}
	sheet_remark(s, LEVEL_OK, "driver: %s", format_name(driver_name(l)));
	f->count = count_features(l);
	if (f->count && read_names(f, l) && read_active(f, l)) {
		describe(s, l, f);
	} else {
		sheet_remark(s, LEVEL_NOTE, "the driver reports no offloads");
		f->count = 0;
	}
	check_flow_offload(s, l, f);
	free(f);
}
