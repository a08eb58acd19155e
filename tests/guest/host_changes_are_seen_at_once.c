// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host does to a page, the guest sees at its next access: unmapped,
 * replaced, moved, write-protected, thrown away, truncated. A thread outside
 * makes the change, as any other part of the kernel may.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

static char *page;
static int file;

static void prepare(void)
{
	page = map_pages(1, PROT_READ | PROT_WRITE);
	*page = 1;
	CHECK_EQ(dune_init(), 0);
	sidekick_start();
	CHECK_EQ(dune_enter(), 0);
	probe_init();
	CHECK_EQ(*(volatile char *)page, 1);
	CHECK_EQ(probe_write(page, 1), 0);
}

static void outside_unmap(void *address)
{
	CHECK_OK(munmap(address, PAGE_BYTES));
}

static void outside_replace(void *address)
{
	char *other = map_pages(1, PROT_READ | PROT_WRITE);

	*other = 2;
	CHECK(mremap(other, PAGE_BYTES, PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, address) ==
	      address);
}

static void outside_forbid(void *address)
{
	CHECK_OK(mprotect(address, PAGE_BYTES, PROT_NONE));
}

static void outside_protect(void *address)
{
	CHECK_OK(mprotect(address, PAGE_BYTES, PROT_READ));
}

static void outside_allow(void *address)
{
	CHECK_OK(mprotect(address, PAGE_BYTES, PROT_READ | PROT_WRITE));
}

static void outside_drop(void *address)
{
	CHECK_OK(madvise(address, PAGE_BYTES, MADV_DONTNEED));
}

static void outside_truncate(void *unused)
{
	(void)unused;
	CHECK_OK(ftruncate(file, 0));
}

static void outside_write(void *address)
{
	*(volatile char *)address = 77;
}

static void outside_check(void *address)
{
	CHECK_EQ(*(volatile char *)address, 78);
}

static void outside_fork(void *address)
{
	pid_t child = CHECK_OK(fork());

	if (!child) {
		usleep(20000);
		_exit(*(volatile char *)address);
	}
	(void)address;
}

static void unmapped(void)
{
	prepare();
	sidekick_call(outside_unmap, page);
	CHECK_EQ(probe_read(page), -1);
	CHECK_EQ(probe_fault.address, (uintptr_t)page);
	CHECK_EQ(probe_write(page, 1), -1);
}

static void replaced(void)
{
	prepare();
	sidekick_call(outside_replace, page);
	CHECK_EQ(*(volatile char *)page, 2);
}

/* The guest does nothing but look: the change must reach a CPU that is inside. */
static void replaced_under_the_eyes_of_a_spinning_guest(void)
{
	prepare();
	sidekick_post(outside_replace, page);
	while (*(volatile char *)page == 1)
		;
	CHECK_EQ(*(volatile char *)page, 2);
}

static void unmapped_under_the_eyes_of_a_spinning_guest(void)
{
	prepare();
	sidekick_post(outside_unmap, page);
	while (!probe_read(page))
		;
	CHECK_EQ(probe_read(page), -1);
}

static void write_protected(void)
{
	prepare();
	for (int i = 0; i < 20; i++) {
		sidekick_call(outside_protect, page);
		CHECK_EQ(probe_read(page), 0);
		CHECK_EQ(probe_write(page, 5), -1);
		CHECK_EQ(*(volatile char *)page, 1);
		sidekick_call(outside_forbid, page);
		CHECK_EQ(probe_read(page), -1);
		sidekick_call(outside_allow, page);
		CHECK_EQ(probe_write(page, 1), 0);
	}
}

static void thrown_away(void)
{
	prepare();
	sidekick_call(outside_drop, page);
	CHECK_EQ(*(volatile char *)page, 0);
	CHECK_EQ(probe_write(page, 3), 0);
	CHECK_EQ(*(volatile char *)page, 3);
}

static void truncated(void)
{
	file = memfd_create("truncated", 0);
	CHECK_OK(file);
	CHECK_OK(ftruncate(file, PAGE_BYTES));
	prepare();
	page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(page != MAP_FAILED);
	CHECK_EQ(probe_write(page, 1), 0);
	sidekick_call(outside_truncate, NULL);
	CHECK_EQ(probe_read(page), -1);
	CHECK_OK(ftruncate(file, PAGE_BYTES));
	CHECK_EQ(probe_read(page), 0);
	CHECK_EQ(*(volatile char *)page, 0);
}

static void written(void)
{
	prepare();
	sidekick_call(outside_write, page);
	CHECK_EQ(*(volatile char *)page, 77);
	*(volatile char *)page = 78;
	sidekick_call(outside_check, page);
}

/* The kernel write-protects all pages of a process that forks. */
static void protected_by_a_fork_outside(void)
{
	int status;

	prepare();
	for (int i = 0; i < 5; i++) {
		*(volatile char *)page = 40 + i;
		sidekick_call(outside_fork, page);
		*(volatile char *)page = 1; /* must not reach the child */
		CHECK_OK(waitpid(-1, &status, 0));
		CHECK(WIFEXITED(status));
		CHECK_EQ(WEXITSTATUS(status), 40 + i);
	}
}

/* The same from the inside, where the calls leave by the host loop. */
static void changed_by_its_own_calls(void)
{
	char *other;

	prepare();
	for (int i = 0; i < 50; i++) {
		CHECK_OK(mprotect(page, PAGE_BYTES, PROT_READ));
		CHECK_EQ(probe_write(page, 9), -1);
		CHECK_OK(mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE));
		CHECK_EQ(probe_write(page, 9), 0);
	}
	CHECK_OK(munmap(page, PAGE_BYTES));
	CHECK_EQ(probe_read(page), -1);
	other = mmap(page, PAGE_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(other == page);
	CHECK_EQ(*(volatile char *)page, 0);
}

enum { HUGE_BYTES = 2 << 20 };

/* A huge page of which a part changes. */
static void part_of_a_huge_page(void)
{
	char *area = map_pages(2 * HUGE_BYTES / PAGE_BYTES, PROT_READ | PROT_WRITE);
	char *huge = (char *)(((uintptr_t)area + HUGE_BYTES - 1) & -(uintptr_t)HUGE_BYTES);

	madvise(huge, HUGE_BYTES, MADV_HUGEPAGE);
	prepare();
	memset(huge, 6, HUGE_BYTES);
	sidekick_call(outside_protect, huge + 100 * PAGE_BYTES);
	CHECK_EQ(probe_write(huge + 100 * PAGE_BYTES, 7), -1);
	CHECK_EQ(probe_write(huge + 99 * PAGE_BYTES, 7), 0);
	CHECK_EQ(probe_write(huge + 101 * PAGE_BYTES, 7), 0);
	sidekick_call(outside_replace, huge + 100 * PAGE_BYTES);
	CHECK_EQ(huge[100 * PAGE_BYTES], 2);
	sidekick_call(outside_drop, huge + 200 * PAGE_BYTES);
	CHECK_EQ(huge[200 * PAGE_BYTES], 0);
	for (unsigned i = 0; i < HUGE_BYTES / PAGE_BYTES; i++)
		if (i != 99 && i != 100 && i != 101 && i != 200)
			CHECK_EQ(huge[i * PAGE_BYTES], 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(unmapped),
		guest_test(replaced),
		guest_test(replaced_under_the_eyes_of_a_spinning_guest),
		guest_test(unmapped_under_the_eyes_of_a_spinning_guest),
		guest_test(write_protected),
		guest_test(thrown_away),
		guest_test(truncated),
		guest_test(written),
		guest_test(protected_by_a_fork_outside),
		guest_test(changed_by_its_own_calls),
		guest_test(part_of_a_huge_page),
	};

	return run_guest_tests(tests);
}
