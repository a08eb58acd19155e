// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM guests that compute and Dune processes that make hypercalls, fault and
 * move, all on the same CPUs, for $DUNE_TEST_SECONDS (12 by default; more by
 * hand): every result is right on both sides, and so are the KVM guest's MSRs
 * after each second, read by the guest itself and through KVM.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "module.h"
#include "small_kvm.h"
#include "worker.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

enum { NR_EACH = 3, EXITS_A_TURN = 40 };

static struct counts {
	volatile uint64_t kvm_turns[NR_EACH], dune_turns[NR_EACH];
} * counts;
static time_t end_time;

static bool time_is_up(void)
{
	return time(NULL) >= end_time;
}

static void hop(unsigned turn)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	harness_run_on(0, turn % cpus);
}

static _Noreturn void run_kvm(int number)
{
	const char *why;

	for (unsigned turn = 0; !time_is_up(); turn++) {
		if (turn % 4 == 0)
			hop(turn / 4 + number);
		if (small_kvm_run(EXITS_A_TURN, &why))
			FAIL("%s, in turn %u", why, turn);
		counts->kvm_turns[number]++;
	}
	_exit(0);
}

static void fault_in(char *pages, unsigned turn)
{
	for (int i = 0; i < 8; i++)
		pages[i * PAGE_BYTES] = turn + i;
	for (int i = 0; i < 8; i++)
		CHECK_EQ(pages[i * PAGE_BYTES], (char)(turn + i));
	CHECK_OK(madvise(pages, 8 * PAGE_BYTES, MADV_DONTNEED));
	CHECK_EQ(pages[0], 0);
}

static _Noreturn void run_dune(int number)
{
	char *pages = map_pages(8, PROT_READ | PROT_WRITE);
	pid_t pid = getpid();

	enter_dune();
	for (unsigned turn = 0; !time_is_up(); turn++) {
		if (turn % 16 == 0)
			hop(turn / 16 + number);
		for (int i = 0; i < 50; i++)
			CHECK_EQ(syscall(SYS_getpid), pid);
		fault_in(pages, turn);
		CHECK(worker_compute(2));
		counts->dune_turns[number]++;
	}
	CHECK_EQ(current_ring(), 0);
	_exit(0);
}

static void for_a_while(void)
{
	const char *seconds = getenv("DUNE_TEST_SECONDS");
	uint64_t kvm = 0, dune = 0;
	pid_t children[2 * NR_EACH];

	TEST_REQUIRE(!access("/dev/kvm", R_OK | W_OK), "/dev/kvm cannot be opened");
	counts = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(counts != MAP_FAILED);
	end_time = time(NULL) + (seconds ? atoi(seconds) : 12);
	for (int i = 0; i < NR_EACH; i++) {
		children[2 * i] = harness_fork();
		if (!children[2 * i])
			run_kvm(i);
		children[2 * i + 1] = harness_fork();
		if (!children[2 * i + 1])
			run_dune(i);
	}
	for (int i = 0; i < 2 * NR_EACH; i++)
		JOIN(children[i]);
	for (int i = 0; i < NR_EACH; i++) {
		CHECK(counts->kvm_turns[i] > 0);
		CHECK(counts->dune_turns[i] > 0);
		kvm += counts->kvm_turns[i];
		dune += counts->dune_turns[i];
	}
	harness_note("%lu exits of KVM guests, %lu hypercalls", kvm * EXITS_A_TURN, dune * 50);
}

/* Nobody is left who holds KVM: both modules go, and come back. */
static void and_both_modules_can_go(void)
{
	const char *why;

	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(module_is_loaded("kvm_intel"), "kvm_intel is not a module here");
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(module_unload("kvm_intel"), 0);
	CHECK_EQ(module_load_dune(), 0);
	CHECK_EQ(module_probe("kvm_intel"), 0);
	if (small_kvm_run(5, &why))
		FAIL("%s", why);
	enter_dune();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(for_a_while, 7200),
		guest_test_limit(and_both_modules_can_go, 60),
	};

	return run_guest_tests(tests);
}
