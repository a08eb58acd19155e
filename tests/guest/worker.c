// SPDX-License-Identifier: GPL-2.0-only
/* A process that computes inside; see worker.h. */
#define _GNU_SOURCE
#include "worker.h"
#include "guest.h"

#include <sys/mman.h>

enum { STEPS = 3000 };

struct state {
	uint64_t number;
	double sum;
};

/* General and vector registers, and two pages of memory. */
static void compute(struct state *state, volatile uint64_t *memory)
{
	for (int i = 0; i < STEPS; i++) {
		state->number = state->number * 6364136223846793005 + 1442695040888963407;
		memory[state->number >> 54] = state->number;
		state->sum += (double)(memory[state->number >> 54] >> 40);
	}
}

static bool same(const struct state *a, const struct state *b)
{
	return a->number == b->number && a->sum == b->sum;
}

bool worker_compute(unsigned nr_rounds)
{
	uint64_t *memory = map_pages(4, PROT_READ | PROT_WRITE);
	struct state first = { 1, 0 }, second = first;

	for (unsigned i = 0; i < nr_rounds; i++)
		compute(&first, memory);
	for (unsigned i = 0; i < nr_rounds; i++)
		compute(&second, memory + 1024);
	return same(&first, &second);
}

static _Noreturn void work(struct worker_page *page)
{
	uint64_t *memory = map_pages(4, PROT_READ | PROT_WRITE);
	struct state result = { 1, 0 }, again = result;
	uint64_t rounds;

	enter_dune();
	for (rounds = 0; !page->stop; rounds++) {
		compute(&result, memory);
		page->seen = page->word;
		page->rounds = rounds + 1;
	}
	for (uint64_t i = 0; i < rounds; i++)
		compute(&again, memory + 1024);
	CHECK(same(&result, &again));
	CHECK_EQ(current_ring(), 0);
	_exit(0);
}

struct worker worker_start(void)
{
	struct worker worker;

	worker.page =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(worker.page != MAP_FAILED);
	worker.pid = harness_fork();
	if (!worker.pid)
		work(worker.page);
	while (!worker.page->rounds)
		usleep(1000);
	return worker;
}

void worker_must_go_on(const struct worker *worker)
{
	uint64_t before = worker->page->rounds;

	for (int i = 0; i < 1000; i++) {
		if (worker->page->rounds > before + 1)
			return;
		usleep(1000);
	}
	FAIL("the worker stands still after %lu rounds", before);
}

void worker_must_stand_still(const struct worker *worker)
{
	uint64_t before = worker->page->rounds;

	usleep(30000);
	CHECK_EQ(worker->page->rounds, before);
}

void worker_finish(struct worker *worker)
{
	worker->page->stop = true;
	JOIN(worker->pid);
	munmap(worker->page, PAGE_BYTES);
}
