// SPDX-License-Identifier: GPL-2.0-only
/* What is held to keep VMX on is a KVM VM, and one of them. */
#define _GNU_SOURCE
#include "raw.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static void only_kvm_can_be_held(void)
{
	struct raw raw;
	struct dune_hold_kvm hold = { 0 };
	int fds[2];

	memset(&raw, 0, sizeof(raw));
	raw.device = CHECK_OK(open("/dev/dune", O_RDWR | O_CLOEXEC));
	hold.kvm_vm_fd = -1;
	CHECK_ERRNO(ioctl(raw.device, DUNE_HOLD_KVM, &hold), EBADF);
	hold.kvm_vm_fd = 1000000;
	CHECK_ERRNO(ioctl(raw.device, DUNE_HOLD_KVM, &hold), EBADF);
	CHECK_OK(pipe(fds));
	hold.kvm_vm_fd = fds[0];
	CHECK_ERRNO(ioctl(raw.device, DUNE_HOLD_KVM, &hold), EINVAL);
	hold.kvm_vm_fd = raw.device;
	CHECK_ERRNO(ioctl(raw.device, DUNE_HOLD_KVM, &hold), EINVAL);
	hold.kvm_vm_fd = open("/dev/kvm", O_RDWR);
	if (hold.kvm_vm_fd >= 0)
		CHECK_ERRNO(ioctl(raw.device, DUNE_HOLD_KVM, &hold), EINVAL);
	hold.kvm_vm_fd = memfd_create("kvm-vm", 0);
	CHECK_ERRNO(ioctl(raw.device, DUNE_HOLD_KVM, &hold), EINVAL);
	/* A file of that very name; an anonymous inode of another. */
	hold.kvm_vm_fd = CHECK_OK(open("/tmp/kvm-vm", O_RDWR | O_CREAT, 0600));
	CHECK_ERRNO(ioctl(raw.device, DUNE_HOLD_KVM, &hold), EINVAL);
	CHECK_OK(unlink("/tmp/kvm-vm"));
	hold.kvm_vm_fd = CHECK_OK(eventfd(0, 0));
	CHECK_ERRNO(ioctl(raw.device, DUNE_HOLD_KVM, &hold), EINVAL);
}

static void only_one_kvm_can_be_held(void)
{
	struct raw raw;
	struct dune_hold_kvm hold = { 0 };
	int kvm = open("/dev/kvm", O_RDWR);

	TEST_REQUIRE(kvm >= 0, "no KVM here");
	raw_open(&raw); /* holds one */
	hold.kvm_vm_fd = CHECK_OK(ioctl(kvm, KVM_CREATE_VM, 0));
	CHECK_ERRNO(ioctl(raw.device, DUNE_HOLD_KVM, &hold), EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(only_kvm_can_be_held),
		guest_test(only_one_kvm_can_be_held),
	};

	return run_guest_tests(tests);
}
