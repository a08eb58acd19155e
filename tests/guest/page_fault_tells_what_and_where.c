// SPDX-License-Identifier: GPL-2.0-only
/* A page fault's handler learns the address and the kind of access. */
#define _GNU_SOURCE
#include "guest.h"
#include "faults.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

enum { PRESENT = 1, WRITE = 2, USER = 4, FETCH = 16 };

static void check_fault(const volatile void *address, unsigned bits, unsigned mask)
{
	CHECK_EQ(probe_fault.address, (uintptr_t)address);
	CHECK_EQ(probe_fault.error & mask, bits);
}

static void where_nothing_is_mapped(void)
{
	char *hole = (char *)0x10000000000; /* far from everything else */

	enter_dune();
	probe_init();
	CHECK_EQ(probe_read(hole + 5), -1);
	check_fault(hole + 5, 0, WRITE | USER | FETCH);
	CHECK_EQ(probe_write(hole + 4097, 1), -1);
	check_fault(hole + 4097, WRITE, WRITE | USER | FETCH);
	CHECK_EQ(probe_call(hole + 8192), -1);
	check_fault(hole + 8192, FETCH, WRITE | USER | FETCH);
	CHECK_EQ(probe_fault.rip, (uintptr_t)hole + 8192);
	CHECK_EQ(probe_read((void *)0xffff800000000000), -1);
	check_fault((void *)0xffff800000000000, 0, WRITE | USER | FETCH);
	CHECK_EQ(probe_read(NULL), -1);
	check_fault(NULL, 0, WRITE | USER | FETCH);
}

static void where_the_process_may_not(void)
{
	volatile char *none = map_pages(1, PROT_NONE);
	volatile char *read_only = map_pages(1, PROT_READ);
	volatile char *data = map_pages(1, PROT_READ | PROT_WRITE);

	enter_dune();
	probe_init();
	CHECK_EQ(probe_read(none), -1);
	check_fault(none, 0, WRITE | FETCH);
	CHECK_EQ(probe_read(read_only), 0);
	CHECK_EQ(probe_write(read_only + 9, 1), -1);
	check_fault(read_only + 9, WRITE, WRITE | FETCH);
	*data = (char)0xc3;
	CHECK_EQ(probe_call((void *)data), -1);
	check_fault(data, FETCH, WRITE | FETCH);
	CHECK_EQ(probe_write(data, 2), 0);
}

static void where_the_guest_tables_say_no(void)
{
	char *pages = map_pages(4, PROT_READ | PROT_WRITE | PROT_EXEC);

	memset(pages, 0xc3, 4 * PAGE_BYTES);
	enter_dune();
	probe_init();
	CHECK_EQ(dune_protect(pages + PAGE_BYTES, PAGE_BYTES, DUNE_PROT_READ), 0);
	CHECK_EQ(dune_protect(pages + 2 * PAGE_BYTES, PAGE_BYTES, 0), 0);
	CHECK_EQ(probe_write(pages + PAGE_BYTES - 1, 0xc3), 0);
	CHECK_EQ(probe_call(pages), 0);
	CHECK_EQ(probe_write(pages + PAGE_BYTES, 1), -1);
	check_fault(pages + PAGE_BYTES, PRESENT | WRITE, PRESENT | WRITE | USER | FETCH);
	CHECK_EQ(probe_call(pages + PAGE_BYTES), -1);
	check_fault(pages + PAGE_BYTES, PRESENT | FETCH, PRESENT | WRITE | USER | FETCH);
	CHECK_EQ(probe_read(pages + 2 * PAGE_BYTES), -1);
	check_fault(pages + 2 * PAGE_BYTES, 0, PRESENT | WRITE | USER | FETCH);
	CHECK_EQ(probe_write(pages + 3 * PAGE_BYTES, 0xc3), 0);
	CHECK_EQ(dune_protect(pages, 4 * PAGE_BYTES,
			      DUNE_PROT_READ | DUNE_PROT_WRITE | DUNE_PROT_EXEC),
		 0);
	CHECK_EQ(probe_write(pages + PAGE_BYTES, 0xc3), 0);
	CHECK_EQ(probe_call(pages + PAGE_BYTES), 0);
	CHECK_EQ(probe_read(pages + 2 * PAGE_BYTES), 0);
}

static void in_ring_3(void)
{
	struct dune_ring3_end end;
	uint64_t value;
	const struct {
		const char *code;
		uint64_t address, error, mask;
	} rows[] = {
		{ fault_read, 0x1008, USER, ~0ul },
		{ fault_write, 0x1010, USER | WRITE, ~0ul },
		{ fault_call, 0x2000, USER | FETCH, ~(uint64_t)PRESENT },
		{ fault_read, (uintptr_t)&end, USER | PRESENT, ~(uint64_t)PRESENT },
		{ fault_write, (uintptr_t)&end, USER | WRITE | PRESENT, ~(uint64_t)PRESENT },
	};

	enter_dune();
	ring3_place(faults, faults_end);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(dune_ring3_call(ring3_at(rows[i].code), ring3_stack_top(), rows[i].address,
					 0, 0, &value, &end),
			 -EFAULT);
		CHECK_EQ(end.vector, 14);
		CHECK_EQ(end.address, rows[i].address);
		CHECK_EQ(end.error & rows[i].mask & ~(uint64_t)PRESENT,
			 rows[i].error & rows[i].mask & ~(uint64_t)PRESENT);
	}
	/* Ring 3 may not write code, nor run data. */
	CHECK_EQ(dune_ring3_call(ring3_at(fault_write), ring3_stack_top(), ring3_at(faults), 0, 0,
				 &value, &end),
		 -EFAULT);
	CHECK_EQ(end.address, ring3_at(faults));
	CHECK_EQ(dune_ring3_call(ring3_at(fault_call), ring3_stack_top(), ring3_data(), 0, 0,
				 &value, &end),
		 -EFAULT);
	CHECK_EQ(end.rip, ring3_data());
}

/* ---- Of the fault that is being handled, whatever came meanwhile ---- */

enum { OUTER = 0x10000000000, INNER = OUTER + 0x5000 };

static char *nested_page;
static unsigned nr_nested;
static void (*fault_meanwhile)(void);

static void fault_where_nothing_is(void)
{
	CHECK_EQ(probe_read((void *)INNER), -1);
}

static void fault_by_the_guest_tables(void)
{
	CHECK_EQ(probe_write(nested_page, 1), -1);
}

static void fault_in_a_copy(void)
{
	char byte;

	CHECK_EQ(dune_copy_from_user(&byte, ring3_data() + PAGE_BYTES, 1), -EFAULT);
	nr_nested++;
}

static void fault_in_a_run(void)
{
	struct dune_ring3_end end;
	uint64_t value;

	CHECK_EQ(dune_ring3_call(ring3_at(fault_read), ring3_stack_top(), ring3_data() + PAGE_BYTES,
				 0, 0, &value, &end),
		 -EFAULT);
	CHECK_EQ(end.address, ring3_data() + PAGE_BYTES);
}

static void breakpoint_meanwhile(void)
{
	((void (*)(void))fault_breakpoint)();
}

/* Only its signal handler leaves it, and nothing puts back what was before. */
static sigjmp_buf back;

static void leave(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static void fault_that_is_left(void)
{
	if (!sigsetjmp(back, 1))
		fault_where_nothing_is();
}

static void (*const meanwhile[])(void) = { fault_where_nothing_is, fault_by_the_guest_tables,
					   fault_in_a_copy, fault_in_a_run, breakpoint_meanwhile };

static void go_on_behind(struct dune_frame *frame)
{
	frame->rip = frame->r11;
	frame->rsp = frame->r10;
	frame->rax = -1;
}

static void on_breakpoint(struct dune_frame *frame)
{
	fault_by_the_guest_tables();
	go_on_behind(frame);
}

static void on_outer_fault(struct dune_frame *frame)
{
	uint64_t address = dune_fault_address();
	unsigned before = nr_nested;

	if (dune_frame_is_user(frame) || address == INNER || address == (uintptr_t)nested_page) {
		nr_nested++;
		if (fault_meanwhile == fault_that_is_left && address == INNER)
			raise(SIGUSR1);
		if (address != ring3_data() + PAGE_BYTES) {
			go_on_behind(frame);
			return;
		}
		if (fault_meanwhile != fault_in_a_run)
			fault_meanwhile();
		dune_ring3_stop(frame, 0);
		return;
	}
	fault_meanwhile();
	CHECK(nr_nested > before);
	CHECK_EQ(dune_fault_address(), address);
	go_on_behind(frame);
}

static void prepare_nested(void)
{
	enter_dune();
	ring3_place(faults, faults_end);
	nested_page = map_pages(1, PROT_READ | PROT_WRITE);
	*nested_page = 1;
	CHECK_EQ(dune_protect(nested_page, PAGE_BYTES, DUNE_PROT_READ), 0);
	CHECK_EQ(dune_set_handler(14, on_outer_fault, DUNE_SAVE_FPU), 0);
	CHECK_EQ(dune_set_handler(3, on_breakpoint, DUNE_SAVE_FPU), 0);
}

static void after_a_fault_in_the_handler(void)
{
	prepare_nested();
	for (unsigned i = 0; i < sizeof(meanwhile) / sizeof(meanwhile[0]); i++) {
		fault_meanwhile = meanwhile[i];
		CHECK_EQ(probe_read((void *)OUTER), -1);
	}
}

static void fault_in_ring_3(void)
{
	nr_nested = 0;
	fault_in_a_run();
	CHECK(nr_nested);
}

static void of_ring_3_after_a_fault_in_the_handler(void)
{
	prepare_nested();
	for (unsigned i = 0; i < sizeof(meanwhile) / sizeof(meanwhile[0]); i++) {
		fault_meanwhile = meanwhile[i];
		fault_in_ring_3();
	}
}

static void of_ring_3_after_one_that_was_left(void)
{
	prepare_nested();
	signal(SIGUSR1, leave);
	fault_meanwhile = fault_that_is_left;
	for (int i = 0; i < 5; i++) {
		fault_in_ring_3();
		CHECK_EQ(nr_nested, 2);
	}
}

static void sets_dirty_and_accessed(void)
{
	char *page = map_pages(1, PROT_READ | PROT_WRITE);
	volatile uint64_t *pte;

	*page = 1;
	enter_dune();
	pte = dune_pte(page);
	CHECK(pte);
	CHECK(*pte & DUNE_PTE_PRESENT);
	*pte &= ~(DUNE_PTE_ACCESSED | DUNE_PTE_DIRTY);
	dune_invlpg(page);
	CHECK_EQ(*(volatile char *)page, 1);
	CHECK_EQ(*pte & (DUNE_PTE_ACCESSED | DUNE_PTE_DIRTY), DUNE_PTE_ACCESSED);
	*(volatile char *)page = 2;
	CHECK_EQ(*pte & (DUNE_PTE_ACCESSED | DUNE_PTE_DIRTY), DUNE_PTE_ACCESSED | DUNE_PTE_DIRTY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(where_nothing_is_mapped),
		guest_test(where_the_process_may_not),
		guest_test(where_the_guest_tables_say_no),
		guest_test(in_ring_3),
		guest_test(after_a_fault_in_the_handler),
		guest_test(of_ring_3_after_a_fault_in_the_handler),
		guest_test(of_ring_3_after_one_that_was_left),
		guest_test(sets_dirty_and_accessed),
	};

	return run_guest_tests(tests);
}
