/* SPDX-License-Identifier: MIT */
/*
 * Signals inside: a signal that the host loop caught waits in struct cpu until it
 * can be given to the guest. signal.c catches and gives; signal_frame.c makes the
 * frame; signal_point.c says what the guest was doing.
 */
#ifndef LIBDUNE_GUEST_SIGNAL_H
#define LIBDUNE_GUEST_SIGNAL_H

#define NR_TRAP_STACKS 2 /* IST 1 and 2; a signal handler may leave handlers on them */

#define SIGNAL_NONE    0
#define SIGNAL_PENDING 1 /* to be given as soon as the guest's state allows */
#define SIGNAL_AT_EXIT 2 /* caused by a trap: when the trap path goes back */

#ifndef __ASSEMBLY__
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct dune_frame;
struct dune_state;

/* The kernel's struct sigaction; its sigset_t is a word. */
struct kernel_action {
	uint64_t handler;
	uint64_t flags;
	void (*restorer)(void);
	uint64_t mask;
};

#define SIGINFO_BYTES	  128
#define SW_RESERVED_AT	  464 /* in the kernel's vector state */
#define SW_RESERVED_BYTES 48

/* What is there: the kernel's struct _fpx_sw_bytes, which says how large it is. */
struct sw_bytes {
	uint32_t magic, extended_bytes;
	uint64_t features;
	uint32_t xstate_bytes;
};

#define SW_MAGIC1     0x46505853
#define SW_MAGIC2     0x46505845
#define XFEATURE_PKRU (1ull << 9)

/* One is enough: all signals are blocked until it has been given. */
struct caught_signal {
	int number;
	struct kernel_action action;
	uint64_t mask;	     /* the guest's, at that moment */
	uint64_t waits_with; /* the one of a call that waited, sigsuspend(); mask otherwise */
	uint64_t info[SIGINFO_BYTES / 8];
	uint64_t sw_reserved[SW_RESERVED_BYTES / 8]; /* how the kernel saved vector state */
	uint32_t pkru;				     /* of a handler, with XFEATURE_PKRU */
};

/* signal_action.c: what the program asked for, where the kernel has dune_signal_catch(). */
struct kernel_action dune_signal_action_of(int number);

/* Takes over what handlers there are when the first thread enters; gives them back
 * when the last one has left. */
void dune_signal_take_over(void);
void dune_signal_give_back(void);

/* System calls; the result for RAX. */
long dune_signal_action(struct cpu *cpu, long nr);
long dune_signal_return(struct cpu *cpu, long nr);

/* The kernel's handler. */
void dune_signal_catch(int number, siginfo_t *info, void *context);

/* From host_loop.S. False: not now. */
bool dune_signal_deliver(struct cpu *cpu);
void dune_signal_deliver_before_call(struct cpu *cpu);

/* For a call that changes the mask itself, or copies the thread or ends it: blocks all
 * signals; cpu->start_mask is the mask before. True: one had been caught, and the guest
 * is on its way to the handler, and then to the call again; RAX is as it shall be. */
bool dune_signal_give_last(struct cpu *cpu);

/* From the trap path (HYPERCALL_SIGNAL): goes on with frame, after the signal that
 * waits. The result for RAX. */
long dune_signal_trap_exit(struct cpu *cpu, const struct dune_frame *frame);

/* signal_frame.c: the guest's state becomes that at the start of the handler, and what
 * it was is in a frame on its stack (trap: what caused the signal, or NULL); and back
 * again, which returns the signal mask. */
void dune_signal_make_frame(struct cpu *cpu, struct dune_state *state,
			    const struct dune_frame *trap);
uint64_t dune_signal_take_frame(struct cpu *cpu, struct dune_state *state);

/* signal_stack.c */
struct signal_stack {
	uint64_t rsp;			    /* where the handler's frame goes */
	uint64_t own;			    /* ring 0's own stack is in use down to here */
	uint64_t bottom;		    /* of the alternate stack, if rsp is its top; or 0 */
	stack_t alternate;		    /* as it is */
	uint64_t outermost[NR_TRAP_STACKS]; /* tops of levels that are interrupted, or 0 */
	uint64_t ist[NR_TRAP_STACKS];	    /* to be put back */
};

/* For a handler that interrupts state, and may (alternate) run on the alternate stack. */
void dune_signal_stack_choose(const struct cpu *cpu, const struct dune_state *state, bool alternate,
			      struct signal_stack *stack);
/* It begins: its frame has been made. Fills in ist. */
void dune_signal_stack_begin(struct cpu *cpu, struct signal_stack *stack, uint64_t frame);
/* It goes back to state. ist may be NULL. */
void dune_signal_stack_end(struct cpu *cpu, const struct dune_state *state, uint64_t frame,
			   const uint64_t *ist, const stack_t *alternate);
/* In a signal handler that interrupted one of an exception? */
bool dune_signal_stack_holds(const struct cpu *cpu, uint64_t rsp);
long dune_signal_stack_call(struct cpu *cpu, long nr);

/* signal_point.c: makes of a state in the middle of the trap path one that a handler
 * can interrupt. False: not now, the trap path will ask itself. */
bool dune_signal_settle(struct cpu *cpu, struct dune_state *state);
/* Where the way back from ring 0's own system call cannot touch the stack: the frame becomes what comes
 * after it. False: it is not there. */
bool dune_signal_finish_own_call(struct dune_frame *frame);
/* Would that be false for what the frame says? */
bool dune_signal_is_in_trap_path(const struct cpu *cpu, const struct dune_frame *frame);
/* Can a handler of an exception that came there in ring 0 be the program's? */
bool dune_signal_is_in_program(const struct cpu *cpu, const struct dune_frame *frame);
void dune_signal_state_of_frame(struct dune_state *state, const struct dune_frame *frame);

/* host_loop.S and fault.c: where a signal must not just return to. */
extern char dune_host_again[], dune_host_run_syscall[];
extern char dune_host_forward[], dune_host_forward_syscall[];
extern char dune_fault_unblocked[], dune_fault_write[], dune_fault_touched[];
void dune_signal_restorer(void);

#define ALL_SIGNALS (~0ull)
#endif
#endif
