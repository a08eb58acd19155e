/* SPDX-License-Identifier: MIT */
/*
 * A line on stderr for somebody who is about to die, where no libc can be called:
 * fault.c and fault_exit.c say what, where and why.
 */
#ifndef LIBDUNE_LINE_H
#define LIBDUNE_LINE_H

#include <stdint.h>

struct line {
	char text[400]; /* what is too long is cut off */
	unsigned length;
};

/* Begins with who speaks; dune_line_end() writes it. */
void dune_line_begin(struct line *line);
void dune_line_put(struct line *line, const char *text);
void dune_line_put_hex(struct line *line, const char *name, uint64_t value);
void dune_line_put_number(struct line *line, uint64_t value);
void dune_line_end(struct line *line);

#endif
