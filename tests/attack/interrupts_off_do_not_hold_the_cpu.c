// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's ring 0 that spins with interrupts off, or loops in what the CPU can
 * only leave by an exit, is preempted and killed like any process, and others on
 * its CPU do not wait for it.
 *
 * Bochs stands still where a guest is entered with IF clear (docs/testing.md), so
 * there the guest clears IF, spins a while, and sets it for one instruction.
 * $DUNE_TEST_IF_CLEAR makes it clear IF for good, for a real CPU.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "raw_trap.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { NR_SLEEPS = 40 };

/* 1: sti; cli; mov ecx, 1,000,000; 2: dec ecx; jnz 2b; jmp 1b */
#define OFF_FOR_A_WHILE "\xfb\xfa\xb9\x40\x42\x0f\x00\xff\xc9\x75\xfc\xeb\xf3"
#define OFF_FOR_GOOD	"\xfa\xeb\xfe"
#define DEBUG_LOOP	"\x0f\x23\xc7\x0f\x23\xf8\xf1\x90" /* mov dr0, rdi; mov dr7, rax; icebp */
#define HLT_LOOP	"\xf4\xeb\xfd"
#define CPUID_LOOP	"\x31\xc0\x0f\xa2\xeb\xfa"
#define WRITE_LOOP	"\x88\x06\xeb\xfc" /* mov [rsi], al */

struct guest {
	const char *code;
	size_t bytes;
	uint64_t rax, rdi;
};

static void run_guest(const struct guest *guest, int ready)
{
	struct dune_state state;
	struct raw_trap trap;
	struct raw raw;

	raw_trap_create(&raw);
	state = raw_trap_state(&raw);
	state.gpr[DUNE_RAX] = guest->rax;
	state.gpr[DUNE_RDI] = guest->rdi;
	state.gpr[DUNE_RSI] = RAW_DATA;
	CHECK_EQ(write(ready, "", 1), 1);
	FAIL("it came back: %ld", raw_trap_run(&raw, &state, guest->code, guest->bytes, &trap));
}

/* push rbx; mov ecx, ss; mov ss, ecx */
#define SHADOW_BEGIN "\x53\x8c\xd1\x8e\xd1"
#define SHADOW_END   "\x5b\xc3" /* pop rbx; ret */
#define SHADOW_BYTES (1 << 20)

/*
 * The shadow of a MOV SS, in which the CPU takes no interrupt, and behind it nothing but
 * CPUIDs: each exits, and so none is executed, which would end the shadow.
 */
static void run_in_a_shadow(const struct guest *unused, int ready)
{
	char *code = map_pages(SHADOW_BYTES / PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
	void (*run)(void) = (void (*)(void))code;

	(void)unused;
	for (size_t i = 1; i < SHADOW_BYTES - 2; i += 2)
		memcpy(code + i, "\x0f\xa2", 2);
	memcpy(code, SHADOW_BEGIN, sizeof(SHADOW_BEGIN) - 1);
	memcpy(code + SHADOW_BYTES - 3, SHADOW_END, sizeof(SHADOW_END) - 1);
	enter_dune();
	run(); /* the second time nothing has to be faulted in */
	CHECK_EQ(write(ready, "", 1), 1);
	for (;;)
		run();
}

static long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* On the same CPU as the guest: sleeps are as long as they should be, and SIGKILL works. */
static void it_is_preempted_and_killed(void (*run)(const struct guest *guest, int ready),
				       const struct guest *guest)
{
	long worst = 0, start;
	int ready[2];
	pid_t child;
	char byte;

	harness_run_on(0, 0);
	CHECK_OK(pipe(ready));
	child = harness_fork();
	if (!child)
		run(guest, ready[1]);
	close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	for (int i = 0; i < NR_SLEEPS; i++) {
		long took;

		start = milliseconds();
		usleep(2000);
		took = milliseconds() - start;
		worst = took > worst ? took : worst;
	}
	CHECK_EQ(waitpid(child, NULL, WNOHANG), 0);
	start = milliseconds();
	CHECK_OK(kill(child, SIGKILL));
	CHECK_EQ(harness_wait(child), 128 + SIGKILL);
	harness_note("2 ms of sleep took %ld ms at most; dead after %ld ms", worst,
		     milliseconds() - start);
	CHECK(worst < 200);
}
#define PREEMPTED(code, rax, rdi) \
	it_is_preempted_and_killed(run_guest, &(struct guest){ code, sizeof(code) - 1, rax, rdi })

static void spinning_with_interrupts_off(void)
{
	if (getenv("DUNE_TEST_IF_CLEAR"))
		PREEMPTED(OFF_FOR_GOOD, 0, 0);
	else
		PREEMPTED(OFF_FOR_A_WHILE, 0, 0);
}

/* A breakpoint on the first instruction of the gate of #DB: the CPU would loop by itself. */
static void in_a_loop_of_debug_exceptions(void)
{
	PREEMPTED(DEBUG_LOOP, 0x401, RAW_TRAPS + 16);
}

static void in_a_loop_of_halts(void)
{
	PREEMPTED(HLT_LOOP, 0, 0);
}

static void in_a_loop_of_exits(void)
{
	PREEMPTED(CPUID_LOOP, 0, 0);
}

static void in_the_shadow_of_mov_ss(void)
{
	it_is_preempted_and_killed(run_in_a_shadow, NULL);
}

static void in_a_loop_of_writes(void)
{
	PREEMPTED(WRITE_LOOP, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(spinning_with_interrupts_off, 60),
		guest_test(in_a_loop_of_debug_exceptions),
		guest_test(in_a_loop_of_halts),
		guest_test(in_a_loop_of_exits),
		guest_test_limit(in_the_shadow_of_mov_ss, 60),
		guest_test(in_a_loop_of_writes),
	};

	return run_guest_tests(tests);
}
