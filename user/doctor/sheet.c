// SPDX-License-Identifier: GPL-2.0
#include "doctor/sheet.h"

#include <stdarg.h>
#include <string.h>

#include "lib/format.h"
#include "report/glyphs.h"
#include "report/terminal.h"

/* Limits of the width, and the width used for mail and files, in columns. */
#define MIN_COLUMNS 40
#define MAX_COLUMNS 100
#define FILE_COLUMNS 80

#define INDENT 10
#define TEXT 2048

static const char *const level_names[LEVELS] = {
	[LEVEL_OK] = "ok",
	[LEVEL_NOTE] = "note",
	[LEVEL_WARNING] = "WARNING",
	[LEVEL_ERROR] = "ERROR",
};

static int columns_of(FILE *out)
{
	int columns = terminal_width(out);

	if (!columns)
		return FILE_COLUMNS;
	return columns < MIN_COLUMNS ? MIN_COLUMNS : columns > MAX_COLUMNS ? MAX_COLUMNS : columns;
}

/* Prints the words of text from this column on; further rows begin at indent. */
static void print_words(FILE *out, int column, int indent, const char *text)
{
	int limit = columns_of(out), columns;
	bool is_first = true; /* in its row */
	size_t bytes;

	text = transliterate(text);
	for (; *text; text += bytes + strspn(text + bytes, " ")) {
		bytes = strcspn(text, " ");
		columns = format_columns(text) - format_columns(text + bytes);
		if (!is_first && column + 1 + columns > limit) {
			column = fprintf(out, "\n%*s", indent, "") - 1;
			is_first = true;
		}
		fprintf(out, "%s%.*s", is_first ? "" : " ", (int)bytes, text);
		column += columns + !is_first;
		is_first = false;
	}
	fputc('\n', out);
}

void sheet_wrap(FILE *out, int indent, const char *text)
{
	print_words(out, fprintf(out, "%*s", indent, ""), indent, text);
}

void sheet_section(struct sheet *s, const char *heading)
{
	fprintf(s->out, "\n%s\n", heading);
}

void sheet_remark(struct sheet *s, enum level level, const char *format, ...)
{
	char text[TEXT];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	s->counts[level]++;
	print_words(s->out, fprintf(s->out, "  %-7s ", level_names[level]), INDENT, text);
}

void sheet_action(struct sheet *s, const char *format, ...)
{
	char text[TEXT];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	print_words(s->out, fprintf(s->out, "%*s-> ", INDENT, ""), INDENT + 3, text);
}
