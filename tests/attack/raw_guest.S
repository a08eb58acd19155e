/* SPDX-License-Identifier: GPL-2.0-only */
/* What the guests of raw.c run; see raw.h. Position-independent. */
	.section .rodata
	.macro CODE name
	.globl \name
\name:
	.endm

	CODE raw_count
1:	inc	%rbx
	vmcall
	jmp	1b

	CODE raw_spin
1:	inc	%rbx
	mov	%rbx, (%rdi)
	jmp	1b

	CODE raw_read
1:	mov	(%rdi), %rax
	vmcall
	jmp	1b

	CODE raw_write
1:	mov	%sil, (%rdi)
	vmcall
	jmp	1b

	CODE raw_execute
	jmp	*%rdi

	CODE raw_undefined
	ud2

	CODE raw_ring3
	mov	%rsp, %rax
	pushq	$0x2b
	pushq	%rax
	pushq	$0x202
	pushq	$0x33
	lea	1f(%rip), %rax
	pushq	%rax
	iretq
1:	vmcall
	jmp	1b

	.globl raw_code_end
raw_code_end:

	.section .note.GNU-stack, "", @progbits
