/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests that enter Dune by way of libdune: how they enter, accesses that
 * may fault, code for ring 3, and a thread that stays outside. harness.h says
 * how a test reports.
 */
#ifndef DUNE_TESTS_GUEST_H
#define DUNE_TESTS_GUEST_H

#include <dune.h>
#include "harness.h"

#define PAGE_BYTES 4096ul

/* dune_init() and dune_enter(), which must both work. */
void enter_dune(void);

static inline unsigned current_ring(void)
{
	unsigned cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	return cs & 3;
}

/* Anonymous memory, or the test fails. */
void *map_pages(unsigned long nr_pages, int prot);

/*
 * Accesses in ring 0 that may fault: 0, or -1 and what the page fault said.
 * probe_init() sets the handler for page faults; after dune_enter().
 */
struct probe_fault {
	unsigned long count;
	uint64_t address, error, rip;
};
extern volatile struct probe_fault probe_fault;
void probe_init(void);
int probe_read(const volatile void *address);
int probe_write(volatile void *address, unsigned char value);
int probe_call(const void *address);
/* The 8 bytes at an address, unless reading them faults. */
struct probe_load {
	int64_t fault; /* 0, or -1 */
	uint64_t value;
};
struct probe_load probe_load(const volatile void *address);

/*
 * An arena with the code between these two addresses, which must not depend on
 * where it is, and a stack. ring3_at() translates an address in the code.
 */
void ring3_place(const char *code, const char *code_end);
uint64_t ring3_at(const void *in_code);
uint64_t ring3_stack_top(void);
/* A page of the arena that ring 3 can read and write. */
uint64_t ring3_data(void);

/*
 * A thread that never enters Dune and does what it is told. Start it before
 * dune_enter(). sidekick_call() waits, in a loop of sched_yield(); after
 * sidekick_post() the caller may look at memory without leaving the guest.
 */
void sidekick_start(void);
void sidekick_post(void (*function)(void *argument), void *argument);
void sidekick_call(void (*function)(void *argument), void *argument);

#endif
