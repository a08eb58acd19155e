// SPDX-License-Identifier: GPL-2.0-only
/*
 * A line of the trace as it grows, and single values in it; see trace_line.h.
 */
#include "trace_line.h"
#include "signals.h"
#include "space.h"
#include "trace.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void sandbox_line_add(struct sandbox_line *line, const char *format, ...)
{
	size_t room = line->bytes - line->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line->text + line->length, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		line->length += (size_t)length < room ? (size_t)length : room - 1;
}

void sandbox_line_add_quoted(struct sandbox_line *line, const char *data, size_t bytes, bool cut)
{
	sandbox_line_add(line, "\"");
	for (size_t i = 0; i < bytes; i++) {
		unsigned char byte = data[i];

		if (byte == '"' || byte == '\\')
			sandbox_line_add(line, "\\%c", byte);
		else if (byte == '\n')
			sandbox_line_add(line, "\\n");
		else if (byte == '\t')
			sandbox_line_add(line, "\\t");
		else if (byte == '\r')
			sandbox_line_add(line, "\\r");
		else if (isascii(byte) && isprint(byte))
			sandbox_line_add(line, "%c", byte);
		else if (i + 1 < bytes && isdigit((unsigned char)data[i + 1]))
			sandbox_line_add(line, "\\%03o",
					 byte); /* else the digit would seem to belong to it */
		else
			sandbox_line_add(line, "\\%o", byte);
	}
	sandbox_line_add(line, cut ? "\"..." : "\"");
}

void sandbox_line_add_data(struct sandbox_line *line, uint64_t address, uint64_t bytes)
{
	char data[SANDBOX_MAX_SHOWN];
	size_t shown = bytes < SANDBOX_MAX_SHOWN ? bytes : SANDBOX_MAX_SHOWN;

	if (sandbox_space_read(data, address, shown))
		sandbox_line_add(line, "%#" PRIx64, address);
	else
		sandbox_line_add_quoted(line, data, shown, bytes > shown);
}

void sandbox_line_add_set(struct sandbox_line *line, const struct sandbox_trace_set *set,
			  uint64_t value)
{
	const struct sandbox_trace_symbol *symbol;
	const char *separator = "";
	uint64_t left = value;

	for (symbol = set->symbols; symbol->name; symbol++) {
		if ((value & symbol->mask) != symbol->value)
			continue;
		if (symbol->value && !(left & symbol->value))
			continue; /* part of one that was already shown */
		sandbox_line_add(line, "%s%s", separator, symbol->name);
		separator = "|";
		left &= ~symbol->mask;
		if (symbol->mask >= 0xffffffff)
			return;
	}
	if (left || !*separator)
		sandbox_line_add(line, left ? "%s%#" PRIx64 : "%s%" PRIu64, separator, left);
}

void sandbox_line_add_signal(struct sandbox_line *line, int signal)
{
	const char *name = sigabbrev_np(signal);

	if (name)
		sandbox_line_add(line, "SIG%s", name);
	else if (signal >= 32 && signal <= SANDBOX_NR_SIGNALS)
		sandbox_line_add(line, "SIGRT_%d", signal - 32);
	else
		sandbox_line_add(line, "%d", signal);
}

void sandbox_line_add_sigset(struct sandbox_line *line, uint64_t set)
{
	bool inverted = __builtin_popcountll(set) > 32;
	const char *separator = "";

	sandbox_line_add(line, inverted ? "~[" : "[");
	for (int signal = 1; signal <= SANDBOX_NR_SIGNALS; signal++) {
		if ((set >> (signal - 1) & 1) == inverted)
			continue;
		sandbox_line_add(line, "%s", separator);
		if (sigabbrev_np(signal))
			sandbox_line_add(line, "%s", sigabbrev_np(signal));
		else
			sandbox_line_add(line, "RT_%d", signal - 32);
		separator = " ";
	}
	sandbox_line_add(line, "]");
}
