// SPDX-License-Identifier: GPL-2.0-only
/* Helpers of tests about memory management; see memory.h. */
#define _GNU_SOURCE
#include "memory.h"
#include "file.h"
#include "module.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/swap.h>

/* ---- Counters ---- */

struct dune_counts counts_now(void)
{
	struct dune_counts counts;

	CHECK_EQ(dune_get_counts(&counts), 0);
	return counts;
}

unsigned long entries_made_by(void (*function)(void *argument), void *argument)
{
	unsigned long before, own, after;

	(void)*(volatile char *)function; /* its code */
	own = counts_now().ept_mapped;
	own = counts_now().ept_mapped;
	before = counts_now().ept_mapped;
	own = before - own; /* the call's, which is 0 but in bad luck */
	function(argument);
	after = counts_now().ept_mapped;
	return after - before > own ? after - before - own : 0;
}

/* ---- Frames ---- */

#define PAGEMAP_FRAME	((1ull << 55) - 1)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_PRESENT (1ull << 63)

static uint64_t read_entry(const char *path, unsigned long index)
{
	uint64_t entry = 0;
	int fd = CHECK_OK(open(path, O_RDONLY | O_CLOEXEC));

	CHECK_EQ(pread(fd, &entry, sizeof(entry), index * sizeof(entry)), sizeof(entry));
	close(fd);
	return entry;
}

static uint64_t pagemap_entry(const volatile void *address)
{
	return read_entry("/proc/self/pagemap", (uintptr_t)address / PAGE_BYTES);
}

unsigned long page_frame(const volatile void *address)
{
	uint64_t entry = pagemap_entry(address);

	return entry & PAGEMAP_PRESENT ? entry & PAGEMAP_FRAME : 0;
}

bool page_is_in_swap(const volatile void *address)
{
	return pagemap_entry(address) & PAGEMAP_SWAPPED;
}

static bool page_has_flag(const volatile void *address, unsigned bit)
{
	unsigned long frame = page_frame(address);

	return frame && (read_entry("/proc/kpageflags", frame) >> bit & 1);
}

bool page_is_huge(const volatile void *address)
{
	return page_has_flag(address, 22); /* KPF_THP */
}

bool page_is_merged(const volatile void *address)
{
	return page_has_flag(address, 21); /* KPF_KSM */
}

/* ---- Areas ---- */

char *map_aligned(size_t bytes, size_t alignment)
{
	char *area = map_pages((bytes + alignment) / PAGE_BYTES, PROT_READ | PROT_WRITE);
	char *aligned = (char *)(((uintptr_t)area + alignment - 1) & -alignment);

	if (aligned > area)
		CHECK_OK(munmap(area, aligned - area));
	CHECK_OK(munmap(aligned + bytes, area + alignment - aligned));
	return aligned;
}

char *huge_page_make(unsigned char fill)
{
	char *huge = map_aligned(HUGE_BYTES, HUGE_BYTES);

	CHECK_OK(madvise(huge, HUGE_BYTES, MADV_HUGEPAGE));
	memset(huge, fill, HUGE_BYTES);
	CHECK(page_is_huge(huge));
	return huge;
}

void huge_page_read(void *huge)
{
	for (unsigned i = 0; i < HUGE_PAGES; i++)
		(void)*((volatile char *)huge + i * PAGE_BYTES);
}

void huge_page_write(void *huge)
{
	for (unsigned i = 0; i < HUGE_PAGES; i++)
		*((volatile char *)huge + i * PAGE_BYTES) = 9;
}

void pages_mark(volatile char *area, size_t nr_pages, unsigned salt)
{
	for (size_t i = 0; i < nr_pages; i++)
		*(volatile unsigned *)(area + i * PAGE_BYTES) = i + salt;
}

bool pages_are_marked(const volatile char *area, size_t nr_pages, unsigned salt)
{
	for (size_t i = 0; i < nr_pages; i++)
		if (*(const volatile unsigned *)(area + i * PAGE_BYTES) != i + salt)
			return false;
	return true;
}

/* ---- Swap ---- */

#define SWAP_DEVICE	"/dev/ram0"
#define SWAP_KILOBYTES	32768
#define TEXT(number)	#number
#define TEXT_OF(number) TEXT(number)
#define SWAP_SIZE	TEXT_OF(SWAP_KILOBYTES)

/* The first page of a swap device, as mkswap writes it. */
struct swap_header {
	char boot[1024];
	uint32_t version, last_page, nr_bad_pages;
	char rest[PAGE_BYTES - 1024 - 12 - 10];
	char magic[10];
};

static void make_swap_space(void)
{
	struct swap_header header = { .version = 1, .last_page = SWAP_KILOBYTES / 4 - 1 };
	int fd = CHECK_OK(open(SWAP_DEVICE, O_WRONLY | O_CLOEXEC));

	memcpy(header.magic, "SWAPSPACE2", sizeof(header.magic));
	CHECK_EQ(write(fd, &header, sizeof(header)), sizeof(header));
	CHECK_OK(fsync(fd));
	close(fd);
}

void lists_empty(void)
{
	file_write("/proc/sys/vm/compact_memory", "1"); /* which begins with that */
}

void swap_on(void)
{
	if (access(SWAP_DEVICE, F_OK))
		CHECK_EQ(module_probe_with("brd", "rd_nr=2", "rd_size=" SWAP_SIZE), 0);
	if (!swapon(SWAP_DEVICE, 0) || errno == EBUSY)
		return;
	CHECK_EQ(errno, EINVAL); /* no swap space yet */
	make_swap_space();
	CHECK_OK(swapon(SWAP_DEVICE, 0));
}

void swap_out(void *area, size_t bytes)
{
	/* A page that is on its way to a list of the kernel's is passed over. */
	for (int tries = 0; tries < 20; tries++) {
		size_t at = 0;

		CHECK_OK(madvise(area, bytes, MADV_PAGEOUT));
		while (at < bytes && page_is_in_swap((char *)area + at))
			at += PAGE_BYTES;
		if (at >= bytes)
			return;
		lists_empty();
		usleep(1000);
	}
	FAIL("the kernel does not page out %p", area);
}
