// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each exception reaches its handler, from ring 0 and from ring 3, with the
 * right vector, error code, ring and address; without a handler it ends a
 * ring-3 call and says why.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "faults.h"

#define GENERAL_REGS __attribute__((target("general-regs-only")))

enum { RING0 = 1, RING3 = 2, BOTH = 3 };

static const struct {
	const char *name, *code;
	unsigned vector, error, rings;
} rows[] = {
	{ "divide error", fault_divide, 0, 0, BOTH },
	{ "debug", fault_debug, 1, 0, BOTH },
	{ "breakpoint", fault_breakpoint, 3, 0, BOTH },
	{ "overflow", fault_overflow, 4, 0, BOTH },
	{ "invalid opcode", fault_undefined, 6, 0, BOTH },
	{ "stack fault", fault_stack, 12, 0, BOTH },
	{ "general protection", fault_protection, 13, 0, BOTH },
	{ "general protection by a selector", fault_selector, 13, 0x7f8, BOTH },
	{ "page fault, read", fault_read, 14, 0, RING0 },
	{ "page fault, read in ring 3", fault_read, 14, 4, RING3 },
	{ "x87", fault_x87, 16, 0, BOTH },
	{ "alignment check", fault_alignment, 17, 0, RING3 },
	{ "SIMD", fault_simd, 19, 0, BOTH },
};
enum { NR_ROWS = sizeof(rows) / sizeof(rows[0]) };

static struct dune_frame seen;
static unsigned nr_seen;

GENERAL_REGS static void go_on(struct dune_frame *frame)
{
	seen = *frame;
	nr_seen++;
	frame->rip = frame->r11;
	frame->rsp = frame->r10;
}

static uint64_t run_in_ring_0(const char *code)
{
	uint64_t (*function)(uint64_t) = (void *)code;

	return function(0x1000);
}

static uint64_t run_in_ring_3(const char *code)
{
	uint64_t value = 0;
	struct dune_ring3_end end = { 0 };
	int result = dune_ring3_call(ring3_at(code), ring3_stack_top(), ring3_data() + 0x100000, 0,
				     0, &value, &end);

	if (result)
		FAIL("ring-3 call: %d, vector %u at %#lx", result, end.vector, end.rip);
	return value;
}

static void check_row(int row, unsigned ring)
{
	uint64_t value;

	nr_seen = 0;
	value = ring ? run_in_ring_3(rows[row].code) : run_in_ring_0(rows[row].code);
	if (value != 7 || nr_seen != 1 || seen.vector != rows[row].vector ||
	    seen.error != rows[row].error || (seen.cs & 3) != ring)
		FAIL("%s in ring %u: returned %ld, %u handled; vector %ld error %#lx cs %#lx",
		     rows[row].name, ring, value, nr_seen, seen.vector, seen.error, seen.cs);
}

static void set_all_handlers(dune_handler handler, unsigned flags)
{
	for (int i = 0; i < NR_ROWS; i++)
		CHECK_EQ(dune_set_handler(rows[i].vector, handler, flags), 0);
}

static void from_ring_0(void)
{
	enter_dune();
	set_all_handlers(go_on, 0);
	for (int i = 0; i < NR_ROWS; i++)
		if (rows[i].rings & RING0)
			check_row(i, 0);
}

static void from_ring_3(void)
{
	enter_dune();
	ring3_place(faults, faults_end);
	set_all_handlers(go_on, 0);
	for (int i = 0; i < NR_ROWS; i++)
		if (rows[i].rings & RING3)
			check_row(i, 3);
}

static void with_fpu_saved(void)
{
	enter_dune();
	ring3_place(faults, faults_end);
	set_all_handlers(go_on, DUNE_SAVE_FPU);
	for (int i = 0; i < NR_ROWS; i++) {
		if (rows[i].rings & RING0)
			check_row(i, 0);
		if (rows[i].rings & RING3)
			check_row(i, 3);
	}
}

static void without_handler_ends_ring_3(void)
{
	enter_dune();
	ring3_place(faults, faults_end);
	for (int i = 0; i < NR_ROWS; i++) {
		uint64_t value;
		struct dune_ring3_end end = { 0 };

		if (!(rows[i].rings & RING3))
			continue;
		if (dune_ring3_call(ring3_at(rows[i].code), ring3_stack_top(),
				    ring3_data() + 0x100000, 0, 0, &value, &end) != -EFAULT ||
		    end.vector != rows[i].vector || end.error != rows[i].error)
			FAIL("%s: ended with vector %u error %#x", rows[i].name, end.vector,
			     end.error);
	}
}

/* The handler itself faults, and that fault is handled, too. */
GENERAL_REGS static void fault_again(struct dune_frame *frame)
{
	uint64_t (*breakpoint)(uint64_t) = (void *)fault_breakpoint;

	breakpoint(0);
	frame->rip = frame->r11;
}

static void in_a_handler(void)
{
	enter_dune();
	CHECK_EQ(dune_set_handler(3, go_on, 0), 0);
	CHECK_EQ(dune_set_handler(6, fault_again, 0), 0);
	for (int i = 0; i < 10; i++) {
		nr_seen = 0;
		CHECK_EQ(run_in_ring_0(fault_undefined), 7);
		CHECK_EQ(nr_seen, 1);
		CHECK_EQ(seen.vector, 3);
	}
}

static void refuses_bad_arguments(void)
{
	enter_dune();
	CHECK_EQ(dune_set_handler(DUNE_NR_VECTORS, go_on, 0), -EINVAL);
	CHECK_EQ(dune_set_handler(3, go_on, 0x80), -EINVAL);
	CHECK_EQ(dune_set_handler(3, NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(from_ring_0),    guest_test(from_ring_3),
		guest_test(with_fpu_saved), guest_test(without_handler_ends_ring_3),
		guest_test(in_a_handler),   guest_test(refuses_bad_arguments),
	};

	return run_guest_tests(tests);
}
