// SPDX-License-Identifier: GPL-2.0-only
/* See canary.h. */
#include "canary.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANARY_BYTES 60000

/* ---- Inside -------------------------------------------------------------- */

char *page;
long zero;

/* Field 50 of /proc/self/stat: where the environment of the process begins, which is the sandbox's. */
uint64_t canary_address(void)
{
	char text[1024] = "", *field;
	int fd = open("/proc/self/stat", O_RDONLY);

	CHECK(fd >= 0);
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	field = strrchr(text, ')');
	for (int i = 2; field && i < 50; i++)
		field = strchr(field + 1, ' ');
	CHECK(field);
	return strtoul(field + 1, NULL, 10) + CANARY_BYTES / 2;
}

void set_up_attack(void)
{
	page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED);
	zero = open("/dev/zero", O_RDWR);
	CHECK(zero >= 0);
}

void wait_for_parent(void)
{
	char byte;

	CHECK(write(STDOUT_FILENO, ".", 1) == 1);
	CHECK(read(STDIN_FILENO, &byte, 1) == 1);
}

/* ---- Outside ---------------------------------------------------------------- */

static pid_t start_attack(const char *name, const char *canary, int *to, int *from)
{
	char *const environment[] = { (char *)canary, "PATH=/dune/bin:/usr/bin:/bin", NULL };
	int input[2], output[2];
	pid_t child;

	assert_int_equal(pipe2(input, O_CLOEXEC), 0);
	assert_int_equal(pipe2(output, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		dup2(input[0], STDIN_FILENO);
		dup2(output[1], STDOUT_FILENO);
		alarm(100);
		execvpe("dune-sandbox",
			(char *const[]){ "dune-sandbox", (char *)own_path(), INSIDE, (char *)name,
					 NULL },
			environment);
		_exit(127);
	}
	close(input[0]);
	close(output[1]);
	*to = input[1];
	*from = output[0];
	return child;
}

static void check_canary(pid_t child, const char *canary)
{
	static char now[CANARY_BYTES + 1];
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", child);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, now, CANARY_BYTES), CANARY_BYTES);
	close(fd);
	assert_memory_equal(now, canary, CANARY_BYTES);
}

void canary_lives(void **state)
{
	static char canary[CANARY_BYTES];
	int to, from, status;
	char byte = 0;
	pid_t child;

	memset(canary, 'Z', CANARY_BYTES - 1);
	memcpy(canary, "CANARY=", 7);
	child = start_attack(*state, canary, &to, &from);
	if (read(from, &byte, 1) == 1 && byte == '.') {
		check_canary(child, canary);
		assert_int_equal(write(to, "", 1), 1);
	}
	close(to);
	close(from);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(byte, '.'); /* else it said on stderr what was wrong */
	assert_int_equal(status, 0);
}
