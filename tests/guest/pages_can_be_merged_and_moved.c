// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host may put another frame behind an address whenever it likes: KSM merges
 * pages of the same contents, compaction moves them. The guest finds the same
 * contents, and its own copy after a write.
 */
#define _GNU_SOURCE
#include "file.h"
#include "memory.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { NR_PAGES = 64, BYTES = NR_PAGES * PAGE_BYTES };

/* ---- KSM ---- */

#define KSM "/sys/kernel/mm/ksm/"

static char *first, *second;

static void start_merging(void)
{
	CHECK(file_write(KSM "sleep_millisecs", "1"));
	CHECK(file_write(KSM "pages_to_scan", "1000"));
	/* Newer kernels leave a page alone that could not be merged a few times. */
	if (!access(KSM "smart_scan", F_OK))
		CHECK(file_write(KSM "smart_scan", "0"));
	CHECK(file_write(KSM "run", "1"));
}

static void stop_merging(void)
{
	CHECK(file_write(KSM "run", "2")); /* and takes apart what is merged */
}

/* Two areas of the same contents, no two pages of one area alike. */
static void prepare_merging(void)
{
	TEST_REQUIRE(!access(KSM "run", F_OK), "the kernel has no KSM");
	first = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	second = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	CHECK_OK(madvise(first, BYTES, MADV_MERGEABLE));
	CHECK_OK(madvise(second, BYTES, MADV_MERGEABLE));
	enter_dune();
	probe_init();
}

static void wait_until_merged(void)
{
	for (int i = 0; i < NR_PAGES; i++)
		while (page_frame(first + i * PAGE_BYTES) != page_frame(second + i * PAGE_BYTES))
			usleep(1000);
	CHECK(page_is_merged(first));
}

static void merged(void)
{
	prepare_merging();
	pages_mark(first, NR_PAGES, 1);
	pages_mark(second, NR_PAGES, 1);
	start_merging();
	for (unsigned i = 1; i <= 3; i++) {
		wait_until_merged();
		CHECK(pages_are_marked(first, NR_PAGES, i));
		CHECK(pages_are_marked(second, NR_PAGES, i));
		pages_mark(first, NR_PAGES, i + 1);
		CHECK(pages_are_marked(second, NR_PAGES, i));
		CHECK(pages_are_marked(first, NR_PAGES, i + 1));
		pages_mark(second, NR_PAGES, i + 1);
	}
	stop_merging();
	CHECK(pages_are_marked(first, NR_PAGES, 4));
	CHECK(pages_are_marked(second, NR_PAGES, 4));
}

/*
 * Some are written at any moment of a merge, while the others are merged: no write
 * is lost, none shows on the other side.
 */
static void merged_while_written(void)
{
	unsigned long merges = 0;
	unsigned mark[NR_PAGES];

	prepare_merging();
	pages_mark(first, NR_PAGES, 0);
	pages_mark(second, NR_PAGES, 0);
	for (unsigned i = 0; i < NR_PAGES; i++)
		mark[i] = i;
	start_merging();
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = round % 8; i < NR_PAGES; i += 8) {
			volatile unsigned *one = (unsigned *)(first + i * PAGE_BYTES);
			volatile unsigned *other = (unsigned *)(second + i * PAGE_BYTES);

			merges += page_is_merged(one);
			CHECK_EQ(*one, mark[i]);
			*one += 1000;
			CHECK_EQ(*other, mark[i]);
			*other += 1000;
			mark[i] += 1000;
			CHECK_EQ(*one, mark[i]);
		}
		usleep(round % 7 * 1000);
	}
	stop_merging();
	for (unsigned i = 0; i < NR_PAGES; i++)
		CHECK_EQ(*(volatile unsigned *)(second + i * PAGE_BYTES), mark[i]);
	harness_note("%lu of 1600 pages were merged when they were written", merges);
	CHECK(merges > 100);
}

/* ---- Compaction ---- */

enum { COMPACT_BYTES = 8 << 20, COMPACT_PAGES = COMPACT_BYTES / 4096, COMPACTIONS = 3 };

static atomic_bool compacting;

static void outside_compact(void *unused)
{
	(void)unused;
	CHECK(file_write("/proc/sys/vm/compact_memory", "1"));
	atomic_store(&compacting, false);
}

/* Every other page is given back, so that there is something to do. */
static char *fragment(void)
{
	char *area = map_pages(2 * COMPACT_PAGES, PROT_READ | PROT_WRITE);

	CHECK_OK(madvise(area, 2 * COMPACT_BYTES, MADV_NOHUGEPAGE));
	memset(area, 1, 2 * COMPACT_BYTES);
	for (int i = 0; i < COMPACT_PAGES; i++)
		CHECK_OK(madvise(area + (2 * i + 1) * PAGE_BYTES, PAGE_BYTES, MADV_DONTNEED));
	return area;
}

static volatile unsigned *kept_page(char *area, int number)
{
	return (unsigned *)(area + 2 * number * PAGE_BYTES);
}

/* Reads and writes all of the area while the kernel compacts; how many pages moved. */
static unsigned long compact_once(void)
{
	static unsigned long frame[COMPACT_PAGES];
	char *area = fragment();
	unsigned long moved = 0;
	unsigned rounds = 0;

	for (int i = 0; i < COMPACT_PAGES; i++) {
		*kept_page(area, i) = i;
		frame[i] = page_frame(kept_page(area, i));
	}
	atomic_store(&compacting, true);
	sidekick_post(outside_compact, NULL);
	do {
		for (int i = 0; i < COMPACT_PAGES; i++) {
			CHECK_EQ(*kept_page(area, i), i + rounds);
			*kept_page(area, i) = i + rounds + 1;
		}
		rounds++;
		sched_yield();
	} while (atomic_load(&compacting));
	for (int i = 0; i < COMPACT_PAGES; i++) {
		CHECK_EQ(*kept_page(area, i), i + rounds);
		moved += page_frame(kept_page(area, i)) != frame[i];
	}
	return moved;
}

/*
 * Whose pages the kernel takes is up to it: most are of others. Each time the
 * rest of memory has fewer left to move.
 */
static void compacted(void)
{
	long migrated = file_number("/proc/vmstat", "pgmigrate_success");
	unsigned long moved = 0;

	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	for (int i = 0; i < COMPACTIONS || (!moved && i < 10 * COMPACTIONS); i++)
		moved += compact_once();
	migrated = file_number("/proc/vmstat", "pgmigrate_success") - migrated;
	harness_note("%lu pages moved while the guest used them, of %ld in all", moved, migrated);
	CHECK(moved > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(merged, 60),
		guest_test_limit(merged_while_written, 60),
		guest_test_limit(compacted, 60),
	};

	return run_guest_tests(tests);
}
