// SPDX-License-Identifier: GPL-2.0-only
/* A hypercall from ring 3 is #UD, whatever its number, and nothing is done. */
#define _GNU_SOURCE
#include "ring3.h"
#include "ring3_attacks.h"

#include <fcntl.h>
#include <sys/syscall.h>

static void try_vmcall(uint64_t nr, uint64_t a, uint64_t b)
{
	struct dune_ring3_end end = { 0 };
	uint64_t value;

	CHECK_EQ(ring3_try(attack_vmcall, nr, a, b, &value, &end), -EFAULT);
	CHECK_EQ(end.vector, 6);
}

static void no_system_call_is_done(void)
{
	int fds[2];
	char byte;

	CHECK_OK(pipe2(fds, O_NONBLOCK));
	ring3_prepare();
	try_vmcall(SYS_close, fds[0], 0);
	CHECK_OK(fcntl(fds[0], F_GETFD));
	try_vmcall(SYS_dup2, fds[0], fds[1]);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(read(fds[0], &byte, 1), 1);
	try_vmcall(SYS_write, fds[1], (uintptr_t)ring3_canary);
	CHECK_ERRNO(read(fds[0], &byte, 1), EAGAIN);
	try_vmcall(SYS_exit_group, 3, 0);
	try_vmcall(SYS_getrandom, (uintptr_t)ring3_canary, 8);
	ring3_check_host();
}

static void for_any_number(void)
{
	struct dune_counts before, after;

	ring3_prepare();
	CHECK_EQ(dune_get_counts(&before), 0);
	for (uint64_t nr = 0; nr < 600; nr++)
		try_vmcall(nr, (uintptr_t)ring3_canary, 4096);
	for (unsigned bit = 0; bit < 64; bit++)
		for (unsigned low = 0; low < 4; low++)
			try_vmcall(1ull << bit | low, (uintptr_t)ring3_canary, 0);
	try_vmcall(-1ull, 0, 0);
	CHECK_EQ(dune_get_counts(&after), 0);
	CHECK(after.hypercalls - before.hypercalls <= 2); /* of dune_get_counts() */
	CHECK_EQ(ring3_syscalls, 0);
	ring3_check_host();
}

static void calls_work_afterwards(void)
{
	ring3_prepare();
	for (int i = 0; i < 100; i++) {
		try_vmcall(0, 0, 0);
		ring3_returns(attack_syscall, 0, RING3_SYSCALL_RESULT);
	}
	ring3_check_host();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(no_system_call_is_done),
		guest_test(for_any_number),
		guest_test(calls_work_afterwards),
	};

	return run_guest_tests(tests);
}
