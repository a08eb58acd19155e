// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ring 3 may write its FS and GS base: ring 0 uses its own at every entry, by
 * system call, exception or interrupt, and ring 3 gets back what it wrote. None of it
 * leaves Dune.
 */
#define _GNU_SOURCE
#include "ring3.h"
#include "ring3_attacks.h"

#include <asm/prctl.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#define HWCAP2_FSGSBASE 2
#define NOT_CANONICAL	0x0000800000000000ull

static uint64_t fs_of_ring_0;

static void prepare(void)
{
	TEST_REQUIRE(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE, "no FSGSBASE here");
	ring3_prepare();
	__asm__ volatile("mov %%fs:0, %0" : "=r"(fs_of_ring_0));
}

/* Addresses that would help an attacker, and some that would confuse. */
static unsigned forged_bases(uint64_t *bases)
{
	unsigned nr = 0;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdt, idt;

	__asm__ volatile("sgdt %0; sidt %1" : "=m"(gdt), "=m"(idt));
	bases[nr++] = (uintptr_t)ring3_canary;
	bases[nr++] = (uintptr_t)ring3_canary + PAGE_BYTES;
	bases[nr++] = 0;
	bases[nr++] = 1;
	bases[nr++] = fs_of_ring_0;
	bases[nr++] = gdt.base;
	bases[nr++] = gdt.base & -PAGE_BYTES;
	bases[nr++] = idt.base;
	bases[nr++] = (uintptr_t)&nr;
	bases[nr++] = 0x7fffffffffff;
	bases[nr++] = 0xffff800000000000;
	bases[nr++] = 0xffffffffffffffff;
	bases[nr++] = ring3_data();
	return nr;
}

static void at_a_system_call(void)
{
	uint64_t bases[16];
	unsigned nr;

	prepare();
	nr = forged_bases(bases);
	for (unsigned i = 0; i < nr; i++) {
		ring3_returns(attack_syscall_gs, bases[i], bases[i]);
		ring3_check_host();
		ring3_returns(attack_syscall_fs, bases[i], bases[i]);
		ring3_check_host();
	}
	CHECK_EQ(ring3_syscalls, 2 * nr);
}

static void at_a_fault(void)
{
	uint64_t bases[16];
	unsigned nr;

	prepare();
	nr = forged_bases(bases);
	for (unsigned i = 0; i < nr; i++) {
		ring3_faults(attack_fault_gs, bases[i], 6);
		ring3_check_host();
		ring3_faults(attack_fault_fs, bases[i], 6);
		ring3_check_host();
	}
}

static void at_an_interrupt(void)
{
	uint64_t bases[16], value;
	struct dune_ring3_end end;
	unsigned nr;

	prepare();
	nr = forged_bases(bases);
	for (unsigned i = 0; i < nr; i++) {
		CHECK_EQ(ring3_try(attack_spin_bases, bases[i], bases[nr - 1 - i], 1500000, &value,
				   &end),
			 0);
		CHECK_EQ(value, bases[i]);
		ring3_check_host();
	}
}

static void that_are_not_canonical(void)
{
	const uint64_t bases[] = { NOT_CANONICAL, 1ull << 63, 0xffff7fffffffffff, 0x8000ull << 44 };

	prepare();
	for (unsigned i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		ring3_faults(attack_syscall_gs, bases[i], 13);
		ring3_faults(attack_syscall_fs, bases[i], 13);
		ring3_check_host();
	}
	CHECK_EQ(ring3_syscalls, 0);
}

static uint64_t own_gs(void)
{
	uint64_t base = 0;

	CHECK_OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
	return base;
}

/* A signal handler tells by GS whether the thread is inside. */
static void gs_stays_inside(void)
{
	CHECK_OK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x12345000));
	prepare();
	ring3_returns(attack_syscall_gs, ring3_data(), ring3_data());
	CHECK_EQ(dune_leave(), 0);
	CHECK_EQ(own_gs(), 0x12345000);
	CHECK_EQ(dune_enter(), 0);
	CHECK_OK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x54321000));
	ring3_returns(attack_syscall_gs, ring3_data(), ring3_data());
	CHECK_EQ(dune_leave(), 0);
	CHECK_EQ(own_gs(), 0x54321000);
}

static void selectors_do_not_matter_either(void)
{
	prepare();
	for (int i = 0; i < 20; i++) {
		ring3_returns(attack_selectors, 0, RING3_SYSCALL_RESULT);
		ring3_check_host();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(at_a_system_call), guest_test(at_a_fault),
		guest_test(at_an_interrupt),  guest_test(that_are_not_canonical),
		guest_test(gs_stays_inside),  guest_test(selectors_do_not_matter_either),
	};

	return run_guest_tests(tests);
}
