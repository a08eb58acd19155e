// SPDX-License-Identifier: GPL-2.0-only
/*
 * A transparent huge page is one entry in the EPT, too. When the host splits or
 * collapses one, the guest sees the pages that there are then.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

/* Pages of the huge page that something happens to, and some others. */
enum { PIECE = 100, LAST = HUGE_PAGES - 1 };

static char *huge;

static char *piece(void)
{
	return huge + PIECE * PAGE_BYTES;
}

/* Nothing has changed but, perhaps, the piece. */
static void check_others(unsigned char value)
{
	for (unsigned i = 0; i < HUGE_PAGES; i++)
		if (i != PIECE)
			CHECK_EQ((unsigned char)huge[i * PAGE_BYTES + i % PAGE_BYTES], value);
}

/* Inside, with a huge page that the guest has used whole. */
static void prepare(void)
{
	swap_on();
	huge = huge_page_make(6);
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	probe_init();
	huge_page_read(huge);
	CHECK_EQ(probe_write(huge, 6), 0);
	check_others(6);
}

static void transparent_to_read(void)
{
	huge = huge_page_make(6);
	enter_dune();
	CHECK_EQ(entries_made_by(huge_page_read, huge), 1);
	CHECK_EQ(entries_made_by(huge_page_write, huge), 0); /* dirty already */
}

static void transparent_to_write(void)
{
	huge = huge_page_make(6);
	enter_dune();
	CHECK_EQ(entries_made_by(huge_page_write, huge), 1);
}

static void transparent_from_inside(void)
{
	huge = map_aligned(HUGE_BYTES, HUGE_BYTES);
	CHECK_OK(madvise(huge, HUGE_BYTES, MADV_HUGEPAGE));
	enter_dune();
	CHECK_EQ(entries_made_by(huge_page_write, huge), 1);
	CHECK(page_is_huge(huge));
}

static void small_pages_are_not_one(void)
{
	huge = map_aligned(HUGE_BYTES, HUGE_BYTES);
	CHECK_OK(madvise(huge, HUGE_BYTES, MADV_NOHUGEPAGE));
	enter_dune();
	CHECK_EQ(entries_made_by(huge_page_write, huge), HUGE_PAGES);
}

static void outside_protect(void *address)
{
	CHECK_OK(mprotect(address, PAGE_BYTES, PROT_READ));
}

static void split_by_mprotect(void)
{
	prepare();
	sidekick_call(outside_protect, piece());
	CHECK_EQ(probe_write(piece(), 7), -1);
	CHECK_EQ(probe_read(piece()), 0);
	check_others(6);
	memset(huge, 7, PIECE * PAGE_BYTES);
	memset(piece() + PAGE_BYTES, 7, (LAST - PIECE) * PAGE_BYTES);
	check_others(7);
	CHECK_EQ(*(volatile char *)piece(), 6);
}

static void outside_unmap(void *address)
{
	CHECK_OK(munmap(address, PAGE_BYTES));
}

static void split_by_munmap(void)
{
	prepare();
	sidekick_call(outside_unmap, piece());
	CHECK_EQ(probe_read(piece()), -1);
	CHECK_EQ(probe_write(piece(), 1), -1);
	check_others(6);
}

static void outside_drop(void *address)
{
	CHECK_OK(madvise(address, PAGE_BYTES, MADV_DONTNEED));
}

static void split_by_madvise(void)
{
	prepare();
	sidekick_call(outside_drop, piece());
	CHECK_EQ(*(volatile char *)piece(), 0);
	check_others(6);
	*(volatile char *)piece() = 1;
	check_others(6);
}

static char *elsewhere;

static void outside_move(void *address)
{
	CHECK(mremap(address, PAGE_BYTES, PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) ==
	      elsewhere);
}

static void split_by_mremap(void)
{
	elsewhere = map_pages(1, PROT_READ);
	prepare();
	sidekick_call(outside_move, piece());
	CHECK_EQ(probe_read(piece()), -1);
	CHECK_EQ(*(volatile char *)elsewhere, 6);
	check_others(6);
}

static void outside_swap_out_piece(void *address)
{
	swap_out(address, PAGE_BYTES);
}

static void split_by_reclaim(void)
{
	prepare();
	*(volatile char *)piece() = 8;
	sidekick_call(outside_swap_out_piece, piece());
	CHECK(!page_is_huge(huge));
	check_others(6);
	CHECK_EQ(*(volatile char *)piece(), 8);
}

/* Both sides have their own copy at last, whoever writes first. */
static void split_by_copy_on_write(void)
{
	pid_t child;

	prepare();
	child = harness_fork();
	if (!child) {
		usleep(10000);
		*(volatile char *)piece() = 1;
		check_others(6);
		_exit(0);
	}
	*(volatile char *)(piece() + PAGE_BYTES) = 7;
	JOIN(child);
	CHECK_EQ(*(volatile char *)piece(), 6);
	CHECK_EQ(*(volatile char *)(piece() + PAGE_BYTES), 7);
}

/* Moved whole, at an address that lets it stay huge. */
static void moved(void)
{
	char *target = map_aligned(HUGE_BYTES, HUGE_BYTES);

	prepare();
	CHECK(mremap(huge, HUGE_BYTES, HUGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, target) ==
	      target);
	CHECK_EQ(probe_read(huge), -1);
	CHECK_EQ(probe_read(huge + LAST * PAGE_BYTES), -1);
	huge = target;
	CHECK_EQ(entries_made_by(huge_page_read, huge), 1);
	check_others(6);
}

static void outside_collapse(void *address)
{
	CHECK_OK(madvise(address, HUGE_BYTES, MADV_COLLAPSE));
}

static void collapsed(void)
{
	huge = map_aligned(HUGE_BYTES, HUGE_BYTES);
	CHECK_OK(madvise(huge, HUGE_BYTES, MADV_NOHUGEPAGE));
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	pages_mark(huge, HUGE_PAGES, 5);
	CHECK(!page_is_huge(huge));
	CHECK_OK(madvise(huge, HUGE_BYTES, MADV_HUGEPAGE));
	sidekick_call(outside_collapse, huge);
	CHECK(page_is_huge(huge));
	CHECK_EQ(entries_made_by(huge_page_read, huge), 1);
	CHECK(pages_are_marked(huge, HUGE_PAGES, 5));
}

/* Of a file in memory: another kind of huge page, mapped by another path. */
static void shared_memory(void)
{
	int fd = memfd_create("huge", 0);
	char *other;

	CHECK_OK(fd);
	CHECK_OK(ftruncate(fd, HUGE_BYTES));
	huge = map_aligned(HUGE_BYTES, HUGE_BYTES);
	CHECK(mmap(huge, HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
	      huge);
	pages_mark(huge, HUGE_PAGES, 3);
	if (madvise(huge, HUGE_BYTES, MADV_COLLAPSE)) {
		CHECK_EQ(errno, EINVAL);
		TEST_REQUIRE(false, "the kernel does not collapse shared memory");
	}
	enter_dune();
	probe_init();
	pages_mark(huge, HUGE_PAGES, 4); /* the collapse has left nothing mapped */
	CHECK(page_is_huge(huge));
	CHECK(pages_are_marked(huge, HUGE_PAGES, 4));
	other = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(other != MAP_FAILED);
	pages_mark(other, HUGE_PAGES, 5);
	CHECK(pages_are_marked(huge, HUGE_PAGES, 5));
	CHECK_OK(ftruncate(fd, (PIECE + 1) * PAGE_BYTES));
	CHECK(pages_are_marked(huge, PIECE + 1, 5));
	CHECK_EQ(probe_read(piece() + PAGE_BYTES), -1);
	CHECK_EQ(probe_write(huge + LAST * PAGE_BYTES, 1), -1);
}

/*
 * One instruction may need code and data of the same huge page at once. A CPU
 * with the iTLB multihit erratum has to have the code in an entry of its own.
 */
static void code_and_data(void)
{
	static const unsigned char count_up[] = { 0x8b, 0x07, /* mov (%rdi), %eax */
						  0xff, 0x07, /* incl (%rdi) */
						  0xc3 };     /* ret */
	int (*function)(int *at);
	int *last;

	huge = huge_page_make(0);
	memcpy(huge, count_up, sizeof(count_up));
	memcpy(piece(), count_up, sizeof(count_up));
	CHECK_OK(mprotect(huge, HUGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC));
	CHECK(page_is_huge(huge));
	last = (int *)(huge + LAST * PAGE_BYTES);
	enter_dune();
	for (int i = 0; i < 100; i++) {
		function = (int (*)(int *))(i & 1 ? huge : piece());
		CHECK_EQ(function(last), i);
		CHECK_EQ(function((int *)(huge + 2048)), i); /* in the code's own 4 KiB */
	}
	CHECK_EQ(*last, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(transparent_to_read),
		guest_test(transparent_to_write),
		guest_test(transparent_from_inside),
		guest_test(small_pages_are_not_one),
		guest_test(split_by_mprotect),
		guest_test(split_by_munmap),
		guest_test(split_by_madvise),
		guest_test(split_by_mremap),
		guest_test(split_by_reclaim),
		guest_test(split_by_copy_on_write),
		guest_test(moved),
		guest_test(collapsed),
		guest_test(shared_memory),
		guest_test(code_and_data),
	};

	return run_guest_tests(tests);
}
