// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parent's and the child's half of a test; see harness.h.
 *
 * Over the pipe go lines of text: "F…" a failure, "N…" a note. A test passes if
 * its child exits with 0 and no failure was sent.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { EXIT_FAILED = 1, EXIT_SKIPPED = 77, REPORT_BYTES = 65536 };

static int report_fd = -1;
static volatile pid_t running;
static volatile sig_atomic_t timed_out;

static void time_is_up(int signal)
{
	(void)signal;
	timed_out = 1;
	if (running > 0)
		kill(-running, SIGKILL);
}

void harness_init(void)
{
	struct sigaction action = { .sa_handler = time_is_up };

	setvbuf(stdout, NULL, _IOLBF, 0); /* what was printed survives a crash of the machine */
	sigaction(SIGALRM, &action, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	cmocka_set_test_filter(getenv("TEST_FILTER")); /* one test of the program, by its name */
}

unsigned harness_patience(void)
{
	const char *factor = getenv("DUNE_TEST_PATIENCE");
	int value = factor ? atoi(factor) : 1;

	return value > 1 ? value : 1;
}

/* cmocka catches some signals in the parent: the child dies of them. */
static _Noreturn void run_child(const struct harness_case *test)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int number = 1; number < SIGRTMIN; number++)
		signal(number, SIG_DFL);
	test->run();
	_exit(0);
}

static void print_report(char *report)
{
	char *save = NULL;

	for (char *line = strtok_r(report, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		print_message("# %s\n", line + 1);
}

static int has_failure(const char *report)
{
	return report[0] == 'F' || strstr(report, "\nF");
}

void harness_run_case(void **state)
{
	const struct harness_case *test = *state;
	static char report[REPORT_BYTES];
	int pipe_fds[2], status = 0;
	ssize_t bytes, total = 0;

	assert_return_code(pipe2(pipe_fds, O_NONBLOCK), errno);
	report_fd = pipe_fds[1];
	timed_out = 0;
	fflush(NULL);
	running = fork();
	assert_return_code(running, errno);
	if (!running)
		run_child(test);
	setpgid(running, running);
	close(pipe_fds[1]);

	alarm(test->seconds * harness_patience());
	while (waitpid(running, &status, 0) < 0 && errno == EINTR)
		;
	alarm(0);
	kill(-running, SIGKILL); /* whatever it left behind */
	running = 0;

	while (total < REPORT_BYTES - 1 &&
	       (bytes = read(pipe_fds[0], report + total, REPORT_BYTES - 1 - total)) > 0)
		total += bytes;
	report[total] = 0;
	close(pipe_fds[0]);

	int failed = has_failure(report);
	print_report(report);
	if (timed_out)
		fail_msg("not done after %u seconds", test->seconds * harness_patience());
	if (WIFSIGNALED(status))
		fail_msg("died of signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (failed)
		fail_msg("a check failed");
	if (WEXITSTATUS(status) == EXIT_SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void report_line(char kind, const char *format, va_list arguments)
{
	char line[1024];
	int bytes;

	line[0] = kind;
	bytes = vsnprintf(line + 1, sizeof(line) - 2, format, arguments);
	bytes = bytes < (int)sizeof(line) - 2 ? bytes + 1 : (int)sizeof(line) - 2;
	line[bytes++] = '\n';
	if (write(report_fd, line, bytes) < 0)
		abort();
}

void harness_note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report_line('N', format, arguments);
	va_end(arguments);
}

static void report_failure(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report_line('F', format, arguments);
	va_end(arguments);
}

void harness_fail(const char *file, int line, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	report_failure("%s:%d: %s", file, line, text);
	_exit(EXIT_FAILED);
}

void harness_fail_values(const char *file, int line, const char *actual_text, uint64_t actual,
			 const char *expected_text, uint64_t expected)
{
	report_failure("%s:%d: %s is %lld (%#llx), not %s = %lld (%#llx)", file, line, actual_text,
		       (long long)actual, (unsigned long long)actual, expected_text,
		       (long long)expected, (unsigned long long)expected);
	_exit(EXIT_FAILED);
}

void harness_skip(const char *reason)
{
	harness_note("SKIP %s", reason);
	_exit(EXIT_SKIPPED);
}

pid_t harness_fork(void)
{
	return CHECK_OK(fork());
}

void harness_run_on(pid_t thread, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK_OK(sched_setaffinity(thread, sizeof(set), &set));
}

int harness_wait(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			FAIL("waitpid: %s", strerror(errno));
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int harness_run_in_child(void (*function)(void))
{
	pid_t child = harness_fork();

	if (!child) {
		function();
		_exit(0);
	}
	return harness_wait(child);
}

void harness_join(const char *file, int line, pid_t child)
{
	int code = harness_wait(child);

	if (code)
		harness_fail(file, line, "a child ended with %d%s", code,
			     code > 128 ? " (128 + signal)" : "");
}
