// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program finds on its stack and in its auxiliary vector what it would find after execve(), however
 * it was linked. The program, programs/start.c, checks addresses; here is compared what it prints.
 */
#include "sandboxed.h"

static const char *const kinds[] = { "start_static", "start_static_pie", "start_dynamic",
				     "start_dynamic_pie" };
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void vectors_are_as_outside(void **state)
{
	(void)state;
	setenv("A_VARIABLE", "with a value", 1);
	setenv("EMPTY", "", 1);
	for (size_t i = 0; i < NR_KINDS; i++)
		CHECK_SAME(program_path(kinds[i]), "one", "", "three words here");
	unsetenv("A_VARIABLE");
	unsetenv("EMPTY");
}

static void large_vectors_fit(void **state)
{
	static char word[60000];

	(void)state;
	memset(word, 'w', sizeof(word) - 1);
	setenv("LARGE", word, 1);
	for (size_t i = 0; i < NR_KINDS; i++)
		CHECK_SAME(program_path(kinds[i]), word, word, word);
	unsetenv("LARGE");
}

/* Two runs with this variable set, which makes the program print what should differ. */
static void check_differs(const char *variable)
{
	setenv(variable, "1", 1);
	for (size_t i = 0; i < NR_KINDS; i++) {
		struct outcome first, second;

		RUN_SANDBOXED(&first, program_path(kinds[i]));
		RUN_SANDBOXED(&second, program_path(kinds[i]));
		check_status(&first, 0);
		check_status(&second, 0);
		assert_string_not_equal(first.out, second.out);
		outcome_free(&first);
		outcome_free(&second);
	}
	unsetenv(variable);
}

static void random_bytes_are_random(void **state)
{
	(void)state;
	check_differs("SHOW_RANDOM");
}

static void addresses_are_random(void **state)
{
	(void)state;
	check_differs("SHOW_PLACES");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_are_as_outside),
		cmocka_unit_test(large_vectors_fit),
		cmocka_unit_test(random_bytes_are_random),
		cmocka_unit_test(addresses_are_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
