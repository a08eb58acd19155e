// SPDX-License-Identifier: MIT
/*
 * ring3: untrusted code in ring 3 of the same process. Its system calls come to a
 * function of ours, and the memory of ring 0 is out of its reach.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "dune.h"

#define CODE_BYTES  4096
#define STACK_BYTES 65536

static volatile unsigned long calls;
static long secret = 1234;

/* The untrusted code: a system call (number 7000), and a store to where it is told. */
__asm__("	.pushsection .rodata\n"
	"untrusted:\n"
	"	mov	$7000, %eax\n"
	"	syscall\n"
	"	test	%rsi, %rsi\n"
	"	jz	1f\n"
	"	movq	$0, (%rsi)\n"
	"1:	ret\n"
	"untrusted_end:\n"
	"	.popsection\n");
extern const char untrusted[], untrusted_end[];

__attribute__((target("general-regs-only"))) static void on_system_call(struct dune_frame *frame)
{
	calls++;
	frame->rax = frame->rax == 7000 ? frame->rdi * 2 : (uint64_t)-38;
}

int main(void)
{
	struct dune_ring3_end end;
	uint64_t value = 0;
	char *arena;
	int error = dune_init();

	if (!error)
		error = dune_arena_create(0, DUNE_ARENA_BYTES, 0, (void **)&arena);
	if (!error && mprotect(arena, CODE_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE))
		error = -1;
	if (!error) {
		memcpy(arena, untrusted, untrusted_end - untrusted);
		mprotect(arena, CODE_BYTES, PROT_READ | PROT_EXEC);
		error = dune_enter();
	}
	if (error) {
		fprintf(stderr, "ring3: cannot enter Dune: %s\n", strerror(-error));
		return 1;
	}
	dune_set_syscall_handler(on_system_call, 0);

	uint64_t stack = (uint64_t)arena + CODE_BYTES + STACK_BYTES;

	error = dune_ring3_call((uint64_t)arena, stack, 21, 0, 0, &value, NULL);
	printf("call: %d, value %lu, system calls seen: %lu\n", error, value, calls);
	if (error || value != 42 || calls != 1)
		return 1;

	error = dune_ring3_call((uint64_t)arena, stack, 21, (uint64_t)&secret, 0, &value, &end);
	printf("store to ring 0: %s, vector %u, error %#x, address %s; the secret is %ld\n",
	       strerror(-error), end.vector, end.error,
	       end.address == (uint64_t)&secret ? "that of the secret" : "?", secret);
	return error != -14 || secret != 1234;
}
