// SPDX-License-Identifier: GPL-2.0-only
/* The module cannot be unloaded while it is used, can afterwards, and again. */
#define _GNU_SOURCE
#include "guest.h"
#include "module.h"

#include <signal.h>
#include <sys/mman.h>

static volatile int *inside;

static void share_a_flag(void)
{
	inside = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK((void *)inside != MAP_FAILED);
}

static pid_t start_guest(void)
{
	pid_t child;

	*inside = 0;
	child = harness_fork();
	if (!child) {
		enter_dune();
		*inside = 1;
		for (;;)
			;
	}
	while (!*inside)
		usleep(500);
	return child;
}

static void needs_root(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(module_is_loaded("dune"), "dune is not a module here");
}

static void unloading_is_refused_while_used(void)
{
	pid_t child;

	needs_root();
	share_a_flag();
	child = start_guest();
	for (int i = 0; i < 10; i++) {
		int result = module_unload("dune");

		CHECK(result == -EAGAIN || result == -EBUSY);
		usleep(200);
	}
	CHECK_OK(kill(child, SIGKILL));
	CHECK_EQ(harness_wait(child), 128 + SIGKILL);
	enter_dune();
}

static void unloads_and_loads_again(void)
{
	needs_root();
	share_a_flag();
	for (int i = 0; i < 5; i++) {
		pid_t child = start_guest();

		CHECK_OK(kill(child, SIGKILL));
		CHECK_EQ(harness_wait(child), 128 + SIGKILL);
		CHECK_EQ(module_unload("dune"), 0);
		CHECK(!module_is_loaded("dune"));
		CHECK_EQ(dune_init(), -ENOENT);
		CHECK_EQ(module_load_dune(), 0);
	}
	enter_dune();
	CHECK_EQ(getpid(), dune_syscall(39, 0, 0, 0, 0, 0, 0));
}

static void loading_twice_fails(void)
{
	needs_root();
	CHECK_EQ(module_load_dune(), -EEXIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(unloading_is_refused_while_used),
		guest_test(unloads_and_loads_again),
		guest_test(loading_twice_fails),
	};

	return run_guest_tests(tests);
}
