/* One wait, and the attempt or the questions that were pending meanwhile, on one time axis. */

/*
 * The parts of an example. Without the ACK of the handshake, the wait lies before the SYN: the client
 * tried another server first.
 */
function partsOf(e) {
	const held = e.ack === null;
	const began = held ? e.syn_times[0] ?? e.syn : e.ack;
	const ended = held ? e.syn : e.first_payload;
	const handshake = [['SYN', e.syn], ['SYN-ACK', e.synack], ['ACK', e.ack]];

	return {
		held, began, ended,
		wait: ended - began,
		steps: held ? [] : handshake.filter(([, at]) => at !== null),
		client: endpointOf(e.client) + (e.behind ? ' (behind ' + endpointOf(e.behind) + ')' : ''),
		server: endpointOf(e.server),
		name: e.server.name ? ' (' + e.server.name + ')' : '',
		peer: e.waited_for && (e.asks_name ? resolverOf(e.waited_for) : endpointOf(e.waited_for)),
		asks: e.asks_name,
		try: e.asks_name ? 'question' : 'SYN',
		tries: e.syn_times,
		answered: e.resolved,
		since: (at) => (at < began ? '' : '+') + duration(at - began),
	};
}

function waitSentence(e, t) {
	const count = t.tries.length === 8 ? '8 ' + t.try + 's or more' : plural(t.tries.length, t.try);
	const tries = count + ' to ' + t.peer;

	if (t.asks && t.held)
		return 'The client asked the resolver ' + t.peer + ' for a name (' + count + '), which ' +
			(t.answered === null ? 'did not answer' :
				'answered after ' + duration(t.answered - t.began)) +
			'. Its SYN to ' + t.server + t.name + ' came ' + duration(t.wait) + ' after the first question.';
	if (t.held)
		return 'The client asked ' + t.peer + ' first (' + tries + '), and only ' +
			duration(t.wait) + ' after that began it sent its SYN to ' + t.server + '.';
	const handshake = e.synack === null ? 'No SYN-ACK was seen. ' :
		'The server’s SYN-ACK took ' + duration(e.synack - e.syn) + '. ';
	const silence = 'Then the client, whose turn it was, sent nothing for ' + duration(t.wait);

	if (!t.peer)
		return handshake + silence + ', and the packets do not show what it waited for.';
	if (t.answered === null)
		return handshake + silence + '. Meanwhile it sent ' + tries + ', and nothing came back.';
	return handshake + silence + '. Meanwhile it had ' + tries + ' pending, which came to an end ' +
		duration(t.ended - t.answered) + ' before.';
}

const dot = (x, y) => svg('circle', { cx: x, cy: y, r: 5, class: 'dot' });

/* The handshake is too short for the axis, so it is drawn beside it, with equal steps. */
function drawHandshake(t, width, top) {
	const middle = top + 29;
	const stepX = (i) => 20 + i * (width - 40) / (t.steps.length - 1);
	const parts = [rect(0, top, width, 72, { class: 'inset', rx: 6 }),
		line(stepX(0), middle, stepX(t.steps.length - 1), middle, { class: 'thread' }),
		text(width / 2, top + 66, 'enlarged', 'axis', 'middle')];

	t.steps.forEach(([name, at], i) => {
		parts.push(mark(0, [name, fineClock(at), t.since(at) + ' from the handshake’s ACK'],
			pad(stepX(i), middle), dot(stepX(i), middle)),
			text(stepX(i), middle + 20, name, 'small', 'middle'));
		if (i)
			parts.push(text((stepX(i - 1) + stepX(i)) / 2, middle - 9,
				duration(at - t.steps[i - 1][1]), 'small', 'middle'));
	});
	return parts;
}

/* The silence, hatched so that its colour is not the only hint, and the segment that ended it. */
function drawSilence(t, x, top, width) {
	const [hatch, defs] = hatching();
	const from = x(t.began), to = x(t.ended), height = 30;
	const what = t.held ? ' before the SYN' : ' of silence';
	const words = duration(t.wait) + (to - from > 300 ? what : '');
	const half = room(words, 14, 700) / 2;
	const fits = to - from > 2 * half + 20; /* else the words stand beside the bar */
	const middle = fits ? (from + to) / 2 : to + 2 * half + 28 < width ? to + half + 18 : from - half - 18;
	const end = t.held ? 'SYN' : 'first byte';

	return [defs,
		mark(0, [duration(t.wait) + (t.held ? ' until the SYN' : what),
			'from ' + fineClock(t.began) + ' to ' + fineClock(t.ended), t.client + ' → ' + t.server],
			rect(from, top, to - from, height, { class: 'stall', rx: 3 }),
			rect(from, top, to - from, height, { fill: 'url(#' + hatch + ')', rx: 3 }),
			rect(middle - half - 8, top + 5, 2 * half + 16, height - 10,
				{ class: 'plate', rx: 3 }),
			text(middle, top + height / 2 + 5, words, 'strong', 'middle')),
		mark(0, [end + ' to ' + t.server, fineClock(t.ended), t.since(t.ended)],
			pad(to, top + height / 2),
			line(to, top - 8, to, top + height + 8, { class: 'event' }),
			dot(to, top + height / 2)),
		text(Math.min(to + 6, width), top - 14, end, 'small', 'end')];
}

/* The pending attempt: its SYNs and its outcome. */
function drawPending(t, x, top, width) {
	const y = top + 26;
	const over = t.answered ?? Math.max(t.ended, t.tries[t.tries.length - 1]);
	const result = t.answered === null ? 'no answer' :
		(t.asks ? 'answered at ' : 'ends at ') + t.since(over);
	const parts = [text(0, top, shorten(t.try + 's to ' + t.peer, width - room(result, 13, 600) - 12, 13, 600),
		'caption peer'),
		line(x(t.tries[0]), y, x(over), y, { class: 'pending' })];
	let free = -Infinity;

	t.tries.forEach((at, i) => {
		const when = t.since(at), half = room(when, 11) / 2;

		parts.push(mark(1, [t.try + ' ' + (i + 1) + ' to ' + t.peer, fineClock(at), when],
			pad(x(at), y), symbol('syn', x(at), y, 'culprit')));
		if (x(at) - half > free && x(at) + half < width) {
			parts.push(text(Math.max(x(at), half), y + 20, when, 'axis', 'middle'));
			free = x(at) + half + 6;
		}
	});
	if (t.answered !== null)
		parts.push(mark(1, [t.asks ? 'the answer' : 'the attempt came to an end', fineClock(over), t.since(over)],
			pad(x(over), y), dot(x(over), y)));
	parts.push(text(width, top, result, 'caption peer', 'end'));
	return parts;
}

function drawWait(width, t, label) {
	const inset = t.steps.length > 1 ? Math.min(Math.max(width * 0.24, 140), 230) : 0;
	const from = Math.min(t.began, ...t.tries), to = Math.max(t.ended, ...t.tries, t.answered ?? 0);
	const x = scale(from, to, inset + 14, width - 14);
	const top = 46, bottom = t.peer ? 190 : 120;
	const parts = [text(0, 16, shorten(t.client + ' → ' + t.server + t.name, width, 13, 600), 'caption')];

	const steps = multiples(from - t.began, to - t.began, stepOf(to - from, width < 560 ? 4 : 10));
	const axis = inset < 190 ? 'since the ACK' : 'time since the handshake’s ACK';

	for (const at of steps)
		parts.push(line(x(t.began + at), top - 12, x(t.began + at), bottom, { class: 'grid' }));
	parts.push(axisLabels(steps.map((at) => [x(t.began + at), brief(at)]), bottom + 18,
		inset ? room(axis, 11) + 8 : 0, width));
	if (inset)
		parts.push(drawHandshake(t, inset, top - 14),
			line(inset, top + 15, x(t.began), top + 15, { class: 'thread' }),
			text(0, bottom + 18, axis, 'axis'));
	parts.push(drawSilence(t, x, top, width));
	if (t.peer)
		parts.push(drawPending(t, x, 130, width));
	return canvas(width, bottom + 26, label, parts);
}

function waitPicture(e, level) {
	const t = partsOf(e);
	const question = t.held ? 'What came before this connect?' :
		'What happened on one of these connects?';
	const rows = [
		...t.steps.map(([name, at]) => [at, name, t.client, t.server]),
		...t.tries.map((at, i) => [at, t.try + ' ' + (i + 1), endpointOf({ ...e.client, port: 0 }), t.peer]),
		[t.ended, t.held ? 'SYN' : 'first byte', t.client, t.server],
		...(t.answered === null ? [] : [[t.answered, t.asks ? 'answer' : 'attempt over', t.peer, '']]),
	].sort((a, b) => a[0] - b[0]);

	return picture({
		level, question,
		answer: waitSentence(e, t),
		draw: (width) => drawWait(width, t, question),
		tables: table('One wait, step by step',
			['Time', '#From the start of the wait', 'What', 'Client', 'Server'],
			rows.map(([at, ...what]) => [fineClock(at), duration(at - t.began), ...what])),
	});
}
