// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bad pointer is -EFAULT as outside, also in the system calls whose arguments
 * libdune reads and writes itself; and nothing has happened.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <asm/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define KERNEL_SIGACTION_BYTES 32

/* The last bytes of a page with nothing behind it. */
static char *end_of_memory;

static void prepare(void)
{
	char *pages = map_pages(2, PROT_READ | PROT_WRITE);

	CHECK_OK(munmap(pages + PAGE_BYTES, PAGE_BYTES));
	end_of_memory = pages + PAGE_BYTES;
	enter_dune();
}

static char *const nowhere[] = { (char *)8, (char *)-4096l, (char *)(1ul << 47) };
#define NR_NOWHERE (sizeof(nowhere) / sizeof(nowhere[0]))

static long set_action(const void *action, void *old)
{
	return syscall(SYS_rt_sigaction, SIGUSR1, action, old, 8);
}

static void actions_of_signals(void)
{
	struct sigaction now;

	prepare();
	CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL);
	for (unsigned i = 0; i < NR_NOWHERE; i++) {
		CHECK_ERRNO(set_action(nowhere[i], NULL), EFAULT);
		CHECK_ERRNO(set_action(NULL, nowhere[i]), EFAULT);
	}
	CHECK_ERRNO(set_action(end_of_memory - 8, NULL), EFAULT);
	CHECK_ERRNO(set_action(end_of_memory - KERNEL_SIGACTION_BYTES + 1, NULL), EFAULT);
	CHECK_ERRNO(set_action(NULL, end_of_memory - KERNEL_SIGACTION_BYTES + 1), EFAULT);
	CHECK_OK(sigaction(SIGUSR1, NULL, &now));
	CHECK(now.sa_handler == SIG_IGN);
	memset(end_of_memory - PAGE_BYTES, 0,
	       PAGE_BYTES); /* SIG_DFL; the last call may have begun */
	CHECK_OK(set_action(end_of_memory - KERNEL_SIGACTION_BYTES, NULL));
	CHECK_OK(set_action(NULL, end_of_memory - KERNEL_SIGACTION_BYTES));
	CHECK_OK(sigaction(SIGUSR1, NULL, &now));
	CHECK(now.sa_handler == SIG_DFL);
}

static void old_action_read_only(void)
{
	char *page;

	prepare();
	page = end_of_memory - PAGE_BYTES;
	CHECK_OK(mprotect(page, PAGE_BYTES, PROT_READ));
	CHECK_ERRNO(set_action(NULL, page), EFAULT);
	CHECK_OK(set_action(page, NULL));
}

static void new_threads(void)
{
	prepare();
	for (unsigned i = 0; i < NR_NOWHERE; i++)
		CHECK_ERRNO(syscall(SYS_clone3, nowhere[i], CLONE_ARGS_SIZE_VER0), EFAULT);
	CHECK_ERRNO(syscall(SYS_clone3, end_of_memory - CLONE_ARGS_SIZE_VER0 + 1,
			    CLONE_ARGS_SIZE_VER0),
		    EFAULT);
	CHECK_ERRNO(syscall(SYS_clone3, end_of_memory - CLONE_ARGS_SIZE_VER0,
			    CLONE_ARGS_SIZE_VER0 - 1),
		    EINVAL);
}

static void bases(void)
{
	prepare();
	for (unsigned i = 0; i < NR_NOWHERE; i++) {
		CHECK_ERRNO(syscall(SYS_arch_prctl, ARCH_GET_GS, nowhere[i]), EFAULT);
		CHECK_ERRNO(syscall(SYS_arch_prctl, ARCH_GET_FS, nowhere[i]), EFAULT);
	}
	CHECK_ERRNO(syscall(SYS_arch_prctl, ARCH_GET_GS, end_of_memory - 7), EFAULT);
	CHECK_OK(syscall(SYS_arch_prctl, ARCH_GET_GS, end_of_memory - 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(actions_of_signals),
		guest_test(old_action_read_only),
		guest_test(new_threads),
		guest_test(bases),
	};

	return run_guest_tests(tests);
}
