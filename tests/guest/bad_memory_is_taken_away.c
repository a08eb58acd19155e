// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host takes frames away that the hardware reports: from one that is only
 * suspect the guest's page moves, and with one that is bad its contents are gone,
 * which whoever touches it learns by Linux's own signal.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define NO_POISON "the kernel is built without CONFIG_MEMORY_FAILURE"

/* ---- Before it is bad: the page moves ---- */

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

static atomic_bool moving;

static void outside_take_offline(void *page)
{
	CHECK_OK(madvise(page, PAGE_BYTES, MADV_SOFT_OFFLINE));
	atomic_store(&moving, false);
}

static void taken_offline(void)
{
	enum { NR_MOVED = 16 };
	unsigned long frame;
	char *area = map_pages(NR_MOVED, PROT_READ | PROT_WRITE);

	TEST_REQUIRE(!madvise(area, 0, MADV_SOFT_OFFLINE), NO_POISON);
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	for (int i = 0; i < NR_MOVED; i++) {
		volatile unsigned *word = (unsigned *)(area + i * PAGE_BYTES);
		unsigned count = 0;

		*word = 0;
		frame = page_frame(word);
		atomic_store(&moving, true);
		sidekick_post(outside_take_offline, (void *)word);
		while (atomic_load(&moving))
			CHECK_EQ((*word)++, count++);
		CHECK_EQ(*word, count);
		CHECK(page_frame(word) != frame);
	}
}

/* ---- Poison ---- */

static char *bad_page;
static volatile int signal_code;
static volatile uintptr_t signal_address;

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	signal_code = info->si_code;
	signal_address = (uintptr_t)info->si_addr;
	/* Another page in its place: the access is made again. */
	CHECK(mmap(bad_page, PAGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == bad_page);
}

static void outside_poison(void *unused)
{
	(void)unused;
	CHECK_OK(madvise(bad_page, PAGE_BYTES, MADV_HWPOISON));
}

static void poisoned(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	bad_page = map_pages(1, PROT_READ | PROT_WRITE);
	TEST_REQUIRE(!madvise(bad_page, 0, MADV_HWPOISON), NO_POISON);
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	CHECK_OK(sigaction(SIGBUS, &action, NULL));
	*(volatile char *)bad_page = 1;
	sidekick_call(outside_poison, NULL);
	CHECK_EQ(*(volatile char *)bad_page, 0);
	CHECK_EQ(signal_code, BUS_MCEERR_AR);
	CHECK_EQ(signal_address, (uintptr_t)bad_page);
}

/* In a huge page: the rest of it stays. */
static void poisoned_in_a_huge_page(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	char *huge = huge_page_make(3);

	bad_page = huge + 77 * PAGE_BYTES;
	TEST_REQUIRE(!madvise(bad_page, 0, MADV_HWPOISON), NO_POISON);
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	CHECK_OK(sigaction(SIGBUS, &action, NULL));
	for (unsigned i = 0; i < HUGE_PAGES; i++)
		*(volatile char *)(huge + i * PAGE_BYTES) = 4;
	sidekick_call(outside_poison, NULL);
	*(volatile char *)bad_page = 5;
	CHECK_EQ(signal_code, BUS_MCEERR_AR);
	CHECK_EQ(signal_address, (uintptr_t)bad_page);
	for (unsigned i = 0; i < HUGE_PAGES; i++)
		CHECK_EQ(*(volatile char *)(huge + i * PAGE_BYTES), i == 77 ? 5 : 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(taken_offline),
		guest_test(poisoned),
		guest_test(poisoned_in_a_huge_page),
	};

	return run_guest_tests(tests);
}
