// SPDX-License-Identifier: GPL-2.0-only
/*
 * No port can be read or written from inside: not by ring 0, not by ring 3 with
 * IOPL 3 or with a TSS that allows all of them, nor where the process itself
 * could have them by ioperm().
 */
#define _GNU_SOURCE
#include "raw_trap.h"

#include <sys/io.h>

enum { GP = 13, NR_PORTS = 0x10000 };

static struct raw raw;

static void sweep(const char *code, uint64_t value)
{
	struct dune_state state = raw_trap_state(&raw);

	memcpy(raw.memory + RAW_CODE, code, 128);
	state.gpr[DUNE_RSI] = NR_PORTS;
	state.gpr[DUNE_R8] = value;
	raw_set_state(raw.vcpu, &state);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	if (raw.run->gpr[DUNE_RDI] != NR_PORTS)
		FAIL("port %#llx: no fault", (unsigned long long)raw.run->gpr[DUNE_RCX]);
	CHECK_EQ(raw.run->gpr[DUNE_R14], NR_PORTS);
}

static void by_ring_0(void)
{
	raw_trap_create(&raw);
	raw_trap_skip_gp(&raw);
	sweep(raw_sweep_in, 0);
	sweep(raw_sweep_out, 0xff);
}

/* A few forms, at ports that matter: keyboard, reset, PCI, serial, the emulator's own. */
static const struct {
	const char *code;
	size_t bytes;
} forms[] = {
	{ "\xec", 1 },	   { "\x66\xed", 2 }, { "\xed", 1 },	 { "\xee", 1 },
	{ "\x66\xef", 2 }, { "\xef", 1 },     { "\x6c", 1 },	 { "\x6e", 1 },
	{ "\x6d", 1 },	   { "\x6f", 1 },     { "\xf3\x6c", 2 }, { "\xf3\x6e", 2 },
};
static const unsigned short ports[] = { 0x20, 0x40, 0x60,  0x64,  0x70,	 0x80,	 0x92,
					0xa1, 0xb2, 0x3f8, 0xcf8, 0xcf9, 0x8900, 0xffff };

static void each_form_fails(struct dune_state state, const char *who)
{
	for (unsigned p = 0; p < sizeof(ports) / sizeof(ports[0]); p++)
		for (unsigned f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
			struct raw_trap trap;

			state.gpr[DUNE_RDX] = ports[p];
			state.gpr[DUNE_RCX] = 1;
			state.gpr[DUNE_RSI] = state.gpr[DUNE_RDI] = RAW_DATA;
			CHECK_EQ(raw_trap_run(&raw, &state, forms[f].code, forms[f].bytes, &trap),
				 DUNE_EXIT_HYPERCALL);
			if (trap.vector != GP || trap.error || trap.rip != RAW_CODE)
				FAIL("%s, port %#x, form %u: vector %lu", who, ports[p], f,
				     trap.vector);
		}
}

static void in_any_form(void)
{
	raw_trap_create(&raw);
	each_form_fails(raw_trap_state(&raw), "ring 0");
}

static struct dune_state ring_3(void)
{
	struct dune_state state = raw_trap_state(&raw);

	*(uint64_t *)(raw.memory + RAW_PD) |= 4; /* user */
	state.cs = DUNE_SEL_CODE3;
	state.ss = DUNE_SEL_DATA3;
	return state;
}

static void by_ring_3_with_iopl_3(void)
{
	struct dune_state state;

	raw_trap_create(&raw);
	state = ring_3();
	state.rflags |= 3 << 12;
	each_form_fails(state, "IOPL 3");
}

static void by_ring_3_with_an_io_bitmap(void)
{
	enum { BITMAP = 0x68, TSS_BYTES = BITMAP + NR_PORTS / 8 + 1 };
	struct dune_state state;

	raw_trap_create(&raw);
	state = ring_3();
	/* At RAW_DATA: a TSS that allows each port. */
	memcpy(raw.memory + RAW_DATA + 0x1000, raw.memory + RAW_TSS, 0x68);
	memset(raw.memory + RAW_DATA + 0x1000 + BITMAP, 0, NR_PORTS / 8);
	raw.memory[RAW_DATA + 0x1000 + TSS_BYTES - 1] = -1;
	*(uint16_t *)(raw.memory + RAW_DATA + 0x1000 + 102) = BITMAP;
	state.tss_base = RAW_DATA + 0x1000;
	state.tss_limit = TSS_BYTES - 1;
	each_form_fails(state, "I/O bitmap");
}

/* The process has the right outside, keeps it, and has it not inside. */
static void though_the_process_has_ioperm(void)
{
	raw_trap_create(&raw);
	TEST_REQUIRE(!ioperm(0x80, 1, 1), "ioperm() is not allowed");
	outb(0, 0x80);
	each_form_fails(raw_trap_state(&raw), "ioperm");
	outb(0, 0x80);
	for (int i = 0; i < 100; i++) {
		struct dune_state state = raw_trap_state(&raw);
		struct raw_trap trap;

		raw_trap_run(&raw, &state, "\x90", 1, &trap);
		outb(i, 0x80);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(by_ring_0, 60),	   guest_test(in_any_form),
		guest_test(by_ring_3_with_iopl_3),	   guest_test(by_ring_3_with_an_io_bitmap),
		guest_test(though_the_process_has_ioperm),
	};

	return run_guest_tests(tests);
}
