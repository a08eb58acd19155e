// SPDX-License-Identifier: GPL-2.0-only
/*
 * Filling the EPT. exit_memory.c comes here with an EPT violation; tile.c says
 * where a gpa is in the process, host_walk.c reads the host's tables there.
 *
 * The rule that keeps the two in step is KVM's and the GUP-fast walk's
 * together: read the host's entry with interrupts off, then install it under
 * ept->lock only if no invalidation of that address began since.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "ept.h"
#include "ept_entry.h"
#include "ept_fault.h"
#include "host_walk.h"
#include "trace.h"
#include "vmx.h"

/* Before the host's tables are read: the number for read_outdated(). */
static unsigned long read_begin(const struct dune_ept *ept)
{
	unsigned long seq = READ_ONCE(ept->invalidate_seq);

	smp_rmb(); /* pairs with the lock around its change */
	return seq;
}

/*
 * Whether what was read of [start, end) since then may be stale: 0, -EAGAIN if
 * a change has ended, -EBUSY if one is under way. Under lock.
 */
static int read_outdated(const struct dune_ept *ept, unsigned long seq,
			 u64 start, u64 end)
{
	if (ept->invalidate_seq != seq)
		return -EAGAIN;
	if (ept->invalidating && end > ept->invalidate_start &&
	    start < ept->invalidate_end)
		return -EBUSY;
	return 0;
}

/*
 * Until a change of the host's tables that was under way at read_begin() has
 * ended, or a signal comes. Asleep: whoever makes it may need this CPU. Inlined,
 * its stack would be every fault's to clear.
 */
static noinline void wait_for_change(struct dune_ept *ept, unsigned long seq)
{
	wait_event_interruptible(ept->invalidated,
				 READ_ONCE(ept->invalidate_seq) != seq);
}

/* Whether the entry before or after this one, in its table, maps nothing. */
static bool empty_beside(const u64 *entry)
{
	unsigned long index = ((unsigned long)entry & ~PAGE_MASK) / sizeof(u64);

	return (index > 0 && !ept_entry_present(entry[-1])) ||
	       (index < PTRS_PER_PTE - 1 && !ept_entry_present(entry[1]));
}

/* The part of a leaf that a smaller one shows. */
static void leaf_shrink(struct host_leaf *leaf, int level, u64 hva)
{
	leaf->pa += hva & (ept_level_size(leaf->level) - 1) &
		    ~(ept_level_size(level) - 1);
	leaf->level = level;
}

/*
 * Installs the fault's leaf at its own level, or at a smaller one if it must.
 * Returns 0, or how many tables the reserve lacks. Under lock.
 */
static int leaf_install(struct dune_ept *ept, struct dune_ept_fault *fault)
{
	struct dune_ept_removed *removed = &fault->removed;
	struct host_leaf *leaf = &fault->leaf;
	u64 *entry, old, new;
	int level;

	for (;;) {
		entry = dune_ept_find(&ept->tables, fault->gpa, leaf->level,
				      &level, &fault->reserve);
		if (likely(level == 1 || level > leaf->level ||
			   !dune_ept_table_in_use(*entry, level)))
			break;
		/*
		 * Code of the same huge page has entries of its own, for
		 * leaf_limit()'s reason. They stay, or an instruction that
		 * needs both would never get both.
		 */
		leaf_shrink(leaf, level - 1, fault->hva);
	}
	if (unlikely(level > leaf->level)) {
		/* A larger leaf is in the way: the host has split its own. */
		if (ept_entry_present(*entry))
			dune_ept_remove(&ept->tables, entry, level, removed);
		return level - leaf->level;
	}

	fault->empty_beside = level == 1 && empty_beside(entry);
	old = *entry;
	new = ept_entry_make_leaf(leaf->pa, level, leaf->rwx,
				  leaf->memory_type);
	if (old == new)
		return 0;
	if (ept_entry_present(old)) {
		/* Only more rights for the same page need no flush. */
		if (!ept_entry_leaf(old, level))
			dune_ept_remove(&ept->tables, entry, level, removed);
		else if ((old ^ new) & ~(u64)VMX_EPT_RWX_MASK || old & ~new)
			removed->any = true;
	}
	WRITE_ONCE(*entry, new);
	ept->tables.nr_mapped++;
	return 0;
}

/*
 * What EPT can map in one piece, and on CPUs with the iTLB multihit erratum
 * nothing executable but 4 KiB: a larger leaf loses its execute right there,
 * or, if that is what was asked for, its size.
 */
static void leaf_limit(struct host_leaf *leaf, u32 access, u64 hva)
{
	int level = leaf->level;

	if (level > dune_vmx_caps.ept_leaf_level)
		level = dune_vmx_caps.ept_leaf_level;
	if (level > 1 && dune_vmx_caps.exec_leaf_4k) {
		if (access & VMX_EPT_EXECUTABLE_MASK)
			level = 1;
		else
			leaf->rwx &= ~(u64)VMX_EPT_EXECUTABLE_MASK;
	}
	if (level < leaf->level)
		leaf_shrink(leaf, level, hva);
}

/* One try: 0 done, -EAGAIN not yet, or what the walk says. */
static int fault_try(struct dune_ept *ept, struct dune_ept_fault *fault)
{
	struct host_leaf *leaf = &fault->leaf;
	unsigned long seq = read_begin(ept);
	int err, missing;

	fault->hva = dune_tile_hva(&ept->tiles, fault->gpa);
	if (unlikely(fault->hva == DUNE_NO_HVA))
		return -ENXIO;
	err = host_walk(ept->mm, fault->hva, leaf);
	if (err)
		return err;
	if ((leaf->rwx & fault->access) != fault->access)
		return -EFAULT;
	leaf_limit(leaf, fault->access, fault->hva);

	spin_lock(&ept->lock);
	/* One byte will do: a huge entry changes, and is announced, as a whole. */
	err = read_outdated(ept, seq, fault->hva, fault->hva + 1);
	if (unlikely(err)) {
		spin_unlock(&ept->lock);
		if (err == -EBUSY)
			wait_for_change(ept, seq);
		return -EAGAIN;
	}
	missing = leaf_install(ept, fault);
	if (unlikely(fault->removed.any))
		dune_ept_unlock(ept, &fault->removed);
	else
		spin_unlock(&ept->lock);

	if (unlikely(missing)) {
		err = dune_ept_reserve_fill(&fault->reserve, missing);
		return err ?: -EAGAIN;
	}
	return 0;
}

/*
 * Maps what else the host has in the window of the fault, each page with its
 * own rights. Best effort: whatever is in the way, those pages fault for
 * themselves.
 */
static void fault_around(struct dune_ept *ept, struct dune_ept_fault *fault)
{
	u64 gpa = fault->gpa & ~(HOST_WINDOW_BYTES - 1);
	struct host_leaf leaves[HOST_WINDOW];
	unsigned long seq = read_begin(ept);
	int level, i;
	u64 hva, *entry;

	hva = dune_tile_hva(&ept->tiles, fault->gpa);
	if (hva == DUNE_NO_HVA || !host_walk_window(ept->mm, hva, leaves))
		return;
	hva &= ~(HOST_WINDOW_BYTES - 1);

	spin_lock(&ept->lock);
	entry = dune_ept_find(&ept->tables, gpa, 1, &level, NULL);
	if (level > 1 || read_outdated(ept, seq, hva, hva + HOST_WINDOW_BYTES))
		goto unlock;
	for (i = 0; i < HOST_WINDOW; i++) {
		if (!leaves[i].level || ept_entry_present(entry[i]))
			continue;
		WRITE_ONCE(entry[i],
			   ept_entry_make_leaf(leaves[i].pa, 1, leaves[i].rwx,
					       leaves[i].memory_type));
		ept->tables.nr_mapped++;
	}
unlock:
	spin_unlock(&ept->lock);
}

/**
 * dune_ept_handle_fault - make a guest access possible, if the process may
 * @ept: the vm's EPT
 * @fault: what the guest tried; hva is filled in
 *
 * Context: a thread of the vm's own mm; may sleep, as any page fault.
 * Return: 0: try again in the guest; -ENXIO: no such tile; -EFAULT: the process
 * itself could not do this; -EINTR: a signal came first; -ENOMEM.
 */
int dune_ept_handle_fault(struct dune_ept *ept, struct dune_ept_fault *fault)
{
	bool touched = false;
	int err;

	for (;;) {
		err = fault_try(ept, fault);
		if (likely(!err))
			break;
		if (err == -EFAULT) {
			/* Not there, or not with these rights: ask the host. */
			err = host_touch(fault->hva, fault->access);
			if (err)
				break;
			touched = true;
		} else if (err == -EAGAIN) {
			cond_resched();
		} else {
			break;
		}
		/* A mapping that never settles must not hold us for ever. */
		if (signal_pending(current)) {
			err = -EINTR;
			break;
		}
	}
	/* Next to a page that was not there, the others seldom are. */
	if (!err && !touched && fault->empty_beside)
		fault_around(ept, fault);
	trace_dune_ept_fault(fault->gpa, fault->hva, fault->access, err);
	return err;
}

void dune_ept_exit_fault(struct dune_ept_fault *fault)
{
	dune_ept_reserve_free(&fault->reserve);
}
