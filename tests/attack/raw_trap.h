/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A raw guest (raw.h) with an IDT: every exception ends the run and says what
 * it was, so that a test can tell #GP from #UD and see where it happened.
 */
#ifndef DUNE_TESTS_RAW_TRAP_H
#define DUNE_TESTS_RAW_TRAP_H

#include "raw.h"

#define RAW_TRAPS	0x10000 /* code of the gates */
#define RAW_TRAP_STACK	0x18000 /* its top; each gate uses it (IST 1) */
#define RAW_VECTOR_NONE 0x100	/* the code came to its end */

struct raw_trap {
	uint64_t vector; /* or RAW_VECTOR_NONE: the rest is void */
	uint64_t error, rip, cs, rflags, rsp, cr2;
};

/* raw_create(), and an IDT; the guest's memory is then the supervisor's alone. */
void raw_trap_create(struct raw *raw);
/* Undoes what the guest did to IDT, TSS and the upper half of the GDT. */
void raw_trap_write_tables(struct raw *raw);
/* The state to begin from, at RAW_CODE, with that IDT. */
struct dune_state raw_trap_state(const struct raw *raw);
/*
 * Copies code to RAW_CODE and runs it to its end or to an exception. Returns the
 * exit reason; if that is DUNE_EXIT_HYPERCALL, *trap tells which of both it was.
 * After an exception r8 to r15 are void.
 */
long raw_trap_run(struct raw *raw, const struct dune_state *state, const void *code, size_t bytes,
		  struct raw_trap *trap);
/* From now on #GP skips so many bytes, counts in r14, and sets r13 to 1. */
void raw_trap_skip_gp(struct raw *raw);

/* In raw_trap_guest.S. */
extern const char raw_trap_common[], raw_trap_skip[], raw_trap_end[];

/*
 * Sweeps for raw_load(), with raw_trap_skip_gp(): from rdi up to rsi, a vmcall
 * for each that is not #GP, with its number in rcx; rdi == rsi ends them.
 */
extern const char raw_sweep_rdmsr[], raw_sweep_wrmsr[], raw_sweep_in[], raw_sweep_out[];

#endif
