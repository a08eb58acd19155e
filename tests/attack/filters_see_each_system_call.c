// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hypercall is no way around seccomp, ptrace or no_new_privs: the system call
 * that follows it is the thread's own, and each of them sees it with its number
 * and arguments. What it cannot forward, it does not invent.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

/* For one system call this action; all others are allowed. */
static void filter(long nr, uint32_t action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void set_before_entering(void)
{
	filter(SYS_getppid, SECCOMP_RET_ERRNO | 77);
	enter_dune();
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	CHECK_ERRNO(syscall(SYS_getppid), 77);
	CHECK_OK(syscall(SYS_getpid));
	CHECK_ERRNO(syscall(SYS_getppid), 77);
}

static void set_inside(void)
{
	enter_dune();
	CHECK_OK(syscall(SYS_getppid));
	filter(SYS_getppid, SECCOMP_RET_ERRNO | 78);
	CHECK_ERRNO(syscall(SYS_getppid), 78);
}

/* VMCALL itself, with the number in rax, as an attacker would who knows libdune. */
static void by_a_bare_vmcall(void)
{
	long result = SYS_getppid;

	enter_dune();
	filter(SYS_getppid, SECCOMP_RET_ERRNO | 79);
	__asm__ volatile("vmcall" : "+a"(result)::"rcx", "rdx", "r11", "memory");
	CHECK_EQ(result, -79);
}

static void that_kill(void)
{
	pid_t child;

	enter_dune();
	child = harness_fork();
	if (!child) {
		filter(SYS_getppid, SECCOMP_RET_KILL_PROCESS);
		syscall(SYS_getppid);
		_exit(0);
	}
	CHECK_EQ(harness_wait(child), 128 + SIGSYS);
}

static volatile sig_atomic_t trapped_nr;

static void on_sigsys(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	trapped_nr = info->si_syscall;
}

static void that_trap(void)
{
	struct sigaction action = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	enter_dune();
	CHECK_OK(sigaction(SIGSYS, &action, NULL));
	filter(SYS_getppid, SECCOMP_RET_TRAP);
	syscall(SYS_getppid);
	CHECK_EQ(trapped_nr, SYS_getppid);
	CHECK_EQ(current_ring(), 0);
}

/* What running itself needs is denied: the program ends, and does so with a word. */
static void that_deny_the_device(void)
{
	pid_t child;

	enter_dune();
	child = harness_fork();
	if (!child) {
		filter(SYS_lseek, SECCOMP_RET_KILL_PROCESS);
		for (;;)
			syscall(SYS_getpid);
	}
	CHECK_EQ(harness_wait(child), 128 + SIGSYS);
}

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
		guest_test(set_before_entering),
		guest_test(set_inside),
		guest_test(by_a_bare_vmcall),
		guest_test(that_kill),
		guest_test(that_trap),
		guest_test(that_deny_the_device),
		guest_test(calls_on_registers_take_no_nonsense),
		guest_test(a_tracer_sees_and_changes_them),
	};

	return run_guest_tests(tests);
}
