/* SPDX-License-Identifier: MIT */
/*
 * Tiles: which 1 GiB pieces of the process the guest sees, and the arenas that
 * ring 3 may use. pgtable.h has what lies below.
 */
#ifndef LIBDUNE_TILE_H
#define LIBDUNE_TILE_H

#include <stdint.h>
#include "pgtable.h"

#define TILE_BYTES (1ull << 30)

/* Gives the page-table pool its tile, number 0. Host context. */
int dune_tile_init(void);
void dune_tile_exit(void);
/* host_function: makes the piece that holds `address` visible, if the process has
 * anything there; TILE_PINNED in flags keeps it so for good.
 * 0 or -errno. -EEXIST: the piece is the other ring's. */
#define TILE_PINNED 1
#define TILE_ARENA  2 /* ring 3 may use it */
#define TILE_RING0  4 /* ring 3 must not */
long dune_tile_map(long address, long flags, long unused);
/* Pins every piece that [start, start + bytes) touches for ring 0. Host context. */
int dune_tile_pin(const void *start, uint64_t bytes);
/* Takes from ring 3 what TILE_ARENA gave it in these whole pieces. Host context. */
void dune_tile_hide(uint64_t start, uint64_t end);
/* Nothing of the program is left in these whole pieces: finer rights, and that they are
 * pinned, end. Host context. */
void dune_tile_renew(uint64_t start, uint64_t end);
/* Tells a new vm about all tiles: in a fork child, which has one thread. Host context. */
int dune_tile_resubmit(void);

#endif
