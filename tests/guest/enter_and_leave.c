// SPDX-License-Identifier: GPL-2.0-only
/* A thread can enter and leave Dune, again and again, and stays what it was. */
#define _GNU_SOURCE
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

static __thread int thread_local = 11;

static uint64_t fs_base(void)
{
	uint64_t base;

	__asm__ volatile("mov %%fs:0, %0" : "=r"(base));
	return base;
}

static void enters_ring_0_and_leaves_it(void)
{
	pid_t pid = getpid(), tid = syscall(SYS_gettid);
	uint64_t base = fs_base();

	CHECK_EQ(current_ring(), 3);
	CHECK(!dune_inside());
	enter_dune();
	CHECK(dune_inside());
	CHECK_EQ(getpid(), pid);
	CHECK_EQ(syscall(SYS_gettid), tid);
	CHECK_EQ(fs_base(), base);
	CHECK_EQ(thread_local, 11);
	thread_local = 12;
	CHECK_EQ(dune_leave(), 0);
	CHECK_EQ(current_ring(), 3);
	CHECK(!dune_inside());
	CHECK_EQ(fs_base(), base);
	CHECK_EQ(thread_local, 12);
	CHECK_EQ(getpid(), pid);
}

static void enters_a_hundred_times(void)
{
	int turns = 0;

	CHECK_EQ(dune_init(), 0);
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(dune_enter(), 0);
		turns += current_ring() == 0;
		CHECK_EQ(dune_leave(), 0);
		turns += current_ring() == 3;
	}
	CHECK_EQ(turns, 200);
}

#define ARCH_SHSTK_ENABLE 0x5001
#define SHADOW_STACK	  1

enum { REFUSED = 40, HAS_NONE };

/* The stack is new: who called this cannot be returned to. */
static void enter_with_a_shadow_stack(void)
{
	long result = SYS_arch_prctl;

	CHECK_EQ(dune_init(), 0);
	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"(ARCH_SHSTK_ENABLE), "S"(SHADOW_STACK)
			 : "rcx", "r11", "memory");
	if (result)
		_exit(HAS_NONE);
	_exit(dune_enter() == -EOPNOTSUPP ? REFUSED : 1);
}

static void not_with_a_shadow_stack(void)
{
	int code = harness_run_in_child(enter_with_a_shadow_stack);

	TEST_REQUIRE(code != HAS_NONE, "the kernel or the CPU has no shadow stacks");
	CHECK_EQ(code, REFUSED);
}

static void gets_no_shadow_stack_inside(void)
{
	enter_dune();
	CHECK_EQ(syscall(SYS_arch_prctl, ARCH_SHSTK_ENABLE, SHADOW_STACK), -1);
	CHECK_EQ(errno, EOPNOTSUPP);
	/* The kernel does not look at the rest of the register. */
	CHECK_EQ(syscall(SYS_arch_prctl, 1ul << 32 | ARCH_SHSTK_ENABLE, SHADOW_STACK), -1);
	CHECK_EQ(errno, EOPNOTSUPP);
	CHECK_EQ(current_ring(), 0);
}

static void initialises_once(void)
{
	CHECK_EQ(dune_init(), 0);
	CHECK_EQ(dune_init(), -EALREADY);
}

static void does_not_enter_before_init(void)
{
	CHECK(dune_enter() < 0);
	CHECK_EQ(current_ring(), 3);
}

static void keeps_stack_and_heap(void)
{
	int on_stack = 1, *on_heap = malloc(sizeof(int));

	*on_heap = 2;
	enter_dune();
	CHECK_EQ(on_stack + *on_heap, 3);
	on_stack = 10;
	*on_heap = 20;
	CHECK_EQ(dune_leave(), 0);
	CHECK_EQ(on_stack + *on_heap, 30);
}

static void keeps_the_signal_mask(void)
{
	sigset_t before, during, after;

	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	sigprocmask(SIG_SETMASK, &before, NULL);
	sigprocmask(SIG_SETMASK, NULL, &before);
	enter_dune();
	sigprocmask(SIG_SETMASK, NULL, &during);
	CHECK_EQ(dune_leave(), 0);
	sigprocmask(SIG_SETMASK, NULL, &after);
	CHECK(!memcmp(&before, &during, 8));
	CHECK(!memcmp(&before, &after, 8));
}

static void *enter_and_leave(void *result)
{
	CHECK_EQ(dune_enter(), 0);
	CHECK_EQ(current_ring(), 0);
	CHECK_EQ(dune_leave(), 0);
	*(int *)result = current_ring();
	return NULL;
}

static void another_thread_enters(void)
{
	pthread_t thread;
	int ring = 0;

	CHECK_EQ(dune_init(), 0);
	CHECK_EQ(pthread_create(&thread, NULL, enter_and_leave, &ring), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(ring, 3);
	CHECK_EQ(current_ring(), 3);
}

enum { NR_CROWD = 3, NR_TURNS = 300 };
static __thread volatile int ring_of_handler;

static void note_ring(int number)
{
	(void)number;
	ring_of_handler = current_ring();
}

static void check_handler(int ring)
{
	ring_of_handler = -1;
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(ring_of_handler, ring);
}

static void *go_in_and_out(void *argument)
{
	for (int i = 0; i < NR_TURNS; i++) {
		CHECK_EQ(dune_enter(), 0);
		check_handler(0);
		CHECK_EQ(dune_leave(), 0);
		check_handler(3);
	}
	return argument;
}

/* Who comes first takes over the handlers, who goes last gives them back. */
static void handlers_run_where_the_thread_is(void)
{
	pthread_t threads[NR_CROWD];
	struct sigaction action;

	signal(SIGUSR1, note_ring);
	CHECK_EQ(dune_init(), 0);
	for (int i = 0; i < NR_CROWD; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, go_in_and_out, NULL), 0);
	for (int i = 0; i < NR_CROWD; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_OK(sigaction(SIGUSR1, NULL, &action));
	CHECK(action.sa_handler == note_ring);
}

static void *exit_inside(void *argument)
{
	CHECK_EQ(dune_enter(), 0);
	check_handler(0);
	return argument;
}

static void handlers_come_back_when_the_last_thread_ends(void)
{
	struct sigaction action;
	pthread_t thread;

	signal(SIGUSR1, note_ring);
	CHECK_EQ(dune_init(), 0);
	CHECK_EQ(pthread_create(&thread, NULL, exit_inside, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_OK(sigaction(SIGUSR1, NULL, &action));
	CHECK(action.sa_handler == note_ring);
}

static void exits_from_inside(void)
{
	pid_t child = harness_fork();

	if (!child) {
		enter_dune();
		_exit(42);
	}
	CHECK_EQ(harness_wait(child), 42);
}

static void tells_what_it_can_do(void)
{
	struct dune_info info;

	CHECK_EQ(dune_init(), 0);
	CHECK_EQ(dune_get_info(&info), 0);
	CHECK_EQ(info.abi_version, 1);
	CHECK(info.nr_tiles >= 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(enters_ring_0_and_leaves_it),
		guest_test(enters_a_hundred_times),
		guest_test(not_with_a_shadow_stack),
		guest_test(gets_no_shadow_stack_inside),
		guest_test(initialises_once),
		guest_test(does_not_enter_before_init),
		guest_test(keeps_stack_and_heap),
		guest_test(keeps_the_signal_mask),
		guest_test(another_thread_enters),
		guest_test(handlers_run_where_the_thread_is),
		guest_test(handlers_come_back_when_the_last_thread_ends),
		guest_test(exits_from_inside),
		guest_test(tells_what_it_can_do),
	};

	return run_guest_tests(tests);
}
