/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A line of the trace while trace.c writes it: what does not fit is left out. Memory of ring 3 is read
 * as it is now; where it cannot be, the address is shown.
 */
#ifndef SANDBOX_TRACE_LINE_H
#define SANDBOX_TRACE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "syscall.h"

#define SANDBOX_MAX_SHOWN 32 /* bytes of data and elements of arrays, as strace */

struct sandbox_trace_set;

struct sandbox_line {
	char *text;
	size_t length, bytes;
};

__attribute__((format(printf, 2, 3))) void sandbox_line_add(struct sandbox_line *line,
							    const char *format, ...);
void sandbox_line_add_quoted(struct sandbox_line *line, const char *data, size_t bytes, bool cut);
void sandbox_line_add_data(struct sandbox_line *line, uint64_t address, uint64_t bytes);
void sandbox_line_add_set(struct sandbox_line *line, const struct sandbox_trace_set *set,
			  uint64_t value);
void sandbox_line_add_signal(struct sandbox_line *line, int signal);
void sandbox_line_add_sigset(struct sandbox_line *line, uint64_t set);

/* trace_struct.c */
void sandbox_line_add_sockaddr(struct sandbox_line *line, uint64_t address, uint64_t bytes);
void sandbox_line_add_poll(struct sandbox_line *line, uint64_t address, uint64_t count);
void sandbox_line_add_ints(struct sandbox_line *line, uint64_t address, uint64_t count);
/* Of the data, only the first `filled` bytes. */
void sandbox_line_add_iovec(struct sandbox_line *line, uint64_t address, uint64_t count,
			    uint64_t filled);
/* One that was copied to `data`. False if this kind of argument is none. */
bool sandbox_line_add_structure(struct sandbox_line *line, enum sandbox_arg_show show,
				const void *data);

#endif
