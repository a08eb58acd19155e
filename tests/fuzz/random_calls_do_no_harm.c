// SPDX-License-Identifier: GPL-2.0-only
/*
 * A root process that calls the device at random gets the documented answers,
 * keeps its own state, and leaves nothing behind. What is drawn is in calls.c.
 *
 *   random_calls_do_no_harm                                as a test: fixed seeds
 *   random_calls_do_no_harm --seed N --steps N --threads N as long as one likes
 *   … --any-code    guests may clear IF, too: not in Bochs, see docs/testing.md
 *
 * One thread with one seed does the same each time, but for when its guests are
 * interrupted.
 */
#define _GNU_SOURCE
#include "fuzzer.h"
#include "leaks.h"

#include <getopt.h>

enum { ROUNDS = 5, KEPT_BYTES = 8192, FOR_EVER = 10000000 };

/* ---- Fixed seeds ------------------------------------------------------------------- */

static void one_thread_gets_documented_answers(void)
{
	world_run(1, 12000, 1, false);
}

static void another_seed(void)
{
	world_run(20261121, 6000, 1, false);
}

static void threads_can_race(void)
{
	world_run(3, 2500, 4, false);
}

/* ---- Leaks ----------------------------------------------------------------------------- */

static void run_round(unsigned round)
{
	pid_t child = harness_fork();
	int code;

	if (!child) {
		leaks_count_me();
		world_run(100 + round, 500, 1 + round % 2, false);
		_exit(0);
	}
	code = harness_wait(child);
	if (code)
		FAIL("round %u ended with %d", round, code);
}

static void nothing_is_left_behind(void)
{
	long references = leaks_module_references(), first = 0, bytes = 0;

	TEST_REQUIRE(references >= 0, "dune is not a module here");
	leaks_begin();
	for (unsigned round = 0; round < ROUNDS; round++) {
		run_round(round);
		bytes = leaks_settled_bytes(first + KEPT_BYTES);
		if (!round)
			first = leaks_settled_bytes(0);
	}
	harness_note("after the first round the kernel kept %ld bytes, after the last %ld", first,
		     bytes);
	leaks_end();
	CHECK(bytes <= first + KEPT_BYTES);
	CHECK_EQ(leaks_module_references(), references);
}

/* ---- By hand ------------------------------------------------------------------------------ */

static struct {
	uint64_t seed, steps;
	unsigned threads;
	bool any_code;
} options = { 1, 100000, 1, false };

static void as_asked(void)
{
	world_run(options.seed, options.steps, options.threads, options.any_code);
}

static int run_by_hand(void)
{
	const struct CMUnitTest tests[] = { guest_test_limit(as_asked, FOR_EVER) };

	return run_guest_tests(tests);
}

static void read_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "steps", required_argument, NULL, 'n' },
		{ "threads", required_argument, NULL, 't' },
		{ "any-code", no_argument, NULL, 'a' },
		{ 0 },
	};
	int name;

	while ((name = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		if (name == 's')
			options.seed = strtoull(optarg, NULL, 0);
		else if (name == 'n')
			options.steps = strtoull(optarg, NULL, 0);
		else if (name == 't')
			options.threads = strtoul(optarg, NULL, 0);
		else if (name == 'a')
			options.any_code = true;
		else
			exit(64);
	}
	if (!options.threads || options.threads > NR_THREADS)
		exit(64);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(one_thread_gets_documented_answers, 120),
		guest_test_limit(another_seed, 120),
		guest_test_limit(threads_can_race, 120),
		guest_test_limit(nothing_is_left_behind, 120),
	};

	if (argc > 1) {
		read_options(argc, argv);
		return run_by_hand();
	}
	return run_guest_tests(tests);
}
