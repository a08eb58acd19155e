// SPDX-License-Identifier: GPL-2.0-only
/*
 * RDMSR and WRMSR over every number that has ever meant anything, and others at
 * random: a few are the guest's own, all the rest are #GP. The host's own values
 * can be neither read nor changed; /dev/cpu/N/msr says so where there is one.
 */
#define _GNU_SOURCE
#include "module.h"
#include "random.h"
#include "raw_trap.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

enum { GP = 13 };
enum {
	EFER = 0xc0000080,
	STAR = 0xc0000081,
	LSTAR = 0xc0000082,
	CSTAR = 0xc0000083,
	FMASK = 0xc0000084,
	FS_BASE = 0xc0000100,
	GS_BASE = 0xc0000101,
	KERNEL_GS_BASE = 0xc0000102,
};

/* What the state that we set says they are; STAR and FMASK are Linux's layout, no secret. */
#define OWN_FS_BASE	   0x1111000
#define OWN_GS_BASE	   0x2222000
#define OWN_KERNEL_GS_BASE 0x3333000
#define OWN_LSTAR	   0x4444000

static struct raw raw;

static struct dune_state own_state(void)
{
	struct dune_state state = raw_trap_state(&raw);

	state.fs_base = OWN_FS_BASE;
	state.gs_base = OWN_GS_BASE;
	state.kernel_gs_base = OWN_KERNEL_GS_BASE;
	state.lstar = OWN_LSTAR;
	return state;
}

static void begin_sweep(const char *code, uint64_t first, uint64_t end, uint64_t low, uint64_t high)
{
	struct dune_state state = own_state();

	memcpy(raw.memory + RAW_CODE, code, 128);
	state.gpr[DUNE_RDI] = first;
	state.gpr[DUNE_RSI] = end;
	state.gpr[DUNE_R8] = low;
	state.gpr[DUNE_R9] = high;
	state.gpr[DUNE_R14] = 0;
	raw_set_state(raw.vcpu, &state);
}

/* The next that is not #GP, with its value; false at the end. */
static bool sweep_on(uint32_t *msr, uint64_t *value)
{
	const __u64 *gpr = raw.run->gpr;

	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	*msr = gpr[DUNE_RCX];
	*value = (uint32_t)gpr[DUNE_RAX] | gpr[DUNE_RDX] << 32;
	return gpr[DUNE_RDI] < gpr[DUNE_RSI];
}

static bool value_is_harmless(uint32_t msr, uint64_t value)
{
	switch (msr) {
	case FS_BASE:
		return value == OWN_FS_BASE;
	case GS_BASE:
		return value == OWN_GS_BASE;
	case KERNEL_GS_BASE:
		return value == OWN_KERNEL_GS_BASE;
	case LSTAR:
		return value == OWN_LSTAR;
	case EFER:
		return (value & ~0x800ull) == 0x501; /* NXE, LMA LME SCE */
	case STAR:
		return value == 0x0023001000000000;
	case FMASK:
		return value < 1 << 22; /* flags */
	}
	return false;
}

static unsigned sweep_read(uint64_t first, uint64_t end)
{
	unsigned nr_readable = 0;
	uint64_t value;
	uint32_t msr;

	begin_sweep(raw_sweep_rdmsr, first, end, 0, 0);
	while (sweep_on(&msr, &value)) {
		if (!value_is_harmless(msr, value))
			FAIL("MSR %#x can be read: %#lx", msr, value);
		nr_readable++;
	}
	CHECK_EQ(raw.run->gpr[DUNE_R14], end - first - nr_readable);
	return nr_readable;
}

/* Architectural, AMD's, KVM's and Hyper-V's, VIA's, and the edges. */
static const struct {
	uint64_t first, end;
} ranges[] = {
	{ 0, 0x2000 },
	{ 0x40000000, 0x40001200 },
	{ 0x4b564d00, 0x4b564d20 },
	{ 0x80000000, 0x80000100 },
	{ 0xc0000000, 0xc0002000 },
	{ 0xc0010000, 0xc0011100 },
	{ 0xffffff00, 0x100000000 },
};
enum { NR_RANGES = sizeof(ranges) / sizeof(ranges[0]) };

static void none_but_the_guests_own_can_be_read(void)
{
	unsigned nr_readable = 0;

	raw_trap_create(&raw);
	raw_trap_skip_gp(&raw);
	for (int i = 0; i < NR_RANGES; i++)
		nr_readable += sweep_read(ranges[i].first, ranges[i].end);
	CHECK_EQ(nr_readable, 7);
}

/* ---- Writes, with the host's view of it -------------------------------------- */

/* What the host must find again; clocks and counters run by themselves. */
static const uint32_t host_msrs[] = {
	0x1b,  0x3a,  0x48,  0x8b,  0xc1,  0x174, 0x175, 0x176,	  0x186,      0x187,
	0x1a0, 0x1d9, 0x277, 0x2ff, 0x200, 0x201, 0x38d, 0x38f,	  0x3f1,      0x480,
	0x606, 0xda0, EFER,  STAR,  LSTAR, CSTAR, FMASK, FS_BASE, 0xc0000103,
};
enum { NR_HOST_MSRS = sizeof(host_msrs) / sizeof(host_msrs[0]) };

static int host_fd = -1;

/* All on one CPU, so that the values are that CPU's. */
static void open_host_msrs(void)
{
	harness_run_on(0, 0);
	if (access("/dev/cpu/0/msr", R_OK))
		module_probe("msr");
	host_fd = open("/dev/cpu/0/msr", O_RDONLY);
	if (host_fd < 0)
		harness_note("no /dev/cpu/0/msr: the host's values are not compared");
}

static void read_host_msrs(uint64_t *values)
{
	for (int i = 0; i < NR_HOST_MSRS; i++)
		if (host_fd < 0 || pread(host_fd, &values[i], 8, host_msrs[i]) != 8)
			values[i] = 0xdead; /* there is no such one */
}

static void compare_host_msrs(const uint64_t *before)
{
	uint64_t after[NR_HOST_MSRS];

	read_host_msrs(after);
	for (int i = 0; i < NR_HOST_MSRS; i++)
		if (before[i] != after[i])
			FAIL("the host's MSR %#x was %#lx and is %#lx", host_msrs[i], before[i],
			     after[i]);
}

static bool is_own(uint32_t msr)
{
	return msr == FS_BASE || msr == GS_BASE || msr == KERNEL_GS_BASE || msr == LSTAR;
}

static void sweep_write(uint64_t first, uint64_t end, uint64_t pattern)
{
	uint64_t value, written = 0;
	uint32_t msr;

	begin_sweep(raw_sweep_wrmsr, first, end, (uint32_t)pattern, pattern >> 32);
	while (sweep_on(&msr, &value)) {
		if (!is_own(msr))
			FAIL("MSR %#x can be written: %#lx", msr, pattern);
		written++;
	}
	CHECK_EQ(raw.run->gpr[DUNE_R14], end - first - written);
}

static void none_but_the_guests_own_can_be_written(void)
{
	static const uint64_t patterns[] = { 0, ~0ull, 0x0000800000000000, 0x7ffffffff000 };
	uint64_t before[NR_HOST_MSRS];

	open_host_msrs();
	read_host_msrs(before);
	raw_trap_create(&raw);
	raw_trap_skip_gp(&raw);
	for (unsigned p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
		sweep_write(0, 0x2000, patterns[p]);
		sweep_write(0xc0000000, 0xc0002000, patterns[p]);
		compare_host_msrs(before);
	}
	sweep_write(0x40000000, 0x40001200, 1);
	sweep_write(0xc0010000, 0xc0011100, 1);
	compare_host_msrs(before);
}

/* ---- Rows ---------------------------------------------------------------------- */

static struct raw_trap access_msr(const char *code, size_t bytes, uint32_t msr, uint64_t value)
{
	struct dune_state state = own_state();
	struct raw_trap trap;

	state.gpr[DUNE_RCX] = msr | 0xabcd00000000; /* the upper half does not count */
	state.gpr[DUNE_RAX] = (uint32_t)value | 0x1234ull << 32;
	state.gpr[DUNE_RDX] = value >> 32 | 0x5678ull << 32;
	CHECK_EQ(raw_trap_run(&raw, &state, code, bytes, &trap), DUNE_EXIT_HYPERCALL);
	return trap;
}

/* wrmsr; xor eax, eax; xor edx, edx; rdmsr */
#define WRITE "\x0f\x30\x31\xc0\x31\xd2\x0f\x32", 8

static void bases_and_lstar_take_canonical_addresses_only(void)
{
	static const uint32_t msrs[] = { FS_BASE, GS_BASE, KERNEL_GS_BASE, LSTAR };
	static const uint64_t good[] = { 0, 1, 0x7fffffffffff, 0xffff800000000000, ~0ull };
	static const uint64_t bad[] = { 0x800000000000, 0xffff7fffffffffff, 1ull << 63, 1ull << 56,
					0x00ffffffffffffff };
	const __u64 *gpr;

	raw_trap_create(&raw);
	gpr = raw.run->gpr;
	for (int m = 0; m < 4; m++) {
		for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
			CHECK_EQ(access_msr(WRITE, msrs[m], good[i]).vector, RAW_VECTOR_NONE);
			CHECK_EQ(gpr[DUNE_RAX], (uint32_t)good[i]);
			CHECK_EQ(gpr[DUNE_RDX], good[i] >> 32);
		}
		for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			struct raw_trap trap = access_msr(WRITE, msrs[m], bad[i]);

			if (trap.vector != GP || trap.error || trap.rip != RAW_CODE)
				FAIL("MSR %#x = %#lx: vector %ld", msrs[m], bad[i],
				     (long)trap.vector);
		}
	}
}

/* The host's own, as they are: "writing" them changes nothing; anything else is #GP. */
static void fixed_ones_take_what_they_have(void)
{
	static const uint32_t msrs[] = { EFER, STAR, FMASK };
	const __u64 *gpr;

	raw_trap_create(&raw);
	gpr = raw.run->gpr;
	for (int m = 0; m < 3; m++) {
		uint64_t value;

		CHECK_EQ(access_msr("\x0f\x32", 2, msrs[m], 0).vector, RAW_VECTOR_NONE);
		value = gpr[DUNE_RAX] | gpr[DUNE_RDX] << 32;
		CHECK_EQ(access_msr(WRITE, msrs[m], value).vector, RAW_VECTOR_NONE);
		CHECK_EQ(gpr[DUNE_RAX] | gpr[DUNE_RDX] << 32, value);
		for (int bit = 0; bit < 64; bit++)
			CHECK_EQ(access_msr(WRITE, msrs[m], value ^ 1ull << bit).vector, GP);
	}
}

/* By a generator with a fixed seed: any number, any value. */
static void random_ones_are_refused(void)
{
	struct random random = { 88172645463325252 };
	uint64_t before[NR_HOST_MSRS];

	open_host_msrs();
	read_host_msrs(before);
	raw_trap_create(&raw);
	for (int i = 0; i < 2000; i++) {
		uint64_t value = random_bits(&random);
		uint32_t msr = i % 2 ? (uint32_t)value : (value & 0xc0001fff);

		if (is_own(msr) || msr == EFER || msr == STAR || msr == FMASK)
			continue;
		CHECK_EQ(access_msr("\x0f\x32", 2, msr, 0).vector, GP);
		CHECK_EQ(access_msr("\x0f\x30", 2, msr, value).vector, GP);
	}
	compare_host_msrs(before);
}

/* Interrupts make more entries of a run: the least of several. */
static uint64_t writes_of_a_run(uint64_t lstar)
{
	struct dune_state state = own_state();
	uint64_t least = ~0ull;

	state.lstar = lstar;
	for (int i = 0; i < 10; i++) {
		uint64_t before = raw_stat(&raw, DUNE_STAT_MSR_WRITES), writes;
		struct raw_trap trap;

		CHECK_EQ(raw_trap_run(&raw, &state, "\x90", 1, &trap), DUNE_EXIT_HYPERCALL);
		writes = raw_stat(&raw, DUNE_STAT_MSR_WRITES) - before;
		least = writes < least ? writes : least;
	}
	return least;
}

/* Who guesses where the kernel is must not learn from a run that the guess was right. */
static void the_hosts_lstar_is_like_any_other(void)
{
	uint64_t lstar;

	open_host_msrs();
	TEST_REQUIRE(host_fd >= 0, "there is no /dev/cpu/0/msr");
	CHECK_EQ(pread(host_fd, &lstar, 8, LSTAR), 8);
	CHECK(lstar >> 63);
	raw_trap_create(&raw);
	CHECK_EQ(writes_of_a_run(OWN_LSTAR), 2);
	CHECK_EQ(writes_of_a_run(lstar), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(none_but_the_guests_own_can_be_read),
		guest_test_limit(none_but_the_guests_own_can_be_written, 60),
		guest_test(bases_and_lstar_take_canonical_addresses_only),
		guest_test(fixed_ones_take_what_they_have),
		guest_test(random_ones_are_refused),
		guest_test(the_hosts_lstar_is_like_any_other),
	};

	return run_guest_tests(tests);
}
