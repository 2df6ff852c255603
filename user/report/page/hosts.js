/* Who waited, and when? Hosts as rows over the time of the run, those with stalls first. */

/*
 * Returns the time to draw: the whole run, or the end of a long one. From its start on at least half of
 * the hosts have all their stalls and failed attempts on the page; before it, a stall could appear
 * without the attempt that caused it.
 */
function viewOf(rows) {
	const since = rows.filter((h) => h.stalls.length || h.attempts.length).map((h) => h.since)
		.sort((a, b) => a - b);
	const from = since[Math.floor(since.length / 2)] ?? 0;
	const ends = rows.flatMap((h) => h.attempts.map((c) => c.syn_last));

	return { from, to: Math.max(summary.duration, from + MS, ...ends) };
}

function timeAxis(view, x, top, y, width) {
	const span = view.to - view.from;
	const long = span >= 3 * SECOND; /* labels are times of day, else times since the start */
	const midnight = long ? sinceMidnight : 0;
	const step = stepOf(span, Math.max(2, width / (long ? 92 : 70)));
	const isMidnight = (at) => timeOfDay(at) === '00:00:00';
	const words = (at) => !long ? '+' + brief(at) :
		step >= 86400 * SECOND || isMidnight(at) ? day(at).slice(5) :
		step >= 60 * SECOND ? timeOfDay(at).slice(0, 5) : timeOfDay(at);

	return multiples(view.from + midnight, view.to + midnight, step).map((tick) => {
		const at = tick - midnight;

		return [line(x(at), top, x(at), y, { class: 'grid' }),
			x(at) > 20 && text(x(at), y + 16, words(at), 'axis', 'middle')];
	});
}

const stallLines = (h, s) => [
	h.name + ': ' + (s.ended ? 'stall of ' + duration(s.wait) :
		'waiting for ' + duration(s.wait) + ', still so at the end'),
	endpoint(s.client, s.client_port, s.vlans) + ' → ' + endpoint(s.server, s.server_port),
	'from ' + fineClock(s.start) + ' to ' + (s.ended ? fineClock(s.start + s.wait) : 'the end'),
];

const attemptLines = (h, c) => [
	h.name + ': ' + failure(c),
	c.client + ' → ' + endpoint(c.server, c.server_port),
	'first SYN at ' + fineClock(c.syn),
];

/* Returns the marks of a host in the order of time: stalls as bars above, failed attempts below. */
function drawHost(h, row, y, height, x, view, isCulprit) {
	const below = y + height - (height >= 20 ? 5 : 4);
	const isInside = (from, to) => to >= view.from && from <= view.to;
	const edge = (at) => x(Math.min(Math.max(at, view.from), view.to));
	const stalls = h.stalls.filter((s) => isInside(s.start, s.start + s.wait)).map((s) => {
		const width = Math.max(edge(s.start + s.wait) - edge(s.start), 3);

		return [s.start, mark(row, stallLines(h, s),
			rect(edge(s.start), y + 2, width, height >= 20 ? 10 : 7,
				{ class: s.ended ? 'stall' : 'undecided', rx: 2 }))];
	});
	const attempts = h.attempts.filter((c) => isInside(c.syn, c.syn_last)).map((c) => {
		const is = isCulprit(c);

		return [c.syn, mark(row, attemptLines(h, c),
			line(edge(c.syn), below, edge(c.syn_last), below, { class: is ? 'tries peer' : 'tries' }),
			pad(edge(c.syn), below, 10),
			symbol(is ? 'syn' : 'cross', edge(c.syn), below, is ? 'culprit' : 'failed'))];
	});

	return [...stalls, ...attempts].sort((a, b) => a[0] - b[0]).map(([, node]) => node);
}

/*
 * Returns the columns of the traits by which hosts were compared, the best split first, as far as there
 * is room beside the time line.
 */
function traitColumns(rows, start, width) {
	let at = start, spare = width - start - 560;

	return leftOut.traits.map((name, number) => ({ name, number,
		width: Math.min(130, Math.max(...[name, ...rows.map((h) => h.traits[number] ?? '')].map(room)) + 16) }))
		.filter((c) => {
			const fits = c.width <= spare;

			if (fits) {
				c.at = at;
				at += c.width;
				spare -= c.width;
			}
			return fits;
		});
}

/* groups: { title, hosts, isHurt, more }; more is the line about hosts that are left out. */
function drawHosts(width, groups, isCulprit, label) {
	const all = groups.flatMap((g) => g.hosts);
	const height = all.length <= 16 ? 24 : all.length <= 32 ? 20 : 16;
	const type = height < 20 ? 'small' : 'name';
	const wide = width >= 560;
	const longest = Math.max(60, ...all.map((h) => room(h.name) + 14));
	const names = Math.min(longest, wide ? 240 : 124), right = width - (wide ? 190 : 62);
	const columns = traitColumns(all, names, width);
	const left = names + columns.reduce((sum, c) => sum + c.width, 0);
	const view = viewOf(all);
	const x = scale(view.from, view.to, left, right);
	const ground = [], parts = [];
	let y = 4, row = 0;

	if (wide)
		parts.push(text(width - 84, y + 14, 'stalled', 'axis', 'end'),
			text(width, y + 14, 'longest wait', 'axis', 'end'));
	if (columns.length)
		parts.push(columns.map((c) => text(c.at, y + 14, shorten(c.name, c.width - 8), 'axis')));
	for (const group of groups) {
		if (columns.length && y < 5)
			y += 18;
		parts.push(text(0, y + 14, group.title, 'group'));
		y += 22;
		for (const h of group.hosts) {
			const base = y + height / 2 + 4;
			const share = h.decided ? h.stalled + ' of ' + h.decided : '';

			if (group.isHurt)
				ground.push(rect(left, y, right - left, height - 1, { class: 'hurt' }));
			ground.push(line(left, y + height - 0.5, right, y + height - 0.5, { class: 'row' }));
			parts.push(text(0, base, shorten(h.name, left - 8), type),
				text(wide ? width - 84 : width, base, share, type, 'end'),
				wide && text(width, base, duration(h.worst_wait), type, 'end'),
				columns.map((c) => text(c.at, base, shorten(h.traits[c.number], c.width - 8), type)));
			if (h.since > view.from)
				parts.push(mark(row, [h.name, 'before ' + clock(h.since) +
					' it had more stalls and failed attempts than the page holds'],
					rect(left, y + 1, x(Math.min(h.since, view.to)) - left, height - 3,
						{ class: 'unknown' })));
			parts.push(drawHost(h, row++, y, height, x, view, isCulprit));
			y += height;
		}
		if (group.more)
			parts.push(text(0, y + 14, group.more, 'small'));
		y += group.more ? 26 : 10;
	}
	return canvas(width, y + 24, label, ground, timeAxis(view, x, 4, y, right - left), parts);
}

const LEGEND = {
	stall: () => [rect(1, 3, 16, 8, { class: 'stall', rx: 2 }),
		'stall: the client is silent after the handshake'],
	undecided: (more) => [rect(1, 3, 16, 8, { class: 'undecided', rx: 2 }),
		'still waiting at the end: a stall, or a spare socket' +
		(more > 0 ? ' (' + more + ' more are not drawn)' : '')],
	culprit: (words) => [symbol('syn', 9, 7, 'culprit'), words],
	failed: (words) => [symbol('cross', 9, 7, 'failed'), words],
};

function hostTables(rows) {
	const stalls = rows.flatMap((h) => h.stalls), attempts = rows.flatMap((h) => h.attempts);

	return [
		table('Hosts', ['Host', 'Addresses', 'MAC', ...leftOut.traits, '#Attempts', '#Stalled', '#of',
			'#Longest wait', '#Undecided'],
			rows.map((h) => [h.name, h.addresses.join(' '), h.mac ?? '', ...h.traits, h.connections,
				h.stalled, h.decided, duration(h.worst_wait), h.undecided])),
		stalls.length > 0 && table('Stalls', ['From', 'Client', 'Server', '#Wait'],
			stalls.map((s) => [fineClock(s.start), endpoint(s.client, s.client_port, s.vlans),
				endpoint(s.server, s.server_port), duration(s.wait) + (s.ended ? '' : ' so far')])),
		attempts.length > 0 && table('Attempts that failed',
			['First SYN', 'Client', 'Server', '#SYNs', 'What became of it'],
			attempts.map((c) => [fineClock(c.syn), endpoint(c.client, 0, c.vlans),
				endpoint(c.server, c.server_port), c.syn_count, failure(c)])),
	];
}

const andMore = (n) => n ? 'and ' + plural(n, 'host') + ' more' : '';

/* Groups the hosts by stalls, failures or open waits, and neither; the most stalls first. */
function hostGroups() {
	const { stalled = 0, failed = 0, well = 0, speechless = 0 } = leftOut.hosts_more;
	const order = (a, b) =>
		b.stalled - a.stalled || a.name.localeCompare(b.name, 'en', { numeric: true });
	const isTried = (h) => h.attempts.length > 0 || h.undecided > 0;
	const hurt = hosts.filter((h) => h.stalled).sort(order);
	const tried = hosts.filter((h) => !h.stalled && isTried(h)).sort(order);
	const rest = hosts.filter((h) => !h.stalled && !isTried(h)).sort(order);

	return [
		{ hosts: hurt, isHurt: true, title: plural(hurt.length + stalled, 'host') + ' with stalls',
			more: andMore(stalled) },
		{ hosts: tried, title: plural(tried.length + failed, 'host') + ' with failures' +
			(tried.some((h) => h.undecided) ? ' or open waits' : ''), more: andMore(failed) },
		{ hosts: rest, title: plural(rest.length + well + speechless, 'host') +
			(tried.length ? ' without either' : ' without a stall'), more: andMore(well + speechless) },
	].filter((group) => group.hosts.length);
}

function overviewPicture(level) {
	const locked = findings.filter((f) => f.peer && f.example && f.locked > 0);
	const suspects = locked.length ? locked : findings.filter((f) => f.peer).slice(0, 1);
	const attempts = hosts.flatMap((h) => h.attempts), stalls = hosts.flatMap((h) => h.stalls);
	/* a server that is slow or resets requests has opened: no attempt at it is drawn */
	const blamed = suspects.filter((f) => attempts.some((c) => concerns(f, c)));
	const isCulprit = (c) => blamed.some((f) => concerns(f, c));
	const names = [...new Set(blamed.map(subject))].join(', ');
	const open = stalls.filter((s) => !s.ended);
	const undecided = hosts.reduce((n, h) => n + h.undecided, 0);
	const groups = hostGroups();
	const view = viewOf(hosts);
	const isHurt = summary.hosts_stalled > 0;
	const question = isHurt || !attempts.length ? 'Who waited, and when?' :
		'Whose attempts failed, and when?';

	return picture({
		level, question,
		answer: (isHurt ? summary.hosts_stalled + ' of ' + plural(summary.hosts, 'host') +
			' had to wait ' + brief(run.stall) + ' or more' :
			'None of ' + plural(summary.hosts, 'host') + ' stalled') +
			'; a row is a host, at its end how many of its connections stalled.' +
			(view.from ? ' The last ' + duration(view.to - view.from) + ' of ' +
				duration(summary.duration) + ' are drawn: what was before is in the counts.' : ''),
		legend: [
			isHurt && LEGEND.stall(),
			open.length > 0 && LEGEND.undecided(undecided - open.length),
			attempts.some(isCulprit) && LEGEND.culprit('attempt at ' + names + ' that failed'),
			!attempts.every(isCulprit) &&
				LEGEND.failed((names ? 'another ' : 'an ') + 'attempt that failed'),
		],
		draw: (width) => drawHosts(width, groups, isCulprit, question),
		tables: hostTables(groups.flatMap((g) => g.hosts)),
	});
}

const MOST_ROWS = 12;

/* Returns how many attempts failed at the peers of a finding; null if the page does not list all peers. */
function failuresAt(finding) {
	const ofPeer = (p) => p.unanswered + p.one_syn + p.refused + p.unreachable;

	return leftOut.peers_more ? null : peers.filter((p) => concerns(finding, p))
		.reduce((n, p) => n + ofPeer(p), 0);
}

/* The page keeps only some attempts of each host, and a picture only some hosts. */
function triedSentence(finding, drawn, total, rows, hostCount) {
	const some = total === null || drawn < total;
	const attempts = !some ? plural(drawn, 'failed attempt') : total === null ?
		'The latest ' + plural(drawn, 'failed attempt') :
		drawn + ' of ' + plural(total, 'failed attempt');

	return attempts + ' at ' + subject(finding) + (some ? ' are drawn' : '') + ', by ' +
		(rows < hostCount ? rows + ' of ' : '') + plural(hostCount, 'host') + '.';
}

/* The hosts that tried the peer of a finding; false if none of them is on the page. */
function triedPicture(finding, level) {
	const isCulprit = (c) => concerns(finding, c);
	const tried = hosts.filter((h) => h.attempts.some(isCulprit));
	const rows = tried.slice(0, MOST_ROWS).map((h) =>
		({ ...h, attempts: h.attempts.filter(isCulprit), stalls: [] }));
	const count = rows.reduce((n, h) => n + h.attempts.length, 0);
	const question = 'Who tried it, and when?';
	const name = subject(finding);
	const group = { hosts: rows, title: plural(tried.length, 'host') + ' tried ' + name,
		more: andMore(tried.length - rows.length) };

	return rows.length > 0 && picture({
		level, question,
		answer: triedSentence(finding, count, failuresAt(finding), rows.length, tried.length),
		legend: [LEGEND.culprit('attempt that failed, and how long its SYNs went on')],
		draw: (width) => drawHosts(width, [group], isCulprit, question),
		tables: hostTables(rows),
	});
}
