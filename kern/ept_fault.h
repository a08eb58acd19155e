/* SPDX-License-Identifier: GPL-2.0-only */
/* Filling the EPT where the guest needs it: exit_memory.c asks ept_fault.c. */
#ifndef DUNE_EPT_FAULT_H
#define DUNE_EPT_FAULT_H

#include <linux/types.h>

#include "ept_table.h"
#include "host_walk.h"

struct dune_ept;

/* An access to make possible: in from the exit, hva out. One in each vcpu. */
struct dune_ept_fault {
	u64 gpa;
	u64 hva; /* DUNE_NO_HVA if no tile has the gpa */
	u32 access; /* VMX_EPT_{READABLE,WRITABLE,EXECUTABLE}_MASK */

	/* ept_fault.c's own: what the host's tables say, and pages for ours. */
	struct host_leaf leaf;
	bool empty_beside;
	struct dune_ept_reserve reserve;
	struct dune_ept_removed removed;
};

int dune_ept_handle_fault(struct dune_ept *ept, struct dune_ept_fault *fault);
void dune_ept_exit_fault(struct dune_ept_fault *fault);

#endif /* DUNE_EPT_FAULT_H */
