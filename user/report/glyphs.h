/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Adapts text to the characters that the user's terminal can display. All text is composed in
 * UTF-8. If the locale has another encoding, the text is transliterated to ASCII on its way to the
 * terminal.
 */
#pragma once

/* Symbols that affect the width of a layout, in the characters of the locale. */
struct glyphs {
	const char *arrow;
	const char *dot;
	const char *plus_minus;
	/* parts of a time line: its line, its start, its end, and a branch below it */
	const char *line;
	const char *from;
	const char *to;
	const char *below;
};

extern const struct glyphs *glyphs;

/*
 * Selects the glyphs by the locale, which the caller has set. Before the first call they are ASCII.
 */
void glyphs_init(void);

/*
 * Converts UTF-8 text to the characters of the locale. Code points without an ASCII form become
 * numbers (\u00fc). Control characters are kept: escape untrusted text by format_text() first.
 * Returns the text itself, or a buffer that is valid until the next call.
 */
const char *transliterate(const char *text);

/*
 * Replaces stderr by a stream that escapes like format_text() and transliterates, so that the
 * messages of libraries are safe as well.
 */
void filter_stderr(void);
