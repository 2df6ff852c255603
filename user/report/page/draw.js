/*
 * How is something drawn, so that everybody can read it? Pictures are SVG of the width that there is,
 * drawn anew when that changes. Each mark tells its numbers to the mouse, to the finger, and to the
 * keyboard: a picture is one stop of the Tab key, the arrow keys go from mark to mark.
 */

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes || {}))
		if (value !== null && value !== undefined && value !== false)
			node.setAttribute(name, typeof value === 'number' ? +value.toFixed(2) : visible(value));
	for (const child of children.flat(Infinity))
		if (child !== null && child !== undefined && child !== false)
			node.append(child instanceof Node ? child : joined(visible(child)));
	return node;
}

const html = (name, attributes, ...children) =>
	fill(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) =>
	fill(document.createElementNS(SVG, name), attributes, children);

/* anchor: start, middle or end. */
const text = (x, y, words, kind, anchor) =>
	svg('text', { x, y, class: kind, 'text-anchor': anchor }, words);
const line = (x1, y1, x2, y2, attributes) => svg('line', { x1, y1, x2, y2, ...attributes });
const rect = (x, y, width, height, attributes) =>
	svg('rect', { x, y, width: Math.max(width, 0), height: Math.max(height, 0), ...attributes });

/* About so many pixels are needed by words in the pictures' type. */
const room = (words, size = 12) => words.length * size * 0.6;

/* What does not fit loses its middle: the ends tell addresses apart. */
function shorten(words, width, size = 12) {
	const most = Math.max(Math.floor(width / room('n', size)), 5);

	if (words.length <= most)
		return words;
	return words.slice(0, Math.ceil((most - 1) / 2)) + '…' +
		words.slice(words.length - Math.floor((most - 1) / 2));
}

/* ---- shapes ---- */

const SYMBOLS = { syn: 'M-4.5,-4 L4.5,-4 L0,4.5 Z', cross: 'M-3.5,-3.5 L3.5,3.5 M3.5,-3.5 L-3.5,3.5' };

const symbol = (shape, x, y, kind) => svg('path', { d: SYMBOLS[shape], class: kind,
	transform: 'translate(' + x.toFixed(1) + ' ' + y.toFixed(1) + ')' });

/* What the fingertip hits. */
const pad = (x, y, size = 18) => rect(x - size / 2, y - size / 2, size, size, { class: 'pad' });

let patterns = 0;

/* Oblique lines, to fill something with: -> their id, and what makes them known in an svg. */
function hatching() {
	const id = 'hatch-' + ++patterns;

	const tile = { id, width: 6, height: 6, patternUnits: 'userSpaceOnUse',
		patternTransform: 'rotate(45)' };

	return [id, svg('defs', {}, svg('pattern', tile, line(0, 0, 0, 6, { class: 'hatch' })))];
}

/* ---- marks and what they tell ---- */

const tip = html('div', { id: 'tip', 'aria-hidden': 'true', hidden: '' }); /* labels say the same */
const told = new WeakMap();

/* A mark: shapes that tell lines of text; the first one is the headline. */
function mark(row, lines, ...shapes) {
	const node = svg('g', { class: 'mark', role: 'img', tabindex: '-1', 'aria-label': lines.join(', ') },
		shapes);

	told.set(node, { lines, row });
	return node;
}

function showTip(node) {
	const box = node.getBoundingClientRect();

	tip.replaceChildren(...told.get(node).lines.map((words, i) => html(i ? 'span' : 'b', {}, words)));
	tip.hidden = false;
	const { width, height } = tip.getBoundingClientRect();
	const x = Math.min(Math.max(box.left + box.width / 2 - width / 2, 8), innerWidth - width - 8);
	const above = box.top - height - 8;

	tip.style.left = Math.max(x, 8) + 'px';
	tip.style.top = (above > 8 ? above : box.bottom + 8) + 'px';
}

const hideTip = () => {
	tip.hidden = true;
};

/* Which mark is reached from this one by that key? */
function nextMark(marks, from, key) {
	const i = marks.indexOf(from);
	const row = told.get(from).row;
	const middle = (node) => {
		const box = node.getBoundingClientRect();

		return box.left + box.width / 2;
	};
	const step = key === 'ArrowDown' ? 1 : -1;

	if (key === 'Home')
		return marks[0];
	if (key === 'End')
		return marks[marks.length - 1];
	if (key === 'ArrowRight' || key === 'ArrowLeft')
		return marks[i + (key === 'ArrowRight' ? 1 : -1)];
	if (key !== 'ArrowDown' && key !== 'ArrowUp')
		return undefined;
	const rows = marks.map((m) => told.get(m).row).filter((r) => (r - row) * step > 0);
	const wanted = step > 0 ? Math.min(...rows) : Math.max(...rows);
	const near = marks.filter((m) => told.get(m).row === wanted);

	const far = (node) => Math.abs(middle(node) - middle(from));

	return near.sort((a, b) => far(a) - far(b))[0];
}

function listen(plot) {
	const markOf = (event) => event.target.closest?.('.mark');

	plot.addEventListener('pointerover', (event) => markOf(event) ? showTip(markOf(event)) : hideTip());
	plot.addEventListener('pointerleave', hideTip);
	plot.addEventListener('focusin', (event) => markOf(event) && showTip(markOf(event)));
	plot.addEventListener('focusout', hideTip);
	plot.addEventListener('keydown', (event) => {
		const from = markOf(event);
		const to = from && nextMark([...plot.querySelectorAll('.mark')], from, event.key);

		if (event.key === 'Escape')
			hideTip();
		if (!to)
			return;
		event.preventDefault();
		from.setAttribute('tabindex', '-1');
		to.setAttribute('tabindex', '0');
		to.focus();
	});
}

/* What the keyboard has reached goes along: reaching it may have scrolled the page. */
addEventListener('scroll', () => {
	const reached = document.activeElement.closest('.mark');

	if (reached && !tip.hidden)
		showTip(reached);
	else
		hideTip();
}, { passive: true });

/* ---- tables and pictures ---- */

/* A table that scrolls by itself where the screen is narrow. head: names, a number's begins with #. */
function table(title, head, rows) {
	const number = head.map((name) => name.startsWith('#'));
	const cell = (kind, i, words) =>
		html(kind, { class: number[i] ? 'number' : null, scope: kind === 'th' ? 'col' : null }, words);

	return html('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': title },
		html('table', {}, html('caption', {}, title),
			html('thead', {}, html('tr', {},
				head.map((name, i) => cell('th', i, name.replace('#', ''))))),
			html('tbody', {}, rows.map((row) => html('tr', {},
				row.map((words, i) => cell('td', i, words)))))));
}

const drawn = []; /* the pictures, to be drawn anew: [plot, draw, width they have] */
const PAPER = 680; /* pixels: the width of a page's text on paper, about */
let pictures = 0;

/*
 * A picture: its question, a sentence that answers it, a legend of [shape, words] (or nothing),
 * draw(width) that answers the svg, and tables with its figures. level: of its heading.
 */
function picture({ level, question, answer, legend = [], draw, tables }) {
	const id = 'picture-' + ++pictures;
	const plot = html('div', { class: 'plot' });

	drawn.push([plot, draw, 0]);
	listen(plot);
	return html('figure', { 'aria-labelledby': id },
		html('h' + level, { id, class: 'question' }, question),
		html('p', { class: 'answer', id: id + '-answer' }, answer),
		html('ul', { class: 'legend' }, legend.filter(Boolean).map(([shape, words]) => html('li', {},
			svg('svg', { width: 18, height: 14, viewBox: '0 0 18 14', 'aria-hidden': 'true' }, shape),
			words))),
		plot,
		html('details', {}, html('summary', {}, 'The figures of this picture'), tables));
}

/* What a picture stands on: an svg of that size, with its name for those who do not see it. */
function canvas(width, height, label, ...children) {
	return svg('svg', { width, height, viewBox: '0 0 ' + width + ' ' + height, role: 'group',
		'aria-label': label + ' Arrow keys go from mark to mark.' }, children);
}

function drawAll(width) {
	for (const one of drawn) {
		const [plot, draw, had] = one;
		const has = width || Math.floor(plot.clientWidth);

		if (has === had || !has)
			continue;
		one[2] = has;
		plot.replaceChildren(draw(has));
		plot.querySelector('.mark')?.setAttribute('tabindex', '0');
	}
}

/* ---- scales ---- */

const scale = (from, to, left, right) => (v) => left + (v - from) / (to - from) * (right - left);

const LEAST = 1000; /* what is shorter than 1 µs stands there */

/* Durations by their logarithm. */
const logScale = (from, to, left, right) => {
	const linear = scale(Math.log10(from), Math.log10(to), left, right);

	return (v) => linear(Math.log10(Math.max(v, from)));
};

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].map((n) => n * MS).concat(
	[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800]
		.map((n) => n * SECOND));

/* The finest step of which at most so many lie in a span. */
const stepOf = (span, most) => STEPS.find((step) => span / step <= most) || STEPS[STEPS.length - 1];

function multiples(from, to, step) {
	const ticks = [];

	for (let at = Math.ceil(from / step) * step; at <= to; at += step)
		ticks.push(at);
	return ticks;
}

/* A round duration, as briefly as it goes. */
function brief(ns) {
	if (ns && Math.abs(ns) < MS)
		return ns / 1000 + ' µs';
	if (ns && Math.abs(ns) < SECOND)
		return ns / MS + ' ms';
	if (Math.abs(ns) < 60 * SECOND)
		return ns / SECOND + ' s';
	if (Math.abs(ns) < 3600 * SECOND)
		return ns / 60 / SECOND + ' min';
	return ns / 3600 / SECOND + ' h';
}

/* An axis of durations below y: at each decade a number, between them short ticks. */
function logAxis(from, to, x, y, height) {
	const parts = [];

	for (let decade = LEAST; decade <= to; decade *= 10) {
		for (let at = 2 * decade; at < 10 * decade; at += decade)
			if (at >= from && at <= to)
				parts.push(line(x(at), y, x(at), y + 3, { class: 'tick' }));
		if (decade >= from)
			parts.push(line(x(decade), y - height, x(decade), y + 6, { class: 'grid' }),
				text(Math.max(x(decade), 16), y + 19, brief(decade), 'axis', 'middle'));
	}
	return parts;
}
