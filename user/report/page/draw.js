/*
 * Drawing, accessible to everybody. Pictures are SVG in the width of the page and are redrawn when that
 * changes. Each mark shows its numbers to mouse, touch and keyboard: a picture is one Tab stop, and the
 * arrow keys move from mark to mark.
 */

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes || {}))
		if (value !== null && value !== undefined && value !== false)
			node.setAttribute(name, typeof value === 'number' ? +value.toFixed(2) : visible(value));
	for (const child of children.flat(Infinity))
		if (child !== null && child !== undefined && child !== false)
			node.append(child instanceof Node ? child : bindUnits(visible(child)));
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

const ruler = document.createElement('canvas').getContext('2d');
const FONT = getComputedStyle(document.body).fontFamily;

/* Returns the width of words in pixels; estimates it if the browser does not measure. */
function room(words, size = 12, weight = 400) {
	const shown = bindUnits(visible(words));

	if (!ruler)
		return shown.length * size * 0.62;
	ruler.font = weight + ' ' + size + 'px ' + FONT;
	return ruler.measureText(shown).width;
}

/* Cuts out the middle of long words, since the ends distinguish addresses. */
function shorten(words, width, size = 12, weight = 400) {
	let short = words;

	for (let most = words.length; room(short, size, weight) > width && most > 5; most--)
		short = words.slice(0, Math.ceil((most - 1) / 2)) + '…' +
			words.slice(words.length - Math.floor((most - 1) / 2));
	return short;
}

/* ---- shapes ---- */

const SYMBOLS = { syn: 'M-4.5,-4 L4.5,-4 L0,4.5 Z', cross: 'M-3.5,-3.5 L3.5,3.5 M3.5,-3.5 L-3.5,3.5',
	diamond: 'M0,-4.5 L4.5,0 L0,4.5 L-4.5,0 Z' };

const symbol = (shape, x, y, kind) => svg('path', { d: SYMBOLS[shape], class: kind,
	transform: 'translate(' + x.toFixed(1) + ' ' + y.toFixed(1) + ')' });

/* An invisible target, large enough for a fingertip. */
const pad = (x, y, size = 18) => rect(x - size / 2, y - size / 2, size, size, { class: 'pad' });

let patterns = 0;

/* Returns the id of a new pattern of oblique lines, and the defs element that defines it. */
function hatching() {
	const id = 'hatch-' + ++patterns;

	const tile = { id, width: 6, height: 6, patternUnits: 'userSpaceOnUse',
		patternTransform: 'rotate(45)' };

	return [id, svg('defs', {}, svg('pattern', tile, line(0, 0, 0, 6, { class: 'hatch' })))];
}

/* ---- marks and their tooltips ---- */

const tip = html('div', { id: 'tip', 'aria-hidden': 'true', hidden: '' }); /* the marks' labels say the same */
const tips = new WeakMap(); /* mark -> { lines, row } */

/* Makes a mark of shapes. Its tooltip shows lines, the first one as a headline. */
function mark(row, lines, ...shapes) {
	const node = svg('g', { class: 'mark', role: 'img', tabindex: '-1', 'aria-label': lines.join(', ') },
		shapes);

	tips.set(node, { lines, row });
	return node;
}

function showTip(node) {
	const box = node.getBoundingClientRect();

	tip.replaceChildren(...tips.get(node).lines.map((words, i) => html(i ? 'span' : 'b', {}, words)));
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

/* Returns the mark that a key leads to, undefined for other keys or if there is none. */
function nextMark(marks, from, key) {
	const i = marks.indexOf(from);
	const row = tips.get(from).row;
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
	const rows = marks.map((m) => tips.get(m).row).filter((r) => (r - row) * step > 0);
	const wanted = step > 0 ? Math.min(...rows) : Math.max(...rows);
	const near = marks.filter((m) => tips.get(m).row === wanted);

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

/* The tooltip of the focused mark moves along: moving the focus may have scrolled the page. */
addEventListener('scroll', () => {
	const reached = document.activeElement.closest('.mark');

	if (reached && !tip.hidden)
		showTip(reached);
	else
		hideTip();
}, { passive: true });

/* ---- tables and pictures ---- */

/* A table that scrolls on a narrow screen. head: names of the columns, "#" before those of numbers. */
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

/*
 * Places labels { at, words } side by side without overlap, each as near to its place as the others
 * allow. Those that find no room are left out, the last first. Returns them with their middle.
 */
function placeLabels(labels, size, left, right) {
	const gap = 8;
	const placed = labels.map((l) => ({ ...l, half: room(l.words, size, size > 13 ? 700 : 400) / 2 }))
		.sort((a, b) => a.at - b.at);
	let free = left, limit = right;

	while (placed.length && placed.reduce((n, l) => n + 2 * l.half + gap, -gap) > right - left)
		placed.pop();
	for (const l of placed) {
		l.middle = Math.max(l.at, free + l.half);
		free = l.middle + l.half + gap;
	}
	for (const l of placed.toReversed()) {
		l.middle = Math.min(l.middle, limit - l.half);
		limit = l.middle - l.half - gap;
	}
	return placed;
}

const drawn = []; /* pictures as [plot, draw, width when last drawn] */
const PAPER = 680; /* width of the text on paper, in pixels */
let pictures = 0;

/*
 * Returns a figure: a question as heading of that level, a sentence that answers it, a legend of
 * [shape, words], the svg that draw(width) returns, notes about how to read it, and tables with the
 * figures behind it.
 */
function picture({ level, question, answer, notes, legend = [], draw, tables }) {
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
		notes && html('p', { class: 'notes' }, notes),
		html('details', {}, html('summary', {}, 'The figures of this picture'), tables));
}

/* Returns an svg of that size, with a label for screen readers. */
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

const LEAST = 1000; /* 1 µs, where shorter durations are drawn */

/* A logarithmic scale of durations. */
const logScale = (from, to, left, right) => {
	const linear = scale(Math.log10(from), Math.log10(to), left, right);

	return (v) => linear(Math.log10(Math.max(v, from)));
};

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].map((n) => n * MS).concat(
	[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800]
		.map((n) => n * SECOND));

/* Returns the smallest step that divides a span into at most `most` parts. */
const stepOf = (span, most) => STEPS.find((step) => span / step <= most) || STEPS[STEPS.length - 1];

function multiples(from, to, step) {
	const ticks = [];

	for (let at = Math.ceil(from / step) * step; at <= to; at += step)
		ticks.push(at);
	return ticks;
}

/* Formats a round duration, for axes. */
function brief(ns) {
	if (ns && Math.abs(ns) < MS)
		return ns / 1000 + ' µs';
	if (ns && Math.abs(ns) < SECOND)
		return ns / MS + ' ms';
	if (Math.abs(ns) < 60 * SECOND || ns % (60 * SECOND))
		return ns / SECOND + ' s';
	if (Math.abs(ns) < 3600 * SECOND || ns % (3600 * SECOND))
		return ns / 60 / SECOND + ' min';
	return ns / 3600 / SECOND + ' h';
}

/*
 * Labels [at, words] of an axis, moved inside its ends. One that would touch the label before it is left
 * out; its line stays.
 */
function axisLabels(labels, y, left, right) {
	let free = -Infinity;

	return labels.map(([at, words]) => {
		const half = room(words, 11) / 2;
		const middle = Math.min(Math.max(at, left + half), right - half);

		if (middle - half < free)
			return false;
		free = middle + half + 6;
		return text(middle, y, words, 'axis', 'middle');
	});
}

/* A logarithmic axis of durations below y: a number at each decade, short ticks between. */
function logAxis(from, to, x, y, height, width) {
	const parts = [], labels = [];

	for (let decade = LEAST; decade <= to; decade *= 10) {
		for (let at = 2 * decade; at < 10 * decade; at += decade)
			if (at >= from && at <= to)
				parts.push(line(x(at), y, x(at), y + 3, { class: 'tick' }));
		if (decade >= from) {
			parts.push(line(x(decade), y - height, x(decade), y + 6, { class: 'grid' }));
			labels.push([x(decade), brief(decade)]);
		}
	}
	return [...parts, axisLabels(labels, y + 19, 0, width)];
}
