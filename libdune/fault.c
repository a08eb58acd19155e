// SPDX-License-Identifier: MIT
/*
 * Exceptions of ring 0 that nobody handles. A bad access becomes the signal that
 * Linux would send, by making the access again out here; so the kernel decides, and an
 * access that has become good in the meantime is just tried again. Other exceptions
 * become the signal of their vector. If it is going to end the program, a line on
 * stderr says what, where and why.
 *
 * Runs in host context, often in the middle of the program's vector code: no libc.
 */
#define _GNU_SOURCE /* TRAP_HWBKPT */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "dune.h"
#include "cpu.h"
#include "frame.h"
#include "guest_signal.h"
#include "host.h"
#include "hypercall.h"
#include "line.h"
#include "trap.h"

/* Will this signal end the program? One raised by a fault does if it is blocked or
 * ignored, as in the kernel's own force_sig(). */
static bool is_deadly(int signal, uint64_t blocked)
{
	struct kernel_action action = { 0 };

	RAW(SYS_rt_sigaction, signal, NULL, &action, 8);
	return action.handler == (uint64_t)SIG_DFL || action.handler == (uint64_t)SIG_IGN ||
	       (blocked & 1ull << (signal - 1));
}

static void make_deadly(int signal)
{
	struct kernel_action action = { .handler = (uint64_t)SIG_DFL };
	uint64_t mask = 1ull << (signal - 1);

	RAW(SYS_rt_sigaction, signal, &action, NULL, 8);
	RAW(SYS_rt_sigprocmask, SIG_UNBLOCK, &mask, NULL, 8);
}

static long raise_fault(int signal, int code, uint64_t address)
{
	siginfo_t info;
	long pid, tid;

	for (unsigned i = 0; i < sizeof(info); i++)
		((volatile char *)&info)[i] = 0;
	info.si_signo = signal;
	info.si_code = code;
	info.si_addr = (void *)address;
	pid = RAW(SYS_getpid);
	tid = RAW(SYS_gettid);
	return RAW(SYS_rt_tgsigqueueinfo, pid, tid, signal, &info);
}

_Noreturn void dune_fault_end(int signal)
{
	make_deadly(signal);
	raise_fault(signal, SI_KERNEL, 0);
	for (;;)
		RAW(SYS_exit_group, 128 + signal);
}

/* What Linux sends for each exception (arch/x86/kernel/traps.c). */
static const struct {
	const char *name;
	int signal, code;
} exceptions[DUNE_NR_VECTORS] = {
	[0] = { "divide error", SIGFPE, FPE_INTDIV },
	[1] = { "debug exception", SIGTRAP, TRAP_BRKPT }, /* or debug_code() */
	[3] = { "breakpoint", SIGTRAP, SI_KERNEL },
	[4] = { "overflow", SIGSEGV, SI_KERNEL },
	[5] = { "bound range exceeded", SIGSEGV, SI_KERNEL },
	[6] = { "invalid opcode", SIGILL, ILL_ILLOPN },
	[7] = { "device not available", SIGSEGV, SI_KERNEL },
	[8] = { "double fault", SIGSEGV, SI_KERNEL },
	[10] = { "invalid TSS", SIGSEGV, SI_KERNEL },
	[11] = { "segment not present", SIGBUS, SI_KERNEL },
	[12] = { "stack segment fault", SIGBUS, SI_KERNEL },
	[13] = { "general protection fault", SIGSEGV, SI_KERNEL },
	[14] = { "page fault", SIGSEGV, SEGV_MAPERR },
	[16] = { "x87 error", SIGFPE, FPE_FLTINV }, /* or float_code() */
	[17] = { "alignment check", SIGBUS, BUS_ADRALN },
	[19] = { "SIMD error", SIGFPE, FPE_FLTINV }, /* or float_code() */
	[21] = { "control protection", SIGSEGV, SI_KERNEL },
};

static void explain(const struct dune_frame *frame, uint64_t address, const char *why)
{
	const char *name = exceptions[frame->vector].name;
	struct line line;

	dune_line_begin(&line);
	dune_line_put(&line, name ? name : "exception");
	dune_line_put_hex(&line, " in ring 0, error ", frame->error);
	dune_line_put_hex(&line, ", rip ", frame->rip);
	dune_line_put_hex(&line, ", rsp ", frame->rsp);
	if (frame->vector == 14)
		dune_line_put_hex(&line, ", address ", address);
	dune_line_put(&line, why);
	dune_line_end(&line);
}

static bool is_mapped(uint64_t address)
{
	return RAW(SYS_mincore, address & -4096ull, 4096, &(char){ 0 }) != -ENOMEM;
}

/* Can the process read or write there? Asked of the kernel by futex calls that read
 * the word, or write it as it is, and do nothing else. */
bool dune_fault_can_access(uint64_t address, bool write)
{
	uint32_t own = 0;
	long result;

	address &= -4ull;
	if (write)
		result = RAW(SYS_futex, &own, FUTEX_WAKE_OP_PRIVATE, 0, 0, address,
			     FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0));
	else
		result = RAW(SYS_futex, address, FUTEX_CMP_REQUEUE_PRIVATE, 0, 0, &own, 0);
	return result != -EFAULT;
}

/* What the x87 or SSE status says that is not masked; the guest's registers are here. */
static int float_code(unsigned vector)
{
	uint16_t status, control;
	uint32_t mxcsr, error;

	if (vector == 16) {
		__asm__ volatile("fnstsw %0\n\tfnstcw %1" : "=m"(status), "=m"(control));
		error = status & ~control;
	} else {
		__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
		error = mxcsr & ~(mxcsr >> 7);
	}
	if (error & 1)
		return FPE_FLTINV;
	if (error & 4)
		return FPE_FLTDIV;
	if (error & 8)
		return FPE_FLTOVF;
	if (error & 0x12)
		return FPE_FLTUND;
	return error & 0x20 ? FPE_FLTRES : FPE_FLTINV;
}

/* dr6 came in place of an address; an ICEBP says nothing there. */
static int debug_code(uint64_t dr6)
{
	if (dr6 & DR6_STEP)
		return TRAP_TRACE;
	return dr6 & DR6_POINTS ? TRAP_HWBKPT : TRAP_BRKPT;
}

/* The kernel drops what would end the first process of a container, unless it comes from a fault,
 * and a filter may refuse to send it. Any other is gone by now, or a debugger wants it to go on. */
static void end_first_process(int signal, long sent)
{
	if (sent || RAW(SYS_getpid) == 1)
		RAW(SYS_exit_group, 128 + signal);
}

/* The mask is opened only when the signal waits behind it: so it is the first that is
 * caught. Where another one has been caught already, it stays closed. */
static void report_signal(struct cpu *cpu, struct dune_frame *frame, int signal, int code,
			  const char *why)
{
	uint64_t address = frame->vector == 14 ? cpu->fault_cr2 : frame->rip;
	uint64_t told = code == SI_KERNEL ? 0 : address;

	/* Where a filter refuses to send it no handler can help, and the access would come for ever. */
	if (is_deadly(signal, cpu->start_mask) || raise_fault(signal, code, told)) {
		explain(frame, address, why);
		make_deadly(signal);
		end_first_process(signal, raise_fault(signal, code, told));
	}
	if (cpu->signal_state == SIGNAL_NONE)
		RAW(SYS_rt_sigprocmask, SIG_SETMASK, &cpu->start_mask, NULL, 8);
}

/* PF_HOST is left in fs_base by trap.c. */
static bool is_of_host(const struct dune_frame *frame)
{
	return frame->vector == 14 && frame->fs_base & PF_HOST;
}

static void report_page_fault(struct cpu *cpu, struct dune_frame *frame)
{
	uint64_t address = cpu->fault_cr2;
	bool host = is_of_host(frame), mapped = is_mapped(address);

	if (host && !(frame->error & PF_FETCH)) {
		if (is_deadly(SIGSEGV, cpu->start_mask))
			explain(frame, address,
				mapped ? ": the mapping does not allow it"
				       : ": nothing is mapped there");
		dune_fault_touch(address, frame->error & PF_WRITE, &cpu->start_mask);
		return;
	}
	report_signal(cpu, frame, SIGSEGV, mapped ? SEGV_ACCERR : SEGV_MAPERR,
		      !mapped ? ": nothing is mapped there"
		      : host  ? ": not executable"
			      : ": the guest's page table does not allow it");
}

static void report(struct cpu *cpu, struct dune_frame *frame)
{
	int code = exceptions[frame->vector].code ?: SI_KERNEL;

	if (frame->vector == 14) {
		report_page_fault(cpu, frame);
		return;
	}
	if (frame->vector == 8) {
		explain(frame, 0, "");
		dune_fault_end(SIGSEGV);
	}
	if (frame->vector == 1)
		code = debug_code(cpu->fault_cr2);
	if (code == FPE_FLTINV)
		code = float_code(frame->vector);
	report_signal(cpu, frame, exceptions[frame->vector].signal ?: SIGSEGV, code, "");
}

/* Tried again, does it fault again? The three others are behind their instruction. */
static bool comes_again(const struct dune_frame *frame)
{
	return frame->vector != 1 && frame->vector != 3 && frame->vector != 4 && frame->vector != 8;
}

/*
 * A handler for the signal runs when the trap path goes back: with the frame of the
 * fault, and not in the middle of the trap path. A signal that was caught on the way
 * here goes first: there is only one note, and with it all signals are blocked, which
 * would make ours deadly.
 */
long dune_fault_report(long frame_at, long address, long unused)
{
	struct dune_frame *frame = (struct dune_frame *)frame_at;
	struct cpu *cpu = dune_cpu_from_stack(frame);
	uint64_t all = ALL_SIGNALS;

	(void)unused;
	if (is_of_host(frame) && !(frame->error & PF_FETCH) &&
	    dune_fault_can_access(address, frame->error & PF_WRITE))
		return 0;
	if (dune_signal_is_in_trap_path(cpu, frame)) {
		explain(frame, address, ": in the trap path");
		dune_fault_end(SIGSEGV);
	}
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &cpu->start_mask, 8);
	if (cpu->signal_state != SIGNAL_NONE) {
		if (comes_again(frame))
			return 0;
		cpu->start_mask = cpu->signal.mask;
	}
	cpu->fault_cr2 = address;
	cpu->in_fault = true;
	report(cpu, frame);
	cpu->in_fault = false;
	return 0;
}
