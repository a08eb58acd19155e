/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Address space of the arenas never becomes a hole, where the kernel could place memory of the
 * runtime: what ring 3 gives back is reserved again. What memory.c and mremap.c do it with.
 */
#ifndef SANDBOX_HOLE_H
#define SANDBOX_HOLE_H

#include <stdbool.h>
#include <stdint.h>
#include "memory.h"

static inline uint64_t sandbox_page_up(uint64_t value)
{
	return (value + SANDBOX_PAGE_BYTES - 1) & -SANDBOX_PAGE_BYTES;
}

/* A system call by this process, inside Dune or not yet: the raw result. */
long sandbox_host(long nr, long a, long b, long c, long d, long e, long f);
long sandbox_host_mmap(uint64_t start, uint64_t bytes, int prot, int flags, int fd,
		       uint64_t offset);

/* PROT_NONE over a range that is ring 3's. 0, or -errno with all of it as it was. */
long sandbox_reserve(uint64_t start, uint64_t bytes);

/*
 * Closes the hole that a failed or a moving call may have left, without overwriting what may have
 * got there: that would be the runtime's, and the process ends. True if there was one. The kernel
 * unmaps a range as a whole or not at all, so a range that is still in use says -EEXIST.
 */
bool sandbox_close_hole(uint64_t start, uint64_t bytes, bool must_be_one);

#endif
