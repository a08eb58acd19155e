/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * --trace: calls as strace shows them, by the kinds that the table's rows give their arguments.
 */
#ifndef SANDBOX_TRACE_H
#define SANDBOX_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sandbox_call;
struct sandbox_end;

/* A number and its name. Bits are matched under a mask, so that fields of bits work, too. */
struct sandbox_trace_symbol {
	uint64_t mask, value;
	const char *name;
};

struct sandbox_trace_set {
	const struct sandbox_trace_symbol *symbols; /* ends with a NULL name */
};

extern const struct sandbox_trace_set sandbox_set_open, sandbox_set_prot, sandbox_set_map,
	sandbox_set_whence, sandbox_set_access, sandbox_set_at, sandbox_set_clock,
	sandbox_set_fcntl, sandbox_set_ioctl, sandbox_set_madvise, sandbox_set_mremap,
	sandbox_set_msync, sandbox_set_arch_prctl, sandbox_set_prctl, sandbox_set_sigmask_how,
	sandbox_set_futex, sandbox_set_rlimit, sandbox_set_statx_mask, sandbox_set_random,
	sandbox_set_pipe, sandbox_set_socket_domain, sandbox_set_socket_type, sandbox_set_clone,
	sandbox_set_wait, sandbox_set_fadvise, sandbox_set_msg, sandbox_set_socket_level,
	sandbox_set_rusage, sandbox_set_memfd;

/*
 * One line for a finished call, with a newline, cut if it does not fit. Returns its length. The
 * arguments are read from ring 3 again where they were not copied: only what is shown depends on it.
 */
size_t sandbox_trace_format(char *line, size_t bytes, const struct sandbox_call *call, long result);

/* Writes the line to the trace file. */
void sandbox_trace_call(const struct sandbox_call *call, long result);

/* The last line: how the program ended. */
void sandbox_trace_end(int fd, bool is_child, const struct sandbox_end *end);

#endif
