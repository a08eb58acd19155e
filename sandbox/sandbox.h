/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The program's one context, and the parts of the sandbox that hang on it.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include "loader.h"
#include "memory.h"
#include "process.h"
#include "signals.h"
#include "syscall.h"

#define SANDBOX_MAX_HIDDEN_FDS 64
#define SANDBOX_NR_COUNTED     1024
#define SANDBOX_LOWEST_OWN_FD  200 /* programs name low ones themselves */

struct sandbox {
	struct sandbox_program program;
	struct sandbox_memory memory;
	struct sandbox_signals signals;
	struct sandbox_end end; /* how the program ended */

	int hidden_fd[SANDBOX_MAX_HIDDEN_FDS]; /* descriptors of the runtime */
	unsigned nr_hidden_fds;

	struct sandbox_legacy *legacy; /* of a vfork child to its parent; else NULL: child.c */

	char *libraries; /* for the next sandbox: libraries.h */

	int trace_fd;  /* -1: no --trace */
	int report_fd; /* where the sandbox itself speaks; -1: stderr */
	bool is_child; /* of the program that was started: its lines of --trace say so */
	bool count;
	uint64_t calls[SANDBOX_NR_COUNTED], errors[SANDBOX_NR_COUNTED]; /* by number; 0 unknown */

	struct sandbox_call call; /* of the one thread */
};

#endif
