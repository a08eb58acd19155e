// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMX has one owner. Who comes second is told so, the first one does not notice,
 * and when the first has gone the second gets it.
 */
#define _GNU_SOURCE
#include "module.h"
#include "raw.h"
#include "small_kvm.h"

#include <fcntl.h>
#include <sched.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

static void need_own_vmx(void)
{
	struct dune_caps caps;
	int device = CHECK_OK(open("/dev/dune", O_RDWR));

	CHECK_OK(ioctl(device, DUNE_GET_CAPS, &caps));
	close(device);
	TEST_REQUIRE(caps.features & DUNE_CAP_OWN_VMX, "this kernel lets only KVM have VMX");
}

static int make_kvm_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	if (kvm < 0)
		return -1;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	close(kvm);
	return vm;
}

static void check_kvm(void)
{
	const char *why;

	if (small_kvm_run(3, &why))
		FAIL("%s", why);
}

/* Refused is what would turn VMX on, and nothing else. */
static void kvm_came_first(void)
{
	struct raw raw, other;
	struct dune_hold_kvm hold = { 0 };
	int device = CHECK_OK(open("/dev/dune", O_RDWR | O_CLOEXEC));
	int kvm = make_kvm_vm();

	TEST_REQUIRE(kvm >= 0, "no KVM");
	need_own_vmx();
	for (int i = 0; i < 10; i++)
		CHECK_ERRNO(ioctl(device, DUNE_CREATE_VCPU, 0), EBUSY);
	check_kvm();
	raw_create(&other); /* holds KVM's, as one does */
	raw_load(&other, raw_count, 0, 0);
	CHECK_EQ(raw_run(&other), DUNE_EXIT_HYPERCALL);
	CHECK_ERRNO(ioctl(device, DUNE_CREATE_VCPU, 0), EBUSY);
	/* With leave, it works. */
	hold.kvm_vm_fd = kvm;
	CHECK_OK(ioctl(device, DUNE_HOLD_KVM, &hold));
	CHECK_ERRNO(ioctl(device, DUNE_HOLD_KVM, &hold), EBUSY);
	raw.device = device;
	close(raw_create_vcpu(&raw, &raw.run));
	CHECK_EQ(raw_run(&other), DUNE_EXIT_HYPERCALL);
}

static void where_only_kvm_may_it_is_asked_for(void)
{
	struct dune_caps caps;
	int device = CHECK_OK(open("/dev/dune", O_RDWR | O_CLOEXEC));

	CHECK_OK(ioctl(device, DUNE_GET_CAPS, &caps));
	TEST_REQUIRE(!(caps.features & DUNE_CAP_OWN_VMX), "this kernel lets us have VMX");
	CHECK_ERRNO(ioctl(device, DUNE_CREATE_VCPU, 0), EOPNOTSUPP);
}

static void run_while_kvm_tries(void)
{
	struct raw raw;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	/* From 6.12 on KVM wants VMX when it is loaded, before that for its first VM. */
	if (!module_probe("kvm_intel"))
		CHECK_ERRNO(make_kvm_vm(), EBUSY);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], 2);
	close(raw.vcpu);
	/* The vm has it as long as it lives. */
	CHECK(make_kvm_vm() < 0);
	close(raw.device);
	CHECK_OK(munmap(raw.run, DUNE_RUN_SIZE));
	CHECK_EQ(module_probe("kvm_intel"), 0);
	check_kvm();
}

static void dune_came_first(void)
{
	int code;
	pid_t child;

	TEST_REQUIRE(geteuid() == 0, "not root");
	need_own_vmx();
	if (module_is_loaded("kvm_intel"))
		TEST_REQUIRE(!module_unload("kvm_intel"), "kvm_intel cannot be unloaded");
	child = harness_fork();
	if (!child) {
		run_while_kvm_tries();
		_exit(0);
	}
	code = harness_wait(child);
	CHECK_EQ(module_probe("kvm_intel"), 0);
	check_kvm();
	CHECK_EQ(code, 0);
}

/* Whether VMX was to be had; then it is there on every CPU, until we are done. */
static bool own_and_run(void)
{
	struct raw raw = { .device = CHECK_OK(open("/dev/dune", O_RDWR | O_CLOEXEC)) };
	int vcpu = ioctl(raw.device, DUNE_CREATE_VCPU, 0);
	cpu_set_t all;

	if (vcpu < 0) {
		CHECK_EQ(errno, EBUSY);
		close(raw.device);
		return false;
	}
	close(vcpu);
	raw_create_upon(&raw);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_OK(sched_getaffinity(0, sizeof(all), &all));
	for (int cpu = 0; cpu < CPU_COUNT(&all); cpu++) {
		harness_run_on(0, cpu);
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	}
	CHECK_OK(sched_setaffinity(0, sizeof(all), &all));
	close(raw.vcpu);
	close(raw.device);
	CHECK_OK(munmap(raw.run, DUNE_RUN_SIZE));
	return true;
}

/* One of them gets it, or neither; KVM takes its time between looking and taking. */
static void try_both(void)
{
	unsigned nr_owned = 0, nr_kvm = 0;

	for (int round = 0; round < 5; round++) {
		int status;
		pid_t kvm;

		CHECK_EQ(module_unload("kvm_intel"), 0);
		kvm = harness_fork();
		if (!kvm)
			_exit(module_probe("kvm_intel") || make_kvm_vm() < 0);
		while (!waitpid(kvm, &status, WNOHANG))
			nr_owned += own_and_run();
		nr_kvm += !status;
		CHECK_EQ(module_probe("kvm_intel"), 0);
		check_kvm();
	}
	harness_note("KVM had VMX in %u rounds of 5, we had it %u times", nr_kvm, nr_owned);
}

static void both_came_at_once(void)
{
	int code;

	TEST_REQUIRE(geteuid() == 0, "not root");
	need_own_vmx();
	TEST_REQUIRE(module_is_loaded("kvm_intel") && !module_unload("kvm_intel"),
		     "kvm_intel cannot be unloaded");
	CHECK_EQ(module_probe("kvm_intel"), 0);
	if (!module_is_loaded("dune_inject"))
		CHECK_EQ(module_load("dune_inject", ""), 0);
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(module_load_dune(), 0);
	CHECK_EQ(module_write_parameter("dune_inject", "delay", "intel_pt_handle_vmx 2000"), 0);
	code = harness_run_in_child(try_both);
	CHECK_EQ(module_probe("kvm_intel"), 0);
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(module_unload("dune_inject"), 0);
	CHECK_EQ(module_load_dune(), 0);
	check_kvm();
	CHECK_EQ(code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(kvm_came_first),
		guest_test(where_only_kvm_may_it_is_asked_for),
		guest_test_limit(dune_came_first, 60),
		guest_test_limit(both_came_at_once, 120),
	};

	return run_guest_tests(tests);
}
