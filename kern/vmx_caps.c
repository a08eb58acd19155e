// SPDX-License-Identifier: GPL-2.0-only
/*
 * What we require of the CPU, as a list, with one line in the log for the
 * first thing that is missing. Called by main.c at load; everything else reads
 * dune_vmx_caps.
 */
#include <linux/kernel.h>
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/processor-flags.h>
#include <asm/vmx.h>

#include "compat.h"
#include "cpu_insn.h"
#include "dune_abi.h"
#include "vmx.h"

struct dune_vmx_caps dune_vmx_caps __ro_after_init;

/*
 * Controls by the MSR that says what may be set (Intel SDM, "VMX Capability
 * Reporting Facility"). A required one that is missing ends the load; an
 * optional one is set where it can be.
 */
struct vmx_control {
	const char *name;
	u32 msr;
	u32 required;
	u32 optional;
	u32 *value;
};

static const struct vmx_control controls[] = {
	{ "pin-based", MSR_IA32_VMX_TRUE_PINBASED_CTLS,
	  PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING, 0,
	  &dune_vmx_caps.pin },
	{ "primary processor-based", MSR_IA32_VMX_TRUE_PROCBASED_CTLS,
	  CPU_BASED_HLT_EXITING | CPU_BASED_MWAIT_EXITING |
		  CPU_BASED_MONITOR_EXITING | CPU_BASED_RDPMC_EXITING |
		  CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING |
		  CPU_BASED_MOV_DR_EXITING | CPU_BASED_UNCOND_IO_EXITING |
		  CPU_BASED_ACTIVATE_SECONDARY_CONTROLS,
	  0, &dune_vmx_caps.primary },
	/*
	 * No XSAVES: supervisor state components are the host's alone, and the
	 * instruction is #UD without the control. WBINVD must not be the
	 * guest's to run, nor ENCLS where there is SGX, nor ENQCMDS, by which
	 * ring 0 would reach other processes' memory through a device.
	 */
	{ "secondary processor-based", MSR_IA32_VMX_PROCBASED_CTLS2,
	  SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_WBINVD_EXITING,
	  SECONDARY_EXEC_ENABLE_VPID | SECONDARY_EXEC_ENABLE_RDTSCP |
		  SECONDARY_EXEC_ENABLE_INVPCID | SECONDARY_EXEC_ENCLS_EXITING |
		  SECONDARY_EXEC_PASID_TRANSLATION,
	  &dune_vmx_caps.secondary },
	{ "VM-exit", MSR_IA32_VMX_TRUE_EXIT_CTLS,
	  VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_SAVE_DEBUG_CONTROLS, 0,
	  &dune_vmx_caps.exit },
	{ "VM-entry", MSR_IA32_VMX_TRUE_ENTRY_CTLS,
	  VM_ENTRY_IA32E_MODE | VM_ENTRY_LOAD_DEBUG_CONTROLS, 0,
	  &dune_vmx_caps.entry },
};

static int missing(const char *what)
{
	pr_err("not usable on this CPU: %s\n", what);
	return -EOPNOTSUPP;
}

/* The CPU's own word; the kernel clears its feature bit when VMX is locked. */
static bool cpuid_has_vmx(void)
{
	u32 eax = 1, ebx, ecx = 0, edx;

	cpu_cpuid(&eax, &ebx, &ecx, &edx);
	return ecx & BIT(5);
}

/* The first CPUs with VMX had none. */
static bool has_ept(void)
{
	u32 must, may;

	return !rdmsr_safe(MSR_IA32_VMX_PROCBASED_CTLS, &must, &may) &&
	       (may & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS) &&
	       !rdmsr_safe(MSR_IA32_VMX_PROCBASED_CTLS2, &must, &may) &&
	       (may & SECONDARY_EXEC_ENABLE_EPT);
}

static int require_vmx(void)
{
	u32 feat_ctl, high;

	if (boot_cpu_data.x86_vendor != X86_VENDOR_INTEL &&
	    boot_cpu_data.x86_vendor != X86_VENDOR_CENTAUR &&
	    boot_cpu_data.x86_vendor != X86_VENDOR_ZHAOXIN)
		return missing(
			"it has no VT-x (VMX); AMD's SVM is not supported");
	if (!cpuid_has_vmx())
		return missing(
			"it has no VT-x (VMX), or a hypervisor hides it");
	if (rdmsr_safe(MSR_IA32_FEAT_CTL, &feat_ctl, &high) ||
	    !(feat_ctl & FEAT_CTL_LOCKED) ||
	    !(feat_ctl & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX))
		return missing(
			"firmware has locked VT-x (VMX) off; enable it there");
	if (!boot_cpu_has(X86_FEATURE_VMX))
		return missing("the kernel has turned VT-x (VMX) off");
	if (!has_ept())
		return missing("its VT-x (VMX) has no EPT");
	return 0;
}

static int require_features(void)
{
	if (!boot_cpu_has(X86_FEATURE_FSGSBASE))
		return missing(
			"no FSGSBASE (or nofsgsbase on the command line)");
	if (!boot_cpu_has(X86_FEATURE_NX))
		return missing("no NX (execute disable)");
	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return missing("no XSAVE");
	if (compat_cpu_has_fred())
		return missing("the kernel uses FRED; boot with fred=off");
	return 0;
}

static int require_controls(void)
{
	const struct vmx_control *c;
	u64 basic;

	basic = cpu_read_msr(MSR_IA32_VMX_BASIC);
	dune_vmx_caps.revision = basic & GENMASK(30, 0);
	if (!(basic & BIT_ULL(55)))
		return missing("VMX has no TRUE control MSRs");

	for (c = controls; c < controls + ARRAY_SIZE(controls); c++) {
		u32 must, may;

		if (rdmsr_safe(c->msr, &must, &may))
			return missing("a VMX capability MSR cannot be read");
		if (c->required & ~may) {
			pr_err("not usable on this CPU: %s controls lack %#x\n",
			       c->name, c->required & ~may);
			return -EOPNOTSUPP;
		}
		*c->value = c->required | (c->optional & may) | must;
	}
	return 0;
}

static int require_ept(void)
{
	struct dune_vmx_caps *caps = &dune_vmx_caps;
	u64 ept;

	ept = cpu_read_msr(MSR_IA32_VMX_EPT_VPID_CAP);
	if (!(ept & VMX_EPT_PAGE_WALK_4_BIT) || !(ept & VMX_EPTP_WB_BIT))
		return missing("EPT has no 4-level write-back tables");
	if (!(ept & VMX_EPT_INVEPT_BIT) || !(ept & VMX_EPT_EXTENT_CONTEXT_BIT))
		return missing("EPT has no single-context INVEPT");

	caps->ept_leaf_level = 1;
	if (ept & VMX_EPT_2MB_PAGE_BIT)
		caps->ept_leaf_level = 2;
	if ((ept & VMX_EPT_1GB_PAGE_BIT) && caps->ept_leaf_level == 2)
		caps->ept_leaf_level = 3;
	caps->vpid = caps->secondary & SECONDARY_EXEC_ENABLE_VPID;
	caps->exec_leaf_4k = boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT);
	return 0;
}

/*
 * A guest may change these; the rest exits, and is #GP there. VMXE and what
 * VMX fixes are never the guest's, nor is a bit that the CPU does not have.
 */
#define CR0_GUEST                                                              \
	(X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_WP | X86_CR0_AM)
#define CR4_GUEST                                                              \
	(X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PGE |                \
	 X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_UMIP |                  \
	 X86_CR4_FSGSBASE | X86_CR4_PCIDE | X86_CR4_OSXSAVE | X86_CR4_SMEP |   \
	 X86_CR4_SMAP)

static int find_registers(void)
{
	struct dune_vmx_caps *caps = &dune_vmx_caps;
	u64 fixed0, fixed1;
	u32 pa_bits = boot_cpu_data.x86_phys_bits;

	fixed0 = cpu_read_msr(MSR_IA32_VMX_CR0_FIXED0);
	caps->cr0_allowed = CR0_GUEST & ~fixed0;
	caps->cr0_must = fixed0 | X86_CR0_PE | X86_CR0_PG | X86_CR0_NE |
			 X86_CR0_ET;

	fixed0 = cpu_read_msr(MSR_IA32_VMX_CR4_FIXED0);
	fixed1 = cpu_read_msr(MSR_IA32_VMX_CR4_FIXED1);
	caps->cr4_allowed = CR4_GUEST & fixed1 & ~fixed0;
	caps->cr4_must = fixed0 | X86_CR4_PAE | X86_CR4_VMXE;
	/* Without it a machine check that finds a CPU inside shuts that down. */
	caps->cr4_host = cpu_read_cr4() & X86_CR4_MCE;

	/* EPT's four levels reach 48 bits, whatever the CPU's bus does. */
	pa_bits = min(pa_bits, 48U);
	caps->guest_pa_mask = GENMASK_ULL(pa_bits - 1, 0);
	caps->nr_tiles = 1U << (pa_bits - DUNE_TILE_SHIFT);
	caps->guest_1g = boot_cpu_has(X86_FEATURE_GBPAGES);
	caps->xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	return 0;
}

/* The CPU's own word; the kernel clears its feature bit where it has no use for it. */
static bool enqcmds_is_open(void)
{
	u32 eax = 7, ebx, ecx = 0, edx;

	if (boot_cpu_data.cpuid_level < 7)
		return false;
	cpu_cpuid(&eax, &ebx, &ecx, &edx);
	return (ecx & BIT(29)) &&
	       !(dune_vmx_caps.secondary & SECONDARY_EXEC_PASID_TRANSLATION);
}

/**
 * dune_vmx_caps_init - require what we need, find what there is
 * @unsafe: load beside what we cannot live with, if it is there
 *
 * Return: 0, or -EOPNOTSUPP with the reason in the log.
 */
int __init dune_vmx_caps_init(bool unsafe)
{
	static int (*const steps[])(void) __initconst = {
		require_vmx, require_features, require_controls,
		require_ept, find_registers,
	};
	int i, err = 0;

	for (i = 0; i < ARRAY_SIZE(steps) && !err; i++)
		err = steps[i]();
	if (!err && !unsafe && compat_kvm_may_use_evmcs())
		return missing(
			"Hyper-V offers KVM its enlightened VMCS, beside which ours is not seen; if kvm_intel is loaded with enlightened_vmcs=0, unsafe=1 loads all the same");
	if (!err && !unsafe && enqcmds_is_open())
		return missing(
			"it has ENQCMDS, by which ring 0 reaches other processes' memory through a device, and VMX cannot stop it; unsafe=1 loads all the same");
	return err;
}
