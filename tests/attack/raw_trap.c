// SPDX-License-Identifier: GPL-2.0-only
/* Raw guests with an IDT; see raw_trap.h. */
#define _GNU_SOURCE
#include "raw_trap.h"

enum { STUB_BYTES = 16, COMMON = RAW_TRAPS + 256 * STUB_BYTES };
enum { GATE_TRAP = 0x8f, IST = 1 }; /* trap gates leave IF alone */

/* #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP: their error code is there already. */
#define VECTORS_WITH_ERROR 0x227d00u

static void set_gate(struct raw *raw, unsigned vector, uint64_t target)
{
	uint64_t *gate = (uint64_t *)(raw->memory + RAW_IDT) + 2 * vector;

	gate[0] = (target & 0xffff) | DUNE_SEL_CODE0 << 16 | (uint64_t)IST << 32 |
		  (uint64_t)GATE_TRAP << 40 | (target >> 16 & 0xffff) << 48;
	gate[1] = target >> 32;
}

/* push 0, unless the CPU has pushed an error code; push vector; jmp common */
static void write_stub(struct raw *raw, unsigned vector)
{
	char *stub = raw->memory + RAW_TRAPS + vector * STUB_BYTES;
	int32_t distance = COMMON - (RAW_TRAPS + (int)vector * STUB_BYTES + 12);

	memcpy(stub, vector < 32 && VECTORS_WITH_ERROR >> vector & 1 ? "\x90\x90" : "\x6a\x00", 2);
	stub[2] = 0x68;
	memcpy(stub + 3, &vector, 4);
	stub[7] = 0xe9;
	memcpy(stub + 8, &distance, 4);
}

void raw_trap_write_tables(struct raw *raw)
{
	uint64_t stack = RAW_TRAP_STACK;

	for (unsigned vector = 0; vector < 256; vector++) {
		write_stub(raw, vector);
		set_gate(raw, vector, RAW_TRAPS + vector * STUB_BYTES);
	}
	memset(raw->memory + RAW_GDT + 0x40, 0, 0x40);
	memset(raw->memory + RAW_TSS, 0, 0x68);
	memcpy(raw->memory + COMMON, raw_trap_common, raw_trap_end - raw_trap_common);
	memcpy(raw->memory + RAW_TSS + 36, &stack, 8); /* IST 1 */
}

void raw_trap_create(struct raw *raw)
{
	raw_create(raw);
	raw_trap_write_tables(raw);
	/* SMEP and SMAP shall not hinder the guest. */
	*(uint64_t *)(raw->memory + RAW_PD) &= ~4ull;
}

void raw_trap_skip_gp(struct raw *raw)
{
	set_gate(raw, 13, COMMON + (raw_trap_skip - raw_trap_common));
}

struct dune_state raw_trap_state(const struct raw *raw)
{
	struct dune_state state = raw_state(raw);

	state.idt_limit = 0xfff;
	return state;
}

long raw_trap_run(struct raw *raw, const struct dune_state *state, const void *code, size_t bytes,
		  struct raw_trap *trap)
{
	const __u64 *gpr = raw->run->gpr;
	long reason;

	memcpy(raw->memory + RAW_CODE, code, bytes);
	memcpy(raw->memory + RAW_CODE + bytes, "\x0f\x01\xc1", 3); /* vmcall */
	raw_set_state(raw->vcpu, state);
	reason = raw_run(raw);
	*trap = (struct raw_trap){ .vector = RAW_VECTOR_NONE };
	if (raw->run->rip > COMMON && raw->run->rip < COMMON + 64)
		*trap = (struct raw_trap){ gpr[8],  gpr[9],  gpr[10], gpr[11],
					   gpr[12], gpr[13], gpr[14] };
	return reason;
}
