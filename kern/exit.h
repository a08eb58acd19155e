/* SPDX-License-Identifier: GPL-2.0-only */
/* What to do after an exit: exit.c's answers to run.c. */
#ifndef DUNE_EXIT_H
#define DUNE_EXIT_H

#include <linux/percpu.h> /* <asm/debugreg.h> of 6.1 needs it */
#include <asm/debugreg.h>
#include <asm/processor-flags.h>

#include "vcpu.h"
#include "vmx_insn.h"

/* Not negative: an enum dune_exit, for the caller of DUNE_RUN. */
enum dune_action {
	ACTION_REENTER = -1000, /* at once, interrupts still off */
	ACTION_INTERRUPT, /* let Linux take the interrupt, then enter again */
	ACTION_FAULT, /* dune_exit_fault(), with interrupts on */
	ACTION_SPLIT_LOCK, /* what Linux does about it, then enter again */
	ACTION_YIELD, /* let others run, then enter again */
	ACTION_FAIL_ENTRY, /* dune_dump_guest(), then DUNE_EXIT_FAIL_ENTRY */
	ACTION_UNKNOWN, /* dune_dump_guest(), then DUNE_EXIT_UNKNOWN */
};

int dune_exit_handle(struct dune_vcpu *vcpu);

/* exit_memory.c: first with interrupts off, then what ACTION_FAULT asks for. */
int dune_exit_ept_violation(struct dune_vcpu *vcpu);
int dune_exit_fault(struct dune_vcpu *vcpu);

/* The guest may not: an exception in it instead. */
int dune_exit_answer(struct dune_vcpu *vcpu, u8 vector);

static inline bool dune_exit_from_ring3(void)
{
	return (vmcs_read32(GUEST_SS_AR_BYTES) >> 5) & 3;
}

static inline bool dune_exit_from_64_bit_code(void)
{
	return vmcs_read32(GUEST_CS_AR_BYTES) & BIT(13);
}

/*
 * What we do in place of an instruction ends the shadow of the STI or MOV SS
 * before it. With TF set it must: the CPU does not enter with such a shadow and no
 * single step pending (Intel SDM, "Checks on Guest Non-Register State").
 */
void dune_exit_end_shadow(u64 pending_debug);

/*
 * Returns the rip after it. Under TF it ends in a single-step trap. The shadow stays
 * else: that is for those who enter again with interrupts off all the while.
 */
static inline u64 dune_exit_skip_instruction(void)
{
	u64 from = vmcs_read_natural(GUEST_RIP);
	u64 rip = from + vmcs_read32(VM_EXIT_INSTRUCTION_LEN);

	/* Code of 32 bits goes on at 0 after 4 GiB. */
	if (unlikely((from ^ rip) >> 32) && !dune_exit_from_64_bit_code())
		rip = (u32)rip;
	vmcs_write_natural(GUEST_RIP, rip);
	if (unlikely(vmcs_read_natural(GUEST_RFLAGS) & X86_EFLAGS_TF))
		dune_exit_end_shadow(DR_STEP);
	return rip;
}

/* cpuid.c: gpr are the guest's registers. */
void dune_cpuid(u64 *gpr);

/* msr.c: true if the guest may, with the result in or from *value. */
bool dune_msr_read(struct dune_vcpu *vcpu, u32 msr, u64 *value);
bool dune_msr_write(struct dune_vcpu *vcpu, u32 msr, u64 value);

#endif /* DUNE_EXIT_H */
