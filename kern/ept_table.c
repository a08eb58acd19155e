// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables of the EPT; see ept_table.h. Nothing here sleeps but for the two
 * functions that allocate.
 */
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/vmstat.h>

#include "ept_table.h"

/* As KVM's tables: sec_pagetables in memory.stat, SecPageTables in meminfo. */
static void count_page(u64 *page, int nr)
{
	mod_lruvec_page_state(virt_to_page(page), NR_SECONDARY_PAGETABLE, nr);
}

static u64 *page_alloc(void)
{
	u64 *page = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

	if (page)
		count_page(page, 1);
	return page;
}

static void page_free(u64 *page)
{
	count_page(page, -1);
	free_page((unsigned long)page);
}

/* Frees a table and all below it; nothing leads to it any more. */
static void table_free(struct dune_ept_tables *tables, u64 *table, int level)
{
	int i;

	for (i = 0; i < PTRS_PER_PTE; i++) {
		if (!ept_entry_present(table[i]))
			continue;
		if (ept_entry_leaf(table[i], level))
			tables->nr_zapped++;
		else
			table_free(tables, ept_entry_table(table[i]),
				   level - 1);
	}
	page_free(table);
	tables->nr_pages--;
}

int dune_ept_tables_init(struct dune_ept_tables *tables)
{
	tables->root = page_alloc();
	if (!tables->root)
		return -ENOMEM;
	tables->nr_pages = 1;
	return 0;
}

void dune_ept_tables_exit(struct dune_ept_tables *tables)
{
	table_free(tables, tables->root, EPT_ROOT_LEVEL);
}

int dune_ept_reserve_fill(struct dune_ept_reserve *reserve, int nr)
{
	while (reserve->nr < nr) {
		u64 *page = page_alloc();

		if (!page)
			return -ENOMEM;
		reserve->page[reserve->nr++] = page;
	}
	return 0;
}

void dune_ept_reserve_free(struct dune_ept_reserve *reserve)
{
	while (reserve->nr)
		page_free(reserve->page[--reserve->nr]);
}

/* Whether an entry is of a table that has a leaf anywhere below. Under lock. */
bool dune_ept_table_in_use(u64 entry, int level)
{
	const u64 *table;
	int i;

	if (!ept_entry_present(entry) || ept_entry_leaf(entry, level))
		return false;
	table = ept_entry_table(entry);
	for (i = 0; i < PTRS_PER_PTE; i++) {
		if (!ept_entry_present(table[i]))
			continue;
		if (ept_entry_leaf(table[i], level - 1) ||
		    dune_ept_table_in_use(table[i], level - 1))
			return true;
	}
	return false;
}

static bool table_is_empty(const u64 *table)
{
	int i;

	for (i = 0; i < PTRS_PER_PTE; i++)
		if (ept_entry_present(table[i]))
			return false;
	return true;
}

/* Tables are pages, so the low bits of their address have room for the level. */
static void chain_push(u64 **chain, u64 *table, int level)
{
	set_page_private(virt_to_page(table), (unsigned long)*chain | level);
	*chain = table;
}

static u64 *chain_pop(u64 **chain, int *level)
{
	u64 *table = *chain;
	unsigned long link = page_private(virt_to_page(table));

	set_page_private(virt_to_page(table), 0);
	*chain = (u64 *)(link & PAGE_MASK);
	*level = link & ~PAGE_MASK;
	return table;
}

/**
 * dune_ept_remove - take out a present entry
 * @tables: under their owner's lock
 * @entry: a leaf, or what leads to a table
 * @level: of the entry
 * @removed: for dune_ept_free_removed(), once no CPU has it cached
 */
void dune_ept_remove(struct dune_ept_tables *tables, u64 *entry, int level,
		     struct dune_ept_removed *removed)
{
	u64 old = *entry;

	WRITE_ONCE(*entry, 0);
	removed->any = true;
	if (ept_entry_leaf(old, level))
		tables->nr_zapped++;
	else
		chain_push(&removed->tables, ept_entry_table(old), level - 1);
}

static void remove_below(struct dune_ept_tables *tables, u64 *table, int level,
			 u64 start, u64 end, struct dune_ept_removed *removed)
{
	u64 size = ept_level_size(level);
	bool whole;
	u64 next;

	for (; start < end; start = next) {
		u64 *entry = &table[ept_index(start, level)];

		next = min((start | (size - 1)) + 1, end);
		if (!ept_entry_present(*entry))
			continue;
		/* A leaf goes as a whole; a table if nothing of it stays. */
		whole = next - start == size || ept_entry_leaf(*entry, level);
		if (!whole) {
			u64 *below = ept_entry_table(*entry);

			remove_below(tables, below, level - 1, start, next,
				     removed);
			whole = removed->prune && table_is_empty(below);
		}
		if (whole)
			dune_ept_remove(tables, entry, level, removed);
	}
}

/**
 * dune_ept_remove_range - empty a range, tables and all
 * @tables: under their owner's lock
 * @start: first gpa
 * @end: the one after the last
 * @removed: for dune_ept_free_removed(), once no CPU has it cached
 */
void dune_ept_remove_range(struct dune_ept_tables *tables, u64 start, u64 end,
			   struct dune_ept_removed *removed)
{
	remove_below(tables, tables->root, EPT_ROOT_LEVEL, start, end, removed);
}

/**
 * dune_ept_free_removed - free one of the tables that were taken out
 * @tables: under their owner's lock
 * @removed: with at least one table, and not in any CPU's caches any more
 */
void dune_ept_free_removed(struct dune_ept_tables *tables,
			   struct dune_ept_removed *removed)
{
	int level;
	u64 *table = chain_pop(&removed->tables, &level);

	table_free(tables, table, level);
}
