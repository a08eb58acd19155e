// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process inside is stopped, frozen, traced, dumped and signalled like any
 * other, at any moment, and goes on where it was.
 */
#define _GNU_SOURCE
#include "cgroup.h"
#include "raw.h"

#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>

/* What parent and child both see; the guest's page at RAW_DATA. */
static struct shared {
	volatile uint64_t counter, read;
	volatile uint64_t run_page;
} * shared;

/* What the guest in the child reads, in its own memory, at the same address here. */
#define RAW_PRIVATE (RAW_DATA + 4096)

static struct raw raw;

static int share_memory(void)
{
	int fd = CHECK_OK(memfd_create("counter", 0));

	CHECK_OK(ftruncate(fd, 4096));
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK((void *)shared != MAP_FAILED);
	return fd;
}

static void create_guest(int memory, const char *code, uint64_t rdi)
{
	raw_create(&raw);
	CHECK(mmap(raw.memory + RAW_DATA, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		   memory, 0) != MAP_FAILED);
	raw_load(&raw, code, rdi, 0);
	shared->run_page = (uintptr_t)raw.run;
}

/* A child that is inside for ever. */
static pid_t start_spinning(void (*prepare)(void))
{
	int memory = share_memory();
	pid_t child = harness_fork();

	if (!child) {
		if (prepare)
			prepare();
		create_guest(memory, raw_spin, RAW_DATA);
		raw_run(&raw);
		_exit(1);
	}
	while (!shared->counter)
		sched_yield();
	return child;
}

static void check_it_moves(void)
{
	uint64_t before = shared->counter;

	while (shared->counter == before)
		usleep(100);
}

static void check_it_stands_still(void)
{
	uint64_t before = shared->counter;

	usleep(20000);
	CHECK_EQ(shared->counter, before);
}

static void end(pid_t child)
{
	CHECK_OK(kill(child, SIGKILL));
	CHECK_EQ(harness_wait(child), 128 + SIGKILL);
}

/* ---- Stopped and frozen ---------------------------------------------------------- */

static void stopped(void)
{
	pid_t child = start_spinning(NULL);
	int status;

	for (int i = 0; i < 5; i++) {
		CHECK_OK(kill(child, SIGSTOP));
		CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
		check_it_stands_still();
		CHECK_OK(kill(child, SIGCONT));
		check_it_moves();
	}
	end(child);
}

/* A process without handlers is never told that a call was interrupted. */
static void stopped_while_it_opens(void)
{
	pid_t child = harness_fork();
	int status;

	if (!child) {
		for (int i = 0; i < 300; i++)
			close(CHECK_OK(open("/dev/dune", O_RDWR | O_CLOEXEC)));
		_exit(0);
	}
	for (;;) {
		CHECK_OK(kill(child, SIGSTOP));
		CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
		if (!WIFSTOPPED(status))
			break;
		CHECK_OK(kill(child, SIGCONT));
		usleep(rand() % 2000);
	}
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
}

static void freeze(int on)
{
	cgroup_write("cgroup.freeze", on ? "1" : "0");
	while (cgroup_read("cgroup.events", "frozen") != on)
		usleep(1000);
}

static void frozen(void)
{
	struct raw first;
	pid_t child;

	/* Who makes a KVM VM has a thread of KVM's in its cgroup, which does not freeze. */
	raw_create(&first);
	cgroup_create("");
	child = start_spinning(cgroup_enter);
	for (int i = 0; i < 5; i++) {
		freeze(1);
		check_it_stands_still();
		freeze(0);
		check_it_moves();
	}
	freeze(1);
	end(child);
	cgroup_remove();
}

/* ---- Traced ---------------------------------------------------------------------- */

static void wait_for_stop(pid_t child)
{
	int status;

	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSTOPPED(status));
}

static void attached_to(void)
{
	pid_t child = start_spinning(NULL);
	struct user_regs_struct registers;

	for (int i = 0; i < 5; i++) {
		CHECK_OK(ptrace(PTRACE_ATTACH, child, 0, 0));
		wait_for_stop(child);
		check_it_stands_still();
		/* Its registers are those of the thread that runs the guest. */
		CHECK_OK(ptrace(PTRACE_GETREGS, child, 0, &registers));
		CHECK_EQ(registers.orig_rax == SYS_lseek || (long)registers.orig_rax == -1, 1);
		CHECK(registers.rip > RAW_BYTES && registers.rip < 1ull << 47);
		CHECK_OK(ptrace(PTRACE_DETACH, child, 0, 0));
		check_it_moves();
	}
	end(child);
}

static void interrupted_and_killed_by_a_tracer(void)
{
	pid_t child = start_spinning(NULL);

	CHECK_OK(ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL));
	for (int i = 0; i < 20; i++) {
		CHECK_OK(ptrace(PTRACE_INTERRUPT, child, 0, 0));
		wait_for_stop(child);
		CHECK_OK(ptrace(PTRACE_CONT, child, 0, 0));
		if (i % 4 == 0)
			check_it_moves();
	}
	end(child);
}

/* What a tracer writes the guest reads, at once. */
static void written_to(void)
{
	int memory = share_memory();
	pid_t child = harness_fork();

	if (!child) {
		create_guest(memory, raw_read, RAW_PRIVATE);
		shared->run_page = (uintptr_t)raw.memory;
		for (;;) {
			CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
			shared->read = raw.run->gpr[DUNE_RAX];
			shared->counter++;
		}
	}
	for (uint64_t value = 1; value <= 10; value++) {
		check_it_moves();
		CHECK_OK(ptrace(PTRACE_ATTACH, child, 0, 0));
		wait_for_stop(child);
		CHECK_EQ(shared->read, value - 1);
		CHECK_OK(ptrace(PTRACE_POKEDATA, child, shared->run_page + RAW_PRIVATE, value));
		CHECK_OK(ptrace(PTRACE_DETACH, child, 0, 0));
		check_it_moves();
		check_it_moves();
		CHECK_EQ(shared->read, value);
	}
	end(child);
}

/* ---- Dumped ---------------------------------------------------------------------- */

#define CORE_PATTERN "/proc/sys/kernel/core_pattern"

static void dump_to_tmp(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = CHECK_OK(open("/proc/self/coredump_filter", O_WRONLY));

	CHECK_OK(write(fd, "0x7f", 4)); /* shared mappings as well */
	close(fd);
	CHECK_OK(setrlimit(RLIMIT_CORE, &all));
	CHECK_OK(chdir("/tmp"));
}

static int read_core(char *pattern, size_t bytes)
{
	int fd = CHECK_OK(open(CORE_PATTERN, O_RDONLY));
	ssize_t got = CHECK_OK(read(fd, pattern, bytes - 1));

	pattern[got] = 0;
	close(fd);
	return strcmp(pattern, "core\n");
}

/* The core file is whole, and has the program's memory but not the run page. */
static void check_core(pid_t child)
{
	char name[64];
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	int fd, nr_loads = 0;

	snprintf(name, sizeof(name), "/tmp/core.%d", child);
	fd = open(name, O_RDONLY);
	if (fd < 0)
		fd = CHECK_OK(open("/tmp/core", O_RDONLY));
	CHECK_EQ(read(fd, &header, sizeof(header)), sizeof(header));
	CHECK_EQ(header.e_type, ET_CORE);
	for (int i = 0; i < header.e_phnum; i++) {
		CHECK_EQ(pread(fd, &segment, sizeof(segment), header.e_phoff + i * sizeof(segment)),
			 sizeof(segment));
		nr_loads += segment.p_type == PT_LOAD && segment.p_filesz;
		if (segment.p_type == PT_LOAD && segment.p_vaddr == shared->run_page)
			CHECK_EQ(segment.p_filesz, 0);
	}
	CHECK(nr_loads > 5);
	unlink(name);
	unlink("/tmp/core");
}

static void dumped(void)
{
	char pattern[256];
	pid_t child;
	int status;

	TEST_REQUIRE(!read_core(pattern, sizeof(pattern)), "core files go elsewhere here");
	for (int i = 0; i < 3; i++) {
		child = start_spinning(dump_to_tmp);
		CHECK_OK(kill(child, i ? SIGSEGV : SIGABRT));
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK(WIFSIGNALED(status) && WCOREDUMP(status));
		check_core(child);
	}
}

/* ---- Signalled ------------------------------------------------------------------- */

static volatile sig_atomic_t handled;

static void count_signal(int signal)
{
	(void)signal;
	handled++;
}

enum { NR_SIGNALS = 500 };

static void send_signals(pid_t to)
{
	for (int i = 0; i < NR_SIGNALS; i++) {
		union sigval value = { .sival_int = i };

		while (sigqueue(to, SIGRTMIN, value))
			sched_yield();
		if (i % 8 == 0)
			usleep(rand() % 500);
	}
}

/* However they hit, at entry or inside, each is handled and nothing else changes. */
static void a_storm_of_signals_loses_nothing(void)
{
	struct sigaction action = { .sa_handler = count_signal };
	struct dune_state state = { .groups = DUNE_STATE_REGS };
	int memory = share_memory();
	pid_t parent = getpid(), child;

	CHECK_OK(sigaction(SIGRTMIN, &action, NULL));
	create_guest(memory, raw_spin, RAW_DATA);
	child = harness_fork();
	if (!child) {
		send_signals(parent);
		_exit(0);
	}
	while (handled < NR_SIGNALS) {
		uint64_t before = shared->counter;

		CHECK_EQ(lseek(raw.vcpu, 0, SEEK_SET), DUNE_EXIT_INTR);
		CHECK(shared->counter >= before);
		CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &state));
		CHECK_EQ(state.gpr[DUNE_RDI], RAW_DATA);
		/* It stands between counting and storing, or not. */
		CHECK(state.gpr[DUNE_RBX] - shared->counter <= 1);
		CHECK(state.rip >= RAW_CODE && state.rip < RAW_CODE + 16);
	}
	JOIN(child);
	CHECK_EQ(handled, NR_SIGNALS);
}

/* A handler may run the vcpu that it has interrupted: it is not busy any more. */
static void run_in_handler(int signal)
{
	struct itimerval none = { 0 };

	(void)signal;
	handled++;
	setitimer(ITIMER_REAL, &none, NULL);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	raw_load(&raw, raw_spin, RAW_DATA, 0);
}

static void a_handler_may_run_it(void)
{
	struct sigaction action = { .sa_handler = run_in_handler };
	struct itimerval soon = { { 0, 0 }, { 0, 2000 } };
	int memory = share_memory();

	CHECK_OK(sigaction(SIGALRM, &action, NULL));
	create_guest(memory, raw_spin, RAW_DATA);
	for (int i = 1; i <= 5; i++) {
		CHECK_OK(setitimer(ITIMER_REAL, &soon, NULL));
		while (handled < i)
			CHECK_EQ(lseek(raw.vcpu, 0, SEEK_SET), DUNE_EXIT_INTR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(stopped),
		guest_test(stopped_while_it_opens),
		guest_test(frozen),
		guest_test(attached_to),
		guest_test(interrupted_and_killed_by_a_tracer),
		guest_test(written_to),
		guest_test(dumped),
		guest_test(a_storm_of_signals_loses_nothing),
		guest_test(a_handler_may_run_it),
	};

	return run_guest_tests(tests);
}
