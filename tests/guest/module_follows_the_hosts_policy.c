// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beside a host that defends itself against Meltdown the module does not load,
 * and says why in one line, unless unsafe=1; beside others it does.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "module.h"

#include <fcntl.h>
#include <stdio.h>

#define MELTDOWN "/sys/devices/system/cpu/vulnerabilities/meltdown"

static char status[256];

static bool host_defends_itself(void)
{
	FILE *file = fopen(MELTDOWN, "r");

	CHECK(file && fgets(status, sizeof(status), file));
	fclose(file);
	return !strncmp(status, "Mitigation", 10);
}

/* Is there a line in the kernel's log with both? */
static bool log_has(const char *first, const char *second)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	bool found = false;
	char line[1024];
	ssize_t bytes;

	CHECK(fd >= 0);
	while ((bytes = read(fd, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		line[bytes > 0 ? bytes : 0] = 0;
		if (strstr(line, first) && strstr(line, second))
			found = true;
	}
	close(fd);
	return found;
}

/* The module as it was is back, whatever came of it. */
static int try_to_load(const char *parameters)
{
	int result = module_load_dune_with(parameters);

	if (!result)
		CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(module_load_dune(), 0);
	return result;
}

static void against_meltdown(void)
{
	bool defends;

	TEST_REQUIRE(geteuid() == 0, "not root");
	defends = host_defends_itself();
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(try_to_load("unsafe=0"), defends ? -EOPNOTSUPP : 0);
	if (defends)
		CHECK(log_has("dune: meltdown: not loaded", "unsafe=1"));
}

static void with_unsafe(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(try_to_load("unsafe=1"), 0);
	if (host_defends_itself())
		CHECK(log_has("dune: meltdown: UNSAFE", "Mitigation"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { guest_test(against_meltdown), guest_test(with_unsafe) };

	return run_guest_tests(tests);
}
