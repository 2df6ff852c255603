/* The pictures, each of which answers one question, and the tables with their figures. */

const SYMBOL = { syn: 'M-4.5,-4 L4.5,-4 L0,4.5 Z', cross: 'M-3.5,-3.5 L3.5,3.5 M3.5,-3.5 L-3.5,3.5' };

const symbol = (kind, x, y, attributes) => svg('path', { d: SYMBOL[kind], transform: 'translate(' +
	Math.round(x * 10) / 10 + ' ' + Math.round(y * 10) / 10 + ')', ...attributes });

/* What the fingertip hits. */
const pad = (x, y, size = 18) => rect(x - size / 2, y - size / 2, size, size, { class: 'pad' });

/* Oblique lines, so that silence is not told by its colour alone. An id serves one svg. */
let patterns = 0;

function hatching() {
	const id = 'hatch-' + ++patterns;

	return [id, svg('defs', {}, svg('pattern', { id, width: 6, height: 6, patternUnits: 'userSpaceOnUse',
		patternTransform: 'rotate(45)' }, line(0, 0, 0, 6, { class: 'hatch' })))];
}

/* ---- one wait, and what was pending meanwhile, on one axis ---- */

function timeLine(e) {
	const held = e.ack === null; /* the wait lies before the SYN */
	const began = held ? e.syn_times[0] ?? e.syn : e.ack;
	const ended = held ? e.syn : e.first_payload;
	const server = endpointOf(e.server);
	const peer = e.waited_for && endpointOf(e.waited_for);
	const steps = held ? [] : [['SYN', e.syn], ['SYN-ACK', e.synack], ['ACK', e.ack]].filter(([, at]) => at !== null);

	return { held, began, ended, server, peer, steps, client: endpointOf(e.client), wait: ended - began };
}

function waitSentence(e, t) {
	const count = e.syn_times.length;
	const tries = (count === 8 ? '8 SYNs or more' : plural(count, 'SYN')) + ' to ' + t.peer;

	if (t.held)
		return 'The client asked ' + t.peer + ' first (' + tries + '), and only ' + duration(t.wait) +
			' after that began it sent its SYN to ' + t.server + '.';
	return 'The server’s SYN-ACK took ' + duration(e.synack === null ? null : e.synack - e.syn) +
		'. Then the client, whose turn it was, said nothing for ' + duration(t.wait) + (!t.peer ?
		', and nothing on the wire tells what it waited for.' : e.resolved === null ?
		'. Meanwhile it sent ' + tries + ', and nothing came back.' :
		'. Meanwhile it had ' + tries + ' pending, which came to an end ' + duration(e.first_payload - e.resolved) + ' before.');
}

function drawWait(width, e, t, label) {
	const inset = t.steps.length > 1 ? Math.min(Math.max(width * 0.24, 128), 230) : 0;
	const from = Math.min(t.began, ...e.syn_times);
	const to = Math.max(t.ended, ...e.syn_times, e.resolved ?? t.ended);
	const left = inset + 14, right = width - 14;
	const x = scale(from, to, left, right);
	const top = 46, bar = 30, lane = 130, bottom = t.peer ? 190 : 112;
	const [hatch, defs] = hatching();
	const parts = [defs];
	const since = (at) => (at < t.began ? '' : '+') + duration(at - t.began);
	const step = stepOf(to - from, width < 560 ? 4 : 10);

	for (const at of multiples(from - t.began, to - t.began, step))
		parts.push(line(x(t.began + at), top - 12, x(t.began + at), bottom, { class: 'grid' }),
			text(x(t.began + at), bottom + 18, brief(at), { class: 'axis', 'text-anchor': 'middle' }));

	/* The connection: a handshake too short for the axis stands beside it, its steps side by side. */
	parts.push(text(0, 16, t.held ? t.client + ' → ' + t.server : shorten(t.client + ' → ' + t.server, width, 13), { class: 'lane' }));
	if (inset) {
		const middle = top + bar / 2;
		const place = (i) => 20 + i * (inset - 40) / (t.steps.length - 1);

		parts.push(rect(0, top - 14, inset, bar + 42, { class: 'inset', rx: 6 }),
			line(place(0), middle, place(t.steps.length - 1), middle, { class: 'thread' }),
			line(inset, middle, x(t.began), middle, { class: 'thread' }));
		t.steps.forEach(([name, at], i) => {
			parts.push(mark(0, [name, fineClock(at), since(at) + ' from the handshake’s ACK'], pad(place(i), middle),
				svg('circle', { cx: place(i), cy: middle, r: 5, class: 'dot' })),
				text(place(i), middle + 20, name, { class: 'small', 'text-anchor': 'middle' }));
			if (i)
				parts.push(text((place(i - 1) + place(i)) / 2, middle - 9, duration(at - t.steps[i - 1][1]),
					{ class: 'small', 'text-anchor': 'middle' }));
		});
		parts.push(text(inset / 2, top + bar + 22, 'enlarged', { class: 'axis', 'text-anchor': 'middle' }));
	}
	const words = duration(t.wait) + (right - left > 330 ? (t.held ? ' before the SYN' : ' of silence') : '');

	parts.push(mark(0, [duration(t.wait) + (t.held ? ' until the SYN' : ' of silence'),
		'from ' + fineClock(t.began) + ' to ' + fineClock(t.ended), t.client + ' → ' + t.server],
		rect(x(t.began), top, x(t.ended) - x(t.began), bar, { class: 'stall', rx: 3 }),
		rect(x(t.began), top, x(t.ended) - x(t.began), bar, { fill: 'url(#' + hatch + ')', rx: 3 }),
		rect((x(t.began) + x(t.ended)) / 2 - room(words, 14) / 2 - 8, top + 5, room(words, 14) + 16, bar - 10, { class: 'plate', rx: 3 }),
		text((x(t.began) + x(t.ended)) / 2, top + bar / 2 + 5, words, { class: 'strong', 'text-anchor': 'middle' })));
	const last = t.held ? 'SYN' : 'first byte';

	parts.push(mark(0, [t.held ? 'SYN to ' + t.server : 'first byte', fineClock(t.ended), since(t.ended)],
		pad(x(t.ended), top + bar / 2), line(x(t.ended), top - 8, x(t.ended), top + bar + 8, { class: 'event' }),
		svg('circle', { cx: x(t.ended), cy: top + bar / 2, r: 5, class: 'dot' })),
		text(Math.min(x(t.ended) + 6, width), top - 14, last, { class: 'small', 'text-anchor': 'end' }));

	if (t.peer) {
		const y = lane + 26;
		const over = e.resolved ?? Math.max(t.ended, e.syn_times[e.syn_times.length - 1]);
		let free = -Infinity;

		parts.push(text(0, lane, 'SYNs to ' + t.peer, { class: 'lane peer' }),
			line(x(e.syn_times[0]), y, x(over), y, { class: 'pending' }));
		e.syn_times.forEach((at, i) => {
			parts.push(mark(1, ['SYN ' + (i + 1) + ' to ' + t.peer, fineClock(at), since(at)], pad(x(at), y),
				symbol('syn', x(at), y, { class: 'culprit' })));
			const when = since(at);

			if (x(at) - room(when, 11) / 2 > free && x(at) + room(when, 11) / 2 < right + 10) {
				parts.push(text(Math.max(x(at), room(when, 11) / 2), y + 20, when, { class: 'axis', 'text-anchor': 'middle' }));
				free = x(at) + room(when, 11) / 2 + 6;
			}
		});
		if (e.resolved !== null)
			parts.push(mark(1, ['the attempt came to an end', fineClock(over), since(over)], pad(x(over), y),
				svg('circle', { cx: x(over), cy: y, r: 5, class: 'dot' })));
		parts.push(text(width, lane, e.resolved === null ? 'no answer' : 'ends at ' + since(over),
			{ class: 'lane peer', 'text-anchor': 'end' }));
	}
	if (inset)
		parts.push(text(0, bottom + 18, inset < 190 ? 'since the ACK' : 'time since the handshake’s ACK', { class: 'axis' }));
	return canvas(width, bottom + 26, label, parts);
}

function waitPicture(e, level) {
	const t = timeLine(e);
	const question = t.held ? 'What came before this connection?' : 'What happened on one of these connections?';
	const rows = [...t.steps.map(([name, at]) => [name, t.client, t.server, at]),
		...e.syn_times.map((at, i) => ['SYN ' + (i + 1), t.client.replace(/:\d+$/, ''), t.peer, at]),
		[t.held ? 'SYN' : 'first byte', t.client, t.server, t.ended]];

	if (e.resolved !== null)
		rows.push(['attempt over', t.peer, '', e.resolved]);
	rows.sort((a, b) => a[3] - b[3]);
	return picture({
		level, question, answer: waitSentence(e, t),
		draw: (width) => drawWait(width, e, t, question),
		tables: table('One wait, step by step', ['Time', '#From the start of the wait', 'What', 'Client', 'Server'],
			rows.map(([what, client, server, at]) => [fineClock(at), duration(at - t.began), what, client, server])),
	});
}

/* ---- hosts over time ---- */

/* The span that is drawn: all the run, or since when most of the hosts that stalled are known. */
function span(rows) {
	const since = rows.filter((h) => h.stalls.length || h.attempts.length).map((h) => h.since).sort((a, b) => a - b);
	const from = since.length && since[Math.floor(since.length / 2)] ? since[Math.floor(since.length / 2)] : 0;

	return { from, to: Math.max(summary.duration, from + MS, ...rows.flatMap((h) => h.attempts.map((c) => c.syn_last))) };
}

function timeAxis(from, to, x, top, y, width) {
	const long = to - from >= 3 * SECOND;
	const offset = (Number(run.start.slice(20, -1)) + run.utc_offset * SECOND + Date.parse(run.start.slice(0, 19) + 'Z') * MS % (86400 * SECOND));
	const step = stepOf(to - from, Math.max(2, width / (long ? 92 : 70)));
	const words = (at) => !long ? '+' + brief(at) : step >= 86400 * SECOND ? wall(at).slice(5, 10) :
		step >= 60 * SECOND ? clock(at).slice(0, 5) : clock(at);

	return multiples(long ? from + offset : from, long ? to + offset : to, step).map((tick) => {
		const at = long ? tick - offset : tick;

		return [line(x(at), top, x(at), y, { class: 'grid' }),
			x(at) > 20 && text(x(at), y + 16, words(at), { class: 'axis', 'text-anchor': 'middle' })];
	});
}

const stallLines = (s) => [
	s.ended ? 'stall of ' + duration(s.wait) : 'waiting for ' + duration(s.wait) + ', still so at the end',
	endpoint(s.client, s.client_port, s.vlans) + ' → ' + endpoint(s.server, s.server_port),
	'from ' + fineClock(s.start) + ' to ' + (s.ended ? fineClock(s.start + s.wait) : 'the end'),
];

const attemptLines = (c) => [failure(c), c.client + ' → ' + endpoint(c.server, c.server_port), 'first SYN at ' + fineClock(c.syn)];

const shareOf = (h) => h.decided ? h.stalled + ' of ' + h.decided : '–';

/* One row of marks: stalls as bars above, attempts that failed as marks below. */
function drawHost(h, i, y, height, x, view, culprit) {
	const bar = height >= 20 ? 10 : 7;
	const below = y + height - (height >= 20 ? 5 : 4);
	const inside = (from, to) => to >= view.from && from <= view.to;
	const edge = (at) => x(Math.min(Math.max(at, view.from), view.to));
	const stalls = h.stalls.filter((s) => inside(s.start, s.start + s.wait)).map((s) => {
		const width = Math.max(edge(s.start + s.wait) - edge(s.start), 3);

		return [s.start, mark(i, [h.name + ': ' + stallLines(s)[0], ...stallLines(s).slice(1)],
			rect(edge(s.start), y + 2, width, bar, { class: s.ended ? 'stall bar' : 'undecided bar', rx: 2 }))];
	});
	const attempts = h.attempts.filter((c) => inside(c.syn, c.syn_last)).map((c) => {
		const is = culprit(c);

		return [c.syn, mark(i, [h.name + ': ' + attemptLines(c)[0], ...attemptLines(c).slice(1)],
			line(edge(c.syn), below, edge(c.syn_last), below, { class: is ? 'tries peer' : 'tries' }),
			pad(edge(c.syn), below, 10),
			symbol(is ? 'syn' : 'cross', edge(c.syn), below, { class: is ? 'culprit' : 'failed' }))];
	});

	return [...stalls, ...attempts].sort((a, b) => a[0] - b[0]).map(([, node]) => node);
}

function drawHosts(width, groups, culprit, label) {
	const count = groups.reduce((n, g) => n + g.hosts.length, 0);
	const height = count <= 16 ? 24 : count <= 32 ? 20 : 16;
	const names = groups.flatMap((g) => g.hosts.map((h) => room(h.name) + 14));
	const left = Math.min(Math.max(...names, 60), width < 560 ? 124 : 240);
	const wide = width >= 560;
	const right = width - (wide ? 190 : 62);
	const view = span(groups.flatMap((g) => g.hosts));
	const x = scale(view.from, view.to, left, right);
	const parts = [], rows = [];
	let y = 4, row = 0;

	for (const group of groups) {
		rows.push(text(0, y + 14, group.title, { class: 'group' }));
		if (wide && group === groups[0])
			rows.push(text(width - 84, y + 14, 'stalled', { class: 'axis', 'text-anchor': 'end' }),
				text(width, y + 14, 'longest wait', { class: 'axis', 'text-anchor': 'end' }));
		y += 22;
		for (const h of group.hosts) {
			if (group.hurt)
				parts.push(rect(left, y, right - left, height - 1, { class: 'hurt' }));
			parts.push(line(left, y + height - 0.5, right, y + height - 0.5, { class: 'row' }));
			rows.push(text(0, y + height / 2 + 4, shorten(h.name, left - 8), { class: height < 20 ? 'small' : 'name' }),
				text(wide ? width - 84 : width, y + height / 2 + 4, shareOf(h), { class: height < 20 ? 'small' : 'name', 'text-anchor': 'end' }),
				wide && text(width, y + height / 2 + 4, duration(h.worst_wait), { class: height < 20 ? 'small' : 'name', 'text-anchor': 'end' }));
			if (h.since > view.from)
				rows.push(mark(row, [h.name, 'before ' + clock(h.since) + ' it had more stalls and failed attempts than the page holds'],
					rect(left, y + 1, x(Math.min(h.since, view.to)) - left, height - 3, { class: 'unknown' })));
			rows.push(drawHost(h, row++, y, height, x, view, culprit));
			y += height;
		}
		if (group.more)
			rows.push(text(0, y + 14, group.more, { class: 'small' }));
		y += group.more ? 26 : 10;
	}
	parts.push(timeAxis(view.from, view.to, x, 4, y, right - left));
	return canvas(width, y + 24, label, parts, rows.flat(Infinity).filter(Boolean));
}

const hostLegend = (hurt, culprit, words) => [
	hurt && [rect(1, 3, 16, 8, { class: 'stall bar', rx: 2 }), 'stall: the client is silent after the handshake'],
	culprit && [symbol('syn', 9, 7, { class: 'culprit' }), words],
].filter(Boolean);

const hostTables = (rows) => {
	const stalls = rows.flatMap((h) => h.stalls), attempts = rows.flatMap((h) => h.attempts);

	return [
		table('Hosts', ['Host', 'Addresses', 'MAC', '#Attempts', '#Stalled', '#of', '#Worst wait', '#Undecided'], rows.map((h) =>
			[h.name, h.addresses.join(' '), h.mac ?? '–', h.connections, h.stalled, h.decided, duration(h.worst_wait), h.undecided])),
		stalls.length > 0 && table('Stalls', ['From', 'Client', 'Server', '#Wait'], stalls.map((s) =>
			[fineClock(s.start), endpoint(s.client, s.client_port, s.vlans), endpoint(s.server, s.server_port),
				duration(s.wait) + (s.ended ? '' : ' so far')])),
		attempts.length > 0 && table('Attempts that failed', ['First SYN', 'Client', 'Server', '#SYNs', 'What became of it'],
			attempts.map((c) => [fineClock(c.syn), endpoint(c.client, 0, c.vlans), endpoint(c.server, c.server_port), c.syn_count, failure(c)])),
	];
};

/* All hosts of the page: affected ones first. */
function overviewPicture(level) {
	const blamed = findings.filter((f) => f.peer && f.locked > 0);
	const culprit = (c) => blamed.some((f) => concerns(f, c));
	const order = (list) => [...list].sort((a, b) => b.stalled - a.stalled || a.name.localeCompare(b.name, 'en', { numeric: true }));
	const hurt = order(hosts.filter((h) => h.stalled)), tried = order(hosts.filter((h) => !h.stalled && (h.attempts.length || h.undecided)));
	const well = order(hosts.filter((h) => !hurt.includes(h) && !tried.includes(h)));
	const more = leftOut.hosts_more;
	const and = (n) => n ? 'and ' + plural(n, 'host') + ' more' : '';
	const groups = [
		{ hosts: hurt, hurt: true, title: plural(summary.hosts_stalled, 'host') + ' with stalls', more: and(more.stalled) },
		{ hosts: tried, title: plural(tried.length + (more.failed || 0), 'host') + ' with failures' + (tried.some((h) => h.undecided) ? ' or open waits' : ''), more: and(more.failed) },
		{ hosts: well, title: plural(well.length + (more.well || 0) + (more.speechless || 0), 'host') + (tried.length ? ' without either' : ' without a stall'), more: and((more.well || 0) + (more.speechless || 0)) },
	].filter((g) => g.hosts.length);
	const question = hurt.length ? 'Who waited, and when?' : 'Whose attempts failed, and when?';
	const view = span(hosts);
	const legend = hostLegend(hurt.length, blamed.length && hosts.some((h) => h.attempts.some(culprit)),
		'attempt at ' + blamed.map((f) => endpointOf(f.peer)).filter((name, i, list) => list.indexOf(name) === i).join(', ') + ' that failed');

	if (hosts.some((h) => h.attempts.some((c) => !culprit(c))))
		legend.push([symbol('cross', 9, 7, { class: 'failed' }), (blamed.length ? 'another ' : 'an ') + 'attempt that failed']);
	if (hosts.some((h) => h.stalls.some((s) => !s.ended)))
		legend.push([rect(1, 3, 16, 8, { class: 'undecided bar', rx: 2 }), 'still waiting at the end: a stall, or a spare socket']);
	return picture({
		level, question, legend,
		answer: (hurt.length ? summary.hosts_stalled + ' of ' + plural(summary.hosts, 'host') + ' had to wait ' + brief(run.stall) +
			' or more; a row is a host, at its end how many of its connections stalled.' :
			'None of ' + plural(summary.hosts, 'host') + ' stalled; a row is a host.') +
			(view.from ? ' The last ' + duration(view.to - view.from) + ' of ' + duration(summary.duration) +
				' are drawn: what was before is in the counts.' : ''),
		draw: (width) => drawHosts(width, groups, culprit, question),
		tables: hostTables(hosts),
	});
}

/* The hosts that tried what this finding is about. */
function triedPicture(finding, level) {
	const culprit = (c) => concerns(finding, c);
	const rows = hosts.filter((h) => h.attempts.some(culprit)).map((h) =>
		({ ...h, attempts: h.attempts.filter(culprit), stalls: [] })).slice(0, 12);
	const many = hosts.filter((h) => h.attempts.some(culprit)).length;
	const count = rows.reduce((n, h) => n + h.attempts.length, 0);
	const question = 'Who tried it, and when?';
	const name = finding.prefix_length ? finding.peer.address + '/' + finding.prefix_length : endpointOf(finding.peer);

	return rows.length > 0 && picture({
		level, question,
		legend: hostLegend(false, true, 'attempt that failed, and how long its SYNs went on'),
		answer: plural(count, 'failed attempt') + ' at ' + name + ', by ' + plural(rows.length, 'host') + '.',
		draw: (width) => drawHosts(width, [{ hosts: rows, title: plural(many, 'host') + ' tried ' + name,
			more: many > rows.length ? 'and ' + plural(many - rows.length, 'host') + ' more' : '' }], culprit, question),
		tables: hostTables(rows),
	});
}

/* ---- how long are the waits ---- */

/* Bars of a histogram whose heights are by the logarithm of their count, over [top, base]. */
function bars(buckets, x, top, base, most, row, what, kind) {
	const y = (n) => base - Math.log2(1 + n) / Math.log2(1 + most) * (base - top);

	return buckets.map(([from, to, n]) => {
		const left = x(Math.max(from, 1000)), width = Math.max(x(Math.max(to, 1000)) - left - 0.6, 2.4);

		return mark(row, [plural(n, what), duration(from) + ' to ' + duration(to)],
			rect(left, top, width, base - top, { class: 'pad' }), rect(left, y(n), width, base - y(n), { class: kind(from, to) }));
	});
}

const ends = (lists) => {
	const from = Math.min(...lists.flat().map((b) => Math.max(b[0], 1000))), to = Math.max(...lists.flat().map((b) => b[1]));

	return [10 ** Math.floor(Math.log10(from) + 0.02), Math.max(to, 10 * from)];
};

function drawWaits(width, label) {
	const buckets = spread.wait.buckets;
	const [from, longest] = ends([buckets]);
	const to = Math.max(longest * 1.25, run.stall * 2);
	const left = 34, top = 40, base = 190;
	const x = logScale(from, to, left, width - 8);
	const most = Math.max(...buckets.map((b) => b[2]));
	const y = (n) => base - Math.log2(1 + n) / Math.log2(1 + most) * (base - top);
	const timers = findings.filter((f) => f.timer !== null && f.locked > 0);
	const parts = [logAxis(from, to, x, base, base - top)];

	parts.push(text(0, top - 12, 'connections', { class: 'axis' }));
	for (let n = 1; n <= most; n *= 10)
		parts.push(line(left, y(n), width - 8, y(n), { class: 'grid' }),
			text(left - 6, y(n) + 4, n, { class: 'axis', 'text-anchor': 'end' }));
	parts.push(line(x(run.stall), top - 8, x(run.stall), base, { class: 'threshold' }),
		text(x(run.stall) - 5, top - 12, 'a stall from ' + brief(run.stall) + ' on', { class: 'axis', 'text-anchor': 'end' }),
		bars(buckets, x, top, base, most, 0, 'connection', (low) => low >= run.stall * 0.99 ? 'stall' : 'fine'));
	let free = -Infinity;

	for (const f of timers.sort((a, b) => a.timer - b.timer)) {
		const words = duration(f.timer) + (timers.length > 1 ? ' (' + f.number + ')' : '');
		const middle = Math.min(Math.max(x(f.timer), free + room(words, 14) / 2 + 8), width - room(words, 14) / 2);

		if (f.timer < from || f.timer > to)
			continue;
		parts.push(text(middle, 18, words, { class: 'strong', 'text-anchor': 'middle' }),
			line(x(f.timer), 24, x(f.timer), top - 4, { class: 'event' }));
		free = middle + room(words, 14) / 2;
	}
	return canvas(width, base + 28, label, parts);
}

function waitsPicture(level) {
	const question = 'How long do clients wait before they speak?';
	const late = spread.wait.buckets.filter((b) => b[0] >= run.stall * 0.99).reduce((n, b) => n + b[2], 0);
	const timer = findings.find((f) => f.timer !== null && f.locked > 0);

	return picture({
		level, question,
		answer: plural(spread.wait.count, 'connection') + ' by the time from the handshake to the client’s first byte. ' +
			(timer ? 'Load or a slow network would spread the waits; here they stand like a needle at ' +
				duration(timer.timer) + ' (± ' + duration(timer.deviation) + '): somebody’s timer.' :
				late ? plural(late, 'wait') + ' of ' + brief(run.stall) + ' or more, and no timer that they share.' :
				'None of them waited ' + brief(run.stall) + '.'),
		legend: [[rect(3, 2, 5, 12, { class: 'fine' }), 'prompt'], late && [rect(3, 2, 5, 12, { class: 'stall' }), 'stalls']].filter(Boolean),
		draw: (width) => drawWaits(width, question),
		tables: histogramTable('Waits before the client’s first byte', spread.wait, 'connections'),
	});
}

const histogramTable = (title, h, what) =>
	table(title, ['#From', '#To', '#' + what], h.buckets.map(([from, to, n]) => [duration(from), duration(to), n]));

/* ---- the network's own state ---- */

const LANES = [
	['client_round_trip', 'Between the clients and this gateway', 'round trip, by the handshake'],
	['server_round_trip', 'Between this gateway and the servers', 'round trip, by the handshake'],
	['answer', 'Until servers answer a request', 'from its first byte to the answer’s'],
].filter(([key]) => spread[key].count);

function drawNetwork(width, label) {
	const [from, longest] = ends(LANES.map(([key]) => spread[key].buckets));
	const to = longest * 1.3;
	const x = logScale(from, to, 8, width - 8);
	const tall = 96;
	const base = 14 + LANES.length * tall;
	const parts = [logAxis(from, to, x, base, base - 10)];

	LANES.forEach(([key, name], i) => {
		const h = spread[key];
		const floor = 14 + (i + 1) * tall - 12;

		parts.push(text(0, floor - 66, name, { class: 'lane' }),
			line(0, floor, width, floor, { class: 'row' }),
			bars(h.buckets, x, floor - 44, floor, Math.max(...h.buckets.map((b) => b[2])), i, key === 'answer' ? 'answer' : 'round trip', () => 'fine'));
		let free = -Infinity;

		for (const [name, value] of [['half', h.p50], ['99 %', h.p99]]) {
			const words = name + ' ≤ ' + duration(value);
			const at = Math.max(Math.min(Math.max(x(value), room(words, 11) / 2), width - room(words, 11) / 2), free + room(words, 11) / 2 + 8);

			if (at + room(words, 11) / 2 > width + 1)
				continue;
			parts.push(line(x(value), floor - 48, x(value), floor, { class: 'event' }),
				text(at, floor - 51, words, { class: 'small', 'text-anchor': 'middle' }));
			free = at + room(words, 11) / 2;
		}
	});
	return canvas(width, base + 28, label, parts);
}

function networkPicture(level) {
	const question = 'Is the network itself slow?';
	const half = (key) => duration(spread[key].p50);

	return LANES.length > 0 && picture({
		level, question,
		answer: 'This gateway stands in the middle and measures each side by itself. Half of the round trips take at most ' +
			half('client_round_trip') + ' to the clients and ' + half('server_round_trip') + ' to the servers' +
			(spread.answer.count ? '; half of the requests are answered within ' + half('answer') : '') + '.',
		draw: (width) => drawNetwork(width, question),
		tables: [
			table('Times in the network', ['What', '#Measured', '#Half ≤', '#90 % ≤', '#99 % ≤', '#Longest'], LANES.map(([key, name, how]) =>
				[name + ' (' + how + ')', spread[key].count, ...['p50', 'p90', 'p99', 'max'].map((p) => duration(spread[key][p]))])),
			LANES.map(([key, name]) => histogramTable(name, spread[key], 'times')),
		],
	});
}
