// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lines of --trace, word for word.
 */
#include "fake_dune.h"
#include "sandbox.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The line for a call with this result, without making it; spaces before " = " are not counted. */
static void check_line(const char *expected, long result, uint64_t nr, const uint64_t args[6])
{
	struct sandbox_call *call = &box->call;
	char line[1024], *equals;
	size_t length;
	char *end;

	call->box = box;
	call->nr = nr;
	call->row = sandbox_table_row(nr);
	memcpy(call->user, args, sizeof(call->user));
	length = sandbox_trace_format(line, sizeof(line), call, result);
	assert_int_equal(length, strlen(line));
	equals = strstr(line, " = ");
	assert_non_null(equals);
	for (end = equals; end > line && end[-1] == ' '; end--)
		;
	memmove(end, equals, strlen(equals) + 1);
	assert_string_equal(line, expected);
}
#define LINE(expected, result, nr, ...) \
	check_line(expected "\n", result, nr, (uint64_t[6]){ __VA_ARGS__ })

static void paths_flags_and_errors(void **state)
{
	(void)state;
	strcpy((char *)page, "/etc/passwd");
	LINE("openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC) = 3", 3, SYS_openat, AT_FDCWD,
	     page, O_RDONLY | O_CLOEXEC);
	LINE("openat(AT_FDCWD, \"/etc/passwd\", O_WRONLY|O_CREAT|O_TRUNC, 0644) = -1 EACCES (Permission denied)",
	     -EACCES, SYS_openat, AT_FDCWD, page, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	LINE("access(\"/etc/passwd\", R_OK) = -1 ENOENT (No such file or directory)", -ENOENT,
	     SYS_access, page, R_OK);
	LINE("access(\"/etc/passwd\", F_OK) = 0", 0, SYS_access, page, F_OK);
	LINE("chdir(0x1000) = -1 EFAULT (Bad address)", -EFAULT, SYS_chdir, 0x1000);
}

static void data_is_quoted(void **state)
{
	(void)state;
	memcpy((void *)page, "a\"b\\\n\t\0\0011\377", 11);
	LINE("write(1, \"a\\\"b\\\\\\n\\t\\0\\0011\\377\", 10) = 10", 10, SYS_write, 1, page, 10);
	LINE("read(0, \"a\\\"\", 100) = 2", 2, SYS_read, 0, page, 100);
	LINE("read(0, \"\", 100) = 0", 0, SYS_read, 0, page, 100);
	memset((void *)page, 'x', 100);
	LINE("write(1, \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"..., 100) = 100", 100, SYS_write, 1,
	     page, 100);
}

static void memory_calls(void **state)
{
	(void)state;
	LINE("mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000",
	     0x7f0000000000, SYS_mmap, 0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	     -1, 0);
	LINE("mprotect(0x1000, 4096, PROT_NONE) = 0", 0, SYS_mprotect, 0x1000, 4096, PROT_NONE);
	LINE("brk(NULL) = 0x5000", 0x5000, SYS_brk, 0);
}

static void structures(void **state)
{
	uint64_t *words = (void *)page;

	(void)state;
	words[0] = 1;
	words[1] = 500;
	LINE("nanosleep({tv_sec=1, tv_nsec=500}, NULL) = 0", 0, SYS_nanosleep, page, 0);
	LINE("clock_gettime(CLOCK_MONOTONIC, {tv_sec=1, tv_nsec=500}) = 0", 0, SYS_clock_gettime, 1,
	     page);
	((int *)page)[0] = 3;
	((int *)page)[1] = 4;
	LINE("pipe2([3, 4], O_CLOEXEC) = 0", 0, SYS_pipe2, page, O_CLOEXEC);
	words[0] = 1 << 1 | 1 << 16;
	LINE("rt_sigprocmask(SIG_BLOCK, [INT CHLD], NULL, 8) = 0", 0, SYS_rt_sigprocmask, 0, page,
	     0, 8);
	LINE("kill(1, SIGTERM) = -1 EPERM (Operation not permitted)", -EPERM, SYS_kill, 1, 15);
}

/* Another process that shares the memory may take the NULs away. */
static void names_without_an_end(void **state)
{
#define LONGEST "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	(void)state;
	memset((void *)page, 'n', 6 * (sizeof(LONGEST)));
	LINE("uname({sysname=\"" LONGEST "\", nodename=\"" LONGEST "\", release=\"" LONGEST
	     "\", ...}) = 0",
	     0, SYS_uname, page);
	memcpy((void *)page, "a\nuname() = 0", 14);
	LINE("uname({sysname=\"a\\nuname() = 0\", nodename=\"" LONGEST "\", release=\"" LONGEST
	     "\", ...}) = 0",
	     0, SYS_uname, page);
}

static void ends_and_unknown_calls(void **state)
{
	(void)state;
	LINE("exit_group(3) = ?", 0, SYS_exit_group, 3);
	LINE("getpid() = 7", 7, SYS_getpid);
	LINE("reboot(0x1, 0, 0, 0, 0, 0) = -1 ENOSYS (Function not implemented)", -ENOSYS,
	     SYS_reboot, 1);
	LINE("syscall_0x270f(0, 0, 0, 0, 0, 0) = -1 ENOSYS (Function not implemented)", -ENOSYS,
	     9999);
}

/* Nobody reads it any more, or it may not grow: the program goes on. */
static void a_lost_trace_harms_nobody(void **state)
{
	const struct rlimit none = { 0, 0 };
	int ends[2], status;
	pid_t child = fork();

	(void)state;
	if (!child) {
		signal(SIGPIPE, SIG_DFL);
		signal(SIGXFSZ, SIG_DFL);
		setrlimit(RLIMIT_FSIZE, &none);
		box->trace_fd = memfd_create("trace", MFD_CLOEXEC);
		RING3(box, SYS_getpid);
		if (pipe(ends) || close(ends[0]))
			_exit(1);
		box->trace_fd = ends[1];
		RING3(box, SYS_getpid);
		/* Its own are not held back. */
		if (write(ends[1], "", 1))
			_exit(2);
		_exit(3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGPIPE);
}

/* No argument whatsoever makes it write past the end of the line. */
static void lines_have_an_end(void **state)
{
	(void)state;
	memset((void *)page, '\377', 4095);
	srandom(5);
	for (int round = 0; round < 20000; round++) {
		struct sandbox_call *call = &box->call;
		char line[128 + 8];
		size_t length;

		memset(line, 0x5a, sizeof(line));
		call->box = box;
		call->nr = random() % 512;
		call->row = sandbox_table_row(call->nr);
		for (int i = 0; i < SANDBOX_NR_ARGS; i++)
			call->user[i] = random() % 2 ? page + random() % 4096
						     : (uint64_t)random() * random();
		length = sandbox_trace_format(line, 128, call, random() % 3 ? random() % 64 : -22);
		assert_true(length < 128);
		assert_int_equal(line[length], 0);
		assert_int_equal(line[length - 1], '\n');
		for (int i = 128; i < 136; i++)
			assert_int_equal(line[i], 0x5a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_flags_and_errors),
		cmocka_unit_test(data_is_quoted),
		cmocka_unit_test(memory_calls),
		cmocka_unit_test(structures),
		cmocka_unit_test(names_without_an_end),
		cmocka_unit_test(ends_and_unknown_calls),
		cmocka_unit_test(lines_have_an_end),
		cmocka_unit_test(a_lost_trace_harms_nobody),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, fake_set_up, NULL);
}
