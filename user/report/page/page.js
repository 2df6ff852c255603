/* The page: verdict, warnings, findings with their pictures, the network, limits of the measurement. */

const list = (kind, items) => html('ul', { class: kind }, items.map((item) => html('li', {}, item)));

/* ---- the head ---- */

const DOTS = { high: '●●●', medium: '●●○', low: '●○○' };

const MEANINGS = {
	high: 'several independent observations, and no contradiction',
	medium: 'more than a hint, but verify it before you act',
	low: 'chance, or a gap in the view, may explain it',
};

const confidence = (finding, ...words) => html('p', { class: 'confidence' },
	html('span', { class: 'dots', 'aria-hidden': 'true' }, DOTS[finding.confidence]),
	' ',
	html('span', { title: MEANINGS[finding.confidence] }, finding.confidence + ' confidence'),
	finding.confidence_reason ? ': ' + finding.confidence_reason : '', words);

/* The levels that occur on this page, in words; a printed page has no tooltips. */
const confidenceLevels = () => findings.length > 0 && html('p', { class: 'notes' }, 'Confidence. ' +
	Object.keys(MEANINGS).filter((level) => findings.some((f) => f.confidence === level))
		.map((level) => level[0].toUpperCase() + level.slice(1) + ': ' + MEANINGS[level] + '.').join(' '));

/* Returns the evidence of a finding as [label, lines]; a line without a label continues the one before. */
function labelled(finding) {
	const groups = [];

	for (const { label, text: words } of finding.evidence)
		if (label || !groups.length)
			groups.push([label || 'seen', [words]]);
		else
			groups[groups.length - 1][1].push(words);
	return groups;
}

const isAction = ([label]) => label === 'action';

const actionOf = (finding) => labelled(finding).filter(isAction).map(([, lines]) =>
	html('p', { class: 'action' }, html('b', {}, 'What to do: '),
		lines.map((words, i) => html('span', {}, (i ? ' ' : '') + words))));

/* Names tell who visits what: whoever passes this page on must know whether it has any. */
function namesShown() {
	const { mode, count } = leftOut.names;

	if (mode === 'none')
		return 'names of DNS are hidden';
	return count > 0 ? plural(count, 'name') + ' of DNS shown' : 'no name of DNS shown';
}

/* The interfaces of the gateway, or the capture, with the interfaces that it names. */
function source() {
	const named = (run.interfaces || []).map((i) => i.name).join(', ');
	const bold = (words) => html('bdi', {}, words);

	if (run.iface)
		return ['watched on ', bold(run.iface), leftOut.gateway ? [' of ', bold(leftOut.gateway)] : ''];
	return ['read from ', bold(run.file), named ? [' (captured on ', bold(named), ')'] : ''];
}

const facts = () => list('facts', [
	source(),
	day(0) + ' ' + timeOfDay(0) + ' to ' + clock(summary.duration) + ' ' + zone() +
		' (' + duration(summary.duration) + ')',
	plural(summary.connections, 'connect') + ' of ' + plural(summary.hosts, 'host'),
	namesShown(),
	summary.lost.sum + ' lost',
]);

/* Limits of this run that make the findings doubtful; they come first. */
function warnings() {
	const { blind, lost, cut } = summary;
	const lines = notices.map((n) => clock(n.time) + '  ' + n.text);

	if (leftOut.notices_more)
		lines.push('and ' + plural(leftOut.notices_more, 'notice') + ' more');
	for (const [direction, ns] of Object.entries(blind))
		if (ns)
			lines.push('For ' + duration(ns) + ' the packets that were ' + direction +
				' did not reach the probe: during that time servers may wrongly appear silent,' +
				' and connects are missing.');
	if (lost.sum)
		lines.push(lost.sum + ' lost, as listed at the end of this page: the counts are too low,' +
			' and peers that seem silent may not be.');
	if (cut)
		lines.push('Cut short: ' + cut);
	return lines.length > 0 &&
		html('section', { class: 'warnings', 'aria-label': 'What to keep in mind' }, list(null, lines));
}

/* ---- the findings ---- */

const MOST_NAMES = 48;

function hostList(label, names, count) {
	const shown = names.slice(0, MOST_NAMES);
	const more = count > shown.length ? ['and ' + (count - shown.length) + ' more'] : [];

	return count > 0 && [html('dt', {}, label), html('dd', {}, list('names', [...shown, ...more]))];
}

function evidence(finding) {
	const sorted = (names) => [...names].sort(byName);

	return html('dl', {},
		labelled(finding).filter((group) => !isAction(group)).map(([label, lines]) =>
			[html('dt', {}, label), lines.map((words) => html('dd', {}, words))]),
		hostList('these hosts', sorted(finding.affected), finding.affected_count),
		finding.p_value !== null && hostList('not these', sorted(finding.unaffected), finding.unaffected_count));
}

/* The first finding about a wait shows the distribution of the waits. */
const firstWait = findings.find(isAboutWaits);

/* The first finding about names shows the resolvers. */
const firstName = findings.find(isAboutNames);

/* Findings that the picture of round trips and answers illustrates. */
const SHOWN_BELOW = ['not-the-network', 'slow-access', 'slow-server'];

function findingArticle(f) {
	const id = 'finding-' + f.number;
	const share = isAboutWaits(f) && ' · ' + f.locked + ' of ' + plural(f.stalls, 'stall');
	const harmless = f.problem === false && ' · not a problem';

	return html('article', { class: 'finding', 'aria-labelledby': id },
		html('h3', { id }, html('span', { class: 'ordinal' }, String(f.number)),
			html('span', { class: 'sentence' }, noted(f, f.text))),
		confidence(f, share, harmless),
		actionOf(f),
		f.example && waitPicture(f.example, 4),
		f === firstWait && waitsPicture(4),
		!f.example && (f.peer || f.peers.length > 0) && triedPicture(f, 4),
		f === firstName && resolverPicture(4),
		f.example && f.locked > 0 && cohortPicture(f.cohort, f.example.asks_name, 4),
		contrastPicture(f.contrast, 4),
		partsPicture(f, 4),
		SHOWN_BELOW.includes(f.kind) &&
			html('p', {}, html('a', { href: '#network' }, 'Drawn below: the network’s own state')),
		html('h4', { class: 'plain' }, 'Evidence'),
		evidence(f));
}

const peerTable = () => peers.length > 0 && html('details', {},
	html('summary', {}, 'The peers that fail, as a table'),
	table('Peers that fail', ['Peer', '#Attempts', '#Answered', '#No answer', '#One SYN', '#Refused',
		'#Unreachable', 'First', 'Last', '#Hosts', '#of these stalled'],
		peers.map((p) => [endpoint(p.server, p.server_port, p.vlans) +
			(p.service ? ' (' + p.service + ')' : ''), p.connections, p.answered,
			p.unanswered, p.one_syn, p.refused, p.unreachable, clock(p.first_failure),
			clock(p.last_failure), p.cohort.tried, p.cohort.tried_stalled])),
	leftOut.peers_more > 0 && html('p', {}, 'and ' + plural(leftOut.peers_more, 'peer') + ' more'));

const findingsSection = () => findings.length > 0 && html('section', { 'aria-labelledby': 'findings' },
	html('h2', { id: 'findings' },
		findings.length === 1 ? 'The finding' : 'The findings, the most important first'),
	confidenceLevels(),
	findings.map(findingArticle),
	leftOut.findings_more > 0 && html('p', {}, 'and ' + plural(leftOut.findings_more, 'finding') +
		' more: see the report in words'),
	peerTable());

/* ---- the network, and the limits of the measurement ---- */

const LOSSES = {
	map_full: ['attempt', 'not tracked: too many at the same time'],
	ring_full: ['record', 'dropped: this machine was too busy'],
	evicted: ['attempt', 'without a handshake, not recorded in a flood'],
	evidence_packets: ['packet', 'for --write dropped: this machine was too busy'],
	dns_ring_full: ['DNS packet', 'dropped: this machine was too busy'],
	dns_budget: ['DNS packet', 'not looked at: more than the budget of a second'],
};

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

/* In words that follow a number, "is|are" stands for the verb that agrees with it. */
const counting = (n, what, words) =>
	plural(n, what) + ' ' + words.replace(/(\w+)\|(\w+)/g, n === 1 ? '$1' : '$2');

function notMeasured() {
	const { bytes, not_understood: strange, lost, names } = summary;
	const { packets } = names;
	const share = (n) => (100 * n / bytes.all).toFixed(1) + ' %';
	const counted = [
		[summary.undecided, 'connect',
			'was|were still waiting at the end: a stall, or a spare socket'],
		[summary.retried, 'connect', 'got an answer only after the second SYN or later'],
		[summary.late_banners, 'greeting', 'came late, from servers that speak first'],
		[summary.nat.behind, 'attempt', 'came through this gateway’s NAT; conntrack named the clients'],
		[summary.offloaded, 'connect',
			'went on in a flowtable, where no packet was seen: it|they is|are not judged'],
		[summary.synack_alone, 'SYN-ACK',
			'without a SYN (a reflection attack, or the SYN passes elsewhere)'],
		[summary.ambiguous, 'attempt', 'matches|match several others and was|were counted separately'],
		[summary.narrowed, 'SYN', 'outside --client, --server, --port'],
		[strange.fragments, 'later IP fragment', 'without port numbers'],
		[strange.malformed, 'packet', 'with contradictory headers (malformed)'],
		[lost.truncated, 'packet', 'whose headers could not be read: too short, or cut by the capture'],
		[strange.ip_other, 'packet', 'of other protocols than TCP, UDP and ICMP'],
		...Object.entries(strange.ethertypes).map(([type, n]) =>
			[n, 'packet', 'of ethertype ' + type]),
		[strange.unknown_link - sum(Object.values(strange.ethertypes)), 'packet',
			'with a link header that is not understood'],
		[packets.not_dns, 'packet', 'on a port of DNS that is|are not DNS'],
		[packets.malformed, 'DNS packet', 'with a malformed name or question'],
		[packets.unmatched, 'DNS answer',
			'that no question seen here asked for (late, forged, or asked elsewhere)'],
		[packets.not_sampled, 'DNS packet', 'of hosts that were left out, since there were too many'],
		[names.forgotten, 'lookup', 'forgotten: too many'],
		[summary.folded, 'detail', 'of hosts, peers and waits found no room in memory: lists may lack ' +
			'entries, the totals include them'],
	].filter(([n]) => n > 0).map(([n, what, words]) => counting(n, what, words));

	if (packets.names_cut)
		counted.unshift('Names are cut off in ' + packets.names_cut + ' of ' +
			plural(packets.questions + packets.answers, 'DNS packet') + ': snap length');
	if (bytes.all)
		counted.unshift('UDP 443 (QUIC) carried ' + share(bytes.udp_443) + ' of the bytes, other UDP ' +
			share(bytes.udp_other));
	return list(null, [...counted, counting(summary.already_open, 'connection',
		'was|were open before the start (seen to close)')]);
}

const lostSection = () => summary.lost.sum > 0 && [
	html('h3', { class: 'plain' }, 'What was lost'),
	list(null, Object.entries(LOSSES).filter(([reason]) => summary.lost[reason])
		.map(([reason, [what, words]]) => counting(summary.lost[reason], what, words)))];

/* The lookups that did not end with records, in words that follow their number. */
const LOOKUPS = {
	silent: 'without an answer',
	unreachable: 'unreachable (ICMP)',
	truncated: 'truncated',
	failed: 'ended by an error',
	nxdomain: 'for names that do not exist',
	empty: 'without a record of their type',
	open: 'still open at the end',
};

const resolverTable = () => summary.names.resolvers.length > 0 && [
	table('Resolvers', ['Resolver', '#Asked', '#Answered', '#Unanswered', '#Unreachable', '#Half ≤', '#Hosts'],
		summary.names.resolvers.map((r) => [resolverOf(r.resolver) + (r.of_gateway ? ' (this gateway)' : ''),
			r.lookups, r.answered, r.unanswered, r.unreachable, duration(r.median), r.hosts])),
	summary.names.resolvers_more > 0 && html('p', {}, 'and ' + summary.names.resolvers_more + ' more')];

/* What was seen of names, and for whom none were seen. */
function namesPart() {
	const { names } = summary;
	const asked = names.packets.questions + names.packets.answers > 0;
	const lines = [];

	if (names.lookups)
		lines.push(plural(names.lookups, 'lookup') + ', half of them answered within ' +
			duration(spread.name.p50) + ', the longest after ' + duration(spread.name.max) +
			Object.entries(LOOKUPS).filter(([result]) => names[result])
				.map(([result, words]) => ', ' + names[result] + ' ' + words).join(''));
	if (names.in_vain)
		lines.push(plural(names.in_vain, 'name') + ' got no answer at all, and no finding explains it');
	if (!asked)
		lines.push('No DNS was seen here: names are asked elsewhere (DoH, another path, a cache)');
	else if (names.hosts_unseen)
		lines.push('Not seen for ' + names.hosts_unseen + ' of ' + plural(summary.hosts, 'host') +
			': they ask elsewhere (DoH, another path, a cache)');
	if (asked && names.connects_unnamed)
		lines.push(names.connects_unnamed + ' of ' + plural(summary.connections, 'connect') +
			' went to addresses that no answer seen here named');
	return [html('h3', { class: 'plain' }, 'Names (DNS)'), list(null, lines),
		!firstName && resolverPicture(4), resolverTable()];
}

const networkSection = () => html('section', { 'aria-labelledby': 'network' },
	html('h2', { id: 'network' }, 'The network’s own state'),
	networkPicture(3),
	!firstWait && spread.wait.count > 0 && waitsPicture(3),
	namesPart(),
	html('h3', { class: 'plain' }, 'What was not measured or not understood'),
	notMeasured(), lostSection());

/* The text report is for viewers that run no script; here it moves into a closed details element. */
function collapseWords() {
	const words = document.getElementById('words');

	words.replaceWith(html('details', {},
		html('summary', {}, 'The report in words, as the terminal shows it'),
		words.querySelector('pre')));
}

function build() {
	const isEventful = hosts.some((h) => h.stalls.length || hasTrouble(h) || h.prompt.length);
	const present = (...parts) => parts.filter(Boolean);

	document.getElementById('sure').replaceWith(
		html('p', { class: 'kicker' }, 'probe · TCP at the gateway ' + (leftOut.gateway ?? '')));
	document.querySelector('.kicker').after(...present(stateLine()));
	if (summary.verdict)
		document.querySelector('h1 bdi').textContent = visible(noted(leading, summary.verdict));
	document.querySelector('header').append(
		...present(leading && confidence(leading), ...(leading ? actionOf(leading) : []), facts()));
	document.getElementById('pictures').append(...present(
		warnings(),
		summary.ledger?.connects > 0 && html('section', { class: 'ledger' }, ledgerPicture(2)),
		isEventful && html('section', { class: 'overview' }, overviewPicture(2),
			contrastPicture(summary.contrast, 3)),
		findingsSection(),
		networkSection()));
	collapseWords();
	document.querySelector('main').append(html('footer', {}, 'Written by probe ' + run.version +
		'. This page needs no network and contains its figures as JSON lines.'));
	document.body.append(tip);

	drawAll();
	new ResizeObserver(() => requestAnimationFrame(() => drawAll()))
		.observe(document.querySelector('main'));
	addEventListener('beforeprint', () => drawAll(PAPER));
	addEventListener('afterprint', () => drawAll());
}

build();
