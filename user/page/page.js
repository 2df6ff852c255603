/* The page from top to bottom: the verdict, the findings with their pictures, the network, the rest. */

const SURE = { high: '●●●', medium: '●●○', low: '●○○' };

const confidence = (level, ...words) => html('p', { class: 'confidence' },
	html('span', { class: 'dots', 'aria-hidden': 'true' }, SURE[level]), ' ', level + ' confidence', words);

function facts() {
	const from = run.iface ? ['watched on ', html('bdi', {}, run.iface)] : ['read from ', html('bdi', {}, run.file)];

	return html('ul', { class: 'facts' },
		html('li', {}, from),
		html('li', {}, wall(0).slice(0, 10) + ' ' + clock(0) + ' to ' + clock(summary.duration) + ' ' + zone() + ' (' + duration(summary.duration) + ')'),
		html('li', {}, plural(summary.connections, 'attempt') + ' of ' + plural(summary.hosts, 'host')),
		html('li', {}, summary.lost.sum + ' lost'));
}

/* What makes all that follows doubtful comes before it. */
function warnings() {
	const { blind, lost, cut } = summary;
	const told = all('notice').map((n) => clock(n.time) + '  ' + n.text);

	for (const [direction, ns] of Object.entries(blind))
		if (ns)
			told.push('For ' + duration(ns) + ' the packets that were ' + direction + ' did not reach the probe: ' +
				'in that time servers may seem silent that are not, and connections are missing.');
	if (lost.sum)
		told.push(plural(lost.sum, 'record') + ' lost: the counts are too low, and who seems silent may not be.');
	if (cut)
		told.push('Cut short: ' + cut);
	if (leftOut.notices_more)
		told.push('and ' + plural(leftOut.notices_more, 'notice') + ' more');
	return told.length > 0 && html('section', { class: 'warnings', 'aria-label': 'What to keep in mind' },
		html('ul', {}, told.map((words) => html('li', {}, words))));
}

function hostList(label, names, count) {
	return count > 0 && [html('dt', {}, label), html('dd', {}, html('ul', { class: 'names' },
		names.slice(0, 48).map((name) => html('li', {}, name)),
		count > Math.min(names.length, 48) && html('li', {}, 'and ' + (count - Math.min(names.length, 48)) + ' more')))];
}

/* Lines without a label go on from the one before. */
function evidence(finding) {
	const groups = [];

	for (const { label, text: words } of finding.evidence)
		if (label || !groups.length)
			groups.push([label || 'seen', [words]]);
		else
			groups[groups.length - 1][1].push(words);
	return html('dl', {},
		groups.map(([label, lines]) => [html('dt', {}, label), lines.map((words) => html('dd', {}, words))]),
		hostList('these hosts', finding.affected, finding.affected_count),
		finding.p_value !== null && hostList('not these', finding.unaffected, finding.unaffected_count));
}

const cohort = (c) => c.tried > 0 && c.others > 0 && table('Who tried it, and who stalled?', ['Hosts that', '#stalled', '#did not stall'], [
	['tried it in vain', c.tried_stalled, c.tried - c.tried_stalled],
	['did not', c.others_stalled, c.others - c.others_stalled],
]);

/* The waits are shown with the first finding that they bear out. */
const waitsBelong = findings.findIndex((f) => f.example && summary.stalls > 0);

/* What the picture of round trips shows. */
const SHOWN_BELOW = ['not-the-network', 'slow-access', 'slow-server'];

function finding(f, i) {
	const id = 'finding-' + f.number;

	return html('article', { 'aria-labelledby': id, class: 'finding' },
		html('h3', { id }, html('span', { class: 'ordinal' }, String(f.number)), html('span', { class: 'sentence' }, f.text)),
		confidence(f.confidence, f.locked > 0 && f.stalls > 0 ? ' · ' + f.locked + ' of ' + plural(f.stalls, 'stall') : ''),
		f.example && waitPicture(f.example, 4),
		i === waitsBelong && waitsPicture(4),
		!f.example && f.peer && triedPicture(f, 4),
		SHOWN_BELOW.includes(f.kind) && html('p', {}, html('a', { href: '#network' }, 'Drawn below: the network’s own state')),
		html('h4', { class: 'plain' }, 'Evidence'),
		evidence(f),
		f.locked > 0 && cohort(f.cohort));
}

const LOSSES = {
	map_full: 'attempts without a place: too many were opening at once',
	ring_full: 'records without a place: the reader did not keep up',
	evicted: 'unanswered attempts gave their place to newer ones in a flood',
	truncated: 'packets whose headers could not be read',
	packets: 'packets for --write without a place: the reader did not keep up',
};

function notMeasured() {
	const { bytes, not_understood: strange, lost } = summary;
	const share = (n) => (100 * n / bytes.all).toFixed(1) + ' %';
	const rows = [];

	if (bytes.all)
		rows.push('UDP 443 (QUIC) carried ' + share(bytes.udp_443) + ' of the bytes, other UDP ' + share(bytes.udp_other));
	rows.push(plural(summary.already_open, 'connection') + ' open before the start (seen to close)');
	if (summary.undecided)
		rows.push(plural(summary.undecided, 'connection') + ' still waited at the end: a stall, or a spare socket');
	if (summary.retried)
		rows.push(plural(summary.retried, 'attempt') + ' got an answer only after the second SYN or later');
	if (summary.late_banners)
		rows.push(plural(summary.late_banners, 'greeting') + ' of servers that speak first came late');
	if (summary.narrowed)
		rows.push(plural(summary.narrowed, 'SYN') + ' outside --client, --server, --port');
	for (const [words, n] of [['later IP fragments', strange.fragments], ['malformed packets', strange.malformed],
		['packets neither TCP, UDP nor ICMP', strange.ip_other],
		['packets of a link that is not understood', strange.unknown_link]])
		if (n)
			rows.push(n + ' ' + words);
	for (const [type, n] of Object.entries(strange.ethertypes))
		rows.push(plural(n, 'packet') + ' of ethertype ' + type);
	for (const [reason, words] of Object.entries(LOSSES))
		if (lost[reason])
			rows.push('lost: ' + lost[reason] + ' ' + words);
	if (summary.folded)
		rows.push(plural(summary.folded, 'detail') + ' beyond the bounds of memory; the totals hold');
	return html('ul', {}, rows.map((words) => html('li', {}, words)));
}

const peerTable = () => peers.length > 0 && html('details', {}, html('summary', {}, 'The peers that fail, as a table'),
	table('Peers that fail', ['Peer', '#Attempts', '#Answered', '#No answer', '#One SYN', '#Refused', '#Unreachable', 'First', 'Last', '#Hosts', '#of these stalled'],
		peers.map((p) => [endpoint(p.server, p.server_port, p.vlans), p.connections, p.answered, p.unanswered, p.one_syn, p.refused,
			p.unreachable, clock(p.first_failure), clock(p.last_failure), p.cohort.tried, p.cohort.tried_stalled])),
	leftOut.peers_more > 0 && html('p', {}, 'and ' + plural(leftOut.peers_more, 'peer') + ' more'));

function build() {
	const drawHosts = hosts.some((h) => h.stalls.length || h.attempts.length);
	const words = document.getElementById('words');

	document.getElementById('sure').replaceWith(html('p', { class: 'kicker' }, 'probe · TCP at the gateway'));
	document.querySelector('header').append(...[findings.length > 0 && confidence(findings[0].confidence), facts()].filter(Boolean));
	document.getElementById('pictures').append(...[
		warnings(),
		drawHosts && html('section', { class: 'overview' }, overviewPicture(2)),
		findings.length > 0 && html('section', { 'aria-labelledby': 'findings' },
			html('h2', { id: 'findings' }, findings.length === 1 ? 'The finding' : 'The findings, the most important first'),
			findings.map(finding),
			leftOut.findings_more > 0 && html('p', {}, 'and ' + plural(leftOut.findings_more, 'finding') + ' more: see the report in words'),
			peerTable()),
		html('section', { 'aria-labelledby': 'network' }, html('h2', { id: 'network' }, 'The network’s own state'),
			networkPicture(3),
			waitsBelong < 0 && spread.wait.count > 0 && waitsPicture(3),
			html('h3', { class: 'plain' }, 'What was not measured, what was not understood'), notMeasured()),
	].filter(Boolean));

	/* The words are there for viewers that run no script; here they are one click away. */
	const details = html('details', {}, html('summary', {}, 'The report in words, as the terminal shows it'));

	words.replaceWith(details);
	details.append(words.querySelector('pre'));
	document.querySelector('main').append(html('footer', {}, 'Written by probe ' + run.version +
		'. This page is whole: it asks no network for anything, and holds its figures as JSON lines.'));
	document.body.append(tip);
	drawAll();
	new ResizeObserver(() => requestAnimationFrame(() => drawAll())).observe(document.querySelector('main'));
	addEventListener('beforeprint', () => drawAll(680));
	addEventListener('afterprint', () => drawAll());
	addEventListener('toggle', () => drawAll(), true);
}

build();
