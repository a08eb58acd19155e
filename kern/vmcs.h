/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VMCS: which CPU holds it, and what in it is constant. Used by run.c, for all
 * that come at a vcpu's.
 */
#ifndef DUNE_VMCS_H
#define DUNE_VMCS_H

#include <linux/list.h>
#include <linux/types.h>

#include "vmx_insn.h"

/*
 * cpu and node belong to the CPU that holds the VMCS: they change there only,
 * with interrupts off.
 */
struct dune_vmcs {
	void *region;
	u64 pa;
	int cpu; /* or -1 */
	bool launched;
	struct list_head node;
};

int dune_vmcs_init(struct dune_vmcs *vmcs);
void dune_vmcs_exit(struct dune_vmcs *vmcs);

/* Interrupts off from load to put. */
int dune_vmcs_load(struct dune_vmcs *vmcs, u64 *displaced);
void dune_vmcs_put_back(u64 displaced);
static __always_inline void dune_vmcs_put(u64 displaced)
{
	if (unlikely(displaced != VMX_NO_VMCS))
		dune_vmcs_put_back(displaced);
}

/* No CPU holds it on return; may wait for one. */
void dune_vmcs_clear(struct dune_vmcs *vmcs);

/* Our VMCS current. */
void dune_vmcs_setup_guest(u64 eptp, u16 vpid);

void dune_vmcs_init_cpu(int cpu);
void dune_vmcs_clear_cpu(void);
void dune_vmcs_end(void);
bool dune_vmcs_ended(void);

#endif /* DUNE_VMCS_H */
