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

/* Whether nothing in a range is missing. */
static bool is_mapped(uint64_t start, uint64_t bytes)
{
	return !sandbox_host(SYS_msync, start, bytes, MS_ASYNC, 0, 0, 0); /* does nothing else */
}

/* Whether a whole mapping of the kernel's lies in a range. Slow. */
static bool has_whole_mapping(uint64_t start, uint64_t bytes)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long low, high;
	bool found = false;
	char line[512];

	while (maps && !found && fgets(line, sizeof(line), maps))
		found = sscanf(line, "%lx-%lx", &low, &high) == 2 && low >= start &&
			high <= start + bytes;
	if (maps)
		fclose(maps);
	return found;
}

/*
 * With one mapping more than vm.max_map_count, which is how many it lets a process have, the kernel
 * makes none, not even in place of another. It unmaps, though, and with a whole mapping less it makes
 * one again.
 */
static long reserve_at_the_limit(uint64_t start, uint64_t bytes)
{
	long result = -ENOMEM;

	if (has_whole_mapping(start, bytes))
		result = sandbox_host(SYS_munmap, start, bytes, 0, 0, 0, 0);
	if (!result)
		sandbox_close_hole(start, bytes, true);
	return result;
}

long sandbox_reserve(uint64_t start, uint64_t bytes)
{
	long result = sandbox_host_mmap(start, bytes, PROT_NONE, RESERVE_FLAGS | MAP_FIXED, -1, 0);

	/* What was there may be gone all the same. */
	if (result >= 0 || sandbox_close_hole(start, bytes, false))
		return 0;
	return result == -ENOMEM ? reserve_at_the_limit(start, bytes) : result;
}

bool sandbox_close_hole(uint64_t start, uint64_t bytes, bool must_be_one)
{
	long result = sandbox_host_mmap(start, bytes, PROT_NONE,
					RESERVE_FLAGS | MAP_FIXED_NOREPLACE, -1, 0);

	if (result == (long)start)
		return true;
	/* At the limit of mappings the kernel does not look whether there is room. */
	if (!must_be_one && (result == -EEXIST || is_mapped(start, bytes)))
		return false;
	fprintf(stderr, "dune-sandbox: cannot keep %#lx-%#lx for ring 3: error %ld\n",
		(unsigned long)start, (unsigned long)(start + bytes), -result);
	abort();
}
