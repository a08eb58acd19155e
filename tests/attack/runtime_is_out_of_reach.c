// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever is mapped in the process, ring 3 can read, write or execute only what
 * lies in an arena: not program, libraries, heap, stack, vDSO, page tables, IDT.
 * One page is excepted, the one to which a called function returns; it holds
 * nothing but code.
 */
#define _GNU_SOURCE
#include "ring3.h"
#include "ring3_attacks.h"
#include "faults.h"

#include <cpuid.h>
#include <stdio.h>
#include <sys/mman.h>

enum { NR_AREAS = 256, NR_SAMPLES = 24, USER = 4 };

static struct area {
	uint64_t start, end;
} areas[NR_AREAS];
static unsigned nr_areas;
static uint64_t return_page;

static void read_areas(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];

	CHECK(maps);
	nr_areas = 0;
	while (nr_areas < NR_AREAS && fgets(line, sizeof(line), maps)) {
		struct area *area = &areas[nr_areas];

		if (sscanf(line, "%lx-%lx", &area->start, &area->end) == 2 &&
		    area->start != return_page && !dune_arena_contains(area->start, 1))
			nr_areas++;
	}
	fclose(maps);
	CHECK(nr_areas > 10);
}

static void cannot_reach(const char *code, uint64_t address)
{
	struct dune_ring3_end end = { 0 };
	uint64_t value;

	if (!ring3_try(code, address, 0, 0, &value, &end))
		FAIL("%#lx was reached", address);
	if (end.vector != 14 || end.address != address || !(end.error & USER))
		FAIL("%#lx: vector %u error %#x address %#lx", address, end.vector, end.error,
		     end.address);
}

static void place_faults(void)
{
	ring3_prepare();
	CHECK_EQ(ring3_try(attack_return_address, 0, 0, 0, &return_page, NULL), 0);
	return_page &= -PAGE_BYTES;
	/* These instead of the attacks, in an arena of their own. */
	ring3_place(faults, faults_end);
}

/* Evenly over each area, its first and its last page always. */
static void try_areas(const char *code)
{
	unsigned long tried = 0;

	read_areas();
	for (unsigned i = 0; i < nr_areas; i++) {
		uint64_t nr_pages = (areas[i].end - areas[i].start) / PAGE_BYTES;
		uint64_t samples = nr_pages < NR_SAMPLES ? nr_pages : NR_SAMPLES;

		for (uint64_t sample = 0; sample < samples; sample++) {
			uint64_t page = samples > 1 ? sample * (nr_pages - 1) / (samples - 1) : 0;

			cannot_reach(code, areas[i].start + page * PAGE_BYTES + 8 * sample);
			tried++;
		}
	}
	harness_note("%lu pages of %u areas", tried, nr_areas);
}

static void read_nothing(void)
{
	place_faults();
	try_areas(fault_read);
}

static void write_nothing(void)
{
	place_faults();
	try_areas(fault_write);
	cannot_reach(fault_write, return_page);
	for (unsigned i = 0; i < sizeof(ring3_canary); i++)
		CHECK_EQ(ring3_canary[i], 0x5a);
}

static void execute_nothing(void)
{
	place_faults();
	try_areas(fault_call);
}

static void tables_of_the_cpu(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdt, idt;
	uint64_t *pte;

	place_faults();
	__asm__ volatile("sgdt %0; sidt %1" : "=m"(gdt), "=m"(idt));
	pte = dune_pte(ring3_canary);
	CHECK(pte);
	cannot_reach(fault_write, gdt.base);
	cannot_reach(fault_write, idt.base);
	cannot_reach(fault_read, gdt.base + 8);
	cannot_reach(fault_write, (uintptr_t)pte);
	cannot_reach(fault_read, (uintptr_t)&gdt);
}

static void halves_of_the_kernel(void)
{
	const uint64_t addresses[] = { 0xffff800000000000,
				       0xffff888000000000,
				       0xffffffff81000000,
				       0xffffffffff600000,
				       0xfffffffffffffff8,
				       0x1000,
				       0 };

	place_faults();
	for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		cannot_reach(fault_read, addresses[i]);
		cannot_reach(fault_write, addresses[i]);
		cannot_reach(fault_call, addresses[i]);
	}
}

/* A page that leaves the arena's rights, or that ring 0 closed. */
static void what_ring_0_closed(void)
{
	uint64_t data;

	place_faults();
	data = ring3_data();
	CHECK_EQ(dune_protect((void *)data, PAGE_BYTES, DUNE_PROT_READ | DUNE_PROT_WRITE), 0);
	cannot_reach(fault_read, data);
	cannot_reach(fault_write, data);
	CHECK_EQ(dune_protect((void *)data, PAGE_BYTES, DUNE_PROT_READ | DUNE_PROT_USER), 0);
	CHECK_EQ(ring3_try(fault_read, data, 0, 0, &(uint64_t){ 0 }, NULL), 0);
	cannot_reach(fault_write, data);
	CHECK_OK(munmap((void *)data, PAGE_BYTES));
	cannot_reach(fault_read, data);
}

/* Bits of CPUID leaf 7 in EBX. */
enum { HAS_SMEP = 1 << 7, HAS_SMAP = 1 << 20 };

static bool cpu_has(unsigned bit)
{
	unsigned eax, ebx, ecx, edx;

	__cpuid_count(7, 0, eax, ebx, ecx, edx);
	return ebx & bit;
}

/* Ring 0 itself never runs ring 3's memory. */
static void ring_0_does_not_run_the_arena(void)
{
	TEST_REQUIRE(cpu_has(HAS_SMEP), "no SMEP here");
	place_faults();
	probe_init();
	CHECK_EQ(probe_call((void *)ring3_at(fault_nothing)), -1);
}

/* … and must say when it means it. */
static void ring_0_does_not_touch_the_arena(void)
{
	TEST_REQUIRE(cpu_has(HAS_SMAP), "no SMAP here");
	place_faults();
	probe_init();
	CHECK_EQ(probe_read((void *)ring3_data()), -1);
	CHECK_EQ(probe_write((void *)ring3_data(), 1), -1);
	dune_user_begin();
	CHECK_EQ(probe_read((void *)ring3_data()), 0);
	dune_user_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(read_nothing),
		guest_test(write_nothing),
		guest_test(execute_nothing),
		guest_test(tables_of_the_cpu),
		guest_test(halves_of_the_kernel),
		guest_test(what_ring_0_closed),
		guest_test(ring_0_does_not_run_the_arena),
		guest_test(ring_0_does_not_touch_the_arena),
	};

	return run_guest_tests(tests);
}
