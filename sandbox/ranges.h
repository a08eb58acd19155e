/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A sorted set of address ranges: which parts of the arenas are in use.
 * Pure bookkeeping, no system calls; memory.c and mremap.c are the only users.
 */
#ifndef SANDBOX_RANGES_H
#define SANDBOX_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sandbox_range {
	uint64_t start, end; /* [start, end) */
};

/* Zero-initialised is empty. Ranges never touch: neighbours are merged. */
struct sandbox_ranges {
	struct sandbox_range *item;
	size_t count, room;
};

/*
 * Makes sure that the next sandbox_ranges_add() or _remove() cannot fail, so that the bookkeeping
 * is never behind what was already done to the memory. 0 or -ENOMEM.
 */
int sandbox_ranges_prepare(struct sandbox_ranges *ranges);

/* Add or remove [start, end), whatever of it was there before. 0 or -ENOMEM. */
int sandbox_ranges_add(struct sandbox_ranges *ranges, uint64_t start, uint64_t end);
int sandbox_ranges_remove(struct sandbox_ranges *ranges, uint64_t start, uint64_t end);

/* All of [start, end) is in the set; any of it is. An empty range is covered and touches nothing. */
bool sandbox_ranges_cover(const struct sandbox_ranges *ranges, uint64_t start, uint64_t end);
bool sandbox_ranges_touch(const struct sandbox_ranges *ranges, uint64_t start, uint64_t end);

/* The first piece of the set in [start, end), if there is one. */
bool sandbox_ranges_next(const struct sandbox_ranges *ranges, uint64_t start, uint64_t end,
			 struct sandbox_range *piece);

/*
 * The highest free place of this size in [low, high), aligned (a power of two).
 * 0, or -ENOMEM; *start is the answer.
 */
int sandbox_ranges_find(const struct sandbox_ranges *ranges, uint64_t low, uint64_t high,
			uint64_t bytes, uint64_t align, uint64_t *start);

void sandbox_ranges_destroy(struct sandbox_ranges *ranges);

#endif
