// SPDX-License-Identifier: GPL-2.0-only
/*
 * Called by the host's memory management whenever it takes something away
 * from the process; ept.c does the work. The plain notifier, not the interval
 * one: reclaim asks it which pages the guest used.
 *
 * Our EPT has no accessed bits in use, so "clear young" takes the translation
 * itself away: the next use faults, and that fault is the answer to the next
 * "test young".
 */
#include "compat.h"
#include "notifier.h"

static struct dune_ept *ept_of(struct mmu_notifier *mn)
{
	return container_of(mn, struct dune_notifier, mn)->ept;
}

static int range_start(struct mmu_notifier *mn,
		       const struct mmu_notifier_range *range)
{
	struct dune_ept *ept = ept_of(mn);

	dune_ept_invalidate_begin(ept, range->start, range->end);
	dune_ept_zap(ept, range->start, range->end,
		     range->event == MMU_NOTIFY_UNMAP);
	return 0;
}

static void range_end(struct mmu_notifier *mn,
		      const struct mmu_notifier_range *range)
{
	dune_ept_invalidate_end(ept_of(mn));
}

static compat_young_t clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
				  unsigned long start, unsigned long end)
{
	return dune_ept_zap(ept_of(mn), start, end, false);
}

static compat_young_t test_young(struct mmu_notifier *mn, struct mm_struct *mm,
				 unsigned long address)
{
	return dune_ept_test(ept_of(mn), address);
}

/* The address space ends; no thread of it can be in the guest any more. */
static void release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	dune_ept_zap(ept_of(mn), 0, TASK_SIZE_MAX, true);
}

static const struct mmu_notifier_ops notifier_ops = {
	.release = release,
	.invalidate_range_start = range_start,
	.invalidate_range_end = range_end,
	.clear_flush_young = clear_young,
	.clear_young = clear_young,
	.test_young = test_young,
};

/**
 * dune_notifier_init - let the host's page tables drive the EPT
 * @notifier: the vm's; zeroed
 * @ept: of the current mm
 *
 * Context: may sleep; takes the mm's mmap lock.
 * Return: 0 or -errno, as -ERESTARTSYS. From here on until dune_notifier_exit()
 * the mm_struct stays allocated (not its memory).
 */
int dune_notifier_init(struct dune_notifier *notifier, struct dune_ept *ept)
{
	int err;

	notifier->ept = ept;
	notifier->mn.ops = &notifier_ops;
	err = mmu_notifier_register(&notifier->mn, ept->mm);
	/* A signal came; a stop of the process, too, for which open() must not fail. */
	return err == -EINTR ? -ERESTARTSYS : err;
}

void dune_notifier_exit(struct dune_notifier *notifier)
{
	mmu_notifier_unregister(&notifier->mn, notifier->ept->mm);
}
