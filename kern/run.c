// SPDX-License-Identifier: GPL-2.0-only
/*
 * The run path: DUNE_RUN from vcpu.c comes in here, vmenter.S does the switch,
 * exit.c says what follows. Load, entry and put-back are one section with
 * interrupts off, so no other thread ever sees the guest's state in the
 * hardware.
 */
#include <linux/entry-common.h>
#include <linux/kprobes.h>
#include <linux/sched.h>
#include <asm/desc.h>
#include <asm/segment.h>

#include "compat.h"
#include "cpu_insn.h"
#include "debug.h"
#include "dump.h"
#include "event.h"
#include "exit.h"
#include "fpu.h"
#include "host.h"
#include "mitigation.h"
#include "trace.h"
#include "vcpu.h"
#include "vm.h"
#include "vmenter.h"
#include "vmx.h"
#include "vmx_insn.h"

/*
 * What a preemption leaves behind for rseq, and what other task work may wait
 * for. A traced thread stops between user mode and here, and so comes back with
 * the same flag each time: after one return it enters all the same.
 */
#define WORK_SOON (_TIF_NOTIFY_RESUME | COMPAT_TIF_RSEQ)

/*
 * What else stands between us and the guest: only the way back to user mode
 * does it. Among it is putting back what KVM left in MSRs. Without any of these
 * the hardware holds the thread's own state, but for its vector state (fpu.h).
 */
#define WORK_OUTSIDE                                                           \
	((EXIT_TO_USER_MODE_WORK | _TIF_USER_RETURN_NOTIFY) &                  \
	 ~(WORK_SOON | _TIF_NEED_FPU_LOAD))

/* ---- Loading and putting back ------------------------------------------- */

/* Interrupts off. 0, or what dune_vmcs_load() says. */
static int load_vmcs(struct dune_vcpu *vcpu)
{
	int err = dune_vmcs_load(&vcpu->vmcs, &vcpu->host.displaced);

	if (err < 0)
		return err;
	vcpu->counters.stat[DUNE_STAT_VMCS_LOADS] += err;
	if (unlikely(!vcpu->set_up)) {
		dune_vmcs_setup_guest(vcpu->vm->ept.eptp, vcpu->vpid);
		vcpu->set_up = true;
	}
	return 0;
}

/**
 * dune_vcpu_load_vmcs - make the vcpu's VMCS current here
 * @vcpu: marked busy by the caller
 *
 * dune_vcpu_put_vmcs() ends it.
 *
 * Return: 0 with interrupts off; or -errno with interrupts on.
 */
int dune_vcpu_load_vmcs(struct dune_vcpu *vcpu)
{
	int err;

	for (;;) {
		local_irq_disable();
		err = load_vmcs(vcpu);
		if (!err)
			return 0;
		local_irq_enable();
		if (err != -EXDEV)
			return err;
		dune_vmcs_clear(&vcpu->vmcs);
		cond_resched();
	}
}

/* Interrupts are on again. */
void dune_vcpu_put_vmcs(struct dune_vcpu *vcpu)
{
	dune_vmcs_put(vcpu->host.displaced);
	local_irq_enable();
}

/*
 * Whether the last entry was here, and nobody has loaded another VMCS since.
 * An unchanged CR4 says that VMX is still on, which VMPTRST needs.
 */
static __always_inline bool still_loaded(struct dune_vcpu *vcpu)
{
	int cpu = smp_processor_id();

	if (vcpu->host.cpu != cpu || vcpu->host.cr4 != cpu_read_cr4())
		return false;
	vmx_vmptrst(&vcpu->host.displaced);
	return vcpu->host.displaced == vcpu->vmcs.pa;
}

/* What the guest sees of the CPU, and what the CPU may know of the guest. */
static void arrive_on_cpu(struct dune_vcpu *vcpu)
{
	int cpu = smp_processor_id();

	memcpy(&vcpu->run->gdt[DUNE_GDT_CPU],
	       &get_cpu_gdt_ro(cpu)[GDT_ENTRY_CPUNODE], sizeof(u64));
	WRITE_ONCE(vcpu->run->cpu, cpu);
	/* What this CPU's TLB may hold is not known: flush. */
	vcpu->ept_generation = 0;
}

/*
 * The long way, for the first entry here, or after another VMCS or a change of
 * CR4. Return: 0 with interrupts off all the time; else with interrupts on, an
 * enum dune_action or -errno.
 */
static noinline int load_here(struct dune_vcpu *vcpu)
{
	int err = load_vmcs(vcpu);

	if (err) {
		local_irq_enable();
		if (err != -EXDEV)
			return err;
		dune_vmcs_clear(&vcpu->vmcs);
		return ACTION_INTERRUPT;
	}
	if (dune_host_arrive(&vcpu->host))
		arrive_on_cpu(vcpu);
	return 0;
}

static __always_inline void guest_load(struct dune_vcpu *vcpu)
{
	if (unlikely(vcpu->kernel_gs_base != vcpu->host.inactive_gs_base))
		cpu_write_inactive_gs_base(vcpu->kernel_gs_base);
	/* Even if it is the host's: the guest must not learn that by the time. */
	cpu_write_msr(MSR_LSTAR, vcpu->lstar);
	vcpu->host.dr7 = vcpu->dr7;
	if (unlikely(dune_debug_in_use(vcpu->host.dr7)))
		dune_debug_load(vcpu);
	if (unlikely(vcpu->event.info)) {
		vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, vcpu->event.info);
		vmcs_write32(VM_ENTRY_EXCEPTION_ERROR_CODE, vcpu->event.error);
		vmcs_write32(VM_ENTRY_INSTRUCTION_LEN, vcpu->event.length);
		vcpu->event.info = 0;
		vcpu->counters.stat[DUNE_STAT_INJECTIONS]++;
	}
}

static __always_inline void guest_put(struct dune_vcpu *vcpu)
{
	if (unlikely(dune_debug_in_use(vcpu->host.dr7)))
		dune_debug_put(vcpu);
	vcpu->counters.stat[DUNE_STAT_MSR_WRITES] += 2; /* one at entry */
	cpu_write_msr(MSR_LSTAR, vcpu->host.lstar);
	vcpu->kernel_gs_base = cpu_read_inactive_gs_base();
	if (unlikely(vcpu->kernel_gs_base != vcpu->host.inactive_gs_base))
		cpu_write_inactive_gs_base(vcpu->host.inactive_gs_base);
}

/* ---- Entering ----------------------------------------------------------- */

static noinline void tlb_flush(struct dune_vcpu *vcpu, u64 generation)
{
	vcpu->ept_generation = generation;
	vcpu->counters.stat[DUNE_STAT_TLB_FLUSHES]++;
	vmx_invept(VMX_EPT_EXTENT_CONTEXT, vcpu->vm->ept.eptp);
}

/*
 * From here on dune_ept_flush() sees this CPU as one to kick: whatever it
 * zapped before, we flush; whatever it zaps later, its interrupt makes us
 * leave the guest for.
 */
static __always_inline void tlb_begin(struct dune_vcpu *vcpu)
{
	u64 generation;

	WRITE_ONCE(vcpu->ept_user.cpu, vcpu->host.cpu);
	smp_mb(); /* pairs with the one in dune_ept_flush() */
	generation = atomic64_read(&vcpu->vm->ept.generation);
	if (unlikely(vcpu->ept_generation != generation))
		tlb_flush(vcpu, generation);
}

static __always_inline void tlb_end(struct dune_vcpu *vcpu)
{
	/* What the guest did is done before a flush finds nobody to kick. */
	smp_store_release(&vcpu->ept_user.cpu, -1);
}

/* Into the guest and out again, unless the CPU refuses. */
static __always_inline bool refused(struct dune_vcpu *vcpu)
{
	u64 *gpr = vcpu->run->gpr, *host_rsp = &vcpu->host.rsp;

	if (mitigate_by_verw())
		return dune_vmenter_verw(gpr, host_rsp, vcpu->vmcs.launched);
	return dune_vmenter(gpr, host_rsp, vcpu->vmcs.launched);
}

static int entry_refused(struct dune_vcpu *vcpu)
{
	struct dune_run *run = vcpu->run;

	vcpu->counters.stat[DUNE_STAT_FAILED_ENTRIES]++;
	vcpu->entry_error = vmcs_read32(VM_INSTRUCTION_ERROR);
	run->hardware_reason = 0;
	run->entry_error = vcpu->entry_error;
	run->rip = vmcs_read_natural(GUEST_RIP);
	run->qualification = 0;
	return ACTION_FAIL_ENTRY;
}

/* Interrupts off. Whether to go back to user mode for what the flags say. */
static noinline bool must_go_back(struct dune_vcpu *vcpu, unsigned long flags)
{
	if (flags & WORK_OUTSIDE)
		return true;
	vcpu->sent_back = !vcpu->sent_back;
	return vcpu->sent_back;
}

/* One section with interrupts off; on return they are on. */
static __always_inline int enter_once(struct dune_vcpu *vcpu)
{
	unsigned long flags;
	int action;

	/* Checked with interrupts off until the entry: no wake-up is lost. */
	local_irq_disable();
	flags = read_thread_flags();
	if (unlikely(flags & (WORK_OUTSIDE | WORK_SOON)) &&
	    must_go_back(vcpu, flags)) {
		local_irq_enable();
		return DUNE_EXIT_INTR;
	}
	if (likely(still_loaded(vcpu))) {
		vcpu->host.displaced = VMX_NO_VMCS;
	} else {
		action = load_here(vcpu);
		if (action)
			return action;
	}
	if (unlikely(flags & _TIF_NEED_FPU_LOAD)) {
		dune_fpu_load();
		vcpu->fpu_loaded = true;
	}

	trace_dune_enter(vcpu, vcpu->host.cpu);
	dune_host_save(&vcpu->host);
	guest_load(vcpu);
	tlb_begin(vcpu);
	mitigate_before_section();

	do {
		mitigate_before_entry();
		/*
		 * From here to the exit nothing faults; elsewhere a tracer may, whom the
		 * kernel calls between any two functions.
		 */
		if (unlikely(cpu_read_cr2() != vcpu->cr2))
			cpu_write_cr2(vcpu->cr2);
		if (unlikely(refused(vcpu))) {
			action = entry_refused(vcpu);
			break;
		}
		mitigate_after_exit();
		vcpu->cr2 = cpu_read_cr2();
		vcpu->vmcs.launched = true;
		action = dune_exit_handle(vcpu);
	} while (action == ACTION_REENTER);

	vcpu->sent_back = false;
	tlb_end(vcpu);
	guest_put(vcpu);
	dune_host_restore(&vcpu->host);
	vcpu->counters.stat[DUNE_STAT_VMCS_ACCESSES] +=
		__this_cpu_read(dune_vmcs_accesses);
	__this_cpu_write(dune_vmcs_accesses, 0);
	dune_vmcs_put(vcpu->host.displaced);
	if (unlikely(vcpu->fpu_loaded)) {
		vcpu->fpu_loaded = false;
		dune_fpu_put();
	}

	if (action != ACTION_INTERRUPT) {
		local_irq_enable();
		return action;
	}
	/* The interrupt is taken in between: a tick counts as guest time. */
	current->flags |= PF_VCPU;
	local_irq_enable();
	current->flags &= ~PF_VCPU;
	return ACTION_INTERRUPT;
}

/* 0; else what the run ends with: DUNE_EXIT_SHUTDOWN, or -errno. */
static noinline int take_injection(struct dune_vcpu *vcpu)
{
	struct dune_run *run = vcpu->run;
	u32 inject = READ_ONCE(run->inject);
	int result, err;

	WRITE_ONCE(run->inject, 0);
	result = dune_event_inject(vcpu, inject, READ_ONCE(run->inject_error),
				   READ_ONCE(run->inject_cr2));
	if (result <= 0)
		return result;
	err = dune_vcpu_load_vmcs(vcpu);
	if (err)
		return err;
	run->rip = vmcs_read_natural(GUEST_RIP);
	dune_vcpu_put_vmcs(vcpu);
	return result;
}

/**
 * dune_vcpu_run - DUNE_RUN: run the guest until somebody must do something
 * @vcpu: of the caller's own mm
 *
 * Context: process; may sleep, as the guest's page faults do.
 * Return: enum dune_exit, or -ESTALE: another mm's; -EBUSY: another thread runs
 * it, or VMX is off; -EINVAL: bad injection; -EIO.
 */
int dune_vcpu_run(struct dune_vcpu *vcpu)
{
	int action;

	if (unlikely(current->mm != vcpu->vm->mm))
		return -ESTALE;
	if (unlikely(test_and_set_bit_lock(0, &vcpu->busy)))
		return -EBUSY;

	if (unlikely(vcpu->run->inject)) {
		action = take_injection(vcpu);
		if (action > 0)
			goto returns;
		if (action)
			goto out;
	}
	for (;;) {
		action = enter_once(vcpu);
		if (action == ACTION_FAULT)
			action = dune_exit_fault(vcpu);
		if (likely(action >= 0))
			break;
		if (action == ACTION_SPLIT_LOCK) {
			/* It may sleep; or has sent SIGBUS. */
			compat_handle_split_lock(READ_ONCE(vcpu->run->rip));
		} else if (action == ACTION_YIELD) {
			yield();
		} else if (action == ACTION_FAIL_ENTRY ||
			   action == ACTION_UNKNOWN) {
			action = dune_dump_guest(vcpu, action);
			if (action < 0)
				goto out;
			break;
		} else if (action != ACTION_INTERRUPT) {
			goto out;
		}
	}
returns:
	vcpu->run->exit_reason = action;
	vcpu->counters.stat[DUNE_STAT_RETURNS]++;
out:
	clear_bit_unlock(0, &vcpu->busy);
	return action;
}
/* With what comes between an exit and dune_exit_handle(). */
NOKPROBE_SYMBOL(dune_vcpu_run);
