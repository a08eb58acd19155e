// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that forks inside has a child inside; each writes to its own copy
 * of memory, and vfork, exec and wait are what they are outside.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { NR_PAGES = 64 };

static void child_is_inside(void)
{
	pid_t parent, child;

	enter_dune();
	parent = getpid();
	child = harness_fork();
	if (!child) {
		CHECK_EQ(current_ring(), 0);
		CHECK(dune_inside());
		CHECK_EQ(getppid(), parent);
		CHECK(getpid() != parent);
		_exit(0);
	}
	CHECK_EQ(current_ring(), 0);
	CHECK_EQ(getpid(), parent);
	JOIN(child);
}

static char *dirty_pages(void)
{
	char *pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);

	for (int i = 0; i < NR_PAGES; i++)
		pages[i * PAGE_BYTES] = 1;
	return pages;
}

static void write_pages(char *pages, char from, char to)
{
	for (int i = 0; i < NR_PAGES; i++) {
		CHECK_EQ(pages[i * PAGE_BYTES], from);
		pages[i * PAGE_BYTES] = to;
	}
}

static void let_go(int fd)
{
	CHECK_EQ(write(fd, "x", 1), 1);
}

static void wait_for(int fd)
{
	char byte;

	CHECK_EQ(read(fd, &byte, 1), 1);
}

static void copies_are_separate(int parent_first)
{
	int to_child[2], to_parent[2];
	char *pages;
	pid_t child;

	CHECK_OK(pipe(to_child));
	CHECK_OK(pipe(to_parent));
	enter_dune();
	pages = dirty_pages();
	child = harness_fork();
	if (!child) {
		if (parent_first)
			wait_for(to_child[0]);
		write_pages(pages, 1, 2);
		let_go(to_parent[1]);
		wait_for(to_child[0]);
		write_pages(pages, 2, 3);
		_exit(0);
	}
	if (parent_first) {
		write_pages(pages, 1, 4);
		let_go(to_child[1]);
		wait_for(to_parent[0]);
		write_pages(pages, 4, 5);
	} else {
		wait_for(to_parent[0]);
		write_pages(pages, 1, 5);
	}
	let_go(to_child[1]);
	JOIN(child);
	write_pages(pages, 5, 6);
}

static void child_writes_first(void)
{
	copies_are_separate(0);
}

static void parent_writes_first(void)
{
	copies_are_separate(1);
}

static void forked_before_entering(void)
{
	char *pages = dirty_pages();
	pid_t child = harness_fork();

	enter_dune();
	write_pages(pages, 1, child ? 2 : 3);
	write_pages(pages, child ? 2 : 3, 4);
	if (!child)
		_exit(0);
	JOIN(child);
}

static void generations(void)
{
	int depth = 0;
	pid_t child;

	enter_dune();
	do {
		child = harness_fork();
		if (!child)
			depth++;
	} while (!child && depth < 6);
	if (child)
		JOIN(child);
	CHECK_EQ(current_ring(), 0);
	if (depth)
		_exit(0);
}

static void many_children(void)
{
	pid_t children[20];

	enter_dune();
	for (int i = 0; i < 20; i++) {
		children[i] = harness_fork();
		if (!children[i])
			_exit(i);
	}
	for (int i = 0; i < 20; i++)
		CHECK_EQ(harness_wait(children[i]), i);
}

static void vfork_and_exec(void)
{
	volatile int shared = 1;
	pid_t child;

	enter_dune();
	child = vfork();
	if (!child) {
		shared = 2;
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	CHECK(child > 0);
	CHECK_EQ(shared, 2);
	CHECK_EQ(harness_wait(child), 0);
	CHECK_EQ(current_ring(), 0);
}

/* It is its parent's memory: what the child runs on is not its own to give back. */
static void vfork_children_stay_inside(void)
{
	volatile int result = 0;
	pid_t child;

	enter_dune();
	child = vfork();
	if (!child) {
		result = dune_leave();
		_exit(0);
	}
	CHECK_EQ(harness_wait(child), 0);
	CHECK_EQ(result, -EBUSY);
	CHECK_EQ(dune_leave(), 0);
}

/* ---- vfork() for ring 3: the child goes back there, on the stack that its parent waits with ---- */

static volatile int nr_calls;

#define GENERAL_REGS __attribute__((target("general-regs-only")))

GENERAL_REGS __attribute__((always_inline)) static inline long raw(long nr, long a)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a) : "rcx", "r11", "memory");
	return result;
}

/* The second call is the child's. After it the stack is not what the parent had there: it ends, and
 * calls nothing before. */
GENERAL_REGS static void on_system_call(struct dune_frame *frame)
{
	long child;

	if (++nr_calls == 2)
		raw(SYS_exit, 0);
	child = raw(SYS_vfork, 0);
	if (child)
		raw(SYS_exit_group, child > 0 && nr_calls == 2 ? 0 : 1);
	frame->rax = 0;
}

static void vfork_for_ring_3(void)
{
	static const char twice[] = "\x0f\x05\x0f\x05\x0f\x0b"; /* syscall; syscall; ud2 */
	uint64_t value;

	enter_dune();
	ring3_place(twice, twice + sizeof(twice));
	CHECK_EQ(dune_set_syscall_handler(on_system_call, 0), 0);
	dune_ring3_call(ring3_at(twice), ring3_stack_top(), 0, 0, 0, &value, NULL);
	FAIL("ring 3 came back");
}

extern char **environ;

static void spawn_and_system(void)
{
	char *arguments[] = { "sh", "-c", "exit 5", NULL };
	pid_t child;

	enter_dune();
	CHECK_EQ(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ), 0);
	CHECK_EQ(harness_wait(child), 5);
	CHECK_EQ(WEXITSTATUS(system("exit 6")), 6);
	CHECK_EQ(current_ring(), 0);
}

static void exec_leaves_dune(void)
{
	pid_t child;

	enter_dune();
	child = harness_fork();
	if (!child) {
		execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
		_exit(1);
	}
	CHECK_EQ(harness_wait(child), 7);
}

static void child_leaves_and_enters(void)
{
	pid_t child;

	enter_dune();
	child = harness_fork();
	if (!child) {
		CHECK_EQ(dune_leave(), 0);
		CHECK_EQ(current_ring(), 3);
		CHECK_EQ(dune_enter(), 0);
		CHECK_EQ(current_ring(), 0);
		_exit(0);
	}
	JOIN(child);
}

static void *change_rights(void *pages)
{
	CHECK_EQ(dune_enter(), 0);
	for (unsigned turn = 0;; turn++)
		CHECK_EQ(dune_protect(pages, NR_PAGES * PAGE_BYTES,
				      turn & 1 ? DUNE_PROT_READ : DUNE_PROT_READ | DUNE_PROT_WRITE),
			 0);
}

static _Noreturn void try_what_its_parent_prepared(void *pages)
{
	CHECK_EQ(dune_enter(), -ESTALE);
	CHECK_EQ(dune_protect(pages, PAGE_BYTES, DUNE_PROT_READ), -ESTALE);
	CHECK_EQ(dune_arena_create(0, DUNE_ARENA_BYTES, 0, NULL), -ESTALE);
	CHECK(!dune_pte(pages));
	_exit(0);
}

/* Whatever another thread was at, inside, when the child was made outside. */
static void forked_outside_while_others_are_inside(void)
{
	char *pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	pthread_t thread;
	pid_t child;

	CHECK_EQ(dune_init(), 0);
	CHECK_EQ(pthread_create(&thread, NULL, change_rights, pages), 0);
	for (int i = 0; i < 100; i++) {
		usleep(1000);
		child = harness_fork();
		if (!child)
			try_what_its_parent_prepared(pages);
		JOIN(child);
	}
}

static void killed_child_is_reported(void)
{
	pid_t child;

	enter_dune();
	child = harness_fork();
	if (!child)
		for (;;)
			;
	usleep(3000);
	CHECK_OK(kill(child, SIGTERM));
	CHECK_EQ(harness_wait(child), 128 + SIGTERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(child_is_inside),
		guest_test(child_writes_first),
		guest_test(parent_writes_first),
		guest_test(forked_before_entering),
		guest_test(generations),
		guest_test(many_children),
		guest_test(vfork_and_exec),
		guest_test(vfork_children_stay_inside),
		guest_test(vfork_for_ring_3),
		guest_test(spawn_and_system),
		guest_test(exec_leaves_dune),
		guest_test(child_leaves_and_enters),
		guest_test(forked_outside_while_others_are_inside),
		guest_test(killed_child_is_reported),
	};

	return run_guest_tests(tests);
}
