// SPDX-License-Identifier: GPL-2.0-only
/*
 * What computes inside is preempted, moved, stopped, frozen and interrupted by
 * timers like any process, and comes to the right result.
 */
#define _GNU_SOURCE
#include "cgroup.h"
#include "guest.h"
#include "worker.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

enum { NR_THREADS = 8, NR_ROUNDS = 60, ROUND_NS = 2000000 };

/* ---- More threads than CPUs ---------------------------------------------------- */

static volatile unsigned rounds_of[NR_THREADS];
static pthread_barrier_t all_are_there;

static uint64_t own_time(void)
{
	struct timespec time;

	CHECK_OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time));
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* All rounds together take many slices of time, however fast the CPU is. */
static void *compute(void *number)
{
	pthread_barrier_wait(&all_are_there);
	for (uint64_t i = 0; i < NR_ROUNDS; i++) {
		do
			CHECK(worker_compute(4));
		while (own_time() < (i + 1) * ROUND_NS);
		rounds_of[(intptr_t)number]++;
	}
	CHECK_EQ(current_ring(), 0);
	return NULL;
}

static void eight_threads_all_get_on(void)
{
	pthread_t threads[NR_THREADS];
	unsigned least;

	enter_dune();
	CHECK_EQ(pthread_barrier_init(&all_are_there, NULL, NR_THREADS), 0);
	for (intptr_t i = 0; i < NR_THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, compute, (void *)i), 0);
	/* When the first is done none is far behind. */
	do {
		unsigned most = 0;

		least = NR_ROUNDS;
		for (int i = 0; i < NR_THREADS; i++) {
			most = rounds_of[i] > most ? rounds_of[i] : most;
			least = rounds_of[i] < least ? rounds_of[i] : least;
		}
		if (most == NR_ROUNDS)
			break;
		usleep(1000);
	} while (1);
	CHECK(least >= NR_ROUNDS / 4);
	for (int i = 0; i < NR_THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void one_that_spins_does_not_hold_others_up(void)
{
	struct worker workers[3];
	struct timespec before, after;
	long worst = 0;

	for (int i = 0; i < 3; i++)
		workers[i] = worker_start();
	for (int i = 0; i < 50; i++) {
		long took;

		clock_gettime(CLOCK_MONOTONIC, &before);
		usleep(1000);
		clock_gettime(CLOCK_MONOTONIC, &after);
		took = (after.tv_sec - before.tv_sec) * 1000 +
		       (after.tv_nsec - before.tv_nsec) / 1000000;
		worst = took > worst ? took : worst;
	}
	harness_note("a sleep of 1 ms took %ld ms at most", worst);
	CHECK(worst < 500);
	for (int i = 0; i < 3; i++)
		worker_finish(&workers[i]);
}

/* ---- Moved from outside while it computes ---------------------------------------- */

static void moved_to_another_cpu(void)
{
	struct worker worker;

	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	worker = worker_start();
	for (int i = 0; i < 60; i++) {
		harness_run_on(worker.pid, i % 2);
		worker_must_go_on(&worker);
	}
	worker_finish(&worker);
}

static void of_other_priorities_and_classes(void)
{
	struct sched_param param = { .sched_priority = 1 };
	struct worker worker = worker_start();

	for (int i = 0; i < 20; i++) {
		CHECK_OK(setpriority(PRIO_PROCESS, worker.pid, i % 2 ? 19 : -10));
		worker_must_go_on(&worker);
	}
	/* Round robin beside a test of the same class. */
	CHECK_OK(sched_setscheduler(0, SCHED_RR, &param));
	CHECK_OK(sched_setscheduler(worker.pid, SCHED_RR, &param));
	worker_must_go_on(&worker);
	param.sched_priority = 0;
	CHECK_OK(sched_setscheduler(worker.pid, SCHED_IDLE, &param));
	worker_must_go_on(&worker);
	CHECK_OK(sched_setscheduler(worker.pid, SCHED_OTHER, &param));
	worker_finish(&worker);
}

#define CHANGING_BYTES (8ul << 20)

static char *changing;
static volatile bool changed_enough;

static void *change(void *unused)
{
	(void)unused;
	while (!changed_enough) {
		memset(changing, 1, CHANGING_BYTES);
		CHECK_OK(madvise(changing, CHANGING_BYTES, MADV_DONTNEED));
	}
	return NULL;
}

/* Whom it interrupts in the middle of the change must get on, or it waits for ever. */
static void in_real_time_beside_changes(void)
{
	struct sched_param param = { .sched_priority = 1 };
	volatile char *last;
	uint64_t worst = 0;
	pthread_t thread;

	harness_run_on(0, 0);
	enter_dune();
	changing = mmap(NULL, CHANGING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	CHECK(changing != MAP_FAILED);
	CHECK_OK(madvise(changing, CHANGING_BYTES, MADV_NOHUGEPAGE));
	last = changing + CHANGING_BYTES - 1;
	CHECK_EQ(pthread_create(&thread, NULL, change, NULL), 0);
	CHECK_OK(sched_setscheduler(0, SCHED_FIFO, &param));
	for (int i = 0; i < 1000; i++) {
		uint64_t before, took;

		usleep(500);
		before = own_time();
		(void)*last;
		took = own_time() - before;
		worst = took > worst ? took : worst;
	}
	changed_enough = true;
	param.sched_priority = 0;
	CHECK_OK(sched_setscheduler(0, SCHED_OTHER, &param));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	harness_note("an access took %lu us at most", worst / 1000);
	CHECK(worst < 100000000);
}

/* ---- Stopped and frozen ------------------------------------------------------------- */

static void stopped_and_continued(void)
{
	struct worker worker = worker_start();

	for (int i = 0; i < 10; i++) {
		int status;

		CHECK_OK(kill(worker.pid, SIGSTOP));
		CHECK_EQ(waitpid(worker.pid, &status, WUNTRACED), worker.pid);
		CHECK(WIFSTOPPED(status));
		worker_must_stand_still(&worker);
		CHECK_OK(kill(worker.pid, SIGCONT));
		worker_must_go_on(&worker);
	}
	worker_finish(&worker);
}

static void wait_until_frozen(long frozen)
{
	for (int i = 0; i < 1000; i++) {
		if (cgroup_read("cgroup.events", "frozen") == frozen)
			return;
		usleep(1000);
	}
	FAIL("the cgroup is not %s", frozen ? "frozen" : "thawed");
}

static void frozen_and_thawed(void)
{
	struct worker worker;
	char pid[16];

	cgroup_create("");
	worker = worker_start();
	snprintf(pid, sizeof(pid), "%d", worker.pid);
	cgroup_write("cgroup.procs", pid);
	for (int i = 0; i < 5; i++) {
		cgroup_write("cgroup.freeze", "1");
		wait_until_frozen(1);
		worker_must_stand_still(&worker);
		cgroup_write("cgroup.freeze", "0");
		wait_until_frozen(0);
		worker_must_go_on(&worker);
	}
	/* Killed while it is frozen. */
	cgroup_write("cgroup.freeze", "1");
	wait_until_frozen(1);
	CHECK_OK(kill(worker.pid, SIGKILL));
	CHECK_EQ(harness_wait(worker.pid), 128 + SIGKILL);
	cgroup_remove();
}

/* ---- Timers ------------------------------------------------------------------------- */

static volatile sig_atomic_t ticks[65];

static void on_tick(int signal)
{
	ticks[signal]++;
}

static void compute_until(int signal, int count)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (ticks[signal] < count) {
		CHECK(worker_compute(10));
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > start.tv_sec + 10)
			FAIL("signal %d came %d times, not %d", signal, (int)ticks[signal], count);
	}
}

static void interval_timers_fire(void)
{
	static const struct {
		int which, signal;
	} timers[] = { { ITIMER_REAL, SIGALRM },
		       { ITIMER_VIRTUAL, SIGVTALRM },
		       { ITIMER_PROF, SIGPROF } };
	const struct itimerval interval = { { 0, 5000 }, { 0, 5000 } }, off = { 0 };

	enter_dune();
	for (int i = 0; i < 3; i++) {
		signal(timers[i].signal, on_tick);
		CHECK_OK(setitimer(timers[i].which, &interval, NULL));
		compute_until(timers[i].signal, 20);
		CHECK_OK(setitimer(timers[i].which, &off, NULL));
	}
}

static void posix_timers_fire(void)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME,
					    CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID };
	const struct itimerspec interval = { { 0, 3000000 }, { 0, 3000000 } };

	enter_dune();
	for (int i = 0; i < 4; i++) {
		struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
					  .sigev_signo = SIGRTMIN + i };
		timer_t timer;

		signal(SIGRTMIN + i, on_tick);
		CHECK_OK(timer_create(clocks[i], &event, &timer));
		CHECK_OK(timer_settime(timer, 0, &interval, NULL));
		compute_until(SIGRTMIN + i, 20);
		CHECK_OK(timer_delete(timer));
	}
}

/* Time inside is the process's own user time, and a limit on it holds. */
static void time_inside_is_user_time(void)
{
	struct rusage before, after;
	struct rlimit limit = { 1, 2 };
	long spent;
	pid_t child;

	enter_dune();
	CHECK_OK(getrusage(RUSAGE_SELF, &before));
	signal(SIGALRM, on_tick);
	CHECK_OK(setitimer(ITIMER_REAL, &(struct itimerval){ { 0 }, { 0, 300000 } }, NULL));
	compute_until(SIGALRM, 1);
	CHECK_OK(getrusage(RUSAGE_SELF, &after));
	spent = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000 +
		(after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1000;
	harness_note("%ld ms of user time in 300 ms", spent);
	CHECK(spent > 50);

	child = harness_fork();
	if (!child) {
		CHECK_OK(setrlimit(RLIMIT_CPU, &limit));
		for (;;)
			;
	}
	CHECK_EQ(harness_wait(child), 128 + SIGXCPU);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(eight_threads_all_get_on, 60),
		guest_test_limit(one_that_spins_does_not_hold_others_up, 60),
		guest_test_limit(moved_to_another_cpu, 60),
		guest_test_limit(of_other_priorities_and_classes, 60),
		guest_test_limit(in_real_time_beside_changes, 60),
		guest_test_limit(stopped_and_continued, 60),
		guest_test_limit(frozen_and_thawed, 60),
		guest_test_limit(interval_timers_fire, 60),
		guest_test_limit(posix_timers_fire, 60),
		guest_test_limit(time_inside_is_user_time, 60),
	};

	return run_guest_tests(tests);
}
