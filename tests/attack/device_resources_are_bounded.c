// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process takes by way of the device is its own memory cgroup's and
 * within its own limits. When it has used up what it has, it gets ENOMEM or
 * EMFILE or is killed, and nobody else notices.
 */
#define _GNU_SOURCE
#include "cgroup.h"
#include "file.h"
#include "raw.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { MEBIBYTE = 1 << 20, MANY = 100000 };
/* Each has at least a page: that many pages are 16 MiB. */
enum { MOST = 16 * MEBIBYTE / 4096 };

static struct raw raw;
static volatile int *made; /* shared with children */

static void share_a_counter(void)
{
	made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK((void *)made != MAP_FAILED);
	*made = 0;
}

/* ---- Memory ------------------------------------------------------------------ */

static void set_limit(int resource, rlim_t limit)
{
	struct rlimit both = { limit, limit };

	CHECK_OK(setrlimit(resource, &both));
}

/* One that is there before, so that what children share of KVM's is not theirs. */
static void limit_memory(const char *bytes)
{
	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	share_a_counter();
	cgroup_create("memory");
	cgroup_write("memory.max", bytes);
	/* A swap device of another test would make of the end a long illness. */
	cgroup_write("memory.swap.max", "0");
	/* The log has room for a few lines, not for all processes. */
	CHECK_OK(system("echo 0 >/proc/sys/vm/oom_dump_tasks"));
}

/* Waits for a child in the cgroup while the guest outside it runs. */
static int run_beside(pid_t child)
{
	int status = 0;

	for (uint64_t i = 1; !waitpid(child, &status, WNOHANG); i++) {
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.run->gpr[DUNE_RBX], i);
		if (i % 64 == 0)
			usleep(2000);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Everything that was charged has been given back. */
static void check_nothing_is_left(void)
{
	long left = cgroup_wait_below("memory.current", "", MEBIBYTE);

	if (left > MEBIBYTE)
		FAIL("%ld bytes are still charged", left);
	cgroup_remove();
	raw_must_work();
}

/* In a child with 16 MiB and any number of descriptors: as many as go. */
static void exhaust_memory(int (*make)(void))
{
	pid_t child;
	int code;

	limit_memory("16M");
	child = harness_fork();
	if (!child) {
		cgroup_enter();
		set_limit(RLIMIT_NOFILE, MANY);
		raw_create(&raw);
		while (*made < MOST && make() >= 0)
			++*made;
		_exit(*made < MOST && errno == ENOMEM ? 0 : 1);
	}
	code = run_beside(child);
	harness_note("%d before %s", *made, code ? "the OOM killer came" : "ENOMEM");
	CHECK(!code || (code == 128 + SIGKILL && cgroup_read("memory.events", "oom_kill") == 1));
	CHECK(*made > 100);
	check_nothing_is_left();
}

static int make_vcpu(void)
{
	return ioctl(raw.device, DUNE_CREATE_VCPU, 0);
}

static int make_vm(void)
{
	return open("/dev/dune", O_RDWR | O_CLOEXEC);
}

static void as_many_vcpus_as_memory(void)
{
	exhaust_memory(make_vcpu);
}

static void as_many_vms_as_memory(void)
{
	exhaust_memory(make_vm);
}

/* The guest reads the zero page all over a tile: each 2 MiB take a page of EPT. */
static void fill_ept(void)
{
	cgroup_enter();
	raw_create(&raw);
	CHECK_OK(madvise(raw.memory, 1ul << DUNE_TILE_SHIFT, MADV_NOHUGEPAGE));
	CHECK_OK(mprotect(raw.memory + RAW_BYTES, (1ul << DUNE_TILE_SHIFT) - RAW_BYTES, PROT_READ));
	raw_load(&raw, raw_read, RAW_DATA, 0);
	for (uint64_t gpa = RAW_DATA; gpa < 1ul << DUNE_TILE_SHIFT; gpa += 2 * MEBIBYTE) {
		raw.run->gpr[DUNE_RDI] = gpa;
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		++*made;
	}
	CHECK(raw_stat(&raw, DUNE_STAT_EPT_PAGES) > 512);
}

static void tables_are_charged(void)
{
	pid_t child;
	int status[2];
	char byte;

	limit_memory("64M");
	CHECK_OK(pipe(status));
	child = harness_fork();
	if (!child) {
		fill_ept();
		CHECK_EQ(write(status[1], "", 1), 1);
		pause();
	}
	CHECK_EQ(read(status[0], &byte, 1), 1);
	/* 2 MiB for the host's own tables, and as much for ours. */
	CHECK(cgroup_read("memory.current", "") > 4 * MEBIBYTE);
	CHECK_OK(kill(child, SIGKILL));
	CHECK_EQ(harness_wait(child), 128 + SIGKILL);
	check_nothing_is_left();
}

static void the_guest_dies_of_the_limit(void)
{
	pid_t child;

	limit_memory("3M");
	child = harness_fork();
	if (!child) {
		fill_ept();
		_exit(0);
	}
	CHECK_EQ(run_beside(child), 128 + SIGKILL);
	CHECK_EQ(cgroup_read("memory.events", "oom_kill"), 1);
	harness_note("after %d of 512 pages", *made);
	CHECK(*made < 512);
	check_nothing_is_left();
}

/* ---- Limits of the process ------------------------------------------------------ */

/* More than it may have, where the OOM killer may not kill it. */
static void write_more_than_there_is(void)
{
	enum { BYTES = 24 * MEBIBYTE };

	cgroup_enter();
	CHECK(file_write("/proc/self/oom_score_adj", "-1000"));
	raw_create(&raw);
	CHECK_OK(madvise(raw.memory, 1ul << DUNE_TILE_SHIFT, MADV_NOHUGEPAGE));
	CHECK_OK(mprotect(raw.memory + RAW_BYTES, BYTES, PROT_READ | PROT_WRITE));
	raw_load(&raw, raw_write, RAW_DATA, 1);
	for (uint64_t gpa = RAW_BYTES; gpa < RAW_BYTES + BYTES; gpa += 4096) {
		raw.run->gpr[DUNE_RDI] = gpa;
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.memory[gpa], 1);
	}
}

/* As a fault outside does, the guest's waits then, until there is memory. */
static void the_guest_waits_where_nobody_may_be_killed(void)
{
	pid_t child;

	limit_memory("16M");
	child = harness_fork();
	if (!child) {
		write_more_than_there_is();
		_exit(0);
	}
	while (cgroup_read("memory.events", "oom") < 3)
		usleep(1000);
	cgroup_write("memory.max", "64M");
	JOIN(child);
	CHECK_EQ(cgroup_read("memory.events", "oom_kill"), 0);
	check_nothing_is_left();
}

static void descriptors_run_out(void)
{
	struct rlimit limit;
	int highest;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	highest = CHECK_OK(dup(raw.vcpu));
	close(highest);
	CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = highest;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
	for (int i = 0; i < 100; i++) {
		CHECK_ERRNO(ioctl(raw.device, DUNE_CREATE_VCPU, 0), EMFILE);
		CHECK_ERRNO(open("/dev/dune", O_RDWR), EMFILE);
	}
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	limit.rlim_cur = limit.rlim_max;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
	CHECK_EQ(ioctl(raw.device, DUNE_CREATE_VCPU, 0), highest);
}

/* Reclaim looks at each of them for each page. */
static void vcpus_run_out(void)
{
	enum { MOST_VCPUS = 4096 };
	int one, nr = 0;

	set_limit(RLIMIT_NOFILE, MANY);
	raw_create(&raw);
	while ((one = ioctl(raw.device, DUNE_CREATE_VCPU, 0)) >= 0)
		nr = one;
	CHECK_EQ(errno, EMFILE);
	CHECK(nr >= MOST_VCPUS && nr < MOST_VCPUS + 100);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_OK(close(nr));
	CHECK_EQ(ioctl(raw.device, DUNE_CREATE_VCPU, 0), nr);
	CHECK_ERRNO(ioctl(raw.device, DUNE_CREATE_VCPU, 0), EMFILE);
}

static void addresses_run_out(void)
{
	struct dune_state state;
	int vcpu;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	set_limit(RLIMIT_AS, 0);
	vcpu = CHECK_OK(ioctl(raw.device, DUNE_CREATE_VCPU, 0));
	CHECK(mmap(NULL, DUNE_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0) == MAP_FAILED);
	CHECK_EQ(errno, ENOMEM);
	/* It runs without, registers go by DUNE_SET_STATE. */
	state = raw_state(&raw);
	state.gpr[DUNE_RBX] = 7;
	raw_set_state(vcpu, &state);
	CHECK_EQ(raw_run_vcpu(vcpu), DUNE_EXIT_HYPERCALL);
	CHECK_OK(ioctl(vcpu, DUNE_GET_STATE, &state));
	CHECK_EQ(state.gpr[DUNE_RBX], 8);
}

/* Nothing is pinned or locked, hence nothing of it counts. */
static void locked_memory_does_not_matter(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { 0 };

	set_limit(RLIMIT_MEMLOCK, 0);
	CHECK_OK(syscall(SYS_capset, &header, none)); /* with CAP_IPC_LOCK it is no limit */
	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

static void time_in_the_guest_counts(void)
{
	pid_t child = harness_fork();

	if (!child) {
		struct rlimit limit = { 1, 5 };

		CHECK_OK(setrlimit(RLIMIT_CPU, &limit));
		raw_create(&raw);
		raw_load(&raw, raw_spin, RAW_DATA, 0);
		raw_run(&raw);
		_exit(1);
	}
	CHECK_EQ(harness_wait(child), 128 + SIGXCPU);
	raw_must_work();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(as_many_vcpus_as_memory, 60),
		guest_test_limit(as_many_vms_as_memory, 60),
		guest_test_limit(tables_are_charged, 60),
		guest_test_limit(the_guest_dies_of_the_limit, 60),
		guest_test_limit(the_guest_waits_where_nobody_may_be_killed, 60),
		guest_test(descriptors_run_out),
		guest_test_limit(vcpus_run_out, 60),
		guest_test(addresses_run_out),
		guest_test(locked_memory_does_not_matter),
		guest_test(time_in_the_guest_counts),
	};

	return run_guest_tests(tests);
}
