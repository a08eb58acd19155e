// SPDX-License-Identifier: GPL-2.0-only
/*
 * madvise(): what it throws away is gone inside at once, what it must keep is
 * kept, and a write inside counts as one. Advice comes from a thread outside.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <sys/mman.h>

enum { NR_PAGES = 64, BYTES = NR_PAGES * PAGE_BYTES };

static char *pages;
static int file = -1;

static void enter_with_sidekick(void)
{
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	probe_init();
}

static void prepare(void)
{
	swap_on();
	pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	CHECK_OK(madvise(pages, BYTES, MADV_NOHUGEPAGE));
	enter_with_sidekick();
	pages_mark(pages, NR_PAGES, 1);
}

static void prepare_file(void)
{
	file = CHECK_OK(memfd_create("advice", 0));
	CHECK_OK(ftruncate(file, BYTES));
	pages = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(pages != MAP_FAILED);
	enter_with_sidekick();
	pages_mark(pages, NR_PAGES, 1);
}

static int advice;

static void outside_advise(void *unused)
{
	(void)unused;
	CHECK_OK(madvise(pages, BYTES, advice));
}

static void advise(int number)
{
	advice = number;
	sidekick_call(outside_advise, NULL);
}

static bool all_zero(void)
{
	for (int i = 0; i < NR_PAGES; i++)
		if (*(volatile unsigned *)(pages + i * PAGE_BYTES))
			return false;
	return true;
}

static void not_needed(void)
{
	prepare();
	for (int i = 0; i < 10; i++) {
		advise(MADV_DONTNEED);
		CHECK(all_zero());
		pages_mark(pages, NR_PAGES, i);
		CHECK(pages_are_marked(pages, NR_PAGES, i));
	}
}

static void not_needed_of_a_private_file(void)
{
	prepare_file();
	pages = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	CHECK(pages != MAP_FAILED);
	pages_mark(pages, NR_PAGES, 9);
	advise(MADV_DONTNEED);
	CHECK(pages_are_marked(pages, NR_PAGES, 1)); /* the file's contents again */
}

static void not_needed_of_a_shared_file(void)
{
	prepare_file();
	advise(MADV_DONTNEED);
	CHECK(pages_are_marked(pages, NR_PAGES, 1));
}

static void outside_reclaim(void *unused)
{
	(void)unused;
	CHECK_OK(madvise(pages, BYTES, MADV_PAGEOUT));
}

static void outside_empty_lists(void *unused)
{
	(void)unused;
	lists_empty();
}

/* The kernel may drop what was given free, page by page, until it is written again. */
static void given_free(void)
{
	prepare();
	advise(MADV_FREE);
	for (int i = 0; i < NR_PAGES; i++) {
		unsigned mark = *(volatile unsigned *)(pages + i * PAGE_BYTES);

		CHECK(mark == 0 || mark == i + 1u);
	}
	for (int tries = 0; tries < 20 && !all_zero(); tries++) {
		/* What is in a CPU's list is neither given free nor reclaimed. */
		sidekick_call(outside_empty_lists, NULL);
		advise(MADV_FREE);
		sidekick_call(outside_empty_lists, NULL);
		sidekick_call(outside_reclaim, NULL);
		usleep(1000);
	}
	CHECK(all_zero());
}

/* The guest's write makes the page worth keeping, if the kernel hears of it. */
static void given_free_and_written(void)
{
	prepare();
	for (int i = 0; i < 10; i++) {
		advise(MADV_FREE);
		pages_mark(pages, NR_PAGES, 30 + i);
		sidekick_call(outside_reclaim, NULL);
		CHECK(pages_are_marked(pages, NR_PAGES, 30 + i));
	}
}

static void given_free_and_read(void)
{
	prepare();
	advise(MADV_FREE);
	if (!pages_are_marked(pages, NR_PAGES, 1))
		harness_note("dropped already");
	pages_mark(pages, NR_PAGES, 2);
	advise(MADV_COLD);
	sidekick_call(outside_reclaim, NULL);
	CHECK(pages_are_marked(pages, NR_PAGES, 2));
}

static void removed_from_a_file(void)
{
	char *other;

	prepare_file();
	other = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, file, 0);
	CHECK(other != MAP_FAILED);
	CHECK(pages_are_marked(other, NR_PAGES, 1));
	advise(MADV_REMOVE);
	CHECK(all_zero());
	CHECK_EQ(*(volatile unsigned *)(other + PAGE_BYTES), 0);
	pages_mark(pages, NR_PAGES, 4);
	CHECK(pages_are_marked(other, NR_PAGES, 4));
}

static void populated(void)
{
	prepare();
	advise(MADV_DONTNEED);
	advise(MADV_POPULATE_READ);
	CHECK(page_frame(pages + BYTES - PAGE_BYTES));
	CHECK(all_zero());
	advise(MADV_POPULATE_WRITE);
	CHECK(page_frame(pages) != page_frame(pages + PAGE_BYTES));
	CHECK(all_zero());
	pages_mark(pages, NR_PAGES, 5);
	CHECK(pages_are_marked(pages, NR_PAGES, 5));
}

static void cold(void)
{
	prepare();
	for (int i = 0; i < 10; i++) {
		advise(i & 1 ? MADV_PAGEOUT : MADV_COLD);
		CHECK(pages_are_marked(pages, NR_PAGES, 1 + i));
		pages_mark(pages, NR_PAGES, 2 + i);
	}
}

/* Two ways to keep memory from a child, which is inside as well. */
static void wiped_on_fork(void)
{
	pid_t child;

	prepare();
	advise(MADV_WIPEONFORK);
	child = harness_fork();
	if (!child) {
		CHECK(all_zero());
		_exit(0);
	}
	JOIN(child);
	CHECK(pages_are_marked(pages, NR_PAGES, 1));
}

static void not_forked(void)
{
	pid_t child;

	prepare();
	advise(MADV_DONTFORK);
	child = harness_fork();
	if (!child) {
		CHECK_EQ(probe_read(pages), -1);
		CHECK_EQ(probe_write(pages + BYTES - 1, 1), -1);
		_exit(0);
	}
	JOIN(child);
	CHECK(pages_are_marked(pages, NR_PAGES, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(not_needed),
		guest_test(not_needed_of_a_private_file),
		guest_test(not_needed_of_a_shared_file),
		guest_test(given_free),
		guest_test(given_free_and_written),
		guest_test(given_free_and_read),
		guest_test(removed_from_a_file),
		guest_test(populated),
		guest_test(cold),
		guest_test(wiped_on_fork),
		guest_test(not_forked),
	};

	return run_guest_tests(tests);
}
