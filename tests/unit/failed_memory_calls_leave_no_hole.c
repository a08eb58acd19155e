// SPDX-License-Identifier: GPL-2.0-only
/*
 * A call for memory that fails, wherever it does, leaves no hole in an arena, where the kernel could
 * place memory of the runtime, and the bookkeeping says what is there.
 */
#include "fake_dune.h"
#include "layout.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ull
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW   (PROT_READ | PROT_WRITE)

static bool unmaps_and_fails; /* the next mmap() that replaces something */

/* As the kernel, which unmaps what is in the way before it needs memory for what it maps. */
long dune_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;

	if (unmaps_and_fails && nr == SYS_mmap && d & MAP_FIXED) {
		unmaps_and_fails = false;
		munmap((void *)a, b);
		return -ENOMEM;
	}
	result = syscall(nr, a, b, c, d, e, f);
	return result == -1 ? -errno : result;
}

static int set_up(void **state)
{
	fake_set_up(state);
	sandbox_layout_set_brk(&box->memory, box->memory.arena[0].start + (1 << 20));
	return 0;
}

/* The kernel unmaps what is in the way before it finds that the file cannot be mapped. */
static void failed_mmap_leaves_no_hole(void **state)
{
	long at = RING3(box, SYS_mmap, 0, 4 * PAGE, RW, ANON, -1, 0);
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_true(RING3(box, SYS_mmap, at, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, ends[0],
			  0) < 0);
	assert_true(RING3(box, SYS_mmap, at, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, 9999,
			  0) < 0);
	fake_check_no_hole();
	close(ends[0]);
	close(ends[1]);
}

/* The kernel makes the length of such a mapping whole huge pages, and unmaps as much. */
static void files_of_huge_pages_leave_no_hole(void **state)
{
	uint64_t page = fake_page(box), at = box->memory.arena[0].start + (1ull << 30);
	int fd = memfd_create("huge", MFD_HUGETLB | MAP_HUGE_2MB); /* as if it was inherited */

	(void)state;
	strcpy((char *)page, "huge");
	assert_int_equal(RING3(box, SYS_memfd_create, page, MFD_HUGETLB), -ENOSYS);
	assert_int_equal(RING3(box, SYS_memfd_create, page, MFD_HUGETLB | MAP_HUGE_1GB), -ENOSYS);
	if (fd < 0)
		skip();
	assert_int_equal(RING3(box, SYS_mmap, at, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0),
			 -ENOMEM);
	assert_int_equal(RING3(box, SYS_mmap, at, PAGE, RW, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
			       fd, 0),
			 -ENOMEM);
	assert_int_equal(RING3(box, SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, fd, 0), -ENOMEM);
	fake_check_no_hole();
	close(fd);
}

/* Since 6.17 the kernel moves several mappings, and stops at the first that it cannot move. */
static void move_that_fails_half_way_leaves_no_hole(void **state)
{
	uint64_t from = box->memory.arena[0].start + (1ull << 30), to = from + (256ull << 20);
	uint64_t bytes = (16ull << 20) + PAGE;
	int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	uint64_t now;
	long result;

	(void)state;
	assert_true(zero >= 0);
	for (int round = 0; round < 2; round++) {
		RING3(box, SYS_mmap, from, bytes - PAGE, RW, ANON | MAP_FIXED, -1, 0);
		RING3(box, SYS_mmap, from + bytes - PAGE, PAGE, RW, MAP_PRIVATE | MAP_FIXED, zero,
		      0);
		RING3(box, SYS_mmap, to, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
		*(int *)from = 0x5eed;
		result = RING3(box, SYS_mremap, from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
			       to);
		fake_check_no_hole();
		/* Each page is where the bookkeeping says. */
		now = RING3(box, SYS_mprotect, to, bytes - PAGE, RW) ? from : to;
		assert_int_equal(RING3(box, SYS_mprotect, now, bytes - PAGE, RW), 0);
		assert_int_equal(*(int *)now, 0x5eed);
		now = result < 0 ? from : to;
		assert_int_equal(RING3(box, SYS_mprotect, now + bytes - PAGE, PAGE, RW), 0);
		assert_int_equal(*(int *)(now + bytes - PAGE), 0);
		assert_int_equal(RING3(box, SYS_munmap, from, bytes), 0);
		assert_int_equal(RING3(box, SYS_munmap, to, bytes), 0);
		to = round ? to : from + bytes; /* what may not be taken for one hole */
	}
	fake_check_no_hole();
	close(zero);
}

/* What ring 3 gave back is gone, or nothing is. */
static void failed_reservation_leaves_no_hole(void **state)
{
	uint64_t start = RING3(box, SYS_brk, 0), end = start + (1 << 16), at;

	(void)state;
	at = RING3(box, SYS_mmap, 0, 16 * PAGE, RW, ANON, -1, 0);
	unmaps_and_fails = true;
	assert_int_equal(RING3(box, SYS_munmap, at, 4 * PAGE), 0);
	fake_check_no_hole();
	unmaps_and_fails = true;
	assert_int_equal(RING3(box, SYS_mremap, at + 8 * PAGE, 8 * PAGE, 4 * PAGE, 0),
			 at + 8 * PAGE);
	fake_check_no_hole();
	unmaps_and_fails = true;
	assert_int_equal(RING3(box, SYS_mremap, at + 8 * PAGE, 4 * PAGE, 8 * PAGE, 0),
			 at + 8 * PAGE);
	fake_check_no_hole();
	unmaps_and_fails = true;
	assert_int_equal(RING3(box, SYS_mmap, at + 4 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0),
			 -ENOMEM);
	assert_int_equal(RING3(box, SYS_mprotect, at + 4 * PAGE, PAGE, RW), -ENOMEM);
	fake_check_no_hole();
	assert_int_equal(RING3(box, SYS_brk, end), end);
	unmaps_and_fails = true;
	assert_int_equal(RING3(box, SYS_brk, start), start);
	fake_check_no_hole();
	assert_int_equal(RING3(box, SYS_munmap, at, 16 * PAGE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failed_mmap_leaves_no_hole),
		cmocka_unit_test(files_of_huge_pages_leave_no_hole),
		cmocka_unit_test(move_that_fails_half_way_leaves_no_hole),
		cmocka_unit_test(failed_reservation_leaves_no_hole),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, NULL);
}
