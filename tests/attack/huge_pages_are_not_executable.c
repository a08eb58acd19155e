// SPDX-License-Identifier: GPL-2.0-only
/*
 * iTLB multihit: on a CPU with that erratum a guest that executes from a large
 * page, and changes its size meanwhile, stops the machine. So there code gets
 * entries of 4 KiB only, one for each page that is executed, whatever the size
 * of the host's page; elsewhere one entry is enough.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

enum { HUGE = 2 << 20, PAGE = 4096, NR_PAGES = 16, FIRST = 4 << 20 };

static struct raw raw;

static int is_affected(void)
{
	char status[128] = "";
	FILE *file = fopen("/sys/devices/system/cpu/vulnerabilities/itlb_multihit", "r");

	TEST_REQUIRE(file && fgets(status, sizeof(status), file), "the host does not say");
	fclose(file);
	return strncmp(status, "Not affected", 12);
}

/* 2 MiB that the guest sees at FIRST: each page of it is one VMCALL and a jump back. */
static char *map_code(void)
{
	char *code = raw.memory + FIRST;

	CHECK_OK(mprotect(code, HUGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	CHECK_OK(madvise(code, HUGE, MADV_HUGEPAGE));
	for (int i = 0; i < HUGE / PAGE; i++)
		memcpy(code + i * PAGE, "\x0f\x01\xc1\xff\xe7", 5); /* vmcall; jmp *%rdi */
	return code;
}

static int is_huge(const char *address)
{
	unsigned long start, end, kilobytes;
	FILE *file = fopen("/proc/self/smaps", "r");
	int inside = 0, huge = 0;
	char line[256];

	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (uintptr_t)address >= start && (uintptr_t)address < end;
		if (inside && sscanf(line, "AnonHugePages: %lu kB", &kilobytes) == 1)
			huge = kilobytes >= HUGE / 1024;
	}
	fclose(file);
	return huge;
}

static void execute(unsigned page)
{
	raw_load(&raw, raw_execute, FIRST + page * PAGE, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.run->rip, FIRST + page * PAGE + 3);
}

static void where_the_cpu_has_the_erratum(void)
{
	uint64_t before;
	int affected;

	affected = is_affected();
	raw_create(&raw);
	TEST_REQUIRE(is_huge(map_code()), "no huge page is to be had");
	execute(0);
	before = raw_stat(&raw, DUNE_STAT_EPT_MAPPED);
	for (unsigned page = 1; page <= NR_PAGES; page++)
		execute(page);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_EPT_MAPPED) - before, affected ? NR_PAGES : 0);
	/* What has been executed once is there. */
	for (unsigned page = 1; page <= NR_PAGES; page++)
		execute(page);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_EPT_MAPPED) - before, affected ? NR_PAGES : 0);
}

/* Another thread makes the page small and large again, all the time. */
static volatile int stop;

static void *change_sizes(void *at)
{
	for (int i = 0; !stop; i++) {
		char *page = (char *)at + (i % 500) * PAGE;

		CHECK_OK(mprotect(page, PAGE, PROT_READ | PROT_EXEC));
		CHECK_OK(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
		if (i % 8 == 0)
			madvise(at, HUGE, 25 /* MADV_COLLAPSE, from 6.1 on */);
	}
	return NULL;
}

static void while_the_size_changes(void)
{
	pthread_t thread;
	char *code;

	raw_create(&raw);
	code = map_code();
	CHECK_EQ(pthread_create(&thread, NULL, change_sizes, code), 0);
	for (unsigned i = 0; i < 3000; i++)
		execute(i * 37 % 512);
	stop = 1;
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(where_the_cpu_has_the_erratum),
		guest_test_limit(while_the_size_changes, 60),
	};

	return run_guest_tests(tests);
}
