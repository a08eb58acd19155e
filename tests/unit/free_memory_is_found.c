// SPDX-License-Identifier: GPL-2.0-only
/*
 * The set of used ranges agrees with a plain array of pages, whatever is done to it.
 */
#include "fake_dune.h"
#include "ranges.h"

#include <errno.h>
#include <stdlib.h>

#define PAGES 200
#define PAGE  4096ull
#define BASE  0x200000000000ull

static uint64_t address(unsigned page)
{
	return BASE + page * PAGE;
}

/* All pieces together are the pages that are used. */
static void check_pieces(const struct sandbox_ranges *ranges, const bool *page, unsigned start,
			 unsigned end)
{
	struct sandbox_range piece;

	while (sandbox_ranges_next(ranges, address(start), address(end), &piece)) {
		assert_true(piece.end > piece.start && piece.end <= address(end));
		for (; address(start) < piece.start; start++)
			assert_false(page[start]);
		for (; address(start) < piece.end; start++)
			assert_true(page[start]);
	}
	for (; start < end; start++)
		assert_false(page[start]);
}

static void ranges_agree_with_pages(void **state)
{
	struct sandbox_ranges ranges = { 0 };
	bool page[PAGES] = { 0 };

	(void)state;
	srandom(2);
	for (int round = 0; round < 50000; round++) {
		unsigned start = random() % PAGES, end = start + random() % (PAGES - start + 1);
		bool covered = true, touched = false, used = random() % 2;
		uint64_t last = 0;

		for (unsigned i = start; i < end; i++) {
			covered = covered && page[i];
			touched = touched || page[i];
		}
		assert_int_equal(sandbox_ranges_cover(&ranges, address(start), address(end)),
				 covered);
		assert_int_equal(sandbox_ranges_touch(&ranges, address(start), address(end)),
				 touched);
		check_pieces(&ranges, page, start, end);
		if (used)
			sandbox_ranges_add(&ranges, address(start), address(end));
		else
			sandbox_ranges_remove(&ranges, address(start), address(end));
		for (unsigned i = start; i < end; i++)
			page[i] = used;
		for (size_t i = 0; i < ranges.count; i++) {
			assert_true(ranges.item[i].start > last); /* merged: never adjacent */
			assert_true(ranges.item[i].end > ranges.item[i].start);
			last = ranges.item[i].end;
		}
	}
	sandbox_ranges_destroy(&ranges);
}

/* The place a plain search finds: the highest one that is free and aligned. */
static int highest_free(const bool *page, unsigned low, unsigned high, unsigned count,
			unsigned align)
{
	for (int start = (int)high - (int)count; start >= (int)low; start--) {
		bool fits = start % align == 0;

		for (unsigned i = 0; fits && i < count; i++)
			fits = !page[start + i];
		if (fits)
			return start;
	}
	return -1;
}

static void highest_free_place_is_found(void **state)
{
	(void)state;
	srandom(3);
	for (int round = 0; round < 3000; round++) {
		struct sandbox_ranges ranges = { 0 };
		bool page[PAGES] = { 0 };
		unsigned low = random() % PAGES, high = low + random() % (PAGES - low + 1);
		unsigned count = 1 + random() % 8, align = 1u << random() % 4;
		uint64_t found;
		int expected, result;

		for (int i = random() % 30; i >= 0; i--) {
			unsigned at = random() % PAGES;

			page[at] = true;
			sandbox_ranges_add(&ranges, address(at), address(at + 1));
		}
		expected = highest_free(page, low, high, count, align);
		result = sandbox_ranges_find(&ranges, address(low), address(high), count * PAGE,
					     align * PAGE, &found);
		if (expected < 0) {
			assert_int_equal(result, -ENOMEM);
		} else {
			assert_int_equal(result, 0);
			assert_int_equal(found, address(expected));
		}
		sandbox_ranges_destroy(&ranges);
	}
}

static void nothing_is_found_where_nothing_fits(void **state)
{
	struct sandbox_ranges ranges = { 0 };
	uint64_t found;

	(void)state;
	assert_int_equal(sandbox_ranges_find(&ranges, BASE, BASE, PAGE, PAGE, &found), -ENOMEM);
	assert_int_equal(sandbox_ranges_find(&ranges, BASE, BASE + PAGE, 0, PAGE, &found), -ENOMEM);
	assert_int_equal(sandbox_ranges_find(&ranges, BASE, BASE + PAGE, -PAGE, PAGE, &found),
			 -ENOMEM);
	assert_int_equal(sandbox_ranges_find(&ranges, 0, BASE, BASE, PAGE, &found), 0);
	assert_int_equal(found, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_agree_with_pages),
		cmocka_unit_test(highest_free_place_is_found),
		cmocka_unit_test(nothing_is_found_where_nothing_fits),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
