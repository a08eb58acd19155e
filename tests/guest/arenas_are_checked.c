// SPDX-License-Identifier: GPL-2.0-only
/*
 * An arena is given out only where one can be, and never over what ring 0 lives on;
 * the copies between the rings take nothing from outside one and give nothing there.
 */
#include "guest.h"

#include <dune.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define SOMEWHERE  0x100000000000ul
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

/* ---- Ring 3: what dune_ring3_call() says that a read there ends with ---- */

/* mov (%rdi), %rax; ret */
static const char load[] = "\x48\x8b\x07\xc3";

static int ring3_read(const void *address)
{
	struct dune_ring3_end end = { 0 };
	uint64_t value;
	int result = dune_ring3_call(ring3_at(load), ring3_stack_top(), (uint64_t)address, 0, 0,
				     &value, &end);

	if (result)
		CHECK_EQ(end.vector, 14);
	return result;
}

/* More than the CPU has tiles for. */
static size_t too_much(void)
{
	struct dune_info info;

	CHECK_EQ(dune_get_info(&info), 0);
	TEST_REQUIRE(info.nr_tiles <= 4096, "the CPU has too many tiles");
	return (info.nr_tiles + 64) * DUNE_ARENA_BYTES;
}

static void *map_somewhere(size_t bytes)
{
	void *at = (void *)SOMEWHERE;

	CHECK(mmap(at, bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) == at);
	CHECK_OK(madvise(at, bytes, MADV_NOHUGEPAGE));
	return at;
}

static void check_closed(void *address)
{
	*(volatile char *)address = 5;
	CHECK(!dune_arena_contains((uintptr_t)address, 1));
	CHECK_EQ(ring3_read((void *)ring3_data()), 0);
	CHECK_EQ(ring3_read(address), -EFAULT);
}

static void one_that_failed_is_closed(void)
{
	enter_dune();
	ring3_place(load, load + sizeof(load));
	CHECK_EQ(create(SOMEWHERE, too_much(), 0), -ENOMEM);
	check_closed(map_somewhere(PAGE_BYTES));
}

static void what_was_there_stays_closed(void)
{
	char *memory;

	enter_dune();
	ring3_place(load, load + sizeof(load));
	memory = map_somewhere(too_much());
	memory[0] = memory[3 * DUNE_ARENA_BYTES] = 1;
	CHECK_EQ(create(SOMEWHERE, too_much(), DUNE_ARENA_KEEP), -ENOMEM);
	check_closed(memory);
	check_closed(memory + 3 * DUNE_ARENA_BYTES);
	check_closed(memory + 5 * DUNE_ARENA_BYTES);
}

static void one_that_failed_keeps_no_tiles(void)
{
	char *memory;

	enter_dune();
	CHECK_EQ(create(SOMEWHERE, too_much(), 0), -ENOMEM);
	memory = map_somewhere(too_much());
	for (size_t at = 0; at < too_much(); at += DUNE_ARENA_BYTES)
		memory[at] = 1;
}

/* ---- Finer rights of what was there before ---- */

static void rights_of_old_end_at_an_address(void)
{
	char *page;

	enter_dune();
	ring3_place(load, load + sizeof(load));
	page = map_somewhere(PAGE_BYTES);
	CHECK_EQ(dune_protect(page, PAGE_BYTES, 0), 0);
	CHECK_OK(munmap(page, PAGE_BYTES));
	CHECK_EQ(create(SOMEWHERE, DUNE_ARENA_BYTES, 0), 0);
	CHECK_OK(mprotect(page, 2 * PAGE_BYTES, PROT_READ));
	CHECK_EQ(ring3_read(page), 0);
	CHECK_EQ(ring3_read(page + PAGE_BYTES), 0);
}

/* The library chooses where something had been just before. */
static void rights_of_old_end_anywhere(void)
{
	enum { NR = 4 };
	char *memory, *arena;

	enter_dune();
	ring3_place(load, load + sizeof(load));
	memory = mmap(NULL, NR * DUNE_ARENA_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(memory != MAP_FAILED);
	for (int i = 0; i < NR; i++)
		CHECK_EQ(dune_protect(memory + i * DUNE_ARENA_BYTES, PAGE_BYTES, DUNE_PROT_READ),
			 0);
	CHECK_OK(munmap(memory, NR * DUNE_ARENA_BYTES));
	arena = make_arena();
	CHECK(arena >= memory && arena < memory + NR * DUNE_ARENA_BYTES);
	for (size_t at = 0; at < DUNE_ARENA_BYTES; at += DUNE_ARENA_BYTES / 64) {
		CHECK_OK(mprotect(arena + at, PAGE_BYTES, PROT_READ));
		CHECK_EQ(ring3_read(arena + at), 0);
	}
}

/* ---- Two threads ---- */

static atomic_int nr_ready, nr_made;

static void *make_the_last(void *unused)
{
	atomic_fetch_add(&nr_ready, 1);
	while (atomic_load(&nr_ready) < 2)
		;
	if (!create(0, 16 * DUNE_ARENA_BYTES, 0))
		atomic_fetch_add(&nr_made, 1);
	return unused;
}

static void two_threads_do_not_get_the_same(void)
{
	pthread_t thread;

	enter_dune();
	for (int i = 0; i < MAX_ARENAS - 1; i++)
		CHECK_EQ(create(0, DUNE_ARENA_BYTES, 0), 0);
	CHECK_EQ(pthread_create(&thread, NULL, make_the_last, NULL), 0);
	make_the_last(NULL);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(nr_made, 1);
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
		guest_test(one_that_failed_is_closed),
		guest_test(what_was_there_stays_closed),
		guest_test(one_that_failed_keeps_no_tiles),
		guest_test(rights_of_old_end_at_an_address),
		guest_test(rights_of_old_end_anywhere),
		guest_test(two_threads_do_not_get_the_same),
		guest_test(what_an_arena_contains),
		guest_test(copies_stay_inside),
		guest_test(copies_that_fault_say_so),
	};

	return run_guest_tests(tests);
}
