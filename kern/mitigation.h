/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the host's policy against speculation attacks asks of an entry and an
 * exit; run.c calls the inlines, mitigation.c reads the policy at load.
 */
#ifndef DUNE_MITIGATION_H
#define DUNE_MITIGATION_H

#include <linux/jump_label.h>
#include <asm/cpufeature.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include "cpu_insn.h"

DECLARE_STATIC_KEY_FALSE(dune_flush_l1d);
DECLARE_STATIC_KEY_FALSE(dune_flush_l1d_always);
DECLARE_STATIC_KEY_FALSE(dune_clear_buffers);
DECLARE_STATIC_KEY_FALSE(dune_clear_bhb);

int dune_mitigation_init(bool unsafe);

void dune_mitigation_exit(void);
void dune_mitigation_flush_l1d(void);

asmlinkage void dune_clear_branch_history(void); /* vmenter.S */

/*
 * Before the first entry of a section with interrupts off: what the host has
 * done since the last one must not be in the cache. The exits that are answered
 * within the section touch the vcpu's own data alone, so this is all that the host's
 * conditional flushing would do.
 */
static __always_inline void mitigate_before_section(void)
{
	if (static_branch_unlikely(&dune_flush_l1d))
		dune_mitigation_flush_l1d();
}

/* Before each entry, where the host's policy is to flush always. */
static __always_inline void mitigate_before_entry(void)
{
	if (static_branch_unlikely(&dune_flush_l1d_always))
		dune_mitigation_flush_l1d();
}

/* Which of vmenter.S's ways in: nothing here may come between VERW and the entry. */
static __always_inline bool mitigate_by_verw(void)
{
	return static_branch_unlikely(&dune_clear_buffers);
}

/* First after the exit. The return predictor is vmenter.S's, before any RET. */
static __always_inline void mitigate_after_exit(void)
{
	/* Without enhanced IBRS only a write keeps older branches apart. */
	if (cpu_feature_enabled(X86_FEATURE_KERNEL_IBRS))
		cpu_write_msr(MSR_IA32_SPEC_CTRL,
			      this_cpu_read(x86_spec_ctrl_current));
	if (static_branch_unlikely(&dune_clear_bhb))
		dune_clear_branch_history();
}

#endif /* DUNE_MITIGATION_H */
