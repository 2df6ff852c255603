/* Distributions over a logarithmic axis: the waits of the clients, and round trips. */

/* Returns start (a decade) and end of an axis for lists of buckets. */
function endsOf(...lists) {
	const from = Math.min(...lists.flat().map(([low]) => Math.max(low, LEAST)));
	const to = Math.max(...lists.flat().map(([, high]) => high));

	return [10 ** Math.floor(Math.log10(from) + 0.02), Math.max(to, 10 * from)];
}

/* Heights are logarithmic as well, so that one stall among thousands is visible. */
const heightScale = (most, top, base) => (n) =>
	base - Math.log2(1 + n) / Math.log2(1 + most) * (base - top);

const mostOf = (buckets) => Math.max(...buckets.map(([, , n]) => n));

function drawBars(row, buckets, x, top, base, what, kind) {
	const y = heightScale(mostOf(buckets), top, base);

	return buckets.map(([from, to, n]) => {
		const left = x(from), width = Math.max(x(to) - left - 0.6, 2.4);

		return mark(row, [plural(n, what), duration(from) + ' to ' + duration(to)],
			rect(left, top, width, base - top, { class: 'pad' }),
			rect(left, y(n), width, base - y(n), { class: kind(from) }));
	});
}

const bucketTable = (title, spread, what) => table(title, ['#From', '#To', '#' + what],
	spread.buckets.map(([from, to, n]) => [duration(from), duration(to), n]));

const LOG_NOTE = 'The axis of time is logarithmic: each number is ten times the one before.';

/* ---- the waits of the clients ---- */

const isStall = (from) => from >= run.stall * 0.99; /* its bucket may begin below the threshold */

/* Findings whose waits a timer ended: equal within 50 ms or 2 %. Waits for an answer vary. */
const timers = findings.filter((f) => isAboutWaits(f) && f.kind !== 'slow-helper' && f.timer !== null &&
	f.deviation <= Math.max(50 * MS, f.timer / 50)).sort((a, b) => a.timer - b.timer);
const answered = findings.find((f) => f.kind === 'slow-helper');

/* The threshold's label is left of its line, or right of it if it would touch the label of the axis. */
function stallLabel(at, y, width) {
	const words = 'a stall from ' + brief(run.stall) + ' on', has = room(words, 11);
	const isLeft = at - 5 - has > room('connects', 11) + 8;
	const isRight = !isLeft && at + 5 + has < width;

	return isLeft || isRight ? text(isLeft ? at - 5 : at + 5, y, words, 'axis', isLeft ? 'end' : 'start') : [];
}

function drawWaits(width, label) {
	const buckets = spread.wait.buckets;
	const [from, longest] = endsOf(buckets);
	const to = Math.max(longest * 1.25, run.stall * 2);
	const left = 34, right = width - 8, top = 54, base = 204;
	const x = logScale(from, to, left, right), y = heightScale(mostOf(buckets), top, base);
	const parts = [logAxis(from, to, x, base, base - top, width), text(0, top - 12, 'connects', 'axis')];

	for (let n = 1; n <= mostOf(buckets); n *= 10)
		parts.push(line(left, y(n), right, y(n), { class: 'grid' }),
			text(left - 6, y(n) + 4, String(n), 'axis', 'end'));
	parts.push(line(x(run.stall), top - 8, x(run.stall), base, { class: 'threshold' }),
		stallLabel(x(run.stall), top - 12, width),
		drawBars(0, buckets, x, top, base, 'connect', (low) => isStall(low) ? 'stall' : 'fine'));
	const needles = timers.filter(({ timer }) => timer >= from && timer <= to).map((f) => ({
		at: x(f.timer),
		words: duration(f.timer) + (timers.length > 1 ? ' (' + f.number + ')' : ''),
	}));

	for (const { at } of needles)
		parts.push(line(at, 24, at, top - 4, { class: 'event' }));
	for (const { middle, words } of placeLabels(needles, 14, 0, width))
		parts.push(text(middle, 18, words, 'strong', 'middle'));
	return canvas(width, base + 28, label, parts);
}

function waitsPicture(level) {
	const question = 'How long do clients wait before their first byte?';
	const late = spread.wait.buckets.filter(([low]) => isStall(low)).reduce((n, [, , m]) => n + m, 0);
	const needle = timers[0] && 'Load or a slow network would spread the waits; here they stand like ' +
		'a needle at ' + duration(timers[0].timer) + ' (± ' + duration(timers[0].deviation) +
		'): a timer.';
	const longer = plural(late, 'wait') + ' of ' + brief(run.stall) + ' or more';
	const blunt = !late ? 'None of them waited ' + brief(run.stall) + '.' : answered ?
		longer + ', as long as ' + subject(answered) + ' took to answer.' :
		longer + ', and no timer that they share.';

	return picture({
		level, question,
		answer: plural(spread.wait.count, 'connect') +
			' by the time from the handshake to the client’s first byte. ' + (needle || blunt),
		notes: LOG_NOTE + ' The height is logarithmic as well: one wait among thousands is visible.',
		legend: [[rect(3, 2, 5, 12, { class: 'fine' }), 'prompt'],
			late > 0 && [rect(3, 2, 5, 12, { class: 'stall' }), 'stalls']],
		draw: (width) => drawWaits(width, question),
		tables: bucketTable('Waits before the client’s first byte', spread.wait, 'connects'),
	});
}

/* ---- the network's own state ---- */

const THINGS = { name: 'lookup', answer: 'answer' };

const TIMES = [
	['name', 'Until names are answered', 'from the first DNS question to the answer'],
	['client_round_trip', 'Between the clients and this gateway', 'round trip, by the handshake'],
	['server_round_trip', 'Between this gateway and the servers', 'round trip, by the handshake'],
	['answer', 'Until servers answer a request', 'from its first byte to the answer’s'],
].filter(([key]) => spread[key].count);

function drawNetwork(width, label) {
	const [from, longest] = endsOf(...TIMES.map(([key]) => spread[key].buckets));
	const x = logScale(from, longest * 1.3, 8, width - 8);
	const tall = 96, base = 14 + TIMES.length * tall;
	const parts = [logAxis(from, longest * 1.3, x, base, base - 10, width)];

	TIMES.forEach(([key, name], i) => {
		const h = spread[key];
		const floor = 2 + (i + 1) * tall;

		parts.push(text(0, floor - 66, name, 'caption'), line(0, floor, width, floor, { class: 'row' }),
			drawBars(i, h.buckets, x, floor - 44, floor, THINGS[key] || 'round trip',
				() => 'fine'));
		const shares = [['half', h.p50], ['99 %', h.p99]].map(([share, value]) =>
			({ at: x(value), words: share + ' ≤ ' + duration(value) }));

		for (const { at, middle, words } of placeLabels(shares, 11, 0, width))
			parts.push(line(at, floor - 48, at, floor, { class: 'event' }),
				text(middle, floor - 51, words, 'small', 'middle'));
	});
	return canvas(width, base + 28, label, parts);
}

function networkPicture(level) {
	const question = 'Is the network itself slow?';
	const half = (key, whom) =>
		spread[key].count && 'at most ' + duration(spread[key].p50) + ' ' + whom;
	const trips = [half('client_round_trip', 'to the clients'),
		half('server_round_trip', 'to the servers')].filter(Boolean);
	const columns = ['p50', 'p90', 'p99', 'max'];

	return TIMES.length > 0 && picture({
		level, question,
		answer: 'This gateway measures each side separately.' +
			(trips.length ? ' Half of the round trips take ' + trips.join(' and ') + '.' : '') +
			(spread.name.count ? ' Half of the names are answered within ' +
				duration(spread.name.p50) + '.' : '') +
			(spread.answer.count ? ' Half of the requests are answered within ' +
				duration(spread.answer.p50) + '.' : ''),
		notes: LOG_NOTE + ' “half ≤ 2 ms”: half of the times are 2 ms or shorter.',
		draw: (width) => drawNetwork(width, question),
		tables: [
			table('Times in the network',
				['What', '#Measured', '#Half ≤', '#90 % ≤', '#99 % ≤', '#Longest'],
				TIMES.map(([key, name, how]) => [name + ' (' + how + ')', spread[key].count,
					...columns.map((column) => duration(spread[key][column]))])),
			TIMES.map(([key, name]) => bucketTable(name, spread[key], 'times')),
		],
	});
}
