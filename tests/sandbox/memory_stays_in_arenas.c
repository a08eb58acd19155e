// SPDX-License-Identifier: GPL-2.0-only
/*
 * No memory call of the program places, changes, moves or removes anything outside its arenas, and
 * none leaves a hole in them: there the kernel could place memory of the sandbox, for the program
 * to see.
 */
#include "../guest/random.h"
#include "sandboxed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE		 4096ul
#define MAX_REGIONS	 512
#define RW		 (PROT_READ | PROT_WRITE)
#define PRIVATE		 (MAP_PRIVATE | MAP_ANONYMOUS)
#define IS_ERROR(result) ((unsigned long)(result) > -4096ul)

/* Where programs inherit files of huge pages. */
enum { FIRST_HUGE_FILE = 50, NR_HUGE_FILES = 2 };

static struct mapping mappings[MAX_REGIONS];
static size_t nr_mappings;

/* The main arena: what is mapped without a gap around our stack. Everything else but a program linked
 * to fixed addresses is the sandbox's. */
static struct {
	uint64_t start, end;
} arena;

static void find_arena(void)
{
	uint64_t own = (uint64_t)__builtin_frame_address(0);
	size_t at = 0;

	nr_mappings = read_mappings(mappings, MAX_REGIONS);
	while (at < nr_mappings && mappings[at].end <= own)
		at++;
	CHECK(at < nr_mappings);
	arena.start = mappings[at].start;
	arena.end = mappings[at].end;
	for (size_t i = at; i > 0 && mappings[i - 1].end == arena.start; i--)
		arena.start = mappings[i - 1].start;
	for (size_t i = at + 1; i < nr_mappings && mappings[i].start == arena.end; i++)
		arena.end = mappings[i].end;
	/* Arenas are whole GiB; a mapping of the sandbox may follow without a gap. */
	arena.start = (arena.start + (1ul << 30) - 1) & -(1ul << 30);
	arena.end &= -(1ul << 30);
	CHECK(arena.start <= own && own < arena.end);
}

static bool in_arena(long address)
{
	return (uint64_t)address >= arena.start && (uint64_t)address < arena.end;
}

/* The mappings of the sandbox are what they were, as far as they have names. */
static void check_runtime(void)
{
	static struct mapping now[MAX_REGIONS];
	size_t count = read_mappings(now, MAX_REGIONS);

	for (size_t i = 0; i < nr_mappings; i++) {
		bool found = false;

		if (!is_of_runtime(&mappings[i]) || !strcmp(mappings[i].name, "[heap]"))
			continue;
		for (size_t j = 0; j < count && !found; j++)
			found = !memcmp(&mappings[i], &now[j], sizeof(now[j]));
		if (!found)
			FAIL("%lx-%lx %s %s changed", mappings[i].start, mappings[i].end,
			     mappings[i].rights, mappings[i].name);
	}
}

static void check_no_hole(void)
{
	static struct mapping now[MAX_REGIONS];
	size_t count = read_mappings(now, MAX_REGIONS);
	uint64_t at = arena.start;

	for (size_t i = 0; i < count; i++) {
		if (now[i].end <= arena.start || now[i].start >= arena.end)
			continue;
		if (now[i].start > at)
			FAIL("%lx-%lx is a hole", at, now[i].start);
		at = now[i].end;
	}
	CHECK(at >= arena.end);
}

/* Addresses that are the sandbox's or nobody's, page-aligned. */
static size_t targets(uint64_t to[MAX_REGIONS])
{
	size_t count = 0;

	find_arena();
	for (size_t i = 0; i < nr_mappings; i++)
		if (mappings[i].end <= arena.start || mappings[i].start >= arena.end)
			if (mappings[i].name[0] == '[' || is_of_runtime(&mappings[i]) ||
			    mappings[i].start >= arena.end)
				to[count++] = mappings[i].start;
	CHECK(count > 20);
	to[count++] = arena.end;
	to[count++] = arena.start - PAGE;
	to[count++] = arena.end - PAGE; /* with two pages: begins inside, ends outside */
	to[count++] = 1ul << 47;
	to[count++] = -PAGE;
	return count;
}

/* ---- Where new memory lies ----------------------------------------------- */

static void brk_grows_and_shrinks(void)
{
	long start, now;

	find_arena();
	start = RAW(SYS_brk, 0); /* after malloc() has had its share */
	CHECK(in_arena(start));
	now = RAW(SYS_brk, start + 100 * PAGE);
	CHECK_EQ(now, start + 100 * PAGE);
	memset((void *)start, 1, 100 * PAGE);
	CHECK_EQ(RAW(SYS_brk, start + PAGE), start + PAGE);
	CHECK_EQ(RAW(SYS_brk, start + 2 * PAGE), start + 2 * PAGE);
	CHECK_EQ(*(char *)(start + 2 * PAGE - 1), 0); /* fresh again */
	/* Refused: the break stays. */
	now = start + 2 * PAGE;
	CHECK_EQ(RAW(SYS_brk, arena.end), now);
	CHECK_EQ(RAW(SYS_brk, arena.end + PAGE), now);
	CHECK_EQ(RAW(SYS_brk, -1), now);
	CHECK_EQ(RAW(SYS_brk, 0x1000), now);
	check_no_hole();
}

static void mmap_lies_in_the_arena(void)
{
	find_arena();
	for (int round = 0; round < 200; round++) {
		unsigned long bytes = (1 + round % 17) * PAGE - round % 2;
		long at = RAW(SYS_mmap, 0, bytes, RW, PRIVATE, -1, 0);

		CHECK(in_arena(at) && in_arena(at + bytes - 1));
		memset((void *)at, round, bytes);
	}
	CHECK_EQ(RAW(SYS_mmap, 0, 0, RW, PRIVATE, -1, 0), -EINVAL);
	CHECK_EQ(RAW(SYS_mmap, 0, -1, RW, PRIVATE, -1, 0), -ENOMEM);
	CHECK_EQ(RAW(SYS_mmap, 0, 1ul << 46, RW, PRIVATE, -1, 0), -ENOMEM);
	check_runtime();
	check_no_hole();
}

/* Row 33: over the sandbox, its page tables and stacks, the vDSO. */
static void fixed_mappings_over_the_runtime(void)
{
	uint64_t target[MAX_REGIONS];
	size_t count = targets(target);

	for (size_t i = 0; i < count; i++) {
		long result = RAW(SYS_mmap, target[i], 2 * PAGE, RW, PRIVATE | MAP_FIXED, -1, 0);

		if (result != -EPERM)
			FAIL("MAP_FIXED at %lx: %ld", target[i], result);
		result = RAW(SYS_mmap, target[i], 2 * PAGE, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1,
			     0);
		if (result != -EEXIST)
			FAIL("MAP_FIXED_NOREPLACE at %lx: %ld", target[i], result);
		/* A hint is but a hint. */
		result = RAW(SYS_mmap, target[i], 2 * PAGE, RW, PRIVATE, -1, 0);
		if (!in_arena(result))
			FAIL("a hint of %lx: %lx", target[i], result);
		CHECK_EQ(RAW(SYS_munmap, result, 2 * PAGE), 0);
	}
	check_runtime();
	check_no_hole();
}

/* ---- What is done to memory that is there --------------------------------- */

/* Row 34. Linux says -EINVAL or -ENOMEM of what is not mapped, and so does the sandbox. */
static void calls_on_the_runtime(void)
{
	const int advice[] = { MADV_NORMAL,	    MADV_DONTNEED,  MADV_FREE,
			       MADV_REMOVE,	    MADV_COLD,	    MADV_PAGEOUT,
			       MADV_HWPOISON,	    MADV_DONTFORK,  MADV_WIPEONFORK,
			       MADV_POPULATE_WRITE, MADV_MERGEABLE, 25 /* MADV_COLLAPSE */ };
	uint64_t target[MAX_REGIONS];
	size_t count = targets(target);
	long own = RAW(SYS_mmap, 0, 4 * PAGE, RW, PRIVATE, -1, 0);

	CHECK(in_arena(own));
	for (size_t i = 0; i < count; i++) {
		uint64_t at = target[i];

		CHECK_EQ(RAW(SYS_munmap, at, 2 * PAGE), -EINVAL);
		CHECK_EQ(RAW(SYS_mprotect, at, 2 * PAGE, RW), -ENOMEM);
		CHECK_EQ(RAW(SYS_mprotect, at, 2 * PAGE, PROT_NONE), -ENOMEM);
		CHECK_EQ(RAW(SYS_pkey_mprotect, at, 2 * PAGE, RW, -1), -EPERM);
		CHECK_EQ(RAW(SYS_msync, at, 2 * PAGE, MS_INVALIDATE), -ENOMEM);
		CHECK_EQ(RAW(SYS_mlock, at, 2 * PAGE), -ENOMEM);
		CHECK_EQ(RAW(SYS_munlock, at, 2 * PAGE), -ENOMEM);
		CHECK_EQ(RAW(SYS_mincore, at, 2 * PAGE, own), -ENOMEM);
		CHECK_EQ(RAW(SYS_mremap, at, 2 * PAGE, PAGE, MREMAP_MAYMOVE, 0), -EFAULT);
		CHECK_EQ(RAW(SYS_mremap, at, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE, 0), -EFAULT);
		CHECK_EQ(RAW(SYS_mremap, own, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     at),
			 -EPERM);
		CHECK_EQ(RAW(SYS_remap_file_pages, at, 2 * PAGE, 0, 0, 0), -EPERM);
		CHECK_EQ(RAW(SYS_mbind, at, 2 * PAGE, 0, 0, 0, 0), -EPERM);
		CHECK_EQ(RAW(462 /* mseal */, at, 2 * PAGE, 0), -ENOSYS);
		for (size_t j = 0; j < sizeof(advice) / sizeof(advice[0]); j++)
			CHECK(RAW(SYS_madvise, at, 2 * PAGE, advice[j]) < 0);
	}
	/* A range that begins here and ends there. */
	CHECK_EQ(RAW(SYS_munmap, own, arena.end - own + PAGE), -EINVAL);
	CHECK_EQ(RAW(SYS_munmap, own, -PAGE), -EINVAL);
	CHECK_EQ(RAW(SYS_mprotect, own, arena.end - own + PAGE, RW), -ENOMEM);
	CHECK_EQ(RAW(SYS_mprotect, own, -own, RW), -ENOMEM);
	check_runtime();
	check_no_hole();
}

static void what_was_unmapped_is_gone(void)
{
	long at = RAW(SYS_mmap, 0, 3 * PAGE, RW, PRIVATE, -1, 0);
	int ends[2];

	find_arena();
	memset((void *)at, 'x', 3 * PAGE);
	CHECK_EQ(RAW(SYS_munmap, at + PAGE, PAGE), 0);
	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(RAW(SYS_write, ends[1], at + PAGE, 1), -EFAULT);
	CHECK_EQ(RAW(SYS_mprotect, at + PAGE, PAGE, RW), -ENOMEM);
	CHECK_EQ(RAW(SYS_write, ends[1], at, 1), 1);
	check_no_hole();
}

/* ---- Holes ---------------------------------------------------------------- */

/* mremap() unmaps the tail of what it then refuses to move, since that is two mappings. */
static void a_move_that_fails_leaves_no_hole(void)
{
	long from = RAW(SYS_mmap, 0, 4 * PAGE, RW, PRIVATE, -1, 0);
	long to = RAW(SYS_mmap, 0, 4 * PAGE, RW, PRIVATE, -1, 0);

	find_arena();
	CHECK_EQ(RAW(SYS_mprotect, from, PAGE, PROT_READ), 0);
	CHECK(IS_ERROR(
		RAW(SYS_mremap, from, 4 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to)));
	check_no_hole();
	CHECK(IS_ERROR(RAW(SYS_mremap, from, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, 0)));
	check_no_hole();
}

/* Since 6.17 it also moves several mappings, until it comes to one that it does not. */
static void a_move_that_fails_half_way_leaves_no_hole(void)
{
	int zero = open("/dev/zero", O_RDWR);
	long bytes = (16l << 20) + PAGE, from, to, now;

	find_arena();
	from = arena.start + (1l << 30);
	to = from + (64l << 20);
	CHECK_EQ(RAW(SYS_mmap, from, bytes - PAGE, RW, PRIVATE | MAP_FIXED, -1, 0), from);
	CHECK_EQ(RAW(SYS_mmap, from + bytes - PAGE, PAGE, RW, MAP_PRIVATE | MAP_FIXED, zero, 0),
		 from + bytes - PAGE);
	*(int *)from = 0x5eed;
	CHECK(IS_ERROR(RAW(SYS_mremap, from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to)));
	check_no_hole();
	/* The kernel and the sandbox agree on where it is now. */
	now = RAW(SYS_mprotect, to, PAGE, RW) ? from : to;
	CHECK_EQ(RAW(SYS_mprotect, now, bytes - PAGE, RW), 0);
	CHECK_EQ(*(int *)now, 0x5eed);
}

/* A file of huge pages, inherited: the kernel unmaps whole huge pages before it maps, or does not. */
static void a_file_of_huge_pages_leaves_no_hole(void)
{
	find_arena();
	CHECK_EQ(RAW(SYS_memfd_create, "huge", MFD_HUGETLB), -ENOSYS);
	for (int i = 0; i < NR_HUGE_FILES; i++) {
		uint64_t at = arena.start + (1ul << 30);

		if (fcntl(FIRST_HUGE_FILE + i, F_GETFD) < 0)
			continue; /* the kernel has no pages of this size */
		CHECK_EQ(RAW(SYS_mmap, at, PAGE, RW, MAP_SHARED | MAP_FIXED, FIRST_HUGE_FILE + i,
			     0),
			 -ENOMEM);
		CHECK_EQ(RAW(SYS_mmap, at, PAGE, RW, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
			     FIRST_HUGE_FILE + i, 0),
			 -ENOMEM);
		check_no_hole();
	}
}

/* Anything, in any order, in 64 pages. */
static void no_sequence_of_calls_leaves_a_hole(void)
{
	const int protections[] = { PROT_NONE, PROT_READ, RW, PROT_READ | PROT_EXEC };
	struct random random = { 1 };
	long base = RAW(SYS_mmap, 0, 80 * PAGE, RW, PRIVATE, -1, 0);

	find_arena();
	for (int round = 0; round < 3000; round++) {
		long at = base + random_below(&random, 64) * PAGE;
		long bytes = (1 + random_below(&random, 8)) * PAGE;
		long to = base + random_below(&random, 64) * PAGE;
		long more = (1 + random_below(&random, 8)) * PAGE;
		int prot = protections[random_below(&random, 4)];

		switch (random_below(&random, 6)) {
		case 0:
			RAW(SYS_mmap, at, bytes, prot, PRIVATE | MAP_FIXED, -1, 0);
			break;
		case 1:
			RAW(SYS_munmap, at, bytes);
			break;
		case 2:
			RAW(SYS_mprotect, at, bytes, prot);
			break;
		case 3:
			RAW(SYS_mremap, at, bytes, more, MREMAP_MAYMOVE | MREMAP_FIXED, to);
			break;
		case 4:
			RAW(SYS_mremap, at, bytes, more, random_below(&random, 2), 0);
			break;
		case 5:
			RAW(SYS_mmap, at, bytes, prot, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
			    0);
			break;
		}
		if (round % 50 == 0)
			check_no_hole();
	}
	check_no_hole();
	check_runtime();
}

/* Outside: for the programs that are run. */
static void open_huge_files(void)
{
	const unsigned sizes[NR_HUGE_FILES] = { MAP_HUGE_2MB, MAP_HUGE_1GB };

	for (int i = 0; i < NR_HUGE_FILES; i++) {
		int fd = memfd_create("huge", MFD_HUGETLB | sizes[i]);

		if (fd < 0)
			continue;
		dup2(fd, FIRST_HUGE_FILE + i);
		close(fd);
	}
}

static const struct inside_case cases[] = {
	inside_case(brk_grows_and_shrinks),
	inside_case(mmap_lies_in_the_arena),
	inside_case(fixed_mappings_over_the_runtime),
	inside_case(calls_on_the_runtime),
	inside_case(what_was_unmapped_is_gone),
	inside_case(a_move_that_fails_leaves_no_hole),
	inside_case(a_move_that_fails_half_way_leaves_no_hole),
	inside_case(a_file_of_huge_pages_leaves_no_hole),
	inside_case(no_sequence_of_calls_leaves_a_hole),
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		inside_test(brk_grows_and_shrinks),
		inside_test(mmap_lies_in_the_arena),
		inside_test(fixed_mappings_over_the_runtime),
		inside_test(calls_on_the_runtime),
		inside_test(what_was_unmapped_is_gone),
		inside_test(a_move_that_fails_leaves_no_hole),
		inside_test(a_move_that_fails_half_way_leaves_no_hole),
		inside_test(a_file_of_huge_pages_leaves_no_hole),
		inside_test(no_sequence_of_calls_leaves_a_hole),
	};

	inside_main(argc, argv, cases);
	open_huge_files();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
