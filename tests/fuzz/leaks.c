// SPDX-License-Identifier: GPL-2.0-only
/* See leaks.h. The group must be empty before it is read. */
#include "leaks.h"
#include "file.h"
#include "harness.h"

#include <sys/stat.h>

#define CGROUP "/sys/fs/cgroup/dune-fuzz"
enum { WAIT_TURNS = 150, WAIT_MICROSECONDS = 20000 };

/* Pages, tables, stacks and slab objects; -1 where this kernel does not say. */
static long kernel_bytes(void)
{
	return file_number(CGROUP "/memory.stat", "kernel");
}

void leaks_begin(void)
{
	file_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	TEST_REQUIRE(kernel_bytes() >= 0, "no memory cgroups at /sys/fs/cgroup");
}

void leaks_end(void)
{
	rmdir(CGROUP);
}

void leaks_count_me(void)
{
	CHECK(file_write(CGROUP "/cgroup.procs", "0"));
}

long leaks_settled_bytes(long wanted)
{
	long bytes = kernel_bytes();

	/* The last parts of a vm go in the background. */
	for (unsigned turn = 0; turn < WAIT_TURNS && bytes > wanted; turn++) {
		usleep(WAIT_MICROSECONDS);
		bytes = kernel_bytes();
	}
	return bytes;
}

static long module_references(void)
{
	return file_number("/sys/module/dune/refcnt", NULL);
}

/* Processes that were killed a moment ago may still have some. */
long leaks_module_references(void)
{
	long lowest = module_references();

	for (unsigned turn = 0; turn < WAIT_TURNS && lowest > 0; turn++) {
		long references;

		usleep(WAIT_MICROSECONDS);
		references = module_references();
		lowest = references < lowest ? references : lowest;
	}
	return lowest;
}
