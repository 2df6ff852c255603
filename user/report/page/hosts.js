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
	const ends = rows.flatMap((h) => [...h.attempts, ...h.early].map((c) => c.syn_last));

	return { from, to: Math.max(summary.duration, from + MS, ...ends) };
}

function timeAxis(view, x, top, y, left, right) {
	const span = view.to - view.from;
	const long = span >= 3 * SECOND; /* labels are times of day, else times since the start */
	const midnight = long ? sinceMidnight : 0;
	const step = stepOf(span, Math.max(2, (right - left) / (long ? 92 : 70)));
	const isMidnight = (at) => timeOfDay(at) === '00:00:00';
	const words = (at) => !long ? '+' + brief(at) :
		step >= 86400 * SECOND || isMidnight(at) ? day(at).slice(5) :
		step >= 60 * SECOND ? timeOfDay(at).slice(0, 5) : timeOfDay(at);

	const ticks = multiples(view.from + midnight, view.to + midnight, step).map((at) => at - midnight);

	return [ticks.map((at) => line(x(at), top, x(at), y, { class: 'grid' })),
		axisLabels(ticks.map((at) => [x(at), words(at)]), y + 16, 0, right)];
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

const troubleLines = (h, c) => [
	h.name + ': ' + trouble(c),
	'to ' + endpoint(c.server, c.server_port, c.server_vlans),
	'from ' + fineClock(c.start) + (c.end > c.start ? ' to ' + fineClock(c.end) : ''),
];

/* The connects of a host that were served in time, as short lines: one mark for all of them. */
function drawPrompt(h, row, middle, x, isInside) {
	const shown = h.prompt.filter((c) => isInside(c.at, c.at));
	const path = shown.map((c) => 'M' + x(c.at).toFixed(1) + ',' + (middle - 3.5) + 'v7').join('');

	return shown.length ? [[shown[0].at, mark(row, [h.name + ': ' +
		plural(shown.length, 'connect') + ' served in time',
		'from ' + fineClock(shown[0].at) + ' to ' + fineClock(shown[shown.length - 1].at)],
		svg('path', { d: path, class: 'prompt' }))]] : [];
}

/* A connect that was late is a bar, one that failed a cross at the end of its wait. */
function drawBad(h, row, top, below, edge, c, is) {
	const from = edge(c.start), to = edge(c.end);

	return [c.start, c.row === 'late' ?
		mark(row, troubleLines(h, c), rect(from, top, Math.max(to - from, 3), 6,
			{ class: is ? 'late peer' : 'late' })) :
		mark(row, troubleLines(h, c),
			line(from, below, to, below, { class: is ? 'tries peer' : 'tries' }), pad(to, below, 10),
			symbol('cross', to, below, is ? 'failed peer' : 'failed'))];
}

/* Returns the marks of a host in the order of time: waits as bars above, other connects below. */
function drawHost(h, row, y, height, x, view, isCulprit) {
	const below = y + height - (height >= 20 ? 6 : 5);
	const isInside = (from, to) => to >= view.from && from <= view.to;
	const edge = (at) => x(Math.min(Math.max(at, view.from), view.to));
	const stalls = h.stalls.filter((s) => isInside(s.start, s.start + s.wait)).map((s) => {
		const width = Math.max(edge(s.start + s.wait) - edge(s.start), 3);

		return [s.start, mark(row, stallLines(h, s),
			rect(edge(s.start), y + 2, width, height >= 20 ? 10 : 7,
				{ class: s.ended ? 'stall' : 'undecided', rx: 2 }))];
	});
	const attempts = [...h.attempts, ...h.early].filter((c) => isInside(c.syn, c.syn_last)).map((c) => {
		const is = isCulprit(c);
		const kind = isEarly(c) ? 'early' : is ? 'culprit' : 'failed';

		return [c.syn, mark(row, attemptLines(h, c),
			line(edge(c.syn), below, edge(c.syn_last), below, { class: is ? 'tries peer' : 'tries' }),
			pad(edge(c.syn), below, 10),
			symbol(kind === 'failed' ? 'cross' : 'syn', edge(c.syn), below, kind))];
	});
	const bad = h.bad.filter((c) => isInside(c.start, c.end))
		.map((c) => drawBad(h, row, y + 3, below, edge, c, isCulprit(c)));

	return [...drawPrompt(h, row, below, x, isInside), ...stalls, ...bad, ...attempts]
		.sort((a, b) => a[0] - b[0]).map(([, node]) => node);
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

/*
 * The numbers at the end of a row, as { name, width, of(host) }. A narrow screen shows the first of them.
 * Stalls have columns only in a picture of stalls.
 */
const STALL_COLUMNS = [
	{ name: 'stalled', of: (h) => h.decided ? h.stalled + ' of ' + h.decided : '' },
	{ name: 'longest wait', of: (h) => duration(h.worst_wait) },
];

const known = (h) => Object.values(h.ledger).some((n) => n > 0);

const LEDGER_COLUMNS = [
	{ name: 'late or failed', of: (h) => !known(h) ? '' : h.ledger.late + h.ledger.failed + ' of ' +
		sum(Object.values(h.ledger)) },
];

const WELL_COLUMNS = [{ name: 'in time', of: (h) => known(h) ? String(h.ledger.in_time) : '' }];

/* Places the columns from the right; returns them with their end, and where the first one begins. */
function placeColumns(columns, rows, width, isWide) {
	let end = width;
	const placed = (isWide ? columns : columns.slice(0, 1)).toReversed().map((c) => {
		const words = [isWide ? c.name : '', ...rows.map(c.of)].map((w) => room(w));
		const at = end;

		end -= Math.max(...words) + 16;
		return { ...c, end: at };
	}).toReversed();

	return [placed, end];
}

/* Returns the width of the names, as far as a narrow screen leaves room for the time line. */
const namesWidth = (rows, isWide) => Math.min(isWide ? 250 : 132,
	Math.max(60, ...rows.map((h) => room(h.name) + 14)));

const notices = all('notice');

/* What befell the interface during the run: a line through all rows, with its mark on the time axis. */
const drawNotices = (row, view, x, top, y) => notices
	.filter(({ time }) => time >= view.from && time <= view.to)
	.map(({ time, text: words }) => mark(row, [words, 'at ' + fineClock(time)],
		line(x(time), top, x(time), y - 4, { class: 'notice' }), pad(x(time), y, 12),
		symbol('diamond', x(time), y, 'notice')));

/* groups: { title, hosts, isHurt, more }; more is the line about hosts that are left out. */
function drawHosts(width, groups, isCulprit, label, columns) {
	const all = groups.flatMap((g) => g.hosts);
	const height = all.length <= 16 ? 24 : all.length <= 32 ? 20 : 16;
	const type = height < 20 ? 'small' : 'name';
	const isWide = width >= 560;
	const names = namesWidth(all, isWide);
	const [ends, right] = placeColumns(columns, all, width, isWide);
	const traits = traitColumns(all, names, width);
	const left = names + traits.reduce((sum, c) => sum + c.width, 0);
	const view = viewOf(all);
	const x = scale(view.from, view.to, left, right);
	const ground = [], parts = [];
	let y = 4, row = 0;

	/* on a narrow screen the name of the only column reaches over the time line */
	parts.push(ends.map((c) => text(c.end, y + 12, c.name, 'axis', 'end')),
		traits.map((c) => text(c.at, y + 12, shorten(c.name, c.width - 8, 11), 'axis')));
	y += 18;
	for (const group of groups) {
		parts.push(text(0, y + 14, shorten(group.title, width, 12, 600), 'group'));
		y += 22;
		for (const h of group.hosts) {
			const base = y + height / 2 + 4;

			if (group.isHurt)
				ground.push(rect(left, y, right - left, height - 1, { class: 'hurt' }));
			ground.push(line(left, y + height - 0.5, right, y + height - 0.5, { class: 'row' }));
			parts.push(text(0, base, shorten(h.name, names - 8), type),
				ends.map((c) => text(c.end, base, c.of(h), type, 'end')),
				traits.map((c) => text(c.at, base, shorten(h.traits[c.number], c.width - 8), type)));
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
	return canvas(width, y + 24, label, ground, timeAxis(view, x, 4, y, left, right), parts,
		drawNotices(row, view, x, 4, y - 2));
}

const LEGEND = {
	stall: () => [rect(1, 3, 16, 8, { class: 'stall', rx: 2 }),
		'stall: the client is silent after the handshake'],
	undecided: (more) => [rect(1, 3, 16, 8, { class: 'undecided', rx: 2 }),
		'still waiting at the end: a stall, or a spare socket' +
		(more > 0 ? ' (' + more + ' more are not drawn)' : '')],
	culprit: (words) => [symbol('syn', 9, 7, 'culprit'), words],
	failed: (words) => [symbol('cross', 9, 7, 'failed'), words],
	late: (words, isPeer) => [rect(1, 4, 16, 6, { class: isPeer ? 'late peer' : 'late' }), words],
	notice: () => notices.length > 0 && [symbol('diamond', 9, 7, 'notice'),
		'notice about the measurement, as listed above'],
	early: () => [symbol('syn', 9, 7, 'early'), 'attempt without an answer so far: too early to say'],
	lost: (words) => [symbol('cross', 9, 7, 'failed peer'), words],
	prompt: () => [svg('path', { d: 'M4,3.5v7M9,3.5v7M14,3.5v7', class: 'prompt' }),
		'connect served in time'],
};

/* Explains the names of the rows, the end of long runs, and the lists of connects that are cut. */
function hostNotes(rows) {
	const ticks = Math.max(...rows.map((h) => h.prompt.length));
	const cut = rows.some((h) => h.ledger.in_time > h.promptKept);
	const notes = [];

	if (rows.some((h) => h.addresses.length > 1))
		notes.push('“+1” behind an address: the host has one more address, by the same MAC address.');
	if (cut)
		notes.push('Of each host, the latest ' + ticks + ' connects that were served in time are drawn.');
	return notes.join(' ');
}

function hostTables(rows) {
	const stalls = rows.flatMap((h) => h.stalls), attempts = rows.flatMap((h) => [...h.attempts, ...h.early]);
	const bad = rows.flatMap((h) => h.bad.map((c) => [h, c]));

	return [
		table('Hosts', ['Host', 'Addresses', 'MAC', ...leftOut.traits, '#Connects', '#Stalled', '#of',
			'#Longest wait', '#Still waiting', '#In time', '#Late', '#Failed'],
			rows.map((h) => [h.name, h.addresses.join(' '), h.mac ?? '', ...h.traits, h.connections,
				h.stalled, h.decided, duration(h.worst_wait), h.undecided,
				h.ledger.in_time, h.ledger.late, h.ledger.failed])),
		stalls.length > 0 && table('Stalls', ['From', 'Client', 'Server', '#Wait'],
			stalls.map((s) => [fineClock(s.start), endpoint(s.client, s.client_port, s.vlans),
				endpoint(s.server, s.server_port), duration(s.wait) + (s.ended ? '' : ' so far')])),
		attempts.length > 0 && table('Attempts that were not answered, or refused',
			['First SYN', 'Client', 'Server', '#SYNs', 'What became of it'],
			attempts.map((c) => [fineClock(c.syn), endpoint(c.client, 0, c.vlans),
				endpoint(c.server, c.server_port), c.syn_count, failure(c)])),
		bad.length > 0 && table('Connects that were late, or failed after the SYN-ACK',
			['From', 'Client', 'Server', 'What became of it'],
			bad.map(([h, c]) => [fineClock(c.start), h.name,
				endpoint(c.server, c.server_port, c.server_vlans), trouble(c)])),
	];
}

const andMore = (n) => n ? 'and ' + plural(n, 'host') + ' more' : '';

const hasTrouble = (h) => h.attempts.length > 0 || h.undecided > 0 || h.bad.length > 0 ||
	h.ledger.late + h.ledger.failed > 0;

/* Groups the hosts by stalls, by other trouble, and by neither; each by address. */
function hostGroups() {
	const { stalled = 0, failed = 0, well = 0, speechless = 0 } = leftOut.hosts_more;
	const hurt = hosts.filter((h) => h.stalled);
	const tried = hosts.filter((h) => !h.stalled && hasTrouble(h));
	const rest = hosts.filter((h) => !h.stalled && !hasTrouble(h));

	return [
		{ hosts: hurt, isHurt: true, title: plural(hurt.length + stalled, 'host') + ' with stalls',
			more: andMore(stalled) },
		{ hosts: tried, title: plural(tried.length + failed, 'host') + ' with late or failed connects' +
			(tried.some((h) => h.undecided) ? ' or open waits' : ''), more: andMore(failed) },
		{ hosts: rest, title: plural(rest.length + well + speechless, 'host') +
			(hurt.length && tried.length ? ' with none of these' : hurt.length ? ' without a stall' :
				tried.length ? ' with neither' : ''), more: andMore(well + speechless) },
	].filter((group) => group.hosts.length);
}

/* What the overview asks, and how its rows end. */
function overviewKind(attempts, stalls) {
	if (summary.hosts_stalled || (stalls.length && !attempts.length))
		return ['Who waited, and when?', STALL_COLUMNS,
			(summary.hosts_stalled ? summary.hosts_stalled + ' of ' + plural(summary.hosts, 'host') +
				' had to wait ' + brief(run.stall) + ' or more; a' : 'No host is known to stall; a') +
			' row is a host, at its end how many of its connects stalled.'];
	if (hosts.some(hasTrouble))
		return ['Whose connects failed or were late, and when?', LEDGER_COLUMNS,
			'A row is a host, at its end how many of its connects were late or failed.'];
	return ['Who connected, and when?', WELL_COLUMNS,
		'A row is a host, at its end how many of its connects were served in time.'];
}

const overviewAnswer = (rowWords, view) => rowWords +
	(view.from ? ' The last ' + duration(view.to - view.from) + ' of ' +
		duration(summary.duration) + ' are drawn: what was before is in the counts.' : '');

function overviewPicture(level) {
	const locked = findings.filter((f) => f.peer && f.example && f.locked > 0);
	const suspects = locked.length ? locked : findings.filter((f) => f.peer).slice(0, 1);
	const attempts = hosts.flatMap((h) => h.attempts), stalls = hosts.flatMap((h) => h.stalls);
	const bad = hosts.flatMap((h) => h.bad);
	/* a server that is slow or resets requests has opened: no attempt at it is drawn */
	const blamed = suspects.filter((f) => [...attempts, ...bad].some((c) => concerns(f, c)));
	const isCulprit = (c) => blamed.some((f) => concerns(f, c));
	const names = [...new Set(blamed.map(subject))].join(', ');
	const open = stalls.filter((s) => !s.ended);
	const undecided = hosts.reduce((n, h) => n + h.undecided, 0);
	const groups = hostGroups();
	const [question, columns, rowWords] = overviewKind(attempts, stalls);
	const late = bad.filter((c) => c.row === 'late');
	/* connects that failed after the SYN-ACK, and attempts at others that failed */
	const lost = bad.filter((c) => c.row !== 'late');
	const crosses = [...lost, ...attempts].filter((c) => !isCulprit(c));

	return picture({
		level, question,
		answer: overviewAnswer(rowWords, viewOf(hosts)),
		legend: [
			hosts.some((h) => h.prompt.length) && LEGEND.prompt(),
			stalls.some((s) => s.ended) && LEGEND.stall(),
			open.length > 0 && LEGEND.undecided(undecided - open.length),
			late.some(isCulprit) && LEGEND.late('served late by ' + names, true),
			late.some((c) => !isCulprit(c)) && LEGEND.late(names ? 'served late by another server' : 'served late'),
			attempts.some(isCulprit) && LEGEND.culprit('attempt at ' + names + ' that failed'),
			lost.some(isCulprit) && LEGEND.lost('connect to ' + names + ' that failed after the SYN-ACK'),
			hosts.some((h) => h.early.length) && LEGEND.early(),
			crosses.length > 0 && LEGEND.failed((names ? 'another ' : 'an ') + 'attempt that failed'),
			LEGEND.notice(),
		],
		notes: hostNotes(hosts),
		draw: (width) => drawHosts(width, groups, isCulprit, question, columns),
		tables: hostTables(groups.flatMap((g) => g.hosts)),
	});
}

/* ---- one peer ---- */

const MOST_ROWS = 12, MOST_WELL = 4;

/* Returns how many attempts failed at the peers of a finding; null if the page does not list all peers. */
function failuresAt(finding) {
	const ofPeer = (p) => p.unanswered + p.one_syn + p.refused + p.unreachable;

	return leftOut.peers_more ? null : peers.filter((p) => concerns(finding, p))
		.reduce((n, p) => n + ofPeer(p), 0);
}

/* The page keeps only some attempts of each host, and a picture only some hosts. */
function triedSentence(finding, rows, hostCount) {
	const count = (list) => rows.reduce((n, h) => n + h[list].length, 0);
	const drawn = count('attempts'), bad = count('bad');
	const total = failuresAt(finding), some = total === null || drawn < total;
	const attempts = !some ? plural(drawn, 'failed attempt') : total === null ?
		'The latest ' + plural(drawn, 'failed attempt') :
		drawn + ' of ' + plural(total, 'failed attempt');
	const late = rows.flatMap((h) => h.bad).filter((c) => c.row === 'late').length;
	const fates = [late && late + ' served late', bad - late && bad - late + ' failed after the SYN-ACK']
		.filter(Boolean).join(', ');
	const by = ', by ' + (rows.length < hostCount ? rows.length + ' of ' : '') +
		plural(hostCount, 'host') + '.';

	if (!drawn)
		return 'Connects to ' + subject(finding) + ': ' + fates + by;
	return attempts + ' at ' + subject(finding) + (some ? ' are drawn' : '') +
		(fates ? ', and connects to it: ' + fates : '') + by;
}

const sumOf = (rows, list) => rows.reduce((n, h) => n + h[list].length, 0);

/* At the end of a row is how much of what is drawn went wrong. */
const wentWrong = (h) => h.attempts.length + h.bad.length;

const PEER_COLUMNS = [{ name: 'late or failed',
	of: (h) => wentWrong(h) + ' of ' + (wentWrong(h) + h.prompt.length + h.early.length) }];

/* What the hosts did at the peer of a finding; false if the page holds none of its failures. */
function triedPicture(finding, level) {
	const isCulprit = (c) => concerns(finding, c);
	const at = hosts.map((h) => ({ ...h, stalls: [], attempts: h.attempts.filter(isCulprit),
		early: h.early.filter(isCulprit), bad: h.bad.filter(isCulprit), prompt: h.prompt.filter(isCulprit) }));
	const tried = at.filter((h) => wentWrong(h) > 0);
	const well = at.filter((h) => wentWrong(h) === 0 && h.prompt.length > 0);
	const rows = tried.slice(0, MOST_ROWS), wellRows = well.slice(0, MOST_WELL);
	const name = subject(finding);
	const late = rows.some((h) => h.bad.some((c) => c.row === 'late'));
	const lost = rows.some((h) => h.bad.some((c) => c.row !== 'late'));
	const isWait = late && !lost && !sumOf(rows, 'attempts');
	const question = isWait ? 'Who waited for it, and when?' : 'Who tried it, and when?';
	const groups = [
		{ hosts: rows, title: plural(tried.length, 'host') + (isWait ?
			' waited for ' : ' failed at ') + name, more: andMore(tried.length - rows.length) },
		{ hosts: wellRows, title: plural(well.length, 'host') + ' did not',
			more: andMore(well.length - wellRows.length) },
	].filter((group) => group.hosts.length);

	return rows.length > 0 && picture({
		level, question,
		answer: triedSentence(finding, rows, tried.length),
		legend: [
			sumOf([...rows, ...wellRows], 'prompt') > 0 && LEGEND.prompt(),
			sumOf(rows, 'attempts') > 0 &&
				LEGEND.culprit('attempt that failed, and how long its SYNs went on'),
			sumOf([...rows, ...wellRows], 'early') > 0 && LEGEND.early(),
			late && LEGEND.late('served late: how long it took', true),
			lost && LEGEND.lost('failed after the SYN-ACK, and how long it went on'),
			LEGEND.notice(),
		],
		notes: hostNotes([...rows, ...wellRows]),
		draw: (width) => drawHosts(width, groups, isCulprit, question, PEER_COLUMNS),
		tables: hostTables([...rows, ...wellRows]),
	});
}
