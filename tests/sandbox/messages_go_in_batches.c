// SPDX-License-Identifier: GPL-2.0-only
/*
 * sendmmsg() and recvmmsg(), which name resolution needs, carry several messages, say how long each
 * was, and stop at the first that does not go.
 */
#include "sandboxed.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { COUNT = 4, ROOM = 16 };

static char text[COUNT][ROOM];
static struct iovec vector[COUNT];
static struct mmsghdr batch[COUNT];
static int ends[2];

/* Messages of 1, 2, 3 and 4 bytes; or room for them. */
static void set_up(int receive)
{
	for (int i = 0; i < COUNT; i++) {
		memset(text[i], receive ? 0 : 'a' + i, ROOM);
		vector[i] = (struct iovec){ text[i], receive ? ROOM : i + 1 };
		batch[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &vector[i], .msg_iovlen = 1 },
					     .msg_len = 99 };
	}
}

static void all_are_sent_and_received(void)
{
	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	set_up(0);
	CHECK_EQ(RAW(SYS_sendmmsg, ends[0], batch, COUNT, 0), COUNT);
	for (int i = 0; i < COUNT; i++)
		CHECK_EQ(batch[i].msg_len, i + 1);
	set_up(1);
	CHECK_EQ(RAW(SYS_recvmmsg, ends[1], batch, COUNT, 0, 0), COUNT);
	for (int i = 0; i < COUNT; i++) {
		CHECK_EQ(batch[i].msg_len, i + 1);
		CHECK_EQ(text[i][i], 'a' + i);
		CHECK_EQ(text[i][i + 1], 0);
	}
	CHECK_EQ(RAW(SYS_sendmmsg, ends[0], batch, 0, 0), 0);
	CHECK_EQ(RAW(SYS_sendmmsg, -1, batch, 1, 0), -EBADF);
}

static void the_first_error_ends_it(void)
{
	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	set_up(0);
	vector[2].iov_base = NULL;
	CHECK_EQ(RAW(SYS_sendmmsg, ends[0], batch, COUNT, 0), 2);
	CHECK_EQ(batch[1].msg_len, 2);
	CHECK_EQ(batch[2].msg_len, 99);
	CHECK_EQ(RAW(SYS_sendmmsg, ends[0], batch + 2, 2, 0), -EFAULT);
	set_up(1);
	CHECK_EQ(RAW(SYS_recvmmsg, ends[1], batch, COUNT, MSG_DONTWAIT, 0), 2);
	CHECK_EQ(RAW(SYS_recvmmsg, ends[1], batch, COUNT, MSG_DONTWAIT, 0), -EAGAIN);
}

static void receiving_does_not_wait_for_all(void)
{
	struct timespec timeout = { 0, 0 };

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	set_up(0);
	CHECK_EQ(RAW(SYS_sendmmsg, ends[0], batch, COUNT, 0), COUNT);
	set_up(1);
	CHECK_EQ(RAW(SYS_recvmmsg, ends[1], batch, COUNT, 0, &timeout), 1); /* looked at after it */
	CHECK_EQ(RAW(SYS_recvmmsg, ends[1], batch, COUNT, MSG_WAITFORONE, 0), COUNT - 1);
	timeout.tv_nsec = 1000000000;
	CHECK_EQ(RAW(SYS_recvmmsg, ends[1], batch, COUNT, 0, &timeout), -EINVAL);
}

static const struct inside_case cases[] = {
	inside_case(all_are_sent_and_received),
	inside_case(the_first_error_ends_it),
	inside_case(receiving_does_not_wait_for_all),
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		inside_test(all_are_sent_and_received),
		inside_test(the_first_error_ends_it),
		inside_test(receiving_does_not_wait_for_all),
	};

	inside_main(argc, argv, cases);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
