// SPDX-License-Identifier: GPL-2.0-only
/*
 * Of CR0, CR4, EFER, XCR0 and CR8 the guest's ring 0 can change the bits that
 * DUNE_GET_CAPS names, and no other: those are #GP and stay as they were. What
 * it did change has no effect outside.
 */
#define _GNU_SOURCE
#include "raw_trap.h"

#include <sys/ioctl.h>

enum { GP = 13, PF = 14 };
enum { CR4_OSXSAVE = 1 << 18, CR4_PCIDE = 1 << 17, CR4_DE = 1 << 3 };

static struct raw raw;
static struct dune_caps caps;

static void prepare(void)
{
	raw_trap_create(&raw);
	CHECK_OK(ioctl(raw.device, DUNE_GET_CAPS, &caps));
}

/* The code writes rsi and leaves in rbx what it read back, in rbp what was there before. */
static struct raw_trap run(const char *code, size_t bytes, uint64_t rsi)
{
	struct dune_state state = raw_trap_state(&raw);
	struct raw_trap trap;

	state.cr4 |= caps.cr4_allowed & CR4_OSXSAVE;
	state.gpr[DUNE_RSI] = rsi;
	CHECK_EQ(raw_trap_run(&raw, &state, code, bytes, &trap), DUNE_EXIT_HYPERCALL);
	return trap;
}

struct control {
	const char *name, *code;
	size_t bytes;
	uint64_t allowed;
};

/* mov rbp, cr; mov rax, rbp; xor rax, rsi; mov cr, rax; mov rbx, cr */
#define FLIP_CR(n)  "\x0f\x20" n "\x48\x89\xc5\x48\x31\xf0\x0f\x22" n "\x0f\x20" n "\x48\x89\xc3"
#define BYTES(code) code, sizeof(code) - 1

static uint64_t control_now(int number)
{
	struct dune_state state = { .groups = DUNE_STATE_SYSTEM };

	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &state));
	return number ? state.cr4 : state.cr0;
}

static void flip_each_bit(const struct control *control, int number)
{
	const __u64 *gpr = raw.run->gpr;

	for (int bit = 0; bit < 64; bit++) {
		uint64_t mask = 1ull << bit;
		struct raw_trap trap = run(control->code, control->bytes, mask);
		uint64_t now = control_now(number), before = gpr[DUNE_RBP];

		if (control->allowed & mask) {
			if (trap.vector != RAW_VECTOR_NONE || gpr[DUNE_RBX] != (before ^ mask) ||
			    (now & mask) != (~before & mask))
				FAIL("%s bit %d: vector %ld, %#lx to %#lx, now %#lx", control->name,
				     bit, (long)trap.vector, before, (uint64_t)gpr[DUNE_RBX], now);
		} else if (trap.vector != GP || trap.error || (now & mask) != (before & mask)) {
			FAIL("%s bit %d: vector %ld error %#lx, was %#lx, now %#lx", control->name,
			     bit, (long)trap.vector, trap.error, before, now);
		}
	}
}

static void cr0(void)
{
	prepare();
	flip_each_bit(&(struct control){ "CR0", BYTES(FLIP_CR("\xc0")), caps.cr0_allowed }, 0);
}

static void cr4(void)
{
	prepare();
	flip_each_bit(&(struct control){ "CR4", BYTES(FLIP_CR("\xe0")), caps.cr4_allowed }, 1);
}

/* VMXE is on in truth, as is MCE where the host's is, and cannot be seen. */
static void cr4_hides_what_is_the_hosts(void)
{
	prepare();
	CHECK_EQ(run(BYTES("\x0f\x20\xe3"), 0).vector, RAW_VECTOR_NONE); /* mov rbx, cr4 */
	CHECK(!(raw.run->gpr[DUNE_RBX] & (1 << 13 | 1 << 6)));
	CHECK(!(caps.cr4_allowed & (1 << 13 | 1 << 14)));	       /* VMXE SMXE */
	CHECK(!(caps.cr0_allowed & (0x80000001 | 1 << 29 | 1 << 30))); /* PG PE NW CD */
}

/* rdmsr; mov ebp, eax; shl rdx, 32; or rbp, rdx; xor rax, rsi (its halves); wrmsr; rdmsr */
#define EFER "\xb9\x80\x00\x00\xc0"
#define FLIP_EFER                                                                       \
	EFER "\x0f\x32\x89\xc5\x48\xc1\xe2\x20\x48\x09\xd5\x48\x89\xeb\x48\x31\xf3\x89" \
	     "\xd8\x48\x89\xda\x48\xc1\xea\x20\x0f\x30"

static void efer(void)
{
	uint64_t before;

	prepare();
	CHECK_EQ(run(BYTES(FLIP_EFER), 0).vector, RAW_VECTOR_NONE);
	before = raw.run->gpr[DUNE_RBP];
	CHECK_EQ(before & 0xd01, 0xd01); /* NXE LMA LME SCE */
	for (int bit = 0; bit < 64; bit++) {
		struct raw_trap trap = run(BYTES(FLIP_EFER), 1ull << bit);

		if (trap.vector != GP || trap.error)
			FAIL("EFER bit %d: vector %ld", bit, (long)trap.vector);
		CHECK_EQ(run(BYTES(FLIP_EFER), 0).vector, RAW_VECTOR_NONE);
		CHECK_EQ(raw.run->gpr[DUNE_RBP], before);
	}
}

/* xor ecx, ecx; xgetbv; mov ebp, eax; shl rdx, 32; or rbp, rdx; …; xsetbv */
#define FLIP_XCR0                                                                          \
	"\x31\xc9\x0f\x01\xd0\x89\xc5\x48\xc1\xe2\x20\x48\x09\xd5\x48\x89\xeb\x48\x31\xf3" \
	"\x89\xd8\x48\x89\xda\x48\xc1\xea\x20\x0f\x01\xd1"

static void xcr0(void)
{
	prepare();
	for (int bit = -1; bit < 64; bit++) {
		struct raw_trap trap = run(BYTES(FLIP_XCR0), bit < 0 ? 0 : 1ull << bit);

		if (trap.vector != (bit < 0 ? RAW_VECTOR_NONE : GP))
			FAIL("XCR0 bit %d: vector %ld", bit, (long)trap.vector);
		CHECK_EQ(run(BYTES(FLIP_XCR0), 0).vector, RAW_VECTOR_NONE);
		CHECK_EQ(raw.run->gpr[DUNE_RBP], caps.xcr0);
	}
	/* mov ecx, esi; xgetbv; xsetbv: there is no other. XGETBV may know number 1. */
	CHECK_EQ(run(BYTES("\x31\xc9\x0f\x01\xd0\x89\xf1\x0f\x01\xd1"), 1).vector, GP);
	CHECK_EQ(run(BYTES("\x31\xc9\x0f\x01\xd0\x89\xf1\x0f\x01\xd1"), 0xffffffff).vector, GP);
}

/* The host's interrupt priorities are not the guest's to read or write. */
static void cr8(void)
{
	prepare();
	for (uint64_t value = 0; value < 16; value++)
		CHECK_EQ(run(BYTES("\x44\x0f\x22\xc6"), value).vector, GP); /* mov cr8, rsi */
	CHECK_EQ(run(BYTES("\x44\x0f\x20\xc3"), 0).vector, GP);		    /* mov rbx, cr8 */
}

/* Any value; the host's own is put back. */
static void cr2(void)
{
	static const uint64_t values[] = { 0, 0x1234, 0x0000800000000000, 0xffffffff81000000,
					   ~0ull };

	prepare();
	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		/* mov cr2, rsi; mov eax, 0; cpuid; mov rbx, cr2 */
		CHECK_EQ(run(BYTES("\x0f\x22\xd6\x31\xc0\x0f\xa2\x0f\x20\xd3"), values[i]).vector,
			 RAW_VECTOR_NONE);
		CHECK_EQ(raw.run->gpr[DUNE_RBX], values[i]);
	}
}

/* mov cr3, rsi: reserved bits are #GP; a table outside the tiles is an exit that says so. */
static void cr3(void)
{
	struct dune_state state;
	struct raw_trap trap;

	prepare();
	CHECK_EQ(run(BYTES("\x0f\x22\xde\x0f\x20\xdb"), RAW_PML4).vector, RAW_VECTOR_NONE);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], RAW_PML4);
	for (int bit = 52; bit < 64; bit++)
		CHECK_EQ(run(BYTES("\x0f\x22\xde"), 1ull << bit).vector, GP);
	for (int tile = 1; tile < 4; tile++) {
		state = raw_trap_state(&raw);
		state.gpr[DUNE_RSI] = (uint64_t)tile << DUNE_TILE_SHIFT;
		CHECK_EQ(raw_trap_run(&raw, &state, BYTES("\x0f\x22\xde"), &trap),
			 DUNE_EXIT_MEMORY);
		CHECK(raw.run->memory_access & DUNE_ACCESS_NO_TILE);
		CHECK(raw.run->memory_access & DUNE_ACCESS_WALK);
	}
}

/* With PCIDE on, CR3 has a process-context number, and bit 63 may be written. */
static void pcid(void)
{
	struct dune_state state;
	struct raw_trap trap;

	prepare();
	TEST_REQUIRE(caps.cr4_allowed & CR4_PCIDE, "the CPU has no PCID");
	state = raw_trap_state(&raw);
	state.cr4 |= CR4_PCIDE;
	state.gpr[DUNE_RSI] = RAW_PML4 | 0xabc | 1ull << 63;
	CHECK_EQ(raw_trap_run(&raw, &state, BYTES("\x0f\x22\xde\x0f\x20\xdb"), &trap),
		 DUNE_EXIT_HYPERCALL);
	CHECK_EQ(trap.vector, RAW_VECTOR_NONE);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], RAW_PML4 | 0xabc);
}

/* mov cr1, rax and the like do not exist. */
static void others_are_undefined(void)
{
	static const char numbers[] = { 1, 5, 6, 7, 9, 15 };

	prepare();
	for (unsigned i = 0; i < sizeof(numbers); i++) {
		char code[] = { numbers[i] > 7 ? 0x44 : 0x40, 0x0f, 0x22,
				(char)(0xc0 | (numbers[i] & 7) << 3) };

		CHECK_EQ(run(code, sizeof(code), 0).vector, 6);
		code[2] = 0x20;
		CHECK_EQ(run(code, sizeof(code), 0).vector, 6);
	}
}

/* A page of the supervisor's, read-only: WP decides, as on a bare CPU. */
static void write_protection_is_the_guests(void)
{
	/* mov rax, cr0; xor rax, rsi; mov cr0, rax; mov byte [2 MiB + RAW_DATA], 1 */
	static const char code[] = "\x0f\x20\xc0\x48\x31\xf0\x0f\x22\xc0"
				   "\xc6\x04\x25\x00\x00\x22\x00\x01";

	prepare();
	((uint64_t *)(raw.memory + RAW_PD))[1] = 0x81; /* 2 MiB shows 0 again, read-only */
	CHECK_EQ(run(BYTES(code), 0).vector, RAW_VECTOR_NONE);
	CHECK_EQ(raw.memory[RAW_DATA], 1);
	raw.memory[RAW_DATA] = 0;
	CHECK_EQ(run(BYTES(code), 1 << 16).vector, PF);
	CHECK_EQ(raw.memory[RAW_DATA], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(cr0),
		guest_test(cr4),
		guest_test(cr4_hides_what_is_the_hosts),
		guest_test(efer),
		guest_test(xcr0),
		guest_test(cr8),
		guest_test(cr2),
		guest_test(cr3),
		guest_test(pcid),
		guest_test(others_are_undefined),
		guest_test(write_protection_is_the_guests),
	};

	return run_guest_tests(tests);
}
