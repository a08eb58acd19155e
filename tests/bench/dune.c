// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dune's own rows: everything here runs in ring 0 of the guest, or is called
 * from there in ring 3. The trap handlers use general registers only, as
 * handlers that are to be fast do.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "dune_guest.h"

#include <dune.h>
#include <errno.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define GENERAL_REGS __attribute__((target("general-regs-only")))

enum { STACK_BYTES = 65536 };

static char *pages, *large;
static uint64_t *page_ptes[BENCH_PAGES];
static uint64_t ring3_stack, ring3_return, ring3_syscalls;

static void check(int result, const char *what)
{
	if (result < 0) {
		errno = -result;
		bench_fail(what);
	}
}

static void count(void *context, struct bench_counts *counts)
{
	struct dune_counts dune;

	(void)context;
	check(dune_get_counts(&dune), "dune_get_counts");
	*counts = (struct bench_counts){ dune.exits, dune.msr_writes, dune.vmcs_accesses };
}

GENERAL_REGS static void on_breakpoint(struct dune_frame *frame)
{
	(void)frame;
}

GENERAL_REGS static void on_syscall(struct dune_frame *frame)
{
	frame->rax = 42;
}

GENERAL_REGS static void on_page_fault(struct dune_frame *frame)
{
	uint64_t address = dune_fault_address();

	(void)frame;
	*page_ptes[(address - (uintptr_t)pages) / BENCH_PAGE_BYTES] |= DUNE_PTE_WRITE;
	dune_invlpg((void *)address);
}

static void run_getpid(void *context, unsigned long n)
{
	(void)context;
	while (n--)
		dune_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static void run_exception(void *context, unsigned long n)
{
	(void)context;
	while (n--)
		__asm__ volatile("int3");
}

static void run_cpuid(void *context, unsigned long n)
{
	(void)context;
	while (n--) {
		unsigned leaf = 0;

		__asm__ volatile("cpuid" : "+a"(leaf)::"rbx", "rcx", "rdx");
	}
}

static void run_appel1(void *context, unsigned long n)
{
	(void)context;
	for (unsigned long i = 0; i < n; i++) {
		volatile char *page = pages + i * BENCH_PAGE_BYTES;

		*page_ptes[i] &= ~DUNE_PTE_WRITE;
		dune_invlpg((void *)page);
		*page = 1;
	}
}

static void run_ring3_call(void *context, unsigned long n)
{
	uint64_t value;

	(void)context;
	while (n--)
		if (dune_ring3_call(ring3_return, ring3_stack, 0, 0, 0, &value, NULL))
			bench_fail("dune_ring3_call");
}

static void run_ring3_syscalls(void *context, unsigned long n)
{
	uint64_t value;

	(void)context;
	if (dune_ring3_call(ring3_syscalls, ring3_stack, n, 0, 0, &value, NULL))
		bench_fail("dune_ring3_call");
}

/* One page of code and a stack above it, both for ring 3. */
static void prepare_ring3(void)
{
	void *arena, *code;
	size_t bytes = ring3_code_end - ring3_code;

	check(dune_arena_create(0, DUNE_ARENA_BYTES, 0, &arena), "dune_arena_create");
	code = mmap(arena, BENCH_PAGE_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (code == MAP_FAILED)
		bench_fail("mmap in the arena");
	check(dune_copy_to_user((uintptr_t)code, ring3_code, bytes), "dune_copy_to_user");
	if (mprotect(code, BENCH_PAGE_BYTES, PROT_READ | PROT_EXEC))
		bench_fail("mprotect");
	ring3_stack = (uintptr_t)code + BENCH_PAGE_BYTES + STACK_BYTES;
	ring3_return = (uintptr_t)code + (ring3_code_return - ring3_code);
	ring3_syscalls = (uintptr_t)code + (ring3_code_syscalls - ring3_code);
}

static void prepare_ptes(void)
{
	bench_pages_populate(pages, 0);
	for (unsigned i = 0; i < BENCH_PAGES; i++) {
		page_ptes[i] = dune_pte(pages + i * BENCH_PAGE_BYTES);
		if (!page_ptes[i])
			bench_fail("dune_pte");
	}
}

void bench_dune(struct bench_table *table)
{
	struct {
		const char *operation;
		unsigned long n;
		void (*prepare)(void *context, unsigned long n);
		void (*run)(void *context, unsigned long n);
	} rows[] = {
		{ "hypercall_getpid", BENCH_CALLS, NULL, run_getpid },
		{ "ring3_syscall_handled", BENCH_CALLS, NULL, run_ring3_syscalls },
		{ "exception", BENCH_CALLS, NULL, run_exception },
		{ "ring3_call", BENCH_CALLS, NULL, run_ring3_call },
		{ "module_exit", BENCH_CALLS, NULL, run_cpuid },
		{ "ept_fault_in_order", BENCH_TOUCHES, bench_pages_populate, bench_pages_write },
		{ "first_touch_write", BENCH_TOUCHES, bench_pages_drop, bench_pages_write },
		{ "first_touch_read", BENCH_TOUCHES, bench_pages_drop, bench_pages_read },
		{ "ept_fault", BENCH_TOUCHES, bench_pages_populate_odd, bench_pages_write_odd },
		{ "appel1_page", BENCH_TOUCHES, NULL, run_appel1 }, /* last: it splits tables */
	};

	pages = bench_pages();
	large = bench_large();
	check(dune_init(), "dune_init");
	check(dune_enter(), "dune_enter");
	check(dune_set_handler(3, on_breakpoint, 0), "dune_set_handler");
	check(dune_set_syscall_handler(on_syscall, 0), "dune_set_syscall_handler");
	prepare_ring3();
	bench_measure(table, &(struct bench_operation){ "touch_1g_page", "dune", BENCH_LARGE_PAGES,
							NULL, bench_pages_write, count, large, 1 });
	bench_measure(table, &(struct bench_operation){ "fork_1g", "dune", 1, bench_large_read,
							bench_fork, count, large, 1 });
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].run == run_appel1) {
			prepare_ptes();
			check(dune_set_handler(14, on_page_fault, 0), "dune_set_handler");
		}
		bench_measure(table, &(struct bench_operation){ rows[i].operation, "dune",
								rows[i].n, rows[i].prepare,
								rows[i].run, count, pages, 0 });
	}
}
