// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tile table, read at every EPT violation (gpa to hva) and by every zap
 * (hva to gpa). Its pages are made as they are needed: the space is as large
 * as the CPU's physical addresses, and most vms show a few tiles of it.
 */
#include <linux/gfp.h>

#include "tile.h"
#include "vmx.h"

/* The slot of a tile, its page made if need be. */
static u32 *tile_slot(struct dune_tiles *tiles, u32 tile)
{
	u32 **page = &tiles->pages[tile / DUNE_TILES_PER_PAGE];

	if (!*page) {
		u32 *new = (u32 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

		if (!new)
			return NULL;
		smp_store_release(page, new); /* zeroed before it is seen */
	}
	return &(*page)[tile % DUNE_TILES_PER_PAGE];
}

/**
 * dune_tile_show - the tile shows the piece at @hva from now on
 * @tiles: the vm's
 * @tile: which, below nr_tiles
 * @hva: a multiple of the tile size
 *
 * Return: 0; -EEXIST: one of the two is in use; -ENOMEM.
 */
int dune_tile_show(struct dune_tiles *tiles, u32 tile, u64 hva)
{
	unsigned long piece = hva >> DUNE_TILE_SHIFT;
	u32 *slot = tile_slot(tiles, tile);
	int err;

	if (!slot)
		return -ENOMEM;
	if (*slot)
		return -EEXIST;
	/*
	 * pieces first: a zap that runs between the two finds the tile and
	 * nothing in it; the other way round it would miss what a fault put
	 * there.
	 */
	err = xa_insert(&tiles->pieces, piece, xa_mk_value(tile),
			GFP_KERNEL_ACCOUNT);
	if (err)
		return err == -EBUSY ? -EEXIST : err;
	WRITE_ONCE(*slot, piece + 1);
	return 0;
}

/* No gpa of a tile that is shown leads anywhere from now on. */
void dune_tile_hide(struct dune_tiles *tiles, u32 tile)
{
	WRITE_ONCE(*tile_slot(tiles, tile), 0);
}

/* The piece of a hidden tile is free again: zaps have no more to find there. */
void dune_tile_forget(struct dune_tiles *tiles, u64 hva)
{
	xa_erase(&tiles->pieces, hva >> DUNE_TILE_SHIFT);
}

/* tiles is zeroed. */
void dune_tiles_init(struct dune_tiles *tiles)
{
	xa_init_flags(&tiles->pieces, XA_FLAGS_ACCOUNT);
}

void dune_tiles_exit(struct dune_tiles *tiles)
{
	unsigned int i;

	for (i = 0; i < DUNE_TILE_PAGES; i++)
		free_page((unsigned long)tiles->pages[i]);
	xa_destroy(&tiles->pieces);
}
