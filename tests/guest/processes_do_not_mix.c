// SPDX-License-Identifier: GPL-2.0-only
/* Several processes in Dune at once, on one CPU or two, each with its own all. */
#define _GNU_SOURCE
#include "guest.h"

#include <sched.h>
#include <sys/mman.h>

enum { NR_PROCESSES = 4, NR_PAGES = 32 };

/* The same addresses in all of them, with other contents. */
static void own_memory(char *pages, int number, int turns)
{
	for (int turn = 0; turn < turns; turn++) {
		for (int i = 0; i < NR_PAGES; i++)
			pages[i * PAGE_BYTES] = number + turn + i;
		if (turn % 4 == 0)
			sched_yield();
		for (volatile int spin = 0; spin < 500; spin++)
			;
		for (int i = 0; i < NR_PAGES; i++)
			CHECK_EQ(pages[i * PAGE_BYTES], (char)(number + turn + i));
	}
}

static void run_processes(int enter_first, int turns)
{
	pid_t children[NR_PROCESSES];
	char *pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);

	memset(pages, 1, NR_PAGES * PAGE_BYTES);
	if (enter_first)
		enter_dune();
	for (int i = 0; i < NR_PROCESSES; i++) {
		children[i] = harness_fork();
		if (children[i])
			continue;
		if (!enter_first)
			enter_dune();
		CHECK_EQ(current_ring(), 0);
		own_memory(pages, i * 50, turns);
		_exit(i);
	}
	own_memory(pages, 17, turns);
	for (int i = 0; i < NR_PROCESSES; i++)
		CHECK_EQ(harness_wait(children[i]), i);
}

static void that_enter_by_themselves(void)
{
	run_processes(0, 200);
}

static void that_are_forked_inside(void)
{
	run_processes(1, 200);
}

/* Moves while it works: the VMCS and the TLB's contents must follow. */
static void that_change_cpus(void)
{
	pid_t children[NR_PROCESSES];
	char *pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);

	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	enter_dune();
	for (int i = 0; i < NR_PROCESSES; i++) {
		children[i] = harness_fork();
		if (children[i])
			continue;
		for (int turn = 0; turn < 30; turn++) {
			harness_run_on(0, (turn + i) % 2);
			own_memory(pages, i * 50 + turn, 3);
			CHECK_EQ(sched_getcpu(), (turn + i) % 2);
		}
		_exit(0);
	}
	for (int i = 0; i < NR_PROCESSES; i++)
		JOIN(children[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(that_enter_by_themselves, 60),
		guest_test_limit(that_are_forked_inside, 60),
		guest_test_limit(that_change_cpus, 60),
	};

	return run_guest_tests(tests);
}
