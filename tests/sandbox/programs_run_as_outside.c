// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmodified programs give the same output, byte for byte, and the same exit status in the sandbox
 * as outside: static and dynamic ones, position-independent or not, small and large.
 */
#include "sandboxed.h"

#include <signal.h>

static void static_program(void **state)
{
	(void)state;
	CHECK_SAME("/bin/busybox", "echo", "one", "two  three");
	CHECK_SAME("/bin/busybox", "ls", "-l", "/etc");
	CHECK_SAME("/bin/busybox", "seq", "1", "2000");
}

static void dynamic_program(void **state)
{
	(void)state;
	CHECK_SAME("/bin/ls", "-l", "/etc");
	CHECK_SAME("/bin/ls", "-laR", "/etc", "/usr/share");
	CHECK_SAME("/usr/bin/id");
	CHECK_SAME("/usr/bin/env");
}

static void each_kind_of_linking(void **state)
{
	const char *const kinds[] = { "start_static", "start_static_pie", "start_dynamic",
				      "start_dynamic_pie" };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		CHECK_SAME(program_path(kinds[i]), "an argument", "");
}

static void names_are_looked_up(void **state)
{
	(void)state;
	CHECK_SAME("uname", "-a");
	CHECK_SAME("expr", "6", "*", "7");
}

static void standard_input_is_read(void **state)
{
	static char text[100000];

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = i % 71 == 70 ? '\n' : 'a' + i * 7 % 26;
	check_same(text, (const char *const[]){ "/usr/bin/sort", NULL });
	check_same(text, (const char *const[]){ "/bin/busybox", "wc", NULL });
	check_same(text, (const char *const[]){ "/bin/grep", "-n", "abc", NULL });
}

static void large_file_has_its_checksum(void **state)
{
	(void)state;
	CHECK_SAME("/usr/bin/sha256sum", "/data/ten-megabytes");
	CHECK_SAME("/bin/busybox", "md5sum", "/data/ten-megabytes");
}

static void large_program(void **state)
{
	(void)state;
	CHECK_SAME("/usr/bin/python3", "-c",
		   "import sys; print(sum(i * i for i in range(20000)), sys.argv)", "x");
}

static void errors_are_reported(void **state)
{
	(void)state;
	CHECK_SAME("/bin/ls", "/nonexistent");
	CHECK_SAME("/bin/cat", "/etc", "/etc/passwd");
}

static void exit_status_is_passed_on(void **state)
{
	(void)state;
	for (int status = 0; status < 256; status += 51) {
		char command[32];

		snprintf(command, sizeof(command), "exit %d", status);
		CHECK_SAME("/bin/busybox", "sh", "-c", command);
	}
	CHECK_SAME("/bin/true");
	CHECK_SAME("/bin/false");
}

static void death_by_signal_is_passed_on(void **state)
{
	const int signals[] = { SIGTERM, SIGKILL, SIGABRT, SIGUSR1, SIGALRM };

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct outcome outcome;
		char command[32];

		snprintf(command, sizeof(command), "kill -%d $$", signals[i]);
		RUN_SANDBOXED(&outcome, "/bin/busybox", "sh", "-c", command);
		assert_int_equal(outcome.signal, signals[i]);
		outcome_free(&outcome);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(static_program),
		cmocka_unit_test(dynamic_program),
		cmocka_unit_test(each_kind_of_linking),
		cmocka_unit_test(names_are_looked_up),
		cmocka_unit_test(standard_input_is_read),
		cmocka_unit_test(large_file_has_its_checksum),
		cmocka_unit_test(large_program),
		cmocka_unit_test(errors_are_reported),
		cmocka_unit_test(exit_status_is_passed_on),
		cmocka_unit_test(death_by_signal_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
