// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each row of the table of system calls makes sense, and numbers without a row stay without one.
 */
#include "fake_dune.h"
#include "rows.h"
#include "sandbox.h"
#include "syscall.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

static bool is_array(const struct sandbox_arg *arg)
{
	return arg->kind == ARG_IN || arg->kind == ARG_OUT || arg->kind == ARG_INOUT;
}

static void check_arg(const struct sandbox_row *row, int i)
{
	const struct sandbox_arg *arg = &row->arg[i];
	enum sandbox_arg_kind counter;

	if (is_array(arg) && !arg->bytes)
		fail_msg("%s: argument %d has no size", row->name, i);
	if (!is_array(arg) && arg->bytes)
		fail_msg("%s: argument %d is no array but has a size", row->name, i);
	if (arg->optional && !row_is_pointer(arg))
		fail_msg("%s: argument %d is no pointer but optional", row->name, i);
	if ((arg->show == SHOW_SET) != (arg->set != NULL))
		fail_msg("%s: argument %d: symbols without a set, or a set unused", row->name, i);
	if (!arg->count) {
		if (arg->kind == ARG_IN_IOVEC || arg->kind == ARG_OUT_IOVEC ||
		    arg->kind == ARG_OUT_SIZED)
			fail_msg("%s: argument %d has no count", row->name, i);
		return;
	}
	assert_true(arg->count <= SANDBOX_NR_ARGS);
	counter = row->arg[arg->count - 1].kind;
	if (arg->kind == ARG_OUT_SIZED)
		assert_int_equal(counter, ARG_SIZE);
	else if (counter != ARG_LONG && counter != ARG_UINT && counter != ARG_INT)
		fail_msg("%s: argument %d is counted by one that is no number", row->name, i);
}

static void rows_make_sense(void **state)
{
	unsigned rows = 0;

	(void)state;
	for (uint64_t nr = 0; nr < sandbox_table_size(); nr++) {
		const struct sandbox_row *row = sandbox_table_row(nr);
		bool ended = false;

		if (!row)
			continue;
		rows++;
		assert_int_equal(seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, row->name),
				 nr);
		assert_int_equal(row->action == ACTION_EMULATE, row->emulate != NULL);
		assert_int_equal(row->action == ACTION_DENY, row->error != 0);
		for (int i = 0; i < SANDBOX_NR_ARGS; i++) {
			if (ended && row->arg[i].kind != ARG_NONE)
				fail_msg("%s: a gap before argument %d", row->name, i);
			ended = row->arg[i].kind == ARG_NONE;
			check_arg(row, i);
			/* Nobody but an emulate_ function checks a bare address. */
			if (row->action == ACTION_ALLOW && row->arg[i].kind == ARG_ADDRESS)
				fail_msg("%s: argument %d is forwarded unchecked", row->name, i);
		}
	}
	assert_true(rows > 150);
}

static void numbers_without_a_row_are_enosys(void **state)
{
	struct sandbox *box = fake_sandbox();
	const uint64_t numbers[] = {
		sandbox_table_size(),
		512,
		1023,
		1024,
		1ull << 31,
		1ull << 32,
		1ull << 63,
		-1ull,
		0x40000000,
		0x40000000 + SYS_getpid,
		(1ull << 32) + SYS_getpid,
		SYS_io_setup,
		SYS_io_submit,
		SYS_kexec_load,
		SYS_init_module,
		SYS_reboot,
		SYS_swapon,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		assert_int_equal(RING3(box, numbers[i]), -ENOSYS);
	assert_true(RING3(box, SYS_getpid) > 0);
	free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_make_sense),
		cmocka_unit_test(numbers_without_a_row_are_enosys),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
