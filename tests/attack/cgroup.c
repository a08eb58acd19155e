// SPDX-License-Identifier: GPL-2.0-only
/* Control groups by their files; see cgroup.h. */
#define _GNU_SOURCE
#include "cgroup.h"
#include "file.h"

#include <stdio.h>
#include <sys/stat.h>

#define ROOT "/sys/fs/cgroup"

static char directory[64];

void cgroup_create(const char *controller)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(!access(ROOT "/cgroup.controllers", F_OK), "no cgroups of version 2");
	if (*controller)
		TEST_REQUIRE(file_write(ROOT "/cgroup.subtree_control", "+%s", controller),
			     "the kernel does not have this cgroup controller");
	snprintf(directory, sizeof(directory), ROOT "/dune-test-%d", getpid());
	CHECK_OK(mkdir(directory, 0755));
}

void cgroup_remove(void)
{
	CHECK_OK(rmdir(directory));
}

void cgroup_write(const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	if (!file_write(path, "%s", text))
		FAIL("%s > %s: %s", text, path, strerror(errno));
}

void cgroup_enter(void)
{
	cgroup_write("cgroup.procs", "0");
}

long cgroup_read(const char *file, const char *key)
{
	char path[128];
	long number;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	number = file_number(path, *key ? key : NULL);
	if (number < 0)
		FAIL("no %s in %s", key, path);
	return number;
}

long cgroup_wait_below(const char *file, const char *key, long most)
{
	long number = 0;

	for (int i = 0; i < 500; i++) {
		number = cgroup_read(file, key);
		if (number <= most)
			break;
		usleep(10000);
	}
	return number;
}
