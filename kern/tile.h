/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which piece of the process each tile of guest-physical space shows, and the
 * other way round. Part of struct dune_ept; ept.c changes it, ept_fault.c looks
 * things up.
 */
#ifndef DUNE_TILE_H
#define DUNE_TILE_H

#include <linux/types.h>
#include <linux/xarray.h>

#include "dune_abi.h"
#include "vmx.h"

#define DUNE_TILE_SIZE (1ULL << DUNE_TILE_SHIFT)
#define DUNE_NO_HVA (~0ULL)
#define DUNE_TILES_PER_PAGE (PAGE_SIZE / sizeof(u32))
/* For all that EPT can translate with four levels. */
#define DUNE_TILE_PAGES (BIT_ULL(48) / DUNE_TILE_SIZE / DUNE_TILES_PER_PAGE)

/* Changed under vm->lock; read without. */
struct dune_tiles {
	/* tile number -> 1 + (hva >> 30); 0: none */
	u32 *pages[DUNE_TILE_PAGES];
	struct xarray pieces; /* hva >> 30 -> tile number */
};

void dune_tiles_init(struct dune_tiles *tiles);
void dune_tiles_exit(struct dune_tiles *tiles);

int dune_tile_show(struct dune_tiles *tiles, u32 tile, u64 hva);
void dune_tile_hide(struct dune_tiles *tiles, u32 tile);
void dune_tile_forget(struct dune_tiles *tiles, u64 hva);

/* Where a gpa is in the process, or DUNE_NO_HVA. Any context; twice a fault. */
static inline u64 dune_tile_hva(const struct dune_tiles *tiles, u64 gpa)
{
	u32 tile = gpa >> DUNE_TILE_SHIFT;
	u32 *page, piece;

	if (unlikely(tile >= dune_vmx_caps.nr_tiles))
		return DUNE_NO_HVA;
	/* The guest chooses it: speculation, too, is to stay in the table. */
	page = READ_ONCE(
		tiles->pages[tile / DUNE_TILES_PER_PAGE % DUNE_TILE_PAGES]);
	if (unlikely(!page))
		return DUNE_NO_HVA;
	piece = READ_ONCE(page[tile % DUNE_TILES_PER_PAGE]);
	if (unlikely(!piece))
		return DUNE_NO_HVA;
	return ((u64)(piece - 1) << DUNE_TILE_SHIFT) |
	       (gpa & (DUNE_TILE_SIZE - 1));
}

#endif /* DUNE_TILE_H */
