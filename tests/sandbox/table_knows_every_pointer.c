// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the kernel's own prototype of a system call has a pointer, the sandbox's table has
 * one, too: a pointer that the table took for a number would be forwarded unchecked, and no
 * test that is made from the table would notice. The prototypes are those of the tracepoints.
 */
#include "rows.h"
#include "sandboxed.h"
#include "syscall.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EVENTS "/sys/kernel/tracing/events/syscalls"

/* What the kernel calls differently. */
static const struct {
	const char *ours, *kernels;
} renamed[] = {
	{ "stat", "newstat" },	 { "lstat", "newlstat" },      { "fstat", "newfstat" },
	{ "uname", "newuname" }, { "sendfile", "sendfile64" }, { "newfstatat", "newfstatat" },
};

static FILE *open_prototype(const char *name)
{
	char path[128];

	for (size_t i = 0; i < sizeof(renamed) / sizeof(renamed[0]); i++)
		if (!strcmp(renamed[i].ours, name))
			name = renamed[i].kernels;
	snprintf(path, sizeof(path), EVENTS "/sys_enter_%s/format", name);
	return fopen(path, "r");
}

/* A number that nobody follows, and an argument that is not passed, may be a pointer, too. */
static bool may_be_pointer(const struct sandbox_arg *arg)
{
	return row_is_pointer(arg) || arg->kind == ARG_ADDRESS || arg->kind == ARG_NONE;
}

/* Lines like "field:char * buf; offset:24; …", of which the first arguments are not the call's. */
static unsigned compare(const struct sandbox_row *row, FILE *prototype)
{
	unsigned pointers = 0;
	char line[256];
	int argument = -1;

	while (fgets(line, sizeof(line), prototype)) {
		char *type = strstr(line, "field:"), *end = type ? strchr(type, ';') : NULL;

		/* From 6.18 on some have what a pointer points to as well, last. */
		if (!end || strstr(line, "common_") || strstr(line, "__data_loc"))
			continue;
		*end = '\0';
		if (argument < 0) {
			argument += strstr(type, "__syscall_nr") != NULL;
			continue;
		}
		assert_true(argument < SANDBOX_NR_ARGS);
		if (strchr(type, '*')) {
			if (!may_be_pointer(&row->arg[argument]))
				fail_msg("%s: argument %d is \"%s\" to the kernel", row->name,
					 argument, type + strlen("field:"));
			pointers++;
		}
		argument++;
	}
	return pointers;
}

static void that_the_kernel_knows(void **state)
{
	unsigned compared = 0, pointers = 0;

	(void)state;
	if (access(EVENTS, R_OK)) {
		print_message("# the kernel does not show its system calls\n");
		skip();
	}
	for (unsigned nr = 0; nr < sandbox_table_size(); nr++) {
		const struct sandbox_row *row = sandbox_table_row(nr);
		FILE *prototype;

		if (!row || row->action == ACTION_DENY)
			continue;
		prototype = open_prototype(row->name);
		if (!prototype) {
			print_message("# no prototype: %s\n", row->name);
			/* Without arguments of its own. */
			assert_string_equal(row->name, "rt_sigreturn");
			continue;
		}
		pointers += compare(row, prototype);
		fclose(prototype);
		compared++;
	}
	print_message("# %u pointers in %u calls\n", pointers, compared);
	assert_true(compared > 150);
	assert_true(pointers > 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(that_the_kernel_knows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
