/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the parts of a program lie in its arenas, before it runs.
 *
 *   image arena   only for programs that are linked to fixed addresses
 *     [ image ][ brk ->                                                        ]
 *   main arena
 *     [ random gap ][ PIE image ][ brk ->        <- mmap ][ guard ][ stack ][ gap ]
 */
#ifndef SANDBOX_LAYOUT_H
#define SANDBOX_LAYOUT_H

#include <stdint.h>

struct sandbox_memory;

/*
 * Takes over an arena that dune_arena_create() made. The main one first; the second one, for fixed
 * addresses, was made with DUNE_ARENA_KEEP and is reserved here from `low` on. 0, -EEXIST if
 * something is mapped there, -ENOMEM.
 */
void sandbox_layout_add_main(struct sandbox_memory *memory, uint64_t start, uint64_t bytes);
int sandbox_layout_add_fixed(struct sandbox_memory *memory, uint64_t low, uint64_t start,
			     uint64_t bytes);

/* A random place for a PIE image in the main arena. 0 or -ENOMEM. */
int sandbox_layout_place_image(struct sandbox_memory *memory, uint64_t bytes, uint64_t align,
			       uint64_t *start);

/* The stack, with a guard below, and the beginning of the heap. 0 or -ENOMEM. */
int sandbox_layout_make_stack(struct sandbox_memory *memory, uint64_t bytes, int prot);
void sandbox_layout_set_brk(struct sandbox_memory *memory, uint64_t image_high);

#endif
