// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the guest's ring 0 may not do is the exception that a CPU without VMX
 * would raise, with its error code; what it may do goes on. The same for what
 * ring 3 can bring about in there. The rows are in ring_0_rows.S.
 */
#define _GNU_SOURCE
#include "raw_trap.h"
#include "ring_0_rows.h"

#include <stdbool.h>

static struct raw raw;

static bool ends_as_it_should(uint64_t vector, uint64_t ends)
{
	return vector == (ends & 0xffff) || (ends >> 16 && vector == ends >> 16);
}

static struct raw_trap run_row(const struct ring_0_row *row, struct dune_state *state)
{
	struct raw_trap trap;
	long reason;

	raw_trap_write_tables(&raw);
	state->gpr[DUNE_RSI] = RAW_DATA;
	reason = raw_trap_run(&raw, state, row->code, row->end - row->code, &trap);
	if (reason != DUNE_EXIT_HYPERCALL)
		FAIL("%s: reason %ld, hardware reason %u, entry error %u, rip %#llx", row->name,
		     reason, raw.run->hardware_reason, raw.run->entry_error,
		     (unsigned long long)raw.run->rip);
	return trap;
}

static void in_ring_0(void)
{
	raw_trap_create(&raw);
	for (const struct ring_0_row *row = ring_0_rows; row < ring_0_rows_end; row++) {
		struct dune_state state = raw_trap_state(&raw);
		struct raw_trap trap = run_row(row, &state);

		if (!ends_as_it_should(trap.vector, row->ends) ||
		    (trap.vector != RAW_VECTOR_NONE && row->error != ANY &&
		     trap.error != row->error))
			FAIL("%s: vector %lu error %#lx at %#lx", row->name, trap.vector,
			     trap.error, trap.rip);
	}
}

static void in_ring_3(void)
{
	raw_trap_create(&raw);
	*(uint64_t *)(raw.memory + RAW_PD) |= 4; /* user */
	for (const struct ring_0_row *row = ring_0_rows; row < ring_0_rows_end; row++) {
		struct dune_state state = raw_trap_state(&raw);
		struct raw_trap trap;

		if (!row->user)
			continue;
		state.cs = DUNE_SEL_CODE3;
		state.ss = DUNE_SEL_DATA3;
		trap = run_row(row, &state);
		/* VMCALL, the end of each row, is #UD there. */
		if (!ends_as_it_should(trap.vector, row->user == NONE ? UD : row->user))
			FAIL("%s: vector %lu error %#lx at %#lx", row->name, trap.vector,
			     trap.error, trap.rip);
		CHECK_EQ(trap.cs & 3, 3);
	}
}

/* A single step over an instruction that exits ends after it, not one later. */
static void single_steps_are_exact(void)
{
	raw_trap_create(&raw);
	for (const struct ring_0_row *row = ring_0_rows; row < ring_0_rows_end; row++) {
		struct dune_state state = raw_trap_state(&raw);
		struct raw_trap trap;

		if (strncmp(row->name, "TF over", 7))
			continue;
		trap = run_row(row, &state);
		/* UD2, two bytes, is the row's last instruction. */
		if (trap.rip != (uint64_t)(RAW_CODE + (row->end - row->code) - 2))
			FAIL("%s: the trap is at %#lx", row->name, trap.rip);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(in_ring_0),
		guest_test(in_ring_3),
		guest_test(single_steps_are_exact),
	};

	return run_guest_tests(tests);
}
