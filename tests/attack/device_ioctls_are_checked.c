// SPDX-License-Identifier: GPL-2.0-only
/* Every ioctl of the device: numbers, directions, sizes, pointers, reserved fields. */
#define _GNU_SOURCE
#include "raw.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static void knows_only_its_numbers(void)
{
	static const struct {
		unsigned long number;
		const char *what;
	} wrong[] = {
		{ 0, "zero" },
		{ _IO(0xDE, 0x00), "no direction" },
		{ _IOW(0xDE, 0x00, struct dune_caps), "the other direction" },
		{ _IOWR(0xDE, 0x00, struct dune_caps), "both directions" },
		{ _IOC(_IOC_READ, 0xDE, 0x00, sizeof(struct dune_caps) - 8), "smaller" },
		{ _IOC(_IOC_READ, 0xDE, 0x00, sizeof(struct dune_caps) + 8), "larger" },
		{ _IO(0xDD, 0x03), "another letter" },
		{ _IO(0xDE, 0x7f), "another number" },
		{ _IOR(0xDE, 0x02, struct dune_tile), "the other direction" },
		{ 0xffffffff, "all ones" },
	};
	struct raw raw;
	struct dune_caps caps;

	raw_create(&raw);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK_ERRNO(ioctl(raw.device, wrong[i].number, &caps), ENOTTY);
		CHECK_ERRNO(ioctl(raw.vcpu, wrong[i].number, &caps), ENOTTY);
	}
	/* Each object has its own. */
	CHECK_ERRNO(ioctl(raw.device, DUNE_RUN, 0), ENOTTY);
	CHECK_ERRNO(ioctl(raw.device, DUNE_GET_STATE, &caps), ENOTTY);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_CREATE_VCPU, 0), ENOTTY);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_SET_TILE, &caps), ENOTTY);
}

static void has_no_32_bit_calls(void)
{
	struct raw raw;
	long result = -1;

	raw_open(&raw);
	/* ioctl is 54 there; a kernel without 32-bit calls raises SIGSEGV. */
	pid_t child = harness_fork();

	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		__asm__ volatile("int $0x80"
				 : "=a"(result)
				 : "a"(54), "b"(raw.device), "c"(DUNE_GET_CAPS), "d"(0)
				 : "memory");
		_exit(result == -ENOTTY || result == -ENOSYS ? 0 : 1);
	}
	int code = harness_wait(child);

	CHECK(code == 0 || code == 128 + SIGSEGV);
}

static void pointers_are_checked(void)
{
	struct raw raw;
	char *pages;
	const unsigned long vm_calls[] = { DUNE_GET_CAPS, DUNE_HOLD_KVM, DUNE_SET_TILE,
					   DUNE_GET_STATS };
	const unsigned long vcpu_calls[] = { DUNE_GET_STATE, DUNE_SET_STATE, DUNE_GET_STATS };
	void *bad[6];

	raw_create(&raw);
	pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED);
	CHECK_OK(munmap(pages + 4096, 4096));
	bad[0] = NULL;
	bad[1] = (void *)0xffff888000001000;
	bad[2] = (void *)0x8000000000001000;
	bad[3] = pages + 4096;
	bad[4] = pages + 4096 - 4; /* the second half is not there */
	bad[5] = (void *)-8ul;
	for (unsigned b = 0; b < 6; b++) {
		for (unsigned i = 0; i < sizeof(vm_calls) / sizeof(vm_calls[0]); i++)
			CHECK_ERRNO(ioctl(raw.device, vm_calls[i], bad[b]), EFAULT);
		for (unsigned i = 0; i < sizeof(vcpu_calls) / sizeof(vcpu_calls[0]); i++)
			CHECK_ERRNO(ioctl(raw.vcpu, vcpu_calls[i], bad[b]), EFAULT);
	}
}

static void results_need_writable_memory(void)
{
	struct raw raw;
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	raw_create(&raw);
	CHECK_ERRNO(ioctl(raw.device, DUNE_GET_CAPS, page), EFAULT);
	CHECK_ERRNO(ioctl(raw.device, DUNE_GET_STATS, page), EFAULT);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_GET_STATS, page), EFAULT);
}

static void unaligned_structures_work(void)
{
	struct raw raw;
	char buffer[sizeof(struct dune_caps) + 1];
	struct dune_caps caps;

	raw_open(&raw);
	CHECK_OK(ioctl(raw.device, DUNE_GET_CAPS, buffer + 1));
	memcpy(&caps, buffer + 1, sizeof(caps));
	CHECK_EQ(caps.abi_version, DUNE_ABI_VERSION);
}

static void caps_make_sense(void)
{
	struct raw raw;
	struct dune_caps caps;

	raw_open(&raw);
	memset(&caps, 0xff, sizeof(caps));
	CHECK_OK(ioctl(raw.device, DUNE_GET_CAPS, &caps));
	CHECK_EQ(caps.abi_version, DUNE_ABI_VERSION);
	CHECK(caps.nr_tiles >= 32);
	CHECK(caps.features & DUNE_CAP_RUN_LSEEK);
	CHECK((caps.xcr0 & 3) == 3);
	/* MP EM TS WP AM; TSD DE PSE PGE OSFXSR OSXMMEXCPT UMIP FSGSBASE PCIDE OSXSAVE SMEP SMAP */
	CHECK_EQ(caps.cr0_allowed & ~0x5000eull, 0);
	CHECK_EQ(caps.cr4_allowed & ~0x370e9cull, 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(caps.reserved[i], 0);
}

static void reserved_fields_are_zero(void)
{
	struct raw raw;
	struct dune_caps caps;
	struct dune_state state;
	struct dune_tile tile = { .tile = 1 };
	struct dune_hold_kvm hold = { .flags = ~DUNE_HOLD_SHARED };

	raw_create(&raw);
	CHECK_OK(ioctl(raw.device, DUNE_GET_CAPS, &caps));
	CHECK_ERRNO(ioctl(raw.device, DUNE_HOLD_KVM, &hold), EINVAL);
	tile.flags = 2;
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), EINVAL);
	tile.flags = ~DUNE_TILE_CLEAR;
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), EINVAL);
	CHECK_ERRNO(ioctl(raw.device, DUNE_CREATE_VCPU, 1), EINVAL);
	CHECK_ERRNO(ioctl(raw.device, DUNE_FLUSH_TLB, 1), EINVAL);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_RUN, 1), EINVAL);
	for (int i = 0; i < 8; i++) {
		state = raw_state(&raw);
		state.reserved[i] = 1;
		CHECK_ERRNO(ioctl(raw.vcpu, DUNE_SET_STATE, &state), EINVAL);
	}
	state = raw_state(&raw);
	state.pad0 = 1;
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_SET_STATE, &state), EINVAL);
	state = raw_state(&raw);
	state.pad1 = 1;
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_SET_STATE, &state), EINVAL);
	state = raw_state(&raw);
	state.groups = 0;
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_SET_STATE, &state), EINVAL);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_GET_STATE, &state), EINVAL);
	state.groups = 1ull << 63;
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_SET_STATE, &state), EINVAL);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_GET_STATE, &state), EINVAL);
}

static void tiles_are_checked(void)
{
	struct raw raw;
	struct dune_caps caps;
	const uint64_t bad_hvas[] = { 1, 4096, 1ull << 29, 1ull << 47, 1ull << 63, -1ull << 30 };
	struct dune_tile tile = { 0 };

	raw_open(&raw);
	CHECK_OK(ioctl(raw.device, DUNE_GET_CAPS, &caps));
	for (unsigned i = 0; i < sizeof(bad_hvas) / sizeof(bad_hvas[0]); i++) {
		tile.hva = bad_hvas[i];
		CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), EINVAL);
	}
	tile.hva = 1ull << 30;
	tile.tile = caps.nr_tiles;
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), EINVAL);
	tile.tile = UINT32_MAX;
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), EINVAL);
	tile.tile = 0;
	tile.flags = DUNE_TILE_CLEAR;
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), EINVAL);
	tile.hva = 0;
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), ENOENT); /* nothing to clear */
	tile.flags = 0;
	tile.hva = 1ull << 40;
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), EFAULT); /* nothing to show */
	tile.hva = (uintptr_t)&tile & -1ull << 30;
	tile.tile = caps.nr_tiles - 1;
	CHECK_OK(ioctl(raw.device, DUNE_SET_TILE, &tile));
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), EEXIST); /* the tile */
	tile.tile--;
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), EEXIST); /* the piece */
}

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
		guest_test(knows_only_its_numbers),    guest_test(has_no_32_bit_calls),
		guest_test(pointers_are_checked),      guest_test(results_need_writable_memory),
		guest_test(unaligned_structures_work), guest_test(caps_make_sense),
		guest_test(reserved_fields_are_zero),  guest_test(tiles_are_checked),
		guest_test(only_kvm_can_be_held),      guest_test(only_one_kvm_can_be_held),
		guest_test(only_root_may_open_it),     guest_test(cannot_be_read_or_written),
	};

	return run_guest_tests(tests);
}
