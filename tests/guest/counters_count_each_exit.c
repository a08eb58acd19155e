// SPDX-License-Identifier: GPL-2.0-only
/*
 * DUNE_GET_STATS and DUNE_GET_EXITS: each exit is counted once, by the reason
 * that the CPU gave, and a vm's counts are those of all its vcpus.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* Basic exit reasons; see dune_exit_reason.h. */
enum {
	TRIPLE_FAULT = 2,
	CPUID = 10,
	HLT = 12,
	VMCALL = 18,
	DR_ACCESS = 29,
	MSR_READ = 31,
	MSR_WRITE = 32,
	EPT_VIOLATION = 48,
	WBINVD = 54,
	LSTAR = 0xc0000082,
	ROUNDS = 25,
};

static struct dune_exits exits_of(int fd)
{
	struct dune_exits exits;

	CHECK_OK(ioctl(fd, DUNE_GET_EXITS, &exits));
	return exits;
}

static struct dune_stats stats_of(int fd)
{
	struct dune_stats stats;

	CHECK_OK(ioctl(fd, DUNE_GET_STATS, &stats));
	return stats;
}

static void check_sum(int fd)
{
	struct dune_exits exits = exits_of(fd);
	struct dune_stats stats = stats_of(fd);
	uint64_t sum = 0;

	for (int i = 0; i < DUNE_EXITS_MAX; i++)
		sum += exits.count[i];
	CHECK_EQ(stats.value[DUNE_STAT_EXITS], sum);
	CHECK_EQ(stats.value[DUNE_STAT_EXIT_MEMORY], exits.count[EPT_VIOLATION]);
	CHECK_EQ(stats.value[DUNE_STAT_EXIT_CPUID], exits.count[CPUID]);
	CHECK_EQ(stats.value[DUNE_STAT_EXIT_MSR], exits.count[MSR_READ] + exits.count[MSR_WRITE]);
}

static void hypercalls(void)
{
	struct raw raw;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	for (uint64_t i = 1; i <= 100; i++) {
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(exits_of(raw.vcpu).count[VMCALL], i);
		CHECK_EQ(stats_of(raw.vcpu).value[DUNE_STAT_EXIT_HYPERCALL], i);
	}
	check_sum(raw.vcpu);
	check_sum(raw.device);
}

/* mov $ROUNDS, %r12d; then that often the instruction; then vmcall. */
static void load_loop(struct raw *raw, const char *instruction, size_t bytes)
{
	struct dune_state state = raw_state(raw);
	char *code = raw->memory + RAW_CODE;

	memcpy(code, "\x41\xbc\x19\0\0\0", 6);
	memcpy(code + 6, instruction, bytes);
	memcpy(code + 6 + bytes, "\x41\xff\xcc\x75", 4); /* dec %r12d; jnz */
	code[10 + bytes] = -(5 + (int)bytes);
	memcpy(code + 11 + bytes, "\x0f\x01\xc1", 3);
	state.gpr[DUNE_RCX] = LSTAR;
	raw_set_state(raw->vcpu, &state);
}

static void instructions(void)
{
	const struct {
		const char *code;
		size_t bytes;
		unsigned reason;
		enum dune_stat stat;
	} rows[] = {
		{ "\x0f\xa2", 2, CPUID, DUNE_STAT_EXIT_CPUID },
		{ "\x0f\x32", 2, MSR_READ, DUNE_STAT_EXIT_MSR },
		{ "\x0f\x30", 2, MSR_WRITE, DUNE_STAT_EXIT_MSR },
		{ "\x0f\x23\xd0", 3, DR_ACCESS, DUNE_STAT_EXIT_CR }, /* mov %rax, %db2 */
		{ "\xf4", 1, HLT, DUNE_STAT_NR },
	};
	struct raw raw;

	raw_create(&raw);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dune_exits before = exits_of(raw.vcpu), after;
		struct dune_stats stats_before = stats_of(raw.vcpu), stats;

		load_loop(&raw, rows[i].code, rows[i].bytes);
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		after = exits_of(raw.vcpu);
		stats = stats_of(raw.vcpu);
		for (unsigned reason = 2; reason < DUNE_EXITS_MAX; reason++) {
			uint64_t more = reason == rows[i].reason ? ROUNDS : reason == VMCALL;

			/* Memory comes as it comes; interrupts and NMIs, too. */
			if (reason != EPT_VIOLATION &&
			    after.count[reason] - before.count[reason] != more)
				FAIL("row %u: exits of reason %u: %lu, not %lu", i, reason,
				     (long)(after.count[reason] - before.count[reason]),
				     (long)more);
		}
		if (rows[i].stat < DUNE_STAT_NR)
			CHECK_EQ(stats.value[rows[i].stat] - stats_before.value[rows[i].stat],
				 ROUNDS);
	}
	check_sum(raw.vcpu);
}

/* #GP without an IDT: an injection, and a triple fault. */
static void what_is_denied(void)
{
	struct raw raw;
	struct dune_stats stats;

	raw_create(&raw);
	load_loop(&raw, "\x0f\x09", 2); /* wbinvd */
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_SHUTDOWN);
	CHECK_EQ(exits_of(raw.vcpu).count[WBINVD], 1);
	CHECK_EQ(exits_of(raw.vcpu).count[TRIPLE_FAULT], 1);
	stats = stats_of(raw.vcpu);
	CHECK_EQ(stats.value[DUNE_STAT_EXIT_DENIED], 1);
	CHECK(stats.value[DUNE_STAT_INJECTIONS] >= 1);
	CHECK_EQ(stats.value[DUNE_STAT_EXIT_OTHER], 0);
	CHECK_EQ(stats.value[DUNE_STAT_FAILED_ENTRIES], 0);
	check_sum(raw.vcpu);
}

static void vmcall_from_ring_3_is_no_hypercall(void)
{
	struct raw raw;

	raw_create(&raw);
	raw_load(&raw, raw_ring3, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_SHUTDOWN);
	CHECK_EQ(exits_of(raw.vcpu).count[VMCALL], 1);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_EXIT_HYPERCALL), 0);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_EXIT_DENIED), 1);
}

static void a_page_taken_away_is_one_fault(void)
{
	struct raw raw;
	char *page;

	raw_create(&raw);
	page = raw.memory + RAW_DATA;
	*page = 'a';
	raw_load(&raw, raw_read, RAW_DATA, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	for (int i = 0; i < 10; i++) {
		struct dune_stats before, between, after;

		before = stats_of(raw.device);
		CHECK_OK(madvise(page, 4096, MADV_DONTNEED));
		between = stats_of(raw.device);
		CHECK_EQ(between.value[DUNE_STAT_EPT_ZAPPED] - before.value[DUNE_STAT_EPT_ZAPPED],
			 1);
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		after = stats_of(raw.device);
		CHECK_EQ(after.value[DUNE_STAT_EXIT_MEMORY] - before.value[DUNE_STAT_EXIT_MEMORY],
			 1);
		CHECK(after.value[DUNE_STAT_EPT_MAPPED] > before.value[DUNE_STAT_EPT_MAPPED]);
		CHECK(after.value[DUNE_STAT_TLB_FLUSHES] > before.value[DUNE_STAT_TLB_FLUSHES]);
		/* Once more is no fault. */
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw_stat(&raw, DUNE_STAT_EXIT_MEMORY), after.value[DUNE_STAT_EXIT_MEMORY]);
	}
}

static void the_sum_keeps_vcpus_that_are_gone(void)
{
	struct raw raw;
	struct dune_run *run;
	struct dune_state state;
	int other;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	state = raw_state(&raw);
	other = raw_create_vcpu(&raw, &run);
	raw_set_state(other, &state);
	for (int i = 0; i < 30; i++)
		CHECK_EQ(raw_run_vcpu(i < 10 ? raw.vcpu : other), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(exits_of(raw.vcpu).count[VMCALL], 10);
	CHECK_EQ(exits_of(other).count[VMCALL], 20);
	CHECK_EQ(exits_of(raw.device).count[VMCALL], 30);
	CHECK_OK(munmap(run, DUNE_RUN_SIZE));
	CHECK_OK(close(other));
	CHECK_EQ(exits_of(raw.device).count[VMCALL], 30);
	CHECK_EQ(stats_of(raw.device).value[DUNE_STAT_EXIT_HYPERCALL], 30);
	check_sum(raw.device);
}

static void bad_callers_are_refused(void)
{
	struct raw raw;
	pid_t child;

	raw_create(&raw);
	CHECK_ERRNO(ioctl(raw.device, DUNE_GET_EXITS, NULL), EFAULT);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_GET_EXITS, -4096ul), EFAULT);
	child = harness_fork();
	if (!child) {
		struct dune_exits exits;

		CHECK_ERRNO(ioctl(raw.device, DUNE_GET_EXITS, &exits), ESTALE);
		CHECK_ERRNO(ioctl(raw.vcpu, DUNE_GET_EXITS, &exits), ESTALE);
		_exit(0);
	}
	JOIN(child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(hypercalls),
		guest_test(instructions),
		guest_test(what_is_denied),
		guest_test(vmcall_from_ring_3_is_no_hypercall),
		guest_test(a_page_taken_away_is_one_fault),
		guest_test(the_sum_keeps_vcpus_that_are_gone),
		guest_test(bad_callers_are_refused),
	};

	return run_guest_tests(tests);
}
