// SPDX-License-Identifier: MIT
/* See line.h. Host context: no libc, no vector registers. */
#include <sys/syscall.h>
#include "hypercall.h"
#include "line.h"

void dune_line_put(struct line *line, const char *text)
{
	while (*text && line->length < sizeof(line->text) - 1)
		line->text[line->length++] = *text++;
}

void dune_line_put_hex(struct line *line, const char *name, uint64_t value)
{
	char digits[] = "0x0000000000000000";
	int first = 17;

	for (int i = 17; i >= 2; i--, value >>= 4) {
		digits[i] = "0123456789abcdef"[value & 15];
		if (digits[i] != '0')
			first = i;
	}
	dune_line_put(line, name);
	dune_line_put(line, "0x");
	dune_line_put(line, digits + first);
}

void dune_line_put_number(struct line *line, uint64_t value)
{
	char digits[20];
	int i = sizeof(digits) - 1;

	digits[i] = 0;
	do {
		digits[--i] = '0' + value % 10;
		value /= 10;
	} while (value && i);
	dune_line_put(line, digits + i);
}

void dune_line_begin(struct line *line)
{
	line->length = 0;
	dune_line_put(line, "dune: process ");
	dune_line_put_number(line, RAW(SYS_getpid));
	dune_line_put(line, ": ");
}

void dune_line_end(struct line *line)
{
	dune_line_put(line, "\n");
	RAW(SYS_write, 2, line->text, line->length);
}
