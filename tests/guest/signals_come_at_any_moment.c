// SPDX-License-Identifier: GPL-2.0-only
/*
 * A signal that comes while something else is on its way takes nothing from it: a fault
 * is told to whom it belongs, each signal is seen once, and no mask stays behind.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "faults.h"
#include "ticks.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static volatile sig_atomic_t queued;

static void begin(void)
{
	enter_dune();
	ticks_begin();
}

static void copies_that_fail(void)
{
	void *arena;
	char byte;

	begin();
	CHECK_EQ(dune_arena_create(0, DUNE_ARENA_BYTES, 0, &arena), 0);
	while (ticks_go_on()) {
		CHECK_EQ(dune_copy_from_user(&byte, (uintptr_t)arena, 1), -EFAULT);
		CHECK_EQ(dune_copy_to_user((uintptr_t)arena, &byte, 1), -EFAULT);
	}
	ticks_end();
}

static void faults_of_ring_3(void)
{
	struct dune_ring3_end how;
	uint64_t value;

	begin();
	ring3_place(faults, faults_end);
	while (ticks_go_on()) {
		how = (struct dune_ring3_end){ 0 };
		CHECK_EQ(dune_ring3_call(ring3_at(fault_read), ring3_stack_top(),
					 ring3_data() + PAGE_BYTES, 0, 0, &value, &how),
			 -EFAULT);
		CHECK_EQ(how.vector, 14);
		CHECK_EQ(how.address, ring3_data() + PAGE_BYTES);
	}
	ticks_end();
}

/* ---- Faults that have a handler ---- */

static volatile unsigned long faulted;
static char *volatile page;
static sigjmp_buf back;

static void on_bad_page(int signal)
{
	(void)signal;
	faulted++;
	CHECK_OK(mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE));
}

static void accesses_that_are_mended(void)
{
	unsigned long turns;

	page = map_pages(1, PROT_READ | PROT_WRITE);
	begin();
	CHECK(signal(SIGSEGV, on_bad_page) != SIG_ERR);
	for (turns = 0; ticks_go_on(); turns++) {
		CHECK_OK(mprotect(page, PAGE_BYTES, turns & 1 ? PROT_NONE : PROT_READ));
		*page = 1;
	}
	ticks_end();
	CHECK_EQ(faulted, turns);
}

static void on_bad_code(int signal)
{
	faulted++;
	siglongjmp(back, signal);
}

static void jumps_from_faults(void)
{
	static const char *const codes[] = { fault_read, fault_divide, fault_protection };
	static volatile unsigned long turns;

	begin();
	CHECK(signal(SIGSEGV, on_bad_code) != SIG_ERR);
	CHECK(signal(SIGFPE, on_bad_code) != SIG_ERR);
	for (turns = 0; ticks_go_on(); turns++)
		if (!sigsetjmp(back, 1)) {
			((void (*)(void *))codes[turns % 3])(NULL);
			FAIL("no fault");
		}
	ticks_end();
	CHECK_EQ(faulted, turns);
}

static void on_breakpoint(int signal)
{
	(void)signal;
	faulted++;
}

static void breakpoints(void)
{
	unsigned long turns;

	begin();
	CHECK(signal(SIGTRAP, on_breakpoint) != SIG_ERR);
	for (turns = 0; ticks_go_on(); turns++)
		((void (*)(void))fault_breakpoint)();
	ticks_end();
	CHECK_EQ(faulted, turns);
}

/* ---- Masks ---- */

static void on_queued(int signal)
{
	(void)signal;
	queued++;
}

static void start_other_ticks(long period_us)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec timer = { { 0, period_us * 1000 }, { 0, period_us * 1000 } };
	timer_t id;

	CHECK(signal(SIGUSR1, on_queued) != SIG_ERR);
	CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &id));
	CHECK_OK(timer_settime(id, 0, &timer, NULL));
}

static void two_timers(void)
{
	sigset_t mask;

	begin();
	start_other_ticks(TICK_US * 9 / 10);
	while (ticks_go_on())
		;
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &mask));
	CHECK(!sigismember(&mask, SIGALRM));
	CHECK(!sigismember(&mask, SIGUSR1));
	CHECK(queued > 100);
	ticks_end();
}

/* ---- Actions ---- */

static void on_queued_unless_ignored(int signal)
{
	struct sigaction now;

	on_queued(signal);
	CHECK_OK(sigaction(signal, NULL, &now));
	CHECK(now.sa_handler == on_queued_unless_ignored);
}

static void handlers_that_are_given_up(void)
{
	begin();
	for (int i = 0; i < 8; i++) /* each is slow while its signal is ignored */
		start_other_ticks(5000 * harness_patience() + 37 * i);
	while (ticks_go_on())
		for (int i = 0; i < 10; i++) {
			CHECK(signal(SIGUSR1, on_queued_unless_ignored) != SIG_ERR);
			CHECK(signal(SIGUSR1, SIG_IGN) == on_queued_unless_ignored);
		}
	ticks_end();
	CHECK(queued > 20 / (int)harness_patience());
}

/* A handler and the mask that goes with it. */
static void on_queued_with_mask(int signal)
{
	sigset_t mask;

	(void)signal;
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &mask));
	CHECK(sigismember(&mask, SIGUSR2));
	queued++;
}

static void on_queued_without_mask(int signal)
{
	sigset_t mask;

	(void)signal;
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &mask));
	CHECK(!sigismember(&mask, SIGUSR2));
	queued++;
}

static void *change_actions(void *stop)
{
	struct sigaction action = { .sa_handler = on_queued_without_mask }, with_mask = action;

	with_mask.sa_handler = on_queued_with_mask;
	sigaddset(&with_mask.sa_mask, SIGUSR2);
	while (!*(volatile bool *)stop) {
		CHECK_OK(sigaction(SIGUSR1, &with_mask, NULL));
		CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	}
	return NULL;
}

/* By a thread that runs beside this one, where there are two CPUs. */
static void handlers_that_are_changed(void)
{
	static volatile bool stop;
	pthread_t thread;
	sigset_t mask;

	begin();
	CHECK(signal(SIGUSR1, on_queued_without_mask) != SIG_ERR);
	CHECK_EQ(pthread_create(&thread, NULL, change_actions, (void *)&stop), 0);
	while (ticks_go_on())
		raise(SIGUSR1);
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &mask));
	CHECK(!sigismember(&mask, SIGUSR2));
	stop = true;
	CHECK_EQ(pthread_join(thread, NULL), 0);
	ticks_end();
	CHECK(queued > 100);
}

/* ---- Children: a signal that the parent has caught is not theirs ---- */

static pid_t parent;
static volatile int *in_children;

static void on_tick_of_parent(int signal)
{
	on_tick(signal);
	if (getpid() != parent)
		(*in_children)++;
}

static void forks_in_a_loop(void)
{
	pid_t child;

	in_children =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(in_children != MAP_FAILED);
	parent = getpid();
	begin();
	CHECK(signal(SIGALRM, on_tick_of_parent) != SIG_ERR);
	while (ticks_go_on()) {
		child = CHECK_OK(syscall(SYS_fork)); /* fork() would block all signals first */
		if (!child)
			syscall(SYS_exit_group, 0);
		while (waitpid(child, NULL, 0) != child)
			;
	}
	ticks_end();
	CHECK_EQ(*in_children, 0);
}

/* ---- Traps, whose instruction is done and does not come again ---- */

static volatile unsigned long steps;
extern const char steps_end[];

__attribute__((target("general-regs-only"))) static void count_step(struct dune_frame *frame)
{
	steps++;
	if (frame->rip == (uint64_t)steps_end)
		frame->rflags &= ~0x100ull; /* TF */
}

static void single_steps(void)
{
	begin();
	CHECK_EQ(dune_set_handler(1, count_step, 0), 0);
	while (ticks_go_on()) {
		steps = 0;
		__asm__ volatile("pushf\n\t"
				 "orq $0x100, (%%rsp)\n\t"
				 "popf\n\t"
				 "mov $100, %%ecx\n"
				 "1:\n\t"
				 "dec %%ecx\n\t"
				 "jnz 1b\n"
				 "steps_end:\n\t"
				 "nop"
				 :
				 :
				 : "rcx", "memory", "cc");
		CHECK_EQ(steps, 201);
	}
	ticks_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(copies_that_fail),
		guest_test(faults_of_ring_3),
		guest_test(accesses_that_are_mended),
		guest_test(jumps_from_faults),
		guest_test(breakpoints),
		guest_test(single_steps),
		guest_test(two_timers),
		guest_test(handlers_that_are_given_up),
		guest_test(handlers_that_are_changed),
		guest_test(forks_in_a_loop),
	};

	return run_guest_tests(tests);
}
