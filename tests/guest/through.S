/* SPDX-License-Identifier: GPL-2.0-only */
/* One instruction with all registers set; see through.h. Not reentrant. */
#include "through.h"

	.bss
	.balign 16
	.globl through_in, through_out, through_flag
through_in:
	.skip	THROUGH_BYTES
	.balign 16
through_out:
	.skip	THROUGH_BYTES
	.balign 16
through_flag:
	.skip	8
saved_rsp:
	.skip	8

	.text
	/* Changes no flag. */
	.macro wait_for_flag
1:	mov	through_flag(%rip), %rcx
	jrcxz	1b
	.endm

	.macro THROUGH name, instructions:vararg
	.globl \name
	.type \name, @function
\name:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	pushfq
	mov	%rsp, saved_rsp(%rip)
	sub	$256, %rsp
	pushq	through_in+THROUGH_RFLAGS(%rip)
	popfq
	/* From here only instructions that leave the flags alone, and no push. */
	.set	i, 0
	.rept	16
	mov	through_in+THROUGH_RED_ZONE+8*i(%rip), %rax
	mov	%rax, -128+8*i(%rsp)
	.set	i, i+1
	.endr
	mov	%rsp, through_in+8*4(%rip)
	mov	through_in+8*0(%rip), %rax
	mov	through_in+8*1(%rip), %rcx
	mov	through_in+8*2(%rip), %rdx
	mov	through_in+8*3(%rip), %rbx
	mov	through_in+8*5(%rip), %rbp
	mov	through_in+8*6(%rip), %rsi
	mov	through_in+8*7(%rip), %rdi
	mov	through_in+8*8(%rip), %r8
	mov	through_in+8*9(%rip), %r9
	mov	through_in+8*10(%rip), %r10
	mov	through_in+8*11(%rip), %r11
	mov	through_in+8*12(%rip), %r12
	mov	through_in+8*13(%rip), %r13
	mov	through_in+8*14(%rip), %r14
	mov	through_in+8*15(%rip), %r15
	\instructions
	mov	%rax, through_out+8*0(%rip)
	mov	%rcx, through_out+8*1(%rip)
	mov	%rdx, through_out+8*2(%rip)
	mov	%rbx, through_out+8*3(%rip)
	mov	%rsp, through_out+8*4(%rip)
	mov	%rbp, through_out+8*5(%rip)
	mov	%rsi, through_out+8*6(%rip)
	mov	%rdi, through_out+8*7(%rip)
	mov	%r8, through_out+8*8(%rip)
	mov	%r9, through_out+8*9(%rip)
	mov	%r10, through_out+8*10(%rip)
	mov	%r11, through_out+8*11(%rip)
	mov	%r12, through_out+8*12(%rip)
	mov	%r13, through_out+8*13(%rip)
	mov	%r14, through_out+8*14(%rip)
	mov	%r15, through_out+8*15(%rip)
	.set	i, 0
	.rept	16
	mov	-128+8*i(%rsp), %rax
	mov	%rax, through_out+THROUGH_RED_ZONE+8*i(%rip)
	.set	i, i+1
	.endr
	pushfq
	popq	through_out+THROUGH_RFLAGS(%rip)
	mov	saved_rsp(%rip), %rsp
	popfq
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.endm

	THROUGH through_syscall, syscall
	THROUGH through_breakpoint, int3
	THROUGH through_touch, movb $1, (%rdi)
	THROUGH through_wait, wait_for_flag

	.section .note.GNU-stack, "", @progbits
