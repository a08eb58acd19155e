// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one event that waits to be delivered at the next entry: an exception that
 * exit.c answers with, one from the caller of DUNE_RUN (run.c), or what an exit
 * interrupted. run.c writes it to the VMCS.
 */
#include <asm/trapnr.h>

#include "event.h"
#include "vmx_insn.h"

#define EVENT_HW_EXCEPTION (INTR_TYPE_HARD_EXCEPTION | INTR_INFO_VALID_MASK)

/* They push an error code (Intel SDM, "Exception and Interrupt Reference"). */
#define VECTORS_WITH_ERROR                                                     \
	(BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) |              \
	 BIT(X86_TRAP_SS) | BIT(X86_TRAP_GP) | BIT(X86_TRAP_PF) |              \
	 BIT(X86_TRAP_AC))

static bool event_is_exception(u32 info)
{
	return (info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_HARD_EXCEPTION;
}

static bool contributory(u8 vector)
{
	return vector == X86_TRAP_DE ||
	       (vector >= X86_TRAP_TS && vector <= X86_TRAP_GP);
}

/*
 * Queues an exception on top of what is queued already, by the rules of the
 * SDM's "Conditions for Generating a Double Fault". False: triple fault.
 */
bool dune_event_raise(struct dune_vcpu *vcpu, u8 vector, u32 error)
{
	struct dune_event *event = &vcpu->event;
	u32 first = event->info & INTR_INFO_VECTOR_MASK;

	if (event->info && event_is_exception(event->info)) {
		if (first == X86_TRAP_DF)
			return false;
		if ((contributory(first) && contributory(vector)) ||
		    (first == X86_TRAP_PF &&
		     (contributory(vector) || vector == X86_TRAP_PF))) {
			vector = X86_TRAP_DF;
			error = 0;
		}
	}
	event->info = EVENT_HW_EXCEPTION | vector;
	event->error = error;
	event->length = 0;
	if (BIT(vector) & VECTORS_WITH_ERROR)
		event->info |= INTR_INFO_DELIVER_CODE_MASK;
	return true;
}

/* The exit came while the CPU was delivering an event: deliver it again. */
void dune_event_requeue(struct dune_vcpu *vcpu)
{
	u32 info = vmcs_read32(IDT_VECTORING_INFO_FIELD);

	if (likely(!(info & VECTORING_INFO_VALID_MASK)))
		return;
	vcpu->event.info = info & ~BIT(12); /* undefined there, reserved here */
	vcpu->event.error = 0;
	vcpu->event.length = 0;
	if (info & VECTORING_INFO_DELIVER_CODE_MASK)
		vcpu->event.error = vmcs_read32(IDT_VECTORING_ERROR_CODE);
	switch (info & VECTORING_INFO_TYPE_MASK) {
	case INTR_TYPE_SOFT_INTR:
	case INTR_TYPE_SOFT_EXCEPTION:
	case INTR_TYPE_PRIV_SW_EXCEPTION:
		vcpu->event.length = vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
	}
}

/**
 * dune_event_inject - take an exception from the caller of DUNE_RUN
 * @vcpu: marked busy
 * @inject: dune_run.inject, read once
 * @error: its error code
 * @cr2: for a page fault
 *
 * Return: 0, -EINVAL, or DUNE_EXIT_SHUTDOWN for a triple fault.
 */
int dune_event_inject(struct dune_vcpu *vcpu, u32 inject, u32 error, u64 cr2)
{
	u32 vector = inject & 0xff;

	if (inject & ~(DUNE_INJECT_VALID | DUNE_INJECT_ERROR | 0xff) ||
	    !(inject & DUNE_INJECT_VALID))
		return -EINVAL;
	if (vector > 31 || vector == X86_TRAP_NMI)
		return -EINVAL;
	if (!!(inject & DUNE_INJECT_ERROR) !=
	    !!(BIT(vector) & VECTORS_WITH_ERROR))
		return -EINVAL;
	/* The CPU takes 15 bits and no more (SDM, "VM-Entry Checks"). */
	if (error & ~0x7fffU)
		return -EINVAL;
	if (!dune_event_raise(vcpu, vector, error))
		return DUNE_EXIT_SHUTDOWN;
	if (vector == X86_TRAP_PF)
		vcpu->cr2 = cr2;
	return 0;
}
