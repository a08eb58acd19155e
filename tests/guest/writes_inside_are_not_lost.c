// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host learns of each write that the guest makes: else it would take the page for
 * clean, throw it away when it wants memory, and what was written would be gone.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <sys/mman.h>

enum { NR_PAGES = 16, BYTES = NR_PAGES * PAGE_BYTES };

static volatile char *pages;

/* A file of memory that was never written: the host maps it writable and clean. */
static void map_clean_file(void)
{
	int file = memfd_create("clean", 0);

	CHECK_OK(file);
	CHECK_OK(ftruncate(file, BYTES));
	pages = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(pages != MAP_FAILED);
}

static void outside_read(void *unused)
{
	(void)unused;
	for (int i = 0; i < NR_PAGES; i++)
		CHECK_EQ(pages[i * PAGE_BYTES], 0);
}

/* Again, since what the guest has just used is spared the first time. */
static void outside_page_out(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		CHECK_OK(madvise((void *)pages, BYTES, MADV_PAGEOUT));
}

static void outside_compare(void *unused)
{
	(void)unused;
	for (int i = 0; i < NR_PAGES; i++)
		CHECK_EQ(pages[i * PAGE_BYTES], i + 1);
}

static void write_and_page_out(void)
{
	for (int i = 0; i < NR_PAGES; i++)
		pages[i * PAGE_BYTES] = i + 1;
	sidekick_call(outside_page_out, NULL);
	sidekick_call(outside_compare, NULL);
	for (int i = 0; i < NR_PAGES; i++)
		CHECK_EQ(pages[i * PAGE_BYTES], i + 1);
}

static void to_pages_that_the_host_has_read(void)
{
	map_clean_file();
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	sidekick_call(outside_read, NULL);
	write_and_page_out();
}

static void to_pages_that_the_guest_has_read(void)
{
	map_clean_file();
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	outside_read(NULL); /* inside */
	write_and_page_out();
}

static void to_pages_that_nobody_has_read(void)
{
	map_clean_file();
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	write_and_page_out();
}

/* MADV_FREE leaves them writable and clean; a write takes it back. */
static void to_pages_that_were_set_free(void)
{
	pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	memset((void *)pages, 99, BYTES);
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	CHECK_OK(madvise((void *)pages, BYTES, MADV_FREE));
	write_and_page_out();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(to_pages_that_the_host_has_read),
		guest_test(to_pages_that_the_guest_has_read),
		guest_test(to_pages_that_nobody_has_read),
		guest_test(to_pages_that_were_set_free),
	};

	return run_guest_tests(tests);
}
