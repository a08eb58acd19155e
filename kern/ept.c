// SPDX-License-Identifier: GPL-2.0-only
/*
 * The EPT of a vm: its tiles, what is taken out of it, and that no CPU goes on
 * using that. notifier.c comes here with a change of the host's page tables,
 * vm.c with the caller's wishes; ept_fault.c puts entries in, ept_table.c is
 * the tables themselves.
 */
#include <linux/mm.h>
#include <linux/smp.h>

#include "dune_abi.h"
#include "ept.h"
#include "ept_entry.h"
#include "trace.h"

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

/**
 * dune_ept_unlock - let go of the tables, when no CPU uses what was taken out
 * @ept: the vm's EPT; its lock is held
 * @removed: filled under the lock, freed here; empty on return
 *
 * The flush comes first: whoever finds under the lock that an entry is gone, and
 * so has nothing to flush, may free the page that it led to.
 *
 * Context: as dune_ept_flush(). Taking the lock is never done with interrupts
 * off, so the CPUs that wait for it answer the flush.
 */
void dune_ept_unlock(struct dune_ept *ept, struct dune_ept_removed *removed)
	__releases(&ept->lock)
{
	if (removed->any)
		dune_ept_flush(ept);
	removed->any = false;
	spin_unlock(&ept->lock);
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
 * @unmap: the process will have nothing there any more, so that tables which
 *	   get empty go as well, as the host's do
 *
 * Context: the mmu notifier's; does not sleep. No CPU uses them on return.
 * Return: whether there were any.
 */
bool dune_ept_zap(struct dune_ept *ept, unsigned long start, unsigned long end,
		  bool unmap)
{
	struct dune_ept_removed removed = { .prune = unmap };
	bool any;

	if (start >= end)
		return false;
	spin_lock(&ept->lock);
	pieces_remove(ept, start, end, &removed);
	any = removed.any;
	dune_ept_unlock(ept, &removed);
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
	if (wq_has_sleeper(&ept->invalidated))
		wake_up_all(&ept->invalidated);
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
	dune_ept_remove_range(&ept->tables, gpa, gpa + DUNE_TILE_SIZE,
			      &removed);
	dune_ept_unlock(ept, &removed);
	dune_tile_forget(&ept->tiles, hva);
	return 0;
}

/* ---- Life --------------------------------------------------------------- */

int dune_ept_init(struct dune_ept *ept, struct mm_struct *mm)
{
	int err = dune_ept_tables_init(&ept->tables);

	if (err)
		return err;
	dune_tiles_init(&ept->tiles);
	ept->eptp = __pa(ept->tables.root) | VMX_EPTP_MT_WB | VMX_EPTP_PWL_4;
	ept->mm = mm;
	spin_lock_init(&ept->lock);
	init_waitqueue_head(&ept->invalidated);
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
