// SPDX-License-Identifier: MIT
/*
 * Tiles on demand: the guest touches a piece of the process that it cannot see,
 * trap.c asks for it by dune_tile_map(), and the piece gets a tile number and a
 * large entry in the page table (pgtable.c). Where the CPU has few tiles, one that
 * nothing depends on is taken back. All of it runs in host context, under
 * dune.lock, and touches no vector register.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include "context.h"
#include "host.h"
#include "hypercall.h"
#include "tile.h"

#define MAX_TILES 4096

static struct {
	uint64_t piece[MAX_TILES]; /* first address + 1, or 0 */
	uint32_t nr, hand;
} tiles;

/* 0: free; 1: taken; 2: somebody may be waiting. Who waits sleeps, lest one of high
 * priority keep the CPU from the thread that has it. */
void dune_lock(int *lock)
{
	int free = 0;

	if (__atomic_compare_exchange_n(lock, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(lock, 2, __ATOMIC_ACQUIRE))
		RAW(SYS_futex, lock, FUTEX_WAIT_PRIVATE, 2, NULL);
}

void dune_unlock(int *lock)
{
	if (__atomic_exchange_n(lock, 0, __ATOMIC_RELEASE) == 2)
		RAW(SYS_futex, lock, FUTEX_WAKE_PRIVATE, 1);
}

/* The piece loses its tile, and with it its page tables. */
static void tile_forget(uint32_t tile)
{
	uint64_t *slot, *note;

	slot = dune_pgtable_slot(tiles.piece[tile] - 1, false, &note);
	*note = 0;
	tiles.piece[tile] = 0;
	dune_pgtable_unmap_tile(slot);
}

/* No CPU has the translation any more when the module is told: it would find a
 * guest-physical address without a tile. */
static void tile_take_back(uint32_t tile)
{
	tile_forget(tile);
	dune_backend_flush_tlb();
	dune_backend_set_tile(tile, DUNE_TILE_CLEAR, 0);
}

static bool tile_evict(uint32_t tile)
{
	uint64_t *note;

	dune_pgtable_slot(tiles.piece[tile] - 1, false, &note);
	if (*note & (NOTE_PINNED | NOTE_SPLIT | NOTE_ARENA))
		return false;
	tile_take_back(tile);
	return true;
}

/* A free tile number, or -ENOMEM. */
static int tile_find(void)
{
	for (uint32_t tile = 0; tile < tiles.nr; tile++)
		if (!tiles.piece[tile])
			return tile;
	for (uint32_t tries = 0; tries < tiles.nr; tries++) {
		tiles.hand = (tiles.hand + 1) % tiles.nr;
		if (tile_evict(tiles.hand))
			return tiles.hand;
	}
	return -ENOMEM;
}

/* The slot comes last, with ring 3's rights: trap.c looks at it without the lock. */
static int map_locked(uint64_t piece, uint64_t *slot, uint64_t *note, bool arena)
{
	int tile = tile_find();
	int result;

	if (tile < 0)
		return tile;
	result = dune_backend_set_tile(tile, 0, piece);
	if (result)
		return result;
	result = dune_pgtable_map_tile(slot, tile, arena);
	if (result) {
		dune_backend_set_tile(tile, DUNE_TILE_CLEAR, 0);
		return result;
	}
	tiles.piece[tile] = piece + 1;
	*note = (tile + 1) | (arena ? NOTE_ARENA : 0);
	return 0;
}

/* What ring 0 has, ring 3 does not get, and the other way round. */
static bool is_refused(uint64_t note, long flags)
{
	if (note & NOTE_ARENA)
		return flags & TILE_RING0;
	return flags & TILE_ARENA && note & (NOTE_PINNED | NOTE_SPLIT);
}

static int map_tile(uint64_t address, long flags)
{
	uint64_t *slot, *note;
	int result = 0;

	dune_lock(&dune.lock);
	slot = dune_pgtable_slot(address, true, &note);
	if (!slot)
		result = -ENOMEM;
	else if (is_refused(*note, flags))
		result = -EEXIST;
	else if (!(*note & NOTE_TILE))
		result = map_locked(address & -TILE_BYTES, slot, note, flags & TILE_ARENA);
	if (!result && (flags & TILE_PINNED))
		*note |= NOTE_PINNED;
	if (!result && (flags & TILE_ARENA) && !(*note & NOTE_ARENA)) {
		*note |= NOTE_ARENA;
		dune_pgtable_set_user(slot, true);
		dune_backend_flush_tlb();
	}
	dune_unlock(&dune.lock);
	return result;
}

/* Where the process has nothing in the piece, it may have a stack above that grows when it is touched. */
long dune_tile_map(long address, long flags, long unused)
{
	int result = map_tile(address, flags);

	(void)unused;
	if (result == -EFAULT && dune_host_can_read((void *)(address & -8l), 8))
		result = map_tile(address, flags);
	return result;
}

int dune_tile_pin(const void *start, uint64_t bytes)
{
	uint64_t address = (uint64_t)start, end = address + bytes;
	int result = 0;

	for (; address < end && !result; address = (address | (TILE_BYTES - 1)) + 1)
		result = dune_tile_map(address, TILE_PINNED | TILE_RING0, 0);
	return result;
}

void dune_tile_hide(uint64_t start, uint64_t end)
{
	uint64_t *slot, *note;

	dune_lock(&dune.lock);
	for (; start < end; start += TILE_BYTES) {
		slot = dune_pgtable_slot(start, false, &note);
		if (!slot || !(*note & NOTE_ARENA))
			continue;
		*note &= ~NOTE_ARENA;
		dune_pgtable_set_user(slot, false);
	}
	dune_backend_flush_tlb();
	dune_unlock(&dune.lock);
}

void dune_tile_renew(uint64_t start, uint64_t end)
{
	uint64_t *note;

	dune_lock(&dune.lock);
	for (; start < end; start += TILE_BYTES)
		if (dune_pgtable_slot(start, false, &note) && *note & (NOTE_PINNED | NOTE_SPLIT))
			tile_take_back((*note & NOTE_TILE) - 1);
	dune_unlock(&dune.lock);
}

int dune_tile_init(void)
{
	tiles.nr = dune.caps.nr_tiles < MAX_TILES ? dune.caps.nr_tiles : MAX_TILES;
	return dune_tile_pin(dune_pgtable_pool(), 1);
}

void dune_tile_exit(void)
{
	for (uint32_t tile = 0; tile < tiles.nr; tile++)
		tiles.piece[tile] = 0;
}

/* Where the child has nothing (all was unmapped before, or is not for children) there is
 * nothing to show: what comes there later is mapped as if for the first time. */
int dune_tile_resubmit(void)
{
	int result = 0;

	for (uint32_t tile = 0; tile < tiles.nr && !result; tile++) {
		if (!tiles.piece[tile])
			continue;
		result = dune_backend_set_tile(tile, 0, tiles.piece[tile] - 1);
		if (result != -EFAULT)
			continue;
		tile_forget(tile);
		result = 0;
	}
	return result;
}
