/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of what the host's memory management does to memory that the guest
 * uses: the EPT's counters, the frame behind an address, huge pages, swap. All
 * of it works inside and outside; see memory.c.
 */
#ifndef DUNE_TESTS_MEMORY_H
#define DUNE_TESTS_MEMORY_H

#include <stdbool.h>
#include "guest.h"

#define HUGE_BYTES (2ul << 20)
#define HUGE_PAGES (HUGE_BYTES / PAGE_BYTES)

/* madvise() of newer kernels than the C library knows. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* The module's counters; leaves the memory that it needs itself mapped. */
struct dune_counts counts_now(void);

/* EPT entries that the function makes in one call, less those that it makes in none. */
unsigned long entries_made_by(void (*function)(void *argument), void *argument);

/* What /proc/self/pagemap says of the page: its frame (0: none), or that it is in swap. */
unsigned long page_frame(const volatile void *address);
bool page_is_in_swap(const volatile void *address);
/* A part of a transparent huge page, or of one that KSM has merged: /proc/kpageflags. */
bool page_is_huge(const volatile void *address);
bool page_is_merged(const volatile void *address);

/* Address space with this alignment, private and anonymous, readable and writable. */
char *map_aligned(size_t bytes, size_t alignment);
/* 2 MiB in one transparent huge page, each of its 4 KiB filled with fill. */
char *huge_page_make(unsigned char fill);
/* One byte of each of its 4 KiB; 9 is written. */
void huge_page_read(void *huge);
void huge_page_write(void *huge);

/* The first byte of each page, its number in the area plus salt; false if one differs. */
void pages_mark(volatile char *area, size_t nr_pages, unsigned salt);
bool pages_are_marked(const volatile char *area, size_t nr_pages, unsigned salt);

/* Pages that wait in a list of some CPU cannot be reclaimed: takes them all out. */
void lists_empty(void);
/* A swap device on a RAM disk, for the rest of the machine's life. */
void swap_on(void);
/* All of it goes to swap, or the test fails. */
void swap_out(void *area, size_t bytes);

#endif
