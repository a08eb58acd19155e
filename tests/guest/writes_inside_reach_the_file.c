// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host learns what the guest has written: it reaches the disk, also the second time, when the page had become clean in between;
 * soft-dirty bits say what they say of any process.
 */
#define _GNU_SOURCE
#include "file.h"
#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { NR_PAGES = 32, BYTES = NR_PAGES * PAGE_BYTES };

static char *pages;
static int disk, raw;

/* A block device is a file with writeback. */
static void map_disk(int prot)
{
	swap_on(); /* that makes /dev/ram1, too */
	disk = CHECK_OK(open("/dev/ram1", O_RDWR));
	raw = CHECK_OK(open("/dev/ram1", O_RDONLY | O_DIRECT));
	pages = mmap(NULL, BYTES, prot, MAP_SHARED, disk, 0);
	CHECK(pages != MAP_FAILED);
}

static bool disk_is_marked(unsigned salt)
{
	static char contents[BYTES] __attribute__((aligned(4096)));

	CHECK_EQ(pread(raw, contents, BYTES, 0), BYTES);
	return pages_are_marked(contents, NR_PAGES, salt);
}

/* Directly from the disk, past the memory that both have mapped. */
static void synchronised(void)
{
	map_disk(PROT_READ | PROT_WRITE);
	enter_dune();
	for (unsigned i = 1; i < 10; i++) {
		pages_mark(pages, NR_PAGES, i * 1000);
		CHECK(pages_are_marked(pages, NR_PAGES, i * 1000));
		CHECK_OK(msync(pages, BYTES, MS_SYNC));
		CHECK(disk_is_marked(i * 1000));
	}
}

static void outside_synchronise(void *unused)
{
	(void)unused;
	CHECK_OK(fsync(disk));
}

static void synchronised_from_outside(void)
{
	map_disk(PROT_READ | PROT_WRITE);
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	for (unsigned i = 1; i < 10; i++) {
		pages_mark(pages, NR_PAGES, i * 1000);
		sidekick_call(outside_synchronise, NULL);
		CHECK(disk_is_marked(i * 1000));
	}
}

/* Written back while the guest goes on writing: what it wrote last counts. */
static volatile bool stop;

static void outside_synchronise_until_told(void *unused)
{
	while (!stop)
		outside_synchronise(unused);
}

static void synchronised_all_the_time(void)
{
	map_disk(PROT_READ | PROT_WRITE);
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	sidekick_post(outside_synchronise_until_told, NULL);
	for (unsigned i = 0; i < 300; i++)
		pages_mark(pages, NR_PAGES, i);
	stop = true;
	CHECK_OK(fsync(disk));
	CHECK(disk_is_marked(299));
}

/* A page that is read first has a clean, read-only entry; the write must be heard of. */
static void read_first(void)
{
	map_disk(PROT_READ | PROT_WRITE);
	pages_mark(pages, NR_PAGES, 5);
	CHECK_OK(fsync(disk));
	enter_dune();
	CHECK(pages_are_marked(pages, NR_PAGES, 5));
	pages_mark(pages, NR_PAGES, 6);
	CHECK_OK(msync(pages, BYTES, MS_SYNC));
	CHECK(disk_is_marked(6));
}

static void closed_without_a_word(void)
{
	map_disk(PROT_READ | PROT_WRITE);
	enter_dune();
	pages_mark(pages, NR_PAGES, 77);
	CHECK_OK(munmap(pages, BYTES));
	CHECK_OK(fsync(disk));
	CHECK(disk_is_marked(77));
}

/* ---- What pagemap and smaps say ---- */

static bool is_soft_dirty(const void *address)
{
	uint64_t entry = 0;
	int fd = CHECK_OK(open("/proc/self/pagemap", O_RDONLY));

	CHECK_EQ(pread(fd, &entry, 8, (uintptr_t)address / PAGE_BYTES * 8), 8);
	close(fd);
	return entry >> 55 & 1;
}

static void soft_dirty(void)
{
	pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	CHECK_OK(madvise(pages, BYTES, MADV_NOHUGEPAGE));
	enter_dune();
	pages_mark(pages, NR_PAGES, 1);
	for (int round = 0; round < 5; round++) {
		CHECK(file_write("/proc/self/clear_refs", "4"));
		CHECK(pages_are_marked(pages, NR_PAGES, 1));
		for (int i = 0; i < NR_PAGES; i++)
			CHECK(!is_soft_dirty(pages + i * PAGE_BYTES));
		for (int i = round; i < NR_PAGES; i += 3)
			*(volatile unsigned *)(pages + i * PAGE_BYTES) = i + 1;
		for (int i = 0; i < NR_PAGES; i++)
			CHECK_EQ(is_soft_dirty(pages + i * PAGE_BYTES),
				 i >= round && (i - round) % 3 == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(synchronised),
		guest_test(synchronised_from_outside),
		guest_test(synchronised_all_the_time),
		guest_test(read_first),
		guest_test(closed_without_a_word),
		guest_test(soft_dirty),
	};

	return run_guest_tests(tests);
}
