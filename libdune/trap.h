/* SPDX-License-Identifier: MIT */
/*
 * Between trap_entry.S and the C code around it.
 */
#ifndef LIBDUNE_TRAP_H
#define LIBDUNE_TRAP_H

#include "frame.h"

#define TRAP_STUB_BYTES 32

#ifndef __ASSEMBLY__
#include <stdint.h>

struct cpu;
struct dune_frame;
struct ring3_context;

/* trap_entry.S */
extern char dune_trap_stubs[]; /* one for each vector, TRAP_STUB_BYTES apart */
extern char dune_trap_lstar[];
extern char dune_trap_entry_end[]; /* of the code from dune_trap_stubs on */
/* Where signal_point.c has to look closely; trap_entry.S and enter.S explain. */
extern char dune_trap_entry_start[];
extern char *const dune_trap_tails[], *const dune_trap_tails_end[];
extern char dune_trap_to_user[], dune_trap_to_user_end[];
extern const struct {
	const char *rip;
	uint64_t stack_bytes;
} dune_trap_own_call_done[], dune_trap_own_call_done_end[];
extern char dune_trap_from_ring3[], dune_trap_system_call[], dune_trap_call_start[];
extern char dune_trap_no_call[];
extern char dune_trap_call_done[], dune_trap_call_done_fs[];

/* trap_fpu.S */
void dune_trap_save_fpu(struct dune_frame *frame);

/* enter.S */
extern char dune_ring3_run_stopped[], dune_ring3_call_stopped[];
extern char dune_ring3_call_fs[], dune_ring3_call_sysret[];
extern char dune_copy_fault[], dune_copy_fixup[];
long dune_copy(void *to, const void *from, uint64_t bytes);
extern char dune_ring3_trampoline_start[], dune_ring3_trampoline_end[];
extern char dune_ring3_trampoline_return[];
/* Where ring 3 finds the copy, and what RCX holds after its system call. */
extern uint64_t dune_ring3_trampoline, dune_ring3_return;

/* trap.c: what trap_entry.S calls, by TRAP_* or vector. */
extern void (*dune_trap_table[TRAP_ROWS])(struct dune_frame *frame);
/* What dune_trap_save_fpu() calls between saving and restoring. */
extern void (*dune_trap_fpu_table[TRAP_ROWS])(struct dune_frame *frame);
extern uint64_t dune_trap_xsave_bytes;
void dune_trap_bad_user_rip(struct dune_frame *frame);
/* The handlers that a page fault interrupted find CR2 as it was. */
void dune_trap_restore_cr2(struct dune_frame *frame);
/* The frame of the exception whose trap stack rsp is in. NULL: it is in none. */
struct dune_frame *dune_trap_frame_of_level(const struct cpu *cpu, uint64_t rsp);
/* The innermost run of ring 3 when the exception came. */
struct ring3_context *dune_trap_ring3_of(const struct dune_frame *frame);
void dune_trap_init(void);

/* fault.c: a fault in ring 0 that nobody handles. Returns if it is gone. */
long dune_fault_report(long frame, long address, long unused);
#endif
#endif
