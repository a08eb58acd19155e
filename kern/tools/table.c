// SPDX-License-Identifier: GPL-2.0-only
/* The table for people; see show.h. */
#include "show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGES_PER_MIB 256.0

/* Columns by counter; the first is all exits, the last what has no column. */
static const struct {
	const char *title, *counter;
} columns[] = {
	{ "EXITS", "exits" },	     { "VMCALL", "exit_hypercall" },
	{ "MEMORY", "exit_memory" }, { "INTR", "exit_interrupt" },
	{ "CPUID", "exit_cpuid" },   { "MSR", "exit_msr" },
	{ "OTHER", NULL },
};
#define NR_COLUMNS (sizeof(columns) / sizeof(columns[0]))
#define OTHER	   (NR_COLUMNS - 1)

struct row {
	const struct vm *vm;
	double value[NR_COLUMNS];
};

static void fill_row(struct row *row, const struct vm *vm, const struct vm *before, double seconds)
{
	row->vm = vm;
	for (unsigned i = 0; i < OTHER; i++) {
		uint64_t value = record_counter(&vm->total, columns[i].counter);

		if (before)
			value -= record_counter(&before->total, columns[i].counter);
		row->value[i] = value / seconds;
	}
	row->value[OTHER] = row->value[0];
	for (unsigned i = 1; i < OTHER; i++)
		row->value[OTHER] -= row->value[i];
}

static int busier(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->value[0] != y->value[0])
		return x->value[0] < y->value[0] ? 1 : -1;
	return x->vm->total.number < y->vm->total.number ? -1 : 1;
}

static void print_row(const struct row *row)
{
	const struct vm *vm = row->vm;

	printf("%7d %-15.15s %5u", vm->pid, vm->comm[0] ? vm->comm : "(ended)", vm->nr_vcpus);
	for (unsigned i = 0; i < NR_COLUMNS; i++)
		printf(" %8.0f", row->value[i]);
	printf(" %8.2f\n", record_counter(&vm->total, "ept_pages") / PAGES_PER_MIB);
}

void show_table(const struct vms *now, const struct vms *earlier, unsigned lines)
{
	struct row *rows = calloc(now->nr + 1, sizeof(*rows));
	double seconds = earlier ? now->seconds - earlier->seconds : 1;

	if (!rows) {
		perror("dune-stat");
		exit(1);
	}
	for (unsigned i = 0; i < now->nr; i++) {
		const struct vm *vm = &now->vm[i];

		fill_row(&rows[i], vm, earlier ? vms_find(earlier, vm->total.number) : NULL,
			 seconds);
	}
	qsort(rows, now->nr, sizeof(*rows), busier);

	printf("%7s %-15s %5s", "PID", "COMM", "VCPUS");
	for (unsigned i = 0; i < NR_COLUMNS; i++)
		printf(" %*s%s", earlier ? 6 : 8, columns[i].title, earlier ? "/s" : "");
	printf(" %8s\n", "EPT-MiB");
	for (unsigned i = 0; i < now->nr && i + 1 < lines; i++)
		print_row(&rows[i]);
	free(rows);
}
