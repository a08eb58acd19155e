// SPDX-License-Identifier: GPL-2.0-only
/*
 * What CPUID says in the guest: what it says to the host, less what we do not
 * offer: VMX, MONITOR, and what lives in state or MSRs that the guest cannot
 * reach. Called by exit.c with the guest's state in the hardware.
 */
#include <linux/bits.h>
#include <asm/processor-flags.h>

#include "cpu_insn.h"
#include "exit.h"
#include "vmx_insn.h"

/* The guest may write the page while we read it: each register once. */
void dune_cpuid(u64 *gpr)
{
	u32 leaf = READ_ONCE(gpr[DUNE_RAX]), subleaf = READ_ONCE(gpr[DUNE_RCX]);
	u32 eax = leaf, ebx, ecx = subleaf, edx;

	cpu_cpuid(&eax, &ebx, &ecx, &edx);
	switch (leaf) {
	case 1:
		ecx &= ~(BIT(3) | BIT(5) | BIT(27)); /* MONITOR VMX OSXSAVE */
		if (vmcs_read_natural(GUEST_CR4) & X86_CR4_OSXSAVE)
			ecx |= BIT(27);
		break;
	case 7:
		if (subleaf == 1)
			ecx &= ~BIT(5); /* MSR_IMM */
		if (subleaf != 0)
			break;
		ebx &= ~BIT(2); /* SGX */
		/* PKU OSPKE WAITPKG SHSTK LA57 ENQCMD SGX_LC */
		ecx &= ~(BIT(3) | BIT(4) | BIT(5) | BIT(7) | BIT(16) | BIT(29) |
			 BIT(30));
		edx &= ~(BIT(5) | BIT(18) | BIT(20) | BIT(22) | BIT(24) |
			 BIT(25)); /* UINTR PCONFIG IBT AMX */
		break;
	case 0xd:
		if (subleaf == 1)
			eax &= ~(BIT(3) | BIT(4)); /* XSAVES XFD */
		break;
	}
	gpr[DUNE_RAX] = eax;
	gpr[DUNE_RBX] = ebx;
	gpr[DUNE_RCX] = ecx;
	gpr[DUNE_RDX] = edx;
}
