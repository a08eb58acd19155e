// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page of hugetlbfs is one entry in the EPT, too, of 2 MiB or of 1 GiB; the
 * guest has its own copy of it when it should, and it goes when the host takes it.
 */
#define _GNU_SOURCE
#include "file.h"
#include "memory.h"

#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define POOL_2M "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define POOL_1G "/sys/kernel/mm/hugepages/hugepages-1048576kB/"

static char *huge;

static char *middle(void)
{
	return huge + HUGE_BYTES / 2;
}

static void reserve(int nr)
{
	CHECK(file_write(POOL_2M "nr_hugepages", "%d", nr));
	CHECK(file_number(POOL_2M "free_hugepages", NULL) >= nr);
}

static char *map_reserved(int nr, int flags)
{
	char *pages = mmap(NULL, nr * HUGE_BYTES, PROT_READ | PROT_WRITE,
			   flags | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	CHECK(pages != MAP_FAILED);
	return pages;
}

static void reserved(void)
{
	reserve(2);
	huge = map_reserved(2, MAP_PRIVATE);
	enter_dune();
	probe_init();
	CHECK_EQ(entries_made_by(huge_page_write, huge), 1);
	CHECK_EQ(entries_made_by(huge_page_write, huge + HUGE_BYTES), 1);
	CHECK_EQ(entries_made_by(huge_page_read, huge), 0);
	CHECK_OK(mprotect(huge, HUGE_BYTES, PROT_READ));
	CHECK_EQ(probe_write(middle(), 1), -1);
	CHECK_EQ(*(volatile char *)middle(), 9);
	CHECK_OK(munmap(huge, HUGE_BYTES));
	CHECK_EQ(probe_read(middle()), -1);
	CHECK_EQ(*(volatile char *)(huge + HUGE_BYTES), 9);
	CHECK_OK(munmap(huge + HUGE_BYTES, HUGE_BYTES));
	CHECK_EQ(probe_read(huge + HUGE_BYTES), -1);
}

static void reserved_read_first(void)
{
	reserve(1);
	huge = map_reserved(1, MAP_PRIVATE);
	enter_dune();
	huge_page_read(huge);
	huge_page_write(huge);
	CHECK_EQ(*(volatile char *)middle(), 9);
}

static void reserved_and_forked(void)
{
	pid_t child;

	reserve(3);
	huge = map_reserved(1, MAP_PRIVATE);
	enter_dune();
	huge_page_write(huge);
	child = harness_fork();
	if (!child) {
		usleep(10000);
		CHECK_EQ(*(volatile char *)middle(), 9);
		*(volatile char *)middle() = 2;
		_exit(0);
	}
	*(volatile char *)middle() = 1;
	JOIN(child);
	CHECK_EQ(*(volatile char *)middle(), 1);
	CHECK_EQ(*(volatile char *)huge, 9);
}

static void reserved_in_a_file(void)
{
	int fd = memfd_create("huge", MFD_HUGETLB);

	reserve(2);
	CHECK_OK(fd);
	CHECK_OK(ftruncate(fd, 2 * HUGE_BYTES));
	huge = mmap(NULL, 2 * HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(huge != MAP_FAILED);
	enter_dune();
	probe_init();
	huge_page_write(huge);
	huge_page_write(huge + HUGE_BYTES);
	CHECK_OK(ftruncate(fd, HUGE_BYTES));
	CHECK_EQ(*(volatile char *)middle(), 9);
	CHECK_EQ(probe_read(huge + HUGE_BYTES), -1);
	CHECK_EQ(probe_write(huge + 2 * HUGE_BYTES - 1, 1), -1);
}

#define GIANT_BYTES (1ul << 30)

static void one_gigabyte(void)
{
	char *end;

	TEST_REQUIRE(
		file_write(POOL_1G "nr_hugepages", "1") &&
			file_number(POOL_1G "free_hugepages", NULL) > 0,
		"no gigabyte of memory in one piece is free: start Linux with hugepagesz=1G hugepages=1");
	huge = mmap(NULL, GIANT_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 30 << MAP_HUGE_SHIFT, -1, 0);
	CHECK(huge != MAP_FAILED);
	end = huge + GIANT_BYTES;
	/* Clearing it takes a second, in which DAMON finds pages that nobody uses, and they fault again. */
	huge_page_write(huge);
	enter_dune();
	probe_init();
	CHECK_EQ(entries_made_by(huge_page_write, huge), 1);
	CHECK_EQ(entries_made_by(huge_page_write, end - HUGE_BYTES), 0);
	CHECK_EQ(entries_made_by(huge_page_read, huge), 0);
	CHECK_OK(mprotect(huge, GIANT_BYTES, PROT_READ));
	CHECK_EQ(probe_write(end - 1, 1), -1);
	CHECK_EQ(*(volatile char *)(end - PAGE_BYTES), 9);
	CHECK_OK(munmap(huge, GIANT_BYTES));
	CHECK_EQ(probe_read(huge), -1);
	CHECK_EQ(probe_read(end - PAGE_BYTES), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(reserved),
		guest_test(reserved_read_first),
		guest_test(reserved_and_forked),
		guest_test(reserved_in_a_file),
		guest_test(one_gigabyte),
	};

	return run_guest_tests(tests);
}
