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

#include <sys/mman.h>
#include <sys/syscall.h>
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

/* ---- A fault there: ring 0's stack is at its end ---- */

static uint64_t fs_of_ring_0;

static uint64_t current_fs(void)
{
	uint64_t fs;

	__asm__ volatile("rdfsbase %0" : "=r"(fs));
	return fs;
}

static void on_fault(int signal)
{
	(void)signal;
	syscall(SYS_exit_group, current_fs() == fs_of_ring_0 ? 1 : 2);
}

static void call_ring_3(void)
{
	uint64_t value;

	ring3_try(attack_syscall, 0, 0, 0, &value, NULL);
}

/* libc's system calls look at FS. */
static void on_page_fault(struct dune_frame *frame)
{
	(void)frame;
	dune_syscall(SYS_exit_group, current_fs() == fs_of_ring_0 ? 1 : 2, 0, 0, 0, 0, 0);
}

enum { BY_THE_HOST, BY_THE_GUEST, WITH_A_HANDLER };

static void make_unusable(char *page, int how)
{
	if (how & WITH_A_HANDLER)
		CHECK_EQ(dune_set_handler(14, on_page_fault, 0), 0);
	*page = 1;
	if (how & BY_THE_GUEST)
		CHECK_EQ(dune_protect(page, PAGE_BYTES, DUNE_PROT_READ), 0);
	else
		CHECK_OK(mprotect(page, PAGE_BYTES, PROT_NONE));
}

static void call_with_so_much_stack(unsigned long bytes, int how)
{
	static char alternative[65536];
	const stack_t alternate = { .ss_sp = alternative, .ss_size = sizeof(alternative) };
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK };
	char *stack = map_pages(2, PROT_READ | PROT_WRITE);
	void (*function)(void);

	CHECK_EQ(dune_set_syscall_handler(on_short_call, 0), 0);
	make_unusable(stack, how);
	CHECK_OK(sigaltstack(&alternate, NULL));
	CHECK_OK(sigaction(SIGSEGV, &action, NULL));
	fs_of_ring_0 = current_fs();
	function = call_ring_3;
	stack += PAGE_BYTES + bytes;
	__asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tcall *%1\n\tmov %%rbx, %%rsp"
			 : "+D"(stack), "+S"(function)
			 :
			 : "rbx", "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
}

/* Nobody can be told of it while FS is ring 3's. */
static void fault_in_the_trap_path(int how)
{
	int outcomes[256] = { 0 };
	pid_t child;

	ring3_prepare();
	for (unsigned long bytes = 128; bytes <= 1024; bytes += 64) {
		child = harness_fork();
		if (!child) {
			call_with_so_much_stack(bytes, how);
			_exit(0);
		}
		outcomes[harness_wait(child)]++;
	}
	CHECK_EQ(outcomes[2], 0);
	CHECK(outcomes[1]);
	CHECK(outcomes[128 + SIGSEGV]);
	CHECK(outcomes[0]);
}

static void a_fault_in_the_trap_path_has_no_handler(void)
{
	fault_in_the_trap_path(BY_THE_HOST);
}

static void nor_one_of_an_exception(void)
{
	fault_in_the_trap_path(BY_THE_HOST | WITH_A_HANDLER);
}

static void nor_where_the_page_is_present(void)
{
	fault_in_the_trap_path(BY_THE_GUEST | WITH_A_HANDLER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(a_watchpoint_that_mov_ss_puts_off),
		guest_test(a_handler_returns_to_an_address_that_is_not_canonical),
		guest_test(a_fault_in_the_trap_path_has_no_handler),
		guest_test(nor_one_of_an_exception),
		guest_test(nor_where_the_page_is_present),
	};

	return run_guest_tests(tests);
}
