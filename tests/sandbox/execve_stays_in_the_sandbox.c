// SPDX-License-Identifier: GPL-2.0-only
/*
 * execve() finds, runs and refuses programs and scripts as outside. What it runs is in the sandbox,
 * too, under the same table, and cannot choose what is loaded into the sandbox that runs it.
 */
#include "sandboxed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- As outside --------------------------------------------------------- */

static void make_script(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void scripts(void **state)
{
	(void)state;
	make_script("/tmp/script", "#! /bin/bash -e \necho \"$0\" \"$@\" $-\n");
	make_script("/tmp/script2", "#!/tmp/script an argument\n");
	make_script("/tmp/script3", "#!/nonexistent\n");
	make_script("/tmp/script4", "echo no first line\n");
	make_script("/tmp/script5", "#!/tmp/script5\n");
	CHECK_SAME("/bin/bash", "-c",
		   "/tmp/script one 'two three' ''; /tmp/script2 one\n"
		   "/tmp/script3; echo $?; /tmp/script4; /tmp/script5; echo $?\n"
		   "cd /tmp; PATH=/tmp:$PATH script two; exec ./script one");
	for (int i = 0; i < 5; i++) {
		char name[32];

		snprintf(name, sizeof(name), i ? "/tmp/script%d" : "/tmp/script", i + 1);
		unlink(name);
	}
}

static void python(void **state)
{
	(void)state;
	CHECK_SAME("/usr/bin/python3", "-c",
		   "import os\n"
		   "print(os.spawnv(os.P_WAIT, '/bin/echo', ['echo', 'spawn']), flush=True)\n"
		   "pid = os.posix_spawn('/bin/echo', ['echo', 'posix'], os.environ)\n"
		   "print(os.waitpid(pid, 0)[1])\n"
		   "try: print(os.posix_spawn('/nonexistent', ['x'], os.environ))\n"
		   "except OSError as error: print(error)\n"
		   "print(os.popen('echo popen').read())\n");
}

/* The user's settings name the working directory: of the user, not of the program. */
static void relative_libraries_are_the_users(void **state)
{
	const char *before = getenv("LD_LIBRARY_PATH");
	char *libraries = before ? strdup(before) : NULL, path[512];
	struct outcome outcome;

	(void)state;
	for (int round = 0; round < 3; round++) {
		snprintf(path, sizeof(path), round == 1 ? "x:%s" : ":%s", libraries ?: "/nowhere");
		setenv("LD_LIBRARY_PATH", path, 1);
		if (round == 2)
			setenv("LD_PRELOAD", "./preloaded.so", 1);
		RUN_SANDBOXED(&outcome, own_path(), INSIDE, "new_programs_do_not_load_libraries");
		unsetenv("LD_PRELOAD");
		unsetenv("LD_LIBRARY_PATH");
		if (libraries)
			setenv("LD_LIBRARY_PATH", libraries, 1);
		check_status(&outcome, 0);
		assert_null(strstr(outcome.err, "file too short"));
		outcome_free(&outcome);
	}
	free(libraries);
}

static void limits_are_those_of_execve(void **state)
{
	static const char script[] = "exec 3>/dev/null 4>&3 && echo low ones are free\n"
				     "x=$(printf %0100000d 1); /bin/echo $x | wc -c\n"
				     "/bin/echo $x $x 2>/dev/null | wc -c\n";
	static const struct {
		int resource;
		rlim_t limit;
	} small[] = {
		{ RLIMIT_NOFILE, 100 },
		{ RLIMIT_FSIZE, 4096 },
		{ RLIMIT_STACK, 600000 }, /* a quarter is for arguments */
	};
	struct rlimit before, now;

	(void)state;
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		assert_int_equal(getrlimit(small[i].resource, &before), 0);
		now = (struct rlimit){ small[i].limit, before.rlim_max };
		assert_int_equal(setrlimit(small[i].resource, &now), 0);
		CHECK_SAME("/bin/bash", "-c", script);
		assert_int_equal(setrlimit(small[i].resource, &before), 0);
	}
}

/* A copy of a program that asks for another interpreter. */
static void make_program(const char *path, const char *interpreter)
{
	static const char usual[] = "/lib64/ld-linux-x86-64.so.2";
	static char program[1 << 21];
	int from = open("/bin/true", O_RDONLY | O_CLOEXEC);
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t bytes = read(from, program, sizeof(program));
	char *place = memmem(program, bytes > 0 ? bytes : 0, usual, sizeof(usual));

	assert_true(strlen(interpreter) < sizeof(usual));
	assert_non_null(place);
	strcpy(place, interpreter);
	assert_int_equal(write(to, program, bytes), bytes);
	close(from);
	close(to);
}

static void interpreters_are_missed_in_time(void **state)
{
	(void)state;
	make_program("/tmp/missing", "/nonexistent/ld.so");
	make_program("/tmp/plain", "/etc/passwd");
	make_program("/tmp/script", "/tmp/shebang");
	make_script("/tmp/shebang",
		    "#!/bin/sh\n# Long enough to be an ELF header, but is none, as the "
		    "kernel will say.\n");
	CHECK_SAME("/usr/bin/python3", "-c",
		   "import os\n"
		   "for name in 'missing', 'plain', 'script':\n"
		   "    try: os.execv('/tmp/' + name, ['x'])\n"
		   "    except OSError as error: print(error.errno)\n");
	unlink("/tmp/missing");
	unlink("/tmp/plain");
	unlink("/tmp/script");
	unlink("/tmp/shebang");
}

/* ---- Inside ---------------------------------------------------------------- */

/* Errors come back to the program that asked. */
static void execve_reports_errors(void)
{
	char *const argv[] = { (char *)"x", NULL };
	static char word[200000];
	char *const long_argv[] = { word, NULL };

	CHECK_EQ(RAW(SYS_execve, "/nonexistent", argv, 0), -ENOENT);
	CHECK_EQ(RAW(SYS_execve, "", argv, 0), -ENOENT);
	CHECK_EQ(RAW(SYS_execve, "ls", argv, 0), -ENOENT);
	CHECK_EQ(RAW(SYS_execve, "/etc/passwd", argv, 0), -EACCES);
	CHECK_EQ(RAW(SYS_execve, "/etc", argv, 0), -EACCES);
	CHECK_EQ(RAW(SYS_execve, "/etc/passwd/x", argv, 0), -ENOTDIR);
	CHECK_EQ(RAW(SYS_execve, "/dev/dune", argv, 0), -EACCES);
	memset(word, 'x', sizeof(word) - 1);
	CHECK_EQ(RAW(SYS_execve, "/bin/true", long_argv, 0), -E2BIG);
	CHECK_EQ(RAW(SYS_execveat, 0, "", argv, 0, 0), -ENOENT);
	CHECK_EQ(RAW(SYS_execveat, 0, "x", argv, 0, 0x10000), -EINVAL);
}

static void check_being_sandboxed(void)
{
	CHECK_EQ(RAW(SYS_ptrace, 0), -EPERM);
	CHECK_EQ(RAW(999), -ENOSYS);
	CHECK(open("/proc/self/mem", O_RDONLY) < 0);
	CHECK(open("/dev/dune", O_RDWR) < 0);
}

static void new_programs_are_sandboxed(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (!child) {
		execl("/proc/self/exe", "x", INSIDE, "check_being_sandboxed", NULL);
		_exit(1);
	}
	CHECK_EQ(inside_wait(child), 0);
}

/* A new program takes one descriptor, until it begins. */
static void a_full_table_is_an_error(void)
{
	while (dup(0) >= 0)
		;
	CHECK_EQ(RAW(SYS_execve, "/bin/true", 0, 0), -EMFILE);
	close(1023);
	for (int fd = 3; fd < 1024 && close(fd); fd++)
		;
	execl("/proc/self/exe", "x", INSIDE, "new_programs_are_sandboxed", NULL);
	FAIL("%s", strerror(errno));
}

/* Libraries of the program's making, where it goes before it runs another. */
static void new_programs_do_not_load_libraries(void)
{
	static const char *const names[] = { "libdune.so.0", "libelf.so.1", "libseccomp.so.2",
					     "libc.so.6", "preloaded.so" };
	char *const argv[] = { (char *)"busybox", (char *)"true", NULL };
	char *const environment[] = { NULL };
	char directory[] = "/tmp/children-XXXXXX";
	pid_t child;

	CHECK(mkdtemp(directory));
	CHECK_EQ(chdir(directory), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		close(open(names[i], O_WRONLY | O_CREAT, 0755)); /* too short: ld.so says so */
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		execve("/bin/busybox", argv, environment);
		_exit(1);
	}
	CHECK_EQ(inside_wait(child), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(names[i]);
	rmdir(directory);
}

/* What a sandbox loads must not be of the program's choosing. */
static void environment_does_not_reach_the_sandbox(void)
{
	char *const environment[] = { (char *)"LD_PRELOAD=/tmp/evil.so", (char *)"LD_DEBUG=all",
				      (char *)"LD_LIBRARY_PATH=/tmp", (char *)"GLIBC_TUNABLES=x=y",
				      NULL };
	char *const argv[] = { (char *)"busybox", (char *)"env", NULL };
	char text[4096] = "";
	ssize_t got, total = 0;
	int ends[2];
	pid_t child;

	CHECK_EQ(pipe(ends), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		close(ends[1]);
		execve("/bin/busybox", argv, environment); /* static: no ld.so of its own */
		_exit(1);
	}
	close(ends[1]);
	while ((got = read(ends[0], text + total, sizeof(text) - 1 - total)) > 0)
		total += got;
	CHECK_EQ(inside_wait(child), 0);
	if (strcmp(text, "LD_PRELOAD=/tmp/evil.so\nLD_DEBUG=all\nLD_LIBRARY_PATH=/tmp\n"
			 "GLIBC_TUNABLES=x=y\n"))
		FAIL("%.400s", text);
}

/* By a descriptor that is closed when the new program begins. */
static void programs_are_run_by_descriptor(void)
{
	char *const argv[] = { (char *)"x", (char *)INSIDE, (char *)"check_no_descriptors", NULL };
	char *const busybox[] = { (char *)"busybox", (char *)"true", NULL };
	int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), file, copy;
	struct stat status;
	pid_t child = fork();

	CHECK(own >= 0);
	CHECK(child >= 0);
	if (!child) {
		RAW(SYS_execveat, own, "", argv, environ, AT_EMPTY_PATH);
		_exit(1);
	}
	CHECK_EQ(inside_wait(child), 0);

	file = open("/bin/busybox", O_RDONLY | O_CLOEXEC);
	copy = memfd_create("program", MFD_CLOEXEC);
	CHECK(file >= 0 && copy >= 0);
	CHECK_EQ(fstat(file, &status), 0);
	CHECK_EQ(sendfile(copy, file, NULL, status.st_size), status.st_size);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		fexecve(copy, busybox, environ);
		_exit(1);
	}
	CHECK_EQ(inside_wait(child), 0);
	/* If it does not become a program nothing is left open. */
	CHECK_EQ(lseek(copy, 0, SEEK_SET), 0);
	CHECK_EQ(write(copy, "x", 1), 1);
	CHECK_EQ(RAW(SYS_execveat, copy, "", busybox, environ, AT_EMPTY_PATH), -ENOEXEC);
	CHECK_EQ(dup(0), copy + 1);
}

/* From one without a name. */
static void nameless_programs_know_themselves(void)
{
	char *const argv[] = { (char *)"x", (char *)INSIDE, (char *)"check_own_name", NULL };
	int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), copy;
	struct stat status;

	copy = memfd_create("nameless", MFD_CLOEXEC);
	CHECK(own >= 0 && copy >= 0);
	CHECK_EQ(fstat(own, &status), 0);
	CHECK_EQ(sendfile(copy, own, NULL, status.st_size), status.st_size);
	fexecve(copy, argv, environ);
	FAIL("%s", strerror(errno));
}

static void check_own_name(void)
{
	char name[64] = "", first[4];
	int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	CHECK(own >= 0);
	CHECK_EQ(read(own, first, 4), 4);
	CHECK(!memcmp(first, "\177ELF", 4));
	CHECK(readlink("/proc/self/exe", name, sizeof(name) - 1) > 0);
	CHECK(!strcmp(name, "/memfd:nameless (deleted)"));
	close(own);
	execl("/proc/self/exe", "x", INSIDE, "new_programs_are_sandboxed", NULL);
	FAIL("%s", strerror(errno));
}

static const struct inside_case cases[] = {
	inside_case(execve_reports_errors),
	inside_case(check_being_sandboxed),
	inside_case(new_programs_are_sandboxed),
	inside_case(a_full_table_is_an_error),
	inside_case(new_programs_do_not_load_libraries),
	inside_case(environment_does_not_reach_the_sandbox),
	inside_case(programs_are_run_by_descriptor),
	inside_case(nameless_programs_know_themselves),
	inside_case(check_own_name),
	inside_case(check_no_descriptors),
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripts),
		cmocka_unit_test(python),
		cmocka_unit_test(relative_libraries_are_the_users),
		cmocka_unit_test(limits_are_those_of_execve),
		cmocka_unit_test(interpreters_are_missed_in_time),
		inside_test(execve_reports_errors),
		inside_test(new_programs_are_sandboxed),
		inside_test(a_full_table_is_an_error),
		inside_test(environment_does_not_reach_the_sandbox),
		inside_test(programs_are_run_by_descriptor),
		inside_test(nameless_programs_know_themselves),
	};
	const struct rlimit many_fds = { 4096, 4096 };

	inside_main(argc, argv, cases);
	/* More than the sandbox can watch, unless it sees to that. */
	setrlimit(RLIMIT_NOFILE, &many_fds);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
