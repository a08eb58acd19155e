/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stack that a program finds at its entry point: argc, argv, envp, auxv and their strings, as
 * the x86-64 psABI says ("Initial Stack and Register State").
 */
#ifndef SANDBOX_STACK_H
#define SANDBOX_STACK_H

#include <stdint.h>

struct sandbox_stack {
	uint64_t low, high; /* writable by the caller, and the program's own addresses */
	char *const *argv, *const *envp;
	const char *path;		     /* AT_EXECFN */
	uint64_t entry, headers, nr_headers; /* of the program */
	uint64_t base;			     /* of its interpreter, 0: none */
	uint8_t random[16];		     /* AT_RANDOM */
};

/* Writes the stack; *pointer is what rsp must be. 0, or -E2BIG if argv and envp do not fit. */
int sandbox_stack_build(const struct sandbox_stack *stack, uint64_t *pointer);

#endif
