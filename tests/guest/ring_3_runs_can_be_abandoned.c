// SPDX-License-Identifier: GPL-2.0-only
/*
 * A signal handler may leave a run of ring 3 for good, by siglongjmp(), and may start one
 * wherever it came: later runs end as they should, and the trap stacks are where they were.
 */
#define _GNU_SOURCE
#include "ring3.h"
#include "ring3_attacks.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#define GENERAL_REGS __attribute__((target("general-regs-only")))

static sigjmp_buf back;
static unsigned nr_breakpoints;

static void jump(int number)
{
	siglongjmp(back, number);
}

/* Endless: a round for each number of 64 bits. */
static void call_spin(void)
{
	uint64_t value;

	ring3_try(attack_spin_bases, 0, 0, 0, &value, NULL);
	FAIL("ring 3 came back");
}

static void call_fault(void)
{
	struct dune_ring3_end end = { 0 };
	uint64_t value;

	CHECK_EQ(ring3_try(attack_fault_gs, 0, 0, 0, &value, &end), -EFAULT);
	CHECK_EQ(end.vector, 6);
}

GENERAL_REGS static void on_breakpoint(struct dune_frame *frame)
{
	(void)frame;
	nr_breakpoints++;
}

static void by_a_timeout(void)
{
	struct itimerval timer = { { 0, 0 }, { 0, 2000 } };

	ring3_prepare();
	CHECK_EQ(dune_set_handler(3, on_breakpoint, 0), 0);
	signal(SIGALRM, jump);
	for (volatile unsigned round = 1; round <= 20; round++) {
		if (!sigsetjmp(back, 1)) {
			CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
			call_spin();
		}
		call_fault();
		__asm__ volatile("int3");
		CHECK_EQ(nr_breakpoints, round);
		ring3_check_host();
	}
}

static void call_spin_below(unsigned bytes)
{
	struct itimerval timer = { { 0, 0 }, { 0, 2000 } };
	volatile char *gap = __builtin_alloca(bytes);

	gap[0] = 0;
	CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
	call_spin();
}

/* The dead run lies below: its place on the stack is used for something else. */
static void from_deep_below(void)
{
	ring3_prepare();
	signal(SIGALRM, jump);
	for (volatile int round = 0; round < 5; round++) {
		if (!sigsetjmp(back, 1))
			call_spin_below(1600 * (round % 4));
		for (int i = 0; i < 3; i++) {
			call_fault();
			ring3_check_host();
		}
	}
}

static void call_in_handler(int number)
{
	(void)number;
	call_fault();
	ring3_check_host();
}

static unsigned nr_faults;

GENERAL_REGS static void on_undefined(struct dune_frame *frame)
{
	if (dune_frame_is_user(frame)) {
		dune_ring3_stop(frame, 0);
		return;
	}
	nr_faults++;
	frame->rip += 2;
}

/* The trap stack of this handler must not become another's meanwhile. */
static void wait_and_fault(struct dune_frame *frame)
{
	struct dune_frame before = *frame;

	raise(SIGUSR1);
	for (int i = 0; i < 3; i++)
		__asm__ volatile("ud2");
	CHECK(!memcmp(&before, frame, sizeof(before)));
	nr_breakpoints++;
}

static void begun_in_a_handler_on_another_stack(void)
{
	static char alternative[65536];
	stack_t stack = { .ss_sp = alternative, .ss_size = sizeof(alternative) };
	struct sigaction action = { .sa_handler = call_in_handler, .sa_flags = SA_ONSTACK };

	ring3_prepare();
	CHECK_OK(sigaltstack(&stack, NULL));
	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	CHECK_EQ(dune_set_handler(6, on_undefined, 0), 0);
	CHECK_EQ(dune_set_handler(3, wait_and_fault, DUNE_SAVE_FPU), 0);
	for (unsigned round = 1; round <= 10; round++) {
		__asm__ volatile("int3");
		CHECK_EQ(nr_breakpoints, round);
		CHECK_EQ(nr_faults, 3 * round);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(by_a_timeout),
		guest_test(from_deep_below),
		guest_test(begun_in_a_handler_on_another_stack),
	};

	return run_guest_tests(tests);
}
