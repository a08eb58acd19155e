// SPDX-License-Identifier: GPL-2.0-only
/*
 * Filling and emptying the EPT. exit.c comes here with an EPT violation,
 * notifier.c with a change of the host's page tables; tile.c says where a gpa
 * is in the process, host_walk.c reads the host's tables there.
 *
 * The rule that keeps the two in step is KVM's and the GUP-fast walk's
 * together: read the host's entry with interrupts off, then install it under
 * ept->lock only if no invalidation of that address began since.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>

#include "dune_abi.h"
#include "ept.h"
#include "ept_entry.h"
#include "host_walk.h"
#include "trace.h"
#include "vmx.h"

/* ---- Flushing ----------------------------------------------------------- */

static void kicked(void *unused)
{
	/* The interrupt made the CPU leave the guest; that is all. */
}

/**
 * dune_ept_flush - no CPU uses a translation from before this call
 * @ept: the vm's EPT
 *
 * Context: any with interrupts on; does not sleep. CPUs in the guest are made
 * to leave it; each flushes before it next enters.
 */
void dune_ept_flush(struct dune_ept *ept)
{
	struct dune_ept_user *user;

	atomic64_inc(&ept->generation);
	smp_mb__after_atomic(); /* pairs with the one in tlb_begin() */

	spin_lock(&ept->users_lock);
	cpumask_clear(&ept->kick_mask);
	list_for_each_entry(user, &ept->users, node) {
		int cpu = READ_ONCE(user->cpu);

		if (cpu >= 0)
			cpumask_set_cpu(cpu, &ept->kick_mask);
	}
	if (!cpumask_empty(&ept->kick_mask))
		smp_call_function_many(&ept->kick_mask, kicked, NULL, true);
	spin_unlock(&ept->users_lock);
}

void dune_ept_add_user(struct dune_ept *ept, struct dune_ept_user *user)
{
	user->cpu = -1;
	spin_lock(&ept->users_lock);
	list_add(&user->node, &ept->users);
	spin_unlock(&ept->users_lock);
}

void dune_ept_del_user(struct dune_ept *ept, struct dune_ept_user *user)
{
	spin_lock(&ept->users_lock);
	list_del(&user->node);
	spin_unlock(&ept->users_lock);
}

/* ---- Emptying ----------------------------------------------------------- */

/* Makes what was removed unreachable for all CPUs, then frees it. No lock. */
static void removed_finish(struct dune_ept *ept,
			   struct dune_ept_removed *removed)
{
	if (removed->any)
		dune_ept_flush(ept);
	removed->any = false;
	while (removed->tables) {
		spin_lock(&ept->lock);
		dune_ept_free_removed(&ept->tables, removed);
		spin_unlock(&ept->lock);
	}
}

/* Takes out what the guest has of [start, end) of the process. Under lock. */
static void pieces_remove(struct dune_ept *ept, unsigned long start,
			  unsigned long end, struct dune_ept_removed *removed)
{
	unsigned long piece;
	void *tile;

	xa_for_each_range(&ept->tiles.pieces, piece, tile,
			  start >> DUNE_TILE_SHIFT,
			  (end - 1) >> DUNE_TILE_SHIFT) {
		u64 gpa = (u64)xa_to_value(tile) << DUNE_TILE_SHIFT;
		u64 base = (u64)piece << DUNE_TILE_SHIFT;
		u64 from = max_t(u64, start, base) - base;
		u64 to = min_t(u64, end - base, DUNE_TILE_SIZE);

		dune_ept_remove_range(&ept->tables, gpa + from, gpa + to,
				      removed);
	}
}

/**
 * dune_ept_zap - the guest loses its translations of [start, end)
 * @ept: the vm's EPT
 * @start: first host-virtual address
 * @end: the one after the last
 *
 * Context: the mmu notifier's; does not sleep. No CPU uses them on return.
 * Return: whether there were any.
 */
bool dune_ept_zap(struct dune_ept *ept, unsigned long start, unsigned long end)
{
	struct dune_ept_removed removed = {};
	bool any;

	if (start >= end)
		return false;
	spin_lock(&ept->lock);
	pieces_remove(ept, start, end, &removed);
	spin_unlock(&ept->lock);
	any = removed.any;
	removed_finish(ept, &removed);
	trace_dune_zap(start, end, any);
	return any;
}

/* Whether the guest has a translation of @hva. Does not sleep. */
bool dune_ept_test(struct dune_ept *ept, unsigned long hva)
{
	void *tile = xa_load(&ept->tiles.pieces, hva >> DUNE_TILE_SHIFT);
	int level;
	bool any;
	u64 gpa;

	if (!tile)
		return false;
	gpa = ((u64)xa_to_value(tile) << DUNE_TILE_SHIFT) |
	      (hva & (DUNE_TILE_SIZE - 1));
	spin_lock(&ept->lock);
	any = ept_entry_present(
		*dune_ept_find(&ept->tables, gpa, 1, &level, NULL));
	spin_unlock(&ept->lock);
	return any;
}

void dune_ept_invalidate_begin(struct dune_ept *ept, unsigned long start,
			       unsigned long end)
{
	spin_lock(&ept->lock);
	if (ept->invalidating++) {
		ept->invalidate_start = min(ept->invalidate_start, start);
		ept->invalidate_end = max(ept->invalidate_end, end);
	} else {
		ept->invalidate_start = start;
		ept->invalidate_end = end;
	}
	spin_unlock(&ept->lock);
}

void dune_ept_invalidate_end(struct dune_ept *ept)
{
	spin_lock(&ept->lock);
	ept->invalidate_seq++;
	ept->invalidating--;
	spin_unlock(&ept->lock);
}

/* ---- Filling ------------------------------------------------------------ */

/* Whether what was read of [start, end) at @seq may be stale. Under lock. */
static bool read_outdated(struct dune_ept *ept, unsigned long seq, u64 start,
			  u64 end)
{
	return ept->invalidate_seq != seq ||
	       (ept->invalidating && end > ept->invalidate_start &&
		start < ept->invalidate_end);
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
	new = ept_entry_make_leaf(leaf->pa, level, leaf->rwx, leaf->memory_type);
	if (old == new)
		return 0;
	if (ept_entry_present(old)) {
		/* Only more rights for the same page need no flush. */
		if (!ept_entry_leaf(old, level))
			dune_ept_remove(&ept->tables, entry, level, removed);
		else if ((old ^ new) & ~(u64)VMX_EPT_RWX_MASK ||
			 (old & ~new & VMX_EPT_RWX_MASK))
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

/* One try: 0 done, -EAGAIN the notifier raced, or what the walk says. */
static int fault_try(struct dune_ept *ept, struct dune_ept_fault *fault)
{
	struct host_leaf *leaf = &fault->leaf;
	unsigned long seq;
	int err, missing;

	seq = READ_ONCE(ept->invalidate_seq);
	smp_rmb(); /* pairs with the lock around its change */

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
	if (unlikely(read_outdated(ept, seq, fault->hva, fault->hva + 1))) {
		spin_unlock(&ept->lock);
		return -EAGAIN;
	}
	missing = leaf_install(ept, fault);
	spin_unlock(&ept->lock);

	if (unlikely(fault->removed.any))
		removed_finish(ept, &fault->removed);
	if (unlikely(missing))
		return dune_ept_reserve_fill(&fault->reserve, missing) ?:
		       -EAGAIN;
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
	unsigned long seq;
	int level, i;
	u64 hva, *entry;

	seq = READ_ONCE(ept->invalidate_seq);
	smp_rmb(); /* as in fault_try() */
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

/* ---- Tiles -------------------------------------------------------------- */

/**
 * dune_ept_set_tile - show 1 GiB of the process as a tile
 * @ept: the vm's EPT
 * @tile: which; the caller has checked the range
 * @hva: where, 1 GiB aligned
 *
 * Context: a thread of the vm's mm, vm->lock held; may sleep.
 * Return: 0; -EFAULT: nothing of the process is there; -EEXIST: the tile, or
 * that piece of the process, is in use already; -ENOMEM.
 */
int dune_ept_set_tile(struct dune_ept *ept, u32 tile, u64 hva)
{
	bool mapped;

	mmap_read_lock(ept->mm);
	mapped = find_vma_intersection(ept->mm, hva, hva + DUNE_TILE_SIZE);
	mmap_read_unlock(ept->mm);
	if (!mapped)
		return -EFAULT;
	return dune_tile_show(&ept->tiles, tile, hva);
}

/**
 * dune_ept_clear_tile - the tile shows nothing any more
 * @ept: the vm's EPT
 * @tile: which
 *
 * Context: vm->lock held; may sleep. No CPU can reach the piece through it on
 * return. Return: 0, or -ENOENT.
 */
int dune_ept_clear_tile(struct dune_ept *ept, u32 tile)
{
	u64 gpa = (u64)tile << DUNE_TILE_SHIFT;
	u64 hva = dune_tile_hva(&ept->tiles, gpa);
	struct dune_ept_removed removed = {};

	if (hva == DUNE_NO_HVA)
		return -ENOENT;
	dune_tile_hide(&ept->tiles, tile);

	/* A fault that found the tile before is outdated from here on. */
	spin_lock(&ept->lock);
	ept->invalidate_seq++;
	dune_ept_remove_range(&ept->tables, gpa, gpa + DUNE_TILE_SIZE, &removed);
	spin_unlock(&ept->lock);
	removed_finish(ept, &removed);
	dune_tile_forget(&ept->tiles, hva);
	return 0;
}

/* ---- Life --------------------------------------------------------------- */

int dune_ept_init(struct dune_ept *ept, struct mm_struct *mm)
{
	int err = dune_tiles_init(&ept->tiles);

	if (err)
		return err;
	err = dune_ept_tables_init(&ept->tables);
	if (err) {
		dune_tiles_exit(&ept->tiles);
		return err;
	}
	ept->eptp = __pa(ept->tables.root) | VMX_EPTP_MT_WB | VMX_EPTP_PWL_4;
	ept->mm = mm;
	spin_lock_init(&ept->lock);
	atomic64_set(&ept->generation, 1);
	spin_lock_init(&ept->users_lock);
	INIT_LIST_HEAD(&ept->users);
	return 0;
}

void dune_ept_exit(struct dune_ept *ept)
{
	dune_ept_tables_exit(&ept->tables);
	dune_tiles_exit(&ept->tiles);
}
