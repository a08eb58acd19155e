// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine sleeps (suspend to RAM, in which CPUs lose VMX) and wakes up while
 * processes are inside: they go on where they were, whoever keeps VMX on. Only
 * in the emulated machine, as a real computer would want to be woken.
 */
#define _GNU_SOURCE
#include "file.h"
#include "guest.h"
#include "module.h"
#include "raw.h"
#include "small_kvm.h"
#include "worker.h"

#include <signal.h>
#include <sys/ioctl.h>

enum { NR_SLEEPS = 2 };

static void needs_the_machine(void)
{
	char name[64] = "";

	CHECK_OK(gethostname(name, sizeof(name) - 1));
	TEST_REQUIRE(!strcmp(name, "dune-machine"), "not in the emulated machine");
	TEST_REQUIRE(file_write("/sys/power/mem_sleep", "deep"), "no suspend to RAM");
}

static void sleep_and_wake(void)
{
	CHECK(file_write("/sys/power/state", "mem"));
}

/* Two that compute, and one that is between two runs. */
static void sleep_with_guests(void)
{
	struct worker workers[2];
	struct raw raw;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	for (int i = 0; i < 2; i++)
		workers[i] = worker_start();
	for (int turn = 0; turn < NR_SLEEPS; turn++) {
		sleep_and_wake();
		for (int i = 0; i < 2; i++)
			worker_must_go_on(&workers[i]);
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.run->gpr[DUNE_RBX], turn + 2);
	}
	for (int i = 0; i < 2; i++)
		worker_finish(&workers[i]);
	enter_dune();
	CHECK(worker_compute(5));
}

static void where_kvm_keeps_vmx_on(void)
{
	const char *why;

	needs_the_machine();
	TEST_REQUIRE(!access("/dev/kvm", R_OK | W_OK), "/dev/kvm cannot be opened");
	sleep_with_guests();
	if (small_kvm_run(10, &why))
		FAIL("%s", why);
}

/* Loaded after us, KVM would turn VMX off before we have written back what is ours. */
static void where_kvm_came_after_us(void)
{
	needs_the_machine();
	TEST_REQUIRE(module_is_loaded("kvm_intel"), "kvm_intel is not a module here");
	CHECK_EQ(module_unload("kvm_intel"), 0);
	CHECK_EQ(module_probe("kvm_intel"), 0);
	sleep_with_guests();
}

static void where_vmx_is_our_own(void)
{
	struct dune_caps caps;
	struct raw raw;
	bool had_kvm;
	int code;

	needs_the_machine();
	raw_open(&raw);
	CHECK_OK(ioctl(raw.device, DUNE_GET_CAPS, &caps));
	TEST_REQUIRE(caps.features & DUNE_CAP_OWN_VMX, "this kernel lets only KVM have VMX");
	close(raw.device);
	had_kvm = module_is_loaded("kvm_intel");
	if (had_kvm)
		CHECK_EQ(module_unload("kvm_intel"), 0);
	code = harness_run_in_child(sleep_with_guests);
	if (had_kvm)
		CHECK_EQ(module_probe("kvm_intel"), 0);
	CHECK_EQ(code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(where_kvm_keeps_vmx_on, 60),
		guest_test_limit(where_kvm_came_after_us, 60),
		guest_test_limit(where_vmx_is_our_own, 60),
	};

	return run_guest_tests(tests);
}
