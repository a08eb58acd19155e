// SPDX-License-Identifier: MIT
/*
 * What nobody handles. A bad access of ring 0 becomes the signal that Linux would
 * send, by making the access again out here; so the kernel decides, and an access
 * that has become good in the meantime is just tried again. Other exceptions become
 * the signal of their vector; an exit that cannot be continued ends the program. If
 * the signal is going to end it, a line on stderr says what, where and why.
 *
 * Runs in host context, often in the middle of the program's vector code: no libc.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "dune.h"
#include "dune_exit_reason.h"
#include "context.h"
#include "cpu.h"
#include "frame.h"
#include "guest_signal.h"
#include "host.h"
#include "hypercall.h"
#include "pgtable.h"
#include "trap.h"

#define MAX_REFUSALS 100

struct line {
	char text[400];
	unsigned length;
};

static void put(struct line *line, const char *text)
{
	while (*text && line->length < sizeof(line->text) - 1)
		line->text[line->length++] = *text++;
}

static void put_hex(struct line *line, const char *name, uint64_t value)
{
	char digits[] = "0x0000000000000000";
	int first = 17;

	for (int i = 17; i >= 2; i--, value >>= 4) {
		digits[i] = "0123456789abcdef"[value & 15];
		if (digits[i] != '0')
			first = i;
	}
	put(line, name);
	put(line, "0x");
	put(line, digits + first);
}

static void put_number(struct line *line, uint64_t value)
{
	char digits[20];
	int i = sizeof(digits) - 1;

	digits[i] = 0;
	do {
		digits[--i] = '0' + value % 10;
		value /= 10;
	} while (value && i);
	put(line, digits + i);
}

static void line_begin(struct line *line)
{
	line->length = 0;
	put(line, "dune: process ");
	put_number(line, RAW(SYS_getpid));
	put(line, ": ");
}

static void line_end(struct line *line)
{
	put(line, "\n");
	RAW(SYS_write, 2, line->text, line->length);
}

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

static void raise_fault(int signal, int code, uint64_t address)
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
	RAW(SYS_rt_tgsigqueueinfo, pid, tid, signal, &info);
}

static _Noreturn void end(int signal)
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
	[1] = { "debug exception", SIGTRAP, SI_KERNEL },
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

	line_begin(&line);
	put(&line, name ? name : "exception");
	put_hex(&line, " in ring 0, error ", frame->error);
	put_hex(&line, ", rip ", frame->rip);
	put_hex(&line, ", rsp ", frame->rsp);
	if (frame->vector == 14)
		put_hex(&line, ", address ", address);
	put(&line, why);
	line_end(&line);
}

static bool is_mapped(uint64_t address)
{
	return RAW(SYS_mincore, address & -4096ull, 4096, &(char){ 0 }) != -ENOMEM;
}

/* Can the process read or write there? Asked of the kernel by futex calls that read
 * the word, or write it as it is, and do nothing else. */
static bool can_access(uint64_t address, bool write)
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

/* The mask is opened only when the signal waits behind it: so it is the first that is
 * caught. Where another one has been caught already, it stays closed. */
static void report_signal(struct cpu *cpu, struct dune_frame *frame, int signal, int code,
			  const char *why)
{
	uint64_t address = frame->vector == 14 ? cpu->fault_cr2 : frame->rip;

	if (is_deadly(signal, cpu->start_mask)) {
		explain(frame, address, why);
		make_deadly(signal);
	}
	raise_fault(signal, code, code == SI_KERNEL ? 0 : address);
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
		end(SIGSEGV);
	}
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
	    can_access(address, frame->error & PF_WRITE))
		return 0;
	if (dune_signal_is_in_trap_path(cpu, frame)) {
		explain(frame, address, ": in the trap path");
		end(SIGSEGV);
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

DUNE_EXIT_REASON_TABLE(exit_reasons);
DUNE_VM_INSTRUCTION_ERROR_TABLE(instruction_errors);

/* What the CPU said when it would not go on. */
static void put_hardware_reason(struct line *line, volatile struct dune_run *run)
{
	uint32_t reason = run->hardware_reason, error = run->entry_error;
	const char *name;

	put(line, "; ");
	if (error) {
		name = dune_name_find(instruction_errors,
				      sizeof(instruction_errors) / sizeof(instruction_errors[0]),
				      error);
		put(line, name ? name : "unknown");
		put_hex(line, " (VM-instruction error ", error);
		put(line, ")");
		return;
	}
	name = dune_name_find(exit_reasons, sizeof(exit_reasons) / sizeof(exit_reasons[0]), reason);
	put(line, name ? name : "unknown");
	put_hex(line, " (hardware reason ", reason);
	put_hex(line, "), qualification ", run->qualification);
}

static _Noreturn void end_at_exit(struct cpu *cpu, long reason, const char *why)
{
	struct dune_state state = { .groups = DUNE_STATE_ALL };
	struct line line;

	line_begin(&line);
	put(&line, why);
	if (reason == DUNE_EXIT_FAIL_ENTRY || reason == DUNE_EXIT_UNKNOWN)
		put_hardware_reason(&line, cpu->run);
	if (!dune_backend_get_state(cpu->vcpu_fd, &state)) {
		put_hex(&line, ", rip ", state.rip);
		put_hex(&line, ", rsp ", state.gpr[DUNE_RSP]);
		put_hex(&line, ", cs ", state.cs);
		put_hex(&line, ", rflags ", state.rflags);
		put_hex(&line, ", cr2 ", state.cr2);
		put_hex(&line, ", cr3 ", state.cr3);
	}
	line_end(&line);
	end(SIGSEGV);
}

_Noreturn void dune_fault_exit(struct cpu *cpu, long reason)
{
	struct line line;

	switch (reason) {
	case DUNE_EXIT_SHUTDOWN:
		end_at_exit(cpu, reason, "triple fault in the guest");
	case DUNE_EXIT_FAIL_ENTRY:
		end_at_exit(cpu, reason, "the CPU refuses the guest's state");
	case DUNE_EXIT_UNKNOWN:
		end_at_exit(cpu, reason, "an exit that the module does not know");
	}
	line_begin(&line);
	put(&line, "/dev/dune cannot run this thread: error ");
	put_number(&line, -reason);
	line_end(&line);
	end(SIGSEGV);
}

/*
 * The same access again and again, though the process could make it: the module
 * cannot show that mapping. A handler that waits for somebody to change what the
 * process may do is none of that, and neither is code, which nobody tries again.
 */
static bool is_stuck(struct cpu *cpu)
{
	volatile struct dune_run *run = cpu->run;

	if (run->rip != cpu->refused_rip || run->memory_gva != cpu->refused_gva) {
		cpu->refused_rip = run->rip;
		cpu->refused_gva = run->memory_gva;
		cpu->refused_count = 0;
	}
	if (++cpu->refused_count <= MAX_REFUSALS)
		return false;
	if ((run->memory_access & DUNE_ACCESS_EXEC) ||
	    !can_access(run->memory_hva, run->memory_access & DUNE_ACCESS_WRITE))
		cpu->refused_count = 0;
	return cpu->refused_count > 2 * MAX_REFUSALS;
}

/* Another thread took the tile back (tile.c) between the guest's walk and the module's
 * look: the next walk finds none. */
static bool is_outdated(struct cpu *cpu)
{
	volatile struct dune_run *run = cpu->run;

	if ((run->memory_access & DUNE_ACCESS_WALK) ||
	    dune_pgtable_maps(run->memory_gva, run->memory_gpa))
		return false;
	if (run->memory_gva != cpu->outdated_gva)
		cpu->outdated_count = 0;
	cpu->outdated_gva = run->memory_gva;
	return ++cpu->outdated_count <= MAX_REFUSALS;
}

void dune_fault_memory(struct cpu *cpu)
{
	volatile struct dune_run *run = cpu->run;
	uint32_t access = run->memory_access;
	uint32_t error = PF_HOST;

	if (is_outdated(cpu))
		return;
	if (access & DUNE_ACCESS_NO_TILE)
		end_at_exit(cpu, DUNE_EXIT_MEMORY, "a page-table entry points outside the tiles");
	if (access & DUNE_ACCESS_WALK)
		end_at_exit(cpu, DUNE_EXIT_MEMORY, "a page table cannot be reached");
	if (run->memory_gva - (uint64_t)cpu < CPU_BYTES)
		end_at_exit(cpu, DUNE_EXIT_MEMORY, "trap stack overflow");
	if (is_stuck(cpu))
		end_at_exit(cpu, DUNE_EXIT_MEMORY,
			    "the module cannot show a page that the process has");
	if (access & DUNE_ACCESS_WRITE)
		error |= PF_WRITE;
	if (access & DUNE_ACCESS_USER)
		error |= PF_USER;
	if (access & DUNE_ACCESS_EXEC)
		error |= PF_FETCH;
	run->inject_cr2 = run->memory_gva;
	run->inject_error = error;
	run->inject = DUNE_INJECT_VALID | DUNE_INJECT_ERROR | 14;
}
