// SPDX-License-Identifier: GPL-2.0-only
/*
 * A state that the CPU must not run with is refused by DUNE_SET_STATE or
 * reported at entry; what is accepted reads back the same, and what runs goes
 * on where it should.
 */
#define _GNU_SOURCE
#include "raw_trap.h"

#include <sys/ioctl.h>

#define NOT_CANONICAL 0x0000800000000000ull

#define FIELD(name, bad)                                                                          \
	{                                                                                         \
#name, offsetof(struct dune_state, name), sizeof(((struct dune_state *)0)->name), \
			bad                                                                       \
	}

static const struct {
	const char *name;
	size_t offset, bytes;
	uint64_t value;
} bad_values[] = {
	FIELD(rip, NOT_CANONICAL),
	FIELD(rip, 1ull << 63),
	FIELD(rflags, 0), /* bit 1 is always set */
	FIELD(rflags, 2 | 1 << 3),
	FIELD(rflags, 2 | 1 << 5),
	FIELD(rflags, 2 | 1 << 15),
	FIELD(rflags, 2 | 1 << 14), /* NT */
	FIELD(rflags, 2 | 1 << 17), /* VM */
	FIELD(rflags, 2 | 1 << 19), /* VIF */
	FIELD(rflags, 2 | 1 << 20), /* VIP */
	FIELD(rflags, 2 | 1ull << 22),
	FIELD(rflags, 2 | 1ull << 63),
	FIELD(cs, 0),
	FIELD(cs, 0x08),
	FIELD(cs, 0x11),
	FIELD(cs, 0x23),
	FIELD(cs, 0x33), /* with the ss of ring 0 */
	FIELD(cs, 0xffff),
	FIELD(ss, 0),
	FIELD(ss, 0x2b),
	FIELD(ss, 0x1b),
	FIELD(ss, 0xffff),
	FIELD(fs_base, NOT_CANONICAL),
	FIELD(gs_base, NOT_CANONICAL),
	FIELD(kernel_gs_base, NOT_CANONICAL),
	FIELD(cr0, 0x80000033ull | 1ull << 32),
	FIELD(cr0, 0x80000033ull | 1 << 7),
	FIELD(cr0, 0x80000033ull | 1 << 30), /* CD */
	FIELD(cr3, 1ull << 52),
	FIELD(cr3, 1ull << 63),
	FIELD(cr4, 0x620 | 1ull << 14), /* SMXE */
	FIELD(cr4, 0x620 | 1ull << 31),
	FIELD(cr4, 0x620 | 1ull << 63),
	FIELD(lstar, NOT_CANONICAL),
	FIELD(gdt_base, NOT_CANONICAL),
	FIELD(idt_base, NOT_CANONICAL),
	FIELD(tss_base, NOT_CANONICAL),
	FIELD(gdt_limit, 0x10000),
	FIELD(idt_limit, 0x10000),
	FIELD(tss_limit, 0x66),
	FIELD(tss_limit, 0x10000),
};

static void what_cannot_run_is_refused(void)
{
	struct raw raw;
	struct dune_state before = { .groups = DUNE_STATE_ALL }, after = before;

	raw_create(&raw);
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &before));
	for (unsigned i = 0; i < sizeof(bad_values) / sizeof(bad_values[0]); i++) {
		struct dune_state state = raw_state(&raw);
		int result;

		state.gpr[DUNE_RBX] = 0x1234;
		memcpy((char *)&state + bad_values[i].offset, &bad_values[i].value,
		       bad_values[i].bytes);
		errno = 0;
		result = ioctl(raw.vcpu, DUNE_SET_STATE, &state);
		if (result != -1 || errno != EINVAL)
			FAIL("%s = %#lx: result %d errno %d, not EINVAL", bad_values[i].name,
			     bad_values[i].value, result, errno);
	}
	/* All or nothing. */
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &after));
	CHECK(!memcmp(&before, &after, sizeof(before)));
}

/* Bit 63 is a word to MOV CR3, and none of the register. */
static void with_pcids_cr3_is_checked_alike(void)
{
	enum { PCIDE = 1 << 17, PCID = 7 };
	struct dune_state state;
	struct dune_caps caps;
	struct raw raw;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_OK(ioctl(raw.device, DUNE_GET_CAPS, &caps));
	TEST_REQUIRE(caps.cr4_allowed & PCIDE, "the CPU has no PCIDs");
	state = raw_state(&raw);
	state.groups = DUNE_STATE_SYSTEM;
	state.cr4 |= PCIDE;
	state.cr3 |= PCID;
	raw_set_state(raw.vcpu, &state);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	state.cr3 |= 1ull << 63;
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_SET_STATE, &state), EINVAL);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

static void what_was_set_reads_back(void)
{
	struct raw raw;
	struct dune_state state, back = { .groups = DUNE_STATE_ALL };

	raw_create(&raw);
	state = raw_state(&raw);
	for (int i = 0; i < DUNE_NR_GPRS; i++)
		state.gpr[i] = 0x1111111111111111ull * i;
	state.gpr[DUNE_RSP] = 0x12345678;
	state.rflags = 0x200cd7 | 3 << 12;
	state.fs_base = 0x7fffffffffff;
	state.gs_base = 0xffff800000000000;
	state.kernel_gs_base = 0x1234567;
	state.cr2 = 0xabcdef;
	state.lstar = 0xffffffff81000000;
	state.idt_limit = 0xfff;
	raw_set_state(raw.vcpu, &state);
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &back));
	for (int i = 0; i < DUNE_NR_GPRS; i++)
		CHECK_EQ(back.gpr[i], state.gpr[i]);
	CHECK_EQ(back.rip, state.rip);
	CHECK_EQ(back.rflags, state.rflags);
	CHECK_EQ(back.cs, state.cs);
	CHECK_EQ(back.ss, state.ss);
	CHECK_EQ(back.fs_base, state.fs_base);
	CHECK_EQ(back.gs_base, state.gs_base);
	CHECK_EQ(back.kernel_gs_base, state.kernel_gs_base);
	CHECK_EQ(back.cr2, state.cr2);
	CHECK_EQ(back.cr3, state.cr3);
	CHECK_EQ(back.lstar, state.lstar);
	CHECK_EQ(back.gdt_base, state.gdt_base);
	CHECK_EQ(back.idt_base, state.idt_base);
	CHECK_EQ(back.tss_base, state.tss_base);
	CHECK_EQ(back.gdt_limit, state.gdt_limit);
	CHECK_EQ(back.idt_limit, state.idt_limit);
	CHECK_EQ(back.tss_limit, state.tss_limit);
	CHECK_EQ(back.cr4 & state.cr4, state.cr4);
	CHECK_EQ(back.cr0 & state.cr0, state.cr0);
	CHECK_EQ(back.pad0 | back.pad1, 0);
}

static void a_group_leaves_the_others_alone(void)
{
	struct raw raw;
	struct dune_state state, back;

	raw_create(&raw);
	memset(&state, 0, sizeof(state));
	state.groups = DUNE_STATE_SEGMENTS;
	state.cs = DUNE_SEL_CODE3;
	state.ss = DUNE_SEL_DATA3;
	state.fs_base = 77;
	raw_set_state(raw.vcpu, &state);
	memset(&back, 0xff, sizeof(back));
	back.groups = DUNE_STATE_ALL;
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &back));
	CHECK_EQ(back.rip, RAW_CODE);
	CHECK_EQ(back.gpr[DUNE_RSP], RAW_STACK);
	CHECK_EQ(back.cs, DUNE_SEL_CODE3);
	CHECK_EQ(back.fs_base, 77);
	memset(&back, 0xff, sizeof(back));
	back.groups = DUNE_STATE_REGS;
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &back));
	CHECK_EQ(back.rip, RAW_CODE);
	CHECK_EQ(back.cs, 0);
	CHECK_EQ(back.cr3, 0);
}

static void runs_with_what_was_set(void)
{
	struct raw raw;

	raw_create(&raw);
	raw_load(&raw, raw_count, 5, 6);
	for (uint64_t i = 1; i <= 100; i++) {
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.run->exit_reason, DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.run->gpr[DUNE_RBX], i);
		CHECK_EQ(raw.run->gpr[DUNE_RDI], 5);
		CHECK_EQ(raw.run->gpr[DUNE_RSI], 6);
		CHECK_EQ(raw.run->rip, RAW_CODE + 6);
	}
	/* What is written to the page counts. */
	raw.run->gpr[DUNE_RBX] = 1000;
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], 1001);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_EXIT_HYPERCALL), 101);
}

static void a_vcpu_without_state_does_not_harm(void)
{
	struct raw raw;
	struct dune_run *run;
	long reason;
	int vcpu;

	raw_create(&raw);
	vcpu = raw_create_vcpu(&raw, &run);
	reason = raw_run_vcpu(vcpu);
	CHECK(reason == -EINVAL || reason == DUNE_EXIT_FAIL_ENTRY || reason == DUNE_EXIT_SHUTDOWN ||
	      reason == DUNE_EXIT_MEMORY);
	/* The other one still runs. */
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

static void odd_but_legal_states_end_well(void)
{
	struct raw raw;
	const struct {
		size_t offset, bytes;
		uint64_t value;
	} odd[] = {
		{ offsetof(struct dune_state, rip), 8, 0xffffffff81000000 },
		{ offsetof(struct dune_state, rip), 8, 0x7ffffffff000 },
		{ offsetof(struct dune_state, cr3), 8, 0x7ffffff000 & 0xffffff000 },
		{ offsetof(struct dune_state, cr3), 8, RAW_CODE },
		{ offsetof(struct dune_state, cr3), 8, 0x18 },
		{ offsetof(struct dune_state, idt_base), 8, 0x7fffffff0000 },
		{ offsetof(struct dune_state, gdt_limit), 4, 0 },
		{ offsetof(struct dune_state, rflags), 8, 2 | 1 << 8 }, /* TF: #DB, no IDT */
		{ offsetof(struct dune_state, rflags), 8, 2 | 1 << 9 }, /* IF */
	};

	raw_create(&raw);
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct dune_state state;
		long reason;

		raw_load(&raw, raw_undefined, 0, 0);
		state = raw_state(&raw);
		memcpy((char *)&state + odd[i].offset, &odd[i].value, odd[i].bytes);
		raw_set_state(raw.vcpu, &state);
		reason = raw_run(&raw);
		if (reason != DUNE_EXIT_SHUTDOWN && reason != DUNE_EXIT_MEMORY &&
		    reason != DUNE_EXIT_FAIL_ENTRY)
			FAIL("odd state %u: reason %ld", i, reason);
	}
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

/* With the rights of the guest's own TSS, whose limit is in pages, the CPU would not take ours. */
static void a_new_tss_is_one_whatever_the_guest_had(void)
{
	const uint64_t in_pages = 0x0080890000000067 | (uint64_t)RAW_TSS << 16;
	struct dune_state state;
	struct raw_trap trap;
	struct raw raw;

	raw_trap_create(&raw);
	memcpy(raw.memory + RAW_GDT + 0x48, &in_pages, 8);
	state = raw_trap_state(&raw);
	/* mov $0x48, %eax; ltr %ax */
	CHECK_EQ(raw_trap_run(&raw, &state, "\xb8\x48\0\0\0\x0f\0\xd8", 8, &trap),
		 DUNE_EXIT_HYPERCALL);
	CHECK_EQ(trap.vector, RAW_VECTOR_NONE);
	/* ud2: a gate's stack comes from the TSS */
	CHECK_EQ(raw_trap_run(&raw, &state, "\x0f\x0b", 2, &trap), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(trap.vector, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(what_cannot_run_is_refused),
		guest_test(with_pcids_cr3_is_checked_alike),
		guest_test(what_was_set_reads_back),
		guest_test(a_group_leaves_the_others_alone),
		guest_test(runs_with_what_was_set),
		guest_test(a_vcpu_without_state_does_not_harm),
		guest_test(odd_but_legal_states_end_well),
		guest_test(a_new_tss_is_one_whatever_the_guest_had),
	};

	return run_guest_tests(tests);
}
