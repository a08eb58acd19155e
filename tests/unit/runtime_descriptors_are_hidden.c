// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors of the runtime do not exist for ring 3. What is open is found out even with no
 * descriptor left to look with.
 */
#include "fake_dune.h"
#include "descriptor.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void calls_on_them_fail(void **state)
{
	uint64_t before[SANDBOX_FD_WORDS];
	int hidden, other;

	(void)state;
	assert_int_equal(sandbox_fds_list(before), 0);
	hidden = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(sandbox_fds_hide_new(box, before), 0);
	other = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_true(sandbox_fds_hidden(box, hidden));
	assert_true(sandbox_fds_hidden(box, hidden | 1ull << 32)); /* the kernel takes 32 bits */
	assert_false(sandbox_fds_hidden(box, other));
	assert_int_equal(RING3(box, SYS_read, hidden, page, 1), -EBADF);
	assert_int_equal(RING3(box, SYS_close, hidden), -EBADF);
	assert_int_equal(RING3(box, SYS_close, hidden | 1ull << 32), -EBADF);
	assert_int_equal(RING3(box, SYS_dup, hidden), -EBADF);
	assert_int_equal(RING3(box, SYS_dup2, other, hidden), -EBADF);
	assert_int_equal(RING3(box, SYS_dup3, other, hidden, 0), -EBADF);
	assert_int_equal(RING3(box, SYS_fcntl, hidden, F_GETFD, 0), -EBADF);
	assert_int_equal(RING3(box, SYS_ioctl, hidden, 0, 0), -EBADF);
	assert_int_equal(RING3(box, SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, hidden, 0), -EBADF);
	assert_int_equal(RING3(box, SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, hidden | 1ull << 32,
			       0),
			 -EBADF);
	assert_int_equal(RING3(box, SYS_close_range, hidden, other, 0), 0);
	assert_int_equal(fcntl(hidden, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(other, F_GETFD), -1);
	other = fcntl(hidden, F_DUPFD, hidden + 10);
	assert_int_equal(RING3(box, SYS_close_range, hidden + 1, -1, 0), 0);
	assert_int_equal(fcntl(hidden, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(other, F_GETFD), -1);
	box->nr_hidden_fds = 0;
	close(hidden);
}

/* As of one that is not open, whatever else there is to wait for. */
static void they_are_not_waited_for(void **state)
{
	int hidden = open("/dev/null", O_RDWR | O_CLOEXEC), own = open("/dev/null", O_RDWR);
	struct pollfd *poll = (void *)page;
	uint64_t *set = (void *)page, *others = (void *)(page + 256), *time = (void *)(page + 512);
	long many;

	(void)state;
	box->hidden_fd[box->nr_hidden_fds++] = hidden;
	for (int round = 0; round < 2; round++) {
		poll[0] = (struct pollfd){ hidden, POLLIN | POLLOUT, 0 };
		poll[1] = (struct pollfd){ own, POLLOUT, 0 };
		poll[2] = (struct pollfd){ -hidden - 1, POLLOUT, 1 };
		time[0] = 100;
		time[1] = 0;
		assert_int_equal(round ? RING3(box, SYS_ppoll, page, 3, (uint64_t)time, 0, 8)
				       : RING3(box, SYS_poll, page, 3, 100000),
				 2);
		assert_int_equal(poll[0].fd, hidden);
		assert_int_equal(poll[0].revents, POLLNVAL);
		assert_int_equal(poll[1].fd, own);
		assert_int_equal(poll[1].revents, POLLOUT);
		assert_int_equal(poll[2].revents, 0);
		poll[0].revents = 0;
		assert_int_equal(round ? RING3(box, SYS_ppoll, page, 1, 0, 0, 8)
				       : RING3(box, SYS_poll, page, 1, -1),
				 1);
		assert_int_equal(poll[0].revents, POLLNVAL);
	}
	many = RING3(box, SYS_mmap, 0, 16384, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(RING3(box, SYS_poll, many, SANDBOX_MAX_FDS + 1, 0), -EINVAL);

	for (int round = 0; round < 4; round++) {
		long nr = round < 3 ? SYS_select : SYS_pselect6;
		uint64_t args[6] = { SANDBOX_MAX_FDS };

		memset(set, 0, 256);
		memset(others, 0, 256);
		set[hidden / 64] |= 1ull << hidden % 64;
		others[own / 64] |= 1ull << own % 64;
		args[1 + round % 3] = page;
		args[1 + (round + 1) % 3] = (uint64_t)others;
		assert_int_equal(fake_syscall(box, nr, args), -EBADF);
		args[0] = hidden; /* bits beyond are not looked at */
		args[1 + (round + 1) % 3] = 0;
		time[0] = time[1] = 0;
		args[4] = (uint64_t)time;
		assert_int_equal(fake_syscall(box, nr, args), 0);
	}
	memset(others, 0, 256);
	others[own / 64] |= 1ull << own % 64;
	assert_int_equal(RING3(box, SYS_select, INT_MAX, 0, (uint64_t)others, 0, 0), 1);
	assert_int_equal(others[own / 64], 1ull << own % 64);
	assert_int_equal(RING3(box, SYS_select, -1, 0, (uint64_t)others, 0, 0), -EINVAL);
	box->nr_hidden_fds = 0;
	close(hidden);
	close(own);
}

/* With none left to look the others up with. */
static void a_full_table_is_listed(void **state)
{
	const struct rlimit few = { 64, 64 };
	uint64_t before[SANDBOX_FD_WORDS] = { 0 }, full[SANDBOX_FD_WORDS];
	pid_t child = fork();
	int status;

	(void)state;
	if (!child) {
		setrlimit(RLIMIT_NOFILE, &few);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		while (dup(0) >= 0)
			;
		if (sandbox_fds_list(full) || full[0] != -1ull || full[1])
			_exit(1);
		close(40);
		if (sandbox_fds_list(full) || full[0] != ~(1ull << 40))
			_exit(2);
		box->nr_hidden_fds = 0;
		if (sandbox_fds_hide_new(box, before) || box->nr_hidden_fds != 63)
			_exit(3);
		/* A copy goes where there is room. */
		if (sandbox_fds_copy_high(0) != 40 || sandbox_fds_copy_high(0) != -EMFILE ||
		    sandbox_fds_move_high(50) != 50)
			_exit(4);
		close(45);
		close(20);
		_exit(sandbox_fds_move_high(3) == 45 && fcntl(3, F_GETFD) < 0 ? 0 : 5);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_on_them_fail),
		cmocka_unit_test(they_are_not_waited_for),
		cmocka_unit_test(a_full_table_is_listed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, fake_set_up, NULL);
}
