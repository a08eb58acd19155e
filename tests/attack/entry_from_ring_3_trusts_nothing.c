// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls and faults with any stack pointer and any flags reach ring 0
 * unharmed, write nothing by way of ring 3's stack, and go back as they came.
 */
#define _GNU_SOURCE
#include "ring3.h"
#include "ring3_attacks.h"

#include <sys/mman.h>

#define LAST_GIB 0x7fffc0000000

static unsigned forged_stacks(uint64_t *stacks)
{
	unsigned nr = 0;

	stacks[nr++] = 0;
	stacks[nr++] = 8;
	stacks[nr++] = (uintptr_t)ring3_canary + PAGE_BYTES;
	stacks[nr++] = (uintptr_t)ring3_canary + PAGE_BYTES + 1;
	stacks[nr++] = (uintptr_t)&nr;
	stacks[nr++] = ring3_stack_top() - 3;
	stacks[nr++] = 0x0000800000000000;
	stacks[nr++] = 0xffff7fffffffffff;
	stacks[nr++] = 0xffffffffffffffff;
	stacks[nr++] = 0xffff888000001000;
	stacks[nr++] = ring3_at(attacks) + 64; /* not writable */
	return nr;
}

static void whatever_the_stack(void)
{
	uint64_t stacks[16];
	unsigned nr;

	ring3_prepare();
	nr = forged_stacks(stacks);
	for (unsigned i = 0; i < nr; i++) {
		ring3_returns(attack_syscall_rsp, stacks[i], RING3_SYSCALL_RESULT);
		ring3_check_host();
		ring3_faults(attack_fault_rsp, stacks[i], 6);
		ring3_check_host();
	}
}

static void whatever_the_flags(void)
{
	const uint64_t flags[] = { 0x202, 0x602, 0x40202, 0x202 | 0x8d5, 0x240ed7, 0x200202 };

	ring3_prepare();
	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		ring3_returns(attack_syscall_flags, flags[i], flags[i]);
		ring3_check_host();
	}
	/* IF and IOPL are not ring 3's to change. */
	ring3_returns(attack_syscall_flags, 0x3202, 0x202);
	ring3_returns(attack_syscall_flags, 0x2, 0x202);
	ring3_check_host();
}

/* The CPU leaves AC and DF as they are when it goes to a handler. */
static void on_undefined(struct dune_frame *frame)
{
	unsigned long flags;

	__asm__ volatile("pushfq; pop %0; cld" : "=r"(flags)::"memory", "cc");
	CHECK(!(flags & 0x44500)); /* AC, NT, DF, TF */
	CHECK_EQ(frame->cs & 3, 3);
	frame->rip += 2;
}

static void whatever_the_flags_at_a_fault(void)
{
	const uint64_t flags[] = { 0x202, 0x602, 0x40202, 0x202 | 0x8d5, 0x240ed7, 0x200202 };

	ring3_prepare();
	CHECK_EQ(dune_set_handler(6, on_undefined, 0), 0);
	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		ring3_returns(attack_fault_flags, flags[i], flags[i]);
		ring3_check_host();
	}
}

/* Whatever a frame says: rights beyond ring 3's are not to be had by way of it. */
static void whatever_the_frame(void)
{
	struct dune_frame frame = { 0 };
	struct dune_ring3_end end;

	ring3_prepare();
	frame.rip = ring3_at(attack_interrupts);
	frame.rsp = ring3_stack_top();
	frame.cs = 0x10; /* ring 0's */
	frame.ss = 0x18;
	for (int i = 0; i < 2; i++) {
		memset(&end, 0, sizeof(end));
		frame.rflags = i ? 0x3202 : 0x27002; /* IOPL 3; VM, NT, IOPL 3, no IF */
		CHECK_EQ(dune_ring3_run(&frame, &end), 0);
		CHECK_EQ(end.vector, 13);
		CHECK_EQ(end.rip, frame.rip);
		ring3_check_host();
	}
}

/* A single step is ring 3's own: it ends there, with #DB, not in ring 0. */
static void single_steps_stay_in_ring_3(void)
{
	struct dune_ring3_end end = { 0 };
	uint64_t value;

	ring3_prepare();
	CHECK_EQ(ring3_try(attack_syscall_flags, 0x302, 0, 0, &value, &end), -EFAULT);
	CHECK_EQ(end.vector, 1);
	CHECK(dune_arena_contains(end.rip, 1));
	ring3_check_host();
}

/* syscall as the last instruction below the hole: to go back there is #GP. */
static void return_to_an_address_that_is_not_canonical(void)
{
	char *page;
	void *arena;
	struct dune_ring3_end end = { 0 };
	uint64_t value;
	int result;

	ring3_prepare();
	result = dune_arena_create(LAST_GIB, DUNE_ARENA_BYTES, DUNE_ARENA_KEEP, &arena);
	if (result)
		harness_note("no arena at the top of the address space: %d", result);
	page = mmap((void *)0x7fffffffe000, PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	TEST_REQUIRE(!result && page == (char *)0x7fffffffe000, "the last page is in use");
	dune_user_begin();
	page[PAGE_BYTES - 2] = 0x0f;
	page[PAGE_BYTES - 1] = 0x05;
	dune_user_end();
	CHECK_OK(mprotect(page, PAGE_BYTES, PROT_READ | PROT_EXEC));
	CHECK_EQ(dune_ring3_call((uintptr_t)page + PAGE_BYTES - 2, ring3_stack_top(), 0, 0, 0,
				 &value, &end),
		 -EFAULT);
	CHECK(end.vector == 13 || end.vector == 14);
	ring3_check_host();
}

static const uint64_t not_canonical[] = { 1ull << 47, 0xdeadull << 48, 1ull << 63 };
static uint64_t lost_rip;

/* What a hook does that goes by numbers of ring 3: SYSRET takes the address from rcx. */
static void on_lost(struct dune_frame *frame)
{
	frame->rcx = frame->rip = lost_rip;
}

/* SYSRET and IRET to there are #GP in ring 0; it must be ring 3's. */
static void a_handler_returns_to_an_address_that_is_not_canonical(void)
{
	const char *const code[] = { attack_syscall, attack_fault_flags };
	struct dune_ring3_end end;
	uint64_t value;

	ring3_prepare();
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(i ? dune_set_handler(6, on_lost, 0) : dune_set_syscall_handler(on_lost, 0),
			 0);
		for (unsigned j = 0; j < 3; j++) {
			memset(&end, 0, sizeof(end));
			lost_rip = not_canonical[j];
			CHECK_EQ(ring3_try(code[i], 0x202, 0, 0, &value, &end), -EFAULT);
			CHECK_EQ(end.vector, 13);
			CHECK_EQ(end.rip, lost_rip);
		}
	}
}

/*
 * The last GiB becomes ring 3's, which a CPU with SMAP keeps ring 0 from. Where the
 * stack is there, or what Linux puts right above it, another start has it elsewhere.
 */
static void move_the_stack(char **argv)
{
	if ((uintptr_t)&argv >= LAST_GIB - (16 << 20))
		CHECK_OK(execv("/proc/self/exe", argv));
}

int main(int argc, char **argv)
{
	(void)argc;
	move_the_stack(argv);

	const struct CMUnitTest tests[] = {
		guest_test(whatever_the_stack),
		guest_test(whatever_the_flags),
		guest_test(whatever_the_flags_at_a_fault),
		guest_test(whatever_the_frame),
		guest_test(single_steps_stay_in_ring_3),
		guest_test(return_to_an_address_that_is_not_canonical),
		guest_test(a_handler_returns_to_an_address_that_is_not_canonical),
	};

	return run_guest_tests(tests);
}
