// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest reaches what the process itself could reach at that moment, and
 * nothing else: exits say what was tried and where.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

static struct raw raw;

static void access_fails(const char *code, uint64_t gva, unsigned access)
{
	raw_load(&raw, code, gva, 0xc3);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_MEMORY);
	CHECK_EQ(raw.run->memory_gpa & -4096ull, gva & -4096ull);
	CHECK_EQ(raw.run->memory_access & (access | DUNE_ACCESS_NO_TILE), access);
	if (!(access & DUNE_ACCESS_NO_TILE))
		CHECK_EQ(raw.run->memory_hva & -4096ull, (uintptr_t)raw.memory + (gva & -4096ull));
	CHECK_EQ(raw.run->memory_gva, gva);
}

static void access_works(const char *code, uint64_t gva)
{
	raw_load(&raw, code, gva, 0xc3);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

static void rights_follow_the_mapping(void)
{
	raw_create(&raw);
	raw.memory[RAW_DATA] = 0x5a;
	access_works(raw_read, RAW_DATA);
	CHECK_EQ(raw.run->gpr[DUNE_RAX], 0x5a);
	access_works(raw_write, RAW_DATA);
	CHECK_EQ((unsigned char)raw.memory[RAW_DATA], 0xc3);

	CHECK_OK(mprotect(raw.memory + RAW_DATA, 4096, PROT_READ));
	access_works(raw_read, RAW_DATA);
	access_fails(raw_write, RAW_DATA, DUNE_ACCESS_WRITE);
	access_fails(raw_execute, RAW_DATA, DUNE_ACCESS_EXEC);

	CHECK_OK(mprotect(raw.memory + RAW_DATA, 4096, PROT_NONE));
	access_fails(raw_read, RAW_DATA, DUNE_ACCESS_READ);
	access_fails(raw_write, RAW_DATA, DUNE_ACCESS_WRITE);

	CHECK_OK(mprotect(raw.memory + RAW_DATA, 4096, PROT_READ | PROT_WRITE));
	access_works(raw_write, RAW_DATA);
	CHECK_OK(munmap(raw.memory + RAW_DATA, 4096));
	access_fails(raw_read, RAW_DATA, DUNE_ACCESS_READ);
	access_fails(raw_write, RAW_DATA + 8, DUNE_ACCESS_WRITE);
	CHECK_EQ(raw.run->exit_reason, DUNE_EXIT_MEMORY);
}

static void it_goes_on_when_the_page_is_there(void)
{
	raw_create(&raw);
	CHECK_OK(mprotect(raw.memory + RAW_DATA, 4096, PROT_NONE));
	raw_load(&raw, raw_write, RAW_DATA + 3, 7);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_MEMORY);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_MEMORY); /* again: the instruction has not been done */
	CHECK_OK(mprotect(raw.memory + RAW_DATA, 4096, PROT_READ | PROT_WRITE));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.memory[RAW_DATA + 3], 7);
}

static void without_a_tile_there_is_nothing(void)
{
	uint64_t *pd;

	raw_create(&raw);
	pd = (uint64_t *)(raw.memory + RAW_PD);
	/* Guest-virtual 2 MiB shows guest-physical 1 GiB, for which no tile is set. */
	pd[1] = 1ull << 30 | 0x87;
	raw_load(&raw, raw_read, 2 << 20, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_MEMORY);
	CHECK(raw.run->memory_access & DUNE_ACCESS_NO_TILE);
	CHECK_EQ(raw.run->memory_gpa, 1ull << 30);
}

static void beyond_the_tiles_there_is_nothing(void)
{
	static const uint64_t pages[] = { 0xfee00000, 0xfec00000, 1ull << 35,
					  (1ull << 36) - (2 << 20), 0xa0000 };
	uint64_t *pd;

	raw_create(&raw);
	pd = (uint64_t *)(raw.memory + RAW_PD);
	for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]) - 1; i++) {
		pd[2 + i] = (pages[i] & -(2ull << 20)) | 0x87;
		raw_load(&raw, raw_read, (2 + i) * (2ull << 20) + (pages[i] & 0x1fffff), 0);
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_MEMORY);
		CHECK(raw.run->memory_access & DUNE_ACCESS_NO_TILE);
		CHECK_EQ(raw.run->memory_gpa, pages[i]);
	}
}

static void a_cleared_tile_is_gone_at_once(void)
{
	struct dune_tile tile = { .flags = DUNE_TILE_CLEAR };

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_OK(ioctl(raw.device, DUNE_SET_TILE, &tile));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_MEMORY);
	tile.flags = 0;
	tile.hva = (uintptr_t)raw.memory;
	CHECK_OK(ioctl(raw.device, DUNE_SET_TILE, &tile));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], 2);
}

static void a_tile_shows_no_more_than_is_mapped(void)
{
	struct dune_tile tile = { .tile = 1 };
	uint64_t *pd;
	void *page = mmap((void *)(1ull << 40), 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK(page == (void *)(1ull << 40));
	raw_create(&raw);
	pd = (uint64_t *)(raw.memory + RAW_PD);
	pd[1] = 1ull << 30 | 0x87;
	tile.hva = 1ull << 40;
	CHECK_OK(ioctl(raw.device, DUNE_SET_TILE, &tile));
	access_works(raw_write, 2 << 20);
	raw_load(&raw, raw_write, (2 << 20) + 4096, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_MEMORY);
	CHECK(!(raw.run->memory_access & DUNE_ACCESS_NO_TILE));
	CHECK_EQ(raw.run->memory_hva, (1ull << 40) + 4096);
	CHECK_OK(munmap(page, 4096));
	raw_load(&raw, raw_write, 2 << 20, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_MEMORY);
	CHECK_EQ(raw.run->memory_hva, 1ull << 40);
	tile.flags = DUNE_TILE_CLEAR;
	tile.hva = 0;
	CHECK_OK(ioctl(raw.device, DUNE_SET_TILE, &tile));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_MEMORY);
	CHECK(raw.run->memory_access & DUNE_ACCESS_NO_TILE);
}

static void a_triple_fault_is_an_exit(void)
{
	raw_create(&raw);
	raw_load(&raw, raw_undefined, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_SHUTDOWN);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

static void a_hypercall_from_ring_3_is_not_one(void)
{
	raw_create(&raw);
	raw_load(&raw, raw_ring3, 0, 0);
	/* #UD without an IDT. */
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_SHUTDOWN);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_EXIT_HYPERCALL), 0);
}

static void only_exceptions_can_be_injected(void)
{
	static const uint32_t wrong[] = {
		6,		       /* not said to be valid */
		DUNE_INJECT_VALID | 2, /* NMI */
		DUNE_INJECT_VALID | 32,
		DUNE_INJECT_VALID | 255,
		DUNE_INJECT_VALID | 0 << 8 | 0x700 | 6, /* another event type */
		DUNE_INJECT_VALID | 4 << 8 | 6,
		DUNE_INJECT_VALID | 1 << 12 | 6,
		DUNE_INJECT_VALID | DUNE_INJECT_ERROR | 6, /* #UD has no error code */
		DUNE_INJECT_VALID | 13,			   /* #GP has one */
		0x7fffffff,
	};

	static const uint32_t wrong_errors[] = { 0x8000, 0x10000, 0x80000000, 0xffffffff };

	raw_create(&raw);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		raw_load(&raw, raw_count, 0, 0);
		raw.run->inject = wrong[i];
		raw.run->inject_error = 0;
		if (raw_run(&raw) != -EINVAL)
			FAIL("inject %#x was taken", wrong[i]);
		CHECK_EQ(raw.run->inject, 0); /* not tried again */
	}
	for (unsigned i = 0; i < sizeof(wrong_errors) / sizeof(wrong_errors[0]); i++) {
		raw.run->inject = DUNE_INJECT_VALID | DUNE_INJECT_ERROR | 13;
		raw.run->inject_error = wrong_errors[i];
		CHECK_EQ(raw_run(&raw), -EINVAL);
	}
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

static void garbage_in_the_page_does_no_harm(void)
{
	raw_create(&raw);
	for (int turn = 0; turn < 200; turn++) {
		long reason;

		raw_load(&raw, raw_count, 0, 0);
		for (size_t i = 0; i < DUNE_RUN_SIZE; i++)
			((unsigned char *)raw.run)[i] = rand();
		if (turn & 1)
			raw.run->inject = 0;
		reason = raw_run(&raw);
		if (turn & 1)
			CHECK_EQ(reason, DUNE_EXIT_HYPERCALL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(rights_follow_the_mapping),
		guest_test(it_goes_on_when_the_page_is_there),
		guest_test(without_a_tile_there_is_nothing),
		guest_test(beyond_the_tiles_there_is_nothing),
		guest_test(a_cleared_tile_is_gone_at_once),
		guest_test(a_tile_shows_no_more_than_is_mapped),
		guest_test(a_triple_fault_is_an_exit),
		guest_test(a_hypercall_from_ring_3_is_not_one),
		guest_test(only_exceptions_can_be_injected),
		guest_test(garbage_in_the_page_does_no_harm),
	};

	return run_guest_tests(tests);
}
