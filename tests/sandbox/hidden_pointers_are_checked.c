// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pointers that no row of the table shows are checked as well: arguments that are one for some requests
 * only, and those in structures. So are lengths with which a good pointer reaches too far.
 */
#include "canary.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <asm/prctl.h>
#include <sched.h>
#include <signal.h>

static void pointers_by_request(void)
{
	const long requests[] = { 0x5401 /* TCGETS */,
				  0x5402,
				  0x5403,
				  0x5404,
				  0x802c542a /* TCGETS2 */,
				  0x402c542b,
				  0x402c542c,
				  0x402c542d,
				  TIOCGWINSZ,
				  TIOCGPGRP,
				  FIONREAD,
				  FIONBIO };
	uint64_t bad = canary_address();
	long how_bytes = 24;

	set_up_attack();
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		CHECK_EQ(RAW(SYS_ioctl, zero, requests[i], bad), -EFAULT);
	for (int command = 0; command < 1100; command++) {
		long result = RAW(SYS_fcntl, zero, command, bad);

		if (command == F_GETLK || command == F_SETLK || command == F_SETLKW ||
		    (command >= F_OFD_GETLK && command <= F_OFD_SETLKW))
			CHECK_EQ(result, -EFAULT);
	}
	for (int option = 0; option < 100; option++)
		RAW(SYS_prctl, option, bad, bad, bad, bad);
	CHECK_EQ(RAW(SYS_prctl, PR_GET_NAME, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_prctl, PR_SET_NAME, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_arch_prctl, ARCH_GET_FS, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_arch_prctl, ARCH_SET_FS, bad), -EPERM);
	CHECK_EQ(RAW(SYS_arch_prctl, ARCH_SET_FS, 1l << 63), -EPERM);
	CHECK_EQ(RAW(SYS_arch_prctl, ARCH_GET_GS, bad), -EPERM);
	CHECK_EQ(RAW(SYS_arch_prctl, ARCH_SET_GS, bad), -EPERM);
	CHECK_EQ(RAW(SYS_openat2, AT_FDCWD, "/etc/passwd", bad, how_bytes), -EFAULT);
	CHECK_EQ(RAW(SYS_futex, page, FUTEX_WAIT, 0, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_futex, page, FUTEX_REQUEUE, 1, 1, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_futex, page, FUTEX_WAKE_OP, 1, 1, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_futex, bad, FUTEX_WAKE, 1), -EFAULT);
	CHECK_EQ(RAW(SYS_mincore, page, PAGE_BYTES, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_clone, CLONE_PARENT_SETTID | SIGCHLD, 0, bad, 0, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_clone, CLONE_CHILD_SETTID | SIGCHLD, 0, 0, bad, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_execveat, AT_FDCWD, "/bin/true", bad, 0, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_execveat, AT_FDCWD, "/bin/true", 0, bad, 0), -EFAULT);
	((uint64_t *)page)[0] = bad; /* a string of argv */
	((uint64_t *)page)[1] = 0;
	CHECK_EQ(RAW(SYS_execve, "/bin/true", page, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_execve, "/bin/true", 0, page), -EFAULT);
	wait_for_parent();
}

static void structures_that_point_on(void)
{
	uint64_t bad = canary_address();
	struct iovec vector[2];
	struct msghdr message = { .msg_iov = vector, .msg_iovlen = 1 };
	struct mmsghdr batch[2] = { { .msg_hdr = message }, { .msg_hdr = message } };
	uint64_t mask[2] = { bad, 8 };
	int ends[2];

	set_up_attack();
	vector[0] = (struct iovec){ page, 8 };
	vector[1] = (struct iovec){ (void *)bad, 8 };
	CHECK_EQ(RAW(SYS_readv, zero, vector, 1), 8);
	CHECK_EQ(RAW(SYS_readv, zero, vector, 2), -EFAULT);
	CHECK_EQ(RAW(SYS_writev, zero, vector, 2), -EFAULT);
	CHECK_EQ(RAW(SYS_preadv, zero, vector, 2, 0, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_pwritev2, zero, vector, 2, 0, 0, 0), -EFAULT);

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	CHECK_EQ(RAW(SYS_sendmsg, ends[0], &message, 0), 8);
	vector[0].iov_base = (void *)bad;
	CHECK_EQ(RAW(SYS_recvmsg, ends[1], &message, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_sendmsg, ends[0], &message, 0), -EFAULT);
	vector[0].iov_base = page;
	message.msg_name = (void *)bad;
	message.msg_namelen = 16;
	CHECK_EQ(RAW(SYS_recvmsg, ends[1], &message, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_sendmsg, ends[0], &message, 0), -EFAULT);
	message.msg_name = NULL;
	message.msg_iov = (void *)bad;
	CHECK_EQ(RAW(SYS_recvmsg, ends[1], &message, 0), -EFAULT);
	message.msg_iov = vector;
	message.msg_control = (void *)bad;
	message.msg_controllen = 64;
	CHECK_EQ(RAW(SYS_sendmsg, ends[0], &message, 0), -EPERM);
	CHECK_EQ(RAW(SYS_recvmsg, ends[1], &message, 0), 8); /* without control data */

	batch[1].msg_hdr.msg_control = (void *)bad;
	batch[1].msg_hdr.msg_controllen = 64;
	CHECK_EQ(RAW(SYS_sendmmsg, ends[0], batch, 2, 0), 1);
	CHECK_EQ(RAW(SYS_sendmmsg, ends[0], batch + 1, 1, 0), -EPERM);
	batch[0].msg_hdr.msg_iov = (void *)bad;
	CHECK_EQ(RAW(SYS_sendmmsg, ends[0], batch, 2, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_recvmmsg, ends[1], batch, 2, 0, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_sendmmsg, ends[0], bad, 1, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_recvmmsg, ends[1], bad, 1, 0, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_recvmmsg, ends[1], batch + 1, 1, 0, bad), -EFAULT);

	CHECK_EQ(RAW(SYS_pselect6, 0, 0, 0, 0, 0, mask), -EFAULT);
	mask[0] = bad;
	((uint64_t *)page)[0] = bad; /* sigaltstack: { stack, flags, bytes } */
	((uint64_t *)page)[1] = 0;
	((uint64_t *)page)[2] = 8192;
	CHECK_EQ(RAW(SYS_sigaltstack, page, 0), -EPERM);
	wait_for_parent();
}

static void lengths_and_counts(void)
{
	struct iovec vector[2] = { { NULL, 0 }, { NULL, 0 } };
	uint64_t bad = canary_address(), own;

	set_up_attack();
	own = (uint64_t)page;
	CHECK_EQ(RAW(SYS_write, zero, own, SIZE_MAX), -EFAULT);
	CHECK_EQ(RAW(SYS_write, zero, own, -own), -EFAULT);
	CHECK_EQ(RAW(SYS_write, zero, own, -own + bad), -EFAULT);
	CHECK_EQ(RAW(SYS_read, zero, own, bad - own + 64), -EFAULT);
	CHECK_EQ(RAW(SYS_getrandom, own, SIZE_MAX, 0), -EFAULT); /* Linux would write some */
	CHECK_EQ(RAW(SYS_read, zero, bad, 0), 0); /* as in Linux: nothing is looked at */
	CHECK_EQ(RAW(SYS_poll, own, -1, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_getgroups, INT32_MAX, own), -EFAULT);
	vector[0] = (struct iovec){ page, 8 };
	CHECK_EQ(RAW(SYS_writev, zero, vector, 0), 0);
	CHECK_EQ(RAW(SYS_writev, zero, vector, -1), -EINVAL);
	CHECK_EQ(RAW(SYS_writev, zero, vector, 1025), -EINVAL);
	CHECK_EQ(RAW(SYS_writev, zero, vector, 1l << 60), -EINVAL);
	vector[1] = (struct iovec){ page, SIZE_MAX };
	CHECK_EQ(RAW(SYS_writev, zero, vector, 2), -EINVAL);
	vector[0].iov_len = vector[1].iov_len = 1ul << 62; /* their sum overflows */
	CHECK(RAW(SYS_writev, zero, vector, 2) < 0);
	wait_for_parent();
}

static const struct inside_case cases[] = {
	inside_case(pointers_by_request),
	inside_case(structures_that_point_on),
	inside_case(lengths_and_counts),
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		canary_test(pointers_by_request),
		canary_test(structures_that_point_on),
		canary_test(lengths_and_counts),
	};

	inside_main(argc, argv, cases);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
