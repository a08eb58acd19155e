// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's debug registers: kept by us, since VMX switches DR7 alone. exit.c
 * comes here when the guest accesses one, run.c when DR7 enables any.
 */
#include <asm/cpufeature.h>
#include <asm/processor.h>
#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "debug.h"
#include "exit.h"
#include "vmx.h"
#include "vmx_insn.h"

/* Unknown to older kernels, which do not set it. */
#define XCR0_APX BIT_ULL(19)

void dune_debug_load(struct dune_vcpu *vcpu)
{
	unsigned long *host = vcpu->host.dr;

	/*
	 * Up to the entry what the host has enabled would mean the guest's
	 * addresses, here in the kernel. dune_host_restore() enables it again.
	 */
	native_set_debugreg(7, DR7_FIXED);
	host[0] = native_get_debugreg(0);
	host[1] = native_get_debugreg(1);
	host[2] = native_get_debugreg(2);
	host[3] = native_get_debugreg(3);
	native_set_debugreg(0, vcpu->dr[0]);
	native_set_debugreg(1, vcpu->dr[1]);
	native_set_debugreg(2, vcpu->dr[2]);
	native_set_debugreg(3, vcpu->dr[3]);
}

void dune_debug_put(struct dune_vcpu *vcpu)
{
	unsigned long *host = vcpu->host.dr;

	native_set_debugreg(0, host[0]);
	native_set_debugreg(1, host[1]);
	native_set_debugreg(2, host[2]);
	native_set_debugreg(3, host[3]);
}

/*
 * Of APX's registers, from r16 on, which Linux switches with the vector state, none
 * is in our reach. Without APX the bit says nothing.
 */
static bool is_extended_gpr(u64 qualification)
{
	return (dune_vmx_caps.xcr0 & XCR0_APX) && (qualification & BIT(12));
}

/* A general register by the number that qualifications use. */
static u64 gpr_read(struct dune_vcpu *vcpu, int gpr)
{
	return gpr == DUNE_RSP ? vmcs_read_natural(GUEST_RSP) :
				 READ_ONCE(vcpu->run->gpr[gpr]);
}

static void gpr_write(struct dune_vcpu *vcpu, int gpr, u64 value)
{
	if (gpr == DUNE_RSP)
		vmcs_write_natural(GUEST_RSP, value);
	else
		vcpu->run->gpr[gpr] = value;
}

static u64 dr_read(const struct dune_vcpu *vcpu, int dr)
{
	if (dr < 4)
		return vcpu->dr[dr];
	return dr == 6 ? vcpu->dr6 : vcpu->dr7;
}

static bool dr_write(struct dune_vcpu *vcpu, int dr, u64 value)
{
	if (dr < 4) {
		vcpu->dr[dr] = value;
		return true;
	}
	if (value >> 32)
		return false;
	if (dr == 6) {
		vcpu->dr6 = (value & DR6_WRITABLE) | DR6_FIXED;
	} else {
		/* No general detect: these accesses exit before it could tell. */
		vcpu->dr7 = (value & DR7_WRITABLE) | DR7_FIXED;
		vmcs_write_natural(GUEST_DR7, vcpu->dr7);
	}
	return true;
}

/*
 * The guest's debug registers are kept here, and loaded by run.c only while
 * DR7 enables one. (Intel SDM, "Exit Qualification for MOV DR".)
 */
int dune_debug_access(struct dune_vcpu *vcpu)
{
	u64 qualification = vmcs_read_natural(EXIT_QUALIFICATION);
	int dr = qualification & DEBUG_REG_ACCESS_NUM;
	int gpr = DEBUG_REG_ACCESS_REG(qualification);

	/* Hardware checks first; the emulated machine does not. */
	if (dune_exit_from_ring3())
		return dune_exit_answer(vcpu, X86_TRAP_GP);
	if (is_extended_gpr(qualification))
		return dune_exit_answer(vcpu, X86_TRAP_UD);
	if (dr == 4 || dr == 5) {
		if (vmcs_read_natural(GUEST_CR4) & X86_CR4_DE)
			return dune_exit_answer(vcpu, X86_TRAP_UD);
		dr += 2;
	}
	if (qualification & TYPE_MOV_FROM_DR)
		gpr_write(vcpu, gpr, dr_read(vcpu, dr));
	else if (!dr_write(vcpu, dr, gpr_read(vcpu, gpr)))
		return dune_exit_answer(vcpu, X86_TRAP_GP);
	dune_exit_skip_instruction();
	/* Not at once: run.c loads what DR7 has just enabled. */
	return ACTION_INTERRUPT;
}
