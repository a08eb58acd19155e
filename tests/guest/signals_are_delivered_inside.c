// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals reach their handlers inside, with what Linux gives them, and the
 * interrupted code goes on as if nothing had been.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "through.h"

#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

static volatile sig_atomic_t count, ring, value, number;
/* volatile: libc calls raise() a leaf, so the compiler thinks no handler runs in it. */
static volatile siginfo_t last;
static volatile uint64_t stack_pointer;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)context;
	last = *info;
	ring = current_ring();
	number = signal;
	stack_pointer = (uintptr_t)__builtin_frame_address(0);
	count++;
}

static void handle(int signal, int flags)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags };

	CHECK_OK(sigaction(signal, &action, NULL));
}

static void raised(void)
{
	enter_dune();
	handle(SIGUSR1, 0);
	for (int i = 1; i <= 20; i++) {
		CHECK_EQ(raise(SIGUSR1), 0);
		CHECK_EQ(count, i);
		CHECK_EQ(ring, 0);
		CHECK_EQ(last.si_pid, getpid());
	}
	CHECK_EQ(current_ring(), 0);
}

static void handler_set_before_entering(void)
{
	handle(SIGUSR1, 0);
	enter_dune();
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(ring, 0);
	CHECK_EQ(dune_leave(), 0);
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(count, 2);
	CHECK_EQ(ring, 3);
}

static void with_a_value(void)
{
	enter_dune();
	handle(SIGRTMIN, 0);
	CHECK_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 1234 }));
	CHECK_EQ(count, 1);
	CHECK_EQ(last.si_code, SI_QUEUE);
	CHECK_EQ(last.si_value.sival_int, 1234);
}

static void interrupting_a_loop(void)
{
	struct itimerval timer = { { 0, 2000 }, { 0, 2000 } };

	enter_dune();
	handle(SIGALRM, 0);
	CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
	while (count < 10)
		;
	CHECK_EQ(ring, 0);
}

static void on_alarm_spoil(int signal)
{
	through_flag = signal;
	__asm__ volatile("xorps %%xmm1, %%xmm1; xorps %%xmm15, %%xmm15" ::: "xmm1", "xmm15");
}

static void leaving_registers_alone(void)
{
	struct itimerval timer = { { 0, 0 }, { 0, 5000 } };

	enter_dune();
	signal(SIGALRM, on_alarm_spoil);
	for (int turn = 0; turn < 10; turn++) {
		for (int i = 0; i < 16; i++) {
			through_in.gpr[i] = (turn + i) * 0x9e3779b97f4a7c15ull;
			through_in.red_zone[i] = ~through_in.gpr[i];
		}
		__asm__ volatile("pushfq; pop %0" : "=r"(through_in.rflags)::"memory");
		through_in.rflags |= turn & 1 ? 0x8d5 : 0;
		through_flag = 0;
		CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
		through_wait();
		CHECK_EQ(through_out.rflags, through_in.rflags);
		for (int i = 0; i < 16; i++) {
			if (i != 1)
				CHECK_EQ(through_out.gpr[i], through_in.gpr[i]);
			CHECK_EQ(through_out.red_zone[i], through_in.red_zone[i]);
		}
	}
}

static sigjmp_buf back;

static void jump(int signal)
{
	siglongjmp(back, signal);
}

static void jumping_out(void)
{
	volatile int jumps = 0;
	struct itimerval timer = { { 0, 0 }, { 0, 3000 } };
	sigset_t mask;

	enter_dune();
	signal(SIGUSR1, jump);
	signal(SIGALRM, jump);
	for (volatile int i = 0; i < 5; i++) {
		if (sigsetjmp(back, 1) == 0) {
			raise(SIGUSR1);
			FAIL("came back from the handler");
		}
		jumps++;
	}
	for (volatile int i = 0; i < 5; i++) {
		if (sigsetjmp(back, 1) == 0) {
			CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
			for (;;)
				;
		}
		jumps++;
	}
	CHECK_EQ(jumps, 10);
	CHECK_EQ(current_ring(), 0);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	CHECK(!sigismember(&mask, SIGUSR1));
}

static void on_its_own_stack(void)
{
	static char alternative[65536];
	stack_t stack = { .ss_sp = alternative, .ss_size = sizeof(alternative) };

	enter_dune();
	CHECK_OK(sigaltstack(&stack, NULL));
	handle(SIGUSR1, SA_ONSTACK);
	handle(SIGUSR2, 0);
	raise(SIGUSR1);
	CHECK(stack_pointer > (uintptr_t)alternative &&
	      stack_pointer < (uintptr_t)alternative + sizeof(alternative));
	raise(SIGUSR2);
	CHECK_EQ(count, 2);
	CHECK_EQ(number, SIGUSR2);
	CHECK(!(stack_pointer > (uintptr_t)alternative &&
		stack_pointer < (uintptr_t)alternative + sizeof(alternative)));
}

static void masked(void)
{
	sigset_t mask, pending;

	enter_dune();
	handle(SIGUSR1, 0);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	CHECK_OK(sigprocmask(SIG_BLOCK, &mask, NULL));
	raise(SIGUSR1);
	CHECK_EQ(count, 0);
	CHECK_OK(sigpending(&pending));
	CHECK(sigismember(&pending, SIGUSR1));
	CHECK_OK(sigprocmask(SIG_UNBLOCK, &mask, NULL));
	CHECK_EQ(count, 1);
}

/* Appends 1 for SIGUSR1 as it comes, 2 for SIGUSR2, 3 as SIGUSR1's handler ends. */
static void on_nested(int signal)
{
	value = value * 10 + (signal == SIGUSR1 ? 1 : 2);
	if (signal == SIGUSR2 || value > 100000)
		return;
	raise(SIGUSR2);
	if (value < 1000)
		raise(SIGUSR1); /* masked while this one runs: comes after it */
	value = value * 10 + 3;
}

static void nested(void)
{
	struct sigaction action = { .sa_handler = on_nested };

	enter_dune();
	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	CHECK_OK(sigaction(SIGUSR2, &action, NULL));
	raise(SIGUSR1);
	CHECK_EQ(value, 123123);
}

static void reset_after_the_first(void)
{
	struct sigaction action = { .sa_handler = on_nested, .sa_flags = SA_RESETHAND };
	pid_t child = harness_fork();

	if (!child) {
		enter_dune();
		CHECK_OK(sigaction(SIGUSR2, &action, NULL));
		raise(SIGUSR2);
		CHECK_EQ(value, 2);
		raise(SIGUSR2);
		_exit(0);
	}
	CHECK_EQ(harness_wait(child), 128 + SIGUSR2);
}

static void none_is_lost(void)
{
	pid_t parent = getpid(), child;
	enum { NR = 200 };

	handle(SIGRTMIN, 0);
	child = harness_fork();
	if (!child) {
		for (int i = 0; i < NR; i++)
			while (sigqueue(parent, SIGRTMIN, (union sigval){ .sival_int = i }))
				usleep(1000);
		_exit(0);
	}
	enter_dune();
	while (count < NR)
		if (count % 2)
			getppid();
	JOIN(child);
	CHECK_EQ(count, NR);
}

static void seen_by_the_context(int signal, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	(void)signal, (void)info;
	value = user->uc_mcontext.gregs[REG_RBX] == 0x1234;
	user->uc_mcontext.gregs[REG_RBX] = 0x4321;
	user->uc_mcontext.gregs[REG_RIP] = user->uc_mcontext.gregs[REG_R11];
}

static void changing_the_context(void)
{
	struct sigaction action = { .sa_sigaction = seen_by_the_context, .sa_flags = SA_SIGINFO };
	uint64_t rbx = 0x1234;

	enter_dune();
	CHECK_OK(sigaction(SIGSEGV, &action, NULL));
	__asm__ volatile("lea 1f(%%rip), %%r11; movl $1, 8; 1:" : "+b"(rbx)::"r11", "memory");
	CHECK_EQ(rbx, 0x4321);
	CHECK_EQ(value, 1);
}

static void deadly(void)
{
	const int signals[] = { SIGTERM, SIGKILL, SIGABRT, SIGUSR1 };

	for (unsigned i = 0; i < 4; i++) {
		pid_t child = harness_fork();

		if (!child) {
			enter_dune();
			kill(getpid(), signals[i]);
			_exit(1);
		}
		CHECK_EQ(harness_wait(child), 128 + signals[i]);
	}
}

static void stopped_and_continued(void)
{
	pid_t child = harness_fork();
	int status;

	if (!child) {
		enter_dune();
		for (;;)
			;
	}
	usleep(20000);
	CHECK_OK(kill(child, SIGSTOP));
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	CHECK(WIFSTOPPED(status));
	CHECK_OK(kill(child, SIGCONT));
	CHECK_OK(kill(child, SIGTERM));
	CHECK_EQ(harness_wait(child), 128 + SIGTERM);
}

static void ignored(void)
{
	enter_dune();
	signal(SIGUSR1, SIG_IGN);
	CHECK_EQ(raise(SIGUSR1), 0);
	signal(SIGCHLD, SIG_DFL);
	CHECK_EQ(raise(SIGCHLD), 0);
	CHECK_EQ(current_ring(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(raised),
		guest_test(handler_set_before_entering),
		guest_test(with_a_value),
		guest_test(interrupting_a_loop),
		guest_test(leaving_registers_alone),
		guest_test(jumping_out),
		guest_test(on_its_own_stack),
		guest_test(masked),
		guest_test(nested),
		guest_test(reset_after_the_first),
		guest_test(none_is_lost),
		guest_test(changing_the_context),
		guest_test(deadly),
		guest_test(stopped_and_continued),
		guest_test(ignored),
	};

	return run_guest_tests(tests);
}
