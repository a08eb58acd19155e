// SPDX-License-Identifier: GPL-2.0-only
/*
 * The constant part of a VMCS. Called by run.c when a VMCS is new; what follows
 * this CPU and this thread is host.c's.
 */
#include <linux/build_bug.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <asm/cpu_entry_area.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include <asm/trapnr.h>

#include "compat.h"
#include "cpu_insn.h"
#include "debug.h"
#include "dune_abi.h"
#include "segment.h"
#include "vmcs.h"
#include "vmenter.h"
#include "vmx.h"
#include "vmx_insn.h"

static void setup_controls(u64 eptp, u16 vpid)
{
	const struct dune_vmx_caps *caps = &dune_vmx_caps;
	u64 nothing = page_to_phys(ZERO_PAGE(0));
	u32 secondary = caps->secondary;

	if (!vpid)
		secondary &= ~SECONDARY_EXEC_ENABLE_VPID;

	vmcs_write32(PIN_BASED_VM_EXEC_CONTROL, caps->pin);
	vmcs_write32(CPU_BASED_VM_EXEC_CONTROL, caps->primary);
	vmcs_write32(SECONDARY_VM_EXEC_CONTROL, secondary);
	vmcs_write32(VM_EXIT_CONTROLS, caps->exit);
	vmcs_write32(VM_ENTRY_CONTROLS, caps->entry);

	/*
	 * #DB and #AC can recur for ever while the CPU tries to deliver them
	 * (CVE-2015-8104, CVE-2015-5307), so each passes through us; #MC is
	 * the host's. All others are the guest's own, and no exit.
	 */
	vmcs_write32(EXCEPTION_BITMAP,
		     BIT(X86_TRAP_DB) | BIT(X86_TRAP_AC) | BIT(X86_TRAP_MC));
	vmcs_write32(PAGE_FAULT_ERROR_CODE_MASK, 0);
	vmcs_write32(PAGE_FAULT_ERROR_CODE_MATCH, 0);
	vmcs_write32(CR3_TARGET_COUNT, 0);
	vmcs_write32(VM_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write32(VM_EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write32(VM_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, 0);
	if (secondary & SECONDARY_EXEC_ENCLS_EXITING)
		vmcs_write64(ENCLS_EXITING_BITMAP, ~0ULL);
	if (secondary & SECONDARY_EXEC_PASID_TRANSLATION) {
		/* A directory in which nothing is present. */
		vmcs_write64(LOW_PASID_DIRECTORY_ADDRESS, nothing);
		vmcs_write64(HIGH_PASID_DIRECTORY_ADDRESS, nothing);
	}

	vmcs_write64(EPT_POINTER, eptp);
	if (vpid)
		vmcs_write16(VIRTUAL_PROCESSOR_ID, vpid);
	vmcs_write64(VMCS_LINK_POINTER, ~0ULL);

	/* The guest owns the bits that it may change, and sees them as they are. */
	vmcs_write_natural(CR0_GUEST_HOST_MASK, ~caps->cr0_allowed);
	vmcs_write_natural(CR4_GUEST_HOST_MASK, ~caps->cr4_allowed);
}

static void setup_guest(void)
{
	const struct dune_vmx_caps *caps = &dune_vmx_caps;

	dune_segment_write_cs_ss(DUNE_SEL_CODE0, DUNE_SEL_DATA0);
	dune_segment_write_fixed();

	vmcs_write_natural(GUEST_CR0, caps->cr0_must);
	vmcs_write_natural(CR0_READ_SHADOW, caps->cr0_must);
	vmcs_write_natural(GUEST_CR3, 0);
	vmcs_write_natural(GUEST_CR4, caps->cr4_must | caps->cr4_host);
	vmcs_write_natural(CR4_READ_SHADOW, caps->cr4_must & ~X86_CR4_VMXE);
	vmcs_write_natural(GUEST_GDTR_BASE, 0);
	vmcs_write32(GUEST_GDTR_LIMIT, 0);
	vmcs_write_natural(GUEST_IDTR_BASE, 0);
	vmcs_write32(GUEST_IDTR_LIMIT, 0);

	vmcs_write_natural(GUEST_RIP, 0);
	vmcs_write_natural(GUEST_RSP, 0);
	vmcs_write_natural(GUEST_RFLAGS, X86_EFLAGS_FIXED);
	vmcs_write_natural(GUEST_DR7, DR7_FIXED);
	vmcs_write64(GUEST_IA32_DEBUGCTL, 0);
	vmcs_write_natural(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmcs_write32(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmcs_write32(GUEST_SYSENTER_CS, 0); /* SYSENTER is #GP */
	vmcs_write_natural(GUEST_SYSENTER_ESP, 0);
	vmcs_write_natural(GUEST_SYSENTER_EIP, 0);
}

/* What of the host never changes. */
static void setup_host(void)
{
	BUILD_BUG_ON(VMCS_HOST_RSP != HOST_RSP);

	vmcs_write16(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write16(HOST_SS_SELECTOR, __KERNEL_DS);
	/* The process's own, if not null, are reloaded after the exit. */
	vmcs_write16(HOST_DS_SELECTOR, 0);
	vmcs_write16(HOST_ES_SELECTOR, 0);
	vmcs_write16(HOST_FS_SELECTOR, 0);
	vmcs_write16(HOST_GS_SELECTOR, 0);
	vmcs_write16(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	vmcs_write_natural(HOST_RIP, (unsigned long)dune_vmexit);
}

/**
 * dune_vmcs_setup_guest - fill a new VMCS with all that is constant
 * @eptp: the vm's
 * @vpid: the vcpu's own, or 0 where the CPU has none to give
 *
 * Context: the VMCS is current, interrupts off.
 */
void dune_vmcs_setup_guest(u64 eptp, u16 vpid)
{
	setup_controls(eptp, vpid);
	setup_guest();
	setup_host();
}
