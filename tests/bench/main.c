// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench [--table | --json] [--quick] [SYSTEM...]: runs every system's
 * operations, each system in a child of its own, and prints a table for people,
 * a JSON list for programs, or both. --quick leaves out those with 1 GiB. Fails
 * if a system could not be measured.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>
#include <sys/mman.h>
#include <sys/wait.h>

static const struct {
	const char *name;
	void (*run)(struct bench_table *table);
} systems[] = {
	{ "linux", bench_linux }, { "signal", bench_signal }, { "ptrace", bench_ptrace },
	{ "kvm", bench_kvm },	  { "dune", bench_dune },
};

/* What Dune should need: so many instructions, or so many times Linux's. */
static const struct {
	const char *operation;
	double instructions, times_linux;
} targets[] = {
	{ "hypercall_getpid", 1000, 0 },
	{ "ring3_syscall_handled", 90, 0 },
	{ "exception", 70, 0 },
	{ "appel1_page", 90, 0 },
	{ "ring3_call", 85, 0 },
	{ "ept_fault", 750, 0 },
	{ "ept_fault_in_order", 750, 0 },
	{ "first_touch_write", 0, 1.2 },
	{ "first_touch_read", 0, 1.4 },
	{ "touch_1g_page", 0, 1.3 },
	{ "fork_1g", 0, 1.5 },
	{ "module_exit", 280, 0 },
};

enum { NR_SYSTEMS = sizeof(systems) / sizeof(systems[0]) };
enum { NR_TARGETS = sizeof(targets) / sizeof(targets[0]) };

static double find_linux(const struct bench_table *table, const char *operation)
{
	for (unsigned i = 0; i < table->nr_rows; i++)
		if (!strcmp(table->rows[i].operation, operation) &&
		    !strcmp(table->rows[i].system, "linux"))
			return table->rows[i].instructions;
	return NAN;
}

/* NAN for all systems but Dune. */
static double find_target(const struct bench_table *table, const struct bench_row *row)
{
	if (strcmp(row->system, "dune"))
		return NAN;
	for (unsigned i = 0; i < NR_TARGETS; i++)
		if (!strcmp(targets[i].operation, row->operation))
			return targets[i].times_linux
				       ? targets[i].times_linux * find_linux(table, row->operation)
				       : targets[i].instructions;
	return NAN;
}

static bool run_system(unsigned system, struct bench_table *table)
{
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (!child) {
		systems[system].run(table);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		bench_fail("fork");
	if (status)
		fprintf(stderr, "bench: %s ended with status %#x; its rows are not complete\n",
			systems[system].name, status);
	return !status;
}

static void print_number(FILE *to, double value, int width, int decimals)
{
	if (isnan(value))
		fprintf(to, " %*s", width, "-");
	else
		fprintf(to, " %*.*f", width, decimals, value);
}

static void print_row(FILE *to, const struct bench_table *table, const struct bench_row *row)
{
	double target = find_target(table, row);

	fprintf(to, "%-22s %-7s", row->operation, row->system);
	print_number(to, row->instructions, 13, row->instructions < 1000);
	print_number(to, row->counts.exits, 7, 2);
	print_number(to, row->counts.msr_writes, 11, 2);
	print_number(to, row->counts.vmcs_accesses, 14, 2);
	print_number(to, target, 8, 0);
	fprintf(to, " %s\n", isnan(target) ? "" : row->instructions <= target ? "ok" : "over");
}

/* Operation by operation, in the order of the targets, Dune first. */
static void print_table(FILE *to, const struct bench_table *table)
{
	fprintf(to, "%-22s %-7s %13s %7s %11s %14s %8s\n", "operation", "system", bench_unit(),
		"exits", "MSR writes", "VMCS accesses", "target");
	for (unsigned operation = 0; operation < NR_TARGETS; operation++)
		for (unsigned system = NR_SYSTEMS; system--;)
			for (unsigned i = 0; i < table->nr_rows; i++)
				if (!strcmp(table->rows[i].operation,
					    targets[operation].operation) &&
				    !strcmp(table->rows[i].system, systems[system].name))
					print_row(to, table, &table->rows[i]);
}

static void add_number(struct json_object *object, const char *name, double value)
{
	struct json_object *number = NULL; /* prints as null */
	char text[32];

	snprintf(text, sizeof(text), "%.2f", value);
	if (!isnan(value))
		number = json_object_new_double_s(value, text);
	json_object_object_add(object, name, number);
}

static void print_json(const struct bench_table *table)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < table->nr_rows; i++) {
		const struct bench_row *row = &table->rows[i];
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "operation", json_object_new_string(row->operation));
		json_object_object_add(object, "system", json_object_new_string(row->system));
		add_number(object, "instructions", row->instructions);
		json_object_object_add(object, "unit", json_object_new_string(bench_unit()));
		add_number(object, "exits", row->counts.exits);
		add_number(object, "msr_writes", row->counts.msr_writes);
		add_number(object, "vmcs_accesses", row->counts.vmcs_accesses);
		add_number(object, "target", find_target(table, row));
		json_object_array_add(list, object);
	}
	puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_SPACED));
	json_object_put(list);
}

static bool is_wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

/* Whether the next argument is this one; it is then behind us. */
static bool take_option(char ***argv, const char *option)
{
	if (!(*argv)[1] || strcmp((*argv)[1], option))
		return false;
	++*argv;
	return true;
}

int main(int argc, char **argv)
{
	bool table_only = take_option(&argv, "--table");
	bool json_only = take_option(&argv, "--json");
	char **names;
	struct bench_table *table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cpu_set_t first;
	bool complete = true;

	(void)argc;
	bench_quick = take_option(&argv, "--quick");
	names = argv + 1;
	if (table == MAP_FAILED)
		bench_fail("mmap");
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof(first), &first);
	for (unsigned i = 0; i < NR_SYSTEMS; i++)
		if (is_wanted(systems[i].name, names))
			complete &= run_system(i, table);
	if (!json_only)
		print_table(table_only ? stdout : stderr, table);
	if (!table_only)
		print_json(table);
	return complete ? 0 : 1;
}
