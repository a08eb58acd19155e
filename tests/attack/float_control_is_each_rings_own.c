// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever ring 3 does to MXCSR and the x87 unit, and however it ends: ring 0 rounds as
 * before, gets no exception for it and finds an empty x87 stack.
 */
#define _GNU_SOURCE
#include "ring3.h"
#include "ring3_attacks.h"

#include <signal.h>
#include <sys/time.h>

#define GENERAL_REGS __attribute__((target("general-regs-only")))

enum { OWN_MXCSR = 0x5f80, OWN_CONTROL = 0x0b7f }; /* round up, both */

static const struct {
	uint32_t mxcsr;
	uint16_t control;
	unsigned what;
} rows[] = {
	{ 0, 0x37f, 0 },		  /* the next inexact operation would be #XM */
	{ 0x9fc0, 0x37f, 0 },		  /* flush to zero, denormals are zeros */
	{ 0x3fbf, 0x77f, 0 },		  /* round down, all flags */
	{ 0x1f80, 0x07f, 0 },		  /* x87 of single precision */
	{ 0x1f80, 0x340, FLOAT_PENDING }, /* the next x87 instruction would be #MF */
	{ 0x1f80, 0x37f, FLOAT_FULL },	  /* the next load would make a NaN */
	{ 0, 0x340, FLOAT_PENDING },
};
enum { NR_ROWS = sizeof(rows) / sizeof(rows[0]) };

struct numbers {
	uint32_t mxcsr;
	uint16_t control;
	double third, tiny;
	char long_third[10];
};

static volatile double one = 1, three = 3, smallest = 2.2250738585072014e-308;

/* More x87 registers than one, so that it takes an empty stack. */
static void compute(struct numbers *numbers)
{
	volatile long double sum = 0;

	memset(numbers, 0, sizeof(*numbers));
	numbers->third = one / three;
	numbers->tiny = smallest / three;
	__asm__ volatile("fld1; fld1; fld1; fld1; fld1; fld1; fld1; fld1\n\t"
			 "faddp; faddp; faddp; faddp; faddp; faddp; faddp; fstpt %0"
			 : "=m"(sum));
	sum = sum / (long double)three;
	memcpy(numbers->long_third, (void *)&sum, sizeof(numbers->long_third));
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(numbers->mxcsr), "=m"(numbers->control));
	numbers->mxcsr &= ~0x3fu; /* which operations were inexact is nobody's to keep */
}

static void set_own(uint32_t mxcsr, uint16_t control)
{
	__asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(control));
}

static int call(int row, unsigned how)
{
	struct dune_ring3_end end = { 0 };
	uint64_t value;

	return ring3_try(attack_float, rows[row].mxcsr, rows[row].control, rows[row].what | how,
			 &value, &end);
}

static int run(int row, unsigned how)
{
	struct dune_frame frame = { 0 };
	struct dune_ring3_end end = { 0 };

	frame.rip = ring3_at(attack_float);
	frame.rsp = ring3_stack_top() - 8;
	frame.rdi = rows[row].mxcsr;
	frame.rsi = rows[row].control;
	frame.rdx = rows[row].what | how;
	CHECK_EQ(dune_ring3_run(&frame, &end), 0);
	return end.vector == DUNE_VECTOR_SYSCALL ? 0 : -EFAULT;
}

static void check_rows(int (*start)(int row, unsigned how), unsigned how, int result)
{
	struct numbers before, after;

	for (int own = 0; own < 2; own++)
		for (int row = 0; row < NR_ROWS; row++) {
			if (own)
				set_own(OWN_MXCSR, OWN_CONTROL);
			compute(&before);
			CHECK_EQ(start(row, how), result);
			compute(&after);
			if (memcmp(&before, &after, sizeof(before)))
				FAIL("row %d, own %d: MXCSR %#x, x87 control %#x, 1/3 is %a", row,
				     own, after.mxcsr, after.control, after.third);
			set_own(0x1f80, 0x37f);
		}
}

GENERAL_REGS static void stop(struct dune_frame *frame)
{
	dune_ring3_stop(frame, 0);
}

static void after_a_return(void)
{
	ring3_prepare();
	check_rows(call, 0, 0);
	check_rows(call, FLOAT_SYSCALL, 0);
}

static void after_a_stop(void)
{
	ring3_prepare();
	for (int saved = 0; saved < 2; saved++) {
		CHECK_EQ(dune_set_syscall_handler(stop, saved ? DUNE_SAVE_FPU : 0), 0);
		check_rows(call, FLOAT_SYSCALL, 0);
		check_rows(run, FLOAT_SYSCALL, 0);
	}
}

static void after_a_fault(void)
{
	ring3_prepare();
	check_rows(call, FLOAT_FAULT, -EFAULT);
	check_rows(run, FLOAT_FAULT, -EFAULT);
}

static void after_nothing_was_run(void)
{
	struct dune_frame frame = { .rip = 1ull << 47 };
	struct numbers before, after;

	ring3_prepare();
	set_own(OWN_MXCSR, OWN_CONTROL);
	compute(&before);
	CHECK_EQ(dune_ring3_run(&frame, NULL), -EFAULT);
	compute(&after);
	CHECK(!memcmp(&before, &after, sizeof(before)));
}

static volatile unsigned long alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

/* Some of them come in the last instructions of the way back, which are then done in C. */
static void after_a_return_with_signals(void)
{
	struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };

	ring3_prepare();
	signal(SIGALRM, on_alarm);
	CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
	while (alarms < 1000)
		check_rows(call, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(after_a_return),
		guest_test(after_a_stop),
		guest_test(after_a_fault),
		guest_test(after_nothing_was_run),
		guest_test(after_a_return_with_signals),
	};

	return run_guest_tests(tests);
}
