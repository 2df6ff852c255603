/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The characters that the user's terminal can show. Text is composed in UTF-8 everywhere; where the
 * locale's encoding is another one, it is transliterated to ASCII on its way to the terminal.
 */
#pragma once

/* Symbols for layouts whose width depends on them: each in the characters of the locale. */
struct glyphs {
	const char *arrow;
	const char *dot;
	const char *plus_minus;
	const char *line; /* a time line: its length, its begin, its end, and a branch below it */
	const char *from;
	const char *to;
	const char *below;
};

extern const struct glyphs *glyphs;

/* Selects the glyphs by the locale, which the caller has set. ASCII before the first call. */
void glyphs_init(void);

/*
 * Returns UTF-8 text in the characters of the locale. Code points without an ASCII counterpart
 * become numbers (\u00fc). Control characters stay: escape untrusted text by format_text() first.
 * The result is the text itself, or is valid until the next call.
 */
const char *transliterate(const char *text);

/*
 * Replaces stderr by a stream that escapes as format_text() and transliterates, so that the
 * messages of libraries are safe as well.
 */
void filter_stderr(void);
