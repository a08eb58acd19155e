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
#include <linux/slab.h>
#include <linux/smp.h>

#include "dune_abi.h"
#include "ept.h"
#include "ept_entry.h"
#include "host_walk.h"
#include "trace.h"
#include "vmx.h"

/* ---- Tables ------------------------------------------------------------ */

static u64 *table_alloc(void)
{
	return (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
}

/* Frees a table and all below it; nothing can be reached through it any more. */
static void table_free(struct dune_ept *ept, u64 *table, int level)
{
	int i;

	for (i = 0; level > 1 && i < 512; i++) {
		if (ept_entry_present(table[i]) &&
		    !ept_entry_leaf(table[i], level))
			table_free(ept, ept_entry_table(table[i]), level - 1);
	}
	free_page((unsigned long)table);
	ept->nr_pages--;
}

static int reserve_fill(struct dune_ept_reserve *reserve, int nr)
{
	while (reserve->nr < nr) {
		u64 *page = table_alloc();

		if (!page)
			return -ENOMEM;
		reserve->page[reserve->nr++] = page;
	}
	return 0;
}

/*
 * The entry of @gpa at @level, with tables built from @reserve on the way; or,
 * where a leaf is in the way or the reserve is at its end (always, if NULL),
 * the entry where that is. *found is the level of what is returned. Under lock.
 */
static u64 *entry_find(struct dune_ept *ept, u64 gpa, int level, int *found,
		       struct dune_ept_reserve *reserve)
{
	u64 *table = ept->root;
	int l;

	for (l = EPT_ROOT_LEVEL; l > level; l--) {
		u64 *entry = &table[ept_index(gpa, l)];
		u64 value = *entry;

		*found = l;
		if (ept_entry_present(value)) {
			if (value & EPT_ENTRY_LARGE)
				return entry;
			table = ept_entry_table(value);
			continue;
		}
		if (!reserve || !reserve->nr)
			return entry;
		table = reserve->page[--reserve->nr];
		ept->nr_pages++;
		WRITE_ONCE(*entry, ept_entry_make_table(table));
	}
	*found = level;
	return &table[ept_index(gpa, level)];
}

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

/*
 * Walks the present leaves of [gpa, end) in one tile. With @zap clears them;
 * without, stops at the first. Returns whether there was one. Under lock.
 */
static bool leaves_scan(struct dune_ept *ept, u64 gpa, u64 end, bool zap)
{
	bool any = false;

	while (gpa < end) {
		int level;
		u64 *entry = entry_find(ept, gpa, 1, &level, NULL);
		u64 size = ept_level_size(level);

		if (ept_entry_present(*entry)) {
			any = true;
			if (!zap)
				break;
			WRITE_ONCE(*entry, 0);
			ept->nr_zapped++;
		}
		gpa = (gpa | (size - 1)) + 1;
	}
	return any;
}

static bool pieces_scan(struct dune_ept *ept, unsigned long start,
			unsigned long end, bool zap)
{
	unsigned long piece;
	bool any = false;
	void *tile;

	if (start >= end)
		return false;
	xa_for_each_range(&ept->tiles.pieces, piece, tile,
			  start >> DUNE_TILE_SHIFT,
			  (end - 1) >> DUNE_TILE_SHIFT) {
		u64 gpa = (u64)xa_to_value(tile) << DUNE_TILE_SHIFT;
		u64 base = (u64)piece << DUNE_TILE_SHIFT;
		u64 from = max_t(u64, start, base) - base;
		u64 to = min_t(u64, end - base, DUNE_TILE_SIZE);

		any |= leaves_scan(ept, gpa + from, gpa + to, zap);
		if (any && !zap)
			break;
	}
	return any;
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
	bool any;

	spin_lock(&ept->lock);
	any = pieces_scan(ept, start, end, true);
	spin_unlock(&ept->lock);
	if (any)
		dune_ept_flush(ept);
	trace_dune_zap(start, end, any);
	return any;
}

bool dune_ept_test(struct dune_ept *ept, unsigned long start, unsigned long end)
{
	bool any;

	spin_lock(&ept->lock);
	any = pieces_scan(ept, start, end, false);
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

/* Whether a leaf read at @seq may be stale by now. Under lock. */
static bool leaf_outdated(struct dune_ept *ept, unsigned long seq, u64 hva)
{
	return ept->invalidate_seq != seq ||
	       (ept->invalidating && hva >= ept->invalidate_start &&
		hva < ept->invalidate_end);
}

/* What an installation replaced, for afterwards, without the lock. */
struct replaced {
	bool cached; /* CPUs may hold it in their TLB: flush */
	u64 *table; /* unlinked: free after the flush */
	int table_level;
};

/* Whether an entry is of a table that has a leaf anywhere below. Under lock. */
static bool table_in_use(u64 entry, int level)
{
	const u64 *table;
	int i;

	if (!ept_entry_present(entry) || ept_entry_leaf(entry, level))
		return false;
	table = ept_entry_table(entry);
	for (i = 0; i < 512; i++) {
		if (!ept_entry_present(table[i]))
			continue;
		if (ept_entry_leaf(table[i], level - 1) ||
		    table_in_use(table[i], level - 1))
			return true;
	}
	return false;
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
static int leaf_install(struct dune_ept *ept, struct dune_ept_fault *fault,
			struct replaced *replaced)
{
	struct host_leaf *leaf = &fault->leaf;
	u64 *entry, old, new;
	int level;

	for (;;) {
		entry = entry_find(ept, fault->gpa, leaf->level, &level,
				   &fault->reserve);
		if (likely(level == 1 || level > leaf->level ||
			   !table_in_use(*entry, level)))
			break;
		/*
		 * Code of the same huge page has entries of its own, for
		 * leaf_limit()'s reason. They stay, or an instruction that
		 * needs both would never get both.
		 */
		leaf_shrink(leaf, level - 1, fault->hva);
	}
	if (unlikely(level > leaf->level)) {
		if (!ept_entry_present(*entry))
			return level - leaf->level;
		/* A larger leaf is in the way: the host has split its own. */
		WRITE_ONCE(*entry, 0);
		replaced->cached = true;
		return level - leaf->level;
	}

	old = *entry;
	new = ept_entry_make_leaf(leaf->pa, level, leaf->rwx, leaf->memory_type);
	if (old == new)
		return 0;
	if (ept_entry_present(old)) {
		if (!ept_entry_leaf(old, level)) {
			replaced->table = ept_entry_table(old);
			replaced->table_level = level - 1;
		}
		/* Only more rights for the same page need no flush. */
		if ((old ^ new) & ~(u64)VMX_EPT_RWX_MASK ||
		    (old & ~new & VMX_EPT_RWX_MASK))
			replaced->cached = true;
	}
	WRITE_ONCE(*entry, new);
	ept->nr_mapped++;
	return 0;
}

static void replaced_finish(struct dune_ept *ept, struct replaced *replaced)
{
	if (replaced->cached)
		dune_ept_flush(ept);
	if (replaced->table) {
		spin_lock(&ept->lock);
		table_free(ept, replaced->table, replaced->table_level);
		spin_unlock(&ept->lock);
	}
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
	struct replaced replaced;
	unsigned long seq;
	int err, missing;

	fault->hva = dune_tile_hva(&ept->tiles, fault->gpa);
	if (unlikely(fault->hva == DUNE_NO_HVA))
		return -ENXIO;

	seq = READ_ONCE(ept->invalidate_seq);
	smp_rmb(); /* pairs with the lock around its change */

	err = host_walk(ept->mm, fault->hva, leaf);
	if (err)
		return err;
	if ((leaf->rwx & fault->access) != fault->access)
		return -EFAULT;
	leaf_limit(leaf, fault->access, fault->hva);

	spin_lock(&ept->lock);
	if (unlikely(leaf_outdated(ept, seq, fault->hva) ||
		     dune_tile_hva(&ept->tiles, fault->gpa) != fault->hva)) {
		spin_unlock(&ept->lock);
		return -EAGAIN;
	}
	replaced = (struct replaced){};
	missing = leaf_install(ept, fault, &replaced);
	spin_unlock(&ept->lock);

	if (unlikely(replaced.cached || replaced.table))
		replaced_finish(ept, &replaced);
	if (unlikely(missing))
		return reserve_fill(&fault->reserve, missing) ?: -EAGAIN;
	return 0;
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
		} else if (err != -EAGAIN) {
			break;
		}
		/* A mapping that never settles must not hold us for ever. */
		if (signal_pending(current)) {
			err = -EINTR;
			break;
		}
		cond_resched();
	}
	trace_dune_ept_fault(fault->gpa, fault->hva, fault->access, err);
	return err;
}

void dune_ept_exit_fault(struct dune_ept_fault *fault)
{
	struct dune_ept_reserve *reserve = &fault->reserve;

	while (reserve->nr)
		free_page((unsigned long)reserve->page[--reserve->nr]);
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
	bool any;

	if (hva == DUNE_NO_HVA)
		return -ENOENT;
	dune_tile_hide(&ept->tiles, tile);

	/* A fault that found the tile before looks again under this lock. */
	spin_lock(&ept->lock);
	any = leaves_scan(ept, gpa, gpa + DUNE_TILE_SIZE, true);
	spin_unlock(&ept->lock);
	if (any)
		dune_ept_flush(ept);
	dune_tile_forget(&ept->tiles, hva);
	return 0;
}

/* ---- Life --------------------------------------------------------------- */

int dune_ept_init(struct dune_ept *ept, struct mm_struct *mm)
{
	int err = dune_tiles_init(&ept->tiles);

	if (err)
		return err;
	ept->root = table_alloc();
	if (!ept->root) {
		dune_tiles_exit(&ept->tiles);
		return -ENOMEM;
	}
	ept->nr_pages = 1;
	ept->eptp = __pa(ept->root) | VMX_EPTP_MT_WB | VMX_EPTP_PWL_4;
	ept->mm = mm;
	spin_lock_init(&ept->lock);
	atomic64_set(&ept->generation, 1);
	spin_lock_init(&ept->users_lock);
	INIT_LIST_HEAD(&ept->users);
	return 0;
}

void dune_ept_exit(struct dune_ept *ept)
{
	table_free(ept, ept->root, EPT_ROOT_LEVEL);
	dune_tiles_exit(&ept->tiles);
}
