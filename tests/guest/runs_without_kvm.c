// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where kvm_intel is not loaded, Dune turns VMX on itself, and off again, so
 * that KVM works afterwards; except on kernels that let only KVM do so, where
 * entering fails and says so.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "module.h"
#include "small_kvm.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/utsname.h>

static int had_kvm;

/* Up to Linux 6.12 a module can turn VMX on. */
static int modules_may_own_vmx(void)
{
	struct utsname name;
	int major, minor;

	CHECK_OK(uname(&name));
	CHECK_EQ(sscanf(name.release, "%d.%d", &major, &minor), 2);
	return major < 6 || (major == 6 && minor < 13);
}

static void unload_kvm(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	had_kvm = module_is_loaded("kvm_intel");
	if (had_kvm)
		TEST_REQUIRE(module_unload("kvm_intel") == 0, "kvm_intel cannot be unloaded");
	TEST_REQUIRE(access("/dev/kvm", F_OK) || open("/dev/kvm", O_RDWR) < 0, "KVM is built in");
}

static void without_kvm(void)
{
	TEST_REQUIRE(modules_may_own_vmx(), "from Linux 6.13 on only KVM may turn VMX on");
	unload_kvm();
}

/* Whatever happened: so what may fail runs in children. */
static void bring_kvm_back(void)
{
	const char *why;

	if (!had_kvm)
		return;
	CHECK_EQ(module_probe("kvm_intel"), 0);
	if (small_kvm_run(3, &why))
		FAIL("%s", why);
}

static void enter_and_work(void)
{
	struct dune_info info;
	char *page = map_pages(100, 3);

	CHECK_EQ(dune_init(), 0);
	CHECK_EQ(dune_get_info(&info), 0);
	CHECK(!info.kvm_held);
	CHECK_EQ(dune_enter(), 0);
	for (int i = 0; i < 1000; i++) {
		page[i % 100 * PAGE_BYTES]++;
		CHECK_EQ(getppid() > 0, 1);
	}
	CHECK_EQ(dune_leave(), 0);
	CHECK_EQ(dune_enter(), 0);
}

static void turns_vmx_on_itself(void)
{
	int code;

	without_kvm();
	code = harness_run_in_child(enter_and_work);
	bring_kvm_back();
	CHECK_EQ(code, 0);
}

static void spin_inside(void)
{
	enter_and_work();
	for (;;)
		;
}

static void dies_while_it_holds_vmx(void)
{
	int code = 0;

	without_kvm();
	for (int i = 0; i < 5; i++) {
		pid_t child = harness_fork();

		if (!child)
			spin_inside();
		usleep(1000 + i * 5000);
		kill(child, SIGKILL);
		code = harness_wait(child);
	}
	bring_kvm_back();
	CHECK_EQ(code, 128 + SIGKILL);
}

static void two_processes(void)
{
	pid_t child;
	int first, second;

	without_kvm();
	child = harness_fork();
	if (!child) {
		enter_and_work();
		_exit(0);
	}
	first = harness_run_in_child(enter_and_work);
	second = harness_wait(child);
	bring_kvm_back();
	CHECK_EQ(first, 0);
	CHECK_EQ(second, 0);
}

static void move_between_cpus(void)
{
	enter_and_work();
	for (int i = 0; i < 20; i++) {
		harness_run_on(0, i % 2);
		CHECK_EQ(current_ring(), 0);
	}
}

static void on_any_cpu(void)
{
	int code;

	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	without_kvm();
	code = harness_run_in_child(move_between_cpus);
	bring_kvm_back();
	CHECK_EQ(code, 0);
}

static void enter_in_vain(void)
{
	CHECK_EQ(dune_init(), 0);
	CHECK_EQ(dune_enter(), -EOPNOTSUPP);
	CHECK_EQ(current_ring(), 3);
}

static void says_so_where_only_kvm_may(void)
{
	int code;

	TEST_REQUIRE(!modules_may_own_vmx(), "modules may turn VMX on here");
	unload_kvm();
	code = harness_run_in_child(enter_in_vain);
	bring_kvm_back();
	CHECK_EQ(code, 0);
	enter_dune();
	CHECK_EQ(current_ring(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(turns_vmx_on_itself),
		guest_test(dies_while_it_holds_vmx),
		guest_test(two_processes),
		guest_test(on_any_cpu),
		guest_test(says_so_where_only_kvm_may),
	};

	return run_guest_tests(tests);
}
