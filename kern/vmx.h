/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this CPU's VMX can do, found once at load by vmx_caps.c, and who keeps
 * it on: KVM or we ourselves, vmx_cpu.c.
 */
#ifndef DUNE_VMX_H
#define DUNE_VMX_H

#include <linux/bits.h>
#include <linux/types.h>

/*
 * Unknown to <asm/vmx.h>, as KVM does not use it: what numbers of address spaces
 * ENQCMD and ENQCMDS may send to a device (Intel SDM, "PASID Translation").
 */
#define SECONDARY_EXEC_PASID_TRANSLATION BIT(21)
#define LOW_PASID_DIRECTORY_ADDRESS 0x2038
#define HIGH_PASID_DIRECTORY_ADDRESS 0x203a

/* Constant after dune_vmx_caps_init(). */
struct dune_vmx_caps {
	u32 revision; /* of VMCS regions */
	u32 pin, primary, secondary, entry, exit; /* control values */
	u64 cr0_allowed, cr4_allowed; /* bits the guest may change */
	u64 cr0_must, cr4_must; /* bits that the guest cannot have clear */
	u64 cr4_host; /* bits that are the host's, set or clear */
	u64 xcr0;
	u64 guest_pa_mask; /* bits of a guest-physical address */
	u32 nr_tiles;
	u8 ept_leaf_level; /* largest leaf that EPT can map */
	bool vpid;
	bool guest_1g;
	bool exec_leaf_4k; /* iTLB multihit: no larger executable leaf */
};

extern struct dune_vmx_caps dune_vmx_caps;

int dune_vmx_caps_init(bool unsafe);

int dune_vmx_cpu_init(void);
void dune_vmx_cpu_exit(void);

/* Our own VMXON on all CPUs, for as long as anybody holds it. */
int dune_vmx_get(void);
void dune_vmx_put(void);
void dune_vmx_suspend_before_kvm(void);

#endif /* DUNE_VMX_H */
