// SPDX-License-Identifier: GPL-2.0-only
/* A KVM VM that one process brought keeps VMX on for all of its user, and for nobody else. */
#define _GNU_SOURCE
#include "raw.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int open_device(void)
{
	return CHECK_OK(open("/dev/dune", O_RDWR | O_CLOEXEC));
}

static int share(int device)
{
	struct dune_hold_kvm hold = { .flags = DUNE_HOLD_SHARED };

	return ioctl(device, DUNE_HOLD_KVM, &hold);
}

static void nothing_to_share(void)
{
	CHECK_ERRNO(share(open_device()), ENOENT);
}

/* VMX that the module turned on itself is not KVM's, and so not to be had here. */
static void own_vmx_is_not_shared(void)
{
	int device = open_device();
	int vcpu = ioctl(device, DUNE_CREATE_VCPU, 0);

	TEST_REQUIRE(vcpu >= 0 || errno != EBUSY, "KVM has VMX on from load on this kernel");
	TEST_REQUIRE(vcpu >= 0 || errno != EOPNOTSUPP, "only KVM turns VMX on on this kernel");
	CHECK(vcpu >= 0);
	CHECK_ERRNO(share(open_device()), ENOENT);
	CHECK_ERRNO(share(device), ENOENT);
}

/* The VM stays for the second vm when the first, which brought it, is gone. */
static void outlives_who_brought_it(void)
{
	struct raw first, second;

	raw_open(&first);
	raw_create(&second);
	CHECK_ERRNO(share(second.device), EBUSY);
	close(first.device);
	raw_load(&second, raw_count, 0, 0);
	/* A vm goes a little later than its descriptor. */
	for (unsigned i = 1; i <= 50; i++) {
		CHECK_EQ(raw_run(&second), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(second.run->gpr[DUNE_RBX], i);
		usleep(10000);
	}
	CHECK_OK(munmap(second.run, DUNE_RUN_SIZE));
	close(second.vcpu);
	close(second.device);
	CHECK_ERRNO(share(open_device()), ENOENT);
}

static void not_with_another_user(void)
{
	struct raw mine;
	pid_t child;

	raw_open(&mine);
	child = harness_fork();
	if (!child) {
		int device = open_device();

		CHECK_OK(setresuid(65534, 65534, 65534));
		CHECK_ERRNO(share(device), ENOENT);
		_exit(0);
	}
	JOIN(child);
	CHECK_OK(share(open_device()));
}

static void a_descriptor_has_no_meaning_here(void)
{
	struct raw raw;
	struct dune_hold_kvm hold = { .kvm_vm_fd = -1, .flags = DUNE_HOLD_SHARED };

	raw_open(&raw);
	CHECK_ERRNO(ioctl(open_device(), DUNE_HOLD_KVM, &hold), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(nothing_to_share),
		guest_test(own_vmx_is_not_shared),
		guest_test(outlives_who_brought_it),
		guest_test(not_with_another_user),
		guest_test(a_descriptor_has_no_meaning_here),
	};

	return run_guest_tests(tests);
}
