// SPDX-License-Identifier: GPL-2.0-only
/*
 * How one operation is measured, and the pages that the memory operations use.
 * Called by the file of each system; main.c prints what comes out.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { REPETITIONS = 7 };

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int bench_quick;

struct sample {
	uint64_t time;
	struct bench_counts counts;
};

static struct bench_counts counts_minus(struct bench_counts a, struct bench_counts b)
{
	return (struct bench_counts){ a.exits - b.exits, a.msr_writes - b.msr_writes,
				      a.vmcs_accesses - b.vmcs_accesses };
}

static void sample_once(const struct bench_operation *operation, unsigned long n,
			struct sample *sample)
{
	struct bench_counts before = BENCH_NO_COUNTS, after = BENCH_NO_COUNTS;
	uint64_t start;

	if (operation->prepare)
		operation->prepare(operation->context, n);
	if (operation->count)
		operation->count(operation->context, &before);
	start = bench_tsc();
	operation->run(operation->context, n);
	sample->time = bench_tsc() - start;
	if (operation->count)
		operation->count(operation->context, &after);
	sample->counts = counts_minus(after, before);
}

static struct sample sample_least(const struct bench_operation *operation, unsigned long n)
{
	struct sample least, sample;

	sample_once(operation, n, &least);
	for (int i = 0; i < REPETITIONS && !operation->once; i++) {
		sample_once(operation, n, &sample);
		if (!i || sample.time < least.time)
			least = sample;
	}
	return least;
}

void bench_measure(struct bench_table *table, const struct bench_operation *operation)
{
	struct bench_row *row = &table->rows[table->nr_rows];
	struct sample full, empty;
	struct bench_counts counts;
	double n = operation->n;

	if (operation->once && bench_quick)
		return;
	full = sample_least(operation, operation->n);
	empty = sample_least(operation, 0);
	counts = counts_minus(full.counts, empty.counts);
	row->operation = operation->operation;
	row->system = operation->system;
	row->instructions = ((double)full.time - (double)empty.time) / n;
	row->counts = (struct bench_counts){ counts.exits / n, counts.msr_writes / n,
					     counts.vmcs_accesses / n };
	table->nr_rows++;
}

/*
 * Where the counter counts instructions, a loop of two takes twice its length.
 * The loop is short, so that no interrupt comes in at least one repetition.
 */
const char *bench_unit(void)
{
	static const char *unit;
	const uint64_t turns = 10000;
	uint64_t least = UINT64_MAX;

	for (int i = 0; !unit && i < 4 * REPETITIONS; i++) {
		uint64_t left = turns, start = bench_tsc(), time;

		__asm__ volatile("1: dec %0; jnz 1b" : "+r"(left)::"cc");
		time = bench_tsc() - start;
		if (time < least)
			least = time;
	}
	if (!unit)
		unit = least >= 2 * turns && least < 2 * turns + 64 ? "instructions" : "cycles";
	return unit;
}

void bench_fail(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static char *map_pages(unsigned long n)
{
	size_t bytes = n * BENCH_PAGE_BYTES;
	char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (pages == MAP_FAILED)
		bench_fail("mmap");
	madvise(pages, bytes, MADV_NOHUGEPAGE); /* fails where the kernel has no huge pages */
	return pages;
}

static void drop(char *pages, unsigned long n)
{
	if (madvise(pages, n * BENCH_PAGE_BYTES, MADV_DONTNEED))
		bench_fail("madvise");
}

static void populate(char *pages, unsigned long n)
{
	drop(pages, n);
	if (madvise(pages, n * BENCH_PAGE_BYTES, MADV_POPULATE_WRITE))
		bench_fail("madvise(MADV_POPULATE_WRITE)");
}

char *bench_pages(void)
{
	return map_pages(BENCH_PAGES);
}

void bench_pages_drop(void *pages, unsigned long n)
{
	(void)n;
	drop(pages, BENCH_PAGES);
}

void bench_pages_populate(void *pages, unsigned long n)
{
	(void)n;
	populate(pages, BENCH_PAGES);
}

void bench_pages_populate_odd(void *pages, unsigned long n)
{
	(void)n;
	bench_pages_read(pages, BENCH_PAGES); /* whoever prepares may be the guest */
	for (unsigned long i = 1; i < BENCH_PAGES; i += 2)
		populate((char *)pages + i * BENCH_PAGE_BYTES, 1);
}

void bench_pages_write(void *pages, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		((volatile char *)pages)[i * BENCH_PAGE_BYTES] = 1;
}

void bench_pages_write_odd(void *pages, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		((volatile char *)pages)[(2 * i + 1) * BENCH_PAGE_BYTES] = 1;
}

void bench_pages_read(void *pages, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		(void)((volatile char *)pages)[i * BENCH_PAGE_BYTES];
}

char *bench_large(void)
{
	return map_pages(BENCH_LARGE_PAGES);
}

void bench_large_read(void *pages, unsigned long n)
{
	if (n)
		bench_pages_read(pages, BENCH_LARGE_PAGES);
}

void bench_fork(void *pages, unsigned long n)
{
	(void)pages;
	while (n--) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			bench_fail("fork");
	}
}
