// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the attacks from ring 3 are started and what must hold after each. The
 * handler for system calls is careful to use what an attack may have spoilt:
 * thread-local storage, SSE, libc.
 */
#define _GNU_SOURCE
#include "ring3.h"
#include "ring3_attacks.h"

#include <stdio.h>
#include <sys/syscall.h>

volatile unsigned long ring3_syscalls;
char ring3_canary[2 * PAGE_BYTES] __attribute__((aligned(4096)));

static __thread long tls_canary = 0x7157;
static pid_t own_pid;

static void on_syscall(struct dune_frame *frame)
{
	char text[32];
	unsigned long flags;

	__asm__ volatile("pushfq; pop %0" : "=r"(flags)::"memory");
	CHECK(!(flags & 0x44500)); /* AC, NT, DF, TF */
	CHECK_EQ(current_ring(), 0);
	CHECK_EQ(frame->cs & 3, 3);
	CHECK_EQ(tls_canary, 0x7157);
	snprintf(text, sizeof(text), "%.1f", 1.5);
	CHECK(!strcmp(text, "1.5"));
	ring3_syscalls++;
	frame->rax = RING3_SYSCALL_RESULT;
}

void ring3_prepare(void)
{
	own_pid = getpid();
	memset(ring3_canary, 0x5a, sizeof(ring3_canary));
	enter_dune();
	ring3_place(attacks, attacks_end);
	CHECK_EQ(dune_set_syscall_handler(on_syscall, DUNE_SAVE_FPU), 0);
}

int ring3_try(const char *code, uint64_t a, uint64_t b, uint64_t c, uint64_t *value,
	      struct dune_ring3_end *end)
{
	return dune_ring3_call(ring3_at(code), ring3_stack_top(), a, b, c, value, end);
}

void ring3_returns(const char *code, uint64_t argument, uint64_t expected)
{
	struct dune_ring3_end end = { 0 };
	uint64_t value = 0;

	if (ring3_try(code, argument, 0, 0, &value, &end))
		FAIL("argument %#lx: vector %u error %#x at %#lx (code + %#lx), address %#lx",
		     argument, end.vector, end.error, end.rip, end.rip - ring3_at(code),
		     end.address);
	CHECK_EQ(value, expected);
}

void ring3_faults(const char *code, uint64_t argument, unsigned vector)
{
	struct dune_ring3_end end = { 0 };
	uint64_t value = 0;

	if (!ring3_try(code, argument, 0, 0, &value, &end))
		FAIL("argument %#lx: no fault, returned %#lx", argument, value);
	CHECK_EQ(end.vector, vector);
}

void ring3_check_host(void)
{
	struct dune_ring3_end end;
	uint64_t value;

	for (unsigned i = 0; i < sizeof(ring3_canary); i++)
		CHECK_EQ(ring3_canary[i], 0x5a);
	CHECK_EQ(tls_canary, 0x7157);
	CHECK_EQ(syscall(SYS_getpid), own_pid);
	CHECK_EQ(current_ring(), 0);
	CHECK_EQ(ring3_try(attack_return, 99, 0, 0, &value, &end), 0);
	CHECK_EQ(value, 99);
}
