// SPDX-License-Identifier: GPL-2.0-only
/*
 * Once the host has changed a page, no CPU uses what its TLB knew of it: not one
 * that is in the guest all the while, not one that the thread comes back to, not
 * one where another vm had the same EPT root. Each test looks at what the guest
 * reads, and at whether the module has flushed: an emulated CPU may forget its
 * TLB at each exit, and then only the counter tells.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

static unsigned long flushes(void)
{
	return counts_now().tlb_flushes;
}

/* ---- Another CPU changes what this one looks at ---- */

/*
 * Once "done" says that a change is complete, nothing older may be read. A guest
 * that was not made to leave would go on with the old translation until the next
 * tick of the timer.
 */
static volatile unsigned *page;
static atomic_uint begun, done, looked;
enum { ROUNDS = 150 };

static void replace_page(unsigned value)
{
	unsigned *other = map_pages(1, PROT_READ | PROT_WRITE);

	*other = value;
	CHECK(mremap(other, PAGE_BYTES, PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)page) ==
	      (void *)page);
}

static void throw_page_away(unsigned value)
{
	CHECK_OK(madvise((void *)page, PAGE_BYTES, MADV_DONTNEED));
	*page = value;
}

static void swap_page_out(unsigned value)
{
	CHECK_OK(madvise((void *)page, PAGE_BYTES, MADV_PAGEOUT));
	*page = value;
}

static void (*change)(unsigned value);

static void outside_change(void *unused)
{
	(void)unused;
	harness_run_on(0, 1);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		atomic_store(&begun, i);
		change(i);
		atomic_store(&done, i);
		while (atomic_load(&looked) < i)
			;
	}
}

static void look(void (*how)(unsigned value))
{
	unsigned must, seen = 0;

	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "it takes two CPUs");
	swap_on();
	change = how;
	page = map_pages(1, PROT_READ | PROT_WRITE);
	*page = 0;
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	harness_run_on(0, 0);
	CHECK_EQ(dune_enter(), 0);
	sidekick_post(outside_change, NULL);
	while (seen < ROUNDS) {
		must = atomic_load(&done);
		seen = *page;
		/* In the middle of a change there may be nothing. */
		if (seen < must && (seen || atomic_load(&begun) == must))
			FAIL("%u is read, and %u is there", seen, must);
		atomic_store(&looked, must);
	}
}

static void replaced_under_a_running_guest(void)
{
	look(replace_page);
}

static void thrown_away_under_a_running_guest(void)
{
	look(throw_page_away);
}

static void swapped_out_under_a_running_guest(void)
{
	look(swap_page_out);
}

/* Write rights are taken away; what the guest writes afterwards must not arrive. */
static atomic_uint protected, faulted;

static __attribute__((target("general-regs-only"))) void on_page_fault(struct dune_frame *frame)
{
	(void)frame;
	faulted++;
	while (atomic_load(&protected))
		__builtin_ia32_pause();
}

static void outside_protect(void *unused)
{
	(void)unused;
	harness_run_on(0, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned value;

		CHECK_OK(mprotect((void *)page, PAGE_BYTES, PROT_READ));
		value = *page;
		atomic_store(&protected, 1);
		for (int j = 0; j < 1000 || !atomic_load(&faulted); j++)
			CHECK_EQ(*page, value);
		CHECK_OK(mprotect((void *)page, PAGE_BYTES, PROT_READ | PROT_WRITE));
		atomic_store(&protected, 0);
		while (*page == value) /* it writes again */
			;
	}
	atomic_store(&done, 1);
}

static void protected_under_a_running_guest(void)
{
	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "it takes two CPUs");
	page = map_pages(1, PROT_READ | PROT_WRITE);
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	harness_run_on(0, 0);
	CHECK_EQ(dune_enter(), 0);
	CHECK_EQ(dune_set_handler(14, on_page_fault, 0), 0);
	sidekick_post(outside_protect, NULL);
	while (!atomic_load(&done))
		(*page)++;
}

/* ---- This CPU: the guest was out when the change came ---- */

static void changed_while_outside(void)
{
	unsigned long before;

	page = map_pages(1, PROT_READ | PROT_WRITE);
	harness_run_on(0, 0);
	enter_dune();
	for (unsigned i = 0; i < 20; i++) {
		replace_page(2 * i);
		CHECK_EQ(*page, 2 * i);
		before = flushes();
		replace_page(2 * i + 1); /* our own call, by the host loop */
		CHECK_EQ(*page, 2 * i + 1);
		CHECK(flushes() > before);
	}
}

/* Two vcpus take turns on one CPU: what one had the host do is seen by the other. */
static atomic_uint turn;

static void *other_thread(void *unused)
{
	for (unsigned i = 1; i < 40; i += 2) {
		while (atomic_load(&turn) != i)
			sched_yield();
		CHECK_EQ(*page, i);
		replace_page(i + 1);
		atomic_store(&turn, i + 1);
	}
	return unused;
}

static void changed_by_another_vcpu(void)
{
	unsigned long before;
	pthread_t thread;

	page = map_pages(1, PROT_READ | PROT_WRITE);
	harness_run_on(0, 0);
	enter_dune();
	CHECK_EQ(pthread_create(&thread, NULL, other_thread, NULL), 0);
	before = flushes();
	for (unsigned i = 0; i < 40; i += 2) {
		while (atomic_load(&turn) != i)
			sched_yield();
		CHECK_EQ(*page, i);
		replace_page(i + 1);
		atomic_store(&turn, i + 1);
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(*page, 40);
	CHECK(flushes() - before >= 2 * 39); /* each change, in each vcpu */
}

/* A CPU that the thread comes back to has seen none of the flushes since. */
static void changed_while_on_another_cpu(void)
{
	unsigned long before;

	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "it takes two CPUs");
	page = map_pages(1, PROT_READ | PROT_WRITE);
	enter_dune();
	for (unsigned i = 0; i < 40; i++) {
		harness_run_on(0, 0);
		replace_page(2 * i);
		CHECK_EQ(*page, 2 * i);
		harness_run_on(0, 1);
		CHECK_EQ(*page, 2 * i);
		replace_page(2 * i + 1);
		CHECK_EQ(*page, 2 * i + 1); /* flushed here, and the change is old news now */
		before = flushes();
		harness_run_on(0, 0);
		CHECK_EQ(*page, 2 * i + 1);
		CHECK(flushes() > before);
	}
}

/*
 * One process after the other, on one CPU, with its own page at the same address:
 * the pages that held one's EPT hold the next one's.
 */
static void in_a_vm_with_a_used_root(void)
{
	harness_run_on(0, 0);
	page = map_pages(1, PROT_READ | PROT_WRITE);
	for (unsigned i = 0; i < 20; i++) {
		pid_t child = harness_fork();

		if (!child) {
			*page = i;
			enter_dune();
			CHECK_EQ(*page, i);
			CHECK(flushes() >= 1);
			_exit(0);
		}
		JOIN(child);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(replaced_under_a_running_guest, 60),
		guest_test_limit(thrown_away_under_a_running_guest, 60),
		guest_test_limit(swapped_out_under_a_running_guest, 60),
		guest_test_limit(protected_under_a_running_guest, 60),
		guest_test(changed_while_outside),
		guest_test(changed_by_another_vcpu),
		guest_test(changed_while_on_another_cpu),
		guest_test(in_a_vm_with_a_used_root),
	};

	return run_guest_tests(tests);
}
