'use strict';

/*
 * The data of the page: the objects of --json by type, and their formatting. Times are nanoseconds since
 * the start of the run, durations are nanoseconds. Formats and rounding match the text report.
 */

const objects = document.getElementById('objects').textContent.trim().split('\n')
	.map((line) => JSON.parse(line));

const all = (type) => objects.filter((o) => o.type === type);

const run = all('run')[0];
const summary = all('summary')[0];
const leftOut = all('page')[0] ||
	{ rows: [], traits: [], hosts_more: {}, names: {}, gateway: null };
const spread = summary.percentiles;
const findings = all('finding');
const peers = all('peer');

const MS = 1e6;
const SECOND = 1e9;

/*
 * Escapes untrusted names. Characters that are invisible or change the order of others (controls, bidi
 * marks) are shown by their code point. Markup has no effect, because the page only sets text content.
 */
function visible(text) {
	return String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, (c) =>
		'‹U+' + c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0') + '›');
}

/* Prints a value below 1000 of a unit, of `size` ns, with three significant digits. */
function inUnit(n, size, unit) {
	const value = n / size;
	const whole = size < MS && n % size === 0; /* most captures resolve microseconds */

	return value.toFixed(whole || value >= 100 ? 0 : value >= 10 ? 1 : 2) + ' ' + unit;
}

/* As format_duration() of lib/format.c; '' if there is no value. */
function duration(ns) {
	if (ns === null || ns === undefined)
		return '';
	const sign = ns < 0 ? '-' : '';
	const n = Math.abs(ns);
	const round = (step) => Math.floor((n + Math.floor(step / 2)) / step) * step;
	let step = 1;

	while (n / step >= 1000)
		step *= 10;
	const fine = round(step);
	const seconds = round(SECOND) / SECOND, minutes = round(60 * SECOND) / (60 * SECOND);

	if (!n)
		return '0 µs';
	if (fine < 1000)
		return sign + inUnit(fine, 1, 'ns');
	if (fine < MS)
		return sign + inUnit(fine, 1000, 'µs');
	if (fine < SECOND)
		return sign + inUnit(fine, MS, 'ms');
	if (round(MS) < 60 * SECOND)
		return sign + (round(MS) / SECOND).toFixed(3) + ' s';
	if (seconds < 3600)
		return sign + Math.floor(seconds / 60) + ' min ' + seconds % 60 + ' s';
	return sign + Math.floor(minutes / 60) + ' h ' + minutes % 60 + ' min';
}

/* The local time of the gateway, not of the reader. */
function wall(ns) {
	const whole = Date.parse(run.start.slice(0, 19) + 'Z') / 1000 + run.utc_offset;
	const part = Number(run.start.slice(20, -1));

	return new Date((whole + Math.floor((part + ns) / SECOND)) * 1000).toISOString();
}

/* Time from midnight at the gateway to the start of the run. */
const sinceMidnight = Number(run.start.slice(20, -1)) +
	(Date.parse(run.start.slice(0, 19) + 'Z') / 1000 + run.utc_offset) % 86400 * SECOND;

const day = (ns) => wall(ns).slice(0, 10);
const timeOfDay = (ns) => wall(ns).slice(11, 19);
const isOneDay = day(0) === day(summary.duration);

/* The time of day, after month and day if the run crosses midnight. */
const clock = (ns) =>
	(isOneDay && day(ns) === day(0) ? '' : day(ns).slice(5) + ' ') + timeOfDay(ns);

/* The same with milliseconds. */
function fineClock(ns) {
	const part = (Number(run.start.slice(20, -1)) + ns) % SECOND;

	const milliseconds = Math.floor((part < 0 ? part + SECOND : part) / MS);

	return clock(ns) + '.' + String(milliseconds).padStart(3, '0');
}

function zone() {
	const minutes = Math.round(Math.abs(run.utc_offset) / 60);
	const two = (n) => String(n).padStart(2, '0');

	if (!minutes)
		return 'UTC';
	return 'UTC' + (run.utc_offset < 0 ? '−' : '+') + two(Math.floor(minutes / 60)) + ':' +
		two(minutes % 60);
}

function endpoint(address, port, vlans) {
	const name = !port ? address : (address.includes(':') ? '[' + address + ']' : address) + ':' + port;

	return name + (vlans && vlans.length ? ' vlan ' + vlans.join('.') : '');
}

const endpointOf = (e) => endpoint(e.address, e.port, e.vlans);

/* A resolver; the port of DNS goes without saying. */
const resolverOf = (e) => endpoint(e.address, e.port === 53 ? 0 : e.port, e.vlans);

/* Puts no-break spaces between numbers and their units. */
const bindUnits = (text) => text.replace(/(\d) (ns|µs|ms|s|min|h|%)(?!\w)/g, '$1\u00a0$2')
	.replace(/([±≤]) /g, '$1\u00a0');

const plural = (n, word) => n + ' ' + word + (n === 1 ? '' : 's');

/* ---- hosts, each with its stalls and its failed attempts ---- */

const clientKey = (address, vlans) => address + ' ' + vlans.join('.');

/*
 * A row of the page object: traits and connects of a host. `prompt` are connects that were served in
 * time, `bad` those that were late or failed after the SYN-ACK.
 */
const NO_ROW = { since: 0, traits: [], servers: [], prompt: [], bad: [],
	ledger: { in_time: 0, late: 0, failed: 0, cancelled: 0, undecided: 0, unseen: 0 } };

/* The server of a mark, as concerns() reads it. */
const serverOf = (e) => ({ server: e.address, server_port: e.port, server_vlans: e.vlans });

const byName = (a, b) => a.localeCompare(b, 'en', { numeric: true });

/* The hosts of the page, in the order of each list and picture: by address. */
const hosts = all('host').map((host, i) => {
	const row = leftOut.rows[i] || NO_ROW;

	return {
		...host,
		name: host.host + (host.vlans.length ? ' vlan ' + host.vlans.join('.') : '') +
			(host.addresses.length > 1 ? ' +' + (host.addresses.length - 1) : ''),
		since: row.since,
		traits: row.traits,
		ledger: row.ledger,
		prompt: row.prompt.map(([at, to]) => ({ at, ...serverOf(row.servers[to]) })),
		promptKept: row.prompt.length,
		bad: row.bad.map((c) => ({ ...c, ...serverOf(c.to) })),
		stalled: host.stalls,
		stalls: [],
		attempts: [],
		early: [],
	};
}).sort((a, b) => byName(a.name, b.name));

const hostAt = new Map();

for (const host of hosts)
	for (const address of host.addresses) {
		hostAt.set(clientKey(address, host.vlans), host);
		if (!hostAt.has(address)) /* a fallback: an address of the host may be in another VLAN */
			hostAt.set(address, host);
	}

const hostOf = (o) => hostAt.get(clientKey(o.client, o.vlans)) || hostAt.get(o.client);

for (const stall of all('stall'))
	hostOf(stall)?.stalls.push(stall);
/* The run ended, or the table was full, before silence means anything: SILENT_NS of connection.h. */
const isEarly = (c) => c.outcome === 'unanswered' && c.watched < 3 * SECOND;

for (const attempt of all('connection'))
	hostOf(attempt)?.[isEarly(attempt) ? 'early' : 'attempts'].push(attempt);

/* Describes how an attempt failed. */
function failure(c) {
	const tries = c.syn_count > 1 ?
		plural(c.syn_count, 'SYN') + ' in ' + duration(c.syn_last - c.syn) : 'one SYN';

	if (c.outcome === 'refused')
		return 'refused (RST) by ' + (c.from_gateway ? 'this gateway' : 'the server');
	if (c.outcome === 'unreachable')
		return 'unreachable, reported by ' + (c.from_gateway ? 'this gateway' : c.icmp.from) +
			' (ICMP type ' + c.icmp.type + ' code ' + c.icmp.code + ')';
	return 'no answer: ' + tries + (isEarly(c) ? ', too early to say' : '');
}

/* Names such as "one_syn", as words. */
const nameWords = (name) => name ? String(name).replace(/[_-]/g, ' ') : '';

/* Describes a connect that was late or failed after the SYN-ACK. */
function trouble(c) {
	const stage = { name: 'until its name was answered', connect: 'until the SYN-ACK',
		finish: 'until the ACK', hold: 'until the client’s first byte',
		greeting: 'until the server’s greeting', answer: 'until the first answer' }[c.stage];

	if (c.row === 'late')
		return 'served late: ' + duration(c.end - c.start) + ' ' + stage;
	return 'failed' + (c.how && c.how !== 'none' ? ' (' + nameWords(c.how) + ')' : '') + ': ' +
		(c.end > c.start ? duration(c.end - c.start) + ' of waiting ' : 'waiting ') + stage;
}

/* ---- addresses, for findings about a network ---- */

/* Returns the 128 bits of an IPv6 address, or the 32 of an IPv4 address, as a string of 0 and 1. */
function bits(address) {
	if (!address.includes(':'))
		return address.split('.').map((n) => Number(n).toString(2).padStart(8, '0')).join('');
	const [head, tail] = address.split('::').map((part) => part ? part.split(':') : []);
	const zeros = Array(tail ? 8 - head.length - tail.length : 0).fill('0');
	const groups = [...head, ...zeros, ...(tail || [])];

	return groups.map((n) => parseInt(n, 16).toString(2).padStart(16, '0')).join('');
}

/* The peer or the network that a finding names. */
const subject = (finding) => !finding.peer ? plural(finding.peers.length, 'server') : (finding.peer.zone ?
	finding.peer.zone + ' at ' + resolverOf(finding.peer) : endpointOf(finding.peer)) +
	(finding.prefix_length ? '/' + finding.prefix_length : '');

/*
 * Adds service and name behind the first mention of the finding's peer, as note_headline() of
 * report/peer_text.c does.
 */
function noted(finding, words) {
	const { peer, prefix_length: prefix } = finding || {};
	const note = peer && [peer.service, peer.name].filter(Boolean).join(', ');

	if (!note || prefix)
		return words;
	const is = endpointOf(peer);

	for (let at = words.indexOf(is); at >= 0; at = words.indexOf(is, at + 1)) {
		const rest = words.slice(at + is.length);

		if ((!at || words[at - 1] === ' ') && !/^(\w|[:/]| \(|\.\w)/.test(rest))
			return words.slice(0, at) + is + ' (' + note + ')' + rest;
	}
	return words;
}

/* True for waits after the handshake, false for held connects and for findings about a server. */
const isAboutWaits = (finding) => finding.example !== null && finding.example.ack !== null;

/* True if a finding is about the server of this attempt. */
function concerns(finding, attempt) {
	const is = (e) => e.address === attempt.server && (!e.port || e.port === attempt.server_port);

	if (!finding.peer)
		return finding.peers.some(({ peer }) => is(peer));
	if (finding.prefix_length)
		return finding.peer.address.includes(':') === attempt.server.includes(':') &&
			bits(attempt.server).startsWith(
				bits(finding.peer.address).slice(0, finding.prefix_length));
	return is(finding.peer) || finding.also.some(is) || finding.peers.some(({ peer }) => is(peer));
}
