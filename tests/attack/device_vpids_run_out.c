// SPDX-License-Identifier: GPL-2.0-only
/*
 * VPIDs are few and used again. Where there are more vcpus, some run without; and
 * no vcpu sees what another one with the same VPID, or with none, has seen. The
 * module is loaded with few of them for this (nr_vpids).
 */
#define _GNU_SOURCE
#include "module.h"
#include "raw.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static void read_number_of_vpids(char *parameter, size_t bytes)
{
	int fd = CHECK_OK(open("/sys/module/dune/parameters/nr_vpids", O_RDONLY));
	char number[16] = "";

	CHECK(read(fd, number, sizeof(number) - 1) > 0);
	close(fd);
	snprintf(parameter, bytes, "nr_vpids=%d", atoi(number));
}

/* In a child, so that the module is put right again whatever happens. */
static void with_vpids(const char *parameter, void (*test)(void))
{
	char before[40];
	pid_t child;
	int code;

	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(module_is_loaded("dune"), "dune is not a module here");
	read_number_of_vpids(before, sizeof(before));
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(module_load_dune_with(parameter), 0);
	child = harness_fork();
	if (!child) {
		test();
		_exit(0);
	}
	code = harness_wait(child);
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(module_load_dune_with(before), 0);
	CHECK_EQ(code, 0);
}

static uint64_t *word(struct raw *raw, unsigned gpa)
{
	return (uint64_t *)(raw->memory + gpa);
}

static void check_it_reads(struct raw *raw, uint64_t value)
{
	CHECK_EQ(raw_run(raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw->run->gpr[DUNE_RAX], value);
}

/* ---- More than there are ---------------------------------------------------------- */

enum { NR_VMS = 8, NR_ROUNDS = 50 };

static void run_in_turns(void)
{
	static struct raw raw[NR_VMS];

	for (int i = 0; i < NR_VMS; i++) {
		raw_create(&raw[i]);
		raw_load(&raw[i], raw_read, RAW_DATA, 0);
	}
	for (int round = 0; round < NR_ROUNDS; round++)
		for (int i = 0; i < NR_VMS; i++) {
			*word(&raw[i], RAW_DATA) = round * NR_VMS + i;
			check_it_reads(&raw[i], round * NR_VMS + i);
		}
}

static void some_vcpus_have_none(void)
{
	with_vpids("nr_vpids=3", run_in_turns);
}

static void no_vcpu_has_one(void)
{
	with_vpids("nr_vpids=0", run_in_turns);
}

/* ---- Used again --------------------------------------------------------------------- */

static void make_vm_after_vm(void)
{
	struct raw first;

	raw_create(&first); /* keeps VMX on, which takes time to turn on and off */
	for (int i = 0; i < 100; i++) {
		struct raw raw;

		raw_create(&raw);
		*word(&raw, RAW_DATA) = i;
		raw_load(&raw, raw_read, RAW_DATA, 0);
		check_it_reads(&raw, i);
		close(raw.vcpu);
		close(raw.device);
		CHECK_OK(munmap(raw.run, DUNE_RUN_SIZE));
		CHECK_OK(munmap(raw.memory, RAW_BYTES));
	}
}

static void from_vm_to_vm(void)
{
	with_vpids("nr_vpids=1", make_vm_after_vm);
}

/* Tables in which RAW_SHIFTED shows the page that is so many further on. */
#define RAW_SHIFTED (RAW_DATA + 0x1000)
#define RAW_TABLES  0x30000

static void make_tables(struct raw *raw, unsigned shift)
{
	unsigned at = RAW_TABLES;

	for (int level = 0; level < 3; level++, at += 4096)
		*word(raw, at) = (at + 4096) | 7;
	for (uint64_t i = 0; i < 512; i++)
		word(raw, at)[i] = i << 12 | 7;
	word(raw, at)[RAW_SHIFTED >> 12] = (RAW_SHIFTED + shift * 4096) | 7;
}

static void make_vcpu_after_vcpu(void)
{
	struct raw raw;

	raw_create(&raw);
	for (int page = 0; page < 4; page++)
		*word(&raw, RAW_SHIFTED + page * 4096) = page;
	for (int i = 0; i < 100; i++) {
		struct dune_state state;

		make_tables(&raw, i % 4);
		close(raw.vcpu);
		CHECK_OK(munmap(raw.run, DUNE_RUN_SIZE));
		raw.vcpu = raw_create_vcpu(&raw, &raw.run);
		raw_load(&raw, raw_read, RAW_SHIFTED, 0);
		state = raw_state(&raw);
		state.cr3 = RAW_TABLES;
		state.gpr[DUNE_RDI] = RAW_SHIFTED;
		raw_set_state(raw.vcpu, &state);
		check_it_reads(&raw, i % 4);
	}
}

static void from_vcpu_to_vcpu(void)
{
	with_vpids("nr_vpids=1", make_vcpu_after_vcpu);
}

/* More than there are VPIDs, in the life of the module. */
static void there_is_always_one_more(void)
{
	struct raw raw;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	for (int i = 0; i < 33000; i++)
		close(CHECK_OK(ioctl(raw.device, DUNE_CREATE_VCPU, 0)));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(some_vcpus_have_none),
		guest_test(no_vcpu_has_one),
		guest_test_limit(from_vm_to_vm, 60),
		guest_test(from_vcpu_to_vcpu),
		guest_test_limit(there_is_always_one_more, 120),
	};

	return run_guest_tests(tests);
}
