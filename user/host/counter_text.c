// SPDX-License-Identifier: GPL-2.0
#include "host/counter_text.h"

#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"

/* Returns the start of the next line, or NULL after the last one. */
static const char *next_line(const char *line)
{
	line = strchr(line, '\n');
	return line && line[1] ? line + 1 : NULL;
}

/* Returns the word with this number of the line, from 0; or NULL. */
static const char *word_at(const char *line, unsigned int number)
{
	line += strspn(line, BLANKS);
	while (number--) {
		line += strcspn(line, BLANKS "\n");
		line += strspn(line, BLANKS);
	}
	return *line && *line != '\n' ? line : NULL;
}

static bool is_word(const char *word, const char *name, size_t length)
{
	return !strncmp(word, name, length) && (!word[length] || strchr(BLANKS "\n", word[length]));
}

/* Returns the number of the word in the line, from 0; or -1 if the line lacks it. */
static int find_word(const char *line, const char *name)
{
	const char *word;
	int i;

	for (i = 0; (word = word_at(line, i)); i++)
		if (is_word(word, name, strlen(name)))
			return i;
	return -1;
}

static bool read_word(const char *line, int number, int base, uint64_t *value)
{
	const char *word = number < 0 ? NULL : word_at(line, number);
	char *end;

	if (!word)
		return false;
	*value = strtoull(word, &end, base);
	return end != word;
}

/*
 * Finds the lines with numbers for the CPUs, and the column. Returns NULL if the text lacks the
 * counter.
 */
static const char *find_cpus(enum counter_format format, const char *name, const char *text,
			     int *column)
{
	if (format == FORMAT_PER_CPU_UNNAMED) {
		*column = atoi(name);
		return *text ? text : NULL;
	}
	*column = find_word(text, name);
	return *column < 0 ? NULL : next_line(text);
}

/* Finds the two lines with this name in front, and the column. Returns the line with the numbers. */
static const char *find_pair(const char *name, const char *text, int *column)
{
	size_t prefix = strcspn(name, ":") + 1;
	const char *numbers;

	for (; text; text = next_line(text)) {
		numbers = next_line(text);
		if (!numbers || !is_word(text, name, prefix) || !is_word(numbers, name, prefix))
			continue;
		*column = find_word(text, name + prefix);
		if (*column >= 0)
			return numbers;
	}
	return NULL;
}

static bool read_plain(enum counter_format format, const char *name, const char *text,
		       uint64_t *value)
{
	int column = format == FORMAT_NUMBER ? 0 : 1;

	if (format == FORMAT_TWO_LINES)
		text = find_pair(name, text, &column);
	else if (format == FORMAT_ONE_A_LINE)
		while (text && !is_word(text, name, strlen(name)))
			text = next_line(text);
	return text && read_word(text, column, 10, value);
}

static bool is_per_cpu(enum counter_format format)
{
	return format == FORMAT_PER_CPU || format == FORMAT_PER_CPU_UNNAMED;
}

bool counter_value(enum counter_format format, const char *name, const char *text, uint64_t *value)
{
	uint64_t of_cpu;
	int column;

	if (!is_per_cpu(format))
		return read_plain(format, name, text, value);
	*value = 0;
	text = find_cpus(format, name, text, &column);
	if (!text)
		return false;
	for (; text; text = next_line(text)) {
		if (!read_word(text, column, 16, &of_cpu))
			return false;
		*value += of_cpu;
	}
	return true;
}

uint64_t growth_between(uint64_t before, uint64_t after, int bits)
{
	/* a counter that is near its end and continues near zero wrapped; others were reset */
	const uint64_t quarter = UINT64_C(1) << (bits - 2), last = quarter - 1 + 3 * quarter;

	if (after >= before)
		return after - before;
	return before >= 3 * quarter && after < quarter ? last - before + 1 + after : after;
}

static bool grow_per_cpu(enum counter_format format, const char *name, const char *before,
			 const char *after, uint64_t *growth)
{
	int column_before, column_after;
	uint64_t x, y;

	before = find_cpus(format, name, before, &column_before);
	after = find_cpus(format, name, after, &column_after);
	*growth = 0;
	if (!before || !after)
		return false;
	for (; before && after; before = next_line(before), after = next_line(after)) {
		if (!read_word(before, column_before, 16, &x) ||
		    !read_word(after, column_after, 16, &y))
			return false;
		*growth += growth_between(x, y, 32);
	}
	return !before && !after;
}

bool counter_growth(enum counter_format format, const char *name, const char *before,
		    const char *after, uint64_t *growth)
{
	uint64_t x, y;

	if (is_per_cpu(format))
		return grow_per_cpu(format, name, before, after, growth);
	if (!read_plain(format, name, before, &x) || !read_plain(format, name, after, &y))
		return false;
	*growth = growth_between(x, y, 64);
	return true;
}
