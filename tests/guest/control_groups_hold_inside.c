// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a control group says of a process's memory holds for what it touches
 * inside: the limit, by reclaim or by death; what is used stays, what is not goes
 * first. The EPT and all else that the module keeps is charged to the group, is
 * small, and goes when the process does.
 */
#define _GNU_SOURCE
#include "file.h"
#include "memory.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define ROOT  "/sys/fs/cgroup"
#define GROUP ROOT "/dune-memory"
#define MIB   (1ul << 20)

static void make_group(void)
{
	TEST_REQUIRE(file_write(ROOT "/cgroup.subtree_control", "+memory"),
		     "there is no memory controller in " ROOT);
	rmdir(GROUP);
	CHECK_OK(mkdir(GROUP, 0755));
}

static void join_group(void)
{
	CHECK(file_write(GROUP "/cgroup.procs", "0"));
}

static void remove_group(void)
{
	/* The module and the kernel let go of a process's memory a little later. */
	while (rmdir(GROUP))
		usleep(10000);
}

/* Small pages, first touched inside. */
static char *touch_inside(size_t bytes, unsigned salt)
{
	char *area = map_pages(bytes / PAGE_BYTES, PROT_READ | PROT_WRITE);

	CHECK_OK(madvise(area, bytes, MADV_NOHUGEPAGE));
	pages_mark(area, bytes / PAGE_BYTES, salt);
	return area;
}

/* ---- The limit ---- */

static void over_the_limit_is_swapped(void)
{
	pid_t child;

	swap_on();
	make_group();
	CHECK(file_write(GROUP "/memory.high", "%lu", 8 * MIB));
	child = harness_fork();
	if (!child) {
		char *area;

		join_group();
		enter_dune();
		area = touch_inside(12 * MIB, 1);
		for (int i = 0; i < 2; i++)
			CHECK(pages_are_marked(area, 12 * MIB / PAGE_BYTES, 1));
		CHECK(file_number("/proc/self/status", "VmSwap:") > 1024);
		_exit(0);
	}
	JOIN(child);
	remove_group();
}

static void over_the_limit_is_death(void)
{
	pid_t child;

	make_group();
	CHECK(file_write(GROUP "/memory.max", "%lu", 8 * MIB));
	CHECK(file_write(GROUP "/memory.swap.max", "0"));
	child = harness_fork();
	if (!child) {
		join_group();
		enter_dune();
		probe_init(); /* its handler must not see anything of this */
		touch_inside(32 * MIB, 1);
		_exit(0);
	}
	CHECK_EQ(harness_wait(child), 128 + SIGKILL);
	CHECK_EQ(file_number(GROUP "/memory.events", "oom_kill"), 1);
	remove_group();
}

/* ---- What is used ---- */

static unsigned long in_swap(const char *area, size_t bytes)
{
	unsigned long nr = 0;

	for (size_t at = 0; at < bytes; at += PAGE_BYTES)
		nr += page_is_in_swap(area + at);
	return nr;
}

/* The guest's use is all that tells the two areas apart. */
static void what_is_used_stays(void)
{
	unsigned long used_in_swap = 0, unused_in_swap = 0;
	pid_t child;

	swap_on();
	make_group();
	child = harness_fork();
	if (!child) {
		char *used, *unused;

		join_group();
		enter_dune();
		used = touch_inside(4 * MIB, 1);
		unused = touch_inside(8 * MIB, 1);
		for (int i = 0; i < 16; i++) {
			CHECK(pages_are_marked(used, 4 * MIB / PAGE_BYTES, 1));
			file_write(GROUP "/memory.reclaim", "%lu", MIB / 4); /* -EAGAIN: less */
			used_in_swap += in_swap(used, 4 * MIB);
		}
		unused_in_swap = in_swap(unused, 8 * MIB);
		harness_note("in swap: %lu unused pages, %lu used ones in 16 looks", unused_in_swap,
			     used_in_swap);
		CHECK(unused_in_swap > 512);
		CHECK(used_in_swap < unused_in_swap / 4);
		_exit(0);
	}
	JOIN(child);
	remove_group();
}

/* ---- What Dune itself takes ---- */

struct charges {
	long kernel; /* bytes, and those of them that are tables of guests */
	long tables;
};

static struct charges charges_now(void)
{
	/* The kernel brings the numbers of all CPUs together every two seconds. */
	usleep(2500000);
	return (struct charges){
		.kernel = file_number(GROUP "/memory.stat", "kernel"),
		.tables = file_number(GROUP "/memory.stat", "sec_pagetables"),
	};
}

#define SPARSE_BYTES (512 * MIB)
#define SLACK	     (64 * (long)PAGE_BYTES) /* what CPUs keep for themselves, and less */

/* A page in each 2 MiB, so that each takes a table of its own: in the host and in the EPT. */
static void charged_and_given_back(void)
{
	struct charges at_first, before, inside, at_last;
	unsigned long tables;
	pid_t child, keeper;

	make_group();
	keeper = harness_fork(); /* the group's numbers outlive the child that is measured */
	if (!keeper) {
		join_group();
		for (;;)
			pause();
	}
	at_first = charges_now();
	child = harness_fork();
	if (!child) {
		volatile char *area = map_aligned(SPARSE_BYTES, HUGE_BYTES);

		join_group();
		CHECK_OK(madvise((void *)area, SPARSE_BYTES, MADV_NOHUGEPAGE));
		for (size_t at = 0; at < SPARSE_BYTES; at += HUGE_BYTES)
			(void)area[at];
		enter_dune();
		before = charges_now();
		tables = counts_now().ept_pages;
		for (size_t at = 0; at < SPARSE_BYTES; at += HUGE_BYTES)
			(void)area[at];
		tables = counts_now().ept_pages - tables;
		inside = charges_now();
		inside.kernel -= before.kernel;
		inside.tables -= before.tables;
		harness_note("%ld bytes charged, then %ld for %lu tables, %ld counted as such",
			     before.kernel, inside.kernel, tables, inside.tables);
		CHECK(tables >= SPARSE_BYTES / HUGE_BYTES);
		CHECK(tables <= SPARSE_BYTES / HUGE_BYTES + 4);
		CHECK(inside.kernel >= (long)(tables * PAGE_BYTES) - SLACK);
		CHECK(inside.tables >= (long)(tables * PAGE_BYTES) - SLACK);
		CHECK(inside.tables <= (long)(tables * PAGE_BYTES) + SLACK);
		_exit(0);
	}
	JOIN(child);
	at_last = charges_now();
	CHECK(at_last.kernel - at_first.kernel < SLACK);
	CHECK(labs(at_last.tables - at_first.tables) < SLACK);
	CHECK_OK(kill(keeper, SIGKILL));
	CHECK_EQ(harness_wait(keeper), 128 + SIGKILL);
	remove_group();
}

/* All of it, for memory touched in order: at most 0.3 per cent, and 64 KiB for the vcpu. */
static void small(void)
{
	enum { BYTES = 128 << 20 };
	unsigned long pages;
	volatile char *area;

	enter_dune();
	area = map_aligned(BYTES, HUGE_BYTES);
	CHECK_OK(madvise((void *)area, BYTES, MADV_NOHUGEPAGE));
	for (size_t at = 0; at < BYTES; at += PAGE_BYTES)
		(void)area[at];
	pages = counts_now().ept_pages;
	harness_note("%lu pages of tables for %u MiB", pages, BYTES >> 20);
	CHECK(pages >= BYTES / HUGE_BYTES);
	CHECK(pages * PAGE_BYTES <= BYTES / 1000 * 3 + 65536);
}

/* Nor is anything kept where the process has nothing any more, however small it was. */
static void gone_with_the_mapping(void)
{
	long tables; /* fewer, too, if the host takes something else away meanwhile */
	char *area;

	enter_dune();
	area = map_aligned(SPARSE_BYTES, HUGE_BYTES);
	CHECK_OK(munmap(area, SPARSE_BYTES));
	tables = (long)counts_now().ept_pages;
	for (size_t at = 0; at < SPARSE_BYTES; at += HUGE_BYTES) {
		char *page = area + at + at / HUGE_BYTES * PAGE_BYTES;

		CHECK(mmap(page, PAGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == page);
		*page = 1;
		CHECK_OK(munmap(page, PAGE_BYTES));
	}
	tables = (long)counts_now().ept_pages - tables;
	harness_note("%ld tables more after %lu mappings", tables, SPARSE_BYTES / HUGE_BYTES);
	CHECK(tables <= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(over_the_limit_is_swapped, 60),
		guest_test_limit(over_the_limit_is_death, 60),
		guest_test_limit(what_is_used_stays, 60),
		guest_test_limit(charged_and_given_back, 60),
		guest_test_limit(small, 60),
		guest_test(gone_with_the_mapping),
	};

	return run_guest_tests(tests);
}
