/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The EPT as a data structure: tables, how one finds an entry in them, how a
 * range of them is emptied. ept.c decides what goes in and out and when CPUs
 * must forget it; ept_entry.h says what an entry looks like.
 */
#ifndef DUNE_EPT_TABLE_H
#define DUNE_EPT_TABLE_H

#include <linux/compiler.h>
#include <linux/types.h>

#include "ept_entry.h"

/* Everything under the lock of its owner. */
struct dune_ept_tables {
	u64 *root;
	u64 nr_pages; /* that hold tables */
	u64 nr_mapped, nr_zapped; /* leaves, over the whole life */
};

/* Pages for tables, taken before the lock, since taking them may sleep. */
struct dune_ept_reserve {
	u64 *page[EPT_ROOT_LEVEL - 1]; /* one for each level below the root */
	int nr;
};

/*
 * What was taken out of the tables and is not gone yet: CPUs may hold it in
 * their TLBs and paging-structure caches until they have been flushed.
 */
struct dune_ept_removed {
	bool any;
	bool prune; /* set by the owner: tables that get empty go as well */
	u64 *tables; /* chained through their page's private, with the level */
};

int dune_ept_tables_init(struct dune_ept_tables *tables);
void dune_ept_tables_exit(struct dune_ept_tables *tables);

int dune_ept_reserve_fill(struct dune_ept_reserve *reserve, int nr);
void dune_ept_reserve_free(struct dune_ept_reserve *reserve);

bool dune_ept_table_in_use(u64 entry, int level);
void dune_ept_remove(struct dune_ept_tables *tables, u64 *entry, int level,
		     struct dune_ept_removed *removed);
void dune_ept_remove_range(struct dune_ept_tables *tables, u64 start, u64 end,
			   struct dune_ept_removed *removed);
void dune_ept_free_removed(struct dune_ept_tables *tables,
			   struct dune_ept_removed *removed);

/**
 * dune_ept_find - the entry of a gpa
 * @tables: under their owner's lock
 * @gpa: whose
 * @level: of the entry
 * @found: set to the level of what is returned
 * @reserve: pages for tables that are missing on the way, or NULL
 *
 * Return: the entry; where a leaf is in the way or the reserve at its end, the
 * entry where that is.
 */
static inline u64 *dune_ept_find(struct dune_ept_tables *tables, u64 gpa,
				 int level, int *found,
				 struct dune_ept_reserve *reserve)
{
	u64 *table = tables->root;
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
		tables->nr_pages++;
		WRITE_ONCE(*entry, ept_entry_make_table(table));
	}
	*found = level;
	return &table[ept_index(gpa, level)];
}

#endif /* DUNE_EPT_TABLE_H */
