/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every test program of guest/ and attack/ is written with.
 *
 * Entering Dune is one-way and may go wrong badly, so each test runs in a child
 * process. The child says what it thinks with CHECK(), which reports over a pipe
 * and ends the child at once; only the parent talks to cmocka, which would jump
 * back into its runner and run the other tests a second time if a child did.
 * Next to read: guest.h for tests that enter Dune, attack/raw.h for those that
 * speak to the device themselves.
 */
#ifndef DUNE_TESTS_HARNESS_H
#define DUNE_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <cmocka.h>

/* One test: a function that runs in a child and returns if all is well. */
struct harness_case {
	void (*run)(void);
	unsigned seconds; /* then the child is killed: failed; on a fast kernel */
};

#define HARNESS_SECONDS 20

#define guest_test_limit(function, limit)                         \
	{                                                         \
		.name = #function, .test_func = harness_run_case, \
		.initial_state = &(struct harness_case)           \
		{                                                 \
			.run = function, .seconds = limit         \
		}                                                 \
	}
#define guest_test(function) guest_test_limit(function, HARNESS_SECONDS)

/* The whole of a test program's main(): `return run_guest_tests(tests)`. */
#define run_guest_tests(tests) \
	(harness_init(),       \
	 cmocka_run_group_tests_name(program_invocation_short_name, tests, NULL, NULL))

extern char *program_invocation_short_name;

void harness_init(void);
void harness_run_case(void **state);

/* ---- In the child, and in children and threads of it, inside or outside ---- */

#define CHECK(expression)                                                    \
	do {                                                                 \
		if (!(expression))                                           \
			harness_fail(__FILE__, __LINE__, "%s", #expression); \
	} while (0)

#define CHECK_EQ(actual, expected)                                                       \
	do {                                                                             \
		uint64_t harness_actual = (uint64_t)(actual);                            \
		uint64_t harness_expected = (uint64_t)(expected);                        \
		if (harness_actual != harness_expected)                                  \
			harness_fail_values(__FILE__, __LINE__, #actual, harness_actual, \
					    #expected, harness_expected);                \
	} while (0)

/* A system call that returns -1 and this errno. */
#define CHECK_ERRNO(call, error)                                                       \
	do {                                                                           \
		errno = 0;                                                             \
		long harness_result = (long)(call);                                    \
		if (harness_result != -1 || errno != (error))                          \
			harness_fail(__FILE__, __LINE__,                               \
				     "%s: returned %ld, errno %d (%s), not %s", #call, \
				     harness_result, errno, strerror(errno), #error);  \
	} while (0)

/* A system call that does not fail. */
#define CHECK_OK(call)                                                                      \
	({                                                                                  \
		long harness_result = (long)(call);                                         \
		if (harness_result < 0)                                                     \
			harness_fail(__FILE__, __LINE__, "%s: errno %d (%s)", #call, errno, \
				     strerror(errno));                                      \
		harness_result;                                                             \
	})

#define FAIL(...) harness_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Ends the test as skipped, with the reason, unless the condition holds. */
#define TEST_REQUIRE(condition, reason)       \
	do {                                  \
		if (!(condition))             \
			harness_skip(reason); \
	} while (0)

/* A remark that is printed with the result, whatever it is. */
void harness_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

_Noreturn void harness_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void harness_fail_values(const char *file, int line, const char *actual_text,
				   uint64_t actual, const char *expected_text, uint64_t expected);
_Noreturn void harness_skip(const char *reason);

/* How many times slower than usual the machine is: the runner says so. */
unsigned harness_patience(void);

/* fork() that fails the test if it cannot; the child of a test is checked, too. */
pid_t harness_fork(void);

/* Waits for a child and fails the test unless it exited with 0. */
void harness_join(const char *file, int line, pid_t child);
#define JOIN(child) harness_join(__FILE__, __LINE__, child)

/* From now on the thread (0: the caller) runs on this CPU alone. */
void harness_run_on(pid_t thread, int cpu);

/* What waitpid() says about the child: exit code, or 128 + signal. */
int harness_wait(pid_t child);

/* Runs a function in a child and waits for it: 0 if it returned. */
int harness_run_in_child(void (*function)(void));

#endif
