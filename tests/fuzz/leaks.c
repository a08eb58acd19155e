// SPDX-License-Identifier: GPL-2.0-only
/* See leaks.h. The group must be empty before it is read. */
#include "leaks.h"
#include "file.h"
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define CGROUP "/sys/fs/cgroup/dune-fuzz"
enum { WAIT_TURNS = 150, WAIT_MICROSECONDS = 20000, OTHER_GROUPS = 8 };

/* Pages, tables, stacks and slab objects; -1 where this kernel does not say. */
static long kernel_bytes(void)
{
	return file_number(CGROUP "/memory.stat", "kernel");
}

static const char *other_group(unsigned number, const char *file)
{
	static char path[80];

	snprintf(path, sizeof(path), CGROUP "-%u%s", number, file);
	return path;
}

void leaks_begin(void)
{
	file_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	TEST_REQUIRE(kernel_bytes() >= 0, "no memory cgroups at /sys/fs/cgroup");
	for (unsigned number = 0; number < OTHER_GROUPS; number++)
		mkdir(other_group(number, ""), 0755);
}

void leaks_end(void)
{
	for (unsigned number = 0; number < OTHER_GROUPS; number++)
		rmdir(other_group(number, ""));
	rmdir(CGROUP);
}

void leaks_count_me(void)
{
	CHECK(file_write(CGROUP "/cgroup.procs", "0"));
}

static void charge_something(const char *processes)
{
	CHECK(file_write(processes, "0"));
	close(open("/dev/null", O_RDONLY));
}

/*
 * For the groups that a CPU served last it keeps what they were charged and do not
 * use, up to 64 KiB each since Linux 7.2. What interrupts return meanwhile goes to
 * a second store, that is emptied into the first when a CPU serves a group anew. So
 * others have a turn, then this one; changing the limit empties the first.
 */
static void return_unused_charges(void)
{
	pid_t child = harness_fork();

	if (!child) {
		for (unsigned number = 0; number < OTHER_GROUPS; number++)
			charge_something(other_group(number, "/cgroup.procs"));
		charge_something(CGROUP "/cgroup.procs");
		_exit(0);
	}
	CHECK_EQ(harness_wait(child), 0);
	CHECK(file_write(CGROUP "/memory.high", "0"));
	CHECK(file_write(CGROUP "/memory.high", "max"));
}

long leaks_settled_bytes(long wanted)
{
	long bytes = kernel_bytes();

	/* The last parts of a vm go in the background. */
	for (unsigned turn = 0; turn < WAIT_TURNS && bytes > wanted; turn++) {
		usleep(WAIT_MICROSECONDS);
		return_unused_charges();
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
