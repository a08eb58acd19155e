// SPDX-License-Identifier: GPL-2.0-only
/*
 * An IDT, GDT, TSS, stack or page table that is not there, or not writable, ends
 * the run with a reason: a triple fault, or an access that the process could not
 * make. So does a rip that leaves the address space. The CPU, the process and
 * the vcpu itself are as good as before.
 */
#define _GNU_SOURCE
#include "raw_trap.h"

#include <sys/mman.h>

enum { DF = 8, GP = 13, PF = 14, ENTRY_FAILED = 33 };

#define NOT_IN_GUEST_TABLES 0x7f0000000000 /* a walk ends at once */
#define NOT_IN_PROCESS	    0x200000	   /* the guest's table has it, the process does not */
#define READ_ONLY	    (RAW_DATA + 0x10000)

static struct raw raw;

static void prepare(void)
{
	raw_trap_create(&raw);
	CHECK_OK(mprotect(raw.memory + READ_ONLY, 0x10000, PROT_READ));
}

static long run(struct dune_state *state, const char *code, size_t bytes, struct raw_trap *trap)
{
	raw_trap_write_tables(&raw);
	return raw_trap_run(&raw, state, code, bytes, trap);
}
#define RUN(state, code, trap) run(state, code, sizeof(code) - 1, trap)

static void it_still_runs(void)
{
	struct dune_state state = raw_trap_state(&raw);
	struct raw_trap trap;

	for (int i = 0; i < 3; i++) {
		CHECK_EQ(RUN(&state, "\x90", &trap), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(trap.vector, RAW_VECTOR_NONE);
		CHECK_EQ(RUN(&state, "\x0f\x0b", &trap), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(trap.vector, 6);
	}
}

static void idt(void)
{
	struct dune_state state;
	struct raw_trap trap;

	prepare();
	state = raw_trap_state(&raw);
	state.idt_base = NOT_IN_GUEST_TABLES;
	CHECK_EQ(RUN(&state, "\x0f\x0b", &trap), DUNE_EXIT_SHUTDOWN);
	it_still_runs();

	state.idt_base = NOT_IN_PROCESS;
	CHECK_EQ(RUN(&state, "\x0f\x0b", &trap), DUNE_EXIT_MEMORY);
	CHECK_EQ(raw.run->memory_gva, NOT_IN_PROCESS + 6 * 16);
	CHECK_EQ(raw.run->memory_access & (DUNE_ACCESS_READ | DUNE_ACCESS_WALK), DUNE_ACCESS_READ);
	it_still_runs();

	state.idt_base = 0xffffffff81000000; /* where the host's kernel is */
	CHECK_EQ(RUN(&state, "\x0f\x0b", &trap), DUNE_EXIT_SHUTDOWN);
	it_still_runs();

	state = raw_trap_state(&raw);
	state.idt_limit = 0;
	CHECK_EQ(RUN(&state, "\x0f\x0b", &trap), DUNE_EXIT_SHUTDOWN);
	it_still_runs();

	/* An exit takes the place of the instruction: the same end. */
	CHECK_EQ(RUN(&state, "\x0f\x09", &trap), DUNE_EXIT_SHUTDOWN);
	it_still_runs();
}

static void gdt(void)
{
	struct dune_state state;
	struct raw_trap trap;

	prepare();
	state = raw_trap_state(&raw);
	state.gdt_base = NOT_IN_GUEST_TABLES;
	/* mov eax, DATA0; mov ds, eax; then #PF, whose gate needs the GDT, too */
	CHECK_EQ(RUN(&state, "\xb8\x18\x00\x00\x00\x8e\xd8", &trap), DUNE_EXIT_SHUTDOWN);
	it_still_runs();

	state.gdt_base = NOT_IN_PROCESS;
	CHECK_EQ(RUN(&state, "\xb8\x18\x00\x00\x00\x8e\xd8", &trap), DUNE_EXIT_MEMORY);
	CHECK_EQ(raw.run->memory_gva & -8ull, NOT_IN_PROCESS + DUNE_SEL_DATA0);
	it_still_runs();

	/* Read-only: loading a segment sets its accessed bit, which is a write. */
	CHECK_OK(mprotect(raw.memory + READ_ONLY, 0x10000, PROT_READ | PROT_WRITE));
	memcpy(raw.memory + READ_ONLY, raw.memory + RAW_GDT, 0x80);
	((uint64_t *)(raw.memory + READ_ONLY))[DUNE_SEL_DATA0 >> 3] &= ~(1ull << 40);
	CHECK_OK(mprotect(raw.memory + READ_ONLY, 0x10000, PROT_READ));
	state.gdt_base = READ_ONLY;
	CHECK_EQ(RUN(&state, "\xb8\x18\x00\x00\x00\x8e\xd8", &trap), DUNE_EXIT_MEMORY);
	CHECK(raw.run->memory_access & DUNE_ACCESS_WRITE);
	CHECK_EQ(raw.run->memory_gva & -8ull, READ_ONLY + DUNE_SEL_DATA0);
	it_still_runs();
}

static void tss_and_stack(void)
{
	struct dune_state state;
	struct raw_trap trap;

	prepare();
	state = raw_trap_state(&raw);
	state.tss_base = NOT_IN_GUEST_TABLES;
	CHECK_EQ(RUN(&state, "\x0f\x0b", &trap), DUNE_EXIT_SHUTDOWN);
	it_still_runs();
	state.tss_base = NOT_IN_PROCESS;
	CHECK_EQ(RUN(&state, "\x0f\x0b", &trap), DUNE_EXIT_MEMORY);
	CHECK_EQ(raw.run->memory_gva & -64ull, NOT_IN_PROCESS);
	it_still_runs();

	/* The stack of the gates: in none of both, read-only, not canonical. */
	static const struct {
		uint64_t rsp;
		long reason;
	} stacks[] = {
		{ NOT_IN_GUEST_TABLES, DUNE_EXIT_SHUTDOWN },
		{ NOT_IN_PROCESS + 0x1000, DUNE_EXIT_MEMORY },
		{ READ_ONLY + 0x1000, DUNE_EXIT_MEMORY },
		{ 0x800000000100, DUNE_EXIT_SHUTDOWN },
	};
	for (int i = 0; i < 4; i++) {
		state = raw_trap_state(&raw);
		raw_trap_write_tables(&raw);
		memcpy(raw.memory + RAW_TSS + 36, &stacks[i].rsp, 8);
		CHECK_EQ(raw_trap_run(&raw, &state, "\x0f\x0b", 2, &trap), stacks[i].reason);
		it_still_runs();
	}
}

/*
 * An exit while the CPU delivers an exception: it is delivered when the page is
 * there. A single step is lost if it is not: the instruction is done already.
 */
static void a_delivery_that_was_cut_short_is_made_up_for(void)
{
	static const struct {
		const char *code;
		size_t bytes;
		uint64_t vector, rip;
	} rows[] = {
		{ "\x31\xc0\xf7\xf0", 4, 0, RAW_CODE + 2 }, /* xor eax, eax; div eax */
		{ "\xcc\x90", 2, 3, RAW_CODE + 1 },
		/* pushf; or qword [rsp], 0x100; popf; nop; nop */
		{ "\x9c\x48\x81\x0c\x24\x00\x01\x00\x00\x9d\x90\x90", 12, 1, RAW_CODE + 11 },
	};
	char *stack;

	prepare();
	stack = raw.memory + RAW_TRAP_STACK - 0x1000;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dune_state state = raw_trap_state(&raw);
		struct raw_trap trap;

		CHECK_OK(mprotect(stack, 0x1000, PROT_NONE));
		CHECK_EQ(run(&state, rows[i].code, rows[i].bytes, &trap), DUNE_EXIT_MEMORY);
		CHECK(raw.run->memory_access & DUNE_ACCESS_WRITE);
		CHECK_OK(mprotect(stack, 0x1000, PROT_READ | PROT_WRITE));
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.run->gpr[DUNE_R8], rows[i].vector);
		CHECK_EQ(raw.run->gpr[DUNE_R10], rows[i].rip);
	}
}

static void page_tables(void)
{
	static const uint64_t nowhere[] = {
		0xfee00000, 0xfec00000, 0xfed00000, 1ull << 30, 1ull << 35, (1ull << 36) - 4096,
	};
	struct dune_state state;
	struct raw_trap trap;
	uint64_t *pml4;

	prepare();
	pml4 = (uint64_t *)(raw.memory + RAW_PML4);
	for (unsigned i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		state = raw_trap_state(&raw);
		/* The root itself, */
		state.cr3 = nowhere[i] & -4096ull;
		CHECK_EQ(RUN(&state, "\x90", &trap), DUNE_EXIT_MEMORY);
		CHECK(raw.run->memory_access & DUNE_ACCESS_NO_TILE);
		CHECK(raw.run->memory_access & DUNE_ACCESS_WALK);
		CHECK_EQ(raw.run->memory_gpa & -4096ull, nowhere[i]);
		/* and a table below it: mov eax, [2^39]. */
		state = raw_trap_state(&raw);
		state.gpr[DUNE_RSI] = 1ull << 39;
		pml4[1] = nowhere[i] | 7;
		CHECK_EQ(RUN(&state, "\x8b\x06", &trap), DUNE_EXIT_MEMORY);
		CHECK(raw.run->memory_access & DUNE_ACCESS_NO_TILE);
		CHECK(raw.run->memory_access & DUNE_ACCESS_WALK);
	}
	/* Reserved bits: a page fault that says so. */
	pml4[1] = 1ull << 51 | RAW_PDPT | 7;
	state = raw_trap_state(&raw);
	state.gpr[DUNE_RSI] = 1ull << 39;
	CHECK_EQ(RUN(&state, "\x8b\x06", &trap), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(trap.vector, PF);
	CHECK_EQ(trap.error, 9); /* present, reserved */
	CHECK_EQ(trap.cr2, 1ull << 39);
	/* A table that is its own entry. */
	pml4[1] = RAW_PML4 | 7;
	state.gpr[DUNE_RSI] = 1ull << 39 | 1ull << 30 | 1 << 21 | 1 << 12;
	CHECK_EQ(RUN(&state, "\x8b\x06", &trap), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(trap.vector, RAW_VECTOR_NONE);
	it_still_runs();
}

/* The last byte below the hole: what comes next has no address. */
static void rip_leaves_the_address_space(void)
{
	static const struct {
		const char *code;
		size_t bytes;
	} rows[] = { { "\x0f\xa2", 2 }, { "\x0f\x01\xc1", 3 }, { "\xf4", 1 }, { "\x90", 1 } };
	uint64_t *pml4;

	prepare();
	/* The last 2 MiB show the first ones; the last page of them must be there. */
	pml4 = (uint64_t *)(raw.memory + RAW_PML4);
	pml4[255] = READ_ONLY | 7;
	CHECK_OK(mprotect(raw.memory + READ_ONLY, 0x10000, PROT_READ | PROT_WRITE));
	*(uint64_t *)(raw.memory + READ_ONLY + 0xff8) = (READ_ONLY + 0x1000) | 7;
	*(uint64_t *)(raw.memory + READ_ONLY + 0x1ff8) = 0x83;
	CHECK_OK(mprotect(raw.memory + 0x1ff000, 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC));

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dune_state state = raw_trap_state(&raw);
		long reason;

		memcpy(raw.memory + 0x200000 - rows[i].bytes, rows[i].code, rows[i].bytes);
		state.rip = 0x800000000000 - rows[i].bytes;
		raw_set_state(raw.vcpu, &state);
		reason = raw_run(&raw);
		if (reason == DUNE_EXIT_HYPERCALL && raw.run->rip == 0x800000000000)
			reason = raw_run(&raw);
		if (reason == DUNE_EXIT_FAIL_ENTRY)
			CHECK_EQ(raw.run->hardware_reason, ENTRY_FAILED);
		else if (reason != DUNE_EXIT_HYPERCALL || raw.run->gpr[DUNE_R8] != GP)
			FAIL("row %u: reason %ld, vector %lld", i, reason,
			     (long long)raw.run->gpr[DUNE_R8]);
		it_still_runs();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(idt),	   guest_test(gdt),
		guest_test(tss_and_stack), guest_test(a_delivery_that_was_cut_short_is_made_up_for),
		guest_test(page_tables),   guest_test(rip_leaves_the_address_space),
	};

	return run_guest_tests(tests);
}
