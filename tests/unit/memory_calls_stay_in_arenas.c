// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap and its relatives do for ring 3 what Linux does, but never outside the arenas, and never
 * leave a hole inside them where the kernel could place memory of the runtime.
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

static char *runtime; /* a page outside */

static int set_up(void **state)
{
	fake_set_up(state);
	runtime = mmap(NULL, PAGE, RW, ANON, -1, 0);
	memset(runtime, 0x5a, PAGE);
	sandbox_layout_set_brk(&box->memory, box->memory.arena[0].start + (1 << 20));
	return 0;
}

static bool inside(uint64_t address, uint64_t bytes)
{
	return sandbox_memory_contains(&box->memory, address, bytes);
}

static void check_runtime(void)
{
	for (unsigned i = 0; i < PAGE; i++)
		assert_int_equal(runtime[i], 0x5a);
	runtime[0] = 0x5a; /* still writable */
}

static void new_memory_lies_in_the_arena(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		long at = RING3(box, SYS_mmap, i % 2 ? (uint64_t)runtime : 0, (1 + i) * PAGE, RW,
				ANON, -1, 0);

		assert_true(inside(at, (1 + i) * PAGE));
		memset((void *)at, i, (1 + i) * PAGE);
	}
	check_runtime();
}

static void hints_in_the_arena_are_taken(void **state)
{
	uint64_t hint = box->memory.arena[0].start + (1ull << 30);

	(void)state;
	assert_int_equal(RING3(box, SYS_mmap, hint, PAGE, RW, ANON, -1, 0), hint);
	assert_int_not_equal(RING3(box, SYS_mmap, hint, PAGE, RW, ANON, -1, 0), hint);
}

static void fixed_places_outside_are_refused(void **state)
{
	uint64_t end = box->memory.arena[0].end, out = (uint64_t)runtime;

	(void)state;
	assert_int_equal(RING3(box, SYS_mmap, out, PAGE, RW, ANON | MAP_FIXED, -1, 0), -EPERM);
	assert_int_equal(RING3(box, SYS_mmap, out, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0),
			 -EEXIST);
	assert_int_equal(RING3(box, SYS_mmap, end - PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0),
			 -EPERM);
	assert_int_equal(RING3(box, SYS_mmap, end, PAGE, RW, ANON | MAP_FIXED, -1, 0), -EPERM);
	assert_int_equal(RING3(box, SYS_mmap, end - PAGE, -PAGE, RW, ANON | MAP_FIXED, -1, 0),
			 -EPERM);
	assert_int_equal(RING3(box, SYS_mmap, 0, -1ull, RW, ANON, -1, 0), -ENOMEM);
	assert_int_equal(RING3(box, SYS_mmap, 0, 1ull << 46, RW, ANON, -1, 0), -ENOMEM);
	assert_int_equal(RING3(box, SYS_mmap, 0, 0, RW, ANON, -1, 0), -EINVAL);
	check_runtime();
}

static void no_call_touches_memory_outside(void **state)
{
	uint64_t out = (uint64_t)runtime, page = fake_page(box);

	(void)state;
	assert_int_equal(RING3(box, SYS_munmap, out, PAGE), -EINVAL);
	assert_int_equal(RING3(box, SYS_munmap, box->memory.arena[0].end - PAGE, 2 * PAGE),
			 -EINVAL);
	assert_int_equal(RING3(box, SYS_munmap, 0, 1ull << 47), -EINVAL);
	assert_int_equal(RING3(box, SYS_mprotect, out, PAGE, PROT_NONE), -ENOMEM);
	assert_int_equal(RING3(box, SYS_mprotect, page, -page, PROT_NONE), -ENOMEM);
	for (int advice = 0; advice < 128; advice++)
		assert_true(RING3(box, SYS_madvise, out, PAGE, advice) < 0);
	assert_int_equal(RING3(box, SYS_mlock, out, PAGE), -ENOMEM);
	assert_int_equal(RING3(box, SYS_msync, out, PAGE, MS_SYNC), -ENOMEM);
	assert_int_equal(RING3(box, SYS_mincore, out, PAGE, page), -ENOMEM);
	assert_int_equal(RING3(box, SYS_mincore, page, PAGE, out), -EFAULT);
	assert_int_equal(RING3(box, SYS_mremap, out, PAGE, 2 * PAGE, MREMAP_MAYMOVE), -EFAULT);
	assert_int_equal(RING3(box, SYS_mremap, page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       out),
			 -EPERM);
	assert_int_equal(RING3(box, SYS_pkey_mprotect, out, PAGE, PROT_NONE, 0), -EPERM);
	assert_int_equal(RING3(box, SYS_remap_file_pages, out, PAGE, 0, 0, 0), -EPERM);
	check_runtime();
}

static void unmapped_memory_stays_reserved(void **state)
{
	long at = RING3(box, SYS_mmap, 0, 16 * PAGE, RW, ANON, -1, 0);

	(void)state;
	assert_int_equal(RING3(box, SYS_munmap, at + 4 * PAGE, 4 * PAGE), 0);
	assert_int_equal(RING3(box, SYS_mprotect, at, 16 * PAGE, PROT_READ), -ENOMEM);
	assert_int_equal(RING3(box, SYS_mprotect, at, 4 * PAGE, PROT_READ), 0);
	fake_check_no_hole();
	assert_int_equal(RING3(box, SYS_mmap, at + 4 * PAGE, 4 * PAGE, RW,
			       ANON | MAP_FIXED_NOREPLACE, -1, 0),
			 at + 4 * PAGE);
	assert_int_equal(RING3(box, SYS_munmap, at, 16 * PAGE), 0);
	assert_int_equal(RING3(box, SYS_munmap, at, 16 * PAGE), 0);
	fake_check_no_hole();
}

static void mremap_grows_moves_and_shrinks(void **state)
{
	uint64_t place = box->memory.arena[0].start + (2ull << 30), moved;
	char *at = (char *)RING3(box, SYS_mmap, place, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0);

	(void)state;
	assert_int_equal(at, place);
	strcpy(at, "contents");
	assert_int_equal(RING3(box, SYS_mremap, place, 2 * PAGE, 8 * PAGE, 0), place);
	at[8 * PAGE - 1] = 1;
	fake_check_no_hole();

	/* Something is in the way: it has to move. */
	RING3(box, SYS_mmap, place + 8 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	assert_int_equal(RING3(box, SYS_mremap, place, 8 * PAGE, 9 * PAGE, 0), -ENOMEM);
	moved = RING3(box, SYS_mremap, place, 8 * PAGE, 9 * PAGE, MREMAP_MAYMOVE);
	assert_true(inside(moved, 9 * PAGE));
	assert_int_not_equal(moved, place);
	assert_string_equal((char *)moved, "contents");
	fake_check_no_hole();

	assert_int_equal(RING3(box, SYS_mremap, moved, 9 * PAGE, PAGE, 0), moved);
	assert_int_equal(RING3(box, SYS_mprotect, moved + PAGE, PAGE, PROT_READ), -ENOMEM);
	assert_int_equal(RING3(box, SYS_mremap, moved, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       place),
			 place);
	assert_string_equal((char *)place, "contents");
	assert_int_equal(RING3(box, SYS_mremap, place, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       place),
			 -EINVAL);
	fake_check_no_hole();
}

static void brk_grows_and_shrinks(void **state)
{
	uint64_t start = RING3(box, SYS_brk, 0);

	(void)state;
	assert_true(inside(start, PAGE));
	assert_int_equal(RING3(box, SYS_brk, start + 100000), start + 100000);
	memset((void *)start, 1, 100000);
	assert_int_equal(RING3(box, SYS_brk, start + 10), start + 10);
	assert_int_equal(RING3(box, SYS_brk, start - 1), start + 10);
	assert_int_equal(RING3(box, SYS_brk, -1ull), start + 10);
	assert_int_equal(RING3(box, SYS_brk, (uint64_t)runtime), start + 10);
	fake_check_no_hole();
	assert_int_equal(RING3(box, SYS_brk, start + 100000), start + 100000);
	assert_int_equal(((char *)start)[90000], 0);

	/* Not over other memory. */
	RING3(box, SYS_mmap, start + (1 << 20), PAGE, RW, ANON | MAP_FIXED, -1, 0);
	assert_int_equal(RING3(box, SYS_brk, start + (2 << 20)), start + 100000);
}

static unsigned long max_mappings(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long count = 0;

	if (!file || fscanf(file, "%lu", &count) != 1)
		count = 0;
	if (file)
		fclose(file);
	return count;
}

/* As many mappings as the kernel lets a process have: what is too much fails, the rest works. */
static void the_limit_of_mappings_is_an_error(void **state)
{
	uint64_t heap = RING3(box, SYS_brk, 0), low, at;
	uint64_t pair = box->memory.arena[0].start + (1ull << 30);
	long result, last = 0, count = 0;

	(void)state;
	if (!max_mappings() || max_mappings() > 100000)
		skip();
	assert_int_equal(RING3(box, SYS_mmap, pair, PAGE, RW, ANON | MAP_FIXED, -1, 0), pair);
	assert_int_equal(RING3(box, SYS_mmap, pair + PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1,
			       0),
			 pair + PAGE);
	assert_int_equal(RING3(box, SYS_brk, heap + 4 * PAGE), heap + 4 * PAGE);
	while ((result = RING3(box, SYS_mmap, 0, PAGE, count % 2 ? PROT_READ : RW, ANON, -1, 0)) >
	       0) {
		last = result;
		count++;
	}
	assert_int_equal(result, -ENOMEM);
	low = last;
	assert_true(count > 1000);
	fake_check_no_hole();
	/* Two do not grow as one, and nothing is lost when they do not. */
	assert_true(RING3(box, SYS_mremap, pair, 2 * PAGE, 3 * PAGE, 0) < 0);
	assert_true(RING3(box, SYS_mremap, pair, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE) < 0);
	assert_int_equal(RING3(box, SYS_mmap, low, PAGE, RW, ANON | MAP_FIXED, -1, 0), -ENOMEM);
	fake_check_no_hole();

	/* What is given back can be had again. */
	for (at = low; at < low + 64 * PAGE; at += PAGE)
		assert_int_equal(RING3(box, SYS_munmap, at, PAGE), 0);
	fake_check_no_hole();
	for (at = low; at < low + 16 * PAGE; at += 2 * PAGE)
		assert_int_equal(RING3(box, SYS_mmap, at, PAGE, RW, ANON | MAP_FIXED, -1, 0), at);
	while (RING3(box, SYS_mmap, 0, PAGE, count++ % 2 ? PROT_READ : RW, ANON, -1, 0) > 0)
		;
	/* A part of a mapping is not one less. */
	at = RING3(box, SYS_brk, heap);
	assert_true(at == heap || at == heap + 4 * PAGE);
	fake_check_no_hole();
	at = low + 128 * PAGE;
	assert_int_equal(RING3(box, SYS_munmap, at, 4 * PAGE), 0);
	fake_check_no_hole();
	assert_int_equal(RING3(box, SYS_munmap, box->memory.arena[0].start,
			       box->memory.arena[0].end - box->memory.arena[0].start),
			 0);
	fake_check_no_hole();
	check_runtime();
}

/* From the beginning of the first page to the end of the last, as Linux does it. */
static void locks_are_of_whole_pages(void **state)
{
	uint64_t at = RING3(box, SYS_mmap, 0, 3 * PAGE, RW, ANON, -1, 0);

	(void)state;
	assert_int_equal(RING3(box, SYS_munmap, at + 2 * PAGE, PAGE), 0);
	assert_int_equal(RING3(box, SYS_mlock, at + 64, PAGE), 0);
	assert_int_equal(RING3(box, SYS_munlock, at + 64, PAGE), 0);
	assert_int_equal(RING3(box, SYS_mlock, at + PAGE + 64, PAGE), -ENOMEM);
	assert_int_equal(RING3(box, SYS_mlock, at + 64, -64ull), -ENOMEM);
	assert_int_equal(RING3(box, SYS_mlock, (uint64_t)runtime + 64, 32), -ENOMEM);
	assert_int_equal(RING3(box, SYS_munmap, at, 2 * PAGE), 0);
}

static void advice_goes_on_behind_a_gap(void **state)
{
	uint64_t at = RING3(box, SYS_mmap, 0, 5 * PAGE, RW, ANON, -1, 0);
	char *bytes = (char *)at;

	(void)state;
	assert_int_equal(RING3(box, SYS_munmap, at + PAGE, PAGE), 0);
	assert_int_equal(RING3(box, SYS_munmap, at + 3 * PAGE, PAGE), 0);
	bytes[0] = bytes[2 * PAGE] = bytes[4 * PAGE] = 1;
	assert_int_equal(RING3(box, SYS_madvise, at, 4 * PAGE, MADV_DONTNEED), -ENOMEM);
	assert_int_equal(bytes[0], 0);
	assert_int_equal(bytes[2 * PAGE], 0);
	assert_int_equal(bytes[4 * PAGE], 1);
	assert_int_equal(RING3(box, SYS_munmap, at, 5 * PAGE), 0);
}

/* Anything at all, many times: what is outside stays, what is inside has no hole. */
static void random_calls_stay_inside(void **state)
{
	uint64_t base = box->memory.arena[0].start + (3ull << 30) - 32 * PAGE;

	(void)state;
	srandom(4);
	for (int round = 0; round < 20000; round++) {
		uint64_t at = base + random() % 64 * PAGE, bytes = random() % 8 * PAGE;
		uint64_t to = base + random() % 64 * PAGE, more = random() % 8 * PAGE;

		switch (random() % 5) {
		case 0:
		case 1:
			RING3(box, SYS_mmap, at, bytes, RW, ANON | MAP_FIXED, -1, 0);
			break;
		case 2:
			RING3(box, SYS_munmap, at, bytes);
			break;
		case 3:
			RING3(box, SYS_mprotect, at, bytes, random() % 4);
			break;
		case 4:
			RING3(box, SYS_mremap, at, bytes, more, random() % 4, to);
			break;
		}
		if (round % 500 == 0)
			fake_check_no_hole();
	}
	fake_check_no_hole();
	check_runtime();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_memory_lies_in_the_arena),
		cmocka_unit_test(hints_in_the_arena_are_taken),
		cmocka_unit_test(fixed_places_outside_are_refused),
		cmocka_unit_test(no_call_touches_memory_outside),
		cmocka_unit_test(unmapped_memory_stays_reserved),
		cmocka_unit_test(mremap_grows_moves_and_shrinks),
		cmocka_unit_test(brk_grows_and_shrinks),
		cmocka_unit_test(locks_are_of_whole_pages),
		cmocka_unit_test(advice_goes_on_behind_a_gap),
		cmocka_unit_test(random_calls_stay_inside),
		cmocka_unit_test(the_limit_of_mappings_is_an_error),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, NULL);
}
