/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls of hostile code, and the canary that it must not reach; see ring3.c. */
#ifndef DUNE_TESTS_RING3_H
#define DUNE_TESTS_RING3_H

#include "guest.h"

#define RING3_SYSCALL_RESULT 0x5ca11

/* Enters Dune, places the code, sets a handler for system calls, fills the canary. */
void ring3_prepare(void);
/* How many system calls the handler has seen. */
extern volatile unsigned long ring3_syscalls;
/* Two pages of ring 0. */
extern char ring3_canary[2 * PAGE_BYTES];

/* Calls it; 0 or -EFAULT, the rest in *value and *end. */
int ring3_try(const char *code, uint64_t a, uint64_t b, uint64_t c, uint64_t *value,
	      struct dune_ring3_end *end);
/* Calls it and fails the test unless it returns this. */
void ring3_returns(const char *code, uint64_t argument, uint64_t value);
/* … unless it ends with this exception. */
void ring3_faults(const char *code, uint64_t argument, unsigned vector);
/* The invariants: canary, thread-local storage, system calls, a benign call. */
void ring3_check_host(void);

#endif
