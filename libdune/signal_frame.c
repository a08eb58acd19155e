// SPDX-License-Identifier: MIT
/*
 * The frame of a signal on the guest's stack: what the kernel would put there, so that
 * the program, its unwinder and its debugger find what they know, with what the kernel
 * has no place for in reserved words. Called by signal.c, in host context.
 */
#define _GNU_SOURCE /* the names of registers in ucontext_t */
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include "dune.h"
#include "dune_abi.h"
#include "cpu.h"
#include "frame.h"
#include "guest_signal.h"
#include "hypercall.h"

/* What the kernel's rt_sigframe is; ucontext_t of libc begins like the kernel's. */
struct signal_frame {
	void (*restorer)(void);
	struct {
		uint64_t flags;
		void *link;
		stack_t stack;
		mcontext_t registers;
		uint64_t mask;
	} context;
	uint64_t info[SIGINFO_BYTES / 8];
};

#define CONTEXT_FLAGS 7 /* UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */

/*
 * In mcontext_t's reserved words: what the kernel has no place for. It does not write them, so in a frame
 * of its own they may be what is left of one of ours, from before the thread was outside.
 */
static uint64_t magic_of(const struct cpu *cpu)
{
	return 0x656e7564 /* "dune" */ | (uint64_t)cpu->generation << 32;
}

enum {
	SAVED_MAGIC,
	SAVED_CS,
	SAVED_FS_BASE,
	SAVED_GS_BASE,
	SAVED_KERNEL_GS_BASE,
	SAVED_RING3, /* the innermost run; the handler may leave one that it began */
	SAVED_IST,   /* of both trap stacks */
};

static const struct {
	int greg, gpr;
} registers[] = {
	{ REG_RAX, DUNE_RAX }, { REG_RCX, DUNE_RCX }, { REG_RDX, DUNE_RDX }, { REG_RBX, DUNE_RBX },
	{ REG_RSP, DUNE_RSP }, { REG_RBP, DUNE_RBP }, { REG_RSI, DUNE_RSI }, { REG_RDI, DUNE_RDI },
	{ REG_R8, DUNE_R8 },   { REG_R9, DUNE_R9 },   { REG_R10, DUNE_R10 }, { REG_R11, DUNE_R11 },
	{ REG_R12, DUNE_R12 }, { REG_R13, DUNE_R13 }, { REG_R14, DUNE_R14 }, { REG_R15, DUNE_R15 },
};

static unsigned long long *reserved_words(mcontext_t *context)
{
	return context->__reserved1;
}

static void write_registers(mcontext_t *context, const struct cpu *cpu,
			    const struct dune_state *state)
{
	unsigned long long *reserved = reserved_words(context);

	for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		context->gregs[registers[i].greg] = state->gpr[registers[i].gpr];
	context->gregs[REG_RIP] = state->rip;
	context->gregs[REG_EFL] = state->rflags;
	context->gregs[REG_CSGSFS] = DUNE_SEL_CODE3 | (uint64_t)DUNE_SEL_DATA3 << 48;
	reserved[SAVED_MAGIC] = magic_of(cpu);
	reserved[SAVED_CS] = state->cs;
	reserved[SAVED_FS_BASE] = state->fs_base;
	reserved[SAVED_GS_BASE] = state->gs_base;
	reserved[SAVED_KERNEL_GS_BASE] = state->kernel_gs_base;
	reserved[SAVED_RING3] = (uint64_t)cpu->ring3;
}

static void read_registers(struct cpu *cpu, struct dune_state *state, mcontext_t *context)
{
	const unsigned long long *reserved = reserved_words(context);
	uint64_t rflags = context->gregs[REG_EFL] & RFLAGS_USER;

	for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		state->gpr[registers[i].gpr] = context->gregs[registers[i].greg];
	state->rip = context->gregs[REG_RIP];
	state->rflags =
		rflags | RFLAGS_IOPL | 2; /* a handler that entered has the kernel's frame */
	if (reserved[SAVED_MAGIC] != magic_of(cpu))
		return;
	cpu->ring3 = (struct ring3_context *)reserved[SAVED_RING3];
	state->gs_base = reserved[SAVED_GS_BASE];
	state->kernel_gs_base = reserved[SAVED_KERNEL_GS_BASE];
	if (reserved[SAVED_CS] != DUNE_SEL_CODE3)
		return;
	state->cs = DUNE_SEL_CODE3;
	state->ss = DUNE_SEL_DATA3;
	state->rflags = rflags | RFLAGS_RING3;
	state->fs_base = reserved[SAVED_FS_BASE];
}

static const struct {
	char legacy[24];
	uint32_t mxcsr;
	char rest[576 - 28];
} initial_vectors __attribute__((aligned(64))) = { .mxcsr = 0x1f80 };

static void restore_vectors(const void *area, uint64_t features)
{
	__asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"((uint32_t)features),
			 "d"((uint32_t)(features >> 32))
			 : "memory");
}

/* Saves the vector registers, which are the guest's, below rsp as the kernel does. NULL where the
 * kernel saved none. */
static void *save_vectors(const struct caught_signal *caught, uint64_t *rsp)
{
	const struct sw_bytes *sw = (const void *)caught->sw_reserved;
	char *area;

	if (sw->magic != SW_MAGIC1)
		return NULL;
	*rsp = (*rsp - sw->extended_bytes) & -64ull;
	area = (char *)*rsp;
	for (int i = 512; i < 576; i++)
		((volatile char *)area)[i] = 0;
	__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"((uint32_t)sw->features),
			 "d"((uint32_t)(sw->features >> 32))
			 : "memory");
	raw_copy(area + SW_RESERVED_AT, caught->sw_reserved, SW_RESERVED_BYTES);
	*(uint32_t *)(area + sw->xstate_bytes) = SW_MAGIC2;
	return area;
}

/* A handler begins with clean ones. Keys are among them: which those are the kernel says. */
static void clean_vectors(const struct caught_signal *caught)
{
	uint64_t features = ((const struct sw_bytes *)caught->sw_reserved)->features;

	restore_vectors(&initial_vectors, features & ~XFEATURE_PKRU);
	if (features & XFEATURE_PKRU)
		__asm__ volatile(".byte 0x0f, 0x01, 0xef" ::"a"(caught->pkru), "c"(0), "d"(0)
				 : "memory"); /* wrpkru */
}

static void write_trap(mcontext_t *context, const struct cpu *cpu, const struct dune_frame *trap)
{
	context->gregs[REG_TRAPNO] = trap ? trap->vector : 0;
	context->gregs[REG_ERR] = trap ? trap->error & 0x3fff : 0;
	context->gregs[REG_CR2] = trap && trap->vector == 14 ? cpu->fault_cr2 : 0;
}

void dune_signal_make_frame(struct cpu *cpu, struct dune_state *state,
			    const struct dune_frame *trap)
{
	struct caught_signal *caught = &cpu->signal;
	struct signal_stack stack;
	struct signal_frame *frame;
	void *vectors;

	dune_signal_stack_choose(cpu, state, caught->action.flags & SA_ONSTACK, &stack);
	vectors = save_vectors(caught, &stack.rsp);
	frame = (void *)(((stack.rsp - sizeof(*frame)) & -16ull) - 8);
	frame->restorer = caught->action.restorer;
	frame->context.flags = CONTEXT_FLAGS;
	frame->context.link = NULL;
	frame->context.stack = stack.alternate;
	write_registers(&frame->context.registers, cpu, state);
	write_trap(&frame->context.registers, cpu, trap);
	frame->context.registers.fpregs = vectors;
	frame->context.mask = caught->mask;
	raw_copy(frame->info, caught->info, SIGINFO_BYTES);
	dune_signal_stack_begin(cpu, &stack, (uint64_t)frame);
	raw_copy(reserved_words(&frame->context.registers) + SAVED_IST, stack.ist,
		 sizeof(stack.ist));

	state->rip = caught->action.handler;
	state->gpr[DUNE_RSP] = (uint64_t)frame;
	state->gpr[DUNE_RDI] = caught->number;
	state->gpr[DUNE_RSI] = (uint64_t)frame->info;
	state->gpr[DUNE_RDX] = (uint64_t)&frame->context;
	state->gpr[DUNE_RAX] = 0;
	state->rflags = RFLAGS_RING0;
	if (vectors)
		clean_vectors(caught);
}

uint64_t dune_signal_take_frame(struct cpu *cpu, struct dune_state *state)
{
	struct signal_frame *frame =
		(void *)(state->gpr[DUNE_RSP] - offsetof(struct signal_frame, context));
	const char *vectors = (const char *)frame->context.registers.fpregs;
	const struct sw_bytes *sw = (const void *)(vectors + SW_RESERVED_AT);

	const unsigned long long *reserved = reserved_words(&frame->context.registers);
	uint64_t ist[NR_TRAP_STACKS];
	stack_t alternate = frame->context.stack;

	read_registers(cpu, state, &frame->context.registers);
	raw_copy(ist, reserved + SAVED_IST, sizeof(ist));
	dune_signal_stack_end(cpu, state, (uint64_t)frame,
			      reserved[SAVED_MAGIC] == magic_of(cpu) ? ist : NULL, &alternate);
	if (vectors)
		restore_vectors(vectors, sw->features);
	return frame->context.mask;
}
