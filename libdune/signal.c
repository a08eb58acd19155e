// SPDX-License-Identifier: MIT
/*
 * Signals inside. The program's handlers belong in the guest: in ring 0, on its stack,
 * with the frame that Linux would make. So rt_sigaction() gives the kernel a handler of
 * ours, dune_signal_catch(), which runs outside on the host stack and only notes the signal;
 * the host loop then makes the frame and lets the guest go on in the program's handler,
 * and rt_sigreturn() comes back to here. Between catching and giving all signals are
 * blocked, so one note is enough, and order, masks and queueing are the kernel's.
 *
 * No wake-up is lost: host_loop.S looks for a note before it makes a system call or
 * enters the guest, and a signal that comes after that look and before the `syscall`
 * itself sends it back to look again. A system call that the kernel would restart
 * (SA_RESTART) is one of these, too: then the guest's VMCALL is done again.
 *
 * Next: signal_action.c (what the program asks for), signal_frame.c (the frame),
 * signal_point.c (where the guest was).
 */
#define _GNU_SOURCE /* the names of registers in ucontext_t */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include "dune.h"
#include "dune_abi.h"
#include "context.h"
#include "cpu.h"
#include "frame.h"
#include "guest_signal.h"
#include "host.h"
#include "hypercall.h"

#define VMCALL_BYTES  3
#define SYSCALL_BYTES 2

/* ---- Catching: on the host stack, all signals blocked --------------------- */

typedef void (*sigaction_handler)(int number, siginfo_t *info, void *context);

/* A thread of the process that is not inside. */
static void run_outside(int number, siginfo_t *info, ucontext_t *context)
{
	struct kernel_action action = dune_signal_action_of(number);
	uint64_t mask = *(uint64_t *)&context->uc_sigmask | action.mask;

	if (!(action.flags & SA_NODEFER))
		mask |= 1ull << (number - 1);
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
	((sigaction_handler)action.handler)(number, info, context);
}

static bool is_between(uint64_t address, const char *first, const char *last)
{
	return address >= (uint64_t)first && address <= (uint64_t)last;
}

/* Not on to a system call that could wait, nor to the access that faulted. */
static void redirect(greg_t *rip)
{
	if (is_between(*rip, dune_host_again, dune_host_run_syscall))
		*rip = (greg_t)dune_host_again;
	else if (is_between(*rip, dune_host_forward, dune_host_forward_syscall))
		*rip = (greg_t)dune_host_forward;
	else if (is_between(*rip, dune_fault_unblocked, dune_fault_write))
		*rip = (greg_t)dune_fault_touched;
}

/* The calls that put another mask in place while they wait, and which argument points to
 * it, or to a pointer to it. */
static const struct {
	short nr;
	uint8_t gpr;
	bool indirect;
} waiting_calls[] = {
	{ SYS_rt_sigsuspend, DUNE_RDI, false }, { SYS_ppoll, DUNE_R10, false },
	{ SYS_pselect6, DUNE_R9, true },	{ SYS_epoll_pwait, DUNE_R8, false },
	{ SYS_epoll_pwait2, DUNE_R8, false },	{ SYS_io_pgetevents, DUNE_R9, true },
};

static bool read_word(uint64_t address, uint64_t *word)
{
	if (!address || !dune_host_can_read((void *)address, 8))
		return false;
	*word = *(volatile uint64_t *)address;
	return true;
}

/*
 * A signal that ended such a call: its handler runs with that mask and what it adds, and
 * goes back to the mask before the call, which is all that the kernel tells.
 */
static uint64_t mask_of_the_wait(const struct cpu *cpu, const greg_t *registers, uint64_t before)
{
	volatile struct dune_run *run = cpu->run;
	uint64_t at, mask;

	if (registers[REG_RIP] != (greg_t)dune_host_forward_syscall + SYSCALL_BYTES ||
	    registers[REG_RAX] != -EINTR)
		return before;
	for (unsigned i = 0; i < sizeof(waiting_calls) / sizeof(waiting_calls[0]); i++) {
		if (run->gpr[DUNE_RAX] != (uint64_t)waiting_calls[i].nr)
			continue;
		at = run->gpr[waiting_calls[i].gpr];
		if (waiting_calls[i].indirect && !read_word(at, &at))
			return before;
		return read_word(at, &mask) ? mask : before;
	}
	return before;
}

/* What the kernel gives to each handler. */
static uint32_t own_pkru(const struct sw_bytes *sw)
{
	uint32_t pkru, high;

	if (sw->magic != SW_MAGIC1 || !(sw->features & XFEATURE_PKRU))
		return 0;
	__asm__ volatile(".byte 0x0f, 0x01, 0xee" : "=a"(pkru), "=d"(high) : "c"(0)); /* rdpkru */
	return pkru;
}

void dune_signal_catch(int number, siginfo_t *info, void *context_at)
{
	ucontext_t *context = context_at;
	uint64_t *mask = (uint64_t *)&context->uc_sigmask;
	struct cpu *cpu = dune_cpu_from_stack((void *)context->uc_mcontext.gregs[REG_RSP]);
	struct caught_signal *caught = &cpu->signal;

	if (dune_host_get_gs() != (uint64_t)cpu) {
		run_outside(number, info, context);
		return;
	}
	caught->number = number;
	caught->action = dune_signal_action_of(number);
	caught->mask = *mask;
	caught->waits_with = mask_of_the_wait(cpu, context->uc_mcontext.gregs, *mask);
	raw_copy(caught->info, info, SIGINFO_BYTES);
	if (context->uc_mcontext.fpregs)
		raw_copy(caught->sw_reserved, (char *)context->uc_mcontext.fpregs + SW_RESERVED_AT,
			 SW_RESERVED_BYTES);
	caught->pkru = own_pkru((struct sw_bytes *)caught->sw_reserved);
	cpu->signal_state = cpu->in_fault ? SIGNAL_AT_EXIT : SIGNAL_PENDING;
	*mask = ALL_SIGNALS;
	redirect(&context->uc_mcontext.gregs[REG_RIP]);
}

/* ---- Giving -------------------------------------------------------------------- */

static void set_state(struct cpu *cpu, struct dune_state *state)
{
	long result;

	state->groups = DUNE_STATE_REGS | DUNE_STATE_SEGMENTS;
	result = dune_backend_set_state(cpu->vcpu_fd, state);
	if (result)
		dune_fault_exit(cpu, result);
}

static void get_state(struct cpu *cpu, struct dune_state *state)
{
	long result;

	*state = (struct dune_state){ .groups = DUNE_STATE_REGS | DUNE_STATE_SEGMENTS };
	result = dune_backend_get_state(cpu->vcpu_fd, state);
	if (result)
		dune_fault_exit(cpu, result);
}

/* The handler runs in ring 0, with ring 0's FS, whatever was interrupted; GS may have
 * been caught half way between two swapgs. */
static void make_ring0(struct cpu *cpu, struct dune_state *state)
{
	if (state->cs & 3)
		state->fs_base = cpu->fs_ring0;
	state->cs = DUNE_SEL_CODE0;
	state->ss = DUNE_SEL_DATA0;
	if (state->kernel_gs_base != (uint64_t)cpu) {
		state->gs_base = state->kernel_gs_base;
		state->kernel_gs_base = (uint64_t)cpu;
	}
}

/* The last step opens the mask: a next signal may be caught right there. */
static void give(struct cpu *cpu, struct dune_state *state, const struct dune_frame *trap)
{
	struct caught_signal *caught = &cpu->signal;
	uint64_t mask = caught->waits_with | caught->action.mask;

	if (!(caught->action.flags & SA_NODEFER))
		mask |= 1ull << (caught->number - 1);
	dune_signal_make_frame(cpu, state, trap);
	make_ring0(cpu, state);
	set_state(cpu, state);
	cpu->run->inject = 0; /* it is not the handler's: what faulted will fault again */
	cpu->signal_state = SIGNAL_NONE;
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
}

bool dune_signal_deliver(struct cpu *cpu)
{
	struct dune_state state;

	if (cpu->signal_state != SIGNAL_PENDING)
		return false;
	get_state(cpu, &state);
	/* A trap would be lost, as its instruction is done: then its handler asks for the signal. */
	if (state.event || !dune_signal_settle(cpu, &state))
		return false;
	give(cpu, &state, NULL);
	return true;
}

/* The handler first, then the call: so the guest is at its VMCALL again, or where it is
 * ring 0's own system call, at its SYSCALL. */
void dune_signal_deliver_before_call(struct cpu *cpu)
{
	struct dune_state state;

	get_state(cpu, &state);
	state.rip -= VMCALL_BYTES;
	dune_signal_settle(cpu, &state);
	give(cpu, &state, NULL);
}

bool dune_signal_give_last(struct cpu *cpu)
{
	uint64_t all = ALL_SIGNALS;

	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &cpu->start_mask, 8);
	if (cpu->signal_state == SIGNAL_NONE)
		return false;
	dune_signal_deliver_before_call(cpu);
	return true;
}

/* An exception can come in the middle of the trap path, too; then it is no time yet. */
long dune_signal_trap_exit(struct cpu *cpu, const struct dune_frame *frame)
{
	bool from_trap = cpu->signal_state == SIGNAL_AT_EXIT;
	struct dune_state state;

	get_state(cpu, &state);
	dune_signal_state_of_frame(&state, frame);
	if (cpu->signal_state != SIGNAL_NONE && dune_signal_settle(cpu, &state))
		give(cpu, &state, from_trap ? frame : NULL);
	else
		set_state(cpu, &state);
	return state.gpr[DUNE_RAX];
}

long dune_signal_return(struct cpu *cpu, long nr)
{
	struct dune_state state;
	uint64_t mask;

	(void)nr;
	if (dune_signal_give_last(cpu))
		return cpu->run->gpr[DUNE_RAX];
	get_state(cpu, &state);
	mask = dune_signal_take_frame(cpu, &state);
	set_state(cpu, &state);
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
	return state.gpr[DUNE_RAX];
}
