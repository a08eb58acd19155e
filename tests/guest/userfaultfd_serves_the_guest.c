// SPDX-License-Identifier: GPL-2.0-only
/*
 * A trusted program pages its own memory: userfaultfd tells a thread of accesses
 * inside, and what that thread puts there the guest finds. The thread may be
 * outside or inside Dune, and the descriptor one for user mode only, which is
 * all that an unprivileged program gets.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { NR_PAGES = 32, BYTES = NR_PAGES * PAGE_BYTES };

static int uffd;
static char *pages, *staging;
static char *alias; /* of the same shared memory, for minor faults */
static volatile unsigned nr_missing, nr_protected, nr_minor;

/* ---- The pager ---- */

static void copy_page(uint64_t address)
{
	struct uffdio_copy copy = { .dst = address, .src = (uintptr_t)staging, .len = PAGE_BYTES };

	*(unsigned *)staging = (address - (uintptr_t)pages) / PAGE_BYTES + 1;
	nr_missing++;
	CHECK_OK(ioctl(uffd, UFFDIO_COPY, &copy));
}

static void protect(uint64_t address, uint64_t bytes, bool on)
{
	struct uffdio_writeprotect protection = {
		.range = { address, bytes },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	CHECK_OK(ioctl(uffd, UFFDIO_WRITEPROTECT, &protection));
}

static void continue_page(uint64_t address)
{
	struct uffdio_continue go_on = { .range = { address, PAGE_BYTES } };

	*(unsigned *)(alias + (address - (uintptr_t)pages)) += 1000;
	nr_minor++;
	CHECK_OK(ioctl(uffd, UFFDIO_CONTINUE, &go_on));
}

static void *pager(void *unused)
{
	struct uffd_msg message;

	for (;;) {
		CHECK_EQ(read(uffd, &message, sizeof(message)), sizeof(message));
		CHECK_EQ(message.event, UFFD_EVENT_PAGEFAULT);
		uint64_t address = message.arg.pagefault.address & -PAGE_BYTES;
		uint64_t flags = message.arg.pagefault.flags;

		if (flags & UFFD_PAGEFAULT_FLAG_WP) {
			nr_protected++;
			protect(address, PAGE_BYTES, false);
		} else if (flags & UFFD_PAGEFAULT_FLAG_MINOR) {
			continue_page(address);
		} else {
			copy_page(address);
		}
	}
	return unused;
}

static void start_pager(void)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, pager, NULL), 0);
}

/* ---- Setting up ---- */

static void open_uffd(int flags, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	uffd = CHECK_OK(syscall(SYS_userfaultfd, O_CLOEXEC | flags));
	CHECK_OK(ioctl(uffd, UFFDIO_API, &api));
	staging = map_pages(1, PROT_READ | PROT_WRITE);
}

static void watch(char *area, uint64_t mode)
{
	struct uffdio_register watched = { .range = { (uintptr_t)area, BYTES }, .mode = mode };

	pages = area;
	CHECK_OK(ioctl(uffd, UFFDIO_REGISTER, &watched));
}

static void check_missing(void)
{
	CHECK(pages_are_marked(pages, NR_PAGES, 1));
	CHECK_EQ(nr_missing, NR_PAGES);
	pages_mark(pages, NR_PAGES, 2);
	CHECK_OK(madvise(pages, BYTES, MADV_DONTNEED));
	for (int i = 0; i < NR_PAGES; i++)
		*(volatile unsigned *)(pages + i * PAGE_BYTES + 8) = 1; /* by writing */
	CHECK(pages_are_marked(pages, NR_PAGES, 1));
	CHECK_EQ(nr_missing, 2 * NR_PAGES);
}

static void missing(void)
{
	open_uffd(0, 0);
	watch(map_pages(NR_PAGES, PROT_READ | PROT_WRITE), UFFDIO_REGISTER_MODE_MISSING);
	start_pager();
	enter_dune();
	check_missing();
}

static void missing_with_a_pager_inside(void)
{
	open_uffd(0, 0);
	enter_dune();
	watch(map_pages(NR_PAGES, PROT_READ | PROT_WRITE), UFFDIO_REGISTER_MODE_MISSING);
	start_pager();
	check_missing();
}

/* A handler for page faults hears nothing of it. */
static void missing_for_user_mode_only(void)
{
	open_uffd(UFFD_USER_MODE_ONLY, 0);
	watch(map_pages(NR_PAGES, PROT_READ | PROT_WRITE), UFFDIO_REGISTER_MODE_MISSING);
	start_pager();
	enter_dune();
	probe_init();
	check_missing();
	CHECK_EQ(probe_fault.count, 0);
}

static void write_protected(void)
{
	open_uffd(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	watch(map_pages(NR_PAGES, PROT_READ | PROT_WRITE), UFFDIO_REGISTER_MODE_WP);
	start_pager();
	enter_dune();
	pages_mark(pages, NR_PAGES, 1);
	CHECK_EQ(nr_protected, 0);
	for (unsigned i = 1; i <= 5; i++) {
		protect((uintptr_t)pages, BYTES, true);
		CHECK(pages_are_marked(pages, NR_PAGES, i));
		CHECK_EQ(nr_protected, (i - 1) * NR_PAGES);
		pages_mark(pages, NR_PAGES, i + 1);
		CHECK_EQ(nr_protected, i * NR_PAGES);
		pages_mark(pages, NR_PAGES, i + 1);
		CHECK_EQ(nr_protected, i * NR_PAGES);
	}
}

/* A huge page is write-protected in part. */
static void write_protected_in_a_huge_page(void)
{
	char *huge = huge_page_make(0);

	open_uffd(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	enter_dune();
	pages_mark(huge, HUGE_PAGES, 1);
	watch(huge, UFFDIO_REGISTER_MODE_WP);
	start_pager();
	protect((uintptr_t)huge, 2 * PAGE_BYTES, true);
	pages_mark(huge, HUGE_PAGES, 2);
	CHECK_EQ(nr_protected, 2);
	CHECK(pages_are_marked(huge, HUGE_PAGES, 2));
}

static void minor(void)
{
	int fd = memfd_create("minor", 0);
	char *area;

	CHECK_OK(fd);
	CHECK_OK(ftruncate(fd, BYTES));
	alias = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	area = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(alias != MAP_FAILED && area != MAP_FAILED);
	pages_mark(alias, NR_PAGES, 1);
	open_uffd(0, UFFD_FEATURE_MINOR_SHMEM);
	watch(area, UFFDIO_REGISTER_MODE_MINOR);
	start_pager();
	enter_dune();
	CHECK(pages_are_marked(pages, NR_PAGES, 1001));
	CHECK_EQ(nr_minor, NR_PAGES);
	CHECK_OK(madvise(pages, BYTES, MADV_DONTNEED));
	CHECK(pages_are_marked(pages, NR_PAGES, 2001));
	CHECK_EQ(nr_minor, 2 * NR_PAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(missing),
		guest_test(missing_with_a_pager_inside),
		guest_test(missing_for_user_mode_only),
		guest_test(write_protected),
		guest_test(write_protected_in_a_huge_page),
		guest_test(minor),
	};

	return run_guest_tests(tests);
}
