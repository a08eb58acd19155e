/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the host's page tables say of one address. ept_fault.c asks; the answer is
 * only as good as the mmu notifier's sequence count says it is.
 */
#ifndef DUNE_HOST_WALK_H
#define DUNE_HOST_WALK_H

#include <linux/types.h>
#include <asm/page_types.h>

struct mm_struct;

/* A present leaf of the host's tables, in EPT's words. */
struct host_leaf {
	u64 pa; /* of the start of the leaf */
	u64 rwx; /* VMX_EPT_*_MASK; writable only if dirty, too */
	int level; /* 1: 4 KiB, 2: 2 MiB, 3: 1 GiB */
	u8 memory_type; /* ept_entry_memory_type() */
};

/* Pages that are looked at together where one asks for neighbours. */
#define HOST_WINDOW 16
#define HOST_WINDOW_BYTES ((u64)HOST_WINDOW << PAGE_SHIFT)

void host_walk_init(void);
int host_walk(struct mm_struct *mm, unsigned long hva, struct host_leaf *leaf);
bool host_walk_window(struct mm_struct *mm, unsigned long hva,
		      struct host_leaf leaves[HOST_WINDOW]);
int host_touch(unsigned long hva, u32 access);

#endif /* DUNE_HOST_WALK_H */
