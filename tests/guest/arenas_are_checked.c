// SPDX-License-Identifier: GPL-2.0-only
/*
 * An arena is given out only where one can be, and never over what ring 0 lives on;
 * the copies between the rings take nothing from outside one and give nothing there.
 */
#include "guest.h"

#include <dune.h>
#include <sys/mman.h>

#define LAST_GIB   0x7fffc0000000ul
#define MAX_ARENAS 64

static int create(uintptr_t start, size_t bytes, unsigned flags)
{
	void *arena;

	return dune_arena_create(start, bytes, flags, &arena);
}

static uintptr_t piece_of(const void *address)
{
	return (uintptr_t)address & -DUNE_ARENA_BYTES;
}

static char *make_arena(void)
{
	void *arena;

	CHECK_EQ(dune_arena_create(0, DUNE_ARENA_BYTES, 0, &arena), 0);
	return arena;
}

static void before_init(void)
{
	CHECK_EQ(create(0, DUNE_ARENA_BYTES, 0), -EINVAL);
}

static void what_is_no_arena(void)
{
	enter_dune();
	CHECK_EQ(create(0, 0, 0), -EINVAL);
	CHECK_EQ(create(0, PAGE_BYTES, 0), -EINVAL);
	CHECK_EQ(create(0, DUNE_ARENA_BYTES + 1, 0), -EINVAL);
	CHECK_EQ(create(PAGE_BYTES, DUNE_ARENA_BYTES, 0), -EINVAL);
	CHECK_EQ(create(0, DUNE_ARENA_BYTES, 2), -EINVAL);
	CHECK_EQ(create(LAST_GIB, 2 * DUNE_ARENA_BYTES, DUNE_ARENA_KEEP), -EINVAL);
	CHECK_EQ(create(1ul << 47, DUNE_ARENA_BYTES, DUNE_ARENA_KEEP), -EINVAL);
	CHECK_EQ(create(-DUNE_ARENA_BYTES, 2 * DUNE_ARENA_BYTES, DUNE_ARENA_KEEP), -EINVAL);
	CHECK_EQ(create(0, -DUNE_ARENA_BYTES, 0), -EINVAL);
	CHECK_EQ(create(0, 1ul << 47, 0), -ENOMEM);
}

static void what_ring_0_lives_on(void)
{
	int on_the_stack;
	char *page = map_pages(1, PROT_READ | PROT_WRITE);
	char *arena;

	enter_dune();
	arena = make_arena();
	*page = 7;
	CHECK_EQ(create(piece_of(&on_the_stack), DUNE_ARENA_BYTES, DUNE_ARENA_KEEP), -EEXIST);
	CHECK_EQ(create(piece_of(what_ring_0_lives_on), DUNE_ARENA_BYTES, DUNE_ARENA_KEEP),
		 -EEXIST);
	CHECK_EQ(create(piece_of(dune_arena_create), DUNE_ARENA_BYTES, DUNE_ARENA_KEEP), -EEXIST);
	CHECK_EQ(create(piece_of(page), DUNE_ARENA_BYTES, 0), -EEXIST);
	CHECK_EQ(create((uintptr_t)arena, DUNE_ARENA_BYTES, 0), -EEXIST);
	CHECK_EQ(create((uintptr_t)arena, DUNE_ARENA_BYTES, DUNE_ARENA_KEEP), -EEXIST);
	CHECK(!dune_arena_contains((uintptr_t)page, 1));
	CHECK_EQ(*page, 7);
}

static void no_more_than_there_is_room_for(void)
{
	int nr = 0, result;

	enter_dune();
	while (!(result = create(0, DUNE_ARENA_BYTES, 0)))
		nr++;
	CHECK_EQ(result, -ENOMEM);
	CHECK_EQ(nr, MAX_ARENAS);
}

static void what_an_arena_contains(void)
{
	uint64_t arena;

	enter_dune();
	arena = (uint64_t)make_arena();
	CHECK(dune_arena_contains(arena, DUNE_ARENA_BYTES));
	CHECK(dune_arena_contains(arena + DUNE_ARENA_BYTES, 0));
	CHECK(!dune_arena_contains(arena - 1, 1));
	CHECK(!dune_arena_contains(arena - 1, 2));
	CHECK(!dune_arena_contains(arena + DUNE_ARENA_BYTES, 1));
	CHECK(!dune_arena_contains(arena, DUNE_ARENA_BYTES + 1));
	CHECK(!dune_arena_contains(arena, UINT64_MAX));
	CHECK(!dune_arena_contains(UINT64_MAX, 2));
	CHECK(!dune_arena_contains(0, 0));
}

static void copies_stay_inside(void)
{
	char *arena, *end;
	uint64_t value = 0x1122334455667788, back = 0;

	enter_dune();
	arena = make_arena();
	end = arena + DUNE_ARENA_BYTES;
	CHECK_OK(mprotect(arena, PAGE_BYTES, PROT_READ | PROT_WRITE));
	CHECK_OK(mprotect(end - PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE));
	CHECK_EQ(dune_copy_to_user((uintptr_t)arena, &value, 8), 0);
	CHECK_EQ(dune_copy_from_user(&back, (uintptr_t)arena, 8), 0);
	CHECK_EQ(back, value);

	back = 0;
	CHECK_EQ(dune_copy_to_user((uintptr_t)end - 4, &value, 8), -EFAULT);
	CHECK_EQ(dune_copy_from_user(&back, (uintptr_t)end - 4, 8), -EFAULT);
	CHECK_EQ(dune_copy_from_user(&back, (uintptr_t)arena - 4, 8), -EFAULT);
	CHECK_EQ(dune_copy_to_user((uintptr_t)&back, &value, 8), -EFAULT);
	CHECK_EQ(dune_copy_from_user(&back, (uintptr_t)&value, 8), -EFAULT);
	CHECK_EQ(dune_copy_from_user(&back, (uintptr_t)arena, SIZE_MAX), -EFAULT);
	CHECK_EQ(back, 0);
	CHECK_EQ(dune_copy_from_user(&back, (uintptr_t)end - 4, 4), 0);
	CHECK_EQ(back, 0); /* nor was the half that would have fitted written */
}

static void copies_that_fault_say_so(void)
{
	char *arena, *outside = map_pages(2, PROT_READ | PROT_WRITE);

	enter_dune();
	arena = make_arena();
	CHECK_OK(munmap(outside + PAGE_BYTES, PAGE_BYTES));
	CHECK_EQ(dune_copy_to_user((uintptr_t)arena, outside, 8), -EFAULT);
	CHECK_EQ(dune_copy_from_user(outside, (uintptr_t)arena, 8), -EFAULT);
	CHECK_OK(mprotect(arena, PAGE_BYTES, PROT_READ));
	CHECK_EQ(dune_copy_to_user((uintptr_t)arena, outside, 8), -EFAULT);
	CHECK_EQ(dune_copy_from_user(outside, (uintptr_t)arena, 8), 0);
	CHECK_EQ(dune_copy_from_user(outside, (uintptr_t)arena + PAGE_BYTES - 8, 16), -EFAULT);
	CHECK_EQ(dune_copy_from_user(outside + PAGE_BYTES - 8, (uintptr_t)arena, 16), -EFAULT);
	CHECK_EQ(dune_copy_from_user(outside, (uintptr_t)arena, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(before_init),
		guest_test(what_is_no_arena),
		guest_test(what_ring_0_lives_on),
		guest_test(no_more_than_there_is_room_for),
		guest_test(what_an_arena_contains),
		guest_test(copies_stay_inside),
		guest_test(copies_that_fault_say_so),
	};

	return run_guest_tests(tests);
}
