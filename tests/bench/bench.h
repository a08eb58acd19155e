/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the benchmark's files share: a row of the result, and how one operation
 * is measured. Each system has one file with one function bench_<system>() that
 * appends its rows; main.c runs them, each in a child, and prints the table.
 */
#ifndef DUNE_BENCH_H
#define DUNE_BENCH_H

#include <math.h>
#include <stdint.h>
#include <stdnoreturn.h>

/* Counts per operation; NAN where the system has no such count. */
struct bench_counts {
	double exits, msr_writes, vmcs_accesses;
};

#define BENCH_NO_COUNTS ((struct bench_counts){ NAN, NAN, NAN })

struct bench_row {
	const char *operation, *system;
	double instructions; /* or cycles, where bench_unit() says so */
	struct bench_counts counts;
};

/* Rows live in memory that the children share with the parent. */
struct bench_table {
	unsigned nr_rows;
	struct bench_row rows[64];
};

struct bench_operation {
	const char *operation, *system;
	unsigned long n;
	/* Not timed; before each run. May be NULL. */
	void (*prepare)(void *context, unsigned long n);
	/* Timed: the operation, n times. */
	void (*run)(void *context, unsigned long n);
	/* Counts so far; NULL where there are none. */
	void (*count)(void *context, struct bench_counts *counts);
	void *context;
	/* Without repetitions, and not at all if bench_quick: it takes long. */
	int once;
};

extern int bench_quick;

/*
 * Appends (T(n) - T(0)) / n, the least T of several repetitions after one run
 * for warming up, and the counts in the same way.
 */
void bench_measure(struct bench_table *table, const struct bench_operation *operation);

/* What the time-stamp counter counts here: "instructions" or "cycles". */
const char *bench_unit(void);

static inline uint64_t bench_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

/* Ends the child of this system; its remaining rows are missing. */
noreturn void bench_fail(const char *what);

/*
 * How many operations are timed together: few enough that at least one
 * repetition ends before the next timer interrupt.
 */
#define BENCH_CALLS	 100
#define BENCH_TOUCHES	 64

#define BENCH_PAGES	 512
#define BENCH_PAGE_BYTES 4096

/* BENCH_PAGES untouched pages, never huge. */
char *bench_pages(void);
/* Takes the pages' memory away, so that a touch is the first one. */
void bench_pages_drop(void *pages, unsigned long n);
/* … and gives new, dirty memory to the process, for faults of the guest only. */
void bench_pages_populate(void *pages, unsigned long n);
/* The same for every second page only: faults whose neighbours are mapped. */
void bench_pages_populate_odd(void *pages, unsigned long n);
/* Touch n pages. */
void bench_pages_write(void *pages, unsigned long n);
void bench_pages_write_odd(void *pages, unsigned long n);
void bench_pages_read(void *pages, unsigned long n);

/* 1 GiB, to be touched in order, and n forks of a process that has that much in use. */
#define BENCH_LARGE_PAGES (1ul << 18)
char *bench_large(void);
void bench_large_read(void *pages, unsigned long n);
void bench_fork(void *pages, unsigned long n);

void bench_linux(struct bench_table *table);
void bench_signal(struct bench_table *table);
void bench_ptrace(struct bench_table *table);
void bench_kvm(struct bench_table *table);
void bench_dune(struct bench_table *table);

#endif
