// SPDX-License-Identifier: GPL-2.0-only
/*
 * Why the guest left, and what follows: run.c asks after each exit. The answer
 * to what the guest may not do is an exception inside it, never its death.
 *
 * Every handler runs with interrupts off, our VMCS current and the guest's MSRs
 * loaded, and returns an enum dune_action or an enum dune_exit.
 */
#include <linux/build_bug.h>
#include <linux/kprobes.h>
#include <linux/nospec.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>
#include <asm/debugreg.h>
#include <asm/mce.h>
#include <asm/trapnr.h>

#include "compat.h"
#include "cpu_insn.h"
#include "debug.h"
#include "event.h"
#include "exit.h"
#include "trace.h"
#include "vm.h"
#include "vmx.h"
#include "vmx_insn.h"

/* Unknown to older <asm/vmx.h>, as KVM did not let them through. */
#define EXIT_REASON_GETSEC 11
#define EXIT_REASON_ENQCMD_PASID 72
#define EXIT_REASON_ENQCMDS_PASID 73
#ifndef EXIT_REASON_SEAMCALL
#define EXIT_REASON_SEAMCALL 76
#define EXIT_REASON_TDCALL 77
#endif
#ifndef EXIT_REASON_MSR_READ_IMM
#define EXIT_REASON_MSR_READ_IMM 84
#define EXIT_REASON_MSR_WRITE_IMM 85
#endif

/* ---- Common to handlers -------------------------------------------------- */

#define IN_SHADOW (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

void dune_exit_end_shadow(u64 pending_debug)
{
	u32 state = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);

	vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, state & ~IN_SHADOW);
	vmcs_write_natural(GUEST_PENDING_DBG_EXCEPTIONS, pending_debug);
}

/*
 * For an instruction after which the guest goes on at once. The CPU takes no
 * interrupt in a shadow, and ends one only when it executes an instruction: which
 * a guest that has only such as exit would never let it do.
 */
static int instruction_done(void)
{
	u32 state;

	dune_exit_skip_instruction();
	state = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);
	if (unlikely(state & IN_SHADOW))
		vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, state & ~IN_SHADOW);
	return ACTION_REENTER;
}

/* An exception where the guest is; it takes the place of the instruction there. */
static int raise(struct dune_vcpu *vcpu, u8 vector)
{
	dune_exit_end_shadow(0);
	/* The loop in run.c loads events only from the top. */
	return dune_event_raise(vcpu, vector, 0) ? ACTION_INTERRUPT :
						   DUNE_EXIT_SHUTDOWN;
}

int dune_exit_answer(struct dune_vcpu *vcpu, u8 vector)
{
	vcpu->counters.stat[DUNE_STAT_EXIT_DENIED]++;
	return raise(vcpu, vector);
}

/* The guest may write the page while we read it: each register once. */
static u64 gpr_pair(struct dune_vcpu *vcpu)
{
	u64 *gpr = vcpu->run->gpr;

	return (u32)READ_ONCE(gpr[DUNE_RAX]) | READ_ONCE(gpr[DUNE_RDX]) << 32;
}

/* ---- Exits that are Linux's business ------------------------------------- */

static int handle_external_interrupt(struct dune_vcpu *vcpu)
{
	dune_event_requeue(vcpu);
	return ACTION_INTERRUPT;
}

/*
 * The host's. What the guest met is a process's and not the kernel's: Linux
 * kills for the one and panics for the other, and tells them by CS.
 */
static void machine_check(void)
{
	struct pt_regs regs = {
		.cs = 3, /* ring 3, wherever the guest was */
		.flags = X86_EFLAGS_IF,
	};

	/* Else CR4.MCE is clear, and there are none. */
	if (IS_ENABLED(CONFIG_X86_MCE))
		do_machine_check(&regs);
}

/*
 * A lock on what lies in two cache lines is #AC, at any privilege, where Linux
 * has the CPU detect it; the exception of old is for ring 3, if it asks for it.
 */
static bool is_split_lock(void)
{
	return compat_has_split_lock_ac() &&
	       !(dune_exit_from_ring3() &&
		 (vmcs_read_natural(GUEST_CR0) & X86_CR0_AM) &&
		 (vmcs_read_natural(GUEST_RFLAGS) & X86_EFLAGS_AC));
}

static int handle_exception_nmi(struct dune_vcpu *vcpu)
{
	u32 info = vmcs_read32(VM_EXIT_INTR_INFO);
	u8 vector = info & INTR_INFO_VECTOR_MASK;

	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR) {
		vcpu->counters.stat[DUNE_STAT_EXIT_NMI]++;
		dune_event_requeue(vcpu);
		return ACTION_INTERRUPT;
	}
	if (vector == X86_TRAP_MC) {
		dune_event_requeue(vcpu);
		machine_check();
		return ACTION_INTERRUPT;
	}

	vcpu->counters.stat[DUNE_STAT_EXIT_EXCEPTION]++;
	if (vector == X86_TRAP_AC && is_split_lock()) {
		dune_event_requeue(vcpu);
		vcpu->run->rip = vmcs_read_natural(GUEST_RIP);
		return ACTION_SPLIT_LOCK;
	}

	/* #DB or #AC: the guest's own; only the loop is ours to break. */
	if (vector == X86_TRAP_DB) {
		vcpu->dr6 &= ~(u64)DR_TRAP_BITS;
		vcpu->dr6 |= vmcs_read_natural(EXIT_QUALIFICATION) &
			     DR6_WRITABLE;
		/* ICEBP delivers without a DPL check, and skips itself. */
		if ((info & INTR_INFO_INTR_TYPE_MASK) ==
		    INTR_TYPE_PRIV_SW_EXCEPTION) {
			dune_exit_end_shadow(0);
			vcpu->event.info = info & ~BIT(12);
			vcpu->event.length =
				vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
			return ACTION_INTERRUPT;
		}
	}
	return raise(vcpu, vector);
}

/* ---- Exits that are the caller's business --------------------------------- */

static int handle_vmcall(struct dune_vcpu *vcpu)
{
	if (unlikely(dune_exit_from_ring3())) {
		/* stats.c takes every VMCALL for one. */
		vcpu->counters.stat[DUNE_STAT_EXIT_HYPERCALL]--;
		return dune_exit_answer(vcpu, X86_TRAP_UD);
	}
	vcpu->run->rip = dune_exit_skip_instruction();
	return DUNE_EXIT_HYPERCALL;
}

static int handle_triple_fault(struct dune_vcpu *vcpu)
{
	vcpu->run->rip = vmcs_read_natural(GUEST_RIP);
	return DUNE_EXIT_SHUTDOWN;
}

/* The state that the CPU did not take is in the VMCS, and may be set right there. */
static int entry_failed(struct dune_vcpu *vcpu, u16 reason)
{
	if (reason == EXIT_REASON_MCE_DURING_VMENTRY)
		machine_check(); /* not delivered yet */
	/* It is launched only if it was before: begin anew. */
	if (vmx_vmclear(vcpu->vmcs.pa) || vmx_vmptrld(vcpu->vmcs.pa))
		return -EIO;
	vcpu->vmcs.launched = false;
	return ACTION_FAIL_ENTRY;
}

/*
 * The run page is for the caller; what the log says comes from the VMCS. Inlined,
 * its stack canary would be every exit's.
 */
static noinline int report_strange(struct dune_vcpu *vcpu, u32 reason)
{
	struct dune_run *run = vcpu->run;
	u32 basic = reason & 0xffff;

	vcpu->counters.exits[min_t(u32, basic, DUNE_EXITS_MAX - 1)]++;
	run->hardware_reason = basic;
	run->qualification = vmcs_read_natural(EXIT_QUALIFICATION);
	run->rip = vmcs_read_natural(GUEST_RIP);
	run->entry_error = 0;
	vcpu->entry_error = 0;
	if (reason & VMX_EXIT_REASONS_FAILED_VMENTRY) {
		vcpu->counters.stat[DUNE_STAT_FAILED_ENTRIES]++;
		return entry_failed(vcpu, reason);
	}
	vcpu->counters.stat[DUNE_STAT_EXIT_OTHER]++;
	return ACTION_UNKNOWN;
}

/* ---- Instructions -------------------------------------------------------- */

static int handle_cpuid(struct dune_vcpu *vcpu)
{
	dune_cpuid(vcpu->run->gpr);
	return instruction_done();
}

static int handle_hlt(struct dune_vcpu *vcpu)
{
	dune_exit_skip_instruction();
	return ACTION_YIELD;
}

static int handle_msr_read(struct dune_vcpu *vcpu)
{
	u64 *gpr = vcpu->run->gpr;
	u64 value;

	if (!dune_msr_read(vcpu, READ_ONCE(gpr[DUNE_RCX]), &value))
		return dune_exit_answer(vcpu, X86_TRAP_GP);
	gpr[DUNE_RAX] = (u32)value;
	gpr[DUNE_RDX] = value >> 32;
	return instruction_done();
}

static int handle_msr_write(struct dune_vcpu *vcpu)
{
	u32 msr = READ_ONCE(vcpu->run->gpr[DUNE_RCX]);

	if (!dune_msr_write(vcpu, msr, gpr_pair(vcpu)))
		return dune_exit_answer(vcpu, X86_TRAP_GP);
	return instruction_done();
}

/* XCR0 is the host's; writing what is there already is no change. */
static int handle_xsetbv(struct dune_vcpu *vcpu)
{
	u32 xcr = READ_ONCE(vcpu->run->gpr[DUNE_RCX]);

	if (xcr || gpr_pair(vcpu) != dune_vmx_caps.xcr0)
		return dune_exit_answer(vcpu, X86_TRAP_GP);
	return instruction_done();
}

static int handle_with_gp(struct dune_vcpu *vcpu)
{
	return dune_exit_answer(vcpu, X86_TRAP_GP);
}

static int handle_with_ud(struct dune_vcpu *vcpu)
{
	return dune_exit_answer(vcpu, X86_TRAP_UD);
}

/* ---- The table ------------------------------------------------------------ */

static_assert(EXIT_REASON_MSR_WRITE_IMM < DUNE_EXITS_MAX);

static int (*const handlers[])(struct dune_vcpu *vcpu) = {
	[EXIT_REASON_EXCEPTION_NMI] = handle_exception_nmi,
	[EXIT_REASON_EXTERNAL_INTERRUPT] = handle_external_interrupt,
	[EXIT_REASON_TRIPLE_FAULT] = handle_triple_fault,
	[EXIT_REASON_CPUID] = handle_cpuid,
	[EXIT_REASON_HLT] = handle_hlt,
	[EXIT_REASON_INVD] = handle_with_gp,
	[EXIT_REASON_RDPMC] = handle_with_gp,
	[EXIT_REASON_VMCALL] = handle_vmcall,
	[EXIT_REASON_VMCLEAR] = handle_with_ud,
	[EXIT_REASON_VMLAUNCH] = handle_with_ud,
	[EXIT_REASON_VMPTRLD] = handle_with_ud,
	[EXIT_REASON_VMPTRST] = handle_with_ud,
	[EXIT_REASON_VMREAD] = handle_with_ud,
	[EXIT_REASON_VMRESUME] = handle_with_ud,
	[EXIT_REASON_VMWRITE] = handle_with_ud,
	[EXIT_REASON_VMOFF] = handle_with_ud,
	[EXIT_REASON_VMON] = handle_with_ud,
	/* Only for bits that the guest may not change (vmcs_setup.c). */
	[EXIT_REASON_CR_ACCESS] = handle_with_gp,
	[EXIT_REASON_DR_ACCESS] = dune_debug_access,
	[EXIT_REASON_IO_INSTRUCTION] = handle_with_gp,
	[EXIT_REASON_MSR_READ] = handle_msr_read,
	[EXIT_REASON_MSR_WRITE] = handle_msr_write,
	[EXIT_REASON_MWAIT_INSTRUCTION] = handle_with_ud,
	[EXIT_REASON_MONITOR_INSTRUCTION] = handle_with_ud,
	[EXIT_REASON_EPT_VIOLATION] = dune_exit_ept_violation,
	[EXIT_REASON_INVEPT] = handle_with_ud,
	[EXIT_REASON_INVVPID] = handle_with_ud,
	[EXIT_REASON_WBINVD] = handle_with_gp,
	[EXIT_REASON_XSETBV] = handle_xsetbv,
	[EXIT_REASON_VMFUNC] = handle_with_ud,
	[EXIT_REASON_ENCLS] = handle_with_ud,
	[EXIT_REASON_GETSEC] = handle_with_ud,
	[EXIT_REASON_ENQCMD_PASID] = handle_with_ud,
	[EXIT_REASON_ENQCMDS_PASID] = handle_with_ud,
	[EXIT_REASON_SEAMCALL] = handle_with_ud,
	[EXIT_REASON_TDCALL] = handle_with_ud,
	/* The MSR's number is in the instruction; CPUID does not offer it. */
	[EXIT_REASON_MSR_READ_IMM] = handle_with_ud,
	[EXIT_REASON_MSR_WRITE_IMM] = handle_with_ud,
};

/*
 * Bits 31:16 may say more of an exit, as that it left an enclave; what is to be
 * done is the same. Only the highest says that it is none, but a failed entry.
 */
static u32 without_modifiers(u32 reason)
{
	return reason & VMX_EXIT_REASONS_FAILED_VMENTRY ? reason :
							  reason & 0xffff;
}

/* What may be traced and probed; not inlined, for that. */
static noinline int answer_exit(struct dune_vcpu *vcpu, u32 reason)
{
	trace_dune_exit(vcpu, reason);
	/* Called directly, where a table costs a retpoline. */
	if (likely(reason == EXIT_REASON_VMCALL)) {
		vcpu->counters.exits[EXIT_REASON_VMCALL]++;
		return handle_vmcall(vcpu);
	}
	if (reason == EXIT_REASON_EPT_VIOLATION) {
		vcpu->counters.exits[EXIT_REASON_EPT_VIOLATION]++;
		return dune_exit_ept_violation(vcpu);
	}
	if (unlikely(reason >= ARRAY_SIZE(handlers)))
		reason = without_modifiers(reason);
	if (reason < ARRAY_SIZE(handlers)) {
		reason = array_index_nospec(reason, ARRAY_SIZE(handlers));
		if (handlers[reason]) {
			vcpu->counters.exits[reason]++;
			return handlers[reason](vcpu);
		}
	}
	return report_strange(vcpu, reason);
}

/*
 * An NMI that made the guest leave is Linux's. Others are blocked until the next
 * IRET, which must be that of its handler: no exception may come before, so
 * nothing that can be traced or probed.
 */
static __always_inline void give_back_nmi(u32 reason)
{
	if (likely(reason & (VMX_EXIT_REASONS_FAILED_VMENTRY | 0xffff)))
		return;
	if ((vmcs_read32(VM_EXIT_INTR_INFO) & INTR_INFO_INTR_TYPE_MASK) ==
	    INTR_TYPE_NMI_INTR)
		asm volatile("int $2");
}

/**
 * dune_exit_handle - answer the exit that just happened
 * @vcpu: whose
 *
 * Context: interrupts off, VMCS current.
 * Return: an enum dune_action or an enum dune_exit.
 */
notrace int dune_exit_handle(struct dune_vcpu *vcpu)
{
	u32 reason = vmcs_read32(VM_EXIT_REASON);

	give_back_nmi(reason);
	return answer_exit(vcpu, reason);
}
NOKPROBE_SYMBOL(dune_exit_handle);
