// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters, read and summed. The run path only increments; everything here is
 * for whoever asks: vm.c and vcpu.c for their ioctls, debugfs.c for its files.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/vmx.h>

#include "stats.h"
#include "vcpu.h"
#include "vm.h"

/* Counts that are sums of exits. A reason may be in several rows. */
static const struct {
	enum dune_stat stat;
	u8 reason;
} derived[] = {
	{ DUNE_STAT_EXIT_HYPERCALL, EXIT_REASON_VMCALL },
	{ DUNE_STAT_EXIT_MEMORY, EXIT_REASON_EPT_VIOLATION },
	{ DUNE_STAT_EXIT_CPUID, EXIT_REASON_CPUID },
	{ DUNE_STAT_EXIT_INTERRUPT, EXIT_REASON_EXTERNAL_INTERRUPT },
	{ DUNE_STAT_EXIT_MSR, EXIT_REASON_MSR_READ },
	{ DUNE_STAT_EXIT_MSR, EXIT_REASON_MSR_WRITE },
	{ DUNE_STAT_EXIT_CR, EXIT_REASON_CR_ACCESS },
	{ DUNE_STAT_EXIT_CR, EXIT_REASON_DR_ACCESS },
	{ DUNE_STAT_EXIT_CR, EXIT_REASON_XSETBV },
};

/* The counters of a thread that may run at this moment. */
static void copy_once(struct dune_counters *to,
		      const struct dune_counters *from)
{
	int i;

	for (i = 0; i < DUNE_STAT_NR; i++)
		to->stat[i] = READ_ONCE(from->stat[i]);
	for (i = 0; i < DUNE_EXITS_MAX; i++)
		to->exits[i] = READ_ONCE(from->exits[i]);
}

void dune_counters_add(struct dune_counters *sum,
		       const struct dune_counters *more)
{
	int i;

	for (i = 0; i < DUNE_STAT_NR; i++)
		sum->stat[i] += READ_ONCE(more->stat[i]);
	for (i = 0; i < DUNE_EXITS_MAX; i++)
		sum->exits[i] += READ_ONCE(more->exits[i]);
}

static void derive(struct dune_counters *counters)
{
	int i;

	for (i = 0; i < DUNE_EXITS_MAX; i++)
		counters->stat[DUNE_STAT_EXITS] += counters->exits[i];
	for (i = 0; i < ARRAY_SIZE(derived); i++)
		counters->stat[derived[i].stat] +=
			counters->exits[derived[i].reason];
}

void dune_counters_read(struct dune_counters *to, const struct dune_vcpu *vcpu)
{
	copy_once(to, &vcpu->counters);
	derive(to);
}

/**
 * dune_counters_read_vm - the sum over a vm's vcpus, those that are gone too
 * @to: filled in
 * @vm: the caller keeps it
 *
 * Context: process; takes spinlocks, does not sleep. A vcpu that ends meanwhile
 * is counted once.
 */
void dune_counters_read_vm(struct dune_counters *to, struct dune_vm *vm)
{
	struct dune_ept *ept = &vm->ept;
	struct dune_vcpu *vcpu;

	spin_lock(&vm->vcpus_lock);
	*to = vm->past;
	list_for_each_entry(vcpu, &vm->vcpus, node)
		dune_counters_add(to, &vcpu->counters);
	spin_unlock(&vm->vcpus_lock);
	derive(to);

	spin_lock(&ept->lock);
	to->stat[DUNE_STAT_EPT_MAPPED] = ept->tables.nr_mapped;
	to->stat[DUNE_STAT_EPT_ZAPPED] = ept->tables.nr_zapped;
	to->stat[DUNE_STAT_EPT_PAGES] = ept->tables.nr_pages;
	spin_unlock(&ept->lock);
}

static int copy_stats(void __user *to, const struct dune_counters *from)
{
	struct dune_stats copy = {};

	BUILD_BUG_ON(DUNE_STAT_NR > DUNE_STATS_MAX);
	memcpy(copy.value, from->stat, sizeof(from->stat));
	return copy_to_user(to, &copy, sizeof(copy)) ? -EFAULT : 0;
}

static int copy_exits(void __user *to, const struct dune_counters *from)
{
	BUILD_BUG_ON(sizeof(from->exits) != sizeof(struct dune_exits));
	return copy_to_user(to, from->exits, sizeof(from->exits)) ? -EFAULT : 0;
}

/* For DUNE_GET_STATS or DUNE_GET_EXITS: 0 or -EFAULT. */
int dune_counters_copy(void __user *to, unsigned int cmd,
		       const struct dune_counters *from)
{
	return cmd == DUNE_GET_STATS ? copy_stats(to, from) :
				       copy_exits(to, from);
}
