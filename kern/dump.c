// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the log says when the CPU refuses an entry, or exits for a reason that
 * exit.c has no handler for: the guest's state by name. run.c comes here, off
 * its fast path and with interrupts on again; the VMCS still has it all.
 *
 * Only the guest's own state is shown: nothing here is a kernel address.
 */
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>

#include "cpu_insn.h"
#include "dump.h"
#include "dune_exit_reason.h"
#include "exit.h"
#include "vm.h"
#include "vmx_insn.h"

DUNE_EXIT_REASON_TABLE(exit_reasons);
DUNE_VM_INSTRUCTION_ERROR_TABLE(instruction_errors);

struct segment {
	const char *name;
	u16 selector;
	u32 limit, rights;
	u64 base;
};

struct dump {
	u32 reason, pin, primary, secondary, entry;
	u64 qualification, rip, rsp, rflags, cr0, cr3, cr4, efer, dr7;
	struct segment segments[8];
	u64 gdt_base, idt_base;
	u32 gdt_limit, idt_limit, activity, interruptibility;
	u64 pending_debug;
	u32 entry_info, entry_error, entry_length;
	u32 exit_info, exit_error, vectoring_info, vectoring_error;
};

#define SEGMENT(name_, NAME)                                                   \
	((struct segment){ .name = name_,                                      \
			   .selector = vmcs_read16(GUEST_##NAME##_SELECTOR),   \
			   .limit = vmcs_read32(GUEST_##NAME##_LIMIT),         \
			   .rights = vmcs_read32(GUEST_##NAME##_AR_BYTES),     \
			   .base = vmcs_read_natural(GUEST_##NAME##_BASE) })

/* The VMCS is current. */
static void dump_read(struct dump *dump)
{
	dump->reason = vmcs_read32(VM_EXIT_REASON);
	dump->qualification = vmcs_read_natural(EXIT_QUALIFICATION);
	dump->pin = vmcs_read32(PIN_BASED_VM_EXEC_CONTROL);
	dump->primary = vmcs_read32(CPU_BASED_VM_EXEC_CONTROL);
	dump->secondary = vmcs_read32(SECONDARY_VM_EXEC_CONTROL);
	dump->entry = vmcs_read32(VM_ENTRY_CONTROLS);
	dump->rip = vmcs_read_natural(GUEST_RIP);
	dump->rsp = vmcs_read_natural(GUEST_RSP);
	dump->rflags = vmcs_read_natural(GUEST_RFLAGS);
	dump->cr0 = vmcs_read_natural(GUEST_CR0);
	dump->cr3 = vmcs_read_natural(GUEST_CR3);
	dump->cr4 = vmcs_read_natural(GUEST_CR4);
	dump->dr7 = vmcs_read_natural(GUEST_DR7);
	dump->efer = cpu_read_msr(MSR_EFER); /* VMX does not switch it */

	dump->segments[0] = SEGMENT("cs", CS);
	dump->segments[1] = SEGMENT("ss", SS);
	dump->segments[2] = SEGMENT("ds", DS);
	dump->segments[3] = SEGMENT("es", ES);
	dump->segments[4] = SEGMENT("fs", FS);
	dump->segments[5] = SEGMENT("gs", GS);
	dump->segments[6] = SEGMENT("ldtr", LDTR);
	dump->segments[7] = SEGMENT("tr", TR);
	dump->gdt_base = vmcs_read_natural(GUEST_GDTR_BASE);
	dump->gdt_limit = vmcs_read32(GUEST_GDTR_LIMIT);
	dump->idt_base = vmcs_read_natural(GUEST_IDTR_BASE);
	dump->idt_limit = vmcs_read32(GUEST_IDTR_LIMIT);

	dump->activity = vmcs_read32(GUEST_ACTIVITY_STATE);
	dump->interruptibility = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);
	dump->pending_debug = vmcs_read_natural(GUEST_PENDING_DBG_EXCEPTIONS);
	dump->entry_info = vmcs_read32(VM_ENTRY_INTR_INFO_FIELD);
	dump->entry_error = vmcs_read32(VM_ENTRY_EXCEPTION_ERROR_CODE);
	dump->entry_length = vmcs_read32(VM_ENTRY_INSTRUCTION_LEN);
	dump->exit_info = vmcs_read32(VM_EXIT_INTR_INFO);
	dump->exit_error = vmcs_read32(VM_EXIT_INTR_ERROR_CODE);
	dump->vectoring_info = vmcs_read32(IDT_VECTORING_INFO_FIELD);
	dump->vectoring_error = vmcs_read32(IDT_VECTORING_ERROR_CODE);
}

static const char *reason_name(u32 reason)
{
	const char *name = dune_name_find(exit_reasons,
					  ARRAY_SIZE(exit_reasons),
					  reason & 0xffff);

	return name ?: "not in the SDM";
}

static const char *error_name(u32 error)
{
	const char *name = dune_name_find(instruction_errors,
					  ARRAY_SIZE(instruction_errors),
					  error);

	return name ?: "not in the SDM";
}

static void print_cause(const struct dune_vcpu *vcpu, const struct dump *dump)
{
	pr_warn("vm %llu vcpu %u, process %d (%s):\n", vcpu->vm->id, vcpu->id,
		task_tgid_nr(current), current->comm);
	if (vcpu->entry_error)
		pr_warn("entry refused, VM-instruction error %u: %s (Intel SDM, \"VM-Instruction Error Numbers\")\n",
			vcpu->entry_error, error_name(vcpu->entry_error));
	else if (dump->reason & VMX_EXIT_REASONS_FAILED_VMENTRY)
		pr_warn("entry failed, reason %#x %s, qualification %#llx (Intel SDM, \"VM-Entry Failures During or After Loading Guest State\")\n",
			dump->reason, reason_name(dump->reason),
			dump->qualification);
	else
		pr_warn("exit that nothing handles, reason %#x %s, qualification %#llx (Intel SDM, \"VMX Basic Exit Reasons\")\n",
			dump->reason, reason_name(dump->reason),
			dump->qualification);
}

static void print_state(const struct dune_vcpu *vcpu, const struct dump *dump)
{
	int i;

	pr_warn("  rip %#llx rsp %#llx rflags %#llx\n", dump->rip, dump->rsp,
		dump->rflags);
	pr_warn("  cr0 %#llx cr2 %#llx cr3 %#llx cr4 %#llx efer %#llx dr7 %#llx\n",
		dump->cr0, vcpu->cr2, dump->cr3, dump->cr4, dump->efer,
		dump->dr7);
	for (i = 0; i < ARRAY_SIZE(dump->segments); i++) {
		const struct segment *segment = &dump->segments[i];

		pr_warn("  %-4s selector %#06x base %#llx limit %#x access rights %#07x\n",
			segment->name, segment->selector, segment->base,
			segment->limit, segment->rights);
	}
	pr_warn("  gdtr base %#llx limit %#x, idtr base %#llx limit %#x\n",
		dump->gdt_base, dump->gdt_limit, dump->idt_base,
		dump->idt_limit);
	pr_warn("  activity %u interruptibility %#x pending debug exceptions %#llx\n",
		dump->activity, dump->interruptibility, dump->pending_debug);
	pr_warn("  at entry: controls %#x, interruption %#x error %#x instruction length %u\n",
		dump->entry, dump->entry_info, dump->entry_error,
		dump->entry_length);
	pr_warn("  at exit: interruption %#x error %#x, IDT vectoring %#x error %#x\n",
		dump->exit_info, dump->exit_error, dump->vectoring_info,
		dump->vectoring_error);
	pr_warn("  controls: pin %#x primary %#x secondary %#x\n", dump->pin,
		dump->primary, dump->secondary);
}

/* A guest may come here as often as it likes; the log shows a few. */
static void print(const struct dune_vcpu *vcpu, const struct dump *dump)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 3);
	static DEFINE_MUTEX(lock); /* keeps one's lines together */

	if (!__ratelimit(&limit))
		return;
	mutex_lock(&lock);
	print_cause(vcpu, dump);
	print_state(vcpu, dump);
	mutex_unlock(&lock);
}

/**
 * dune_dump_guest - log the state of a guest that cannot go on
 * @vcpu: marked busy; it has just been tried
 * @action: ACTION_FAIL_ENTRY or ACTION_UNKNOWN
 *
 * Context: process, interrupts on; may sleep.
 * Return: what DUNE_RUN returns, an enum dune_exit or -errno.
 */
int dune_dump_guest(struct dune_vcpu *vcpu, int action)
{
	struct dump dump;
	int err = dune_vcpu_load_vmcs(vcpu);

	if (err)
		return err;
	dump_read(&dump);
	if (action == ACTION_FAIL_ENTRY)
		/* What was not delivered is not for the state that comes next. */
		vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, 0);
	dune_vcpu_put_vmcs(vcpu);

	print(vcpu, &dump);
	if (action == ACTION_UNKNOWN)
		return DUNE_EXIT_UNKNOWN;
	/* Where the CPU and we do not agree on what is launched: begin anew. */
	if (vcpu->entry_error)
		dune_vmcs_clear(&vcpu->vmcs);
	return DUNE_EXIT_FAIL_ENTRY;
}
