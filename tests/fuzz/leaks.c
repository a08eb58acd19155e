// SPDX-License-Identifier: GPL-2.0-only
/* See leaks.h. The group must be empty before it is read. */
#include "leaks.h"
#include "harness.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#define CGROUP "/sys/fs/cgroup/dune-fuzz"
enum { WAIT_TURNS = 150, WAIT_MICROSECONDS = 20000 };

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return written;
}

/* Pages, tables, stacks and slab objects; -1 where this kernel does not say. */
static long kernel_bytes(void)
{
	FILE *file = fopen(CGROUP "/memory.stat", "r");
	long number, found = -1;
	char name[64];

	while (file && fscanf(file, "%63s %ld", name, &number) == 2)
		if (!strcmp(name, "kernel"))
			found = number;
	if (file)
		fclose(file);
	return found;
}

void leaks_begin(void)
{
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	TEST_REQUIRE(kernel_bytes() >= 0, "no memory cgroups at /sys/fs/cgroup");
}

void leaks_end(void)
{
	rmdir(CGROUP);
}

void leaks_count_me(void)
{
	CHECK(write_text(CGROUP "/cgroup.procs", "0"));
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
	FILE *file = fopen("/sys/module/dune/refcnt", "r");
	long references = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &references) != 1)
		references = -1;
	fclose(file);
	return references;
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
