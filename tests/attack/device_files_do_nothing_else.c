// SPDX-License-Identifier: GPL-2.0-only
/* Who may open the device, and that its files are no files to read, write or seek in. */
#define _GNU_SOURCE
#include "raw.h"

#include <fcntl.h>
#include <unistd.h>

static void only_root_may_open_it(void)
{
	pid_t child;

	CHECK_OK(close(CHECK_OK(open("/dev/dune", O_RDWR))));
	child = harness_fork();
	if (!child) {
		CHECK_OK(setgid(1000));
		CHECK_OK(setuid(1000));
		CHECK_ERRNO(open("/dev/dune", O_RDWR), EACCES);
		CHECK_ERRNO(open("/dev/dune", O_RDONLY), EACCES);
		_exit(0);
	}
	JOIN(child);
}

static void cannot_be_read_or_written(void)
{
	struct raw raw;
	char byte = 0;

	raw_create(&raw);
	CHECK(read(raw.device, &byte, 1) == -1);
	CHECK(write(raw.device, &byte, 1) == -1);
	CHECK(read(raw.vcpu, &byte, 1) == -1);
	CHECK(write(raw.vcpu, &byte, 1) == -1);
	CHECK_ERRNO(lseek(raw.vcpu, 1, SEEK_SET), EINVAL);
	CHECK_ERRNO(lseek(raw.vcpu, 0, SEEK_END), EINVAL);
	CHECK_ERRNO(lseek(raw.vcpu, 0, SEEK_CUR), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(only_root_may_open_it),
		guest_test(cannot_be_read_or_written),
	};

	return run_guest_tests(tests);
}
