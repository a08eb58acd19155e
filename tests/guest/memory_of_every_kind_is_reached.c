// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever a process can map it can use inside, with the rights that it has
 * outside: files private and shared, memory of other processes, code that may
 * only be run, stacks that grow, locked pages, pages without a struct page.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { NR_PAGES = 64, BYTES = NR_PAGES * PAGE_BYTES };

/* A file of marked pages in a directory. */
static int make_file(const char *directory)
{
	char name[64], page[PAGE_BYTES];
	int fd;

	snprintf(name, sizeof(name), "%s/dune-XXXXXX", directory);
	fd = CHECK_OK(mkstemp(name));
	CHECK_OK(unlink(name));
	for (int i = 0; i < NR_PAGES; i++) {
		memset(page, 0, sizeof(page));
		*(unsigned *)page = i + 1;
		CHECK_EQ(write(fd, page, sizeof(page)), sizeof(page));
	}
	return fd;
}

static char *map_file(int fd, int prot, int flags)
{
	char *file = mmap(NULL, BYTES, prot, flags, fd, 0);

	CHECK(file != MAP_FAILED);
	return file;
}

static unsigned file_mark(int fd, int page)
{
	unsigned mark = 0;

	CHECK_EQ(pread(fd, &mark, sizeof(mark), page * PAGE_BYTES), sizeof(mark));
	return mark;
}

static void private_file(void)
{
	int fd = make_file("/tmp");
	char *file;

	enter_dune();
	probe_init();
	file = map_file(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	CHECK(pages_are_marked(file, NR_PAGES, 1));
	pages_mark(file, NR_PAGES / 2, 100);
	CHECK(pages_are_marked(file, NR_PAGES / 2, 100));
	CHECK_EQ(file_mark(fd, 0), 1);
	/* What has no copy of its own yet follows the file. */
	CHECK_EQ(pwrite(fd, &(unsigned){ 7 }, 4, (NR_PAGES - 1) * PAGE_BYTES), 4);
	CHECK_EQ(*(volatile unsigned *)(file + (NR_PAGES - 1) * PAGE_BYTES), 7);
	CHECK_EQ(pwrite(fd, &(unsigned){ 7 }, 4, 0), 4);
	CHECK_EQ(*(volatile unsigned *)file, 100);
}

static void shared_file(void)
{
	int fd = make_file("/tmp");
	char *file, *read_only;

	enter_dune();
	probe_init();
	file = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	read_only = map_file(fd, PROT_READ, MAP_SHARED);
	CHECK(pages_are_marked(read_only, NR_PAGES, 1));
	pages_mark(file, NR_PAGES, 50);
	CHECK(pages_are_marked(read_only, NR_PAGES, 50));
	CHECK_EQ(probe_write(read_only, 1), -1);
	for (int i = 0; i < NR_PAGES; i++)
		CHECK_EQ(file_mark(fd, i), i + 50);
	CHECK_EQ(pwrite(fd, &(unsigned){ 7 }, 4, 5 * PAGE_BYTES), 4);
	CHECK_EQ(*(volatile unsigned *)(file + 5 * PAGE_BYTES), 7);
}

/* Read inside and outside, in turns, of a process that never was in Dune. */
static void memory_of_two_processes(void)
{
	int fd = memfd_create("shared", 0);
	volatile unsigned *word;
	pid_t child;

	CHECK_OK(fd);
	CHECK_OK(ftruncate(fd, BYTES));
	word = (unsigned *)map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	child = harness_fork();
	if (child)
		enter_dune();
	for (unsigned i = 0; i < 1000; i++) {
		while ((*word & 1) != !child)
			syscall(SYS_sched_yield);
		CHECK_EQ(*word, 2 * i + !child);
		*word = *word + 1;
	}
	if (!child)
		_exit(0);
	JOIN(child);
	CHECK_EQ(*word, 2000);
}

static void system_v_segment(void)
{
	int id = CHECK_OK(shmget(IPC_PRIVATE, BYTES, IPC_CREAT | 0600));
	char *first, *second;

	enter_dune();
	probe_init();
	first = shmat(id, NULL, 0);
	second = shmat(id, NULL, SHM_RDONLY);
	CHECK_OK(shmctl(id, IPC_RMID, NULL));
	CHECK(first != (void *)-1 && second != (void *)-1);
	pages_mark(first, NR_PAGES, 3);
	CHECK(pages_are_marked(second, NR_PAGES, 3));
	CHECK_EQ(probe_write(second, 1), -1);
	CHECK_OK(shmdt(first));
	CHECK_EQ(probe_read(first), -1);
	CHECK(pages_are_marked(second, NR_PAGES, 3));
}

/* Read-only memory that nobody has written is one page of zeros for all. */
static void zero_page(void)
{
	char *pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);

	enter_dune();
	for (int i = 0; i < NR_PAGES; i++)
		CHECK_EQ(*(volatile char *)(pages + i * PAGE_BYTES), 0);
	CHECK_EQ(page_frame(pages), page_frame(pages + PAGE_BYTES));
	pages_mark(pages, NR_PAGES, 1);
	CHECK(pages_are_marked(pages, NR_PAGES, 1));
	CHECK(page_frame(pages) != page_frame(pages + PAGE_BYTES));
}

/* The kernel's data for the vDSO: pages that it maps by frame number. */
static void clock_of_the_vdso(void)
{
	struct timespec before, inside, after;
	unsigned long hypercalls;

	enter_dune();
	CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &inside));
	hypercalls = counts_now().hypercalls;
	hypercalls = counts_now().hypercalls - hypercalls; /* by one counts_now() */
	unsigned long start = counts_now().hypercalls;
	for (int i = 0; i < 1000; i++)
		CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &inside));
	CHECK_EQ(counts_now().hypercalls - start, hypercalls);
	for (int i = 0; i < 100; i++) {
		CHECK_OK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &before));
		CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &inside));
		CHECK_OK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &after));
		CHECK(before.tv_sec < inside.tv_sec ||
		      (before.tv_sec == inside.tv_sec && before.tv_nsec <= inside.tv_nsec));
		CHECK(inside.tv_sec < after.tv_sec ||
		      (inside.tv_sec == after.tv_sec && inside.tv_nsec <= after.tv_nsec));
	}
}

static const unsigned char return_42[] = { 0xb8, 42, 0, 0, 0, 0xc3 };

static void code_that_can_only_be_run(void)
{
	unsigned char *code = map_pages(2, PROT_READ | PROT_WRITE);

	memcpy(code, return_42, sizeof(return_42));
	CHECK_OK(mprotect(code, PAGE_BYTES, PROT_EXEC));
	enter_dune();
	probe_init();
	CHECK_EQ(((int (*)(void))code)(), 42);
	CHECK_EQ(probe_write(code, 1), -1);
	CHECK_OK(mprotect(code, PAGE_BYTES, PROT_READ));
	CHECK_EQ(probe_call(code), -1);
	CHECK_OK(mprotect(code, PAGE_BYTES, PROT_EXEC));
	CHECK_EQ(((int (*)(void))code)(), 42);
}

/* The page before and after stay as they are. */
static void guard_page(void)
{
	char *pages = map_pages(3, PROT_READ | PROT_WRITE);

	enter_dune();
	probe_init();
	CHECK_OK(mprotect(pages + PAGE_BYTES, PAGE_BYTES, PROT_NONE));
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(probe_write(pages + PAGE_BYTES - 1, 1), 0);
		CHECK_EQ(probe_write(pages + PAGE_BYTES, 1), -1);
		CHECK_EQ(probe_fault.address, (uintptr_t)pages + PAGE_BYTES);
		CHECK_EQ(probe_read(pages + 2 * PAGE_BYTES - 1), -1);
		CHECK_EQ(probe_call(pages + PAGE_BYTES), -1);
		CHECK_EQ(probe_write(pages + 2 * PAGE_BYTES, 1), 0);
	}
	CHECK_EQ(probe_fault.count, 9);
}

static int recurse(int depth)
{
	volatile char frame[PAGE_BYTES];

	frame[0] = depth;
	return depth ? recurse(depth - 1) + (frame[0] == (char)depth) : 0;
}

/* The stack of the main thread: the kernel makes it longer when it is touched. */
static void stack_that_grows(void)
{
	enter_dune();
	CHECK_EQ(recurse(1000), 1000);
}

static void mapping_that_grows(void)
{
	char *space, *top;

	enter_dune(); /* first: it maps memory, which may come to lie in the way */
	probe_init();
	space = map_pages(1024, PROT_READ | PROT_WRITE);
	top = space + 1023 * PAGE_BYTES;
	CHECK_OK(munmap(space, 1024 * PAGE_BYTES));
	CHECK(mmap(top, PAGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0) == top);
	*(volatile char *)top = 1;
	for (int i = 1; i < 100; i++) {
		char *below = top - i * PAGE_BYTES;

		CHECK_EQ(i & 1 ? probe_write(below, 1) : probe_read(below), 0);
	}
	CHECK_EQ(*(volatile char *)top, 1);
}

/* A piece of 1 GiB in which the process has nothing yet. */
static void mapping_that_grows_into_a_piece(void)
{
	char *top = (char *)(0x1234ul << 30);

	enter_dune();
	for (int i = 0; i < 4; i++, top -= 4ul << 30) {
		CHECK(mmap(top, PAGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_GROWSDOWN, -1,
			   0) == top);
		*(volatile char *)top = 1;
		if (i == 1) /* not only where nobody handles page faults */
			probe_init();
		if (i < 2)
			*(volatile long *)(top - 8) = 1;
		else
			CHECK_EQ(i & 1 ? probe_write(top - 8, 1) : probe_read(top - 8), 0);
	}
}

static void locked_memory(void)
{
	char *pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	char *later;

	enter_dune();
	CHECK_OK(mlock(pages, BYTES));
	CHECK(page_frame(pages + BYTES - PAGE_BYTES));
	pages_mark(pages, NR_PAGES, 1);
	CHECK_ERRNO(madvise(pages, BYTES, MADV_DONTNEED), EINVAL);
	CHECK_OK(munlock(pages, BYTES));
	CHECK_OK(mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));
	CHECK_OK(mlockall(MCL_FUTURE));
	later = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	CHECK(page_frame(later + BYTES - PAGE_BYTES));
	pages_mark(later, NR_PAGES, 2);
	CHECK_OK(munlockall());
	CHECK(pages_are_marked(pages, NR_PAGES, 1));
	CHECK(pages_are_marked(later, NR_PAGES, 2));
}

static void memory_that_moves(void)
{
	char *pages = map_pages(NR_PAGES, PROT_READ | PROT_WRITE);
	char *wall = map_pages(NR_PAGES, PROT_READ), *moved;

	enter_dune();
	probe_init();
	pages_mark(pages, NR_PAGES, 1);
	moved = mremap(pages, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, wall);
	CHECK(moved == wall);
	CHECK_EQ(probe_read(pages), -1);
	CHECK_EQ(probe_read(pages + BYTES - 1), -1);
	CHECK(pages_are_marked(moved, NR_PAGES, 1));
	/* Shorter: the rest is gone. Longer again: the rest is new. */
	CHECK(mremap(moved, BYTES, BYTES / 2, 0) == moved);
	CHECK_EQ(probe_read(moved + BYTES / 2), -1);
	moved = mremap(moved, BYTES / 2, 4 * BYTES, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED);
	CHECK(pages_are_marked(moved, NR_PAGES / 2, 1));
	CHECK_EQ(*(volatile unsigned *)(moved + BYTES / 2), 0);
	/* Its pages go elsewhere and the mapping stays. */
	wall = mremap(moved, 4 * BYTES, 4 * BYTES, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	CHECK(wall != MAP_FAILED);
	CHECK(pages_are_marked(wall, NR_PAGES / 2, 1));
	CHECK_EQ(*(volatile unsigned *)(moved + PAGE_BYTES), 0);
}

/* Pages that the kernel has taken out of its own map. */
static void secret_memory(void)
{
	int fd = syscall(SYS_memfd_secret, 0);
	char *secret;

	TEST_REQUIRE(fd >= 0, "the kernel offers no secret memory");
	CHECK_OK(ftruncate(fd, BYTES));
	secret = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	enter_dune();
	pages_mark(secret, NR_PAGES, 8);
	CHECK(pages_are_marked(secret, NR_PAGES, 8));
}

#ifndef SYS_map_shadow_stack
#define SYS_map_shadow_stack 453
#endif

/* Only CALL and RET write there; a store is refused, and not tried for ever. */
static void shadow_stack(void)
{
	char *stack = (char *)syscall(SYS_map_shadow_stack, 0, PAGE_BYTES, 0);

	TEST_REQUIRE(stack != MAP_FAILED, "the kernel or the CPU has no shadow stacks");
	enter_dune();
	probe_init();
	CHECK_EQ(probe_read(stack), 0);
	CHECK_EQ(probe_write(stack, 1), -1);
	CHECK_EQ(probe_read(stack), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(private_file),
		guest_test(shared_file),
		guest_test(memory_of_two_processes),
		guest_test(system_v_segment),
		guest_test(zero_page),
		guest_test(clock_of_the_vdso),
		guest_test(code_that_can_only_be_run),
		guest_test(guard_page),
		guest_test(stack_that_grows),
		guest_test(mapping_that_grows),
		guest_test(mapping_that_grows_into_a_piece),
		guest_test(locked_memory),
		guest_test(memory_that_moves),
		guest_test(secret_memory),
		guest_test(shadow_stack),
	};

	return run_guest_tests(tests);
}
