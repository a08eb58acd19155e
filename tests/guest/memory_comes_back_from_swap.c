// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the guest uses can be swapped out and comes back when it is touched: plain
 * memory, what a read-only entry shows, and all that libdune itself lives on,
 * down to the page tables, the IDT and the trap stacks.
 */
#define _GNU_SOURCE
#include "file.h"
#include "memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

enum { NR_PAGES = 256, BYTES = NR_PAGES * PAGE_BYTES, ROUNDS = 5 };

static char *pages;

static void outside_swap_out(void *unused)
{
	(void)unused;
	swap_out(pages, BYTES);
}

static void prepare(void)
{
	swap_on();
	pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	CHECK_OK(madvise(pages, BYTES, MADV_NOHUGEPAGE));
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	probe_init();
}

static void written_each_time(void)
{
	prepare();
	for (int i = 0; i < ROUNDS; i++) {
		pages_mark(pages, NR_PAGES, i);
		sidekick_call(outside_swap_out, NULL);
		CHECK(page_is_in_swap(pages));
		CHECK(pages_are_marked(pages, NR_PAGES, i));
		CHECK(!page_is_in_swap(pages));
	}
}

/* A page that was only read since has a copy in swap that is used again. */
static void read_then_written(void)
{
	prepare();
	pages_mark(pages, NR_PAGES, 0);
	for (int i = 0; i < ROUNDS; i++) {
		sidekick_call(outside_swap_out, NULL);
		CHECK(pages_are_marked(pages, NR_PAGES, i)); /* clean from here on */
		pages_mark(pages, NR_PAGES / 2, i + 1);
		sidekick_call(outside_swap_out, NULL);
		CHECK(pages_are_marked(pages, NR_PAGES / 2, i + 1));
		CHECK(pages_are_marked(pages + BYTES / 2, NR_PAGES / 2, NR_PAGES / 2 + i));
		pages_mark(pages, NR_PAGES, i + 1);
	}
}

static void shared_with_a_child(void)
{
	pid_t child;

	prepare();
	pages_mark(pages, NR_PAGES, 1);
	sidekick_call(outside_swap_out, NULL);
	child = harness_fork();
	if (!child) {
		CHECK(pages_are_marked(pages, NR_PAGES, 1));
		pages_mark(pages, NR_PAGES, 2);
		CHECK(pages_are_marked(pages, NR_PAGES, 2));
		_exit(0);
	}
	CHECK(pages_are_marked(pages, NR_PAGES, 1));
	pages_mark(pages, NR_PAGES, 3);
	JOIN(child);
	CHECK(pages_are_marked(pages, NR_PAGES, 3));
}

/*
 * Every mapping of the process that can be: most of it goes, however much of it
 * is touched again at once. Without the C library's streams, which allocate.
 */
static void outside_swap_out_all(void *unused)
{
	static char maps[65536];
	int fd = CHECK_OK(open("/proc/self/maps", O_RDONLY)), length = 0, bytes;

	(void)unused;
	while ((bytes = read(fd, maps + length, sizeof(maps) - 1 - length)) > 0)
		length += bytes;
	close(fd);
	maps[length] = 0;
	for (char *line = maps, *end; (end = strchr(line, '\n')); line = end + 1) {
		unsigned long from = strtoul(line, &line, 16), to = strtoul(line + 1, NULL, 16);

		madvise((void *)from, to - from, MADV_PAGEOUT); /* not all may be */
	}
}

/* The CPU itself reads this page when it delivers an exception. */
static char *idt(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		char *base;
	} idtr;

	__asm__ volatile("sidt %0" : "=m"(idtr));
	return idtr.base;
}

static unsigned idt_in_swap;

/* What the kernel has in hand when it is told, it passes over: so more than once. */
static void outside_swap_out_all_and_look(void *idt_page)
{
	for (int tries = 0; tries < 10; tries++) {
		outside_swap_out_all(NULL);
		if (page_is_in_swap(idt_page) && page_is_in_swap(pages))
			break;
		usleep(1000);
	}
	idt_in_swap += page_is_in_swap(idt_page);
}

static void everything(void)
{
	unsigned long swapped, most = 0;

	prepare();
	pages_mark(pages, NR_PAGES, 1);
	for (int i = 0; i < 3 * ROUNDS; i++) {
		sidekick_call(outside_swap_out_all_and_look, idt());
		/* An exception: IDT, TSS, trap stack and handler have to come back. */
		CHECK_EQ(probe_read(NULL), -1);
		CHECK_EQ(probe_fault.count, i + 1);
		swapped = file_number("/proc/self/status", "VmSwap:");
		most = swapped > most ? swapped : most;
		CHECK(pages_are_marked(pages, NR_PAGES, 1 + i));
		pages_mark(pages, NR_PAGES, 2 + i);
	}
	harness_note("%lu KiB in swap at most, the IDT %u times of %d", most, idt_in_swap,
		     3 * ROUNDS);
	CHECK(most > 0);
}

/* While the guest runs, not between its calls. */
static volatile bool stop;

static void outside_swap_out_until_told(void *unused)
{
	while (!stop)
		outside_swap_out_all(unused);
}

static void everything_all_the_time(void)
{
	prepare();
	sidekick_post(outside_swap_out_until_told, NULL);
	for (int i = 0; i < 40; i++) {
		pages_mark(pages, NR_PAGES, i);
		CHECK_EQ(probe_read(NULL), -1);
		CHECK(pages_are_marked(pages, NR_PAGES, i));
	}
	CHECK_EQ(probe_fault.count, 40);
	stop = true;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(written_each_time),	     guest_test(read_then_written),
		guest_test(shared_with_a_child),     guest_test(everything),
		guest_test(everything_all_the_time),
	};

	return run_guest_tests(tests);
}
