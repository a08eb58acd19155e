// SPDX-License-Identifier: GPL-2.0-only
/*
 * mremap() of ring 3: a mapping grows, shrinks or moves within the arenas. Where it was, and where
 * the kernel gave up half-way, no hole is left (hole.h). Called by syscall.c in ring 0.
 */
#include "hole.h"
#include "sandbox.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/*
 * Closes all holes in a range and notes them. They may be anywhere, and so is what is mapped. Until
 * this is done nothing may be allocated: it could get there.
 */
static void close_holes(struct sandbox_ranges *holes, uint64_t start, uint64_t bytes)
{
	uint64_t half = bytes / 2 & -SANDBOX_PAGE_BYTES;

	if (!sandbox_host(SYS_msync, start, bytes, MS_ASYNC, 0, 0, 0))
		return; /* does nothing, but finds no hole either */
	if (sandbox_close_hole(start, bytes, !half)) {
		if (holes->count + 1 >= holes->room)
			abort(); /* the kernel moves from the start on: never that many */
		sandbox_ranges_add(holes, start, start + bytes);
		return;
	}
	close_holes(holes, start, half);
	close_holes(holes, start + half, bytes - half);
}

/*
 * After a move that failed. The kernel has unmapped what is at the target, and cut off what is not
 * to be moved; and since 6.17 it moves several mappings one after the other, and stops at the first
 * that it cannot move. What is gone from its place is at the target, then.
 */
static void undo_move(struct sandbox_memory *memory, struct sandbox_ranges *holes, uint64_t start,
		      uint64_t old, uint64_t new, uint64_t to)
{
	uint64_t end = start + (old < new ? old : new);

	close_holes(holes, start, old);
	close_holes(holes, to, new);
	for (size_t i = 0; i < holes->count; i++) {
		const struct sandbox_range *hole = &holes->item[i];
		uint64_t low = hole->start > start ? hole->start : start;
		uint64_t high = hole->end < end ? hole->end : end;

		if (low < high &&
		    sandbox_ranges_add(&memory->used, to + (low - start), to + (high - start)))
			sandbox_reserve(to + (low - start), high - low); /* as in move() */
	}
	for (size_t i = 0; i < holes->count; i++)
		sandbox_ranges_remove(&memory->used, holes->item[i].start, holes->item[i].end);
}

/* Moves (and grows or shrinks) a mapping to a place that may be replaced. */
static long move(struct sandbox_memory *memory, uint64_t start, uint64_t old, uint64_t new,
		 uint64_t to)
{
	struct sandbox_ranges holes = { 0 };
	long result = sandbox_ranges_prepare(&memory->used);

	if (!result)
		result = sandbox_ranges_prepare(&holes);
	if (result)
		return result;
	result = sandbox_host(SYS_mremap, start, old, new, MREMAP_MAYMOVE | MREMAP_FIXED, to, 0);
	if (result < 0)
		undo_move(memory, &holes, start, old, new, to);
	sandbox_ranges_destroy(&holes);
	if (result < 0)
		return result;
	sandbox_close_hole(start, old, true);
	sandbox_ranges_remove(&memory->used, start, start + old);
	if (sandbox_ranges_add(&memory->used, to, to + new)) {
		/* Unknown to the bookkeeping, still inside the arena: given up. */
		sandbox_reserve(to, new);
		return -ENOMEM;
	}
	return to;
}

/* Makes a mapping larger where it is, if what follows is free. */
static long grow(struct sandbox_memory *memory, uint64_t start, uint64_t old, uint64_t new)
{
	long result = sandbox_ranges_prepare(&memory->used);

	/* Says whether the hole can be closed again: not at the limit of mappings. */
	if (!result)
		result = sandbox_reserve(start + old, new - old);
	if (!result)
		result = sandbox_host(SYS_munmap, start + old, new - old, 0, 0, 0, 0);
	if (result)
		return result;
	result = sandbox_host(SYS_mremap, start, old, new, 0, 0, 0);
	if (result < 0) {
		sandbox_close_hole(start + old, new - old, true);
		return result;
	}
	sandbox_ranges_add(&memory->used, start + old, start + new);
	return start;
}

static long move_to(struct sandbox_memory *memory, uint64_t start, uint64_t old, uint64_t new,
		    uint64_t to)
{
	if (to % SANDBOX_PAGE_BYTES)
		return -EINVAL;
	if (!sandbox_memory_contains(memory, to, new))
		return -EPERM;
	if (to < start + old && start < to + new)
		return -EINVAL;
	return move(memory, start, old, new, to);
}

long emulate_mremap(struct sandbox_call *call)
{
	struct sandbox_memory *memory = &call->box->memory;
	uint64_t start = call->arg[0], old = sandbox_page_up(call->arg[1]),
		 new = sandbox_page_up(call->arg[2]), to;
	int flags = call->arg[3];
	long result;

	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED) || start % SANDBOX_PAGE_BYTES || !new)
		return -EINVAL;
	if (flags & MREMAP_FIXED && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (!old)
		return -EINVAL; /* a second mapping of the same pages: not offered */
	if (start + old < start || !sandbox_ranges_cover(&memory->used, start, start + old))
		return -EFAULT;
	if (flags & MREMAP_FIXED)
		return move_to(memory, start, old, new, call->arg[4]);
	if (new <= old) {
		if (new < old && (sandbox_ranges_prepare(&memory->used) ||
				  sandbox_reserve(start + new, old - new)))
			return -ENOMEM;
		sandbox_ranges_remove(&memory->used, start + new, start + old);
		return start;
	}
	if (sandbox_memory_contains(memory, start, new) &&
	    !sandbox_ranges_touch(&memory->used, start + old, start + new)) {
		result = grow(memory, start, old, new);
		if (result >= 0)
			return result;
	}
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	result = sandbox_memory_place(memory, new, SANDBOX_PAGE_BYTES, &to);
	return result ? result : move(memory, start, old, new, to);
}
