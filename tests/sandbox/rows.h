/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rows of the sandbox's table of system calls, for attacks that are made from them, here and in
 * tests/unit. None of it asks the sandbox's own code, which is what is attacked.
 */
#ifndef DUNE_TESTS_ROWS_H
#define DUNE_TESTS_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "syscall.h"

enum { ROW_PAGE_BYTES = 4096 };

/* Something that the sandbox must check before anybody follows it. */
static inline bool row_is_pointer(const struct sandbox_arg *arg)
{
	switch ((enum sandbox_arg_kind)arg->kind) {
	case ARG_STRING:
	case ARG_IN:
	case ARG_OUT:
	case ARG_INOUT:
	case ARG_IN_IOVEC:
	case ARG_OUT_IOVEC:
	case ARG_OUT_SIZED:
	case ARG_SIZE:
		return true;
	case ARG_NONE:
	case ARG_LONG:
	case ARG_INT:
	case ARG_UINT:
	case ARG_FD:
	case ARG_ADDRESS:
		return false;
	}
	abort(); /* a kind of argument that the tests do not know */
}

/*
 * Arguments that are right as far as a table can say: pointers to this page of ring 3, lengths of
 * 64, this descriptor. The one under attack is put over its own.
 */
static inline void row_fill(const struct sandbox_row *row, uint64_t page, int fd,
			    uint64_t args[SANDBOX_NR_ARGS])
{
	memset((void *)page, 0, ROW_PAGE_BYTES);
	strcpy((char *)page + 2048, "/nowhere");
	*(uint32_t *)(page + 1024) = 64; /* what a socklen_t points to */
	for (int i = 0; i < SANDBOX_NR_ARGS; i++) {
		const struct sandbox_arg *arg = &row->arg[i];

		if (arg->kind == ARG_STRING)
			args[i] = page + 2048;
		else if (arg->kind == ARG_SIZE)
			args[i] = page + 1024;
		else if (row_is_pointer(arg))
			args[i] = page;
		else if (arg->kind == ARG_FD)
			args[i] = fd;
		else
			args[i] = arg->kind == ARG_ADDRESS ? 0 : 64;
	}
}

#endif
