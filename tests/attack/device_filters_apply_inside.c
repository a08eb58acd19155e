// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls from inside are the thread's own: seccomp filters from before and
 * from inside apply to each of them, whatever they decide, and so do no_new_privs
 * and name spaces. docs/security.md says so.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code: <asm-generic/siginfo.h> and libc's do not go together */
#endif

/* One system call has this result, all others are allowed. */
static void install_filter(long number, unsigned result, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, result),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK_OK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

static void deny_getppid(unsigned flags)
{
	install_filter(SYS_getppid, SECCOMP_RET_ERRNO | EUCLEAN, flags);
}

static void check_getppid_is_denied(void)
{
	CHECK_ERRNO(syscall(SYS_getppid), EUCLEAN);
	/* As a hypercall, without libc. */
	CHECK_EQ(dune_inside() ? dune_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0) : -EUCLEAN, -EUCLEAN);
	CHECK(syscall(SYS_getpid) > 0);
}

static void a_filter_from_before(void)
{
	deny_getppid(0);
	enter_dune();
	check_getppid_is_denied();
	CHECK_EQ(dune_leave(), 0);
	check_getppid_is_denied();
}

static void a_filter_from_inside(void)
{
	enter_dune();
	CHECK(syscall(SYS_getppid) > 0);
	deny_getppid(0);
	CHECK(dune_inside());
	check_getppid_is_denied();
	CHECK_EQ(prctl(PR_GET_SECCOMP, 0, 0, 0, 0), SECCOMP_MODE_FILTER);
	CHECK_EQ(dune_leave(), 0);
	check_getppid_is_denied();
}

static void children_inherit_it(void)
{
	pid_t child;

	enter_dune();
	deny_getppid(0);
	child = harness_fork();
	if (!child) {
		CHECK(dune_inside());
		check_getppid_is_denied();
		_exit(0);
	}
	JOIN(child);
}

static volatile int go;

static void *call_when_told(void *unused)
{
	CHECK(dune_inside());
	while (!go)
		sched_yield();
	check_getppid_is_denied();
	return unused;
}

static void other_threads_get_it_at_once(void)
{
	pthread_t thread;

	enter_dune();
	CHECK_EQ(pthread_create(&thread, NULL, call_when_told, NULL), 0);
	deny_getppid(SECCOMP_FILTER_FLAG_TSYNC);
	go = 1;
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static int in_a_child(void (*function)(void))
{
	pid_t child = harness_fork();

	if (!child) {
		freopen("/dev/null", "w", stderr);
		function();
		_exit(0);
	}
	return harness_wait(child);
}

static void be_killed(void)
{
	enter_dune();
	install_filter(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0);
	syscall(SYS_getppid);
}

static void it_may_kill(void)
{
	CHECK_EQ(in_a_child(be_killed) & ~0x80, SIGSYS);
}

static void be_strict(void)
{
	enter_dune();
	CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0));
}

/* read, write, exit and sigreturn are not what runs a guest. */
static void strict_mode_ends_it(void)
{
	CHECK_EQ(in_a_child(be_strict), 128 + SIGKILL);
}

static volatile int trapped;

static void count_trap(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	trapped += info->si_code == SYS_SECCOMP && info->si_syscall == SYS_getppid;
}

static void it_may_trap(void)
{
	struct sigaction action = { .sa_sigaction = count_trap, .sa_flags = SA_SIGINFO };

	enter_dune();
	CHECK_OK(sigaction(SIGSYS, &action, NULL));
	install_filter(SYS_getppid, SECCOMP_RET_TRAP, 0);
	for (int i = 1; i <= 10; i++) {
		syscall(SYS_getppid);
		CHECK_EQ(trapped, i);
	}
	CHECK(dune_inside());
}

/* ---- Filters that do not let it run ------------------------------------------- */

static void lose_lseek(void)
{
	enter_dune();
	install_filter(SYS_lseek, SECCOMP_RET_ERRNO | EPERM, 0);
	for (;;)
		getpid();
}

/* It ends, and does not spin, nor go on outside as if nothing were. */
static void without_running_it_ends(void)
{
	int code = in_a_child(lose_lseek);

	CHECK(code > 0 && code != 128 + SIGALRM);
}

static void without_open_there_is_no_dune(void)
{
	install_filter(SYS_openat, SECCOMP_RET_ERRNO | EACCES, 0);
	CHECK_EQ(dune_init(), -EACCES);
}

static void without_ioctl_there_is_no_dune(void)
{
	install_filter(SYS_ioctl, SECCOMP_RET_ERRNO | EPERM, 0);
	CHECK_EQ(dune_init(), -EPERM);
}

/* ---- Name spaces ------------------------------------------------------------------ */

static void write_text(const char *path, const char *text)
{
	int fd = CHECK_OK(open(path, O_WRONLY));

	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void a_user_name_space_is_seen_inside(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(!unshare(CLONE_NEWUSER), "no user name spaces");
	enter_dune();
	CHECK_EQ(getuid(), 65534); /* nobody, as long as nothing is mapped */
	CHECK_ERRNO(syscall(SYS_sethostname, "x", 1), EPERM);
	write_text("/proc/self/uid_map", "7 0 1");
	CHECK_EQ(getuid(), 7);
}

/* Root of a name space of one's own is nobody in particular to the device. */
static void root_of_a_name_space_is_not_root(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	CHECK_OK(syscall(SYS_setresuid, 1000, 1000, 1000));
	CHECK_OK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); /* or /proc/self is root's */
	TEST_REQUIRE(!unshare(CLONE_NEWUSER), "no user name spaces for everybody");
	write_text("/proc/self/uid_map", "0 1000 1");
	CHECK_EQ(geteuid(), 0);
	CHECK_ERRNO(open("/dev/dune", O_RDWR), EACCES);
	CHECK_EQ(dune_init(), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(a_filter_from_before),
		guest_test(a_filter_from_inside),
		guest_test(children_inherit_it),
		guest_test(other_threads_get_it_at_once),
		guest_test(it_may_kill),
		guest_test(strict_mode_ends_it),
		guest_test(it_may_trap),
		guest_test(without_running_it_ends),
		guest_test(without_open_there_is_no_dune),
		guest_test(without_ioctl_there_is_no_dune),
		guest_test(a_user_name_space_is_seen_inside),
		guest_test(root_of_a_name_space_is_not_root),
	};

	return run_guest_tests(tests);
}
