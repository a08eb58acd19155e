// SPDX-License-Identifier: GPL-2.0-only
/*
 * dune-stat prints what the module has counted: as a table, as JSON and live, and
 * says clearly why it cannot.
 */
#define _GNU_SOURCE
#include "module.h"
#include "raw.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <termios.h>

static char output[65536];

/* Runs dune-stat with its output, and its messages, in output[]: its exit status. */
static int dune_stat(const char *arguments)
{
	char command[256];
	size_t length;
	FILE *file;

	snprintf(command, sizeof(command), "exec dune-stat %s 2>&1", arguments);
	file = popen(command, "re");
	CHECK(file);
	length = fread(output, 1, sizeof(output) - 1, file);
	output[length] = 0;
	return WEXITSTATUS(pclose(file));
}

static void needs_root(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
}

static void warm_up(struct raw *raw, int hypercalls)
{
	raw_create(raw);
	raw_load(raw, raw_count, 0, 0);
	for (int i = 0; i < hypercalls; i++)
		CHECK_EQ(raw_run(raw), DUNE_EXIT_HYPERCALL);
}

/* A child that calls for ever, as fast as it can or with pauses. */
static pid_t start_caller(unsigned pause)
{
	volatile int *ready = mmap(NULL, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	CHECK((void *)ready != MAP_FAILED);
	child = harness_fork();
	if (!child) {
		struct raw raw;

		warm_up(&raw, 1);
		*ready = 1;
		for (;;) {
			CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
			if (pause)
				usleep(pause);
		}
	}
	while (!*ready)
		usleep(1000);
	return child;
}

static void stop(pid_t child)
{
	CHECK_OK(kill(child, SIGKILL));
	CHECK_EQ(harness_wait(child), 128 + SIGKILL);
}

/* The line of the table that begins with this pid, in the last table there is. */
static const char *find_row(pid_t pid)
{
	const char *found = NULL;

	for (const char *line = output; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strtol(line, NULL, 10) == pid)
			found = line;
	}
	return found;
}

static void a_table(void)
{
	int pid, vcpus;
	char comm[16];
	unsigned long exits, vmcall, memory, interrupts, cpuid, msr, other;
	const char *row;
	struct raw raw;

	needs_root();
	warm_up(&raw, 77);
	CHECK_EQ(dune_stat("--once"), 0);
	CHECK(strstr(output, "PID COMM"));
	row = find_row(getpid());
	if (!row)
		FAIL("no row of process %d:\n%s", getpid(), output);
	CHECK_EQ(sscanf(row, "%d %15s %d %lu %lu %lu %lu %lu %lu %lu", &pid, comm, &vcpus, &exits,
			&vmcall, &memory, &interrupts, &cpuid, &msr, &other),
		 10);
	CHECK(!strncmp(comm, program_invocation_short_name, 15));
	CHECK_EQ(vcpus, 1);
	CHECK_EQ(vmcall, 77);
	CHECK_EQ(exits, raw_stat(&raw, DUNE_STAT_EXITS));
	CHECK_EQ(memory, raw_stat(&raw, DUNE_STAT_EXIT_MEMORY));
	CHECK_EQ(exits, vmcall + memory + interrupts + cpuid + msr + other);
}

static struct json_object *member(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, name, &value))
		FAIL("no %s in %s", name, json_object_to_json_string(object));
	return value;
}

static void json(void)
{
	struct json_object *root, *vms, *vm, *vcpus;
	struct dune_run *run;
	struct raw raw;
	char arguments[64];
	pid_t other;

	needs_root();
	warm_up(&raw, 88);
	raw_create_vcpu(&raw, &run);
	other = start_caller(1000);
	snprintf(arguments, sizeof(arguments), "--json --pid=%d", getpid());
	CHECK_EQ(dune_stat(arguments), 0);
	root = json_tokener_parse(output);
	if (!root)
		FAIL("not JSON: %s", output);
	vms = member(root, "vms");
	CHECK_EQ(json_object_array_length(vms), 1); /* not the other's */
	vm = json_object_array_get_idx(vms, 0);
	CHECK_EQ(json_object_get_int64(member(vm, "pid")), getpid());
	CHECK_EQ(json_object_get_int64(member(member(vm, "exits"), "VMCALL")), 88);
	CHECK_EQ(json_object_get_int64(member(member(vm, "counters"), "exit_hypercall")), 88);
	CHECK_EQ(json_object_get_int64(member(member(vm, "counters"), "exits")),
		 raw_stat(&raw, DUNE_STAT_EXITS));
	vcpus = member(vm, "vcpus");
	CHECK_EQ(json_object_array_length(vcpus), 2);
	vm = json_object_array_get_idx(vcpus, 0);
	CHECK_EQ(json_object_get_int64(member(member(vm, "exits"), "VMCALL")), 88);
	vm = json_object_array_get_idx(vcpus, 1);
	CHECK_EQ(json_object_get_int64(member(member(vm, "counters"), "exits")), 0);

	CHECK_EQ(dune_stat("--json"), 0);
	root = json_tokener_parse(output);
	CHECK(root && json_object_array_length(member(root, "vms")) >= 2);
	stop(other);
}

static double rate(const char *row)
{
	double exits = 0;

	CHECK_EQ(sscanf(row, "%*d %*s %*d %lf", &exits), 1);
	return exits;
}

static void the_busiest_first(void)
{
	pid_t idle, busy;
	const char *first, *second;

	needs_root();
	idle = start_caller(20000);
	busy = start_caller(0);
	CHECK_EQ(dune_stat("-d 0.5 -n 2"), 0);
	first = find_row(busy);
	second = find_row(idle);
	if (!first || !second || first > second)
		FAIL("not the busiest first:\n%s", output);
	CHECK(strstr(output, "EXITS/s"));
	CHECK(rate(first) > 2 * rate(second));
	CHECK(rate(second) > 0);
	stop(idle);
	stop(busy);
}

/* dune-stat on a terminal of its own, after it has shown its first table. */
static pid_t start_on_terminal(int *terminal)
{
	pid_t child =
		forkpty(terminal, NULL, NULL, &(struct winsize){ .ws_row = 24, .ws_col = 100 });
	size_t length = 0;

	CHECK_OK(child);
	if (!child) {
		execlp("dune-stat", "dune-stat", "-d", "0.2", NULL);
		_exit(127);
	}
	memset(output, 0, sizeof(output));
	while (!strstr(output, "EXITS/s"))
		length += CHECK_OK(read(*terminal, output + length, sizeof(output) - 1 - length));
	return child;
}

static void ends_by_key(char key)
{
	struct termios before, after;
	int terminal;
	pid_t child = start_on_terminal(&terminal);

	CHECK_OK(tcgetattr(terminal, &before));
	CHECK(!(before.c_lflag & ICANON));
	CHECK_EQ(CHECK_OK(write(terminal, "x", 1)), 1); /* no key of ours */
	CHECK_EQ(poll(&(struct pollfd){ .fd = terminal, .events = POLLIN }, 1, 5000), 1);
	CHECK_EQ(waitpid(child, NULL, WNOHANG), 0);
	CHECK_EQ(CHECK_OK(write(terminal, &key, 1)), 1);
	CHECK_EQ(harness_wait(child), 0);
	CHECK_OK(tcgetattr(terminal, &after));
	CHECK(after.c_lflag & ICANON);
	CHECK(after.c_lflag & ECHO);
	close(terminal);
}

static void q_and_interrupt_end_it(void)
{
	needs_root();
	ends_by_key('q');
	ends_by_key(3); /* ^C */
}

static void fails_with(const char *arguments, int status, const char *message)
{
	int result = dune_stat(arguments);

	if (result != status || !strstr(output, message))
		FAIL("dune-stat %s: exit status %d, output: %s", arguments, result, output);
}

static void says_why_not(void)
{
	needs_root();
	fails_with("--once -p 1", 1, "process 1 has no vm");
	fails_with("-p x", 64, "x: not a process");
	fails_with("-d 0", 64, "0: not a time");
	fails_with("-d nan", 64, "nan: not a time");
	fails_with("-n -1", 64, "-1: not a number of tables");
	fails_with("--frobnicate", 64, "unrecognized option");
	fails_with("more", 64, "Too many arguments");
}

static void says_that_it_takes_root(void)
{
	needs_root();
	CHECK_OK(setresuid(1000, 1000, 1000));
	fails_with("--once", 1, "permission denied: this takes root");
	fails_with("", 1, "permission denied: this takes root");
}

static void says_that_debugfs_is_not_mounted(void)
{
	needs_root();
	CHECK_OK(unshare(CLONE_NEWNS));
	CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	while (!umount2("/sys/kernel/debug", MNT_DETACH))
		;
	fails_with("--json", 1, "debugfs is not mounted: mount -t debugfs");
	/* Where it is does not matter. */
	CHECK_OK(mount("debugfs", "/mnt", "debugfs", 0, NULL));
	CHECK_EQ(dune_stat("--once"), 0);
}

static void says_that_the_module_is_not_loaded(void)
{
	needs_root();
	TEST_REQUIRE(module_is_loaded("dune"), "dune is not a module here");
	CHECK_EQ(module_unload("dune"), 0);
	fails_with("--once", 1, "the module dune is not loaded");
	CHECK_EQ(module_load_dune(), 0);
	CHECK_EQ(dune_stat("--once"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(a_table),
		guest_test(json),
		guest_test(the_busiest_first),
		guest_test(q_and_interrupt_end_it),
		guest_test(says_why_not),
		guest_test(says_that_it_takes_root),
		guest_test(says_that_debugfs_is_not_mounted),
		guest_test(says_that_the_module_is_not_loaded),
	};

	return run_guest_tests(tests);
}
