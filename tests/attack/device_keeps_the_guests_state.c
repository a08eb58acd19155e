// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the CPU does not switch between host and guest is switched by the module, and
 * what was to be delivered to the guest is delivered, whatever comes in between.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define HANDLERS    (RAW_CODE + 0x1000)
#define ARCH_SET_GS 0x1001

enum { UD = 6, DF = 8, GP = 13, PF = 14 };

static struct raw raw;

static void registers_that_were_set(void)
{
	const uint64_t cr2 = 0x123456000, gs = 0x654321000;
	struct dune_state state;

	raw_create(&raw);
	CHECK_OK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x7000));
	raw_load(&raw, raw_registers, 0xabcdef000, 0);
	state = raw_state(&raw);
	state.gpr[DUNE_RDI] = 0xabcdef000;
	state.cr2 = cr2;
	state.kernel_gs_base = gs;
	state.lstar = RAW_CODE + (raw_registers_lstar - raw_registers);
	raw_set_state(raw.vcpu, &state);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.run->rip, state.lstar + 3);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], cr2);
	CHECK_EQ(raw.run->gpr[DUNE_RAX], gs);
}

/* Code of 32 bits that ends with a VMCALL at 4 GiB goes on at 0. */
static void rip_of_32_bits_wraps(void)
{
	enum { PAGE_DIRECTORY = 0x30000, PAGE_TABLE = 0x31000, TABLE = 7 };
	const char vmcall[] = { 0x0f, 0x01, (char)0xc1 };
	uint64_t *table;

	raw_create(&raw);
	raw_load(&raw, raw_far, 0x100000000 - sizeof(vmcall), DUNE_SEL_DATA3 & ~7);
	table = (uint64_t *)(raw.memory + RAW_GDT);
	table[DUNE_SEL_DATA3 >> 3] = 0x00cf9b000000ffff; /* code of 32 bits, ring 0 */
	table = (uint64_t *)(raw.memory + RAW_PDPT);
	table[3] = PAGE_DIRECTORY | TABLE;
	table = (uint64_t *)(raw.memory + PAGE_DIRECTORY);
	table[511] = PAGE_TABLE | TABLE;
	table = (uint64_t *)(raw.memory + PAGE_TABLE);
	table[511] = RAW_DATA | TABLE;
	memcpy(raw.memory + RAW_DATA + 0x1000 - sizeof(vmcall), vmcall, sizeof(vmcall));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.run->rip, 0);
}

static void cr2_survives_the_hosts_faults(void)
{
	struct dune_state state = { .groups = DUNE_STATE_SYSTEM };
	char *pages = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED);
	raw_create(&raw);
	raw_load(&raw, raw_registers_lstar, 0xabcdef000, 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	for (int i = 0; i < 65536; i += 4096)
		pages[i] = 1;
	CHECK_OK(syscall(SYS_ioctl, raw.vcpu, DUNE_GET_STATE, &state));
	CHECK_EQ(state.cr2, 0xabcdef000);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], 0xabcdef000);
}

static void run_cpuid(uint32_t leaf, uint32_t subleaf)
{
	raw_load(&raw, raw_cpuid, leaf, subleaf);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

static void cpuid_hides_what_is_not_offered(void)
{
	const __u64 *gpr;

	raw_create(&raw);
	gpr = raw.run->gpr;
	run_cpuid(1, 0);
	CHECK_EQ(gpr[DUNE_RCX] & (1 << 3 | 1 << 5), 0); /* MONITOR, VMX */
	CHECK_EQ(gpr[DUNE_RCX] & 1 << 27, 0);		/* OSXSAVE: not in this guest's CR4 */
	CHECK(gpr[DUNE_RDX] & 1);			/* x87 */
	run_cpuid(7, 0);
	CHECK_EQ(gpr[DUNE_RBX] & 1 << 2, 0); /* SGX */
	CHECK_EQ(gpr[DUNE_RCX] & (1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 16 | 1 << 30), 0);
	CHECK_EQ(gpr[DUNE_RDX] & (1 << 5 | 1 << 18 | 1 << 20 | 1 << 22 | 1 << 24 | 1 << 25), 0);
	run_cpuid(7, 1);
	CHECK_EQ(gpr[DUNE_RCX] & 1 << 5, 0); /* MSR_IMM */
	run_cpuid(0xd, 1);
	CHECK_EQ(gpr[DUNE_RAX] & (1 << 3 | 1 << 4), 0); /* XSAVES, XFD */
}

/* Ready to count, with an IDT and a handler for each vector; the IDT's page not yet seen. */
static void prepare_handlers(void)
{
	struct dune_state state;
	uint16_t *gate;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	memcpy(raw.memory + HANDLERS, raw_handlers, raw_code_end - raw_handlers);
	for (unsigned vector = 0; vector < 32; vector++) {
		gate = (uint16_t *)(raw.memory + RAW_IDT + 16 * vector);
		gate[0] = HANDLERS + vector * RAW_HANDLER_BYTES;
		gate[1] = DUNE_SEL_CODE0;
		gate[2] = 0x8e00;
	}
	state = raw_state(&raw);
	state.idt_limit = 32 * 16 - 1;
	raw_set_state(raw.vcpu, &state);
}

static void hide_idt(void)
{
	CHECK_OK(mprotect(raw.memory + RAW_IDT, 4096, PROT_NONE));
}

static void show_idt(void)
{
	CHECK_OK(mprotect(raw.memory + RAW_IDT, 4096, PROT_READ | PROT_WRITE));
}

static long inject(unsigned vector)
{
	raw.run->inject = DUNE_INJECT_VALID | vector;
	if (vector == GP || vector == PF)
		raw.run->inject |= DUNE_INJECT_ERROR;
	raw.run->inject_error = 0;
	raw.run->inject_cr2 = 0x1234;
	return raw_run(&raw);
}

static void handler_ran(unsigned vector)
{
	CHECK_EQ(raw.run->gpr[DUNE_RBX], vector);
	CHECK_EQ(raw.run->rip, HANDLERS + vector * RAW_HANDLER_BYTES + 8);
}

/* The delivery itself faults, and the fault is solved without anybody's help. */
static void an_event_survives_an_ept_fault(void)
{
	prepare_handlers();
	CHECK_EQ(inject(UD), DUNE_EXIT_HYPERCALL);
	handler_ran(UD);
}

/* … or by the caller, later. */
static void an_event_survives_an_exit(void)
{
	prepare_handlers();
	hide_idt();
	CHECK_EQ(inject(GP), DUNE_EXIT_MEMORY);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_MEMORY);
	show_idt();
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	handler_ran(GP);
}

/* By the SDM's table "Conditions for Generating a Double Fault". */
static void two_faults_are_a_double_fault(void)
{
	prepare_handlers();
	hide_idt();
	CHECK_EQ(inject(PF), DUNE_EXIT_MEMORY);
	CHECK_EQ(inject(PF), DUNE_EXIT_MEMORY);
	show_idt();
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	handler_ran(DF);
}

static void others_come_one_after_the_other(void)
{
	prepare_handlers();
	hide_idt();
	CHECK_EQ(inject(GP), DUNE_EXIT_MEMORY);
	CHECK_EQ(inject(PF), DUNE_EXIT_MEMORY);
	show_idt();
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	handler_ran(PF);
}

static void three_faults_end_the_guest(void)
{
	prepare_handlers();
	hide_idt();
	CHECK_EQ(inject(PF), DUNE_EXIT_MEMORY);
	CHECK_EQ(inject(PF), DUNE_EXIT_MEMORY);
	CHECK_EQ(inject(PF), DUNE_EXIT_SHUTDOWN);
	CHECK_EQ(raw.run->exit_reason, DUNE_EXIT_SHUTDOWN);
}

/* A new state has no part in what was to be delivered to the old one. */
static void a_new_state_drops_the_event(void)
{
	struct dune_state state;

	prepare_handlers();
	hide_idt();
	CHECK_EQ(inject(GP), DUNE_EXIT_MEMORY);
	state = raw_state(&raw);
	raw_set_state(raw.vcpu, &state);
	show_idt();
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], 1); /* counted */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(registers_that_were_set),
		guest_test(rip_of_32_bits_wraps),
		guest_test(cr2_survives_the_hosts_faults),
		guest_test(cpuid_hides_what_is_not_offered),
		guest_test(an_event_survives_an_ept_fault),
		guest_test(an_event_survives_an_exit),
		guest_test(two_faults_are_a_double_fault),
		guest_test(others_come_one_after_the_other),
		guest_test(three_faults_end_the_guest),
		guest_test(a_new_state_drops_the_event),
	};

	return run_guest_tests(tests);
}
