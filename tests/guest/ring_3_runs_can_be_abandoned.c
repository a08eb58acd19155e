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
	__asm__ volatile("ud2");
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
		CHECK_EQ(nr_faults, 4 * round);
	}
}

/* The handler that stops ring 3 interrupted another on a trap stack of its own. */
static volatile char *volatile nothing = (char *)8;

GENERAL_REGS static void fault(struct dune_frame *frame)
{
	(void)frame;
	(void)*nothing;
}

GENERAL_REGS static void stop(struct dune_frame *frame)
{
	dune_ring3_stop(frame, 80);
}

static void from_two_trap_stacks(void)
{
	struct dune_ring3_end end;
	uint64_t value;

	ring3_prepare();
	CHECK_EQ(dune_set_handler(1, fault, 0), 0);
	CHECK_EQ(dune_set_handler(14, stop, 0), 0);
	for (unsigned round = 0; round < 10; round++) {
		CHECK_EQ(ring3_try(attack_icebp, 0, 0, 0, &value, &end), -EFAULT);
		CHECK_EQ(value, 80);
		CHECK_EQ(end.vector, 14);
		ring3_check_host();
	}
}

/* Else ring 3 would go on where nothing holds it. */
static void try_to_leave(int number)
{
	CHECK_EQ(dune_leave(), -EBUSY);
	siglongjmp(back, number);
}

static void not_by_leaving_dune(void)
{
	char alternative[65536]; /* above what it interrupts */
	stack_t stack = { .ss_sp = alternative, .ss_size = sizeof(alternative) };
	struct sigaction action = { .sa_handler = try_to_leave, .sa_flags = SA_ONSTACK };
	struct itimerval timer = { { 0, 0 }, { 0, 2000 } };

	ring3_prepare();
	CHECK_OK(sigaltstack(&stack, NULL));
	CHECK_OK(sigaction(SIGALRM, &action, NULL));
	if (!sigsetjmp(back, 1)) {
		CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
		call_spin();
	}
	CHECK_EQ(dune_leave(), 0);
}

/* ---- A nested run is left: the outer one is the innermost again ---- */

static bool stops;

static void leave_a_run(void)
{
	struct itimerval timer = { { 0, 0 }, { 0, 2000 } };

	if (sigsetjmp(back, 1))
		return;
	CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
	call_spin();
}

static void leave_and_go_on(struct dune_frame *frame)
{
	leave_a_run();
	nr_breakpoints++;
	if (stops)
		dune_ring3_stop(frame, 77);
	else if (frame->vector == DUNE_VECTOR_SYSCALL)
		frame->rax = 78;
	else
		frame->rip += 2;
}

static void prepare_to_leave_nested(void)
{
	ring3_prepare();
	signal(SIGALRM, jump);
	CHECK_EQ(dune_set_syscall_handler(leave_and_go_on, DUNE_SAVE_FPU), 0);
	CHECK_EQ(dune_set_handler(6, leave_and_go_on, DUNE_SAVE_FPU), 0);
}

static void in_a_handler_that_returns(void)
{
	prepare_to_leave_nested();
	for (unsigned round = 1; round <= 5; round++) {
		ring3_returns(attack_syscall, 0, 78);
		ring3_returns(attack_fault_flags, 0x202, 0x202);
		CHECK_EQ(nr_breakpoints, 2 * round);
	}
}

static void in_a_handler_that_stops_ring_3(void)
{
	struct dune_ring3_end end;
	uint64_t value;

	stops = true;
	prepare_to_leave_nested();
	for (unsigned round = 1; round <= 5; round++) {
		CHECK_EQ(ring3_try(attack_syscall, 0, 0, 0, &value, &end), 0);
		CHECK_EQ(value, 77);
		CHECK_EQ(ring3_try(attack_fault_flags, 0x202, 0, 0, &value, &end), -EFAULT);
		CHECK_EQ(value, 77);
		CHECK_EQ(end.vector, 6);
		CHECK_EQ(nr_breakpoints, 2 * round);
	}
}

/* The handler was ring 0's exception's, in a handler of a system call. */
static void breakpoint_in_a_handler(struct dune_frame *frame)
{
	__asm__ volatile("int3");
	frame->rax = 79;
}

static void in_a_handler_in_a_handler(void)
{
	uint64_t value;

	stops = true;
	prepare_to_leave_nested();
	CHECK_EQ(dune_set_syscall_handler(breakpoint_in_a_handler, DUNE_SAVE_FPU), 0);
	CHECK_EQ(dune_set_handler(3, leave_and_go_on, DUNE_SAVE_FPU), 0);
	for (unsigned round = 1; round <= 5; round++) {
		ring3_try(attack_syscall, 0, 0, 0, &value, NULL);
		CHECK_EQ(value, 77);
		CHECK_EQ(nr_breakpoints, round);
	}
}

static void leave_in_a_signal_handler(int number)
{
	(void)number;
	leave_a_run();
	nr_breakpoints++;
}

static void in_a_signal_handler(void)
{
	struct itimerval timer = { { 0, 0 }, { 0, 2000 } };
	uint64_t value;

	prepare_to_leave_nested();
	signal(SIGPROF, leave_in_a_signal_handler);
	for (unsigned round = 1; round <= 3; round++) {
		CHECK_OK(setitimer(ITIMER_PROF, &timer, NULL));
		while (nr_breakpoints < round) {
			CHECK_EQ(ring3_try(attack_spin_bases, 0x1234, 0, 1000000, &value, NULL), 0);
			CHECK_EQ(value, 0x1234);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(by_a_timeout),
		guest_test(from_deep_below),
		guest_test(begun_in_a_handler_on_another_stack),
		guest_test(from_two_trap_stacks),
		guest_test(not_by_leaving_dune),
		guest_test(in_a_handler_that_returns),
		guest_test(in_a_handler_that_stops_ring_3),
		guest_test(in_a_handler_in_a_handler),
		guest_test(in_a_signal_handler),
	};

	return run_guest_tests(tests);
}
