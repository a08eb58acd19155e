// SPDX-License-Identifier: GPL-2.0-only
/*
 * Numbers that the table does not know are -ENOSYS, whatever bits are set in them, and so is what
 * the kernel knows but the table does not; what is denied says so.
 */
#include "sandboxed.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

static void numbers_without_a_row(void)
{
	const long numbers[] = { 335,	   400,	     423,      452,   511,     512,
				 547,	   1023,     1024,     65536, INT_MAX, 1l << 31,
				 1l << 32, 1l << 62, LONG_MIN, -1,    -4096,   0x40000000 };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (RAW(numbers[i]) != -ENOSYS)
			FAIL("number %#lx", numbers[i]);
}

/* The kernel looks at all 64 bits, and has the x32 calls above this bit. */
static void numbers_with_more_bits(void)
{
	for (int bit = 9; bit < 64; bit++)
		CHECK_EQ(RAW(SYS_getpid + (1l << bit)), -ENOSYS);
	CHECK_EQ(RAW(0x40000000 + SYS_write, 1, "x32\n", 4), -ENOSYS);
	CHECK(RAW(SYS_getpid) > 0);
}

/* All that is neither allowed nor refused for a reason: new calls, and old ones. */
static void calls_without_a_row(void)
{
	const long numbers[] = { SYS_io_setup,
				 SYS_io_submit,
				 SYS_kexec_load,
				 SYS_init_module,
				 SYS_reboot,
				 SYS_swapon,
				 SYS_add_key,
				 SYS_keyctl,
				 SYS_acct,
				 SYS_quotactl,
				 SYS_fanotify_init,
				 SYS_inotify_init,
				 SYS_mq_open,
				 SYS_shmat,
				 SYS_semget,
				 SYS_settimeofday,
				 SYS_syslog,
				 SYS_sethostname,
				 SYS_pidfd_open,
				 SYS_landlock_create_ruleset,
				 SYS_open_tree,
				 SYS_fsopen,
				 451 /* cachestat */ };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (RAW(numbers[i]) != -ENOSYS)
			FAIL("number %ld", numbers[i]);
}

static void denied_calls(void)
{
	const long numbers[] = { SYS_ptrace,
				 SYS_process_vm_readv,
				 SYS_process_vm_writev,
				 SYS_pidfd_getfd,
				 SYS_kcmp,
				 SYS_userfaultfd,
				 SYS_io_uring_setup,
				 SYS_io_uring_enter,
				 SYS_io_uring_register,
				 SYS_vmsplice,
				 SYS_seccomp,
				 SYS_setns,
				 SYS_unshare,
				 SYS_mount,
				 SYS_chroot,
				 SYS_iopl,
				 SYS_ioperm,
				 SYS_modify_ldt,
				 SYS_bpf,
				 SYS_perf_event_open,
				 SYS_setuid,
				 SYS_move_pages,
				 SYS_migrate_pages,
				 SYS_process_madvise,
				 SYS_remap_file_pages };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (RAW(numbers[i]) != -EPERM)
			FAIL("number %ld", numbers[i]);
}

static const struct inside_case cases[] = {
	inside_case(numbers_without_a_row),
	inside_case(numbers_with_more_bits),
	inside_case(calls_without_a_row),
	inside_case(denied_calls),
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		inside_test(numbers_without_a_row),
		inside_test(numbers_with_more_bits),
		inside_test(calls_without_a_row),
		inside_test(denied_calls),
	};

	inside_main(argc, argv, cases);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
