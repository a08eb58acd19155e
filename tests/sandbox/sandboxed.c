// SPDX-License-Identifier: GPL-2.0-only
/*
 * Both halves of a test of dune-sandbox; see sandboxed.h.
 */
#include "sandboxed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Outside ------------------------------------------------------------ */

#define COMMAND_SECONDS 60

/* A file without a name, for what goes into a command and what comes out. */
static int open_scratch(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static char *read_scratch(int fd, size_t *bytes)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text;

	assert_true(size >= 0);
	text = calloc(1, size + 1);
	assert_non_null(text);
	assert_int_equal(pread(fd, text, size, 0), size);
	close(fd);
	if (bytes)
		*bytes = size;
	return text;
}

static _Noreturn void run_child(const int fds[3], const char *const argv[])
{
	/* The runner's: how slow the machine is. */
	const char *patience = getenv("DUNE_TEST_PATIENCE");

	for (int fd = 0; fd < 3; fd++)
		dup2(fds[fd], fd);
	for (int number = 1; number < SIGRTMIN; number++)
		signal(number, SIG_DFL);
	alarm(COMMAND_SECONDS * (patience ? atoi(patience) : 1));
	execvp(argv[0], (char *const *)argv);
	_exit(errno == ENOENT ? 127 : 126);
}

void run_command(struct outcome *outcome, const char *input, const char *const argv[])
{
	int fds[3] = { open_scratch(), open_scratch(), open_scratch() }, status;
	pid_t child;

	if (input)
		assert_int_equal(pwrite(fds[0], input, strlen(input), 0), strlen(input));
	child = fork();
	assert_true(child >= 0);
	if (!child)
		run_child(fds, argv);
	while (waitpid(child, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	outcome->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	outcome->status = outcome->signal ? 128 + outcome->signal : WEXITSTATUS(status);
	close(fds[0]);
	outcome->out = read_scratch(fds[1], &outcome->out_bytes);
	outcome->err = read_scratch(fds[2], NULL);
}

void outcome_free(struct outcome *outcome)
{
	free(outcome->out);
	free(outcome->err);
}

static void print_lines(const char *text)
{
	char *copy = strdup(text), *save = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		print_message("# %s\n", line);
	free(copy);
}

void check_status(const struct outcome *outcome, int status)
{
	if (outcome->status == status)
		return;
	print_lines(outcome->out);
	print_lines(outcome->err);
	fail_msg("it ended with %d, not %d", outcome->status, status);
}

void check_same(const char *input, const char *const argv[])
{
	const char *sandboxed_argv[32] = { "dune-sandbox" };
	struct outcome native, sandboxed;

	for (size_t i = 0; argv[i]; i++)
		sandboxed_argv[i + 1] = argv[i];
	run_command(&native, input, argv);
	run_command(&sandboxed, input, sandboxed_argv);
	check_status(&sandboxed, native.status);
	assert_string_equal(sandboxed.err, native.err);
	assert_int_equal(sandboxed.out_bytes, native.out_bytes);
	assert_memory_equal(sandboxed.out, native.out, native.out_bytes);
	outcome_free(&native);
	outcome_free(&sandboxed);
}

/* One test of the program, by its name. */
static __attribute__((constructor)) void filter_tests(void)
{
	cmocka_set_test_filter(getenv("TEST_FILTER"));
}

const char *own_path(void)
{
	static char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	assert_true(length > 0);
	path[length] = '\0';
	return path;
}

const char *program_path(const char *name)
{
	static char path[PATH_MAX + 64];
	char *slash;

	strcpy(path, own_path());
	slash = strrchr(path, '/');
	snprintf(slash, path + sizeof(path) - slash, "/programs/%s", name);
	return path;
}

void run_inside(void **state)
{
	struct outcome outcome;

	RUN_SANDBOXED(&outcome, own_path(), INSIDE, *state);
	check_status(&outcome, 0);
	outcome_free(&outcome);
}

/* ---- Inside -------------------------------------------------------------- */

void inside_main(int argc, char **argv, const struct inside_case cases[])
{
	if (argc < 3 || strcmp(argv[1], INSIDE))
		return;
	for (; cases->name; cases++) {
		if (!strcmp(cases->name, argv[2])) {
			cases->run();
			_exit(0);
		}
	}
	FAIL("no case %s", argv[2]);
}

long raw(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result = nr;

	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

void inside_fail(const char *file, int line, const char *format, ...)
{
	char text[512];
	va_list arguments;
	int length = snprintf(text, sizeof(text), "%s:%d: ", file, line);

	va_start(arguments, format);
	length += vsnprintf(text + length, sizeof(text) - 1 - length, format, arguments);
	va_end(arguments);
	length = length < (int)sizeof(text) - 1 ? length : (int)sizeof(text) - 2;
	text[length++] = '\n';
	if (write(STDERR_FILENO, text, length) != length)
		_exit(2);
	_exit(1);
}

int inside_wait(pid_t child)
{
	int status = -1;

	CHECK_EQ(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void check_no_descriptors(void)
{
	for (int fd = 3; fd < 1024; fd++)
		CHECK_EQ(RAW(SYS_fcntl, fd, F_GETFD), -EBADF);
}

size_t read_mappings(struct mapping *mappings, size_t room)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	size_t count = 0;

	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		struct mapping *mapping = &mappings[count++];

		CHECK(count <= room);
		mapping->name[0] = '\0';
		CHECK(sscanf(line, "%lx-%lx %4s %*s %*s %*s %255s", &mapping->start, &mapping->end,
			     mapping->rights, mapping->name) >= 3);
	}
	fclose(file);
	return count;
}

int is_of_runtime(const struct mapping *mapping)
{
	return strstr(mapping->name, "/dune-sandbox") || strstr(mapping->name, "/libdune.so") ||
	       strstr(mapping->name, "dune-vcpu") || !strcmp(mapping->name, "[heap]") ||
	       !strcmp(mapping->name, "[stack]") || !strcmp(mapping->name, "[vdso]") ||
	       !strcmp(mapping->name, "[vvar]");
}
