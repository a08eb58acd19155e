// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever number a system call of ring 0 has, it is a system call, as the kernel reads it: a handler may
 * forward what it had from ring 3, and nothing of libdune's is reached.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <sys/syscall.h>
#include <unistd.h>

#define X32	  0x40000000l
#define HIGH_BITS (5l << 32)

static volatile int nr_called;

static long called(long a, long b, long c)
{
	nr_called++;
	return a + b + c;
}

static void the_x32_ones_are_enosys(void)
{
	long stack[64] = { 0 };

	enter_dune();
	for (long i = 0; i < 600; i++) {
		CHECK_EQ(dune_syscall(X32 + i, (long)called, 1, 2, 3, 0, 0), -ENOSYS);
		CHECK_EQ(dune_syscall(X32 + i, (long)&stack[32], 1, 2, 3, 0, 0), -ENOSYS);
	}
	CHECK_ERRNO(syscall(X32, called, 1, 2, 3), ENOSYS);
	CHECK_EQ(dune_syscall(HIGH_BITS + X32, (long)called, 1, 2, 3, 0, 0), -ENOSYS);
	CHECK_EQ(nr_called, 0);
	CHECK_EQ(current_ring(), 0);
}

static void unknown_ones_are_enosys(void)
{
	static const long numbers[] = { 511, 512, 600, 4096, 1l << 31, -1, -4096, 1l << 63 | 511 };

	enter_dune();
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		CHECK_EQ(dune_syscall(numbers[i], (long)called, 1, 2, 3, 0, 0), -ENOSYS);
	CHECK_EQ(nr_called, 0);
}

/* Even where libdune has to do more than to make the call. */
static void the_upper_half_does_not_count(void)
{
	long pid = getpid(), child;

	CHECK_EQ(dune_syscall(HIGH_BITS + SYS_getpid, 0, 0, 0, 0, 0, 0), pid);
	enter_dune();
	CHECK_EQ(dune_syscall(HIGH_BITS + SYS_getpid, 0, 0, 0, 0, 0, 0), pid);
	child = dune_syscall(HIGH_BITS + SYS_fork, 0, 0, 0, 0, 0, 0);
	if (!child) {
		CHECK_EQ(current_ring(), 0);
		_exit(0);
	}
	JOIN(child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(the_x32_ones_are_enosys),
		guest_test(unknown_ones_are_enosys),
		guest_test(the_upper_half_does_not_count),
	};

	return run_guest_tests(tests);
}
