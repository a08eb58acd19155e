// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault of the guest that races with a change of what it faults on ends with what the
 * host has after the change, never with what it had before. With two CPUs, and as likely
 * as it happens to be: tests/mutants/windows makes it likely.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define TILE_BYTES (1ul << DUNE_TILE_SHIFT)

static struct raw raw;
static volatile uint64_t runs, seen;
static volatile int stop;

/* The guest reads the page, again and again. */
static void *run_guest(void *unused)
{
	harness_run_on(0, 1);
	while (!stop) {
		if (raw_run(&raw) == DUNE_EXIT_HYPERCALL)
			seen = raw.run->gpr[DUNE_RAX];
		__atomic_add_fetch(&runs, 1, __ATOMIC_RELEASE);
	}
	return unused;
}

/* The second run from now on began after whatever was done before. */
static void wait_for_runs(void)
{
	uint64_t before = runs;

	while (runs - before < 3)
		sched_yield();
}

static pthread_t start_guest(uint64_t gva)
{
	pthread_t runner;

	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	harness_run_on(0, 0);
	raw_create(&raw);
	raw_load(&raw, raw_read, gva, 0);
	CHECK_EQ(pthread_create(&runner, NULL, run_guest, NULL), 0);
	return runner;
}

static void stop_guest(pthread_t runner)
{
	stop = 1;
	CHECK_EQ(pthread_join(runner, NULL), 0);
}

static void pause_for(unsigned turns)
{
	for (volatile unsigned i = 0; i < turns; i++)
		;
}

/* Another page, with another value, in the place of the one there. */
static void replace(uint64_t value)
{
	uint64_t *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK((void *)page != MAP_FAILED);
	*page = value;
	CHECK(mremap(page, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, raw.memory + RAW_DATA) ==
	      raw.memory + RAW_DATA);
}

static void with_a_page_that_is_replaced(void)
{
	pthread_t runner = start_guest(RAW_DATA);
	uint64_t value = 0;

	for (unsigned i = 0; i < 100; i++) {
		/* The first makes the guest fault, the second comes at any moment of that. */
		replace(++value);
		pause_for(i % 20 * 500);
		replace(++value);
		wait_for_runs();
		CHECK_EQ(seen, value);
	}
	stop_guest(runner);
}

/* The other way round: a tile goes while the guest faults on what it shows. */
static void with_a_tile_that_is_cleared(void)
{
	struct dune_tile tile = { .tile = 1 };
	uint64_t *pieces[2], *pd;
	pthread_t runner;

	for (int i = 0; i < 2; i++) {
		pieces[i] = mmap((void *)((3ul + i) << 40), 4096, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		CHECK((void *)pieces[i] != MAP_FAILED);
		*pieces[i] = i + 1;
	}
	runner = start_guest(2 << 20);
	pd = (uint64_t *)(raw.memory + RAW_PD);
	pd[1] = TILE_BYTES | 0x87;
	CHECK_OK(ioctl(raw.device, DUNE_FLUSH_TLB, 0));
	for (unsigned i = 0; i < 100; i++) {
		tile.flags = 0;
		tile.hva = (uintptr_t)pieces[i % 2];
		CHECK_OK(ioctl(raw.device, DUNE_SET_TILE, &tile));
		pause_for(i % 20 * 500);
		tile.flags = DUNE_TILE_CLEAR;
		tile.hva = 0;
		CHECK_OK(ioctl(raw.device, DUNE_SET_TILE, &tile));
		seen = 0;
		wait_for_runs();
		seen = 0;
		wait_for_runs();
		CHECK_EQ(seen, 0); /* nothing is there */
	}
	stop_guest(runner);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(with_a_page_that_is_replaced, 60),
		guest_test_limit(with_a_tile_that_is_cleared, 60),
	};

	return run_guest_tests(tests);
}
