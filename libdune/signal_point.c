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
 *    last ones here; in a system call of ring 0's own, too.
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
	state->rflags = (rflags & RFLAGS_USER) | RFLAGS_IOPL | 2;
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
 * That of a system call and of dune_ring3_run() is below the context. At the end of a
 * system call RSP may already be ring 3's: it is not asked there.
 */
static struct dune_frame *frame_of_tail(const struct cpu *cpu, const struct dune_state *state,
					bool to_user)
{
	uint64_t rsp = state->gpr[DUNE_RSP];
	uint64_t context_frame = (uint64_t)cpu->ring3 - FRAME_BYTES;

	if (!to_user && state->rip >= (uint64_t)dune_trap_lstar)
		return (struct dune_frame *)context_frame;
	if (cpu->ring3 && rsp - context_frame <= FRAME_BYTES)
		return (struct dune_frame *)context_frame;
	return dune_trap_frame_of_level(cpu, rsp) ?: (struct dune_frame *)context_frame;
}

static void settle_tail(const struct cpu *cpu, struct dune_state *state)
{
	bool to_user = is_between(state->rip, dune_trap_to_user, dune_trap_to_user_end);
	struct dune_frame *frame = frame_of_tail(cpu, state, to_user);

	if (to_user)
		frame->cs = DUNE_SEL_CODE3; /* whatever dune_ring3_run() was told */
	dune_signal_state_of_frame(state, frame);
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

/* Up to where stack and FS are ring 0's: from there on a handler can run. The caller of
 * the call gave the pointer that comes next, so it is not followed here. */
static void finish_call_return(struct cpu *cpu, struct dune_state *state)
{
	cpu->fs_ring3 = state->fs_base;
	state->fs_base = cpu->fs_ring0;
	state->gpr[DUNE_RSP] = state->gpr[DUNE_R11] + RING3_PREVIOUS;
	state->rip = (uint64_t)dune_trap_call_done_fs;
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

/* Is ring 0's own system call done? Then *bytes of its stack are in use for the way back. */
static bool own_call_is_done(uint64_t rip, uint64_t *bytes)
{
	for (unsigned i = 0; &dune_trap_own_call_done[i] < dune_trap_own_call_done_end; i++)
		if (rip == (uint64_t)dune_trap_own_call_done[i].rip) {
			*bytes = dune_trap_own_call_done[i].stack_bytes;
			return true;
		}
	return false;
}

/* Ring 0's own system call: done, and the program is behind it; or about to be made. */
static void settle_own_call(struct dune_state *state)
{
	uint64_t bytes = 0;

	if (own_call_is_done(state->rip, &bytes))
		state->rip = state->gpr[DUNE_RCX];
	else
		state->rip = state->gpr[DUNE_RCX] - SYSCALL_BYTES;
	state->gpr[DUNE_RSP] += bytes;
	go_to_ring0(state, state->gpr[DUNE_R11]);
}

bool dune_signal_finish_own_call(struct dune_frame *frame)
{
	uint64_t bytes;

	if (dune_frame_is_user(frame) || !own_call_is_done(frame->rip, &bytes))
		return false;
	frame->rip = frame->rcx;
	frame->rsp += bytes;
	frame->rflags = (frame->r11 & RFLAGS_USER) | RFLAGS_IOPL | 2;
	return true;
}

enum point {
	PROGRAM,       /* a handler can run as it is */
	OWN_CALL,      /* so it can, but takes this for one instruction */
	TAIL,	       /* the frame says what comes */
	CALL,	       /* dune_ring3_call(): on the way to ring 3 */
	CALL_RETURNS,  /* … and back: ring 3 can make its system call again */
	CALL_RETURNED, /* … on: not any more, R11 says all */
	TRAP_PATH,     /* not now */
};

static enum point point_of(const struct cpu *cpu, uint64_t rip, uint64_t rcx, uint64_t r11)
{
	if (is_between(rip, dune_ring3_call_fs, dune_ring3_call_sysret + 1))
		return CALL;
	if (!is_between(rip, dune_trap_entry_start, dune_trap_entry_end) ||
	    is_between(rip, dune_trap_call_done_fs, dune_trap_no_call))
		return PROGRAM;
	if (in_tail(rip))
		return TAIL;
	if (is_between(rip, dune_trap_lstar, dune_trap_from_ring3) && (r11 & RFLAGS_IOPL))
		return OWN_CALL;
	if (is_between(rip, dune_trap_call_done, dune_trap_call_done_fs))
		return CALL_RETURNED;
	if ((is_between(rip, dune_trap_lstar, dune_trap_system_call) && rcx == dune_ring3_return &&
	     cpu->ring3->value) ||
	    is_between(rip, dune_trap_call_start, dune_trap_call_done))
		return CALL_RETURNS;
	return TRAP_PATH;
}

static bool is_in_program(const struct cpu *cpu, const struct dune_frame *frame)
{
	return point_of(cpu, frame->rip, frame->rcx, frame->r11) <= OWN_CALL;
}

/* Is this a handler of an exception that came in the middle of the trap path? FS may
 * still be ring 3's there. */
static bool came_in_trap_path(const struct cpu *cpu, uint64_t rsp)
{
	const struct dune_frame *frame;

	for (int i = 0; i < NR_LEVELS; i++) {
		frame = dune_trap_frame_of_level(cpu, rsp);
		if (!frame || dune_frame_is_user(frame))
			return false;
		if (!is_in_program(cpu, frame))
			return true;
		rsp = frame->rsp;
	}
	return false;
}

/* What a tail goes back to may be the trap path, too. */
bool dune_signal_settle(struct cpu *cpu, struct dune_state *state)
{
	if (state->cs & 3)
		return true;
	switch (point_of(cpu, state->rip, state->gpr[DUNE_RCX], state->gpr[DUNE_R11])) {
	case OWN_CALL:
		settle_own_call(state);
		__attribute__((fallthrough));
	case PROGRAM:
		return !came_in_trap_path(cpu, state->gpr[DUNE_RSP]);
	case TAIL:
		settle_tail(cpu, state);
		return dune_signal_settle(cpu, state);
	case CALL:
		finish_call(cpu, state);
		return true;
	case CALL_RETURNS:
		undo_call_return(cpu, state);
		return true;
	case CALL_RETURNED:
		finish_call_return(cpu, state);
		return true;
	case TRAP_PATH:
		break;
	}
	return false;
}

bool dune_signal_is_in_trap_path(const struct cpu *cpu, const struct dune_frame *frame)
{
	return !dune_frame_is_user(frame) &&
	       point_of(cpu, frame->rip, frame->rcx, frame->r11) == TRAP_PATH;
}

/* Where ring 3's call is back, a signal's handler gets its GS from make_ring0(); one of an
 * exception does not. */
bool dune_signal_is_in_program(const struct cpu *cpu, const struct dune_frame *frame)
{
	if (is_between(frame->rip, dune_trap_call_done_fs, dune_trap_no_call) &&
	    !(frame->rflags & RFLAGS_IF))
		return false;
	return is_in_program(cpu, frame);
}
