// SPDX-License-Identifier: GPL-2.0
#include "report/glyphs.h"

#include <langinfo.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "lib/format.h"

static const struct glyphs ascii = { .arrow = "->",
				     .dot = "|",
				     .plus_minus = "+-",
				     .line = "-",
				     .from = "|",
				     .to = "|",
				     .below = "`" };
static const struct glyphs utf8 = { .arrow = "→",
				    .dot = "·",
				    .plus_minus = "±",
				    .line = "─",
				    .from = "├",
				    .to = "┤",
				    .below = "└" };

const struct glyphs *glyphs = &ascii;

void glyphs_init(void)
{
	if (!strcmp(nl_langinfo(CODESET), "UTF-8"))
		glyphs = &utf8;
}

/* Returns the ASCII form of the characters that lib/format.h and the findings use, or NULL. */
static const char *ascii_of(uint32_t code)
{
	switch (code) {
	case 0xb1: /* plus-minus */
		return "+-";
	case 0xb5: /* micro */
		return "u";
	case 0x2013: /* en dash */
		return "-";
	default:
		return NULL;
	}
}

static void write_ascii(FILE *out, const char *text)
{
	unsigned int length;
	uint32_t code;

	for (; *text; text += length) {
		length = format_utf8(text, &code);
		if (!length) {
			fprintf(out, "\\x%02x", (unsigned char)*text);
			length = 1;
		} else if (code < 0x80) {
			fputc((int)code, out);
		} else if (ascii_of(code)) {
			fputs(ascii_of(code), out);
		} else {
			format_code_point(out, code);
		}
	}
}

static bool is_ascii(const char *text)
{
	while (*text && !(*text & 0x80))
		text++;
	return !*text;
}

const char *transliterate(const char *text)
{
	static char *shown;
	size_t size;
	FILE *out;

	if (glyphs != &ascii || is_ascii(text))
		return text;
	free(shown);
	shown = NULL;
	out = open_memstream(&shown, &size);
	if (out) {
		write_ascii(out, text);
		fclose(out);
	}
	return shown ? shown : "(out of memory)\n";
}

static bool write_all(const char *text)
{
	size_t done, length = strlen(text);
	ssize_t n;

	for (done = 0; done < length; done += n) {
		n = write(STDERR_FILENO, text + done, length - done);
		if (n < 0)
			return false;
	}
	return true;
}

static ssize_t write_errors(void *cookie, const char *bytes, size_t length)
{
	static const char failed[] = "probe: out of memory: a message could not be shown\n";
	char *text = strndup(bytes, length), *escaped = NULL;
	size_t size;
	FILE *out;

	(void)cookie;
	out = text ? open_memstream(&escaped, &size) : NULL;
	if (out)
		format_text(out, text);
	/* text that could not be escaped is never shown */
	if (!out || fclose(out) || !escaped)
		write_all(failed);
	else
		write_all(transliterate(escaped));
	free(text);
	free(escaped);
	return (ssize_t)length;
}

void filter_stderr(void)
{
	static const cookie_io_functions_t functions = { .write = write_errors };
	FILE *out = fopencookie(NULL, "w", functions);

	if (!out)
		return;
	setvbuf(out, NULL, _IONBF, 0);
	stderr = out;
}
