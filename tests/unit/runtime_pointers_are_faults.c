// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every pointer argument of every allowed system call is given an address of the runtime, an
 * address range that wraps, and one that begins in an arena and ends outside: the call fails, and
 * the runtime's memory is as it was. The table itself says which calls those are.
 */
#include "fake_dune.h"
#include "rows.h"
#include "sandbox.h"
#include "space.h"
#include "syscall.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define CANARY_BYTES 8192

static unsigned char canary[CANARY_BYTES];

static int set_up(void **state)
{
	fake_set_up(state);
	memset(canary, 0x5a, sizeof(canary));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(box);
	return 0;
}

static void check_canary(const char *name)
{
	for (size_t i = 0; i < sizeof(canary); i++)
		if (canary[i] != 0x5a)
			fail_msg("%s wrote to the runtime", name);
}

static bool must_be_skipped(const struct sandbox_row *row)
{
	/* Would be done with what follows the bad pointer in order, not in argument order. */
	return row->action == ACTION_DENY || row->does_not_return || !strcmp(row->name, "pause");
}

static void each_pointer(uint64_t bad, const char *what)
{
	uint64_t page = fake_page(box);
	unsigned tried = 0;

	for (uint64_t nr = 0; nr < sandbox_table_size(); nr++) {
		const struct sandbox_row *row = sandbox_table_row(nr);

		for (int i = 0; row && !must_be_skipped(row) && i < SANDBOX_NR_ARGS; i++) {
			uint64_t args[SANDBOX_NR_ARGS];
			long result;

			if (!row_is_pointer(&row->arg[i]))
				continue;
			row_fill(row, page, 9999, args);
			args[i] = bad;
			result = fake_syscall(box, nr, args);
			if (result != -EFAULT)
				fail_msg("%s: argument %d %s: %ld", row->name, i, what, result);
			check_canary(row->name);
			tried++;
		}
	}
	assert_true(tried > 150);
}

static void runtime_addresses_are_faults(void **state)
{
	(void)state;
	each_pointer((uint64_t)canary, "in the runtime");
}

static void wrapping_addresses_are_faults(void **state)
{
	(void)state;
	each_pointer(-1ull, "at the end of the address space");
	each_pointer(0xffffffff81000000, "in the kernel");
}

/* The last bytes of an arena: strings have no NUL before its end, structures do not fit. */
static void addresses_that_leave_the_arena_are_faults(void **state)
{
	uint64_t end = box->memory.arena[0].end;
	long page = RING3(box, SYS_mmap, end - 4096, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	(void)state;
	assert_int_equal(page, end - 4096);
	memset((void *)page, 'x', 4096);
	each_pointer(end - 1, "at the end of an arena");
}

static void lengths_that_overflow_are_faults(void **state)
{
	uint64_t page = fake_page(box);
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(RING3(box, SYS_write, ends[1], page, SIZE_MAX), -EFAULT);
	assert_int_equal(RING3(box, SYS_write, ends[1], page, -page), -EFAULT);
	assert_int_equal(RING3(box, SYS_write, ends[1], page, -page + (uint64_t)canary), -EFAULT);
	assert_int_equal(RING3(box, SYS_poll, page, -1, 0), -EFAULT);
	assert_int_equal(RING3(box, SYS_getgroups, INT32_MAX, page), -EFAULT);
	/* Less than none is not a matter of addresses. */
	assert_int_equal(RING3(box, SYS_getgroups, -1, page), -EINVAL);
	assert_int_equal(RING3(box, SYS_epoll_wait, ends[0], page, -1, 0), -EINVAL);
	/* No row has counts of 64 bits yet: by itself. */
	assert_int_equal(sandbox_space_check_array(page, 1, 8), 0);
	assert_int_equal(sandbox_space_check_array(page, 1ull << 61, 8), -EFAULT);
	assert_int_equal(sandbox_space_check_array(page, (1ull << 61) + 1, 8), -EFAULT);
	assert_int_equal(sandbox_space_check_array(page, 1ull << 32, 1ull << 32), -EFAULT);
	/* Nothing is looked at where the length is zero: as Linux has it. */
	assert_int_equal(RING3(box, SYS_write, ends[1], page, 0), 0);
	close(ends[0]);
	close(ends[1]);
}

static void iovecs_are_checked_each(void **state)
{
	uint64_t page = fake_page(box), data = fake_page(box);
	struct iovec *iovec = (void *)page;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	iovec[0] = (struct iovec){ (void *)data, 8 };
	iovec[1] = (struct iovec){ canary, 8 };
	assert_int_equal(RING3(box, SYS_writev, ends[1], page, 1), 8);
	assert_int_equal(RING3(box, SYS_writev, ends[1], page, 2), -EFAULT);
	assert_int_equal(RING3(box, SYS_readv, ends[0], page, 2), -EFAULT);
	check_canary("readv");
	assert_int_equal(RING3(box, SYS_writev, ends[1], page, 1025), -EINVAL);
	assert_int_equal(RING3(box, SYS_writev, ends[1], page, -1), -EINVAL);
	assert_int_equal(RING3(box, SYS_writev, ends[1], page, 1ull << 60), -EINVAL);
	iovec[1] = (struct iovec){ canary, 0 };
	assert_int_equal(RING3(box, SYS_writev, ends[1], page, 2), 8);
	iovec[1] = (struct iovec){ (void *)data, SIZE_MAX };
	assert_int_equal(RING3(box, SYS_writev, ends[1], page, 2), -EINVAL);
	iovec[1] = (struct iovec){ (void *)data, -data };
	assert_int_equal(RING3(box, SYS_writev, ends[1], page, 2), -EINVAL);
	close(ends[0]);
	close(ends[1]);
}

static void messages_are_checked_inside(void **state)
{
	uint64_t page = fake_page(box), data = fake_page(box);
	struct msghdr *header = (void *)page;
	struct iovec *iovec = (void *)(page + 1024);
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	*iovec = (struct iovec){ (void *)data, 16 };
	*header = (struct msghdr){ .msg_iov = iovec, .msg_iovlen = 1 };
	assert_int_equal(RING3(box, SYS_sendmsg, ends[0], page, 0), 16);
	assert_int_equal(RING3(box, SYS_recvmsg, ends[1], page, 0), 16);
	assert_int_equal(RING3(box, SYS_sendmsg, ends[0], (uint64_t)canary, 0), -EFAULT);

	header->msg_iov = (void *)canary;
	assert_int_equal(RING3(box, SYS_recvmsg, ends[1], page, 0), -EFAULT);
	header->msg_iov = iovec;
	iovec->iov_base = canary;
	assert_int_equal(RING3(box, SYS_recvmsg, ends[1], page, 0), -EFAULT);
	iovec->iov_base = (void *)data;
	header->msg_name = canary;
	header->msg_namelen = 16;
	assert_int_equal(RING3(box, SYS_recvmsg, ends[1], page, 0), -EFAULT);
	header->msg_name = NULL;
	header->msg_iovlen = 2000;
	assert_int_equal(RING3(box, SYS_recvmsg, ends[1], page, 0), -EMSGSIZE);
	header->msg_iovlen = 1;
	assert_int_equal(RING3(box, SYS_sendmmsg, ends[0], page, 1, 0), 1);
	assert_int_equal(((struct mmsghdr *)page)->msg_len, 16);
	iovec->iov_base = canary;
	assert_int_equal(RING3(box, SYS_sendmmsg, ends[0], page, 1, 0), -EFAULT);
	assert_int_equal(RING3(box, SYS_recvmmsg, ends[1], page, 1, 0, 0), -EFAULT);
	assert_int_equal(RING3(box, SYS_recvmmsg, ends[1], (uint64_t)canary, 1, 0, 0), -EFAULT);
	assert_int_equal(RING3(box, SYS_recvmmsg, ends[1], -64ull, 2, 0, 0), -EFAULT);
	check_canary("recvmsg");
	close(ends[0]);
	close(ends[1]);
}

/* What follows a signal mask's pointer, a futex's second word, the sets of select. */
static void pointers_that_depend_on_others_are_faults(void **state)
{
	uint64_t page = fake_page(box), bad = (uint64_t)canary;
	uint64_t *words = (void *)page;

	(void)state;
	words[0] = bad; /* pselect6: { mask, bytes } */
	words[1] = 8;
	assert_int_equal(RING3(box, SYS_pselect6, 0, 0, 0, 0, 0, page), -EFAULT);
	assert_int_equal(RING3(box, SYS_pselect6, 0, 0, 0, 0, 0, bad), -EFAULT);
	assert_int_equal(RING3(box, SYS_select, 8, bad, 0, 0, 0), -EFAULT);
	assert_int_equal(RING3(box, SYS_select, 8, 0, 0, bad, 0), -EFAULT);
	*(uint32_t *)page = 0;
	assert_int_equal(RING3(box, SYS_futex, page, 0 /* WAIT */, 0, bad, 0, 0), -EFAULT);
	assert_int_equal(RING3(box, SYS_futex, page, 3 /* REQUEUE */, 1, 1, bad, 0), -EFAULT);
	assert_int_equal(RING3(box, SYS_ioctl, 0, 0x5413 /* TIOCGWINSZ */, bad), -EFAULT);
	assert_int_equal(RING3(box, SYS_fcntl, 0, 5 /* F_GETLK */, bad), -EFAULT);
	assert_int_equal(RING3(box, SYS_prctl, 16 /* PR_GET_NAME */, bad), -EFAULT);
	assert_int_equal(RING3(box, SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, bad), -EFAULT);
	assert_int_equal(RING3(box, SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, bad), -EPERM);
	assert_int_equal(RING3(box, SYS_arch_prctl, 0x1002, 1ull << 63), -EPERM);
	words[0] = bad; /* sigaltstack: { stack, flags, bytes } */
	words[1] = 0;
	words[2] = 8192;
	assert_int_equal(RING3(box, SYS_sigaltstack, page, 0), -EPERM);
	check_canary("one of them");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runtime_addresses_are_faults),
		cmocka_unit_test(wrapping_addresses_are_faults),
		cmocka_unit_test(addresses_that_leave_the_arena_are_faults),
		cmocka_unit_test(lengths_that_overflow_are_faults),
		cmocka_unit_test(iovecs_are_checked_each),
		cmocka_unit_test(messages_are_checked_inside),
		cmocka_unit_test(pointers_that_depend_on_others_are_faults),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
