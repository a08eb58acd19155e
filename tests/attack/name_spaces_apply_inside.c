// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls from inside are the thread's own, and so are its rights: user name
 * spaces apply to them, and give no right to the device. docs/security.md says so.
 */
#define _GNU_SOURCE
#include "file.h"
#include "guest.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void a_user_name_space_is_seen_inside(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(!unshare(CLONE_NEWUSER), "no user name spaces");
	enter_dune();
	CHECK_EQ(getuid(), 65534); /* nobody, as long as nothing is mapped */
	CHECK_ERRNO(syscall(SYS_sethostname, "x", 1), EPERM);
	CHECK(file_write("/proc/self/uid_map", "7 0 1"));
	CHECK_EQ(getuid(), 7);
}

/* Root of a name space of one's own is nobody in particular to the device. */
static void root_of_a_name_space_is_not_root(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	CHECK_OK(syscall(SYS_setresuid, 1000, 1000, 1000));
	CHECK_OK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); /* or /proc/self is root's */
	TEST_REQUIRE(!unshare(CLONE_NEWUSER), "no user name spaces for everybody");
	CHECK(file_write("/proc/self/uid_map", "0 1000 1"));
	CHECK_EQ(geteuid(), 0);
	CHECK_ERRNO(open("/dev/dune", O_RDWR), EACCES);
	CHECK_EQ(dune_init(), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(a_user_name_space_is_seen_inside),
		guest_test(root_of_a_name_space_is_not_root),
	};

	return run_guest_tests(tests);
}
