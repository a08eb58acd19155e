/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs one instruction with every general register, the flags and the red zone
 * set to given values, and says what they are afterwards; through.S does it.
 */
#ifndef DUNE_TESTS_THROUGH_H
#define DUNE_TESTS_THROUGH_H

#define THROUGH_RFLAGS	 128
#define THROUGH_RED_ZONE 136
#define THROUGH_BYTES	 264

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct through {
	uint64_t gpr[16]; /* in the hardware's order; rsp is not set */
	uint64_t rflags;
	uint64_t red_zone[16];
};

_Static_assert(offsetof(struct through, rflags) == THROUGH_RFLAGS, "known to through.S");
_Static_assert(offsetof(struct through, red_zone) == THROUGH_RED_ZONE, "known to through.S");
_Static_assert(sizeof(struct through) == THROUGH_BYTES, "known to through.S");

extern struct through through_in, through_out;
extern volatile uint64_t through_flag;

void through_syscall(void);    /* syscall, from ring 0 */
void through_breakpoint(void); /* int3 */
void through_touch(void);      /* a write to where rdi points */
void through_wait(void);       /* changes rcx until through_flag is not zero */

#endif
#endif
