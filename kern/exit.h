/* SPDX-License-Identifier: GPL-2.0-only */
/* What to do after an exit: exit.c's answers to run.c. */
#ifndef DUNE_EXIT_H
#define DUNE_EXIT_H

#include "vcpu.h"

/* Not negative: an enum dune_exit, for the caller of DUNE_RUN. */
enum dune_action {
	ACTION_REENTER = -1000, /* at once, interrupts still off */
	ACTION_INTERRUPT, /* let Linux take the interrupt, then enter again */
	ACTION_FAULT, /* dune_exit_fault(), with interrupts on */
	ACTION_YIELD, /* let others run, then enter again */
};

int dune_exit_handle(struct dune_vcpu *vcpu);
int dune_exit_fault(struct dune_vcpu *vcpu);

/* An exception from user space's side of the ABI; see dune_run.inject. */
int dune_exit_inject(struct dune_vcpu *vcpu, u32 inject, u32 error, u64 cr2);

/* msr.c: true if the guest may, with the result in or from *value. */
bool dune_msr_read(struct dune_vcpu *vcpu, u32 msr, u64 *value);
bool dune_msr_write(struct dune_vcpu *vcpu, u32 msr, u64 value);

#endif /* DUNE_EXIT_H */
