/* Parts of a whole as bars: who is hit and who is not, servers, resolvers. */

/* rows: { label, bad, all, words, more }; words, and more if there is room, end the label's line. */
function drawShares(width, rows, label) {
	const most = Math.max(...rows.map((r) => r.all)), step = 40;
	const x = scale(0, most, 0, width);
	const parts = rows.map(({ label: name, bad, all, words, more = '' }, i) => {
		const y = i * step;
		const end = room(name + words + more) + 14 < width ? words + more : words;

		return [text(0, y + 13, shorten(name, width - room(end) - 14), 'name'),
			text(width, y + 13, end, 'name', 'end'),
			mark(i, [name, words + more], rect(0, y + 16, x(all), 16, { class: 'pad' }),
				rect(x(bad), y + 20, x(all) - x(bad), 8, { class: 'fine', rx: 2 }),
				rect(0, y + 17, x(bad), 14, { class: 'culprit', rx: 2 }))];
	});

	return canvas(width, rows.length * step, label, parts);
}

/* names: what the parts are called, [bad, good]. head: names of the first columns of the table. */
const sharesPicture = ({ level, question, answer, rows, names, head }) => rows.length > 0 && picture({
	level, question, answer,
	legend: [rows.some((r) => r.bad) && [rect(1, 1, 16, 12, { class: 'culprit', rx: 2 }), names[0]],
		rows.some((r) => r.bad < r.all) && [rect(1, 3, 16, 8, { class: 'fine', rx: 2 }), names[1]]],
	draw: (width) => drawShares(width, rows, question),
	tables: table(question, [head, '#' + names[0], '#' + names[1], '#All'],
		rows.map((r) => [r.label, r.bad, r.all - r.bad, r.all])),
});

const share = (label, bad, all, how) => ({ label, bad, all, words: bad + ' of ' + all + ' ' + how });

/* The two rows of a trait that those who are hit have in common. */
function traitRows({ trait, value, unit, bad_with, bad, good_with, good }) {
	const name = nameWords(trait), units = unit + 's';

	return [share(units + ' with ' + name + ' ' + value, bad_with, bad_with + good_with, 'hit'),
		share('other ' + units, bad - bad_with, bad + good - bad_with - good_with, 'hit')]
		.filter((r) => r.all > 0);
}

/* Compares those that were hit with those that were not, at the same time and doing the same. */
function contrastPicture(contrast, level) {
	const rows = (contrast?.common || []).flatMap(traitRows);
	const { hosts_bad: bad, hosts_good: good } = contrast || {};

	return rows.length > 0 && sharesPicture({
		level, question: 'Who is hit, and who is not?', rows, names: ['hit', 'not hit'], head: 'Who',
		answer: plural(bad, 'host') + ' that ' + (bad === 1 ? 'was' : 'were') + ' hit, beside ' +
			plural(good, 'host') + ' that did the same at the same time without trouble.',
	});
}

/* How the hosts that tried the peer fared, and the others. */
function cohortPicture({ tried, tried_stalled, others, others_stalled }, asks, level) {
	return tried > 0 && others > 0 && sharesPicture({
		level, head: 'Hosts that',
		question: asks ? 'Who asked it, and who waited?' : 'Who tried it, and who stalled?',
		answer: 'The hosts that ' + (asks ? 'asked' : 'tried') + ' it in vain, beside those that did not.',
		names: asks ? ['waited', 'did not wait'] : ['stalled', 'did not stall'],
		rows: [
			share(asks ? 'asked it in vain' : 'tried it in vain', tried_stalled, tried,
				asks ? 'waited' : 'stalled'),
			share('did not', others_stalled, others, asks ? 'waited' : 'stalled'),
		],
	});
}

const MOST_PARTS = 8;

/* The servers of a finding about several of them. */
const partsPicture = (finding, level) => finding.peers.length > 1 && sharesPicture({
	level, question: 'Which servers does it concern?', head: 'Server', names: ['concerned', 'not concerned'],
	answer: 'The connects to ' + (finding.peers.length > MOST_PARTS ? 'the first ' + MOST_PARTS + ' of ' : '') +
		plural(finding.peers.length, 'server') + '.',
	rows: finding.peers.slice(0, MOST_PARTS).map(({ peer, connects, concerned }) =>
		share(endpointOf(peer), Math.min(concerned, connects), connects, 'concerned')),
});

const isAboutNames = (finding) => /^(resolver|type|zone|dns)-/.test(finding.kind);

/* The resolvers by the lookups that got no answer. */
const resolverPicture = (level) => summary.names.resolvers.length > 0 && sharesPicture({
	level, question: 'Which resolvers answer?', head: 'Resolver', names: ['without an answer', 'answered'],
	answer: 'The lookups at each resolver' + (summary.names.resolvers_more ?
		'; ' + summary.names.resolvers_more + ' more resolvers are not drawn' : '') + '.',
	rows: summary.names.resolvers.map((r) => ({ label: resolverOf(r.resolver), bad: r.lookups - r.answered,
		all: r.lookups, words: r.answered + ' of ' + r.lookups + ' answered',
		more: r.answered ? ', half ≤ ' + duration(r.median) : '' })),
});
