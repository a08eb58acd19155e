// SPDX-License-Identifier: GPL-2.0-only
/*
 * INVEPT is never missed: whatever takes a translation away makes each CPU flush before
 * it next enters, and makes those that are inside leave. The emulated CPU forgets its
 * translations at each entry anyway, so what shows it is the module's own count.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static struct raw raw;

/* Runs once; how many flushes that took. */
static uint64_t flushes_of_a_run(void)
{
	uint64_t before = raw_stat(&raw, DUNE_STAT_TLB_FLUSHES);

	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	return raw_stat(&raw, DUNE_STAT_TLB_FLUSHES) - before;
}

static void a_change_is_followed_by_a_flush(void)
{
	char *page;

	harness_run_on(0, 0);
	raw_create(&raw);
	page = raw.memory + RAW_DATA;
	*page = 1;
	raw_load(&raw, raw_read, RAW_DATA, 0);
	flushes_of_a_run();
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(flushes_of_a_run(), 0); /* nothing has changed */
		CHECK_OK(mprotect(page, 4096, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ));
		CHECK_EQ(flushes_of_a_run(), 1);
		CHECK_OK(madvise(page, 4096, MADV_DONTNEED));
		CHECK_EQ(flushes_of_a_run(), 1);
		CHECK_EQ(raw.run->gpr[DUNE_RAX] & 0xff, 0);
		/* Not seen by the guest: none of its business. */
		CHECK_OK(mprotect(page + 4096, 4096, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ));
		CHECK_EQ(flushes_of_a_run(), 0);
	}
	CHECK_OK(ioctl(raw.device, DUNE_FLUSH_TLB, 0));
	CHECK_EQ(flushes_of_a_run(), 1);
}

static volatile sig_atomic_t stop;

static void stop_running(int signal)
{
	(void)signal;
	stop = 1;
}

static void *run_until_a_signal(void *unused)
{
	harness_run_on(0, 1);
	while (lseek(raw.vcpu, 0, SEEK_SET) == DUNE_EXIT_INTR && !stop)
		;
	return unused;
}

static void wait_for_progress(void)
{
	volatile uint64_t *counter = (volatile uint64_t *)(raw.memory + RAW_DATA);
	uint64_t before = *counter;

	while (*counter == before)
		;
}

/* A guest that does nothing but count leaves for each flush, not at the next tick. */
static void a_flush_reaches_a_cpu_inside(void)
{
	struct sigaction action = { .sa_handler = stop_running };
	enum { FLUSHES = 100 };
	pthread_t runner;
	uint64_t before, after;

	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	harness_run_on(0, 0);
	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	raw_create(&raw);
	raw_load(&raw, raw_spin, RAW_DATA, 0);
	CHECK_EQ(pthread_create(&runner, NULL, run_until_a_signal, NULL), 0);
	wait_for_progress();
	before = raw_stat(&raw, DUNE_STAT_TLB_FLUSHES);
	for (int i = 0; i < FLUSHES; i++) {
		CHECK_OK(ioctl(raw.device, DUNE_FLUSH_TLB, 0));
		wait_for_progress();
	}
	after = raw_stat(&raw, DUNE_STAT_TLB_FLUSHES);
	pthread_kill(runner, SIGUSR1);
	CHECK_EQ(pthread_join(runner, NULL), 0);
	harness_note("%lu flushes", after - before);
	CHECK(after - before >= FLUSHES);
}

enum { ROUNDS = 300 };
static pthread_barrier_t both_ready;

static void *take_the_page(void *page)
{
	harness_run_on(0, 1);
	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&both_ready);
		if (madvise(page, 4096, MADV_DONTNEED))
			return page;
		pthread_barrier_wait(&both_ready);
	}
	return NULL;
}

/* Who finds that another has taken the page out must not be told so before that one's
 * flush: the page would be free, and a CPU inside still have it. */
static void of_two_changes_none_is_over_before_the_flush(void)
{
	pthread_t other;
	void *failed;
	char *page;

	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	harness_run_on(0, 0);
	raw_create(&raw);
	page = raw.memory + RAW_DATA;
	CHECK_EQ(pthread_barrier_init(&both_ready, NULL, 2), 0);
	CHECK_EQ(pthread_create(&other, NULL, take_the_page, page), 0);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t before;

		raw_load(&raw, raw_write, RAW_DATA, 1);
		flushes_of_a_run();
		raw_load(&raw, raw_count, 0, 0); /* which waits for no change of the page */
		flushes_of_a_run();
		before = raw_stat(&raw, DUNE_STAT_TLB_FLUSHES);
		pthread_barrier_wait(&both_ready);
		for (volatile int wait = i * 16 % 2000; wait; wait--)
			;
		CHECK_OK(madvise(page, 4096, MADV_DONTNEED));
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK(raw_stat(&raw, DUNE_STAT_TLB_FLUSHES) > before);
		pthread_barrier_wait(&both_ready);
	}
	CHECK_EQ(pthread_join(other, &failed), 0);
	CHECK(!failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(a_change_is_followed_by_a_flush),
		guest_test(a_flush_reaches_a_cpu_inside),
		guest_test(of_two_changes_none_is_over_before_the_flush),
	};

	return run_guest_tests(tests);
}
