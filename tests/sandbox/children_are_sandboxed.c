// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that start others work as outside: fork, vfork, posix_spawn, execve, pipelines, scripts.
 * Whatever they start is in the sandbox, too, under the same table, and cannot choose what is
 * loaded into the sandbox that runs it.
 */
#include "sandboxed.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- As outside --------------------------------------------------------- */

/* In one script, since each start of a program takes its time in an emulated machine. */
static void shells(void **state)
{
	static const char script[] = "(exit 3); echo $?\n"
				     "seq 1 2000 | sort -rn | head -3\n"
				     "x=$(uname -s); echo got $x\n"
				     "cat </etc/passwd >/tmp/children; wc -c </tmp/children\n"
				     "/etc/passwd; echo $?\n"
				     "/nonexistent/program; echo $?\n"
				     "/bin/false || echo failed\n"
				     "echo $0 \"$@\"\n"
				     "A=b exec /usr/bin/env\n";

	(void)state;
	CHECK_SAME("/bin/bash", "-c", script, "zero", "a b");
	CHECK_SAME("/bin/busybox", "sh", "-c", script, "zero", "a b");
	unlink("/tmp/children");
}

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
		   "print(os.popen('echo popen').read())\n");
}

/* ---- Inside ---------------------------------------------------------------- */

static int wait_for(pid_t child)
{
	int status = -1;

	CHECK_EQ(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void fork_copies(void)
{
	static int value = 1;
	int ends[2], there = 0;
	pid_t child;

	CHECK_EQ(pipe(ends), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		value = 2;
		CHECK_EQ(write(ends[1], &value, sizeof(value)), sizeof(value));
		CHECK(getpid() != getppid());
		_exit(17);
	}
	CHECK_EQ(read(ends[0], &there, sizeof(there)), sizeof(there));
	CHECK_EQ(there, 2);
	CHECK_EQ(value, 1);
	CHECK_EQ(wait_for(child), 17);
	CHECK_EQ(waitpid(-1, NULL, 0), -1);
}

static void children_have_children(void)
{
	for (int depth = 0; depth < 5; depth++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child) {
			CHECK_EQ(wait_for(child), depth + 1);
			_exit(depth);
		}
	}
	_exit(5);
}

static void faults_end_the_child_only(void)
{
	static volatile int *volatile nothing = (int *)8;
	pid_t child = fork();

	CHECK(child >= 0);
	if (!child) {
		fclose(stderr);
		*nothing = 0;
	}
	CHECK_EQ(wait_for(child), 128 + SIGSEGV);
}

static void tids_are_written(void)
{
	int parent_tid = 0, child_tid = 0;
	long flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
	long child = RAW(SYS_clone, flags, 0, &parent_tid, &child_tid, 0);

	CHECK(child >= 0);
	if (!child)
		_exit(child_tid == RAW(SYS_gettid) ? 0 : 1);
	CHECK_EQ(parent_tid, child);
	CHECK_EQ(child_tid, 0);
	CHECK_EQ(wait_for(child), 0);
}

/* What would run beside us with our memory, in another namespace, or end without SIGCHLD. */
static void other_clones_are_refused(void)
{
	const long refused[] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET,
				 CLONE_FILES,	CLONE_FS,    CLONE_PARENT, CLONE_IO,
				 CLONE_PTRACE,	CLONE_PIDFD, CLONE_SIGHAND };

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		CHECK_EQ(RAW(SYS_clone, refused[i] | SIGCHLD, 0, 0, 0, 0), -EPERM);
	CHECK_EQ(RAW(SYS_clone, SIGUSR1, 0, 0, 0, 0), -EPERM);
	CHECK_EQ(RAW(SYS_clone, CLONE_VM | SIGCHLD, 0, 0, 0, 0), -ENOSYS);
	CHECK_EQ(RAW(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0), -ENOSYS);
	CHECK_EQ(RAW(SYS_clone3, 0, 88), -ENOSYS);
	CHECK_EQ(waitpid(-1, NULL, 0), -1);
}

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

/* The child's runtime opens descriptors of its own: where they are is no matter. */
static void descriptors_are_hidden_in_children(void)
{
	const struct rlimit limit = { 4096, 4096 };
	pid_t child;
	int own;

	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), -1);
	/* As many as there can be where libdune puts its own. */
	while ((own = fcntl(0, F_DUPFD, 300)) >= 0)
		CHECK(own < 1024);
	for (int i = 0; i < 16; i++)
		close(400 + i);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		char path[64], target[256];

		for (int fd = 0; fd < 4096; fd++) {
			ssize_t length;

			snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
			length = readlink(path, target, sizeof(target) - 1);
			if (length < 0)
				continue;
			target[length] = '\0';
			if (strstr(target, "dune"))
				CHECK_EQ(RAW(SYS_fcntl, fd, F_GETFD), -EBADF);
		}
		_exit(0);
	}
	CHECK_EQ(wait_for(child), 0);
}

static void memory_of_children_is_out_of_reach(void)
{
	int ends[2], fd;
	pid_t child;
	char path[64];

	CHECK_EQ(pipe(ends), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		close(ends[1]);
		_exit(read(ends[0], path, 1));
	}
	snprintf(path, sizeof(path), "/proc/%d/mem", child);
	fd = open(path, O_RDWR);
	CHECK(fd < 0 && errno == EACCES);
	CHECK_EQ(RAW(SYS_ptrace, 16 /* ATTACH */, child, 0, 0), -EPERM);
	close(ends[1]);
	CHECK_EQ(wait_for(child), 0);
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
	CHECK_EQ(wait_for(child), 0);
	if (strcmp(text, "LD_PRELOAD=/tmp/evil.so\nLD_DEBUG=all\nLD_LIBRARY_PATH=/tmp\n"
			 "GLIBC_TUNABLES=x=y\n"))
		FAIL("%.400s", text);
}

/* Children may be told to end; nobody else, not even the parent of them all. */
static void signals_go_to_children_only(void)
{
	pid_t child = fork(), grandchild;
	int ends[2];

	CHECK(child >= 0);
	if (!child)
		for (;;)
			sleep(100);
	CHECK_EQ(kill(child, 0), 0);
	CHECK_EQ(kill(child, SIGTERM), 0);
	CHECK_EQ(wait_for(child), 128 + SIGTERM);
	CHECK_EQ(RAW(SYS_kill, child, SIGTERM), -EPERM); /* is nobody's now */

	CHECK_EQ(pipe(ends), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		grandchild = fork();
		CHECK_EQ(write(ends[1], &grandchild, sizeof(grandchild)), sizeof(grandchild));
		if (grandchild)
			wait_for(grandchild);
		_exit(0);
	}
	do
		CHECK_EQ(read(ends[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
	while (!grandchild);
	CHECK_EQ(RAW(SYS_kill, grandchild, SIGKILL), -EPERM);
	CHECK_EQ(RAW(SYS_kill, getppid(), SIGKILL), -EPERM);
	CHECK_EQ(RAW(SYS_kill, 1, 0), -EPERM);
	CHECK_EQ(RAW(SYS_kill, 0, SIGTERM), -EPERM);
	CHECK_EQ(RAW(SYS_kill, -1, SIGTERM), -EPERM);
	CHECK_EQ(RAW(SYS_kill, -child, SIGTERM), -EPERM);
	CHECK_EQ(wait_for(child), 0);
}

static void new_programs_are_sandboxed(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (!child) {
		execl("/proc/self/exe", "x", INSIDE, "check_being_sandboxed", NULL);
		_exit(1);
	}
	CHECK_EQ(wait_for(child), 0);
}

/* By a descriptor that is closed when the new program begins. */
static void programs_are_run_by_descriptor(void)
{
	char *const argv[] = { (char *)"x", (char *)INSIDE, (char *)"check_descriptors", NULL };
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
	CHECK_EQ(wait_for(child), 0);

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
	CHECK_EQ(wait_for(child), 0);
	/* If it does not become a program nothing is left open. */
	CHECK_EQ(lseek(copy, 0, SEEK_SET), 0);
	CHECK_EQ(write(copy, "x", 1), 1);
	CHECK_EQ(RAW(SYS_execveat, copy, "", busybox, environ, AT_EMPTY_PATH), -ENOEXEC);
	CHECK_EQ(dup(0), copy + 1);
}

/* What the sandbox before had open for this program is not the program's. */
static void check_descriptors(void)
{
	for (int fd = 3; fd < 1024; fd++)
		CHECK_EQ(RAW(SYS_fcntl, fd, F_GETFD), -EBADF);
}

static void check_being_sandboxed(void)
{
	CHECK_EQ(RAW(SYS_ptrace, 0), -EPERM);
	CHECK_EQ(RAW(999), -ENOSYS);
	CHECK(open("/proc/self/mem", O_RDONLY) < 0);
	CHECK(open("/dev/dune", O_RDWR) < 0);
}

static const struct inside_case cases[] = {
	inside_case(fork_copies),
	inside_case(children_have_children),
	inside_case(faults_end_the_child_only),
	inside_case(tids_are_written),
	inside_case(other_clones_are_refused),
	inside_case(execve_reports_errors),
	inside_case(descriptors_are_hidden_in_children),
	inside_case(memory_of_children_is_out_of_reach),
	inside_case(environment_does_not_reach_the_sandbox),
	inside_case(signals_go_to_children_only),
	inside_case(new_programs_are_sandboxed),
	inside_case(programs_are_run_by_descriptor),
	inside_case(check_descriptors),
	inside_case(check_being_sandboxed),
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shells),
		cmocka_unit_test(scripts),
		cmocka_unit_test(python),
		inside_test(fork_copies),
		inside_test(children_have_children),
		inside_test(faults_end_the_child_only),
		inside_test(tids_are_written),
		inside_test(other_clones_are_refused),
		inside_test(execve_reports_errors),
		inside_test(descriptors_are_hidden_in_children),
		inside_test(memory_of_children_is_out_of_reach),
		inside_test(environment_does_not_reach_the_sandbox),
		inside_test(signals_go_to_children_only),
		inside_test(new_programs_are_sandboxed),
		inside_test(programs_are_run_by_descriptor),
	};

	const struct rlimit many_fds = { 4096, 4096 };

	inside_main(argc, argv, cases);
	/* More than the sandbox can watch, unless it sees to that. */
	setrlimit(RLIMIT_NOFILE, &many_fds);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
