// SPDX-License-Identifier: GPL-2.0-only
/*
 * clone3() inside takes and refuses the arguments that it takes and refuses outside, though the
 * kernel gets other ones.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>

enum { ARGS_BYTES = sizeof(struct clone_args), MOST_BYTES = 4096 };

static const struct row {
	size_t bytes;
	uint64_t stack, stack_bytes, flags;
	int at, error; /* a byte that is not 0, or 0 */
} rows[] = {
	{ ARGS_BYTES, 0, 0, 0, 0, 0 },
	{ ARGS_BYTES, 0x10000, 0, 0, 0, EINVAL },
	{ ARGS_BYTES, 0, 0x10000, 0, 0, EINVAL },
	{ ARGS_BYTES, 0x10000, -1ul, 0, 0, EINVAL },
	{ ARGS_BYTES, 0x7ffffffff000, 1ul << 62, 0, 0, EINVAL },
	{ ARGS_BYTES, 0x10000, 0, CLONE_VM | CLONE_VFORK, 0, EINVAL },
	{ ARGS_BYTES, 0, 0x10000, CLONE_VM | CLONE_VFORK, 0, EINVAL },
	{ CLONE_ARGS_SIZE_VER0, 0, 0, 0, 0, 0 },
	{ CLONE_ARGS_SIZE_VER0 - 1, 0, 0, 0, 0, EINVAL },
	{ ARGS_BYTES + 8, 0, 0, 0, 0, 0 },
	{ ARGS_BYTES + 8, 0, 0, 0, ARGS_BYTES, E2BIG },
	{ ARGS_BYTES + 8, 0, 0, 0, ARGS_BYTES + 7, E2BIG },
	{ ARGS_BYTES + 8, 0, 0, 0, ARGS_BYTES + 8, 0 },
	{ MOST_BYTES, 0, 0, 0, 0, 0 },
	{ MOST_BYTES, 0, 0, 0, MOST_BYTES - 1, E2BIG },
	{ MOST_BYTES + 1, 0, 0, 0, 0, E2BIG },
};

static int try(const struct row *row)
{
	static unsigned char bytes[2 * MOST_BYTES] __attribute__((aligned(16)));
	struct clone_args *args = (void *)bytes;
	long child;

	memset(bytes, 0, sizeof(bytes));
	args->flags = row->flags;
	args->stack = row->stack;
	args->stack_size = row->stack_bytes;
	args->exit_signal = SIGCHLD;
	if (row->at)
		bytes[row->at] = 1;
	child = syscall(SYS_clone3, args, row->bytes);
	if (child < 0)
		return errno;
	if (!child)
		_exit(0);
	JOIN(child);
	return 0;
}

static void each_row(void)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int error = try(&rows[i]);

		if (error != rows[i].error)
			FAIL("row %u: error %d, not %d", i, error, rows[i].error);
	}
}

static void outside(void)
{
	each_row();
}

static void inside(void)
{
	enter_dune();
	each_row();
	CHECK_EQ(current_ring(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { guest_test(outside), guest_test(inside) };

	return run_guest_tests(tests);
}
