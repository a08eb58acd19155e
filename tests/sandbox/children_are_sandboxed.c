// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that have children work as outside: fork, vfork, clone, pipelines. The children are in the
 * sandbox, too, and out of each other's reach. What they run then is execve_stays_in_the_sandbox.c's.
 */
#include "sandboxed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
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

/* Who reads what it says does not wait for what it leaves behind. */
static void daemons_let_go(void **state)
{
	static const char script[] =
		"x=$(dune-sandbox /bin/sh -c 'sleep 30 >/dev/null 2>&1 & echo $!' 2>&1)\n"
		"echo within $((SECONDS < 20 ? 20 : SECONDS)) s\n"
		"kill $x";
	struct outcome outcome;

	(void)state;
	RUN(&outcome, "/bin/bash", "-c", script);
	assert_string_equal(outcome.out, "within 20 s\n");
	assert_string_equal(outcome.err, "");
	outcome_free(&outcome);
}

/* ---- Inside ---------------------------------------------------------------- */

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
	CHECK_EQ(inside_wait(child), 17);
	CHECK_EQ(waitpid(-1, NULL, 0), -1);
}

static void children_have_children(void)
{
	for (int depth = 0; depth < 5; depth++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child) {
			CHECK_EQ(inside_wait(child), depth + 1);
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
	CHECK_EQ(inside_wait(child), 128 + SIGSEGV);
}

/* A vfork child's last write is seen by its parent, who had to wait: how posix_spawn() learns of errors. */
static void vfork_children_tell(void)
{
	volatile long told = 0;
	pid_t child = vfork();

	CHECK(child >= 0);
	if (!child) {
		told = RAW(SYS_execve, "/nonexistent", NULL, NULL);
		_exit(3);
	}
	CHECK_EQ(told, -ENOENT);
	CHECK_EQ(inside_wait(child), 3);
	/* Not so after fork(), and not by a child of the child's own. */
	told = 0;
	child = vfork();
	CHECK(child >= 0);
	if (!child) {
		pid_t grandchild = fork();

		if (!grandchild)
			told = 1;
		_exit(grandchild ? inside_wait(grandchild) : 4);
	}
	CHECK_EQ(inside_wait(child), 4);
	CHECK_EQ(told, 0);
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
	CHECK_EQ(inside_wait(child), 0);
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
		DIR *directory = opendir("/proc/self/fd");
		struct dirent *entry;
		char target[256];
		int found = 0;

		CHECK(directory);
		while ((entry = readdir(directory))) {
			ssize_t length = readlinkat(dirfd(directory), entry->d_name, target,
						    sizeof(target) - 1);

			if (length < 0 || !memmem(target, length, "dune", 4))
				continue;
			CHECK_EQ(RAW(SYS_fcntl, atoi(entry->d_name), F_GETFD), -EBADF);
			found++;
		}
		CHECK(found >= 2); /* the vm and the vcpu */
		_exit(0);
	}
	CHECK_EQ(inside_wait(child), 0);
}

/* With not a descriptor left to the program, nor to the sandbox. */
static void a_full_table_keeps_nobody_from_forking(void)
{
	pid_t child;

	while (dup(0) >= 0)
		;
	CHECK_EQ(errno, EMFILE);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		for (int fd = 3; fd < 1024; fd++)
			close(fd);
		check_no_descriptors();
		for (;;)
			pause();
	}
	CHECK_EQ(RAW(SYS_kill, child, 0), 0);
	CHECK_EQ(RAW(SYS_kill, child, SIGTERM), 0);
	CHECK_EQ(inside_wait(child), 128 + SIGTERM);
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
	CHECK_EQ(inside_wait(child), 0);
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
	CHECK_EQ(inside_wait(child), 128 + SIGTERM);
	CHECK_EQ(RAW(SYS_kill, child, SIGTERM), -EPERM); /* is nobody's now */

	CHECK_EQ(pipe(ends), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		grandchild = fork();
		CHECK_EQ(write(ends[1], &grandchild, sizeof(grandchild)), sizeof(grandchild));
		if (grandchild)
			inside_wait(grandchild);
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
	CHECK_EQ(inside_wait(child), 0);
}

static const struct inside_case cases[] = {
	inside_case(fork_copies),
	inside_case(children_have_children),
	inside_case(faults_end_the_child_only),
	inside_case(vfork_children_tell),
	inside_case(tids_are_written),
	inside_case(other_clones_are_refused),
	inside_case(descriptors_are_hidden_in_children),
	inside_case(a_full_table_keeps_nobody_from_forking),
	inside_case(memory_of_children_is_out_of_reach),
	inside_case(signals_go_to_children_only),
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shells),
		cmocka_unit_test(daemons_let_go),
		inside_test(fork_copies),
		inside_test(children_have_children),
		inside_test(faults_end_the_child_only),
		inside_test(vfork_children_tell),
		inside_test(tids_are_written),
		inside_test(other_clones_are_refused),
		inside_test(descriptors_are_hidden_in_children),
		inside_test(a_full_table_keeps_nobody_from_forking),
		inside_test(memory_of_children_is_out_of_reach),
		inside_test(signals_go_to_children_only),
	};

	const struct rlimit many_fds = { 4096, 4096 };

	inside_main(argc, argv, cases);
	/* More than the sandbox can watch, unless it sees to that. */
	setrlimit(RLIMIT_NOFILE, &many_fds);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
