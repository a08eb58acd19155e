// SPDX-License-Identifier: GPL-2.0-only
/*
 * A signal that comes while an exception is being handled has as much stack as any other,
 * and whether it comes back or jumps away, the next exceptions have theirs.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "faults.h"
#include "ticks.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

enum { ROUNDS = 50, LARGE = 96 * 1024, VECTOR_DB = 1, VECTOR_BP = 3, VECTOR_UD = 6 };

static sigjmp_buf back;
static volatile unsigned depth, nr_handled;

static void raise_signal(struct dune_frame *frame)
{
	(void)frame;
	raise(SIGUSR1);
	nr_handled++;
}

static void jump(int number)
{
	siglongjmp(back, number);
}

/* One in the other's handler. */
static void nest(struct dune_frame *frame)
{
	frame->rip += 2;
	nr_handled++;
	if (--depth)
		__asm__ volatile("ud2");
}

static void check_nesting(unsigned levels)
{
	depth = levels;
	nr_handled = 0;
	__asm__ volatile("ud2");
	CHECK_EQ(nr_handled, levels);
}

static void begin(void)
{
	enter_dune();
	CHECK_EQ(dune_set_handler(VECTOR_BP, raise_signal, DUNE_SAVE_FPU), 0);
	CHECK_EQ(dune_set_handler(VECTOR_DB, raise_signal, DUNE_SAVE_FPU), 0);
	CHECK_EQ(dune_set_handler(VECTOR_UD, nest, DUNE_SAVE_FPU), 0);
}

static void leave_again_and_again(const char *code)
{
	begin();
	signal(SIGUSR1, jump);
	for (volatile unsigned round = 0; round < ROUNDS; round++) {
		if (!sigsetjmp(back, 1)) {
			((void (*)(void))code)();
			FAIL("the handler came back");
		}
		check_nesting(4);
	}
	signal(SIGUSR1, SIG_IGN);
	((void (*)(void))code)();
	CHECK_EQ(dune_leave(), 0);
}

static void of_breakpoints(void)
{
	leave_again_and_again(fault_breakpoint);
}

static void of_debug_exceptions(void)
{
	leave_again_and_again(fault_debug);
}

/* ---- Whose signal comes at any moment, most often in a handler ---- */

static void take_time(struct dune_frame *frame)
{
	for (volatile int i = 0; i < 1000; i++)
		;
	frame->rip += 2;
}

static void at_any_moment(void)
{
	struct itimerval timer = { { 0, 1500 }, { 0, 1500 } };
	static volatile unsigned jumps;

	begin();
	CHECK_EQ(dune_set_handler(VECTOR_UD, take_time, 0), 0);
	signal(SIGALRM, jump);
	if (!sigsetjmp(back, 1))
		CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
	if (++jumps < 4 * ROUNDS)
		for (;;)
			__asm__ volatile("ud2");
	timer = (struct itimerval){ 0 };
	CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
	CHECK_EQ(dune_set_handler(VECTOR_UD, nest, DUNE_SAVE_FPU), 0);
	check_nesting(4);
}

/* ---- Whose signal's handler comes back ---- */

static void use_much_stack(int number)
{
	volatile char buffer[LARGE];

	for (unsigned i = 0; i < LARGE; i++)
		buffer[i] = (char)(i * 7 + number);
	check_nesting(3);
	for (unsigned i = 0; i < LARGE; i++)
		CHECK_EQ(buffer[i], (char)(i * 7 + number));
}

static void with_a_large_stack(void)
{
	begin();
	signal(SIGUSR1, use_much_stack);
	for (int i = 0; i < 20; i++)
		((void (*)(void))fault_breakpoint)();
	check_nesting(7);
}

static void break_on_the_alternate_stack(int number)
{
	volatile char buffer[4096];

	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = (char)(i * 7 + number);
	((void (*)(void))fault_breakpoint)();
	for (unsigned i = 0; i < sizeof(buffer); i++)
		CHECK_EQ(buffer[i], (char)(i * 7 + number));
}

static void note_place(int number)
{
	nr_handled += 100 + 0 * number;
}

static void on_an_alternate_stack_in_use(void)
{
	static char alternative[65536];
	stack_t stack = { .ss_sp = alternative, .ss_size = sizeof(alternative) };
	struct sigaction first = { .sa_handler = break_on_the_alternate_stack,
				   .sa_flags = SA_ONSTACK };
	struct sigaction second = { .sa_handler = note_place, .sa_flags = SA_ONSTACK };

	begin();
	CHECK_OK(sigaltstack(&stack, NULL));
	CHECK_OK(sigaction(SIGUSR2, &first, NULL));
	CHECK_OK(sigaction(SIGUSR1, &second, NULL));
	for (unsigned i = 1; i <= 20; i++) {
		raise(SIGUSR2);
		CHECK_EQ(nr_handled, 101 * i);
	}
}

static void try_to_leave(int number)
{
	(void)number;
	CHECK_EQ(dune_leave(), -EBUSY);
}

static void and_cannot_leave_dune_meanwhile(void)
{
	begin();
	signal(SIGUSR1, try_to_leave);
	((void (*)(void))fault_breakpoint)();
	CHECK_EQ(nr_handled, 1);
	CHECK_EQ(dune_leave(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(of_breakpoints),
		guest_test(of_debug_exceptions),
		guest_test(at_any_moment),
		guest_test(with_a_large_stack),
		guest_test(on_an_alternate_stack_in_use),
		guest_test(and_cannot_leave_dune_meanwhile),
	};

	return run_guest_tests(tests);
}
