// SPDX-License-Identifier: GPL-2.0-only
/* Every ioctl of the device: numbers, directions, sizes, pointers, reserved fields. */
#define _GNU_SOURCE
#include "raw.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Every call, for tests that make all of them. */
static const struct call {
	const char *name;
	unsigned long number;
	size_t bytes; /* 0: takes no structure */
	int on_vcpu, in, out;
} calls[] = {
	{ "GET_CAPS", DUNE_GET_CAPS, sizeof(struct dune_caps), 0, 0, 1 },
	{ "HOLD_KVM", DUNE_HOLD_KVM, sizeof(struct dune_hold_kvm), 0, 1, 0 },
	{ "SET_TILE", DUNE_SET_TILE, sizeof(struct dune_tile), 0, 1, 0 },
	{ "CREATE_VCPU", DUNE_CREATE_VCPU, 0, 0, 0, 0 },
	{ "FLUSH_TLB", DUNE_FLUSH_TLB, 0, 0, 0, 0 },
	{ "GET_STATS", DUNE_GET_STATS, sizeof(struct dune_stats), 0, 0, 1 },
	{ "GET_STATS of a vcpu", DUNE_GET_STATS, sizeof(struct dune_stats), 1, 0, 1 },
	{ "GET_EXITS", DUNE_GET_EXITS, sizeof(struct dune_exits), 0, 0, 1 },
	{ "GET_EXITS of a vcpu", DUNE_GET_EXITS, sizeof(struct dune_exits), 1, 0, 1 },
	{ "RUN", DUNE_RUN, 0, 1, 0, 0 },
	{ "GET_STATE", DUNE_GET_STATE, sizeof(struct dune_state), 1, 1, 1 },
	{ "SET_STATE", DUNE_SET_STATE, sizeof(struct dune_state), 1, 1, 0 },
};

#define for_each_call(call)                                                                    \
	for (const struct call *call = calls; call < calls + sizeof(calls) / sizeof(calls[0]); \
	     call++)

static int call_fd(const struct raw *raw, const struct call *call)
{
	return call->on_vcpu ? raw->vcpu : raw->device;
}

static void expect_error(const struct raw *raw, const struct call *call, unsigned long number,
			 const void *argument, int error)
{
	int result;

	errno = 0;
	result = ioctl(call_fd(raw, call), number, argument);
	if (result != -1 || errno != error)
		FAIL("%s as %#lx with %p: %d, errno %d, not %d", call->name, number, argument,
		     result, errno, error);
}

static void knows_only_its_numbers(void)
{
	static const unsigned long wrong[] = {
		0,
		_IO(0xDD, 0x03), /* another letter */
		_IO(0xDE, 0x7f), /* another number */
		0xffffffff,
	};
	struct raw raw;
	struct dune_caps caps;

	raw_create(&raw);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK_ERRNO(ioctl(raw.device, wrong[i], &caps), ENOTTY);
		CHECK_ERRNO(ioctl(raw.vcpu, wrong[i], &caps), ENOTTY);
	}
	/* Each object has its own. */
	CHECK_ERRNO(ioctl(raw.device, DUNE_RUN, 0), ENOTTY);
	CHECK_ERRNO(ioctl(raw.device, DUNE_GET_STATE, &caps), ENOTTY);
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_STATE, &caps), ENOTTY);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_GET_CAPS, &caps), ENOTTY);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_HOLD_KVM, &caps), ENOTTY);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_SET_TILE, &caps), ENOTTY);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_CREATE_VCPU, 0), ENOTTY);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_FLUSH_TLB, 0), ENOTTY);
}

static void directions_and_sizes_count(void)
{
	static const int sizes[] = { -8, -4, -1, 1, 4, 8, 4096 };
	static char buffer[16384];
	struct raw raw;

	raw_create(&raw);
	for_each_call(call)
	{
		unsigned number = _IOC_NR(call->number), direction = _IOC_DIR(call->number);

		for (unsigned other = 0; other < 4; other++)
			if (other != direction)
				expect_error(&raw, call, _IOC(other, 0xDE, number, call->bytes),
					     buffer, ENOTTY);
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			if ((long)call->bytes + sizes[i] >= 0)
				expect_error(&raw, call,
					     _IOC(direction, 0xDE, number, call->bytes + sizes[i]),
					     buffer, ENOTTY);
	}
}

/* A system call by its 32-bit number, the way of 32-bit programs. */
static long call_32(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

enum { LSEEK_32 = 19, GETPID_32 = 20, IOCTL_32 = 54 };

/* A kernel without 32-bit calls raises SIGSEGV. */
static int has_32_bit_calls(void)
{
	pid_t child = harness_fork();

	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		_exit(call_32(GETPID_32, 0, 0, 0) == getpid() ? 0 : 1);
	}
	return !harness_wait(child);
}

static void has_no_32_bit_ioctls(void)
{
	struct raw raw;
	char *low;

	TEST_REQUIRE(has_32_bit_calls(), "the kernel has no 32-bit system calls");
	/* An argument that a 32-bit program can name, and that would do. */
	low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1,
		   0);
	CHECK(low != MAP_FAILED);
	((struct dune_state *)low)->groups = DUNE_STATE_REGS;
	raw_create(&raw);
	for_each_call(call) if (call_32(IOCTL_32, call_fd(&raw, call), call->number,
					call->bytes ? (long)low : 0) != -ENOTTY)
		FAIL("%s by int 0x80", call->name);
	/* The other way to run takes no structure: it works as ever. */
	raw_load(&raw, raw_count, 0, 0);
	for (int i = 1; i <= 10; i++) {
		long reason;

		do
			reason = call_32(LSEEK_32, raw.vcpu, 0, SEEK_SET);
		while (reason == DUNE_EXIT_INTR);
		CHECK_EQ(reason, DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.run->gpr[DUNE_RBX], i);
	}
}

static void pointers_are_checked(void)
{
	struct raw raw;
	struct dune_state before = { .groups = DUNE_STATE_ALL }, after = before;
	char *pages =
		mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *secret = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED && secret != MAP_FAILED);
	/* A tile of zeros, such as comes of nothing, is another error than EFAULT with this. */
	CHECK(mmap((void *)0x10000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0) != MAP_FAILED);
	raw_create(&raw);
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &before));
	CHECK_OK(munmap(pages + 4096, 4096)); /* last: nothing else must take its place */
	for_each_call(call)
	{
		void *bad[] = {
			NULL,
			(void *)8,
			pages + 4096,
			pages + 4096 - 4,		/* all but the beginning is not there */
			pages + 4096 - call->bytes + 4, /* the end is not there */
			pages + 8192 - 4,		/* the beginning is not there */
			secret,
			(void *)0x7ffffffff000, /* where the process ends */
			(void *)0x0000800000000000,
			(void *)0x8000000000001000,
			(void *)0xffff800000000000,
			(void *)0xffff888000001000, /* the kernel's map of all memory */
			(void *)0xffffffff81000000, /* its code */
			(void *)0xffffffffff600000, /* vsyscall */
			(void *)-8ul,
			(void *)(1 - call->bytes), /* wraps */
		};

		for (unsigned i = 0; call->bytes && i < sizeof(bad) / sizeof(bad[0]); i++)
			expect_error(&raw, call, call->number, bad[i], EFAULT);
		/* What takes no structure takes no number, either. */
		for (unsigned i = 1; !call->bytes && i < sizeof(bad) / sizeof(bad[0]); i++)
			expect_error(&raw, call, call->number, bad[i], EINVAL);
	}
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &after));
	CHECK(!memcmp(&before, &after, sizeof(before)));
}

static void results_need_writable_memory(void)
{
	struct raw raw;
	struct dune_state *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK((void *)page != MAP_FAILED);
	page->groups = DUNE_STATE_ALL; /* DUNE_GET_STATE reads it first */
	CHECK_OK(mprotect(page, 4096, PROT_READ));
	raw_create(&raw);
	for_each_call(call) if (call->out) expect_error(&raw, call, call->number, page, EFAULT);
	CHECK_EQ(page->groups, DUNE_STATE_ALL);
}

static void arguments_need_no_more_than_reading(void)
{
	struct raw raw;
	struct dune_state *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK((void *)page != MAP_FAILED);
	raw_create(&raw);
	*page = raw_state(&raw);
	CHECK_OK(mprotect(page, 4096, PROT_READ));
	CHECK_OK(ioctl(raw.vcpu, DUNE_SET_STATE, page));
}

/* At every offset in a word, as the CPU has it. */
static void unaligned_structures_work(void)
{
	struct raw raw;
	static char buffer[4096];

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	for (int offset = 1; offset < 8; offset++) {
		struct dune_tile tile = { .tile = offset, .flags = DUNE_TILE_CLEAR };
		struct dune_state state = raw_state(&raw);
		struct dune_caps caps;

		for_each_call(call) if (call->out && !call->in)
			CHECK_OK(ioctl(call_fd(&raw, call), call->number, buffer + offset));
		CHECK_OK(ioctl(raw.device, DUNE_GET_CAPS, buffer + offset));
		memcpy(&caps, buffer + offset, sizeof(caps));
		CHECK_EQ(caps.abi_version, DUNE_ABI_VERSION);
		memcpy(buffer + offset, &tile, sizeof(tile));
		CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, buffer + offset), ENOENT);
		state.gpr[DUNE_RBX] = offset;
		memcpy(buffer + offset, &state, sizeof(state));
		CHECK_OK(ioctl(raw.vcpu, DUNE_SET_STATE, buffer + offset));
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, buffer + offset));
		memcpy(&state, buffer + offset, sizeof(state));
		CHECK_EQ(state.gpr[DUNE_RBX], offset + 1);
	}
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
	struct dune_hold_kvm hold = { .flags = ~DUNE_HOLD_SHARED, .kvm_vm_fd = -1 };

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
	for (size_t i = 0; i < sizeof(state.reserved) / sizeof(state.reserved[0]); i++) {
		state = raw_state(&raw);
		state.reserved[i] = 1;
		CHECK_ERRNO(ioctl(raw.vcpu, DUNE_SET_STATE, &state), EINVAL);
	}
	state = raw_state(&raw);
	state.event = ~0ull; /* not one of them: what DUNE_GET_STATE said may come back */
	CHECK_OK(ioctl(raw.vcpu, DUNE_SET_STATE, &state));
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
	/* … whatever it is to show. */
	tile.hva = (uintptr_t)mmap((void *)(5ul << 40), 4096, PROT_READ,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(tile.hva, 5ul << 40);
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), EEXIST);
	tile.hva = (uintptr_t)&tile & -1ull << 30;
	tile.tile--;
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), EEXIST); /* the piece */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(knows_only_its_numbers),
		guest_test(directions_and_sizes_count),
		guest_test(has_no_32_bit_ioctls),
		guest_test(pointers_are_checked),
		guest_test(results_need_writable_memory),
		guest_test(arguments_need_no_more_than_reading),
		guest_test(unaligned_structures_work),
		guest_test(caps_make_sense),
		guest_test(reserved_fields_are_zero),
		guest_test(tiles_are_checked),
	};

	return run_guest_tests(tests);
}
