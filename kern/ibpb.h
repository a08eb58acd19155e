/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Branch predictors between KVM's guests and ours: what the one has taught them
 * must not steer the other. vmcs.c says when, mitigation.c whether at all.
 */
#ifndef DUNE_IBPB_H
#define DUNE_IBPB_H

#include <linux/jump_label.h>
#include <linux/types.h>

/* Without KVM the kernel has no preemption notifiers, nor anybody to fear. */
#ifdef CONFIG_PREEMPT_NOTIFIERS

DECLARE_STATIC_KEY_FALSE(dune_ibpb);

void dune_ibpb_init(void);
void dune_ibpb_exit(void);
void dune_ibpb_barrier(bool kvm_stays);

/**
 * dune_ibpb_take_over - a guest of KVM's may have run here since the last of ours
 * @kvm_stays: its VMCS is current, and put back: it may go on after this thread
 *
 * Context: interrupts off, before an entry.
 */
static __always_inline void dune_ibpb_take_over(bool kvm_stays)
{
	if (static_branch_unlikely(&dune_ibpb))
		dune_ibpb_barrier(kvm_stays);
}

#else

static inline void dune_ibpb_init(void)
{
}

static inline void dune_ibpb_exit(void)
{
}

static inline void dune_ibpb_take_over(bool kvm_stays)
{
}

#endif

#endif /* DUNE_IBPB_H */
