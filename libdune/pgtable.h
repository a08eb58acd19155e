/* SPDX-License-Identifier: MIT */
/*
 * The guest's page tables. They live in one pool, in tile 0, so that their
 * guest-physical addresses are known from their own. Each 1 GiB piece of the
 * process has a slot in a PDPT and, in the page behind that PDPT, a note that
 * says which tile it has.
 */
#ifndef LIBDUNE_PGTABLE_H
#define LIBDUNE_PGTABLE_H

#include <stdbool.h>
#include <stdint.h>

#define ENTRY_LARGE   (1ull << 7)
#define ENTRY_ADDRESS 0x000ffffffffff000ull
/* Present, writable, accessed and dirty: nothing for the CPU to write. */
#define ENTRY_RING0 0x63ull

/* Notes: 0, or tile number + 1 with these. */
#define NOTE_TILE   0xffffffffull
#define NOTE_PINNED (1ull << 32)
#define NOTE_SPLIT  (1ull << 33)
#define NOTE_ARENA  (1ull << 34)

int dune_pgtable_init(void);
void dune_pgtable_exit(void);
uint64_t dune_pgtable_root(void); /* what CR3 holds */
void *dune_pgtable_pool(void);
/* The slot and note of a piece; makes the PDPT where there is none, if `make`.
 * NULL: none, or no memory. */
uint64_t *dune_pgtable_slot(uint64_t address, bool make, uint64_t **note);
/* Publishes tile at slot, for ring 3 as well if `user`; -ENOMEM. */
int dune_pgtable_map_tile(uint64_t *slot, uint32_t tile, bool user);
/* Takes it away again. To be followed by a flush before anything else is published. */
void dune_pgtable_unmap_tile(uint64_t *slot);
/* Lets ring 3 have what is already at slot, or no longer; not what has been split. */
void dune_pgtable_set_user(uint64_t *slot, bool user);
/* Would the tables let an access with this #PF error code through? 0 or 1; -ENOENT where
 * the piece has no tile. Needs no lock. */
int dune_pgtable_allows(uint64_t address, uint64_t error);
/* Do the tables map address to gpa? Needs no lock. */
bool dune_pgtable_maps(uint64_t address, uint64_t gpa);

#endif
