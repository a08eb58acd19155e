/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of dune-sandbox are written with. Two halves, which never meet:
 *
 * Outside, tests run commands and look at what came of them. An inside_test() runs this very program
 * in the sandbox, where it calls one function and exits with 0 if that returns.
 *
 * Inside, that function makes system calls and says what it thinks of them with CHECK(), which
 * writes to stderr and exits with 1.
 */
#ifndef DUNE_TESTS_SANDBOXED_H
#define DUNE_TESTS_SANDBOXED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>

/* ---- Outside ------------------------------------------------------------ */

/* What a command wrote, as strings, and how it ended. */
struct outcome {
	int status; /* exit status, or 128 + signal */
	int signal; /* 0: it exited */
	char *out, *err;
	size_t out_bytes;
};

/* Runs a command with this standard input (NULL: none). Ends a command that takes minutes. */
void run_command(struct outcome *outcome, const char *input, const char *const argv[]);

#define RUN(outcome, ...)	    run_command(outcome, NULL, (const char *const[]){ __VA_ARGS__, NULL })
#define RUN_SANDBOXED(outcome, ...) RUN(outcome, "dune-sandbox", __VA_ARGS__)

void outcome_free(struct outcome *outcome);

/* Runs a command as it is and in the sandbox: output, errors and status are the same. */
void check_same(const char *input, const char *const argv[]);
#define CHECK_SAME(...) check_same(NULL, (const char *const[]){ __VA_ARGS__, NULL })

/* Fails the test, with what the command wrote, unless it ended like this. */
void check_status(const struct outcome *outcome, int status);

/* The path of a program of programs/. */
const char *program_path(const char *name);

/* ---- Inside -------------------------------------------------------------- */

struct inside_case {
	const char *name;
	void (*run)(void);
};

/*
 * A test program has one table of these, which ends with a NULL name, and calls inside_main() first
 * thing in main(): it does not return inside.
 */
void inside_main(int argc, char **argv, const struct inside_case cases[]);

#define inside_case(function)                      \
	{                                          \
		.name = #function, .run = function \
	}
#define inside_test(function)                                                                  \
	{                                                                                      \
		.name = #function, .test_func = run_inside, .initial_state = (void *)#function \
	}

/* The test function of an inside_test(). */
void run_inside(void **state);

/* This program's own path, and the argument before the name of a case. */
const char *own_path(void);
#define INSIDE "--inside"

/* A system call as it is: no libc between, the kernel's result. */
long raw(long nr, long a, long b, long c, long d, long e, long f);
#define RAW(...) RAW_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define RAW_(nr, a, b, c, d, e, f, ...) \
	raw(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

_Noreturn void inside_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define FAIL(...) inside_fail(__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(expression)                        \
	do {                                     \
		if (!(expression))               \
			FAIL("%s", #expression); \
	} while (0)

#define CHECK_EQ(actual, expected)                                                     \
	do {                                                                           \
		long check_actual = (long)(actual), check_expected = (long)(expected); \
		if (check_actual != check_expected)                                    \
			FAIL("%s is %ld (%#lx), not %s = %ld", #actual, check_actual,  \
			     (unsigned long)check_actual, #expected, check_expected);  \
	} while (0)

/* What waitpid() says about the child: exit code, or 128 + signal. */
int inside_wait(pid_t child);

/* None is open from 3 on: what the sandbox before had open for this program is not the program's. */
void check_no_descriptors(void);

/* A line of /proc/self/maps. */
struct mapping {
	uint64_t start, end;
	char rights[5], name[256];
};

/* All of them, in order; how many. Inside, the sandbox's own are among them. */
size_t read_mappings(struct mapping *mappings, size_t room);

/* True if it belongs to the sandbox, not to the program in it. By name, so not all are known. */
int is_of_runtime(const struct mapping *mapping);

#endif
