// SPDX-License-Identifier: GPL-2.0-only
/*
 * --trace writes a line for each system call, word for word those below, with what the program did
 * and what it got: on stderr, or in a file. Addresses are masked. --count agrees with it.
 */
#include "sandboxed.h"

#include <unistd.h>

#define TRACE_FILE "/tmp/trace"

static const char *const expected[] = {
	"write(1, \"out\\n\", 4) = 4",
	"openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC) = 3",
	"read(3, \"root:\", 5) = 5",
	"close(3) = 0",
	"openat(AT_FDCWD, \"/nowhere\", O_RDONLY) = -1 ENOENT (No such file or directory)",
	"write(1, ADDRESS, 16) = -1 EFAULT (Bad address)",
	"mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = ADDRESS",
	"mprotect(ADDRESS, 4096, PROT_READ) = -1 ENOMEM (Cannot allocate memory)",
	"getpid() = PID",
	"kill(1, SIGTERM) = -1 EPERM (Operation not permitted)",
	"ptrace(0, 0, NULL, NULL) = -1 EPERM (Operation not permitted)",
	"syscall_0x3e7(0x1, 0x2, 0, 0, 0, 0) = -1 ENOSYS (Function not implemented)",
	"exit_group(7) = ?",
	"+++ exited with 7 +++",
};

/* A line without its padding, and with the names of what differs from run to run. */
static void mask(const char *line, char *to)
{
	while (*line) {
		if (!strncmp(line, "0x", 2) && strspn(line + 2, "0123456789abcdef") >= 4) {
			line += 2 + strspn(line + 2, "0123456789abcdef");
			to = stpcpy(to, "ADDRESS");
		} else if (!strncmp(line, "getpid() ", 9)) {
			to = stpcpy(to, "getpid() = PID");
			break;
		} else if (*line == ' ' && line[1] == ' ') {
			line++;
		} else {
			*to++ = *line++;
		}
	}
	*to = '\0';
}

static void check_trace(char *text)
{
	char *save = NULL, *line = strtok_r(text, "\n", &save), masked[512];

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_non_null(line);
		mask(line, masked);
		assert_string_equal(masked, expected[i]);
		line = strtok_r(NULL, "\n", &save);
	}
	assert_null(line);
}

static void on_stderr(void **state)
{
	struct outcome outcome;

	(void)state;
	RUN_SANDBOXED(&outcome, "--trace", program_path("trace_me"));
	check_status(&outcome, 7);
	assert_string_equal(outcome.out, "out\n");
	check_trace(outcome.err);
	outcome_free(&outcome);
}

static void in_a_file(void **state)
{
	struct outcome outcome;
	char text[8192] = "";
	FILE *file;

	(void)state;
	RUN_SANDBOXED(&outcome, "--trace=" TRACE_FILE, program_path("trace_me"));
	check_status(&outcome, 7);
	assert_string_equal(outcome.err, "");
	outcome_free(&outcome);
	file = fopen(TRACE_FILE, "re");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	unlink(TRACE_FILE);
	check_trace(text);
}

/* "calls errors name" of a line of --count. */
static void check_count(const char *text, const char *name, unsigned calls, unsigned errors)
{
	char line[80];

	snprintf(line, sizeof(line), "%10u %10u  %s\n", calls, errors, name);
	if (!strstr(text, line))
		fail_msg("no \"%.*s\" in: %s", (int)strlen(line) - 1, line, text);
}

static void count_agrees(void **state)
{
	struct outcome outcome;

	(void)state;
	RUN_SANDBOXED(&outcome, "--count", program_path("trace_me"));
	check_status(&outcome, 7);
	check_count(outcome.err, "openat", 2, 1);
	check_count(outcome.err, "read", 1, 0);
	check_count(outcome.err, "write", 2, 1);
	check_count(outcome.err, "999 (not known)", 1, 1);
	check_count(outcome.err, "total", 13, 6);
	outcome_free(&outcome);
}

static void trace_of_a_dead_program_ends_so(void **state)
{
	struct outcome outcome;

	(void)state;
	RUN_SANDBOXED(&outcome, "--trace", "/bin/busybox", "sh", "-c", "kill -9 $$");
	assert_int_equal(outcome.signal, 9);
	assert_non_null(strstr(outcome.err, "\n+++ killed by SIGKILL +++\n"));
	outcome_free(&outcome);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_stderr),
		cmocka_unit_test(in_a_file),
		cmocka_unit_test(count_agrees),
		cmocka_unit_test(trace_of_a_dead_program_ends_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
