// SPDX-License-Identifier: GPL-2.0
#include "host/ipsec.h"

#include <linux/xfrm.h>

#include "host/netlink.h"

static int count_policies(const struct nlmsghdr *h, void *context)
{
	const struct xfrmu_spdinfo *info;
	const struct nlattr *a;

	if (h->nlmsg_type != XFRM_MSG_NEWSPDINFO)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(uint32_t))
	{
		if (mnl_attr_get_type(a) != XFRMA_SPD_INFO)
			continue;
		info = mnl_attr_get_payload(a);
		*(bool *)context = info->outcnt || info->fwdcnt;
	}
	return MNL_CB_OK;
}

bool ipsec_is_used(void)
{
	struct netlink_request r;
	bool used = false;

	netlink_begin(&r, XFRM_MSG_GETSPDINFO, sizeof(uint32_t));
	netlink_query_once(NETLINK_XFRM, &r, count_policies, &used);
	return used;
}
