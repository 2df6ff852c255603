/* The ledger: what became of every connect, as a bar and as a table. */

/* The rows of summary.ledger in words, and the shape of their part of the bar. */
const LEDGER_ROWS = [
	['in_time', 'served in time', 'fine', 18],
	['late', 'served late', 'stall', 26],
	['failed', 'failed', 'culprit', 26],
	['cancelled', 'cancelled by the client', 'unknown', 10],
	['undecided', 'undecided at the end', 'undecided', 18],
	['unseen', 'not seen whole', 'unknown', 18],
];

const STATES = {
	problem: ['■', 'a problem was found'],
	failures: ['▲', 'failures, and no cause stands out'],
	fine: ['●', 'fine'],
	unknown: ['○', 'nothing can be said'],
};

/* The rows that are not empty: { count, words, kind, height, details }. */
function ledgerRows(ledger) {
	return LEDGER_ROWS.filter(([row]) => ledger[row] > 0).map(([row, words, kind, height]) => ({
		count: ledger[row], words, kind, height,
		details: (ledger.rows || []).filter((r) => r.row === row)
			.sort((a, b) => b.count - a.count),
	}));
}

/* Says how and where the connects of a row ended: "3 × connect, silent". */
const detailWords = ({ count, stage, how }) =>
	count + ' × ' + [stage, how].map(nameWords).filter((w) => w && w !== 'none').join(', ');

function drawLedger(width, rows, label) {
	const least = 6, base = 54;
	const total = rows.reduce((n, r) => n + r.count, 0);
	const parts = [];
	let x = 0;

	for (const { count, words, kind, height, details } of rows) {
		const has = least + count / total * (width - least * rows.length);
		const caption = count + ' ' + words;
		const lines = [plural(count, 'connect') + ' ' + words, ...details.map(detailWords)];

		parts.push(mark(0, lines, rect(x, base - 30, has, 34, { class: 'pad' }),
			rect(x + 1, base - height, has - 2, height, { class: kind, rx: 2 })));
		if (room(caption) < has)
			parts.push(text(x + 1, base - 34, caption, 'small'));
		x += has;
	}
	return canvas(width, base + 6, label, parts);
}

function ledgerPicture(level) {
	const { ledger } = summary;

	if (!ledger || !ledger.connects)
		return false;
	const rows = ledgerRows(ledger);
	const question = 'What became of the connects?';
	const icon = ({ kind, height }) =>
		rect(1, 14 - height / 2, 16, height / 2, { class: kind, rx: 2 });

	return picture({
		level, question,
		answer: plural(ledger.connects, 'connect') + ': ' +
			rows.map((r) => r.count + ' ' + r.words).join(', ') + '.',
		legend: rows.map((r) => [icon(r), r.words]),
		draw: (width) => drawLedger(width, rows, question),
		tables: table('What became of the connects', ['Row', 'Stage', 'How', '#Connects'],
			rows.flatMap((r) => r.details.length ?
				r.details.map((d) => [r.words, nameWords(d.stage), nameWords(d.how), d.count]) :
				[[r.words, '', '', r.count]])),
	});
}

const stateLine = () => STATES[summary.state] && html('p', { class: 'state ' + summary.state },
	html('span', { class: 'shape', 'aria-hidden': 'true' }, STATES[summary.state][0]),
	' ' + STATES[summary.state][1]);

/* The finding that the headline quotes; undefined if the headline is none. */
const leading = summary.state === undefined ? findings[0] :
	summary.state === 'problem' ? findings.find((f) => f.problem) : undefined;
