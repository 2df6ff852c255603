// SPDX-License-Identifier: GPL-2.0
#include "doctor/doctor.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "doctor/advice.h"
#include "doctor/checks.h"
#include "host/netdev.h"
#include "lib/format.h"

void check_link(struct sheet *s, const struct link *l, const struct links *all)
{
	char text[ADVICE_TEXT];
	enum role role = advise(text, l, all);
	const struct link *best = best_link(all);
	enum level level = role == LINK_USELESS ? LEVEL_WARNING
			   : role == LINK_PART	? LEVEL_WARNING
			   : role == LINK_OTHER ? LEVEL_NOTE
						: LEVEL_OK;

	sheet_section(s, "Interface");
	if (!link_is_understood(l))
		level = LEVEL_ERROR;
	sheet_remark(s, level, "%s: %s, mtu %u. %s", format_name(l->name), link_kind(l), l->mtu,
		     text);
	if (role == LINK_USELESS && best)
		sheet_action(s, "watch another interface: probe -i %s", format_name(best->name));
}

static void print_result(struct sheet *s, const struct link *l)
{
	unsigned int errors = s->counts[LEVEL_ERROR], warnings = s->counts[LEVEL_WARNING];
	char text[256];

	if (errors)
		snprintf(text, sizeof(text),
			 "%u error%s and %u warning%s: a run on %s fails or is blind. Begin with "
			 "the errors.",
			 errors, plural(errors), warnings, plural(warnings), format_name(l->name));
	else if (warnings)
		snprintf(text, sizeof(text),
			 "no errors, %u warning%s: probe -i %s works, with the limits above.",
			 warnings, plural(warnings), format_name(l->name));
	else
		snprintf(text, sizeof(text), "all well: probe -i %s", format_name(l->name));
	fprintf(s->out, "\nResult\n");
	sheet_wrap(s->out, 2, text);
}

static int examine(const struct link *l, const struct links *all, const struct options *o)
{
	struct sheet s = { .out = stdout };
	bool may_run;

	libbpf_set_print(NULL); /* queries that fail are remarks of the sheet */
	printf("probe %s, --doctor %s\n", PROBE_VERSION, format_name(l->name));
	check_kernel(&s);
	may_run = check_rights(&s);
	check_link(&s, l, all);
	check_hooks(&s, l, o->hook);
	check_offloads(&s, l);
	check_nat(&s, l, all);
	check_packets(&s, l, o, may_run && link_is_understood(l));
	print_result(&s, l);
	if (fflush(stdout) && errno != EPIPE) { /* a reader such as head may leave */
		fprintf(stderr, "probe: cannot print: %s\n", strerror(errno));
		return -1;
	}
	return s.counts[LEVEL_ERROR] ? -1 : 0;
}

int doctor_run(const char *iface, const struct options *o)
{
	const struct link *l;
	struct links all;
	int status = -1, error = links_read(&all);

	if (error) {
		fprintf(stderr, "probe: cannot ask the kernel for its interfaces: %s\n",
			strerror(-error));
		return -1;
	}
	l = links_by_name(&all, iface);
	if (l)
		status = examine(l, &all, o);
	else
		netdev_print_not_found(iface);
	links_free(&all);
	return status;
}
