// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the parts of a program lie in its arenas; see layout.h. Called by loader.c; memory.c maps.
 */
#include "layout.h"
#include "memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>

#define GAP_BYTES   (16ull << 20) /* random, above the stack */
#define GUARD_BYTES (1ull << 20)  /* below it */

/* A random multiple of a page below `bytes`. */
static uint64_t random_offset(uint64_t bytes)
{
	uint64_t value = 0;

	if (getrandom(&value, sizeof(value), 0) != sizeof(value) || bytes < SANDBOX_PAGE_BYTES)
		return 0;
	return (value % bytes) & -SANDBOX_PAGE_BYTES;
}

void sandbox_layout_add_main(struct sandbox_memory *memory, uint64_t start, uint64_t bytes)
{
	memory->arena[0] = (struct sandbox_range){ start, start + bytes };
	memory->mmap_high = start + bytes;
	memory->brk_limit = start + bytes;
}

int sandbox_layout_add_fixed(struct sandbox_memory *memory, uint64_t low, uint64_t start,
			     uint64_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	uint64_t from = low > start ? low : start, end = start + bytes;

	if (mmap((void *)from, end - from, PROT_NONE, flags, -1, 0) == MAP_FAILED)
		return -errno;
	memory->arena[1] = (struct sandbox_range){ from, end };
	return 0;
}

int sandbox_layout_place_image(struct sandbox_memory *memory, uint64_t bytes, uint64_t align,
			       uint64_t *start)
{
	uint64_t room = memory->arena[0].end - memory->arena[0].start;
	uint64_t place = memory->arena[0].start + room / 64 + random_offset(room / 8);

	place = (place + align - 1) & -align;
	if (!sandbox_memory_contains(memory, place, bytes) || bytes > room / 2)
		return -ENOMEM;
	*start = place;
	return 0;
}

int sandbox_layout_make_stack(struct sandbox_memory *memory, uint64_t bytes, int prot)
{
	uint64_t high = memory->mmap_high - random_offset(GAP_BYTES);
	int result =
		sandbox_memory_map(memory, high - bytes, bytes, prot,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (result)
		return result;
	memory->stack_high = high;
	memory->stack_low = high - bytes;
	memory->mmap_high = memory->stack_low - GUARD_BYTES - random_offset(GAP_BYTES);
	return 0;
}

void sandbox_layout_set_brk(struct sandbox_memory *memory, uint64_t image_high)
{
	memory->brk_start = memory->brk = image_high + random_offset(GAP_BYTES);
	memory->brk_limit = memory->arena[0].end;
	if (sandbox_memory_contains(memory, image_high, 1) && image_high < memory->arena[1].end &&
	    image_high >= memory->arena[1].start)
		memory->brk_limit = memory->arena[1].end;
}
