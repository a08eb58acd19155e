// SPDX-License-Identifier: MIT
/*
 * The host side of a thread: host_loop.S runs its vcpu, makes the system calls that
 * the guest asks for with the real `syscall` instruction, and runs it again; what is
 * not just that is here. It has a stack of its own (cpu.h) and uses neither libc nor
 * vector registers: those are the guest's.
 *
 * Next: thread.c (clone, fork, exit), signal.c, fault_exit.c (other exits).
 */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "context.h"
#include "cpu.h"
#include "frame.h"
#include "guest_signal.h"
#include "host.h"
#include "hypercall.h"
#include "trap.h"

uint64_t dune_host_get_gs(void)
{
	uint64_t base = 0;

	RAW(SYS_arch_prctl, ARCH_GET_GS, &base);
	return base;
}

/*
 * While it is inside, the thread's GS base outside is what the guest has in
 * KERNEL_GS_BASE, as the kernel keeps it there: so the module has nothing to switch.
 */
void dune_host_set_gs(uint64_t base)
{
	if (dune.wrgsbase)
		__asm__ volatile("wrgsbase %0" ::"r"(base));
	else
		RAW(SYS_arch_prctl, ARCH_SET_GS, base);
}

void dune_host_set_fs(uint64_t base)
{
	RAW(SYS_arch_prctl, ARCH_SET_FS, base);
}

/* The kernel copies the mask before it finds that -1 is no way to change one. */
static bool can_read_mask(uint64_t address)
{
	return RAW(SYS_rt_sigprocmask, -1, address, NULL, 8) == -EINVAL;
}

bool dune_host_can_read(const void *from, uint64_t bytes)
{
	return can_read_mask((uint64_t)from) && can_read_mask((uint64_t)from + bytes - 8);
}

/* At once: for calls that never wait. Others say HOST_FORWARD. */
static long forward(volatile struct dune_run *run, long nr)
{
	return raw_syscall(nr, run->gpr[DUNE_RDI], run->gpr[DUNE_RSI], run->gpr[DUNE_RDX],
			   run->gpr[DUNE_R10], run->gpr[DUNE_R8], run->gpr[DUNE_R9]);
}

#ifndef ARCH_SHSTK_ENABLE
#define ARCH_SHSTK_ENABLE 0x5001
#endif

/* FS and GS base are the guest's, which may have changed them by itself. FS is the same
 * outside, where signal handlers and fork children's libc need it. A shadow stack would
 * be the host loop's, which it kills. */
static long call_arch_prctl(struct cpu *cpu, long nr)
{
	struct dune_state state = { .groups = DUNE_STATE_SEGMENTS };
	int code = cpu->run->gpr[DUNE_RDI]; /* as the kernel takes it */
	uint64_t value = cpu->run->gpr[DUNE_RSI];
	long result;

	if (code == ARCH_SHSTK_ENABLE)
		return -EOPNOTSUPP;
	if (code != ARCH_SET_FS && code != ARCH_SET_GS && code != ARCH_GET_FS &&
	    code != ARCH_GET_GS)
		return forward(cpu->run, nr);
	result = dune_backend_get_state(cpu->vcpu_fd, &state);
	if (result)
		return result;
	if (code == ARCH_GET_FS || code == ARCH_GET_GS) {
		result = forward(cpu->run, nr); /* so that the kernel looks at the pointer */
		if (!result)
			*(uint64_t *)value = code == ARCH_GET_FS ? state.fs_base : state.gs_base;
		return result;
	}
	if (value >> 47)
		return -EPERM;
	if (code == ARCH_SET_FS) {
		state.fs_base = value;
		dune_host_set_fs(value);
	} else {
		state.gs_base = value;
		cpu->gs_outside = value;
	}
	return dune_backend_set_state(cpu->vcpu_fd, &state);
}

static long call_exit(struct cpu *cpu, long nr)
{
	(void)nr;
	if (dune_signal_give_last(cpu))
		return cpu->run->gpr[DUNE_RAX];
	dune_thread_exit(cpu, cpu->run->gpr[DUNE_RDI]);
}

static bool is_own(unsigned fd)
{
	return dune_backend_next_fd(fd) == (long)fd;
}

/* Programs close what they did not open; Dune's own descriptors are not theirs. */
static long call_close(struct cpu *cpu, long nr)
{
	(void)nr;
	return is_own(cpu->run->gpr[DUNE_RDI]) ? -EBADF : HOST_FORWARD;
}

static long call_dup(struct cpu *cpu, long nr)
{
	(void)nr;
	return is_own(cpu->run->gpr[DUNE_RSI]) ? -EBADF : HOST_FORWARD;
}

/* As ours are close-on-exec anyway, that kind needs no exception. */
static long call_close_range(struct cpu *cpu, long nr)
{
	unsigned first = cpu->run->gpr[DUNE_RDI], last = cpu->run->gpr[DUNE_RSI];
	unsigned flags = cpu->run->gpr[DUNE_RDX];
	long result = 0, own;

	if (flags & ~CLOSE_RANGE_UNSHARE || first > last)
		return forward(cpu->run, nr);
	while (!result && (own = dune_backend_next_fd(first)) >= 0 && own <= last) {
		if (own > first)
			result = RAW(SYS_close_range, first, own - 1, flags);
		first = own + 1;
	}
	return result || first > last ? result : RAW(SYS_close_range, first, last, flags);
}

/* System calls that are not just forwarded. */
long (*const dune_host_special[HOST_NR_SYSCALLS])(struct cpu *cpu, long nr) = {
	[SYS_clone] = dune_thread_clone_call,
	[SYS_clone3] = dune_thread_clone_call,
	[SYS_fork] = dune_thread_clone_call,
	[SYS_vfork] = dune_thread_clone_call,
	[SYS_exit] = call_exit,
	[SYS_arch_prctl] = call_arch_prctl,
	[SYS_rt_sigaction] = dune_signal_action,
	[SYS_rt_sigreturn] = dune_signal_return,
	[SYS_sigaltstack] = dune_signal_stack_call,
	[SYS_close] = call_close,
	[SYS_close_range] = call_close_range,
	[SYS_dup2] = call_dup,
	[SYS_dup3] = call_dup,
};

static long leave(struct cpu *cpu)
{
	struct dune_state state = { .groups = DUNE_STATE_SEGMENTS };

	if (dune_signal_give_last(cpu))
		return cpu->run->gpr[DUNE_RAX];
	if (!dune_backend_get_state(cpu->vcpu_fd, &state))
		dune_host_set_fs(state.fs_base);
	dune_host_set_gs(cpu->gs_outside);
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &cpu->start_mask, NULL, 8);
	dune_host_return(cpu->run->gpr[DUNE_RDI], (long)cpu);
}

static long call_function(volatile struct dune_run *run)
{
	host_function function = (host_function)run->gpr[DUNE_RDI];

	return function(run->gpr[DUNE_RSI], run->gpr[DUNE_RDX], run->gpr[DUNE_R10]);
}

/* Who makes system calls may have their numbers from ring 3. */
static bool is_system_call(const struct cpu *cpu)
{
	uint64_t lstar = (uint64_t)dune_trap_lstar;

	return cpu->run->rip - lstar < (uint64_t)dune_trap_from_ring3 - lstar;
}

/* Calls of the x32 ABI would find none of ours in dune_host_special[]. */
static bool is_x32(unsigned long nr)
{
	return nr >> 30 == 1;
}

long dune_host_handle_special(struct cpu *cpu, unsigned long nr)
{
	if (nr < HOST_NR_SYSCALLS)
		return dune_host_special[nr](cpu, nr);
	if (is_system_call(cpu))
		return is_x32(nr) ? -ENOSYS : forward(cpu->run, cpu->run->gpr[DUNE_RAX]);
	if (nr == HYPERCALL_CALL)
		return call_function(cpu->run);
	if (nr == HYPERCALL_SIGNAL)
		return dune_signal_trap_exit(cpu, (void *)cpu->run->gpr[DUNE_RDI]);
	if (nr == HYPERCALL_LEAVE)
		return leave(cpu);
	return -ENOSYS;
}

/* All exits but hypercalls. */
void dune_host_handle_exit(struct cpu *cpu, long reason)
{
	if (reason == DUNE_EXIT_MEMORY)
		dune_fault_memory(cpu);
	else if (reason != DUNE_EXIT_INTR && reason != -EINTR)
		dune_fault_exit(cpu, reason);
}

/* The caller of dune_enter() goes on inside, on its own stack. */
_Noreturn void dune_host_enter(struct cpu *cpu)
{
	struct dune_state state = { .groups = DUNE_STATE_ALL };
	uint64_t fs = 0;
	long result;

	RAW(SYS_arch_prctl, ARCH_GET_FS, &fs);
	dune_cpu_system_state(cpu, &state);
	state.rip = (uint64_t)dune_enter_arrive;
	state.gpr[DUNE_RSP] = cpu->enter_rsp;
	state.rflags = RFLAGS_RING0;
	state.cs = DUNE_SEL_CODE0;
	state.ss = DUNE_SEL_DATA0;
	state.fs_base = fs;
	state.gs_base = cpu->gs_outside = dune_host_get_gs();
	state.kernel_gs_base = (uint64_t)cpu;
	result = dune_backend_set_state(cpu->vcpu_fd, &state);
	if (result)
		dune_host_return(cpu->enter_rsp, result);
	dune_host_start(cpu);
}

/* All signals are blocked until the thread can be known to be inside. */
_Noreturn void dune_host_start(struct cpu *cpu)
{
	dune_host_set_gs((uint64_t)cpu);
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &cpu->start_mask, NULL, 8);
	dune_host_loop(cpu);
}
