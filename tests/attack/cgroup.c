// SPDX-License-Identifier: GPL-2.0-only
/* Control groups by their files; see cgroup.h. */
#define _GNU_SOURCE
#include "cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define ROOT "/sys/fs/cgroup"

static char directory[64];

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? -1 : write(fd, text, strlen(text));

	close(fd);
	return bytes < 0 ? -1 : 0;
}

void cgroup_create(const char *controller)
{
	char text[64];

	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(!access(ROOT "/cgroup.controllers", F_OK), "no cgroups of version 2");
	if (*controller) {
		snprintf(text, sizeof(text), "+%s", controller);
		TEST_REQUIRE(!write_file(ROOT "/cgroup.subtree_control", text),
			     "the kernel does not have this cgroup controller");
	}
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
	if (write_file(path, text))
		FAIL("%s > %s: %s", text, path, strerror(errno));
}

void cgroup_enter(void)
{
	cgroup_write("cgroup.procs", "0");
}

long cgroup_read(const char *file, const char *key)
{
	char path[128], text[8192], *at;
	ssize_t bytes;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	fd = CHECK_OK(open(path, O_RDONLY | O_CLOEXEC));
	bytes = CHECK_OK(read(fd, text, sizeof(text) - 1));
	close(fd);
	text[bytes] = 0;
	if (!*key)
		return atol(text);
	/* "key number" in a line of its own. */
	for (at = text; at; at = strchr(at, '\n'), at += !!at)
		if (!strncmp(at, key, strlen(key)) && at[strlen(key)] == ' ')
			return atol(at + strlen(key));
	FAIL("no %s in %s", key, path);
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
