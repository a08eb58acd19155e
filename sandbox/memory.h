/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ring 3's address space: the arenas (layout.h says where what lies in them), and the memory system
 * calls, none of which ever reaches outside. Whatever is not in use inside an arena is a PROT_NONE
 * reservation, so that the kernel never places memory of the runtime there.
 */
#ifndef SANDBOX_MEMORY_H
#define SANDBOX_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ranges.h"

#define SANDBOX_PAGE_BYTES 4096ull

struct sandbox_call;

struct sandbox_memory {
	struct sandbox_range arena[2]; /* main, image (empty if there is none) */
	struct sandbox_ranges used;    /* mapped for ring 3, in any arena */
	uint64_t mmap_high;	       /* mmap allocates downwards from here */
	uint64_t stack_low, stack_high;
	uint64_t brk_start, brk, brk_limit;
};

/* A free place in the main arena, the highest there is. 0 or -ENOMEM. */
int sandbox_memory_place(struct sandbox_memory *memory, uint64_t bytes, uint64_t align,
			 uint64_t *start);

/* mmap(MAP_FIXED) inside the arenas, with bookkeeping. 0 or -errno. */
int sandbox_memory_map(struct sandbox_memory *memory, uint64_t start, uint64_t bytes, int prot,
		       int flags, int fd, uint64_t offset);

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
