// SPDX-License-Identifier: GPL-2.0-only
/* Helpers of tests that enter Dune; see guest.h. */
#define _GNU_SOURCE
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { CODE_BYTES = 16 * PAGE_BYTES, STACK_BYTES = 16 * PAGE_BYTES };

void enter_dune(void)
{
	CHECK_EQ(dune_init(), 0);
	CHECK_EQ(dune_enter(), 0);
	CHECK_EQ(current_ring(), 0);
}

void *map_pages(unsigned long nr_pages, int prot)
{
	void *pages = mmap(NULL, nr_pages * PAGE_BYTES, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED);
	return pages;
}

/* ---- Probes: probe.S keeps the address to go on at in r11. ---- */

volatile struct probe_fault probe_fault;
int probe_read_at(const volatile void *address);
int probe_write_at(volatile void *address, unsigned char value);
int probe_call_at(const void *address);

__attribute__((target("general-regs-only"))) static void on_page_fault(struct dune_frame *frame)
{
	probe_fault.count++;
	probe_fault.address = dune_fault_address();
	probe_fault.error = frame->error;
	probe_fault.rip = frame->rip;
	frame->rip = frame->r11;
	frame->rsp = frame->r10;
	frame->rax = -1;
}

void probe_init(void)
{
	CHECK_EQ(dune_set_handler(14, on_page_fault, 0), 0);
}

int probe_read(const volatile void *address)
{
	return probe_read_at(address);
}

int probe_write(volatile void *address, unsigned char value)
{
	return probe_write_at(address, value);
}

int probe_call(const void *address)
{
	return probe_call_at(address);
}

/* ---- Ring 3: code, stack and a page of data at the start of one arena. ---- */

static const char *ring3_code;
static uint64_t ring3_base;

void ring3_place(const char *code, const char *code_end)
{
	void *arena;
	size_t bytes = code_end - code;

	CHECK(bytes <= CODE_BYTES);
	CHECK_EQ(dune_arena_create(0, DUNE_ARENA_BYTES, 0, &arena), 0);
	ring3_base = (uintptr_t)arena;
	ring3_code = code;
	CHECK(mmap(arena, CODE_BYTES + STACK_BYTES + PAGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == arena);
	CHECK_EQ(dune_copy_to_user(ring3_base, code, bytes), 0);
	CHECK_OK(mprotect(arena, CODE_BYTES, PROT_READ | PROT_EXEC));
}

uint64_t ring3_at(const void *in_code)
{
	return ring3_base + ((const char *)in_code - ring3_code);
}

uint64_t ring3_stack_top(void)
{
	return ring3_base + CODE_BYTES + STACK_BYTES;
}

uint64_t ring3_data(void)
{
	return ring3_stack_top();
}

/* ---- The thread outside ---- */

static sem_t posted;
static atomic_int done;
static void (*sidekick_function)(void *argument);
static void *sidekick_argument;

static void *sidekick_main(void *unused)
{
	for (;;) {
		sem_wait(&posted);
		sidekick_function(sidekick_argument);
		atomic_store(&done, 1);
	}
	return unused;
}

void sidekick_start(void)
{
	pthread_t thread;

	CHECK_EQ(sem_init(&posted, 0, 0), 0);
	CHECK_EQ(pthread_create(&thread, NULL, sidekick_main, NULL), 0);
}

void sidekick_post(void (*function)(void *argument), void *argument)
{
	sidekick_function = function;
	sidekick_argument = argument;
	atomic_store(&done, 0);
	CHECK_EQ(sem_post(&posted), 0);
}

void sidekick_call(void (*function)(void *argument), void *argument)
{
	sidekick_post(function, argument);
	while (!atomic_load(&done))
		sched_yield();
}
