// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is not RAM of the page allocator's: a device's registers, which must not be cached,
 * and files whose pages are those of the disk itself (DAX).
 */
#define _GNU_SOURCE
#include "memory.h"
#include "module.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

/* ---- Registers ------------------------------------------------------------------- */

enum { HPET_ID = 0, HPET_COUNTER = 0xf0 };

static uint32_t hpet_read(const volatile char *registers, unsigned offset)
{
	return *(const volatile uint32_t *)(registers + offset);
}

static void registers_of_a_timer(void)
{
	int fd = open("/dev/hpet", O_RDONLY);
	const volatile char *registers;
	uint32_t id, before, now;

	TEST_REQUIRE(fd >= 0, "/dev/hpet cannot be opened");
	registers = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(registers != MAP_FAILED);
	id = hpet_read(registers, HPET_ID);
	before = hpet_read(registers, HPET_COUNTER);
	CHECK(id);
	enter_dune();
	CHECK_EQ(hpet_read(registers, HPET_ID), id);
	/* Each read is the timer's: nobody keeps a copy. */
	for (int i = 0; i < 100; i++) {
		for (volatile int spin = 0; spin < 1000; spin++)
			;
		now = hpet_read(registers, HPET_COUNTER);
		CHECK(now != before);
		before = now;
	}
	CHECK_EQ(dune_leave(), 0);
	CHECK(hpet_read(registers, HPET_COUNTER) != now);
}

/* ---- Files without a page cache ---------------------------------------------------- */

#define DISK	 "/dev/pmem0"
#define FILENAME "/mnt/dune"
enum { NR_PAGES = 64, BYTES = NR_PAGES * PAGE_BYTES };

/* A file of NR_PAGES on it, and where it is mapped. */
static int dax_open(char **pages)
{
	int fd;

	TEST_REQUIRE(geteuid() == 0, "not root");
	module_probe("nd_e820");
	module_probe("nd_pmem");
	for (int i = 0; i < 100 && access(DISK, W_OK); i++)
		usleep(10000);
	TEST_REQUIRE(!access(DISK, W_OK),
		     "no " DISK ": the kernel cannot have it, or no memory is set aside");
	CHECK_EQ(system("busybox mke2fs -b 4096 " DISK " >/dev/null"), 0);
	CHECK_OK(unshare(CLONE_NEWNS));
	CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CHECK_OK(mount(DISK, "/mnt", "ext4", 0, "dax"));
	fd = CHECK_OK(open(FILENAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	CHECK_OK(ftruncate(fd, BYTES));
	*pages = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(*pages != MAP_FAILED);
	return fd;
}

static unsigned word_in_file(int fd, int page)
{
	unsigned word;

	CHECK_EQ(pread(fd, &word, sizeof(word), page * PAGE_BYTES), sizeof(word));
	return word;
}

static void put_word(int fd, int page, unsigned word)
{
	CHECK_EQ(pwrite(fd, &word, sizeof(word), page * PAGE_BYTES), sizeof(word));
}

static void file_without_a_page_cache(void)
{
	char *pages;
	int fd = dax_open(&pages);

	/* Every other page is a hole. */
	for (int i = 0; i < NR_PAGES; i += 2)
		put_word(fd, i, i + 1);
	enter_dune();
	for (int i = 0; i < NR_PAGES; i++)
		CHECK_EQ(*(volatile unsigned *)(pages + i * PAGE_BYTES), i % 2 ? 0 : i + 1);
	pages_mark(pages, NR_PAGES, 100);
	CHECK(pages_are_marked(pages, NR_PAGES, 100));
	for (int i = 0; i < NR_PAGES; i++)
		CHECK_EQ(word_in_file(fd, i), *(volatile unsigned *)(pages + i * PAGE_BYTES));
	for (int i = 0; i < NR_PAGES; i++) {
		put_word(fd, i, i + 200);
		CHECK_EQ(*(volatile unsigned *)(pages + i * PAGE_BYTES), i + 200);
	}
	/* A page of the disk that is the file's no longer must not be reached. */
	CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BYTES / 2));
	for (int i = 0; i < NR_PAGES; i++)
		CHECK_EQ(*(volatile unsigned *)(pages + i * PAGE_BYTES),
			 i < NR_PAGES / 2 ? 0 : i + 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(registers_of_a_timer),
		guest_test(file_without_a_page_cache),
	};

	return run_guest_tests(tests);
}
