// SPDX-License-Identifier: GPL-2.0-only
/*
 * DUNE_GET_STATE and DUNE_SET_STATE: the guest's registers, all of them. Called
 * by vcpu.c. What the CPU would refuse at entry is refused here, by name.
 */
#include <linux/bitops.h>
#include <asm/processor-flags.h>

#include "compat.h"
#include "segment.h"
#include "vcpu.h"
#include "vm.h"
#include "vmx.h"
#include "vmx_insn.h"

#define RFLAGS_ALLOWED                                                         \
	(X86_EFLAGS_CF | X86_EFLAGS_FIXED | X86_EFLAGS_PF | X86_EFLAGS_AF |    \
	 X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_TF | X86_EFLAGS_IF |       \
	 X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_IOPL | X86_EFLAGS_RF |     \
	 X86_EFLAGS_AC | X86_EFLAGS_ID)

static bool valid_regs(const struct dune_state *s)
{
	return compat_is_canonical(s->rip) &&
	       !(s->rflags & ~(u64)RFLAGS_ALLOWED) &&
	       (s->rflags & X86_EFLAGS_FIXED);
}

static bool valid_segments(const struct dune_state *s)
{
	return dune_segment_valid_cs_ss(s->cs, s->ss) && !s->pad0 &&
	       compat_is_canonical(s->fs_base) &&
	       compat_is_canonical(s->gs_base) &&
	       compat_is_canonical(s->kernel_gs_base);
}

static bool valid_system(const struct dune_state *s)
{
	const struct dune_vmx_caps *caps = &dune_vmx_caps;

	/* The bits that must be set are set anyway; others are refused. */
	return !(s->cr0 & ~(caps->cr0_allowed | caps->cr0_must)) &&
	       !(s->cr4 & ~(caps->cr4_allowed | caps->cr4_must)) &&
	       !(s->cr3 & ~caps->guest_pa_mask) && !s->pad1 &&
	       compat_is_canonical(s->lstar) &&
	       compat_is_canonical(s->gdt_base) &&
	       compat_is_canonical(s->idt_base) &&
	       compat_is_canonical(s->tss_base) && s->gdt_limit <= 0xffff &&
	       s->idt_limit <= 0xffff && s->tss_limit >= 0x67 &&
	       s->tss_limit <= 0xffff;
}

static int check(const struct dune_state *s)
{
	if (!s->groups || (s->groups & ~DUNE_STATE_ALL) ||
	    memchr_inv(s->reserved, 0, sizeof(s->reserved)))
		return -EINVAL;
	if ((s->groups & DUNE_STATE_REGS) && !valid_regs(s))
		return -EINVAL;
	if ((s->groups & DUNE_STATE_SEGMENTS) && !valid_segments(s))
		return -EINVAL;
	if ((s->groups & DUNE_STATE_SYSTEM) && !valid_system(s))
		return -EINVAL;
	return 0;
}

static void write_regs(struct dune_vcpu *vcpu, const struct dune_state *s)
{
	memcpy(vcpu->run->gpr, s->gpr, sizeof(s->gpr));
	vmcs_write_natural(GUEST_RSP, s->gpr[DUNE_RSP]);
	vmcs_write_natural(GUEST_RIP, s->rip);
	vmcs_write_natural(GUEST_RFLAGS, s->rflags);
	/* The shadow of an STI or MOV SS belongs to the old rip. */
	vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmcs_write_natural(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vcpu->event.info = 0;
}

static void write_segments(struct dune_vcpu *vcpu, const struct dune_state *s)
{
	dune_segment_write_cs_ss(s->cs, s->ss);
	vmcs_write_natural(GUEST_FS_BASE, s->fs_base);
	vmcs_write_natural(GUEST_GS_BASE, s->gs_base);
	vcpu->kernel_gs_base = s->kernel_gs_base;
}

static void write_system(struct dune_vcpu *vcpu, const struct dune_state *s)
{
	const struct dune_vmx_caps *caps = &dune_vmx_caps;
	u64 cr0 = s->cr0 | caps->cr0_must, cr4 = s->cr4 | caps->cr4_must;

	vmcs_write_natural(GUEST_CR0, cr0);
	vmcs_write_natural(CR0_READ_SHADOW, cr0);
	vmcs_write_natural(GUEST_CR4, cr4 | caps->cr4_host);
	vmcs_write_natural(CR4_READ_SHADOW, cr4 & ~X86_CR4_VMXE);
	vmcs_write_natural(GUEST_CR3, s->cr3);
	vmcs_write_natural(GUEST_GDTR_BASE, s->gdt_base);
	vmcs_write32(GUEST_GDTR_LIMIT, s->gdt_limit);
	vmcs_write_natural(GUEST_IDTR_BASE, s->idt_base);
	vmcs_write32(GUEST_IDTR_LIMIT, s->idt_limit);
	dune_segment_write_tss(s->tss_base, s->tss_limit);
	vcpu->cr2 = s->cr2;
	vcpu->lstar = s->lstar;
	vcpu->ept_generation = 0; /* a new CR3: nothing cached counts */
}

static void read_regs(struct dune_vcpu *vcpu, struct dune_state *s)
{
	memcpy(s->gpr, vcpu->run->gpr, sizeof(s->gpr));
	s->gpr[DUNE_RSP] = vmcs_read_natural(GUEST_RSP);
	s->rip = vmcs_read_natural(GUEST_RIP);
	s->rflags = vmcs_read_natural(GUEST_RFLAGS);
	s->event = vcpu->event.info &
		   (INTR_INFO_VALID_MASK | INTR_INFO_VECTOR_MASK);
}

static void read_segments(struct dune_vcpu *vcpu, struct dune_state *s)
{
	s->cs = vmcs_read16(GUEST_CS_SELECTOR);
	s->ss = vmcs_read16(GUEST_SS_SELECTOR);
	s->fs_base = vmcs_read_natural(GUEST_FS_BASE);
	s->gs_base = vmcs_read_natural(GUEST_GS_BASE);
	s->kernel_gs_base = vcpu->kernel_gs_base;
}

static void read_system(struct dune_vcpu *vcpu, struct dune_state *s)
{
	const struct dune_vmx_caps *caps = &dune_vmx_caps;

	s->cr0 = vmcs_read_natural(GUEST_CR0);
	s->cr3 = vmcs_read_natural(GUEST_CR3);
	s->cr4 = vmcs_read_natural(GUEST_CR4) &
		 (caps->cr4_allowed | (caps->cr4_must & ~X86_CR4_VMXE));
	s->cr2 = vcpu->cr2;
	s->lstar = vcpu->lstar;
	s->gdt_base = vmcs_read_natural(GUEST_GDTR_BASE);
	s->gdt_limit = vmcs_read32(GUEST_GDTR_LIMIT);
	s->idt_base = vmcs_read_natural(GUEST_IDTR_BASE);
	s->idt_limit = vmcs_read32(GUEST_IDTR_LIMIT);
	s->tss_base = vmcs_read_natural(GUEST_TR_BASE);
	s->tss_limit = vmcs_read32(GUEST_TR_LIMIT);
}

static int lock_and_load(struct dune_vcpu *vcpu)
{
	int err;

	if (current->mm != vcpu->vm->mm)
		return -ESTALE;
	if (test_and_set_bit_lock(0, &vcpu->busy))
		return -EBUSY;
	err = dune_vcpu_load_vmcs(vcpu);
	if (err)
		clear_bit_unlock(0, &vcpu->busy);
	return err;
}

static void put_and_unlock(struct dune_vcpu *vcpu)
{
	dune_vcpu_put_vmcs(vcpu);
	clear_bit_unlock(0, &vcpu->busy);
}

/**
 * dune_vcpu_get_state - read groups of registers
 * @vcpu: of the caller's own mm
 * @state: groups says which; the rest comes back zero
 *
 * Context: process. Return: 0, -EINVAL, -ESTALE, -EBUSY.
 */
int dune_vcpu_get_state(struct dune_vcpu *vcpu, struct dune_state *state)
{
	u64 groups = state->groups;
	int err;

	if (!groups || (groups & ~DUNE_STATE_ALL))
		return -EINVAL;
	memset(state, 0, sizeof(*state));
	state->groups = groups;

	err = lock_and_load(vcpu);
	if (err)
		return err;
	if (groups & DUNE_STATE_REGS)
		read_regs(vcpu, state);
	if (groups & DUNE_STATE_SEGMENTS)
		read_segments(vcpu, state);
	if (groups & DUNE_STATE_SYSTEM)
		read_system(vcpu, state);
	put_and_unlock(vcpu);
	return 0;
}

/**
 * dune_vcpu_set_state - write groups of registers, all or nothing
 * @vcpu: of the caller's own mm
 * @state: the kernel's own copy
 *
 * Context: process. Return: 0, -EINVAL, -ESTALE, -EBUSY.
 */
int dune_vcpu_set_state(struct dune_vcpu *vcpu, const struct dune_state *state)
{
	int err = check(state);

	if (!err)
		err = lock_and_load(vcpu);
	if (err)
		return err;
	if (state->groups & DUNE_STATE_REGS)
		write_regs(vcpu, state);
	if (state->groups & DUNE_STATE_SEGMENTS)
		write_segments(vcpu, state);
	if (state->groups & DUNE_STATE_SYSTEM)
		write_system(vcpu, state);
	put_and_unlock(vcpu);
	return 0;
}
