// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each pointer of each system call in the table is given addresses of the sandbox itself: the call
 * fails, nothing is read from there, nothing is written there. The table is the sandbox's own, so no
 * row can be forgotten.
 */
#include "canary.h"
#include "rows.h"
#include "syscall.h"

#include <errno.h>
#include <sys/syscall.h>

static int is_attacked(const struct sandbox_row *row)
{
	return row && row->action != ACTION_DENY && !row->does_not_return;
}

/* The call of this row with one argument like this. */
static long attack_argument(unsigned nr, int argument, uint64_t bad)
{
	uint64_t args[SANDBOX_NR_ARGS];

	row_fill(sandbox_table_row(nr), (uint64_t)page, zero, args);
	args[argument] = bad;
	return RAW(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
}

/* Each pointer that the table knows, at this address: how many there were. */
static unsigned attack_table(uint64_t bad)
{
	unsigned tried = 0;

	for (unsigned nr = 0; nr < sandbox_table_size(); nr++) {
		const struct sandbox_row *row = sandbox_table_row(nr);

		for (int i = 0; is_attacked(row) && i < SANDBOX_NR_ARGS; i++) {
			long result;

			if (!row_is_pointer(&row->arg[i]))
				continue;
			result = attack_argument(nr, i, bad);
			if (result != -EFAULT)
				FAIL("%s: argument %d at %#lx: %ld", row->name, i, bad, result);
			tried++;
		}
	}
	return tried;
}

static void each_pointer_of_the_table(void)
{
	unsigned tried;

	set_up_attack();
	tried = attack_table(canary_address());
	CHECK(tried > 150);
	wait_for_parent();
}

/* One address in each mapping that is the sandbox's, read-only ones too: nothing is read there. */
static void each_mapping_of_the_runtime(void)
{
	static struct mapping mappings[256];
	size_t count = read_mappings(mappings, 256);
	unsigned tried = 0;

	set_up_attack();
	for (size_t i = 0; i < count; i++) {
		if (!is_of_runtime(&mappings[i]))
			continue;
		attack_table(mappings[i].start);
		attack_table(mappings[i].end - 64);
		tried++;
	}
	CHECK(tried > 10);
	wait_for_parent();
}

/* Addresses that wrap, of the kernel, and of nothing. */
static void addresses_beyond(void)
{
	set_up_attack();
	attack_table(-1ul);
	attack_table(-4096ul);
	attack_table(0xffff888000000000);
	attack_table(0xffffffffff600000); /* the vsyscall page */
	attack_table((1ul << 47) - 1);
	attack_table(1ul << 47);
	attack_table(8);
	wait_for_parent();
}

/* ---- Pointers that only an emulate_ function knows -------------------------------- */

/*
 * What an ARG_ADDRESS must give where it is not -EFAULT: by hidden_pointers_are_checked.c it is one for
 * other arguments beside it. Those of memory calls have a test of their own, too.
 */
static const struct {
	long nr;
	int argument;
	long expected;
} exceptions[] = {
	{ SYS_clone, 1, -EPERM }, /* by its flags */
	{ SYS_clone, 2, -EPERM },
	{ SYS_clone, 3, -EPERM },
	{ SYS_clone, 4, -EPERM },
	{ SYS_clone3, 0, -ENOSYS },
	{ SYS_execveat, 2, -EINVAL }, /* likewise */
	{ SYS_execveat, 3, -EINVAL },
	{ SYS_arch_prctl, 1, -EINVAL }, /* by its number */
	{ SYS_ioctl, 2, -ENOTTY },	/* by their request */
	{ SYS_set_robust_list, 0, -EINVAL },
	{ SYS_futex, 3, -ENOSYS }, /* by their operation */
	{ SYS_futex, 4, -ENOSYS },
	{ SYS_openat2, 2, -E2BIG }, /* 64 is not the size of struct open_how */
	{ SYS_mmap, 0, 0 },
	{ SYS_mremap, 0, 0 },
	{ SYS_mremap, 4, 0 },
	{ SYS_brk, 0, 0 },
	{ SYS_munmap, 0, 0 },
	{ SYS_mprotect, 0, 0 },
	{ SYS_madvise, 0, 0 },
	{ SYS_msync, 0, 0 },
	{ SYS_mlock, 0, 0 },
	{ SYS_munlock, 0, 0 },
	{ SYS_mincore, 0, 0 },
	{ SYS_mincore, 2, 0 },
	{ SYS_set_tid_address, 0, 0 }, /* not looked at, ever */
};

/* 0: not to be tried here. */
static long expected_result(long nr, int argument)
{
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
		if (exceptions[i].nr == nr && exceptions[i].argument == argument)
			return exceptions[i].expected;
	return -EFAULT;
}

static void each_address_of_the_table(void)
{
	uint64_t bad = canary_address();

	set_up_attack();
	for (unsigned nr = 0; nr < sandbox_table_size(); nr++) {
		const struct sandbox_row *row = sandbox_table_row(nr);

		for (int i = 0; is_attacked(row) && i < SANDBOX_NR_ARGS; i++) {
			long expected = expected_result(nr, i), result;

			if (row->arg[i].kind != ARG_ADDRESS || !expected)
				continue;
			result = attack_argument(nr, i, bad);
			if (result != expected)
				FAIL("%s: argument %d: %ld", row->name, i, result);
		}
	}
	CHECK(RAW(SYS_set_tid_address, bad) == RAW(SYS_gettid));
	CHECK_EQ(RAW(SYS_set_robust_list, bad, 24), 0); /* never followed */
	wait_for_parent();
}

static const struct inside_case cases[] = {
	inside_case(each_pointer_of_the_table),
	inside_case(each_mapping_of_the_runtime),
	inside_case(addresses_beyond),
	inside_case(each_address_of_the_table),
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		canary_test(each_pointer_of_the_table),
		canary_test(each_mapping_of_the_runtime),
		canary_test(addresses_beyond),
		canary_test(each_address_of_the_table),
	};

	inside_main(argc, argv, cases);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
