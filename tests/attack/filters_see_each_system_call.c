// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hypercall is no way around seccomp, ptrace or no_new_privs: the system call
 * that follows it is the thread's own, and each of them sees it with its number
 * and arguments, whatever they decide. What it cannot forward, it does not invent.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code: <asm-generic/siginfo.h> and libc's do not go together */
#endif

/* For one system call this action; all others are allowed, of this architecture. */
static void install_filter(long number, uint32_t action, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
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

/* Through libc, and by a hypercall without it. */
static void check_getppid_is_denied(void)
{
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	CHECK_ERRNO(syscall(SYS_getppid), EUCLEAN);
	CHECK_EQ(dune_inside() ? dune_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0) : -EUCLEAN, -EUCLEAN);
	CHECK(syscall(SYS_getpid) > 0);
	CHECK_ERRNO(syscall(SYS_getppid), EUCLEAN);
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

/* VMCALL itself, with the number in rax, as an attacker would who knows libdune. */
static void by_a_bare_vmcall(void)
{
	long result = SYS_getppid;

	enter_dune();
	deny_getppid(0);
	__asm__ volatile("vmcall" : "+a"(result)::"rcx", "rdx", "r11", "memory");
	CHECK_EQ(result, -EUCLEAN);
}

/* ---- What a filter may decide ------------------------------------------------- */

/* What it has to say on stderr is for its user. */
static int in_a_quiet_child(void (*function)(void))
{
	pid_t child = harness_fork();

	if (!child) {
		freopen("/dev/null", "w", stderr);
		if (!dune_inside())
			enter_dune();
		function();
		_exit(0);
	}
	return harness_wait(child);
}

static void be_killed(void)
{
	install_filter(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0);
	syscall(SYS_getppid);
}

static void it_may_kill(void)
{
	CHECK_EQ(in_a_quiet_child(be_killed), 128 + SIGSYS);
	enter_dune();
	CHECK_EQ(in_a_quiet_child(be_killed), 128 + SIGSYS);
}

static void be_strict(void)
{
	CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0));
}

/* read, write, exit and sigreturn are not what runs a guest. */
static void strict_mode_ends_it(void)
{
	CHECK_EQ(in_a_quiet_child(be_strict), 128 + SIGKILL);
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
	CHECK_EQ(current_ring(), 0);
}

/* ---- Filters that do not let it run ------------------------------------------- */

static void lose_lseek(void)
{
	install_filter(SYS_lseek, SECCOMP_RET_ERRNO | EPERM, 0);
	for (;;)
		getpid();
}

static void be_killed_for_lseek(void)
{
	install_filter(SYS_lseek, SECCOMP_RET_KILL_PROCESS, 0);
	for (;;)
		syscall(SYS_getpid);
}

/* It ends, and does not spin, nor go on outside as if nothing were. */
static void without_running_it_ends(void)
{
	int code = in_a_quiet_child(lose_lseek);

	CHECK(code > 0 && code != 128 + SIGALRM);
	CHECK_EQ(in_a_quiet_child(be_killed_for_lseek), 128 + SIGSYS);
	enter_dune();
	CHECK_EQ(in_a_quiet_child(be_killed_for_lseek), 128 + SIGSYS);
}

static void on_sigfpe(int signal)
{
	_exit(signal);
}

static void divide_by_zero_untold(void)
{
	signal(SIGFPE, on_sigfpe);
	install_filter(SYS_rt_tgsigqueueinfo, SECCOMP_RET_ERRNO | EPERM, 0);
	__asm__ volatile("div %0" ::"r"(0ul), "a"(1ul), "d"(0ul));
}

/* Nobody can tell its handler. */
static void without_faults_being_told_it_ends(void)
{
	CHECK_EQ(in_a_quiet_child(divide_by_zero_untold), 128 + SIGFPE);
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

/* ---- Nonsense ------------------------------------------------------------------ */

/* Calls that change the thread itself, by a bare VMCALL with nonsense for arguments. */
static void calls_on_registers_take_no_nonsense(void)
{
	static const struct {
		long nr;
		unsigned long a, b;
	} rows[] = {
		{ SYS_arch_prctl, 0x1002, 0xffff888000000000 }, /* FS */
		{ SYS_arch_prctl, 0x1001, 0x0000800000000000 }, /* GS */
		{ SYS_pipe2, 0xffff888000000000, 0 },
		{ SYS_execve, 0xffff888000000000, 0 },
		{ SYS_ptrace, PTRACE_PEEKUSER, 0 },
		{ SYS_read, 0, 0xffff888000000000 },
		{ SYS_set_tid_address + 100000, 0, 0 },
		{ -1, 0, 0 },
		{ 0x7fffffff, 0, 0 },
	};

	enter_dune();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		long result = rows[i].nr;
		register unsigned long r10 __asm__("r10") = 0;

		__asm__ volatile("vmcall"
				 : "+a"(result)
				 : "D"(rows[i].a), "S"(rows[i].b), "d"(16ul), "r"(r10)
				 : "rcx", "r11", "memory");
		if (result >= 0 || result < -4095)
			FAIL("row %u: %ld", i, result);
		CHECK_EQ(current_ring(), 0);
		CHECK_EQ(syscall(SYS_getppid), getppid());
	}
}

/* ---- A tracer ------------------------------------------------------------------- */

static void a_tracer_sees_and_changes_them(void)
{
	pid_t child = harness_fork();
	unsigned seen = 0;
	int status;

	if (!child) {
		enter_dune();
		raise(SIGSTOP);
		for (int i = 0; i < 5; i++)
			CHECK_EQ(syscall(SYS_getpgid, 4242 + i), 9999);
		_exit(7);
	}
	CHECK_OK(ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESYSGOOD));
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	CHECK_OK(kill(child, SIGCONT));
	for (bool entry = true; CHECK_OK(ptrace(PTRACE_SYSCALL, child, 0, 0)), true;) {
		struct user_regs_struct regs;

		CHECK_EQ(waitpid(child, &status, 0), child);
		if (WIFEXITED(status))
			break;
		CHECK(WIFSTOPPED(status));
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &regs));
		if (regs.orig_rax != SYS_getpgid)
			continue;
		if (entry) {
			CHECK_EQ(regs.rdi, 4242 + seen);
			CHECK_EQ((long)regs.rax, -ENOSYS);
			seen++;
		} else {
			regs.rax = 9999;
			CHECK_OK(ptrace(PTRACE_SETREGS, child, 0, &regs));
		}
		entry = !entry;
	}
	CHECK_EQ(WEXITSTATUS(status), 7);
	CHECK_EQ(seen, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(a_filter_from_before),
		guest_test(a_filter_from_inside),
		guest_test(children_inherit_it),
		guest_test(other_threads_get_it_at_once),
		guest_test(by_a_bare_vmcall),
		guest_test(it_may_kill),
		guest_test(strict_mode_ends_it),
		guest_test(it_may_trap),
		guest_test(without_running_it_ends),
		guest_test(without_faults_being_told_it_ends),
		guest_test(without_open_there_is_no_dune),
		guest_test(without_ioctl_there_is_no_dune),
		guest_test(calls_on_registers_take_no_nonsense),
		guest_test(a_tracer_sees_and_changes_them),
	};

	return run_guest_tests(tests);
}
