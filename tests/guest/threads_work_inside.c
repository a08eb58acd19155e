// SPDX-License-Identifier: GPL-2.0-only
/* POSIX threads made inside are inside, and are ordinary threads. */
#define _GNU_SOURCE
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { NR_THREADS = 8, NR_TURNS = 300 };

static __thread int own = 5;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *count(void *number)
{
	CHECK_EQ(current_ring(), 0);
	CHECK_EQ(own, 5);
	own = (int)(intptr_t)number;
	for (int i = 0; i < NR_TURNS; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
		if (i % 32 == 0)
			sched_yield();
	}
	CHECK_EQ(own, (intptr_t)number);
	CHECK_EQ(current_ring(), 0);
	return (void *)(syscall(SYS_gettid));
}

static void share_a_mutex(void)
{
	pthread_t threads[NR_THREADS];
	void *tids[NR_THREADS];

	enter_dune();
	for (intptr_t i = 0; i < NR_THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, count, (void *)i), 0);
	for (int i = 0; i < NR_THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], &tids[i]), 0);
	CHECK_EQ(counter, NR_THREADS * NR_TURNS);
	for (int i = 1; i < NR_THREADS; i++)
		CHECK(tids[i] != tids[i - 1]);
	CHECK_EQ(own, 5);
}

static void *do_nothing(void *argument)
{
	return argument;
}

static void come_and_go(void)
{
	enter_dune();
	for (intptr_t i = 0; i < 100; i++) {
		pthread_t thread;
		void *result;

		CHECK_EQ(pthread_create(&thread, NULL, do_nothing, (void *)i), 0);
		CHECK_EQ(pthread_join(thread, &result), 0);
		CHECK_EQ((intptr_t)result, i);
	}
}

static sem_t ping, pong;

static void *answer(void *argument)
{
	for (int i = 0; i < 100; i++) {
		sem_wait(&ping);
		sem_post(&pong);
	}
	return argument;
}

static void wait_for_each_other(void)
{
	pthread_t thread;

	sem_init(&ping, 0, 0);
	sem_init(&pong, 0, 0);
	enter_dune();
	CHECK_EQ(pthread_create(&thread, NULL, answer, NULL), 0);
	for (int i = 0; i < 100; i++) {
		sem_post(&ping);
		sem_wait(&pong);
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static atomic_int spinning;

static void *spin(void *argument)
{
	spinning = 1;
	while (spinning == 1)
		;
	return argument;
}

static void do_not_wait_for_one_that_spins(void)
{
	pthread_t thread;

	enter_dune();
	CHECK_EQ(pthread_create(&thread, NULL, spin, NULL), 0);
	while (!spinning)
		sched_yield();
	for (int i = 0; i < 20; i++)
		getppid();
	spinning = 2;
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *fault(void *argument)
{
	CHECK_EQ(probe_read((void *)8), -1);
	return argument;
}

static void fault_each_on_its_own_stack(void)
{
	pthread_t threads[NR_THREADS];

	enter_dune();
	probe_init();
	for (int i = 0; i < NR_THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, fault, NULL), 0);
	for (int i = 0; i < NR_THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(probe_fault.count, NR_THREADS);
}

static void *exit_process(void *argument)
{
	(void)argument;
	_exit(33);
}

static void exit_all_together(void)
{
	pid_t child = harness_fork();
	pthread_t thread;

	if (!child) {
		enter_dune();
		pthread_create(&thread, NULL, spin, NULL);
		pthread_create(&thread, NULL, exit_process, NULL);
		for (;;)
			pause();
	}
	CHECK_EQ(harness_wait(child), 33);
}

static void *cleanup_waits(void *argument)
{
	for (;;)
		pause();
	return argument;
}

static void can_be_cancelled(void)
{
	pthread_t thread;
	void *result;

	enter_dune();
	CHECK_EQ(pthread_create(&thread, NULL, cleanup_waits, NULL), 0);
	usleep(2000);
	CHECK_EQ(pthread_cancel(thread), 0);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(result == PTHREAD_CANCELED);
}

static void *fork_in_thread(void *argument)
{
	pid_t child = harness_fork();

	if (!child) {
		CHECK_EQ(current_ring(), 0);
		CHECK_EQ(own, 5);
		_exit(0);
	}
	JOIN(child);
	return argument;
}

static void fork_from_a_thread(void)
{
	pthread_t thread;

	enter_dune();
	CHECK_EQ(pthread_create(&thread, NULL, fork_in_thread, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* As the detached threads of some C libraries do: the stack goes before the thread. */
enum { STACK_BYTES = 16 * PAGE_BYTES };

static int unmap_stack_and_exit(void *stack)
{
	__asm__ volatile("syscall\n\t"
			 "mov %%eax, %%edi\n\t"
			 "mov %[exit], %%eax\n\t"
			 "syscall"
			 :
			 : "a"(SYS_munmap), "D"(stack), "S"(STACK_BYTES), [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory");
	return 0;
}

static void may_unmap_their_stack(void)
{
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			  CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

	enter_dune();
	for (int i = 0; i < 10; i++) {
		char *stack = map_pages(STACK_BYTES / PAGE_BYTES, PROT_READ | PROT_WRITE);
		volatile pid_t tid = 1;
		unsigned char there;

		CHECK_OK(clone(unmap_stack_and_exit, stack + STACK_BYTES, flags, stack, &tid, NULL,
			       &tid));
		while (tid)
			sched_yield();
		CHECK_ERRNO(mincore(stack, STACK_BYTES, &there), ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(share_a_mutex),
		guest_test(come_and_go),
		guest_test(wait_for_each_other),
		guest_test(do_not_wait_for_one_that_spins),
		guest_test(fault_each_on_its_own_stack),
		guest_test(exit_all_together),
		guest_test(can_be_cancelled),
		guest_test(fork_from_a_thread),
		guest_test(may_unmap_their_stack),
	};

	return run_guest_tests(tests);
}
