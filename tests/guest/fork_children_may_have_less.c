// SPDX-License-Identifier: GPL-2.0-only
/*
 * A child that is forked inside is inside whatever it has of its parent: where all of a piece of 1 GiB
 * was unmapped, or is not for children, or is the run page alone; and in a table of
 * descriptors that the two share.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { NR_PIECES = 4 };
#define FIRST_PIECE ((char *)0x100000000000)
#define PIECE_BYTES (1ul << 30)

static void map_at(char *at, size_t bytes)
{
	CHECK(mmap(at, bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) == at);
}

static void touch_pieces(char value)
{
	for (int i = 0; i < NR_PIECES; i++)
		FIRST_PIECE[i * PIECE_BYTES + i * PAGE_BYTES] = value;
}

static void child_is_inside(void (*look)(void))
{
	pid_t child = harness_fork();

	if (!child) {
		CHECK_EQ(current_ring(), 0);
		if (look)
			look();
		_exit(0);
	}
	JOIN(child);
}

static void map_and_touch(void)
{
	map_at(FIRST_PIECE, NR_PIECES * PIECE_BYTES);
	touch_pieces(2);
	for (int i = 0; i < NR_PIECES; i++)
		CHECK_EQ(FIRST_PIECE[i * PIECE_BYTES + i * PAGE_BYTES], 2);
}

static void pieces_that_are_gone(void)
{
	enter_dune();
	map_at(FIRST_PIECE, NR_PIECES * PIECE_BYTES);
	touch_pieces(1);
	CHECK_OK(munmap(FIRST_PIECE, NR_PIECES * PIECE_BYTES));
	child_is_inside(map_and_touch);
	map_and_touch();
}

static void with_finer_rights(void)
{
	enter_dune();
	map_at(FIRST_PIECE, NR_PIECES * PIECE_BYTES);
	touch_pieces(1);
	CHECK_EQ(dune_protect(FIRST_PIECE, PAGE_BYTES, DUNE_PROT_READ), 0);
	CHECK_OK(munmap(FIRST_PIECE, NR_PIECES * PIECE_BYTES));
	child_is_inside(map_and_touch);
}

static void find_nothing_and_map(void)
{
	probe_init();
	CHECK_EQ(probe_read(FIRST_PIECE), -1);
	CHECK_EQ(probe_fault.address, FIRST_PIECE);
	map_and_touch();
}

static void pieces_not_for_children(void)
{
	enter_dune();
	map_at(FIRST_PIECE, NR_PIECES * PIECE_BYTES);
	touch_pieces(1);
	CHECK_OK(madvise(FIRST_PIECE, NR_PIECES * PIECE_BYTES, MADV_DONTFORK));
	child_is_inside(find_nothing_and_map);
	CHECK_EQ(FIRST_PIECE[0], 1);
}

static void use_arena(void)
{
	map_at(FIRST_PIECE, 2 * PAGE_BYTES);
	CHECK_EQ(dune_protect(FIRST_PIECE, PAGE_BYTES, DUNE_PROT_READ), 0);
	CHECK(!(*dune_pte(FIRST_PIECE) & DUNE_PTE_USER));
	CHECK(*dune_pte(FIRST_PIECE + PAGE_BYTES) & DUNE_PTE_USER);
}

static void arena_not_for_children(void)
{
	enter_dune();
	CHECK_EQ(dune_arena_create((uintptr_t)FIRST_PIECE, DUNE_ARENA_BYTES, 0, NULL), 0);
	CHECK_OK(madvise(FIRST_PIECE, DUNE_ARENA_BYTES, MADV_DONTFORK));
	child_is_inside(use_arena);
}

/* ---- The run page ---- */

/* Fills what holes there are above, so that the next mapping lies below the last one. */
static char *fill_holes(void)
{
	char *lowest = mmap(NULL, PIECE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *page;

	for (size_t bytes = PIECE_BYTES / 2; bytes >= PAGE_BYTES; bytes /= 2)
		do
			page = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		while (page > lowest);
	CHECK(page != MAP_FAILED);
	return page;
}

/* Threads' areas are aligned to 1 MiB, what is above goes to the next one to ask: the run page. */
static void run_page_alone(void)
{
	char *end, *piece;

	CHECK_EQ(dune_init(), 0);
	end = fill_holes();
	piece = (char *)((uintptr_t)end & -PIECE_BYTES) - PIECE_BYTES;
	map_at(piece + (1 << 20), end - piece - (1 << 20));
	CHECK_EQ(dune_enter(), 0);
	CHECK_OK(munmap(piece + (1 << 20), PIECE_BYTES - (1 << 20)));
	CHECK_OK(msync(piece + (1 << 20) - PAGE_BYTES, PAGE_BYTES, MS_ASYNC));
	CHECK_ERRNO(msync(piece + (1 << 20) - 2 * PAGE_BYTES, PAGE_BYTES, MS_ASYNC), ENOMEM);
	child_is_inside(NULL);
	child_is_inside(NULL);
}

/* ---- Descriptors ---- */

static void descriptors_are_shared(void)
{
	pid_t child;

	enter_dune();
	for (int i = 0; i < 3; i++) {
		child = CHECK_OK(syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0));
		if (!child) {
			CHECK_EQ(current_ring(), 0);
			_exit(0);
		}
		CHECK_EQ(harness_wait(child), 0);
		CHECK_EQ(current_ring(), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(pieces_that_are_gone),    guest_test(with_finer_rights),
		guest_test(pieces_not_for_children), guest_test(arena_not_for_children),
		guest_test(run_page_alone),	     guest_test(descriptors_are_shared),
	};

	return run_guest_tests(tests);
}
