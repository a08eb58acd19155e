// SPDX-License-Identifier: MIT
/*
 * What was the guest doing when a signal came? In the program, in ring 0 or ring 3, a
 * handler can run at once. In the few instructions of the trap path that belong
 * neither to one nor to the other it cannot: stack, FS or IST are half switched. There
 * are three ways out, and none costs the trap path much:
 *
 *  - On the way in, let it go on: it looks for a signal before it goes back.
 *  - On the way back, after that look, the frame says what it goes back to; so take
 *    that as what was interrupted.
 *  - In dune_ring3_call(), which has no frame, undo the first instructions or do the
 *    last ones here.
 *
 * Called by signal.c, in host context.
 */
#include <stddef.h>
#include "dune.h"
#include "dune_abi.h"
#include "cpu.h"
#include "guest_signal.h"
#include "trap.h"

#define SYSCALL_BYTES 2

static bool is_between(uint64_t address, const char *start, const char *end)
{
	return address >= (uint64_t)start && address < (uint64_t)end;
}

static bool in_tail(uint64_t rip)
{
	for (char *const *tail = dune_trap_tails; tail < dune_trap_tails_end; tail += 2)
		if (is_between(rip, tail[0], tail[1]))
			return true;
	return false;
}

static void go_to_ring3(struct dune_state *state, uint64_t rflags)
{
	state->cs = DUNE_SEL_CODE3;
	state->ss = DUNE_SEL_DATA3;
	state->rflags = (rflags & RFLAGS_USER) | RFLAGS_RING3;
}

static void go_to_ring0(struct dune_state *state, uint64_t rflags)
{
	state->cs = DUNE_SEL_CODE0;
	state->ss = DUNE_SEL_DATA0;
	state->rflags = (rflags & (RFLAGS_USER | RFLAGS_IOPL)) | 2;
}

void dune_signal_state_of_frame(struct dune_state *state, const struct dune_frame *frame)
{
	uint64_t *gpr = (uint64_t *)state->gpr;

	gpr[DUNE_RAX] = frame->rax;
	gpr[DUNE_RCX] = frame->rcx;
	gpr[DUNE_RDX] = frame->rdx;
	gpr[DUNE_RBX] = frame->rbx;
	gpr[DUNE_RSP] = frame->rsp;
	gpr[DUNE_RBP] = frame->rbp;
	gpr[DUNE_RSI] = frame->rsi;
	gpr[DUNE_RDI] = frame->rdi;
	gpr[DUNE_R8] = frame->r8;
	gpr[DUNE_R9] = frame->r9;
	gpr[DUNE_R10] = frame->r10;
	gpr[DUNE_R11] = frame->r11;
	gpr[DUNE_R12] = frame->r12;
	gpr[DUNE_R13] = frame->r13;
	gpr[DUNE_R14] = frame->r14;
	gpr[DUNE_R15] = frame->r15;
	state->rip = frame->rip;
	if (!dune_frame_is_user(frame)) {
		go_to_ring0(state, frame->rflags);
		return;
	}
	go_to_ring3(state, frame->rflags);
	state->fs_base = frame->fs_base;
}

/*
 * The frame of an exception starts at the top of its level, that of a system call and
 * of dune_ring3_run() below the context. At the end of a system call RSP may already be
 * ring 3's: it is not asked there.
 */
static struct dune_frame *frame_of_tail(const struct cpu *cpu, const struct dune_state *state,
					bool to_user)
{
	uint64_t rsp = state->gpr[DUNE_RSP];
	uint64_t context_frame = (uint64_t)cpu->ring3 - FRAME_BYTES;
	uint64_t offset = rsp - ((uint64_t)cpu + CPU_IST1_BOTTOM);
	uint64_t level_top;

	if (!to_user && state->rip >= (uint64_t)dune_trap_lstar)
		return (struct dune_frame *)context_frame;
	if (cpu->ring3 && rsp - context_frame <= FRAME_BYTES)
		return (struct dune_frame *)context_frame;
	if (offset >= CPU_IST3_TOP - CPU_IST1_BOTTOM)
		return (struct dune_frame *)context_frame;
	if (rsp - (uint64_t)cpu >= CPU_IST2_BOTTOM) /* a guard page more */
		offset = rsp - ((uint64_t)cpu + CPU_IST2_BOTTOM);
	level_top = rsp - offset % CPU_IST_LEVEL + CPU_IST_LEVEL;
	return (struct dune_frame *)(level_top - FRAME_BYTES);
}

static bool settle_tail(const struct cpu *cpu, struct dune_state *state)
{
	bool to_user = is_between(state->rip, dune_trap_to_user, dune_trap_to_user_end);
	struct dune_frame *frame = frame_of_tail(cpu, state, to_user);

	if (to_user)
		frame->cs = DUNE_SEL_CODE3; /* whatever dune_ring3_run() was told */
	if (dune_frame_is_user(frame) && frame->rip >> 47)
		return false; /* the trap path makes it a #GP, and comes again */
	dune_signal_state_of_frame(state, frame);
	return true;
}

/* GS is being looked at, or ring 3's call is coming back: go on as if it had not. */
static void restore_gs(const struct cpu *cpu, struct dune_state *state)
{
	uint64_t gs = state->gs_base;

	if (state->kernel_gs_base == (uint64_t)cpu)
		return;
	state->gs_base = state->kernel_gs_base;
	state->kernel_gs_base = gs;
}

static void undo_call_return(const struct cpu *cpu, struct dune_state *state)
{
	restore_gs(cpu, state);
	go_to_ring3(state, RFLAGS_RING3);
	state->rip = dune_ring3_return - SYSCALL_BYTES;
}

/* The guest's registers are still here. */
static void restore_float(const struct ring3_context *context)
{
	__asm__ volatile("fninit\n\tfldcw %0\n\tldmxcsr %1" ::"m"(context->x87_control),
			 "m"(context->mxcsr));
}

static void finish_call_return(struct cpu *cpu, struct dune_state *state)
{
	struct ring3_context *context = (void *)state->gpr[DUNE_R11];
	static const int callee_saved[] = { DUNE_R15, DUNE_R14, DUNE_R13,
					    DUNE_R12, DUNE_RBP, DUNE_RBX };

	restore_gs(cpu, state);
	restore_float(context);
	if (state->rip < (uint64_t)dune_trap_call_done_fs)
		cpu->fs_ring3 = state->fs_base;
	if (state->rip < (uint64_t)dune_trap_call_done_stored)
		*context->value = state->gpr[DUNE_RAX];
	for (unsigned i = 0; i < 6; i++)
		state->gpr[callee_saved[i]] = context->callee_saved[i];
	state->fs_base = cpu->fs_ring0;
	state->rip = context->return_address;
	state->gpr[DUNE_RSP] = (uint64_t)&context->end;
	state->gpr[DUNE_RAX] = 0;
	cpu->ring3 = context->previous;
	go_to_ring0(state, RFLAGS_RING0);
}

/* The last three instructions into ring 3. */
static void finish_call(const struct cpu *cpu, struct dune_state *state)
{
	if (state->rip < (uint64_t)dune_ring3_call_sysret)
		state->gpr[DUNE_RSP] = state->gpr[DUNE_R10];
	state->fs_base = cpu->fs_ring3;
	state->rip = state->gpr[DUNE_RCX];
	go_to_ring3(state, RFLAGS_RING3);
}

bool dune_signal_settle(struct cpu *cpu, struct dune_state *state)
{
	uint64_t rip = state->rip;

	if (state->cs & 3)
		return true;
	if (is_between(rip, dune_ring3_call_fs, dune_ring3_call_sysret + 1)) {
		finish_call(cpu, state);
		return true;
	}
	if (!is_between(rip, dune_trap_entry_start, dune_trap_entry_end))
		return true;
	if (in_tail(rip))
		return settle_tail(cpu, state);
	if (is_between(rip, dune_trap_lstar, dune_trap_from_ring3) &&
	    (state->gpr[DUNE_R11] & RFLAGS_IOPL))
		return true; /* ring 0's own system call */
	if (is_between(rip, dune_trap_call_done, dune_trap_entry_end) &&
	    rip < (uint64_t)dune_trap_no_call) {
		finish_call_return(cpu, state);
		return true;
	}
	if ((is_between(rip, dune_trap_lstar, dune_trap_system_call) &&
	     state->gpr[DUNE_RCX] == dune_ring3_return && cpu->ring3->value) ||
	    is_between(rip, dune_trap_call_start, dune_trap_call_done)) {
		undo_call_return(cpu, state);
		return true;
	}
	return false;
}
