// SPDX-License-Identifier: MIT
/*
 * On which stack a signal's handler runs, and what becomes of the trap stacks meanwhile.
 *
 * A handler that interrupts handlers of exceptions does not run on their trap stack,
 * which is small and has no guard page below: it runs on the stack of ring 0 that they
 * interrupted, or on the alternate one. Their levels are in use until it is back. It may
 * not come back but jump away, which nobody is told: so cpu->holds says where such
 * handlers have their frames, and a hold whose frame has been left, by what the next
 * signal finds interrupted, is void, and its levels with it.
 *
 * Called by signal_frame.c and host.c, in host context; they know of no stack but the
 * host loop's, as the kernel does, so the alternate stack is judged here.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include "dune.h"
#include "context.h"
#include "cpu.h"
#include "guest_signal.h"
#include "host.h"
#include "hypercall.h"
#include "trap.h"

#define RED_ZONE     128
#define AUTODISARM   (1u << 31)
#define NR_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The trap stacks whose handlers are the program's. */
static const struct {
	uint64_t bottom, top;
} trap_stacks[] = { { CPU_IST1_BOTTOM, CPU_IST1_TOP }, { CPU_IST2_BOTTOM, CPU_IST2_TOP } };

/* As the kernel's on_sig_stack(): one that is disarmed by each signal is never in use. */
static bool is_on(const stack_t *stack, uint64_t rsp)
{
	return !((unsigned)stack->ss_flags & (SS_DISABLE | AUTODISARM)) &&
	       rsp - (uint64_t)stack->ss_sp - 1 < stack->ss_size;
}

static bool is_same(const stack_t *a, const stack_t *b)
{
	return a->ss_sp == b->ss_sp && a->ss_size == b->ss_size && a->ss_flags == b->ss_flags;
}

static void note_level(const struct cpu *cpu, const struct dune_frame *frame,
		       struct signal_stack *stack)
{
	uint64_t top = (uint64_t)(frame + 1);

	for (unsigned i = 0; i < NR_TRAP_STACKS; i++)
		if (top - (uint64_t)cpu - trap_stacks[i].bottom <=
		    trap_stacks[i].top - trap_stacks[i].bottom)
			stack->outermost[i] = top;
}

/* From one trap stack to what its exception interrupted, and out. */
static void find_own_stack(const struct cpu *cpu, const struct dune_state *state,
			   struct signal_stack *stack)
{
	bool to_user = state->cs & 3;
	uint64_t rsp = to_user ? (uint64_t)cpu->ring3 : state->gpr[DUNE_RSP];
	const struct dune_frame *frame;

	for (int i = 0; i < NR_LEVELS; i++) {
		frame = dune_trap_frame_of_level(cpu, rsp);
		if (!frame)
			break;
		note_level(cpu, frame, stack);
		to_user = dune_frame_is_user(frame);
		rsp = to_user ? (uint64_t)dune_trap_ring3_of(frame) : frame->rsp;
	}
	stack->rsp = to_user ? rsp : rsp - RED_ZONE;
}

void dune_signal_stack_choose(const struct cpu *cpu, const struct dune_state *state, bool alternate,
			      struct signal_stack *stack)
{
	*stack = (struct signal_stack){ .alternate.ss_flags = SS_DISABLE };
	find_own_stack(cpu, state, stack);
	stack->own = stack->rsp;
	RAW(SYS_sigaltstack, NULL, &stack->alternate);
	if (!alternate || (stack->alternate.ss_flags & SS_DISABLE) ||
	    is_on(&stack->alternate, stack->rsp))
		return;
	stack->rsp = (uint64_t)stack->alternate.ss_sp + stack->alternate.ss_size;
	stack->bottom = (uint64_t)stack->alternate.ss_sp;
}

/* Is the handler with this frame still running, if the stack is in use down to own? What
 * is on the alternate stack says nothing about a frame that is not. */
static bool is_held(const struct trap_hold *hold, uint64_t own, const stack_t *alternate)
{
	if (hold->bottom || !is_on(alternate, own))
		return own <= hold->frame && own >= hold->bottom;
	return true;
}

/*
 * What is left of a trap stack for the handler: up to where the last hold's handler began,
 * all is its own but the levels that it interrupts itself. Where more levels are free
 * above these than below, handlers that jumped away left them.
 */
static void free_levels(struct cpu *cpu, const struct signal_stack *stack, unsigned i)
{
	uint64_t area = (uint64_t)cpu, now = cpu->tss.ist[i];
	uint64_t top =
		cpu->nr_holds ? cpu->holds[cpu->nr_holds - 1].ist[i] : area + trap_stacks[i].top;

	if (!stack->outermost[i] || top - stack->outermost[i] > now - area - trap_stacks[i].bottom)
		cpu->tss.ist[i] = top;
}

void dune_signal_stack_begin(struct cpu *cpu, struct signal_stack *stack, uint64_t frame)
{
	const stack_t none = { .ss_flags = SS_DISABLE };
	struct trap_hold *hold = &cpu->holds[cpu->nr_holds];
	bool in_handler = false;

	while (hold > cpu->holds && !is_held(hold - 1, stack->own, &stack->alternate))
		hold--;
	cpu->nr_holds = hold - cpu->holds;
	for (unsigned i = 0; i < NR_TRAP_STACKS; i++) {
		in_handler |= stack->outermost[i] != 0;
		stack->ist[i] = cpu->tss.ist[i];
		free_levels(cpu, stack, i);
		if (!stack->outermost[i])
			stack->ist[i] = cpu->tss.ist[i];
		if (cpu->nr_holds < NR_HOLDS)
			hold->ist[i] = cpu->tss.ist[i];
	}
	if (in_handler && cpu->nr_holds < NR_HOLDS) {
		hold->frame = frame;
		hold->bottom = stack->bottom;
		cpu->nr_holds++;
	}
	if ((unsigned)stack->alternate.ss_flags & AUTODISARM)
		RAW(SYS_sigaltstack, &none, NULL);
}

void dune_signal_stack_end(struct cpu *cpu, const struct dune_state *state, uint64_t frame,
			   const uint64_t *ist, const stack_t *alternate)
{
	struct signal_stack now;

	for (unsigned i = 0; i < cpu->nr_holds; i++)
		if (cpu->holds[i].frame == frame)
			cpu->nr_holds = i;
	for (unsigned i = 0; ist && i < NR_TRAP_STACKS; i++)
		cpu->tss.ist[i] = ist[i];
	dune_signal_stack_choose(cpu, state, false, &now);
	if (!is_on(&now.alternate, now.own) && !is_same(&now.alternate, alternate))
		RAW(SYS_sigaltstack, alternate, NULL);
}

bool dune_signal_stack_holds(const struct cpu *cpu, uint64_t rsp)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	return cpu->nr_holds && is_held(&cpu->holds[0], rsp, &none);
}

/* sigaltstack: the kernel sees the host loop's stack pointer only. */
long dune_signal_stack_call(struct cpu *cpu, long nr)
{
	const stack_t *wanted = (void *)cpu->run->gpr[DUNE_RDI];
	stack_t *before = (void *)cpu->run->gpr[DUNE_RSI];
	struct dune_state state = { .groups = DUNE_STATE_REGS | DUNE_STATE_SEGMENTS };
	struct signal_stack now;
	bool on;
	long result = dune_backend_get_state(cpu->vcpu_fd, &state);

	if (result)
		return result;
	dune_signal_stack_choose(cpu, &state, false, &now);
	on = is_on(&now.alternate, now.own);
	if (on && wanted)
		return dune_host_can_read(wanted, sizeof(*wanted)) ? -EPERM : -EFAULT;
	result = RAW(nr, wanted, before);
	if (!result && before && on)
		before->ss_flags |= SS_ONSTACK;
	return result;
}
