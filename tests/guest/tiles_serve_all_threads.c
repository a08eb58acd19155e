// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that touch the same new piece of 1 GiB at the same moment all get it, and so they
 * do where there are more pieces than tiles, and one is taken back for each that comes.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { NR_THREADS = 3, NR_NEW = 400, NR_TURNS = 3000, NR_MORE = 64 };
#define FIRST_PIECE 0x100000000000ull
#define PIECE_BYTES (1ull << 30)

static unsigned nr_pieces;
static atomic_uint nr_arrived;

/* The one page of the piece that is mapped; not at the same place in all of them. */
static volatile unsigned *page_of(unsigned piece)
{
	return (unsigned *)(FIRST_PIECE + piece * PIECE_BYTES + piece % 1000 * PAGE_BYTES);
}

static void map_pieces(unsigned nr)
{
	nr_pieces = nr;
	for (unsigned piece = 0; piece < nr; piece++) {
		void *page = (void *)page_of(piece);

		CHECK(mmap(page, PAGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == page);
	}
}

static void run_threads(void *(*function)(void *number))
{
	pthread_t threads[NR_THREADS];

	for (intptr_t i = 0; i < NR_THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, function, (void *)i), 0);
	for (int i = 0; i < NR_THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void wait_for_all(unsigned turn)
{
	atomic_fetch_add(&nr_arrived, 1);
	while (atomic_load(&nr_arrived) < (turn + 1) * NR_THREADS)
		sched_yield();
}

static void *touch_together(void *number)
{
	intptr_t own = (intptr_t)number;

	for (unsigned piece = 0; piece < nr_pieces; piece++) {
		wait_for_all(piece);
		page_of(piece)[own] = piece + own;
	}
	for (unsigned piece = 0; piece < nr_pieces; piece++)
		CHECK_EQ(page_of(piece)[own], piece + own);
	return NULL;
}

static void at_the_same_moment(void)
{
	map_pieces(NR_NEW);
	enter_dune();
	run_threads(touch_together);
}

static void *touch_at_random(void *number)
{
	unsigned own = (intptr_t)number, seed = own;

	for (unsigned turn = 0; turn < NR_TURNS; turn++) {
		unsigned piece = rand_r(&seed) % nr_pieces;

		page_of(piece)[own]++;
		CHECK_EQ(page_of(piece)[NR_THREADS], piece);
	}
	return NULL;
}

static void more_than_there_are_tiles(void)
{
	struct dune_info info;
	unsigned long sum = 0;

	CHECK_EQ(dune_init(), 0);
	CHECK_EQ(dune_get_info(&info), 0);
	TEST_REQUIRE(info.nr_tiles <= 4096, "the CPU has too many tiles");
	map_pieces(info.nr_tiles + NR_MORE);
	CHECK_EQ(dune_enter(), 0);
	for (unsigned piece = 0; piece < nr_pieces; piece++)
		page_of(piece)[NR_THREADS] = piece;
	run_threads(touch_at_random);
	for (unsigned piece = 0; piece < nr_pieces; piece++)
		for (unsigned i = 0; i < NR_THREADS; i++)
			sum += page_of(piece)[i];
	CHECK_EQ(sum, NR_THREADS * NR_TURNS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(at_the_same_moment),
		guest_test(more_than_there_are_tiles),
	};

	return run_guest_tests(tests);
}
