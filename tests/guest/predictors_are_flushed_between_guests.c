// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the host's policy has IBPB, the branch predictors are flushed once when a
 * thread in Dune takes a CPU over from a guest of KVM's, and once when it leaves
 * the CPU; not at each run, nor where the host does not. The module is loaded
 * beside a host that says so, and dune_inject.ko counts.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "module.h"
#include "small_kvm.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { NR_STATUSES = 2 };

static const struct module_status host_flushes[NR_STATUSES] = {
	{ "spectre_v2", "Mitigation: Retpolines; IBPB: conditional" },
	{ "vmscape", "Vulnerable" },
};
static const struct module_status host_flushes_after_kvm[NR_STATUSES] = {
	{ "spectre_v2", "Mitigation: Retpolines; IBPB: disabled" },
	{ "vmscape", "Mitigation: IBPB before exit to userspace" },
};
static const struct module_status host_does_not[NR_STATUSES] = {
	{ "spectre_v2", "Mitigation: Retpolines; IBPB: disabled" },
	{ "vmscape", "Vulnerable" },
};

enum { ROUNDS = 20, CALLS_PER_ROUND = 50 };

/* Runs a function in a child, beside a host that says so: 0 if it returned. */
static int beside_host(const struct module_status says[NR_STATUSES], void (*function)(void))
{
	int code;

	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(!access("/dev/kvm", R_OK | W_OK), "/dev/kvm cannot be opened");
	harness_run_on(0, 0);
	if (!module_is_loaded("dune_inject"))
		CHECK_EQ(module_load("dune_inject", ""), 0);
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(module_load_dune_where(says, NR_STATUSES), 0);
	code = harness_run_in_child(function);
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(module_unload("dune_inject"), 0);
	CHECK_EQ(module_load_dune(), 0);
	return code;
}

/* Of this process, from now on. */
static void count_flushes(void)
{
	char text[64];

	snprintf(text, sizeof(text), "dune:flush_predictors 0 0 %d", getpid());
	CHECK_EQ(module_write_parameter("dune_inject", "fail", text), 0);
}

static unsigned nr_flushes(void)
{
	FILE *file = fopen("/sys/module/dune_inject/parameters/fail", "r");
	unsigned count;

	CHECK(file && fscanf(file, "%u", &count) == 1);
	fclose(file);
	return count;
}

/* How often this thread has left a CPU. */
static long nr_leaves(void)
{
	struct rusage usage;

	CHECK_OK(getrusage(RUSAGE_THREAD, &usage));
	return usage.ru_nvcsw + usage.ru_nivcsw;
}

/* ---- In turns with a guest of KVM's ---------------------------------------- */

static int turn_of_kvm[2], turn_of_dune[2];

static void pass_to_kvm(void)
{
	char byte = 0;

	CHECK_EQ(write(turn_of_kvm[1], &byte, 1), 1);
	CHECK_EQ(read(turn_of_dune[0], &byte, 1), 1);
}

/* One round at each turn. Its VMCS stays current on the CPU. */
static void be_kvm(void)
{
	const char *why;
	struct small_kvm *guest = small_kvm_create(&why);
	char byte;

	close(turn_of_kvm[1]);
	while (read(turn_of_kvm[0], &byte, 1) == 1) {
		if (!guest || small_kvm_continue(guest, 1, &why))
			FAIL("%s", why);
		CHECK_EQ(write(turn_of_dune[1], &byte, 1), 1);
	}
	_exit(0);
}

static pid_t start_kvm(void)
{
	pid_t child;

	CHECK_OK(pipe(turn_of_kvm));
	CHECK_OK(pipe(turn_of_dune));
	child = harness_fork();
	if (!child)
		be_kvm();
	return child;
}

static unsigned flushes, leaves;

static void take_turns(void)
{
	pid_t kvm = start_kvm();

	enter_dune();
	pass_to_kvm();
	count_flushes();
	leaves = nr_leaves();
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CALLS_PER_ROUND; i++)
			CHECK(syscall(SYS_getppid) > 0);
		pass_to_kvm();
	}
	flushes = nr_flushes();
	leaves = nr_leaves() - leaves;
	close(turn_of_kvm[1]);
	JOIN(kvm);
}

static void where_the_host_flushes(void)
{
	take_turns();
	harness_note("%u flushes, left the CPU %u times in %u rounds", flushes, leaves, ROUNDS);
	CHECK(leaves < ROUNDS * CALLS_PER_ROUND / 4);
	CHECK(flushes >= 2 * ROUNDS);
	CHECK(flushes <= 2 * (leaves + 1));
}

static void when_a_thread_comes_and_when_it_leaves(void)
{
	CHECK_EQ(beside_host(host_flushes, where_the_host_flushes), 0);
}

static void when_the_host_does_it_for_vmscape_alone(void)
{
	CHECK_EQ(beside_host(host_flushes_after_kvm, where_the_host_flushes), 0);
}

static void where_the_host_does_not(void)
{
	take_turns();
	CHECK_EQ(flushes, 0);
}

static void not_where_the_host_does_not(void)
{
	CHECK_EQ(beside_host(host_does_not, where_the_host_does_not), 0);
}

/* ---- Guests of KVM's that are gone ------------------------------------------ */

static void enter_counted(void)
{
	count_flushes();
	enter_dune();
	CHECK(nr_flushes() > 0);
}

static void each_after_kvm(void)
{
	const char *why;

	for (int i = 0; i < 3; i++) {
		if (small_kvm_run(1, &why))
			FAIL("%s", why);
		CHECK_EQ(harness_run_in_child(enter_counted), 0);
	}
}

static void when_kvm_has_ended(void)
{
	CHECK_EQ(beside_host(host_flushes, each_after_kvm), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(when_a_thread_comes_and_when_it_leaves),
		guest_test(when_the_host_does_it_for_vmscape_alone),
		guest_test(not_where_the_host_does_not),
		guest_test(when_kvm_has_ended),
	};

	return run_guest_tests(tests);
}
