// SPDX-License-Identifier: GPL-2.0-only
/*
 * A signal that comes while ring 3 is on its way into ring 0 or out of it is handled with
 * ring 0's stack and thread-local storage, and does not keep ring 0 from looking where
 * ring 3 goes.
 */
#define _GNU_SOURCE
#include "ring3.h"
#include "ring3_attacks.h"
#include "ticks.h"

#include "dune_abi.h"

/* L0, reads and writes, two bytes. */
#define DR7_WATCH (0x400 | 1 | 3 << 16 | 1 << 18)

static __thread volatile long tls_canary = 0x7157;
static volatile unsigned long on_ring_3s_stack, with_ring_3s_fs;

static void on_tick_with_a_look(int signal)
{
	on_tick(signal);
	on_ring_3s_stack += dune_arena_contains((uintptr_t)__builtin_frame_address(0), 1);
	with_ring_3s_fs += tls_canary != 0x7157;
}

static void begin(void)
{
	ring3_prepare();
	ticks_begin();
	CHECK(signal(SIGALRM, on_tick_with_a_look) != SIG_ERR);
}

static void end(void)
{
	ticks_end();
	CHECK_EQ(on_ring_3s_stack, 0);
	CHECK_EQ(with_ring_3s_fs, 0);
	ring3_check_host();
}

static void on_short_call(struct dune_frame *frame)
{
	frame->rax = RING3_SYSCALL_RESULT;
}

/* The #DB of the watchpoint comes in ring 0's first instruction. */
static void a_watchpoint_that_mov_ss_puts_off(void)
{
	const uint16_t selector = DUNE_SEL_DATA3;
	unsigned long dr6;

	begin();
	CHECK_EQ(dune_set_syscall_handler(on_short_call, 0), 0);
	CHECK_EQ(dune_copy_to_user(ring3_data(), &selector, sizeof(selector)), 0);
	__asm__ volatile("mov %0, %%db0\n\tmov %1, %%db6\n\tmov %2, %%db7" ::"r"(ring3_data()),
			 "r"(0ul), "r"((unsigned long)DR7_WATCH));
	while (ticks_go_on())
		ring3_returns(attack_mov_ss, ring3_data(), RING3_SYSCALL_RESULT);
	__asm__ volatile("mov %%db6, %0\n\tmov %1, %%db7" : "=r"(dr6) : "r"(0x400ul));
	CHECK(dr6 & 1);
	end();
}

static void on_lost(struct dune_frame *frame)
{
	frame->rcx = frame->rip = 1ul << 47;
}

static void a_handler_returns_to_an_address_that_is_not_canonical(void)
{
	begin();
	CHECK_EQ(dune_set_syscall_handler(on_lost, 0), 0);
	while (ticks_go_on())
		ring3_faults(attack_syscall, 0, 13);
	CHECK_EQ(dune_set_syscall_handler(on_short_call, 0), 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(a_watchpoint_that_mov_ss_puts_off),
		guest_test(a_handler_returns_to_an_address_that_is_not_canonical),
	};

	return run_guest_tests(tests);
}
