/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one EPT entry looks like, and nothing about who owns it. Used by ept.c
 * and ept_table.c, and by host_walk.c for the levels, which both kinds of table
 * share. (Intel SDM, "The Extended Page Table Mechanism (EPT)".)
 */
#ifndef DUNE_EPT_ENTRY_H
#define DUNE_EPT_ENTRY_H

#include <linux/types.h>
#include <asm/page.h>
#include <asm/vmx.h>

/* Level 1 maps 4 KiB, 2 maps 2 MiB, 3 maps 1 GiB; 4 is the root. */
#define EPT_ROOT_LEVEL 4

#define EPT_ENTRY_ADDRESS GENMASK_ULL(51, 12)
#define EPT_ENTRY_LARGE BIT_ULL(7)

static inline unsigned int ept_level_shift(int level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

static inline u64 ept_level_size(int level)
{
	return 1ULL << ept_level_shift(level);
}

static inline unsigned int ept_index(u64 gpa, int level)
{
	return (gpa >> ept_level_shift(level)) & 511;
}

static inline bool ept_entry_present(u64 entry)
{
	return entry & VMX_EPT_RWX_MASK;
}

static inline bool ept_entry_leaf(u64 entry, int level)
{
	return level == 1 || (entry & EPT_ENTRY_LARGE);
}

static inline u64 *ept_entry_table(u64 entry)
{
	return __va(entry & EPT_ENTRY_ADDRESS);
}

static inline u64 ept_entry_make_table(const u64 *table)
{
	return __pa(table) | VMX_EPT_RWX_MASK;
}

/*
 * How memory of a type is marked: the guest has it so whatever its own tables
 * say (IPAT). A process has no uncached view of ordinary memory, and inside it
 * must not get one.
 */
static inline u8 ept_entry_memory_type(u8 type)
{
	return type << VMX_EPT_MT_EPTE_SHIFT | VMX_EPT_IPAT_BIT;
}

static inline u64 ept_entry_make_leaf(u64 pa, int level, u64 rwx,
				      u8 memory_type)
{
	return pa | rwx | memory_type | (level > 1 ? EPT_ENTRY_LARGE : 0);
}

#endif /* DUNE_EPT_ENTRY_H */
