// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM guests and Dune processes run at the same time, and neither disturbs the
 * other: not its registers, MSRs, memory or results.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "late.h"
#include "module.h"
#include "small_kvm.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

static void needs_kvm(void)
{
	TEST_REQUIRE(!access("/dev/kvm", R_OK | W_OK), "/dev/kvm cannot be opened");
}

static void kvm_guest(unsigned nr_exits)
{
	const char *why;

	if (small_kvm_run(nr_exits, &why))
		FAIL("%s", why);
}

static pid_t start_kvm_guest(unsigned nr_exits)
{
	pid_t child = harness_fork();

	if (!child) {
		kvm_guest(nr_exits);
		_exit(0);
	}
	return child;
}

/* Work whose result is known: all kinds of exits, and registers in between. */
static void work_in_dune(unsigned turns)
{
	volatile double sum = 0;
	char *page = map_pages(4, 3);

	for (unsigned i = 1; i <= turns; i++) {
		CHECK_EQ(syscall(SYS_getppid), getppid());
		page[i % 4 * PAGE_BYTES] = i;
		sum += i;
		for (volatile int spin = 0; spin < 200; spin++)
			;
		if (i % 64 == 0) {
			unsigned leaf = 0;

			__asm__ volatile("cpuid" : "+a"(leaf)::"rbx", "rcx", "rdx");
			CHECK(leaf > 0);
		}
	}
	CHECK(sum == turns * (turns + 1.0) / 2);
}

static void dune_is_held_by_kvm(void)
{
	struct dune_info info;

	needs_kvm();
	enter_dune();
	CHECK_EQ(dune_get_info(&info), 0);
	CHECK(info.kvm_held);
}

static void in_another_process(void)
{
	pid_t child;

	needs_kvm();
	child = start_kvm_guest(400);
	enter_dune();
	work_in_dune(3000);
	JOIN(child);
}

static void several_of_both(void)
{
	pid_t children[4];

	needs_kvm();
	for (int i = 0; i < 4; i++) {
		if (i % 2) {
			children[i] = start_kvm_guest(150);
			continue;
		}
		children[i] = harness_fork();
		if (!children[i]) {
			enter_dune();
			work_in_dune(1000);
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		JOIN(children[i]);
}

/* The same thread and KVM guest, in turns: KVM's state is lazily left in the CPU. */
static void in_the_same_thread(void)
{
	struct small_kvm *guest;
	const char *why;

	needs_kvm();
	CHECK_EQ(dune_init(), 0);
	guest = small_kvm_create(&why);
	for (int i = 0; i < 10; i++) {
		if (!guest || small_kvm_continue(guest, 3, &why))
			FAIL("turn %d: %s", i, why);
		CHECK_EQ(dune_enter(), 0);
		work_in_dune(5);
		CHECK_EQ(dune_leave(), 0);
	}
	small_kvm_destroy(guest);
}

/* SYSCALL takes it from STAR. */
static unsigned code_selector(void)
{
	unsigned selector;

	__asm__ volatile("mov %%cs, %0" : "=r"(selector));
	return selector;
}

static struct late late;

static void *fill_from_cpu_1(void *unused)
{
	static const char page[LATE_PAGE];

	harness_run_on(0, 1);
	for (;;) {
		late_wait(&late);
		usleep(100); /* CPU 0 goes to KVM's guest */
		late_fill(&late, page);
	}
	return unused;
}

/*
 * A thread that sleeps in a fault gets its CPU straight from KVM, with KVM's guest in
 * STAR, LSTAR and FMASK: the way to user mode puts them back, not the one to the guest.
 */
static void in_a_fault_that_sleeps(void)
{
	unsigned selector;
	pthread_t thread;
	pid_t child;

	needs_kvm();
	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	/* With rseq it would see user mode after each switch. */
	CHECK_OK(syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32,
			 RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
	harness_run_on(0, 0);
	child = start_kvm_guest(-1);
	late_userfault(&late);
	CHECK_EQ(pthread_create(&thread, NULL, fill_from_cpu_1, NULL), 0);
	enter_dune();
	selector = code_selector();
	for (int i = 0; i < 50; i++) {
		CHECK_OK(madvise(late.pages + LATE_PAGE, LATE_PAGE, MADV_DONTNEED));
		CHECK_EQ(*(volatile char *)(late.pages + LATE_PAGE), 0);
		syscall(SYS_getppid);
		CHECK_EQ(code_selector(), selector);
	}
	kill(child, SIGKILL);
}

/* The ioctls of KVM as system calls of a process in Dune. */
static void made_from_inside(void)
{
	needs_kvm();
	enter_dune();
	kvm_guest(50);
	work_in_dune(50);
	kvm_guest(50);
}

static void kvm_stays_as_it_was(void)
{
	needs_kvm();
	for (int i = 0; i < 3; i++) {
		pid_t child = harness_fork();

		if (!child) {
			enter_dune();
			work_in_dune(20);
			_exit(0);
		}
		JOIN(child);
		kvm_guest(10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(dune_is_held_by_kvm),       guest_test_limit(in_another_process, 60),
		guest_test_limit(several_of_both, 60), guest_test(in_the_same_thread),
		guest_test(in_a_fault_that_sleeps),    guest_test(made_from_inside),
		guest_test(kvm_stays_as_it_was),
	};

	return run_guest_tests(tests);
}
