// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sorted array of address ranges. memory.c asks it where ring 3's memory is and where there is
 * room for more. A sandboxed program has some hundreds of mappings, the kernel's limit is 65,530:
 * a binary search and a memmove() are as good as a tree.
 */
#include "ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Index of the first range that ends after address. */
static size_t first_after(const struct sandbox_ranges *ranges, uint64_t address)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges->item[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

int sandbox_ranges_prepare(struct sandbox_ranges *ranges)
{
	size_t room = ranges->room ? ranges->room * 2 : 64;
	struct sandbox_range *item;

	if (ranges->count + 1 < ranges->room)
		return 0;
	item = reallocarray(ranges->item, room, sizeof(*item));
	if (!item)
		return -ENOMEM;
	ranges->item = item;
	ranges->room = room;
	return 0;
}

/* Puts nr_new ranges in the place of those from first up to, not including, last. */
static void replace(struct sandbox_ranges *ranges, size_t first, size_t last,
		    const struct sandbox_range *new, size_t nr_new)
{
	memmove(&ranges->item[first + nr_new], &ranges->item[last],
		(ranges->count - last) * sizeof(*new));
	memcpy(&ranges->item[first], new, nr_new * sizeof(*new));
	ranges->count += nr_new - (last - first);
}

int sandbox_ranges_add(struct sandbox_ranges *ranges, uint64_t start, uint64_t end)
{
	struct sandbox_range new = { start, end };
	size_t first, last;

	if (start >= end)
		return 0;
	if (sandbox_ranges_prepare(ranges))
		return -ENOMEM;
	first = first_after(ranges, start);
	if (first > 0 && ranges->item[first - 1].end == start)
		first--;
	for (last = first; last < ranges->count && ranges->item[last].start <= end; last++) {
		if (ranges->item[last].start < new.start)
			new.start = ranges->item[last].start;
		if (ranges->item[last].end > new.end)
			new.end = ranges->item[last].end;
	}
	replace(ranges, first, last, &new, 1);
	return 0;
}

int sandbox_ranges_remove(struct sandbox_ranges *ranges, uint64_t start, uint64_t end)
{
	struct sandbox_range rest[2];
	size_t first, last, nr_rest = 0;

	if (start >= end)
		return 0;
	if (sandbox_ranges_prepare(ranges))
		return -ENOMEM;
	first = first_after(ranges, start);
	for (last = first; last < ranges->count && ranges->item[last].start < end; last++) {
		struct sandbox_range old = ranges->item[last];

		if (old.start < start)
			rest[nr_rest++] = (struct sandbox_range){ old.start, start };
		if (old.end > end)
			rest[nr_rest++] = (struct sandbox_range){ end, old.end };
	}
	replace(ranges, first, last, rest, nr_rest);
	return 0;
}

bool sandbox_ranges_cover(const struct sandbox_ranges *ranges, uint64_t start, uint64_t end)
{
	size_t i;

	if (start >= end)
		return start == end;
	i = first_after(ranges, start);
	return i < ranges->count && ranges->item[i].start <= start && ranges->item[i].end >= end;
}

bool sandbox_ranges_touch(const struct sandbox_ranges *ranges, uint64_t start, uint64_t end)
{
	size_t i;

	if (start >= end)
		return false;
	i = first_after(ranges, start);
	return i < ranges->count && ranges->item[i].start < end;
}

bool sandbox_ranges_next(const struct sandbox_ranges *ranges, uint64_t start, uint64_t end,
			 struct sandbox_range *piece)
{
	size_t i = first_after(ranges, start);

	if (!sandbox_ranges_touch(ranges, start, end))
		return false;
	*piece = ranges->item[i];
	if (piece->start < start)
		piece->start = start;
	if (piece->end > end)
		piece->end = end;
	return true;
}

int sandbox_ranges_find(const struct sandbox_ranges *ranges, uint64_t low, uint64_t high,
			uint64_t bytes, uint64_t align, uint64_t *start)
{
	size_t i = first_after(ranges, high);
	uint64_t ceiling = high;

	if (!bytes || low >= high)
		return -ENOMEM;
	if (i < ranges->count && ranges->item[i].start < ceiling)
		ceiling = ranges->item[i].start;
	for (;;) {
		uint64_t floor = low;

		if (i > 0 && ranges->item[i - 1].end > floor)
			floor = ranges->item[i - 1].end;
		if (ceiling > floor && ceiling - floor >= bytes) {
			uint64_t place = (ceiling - bytes) & -align;

			if (place >= floor) {
				*start = place;
				return 0;
			}
		}
		if (i == 0 || ranges->item[i - 1].start <= low)
			return -ENOMEM;
		ceiling = ranges->item[--i].start;
	}
}

void sandbox_ranges_destroy(struct sandbox_ranges *ranges)
{
	free(ranges->item);
	*ranges = (struct sandbox_ranges){ 0 };
}
