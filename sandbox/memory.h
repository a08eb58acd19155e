/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ring 3's address space: where things lie in the arenas, and the memory system calls, none of
 * which ever reaches outside. Whatever is not in use inside an arena is a PROT_NONE reservation, so
 * that the kernel never places memory of the runtime there.
 *
 *   image arena   only for programs that are linked to fixed addresses
 *     [ image ][ brk ->                                                        ]
 *   main arena
 *     [ random gap ][ PIE image ][ brk ->        <- mmap ][ guard ][ stack ][ gap ]
 */
#ifndef SANDBOX_MEMORY_H
#define SANDBOX_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ranges.h"

#define SANDBOX_PAGE_BYTES  4096ull
#define SANDBOX_GUARD_BYTES (1ull << 20)

struct sandbox_call;

struct sandbox_memory {
	struct sandbox_range arena[2]; /* main, image (empty if there is none) */
	struct sandbox_ranges used;    /* mapped for ring 3, in any arena */
	uint64_t mmap_high;	       /* mmap allocates downwards from here */
	uint64_t stack_low, stack_high;
	uint64_t brk_start, brk, brk_limit;
};

/*
 * Before dune_enter(): takes over an arena that dune_arena_create() made. The main one first; the
 * second one, for fixed addresses, was made with DUNE_ARENA_KEEP and is reserved here from `low`
 * on. 0, -EEXIST if something is mapped there, -ENOMEM.
 */
int sandbox_memory_add_main(struct sandbox_memory *memory, uint64_t start, uint64_t bytes);
int sandbox_memory_add_fixed(struct sandbox_memory *memory, uint64_t low, uint64_t start,
			     uint64_t bytes);

/* A random place for a PIE image in the main arena, and one for the interpreter. 0 or -ENOMEM. */
int sandbox_memory_place_image(struct sandbox_memory *memory, uint64_t bytes, uint64_t align,
			       uint64_t *start);
int sandbox_memory_place(struct sandbox_memory *memory, uint64_t bytes, uint64_t align,
			 uint64_t *start);

/* mmap(MAP_FIXED) inside the arenas, with bookkeeping. 0 or -errno. */
int sandbox_memory_map(struct sandbox_memory *memory, uint64_t start, uint64_t bytes, int prot,
		       int flags, int fd, uint64_t offset);

/* The stack, with a guard below, and the beginning of the heap. 0 or -ENOMEM. */
int sandbox_memory_make_stack(struct sandbox_memory *memory, uint64_t bytes, int prot);
void sandbox_memory_set_brk(struct sandbox_memory *memory, uint64_t image_high);

/* True if the range lies in one arena. */
bool sandbox_memory_contains(const struct sandbox_memory *memory, uint64_t start, uint64_t bytes);

long emulate_mmap(struct sandbox_call *call);
long emulate_munmap(struct sandbox_call *call);
long emulate_mprotect(struct sandbox_call *call);
long emulate_mremap(struct sandbox_call *call);
long emulate_brk(struct sandbox_call *call);
long emulate_madvise(struct sandbox_call *call);
long emulate_msync(struct sandbox_call *call);
long emulate_mlock(struct sandbox_call *call);
long emulate_mincore(struct sandbox_call *call);

#endif
