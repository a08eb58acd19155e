// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every general register, the flags and the red zone survive a hypercall, an
 * exception, an EPT fault and preemption.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "through.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R11 = 11 };

/* CF PF AF ZF SF DF OF AC ID: what a program can set by itself. */
static const uint64_t free_flags =
	0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x400 | 0x800 | 0x40000 | 0x200000;

static uint64_t current_flags(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; pop %0" : "=r"(flags)::"memory");
	return flags;
}

static void fill(uint64_t seed, uint64_t flags)
{
	for (int i = 0; i < 16; i++) {
		through_in.gpr[i] = (seed + i) * 0x9e3779b97f4a7c15ull;
		through_in.red_zone[i] = ~through_in.gpr[i];
	}
	through_in.rflags = (current_flags() & ~free_flags) | flags;
}

/* except: a bit for each register that may change. */
static void check_same(unsigned except)
{
	for (int i = 0; i < 16; i++) {
		if (except >> i & 1)
			continue;
		if (through_out.gpr[i] != through_in.gpr[i])
			FAIL("register %d is %#lx, not %#lx", i, through_out.gpr[i],
			     through_in.gpr[i]);
	}
	for (int i = 0; i < 16; i++)
		CHECK_EQ(through_out.red_zone[i], through_in.red_zone[i]);
	CHECK_EQ(through_out.rflags, through_in.rflags);
}

static const uint64_t flag_sets[] = { 0, 0x400, 0x40000, 0x8d5, 0x200401, 0x240cd5 };
enum { NR_FLAG_SETS = sizeof(flag_sets) / sizeof(flag_sets[0]) };

static void survive_a_hypercall(void)
{
	pid_t pid = getpid();

	enter_dune();
	for (int i = 0; i < NR_FLAG_SETS; i++) {
		fill(i, flag_sets[i]);
		through_in.gpr[RAX] = SYS_getpid;
		through_syscall();
		CHECK_EQ(through_out.gpr[RAX], pid);
		check_same(1 << RAX | 1 << RCX | 1 << R11);
		CHECK_EQ(through_out.gpr[R11], through_in.rflags);
	}
}

static void on_breakpoint(struct dune_frame *frame)
{
	(void)frame;
}

/* Spoils everything that a function may: the trap path must save it. */
static void on_breakpoint_with_fpu(struct dune_frame *frame)
{
	(void)frame;
	__asm__ volatile("xorps %%xmm0, %%xmm0; xor %%eax, %%eax; mov $1, %%ecx; mov $2, %%edx;"
			 "mov $3, %%esi; mov $4, %%edi; mov $5, %%r8d; mov $6, %%r9d;"
			 "mov $7, %%r10d; mov $8, %%r11d" ::
				 : "xmm0", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
				   "r11", "cc");
}

static void survive_an_exception(void)
{
	enter_dune();
	for (int turn = 0; turn < 2; turn++) {
		CHECK_EQ(dune_set_handler(3, turn ? on_breakpoint_with_fpu : on_breakpoint,
					  turn ? DUNE_SAVE_FPU : 0),
			 0);
		for (int i = 0; i < NR_FLAG_SETS; i++) {
			fill(100 + i, flag_sets[i]);
			through_breakpoint();
			check_same(0);
		}
	}
}

static void survive_an_ept_fault(void)
{
	char *pages;

	enter_dune();
	pages = map_pages(NR_FLAG_SETS, PROT_READ | PROT_WRITE);
	for (int i = 0; i < NR_FLAG_SETS; i++) {
		fill(200 + i, flag_sets[i]);
		through_in.gpr[RDI] = (uintptr_t)pages + i * PAGE_BYTES;
		through_touch();
		check_same(0);
		CHECK_EQ(pages[i * PAGE_BYTES], 1);
	}
}

static void set_flag_later(void *unused)
{
	(void)unused;
	usleep(30000);
	through_flag = 1;
}

static void survive_preemption(void)
{
	sidekick_start();
	enter_dune();
	for (int i = 0; i < NR_FLAG_SETS; i++) {
		through_flag = 0;
		fill(300 + i, flag_sets[i]);
		sidekick_post(set_flag_later, NULL);
		through_wait();
		check_same(1 << RCX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(survive_a_hypercall),
		guest_test(survive_an_exception),
		guest_test(survive_an_ept_fault),
		guest_test(survive_preemption),
	};

	return run_guest_tests(tests);
}
