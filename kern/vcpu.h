/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One vcpu: a VMCS, the run page, and what VMX does not switch by itself.
 * vcpu.c makes it, run.c runs it, exit.c answers its exits, state.c reads and
 * writes its registers.
 */
#ifndef DUNE_VCPU_H
#define DUNE_VCPU_H

#include <linux/types.h>

#include "dune_abi.h"
#include "ept.h"
#include "ept_fault.h"
#include "host.h"
#include "stats.h"
#include "vmcs.h"

struct dune_vm;

/* An event to deliver at the next entry; info as the VMCS has it, 0 for none. */
struct dune_event {
	u32 info;
	u32 error;
	u32 length; /* of the instruction, for software events */
};

struct dune_vcpu {
	struct dune_vm *vm;
	struct list_head node; /* in the vm's list */
	u32 id; /* in its vm */
	struct dune_run *run; /* shared with user space: read each field once */
	unsigned long busy; /* bit 0: a thread runs it or is at its state */

	struct dune_vmcs vmcs;
	struct dune_ept_user ept_user;
	u64 ept_generation; /* flushed up to here, on host.cpu */
	u16 vpid;
	bool set_up;

	bool sent_back; /* to user mode, for WORK_SOON, since the last entry */
	bool fpu_loaded; /* by fpu.h, for this entry */
	struct dune_host host;

	/* The guest's, where VMX does not switch. */
	u64 cr2, lstar, kernel_gs_base;
	u64 dr[4], dr6, dr7;

	struct dune_event event;
	struct dune_ept_fault fault; /* of the exit being handled */
	u64 fault_qualification;
	u32 entry_error; /* VM-instruction error of the last refused entry, or 0 */

	struct dune_counters counters;
};

/* vcpu.c */
int dune_vcpu_create(struct dune_vm *vm);

/* run.c */
int dune_vcpu_run(struct dune_vcpu *vcpu);
int dune_vcpu_load_vmcs(struct dune_vcpu *vcpu);
void dune_vcpu_put_vmcs(struct dune_vcpu *vcpu);

/* state.c */
int dune_vcpu_get_state(struct dune_vcpu *vcpu, struct dune_state *state);
int dune_vcpu_set_state(struct dune_vcpu *vcpu, const struct dune_state *state);

#endif /* DUNE_VCPU_H */
