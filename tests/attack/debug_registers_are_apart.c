// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest has debug registers of its own: they work inside, the host's
 * breakpoints on the same thread go on working outside, and neither sees the
 * other's. What the hardware reserves is #GP.
 */
#define _GNU_SOURCE
#include "raw_trap.h"

#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

enum { DB = 1, UD = 6, GP = 13 };
enum { DR7_L0_WRITE_8 = 0x400 | 1 | 1 << 16 | 2 << 18, DR7_L0_EXECUTE = 0x400 | 1 };

#define BYTES(code) code, sizeof(code) - 1
#define GPR	    raw.run->gpr

static struct raw raw;

static struct raw_trap run(struct dune_state state, const char *code, size_t bytes)
{
	struct raw_trap trap;

	CHECK_EQ(raw_trap_run(&raw, &state, code, bytes, &trap), DUNE_EXIT_HYPERCALL);
	return trap;
}

static struct dune_state with(uint64_t rax, uint64_t rdi)
{
	struct dune_state state = raw_trap_state(&raw);

	state.gpr[DUNE_RAX] = rax;
	state.gpr[DUNE_RDI] = rdi;
	return state;
}

static void all_of_them_keep_what_is_written(void)
{
	raw_trap_create(&raw);
	for (int dr = 0; dr < 4; dr++) {
		/* mov drN, rax; mov rbx, drN */
		char code[] = { 0x0f, 0x23, (char)(0xc0 | dr << 3),
				0x0f, 0x21, (char)(0xc3 | dr << 3) };

		CHECK_EQ(run(with(0x1234567890 + dr, 0), code, sizeof(code)).vector,
			 RAW_VECTOR_NONE);
		CHECK_EQ(GPR[DUNE_RBX], 0x1234567890 + dr);
	}
	/* Whatever happened in between: all four at once. */
	CHECK_EQ(run(with(0, 0), BYTES("\x0f\x21\xc0\x0f\x21\xcb\x0f\x21\xd1\x0f\x21\xda")).vector,
		 RAW_VECTOR_NONE);
	CHECK_EQ(GPR[DUNE_RAX], 0x1234567890);
	CHECK_EQ(GPR[DUNE_RBX], 0x1234567891);
	CHECK_EQ(GPR[DUNE_RCX], 0x1234567892);
	CHECK_EQ(GPR[DUNE_RDX], 0x1234567893);
}

static void reserved_bits_are_faults(void)
{
	raw_trap_create(&raw);
	for (int bit = 32; bit < 64; bit++) {
		CHECK_EQ(run(with(1ull << bit, 0), BYTES("\x0f\x23\xf0")).vector, GP); /* dr6 */
		CHECK_EQ(run(with(1ull << bit, 0), BYTES("\x0f\x23\xf8")).vector, GP); /* dr7 */
	}
	/* DR4 and DR5 are DR6 and DR7, or #UD with CR4.DE. */
	CHECK_EQ(run(with(0, 0), BYTES("\x0f\x21\xe3")).vector, RAW_VECTOR_NONE);
	CHECK_EQ(GPR[DUNE_RBX] & 0xff0, 0xff0);
	CHECK_EQ(run(with(0, 0), BYTES("\x0f\x20\xe0\x48\x83\xc8\x08\x0f\x22\xe0\x0f\x21\xe3"))
			 .vector,
		 UD);
	/* General detect is not offered. */
	CHECK_EQ(run(with(1 << 13, 0), BYTES("\x0f\x23\xf8\x0f\x21\xfb")).vector, RAW_VECTOR_NONE);
	CHECK_EQ(GPR[DUNE_RBX], 0x400);
}

/* mov dr0, rdi; mov dr7, rax; mov dr6 = 0 by rbx; then code */
#define SET_DR0_DR7 "\x0f\x23\xc7\x31\xdb\x0f\x23\xf3\x0f\x23\xf8"
enum { SET_BYTES = 11 };

static void a_watchpoint_of_the_guest_works(void)
{
	struct raw_trap trap;

	raw_trap_create(&raw);
	/* mov [rdi], rax; nop */
	trap = run(with(DR7_L0_WRITE_8, RAW_DATA), BYTES(SET_DR0_DR7 "\x48\x89\x07\x90\x90"));
	CHECK_EQ(trap.vector, DB);
	CHECK_EQ(trap.rip, RAW_CODE + SET_BYTES + 3);
	CHECK_EQ(run(with(0, 0), BYTES("\x0f\x21\xf3")).vector, RAW_VECTOR_NONE); /* rbx = dr6 */
	CHECK_EQ(GPR[DUNE_RBX] & 0xf00f, 1);
	/* Next to it nothing happens. */
	trap = run(with(DR7_L0_WRITE_8, RAW_DATA + 64), BYTES(SET_DR0_DR7 "\x48\x89\x47\x40\x90"));
	CHECK_EQ(trap.vector, RAW_VECTOR_NONE);
}

static void a_breakpoint_of_the_guest_works(void)
{
	struct raw_trap trap;

	raw_trap_create(&raw);
	trap = run(with(DR7_L0_EXECUTE, RAW_CODE + SET_BYTES + 1),
		   BYTES(SET_DR0_DR7 "\x90\x90\x90"));
	CHECK_EQ(trap.vector, DB);
	CHECK_EQ(trap.rip, RAW_CODE + SET_BYTES + 1);
}

/* A breakpoint on the gate of #DB itself: the loop that a CPU cannot break by itself. */
static void a_breakpoint_on_the_gate_does_not_hang(void)
{
	struct dune_state state;
	struct raw_trap trap;
	pid_t child = harness_fork();
	int code;

	if (!child) {
		raw_trap_create(&raw);
		state = with(DR7_L0_EXECUTE, RAW_TRAPS + DB * 16);
		raw_trap_run(&raw, &state, BYTES(SET_DR0_DR7 "\xf1"), &trap);
		_exit(0);
	}
	usleep(300000);
	kill(child, SIGKILL);
	code = harness_wait(child);
	CHECK(code == 0 || code == 128 + SIGKILL);
}

/* ---- The host's -------------------------------------------------------------- */

static volatile uint64_t watched __attribute__((aligned(8)));

static int watch(uint32_t type, const volatile void *address, bool in_kernel)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = type,
		.bp_addr = (uintptr_t)address,
		.bp_len = HW_BREAKPOINT_LEN_8,
		.exclude_kernel = !in_kernel,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static uint64_t hits(int fd)
{
	uint64_t count = 0;

	CHECK_EQ(read(fd, &count, sizeof(count)), sizeof(count));
	return count;
}

static void the_hosts_watchpoint_survives(void)
{
	int fd = watch(HW_BREAKPOINT_W, &watched, false);

	TEST_REQUIRE(fd >= 0, "no breakpoint events");
	raw_trap_create(&raw);
	watched = 1;
	CHECK_EQ(hits(fd), 1);
	for (int turn = 0; turn < 20; turn++) {
		/* All four enabled in the guest, at the very address that the host watches. */
		CHECK_EQ(run(with(0x400 | 0xff | 0xdddd0000, (uintptr_t)&watched),
			     BYTES(SET_DR0_DR7
				   "\x0f\x23\xcf\x0f\x23\xd7\x0f\x23\xdf\x31\xc0\x0f\xa2"))
				 .vector,
			 RAW_VECTOR_NONE);
		CHECK_EQ(hits(fd), 2 * turn + 1);
		watched = turn;
		CHECK_EQ(hits(fd), 2 * turn + 2);
		/* And none enabled. */
		CHECK_EQ(run(with(0x400, 0), BYTES(SET_DR0_DR7)).vector, RAW_VECTOR_NONE);
		watched = turn;
		CHECK_EQ(hits(fd), 2 * turn + 3);
	}
}

static uint64_t kernel_symbol(const char *wanted)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	unsigned long address, found = 0;
	char name[256];

	while (file && !found && fscanf(file, "%lx %*c %255s%*[^\n]", &address, name) == 2)
		if (!strcmp(name, wanted))
			found = address;
	if (file)
		fclose(file);
	return found;
}

static __attribute__((noinline)) void never_called(void)
{
	__asm__ volatile("");
}

/*
 * The kernel has the guest's addresses in its debug registers for a moment before the entry: what
 * the host has enabled must not mean those.
 */
static void the_guest_sets_no_breakpoint_in_the_kernel(void)
{
	uint64_t entry = kernel_symbol("dune_vmenter");
	int fd = watch(HW_BREAKPOINT_X, (void *)never_called, true);

	TEST_REQUIRE(entry, "the kernel does not show its symbols");
	TEST_REQUIRE(fd >= 0, "no breakpoint events");
	raw_trap_create(&raw);
	for (int turn = 0; turn < 20; turn++)
		CHECK_EQ(run(with(DR7_L0_EXECUTE, entry), BYTES(SET_DR0_DR7 "\x31\xc0\x0f\xa2"))
				 .vector,
			 RAW_VECTOR_NONE);
	CHECK_EQ(hits(fd), 0);
	never_called();
	CHECK_EQ(hits(fd), 1);
}

/* What a debugger set is what it reads, and its breakpoint fires outside. */
static void a_debuggers_registers_survive(void)
{
	pid_t child = harness_fork();
	int status;

	if (!child) {
		raw_trap_create(&raw);
		raise(SIGSTOP);
		for (int i = 0; i < 50; i++)
			CHECK_EQ(run(with(0x400 | 0x33 | 0xd << 16, RAW_DATA),
				     BYTES(SET_DR0_DR7 "\x0f\x23\xcf"))
					 .vector,
				 RAW_VECTOR_NONE);
		watched = 5; /* SIGTRAP */
		_exit(0);
	}
	CHECK_OK(ptrace(PTRACE_SEIZE, child, 0, 0));
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	CHECK_OK(ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[0]), &watched));
	CHECK_OK(ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[7]),
			1 | 1 << 16 | 2 << 18));
	CHECK_OK(kill(child, SIGCONT));
	CHECK_OK(ptrace(PTRACE_CONT, child, 0, 0));
	for (;;) {
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK(WIFSTOPPED(status));
		if (WSTOPSIG(status) == SIGTRAP && !(status >> 16))
			break;
		CHECK_OK(ptrace(PTRACE_CONT, child, 0,
				status >> 16		      ? 0
				: WSTOPSIG(status) == SIGCONT ? SIGCONT
							      : 0));
	}
	CHECK_EQ(ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, u_debugreg[6]), 0) & 0xf, 1);
	CHECK_EQ(ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, u_debugreg[0]), 0),
		 (uintptr_t)&watched);
	CHECK_OK(ptrace(PTRACE_CONT, child, 0, 0));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(all_of_them_keep_what_is_written),
		guest_test(reserved_bits_are_faults),
		guest_test(a_watchpoint_of_the_guest_works),
		guest_test(a_breakpoint_of_the_guest_works),
		guest_test(a_breakpoint_on_the_gate_does_not_hang),
		guest_test(the_hosts_watchpoint_survives),
		guest_test(the_guest_sets_no_breakpoint_in_the_kernel),
		guest_test(a_debuggers_registers_survive),
	};

	return run_guest_tests(tests);
}
