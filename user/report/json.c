// SPDX-License-Identifier: GPL-2.0
/*
 * JSON lines: one object in each line, described by user/data/report.schema.json. Times are
 * integers, in nanoseconds since the start of the run; durations are integers, in nanoseconds;
 * unknown values are null.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/format.h"
#include "report/json.h"
#include "report/json_fields.h"
#include "report/peer_text.h"

static void write_percentiles(FILE *out, const char *name, const struct histogram *h)
{
	struct histogram_span span = {};
	const char *comma = "";

	fprintf(out, "\"%s\":{\"count\":%" PRIu64, name, h->count);
	field_ns(out, "p50", histogram_percentile(h, 0.50));
	field_ns(out, "p90", histogram_percentile(h, 0.90));
	field_ns(out, "p99", histogram_percentile(h, 0.99));
	field_ns(out, "max", h->count ? h->max : NEVER);
	fputs(",\"buckets\":[", out);
	while (histogram_next(h, &span)) {
		fprintf(out, "%s[%" PRId64 ",%" PRId64 ",%" PRIu64 "]", comma, span.from, span.to,
			span.count);
		comma = ",";
	}
	fputs("]}", out);
}

static void field_interfaces(FILE *out, const struct session *session, bool ended)
{
	const struct session_iface *w;

	fputs(",\"interfaces\":[", out);
	for (w = session->interfaces; w < session->interfaces + session->interface_count; w++) {
		fprintf(out, "%s{\"index\":%u", w == session->interfaces ? "" : ",", w->index);
		field_string(out, "name", w->name);
		field_string(out, "link", w->link);
		field_string(out, "hook", w->hook);
		if (ended) {
			field_ns(out, "blind_received", w->blind[INGRESS]);
			field_ns(out, "blind_sent", w->blind[EGRESS]);
			field_ns(out, "down", w->down);
		}
		fputc('}', out);
	}
	fputc(']', out);
}

static void json_started(struct report *r)
{
	const struct session *session = r->session;
	char text[FORMAT_TIME];

	fputs("{\"type\":\"run\",\"schema\":2", r->out);
	field_string(r->out, "version", PROBE_VERSION);
	field_string(r->out, "iface", session->is_capture ? NULL : session->from);
	field_string(r->out, "file", session->is_capture ? session->from : NULL);
	field_string(r->out, "link",
		     session->interface_count ? session->interfaces[0].link : session->link);
	field_string(r->out, "hook", session->interface_count ? session->interfaces[0].hook : NULL);
	field_interfaces(r->out, session, false);
	field_string(r->out, "kernel", session->is_capture ? NULL : session->kernel);
	field_string(r->out, "start", format_rfc3339(text, &session->start));
	fprintf(r->out, ",\"utc_offset\":%ld", format_utc_offset(&session->start));
	field_ns(r->out, "stall", session->stall);
	field_string(r->out, "names", names_mode_names[session->names_mode]);
	field_string(r->out, "client_list", session->client_list);
	field_string(r->out, "server_list", session->server_list);
	field_string(r->out, "port_list", session->port_list);
	field_string(r->out, "filter", session->capture_filter);
	fputs("}\n", r->out);
}

static void field_payload(FILE *out, const char *name, const struct payload *p)
{
	fprintf(out, ",\"%s\":{\"size\":%u", name, p->size);
	field_count(out, "mss", p->mss);
	field_count(out, "retransmissions", p->again);
	field_flag(out, "acked", p->acked);
	fputc('}', out);
}

static void field_far_side(FILE *out, const struct session *session, const struct connection *c)
{
	const struct far_side *far = &c->far;

	field_string(out, "left_by",
		     c->forwarded_by ? session_iface_name(session, c->forwarded_by) : NULL);
	field_flag(out, "stayed", c->not_forwarded);
	if (!far->seen) {
		fputs(",\"far\":null", out);
		return;
	}
	fprintf(out, ",\"far\":{\"syn\":%" PRId64, far->syn);
	field_string(out, "iface", session_iface_name(session, far->ifindex));
	field_address(out, "client", &far->client.address);
	field_count(out, "client_port", far->client.port);
	field_address(out, "server", &far->server.address);
	field_count(out, "server_port", far->server.port);
	field_vlans(out, far->client.vlan);
	field_ns(out, "synack", far->synack);
	field_ns(out, "client_first", far->client_first);
	field_ns(out, "syn_crossing", c->syn_forwarding_delay);
	field_ns(out, "synack_crossing", c->synack_forwarding_delay);
	field_ns(out, "payload_crossing", c->payload_forwarding_delay);
	fputc('}', out);
}

uint32_t json_name_of(const struct names *names, const struct connection *c)
{
	struct client_key client = client_key_of(&c->client);
	unsigned int others;

	if (!names || c->name)
		return names ? c->name : 0;
	return names_of_address(names, &client, &c->server.address, &others);
}

/* Only --names all has this field. */
static void field_name(struct report *r, const struct connection *c)
{
	uint32_t number = r->numeric ? 0 : json_name_of(r->names, c);
	char name[FORMAT_DNS_NAME];

	if (r->session->names_mode == NAMES_ALL)
		field_string(r->out, "name",
			     number ? format_dns_name(name, names_name(r->names, number)) : NULL);
}

static void json_connection(struct report *r, const struct connection *c)
{
	FILE *out = r->out;
	unsigned int i;

	fputs("{\"type\":\"connection\"", out);
	field_count(out, "connect", c->connect);
	field_string(out, "iface", session_iface_name(r->session, c->ifindex));
	field_address(out, "client", &c->client.address);
	field_count(out, "client_port", c->client.port);
	field_mac(out, "client_mac", c->has_mac, c->mac);
	field_address(out, "server", &c->server.address);
	field_count(out, "server_port", c->server.port);
	field_endpoint(out, "behind", c->nat_endpoint.port ? &c->nat_endpoint : NULL);
	field_flag(out, "offloaded", c->offloaded);
	field_vlans(out, c->client.vlan);
	field_string(out, "outcome", outcome_names[c->outcome]);
	field_name(r, c);
	field_ns(out, "name_wait", stage_duration(c, STAGE_NAME));
	field_ns(out, "syn", c->syn);
	fputs(",\"syn_times\":[", out);
	for (i = 0; i < c->syn_times_count; i++)
		fprintf(out, "%s%" PRId64, i ? "," : "", c->syn_times[i]);
	fputc(']', out);
	field_ns(out, "syn_last", c->syn_last);
	field_count(out, "syn_count", c->syn_count);
	field_count(out, "syn_copies", c->syn_copies);
	field_ns(out, "synack", c->synack);
	field_count(out, "synack_count", c->synack_count);
	field_count(out, "synack_copies", c->synack_copies);
	field_ns(out, "ack", c->ack);
	field_ns(out, "client_first", c->client_first);
	field_ns(out, "server_first", c->server_first);
	field_ns(out, "fin", c->fin);
	field_string(out, "fin_from", side_names[c->fin_from]);
	field_ns(out, "rst", c->rst);
	field_string(out, "rst_from", side_names[c->rst_from]);
	if (c->icmp == NEVER) {
		fputs(",\"icmp\":null", out);
	} else {
		fprintf(out, ",\"icmp\":{\"time\":%" PRId64 ",\"type\":%u,\"code\":%u", c->icmp,
			c->icmp_type, c->icmp_code);
		field_address(out, "from", &c->icmp_from);
		fputc('}', out);
	}
	field_flag(out, "from_gateway", c->from_gateway);
	field_count(out, "synack_after_ack", c->synack_after_ack);
	field_flag(out, "challenged", c->challenged);
	field_payload(out, "client_payload", &c->client_payload);
	field_payload(out, "server_payload", &c->server_payload);
	field_ns(out, "wait", c->wait);
	field_ns(out, "answer", c->answer);
	field_ns(out, "banner", c->banner);
	field_ns(out, "client_round_trip", c->client_round_trip);
	field_ns(out, "server_round_trip", c->server_round_trip);
	field_far_side(out, r->session, c);
	field_string(out, "settled_by", end_reason_names[c->end_reason]);
	field_ns(out, "watched", c->watched);
	fputs("}\n", out);
}

/* Writes the fields that identify a wait: its connection, start and length. */
static void fields_wait(FILE *out, const struct stall *s)
{
	field_address(out, "client", &s->from.address);
	field_count(out, "client_port", s->from.port);
	field_mac(out, "client_mac", s->has_mac, s->mac);
	field_address(out, "server", &s->to.address);
	field_count(out, "server_port", s->to.port);
	field_endpoint(out, "behind", s->nat_endpoint.port ? &s->nat_endpoint : NULL);
	field_vlans(out, s->from.vlan);
	field_ns(out, "start", s->start);
	field_ns(out, "wait", s->wait);
}

void json_stall(struct report *r, const struct stall *s, bool ended)
{
	fputs("{\"type\":\"stall\"", r->out);
	fields_wait(r->out, s);
	field_flag(r->out, "ended", ended);
	fputs("}\n", r->out);
}

static void json_notice(struct report *r, ns_t now, const char *text)
{
	fputs("{\"type\":\"notice\"", r->out);
	field_ns(r->out, "time", now);
	field_string(r->out, "text", text);
	fputs("}\n", r->out);
}

void json_peer(struct report *r, const struct diagnosis *d, const struct peer *p)
{
	struct cohort cohort = model_cohort(&d->hosts, p);
	const struct pair *pairs[100];
	char text[FORMAT_ADDRESS];
	FILE *out = r->out;
	size_t n, i;

	fputs("{\"type\":\"peer\"", out);
	field_address(out, "server", &p->server.address);
	field_count(out, "server_port", p->server.port);
	field_vlans(out, p->server.vlan);
	field_string(out, "service", r->numeric ? NULL : peer_service(d, &p->server));
	field_count(out, "connections", p->connections);
	field_count(out, "answered", p->answered);
	field_count(out, "answered_late", p->answered_late);
	field_count(out, "unanswered", p->failures[FAILURE_SILENT]);
	field_count(out, "one_syn", p->failures[FAILURE_ONE_SYN]);
	field_count(out, "too_early", p->failures[FAILURE_TOO_EARLY]);
	field_count(out, "refused", p->failures[FAILURE_REFUSED]);
	field_count(out, "unreachable", p->failures[FAILURE_UNREACHABLE]);
	if (p->failures[FAILURE_UNREACHABLE]) {
		fprintf(out, ",\"icmp\":{\"type\":%u,\"code\":%u", p->icmp_type, p->icmp_code);
		field_address(out, "from", &p->icmp_from);
		fputc('}', out);
	} else {
		fputs(",\"icmp\":null", out);
	}
	field_count(out, "by_gateway", p->by_gateway);
	field_count(out, "left", p->forwarded);
	field_count(out, "stayed", p->not_forwarded);
	field_count(out, "swallowed", p->answer_dropped);
	field_count(out, "failed_syns", p->failed_syns);
	field_ns(out, "first_failure", p->first_failure);
	field_ns(out, "last_failure", p->last_failure);
	field_cohort(out, &cohort);
	field_count(out, "client_count", p->clients_failed);
	fputs(",\"clients\":[", out);
	n = peer_pairs(p, pairs, sizeof(pairs) / sizeof(pairs[0]));
	for (i = 0; i < n; i++)
		fprintf(out, "%s\"%s\"", i ? "," : "",
			format_address(text, &pairs[i]->who.client->key.address));
	fputs("]}\n", out);
}

void json_host(FILE *out, const struct host *h)
{
	const struct client *first = h->clients[0];
	char text[FORMAT_ADDRESS];
	size_t i;

	fputs("{\"type\":\"host\"", out);
	field_address(out, "host", &first->key.address);
	field_mac(out, "mac", first->has_mac, first->mac);
	field_vlans(out, first->key.vlan);
	fputs(",\"addresses\":[", out);
	for (i = 0; i < h->client_count; i++)
		if (!i || memcmp(&h->clients[i]->key.address, &h->clients[i - 1]->key.address,
				 sizeof(struct address)))
			fprintf(out, "%s\"%s\"", i ? "," : "",
				format_address(text, &h->clients[i]->key.address));
	fputc(']', out);
	field_count(out, "connections", h->connections);
	field_count(out, "established", h->established);
	field_count(out, "decided", h->decided);
	field_count(out, "stalls", h->stalls);
	field_count(out, "undecided", h->idle);
	field_ns(out, "worst_wait", h->worst_wait);
	fputs("}\n", out);
}

static void field_ledger(FILE *out, const struct ledger *l)
{
	const char *separator = "";
	int row, stage, manner;

	fprintf(out, ",\"ledger\":{\"connects\":%" PRIu64, ledger_connects(l));
	for (row = 0; row < LEDGER_ROWS; row++)
		field_count(out, ledger_row_names[row], ledger_row(l, row));
	fputs(",\"rows\":[", out);
	for (row = 0; row < LEDGER_ROWS; row++)
		for (stage = 0; stage < STAGES; stage++)
			for (manner = 0; manner < MANNERS; manner++) {
				if (!l->count[row][stage][manner])
					continue;
				fprintf(out, "%s{\"row\":\"%s\"", separator, ledger_row_names[row]);
				field_string(out, "stage",
					     row == ROW_IN_TIME ? NULL : stage_names[stage]);
				field_string(out, "how", manner_names[manner]);
				field_count(out, "count", l->count[row][stage][manner]);
				fputc('}', out);
				separator = ",";
			}
	fputs("]}", out);
}

/* Writes the longest wait of a client for a stage, or null. */
static void field_longest(FILE *out, const struct longest_wait *w)
{
	if (w->duration == NEVER) {
		field_string(out, "longest_wait", NULL);
		return;
	}
	fprintf(out, ",\"longest_wait\":{\"duration\":%" PRId64, w->duration);
	field_string(out, "stage", stage_names[w->stage]);
	field_endpoint(out, "client", &w->client);
	field_endpoint(out, "server", &w->server);
	fputc('}', out);
}

/* Writes the counters of this host that grew, and those that could not be read. */
static void field_gateway_drops(FILE *out, const struct host_drops *drops)
{
	const char *comma = "";
	size_t i;

	if (!drops->is_read) {
		fputs(",\"gateway_drops\":null", out);
		return;
	}
	fputs(",\"gateway_drops\":{\"grew\":[", out);
	for (i = 0; i < drops->count; i++) {
		const struct drop_growth *g = &drops->grown[i];

		fprintf(out, "%s{\"counter\":\"%s\"", i ? "," : "",
			drop_counter_infos[g->counter].name);
		field_string(out, "interface", g->iface[0] ? g->iface : NULL);
		field_string(out, "qdisc", g->kind[0] ? g->kind : NULL);
		field_count(out, "count", g->count);
		fputc('}', out);
	}
	fputs("],\"not_read\":[", out);
	for (i = 0; i < DROP_COUNTERS; i++) {
		if (drops->available[i])
			continue;
		fprintf(out, "%s\"%s\"", comma, drop_counter_infos[i].name);
		comma = ",";
	}
	fprintf(out, "],\"folded\":%zu}", drops->omitted);
}

void json_summary(struct report *r, const struct model *m, const struct diagnosis *d)
{
	const struct session *session = r->session;
	FILE *out = r->out;
	int i;

	fputs("{\"type\":\"summary\"", out);
	field_string(out, "state", state_names[d->state]);
	field_string(out, "verdict", d->headline);
	field_ledger(out, &d->ledger);
	field_comparison(out, "contrast", &d->unexplained);
	field_longest(out, &m->longest);
	field_names(out, d);
	field_ns(out, "duration", session->duration);
	field_count(out, "connections", m->connections);
	for (i = 0; i < OUTCOMES; i++)
		field_count(out, outcome_names[i], m->outcomes[i]);
	field_count(out, "hosts", d->hosts.count);
	field_count(out, "hosts_stalled", d->hosts.affected);
	field_count(out, "stalls", m->stall_count);
	field_count(out, "undecided", m->idle.count);
	field_count(out, "findings", d->count);
	field_count(out, "late_banners", m->late_banners);
	field_count(out, "unused", m->unused);
	field_count(out, "offloaded", m->offloaded);
	fprintf(out, ",\"nat\":{\"known\":%s", session->nat.known ? "true" : "false");
	field_count(out, "behind", session->nat.translated);
	field_count(out, "own", session->nat.own);
	field_count(out, "lost", session->nat.lost);
	fputc('}', out);
	field_gateway_drops(out, &d->drops);
	field_count(out, "retried", m->retried);
	field_count(out, "joined", session->joined);
	field_count(out, "ambiguous", session->ambiguous);
	field_count(out, "already_open", session->counters[COUNT_ALREADY_OPEN]);
	field_count(out, "synack_alone", session->counters[COUNT_SYNACK_ALONE]);
	field_count(out, "resets_not_counted", session->counters[COUNT_RESETS_NOT_COUNTED]);
	field_count(out, "narrowed", session->counters[COUNT_NOT_SELECTED]);
	field_count(out, "folded", m->dropped_details + d->dropped);
	field_count(out, "late_syn_copies", session->counters[COUNT_LATE_SYN_COPIES]);
	fputs(",\"percentiles\":{", out);
	write_percentiles(out, "name", &d->name_summary.durations);
	fputc(',', out);
	write_percentiles(out, "name_wait", &d->name_summary.waits);
	fputc(',', out);
	write_percentiles(out, "wait", &m->waits);
	fputc(',', out);
	write_percentiles(out, "answer", &m->answers);
	fputc(',', out);
	write_percentiles(out, "client_round_trip", &m->client_round_trips);
	fputc(',', out);
	write_percentiles(out, "server_round_trip", &m->server_round_trips);
	fputc(',', out);
	write_percentiles(out, "syn_crossing", &m->syn_forwarding_delays);
	fputc(',', out);
	write_percentiles(out, "synack_crossing", &m->synack_forwarding_delays);
	fputc(',', out);
	write_percentiles(out, "payload_crossing", &m->payload_forwarding_delays);
	fprintf(out, "},\"bytes\":{\"all\":%" PRIu64, session->bytes);
	field_count(out, "udp_443", session->counters[COUNT_UDP_443_BYTES]);
	field_count(out, "udp_dns", session->counters[COUNT_UDP_DNS_BYTES]);
	field_count(out, "udp_other", session->counters[COUNT_UDP_BYTES]);
	fprintf(out, "},\"not_understood\":{\"fragments\":%" PRIu64,
		session->counters[COUNT_FRAGMENTS]);
	field_count(out, "malformed", session->counters[COUNT_MALFORMED]);
	field_count(out, "ip_other", session->counters[COUNT_IP_OTHER]);
	field_count(out, "unknown_link", session->counters[COUNT_UNKNOWN_LINK]);
	fputs(",\"ethertypes\":{", out);
	for (i = 0; i < MAX_ETHERTYPES && session->ethertypes[i].packets; i++)
		fprintf(out, "%s\"0x%04x\":%" PRIu64, i ? "," : "",
			session->ethertypes[i].ethertype, session->ethertypes[i].packets);
	fprintf(out, "}},\"lost\":{\"sum\":%" PRIu64, session_losses(session));
	for (i = FIRST_LOSS; i < COUNTERS; i++)
		field_count(out, counter_names[i], session->counters[i]);
	fputc('}', out);
	fprintf(out, ",\"blind\":{\"received\":%" PRId64, session_blind_time(session, INGRESS));
	field_ns(out, "sent", session_blind_time(session, EGRESS));
	fputc('}', out);
	field_interfaces(out, session, true);
	field_string(out, "cut", session->cut);
	fputs("}\n", out);
}

/* Writes one object for each stall that a finding explains. */
static void write_causes(FILE *out, const struct model *m, const struct diagnosis *d)
{
	const struct stall *s;
	size_t number;

	TAILQ_FOREACH(s, &m->stalls, by_age) {
		number = diagnosis_of_stall(d, s);
		if (!number)
			continue;
		fputs("{\"type\":\"cause\"", out);
		field_count(out, "finding", number);
		fields_wait(out, s);
		fputs("}\n", out);
	}
}

static void json_ended(struct report *r, const struct model *m, const struct diagnosis *d)
{
	const struct peer **peers;
	size_t count, i;

	for (i = 0; i < m->idle.count; i++)
		json_stall(r, &m->idle.at[i], false);
	peers = model_failing_peers(m, &count);
	if (!peers || !d->hosts.at)
		r->error = ENOMEM;
	for (i = 0; peers && i < count && d->hosts.count; i++)
		json_peer(r, d, peers[i]);
	free(peers);
	for (i = 0; d->hosts.at && i < d->hosts.count; i++)
		json_host(r->out, &d->hosts.at[i]);
	for (i = 0; i < d->count; i++)
		json_finding(r, d, i + 1);
	write_causes(r->out, m, d);
	json_summary(r, m, d);
}

static void json_stall_event(struct report *r, const struct stall *s, bool ended)
{
	if (ended) /* json_ended() writes the waits that are still open */
		json_stall(r, s, true);
}

const struct report_format report_json = {
	.started = json_started,
	.connection = json_connection,
	.stall = json_stall_event,
	.notice = json_notice,
	.ended = json_ended,
};
