// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stack that a program starts with is what the psABI says, and never overflows its memory.
 */
#include "fake_dune.h"
#include "stack.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#define STACK_BYTES 65536
#define GUARD_BYTES 64

static char memory[GUARD_BYTES + STACK_BYTES + GUARD_BYTES] __attribute__((aligned(16)));
static char *const argv[] = { "program", "", "two words", NULL };
static char *const envp[] = { "PATH=/bin", "EMPTY=", NULL };

static struct sandbox_stack make_stack(void)
{
	memset(memory, 0x5a, sizeof(memory));
	return (struct sandbox_stack){
		.low = (uint64_t)memory + GUARD_BYTES,
		.high = (uint64_t)memory + GUARD_BYTES + STACK_BYTES,
		.argv = argv,
		.envp = envp,
		.path = "/bin/program",
		.entry = 0x1234,
		.headers = 0x40,
		.nr_headers = 11,
		.base = 0x7000,
		.random = "0123456789abcde",
	};
}

static uint64_t auxv_value(const Elf64_auxv_t *auxv, uint64_t type)
{
	for (; auxv->a_type != AT_NULL; auxv++)
		if (auxv->a_type == type)
			return auxv->a_un.a_val;
	return -1;
}

static void check_guards(void)
{
	for (int i = 0; i < GUARD_BYTES; i++) {
		assert_int_equal(memory[i], 0x5a);
		assert_int_equal(memory[GUARD_BYTES + STACK_BYTES + i], 0x5a);
	}
}

static void stack_is_as_the_psabi_says(void **state)
{
	struct sandbox_stack stack = make_stack();
	const Elf64_auxv_t *auxv;
	uint64_t pointer;
	char **word;

	(void)state;
	assert_int_equal(sandbox_stack_build(&stack, &pointer), 0);
	assert_int_equal(pointer % 16, 0);
	word = (char **)pointer;
	assert_int_equal(*word++, 3);
	for (int i = 0; i < 3; i++)
		assert_string_equal(*word++, argv[i]);
	assert_null(*word++);
	for (int i = 0; i < 2; i++)
		assert_string_equal(*word++, envp[i]);
	assert_null(*word++);
	auxv = (const Elf64_auxv_t *)word;
	assert_int_equal(auxv_value(auxv, AT_ENTRY), 0x1234);
	assert_int_equal(auxv_value(auxv, AT_PHDR), 0x40);
	assert_int_equal(auxv_value(auxv, AT_PHNUM), 11);
	assert_int_equal(auxv_value(auxv, AT_BASE), 0x7000);
	assert_int_equal(auxv_value(auxv, AT_SECURE), 0);
	assert_string_equal((char *)auxv_value(auxv, AT_EXECFN), "/bin/program");
	assert_memory_equal((char *)auxv_value(auxv, AT_RANDOM), stack.random, 16);
	assert_int_equal(auxv_value(auxv, AT_SYSINFO_EHDR), -1); /* outside the arenas */
	check_guards();
}

static void too_many_arguments_are_refused(void **state)
{
	struct sandbox_stack stack = make_stack();
	static char longest[STACK_BYTES];
	char *const many[] = { longest, NULL };
	uint64_t pointer;

	(void)state;
	/* All lengths around the limit of a quarter of the stack. */
	for (size_t length = STACK_BYTES / 4 - 1024; length < STACK_BYTES / 4 + 64; length++) {
		int result;

		memset(longest, 'x', length);
		longest[length] = '\0';
		stack.argv = many;
		result = sandbox_stack_build(&stack, &pointer);
		assert_true(result == 0 || result == -E2BIG);
		if (result == 0)
			assert_true(pointer >= stack.high - STACK_BYTES / 4);
		check_guards();
	}
	assert_int_equal(sandbox_stack_build(&stack, &pointer), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stack_is_as_the_psabi_says),
		cmocka_unit_test(too_many_arguments_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
