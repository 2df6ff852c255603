// SPDX-License-Identifier: GPL-2.0
#include "source/clsact.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/netlink.h"

/* priority of our filters: an arbitrary number that is unlikely to be in use */
#define PRIORITY 0x7062
#define MADE (1U << 31) /* flag in a handle, a bit that no process id uses */

static const char *const program_names[DIRECTIONS] = { "probe_ingress", "probe_egress" };

/* ---- owners ---- */

/*
 * Binds a socket to an abstract name, which is unique within the network namespace. Returns the
 * socket, or -1 if another socket has the name.
 */
static int claim_name(const char *what, int ifindex, uint32_t handle)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), n;

	/* an abstract name begins with a zero byte */
	n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "probe %s %d %u", what, ifindex,
		     handle & ~MADE);
	if (fd >= 0 &&
	    bind(fd, (struct sockaddr *)&a, offsetof(struct sockaddr_un, sun_path) + 1 + n)) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * Takes a lock that serialises the changes of several probes to an interface, so that no probe
 * removes the qdisc while another probe attaches. Returns -1 after 5 s, and the caller continues
 * without the lock.
 */
static int lock_interface(int ifindex)
{
	int fd, i;

	for (i = 0; i < 500; i++) {
		fd = claim_name("lock", ifindex, 0);
		if (fd >= 0)
			return fd;
		usleep(10000);
	}
	return -1;
}

static void unlock_interface(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* ---- filters and qdiscs of the interface ---- */

static void read_bpf_option(struct clsact_filter *f, const struct nlattr *a)
{
	if (mnl_attr_get_type(a) == TCA_BPF_NAME)
		snprintf(f->name, sizeof(f->name), "%s", mnl_attr_get_str(a));
	if (mnl_attr_get_type(a) == TCA_BPF_ID)
		f->program = mnl_attr_get_u32(a);
}

static int read_filter(const struct nlmsghdr *h, void *context)
{
	const struct tcmsg *t = mnl_nlmsg_get_payload(h);
	const struct nlattr *a, *inner;
	struct clsact_filters *all = context;
	struct clsact_filter f = { .handle = t->tcm_handle,
				   .priority = TC_H_MAJ(t->tcm_info) >> 16 };
	const char *name;

	if (h->nlmsg_type != RTM_NEWTFILTER)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*t))
	{
		if (mnl_attr_get_type(a) == TCA_KIND)
			snprintf(f.kind, sizeof(f.kind), "%s", mnl_attr_get_str(a));
		/* the kernel sends kind before options */
		if (mnl_attr_get_type(a) == TCA_OPTIONS && !strcmp(f.kind, "bpf"))
			mnl_attr_for_each_nested(inner, a)
			{
				read_bpf_option(&f, inner);
			}
	}
	/* skip the message with handle 0 that the dump contains for each priority */
	if (!f.handle)
		return MNL_CB_OK;
	name = program_names[all->direction];
	f.ours = f.priority == PRIORITY && !strncmp(f.name, name, strlen(name));
	if (!f.ours)
		all->others = true;
	if (all->count < CLSACT_MAX_FILTERS)
		all->at[all->count++] = f;
	return MNL_CB_OK;
}

int clsact_list(int ifindex, int direction, struct clsact_filters *all)
{
	struct netlink_request r;
	struct tcmsg *t = netlink_begin(&r, RTM_GETTFILTER, sizeof(*t));

	t->tcm_ifindex = ifindex;
	t->tcm_parent =
		TC_H_MAKE(TC_H_CLSACT, direction == INGRESS ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
	all->count = 0;
	all->others = false;
	all->direction = direction;
	return netlink_dump(NETLINK_ROUTE, &r, read_filter, all);
}

struct qdisc {
	int ifindex;
	char kind[CLSACT_MAX_NAME];
};

static int read_qdisc(const struct nlmsghdr *h, void *context)
{
	const struct tcmsg *t = mnl_nlmsg_get_payload(h);
	struct qdisc *q = context;
	const struct nlattr *a;

	if (t->tcm_ifindex != q->ifindex || t->tcm_parent != TC_H_CLSACT)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*t)) if (mnl_attr_get_type(a) == TCA_KIND)
		snprintf(q->kind, sizeof(q->kind), "%s", mnl_attr_get_str(a));
	return MNL_CB_OK;
}

/*
 * Stores the kind of the qdisc at the clsact position: clsact, ingress, or "" if there is none. It
 * uses a dump, since the kernel sends the reply to a query for one qdisc to all subscribers too.
 */
static int find_qdisc(int ifindex, struct qdisc *q)
{
	struct netlink_request r;

	netlink_begin(&r, RTM_GETQDISC, sizeof(struct tcmsg));
	*q = (struct qdisc){ .ifindex = ifindex };
	return netlink_dump(NETLINK_ROUTE, &r, read_qdisc, q);
}

int clsact_qdisc(int ifindex, char kind[CLSACT_MAX_NAME])
{
	struct qdisc q;
	int error = find_qdisc(ifindex, &q);

	strcpy(kind, q.kind);
	return error;
}

bool clsact_runs_before(const struct clsact_filter *f)
{
	return f->priority < PRIORITY;
}

bool clsact_is_leftover(int ifindex, const struct clsact_filter *f)
{
	int owner;

	if (!f->ours)
		return false;
	owner = claim_name("owner", ifindex, f->handle);
	if (owner < 0)
		return false; /* the owner of the filter is alive */
	close(owner);
	return true;
}

/* ---- changes ---- */

static struct bpf_tc_hook hook_at(int ifindex, int direction)
{
	return (struct bpf_tc_hook){ .sz = sizeof(struct bpf_tc_hook),
				     .ifindex = ifindex,
				     .attach_point = direction == INGRESS ? BPF_TC_INGRESS
									  : BPF_TC_EGRESS };
}

static int remove_filter(int ifindex, int direction, uint32_t handle)
{
	struct bpf_tc_hook hook = hook_at(ifindex, direction);
	struct bpf_tc_opts opts = { .sz = sizeof(opts), .handle = handle, .priority = PRIORITY };

	return bpf_tc_detach(&hook, &opts);
}

/* Removes the qdisc if it has no filters. Returns true if it was removed. */
static bool remove_qdisc(int ifindex)
{
	struct bpf_tc_hook hook = hook_at(ifindex, INGRESS);
	struct clsact_filters all;
	int d;

	for (d = 0; d < DIRECTIONS; d++)
		if (clsact_list(ifindex, d, &all) || all.count)
			return false;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	return !bpf_tc_hook_destroy(&hook);
}

static int attach_filters(struct clsact *c, const int program[DIRECTIONS], const char **tried)
{
	struct bpf_tc_hook hook = hook_at(c->ifindex, INGRESS);
	struct bpf_tc_opts opts;
	struct clsact_filters all;
	struct qdisc there;
	int d, i, error;

	*tried = "create a clsact qdisc";
	error = find_qdisc(c->ifindex, &there);
	if (!error && !there.kind[0]) {
		error = bpf_tc_hook_create(&hook);
		c->made = !error;
		if (!error || error == -EEXIST)
			error = find_qdisc(c->ifindex, &there);
	}
	if (error)
		return error;
	if (strcmp(there.kind, "clsact"))
		return -EEXIST; /* an ingress qdisc would run filters for egress at ingress */
	*tried = "attach a bpf filter to the clsact qdisc";
	for (d = 0; d < DIRECTIONS; d++) {
		error = clsact_list(c->ifindex, d, &all);
		if (error)
			return error;
		for (i = 0; i < all.count; i++)
			if (all.at[i].ours && all.at[i].handle & MADE)
				c->made = true;
	}
	if (c->made)
		c->handle |= MADE;
	for (d = 0; d < DIRECTIONS; d++) {
		if (program[d] < 0)
			continue;
		hook = hook_at(c->ifindex, d);
		opts = (struct bpf_tc_opts){ .sz = sizeof(opts),
					     .handle = c->handle,
					     .priority = PRIORITY,
					     .prog_fd = program[d] };
		error = bpf_tc_attach(&hook, &opts);
		if (error)
			return error;
		c->attached[d] = true;
	}
	return 0;
}

static void detach_filters(struct clsact *c)
{
	int d;

	for (d = 0; d < DIRECTIONS; d++)
		if (c->attached[d])
			remove_filter(c->ifindex, d, c->handle);
	if (c->made)
		remove_qdisc(c->ifindex);
	close(c->owner);
	*c = CLSACT_NONE;
}

int clsact_attach(struct clsact *c, int ifindex, const int program[DIRECTIONS], const char **tried)
{
	int lock, error, i;

	*c = CLSACT_NONE;
	c->ifindex = ifindex;
	/* a probe in another pid namespace may have the same process id */
	for (i = 0; i < 100 && c->owner < 0; i++) {
		c->handle = getpid() + i;
		c->owner = claim_name("owner", ifindex, c->handle);
	}
	*tried = "bind a socket that identifies the owner of the filters";
	if (c->owner < 0)
		return -EADDRINUSE;
	lock = lock_interface(ifindex);
	error = attach_filters(c, program, tried);
	if (error)
		detach_filters(c);
	unlock_interface(lock);
	return error;
}

void clsact_detach(struct clsact *c)
{
	int lock;

	if (c->owner < 0)
		return;
	lock = lock_interface(c->ifindex);
	detach_filters(c);
	unlock_interface(lock);
}

static int reap(int ifindex, int *filters, bool *qdisc)
{
	struct clsact_filters all;
	int d, i, owner, error;
	struct qdisc there;
	bool made = false;

	error = find_qdisc(ifindex, &there);
	if (error || strcmp(there.kind, "clsact"))
		return error;
	for (d = 0; d < DIRECTIONS; d++) {
		error = clsact_list(ifindex, d, &all);
		if (error)
			return error;
		for (i = 0; i < all.count; i++) {
			if (!all.at[i].ours)
				continue;
			owner = claim_name("owner", ifindex, all.at[i].handle);
			if (owner < 0)
				continue; /* the owner of the filter is alive */
			error = remove_filter(ifindex, d, all.at[i].handle);
			close(owner);
			if (error)
				return error;
			++*filters;
			made |= !!(all.at[i].handle & MADE);
		}
	}
	*qdisc = made && remove_qdisc(ifindex);
	return 0;
}

int clsact_reap(int ifindex, int *filters, bool *qdisc)
{
	int lock = lock_interface(ifindex), error;

	*filters = 0;
	*qdisc = false;
	error = reap(ifindex, filters, qdisc);
	unlock_interface(lock);
	return error;
}

int clsact_others(const struct clsact *c, int ifindex, int direction, char *text, size_t size,
		  bool *ours_missing)
{
	struct clsact_filters all;
	size_t used = 0;
	int i, error, count = 0;

	*ours_missing = c->owner >= 0;
	text[0] = '\0';
	error = clsact_list(ifindex, direction, &all);
	if (error)
		return error;
	for (i = 0; i < all.count; i++) {
		const struct clsact_filter *f = &all.at[i];

		if (c->owner >= 0 && f->priority == PRIORITY && f->handle == c->handle)
			*ours_missing = false;
		if (f->ours || (c->owner >= 0 && f->priority >= PRIORITY))
			continue;
		count++;
		if (used < size)
			used += snprintf(text + used, size - used, "%s%s%s%s (priority %u)",
					 used ? ", " : "", f->kind, f->name[0] ? " " : "", f->name,
					 f->priority);
	}
	return count;
}
