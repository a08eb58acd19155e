// SPDX-License-Identifier: GPL-2.0-only
/*
 * EPT violations: exit.c comes here with one while interrupts are off, and run.c
 * once more when they are on. ept_fault.c makes the access possible, if it is
 * one that the process could make itself; if not, it ends in DUNE_EXIT_MEMORY.
 */
#include <linux/build_bug.h>

#include "ept_fault.h"
#include "event.h"
#include "exit.h"
#include "vm.h"
#include "vmx_insn.h"

/* Qualification, EPT entries and dune_run.memory_access have them alike. */
static_assert(EPT_VIOLATION_ACC_READ == VMX_EPT_READABLE_MASK);
static_assert(EPT_VIOLATION_ACC_WRITE == VMX_EPT_WRITABLE_MASK);
static_assert(EPT_VIOLATION_ACC_INSTR == VMX_EPT_EXECUTABLE_MASK);
static_assert(DUNE_ACCESS_READ == VMX_EPT_READABLE_MASK);
static_assert(DUNE_ACCESS_WRITE == VMX_EPT_WRITABLE_MASK);
static_assert(DUNE_ACCESS_EXEC == VMX_EPT_EXECUTABLE_MASK);

int dune_exit_ept_violation(struct dune_vcpu *vcpu)
{
	u64 qualification;

	dune_event_requeue(vcpu);
	qualification = vmcs_read_natural(EXIT_QUALIFICATION);
	vcpu->fault_qualification = qualification;
	vcpu->fault.gpa = vmcs_read64(GUEST_PHYSICAL_ADDRESS);
	vcpu->fault.access = qualification & VMX_EPT_RWX_MASK ?:
				     VMX_EPT_READABLE_MASK;
	return ACTION_FAULT;
}

/* What only a bad access needs is read from the VMCS only now. */
static int report(struct dune_vcpu *vcpu)
{
	u64 qualification = vcpu->fault_qualification, gva = 0;
	u32 access = qualification & VMX_EPT_RWX_MASK;
	struct dune_run *run = vcpu->run;
	int err = dune_vcpu_load_vmcs(vcpu);

	if (err)
		return err;
	run->rip = vmcs_read_natural(GUEST_RIP);
	if (qualification & EPT_VIOLATION_GVA_IS_VALID)
		gva = vmcs_read_natural(GUEST_LINEAR_ADDRESS);
	if (dune_exit_from_ring3())
		access |= DUNE_ACCESS_USER;
	dune_vcpu_put_vmcs(vcpu);

	if (!(qualification & EPT_VIOLATION_GVA_TRANSLATED))
		access |= DUNE_ACCESS_WALK;
	if (vcpu->fault.hva == DUNE_NO_HVA)
		access |= DUNE_ACCESS_NO_TILE;
	run->hardware_reason = EXIT_REASON_EPT_VIOLATION;
	run->memory_gva = gva;
	run->memory_gpa = vcpu->fault.gpa;
	run->memory_hva = vcpu->fault.hva;
	run->memory_access = access;
	return DUNE_EXIT_MEMORY;
}

/**
 * dune_exit_fault - solve an EPT violation, or report it
 * @vcpu: whose last exit was one
 *
 * Context: process, interrupts on; may sleep.
 * Return: an enum dune_action, an enum dune_exit, or -errno.
 */
int dune_exit_fault(struct dune_vcpu *vcpu)
{
	int err = dune_ept_handle_fault(&vcpu->vm->ept, &vcpu->fault);

	if (likely(!err))
		return ACTION_INTERRUPT;
	if (err == -EINTR)
		return DUNE_EXIT_INTR;
	if (err == -ENOMEM)
		return err;
	return report(vcpu);
}
