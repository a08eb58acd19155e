// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sandboxed program that dies leaves no core, and neither does a child that it kills: there would
 * be the sandbox's memory, in a file that the program may read. A program that takes cores by a pipe
 * gets no memory.
 */
#include "sandboxed.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CORE	   "/tmp/dune-test-core"
#define HEAD_BYTES (64 << 10) /* what headers and notes take at most */

/* ---- Outside ------------------------------------------------------------ */

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static char old_pattern[256];

static int keep_pattern(void **state)
{
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	const struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };

	(void)state;
	if (fd < 0 || read(fd, old_pattern, sizeof(old_pattern) - 1) <= 0)
		return -1;
	close(fd);
	return setrlimit(RLIMIT_CORE, &any);
}

static int restore_pattern(void **state)
{
	(void)state;
	write_text("/proc/sys/kernel/core_pattern", old_pattern);
	unlink(CORE);
	return 0;
}

/* The size of the core, once it no longer grows; -1 if there is none after a while. */
static long wait_for_core(void)
{
	struct stat status;
	long size = -1;

	for (int i = 0; i < 20; i++) {
		usleep(100000);
		if (stat(CORE, &status))
			continue;
		if (size > 0 && status.st_size == size)
			break;
		size = status.st_size;
	}
	return size;
}

static void kill_something(const char *pattern)
{
	struct outcome outcome;

	write_text("/proc/sys/kernel/core_pattern", pattern);
	unlink(CORE);
	RUN(&outcome, "/bin/busybox", "sh", "-c", "kill -ABRT $$");
	assert_int_equal(outcome.signal, SIGABRT);
	outcome_free(&outcome);
	assert_true(wait_for_core() > HEAD_BYTES); /* so it is known to work */
	unlink(CORE);
}

static void none_is_written(void **state)
{
	struct outcome outcome;

	kill_something(CORE);
	run_inside(state);
	assert_int_equal(access(CORE, F_OK), -1);
	RUN_SANDBOXED(&outcome, "/bin/busybox", "sh", "-c", "kill -ABRT $$");
	assert_int_equal(outcome.signal, SIGABRT);
	outcome_free(&outcome);
	assert_int_equal(access(CORE, F_OK), -1);
}

static void pipes_get_no_memory(void **state)
{
	kill_something("|/bin/busybox dd of=" CORE);
	run_inside(state);
	assert_true(wait_for_core() < HEAD_BYTES);
}

/* ---- Inside -------------------------------------------------------------- */

/* A child that the kernel ends, not the sandbox. */
static void kill_child(void)
{
	const struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit limit;
	int status;
	pid_t child;

	CHECK_EQ(setrlimit(RLIMIT_CORE, &any), -1);
	CHECK_EQ(getrlimit(RLIMIT_CORE, &limit), 0);
	CHECK_EQ(limit.rlim_cur, 0);
	child = fork();
	CHECK(child >= 0);
	if (!child)
		for (;;)
			pause();
	CHECK_EQ(kill(child, SIGQUIT), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGQUIT);
}

static const struct inside_case cases[] = {
	inside_case(kill_child),
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		{ .name = "none_is_written",
		  .test_func = none_is_written,
		  .initial_state = (void *)"kill_child" },
		{ .name = "pipes_get_no_memory",
		  .test_func = pipes_get_no_memory,
		  .initial_state = (void *)"kill_child" },
	};

	inside_main(argc, argv, cases);
	return cmocka_run_group_tests(tests, keep_pattern, restore_pattern);
}
