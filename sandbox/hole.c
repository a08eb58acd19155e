// SPDX-License-Identifier: GPL-2.0-only
/* See hole.h. */
#include "hole.h"

#include <dune.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RESERVE_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

long sandbox_host(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;

	if (dune_inside())
		return dune_syscall(nr, a, b, c, d, e, f);
	result = syscall(nr, a, b, c, d, e, f);
	return result == -1 ? -errno : result;
}

long sandbox_host_mmap(uint64_t start, uint64_t bytes, int prot, int flags, int fd, uint64_t offset)
{
	return sandbox_host(SYS_mmap, start, bytes, prot, flags, fd, offset);
}

long sandbox_reserve(uint64_t start, uint64_t bytes)
{
	long result = sandbox_host_mmap(start, bytes, PROT_NONE, RESERVE_FLAGS | MAP_FIXED, -1, 0);

	return result < 0 ? result : 0;
}

bool sandbox_close_hole(uint64_t start, uint64_t bytes, bool must_be_one)
{
	long result = sandbox_host_mmap(start, bytes, PROT_NONE,
					RESERVE_FLAGS | MAP_FIXED_NOREPLACE, -1, 0);

	if (result == (long)start)
		return true;
	if (result == -EEXIST && !must_be_one)
		return false;
	fprintf(stderr, "dune-sandbox: cannot keep %#lx-%#lx for ring 3: error %ld\n",
		(unsigned long)start, (unsigned long)(start + bytes), -result);
	abort();
}
