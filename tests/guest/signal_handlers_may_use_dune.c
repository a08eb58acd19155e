// SPDX-License-Identifier: GPL-2.0-only
/*
 * A signal handler may do all that the code may that it interrupted: change rights, use new
 * pieces of 1 GiB, and make the system calls that libdune looks at; and it may jump away.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

enum { NR_PAGES = 64, NR_ALARMS = 500 };
#define FIRST_PIECE 0x100000000000ull
#define PIECE_BYTES (1ull << 30)

static char *pages, *pages_of_handler;
static volatile unsigned nr_alarms;
static bool jumps;
static sigjmp_buf back;

static void touch_new_piece(unsigned number)
{
	char *page = (char *)(FIRST_PIECE + number * PIECE_BYTES);

	CHECK(mmap(page, PAGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == page);
	*(volatile char *)page = 1;
}

static void protect(char *start, unsigned turn)
{
	unsigned first = turn % NR_PAGES;
	unsigned prot = DUNE_PROT_READ | (turn / NR_PAGES % 2 ? DUNE_PROT_WRITE : 0);

	CHECK_EQ(dune_protect(start + first * PAGE_BYTES, (NR_PAGES - first) * PAGE_BYTES, prot),
		 0);
	CHECK(dune_pte(start + first * PAGE_BYTES));
}

static void on_alarm(int number)
{
	unsigned turn = nr_alarms++;

	(void)number;
	protect(pages_of_handler, turn);
	CHECK_EQ(dup2(STDOUT_FILENO, 100), 100);
	CHECK_OK(close(100));
	CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	if (turn % 8 == 0)
		touch_new_piece(turn / 8);
	if (jumps && turn < NR_ALARMS)
		siglongjmp(back, 1);
}

static void while_it_changes_rights(bool inside, bool and_jump)
{
	struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };
	volatile unsigned turn = 0;

	pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	pages_of_handler = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	jumps = and_jump;
	CHECK_EQ(inside ? dune_init() ?: dune_enter() : dune_init(), 0);
	signal(SIGALRM, on_alarm);
	CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
	sigsetjmp(back, 1);
	while (nr_alarms < NR_ALARMS)
		protect(pages, turn++);
}

static void and_comes_back(void)
{
	while_it_changes_rights(true, false);
}

static void and_jumps_away(void)
{
	while_it_changes_rights(true, true);
}

static void outside(void)
{
	while_it_changes_rights(false, false);
}

static void outside_and_jumps_away(void)
{
	while_it_changes_rights(false, true);
}

static void while_it_enters_and_leaves(void)
{
	struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };

	pages_of_handler = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	CHECK_EQ(dune_init(), 0);
	signal(SIGALRM, on_alarm);
	CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
	while (nr_alarms < NR_ALARMS) {
		CHECK_EQ(dune_enter(), 0);
		CHECK_EQ(dune_leave(), 0);
	}
}

/* ---- It may come and go itself ---- */

static volatile unsigned nr_breakpoints;

static void on_breakpoint(struct dune_frame *frame)
{
	(void)frame;
	nr_breakpoints++;
}

static void check_inside(void)
{
	unsigned before = nr_breakpoints;

	CHECK_EQ(current_ring(), 0);
	CHECK(getppid() > 1);
	__asm__ volatile("int3");
	CHECK_EQ(nr_breakpoints, before + 1);
	CHECK_EQ(current_ring(), 0);
}

static void enter(int number)
{
	(void)number;
	CHECK_EQ(dune_enter(), 0);
}

/* Wherever the thread's area was: the next is elsewhere. */
static void fill_holes(void)
{
	for (int i = 0; i < 16; i++)
		map_pages(256, PROT_NONE);
}

static void leave_and_enter(int number)
{
	(void)number;
	CHECK_EQ(dune_leave(), 0);
	fill_holes();
	CHECK_EQ(dune_enter(), 0);
	check_inside();
}

static void stay(int number)
{
	(void)number;
	check_inside();
}

/* What signals inside have left on the stack is there when the kernel makes a frame. */
static void that_enters(void)
{
	CHECK_EQ(dune_init(), 0);
	CHECK_EQ(dune_set_handler(3, on_breakpoint, DUNE_SAVE_FPU), 0);
	signal(SIGUSR1, enter);
	signal(SIGUSR2, stay);
	for (int i = 0; i < 5; i++) {
		raise(SIGUSR1);
		check_inside();
		raise(SIGUSR2);
		check_inside();
		CHECK_EQ(dune_leave(), 0);
		fill_holes();
	}
}

static void that_leaves_and_enters(void)
{
	enter_dune();
	CHECK_EQ(dune_set_handler(3, on_breakpoint, DUNE_SAVE_FPU), 0);
	signal(SIGUSR1, leave_and_enter);
	for (int i = 0; i < 5; i++) {
		raise(SIGUSR1);
		check_inside();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(and_comes_back),
		guest_test(and_jumps_away),
		guest_test(outside),
		guest_test(outside_and_jumps_away),
		guest_test(while_it_enters_and_leaves),
		guest_test(that_enters),
		guest_test(that_leaves_and_enters),
	};

	return run_guest_tests(tests);
}
