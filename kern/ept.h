/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The second-stage page tables of one vm: a mirror of what the host's page
 * tables allow, tile by tile. Filled on faults (ept_fault.c), emptied by the mmu
 * notifier (notifier.c), used by run.c through eptp and generation.
 */
#ifndef DUNE_EPT_H
#define DUNE_EPT_H

#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "ept_table.h"
#include "tile.h"

/*
 * Who may hold translations in a CPU's TLB right now: one in each vcpu. cpu is
 * set, with a full barrier, before the generation is read and the guest
 * entered; dune_ept_flush() writes the generation, then reads cpu.
 */
struct dune_ept_user {
	struct list_head node;
	int cpu; /* in the guest there, or -1 */
};

struct dune_ept {
	struct mm_struct *mm;
	u64 eptp;

	struct dune_tiles tiles;

	spinlock_t lock; /* entries, and everything down to the next lock */
	unsigned long invalidate_seq;
	unsigned int invalidating; /* notifier calls under way */
	unsigned long invalidate_start, invalidate_end; /* their union */
	wait_queue_head_t invalidated; /* woken when one ends */
	struct dune_ept_tables tables;

	atomic64_t generation; /* grows with each flush */

	spinlock_t users_lock;
	struct list_head users;
	struct cpumask kick_mask; /* under users_lock */
};

int dune_ept_init(struct dune_ept *ept, struct mm_struct *mm);
void dune_ept_exit(struct dune_ept *ept);

int dune_ept_set_tile(struct dune_ept *ept, u32 tile, u64 hva);
int dune_ept_clear_tile(struct dune_ept *ept, u32 tile);

/* For the notifier: hva ranges, end exclusive. */
void dune_ept_invalidate_begin(struct dune_ept *ept, unsigned long start,
			       unsigned long end);
void dune_ept_invalidate_end(struct dune_ept *ept);
bool dune_ept_zap(struct dune_ept *ept, unsigned long start, unsigned long end,
		  bool unmap);
bool dune_ept_test(struct dune_ept *ept, unsigned long hva);

/* After a change of ept->tables: no CPU has what was taken out on return. */
void dune_ept_unlock(struct dune_ept *ept, struct dune_ept_removed *removed)
	__releases(&ept->lock);
void dune_ept_flush(struct dune_ept *ept);
void dune_ept_add_user(struct dune_ept *ept, struct dune_ept_user *user);
void dune_ept_del_user(struct dune_ept *ept, struct dune_ept_user *user);

#endif /* DUNE_EPT_H */
