// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a signal handler finds inside is what it finds outside: masks, stacks and the place it
 * interrupted. And so is what becomes of the call that it interrupts.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <ucontext.h>

/* What happens outside is written down, and happens inside, too. */
static uint64_t record;

static void note(uint64_t digits)
{
	record = record * 31 + digits;
}

static void as_outside(void (*scenario)(int), int nr)
{
	uint64_t outside[8];

	CHECK(nr <= 8);
	CHECK_EQ(dune_init(), 0);
	for (int i = 0; i < nr; i++) {
		record = 0;
		scenario(i);
		outside[i] = record;
	}
	CHECK_EQ(dune_enter(), 0);
	for (int i = 0; i < nr; i++) {
		record = 0;
		scenario(i);
		if (record != outside[i])
			FAIL("%d: %#lx, outside %#lx", i, record, outside[i]);
	}
}

/* ---- Masks --------------------------------------------------------------------- */

static void note_mask(int signal)
{
	sigset_t mask;

	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &mask));
	note(8 * (signal == SIGUSR2) + 4 * (signal == SIGUSR1) + 2 * sigismember(&mask, SIGUSR2) +
	     sigismember(&mask, SIGUSR1));
}

static long wait_with(int how, sigset_t *mask)
{
	struct epoll_event event;
	int epoll = epoll_create1(0);
	long result;

	if (how == 0)
		result = sigsuspend(mask);
	else if (how == 1)
		result = ppoll(NULL, 0, NULL, mask);
	else if (how == 2)
		result = pselect(0, NULL, NULL, NULL, NULL, mask);
	else
		result = epoll_pwait(epoll, &event, 1, -1, mask);
	close(epoll);
	return result;
}

/* One signal waits, or two do. */
static void wait_for_signals(int nr)
{
	struct sigaction action = { .sa_handler = note_mask };
	sigset_t mask, before;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGUSR2);
	CHECK_OK(sigprocmask(SIG_BLOCK, &mask, &before));
	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	CHECK_OK(sigaction(SIGUSR2, &action, NULL));
	raise(SIGUSR1);
	if (nr >= 4)
		raise(SIGUSR2);
	sigemptyset(&mask);
	CHECK_ERRNO(wait_with(nr % 4, &mask), EINTR);
	note_mask(0);
	CHECK_OK(sigprocmask(SIG_SETMASK, &before, NULL));
}

static void with_the_mask_of_the_wait(void)
{
	as_outside(wait_for_signals, 8);
}

/* ---- Stacks -------------------------------------------------------------------- */

static char alternative[65536], another[65536];

static void note_stack(void)
{
	stack_t now;

	CHECK_OK(sigaltstack(NULL, &now));
	note((unsigned)now.ss_flags >> 31);
	note(now.ss_flags & 15);
	note(now.ss_sp == alternative ? 1 : now.ss_sp == another ? 2 : 3);
}

static void change_stack(int signal)
{
	const stack_t stack = { .ss_sp = another, .ss_size = sizeof(another) };

	note_stack();
	errno = 0;
	note(sigaltstack(&stack, NULL) ? errno : 15);
	note_stack();
	if (signal == SIGUSR1)
		raise(SIGUSR2);
}

/* The flags of the stack, and whether the handler goes there. */
static void use_alternate_stack(int nr)
{
	struct sigaction action = { .sa_handler = change_stack,
				    .sa_flags = nr & 1 ? SA_ONSTACK : 0 };
	const stack_t none = { .ss_flags = SS_DISABLE };
	stack_t stack = { .ss_sp = alternative,
			  .ss_size = sizeof(alternative),
			  .ss_flags = nr & 2 ? (int)(1u << 31) : 0 };

	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	CHECK_OK(sigaction(SIGUSR2, &action, NULL));
	CHECK_OK(sigaltstack(&stack, NULL));
	raise(SIGUSR1);
	note_stack();
	CHECK_OK(sigaltstack(&none, NULL));
}

static void with_the_alternate_stack_as_it_is(void)
{
	as_outside(use_alternate_stack, 4);
}

/* ---- Calls that are interrupted ------------------------------------------------- */

static int pipe_fds[2];

/* The read below blocks until somebody writes, some time after the signal. */
static pid_t signal_then_write(void)
{
	pid_t parent = getpid(), child;

	CHECK_OK(pipe(pipe_fds));
	child = harness_fork();
	if (!child) {
		usleep(10000);
		kill(parent, SIGUSR1);
		usleep(10000);
		CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
		_exit(0);
	}
	return child;
}

static volatile sig_atomic_t count;

static void on_signal(int signal)
{
	(void)signal;
	count++;
}

static void handle(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	CHECK_OK(sigaction(signal, &action, NULL));
}

static void read_again_after(void (*handler)(int))
{
	char byte = 0;
	pid_t child;

	enter_dune();
	handle(SIGUSR1, handler, SA_RESTART);
	child = signal_then_write();
	CHECK_EQ(read(pipe_fds[0], &byte, 1), 1);
	CHECK_EQ(byte, 'x');
	JOIN(child);
}

static void restarting_calls(void)
{
	read_again_after(on_signal);
	CHECK_EQ(count, 1);
}

static void interrupting_calls(void)
{
	char byte;
	pid_t child;

	enter_dune();
	handle(SIGUSR1, on_signal, 0);
	child = signal_then_write();
	CHECK_ERRNO(read(pipe_fds[0], &byte, 1), EINTR);
	CHECK_EQ(count, 1);
	CHECK_EQ(read(pipe_fds[0], &byte, 1), 1);
	JOIN(child);
}

static void leave_dune(int signal)
{
	(void)signal;
	CHECK_EQ(dune_leave(), 0);
}

static void restarting_calls_outside(void)
{
	read_again_after(leave_dune);
	CHECK_EQ(current_ring(), 3);
}

static uint64_t call_rip, call_rsp;

static long call_here(long nr, long a, long b, long c)
{
	long result;

	__asm__ volatile("xor %%r8d, %%r8d\n\t"
			 "stc\n\t" /* CF, PF and ZF are set */
			 "lea 1f(%%rip), %%r8\n\t"
			 "mov %%r8, %[rip]\n\t"
			 "mov %%rsp, %[rsp]\n\t"
			 "syscall\n"
			 "1:"
			 : "=a"(result), [rip] "=m"(call_rip), [rsp] "=m"(call_rsp)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "r8", "memory", "cc");
	return result;
}

static void note_place(int signal, siginfo_t *info, void *context)
{
	const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)info, (void)signal;
	note(8 + registers[REG_RIP] - call_rip);
	note(registers[REG_RSP] == (greg_t)call_rsp);
	note(registers[REG_RCX] == (greg_t)call_rip);
	note((registers[REG_EFL] & 0xc5) == 0x45);
}

/* A call that is done, one that is interrupted, one that is made again. */
static void be_interrupted(int nr)
{
	struct sigaction action = { .sa_sigaction = note_place, .sa_flags = SA_SIGINFO };
	char byte;
	pid_t child;

	if (nr == 2)
		action.sa_flags |= SA_RESTART;
	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	if (!nr) {
		CHECK_EQ(call_here(SYS_tgkill, getpid(), gettid(), SIGUSR1), 0);
		return;
	}
	child = signal_then_write();
	CHECK_EQ(call_here(SYS_read, pipe_fds[0], (long)&byte, 1), nr == 2 ? 1 : -EINTR);
	JOIN(child);
}

static void at_the_programs_own_instruction(void)
{
	as_outside(be_interrupted, 3);
}

/* ---- Protection keys, which system calls obey -------------------------------------- */

static sigjmp_buf back;

static void jump(int signal)
{
	siglongjmp(back, signal);
}

static uint32_t read_pkru(void)
{
	uint32_t pkru, high;

	__asm__ volatile(".byte 0x0f, 0x01, 0xee" : "=a"(pkru), "=d"(high) : "c"(0));
	return pkru;
}

/* Seen outside, where a handler has left its own: inside the register cannot be read. */
static void with_the_keys_of_a_handler(void)
{
	uint32_t before;

	TEST_REQUIRE(pkey_alloc(0, 0) > 0, "a CPU without protection keys");
	CHECK_OK(pkey_set(2, 0));
	before = read_pkru();
	CHECK(signal(SIGUSR1, jump) != SIG_ERR);
	enter_dune();
	if (!sigsetjmp(back, 1))
		raise(SIGUSR1);
	CHECK_EQ(dune_leave(), 0);
	CHECK(read_pkru() != before);
	before = read_pkru();
	if (!sigsetjmp(back, 1))
		raise(SIGUSR1);
	CHECK_EQ(before, read_pkru());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(with_the_mask_of_the_wait),
		guest_test(with_the_alternate_stack_as_it_is),
		guest_test(restarting_calls),
		guest_test(interrupting_calls),
		guest_test(restarting_calls_outside),
		guest_test(at_the_programs_own_instruction),
		guest_test(with_the_keys_of_a_handler),
	};

	return run_guest_tests(tests);
}
